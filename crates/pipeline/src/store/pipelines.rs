//! Pipelines: made, changed and deleted by people, and read by caches.

use chrono::{DateTime, Utc};
use domain::pipeline::{ExecutionStatus, Pipeline, PipelineId, PipelineRequest, Trigger, TriggerMode};
use domain::{Page, PageQuery};
use serde::{Deserialize, Serialize};
use storage::{FromRow, QueryType, Statement, StorageError, Transaction};

use super::executions::{Ended, EndedRow};
use super::{Store, StoreError};

const TABLE: &str = "pipelines";

/// A pipeline as the database has it. What instances share is this, and each reads it as its own program does.
#[derive(FromRow, Serialize, Deserialize)]
pub(crate) struct Row {
    number: i64,
    id: String,
    body: String,
    revision: i64,
    change_number: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
}

/// What is read of a pipeline, and what comes behind that.
macro_rules! pipelines {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, body, revision, change_number, created_at, updated_at, deleted_at FROM pipelines ",
            $rest
        )
    };
}

impl Row {
    /// Its place among all changes.
    pub(crate) const fn change_number(&self) -> i64 {
        self.change_number
    }

    /// Whether these can be the rows after the change of this number, up to the change of another.
    pub(crate) fn are_a_page(rows: &[Self], after: i64, upto: i64) -> bool {
        let numbers = std::iter::once(after).chain(rows.iter().map(|row| row.change_number));
        numbers.is_sorted_by(|before, number| before < number)
            && rows.last().is_none_or(|last| last.change_number <= upto)
            && rows.iter().all(|row| row.id().is_ok())
    }

    fn id(&self) -> Result<PipelineId, StoreError> {
        self.id.parse().map_err(|_| StoreError::Kept("a pipeline's id"))
    }
}

impl TryFrom<Row> for Pipeline {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            pipeline_id: row.id()?,
            revision: row.revision,
            request: serde_json::from_str(&row.body).map_err(|_| StoreError::Kept("a pipeline"))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A pipeline that was changed, for caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place among all changes.
    pub change_number: i64,
    /// Which pipeline.
    pub pipeline_id: PipelineId,
    /// What it is now; none when it is deleted, or cannot be read by this program.
    pub pipeline: Option<Pipeline>,
}

impl TryFrom<Row> for Change {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let (change_number, pipeline_id) = (row.change_number, row.id()?);
        let pipeline = match row.deleted_at {
            Some(_) => None,
            // One that cannot be read must not keep all others out of the caches.
            None => Pipeline::try_from(row)
                .inspect_err(
                    |error| tracing::error!(pipeline.id = %pipeline_id, error = %error, "a pipeline is left out"),
                )
                .ok(),
        };
        Ok(Self { change_number, pipeline_id, pipeline })
    }
}

/// A pipeline that has taken the place of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// As it is now.
    pub pipeline: Pipeline,
    /// Its executions that were cancelled, because it is disabled now.
    pub cancelled: Vec<Ended>,
}

/// The word of what sets a pipeline off.
const fn mode(request: &PipelineRequest) -> TriggerMode {
    match request.trigger {
        Trigger::Signal(_) => TriggerMode::Signal,
        Trigger::Periodic(_) => TriggerMode::Periodic,
    }
}

/// The number of the next change. Whoever has it holds the clock until the transaction ends, so that no change becomes
/// visible before one of a lower number.
async fn tick(transaction: &mut Transaction) -> Result<i64, StoreError> {
    let statement = Statement::new(
        QueryType::Update,
        "pipeline_clock",
        "UPDATE pipeline_clock SET change_number = change_number + 1 WHERE id = 1 RETURNING change_number",
    );
    let (number,): (i64,) = transaction.fetch_one(statement).await?;
    Ok(number)
}

fn taken(error: StorageError) -> StoreError {
    match error {
        StorageError::Conflict { constraint } if constraint.contains("name") => StoreError::NameTaken,
        other => other.into(),
    }
}

