//! How far a consumer is.

use std::time::Duration;

/// How far a consumer is in the partitions that are its own now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its partitions, by number.
    pub partitions: Vec<PartitionStanding>,
    /// Messages that are not committed, in all of them.
    pub lag_messages: u64,
    /// Age of the oldest message that is not committed; zero when there is none.
    pub lag: Duration,
}

/// How far it is in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStanding {
    /// Which.
    pub partition: i32,
    /// The first message that is not committed: where its next owner would begin.
    pub committed_offset: i64,
    /// The offset that the next message published will have.
    pub end_offset: i64,
}

impl Standing {
    pub(crate) fn new(mut partitions: Vec<PartitionStanding>, lag: Duration) -> Self {
        partitions.sort_unstable_by_key(|standing| standing.partition);
        let behind = |standing: &PartitionStanding| {
            u64::try_from(standing.end_offset.saturating_sub(standing.committed_offset)).unwrap_or(0)
        };
        let lag_messages = partitions.iter().map(behind).sum();
        Self { partitions, lag_messages, lag }
    }

    /// [`Standing::lag`] in seconds.
    #[must_use]
    pub const fn lag_seconds(&self) -> f64 {
        self.lag.as_secs_f64()
    }

    /// All committed offsets together.
    #[must_use]
    pub fn committed(&self) -> i64 {
        self.partitions.iter().map(|standing| standing.committed_offset).sum()
    }
}
