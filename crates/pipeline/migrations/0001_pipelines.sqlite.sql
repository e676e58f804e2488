-- One row, which every change of a pipeline locks and raises: changes become visible in the order of their numbers.
CREATE TABLE pipeline_clock (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    change_number INTEGER NOT NULL
) STRICT;

INSERT INTO pipeline_clock (id, change_number) VALUES (1, 0);

CREATE TABLE pipelines (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    -- What somebody wants, as JSON.
    body          TEXT    NOT NULL,
    enabled       INTEGER NOT NULL,
    trigger_mode  TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    -- That of the clock when it was changed last.
    change_number INTEGER NOT NULL UNIQUE,
    created_at    TEXT    NOT NULL,
    updated_at    TEXT    NOT NULL,
    -- Deleted ones stay for a while, so that caches learn of it.
    deleted_at    TEXT
) STRICT;

CREATE UNIQUE INDEX pipelines_live_name ON pipelines (name) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_by_enabled ON pipelines (enabled, number) WHERE deleted_at IS NULL;
CREATE INDEX pipelines_deleted ON pipelines (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE executions (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    pipeline_id       TEXT    NOT NULL,
    pipeline_revision INTEGER NOT NULL,
    -- The pipeline as it was when this was set off, as JSON: it is executed so.
    pipeline          TEXT    NOT NULL,
    trigger_mode      TEXT    NOT NULL,
    signal_id         TEXT,
    -- As JSON.
    signal            TEXT,
    symbol            TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    -- Attempts begun, ever: each has a number that no other has, so that a worker which lost its lease writes nothing.
    attempts          INTEGER NOT NULL,
    max_attempts      INTEGER NOT NULL,
    worker            TEXT,
    -- Raised by every word of its worker: who looks says by a clock of its own for how long it has stood still.
    beat              INTEGER NOT NULL,
    -- How long the worker asks to be waited for.
    lease_ms          INTEGER NOT NULL,
    -- When its next attempt is due; null: at once.
    not_before        TEXT,
    cost_usd          TEXT    NOT NULL,
    detail            TEXT,
    -- Trace and baggage in which it was set off.
    context           TEXT    NOT NULL,
    trace_id          TEXT,
    queued_at         TEXT    NOT NULL,
    started_at        TEXT,
    finished_at       TEXT,
    -- What sets off one execution and no second.
    dedupe            TEXT    UNIQUE
) STRICT;

-- No two executions of a pipeline at once.
CREATE UNIQUE INDEX executions_active ON executions (pipeline_id) WHERE status IN ('queued', 'running');
CREATE INDEX executions_due ON executions (number) WHERE status = 'queued' AND not_before IS NULL;
CREATE INDEX executions_due_later ON executions (not_before, number) WHERE status = 'queued' AND not_before IS NOT NULL;
CREATE INDEX executions_by_status ON executions (status, number);
CREATE INDEX executions_by_pipeline ON executions (pipeline_id, number);
CREATE INDEX executions_by_signal ON executions (signal_id, number) WHERE signal_id IS NOT NULL;
CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE execution_steps (
    execution_number INTEGER NOT NULL REFERENCES executions (number) ON DELETE CASCADE,
    name             TEXT    NOT NULL,
    attempt          INTEGER NOT NULL,
    -- Its place in the pipeline.
    position         INTEGER NOT NULL,
    agent            TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    started_at       TEXT    NOT NULL,
    duration_ms      INTEGER NOT NULL,
    cost_usd         TEXT    NOT NULL,
    summary          TEXT    NOT NULL,
    -- As JSON.
    output           TEXT    NOT NULL,
    PRIMARY KEY (execution_number, name, attempt)
) STRICT, WITHOUT ROWID;

-- Signals that have been looked at: one that comes again is known.
CREATE TABLE signals_matched (
    signal_id  TEXT    NOT NULL PRIMARY KEY,
    -- The signal, as JSON, where it matched any.
    body       TEXT,
    -- How many pipelines it matched.
    pipelines  INTEGER NOT NULL,
    matched_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX signals_matched_by_time ON signals_matched (matched_at);

CREATE TABLE signal_matches (
    signal_id    TEXT    NOT NULL REFERENCES signals_matched (signal_id) ON DELETE CASCADE,
    pipeline_id  TEXT    NOT NULL,
    -- Its place in the list of the signal's matches, from 1.
    position     INTEGER NOT NULL,
    outcome      TEXT    NOT NULL,
    execution_id TEXT,
    matched_at   TEXT    NOT NULL,
    PRIMARY KEY (signal_id, pipeline_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX signal_matches_by_position ON signal_matches (signal_id, position);

CREATE TABLE pipeline_spending (
    pipeline_id TEXT NOT NULL,
    -- Of the calendar, in UTC.
    day         TEXT NOT NULL,
    cost_usd    TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX pipeline_spending_by_day ON pipeline_spending (day);

-- What was loaded once and is never loaded again.
CREATE TABLE pipelines_loaded (
    what      TEXT NOT NULL PRIMARY KEY,
    loaded_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
