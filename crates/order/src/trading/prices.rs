//! The price of the moment, from market-data-service.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{PriceQuote, Symbol};
use rust_decimal::Decimal;
use url::Url;
use web::{Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use super::error::TradingError;

/// A price, and when it was had.
#[derive(Debug, Clone)]
pub(crate) struct Quote {
    pub(crate) price: Decimal,
    pub(crate) observed_at: DateTime<Utc>,
    age_ms: u64,
    had: Instant,
}

impl Quote {
    /// Age in milliseconds: what it was when it was served, and the time since.
    pub(crate) fn age_ms(&self) -> u64 {
        self.age_ms.saturating_add(u64::try_from(self.had.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// market-data-service.
#[derive(Debug, Clone)]
pub(crate) struct Prices {
    market_data: Upstream,
}

impl Prices {
    pub(crate) fn new(url: Url) -> Self {
        let settings = UpstreamSettings::new("market-data-service", url).internal();
        let market_data = Upstream::new(UpstreamSettings { total_timeout: Duration::from_secs(4), ..settings });
        Self { market_data }
    }

    pub(crate) async fn of(&self, symbol: &Symbol) -> Result<Quote, TradingError> {
        let path = format!("/v1/prices/{symbol}");
        let had = Instant::now();
        let call = self.market_data.get("/v1/prices/{symbol}").path(path).send();
        let quote: PriceQuote = Box::pin(call).await.and_then(|answer| answer.json()).map_err(TradingError::Price)?;
        if quote.symbol != *symbol || quote.price <= Decimal::ZERO {
            let reason = format!("asked about {symbol}, answered {} for {}", quote.price, quote.symbol);
            let kind = UpstreamErrorKind::Malformed(reason);
            return Err(TradingError::Price(UpstreamError { upstream: self.market_data.name(), kind, attempts: 1 }));
        }
        Ok(Quote { price: quote.price, observed_at: quote.observed_at, age_ms: quote.age_ms, had })
    }
}
