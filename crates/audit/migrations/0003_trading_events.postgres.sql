CREATE TABLE trading_events (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    TEXT        NOT NULL UNIQUE,
    actor       TEXT        NOT NULL,
    action      TEXT        NOT NULL,
    symbol      TEXT,
    decision_id TEXT,
    trace_id    TEXT,
    at          TIMESTAMPTZ NOT NULL,
    data        JSONB       NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX trading_events_by_decision ON trading_events (decision_id, id) WHERE decision_id IS NOT NULL;
CREATE INDEX trading_events_by_trace ON trading_events (trace_id, id) WHERE trace_id IS NOT NULL;

-- What is recorded stays as it was, whoever connects to this database: as in audit_logs.
CREATE FUNCTION trading_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of trading_events are never changed or deleted';
END;
$$;

CREATE TRIGGER trading_events_stay BEFORE UPDATE OR DELETE ON trading_events
    FOR EACH ROW EXECUTE FUNCTION trading_events_stay();
CREATE TRIGGER trading_events_stay_whole BEFORE TRUNCATE ON trading_events
    FOR EACH STATEMENT EXECUTE FUNCTION trading_events_stay();
