//! What goes wrong with what is kept.

use domain::PageError;
use domain::pipeline::ExecutionStatus;
use storage::StorageError;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error("the pipelines' database failed")]
    Storage(#[from] StorageError),
    /// A page that cannot be given.
    #[error("{0}")]
    Page(#[from] PageError),
    /// Another pipeline has this name.
    #[error("a pipeline of this name is there already")]
    NameTaken,
    /// There is none, or not any more.
    #[error("there is no such pipeline")]
    NoPipeline,
    /// Somebody else has changed it since.
    #[error("the pipeline has been changed to revision {current} since")]
    Stale {
        /// Its revision now.
        current: i64,
    },
    /// There is none, or not any more.
    #[error("there is no such execution")]
    NoExecution,
    /// This cannot be done with an execution that stands there.
    #[error("the execution is {0}")]
    Standing(ExecutionStatus),
    /// Another execution of the same pipeline waits or runs.
    #[error("another execution of this pipeline waits or runs")]
    Active,
    /// Somebody else has the execution by now: whoever held it writes nothing more to it.
    #[error("the execution is somebody else's by now")]
    Fenced,
    /// No end of an execution.
    #[error("{0} is no end of an execution")]
    NoEnd(ExecutionStatus),
    /// What stands in the database cannot be read.
    #[error("{0} in the database is none")]
    Kept(&'static str),
    /// What is to be written cannot be.
    #[error("it cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl StoreError {
    /// Whether it may have been written although it failed: whoever got no answer in time, or lost the connection, does not
    /// know.
    #[must_use]
    pub const fn may_be_written(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Timeout { .. } | StorageError::Unavailable { .. }))
    }

    /// Whether the same may succeed a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_passing())
    }
}
