CREATE TABLE audit_logs (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    TEXT        NOT NULL UNIQUE,
    user_id     BIGINT      NOT NULL,
    action      TEXT        NOT NULL,
    order_id    TEXT,
    decision_id TEXT,
    trace_id    TEXT,
    context     JSONB       NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX audit_logs_by_user ON audit_logs (user_id, id);
CREATE INDEX audit_logs_by_trace ON audit_logs (trace_id) WHERE trace_id IS NOT NULL;

-- What is recorded stays as it was, whoever connects to this database.
CREATE FUNCTION audit_logs_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of audit_logs are never changed or deleted';
END;
$$;

CREATE TRIGGER audit_logs_stay BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_stay();
CREATE TRIGGER audit_logs_stay_whole BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_stay();
