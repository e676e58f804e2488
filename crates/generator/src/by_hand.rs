//! Signals that somebody asks for.

use std::time::Instant;

use chrono::Utc;
use domain::{DecisionId, SignalEvent, SignalWord, SignalWordError};
use rust_decimal::Decimal;
use tracing::Instrument as _;

use crate::error::ApiError;
use crate::ids;
use crate::making::{self, BY_HAND, Maker};
use crate::routes::NewSignal;
use crate::signals::KeptSignal;

/// Makes them.
pub(crate) struct ByHand {
    maker: Maker,
    mock: SignalWord,
    source: SignalWord,
}

/// A signal, and whether it was made before.
pub(crate) struct Made {
    pub(crate) signal: KeptSignal,
    pub(crate) replayed: bool,
}

impl ByHand {
    pub(crate) fn new(maker: Maker) -> Result<Self, SignalWordError> {
        Ok(Self { maker, mock: SignalWord::MOCK.parse()?, source: BY_HAND.parse()? })
    }

    /// Makes a signal; with a key that was used before, there is one already.
    pub(crate) async fn make(&self, request: NewSignal, key: Option<String>) -> Result<Made, ApiError> {
        let began = Instant::now();
        let event = self.event(request, key.as_deref());
        event.check()?;
        let id = event.signal_id.as_str();
        if key.is_some()
            && let Some(before) = self.maker.signals.find(id).await?
        {
            return again(before, &event);
        }
        if self.maker.room().await? == 0 {
            making::held_back(&event.signal_type, 1);
            return Err(ApiError::Full);
        }
        let span = making::child_span(&event);
        let work = async {
            let made = self.commit(&event).await;
            if let Err(error) = &made {
                making::show_failure(error);
            }
            made
        };
        let is_new = work.instrument(span).await?;
        let signal = self.maker.signals.find(id).await?.ok_or(ApiError::NoSignal)?;
        if !is_new {
            return again(signal, &event);
        }
        self.maker.made(&event, began.elapsed());
        Ok(Made { signal, replayed: false })
    }

    async fn commit(&self, event: &SignalEvent) -> Result<bool, ApiError> {
        let mut transaction = self.maker.database.begin().await?;
        let is_new = self.maker.write(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(is_new)
    }

    fn event(&self, request: NewSignal, key: Option<&str>) -> SignalEvent {
        SignalEvent {
            version: SignalEvent::VERSION,
            signal_id: key.map_or_else(|| DecisionId::from_bytes(rand::random()), ids::of_key),
            signal_type: request.signal_type.unwrap_or_else(|| self.mock.clone()),
            source: self.source.clone(),
            symbol: request.symbol,
            action: request.action,
            confidence: request.confidence.unwrap_or(Decimal::ONE),
            price: None,
            interval: None,
            candle_closed_at: None,
            reason: request.reason,
            generated_at: Utc::now(),
        }
    }
}

/// The key was used before: for the same signal, or for another.
fn again(before: KeptSignal, asked: &SignalEvent) -> Result<Made, ApiError> {
    let same = SignalEvent { generated_at: asked.generated_at, ..before.signal.clone() };
    if same == *asked { Ok(Made { signal: before, replayed: true }) } else { Err(ApiError::KeyMismatch) }
}
