//! The task beside the server: tables up to date, the database looked for while it is away, the size of the pool,
//! SQLite's log kept short.

use std::time::Duration;

use telemetry::metrics::storage::POOL_SIZE;
use web::CancellationToken;

use crate::Database;
use crate::database::Inner;
use crate::health::Trouble;
use crate::migration::{self, Unmigrated};

/// How often the gauge is set and SQLite's log is looked at, and the longest wait before a database that is away is looked for again.
const INTERVAL: Duration = Duration::from_secs(1);

/// First wait before a database that is away is looked for again; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Longest wait when the tables are wrong: nothing but a person will mend that.
const LONGEST_WAIT_FOR_TABLES: Duration = Duration::from_secs(30);

impl Database {
    /// Brings the tables up to date as soon as the database lets it, looks for the database whenever it is away, sets
    /// the gauge of the pool, and keeps SQLite's write-ahead log short. Ends when `stop` is cancelled.
    pub async fn keep_up(self, stop: CancellationToken) {
        let work = self.inner.keep_up();
        tokio::select! {
            () = stop.cancelled() => {}
            never = work => match never {},
        }
    }
}

impl Inner {
    async fn keep_up(&self) -> std::convert::Infallible {
        let mut migrated = false;
        let mut wait = FIRST_WAIT;
        loop {
            self.gauges();
            if self.health.is_up() {
                wait = FIRST_WAIT;
                self.checkpoint().await;
                // Whichever is first.
                let _ = tokio::time::timeout(INTERVAL, self.health.went_down.notified()).await;
                continue;
            }
            let epoch = self.health.epoch();
            let longest = match self.look(&mut migrated).await {
                Ok(()) => continue,
                Err(Unmigrated { trouble, reason }) => {
                    self.health.failed(epoch, trouble, &reason);
                    if trouble == Trouble::Away { INTERVAL } else { LONGEST_WAIT_FOR_TABLES }
                }
            };
            // Services that lost the same database must not come back in step.
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
            wait = (wait * 2).min(longest);
        }
    }

    /// Tries whether the database can be used now.
    async fn look(&self, migrated: &mut bool) -> Result<(), Unmigrated> {
        if !*migrated {
            let migrations = migration::run(self).await?;
            *migrated = true;
            tracing::info!(
                engine = self.target.system(),
                database = self.target.namespace(),
                migrations = i64::try_from(migrations).unwrap_or(i64::MAX),
                "the database is ready"
            );
        } else {
            self.probe().await?;
        }
        self.health.recovered();
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "connections are few")]
    fn gauges(&self) {
        POOL_SIZE.set(self.pools.open() as f64, &[]);
    }
}
