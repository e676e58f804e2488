//! Executions that failed for good: replayed or thrown away by a person.

use chrono::{DateTime, Utc};
use domain::DecisionId;
use domain::pipeline::{ExecutionStatus, Pipeline};
use storage::{QueryType, Statement, StorageError, Transaction};

use super::executions::{Ended, EndedRow, TABLE, status};
use super::{Store, StoreError, pipelines};

/// Where an execution stands, and as what it is executed.
async fn standing(transaction: &mut Transaction, id: &DecisionId) -> Result<ExecutionStatus, StoreError> {
    let statement = Statement::new(QueryType::Select, TABLE, "SELECT status FROM executions WHERE id = $1");
    let found: Option<(String,)> = transaction.fetch_optional(statement.bind(id.as_str())).await?;
    found.map_or(Err(StoreError::NoExecution), |(word,)| status(&word))
}

impl Store {
    /// Has an execution that failed tried again, as often as its pipeline allows; steps that were done are not done again.
    /// Its attempts go on being counted, so that a worker of before cannot be taken for one of now.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`], [`StoreError::Standing`] when it has not failed, [`StoreError::Active`] while another of
    /// the pipeline waits or runs, [`StoreError::NoPipeline`] when the pipeline is deleted, and what databases say.
    pub async fn replay(&self, id: &DecisionId) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        let statement =
            Statement::new(QueryType::Select, TABLE, "SELECT pipeline, pipeline_id FROM executions WHERE id = $1")
                .bind(id.as_str());
        let kept: Option<(String, String)> = transaction.fetch_optional(statement).await?;
        let (kept, pipeline_id) = kept.ok_or(StoreError::NoExecution)?;
        pipelines::hold(&mut transaction, &pipeline_id.parse().map_err(|_| StoreError::Kept("a pipeline's id"))?)
            .await?;
        let request: domain::pipeline::PipelineRequest =
            serde_json::from_str(&kept).map_err(|_| StoreError::Kept("an execution's pipeline"))?;
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'queued', max_attempts = attempts + $2, not_before = NULL, started_at = NULL, \
             finished_at = NULL, detail = NULL, worker = NULL WHERE id = $1 AND status = 'failed' \
             AND EXISTS (SELECT 1 FROM pipelines WHERE pipelines.id = executions.pipeline_id \
             AND pipelines.deleted_at IS NULL)",
        )
        .bind(id.as_str())
        .bind(i64::from(request.max_attempts));
        let changed = transaction.execute(statement).await.map_err(|error| match error {
            // The one index that this can run into: one execution of a pipeline at a time.
            StorageError::Conflict { .. } => StoreError::Active,
            other => other.into(),
        })?;
        if changed == 0 {
            return Err(match standing(&mut transaction, id).await? {
                ExecutionStatus::Failed => StoreError::NoPipeline,
                other => StoreError::Standing(other),
            });
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Throws an execution away that has failed, or still waits.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`], [`StoreError::Standing`] when it stands elsewhere, and what databases say.
    pub async fn discard(&self, id: &DecisionId, now: DateTime<Utc>) -> Result<Ended, StoreError> {
        let mut transaction = self.database.begin().await?;
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE executions SET status = 'cancelled', finished_at = $2, \
             detail = CASE WHEN status = 'failed' THEN detail ELSE 'discarded' END \
             WHERE id = $1 AND status IN ('failed', 'queued') \
             RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
        )
        .bind(id.as_str())
        .bind(now);
        let Some(row) = transaction.fetch_optional::<EndedRow>(statement).await? else {
            return Err(StoreError::Standing(standing(&mut transaction, id).await?));
        };
        transaction.commit().await?;
        row.try_into()
    }

    /// Whether an execution of a pipeline waits or runs.
    ///
    /// # Errors
    /// What databases say.
    pub async fn is_active(&self, pipeline: &Pipeline) -> Result<bool, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT number FROM executions WHERE pipeline_id = $1 AND status IN ('queued', 'running')",
        )
        .bind(pipeline.pipeline_id.as_str());
        Ok(self.database.fetch_optional::<(i64,)>(statement).await?.is_some())
    }
}
