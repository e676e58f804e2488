//! What the generators do, for people.

use std::sync::PoisonError;

use storage::StorageError;

use crate::config::GeneratorSettings;
use crate::crossing::Troubles;
use crate::making::Maker;
use crate::progress;
use crate::routes::{Generators, GoldenCross, LookedAt, Mock};

/// Tells it.
pub(crate) struct Overview {
    maker: Maker,
    settings: GeneratorSettings,
    troubles: Troubles,
}

impl Overview {
    pub(crate) const fn new(maker: Maker, settings: GeneratorSettings, troubles: Troubles) -> Self {
        Self { maker, settings, troubles }
    }

    pub(crate) async fn now(&self) -> Result<Generators, StorageError> {
        let mut series = Vec::new();
        for symbol in self.settings.symbols() {
            for &interval in self.settings.intervals.all() {
                let known = progress::find(&self.maker.database, &symbol, interval).await?;
                let (last_candle, last_signal) =
                    known.map_or((None, None), |known| (Some(known.last_candle), known.last_signal));
                let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
                let error = troubles.get(&(symbol.clone(), interval)).cloned();
                drop(troubles);
                series.push(LookedAt { symbol: symbol.clone(), interval, last_candle, last_signal, error });
            }
        }
        let settings = &self.settings;
        Ok(Generators {
            golden_cross: GoldenCross {
                fast_candles: settings.fast_candles.get(),
                slow_candles: settings.slow_candles.get(),
                series,
            },
            mock: Mock {
                per_minute: settings.mock_per_minute,
                mix: settings.mock_mix.to_string(),
                seed: settings.mock_seed,
            },
            unpublished: self.maker.signals.waiting(i64::MAX).await?,
            buffer: self.maker.buffer(),
            trace_id: telemetry::trace_id(),
        })
    }
}
