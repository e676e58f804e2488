-- Orders that finished while many messages waited, a line each, in one message.
CREATE TABLE telegram_digests (
    chat_id INTEGER PRIMARY KEY,
    -- The message's, by which it is edited.
    subject TEXT    NOT NULL,
    since   TEXT    NOT NULL,
    lines   TEXT    NOT NULL,
    times   INTEGER NOT NULL
);
