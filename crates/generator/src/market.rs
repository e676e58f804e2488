//! market-data-service is asked for candles, without a trace: looks that find nothing would be traces without end.

use std::time::Duration;

use domain::{Candle, CandleSeries, Interval, Symbol};
use serde::Serialize;
use tracing::instrument::WithSubscriber as _;
use url::Url;
use web::{Probe, Readiness, Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

const NAME: &str = "market-data-service";

/// market-data-service.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    market_data: Upstream,
    probe: Probe,
}

#[derive(Serialize)]
struct CandlesQuery {
    interval: Interval,
    limit: u32,
}

impl Market {
    pub(crate) fn new(url: Url) -> Self {
        let market_data = Upstream::new(UpstreamSettings {
            attempt_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(5),
            // The next look is the next try.
            max_attempts: 1,
            ..UpstreamSettings::new(NAME, url).internal()
        });
        Self { probe: Probe::new("market-data-service-probe", &market_data), market_data }
    }

    /// It may be away: candles are looked at later then.
    pub(crate) fn checked_in(&self, readiness: Readiness) -> Readiness {
        readiness.noted(NAME, self.probe.clone())
    }

    /// The newest closed candles, oldest first.
    pub(crate) async fn closed_candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        limit: u32,
    ) -> Result<Vec<Candle>, UpstreamError> {
        let silent = tracing::subscriber::NoSubscriber::default();
        let answer = self
            .market_data
            .get("/v1/candles/{symbol}")
            .path(format!("/v1/candles/{symbol}"))
            .query(&CandlesQuery { interval, limit })
            .header("traceparent", &unsampled())
            .send()
            .with_subscriber(silent)
            .await?;
        let series: CandleSeries = answer.json()?;
        let malformed = |words: String| {
            Err(UpstreamError { upstream: NAME, kind: UpstreamErrorKind::Malformed(words), attempts: 1 })
        };
        if (&series.symbol, series.interval) != (symbol, interval) {
            return malformed(format!(
                "asked for {symbol} {interval}, answered with {} {}",
                series.symbol, series.interval
            ));
        }
        if series.candles.windows(2).any(|pair| pair[0].open_time >= pair[1].open_time) {
            return malformed("candles that are not ordered oldest first".to_owned());
        }
        // One that is not final yet ends the line: whatever is behind it is looked at when it is.
        Ok(series.candles.into_iter().take_while(|candle| candle.closed).collect())
    }
}

/// A trace that nobody keeps: without one, market-data-service would begin one of its own for each look.
fn unsampled() -> String {
    // Neither id may be zero: https://www.w3.org/TR/trace-context/#traceparent-header
    format!("00-{:032x}-{:016x}-00", rand::random::<u128>().max(1), rand::random::<u64>().max(1))
}
