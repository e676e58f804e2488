//! SQLite's checkpoints: what the write-ahead log holds goes into the file. By itself SQLite does that within the commit
//! that fills the log, and that request waits for the disk twice; here it is done beside the requests.
//!
//! <https://www.sqlite.org/wal.html#automatic_checkpoint>

use std::path::{Path, PathBuf};

use crate::database::Inner;
use crate::target::Target;
use crate::{QueryType, Statement};

/// A log that is longer is brought into the file at the next look.
const LONG_BYTES: u64 = 1024 * 1024;

/// Where nobody looks (the task has stopped, readers were always in the way), a commit does it itself: at 64 MiB.
pub(crate) const BACKSTOP_PAGES: &str = "16384";

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

impl Inner {
    /// Brings the log into the file, if there is enough of it. Writers go on meanwhile.
    pub(crate) async fn checkpoint(&self) {
        let Target::Sqlite { path } = &self.target else { return };
        // One that is not there holds nothing.
        if std::fs::metadata(log_of(path)).map_or(0, |log| log.len()) < LONG_BYTES {
            return;
        }
        let statement = Statement::new(QueryType::Select, "", "PRAGMA wal_checkpoint(PASSIVE)");
        if let Err(failure) = self.rows(statement).await {
            // The next look tries again, and a commit does in the end.
            tracing::debug!(error = %failure.error, "the write-ahead log stays as it is for now");
        }
    }
}