async fn insert(
    transaction: &mut Transaction,
    request: &PipelineRequest,
    now: DateTime<Utc>,
) -> Result<Pipeline, StoreError> {
    let change_number = tick(transaction).await?;
    let pipeline_id: PipelineId =
        uuid::Uuid::new_v4().to_string().parse().map_err(|_| StoreError::Kept("a pipeline's id"))?;
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO pipelines (id, name, body, enabled, trigger_mode, revision, change_number, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7)",
    )
    .bind(pipeline_id.as_str())
    .bind(request.name.as_str())
    .bind(serde_json::to_string(request)?)
    .bind(request.enabled)
    .bind(mode(request).as_str())
    .bind(change_number)
    .bind(now);
    transaction.execute(statement).await.map_err(taken)?;
    Ok(Pipeline { pipeline_id, revision: 1, request: request.clone(), created_at: now, updated_at: now })
}

/// The pipeline as a transaction sees it.
pub(super) async fn find_in(transaction: &mut Transaction, id: &PipelineId) -> Result<Option<Pipeline>, StoreError> {
    let statement = Statement::new(QueryType::Select, TABLE, pipelines!("WHERE id = $1 AND deleted_at IS NULL"));
    transaction.fetch_optional::<Row>(statement.bind(id.as_str())).await?.map(Pipeline::try_from).transpose()
}

/// Keeps a pipeline as it is until the transaction ends: whoever deletes or disables it meanwhile waits, and then sees what
/// the transaction has set off. SQLite has one writer at a time anyway.
pub(super) async fn hold(transaction: &mut Transaction, id: &PipelineId) -> Result<(), StoreError> {
    if transaction.engine() == "sqlite" {
        return Ok(());
    }
    let statement = Statement::new(QueryType::Select, TABLE, "SELECT number FROM pipelines WHERE id = $1 FOR SHARE");
    transaction.fetch_optional::<(i64,)>(statement.bind(id.as_str())).await?;
    Ok(())
}

/// Cancels what waits of a pipeline; what runs goes on.
async fn cancel(
    transaction: &mut Transaction,
    id: &PipelineId,
    detail: &'static str,
    now: DateTime<Utc>,
) -> Result<Vec<Ended>, StoreError> {
    let statement = Statement::new(
        QueryType::Update,
        "executions",
        "UPDATE executions SET status = $2, detail = $3, finished_at = $4 \
         WHERE pipeline_id = $1 AND status = 'queued' \
         RETURNING id, pipeline_id, trigger_mode, status, started_at, finished_at",
    )
    .bind(id.as_str())
    .bind(ExecutionStatus::Cancelled.as_str())
    .bind(detail)
    .bind(now);
    transaction.fetch_all::<EndedRow>(statement).await?.into_iter().map(Ended::try_from).collect()
}

/// Whether a pipeline is enabled; false when there is none.
async fn is_enabled(transaction: &mut Transaction, id: &PipelineId) -> Result<bool, StoreError> {
    let statement =
        Statement::new(QueryType::Select, TABLE, "SELECT enabled FROM pipelines WHERE id = $1 AND deleted_at IS NULL");
    Ok(transaction.fetch_optional::<(bool,)>(statement.bind(id.as_str())).await?.is_some_and(|(enabled,)| enabled))
}

/// Why no row was changed.
async fn refused(transaction: &mut Transaction, id: &PipelineId) -> Result<StoreError, StoreError> {
    let statement =
        Statement::new(QueryType::Select, TABLE, "SELECT revision FROM pipelines WHERE id = $1 AND deleted_at IS NULL")
            .bind(id.as_str());
    let found: Option<(i64,)> = transaction.fetch_optional(statement).await?;
    Ok(found.map_or(StoreError::NoPipeline, |(current,)| StoreError::Stale { current }))
}

