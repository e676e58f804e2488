//! Publishing signals: what was accepted comes on the bus, where pipelines are set off by it, in the order of each symbol
//! and in the trace of its alert, whether or not the bus is there at the moment. What order-service makes of a signal has
//! no say in that.

use std::time::Duration;

use bus::{Bus, BusError, NewMessage};
use chrono::{DateTime, Utc};
use domain::trading::Signal;
use domain::{SIGNALS_TOPIC, SignalEvent, SignalWord, SignalWordError};
use rust_decimal::Decimal;
use storage::outbox::{Entry, NewEntry, Outbox, Undelivered};
use storage::{Database, StorageError, Transaction};
use telemetry::metrics::generator::HELD_BACK;
use web::CancellationToken;

/// How much longer than publishing and the writing of it a delivery may take.
const SPARE: Duration = Duration::from_secs(2);

/// Most signals that may wait for the bus: some hundred megabytes. What comes beyond sets off no pipeline.
const MOST: u64 = 100_000;

/// The outbox of what is published.
#[derive(Clone)]
pub(crate) struct Publisher {
    bus: Bus,
    outbox: Outbox,
    /// Most that may wait.
    most: u64,
    /// What alerts are called on the bus, as type and as source.
    word: SignalWord,
}

impl Publisher {
    /// # Errors
    /// Never, as long as the word of [`SignalWord::TRADINGVIEW`] is one.
    pub(crate) fn new(database: Database, bus: Bus, publish_timeout: Duration) -> Result<Self, SignalWordError> {
        let limit = publish_timeout + database.longest_statement() + SPARE;
        let outbox = Outbox::new(database, "published").with_delivery_timeout(limit);
        HELD_BACK.add(0, &[("signal_type", SignalWord::TRADINGVIEW)]);
        Ok(Self { bus, outbox, most: MOST, word: SignalWord::TRADINGVIEW.parse()? })
    }

    /// Writes down, with the signal, that it is to be published. The outbox takes it as soon as that is committed. While too
    /// many wait it is not: its order goes on all the same.
    pub(crate) async fn put(&self, transaction: &mut Transaction, signal: &Signal) -> Result<(), StorageError> {
        if self.outbox.backlog() >= self.most {
            HELD_BACK.add(1, &[("signal_type", self.word.label())]);
            return Ok(());
        }
        let payload = serde_json::json!(self.event(signal));
        let (group, key) = (signal.symbol.to_string(), signal.signal_id.to_string());
        self.outbox.put(transaction, NewEntry { group, key, payload, lease: None }).await.map(drop)
    }

    /// Throws away what the bus has refused for good, once it is older than `before`.
    pub(crate) async fn forget_refused(&self, before: DateTime<Utc>, most: u32) -> Result<(), StorageError> {
        let (mut from, mut seen) = (i64::MAX, most);
        while seen == most {
            let parked = self.outbox.parked(from, most).await?;
            seen = u32::try_from(parked.len()).unwrap_or(u32::MAX);
            for entry in parked.iter().filter(|entry| entry.parked_at < before) {
                self.outbox.discard(&entry.key).await?;
            }
            from = parked.last().map_or(i64::MIN, |entry| entry.id);
        }
        Ok(())
    }

    /// Publishes until the service stops.
    pub(crate) async fn deliver(self, stop: CancellationToken) {
        let outbox = self.outbox.clone();
        outbox.run(stop, async |entry| self.publish(entry).await).await;
    }

    /// A process that dies before the outbox lets go of it publishes it once more, under the same id.
    async fn publish(&self, entry: Entry) -> Result<(), Undelivered> {
        let message =
            NewMessage::new(entry.group, entry.payload.to_string()).with_header("content-type", "application/json");
        self.bus.publish(SIGNALS_TOPIC, message).await.map_err(|error| match &error {
            BusError::TooLarge { .. } | BusError::Refused { .. } => Undelivered::Never(error.to_string()),
            // A bus that is away comes back, and one that is set up wrongly is mended by a person.
            _ => Undelivered::Later(error.to_string()),
        })
    }

