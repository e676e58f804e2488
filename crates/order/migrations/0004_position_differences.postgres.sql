-- Symbols of which the exchange holds something else than is counted here, while it does so.
CREATE TABLE trading_differences (
    mode     TEXT NOT NULL,
    symbol   TEXT NOT NULL,
    ours     NUMERIC NOT NULL,
    exchange NUMERIC NOT NULL,
    since    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (mode, symbol)
);
