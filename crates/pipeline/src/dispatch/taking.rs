//! A batch of signals is worked through: each that can be read is taken once, in a span of its own trace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::Message;
use domain::pipeline::MatchOutcome;
use domain::{SIGNALS_TOPIC, SignalEvent, Symbol};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use storage::StorageError;
use storage::outbox::store_context;
use telemetry::metrics::dispatcher::{
    BATCH_DURATION, BATCH_SIZE, CONSUMED, ENQUEUED, MATCHED, POISON, REPEATED, SKIPPED_BUDGET, SKIPPED_RUNNING,
};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::CancellationToken;

use super::GROUP;
use super::cache::Cache;
use crate::store::{Store, StoreError, Taking, now};

/// Signals that are taken in one transaction: a commit costs more than a signal does, and nobody else writes meanwhile
/// where the database is a file.
const TOGETHER: usize = 50;

/// First wait before what failed is tried again, and the longest.
pub(crate) const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Takes signals. Clones are the same.
#[derive(Clone)]
pub(crate) struct Taker {
    store: Store,
    cache: Arc<Cache>,
    /// Which engine the bus is, for spans.
    system: &'static str,
    /// Markets that metrics tell apart.
    symbols: Arc<[Symbol]>,
}

/// A message that is a signal, while it is worked on.
struct Work {
    signal: SignalEvent,
    span: Span,
    /// In which what it sets off goes on.
    context: String,
    /// Where it was read.
    partition: i32,
    offset: i64,
}

/// What became of a signal: one of those that were taken, in their order.
type Taken = Option<Vec<domain::pipeline::SignalMatch>>;

/// Why a message is no signal.
#[derive(Debug, thiserror::Error)]
enum Poison {
    #[error("it is no JSON of a signal: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it makes no sense: {0}")]
    Senseless(#[from] domain::SignalEventError),
    #[error("the database refuses it: {0}")]
    Refused(StoreError),
}

impl Poison {
    const fn label(&self) -> &'static str {
        match self {
            Self::Json(_) => "not_json",
            Self::Senseless(_) => "senseless",
            Self::Refused(_) => "refused",
        }
    }
}

impl Taker {
    pub(crate) fn new(store: Store, cache: Arc<Cache>, system: &'static str, symbols: Vec<Symbol>) -> Self {
        Self { store, cache, system, symbols: symbols.into() }
    }

