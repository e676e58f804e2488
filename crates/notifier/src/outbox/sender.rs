//! Takes what waits to Telegram: each chat's words in their order and at Telegram's pace, chats beside each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use storage::StorageError;
use telegram::{Deliver, PaceSettings, Pacer};
use telemetry::metrics::notifier::{OUTBOX_DEPTH, OUTBOX_OLDEST_AGE};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use web::CancellationToken;

use super::table::{self, Claimed, Head, Waiting};
use super::{Outbox, delivery};

/// How often is looked for what another process wrote down, or what was missed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often the metrics of what waits are brought up to date.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// How often what is no longer of use is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Pause after the database was away.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// Pause after a failure that somebody has to look at.
const BROKEN_PAUSE: Duration = Duration::from_secs(30);

/// How fast, how long, how many.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Telegram's limits.
    pub pace: PaceSettings,
    /// Calls under way at the same time.
    pub parallel: usize,
    /// First wait after a failure; it doubles, with full jitter.
    pub retry_base: Duration,
    /// Longest wait after a failure that says nothing of a wait.
    pub retry_cap: Duration,
    /// After this time a message is too old to be worth sending.
    pub give_up_after: Duration,
    /// How long words stay with a sender that does not say what became of them: longer than its calls take.
    pub claim: Duration,
    /// How long calls under way may still take when the process stops.
    pub stop_grace: Duration,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            pace: PaceSettings::default(),
            parallel: 16,
            retry_base: Duration::from_millis(500),
            // How much longer than Telegram an outage can last for a chat.
            retry_cap: Duration::from_secs(10),
            give_up_after: Duration::from_secs(86_400),
            // An edit that cannot be made and the message instead of it, 15 s each, and the database.
            claim: Duration::from_secs(45),
            stop_grace: Duration::from_millis(1_500),
        }
    }
}

/// Says what waits in an [`Outbox`].
pub struct Sender<D> {
    outbox: Outbox,
    telegram: Arc<D>,
    settings: Arc<SenderSettings>,
    pacer: Pacer,
    /// Chats with a call under way, and its words.
    busy: HashMap<i64, i64>,
}

/// Deliveries are tasks of their own: one that writes down what became of its message must go on while this loop waits
/// for the database's only writer.
type Deliveries = JoinSet<(i64, Result<(), StorageError>)>;

impl<D: Deliver> Sender<D> {
    /// A sender; several may work on one database, since each message is claimed by one of them.
    #[must_use]
    pub fn new(outbox: Outbox, telegram: D, settings: SenderSettings) -> Self {
        let pacer = Pacer::new(settings.pace);
        Self { outbox, telegram: Arc::new(telegram), settings: Arc::new(settings), pacer, busy: HashMap::new() }
    }

    /// Works until `stop` is cancelled. What is not said then waits for the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut deliveries = Deliveries::new();
        let (mut count_at, mut forget_at) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            if now >= count_at {
                let counted = self.count().await;
                count_at = now + counted.map_or_else(|error| pause_after(&error), |()| COUNT_EVERY);
            }
            if now >= forget_at {
                let forgotten = self.outbox.forget().await;
                forget_at = now + forgotten.map_or_else(|error| pause_after(&error), |()| FORGET_EVERY);
            }
            let next = match self.launch(&mut deliveries).await {
                Ok(next) => next,
                Err(error) => Some(Instant::now() + pause_after(&error)),
            };
            let look_at = Instant::now() + LOOK_EVERY;
            let look_at = next.map_or(look_at, |next| next.min(look_at));
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.outbox.news.notified() => {}
                Some(ended) = deliveries.join_next() => self.settle(ended),
                () = tokio::time::sleep_until(look_at) => {}
            }
        }
        let end = Instant::now() + self.settings.stop_grace;
        while let Ok(Some(ended)) = tokio::time::timeout_at(end, deliveries.join_next()).await {
            self.settle(ended);
        }
        if deliveries.is_empty() {
            return;
        }
        tracing::warn!(
            telegram.messages = deliveries.len(),
            "messages were on their way to Telegram at the stop; the next start tries them again"
        );
        deliveries.shutdown().await;
        // At once: nobody has them any more.
        for id in self.busy.into_values() {
            if let Err(error) = self.outbox.database.execute_quietly(table::wait(id, Utc::now(), None)).await {
                tracing::debug!(error = %error, "a message stays claimed for a while");
            }
        }
    }

    /// Begins every delivery that is due, what is awaited and the oldest words first, and says when the next one will be.
    async fn launch(&mut self, deliveries: &mut Deliveries) -> Result<Option<Instant>, StorageError> {
        let heads: Vec<Head> = self.outbox.database.quietly(table::heads()).await?;
        let mut next: Option<Instant> = None;
        for head in heads {
            if self.busy.contains_key(&head.chat_id) {
                continue;
            }
            if deliveries.len() >= self.settings.parallel.max(1) {
                // One that ends wakes the loop.
                return Ok(None);
            }
            let (now, clock) = (Instant::now(), Utc::now());
            let waits = (head.not_before - clock).to_std().unwrap_or_default();
            let due = self.pacer.due(head.chat_id, now).max(now + waits);
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            let until = clock + TimeDelta::from_std(self.settings.claim).unwrap_or(TimeDelta::minutes(1));
            let claimed: Vec<Claimed> = self.outbox.database.quietly(table::claim(head.id, clock, until)).await?;
            for claimed in claimed {
                self.pacer.spend(head.chat_id, now);
                self.busy.insert(head.chat_id, claimed.id);
                let (outbox, telegram) = (self.outbox.clone(), Arc::clone(&self.telegram));
                let settings = Arc::clone(&self.settings);
                deliveries.spawn_local(async move {
                    let result = delivery::deliver(&outbox, &*telegram, &settings, claimed).await;
                    (head.chat_id, result)
                });
            }
        }
        Ok(next)
    }

    fn settle(&mut self, ended: Result<(i64, Result<(), StorageError>), JoinError>) {
        let (chat_id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Whose it was is not known: every chat may go on, and what is claimed is nobody's before its time.
                tracing::error!(error = %error, "a delivery to Telegram did not come to its end");
                self.busy.clear();
                return;
            }
        };
        self.busy.remove(&chat_id);
        if let Err(error) = result
            && !error.is_passing()
        {
            tracing::error!(error = %error, "what became of a message to Telegram cannot be written down; it may come twice");
        }
    }

    async fn count(&self) -> Result<(), StorageError> {
        for waiting in self.outbox.database.quietly::<Waiting>(table::waiting()).await? {
            #[expect(clippy::cast_precision_loss, reason = "a queue's depth and age are far below 2^52")]
            let (messages, age_ms) = (
                waiting.messages as f64,
                waiting.oldest.map_or(0, |oldest| (Utc::now() - oldest).num_milliseconds().max(0)) as f64,
            );
            OUTBOX_DEPTH.set(messages, &[]);
            OUTBOX_OLDEST_AGE.set(age_ms / 1_000.0, &[]);
        }
        Ok(())
    }
}

/// How long the loop leaves the database alone after a failure. One that is away says so itself.
fn pause_after(error: &StorageError) -> Duration {
    if error.is_passing() {
        return AWAY_PAUSE;
    }
    tracing::error!(error = %error, "the messages to Telegram that wait cannot be read");
    BROKEN_PAUSE
}
