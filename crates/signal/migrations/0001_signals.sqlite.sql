CREATE TABLE hooks (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    -- SHA-256 of the token, in hex: the token itself stands nowhere.
    token_hash   TEXT    NOT NULL UNIQUE,
    created_at   TEXT    NOT NULL,
    revoked_at   TEXT,
    last_used_at TEXT,
    signals      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX hooks_live_name ON hooks (name) WHERE revoked_at IS NULL;

CREATE TABLE signals (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    hook_id     TEXT    NOT NULL,
    symbol      TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    -- The signal as order-service gets it, as JSON.
    body        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    result      TEXT,
    detail      TEXT,
    traceparent TEXT,
    received_at TEXT    NOT NULL,
    executed_at TEXT
) STRICT;

CREATE INDEX signals_by_status ON signals (status, number);
CREATE INDEX signals_queued ON signals (received_at) WHERE status = 'queued';
CREATE INDEX signals_done ON signals (status, executed_at) WHERE executed_at IS NOT NULL;

-- What tells an alert that is sent again from a new one.
CREATE TABLE signal_keys (
    key        TEXT NOT NULL PRIMARY KEY,
    signal_id  TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX signal_keys_expiry ON signal_keys (expires_at);