impl Store {
    /// Makes a pipeline, which has been checked.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], and what databases say.
    pub async fn create(&self, request: &PipelineRequest, now: DateTime<Utc>) -> Result<Pipeline, StoreError> {
        let mut transaction = self.database.begin().await?;
        let pipeline = insert(&mut transaction, request, now).await?;
        transaction.commit().await?;
        Ok(pipeline)
    }

    /// Makes pipelines unless that has been done under this word before; how many, or none when it has been. One whose
    /// name is taken is left out.
    ///
    /// # Errors
    /// What databases say.
    pub async fn load_once(
        &self,
        what: &str,
        requests: &[PipelineRequest],
        now: DateTime<Utc>,
    ) -> Result<Option<usize>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let statement = Statement::new(
            QueryType::Insert,
            "pipelines_loaded",
            "INSERT INTO pipelines_loaded (what, loaded_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(what)
        .bind(now);
        if transaction.execute(statement).await? == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        // Held from here, so that nobody takes a name between the look and the insert.
        tick(&mut transaction).await?;
        let mut made = 0;
        for request in requests {
            let statement = Statement::new(
                QueryType::Select,
                TABLE,
                "SELECT number FROM pipelines WHERE name = $1 AND deleted_at IS NULL",
            )
            .bind(request.name.as_str());
            if transaction.fetch_optional::<(i64,)>(statement).await?.is_none() {
                insert(&mut transaction, request, now).await?;
                made += 1;
            }
        }
        transaction.commit().await?;
        Ok(Some(made))
    }

    /// The pipeline with this id, unless it is deleted.
    ///
    /// # Errors
    /// What databases say.
    pub async fn pipeline(&self, id: &PipelineId) -> Result<Option<Pipeline>, StoreError> {
        let statement = Statement::new(QueryType::Select, TABLE, pipelines!("WHERE id = $1 AND deleted_at IS NULL"));
        self.database.fetch_optional::<Row>(statement.bind(id.as_str())).await?.map(Pipeline::try_from).transpose()
    }

