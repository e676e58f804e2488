//! Signals are made: each with its row and its outbox entry in one transaction, in a trace of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{SignalEvent, SignalWord};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::FutureExt as _;
use storage::outbox::{NewEntry, Outbox};
use storage::{Database, StorageError, Transaction};
use telemetry::metrics::generator::{DURATION, GENERATED, HELD_BACK};
use tokio::sync::Notify;
use tracing::Span;

use crate::error::ApiError;
use crate::signals::{self, Signals};

/// Makes signals. Clones are the same.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) database: Database,
    pub(crate) signals: Signals,
    pub(crate) outbox: Outbox,
    buffer: u32,
    /// Rings when something was made or published.
    pub(crate) changed: Arc<Notify>,
}

/// Who made a signal, as metrics say it.
pub(crate) const MOCK: &str = "mock_generator";
pub(crate) const CROSSES: &str = "golden_cross_generator";
pub(crate) const BY_HAND: &str = "by_hand";

impl Maker {
    pub(crate) fn new(database: Database, signals: Signals, outbox: Outbox, buffer: u32) -> Self {
        Self { database, signals, outbox, buffer, changed: Arc::default() }
    }

    pub(crate) const fn buffer(&self) -> u32 {
        self.buffer
    }

    /// How many more signals may wait for the bus. Two that ask at once may both get the last place: the buffer is a bound
    /// for what piles up, not to the last signal.
    pub(crate) async fn room(&self) -> Result<u64, StorageError> {
        let most = i64::from(self.buffer);
        let waiting = self.signals.waiting(most).await?;
        Ok(most.saturating_sub(waiting).unsigned_abs())
    }

    /// Writes a signal and its outbox entry, in the current trace. Tells whether it is new.
    pub(crate) async fn write(&self, transaction: &mut Transaction, event: &SignalEvent) -> Result<bool, ApiError> {
        let payload = serde_json::to_value(event)?;
        if !signals::insert(transaction, event, payload.to_string(), traceparent().as_deref()).await? {
            return Ok(false);
        }
        let (group, key) = (event.symbol.to_string(), event.signal_id.to_string());
        // Who asks is not for the caller to say: only the trace goes on.
        let context = Context::current().with_cleared_baggage();
        let entry = NewEntry { group, key, payload, lease: None };
        self.outbox.put(transaction, entry).with_context(context).await?;
        Ok(true)
    }

    /// A signal has been made and committed.
    pub(crate) fn made(&self, event: &SignalEvent, took: Duration) {
        let signal_type = event.signal_type.label();
        GENERATED.add(1, &[("signal_type", signal_type), ("source", source_label(&event.source))]);
        DURATION.record(took.as_secs_f64(), &[("signal_type", signal_type)]);
        self.changed.notify_one();
    }
}

/// Signals are not made because too many wait.
pub(crate) fn held_back(signal_type: &SignalWord, count: u64) {
    HELD_BACK.add(count, &[("signal_type", signal_type.label())]);
}

fn source_label(source: &SignalWord) -> &'static str {
    [MOCK, CROSSES, BY_HAND].into_iter().find(|known| *known == source.as_str()).unwrap_or("other")
}

/// The span of a signal that is made; the current one is its parent only for signals that somebody asked for.
macro_rules! generate_span {
    ([$($parent:tt)*] $event:expr) => {
        tracing::info_span!(
            $($parent)*
            "SignalGenerator.generate",
            otel.status_code = tracing::field::Empty,
            signal.id = $event.signal_id.as_str(),
            signal.type = $event.signal_type.as_str(),
            signal.source = $event.source.as_str(),
            signal.action = $event.action.as_str(),
            signal.confidence = %$event.confidence,
            signal.price = $event.price.map(tracing::field::display),
            crypto.symbol = $event.symbol.as_str(),
            candle.interval = $event.interval.map(domain::Interval::as_str),
            decision.id = $event.signal_id.as_str(),
        )
    };
}

/// The span of a signal that nobody asked for: the root of a trace of its own.
pub(crate) fn root_span(event: &SignalEvent) -> Span {
    generate_span!([parent: None,] event)
}

/// The span of a signal that is asked for.
pub(crate) fn child_span(event: &SignalEvent) -> Span {
    generate_span!([] event)
}

/// Shows on the current span why no signal was made.
pub(crate) fn show_failure(error: &ApiError) {
    let label = match error {
        ApiError::Storage(error) => error.label(),
        _ => "internal_error",
    };
    telemetry::record_exception(label, error);
}

/// The current span as a W3C header; none when telemetry is off.
fn traceparent() -> Option<String> {
    let mut headers = HashMap::new();
    telemetry::propagation::inject(&Context::current(), &mut headers);
    headers.remove("traceparent")
}
