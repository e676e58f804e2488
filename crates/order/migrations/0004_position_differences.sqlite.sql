-- Symbols of which the exchange holds something else than is counted here, while it does so.
CREATE TABLE trading_differences (
    mode     TEXT NOT NULL,
    symbol   TEXT NOT NULL,
    ours     TEXT NOT NULL,
    exchange TEXT NOT NULL,
    since    TEXT NOT NULL,
    PRIMARY KEY (mode, symbol)
) STRICT, WITHOUT ROWID;
