//! Signals are read from the bus in batches, and committed there once they have been worked through.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bus::{Batch, Bus, BusError, Consumer, ConsumerSettings, Standing};
use chrono::{DateTime, Utc};
use domain::SIGNALS_TOPIC;
use web::CancellationToken;

use super::GROUP;
use super::cache::Cache;
use super::taking::{Taker, WAITS};
use crate::store::now;

/// Time between two looks at how far it is.
const STANDING_EVERY: Duration = Duration::from_millis(500);

/// How far the reading is, for whoever asks; none before the first look.
pub(crate) type Shown = Arc<Mutex<Option<(Standing, DateTime<Utc>)>>>;

/// Whether any partition is this dispatcher's.
pub(crate) fn has_partitions(shown: &Shown) -> Result<(), String> {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    match shown.as_ref() {
        Some((standing, _)) if !standing.partitions.is_empty() => Ok(()),
        Some(_) => {
            Err("no partition of the signals is this dispatcher's: others have them, or they wait until one that was \
            killed is taken for dead"
                .to_owned())
        }
        None => Err("the signals have not been reached yet".to_owned()),
    }
}

/// Reads signals.
pub(crate) struct Reader {
    pub(crate) bus: Bus,
    pub(crate) cache: Arc<Cache>,
    pub(crate) taker: Taker,
    pub(crate) batch: usize,
    pub(crate) wait: Duration,
    pub(crate) shown: Shown,
}

/// Says what is wrong with the bus once, and again when it was well in between.
#[derive(Default)]
struct Complaint {
    said: bool,
}

impl Complaint {
    fn say(&mut self, error: &BusError, what: &'static str) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(error = %error, topic = SIGNALS_TOPIC, "{what}; it is tried again");
        }
    }
}

impl Reader {
    pub(crate) fn consumer(&self) -> Result<Consumer, BusError> {
        self.bus.consumer(ConsumerSettings {
            topic: SIGNALS_TOPIC.to_owned(),
            group: GROUP.to_owned(),
            max_batch: self.batch,
            max_wait: self.wait,
        })
    }

    /// Reads until `stop` is cancelled. Nothing is read before it is known what pipelines there are: signals would be
    /// taken that set nothing off.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.cache.filled() => {}
        }
        let mut consumer = match self.consumer() {
            Ok(consumer) => consumer,
            Err(error) => return tracing::error!(error = %error, "signals cannot be read"),
        };
        self.read(&mut consumer, &stop).await;
        if let Err(error) = consumer.close().await {
            tracing::debug!(error = %error, "the partitions go to others only when the session is over");
        }
    }

    async fn read(&self, consumer: &mut Consumer, stop: &CancellationToken) {
        let (mut wait, mut complaint, mut looked) = (WAITS.0, Complaint::default(), None::<Instant>);
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = consumer.next() => next,
            };
            match next {
                Ok(batch) => {
                    (wait, complaint) = (WAITS.0, Complaint::default());
                    if !batch.is_empty() && !self.work_through(consumer, &batch, stop).await {
                        return;
                    }
                }
                Err(error) => {
                    complaint.say(&error, "signals cannot be read");
                    if !pause(&mut wait, stop).await {
                        return;
                    }
                }
            }
            if looked.is_none_or(|looked| looked.elapsed() >= STANDING_EVERY) {
                looked = Some(Instant::now());
                self.show(consumer, stop).await;
            }
        }
    }

    /// Works a batch through and commits it. False when `stop` was cancelled before that: whoever reads it next finds
    /// what was taken of it, and takes the rest.
    pub(crate) async fn work_through(&self, consumer: &Consumer, batch: &Batch, stop: &CancellationToken) -> bool {
        if !self.taker.work_through(batch.messages(), stop).await {
            return false;
        }
        let (mut wait, mut complaint) = (WAITS.0, Complaint::default());
        loop {
            match consumer.commit(batch).await {
                Ok(()) => return true,
                // Somebody else reads those again, and finds that they were taken.
                Err(BusError::Fenced { partitions, .. }) => {
                    tracing::info!(topic = SIGNALS_TOPIC, partitions = ?partitions, "signals were taken whose partitions have gone to another dispatcher");
                    return true;
                }
                Err(error) => complaint.say(&error, "that signals were taken cannot be written to the bus"),
            }
            if !pause(&mut wait, stop).await {
                return false;
            }
        }
    }

    /// Lets others see how far it is. Without an answer they see how far it was.
    async fn show(&self, consumer: &Consumer, stop: &CancellationToken) {
        let standing = tokio::select! {
            () = stop.cancelled() => return,
            standing = consumer.standing() => standing,
        };
        match standing {
            Ok(standing) => *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some((standing, now())),
            Err(error) => tracing::debug!(error = %error, "how far the reading is cannot be told now"),
        }
    }
}

/// Waits a little, and longer the next time. False when `stop` is cancelled.
async fn pause(wait: &mut Duration, stop: &CancellationToken) -> bool {
    let now = *wait;
    *wait = (now * 2).min(WAITS.1);
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(now) => true,
    }
}
