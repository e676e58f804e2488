-- What somebody waits for goes first: 0 awaited, 1 a notice.
ALTER TABLE telegram_outbox ADD COLUMN urgency INTEGER NOT NULL DEFAULT 1;
CREATE INDEX telegram_outbox_line ON telegram_outbox (chat_id, urgency, id);
CREATE INDEX telegram_outbox_pause ON telegram_outbox (chat_id, not_before);
DROP INDEX telegram_outbox_order;

-- Notices of one kind that are one message which counts them.
CREATE TABLE telegram_folds (
    chat_id INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    -- The message's, by which it is edited.
    subject TEXT    NOT NULL,
    since   TEXT    NOT NULL,
    times   INTEGER NOT NULL,
    PRIMARY KEY (chat_id, name)
) WITHOUT ROWID;
CREATE INDEX telegram_folds_age ON telegram_folds (since);
