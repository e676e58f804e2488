//! How much there is to do.

use chrono::{DateTime, Utc};
use domain::pipeline::ExecutionStatus;
use storage::{FromRow, QueryType, Statement};

use super::executions::{TABLE, status};
use super::{Store, StoreError};

/// How much there is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Executions that wait for a worker.
    pub queued: i64,
    /// Those that a worker is at.
    pub running: i64,
    /// Those that have failed.
    pub failed: i64,
    /// When the oldest of those that wait was set off.
    pub oldest_queued: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    status: String,
    executions: i64,
}

impl Store {
    /// How much there is to do. Made for being asked often: not traced.
    ///
    /// # Errors
    /// What databases say.
    pub async fn depth(&self) -> Result<Depth, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT status, COUNT(*) AS executions FROM executions WHERE status IN ('queued', 'running', 'failed') \
             GROUP BY status",
        );
        let mut depth = Depth::default();
        for row in self.database.quietly::<Row>(statement).await? {
            match status(&row.status)? {
                ExecutionStatus::Queued => depth.queued = row.executions,
                ExecutionStatus::Running => depth.running = row.executions,
                _ => depth.failed = row.executions,
            }
        }
        if depth.queued > 0 {
            let statement = Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT MIN(queued_at) AS oldest FROM executions WHERE status = 'queued'",
            );
            let rows: Vec<(Option<DateTime<Utc>>,)> = self.database.quietly(statement).await?;
            depth.oldest_queued = rows.into_iter().next().and_then(|(oldest,)| oldest);
        }
        Ok(depth)
    }
}
