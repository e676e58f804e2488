//! Executions that a clock sets off: one of a pipeline in each slot of its time, whoever looks at the clock.

use domain::pipeline::PipelineId;
use storage::{QueryType, Statement};

use super::executions::TABLE;
use super::{Store, StoreError};

impl Store {
    /// What an execution of a pipeline by a clock is known by: the time since 1970 is cut into slots as long as the pipeline
    /// says, and each sets off one.
    #[must_use]
    pub fn slot_key(pipeline_id: &PipelineId, slot: i64) -> String {
        format!("periodic:{pipeline_id}:{slot}")
    }

    /// Whether an execution was set off under this key. Made for being asked by many: not traced.
    ///
    /// # Errors
    /// What databases say.
    pub async fn was_set_off(&self, dedupe: &str) -> Result<bool, StoreError> {
        let statement = Statement::new(QueryType::Select, TABLE, "SELECT number FROM executions WHERE dedupe = $1");
        let rows: Vec<(i64,)> = self.database.quietly(statement.bind(dedupe)).await?;
        Ok(!rows.is_empty())
    }
}