    /// What pipelines are told of an alert. TradingView says nothing of how sure it is: somebody has made the alert, and
    /// means it.
    fn event(&self, signal: &Signal) -> SignalEvent {
        let reason = signal.comment.as_ref();
        SignalEvent {
            version: SignalEvent::VERSION,
            signal_id: signal.signal_id.clone(),
            signal_type: self.word.clone(),
            source: self.word.clone(),
            symbol: signal.symbol.clone(),
            action: signal.action,
            confidence: Decimal::ONE,
            price: signal.seen_price.filter(|price| *price > Decimal::ZERO),
            interval: signal.interval.as_deref().and_then(interval),
            candle_closed_at: None,
            reason: reason.map(|text| {
                text.chars().filter(|letter| *letter != '\0').take(SignalEvent::MAX_REASON_CHARS).collect()
            }),
            generated_at: signal.alerted_at.unwrap_or(signal.received_at),
        }
    }
}

/// A chart's interval where it is one that is known here. TradingView says minutes as a bare number
/// (<https://www.tradingview.com/support/solutions/43000531021/>).
fn interval(text: &str) -> Option<domain::Interval> {
    match text {
        "1" => "1m",
        "5" => "5m",
        "15" => "15m",
        "60" => "1h",
        other => other,
    }
    .parse()
    .ok()
}

#[cfg(test)]
mod tests {
    use bus::BusSettings;
    use domain::DecisionId;
    use domain::trading::{SignalAction, SignalSource};
    use storage::{QueryType, Statement};
    use web::testing::eventually;

    use super::*;

    /// While the bus is away and as many wait as may, signals are taken and ordered, and set off nothing.
    #[actix_web::test]
    async fn what_waits_is_bounded_and_what_was_refused_goes_in_time() {
        for test in storage::testing::engines() {
            let database = Database::open(crate::NAME, &test.settings(), crate::migrations()).unwrap();
            let mut background = web::Background::new();
            background.spawn("database", |stop| database.clone().keep_up(stop));
            eventually("the database is there", async || database.ready().await.ok()).await;
            // Nobody listens there.
            let bus = Bus::open(crate::NAME, &BusSettings::at("kafka://127.0.0.1:1")).unwrap();
            let mut publisher = Publisher::new(database.clone(), bus, Duration::from_millis(200)).unwrap();
            publisher.most = 2;
            background.spawn("publish", |stop| publisher.clone().deliver(stop));
            let put = async |number: u8| {
                let mut transaction = database.begin().await.unwrap();
                publisher.put(&mut transaction, &signal(number)).await.unwrap();
                transaction.commit().await.unwrap();
            };
            let kept = async || {
                let sql = "SELECT COUNT(*) FROM outbox_entries WHERE outbox = 'published'";
                let statement = Statement::new(QueryType::Select, "outbox_entries", sql);
                database.fetch_one::<(i64,)>(statement).await.unwrap().0
            };
            put(1).await;
            put(2).await;
            eventually("they are counted", async || (publisher.outbox.backlog() == 2).then_some(())).await;
            put(3).await;
            assert_eq!(kept().await, 2, "there is no place for a third");
            // Refused for good, as the bus would.
            let sql =
                "UPDATE outbox_entries SET parked = $1, waiting = $2, parked_at = $3, last_error = 'no' WHERE key = $4";
            let id = signal(1).signal_id;
            let parked = Statement::new(QueryType::Update, "outbox_entries", sql);
            let parked = parked.bind(true).bind(false).bind(Utc::now()).bind(id.as_str());
            assert_eq!(database.execute(parked).await.unwrap(), 1);
            publisher.forget_refused(Utc::now() - chrono::TimeDelta::hours(1), 1).await.unwrap();
            assert_eq!(kept().await, 2, "it is not old enough");
            publisher.forget_refused(Utc::now() + chrono::TimeDelta::hours(1), 1).await.unwrap();
            assert_eq!(kept().await, 1);
            background.token().cancel();
        }
    }

    fn signal(number: u8) -> Signal {
        Signal {
            signal_id: DecisionId::from_bytes([number; 16]),
            source: SignalSource::Tradingview,
            hook: None,
            symbol: "BTCUSDT".parse().unwrap(),
            action: SignalAction::Buy,
            quantity: None,
            notional: None,
            limit_price: None,
            seen_price: None,
            sender_order_id: None,
            comment: None,
            interval: None,
            paper_only: false,
            alerted_at: None,
            received_at: Utc::now(),
        }
    }

    #[test]
    fn intervals_of_charts_are_those_of_candles() {
        let said = |text| interval(text).map(|interval| interval.to_string());
        for (chart, here) in [("1", "1m"), ("5", "5m"), ("15", "15m"), ("60", "1h"), ("5m", "5m")] {
            assert_eq!(said(chart).as_deref(), Some(here));
        }
        assert_eq!((said("240"), said("1D"), said("")), (None, None, None));
    }
}
