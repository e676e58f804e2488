//! Deletes what is not needed any more, a little at a time.

use chrono::{DateTime, TimeDelta, Utc};
use storage::{QueryType, Statement};

use super::{Store, StoreError, spending};

/// How long a pipeline that was deleted is told to caches.
pub(super) const TOMBSTONES_KEPT: TimeDelta = TimeDelta::days(1);

/// What one look has deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Executions that had come to their end, with their steps.
    pub executions: u64,
    /// Signals and what they matched.
    pub signals: u64,
    /// Pipelines that were deleted more than a day ago.
    pub pipelines: u64,
    /// Days of pipelines' costs.
    pub days: u64,
}

impl Swept {
    /// Whether there may be more.
    #[must_use]
    pub const fn is_full(&self, most: u16) -> bool {
        let most = most as u64;
        self.executions >= most || self.signals >= most || self.pipelines >= most || self.days >= most
    }
}

impl Store {
    /// Deletes at most so many of each kind: executions that ended, and signals that were matched, before a time; pipelines
    /// that were deleted more than a day ago. What waits or runs is never deleted.
    ///
    /// # Errors
    /// What databases say.
    pub async fn sweep(&self, before: DateTime<Utc>, most: u16, now: DateTime<Utc>) -> Result<Swept, StoreError> {
        // With their steps.
        let statement = Statement::new(
            QueryType::Delete,
            "executions",
            "DELETE FROM executions WHERE status NOT IN ('queued', 'running') AND number IN (SELECT number FROM executions \
             WHERE finished_at <= $1 ORDER BY finished_at, number LIMIT $2)",
        );
        let executions = self.database.execute_quietly(statement.bind(before).bind(i64::from(most))).await?;
        // With their matches.
        let statement = Statement::new(
            QueryType::Delete,
            "signals_matched",
            "DELETE FROM signals_matched WHERE signal_id IN (SELECT signal_id FROM signals_matched \
             WHERE matched_at <= $1 ORDER BY matched_at, signal_id LIMIT $2)",
        );
        let signals = self.database.execute_quietly(statement.bind(before).bind(i64::from(most))).await?;
        let statement = Statement::new(
            QueryType::Delete,
            "pipelines",
            "DELETE FROM pipelines WHERE number IN (SELECT number FROM pipelines WHERE deleted_at <= $1 \
             ORDER BY deleted_at LIMIT $2)",
        );
        let pipelines =
            self.database.execute_quietly(statement.bind(now - TOMBSTONES_KEPT).bind(i64::from(most))).await?;
        let statement = Statement::new(
            QueryType::Delete,
            "pipeline_spending",
            "DELETE FROM pipeline_spending WHERE (pipeline_id, day) IN (SELECT pipeline_id, day FROM pipeline_spending \
             WHERE day < $1 LIMIT $2)",
        );
        let days = self.database.execute_quietly(statement.bind(spending::day(before)).bind(i64::from(most))).await?;
        Ok(Swept { executions, signals, pipelines, days })
    }
}
