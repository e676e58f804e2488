//! Spans and metrics of the bus.
//!
//! Attributes: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>

use std::time::{Duration, Instant};

use opentelemetry::trace::TraceContextExt as _;
use telemetry::metrics::bus::{
    CONSUMER_LAG, CONSUMER_OFFSET, MESSAGES_MISSED, PUBLISH_DURATION, PUBLISH_FAILURE, PUBLISH_SUCCESS, REBALANCES,
};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::message::NewMessage;
use crate::{BusError, Standing};

/// What the spans of one bus have in common.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// `kafka`, `sqlite` or `postgresql`.
    pub(crate) system: &'static str,
    pub(crate) address: Option<String>,
    pub(crate) port: Option<i64>,
}

/// Publishes within a span and measures it. `work` is given the messages with their trace in their headers.
pub(crate) async fn published(
    described: &Described,
    topic: &str,
    messages: Vec<NewMessage>,
    work: impl AsyncFnOnce(Vec<NewMessage>) -> Result<(), BusError>,
) -> Result<(), BusError> {
    let count = messages.len();
    let span = send_span(described, topic, count);
    let started = Instant::now();
    let result = async {
        let sent = work(with_context(messages)).await;
        if let Err(error) = &sent {
            telemetry::record_exception(error.label(), error);
        }
        sent
    }
    .instrument(span)
    .await;
    PUBLISH_DURATION.record(started.elapsed().as_secs_f64(), &[]);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let (sent, failed) = if result.is_ok() { (count, 0) } else { (0, count) };
    // Both are there from the first on: a counter that begins with its first failure has not risen by it.
    PUBLISH_SUCCESS.add(sent, &[]);
    PUBLISH_FAILURE.add(failed, &[]);
    result
}

fn send_span(described: &Described, topic: &str, count: usize) -> Span {
    // Of one message there is no batch.
    let batch = (count != 1).then(|| i64::try_from(count).unwrap_or(i64::MAX));
    tracing::info_span!(
        "bus_send",
        otel.name = format!("send {topic}"),
        otel.kind = "producer",
        messaging.system = described.system,
        messaging.operation.type = "send",
        messaging.operation.name = "send",
        messaging.destination.name = topic,
        messaging.batch.message_count = batch,
        server.address = described.address,
        server.port = described.port,
    )
}

/// Writes the current trace into the headers. A message that brings one keeps it, and the span tells of it by a link.
fn with_context(mut messages: Vec<NewMessage>) -> Vec<NewMessage> {
    let current = opentelemetry::Context::current();
    for message in &mut messages {
        if message.has_context() {
            Span::current().add_link(message.context().span().span_context().clone());
        } else {
            *message = std::mem::take(message).within(&current);
        }
    }
    messages
}

/// Whose metrics and log lines they are.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl Reader {
    fn labels(&self) -> [(&'static str, &str); 2] {
        [("topic", &self.topic), ("consumer_group", &self.group)]
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for charts")]
    pub(crate) fn stands(&self, standing: &Standing) {
        CONSUMER_LAG.set(standing.lag_seconds(), &self.labels());
        CONSUMER_OFFSET.set(standing.committed() as f64, &self.labels());
    }

    /// The partitions that it reads are others than before.
    pub(crate) fn rebalanced(&self, partitions: &[i32]) {
        REBALANCES.add(1, &self.labels());
        tracing::info!(
            topic = self.topic,
            consumer_group = self.group,
            partitions = format!("{partitions:?}"),
            "the partitions that are read here have changed"
        );
    }

    pub(crate) fn missed(&self, partition: i32, messages: i64) {
        MESSAGES_MISSED.add(u64::try_from(messages).unwrap_or(0), &self.labels());
        tracing::warn!(
            topic = self.topic,
            consumer_group = self.group,
            partition,
            messages,
            "messages were deleted before they were read here, being too old or too many"
        );
    }

    /// Its connection, a session or the like is in trouble.
    pub(crate) fn troubled(&self, error: &BusError, lasting: Duration) {
        tracing::warn!(
            topic = self.topic,
            consumer_group = self.group,
            error = %error,
            seconds = lasting.as_secs(),
            "the bus cannot be read"
        );
    }
}
