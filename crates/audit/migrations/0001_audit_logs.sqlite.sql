CREATE TABLE audit_logs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id    TEXT    NOT NULL UNIQUE,
    user_id     INTEGER NOT NULL,
    action      TEXT    NOT NULL,
    order_id    TEXT,
    decision_id TEXT,
    trace_id    TEXT,
    context     TEXT    NOT NULL,
    recorded_at TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_logs_by_user ON audit_logs (user_id, id);
CREATE INDEX audit_logs_by_trace ON audit_logs (trace_id) WHERE trace_id IS NOT NULL;

-- What is recorded stays as it was, whoever writes to this file.
CREATE TRIGGER audit_logs_are_not_changed BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_logs are never changed');
END;

CREATE TRIGGER audit_logs_are_not_deleted BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'rows of audit_logs are never deleted');
END;
