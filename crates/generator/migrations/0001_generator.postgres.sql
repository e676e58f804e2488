CREATE TABLE signals (
    number       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           TEXT        NOT NULL UNIQUE,
    signal_type  TEXT        NOT NULL,
    symbol       TEXT        NOT NULL,
    -- The signal as the bus gets it, as JSON.
    body         TEXT        NOT NULL,
    status       TEXT        NOT NULL,
    detail       TEXT,
    traceparent  TEXT,
    generated_at TIMESTAMPTZ NOT NULL,
    done_at      TIMESTAMPTZ
);

CREATE INDEX signals_by_type ON signals (signal_type, number);
CREATE INDEX signals_by_symbol ON signals (symbol, number);
CREATE INDEX signals_waiting ON signals (number) WHERE status = 'waiting';
CREATE INDEX signals_done ON signals (status, done_at) WHERE done_at IS NOT NULL;

-- How far each symbol's candles have been looked at.
CREATE TABLE progress (
    symbol          TEXT        NOT NULL,
    candle_interval TEXT        NOT NULL,
    -- When the last one opened that has been looked at.
    last_candle     TIMESTAMPTZ NOT NULL,
    last_signal     TEXT,
    PRIMARY KEY (symbol, candle_interval)
);

-- The next number of each seed.
CREATE TABLE mock_numbers (
    seed        TEXT   NOT NULL PRIMARY KEY,
    next_number BIGINT NOT NULL
);
