-- What may be traded: one row, which every order locks before it is made.
CREATE TABLE trading_state (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    state      TEXT NOT NULL,
    since      TIMESTAMPTZ NOT NULL,
    changed_by TEXT,
    reason     TEXT,
    -- Changes so far.
    revision   BIGINT NOT NULL,
    -- Grows with every lock.
    locked     BIGINT NOT NULL
);

INSERT INTO trading_state (id, state, since, revision, locked)
VALUES (1, 'running', now(), 0, 0);

CREATE TABLE trade_orders (
    number             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                 TEXT NOT NULL UNIQUE,
    revision           BIGINT NOT NULL,
    mode               TEXT NOT NULL,
    symbol             TEXT NOT NULL,
    side               TEXT NOT NULL,
    limit_price        NUMERIC,
    reduce_only        BOOLEAN NOT NULL,
    quantity           NUMERIC NOT NULL,
    reference_price    NUMERIC NOT NULL,
    price_observed_at  TIMESTAMPTZ NOT NULL,
    status             TEXT NOT NULL,
    reason             TEXT,
    confirmation       TEXT,
    confirm_until      TIMESTAMPTZ,
    confirmed_by       TEXT,
    exchange_order_id  TEXT,
    filled_quantity    NUMERIC NOT NULL,
    average_price      NUMERIC,
    fee                NUMERIC NOT NULL,
    realised_pnl       NUMERIC NOT NULL,
    -- What it was made of.
    signal             JSONB NOT NULL,
    trace_id           TEXT,
    -- Trace and baggage in which it was made: whoever goes on with it later does so there.
    context            TEXT NOT NULL,
    -- A process sends it, or did when it died: nobody else may until then.
    sending_since      TIMESTAMPTZ,
    send_until         TIMESTAMPTZ,
    -- When it was last on its way to the exchange.
    sent_at            TIMESTAMPTZ,
    -- Somebody wants it back: it is not sent again, and cancelled once it turns up.
    cancel_by          TEXT,
    received_at        TIMESTAMPTZ NOT NULL,
    created_at         TIMESTAMPTZ NOT NULL,
    submitted_at       TIMESTAMPTZ,
    updated_at         TIMESTAMPTZ NOT NULL
);

CREATE INDEX trade_orders_open ON trade_orders (mode, number)
    WHERE status IN ('new', 'submitted', 'partially_filled', 'unknown');
CREATE INDEX trade_orders_by_symbol ON trade_orders (symbol, number);
CREATE INDEX trade_orders_by_status ON trade_orders (status, number);
CREATE INDEX trade_orders_by_time ON trade_orders (created_at);
CREATE INDEX trade_orders_by_sending ON trade_orders (sent_at);

CREATE TABLE trade_transitions (
    order_number BIGINT NOT NULL REFERENCES trade_orders (number),
    revision     BIGINT NOT NULL,
    from_status  TEXT,
    to_status    TEXT NOT NULL,
    reason       TEXT,
    at           TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_number, revision)
);

CREATE TABLE trade_fills (
    order_number BIGINT NOT NULL REFERENCES trade_orders (number),
    revision     BIGINT NOT NULL,
    quantity     NUMERIC NOT NULL,
    -- None where more of the fee was told and nothing was filled.
    price        NUMERIC,
    fee          NUMERIC NOT NULL,
    realised_pnl NUMERIC NOT NULL,
    at           TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_number, revision)
);

CREATE TABLE trading_positions (
    mode          TEXT NOT NULL,
    symbol        TEXT NOT NULL,
    quantity      NUMERIC NOT NULL,
    cost          NUMERIC NOT NULL,
    realised_pnl  NUMERIC NOT NULL,
    fees          NUMERIC NOT NULL,
    -- The order that was filled last, how much of it had been filled when it became that, and the position then: what it
    -- is now is made from that and the order's whole fill, so that it does not matter in how many parts that was told.
    last_order    TEXT,
    base_quantity NUMERIC NOT NULL,
    base_cost     NUMERIC NOT NULL,
    base_filled   NUMERIC NOT NULL,
    base_paid     NUMERIC NOT NULL,
    base_realised NUMERIC NOT NULL,
    locked        BIGINT NOT NULL,
    PRIMARY KEY (mode, symbol)
);

CREATE TABLE trading_days (
    mode         TEXT NOT NULL,
    day          TEXT NOT NULL,
    symbol       TEXT NOT NULL,
    realised_pnl NUMERIC NOT NULL,
    fees         NUMERIC NOT NULL,
    fills        BIGINT NOT NULL,
    locked       BIGINT NOT NULL,
    PRIMARY KEY (mode, day, symbol)
);

CREATE TABLE trade_refusals (
    number    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id TEXT NOT NULL UNIQUE,
    symbol    TEXT NOT NULL,
    code      TEXT NOT NULL,
    detail    TEXT NOT NULL,
    signal    JSONB NOT NULL,
    trace_id  TEXT,
    at        TIMESTAMPTZ NOT NULL
);