    /// Works a batch through, waiting for a database that is away. False when `stop` was cancelled before that: then
    /// nothing of the batch may be committed on the bus.
    pub(crate) async fn work_through(&self, messages: &[Message], stop: &CancellationToken) -> bool {
        let began = Instant::now();
        let span = tracing::info_span!(
            parent: None,
            "TriggerDispatcher.process_batch",
            messaging.system = self.system,
            messaging.operation.type = "process",
            messaging.operation.name = "process",
            messaging.destination.name = SIGNALS_TOPIC,
            messaging.consumer.group.name = GROUP,
            messaging.batch.message_count = i64::try_from(messages.len()).unwrap_or(i64::MAX),
            signals.poison = Empty,
            signals.repeated = Empty,
            pipelines.matched = Empty,
        );
        let work = async {
            let mut counted = Counted::default();
            for messages in messages.chunks(TOGETHER) {
                if !self.take_some(messages, &mut counted, stop).await {
                    return false;
                }
            }
            let span = Span::current();
            span.record("signals.poison", figure(counted.poison));
            span.record("signals.repeated", figure(counted.repeated));
            span.record("pipelines.matched", figure(counted.matched));
            true
        };
        if !work.instrument(span).await {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for charts")]
        BATCH_SIZE.record(messages.len() as f64, &[]);
        BATCH_DURATION.record(began.elapsed().as_secs_f64(), &[]);
        true
    }

    /// Takes some messages, together where that goes well, and each by itself where it does not.
    async fn take_some(&self, messages: &[Message], counted: &mut Counted, stop: &CancellationToken) -> bool {
        let works: Vec<Work> = messages.iter().filter_map(|message| self.begin(message, counted)).collect();
        let mut parts: VecDeque<&[Work]> = VecDeque::from([works.as_slice()]);
        let (mut wait, mut said) = (WAITS.0, false);
        while let Some(part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            let error = match self.take(part).await {
                Ok(taken) => {
                    (wait, said) = (WAITS.0, false);
                    part.iter().zip(taken).for_each(|(work, taken)| self.count(work, taken.as_deref(), counted));
                    continue;
                }
                Err(error) => error,
            };
            // The others are not to wait for one that is in the way of somebody, or is refused.
            if part.len() > 1 && !matches!(&error, StoreError::Storage(StorageError::Unavailable { .. })) {
                part.chunks(1).rev().for_each(|one| parts.push_front(one));
                continue;
            }
            if let [work] = part
                && is_about_the_signal(&error)
            {
                let place = (work.partition, work.offset);
                work.span.in_scope(|| pass_by(place, &Poison::Refused(error), counted));
                continue;
            }
            // The database says itself that it is away.
            if !error.is_passing() && !std::mem::replace(&mut said, true) {
                tracing::error!(error = %error, "signals cannot be taken; it is tried again");
            }
            parts.push_front(part);
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(WAITS.1);
        }
        true
    }

    /// Reads a message as a signal, in a span of its trace. One that is none is passed by.
    fn begin(&self, message: &Message, counted: &mut Counted) -> Option<Work> {
        CONSUMED.add(1, &[]);
        let span = tracing::info_span!(
            parent: None,
            "TriggerDispatcher.match",
            otel.kind = "consumer",
            messaging.system = self.system,
            messaging.operation.type = "process",
            messaging.operation.name = "process",
            messaging.destination.name = SIGNALS_TOPIC,
            messaging.destination.partition.id = message.partition,
            messaging.kafka.offset = message.offset,
            messaging.consumer.group.name = GROUP,
            signal.id = Empty,
            signal.type = Empty,
            signal.source = Empty,
            signal.action = Empty,
            signal.repeated = Empty,
            decision.id = Empty,
            crypto.symbol = Empty,
            pipelines.matched = Empty,
            pipelines.enqueued = Empty,
            pipelines.skipped = Empty,
        );
        // Fails only where spans are off, and then there is no parent to be had either.
        let _ = span.set_parent(message.context());
        span.add_link(Span::current().context().span().span_context().clone());
        let read = serde_json::from_slice::<SignalEvent>(&message.payload).map_err(Poison::from);
        let checked = read.and_then(|signal| signal.check().map(|()| signal).map_err(Poison::from));
        match checked {
            Ok(signal) => {
                span.record("signal.id", signal.signal_id.as_str());
                span.record("signal.type", signal.signal_type.as_str());
                span.record("signal.source", signal.source.as_str());
                span.record("signal.action", signal.action.as_str());
                span.record("decision.id", signal.signal_id.as_str());
                span.record("crypto.symbol", signal.symbol.as_str());
                // Anybody can write to a bus: only the trace goes on.
                let context = store_context(&span.context().with_cleared_baggage());
                Some(Work { signal, span, context, partition: message.partition, offset: message.offset })
            }
            Err(poison) => {
                span.in_scope(|| pass_by((message.partition, message.offset), &poison, counted));
                None
            }
        }
    }

    /// One transaction.
    ///
    /// A signal is matched once, so the pipelines are looked at first: whoever has been told that a pipeline is made or
    /// enabled, and publishes a signal then, sees it set off, however long ago the last look was.
    async fn take(&self, works: &[Work]) -> Result<Vec<Taken>, StoreError> {
        match self.cache.refresh().await {
            Err(error) if error.is_passing() => return Err(error),
            // The cache says what cannot be read; the signals are not to wait for that.
            Ok(()) | Err(_) => {}
        }
        let takings: Vec<Taking<'_>> = works
            .iter()
            .map(|Work { signal, span, context, .. }| Taking {
                signal,
                pipelines: self.cache.matching(signal),
                context,
                span: span.clone(),
            })
            .collect();
        let mut transaction = self.store.database().begin().await?;
        let taken = Store::take_signals(&mut transaction, &takings, now()).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    /// Counts what became of a signal, once that is committed.
    fn count(&self, work: &Work, taken: Option<&[domain::pipeline::SignalMatch]>, counted: &mut Counted) {
        work.span.record("signal.repeated", taken.is_none());
        let Some(matches) = taken else {
            counted.repeated += 1;
            return REPEATED.add(1, &[]);
        };
        let [enqueued, running, budget] =
            [MatchOutcome::Enqueued, MatchOutcome::SkippedRunning, MatchOutcome::SkippedBudget]
                .map(|outcome| matches.iter().filter(|found| found.outcome == outcome).count() as u64);
        let matched = matches.len() as u64;
        counted.matched += matched;
        work.span.record("pipelines.matched", figure(matched));
        work.span.record("pipelines.enqueued", figure(enqueued));
        work.span.record("pipelines.skipped", figure(running + budget));
        let known = self.symbols.contains(&work.signal.symbol);
        let ticker = if known { work.signal.symbol.as_str() } else { "other" };
        for (counter, count, labels) in [
            (&MATCHED, matched, &[("ticker", ticker)][..]),
            (&ENQUEUED, enqueued, &[("status", "enqueued")]),
            (&ENQUEUED, running + budget, &[("status", "skipped")]),
            (&SKIPPED_RUNNING, running, &[]),
            (&SKIPPED_BUDGET, budget, &[]),
        ] {
            if count > 0 {
                counter.add(count, labels);
            }
        }
    }
}

/// As a span takes it: an unsigned number would reach the trace as text.
fn figure(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What became of a batch.
#[derive(Debug, Default)]
struct Counted {
    poison: u64,
    repeated: u64,
    matched: u64,
}

/// Says that a message is passed by: it never could be taken, and must not be in the way of others. As part of its span.
fn pass_by((partition, offset): (i32, i64), poison: &Poison, counted: &mut Counted) {
    counted.poison += 1;
    POISON.add(1, &[]);
    telemetry::record_exception(poison.label(), poison);
    // It may quote what stands there, and that may be anything.
    let reason: String = poison.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    tracing::warn!(topic = SIGNALS_TOPIC, partition, offset, reason, "a message is no signal and is passed by");
}

/// Whether it is the signal that cannot be written, and never will be; not the database that is not as it should be.
fn is_about_the_signal(error: &StoreError) -> bool {
    match error {
        StoreError::Storage(StorageError::Rejected { .. } | StorageError::Conflict { .. }) | StoreError::Json(_) => {
            true
        }
        // A value that PostgreSQL (22, 54) or SQLite (too big, of another type) does not take.
        StoreError::Storage(StorageError::Query { code, .. }) => {
            let is_sqlite = code.len() < 5;
            if is_sqlite {
                matches!(code.as_str(), "18" | "20")
            } else {
                code.starts_with("22") || code.starts_with("54")
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_database_is_waited_for() {
        let query = |code: &str| {
            StoreError::from(StorageError::Query { code: code.to_owned(), message: "see the code".to_owned() })
        };
        for code in ["22021", "22P05", "54000", "18", "20"] {
            assert!(is_about_the_signal(&query(code)), "{code}");
        }
        // No such table, not allowed, a driver that does not know, a database that is away.
        for code in ["42P01", "42501", "1", "encode", "driver"] {
            assert!(!is_about_the_signal(&query(code)), "{code}");
        }
        assert!(!is_about_the_signal(&StorageError::Unavailable { reason: String::new() }.into()));
        assert!(is_about_the_signal(&StorageError::Rejected { constraint: String::new() }.into()));
    }
}
