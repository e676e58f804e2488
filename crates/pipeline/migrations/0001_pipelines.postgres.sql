-- One row, which every change of a pipeline locks and raises: changes become visible in the order of their numbers.
CREATE TABLE pipeline_clock (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    change_number BIGINT NOT NULL
);

INSERT INTO pipeline_clock (id, change_number) VALUES (1, 0);

CREATE TABLE pipelines (
    number        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            TEXT        NOT NULL UNIQUE,
    name          TEXT        NOT NULL,
    -- What somebody wants, as JSON.
    body          TEXT        NOT NULL,
    enabled       BOOLEAN     NOT NULL,
    trigger_mode  TEXT        NOT NULL,
    revision      BIGINT      NOT NULL,
    -- That of the clock when it was changed last.
    change_number BIGINT      NOT NULL UNIQUE,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    -- Deleted ones stay for a while, so that caches learn of it.
    deleted_at    TIMESTAMPTZ
);

CREATE UNIQUE INDEX pipelines_live_name ON pipelines (name) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_by_enabled ON pipelines (enabled, number) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_deleted ON pipelines (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE executions (
    number            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                TEXT        NOT NULL UNIQUE,
    pipeline_id       TEXT        NOT NULL,
    pipeline_revision BIGINT      NOT NULL,
    -- The pipeline as it was when this was set off, as JSON: it is executed so.
    pipeline          TEXT        NOT NULL,
    trigger_mode      TEXT        NOT NULL,
    signal_id         TEXT,
    -- As JSON.
    signal            TEXT,
    symbol            TEXT        NOT NULL,
    status            TEXT        NOT NULL,
    -- Attempts begun, ever: each has a number that no other has, so that a worker which lost its lease writes nothing.
    attempts          BIGINT      NOT NULL,
    max_attempts      BIGINT      NOT NULL,
    worker            TEXT,
    -- Raised by every word of its worker: who looks says by a clock of its own for how long it has stood still.
    beat              BIGINT      NOT NULL,
    -- How long the worker asks to be waited for.
    lease_ms          BIGINT      NOT NULL,
    -- When its next attempt is due; null: at once.
    not_before        TIMESTAMPTZ,
    cost_usd          NUMERIC     NOT NULL,
    detail            TEXT,
    -- Trace and baggage in which it was set off.
    context           TEXT        NOT NULL,
    trace_id          TEXT,
    queued_at         TIMESTAMPTZ NOT NULL,
    started_at        TIMESTAMPTZ,
    finished_at       TIMESTAMPTZ,
    -- What sets off one execution and no second.
    dedupe            TEXT        UNIQUE
);

-- No two executions of a pipeline at once.
CREATE UNIQUE INDEX executions_active ON executions (pipeline_id) WHERE status IN ('queued', 'running');
CREATE INDEX executions_due ON executions (number) WHERE status = 'queued' AND not_before IS NULL;
CREATE INDEX executions_due_later ON executions (not_before, number) WHERE status = 'queued' AND not_before IS NOT NULL;
CREATE INDEX executions_by_status ON executions (status, number);
CREATE INDEX executions_by_pipeline ON executions (pipeline_id, number);
CREATE INDEX executions_by_signal ON executions (signal_id, number) WHERE signal_id IS NOT NULL;
CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE execution_steps (
    execution_number BIGINT      NOT NULL REFERENCES executions (number) ON DELETE CASCADE,
    name             TEXT        NOT NULL,
    attempt          BIGINT      NOT NULL,
    -- Its place in the pipeline.
    position         BIGINT      NOT NULL,
    agent            TEXT        NOT NULL,
    status           TEXT        NOT NULL,
    started_at       TIMESTAMPTZ NOT NULL,
    duration_ms      BIGINT      NOT NULL,
    cost_usd         NUMERIC     NOT NULL,
    summary          TEXT        NOT NULL,
    -- As JSON.
    output           TEXT        NOT NULL,
    PRIMARY KEY (execution_number, name, attempt)
);

-- Signals that have been looked at: one that comes again is known.
CREATE TABLE signals_matched (
    signal_id  TEXT        NOT NULL PRIMARY KEY,
    -- The signal, as JSON, where it matched any.
    body       TEXT,
    -- How many pipelines it matched.
    pipelines  BIGINT      NOT NULL,
    matched_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX signals_matched_by_time ON signals_matched (matched_at);

CREATE TABLE signal_matches (
    signal_id    TEXT        NOT NULL REFERENCES signals_matched (signal_id) ON DELETE CASCADE,
    pipeline_id  TEXT        NOT NULL,
    -- Its place in the list of the signal's matches, from 1.
    position     BIGINT      NOT NULL,
    outcome      TEXT        NOT NULL,
    execution_id TEXT,
    matched_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (signal_id, pipeline_id)
);

CREATE UNIQUE INDEX signal_matches_by_position ON signal_matches (signal_id, position);

CREATE TABLE pipeline_spending (
    pipeline_id TEXT    NOT NULL,
    -- Of the calendar, in UTC.
    day         TEXT    NOT NULL,
    cost_usd    NUMERIC NOT NULL,
    PRIMARY KEY (pipeline_id, day)
);

CREATE INDEX pipeline_spending_by_day ON pipeline_spending (day);

-- What was loaded once and is never loaded again.
CREATE TABLE pipelines_loaded (
    what      TEXT        NOT NULL PRIMARY KEY,
    loaded_at TIMESTAMPTZ NOT NULL
);
