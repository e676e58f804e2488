CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    name          TEXT,
    email         TEXT,
    first_seen_at TEXT    NOT NULL,
    last_seen_at  TEXT    NOT NULL,
    request_count INTEGER NOT NULL
) STRICT;
