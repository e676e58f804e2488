CREATE TABLE orders (
    number          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT        NOT NULL UNIQUE,
    idempotency_key TEXT        UNIQUE,
    -- What was asked for with the key: another request with it is refused.
    request_hash    TEXT,
    user_id         BIGINT      NOT NULL,
    action          TEXT        NOT NULL,
    total           NUMERIC     NOT NULL,
    currency        TEXT,
    decision_id     TEXT,
    trace_id        TEXT,
    created_at      TIMESTAMPTZ NOT NULL
);

CREATE INDEX orders_by_user ON orders (user_id, number);

CREATE TABLE order_items (
    order_number      BIGINT      NOT NULL REFERENCES orders (number),
    position          BIGINT      NOT NULL,
    symbol            TEXT        NOT NULL,
    quantity          NUMERIC     NOT NULL,
    unit_price        NUMERIC     NOT NULL,
    total             NUMERIC     NOT NULL,
    price_observed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_number, position)
);
