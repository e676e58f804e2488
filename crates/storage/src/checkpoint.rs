//! SQLite's checkpoints: what the write-ahead log holds goes into the file. By itself SQLite does that within the commit
//! that fills the log, and that request waits for the disk twice; here it is done beside the requests.
//!
//! <https://www.sqlite.org/wal.html#automatic_checkpoint>

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::database::Inner;
use crate::error::Failure;
use crate::lease::Lease;
use crate::{QueryType, Statement};

/// So many uses of the writing connection are worth a checkpoint at the next look; a checkpoint waits for the disk twice,
/// however little there is to do.
const MANY_WRITES: u64 = 100;

/// Fewer wait this long.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The log goes on growing while somebody writes during every checkpoint. From here on the last of it is brought into the
/// file with the writers held up, so that the next one begins the log anew.
const LONG_BYTES: i64 = 16 * 1024 * 1024;

/// SQLite's usual page, which these files have.
const PAGE_BYTES: i64 = 4_096;

/// Where nobody looks (the task has stopped, readers were always in the way), a commit does it itself: at 64 MiB.
pub(crate) const BACKSTOP_PAGES: &str = "16384";

/// What has been written since the last checkpoint.
#[derive(Debug)]
pub(crate) struct Written {
    writes: AtomicU64,
    last: Mutex<Instant>,
}

impl Written {
    pub(crate) fn new() -> Self {
        Self { writes: AtomicU64::new(0), last: Mutex::new(Instant::now()) }
    }

    pub(crate) fn count(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is time; then counting begins anew.
    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = self.writes.load(Ordering::Relaxed);
        if writes < MANY_WRITES && (writes == 0 || last.elapsed() < LONGEST_WAIT) {
            return false;
        }
        self.writes.fetch_sub(writes, Ordering::Relaxed);
        *last = Instant::now();
        true
    }
}

impl Inner {
    /// Brings the log into the file, if enough has been written. Writers go on meanwhile, but for a moment when the log is
    /// long.
    pub(crate) async fn checkpoint(&self) {
        if !self.is_sqlite() || !self.written.is_due() {
            return;
        }
        if let Err(failure) = self.shorten().await {
            // The next look tries again, and a commit does it in the end.
            tracing::debug!(error = %failure.error, "the write-ahead log stays as it is for now");
        }
    }

    async fn shorten(&self) -> Result<(), Failure> {
        let log_frames = self.checkpoint_by(self.lease(false).await?).await?;
        if log_frames.saturating_mul(PAGE_BYTES) < LONG_BYTES {
            return Ok(());
        }
        // Whoever has the writing connection is the only writer of this process; what has been written since is little.
        self.checkpoint_by(self.lease(true).await?).await.map(drop)
    }

    /// How many frames the log had when this began: <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>.
    async fn checkpoint_by(&self, lease: Lease) -> Result<i64, Failure> {
        let statement = Statement::new(QueryType::Select, "", "PRAGMA wal_checkpoint(PASSIVE)");
        let rows = self.rows_by(lease, statement).await?;
        let (_busy, log_frames, _file_frames) = rows.first::<(i64, i64, i64)>()?.unwrap_or_default();
        Ok(log_frames)
    }
}
