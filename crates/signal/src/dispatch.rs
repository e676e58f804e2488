//! Handing signals to order-service: what was accepted reaches it, in the order of each symbol, whether or not it is there
//! at the moment. What it refuses for good is set aside.

use std::time::Duration;

use domain::DecisionId;
use domain::trading::{Signal, SignalOutcome};
use storage::outbox::{Entry, NewEntry, Outbox, Undelivered};
use storage::{Database, StorageError, Transaction};
use telemetry::metrics::signal::EXECUTED;
use url::Url;
use web::{CancellationToken, Probe, Readiness, Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use crate::error::ApiError;
use crate::queue::Queue;
use crate::signals::{Signals, result_word};

/// Who executes.
const ORDER_SERVICE: &str = "order-service";

/// Longest wait for it: it asks an exchange.
const ORDER_WAIT: Duration = Duration::from_secs(15);

/// How much longer than that and the writing of the outcome a delivery may take.
const SPARE: Duration = Duration::from_secs(2);

/// The outbox, who it is for, and where the outcomes go.
#[derive(Clone)]
pub(crate) struct Dispatch {
    database: Database,
    outbox: Outbox,
    order: Upstream,
    probe: Probe,
    signals: Signals,
    queue: Queue,
}

impl Dispatch {
    pub(crate) fn new(database: Database, order_url: &Url, signals: Signals, queue: Queue) -> Self {
        let order = Upstream::new(UpstreamSettings {
            attempt_timeout: ORDER_WAIT,
            total_timeout: ORDER_WAIT,
            // The outbox tries again, and knows what waits behind.
            max_attempts: 1,
            ..UpstreamSettings::new(ORDER_SERVICE, order_url.clone()).internal()
        });
        let limit = ORDER_WAIT + database.longest_statement() + SPARE;
        let outbox = Outbox::new(database.clone(), "signals").with_delivery_timeout(limit);
        Self { database, outbox, probe: Probe::new("order-probe", &order), order, signals, queue }
    }

    /// Writes down, with the signal, that order-service is to get it. The outbox takes it as soon as that is committed.
    pub(crate) async fn put(
        &self,
        transaction: &mut Transaction,
        signal: &Signal,
        payload: serde_json::Value,
    ) -> Result<(), StorageError> {
        let (group, key) = (signal.symbol.to_string(), signal.signal_id.to_string());
        self.outbox.put(transaction, NewEntry { group, key, payload, lease: None }).await.map(drop)
    }

    /// Adds what a service that takes signals needs, and names order-service, which may be away: signals wait for it.
    pub(crate) fn checked_in(&self, readiness: Readiness) -> Readiness {
        let outbox = self.outbox.clone();
        let readiness = readiness.check("outbox", move || {
            let known = outbox.ready();
            async move { known }
        });
        readiness.noted(ORDER_SERVICE, self.probe.clone())
    }

    /// Hands a signal that failed on again, in its old place: it waits and is not set aside any more, or neither.
    ///
    /// # Errors
    /// Where it has not failed, or is not set aside (yet), or the database fails.
    pub(crate) async fn retry(&self, signal_id: &str) -> Result<(), ApiError> {
        let mut transaction = self.database.begin().await?;
        if !Signals::requeue(&mut transaction, signal_id).await? {
            transaction.rollback().await?;
            return Err(ApiError::NotFailed);
        }
        if !self.outbox.unpark_with(&mut transaction, signal_id).await? {
            transaction.rollback().await?;
            return Err(ApiError::NotParked);
        }
        transaction.commit().await?;
        self.queue.changed();
        Ok(())
    }

    /// Throws away what is set aside of a signal.
    pub(crate) async fn discard(&self, signal_id: &str) -> Result<(), StorageError> {
        self.outbox.discard(signal_id).await.map(drop)
    }

    /// Delivers until the service stops.
    pub(crate) async fn deliver(self, stop: CancellationToken) {
        let outbox = self.outbox.clone();
        outbox.run(stop, async |entry| self.hand_over(entry).await).await;
    }

    /// Hands one signal over and writes down what became of it, before the outbox lets go of it: a process that dies in
    /// between hands it over once more, and order-service answers the same.
    async fn hand_over(&self, entry: Entry) -> Result<(), Undelivered> {
        let signal: Signal = match serde_json::from_value(entry.payload) {
            Ok(signal) => signal,
            Err(error) => {
                let id = entry.key.parse::<DecisionId>().map_err(|error| Undelivered::Never(error.to_string()))?;
                return self.fails(&id, format!("the signal cannot be read: {error}")).await;
            }
        };
        let outcome = match self.execute(&signal).await {
            Ok(outcome) => outcome,
            Err(Undelivered::Never(reason)) => return self.fails(&signal.signal_id, reason).await,
            Err(later) => return Err(later),
        };
        let news = self.signals.executed(&outcome).await.map_err(not_written)?;
        self.settled(news, result_word(outcome.result));
        Ok(())
    }

    async fn execute(&self, signal: &Signal) -> Result<SignalOutcome, Undelivered> {
        let answer = self.order.post("/v1/signals").json(signal).send().await;
        let outcome: SignalOutcome = answer.and_then(|answer| answer.json()).map_err(|error| undelivered(&error))?;
        if outcome.signal_id != signal.signal_id {
            return Err(Undelivered::Later(format!("{ORDER_SERVICE} answered for another signal")));
        }
        Ok(outcome)
    }

    /// The signal itself is refused, for good. The outbox logs it when it sets it aside.
    async fn fails(&self, id: &DecisionId, reason: String) -> Result<(), Undelivered> {
        let news = self.signals.failed(id, &reason).await.map_err(not_written)?;
        self.settled(news, "failed");
        Err(Undelivered::Never(reason))
    }

    fn settled(&self, news: bool, result: &'static str) {
        if news {
            EXECUTED.add(1, &[("result", result)]);
        }
        self.queue.changed();
    }
}

fn not_written(error: StorageError) -> Undelivered {
    Undelivered::Later(format!("what became of the signal cannot be written down: {error}"))
}

/// Whether order-service may take the signal later. A refusal is its last word, but for those that speak of the moment:
/// 408 and 425 (try again), 409 (it works on the same signal), 429 (too many).
fn undelivered(error: &UpstreamError) -> Undelivered {
    let sentence = format!("{} failed: {}", error.upstream, error.kind);
    match &error.kind {
        UpstreamErrorKind::Status { status: 408 | 409 | 425 | 429, .. } => Undelivered::Later(sentence),
        UpstreamErrorKind::Status { status: 400..=499, problem, .. } => Undelivered::Never(match problem {
            Some(problem) => format!("{sentence}: {}", problem.detail),
            None => sentence,
        }),
        _ => Undelivered::Later(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_last_word_but_for_those_of_the_moment() {
        let told = |kind| undelivered(&UpstreamError { upstream: ORDER_SERVICE, kind, attempts: 1 });
        let status =
            |status| UpstreamErrorKind::Status { status, body: Default::default(), retry_after: None, problem: None };
        for never in [400, 401, 404, 413, 422] {
            assert!(matches!(told(status(never)), Undelivered::Never(reason) if reason.contains(&never.to_string())));
        }
        for later in [301, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(told(status(later)), Undelivered::Later(_)), "{later}");
        }
        for kind in [UpstreamErrorKind::Timeout, UpstreamErrorKind::Connect(String::new()), UpstreamErrorKind::TooLarge]
        {
            assert!(matches!(told(kind), Undelivered::Later(_)));
        }
    }
}
