CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    name          TEXT,
    email         TEXT,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at  TIMESTAMPTZ NOT NULL,
    request_count BIGINT      NOT NULL
);
