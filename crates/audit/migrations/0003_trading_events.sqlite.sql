CREATE TABLE trading_events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id    TEXT    NOT NULL UNIQUE,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    symbol      TEXT,
    decision_id TEXT,
    trace_id    TEXT,
    at          TEXT    NOT NULL,
    data        TEXT    NOT NULL,
    recorded_at TEXT    NOT NULL
) STRICT;

CREATE INDEX trading_events_by_decision ON trading_events (decision_id, id) WHERE decision_id IS NOT NULL;
CREATE INDEX trading_events_by_trace ON trading_events (trace_id, id) WHERE trace_id IS NOT NULL;

-- What is recorded stays as it was, whoever writes to this file: as in audit_logs.
CREATE TRIGGER trading_events_are_not_changed BEFORE UPDATE ON trading_events
BEGIN
    SELECT RAISE(ABORT, 'rows of trading_events are never changed');
END;

CREATE TRIGGER trading_events_are_not_deleted BEFORE DELETE ON trading_events
BEGIN
    SELECT RAISE(ABORT, 'rows of trading_events are never deleted');
END;

CREATE TRIGGER trading_events_are_not_replaced BEFORE INSERT ON trading_events
WHEN EXISTS (SELECT 1 FROM trading_events WHERE event_id = NEW.event_id OR id = NEW.id)
BEGIN
    SELECT RAISE(IGNORE);
END;
