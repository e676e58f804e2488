//! The price of the moment: market-data-service's, when the simulator is told where that is, else the simulated market's.

use std::time::Duration;

use domain::{PriceQuote, Symbol};
use rust_decimal::Decimal;
use url::Url;
use web::{Upstream, UpstreamErrorKind, UpstreamSettings};

use super::error::ApiError;
use crate::market::Market;
use crate::world::now_ms;

/// Longest wait for a price.
const LONGEST: Duration = Duration::from_secs(3);

/// Where prices come from.
#[derive(Debug)]
pub(super) enum PriceSource {
    /// The market of this simulator.
    Own,
    /// `GET /v1/prices/{symbol}` of market-data-service.
    Service(Upstream),
}

impl PriceSource {
    pub(super) fn new(url: Option<&Url>) -> Self {
        match url {
            None => Self::Own,
            Some(url) => Self::Service(Upstream::new(UpstreamSettings {
                attempt_timeout: LONGEST,
                total_timeout: LONGEST,
                ..UpstreamSettings::new("market-data-service", url.clone()).internal()
            })),
        }
    }

    /// Where they come from, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Own => "simulated market".to_owned(),
            Self::Service(upstream) => upstream.base_url().to_string(),
        }
    }

    /// The price of a symbol in BingX's spelling. There is none, rather than a wrong one.
    pub(super) async fn price(&self, market: &Market, symbol: &str) -> Result<Decimal, ApiError> {
        let ours = ours(symbol).ok_or_else(|| ApiError::unknown_symbol(symbol))?;
        match self {
            Self::Own => {
                let instrument = market.find(ours.as_str()).ok_or_else(|| ApiError::unknown_symbol(symbol))?;
                let trade = market.trade(instrument, market.timeline().tick_at(now_ms()));
                trade.map(|trade| Decimal::new(trade.price, 2).normalize()).ok_or_else(ApiError::no_price)
            }
            Self::Service(upstream) => {
                let call = upstream.get("/v1/prices/{symbol}").path(format!("/v1/prices/{ours}"));
                let quote = Box::pin(call.send()).await.and_then(|answer| answer.json::<PriceQuote>());
                match quote {
                    Ok(quote) if quote.symbol == ours && quote.price > Decimal::ZERO => Ok(quote.price.normalize()),
                    Ok(_) => Err(ApiError::no_price()),
                    Err(error) if matches!(error.kind, UpstreamErrorKind::Status { status: 404, .. }) => {
                        Err(ApiError::unknown_symbol(symbol))
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, symbol, "no price to fill paper orders at");
                        Err(ApiError::no_price())
                    }
                }
            }
        }
    }
}

/// `BTCUSDT` for `BTC-USDT`; perpetual swaps are settled in USDT.
fn ours(symbol: &str) -> Option<Symbol> {
    let base = symbol.strip_suffix("-USDT")?;
    let sound = !base.is_empty() && base.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if sound { format!("{base}USDT").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_have_a_hyphen_and_capitals() {
        assert_eq!(ours("BTC-USDT").unwrap().as_str(), "BTCUSDT");
        for wrong in ["BTCUSDT", "btc-USDT", "-USDT", "BTC-USDC", "BTC/X-USDT", ""] {
            assert_eq!(ours(wrong), None, "{wrong}");
        }
    }
}
