CREATE TABLE orders (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    idempotency_key TEXT    UNIQUE,
    -- What was asked for with the key: another request with it is refused.
    request_hash    TEXT,
    user_id         INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    -- Decimal as text: a REAL would round money.
    total           TEXT    NOT NULL,
    currency        TEXT,
    decision_id     TEXT,
    trace_id        TEXT,
    created_at      TEXT    NOT NULL
) STRICT;

CREATE INDEX orders_by_user ON orders (user_id, number);

CREATE TABLE order_items (
    order_number      INTEGER NOT NULL REFERENCES orders (number),
    position          INTEGER NOT NULL,
    symbol            TEXT    NOT NULL,
    quantity          TEXT    NOT NULL,
    unit_price        TEXT    NOT NULL,
    total             TEXT    NOT NULL,
    price_observed_at TEXT    NOT NULL,
    PRIMARY KEY (order_number, position)
) STRICT, WITHOUT ROWID;
