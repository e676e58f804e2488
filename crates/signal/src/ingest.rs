//! An alert becomes a signal, once: the key that tells a repetition, the signal and its outbox entry in one transaction.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::trading::{Signal, SignalSource};
use domain::{DecisionId, Symbol};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _};
use sha2::{Digest as _, Sha256};
use storage::Database;
use telemetry::metrics::signal::{DUPLICATES, INGESTED};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::alerts::{Alerts, First};
use crate::dispatch::Dispatch;
use crate::error::IngestError;
use crate::hooks::{self, Known};
use crate::keys;
use crate::message::Alert;
use crate::publish::Publisher;
use crate::queue::Queue;
use crate::signals;
use crate::token;

/// How long an alert that says when it was sent is known again. TradingView sends again within half a minute; a day is
/// for whoever sends what was sent before.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the same body is known again where it does not say when it was sent. TradingView's own retries have ended
/// after some 27 s: it waits 3 s for an answer, and sends again up to three times, 5 s apart
/// (<https://www.tradingview.com/support/solutions/43000529348-about-webhooks/>). The next alert of a one-minute chart may
/// say the same words 60 s later, and comes to us a few seconds early or late: that one is news.
const BODY_KNOWN_FOR: Duration = Duration::from_secs(45);

/// What every metric names that is not configured.
const OTHER: &str = "other";

/// What an alert has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) signal_id: DecisionId,
    /// Whether it had come before.
    pub(crate) duplicate: bool,
}

/// Takes alerts in.
pub(crate) struct Intake {
    database: Database,
    dispatch: Dispatch,
    publisher: Publisher,
    alerts: Alerts,
    queue: Queue,
    symbols: BTreeSet<Symbol>,
}

impl Intake {
    pub(crate) fn new(
        database: Database,
        dispatch: Dispatch,
        publisher: Publisher,
        alerts: Alerts,
        queue: Queue,
        symbols: Vec<Symbol>,
    ) -> Self {
        Self { database, dispatch, publisher, alerts, queue, symbols: symbols.into_iter().collect() }
    }

    /// Writes an alert down, unless it was before.
    pub(crate) async fn take(&self, hook: &Known, alert: Alert, body: &[u8]) -> Result<Taken, IngestError> {
        let now = Utc::now();
        let (key, known_for) = key(&hook.id, &alert, body);
        // What the cache knows and the database does not, after a failover or a backup, is news.
        if let Some(first) = self.alerts.find(&key).await
            && signals::is_there(&self.database, &first.signal_id).await?
        {
            return Ok(repeated(first));
        }
        let (signal_id, expires_at) = (DecisionId::from_bytes(rand::random()), now + known_for);
        let mut transaction = self.database.begin().await?;
        if !keys::take(&mut transaction, &key, &signal_id, now, expires_at).await? {
            let keys::First { signal_id, traceparent, expires_at } = keys::first(&mut transaction, &key).await?;
            transaction.rollback().await?;
            let signal_id = signal_id.parse().map_err(|_| IngestError::Kept("a signal's id"))?;
            let first = First { signal_id, traceparent };
            self.alerts.put(&key, &first, expires_at).await;
            return Ok(repeated(first));
        }
        let signal = signal(signal_id, hook, alert, now);
        if !hooks::used(&mut transaction, &hook.id, now).await? {
            return Err(IngestError::UnknownHook);
        }
        let payload = serde_json::to_value(&signal)?;
        let traceparent = traceparent();
        signals::insert(&mut transaction, &signal, payload.to_string(), &hook.id, traceparent.as_deref()).await?;
        // Who asks is not for the sender to say: only the trace goes on.
        let context = Context::current().with_cleared_baggage();
        self.dispatch.put(&mut transaction, &signal, payload).with_context(context.clone()).await?;
        self.publisher.put(&mut transaction, &signal).with_context(context).await?;
        transaction.commit().await?;
        let symbol = if self.symbols.contains(&signal.symbol) { signal.symbol.as_str() } else { OTHER };
        INGESTED.add(1, &[("symbol", symbol), ("action", signal.action.as_str())]);
        self.queue.changed();
        show(&signal.signal_id, false);
        let first = First { signal_id: signal.signal_id, traceparent };
        self.alerts.put(&key, &first, expires_at).await;
        Ok(Taken { signal_id: first.signal_id, duplicate: false })
    }
}

fn signal(signal_id: DecisionId, hook: &Known, alert: Alert, received_at: DateTime<Utc>) -> Signal {
    Signal {
        signal_id,
        source: SignalSource::Tradingview,
        hook: Some(hook.name.clone()),
        symbol: alert.symbol,
        action: alert.action,
        quantity: alert.quantity,
        notional: alert.notional,
        limit_price: alert.limit_price,
        seen_price: alert.seen_price,
        sender_order_id: alert.order_id,
        comment: alert.comment,
        interval: alert.interval,
        paper_only: false,
        alerted_at: alert.alerted_at,
        received_at,
    }
}

