//! Items get prices, from market-data-service.

use std::time::Duration;

use domain::{OrderAction, OrderItem, OrderItemRequest, PriceQuote, Quantity};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use url::Url;
use web::{ChainError as _, Probe, Readiness, Upstream, UpstreamError, UpstreamErrorKind, UpstreamSettings};

use crate::error::OrderError;

/// Longest that all items together may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Prices that are asked for at the same time.
const AT_ONCE: usize = 8;

/// What an action means that comes without items: a thousandth of a bitcoin is bought or sold, and anything else is an
/// order of nothing, which costs nothing (docs/CHAIN.md).
const TRADES: [&str; 4] = ["purchase", "buy", "sell", "sale"];
const USUAL_SYMBOL: &str = "BTCUSDT";
const USUAL_QUANTITY: Decimal = dec!(0.001);

/// market-data-service.
#[derive(Debug, Clone)]
pub(crate) struct Pricing {
    market_data: Upstream,
    probe: Probe,
}

/// Priced items, what they cost together, and in what currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) items: Vec<OrderItem>,
    pub(crate) total: Decimal,
    pub(crate) currency: Option<String>,
}

impl Pricing {
    pub(crate) fn new(url: Url) -> Self {
        let market_data = Upstream::new(UpstreamSettings {
            attempt_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(5),
            ..UpstreamSettings::new("market-data-service", url).internal()
        });
        Self { probe: Probe::new("market-data-service-probe", &market_data), market_data }
    }

    pub(crate) fn checked_in(&self, readiness: Readiness) -> Readiness {
        readiness.probe(self.market_data.name(), self.probe.clone())
    }

    /// Prices every item, all or none.
    pub(crate) async fn price(&self, items: &[OrderItemRequest]) -> Result<Priced, OrderError> {
        let all = stream::iter(items.iter().map(|item| self.price_item(item))).buffered(AT_ONCE).try_collect();
        let priced: Vec<OrderItem> = match tokio::time::timeout(LONGEST, all).await {
            Ok(priced) => priced?,
            Err(_) => {
                let kind = UpstreamErrorKind::Timeout;
                return Err(OrderError::Prices(UpstreamError { upstream: self.market_data.name(), kind, attempts: 1 }));
            }
        };
        let mut total = Decimal::ZERO;
        let mut currency: Option<&str> = None;
        for item in &priced {
            total = exact_sum(total, item.total).ok_or(OrderError::TooLarge)?;
            let quote = item.symbol.split().map_or(item.symbol.as_str(), |(_, quote)| quote);
            match currency {
                Some(other) if other != quote => {
                    return Err(OrderError::Currencies(other.to_owned(), quote.to_owned()));
                }
                _ => currency = Some(quote),
            }
        }
        Ok(Priced { total: total.normalize(), currency: currency.map(str::to_owned), items: priced })
    }

    /// One item, in a span of its own.
    async fn price_item(&self, item: &OrderItemRequest) -> Result<OrderItem, OrderError> {
        let span = tracing::info_span!(
            "OrderService.price_item",
            crypto.symbol = item.symbol.as_str(),
            order.item.quantity = %item.quantity.get(),
            order.item.unit_price = Empty,
            order.item.total = Empty,
            price.age_ms = Empty,
        );
        async {
            let priced = self.ask(item).await;
            match &priced {
                Ok(priced) => {
                    let span = Span::current();
                    span.record("order.item.unit_price", tracing::field::display(priced.unit_price));
                    span.record("order.item.total", tracing::field::display(priced.total));
                }
                Err(error) if error.is_failure() => telemetry::record_exception(error.label(), error),
                Err(_) => {}
            }
            priced
        }
        .instrument(span)
        .await
    }

    async fn ask(&self, item: &OrderItemRequest) -> Result<OrderItem, OrderError> {
        let failed = |source| OrderError::Price { symbol: item.symbol.clone(), source };
        let path = format!("/v1/prices/{}", item.symbol);
        let response = self.market_data.get("/v1/prices/{symbol}").path(path).send().await.map_err(failed)?;
        let quote: PriceQuote = response.json().map_err(failed)?;
        if quote.symbol != item.symbol {
            let reason = format!("asked about {}, answered about {}", item.symbol, quote.symbol);
            let kind = UpstreamErrorKind::Malformed(reason);
            return Err(failed(UpstreamError { upstream: self.market_data.name(), kind, attempts: 1 }));
        }
        Span::current().record("price.age_ms", i64::try_from(quote.age_ms).unwrap_or(i64::MAX));
        let quantity = item.quantity.get();
        let total = exact_product(quantity, quote.price).ok_or(OrderError::TooLarge)?;
        Ok(OrderItem {
            symbol: quote.symbol,
            quantity,
            unit_price: quote.price,
            total: total.normalize(),
            price_observed_at: quote.observed_at,
        })
    }
}

/// `checked_mul` rounds where the digits do not suffice; here every digit counts.
fn exact_product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (a, b) = (a.normalize(), b.normalize());
    a.checked_mul(b).filter(|product| product.is_zero() || product.scale() == a.scale() + b.scale())
}

/// The same for a sum.
fn exact_sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    a.checked_add(b).filter(|sum| sum.scale() == a.scale().max(b.scale()))
}

/// The items of a request: its own, or what its action means.
pub(crate) fn items_of(action: &OrderAction, items: &[OrderItemRequest]) -> Result<Vec<OrderItemRequest>, OrderError> {
    if items.len() > domain::chain::MAX_ITEMS {
        return Err(OrderError::TooManyItems(items.len()));
    }
    if !items.is_empty() || !TRADES.contains(&action.as_str()) {
        return Ok(items.to_vec());
    }
    let usual = USUAL_SYMBOL.parse().ok().zip(Quantity::try_from(USUAL_QUANTITY).ok());
    Ok(usual.map(|(symbol, quantity)| OrderItemRequest { symbol, quantity }).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_without_items_means_something() {
        let items = |action: &str| items_of(&action.parse().unwrap(), &[]).unwrap();
        for action in TRADES {
            let items = items(action);
            assert_eq!((items.len(), items[0].symbol.as_str()), (1, "BTCUSDT"), "{action}");
            assert_eq!(items[0].quantity.get().to_string(), "0.001", "{action}");
        }
        assert!(items("test_trace").is_empty());
    }

    #[test]
    fn totals_are_exact_or_refused() {
        assert_eq!(exact_product(dec!(0.10), dec!(0.3)), Some(dec!(0.03)));
        assert_eq!(exact_product(dec!(999999999.12345678), dec!(123456789.0123456789)), None, "29 digits and more");
        assert_eq!(exact_sum(dec!(1.5), dec!(2.25)), Some(dec!(3.75)));
        assert_eq!(exact_sum(dec!(79228162514264337593543950335), dec!(0.1)), None);
    }

    #[test]
    fn items_are_bounded() {
        let item = OrderItemRequest { symbol: "ETHUSDT".parse().unwrap(), quantity: "1".parse().unwrap() };
        let action = "purchase".parse().unwrap();
        assert_eq!(items_of(&action, &vec![item.clone(); 50]).unwrap().len(), 50);
        assert!(matches!(items_of(&action, &vec![item; 51]), Err(OrderError::TooManyItems(51))));
    }
}
