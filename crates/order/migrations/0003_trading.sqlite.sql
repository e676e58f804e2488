-- What may be traded: one row, which every order locks before it is made.
CREATE TABLE trading_state (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    state      TEXT    NOT NULL,
    since      TEXT    NOT NULL,
    changed_by TEXT,
    reason     TEXT,
    -- Changes so far.
    revision   INTEGER NOT NULL,
    -- Grows with every lock.
    locked     INTEGER NOT NULL
) STRICT;

INSERT INTO trading_state (id, state, since, revision, locked)
VALUES (1, 'running', strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), 0, 0);

CREATE TABLE trade_orders (
    number             INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 TEXT    NOT NULL UNIQUE,
    revision           INTEGER NOT NULL,
    mode               TEXT    NOT NULL,
    symbol             TEXT    NOT NULL,
    side               TEXT    NOT NULL,
    limit_price        TEXT,
    reduce_only        INTEGER NOT NULL,
    quantity           TEXT    NOT NULL,
    reference_price    TEXT    NOT NULL,
    price_observed_at  TEXT    NOT NULL,
    status             TEXT    NOT NULL,
    reason             TEXT,
    confirmation       TEXT,
    confirm_until      TEXT,
    confirmed_by       TEXT,
    exchange_order_id  TEXT,
    filled_quantity    TEXT    NOT NULL,
    average_price      TEXT,
    fee                TEXT    NOT NULL,
    realised_pnl       TEXT    NOT NULL,
    -- What it was made of.
    signal             TEXT    NOT NULL,
    trace_id           TEXT,
    -- Trace and baggage in which it was made: whoever goes on with it later does so there.
    context            TEXT    NOT NULL,
    -- A process sends it, or did when it died: nobody else may until then.
    sending_since      TEXT,
    send_until         TEXT,
    -- When it was last on its way to the exchange.
    sent_at            TEXT,
    -- Somebody wants it back: it is not sent again, and cancelled once it turns up.
    cancel_by          TEXT,
    received_at        TEXT    NOT NULL,
    created_at         TEXT    NOT NULL,
    submitted_at       TEXT,
    updated_at         TEXT    NOT NULL
) STRICT;

CREATE INDEX trade_orders_open ON trade_orders (mode, number)
    WHERE status IN ('new', 'submitted', 'partially_filled', 'unknown');
CREATE INDEX trade_orders_by_symbol ON trade_orders (symbol, number);
CREATE INDEX trade_orders_by_status ON trade_orders (status, number);
CREATE INDEX trade_orders_by_time ON trade_orders (created_at);
CREATE INDEX trade_orders_by_sending ON trade_orders (sent_at);

CREATE TABLE trade_transitions (
    order_number INTEGER NOT NULL REFERENCES trade_orders (number),
    revision     INTEGER NOT NULL,
    from_status  TEXT,
    to_status    TEXT    NOT NULL,
    reason       TEXT,
    at           TEXT    NOT NULL,
    PRIMARY KEY (order_number, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE trade_fills (
    order_number INTEGER NOT NULL REFERENCES trade_orders (number),
    revision     INTEGER NOT NULL,
    quantity     TEXT    NOT NULL,
    -- None where more of the fee was told and nothing was filled.
    price        TEXT,
    fee          TEXT    NOT NULL,
    realised_pnl TEXT    NOT NULL,
    at           TEXT    NOT NULL,
    PRIMARY KEY (order_number, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE trading_positions (
    mode          TEXT    NOT NULL,
    symbol        TEXT    NOT NULL,
    quantity      TEXT    NOT NULL,
    cost          TEXT    NOT NULL,
    realised_pnl  TEXT    NOT NULL,
    fees          TEXT    NOT NULL,
    -- The order that was filled last, how much of it had been filled when it became that, and the position then: what it
    -- is now is made from that and the order's whole fill, so that it does not matter in how many parts that was told.
    last_order    TEXT,
    base_quantity TEXT    NOT NULL,
    base_cost     TEXT    NOT NULL,
    base_filled   TEXT    NOT NULL,
    base_paid     TEXT    NOT NULL,
    base_realised TEXT    NOT NULL,
    locked        INTEGER NOT NULL,
    PRIMARY KEY (mode, symbol)
) STRICT, WITHOUT ROWID;

CREATE TABLE trading_days (
    mode         TEXT    NOT NULL,
    day          TEXT    NOT NULL,
    symbol       TEXT    NOT NULL,
    realised_pnl TEXT    NOT NULL,
    fees         TEXT    NOT NULL,
    fills        INTEGER NOT NULL,
    locked       INTEGER NOT NULL,
    PRIMARY KEY (mode, day, symbol)
) STRICT, WITHOUT ROWID;

CREATE TABLE trade_refusals (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    signal_id TEXT    NOT NULL UNIQUE,
    symbol    TEXT    NOT NULL,
    code      TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    signal    TEXT    NOT NULL,
    trace_id  TEXT,
    at        TEXT    NOT NULL
) STRICT;