    /// Pipelines, the newest first; those that are enabled, or are not, where that is asked for.
    ///
    /// # Errors
    /// [`StoreError::Page`], and what databases say.
    pub async fn pipelines(&self, query: &PageQuery, enabled: Option<bool>) -> Result<Page<Pipeline>, StoreError> {
        let limit = query.limit()?;
        // Two statements: one with "or any" would read past the index.
        let statement = match enabled {
            None => Statement::new(
                QueryType::Select,
                TABLE,
                pipelines!("WHERE number < $1 AND deleted_at IS NULL ORDER BY number DESC LIMIT $2"),
            ),
            Some(_) => Statement::new(
                QueryType::Select,
                TABLE,
                pipelines!("WHERE enabled = $3 AND number < $1 AND deleted_at IS NULL ORDER BY number DESC LIMIT $2"),
            ),
        };
        let mut statement = statement.bind(query.before()?).bind(i64::from(limit) + 1);
        if let Some(enabled) = enabled {
            statement = statement.bind(enabled);
        }
        let page = Page::of(self.database.fetch_all::<Row>(statement).await?, limit, |row| row.number);
        let items = page.items.into_iter().map(Pipeline::try_from).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor, trace_id: None })
    }

    /// Puts another pipeline, which has been checked, into the place of one; of the expected revision, where one is. When that
    /// disables it, its executions that wait are cancelled, and are told; one that runs goes on.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`], [`StoreError::Stale`], [`StoreError::NameTaken`], and what databases say.
    pub async fn replace(
        &self,
        id: &PipelineId,
        expected: Option<i64>,
        request: &PipelineRequest,
        now: DateTime<Utc>,
    ) -> Result<Replaced, StoreError> {
        let mut transaction = self.database.begin().await?;
        let change_number = tick(&mut transaction).await?;
        let disables = !request.enabled && is_enabled(&mut transaction, id).await?;
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE pipelines SET name = $3, body = $4, enabled = $5, trigger_mode = $6, revision = revision + 1, \
             change_number = $7, updated_at = $8 \
             WHERE id = $1 AND deleted_at IS NULL AND (CAST($2 AS BIGINT) IS NULL OR revision = $2) \
             RETURNING number, id, body, revision, change_number, created_at, updated_at, deleted_at",
        )
        .bind(id.as_str())
        .bind(expected)
        .bind(request.name.as_str())
        .bind(serde_json::to_string(request)?)
        .bind(request.enabled)
        .bind(mode(request).as_str())
        .bind(change_number)
        .bind(now);
        let Some(row) = transaction.fetch_optional::<Row>(statement).await.map_err(taken)? else {
            return Err(refused(&mut transaction, id).await?);
        };
        let cancelled = match disables {
            true => cancel(&mut transaction, id, "the pipeline was disabled", now).await?,
            false => Vec::new(),
        };
        transaction.commit().await?;
        Ok(Replaced { pipeline: row.try_into()?, cancelled })
    }

    /// Deletes a pipeline, of the expected revision where one is; its executions that wait are cancelled, and are told. One
    /// that runs goes on. The name is free at once.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`], [`StoreError::Stale`], and what databases say.
    pub async fn delete(
        &self,
        id: &PipelineId,
        expected: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Ended>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let change_number = tick(&mut transaction).await?;
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE pipelines SET deleted_at = $3, revision = revision + 1, change_number = $4, updated_at = $3 \
             WHERE id = $1 AND deleted_at IS NULL AND (CAST($2 AS BIGINT) IS NULL OR revision = $2)",
        )
        .bind(id.as_str())
        .bind(expected)
        .bind(now)
        .bind(change_number);
        if transaction.execute(statement).await? == 0 {
            return Err(refused(&mut transaction, id).await?);
        }
        let ended = cancel(&mut transaction, id, "the pipeline was deleted", now).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// The number of the latest change. Made for being asked often: not traced.
    ///
    /// # Errors
    /// What databases say.
    pub async fn clock(&self) -> Result<i64, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            "pipeline_clock",
            "SELECT change_number FROM pipeline_clock WHERE id = 1",
        );
        let rows: Vec<(i64,)> = self.database.quietly(statement).await?;
        rows.first().map(|(number,)| *number).ok_or(StoreError::Kept("the clock of changes"))
    }

    /// Pipelines that were changed after the change of this number, in the order of their changes, at most so many; from
    /// 0 on it is all of them. One that was deleted is told for a day ([`super::Swept`]): a cache that has not asked for longer
    /// begins anew.
    ///
    /// # Errors
    /// What databases say.
    pub async fn changes(&self, after: i64, most: u16) -> Result<Vec<Change>, StoreError> {
        self.rows(after, most).await?.into_iter().map(Change::try_from).collect()
    }

    /// The same as rows.
    pub(crate) async fn rows(&self, after: i64, most: u16) -> Result<Vec<Row>, StoreError> {
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            pipelines!("WHERE change_number > $1 ORDER BY change_number LIMIT $2"),
        )
        .bind(after)
        .bind(i64::from(most));
        Ok(self.database.quietly(statement).await?)
    }

    /// A name of the state that all pipelines were in after the change of this number: no other state of this database, of
    /// one that was made from its backup, or of another database has it. None when that change has left no row that tells.
    pub(crate) async fn state(&self, clock: i64) -> Result<Option<String>, StoreError> {
        let statement =
            Statement::new(QueryType::Select, TABLE, "SELECT id, updated_at FROM pipelines WHERE change_number = $1")
                .bind(clock);
        let rows: Vec<(String, DateTime<Utc>)> = self.database.quietly(statement).await?;
        Ok(rows.first().map(|(id, updated_at)| format!("{clock}-{id}-{}", updated_at.timestamp_micros())))
    }
}
