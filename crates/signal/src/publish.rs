//! Publishing signals: what was accepted comes on the bus, where pipelines are set off by it, in the order of each symbol
//! and in the trace of its alert, whether or not the bus is there at the moment. What order-service makes of a signal has
//! no say in that.

use std::time::Duration;

use bus::{Bus, BusError, NewMessage};
use domain::trading::Signal;
use domain::{SIGNALS_TOPIC, SignalEvent, SignalWord, SignalWordError};
use rust_decimal::Decimal;
use storage::outbox::{Entry, NewEntry, Outbox, Undelivered};
use storage::{Database, StorageError, Transaction};
use web::CancellationToken;

/// How much longer than publishing and the writing of it a delivery may take.
const SPARE: Duration = Duration::from_secs(2);

/// The outbox of what is published.
#[derive(Clone)]
pub(crate) struct Publisher {
    bus: Bus,
    outbox: Outbox,
    /// What alerts are called on the bus, as type and as source.
    word: SignalWord,
}

impl Publisher {
    /// # Errors
    /// Never, as long as the word of [`SignalWord::TRADINGVIEW`] is one.
    pub(crate) fn new(database: Database, bus: Bus, publish_timeout: Duration) -> Result<Self, SignalWordError> {
        let limit = publish_timeout + database.longest_statement() + SPARE;
        let outbox = Outbox::new(database, "published").with_delivery_timeout(limit);
        Ok(Self { bus, outbox, word: SignalWord::TRADINGVIEW.parse()? })
    }

    /// Writes down, with the signal, that it is to be published. The outbox takes it as soon as that is committed.
    pub(crate) async fn put(&self, transaction: &mut Transaction, signal: &Signal) -> Result<(), StorageError> {
        let payload = serde_json::json!(self.event(signal));
        let (group, key) = (signal.symbol.to_string(), signal.signal_id.to_string());
        self.outbox.put(transaction, NewEntry { group, key, payload, lease: None }).await.map(drop)
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
    use super::*;

    #[test]
    fn intervals_of_charts_are_those_of_candles() {
        let said = |text| interval(text).map(|interval| interval.to_string());
        for (chart, here) in [("1", "1m"), ("5", "5m"), ("15", "15m"), ("60", "1h"), ("5m", "5m")] {
            assert_eq!(said(chart).as_deref(), Some(here));
        }
        assert_eq!((said("240"), said("1D"), said("")), (None, None, None));
    }
}
