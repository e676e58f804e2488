//! What the exchange says of itself: its clock, and the symbols it lists.

use std::sync::Arc;
use std::time::Duration;

use binance::rest::RestError;
use binance::stream::Backoff;
use chrono::{TimeDelta, Utc};
use domain::Symbol;
use rust_decimal::prelude::ToPrimitive as _;
use telemetry::metrics::market_data::EXCHANGE_CLOCK_SKEW;
use tracing::Instrument as _;
use web::CancellationToken;

use crate::Market;

/// Clocks drift slowly.
const EVERY: Duration = Duration::from_secs(300);

/// Clocks that are set jump: a measure that is doubted is repeated, but not more often than this.
const DOUBTED: Duration = Duration::from_secs(10);

/// Difference of clocks from which on somebody should do something.
pub(crate) const SKEW_LIMIT: TimeDelta = TimeDelta::seconds(5);

/// Asks at the start, until it succeeds, then every five minutes and when the clock is doubted.
pub(crate) async fn run(market: Arc<Market>, cancel: CancellationToken) {
    let new_backoff = || Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    let mut backoff = new_backoff();
    loop {
        let span = tracing::info_span!(parent: None, "market_data.survey");
        let surveyed = tokio::select! {
            () = cancel.cancelled() => return,
            surveyed = market.survey().instrument(span) => surveyed,
        };
        let failed =
            surveyed.err().map(|error| error.retry_after().unwrap_or_else(|| backoff.next_delay(rand::random())));
        let doubted = async {
            if failed.is_some() {
                return std::future::pending().await;
            }
            tokio::time::sleep(DOUBTED).await;
            market.store.clock_doubted().await;
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(failed.unwrap_or(EVERY)) => {}
            () = doubted => {}
        }
        if failed.is_none() {
            backoff = new_backoff();
        }
    }
}

impl Market {
    async fn survey(&self) -> Result<(), RestError> {
        self.measure_clock().await?;
        let symbols: Vec<Symbol> = self.store.symbols().cloned().collect();
        let outcome = self.rest.exchange_info(&symbols).await;
        self.link.note_rest(&outcome);
        match outcome {
            Ok(info) => {
                self.store.listed(&info);
                for listed in info.symbols.iter().filter(|listed| listed.status != "TRADING") {
                    tracing::warn!(
                        symbol = listed.symbol.as_str(),
                        status = listed.status.as_str(),
                        "a symbol is not traded now"
                    );
                }
                Ok(())
            }
            Err(RestError::InvalidSymbol { .. }) => {
                tracing::error!("MARKET_DATA_SYMBOLS names a symbol that the exchange does not list");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn measure_clock(&self) -> Result<(), RestError> {
        let before = Utc::now();
        let outcome = self.rest.server_time().await;
        let after = Utc::now();
        self.link.note_rest(&outcome);
        // The exchange read its clock somewhere in between; half of the way is the best guess.
        let offset = outcome? - (before + (after - before) / 2);
        self.store.set_clock_offset(offset);
        EXCHANGE_CLOCK_SKEW.set(offset.num_milliseconds().to_f64().unwrap_or_default() / 1000.0, &[]);
        if offset.abs() > SKEW_LIMIT {
            tracing::warn!(
                skew_ms = offset.num_milliseconds(),
                "this machine's clock differs from the exchange's: prices are aged by the exchange's clock; check time synchronisation"
            );
        }
        Ok(())
    }
}
