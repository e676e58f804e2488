//! What pipelines cost in a day.

use chrono::{DateTime, Utc};
use domain::pipeline::{Pipeline, PipelineId};
use rust_decimal::Decimal;
use storage::{Money, QueryType, Statement, Transaction};

use super::{Store, StoreError};

const TABLE: &str = "pipeline_spending";

/// The day of a time, as the table has it.
pub(super) fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// Adds to what a pipeline has cost today. Sums are made here: SQLite has no decimal numbers.
pub(super) async fn add(
    transaction: &mut Transaction,
    pipeline_id: &PipelineId,
    cost: Decimal,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    // Locks the row, and makes it where there is none.
    let statement = Statement::new(
        QueryType::Insert,
        TABLE,
        "INSERT INTO pipeline_spending (pipeline_id, day, cost_usd) VALUES ($1, $2, $3) \
         ON CONFLICT (pipeline_id, day) DO UPDATE SET cost_usd = pipeline_spending.cost_usd RETURNING cost_usd",
    )
    .bind(pipeline_id.as_str())
    .bind(day(now))
    .bind(Money(Decimal::ZERO));
    let (Money(before),): (Money,) = transaction.fetch_one(statement).await?;
    let statement = Statement::new(
        QueryType::Update,
        TABLE,
        "UPDATE pipeline_spending SET cost_usd = $3 WHERE pipeline_id = $1 AND day = $2",
    )
    .bind(pipeline_id.as_str())
    .bind(day(now))
    .bind(Money(before.saturating_add(cost)));
    transaction.execute(statement).await?;
    Ok(())
}

fn select(pipeline_id: &PipelineId, now: DateTime<Utc>) -> Statement {
    Statement::new(
        QueryType::Select,
        TABLE,
        "SELECT cost_usd FROM pipeline_spending WHERE pipeline_id = $1 AND day = $2",
    )
    .bind(pipeline_id.as_str())
    .bind(day(now))
}

/// Whether what a pipeline may cost today is spent, as a transaction sees it. A pipeline that may cost nothing never is
/// executed.
pub(super) async fn is_spent(
    transaction: &mut Transaction,
    pipeline: &Pipeline,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(budget) = &pipeline.request.budget else { return Ok(false) };
    let spent: Option<(Money,)> = transaction.fetch_optional(select(&pipeline.pipeline_id, now)).await?;
    Ok(spent.map_or(Decimal::ZERO, |(spent,)| spent.0) >= budget.usd_per_day)
}

impl Store {
    /// What a pipeline has cost on the day (UTC) of a time.
    ///
    /// # Errors
    /// What databases say.
    pub async fn spending(&self, pipeline_id: &PipelineId, now: DateTime<Utc>) -> Result<Decimal, StoreError> {
        let spent: Option<(Money,)> = self.database.fetch_optional(select(pipeline_id, now)).await?;
        Ok(spent.map_or(Decimal::ZERO, |(spent,)| spent.0))
    }

    /// Whether what a pipeline may cost on the day of a time is spent.
    ///
    /// # Errors
    /// What databases say.
    pub async fn is_budget_spent(&self, pipeline: &Pipeline, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let Some(budget) = &pipeline.request.budget else { return Ok(false) };
        Ok(self.spending(&pipeline.pipeline_id, now).await? >= budget.usd_per_day)
    }
}
