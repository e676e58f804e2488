-- What waits to be said.
CREATE TABLE telegram_outbox (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chat_id    BIGINT      NOT NULL,
    thread_id  BIGINT,
    -- What the message is about, where it may be edited later: words about the same replace those that still wait.
    subject    TEXT,
    rank       BIGINT      NOT NULL,
    payload    TEXT        NOT NULL,
    context    TEXT        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    not_before TIMESTAMPTZ NOT NULL,
    attempts   BIGINT      NOT NULL,
    last_error TEXT
);
CREATE INDEX telegram_outbox_order ON telegram_outbox (chat_id, id);
CREATE UNIQUE INDEX telegram_outbox_subject ON telegram_outbox (chat_id, subject) WHERE subject IS NOT NULL;

-- Messages that can be edited, and how new their words are.
CREATE TABLE telegram_sent (
    chat_id    BIGINT      NOT NULL,
    subject    TEXT        NOT NULL,
    message_id BIGINT,
    rank       BIGINT      NOT NULL,
    sent_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (chat_id, subject)
);
CREATE INDEX telegram_sent_message ON telegram_sent (chat_id, message_id);
CREATE INDEX telegram_sent_age ON telegram_sent (sent_at);

-- What each chat was told about, for whoever asks why.
CREATE TABLE telegram_subjects (
    chat_id  BIGINT      NOT NULL,
    subject  TEXT        NOT NULL,
    detail   TEXT        NOT NULL,
    trace_id TEXT,
    told_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (chat_id, subject)
);
CREATE INDEX telegram_subjects_latest ON telegram_subjects (chat_id, told_at);
CREATE INDEX telegram_subjects_age ON telegram_subjects (told_at);

-- What has been handled: updates, presses, notices. They may come again.
CREATE TABLE telegram_handled (
    key        TEXT PRIMARY KEY,
    handled_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX telegram_handled_age ON telegram_handled (handled_at);