/// What tells this alert from others, and for how long. There is no alert id: an alert is known by its hook, ticker, time,
/// order and action, and without a time by all of its words.
fn key(hook_id: &str, alert: &Alert, body: &[u8]) -> (String, Duration) {
    let mut digest = Sha256::new();
    // Lengths first: no two lists of parts are the same bytes.
    let mut part = |bytes: &[u8]| {
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(bytes);
    };
    part(hook_id.as_bytes());
    let known_for = match alert.alerted_at {
        Some(time) => {
            part(b"alert");
            part(alert.ticker.as_bytes());
            part(&time.timestamp_micros().to_be_bytes());
            part(alert.order_id.as_deref().unwrap_or_default().as_bytes());
            part(alert.action.as_str().as_bytes());
            KNOWN_FOR
        }
        None => {
            part(b"body");
            part(body);
            BODY_KNOWN_FOR
        }
    };
    (token::hex(&digest.finalize()), known_for)
}

/// The alert came before: the first one's id, and a link to its span.
fn repeated(first: First) -> Taken {
    DUPLICATES.add(1, &[]);
    show(&first.signal_id, true);
    if let Some(traceparent) = first.traceparent {
        let headers = HashMap::from([("traceparent".to_owned(), traceparent)]);
        let context = telemetry::propagation::extract(&headers);
        Span::current().add_link(context.span().span_context().clone());
    }
    Taken { signal_id: first.signal_id, duplicate: true }
}

fn show(signal_id: &DecisionId, duplicate: bool) {
    let span = Span::current();
    span.record("signal.id", signal_id.as_str());
    span.record("decision.id", signal_id.as_str());
    span.record("signal.duplicate", duplicate);
}

/// The current span as a W3C header; none when telemetry is off.
fn traceparent() -> Option<String> {
    let mut headers = HashMap::new();
    telemetry::propagation::inject(&Context::current(), &mut headers);
    headers.remove("traceparent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::BodyKind;

    fn key_of(hook: &str, body: &str) -> (String, Duration) {
        key(hook, &Alert::read(body.as_bytes(), BodyKind::Text).unwrap(), body.as_bytes())
    }

    #[test]
    fn an_alert_is_known_by_what_makes_it_that_alert() {
        let body = "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z order_id=1 price=5";
        let (first, known_for) = key_of("h", body);
        assert_eq!(known_for, KNOWN_FOR);
        for same in [
            "ticker=btcusdt side=long timenow=1769860800 order_id=1 price=6 comment=other",
            r#"{"ticker":"BTCUSDT","action":"BUY","timenow":"2026-01-31T12:00:00Z","order_id":"1"}"#,
        ] {
            assert_eq!(key_of("h", same).0, first, "{same}");
        }
        for other in [
            "ticker=ETHUSDT action=buy timenow=2026-01-31T12:00:00Z order_id=1",
            "ticker=BTCUSDT action=sell timenow=2026-01-31T12:00:00Z order_id=1",
            "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:01Z order_id=1",
            "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z order_id=2",
            "ticker=BTCUSDT action=buy timenow=2026-01-31T12:00:00Z",
            "ticker=BTCUSDT action=buy order_id=1",
        ] {
            assert_ne!(key_of("h", other).0, first, "{other}");
        }
        assert_ne!(key_of("i", body).0, first);
    }

    #[test]
    fn without_a_time_the_words_count_for_as_long_as_tradingview_sends_again() {
        let (first, known_for) = key_of("h", "ticker=BTCUSDT action=buy");
        assert_eq!((known_for, key_of("h", "ticker=BTCUSDT action=buy").0), (Duration::from_secs(45), first.clone()));
        assert_ne!(key_of("h", "ticker=BTCUSDT  action=buy").0, first);
    }

    async fn open(test: &storage::testing::TestDatabase) -> (Database, web::Background) {
        let database = Database::open(crate::NAME, &test.settings(), crate::migrations()).unwrap();
        let mut background = web::Background::new();
        background.spawn("database", |stop| database.clone().keep_up(stop));
        web::testing::eventually("the database is there", async || database.ready().await.ok()).await;
        (database, background)
    }

    /// The same words each minute, without a time, as a one-minute chart's alert may say them; its bars close a little
    /// early or late.
    #[actix_web::test]
    async fn the_next_minutes_alert_is_news_and_what_tradingview_sends_again_is_not() {
        for test in storage::testing::engines() {
            let (database, background) = open(&test).await;
            let (key, known_for) = key_of("h", "ticker=BTCUSDT action=buy");
            let start = Utc::now();
            let mut new = Vec::new();
            for second in [0, 8, 16, 27, 44, 57, 65, 84, 120, 147] {
                let now = start + chrono::TimeDelta::seconds(second);
                let mut transaction = database.begin().await.unwrap();
                let id = DecisionId::from_bytes(rand::random());
                if keys::take(&mut transaction, &key, &id, now, now + known_for).await.unwrap() {
                    new.push(second);
                }
                transaction.commit().await.unwrap();
            }
            assert_eq!(new, [0, 57, 120]);
            background.token().cancel();
        }
    }
}
