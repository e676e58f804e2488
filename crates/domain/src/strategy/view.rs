//! A decision request that has been checked.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::{Candle, DecisionRequest, Interval, Symbol};

/// Most candles of a request: what market-data-service (and Binance) give at once.
pub const MAX_CANDLES: usize = 1000;

/// Prices beyond these are no prices of anything; within them no computation of a strategy can overflow.
const PRICE_RANGE: std::ops::RangeInclusive<Decimal> = dec!(0.000000000001)..=dec!(1_000_000_000_000);

/// Why a market as stated by a caller cannot be decided on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// Price of one symbol, candles of another.
    #[error("the price is of {price} but the candles are of {candles}; both have to be of the same symbol")]
    SymbolMismatch {
        /// Symbol of the price.
        price: Symbol,
        /// Symbol of the candles.
        candles: Symbol,
    },
    /// More candles than are taken.
    #[error("{given} candles were given; at most {max} are taken", max = MAX_CANDLES)]
    TooManyCandles {
        /// Candles that were given.
        given: usize,
    },
    /// A candle that is not later than the one before it.
    #[error(
        "candles have to be ordered oldest first, each once; the one at position {position} opens at {opens} and the one \
         before it at {previous}"
    )]
    UnorderedCandles {
        /// Position from 1.
        position: usize,
        /// When it opens.
        opens: DateTime<Utc>,
        /// When the candle before it opens.
        previous: DateTime<Utc>,
    },
    /// The price now is no price.
    #[error("the price {price} is not a price: it has to be above zero and below 1000000000000")]
    BadPrice {
        /// What was given.
        price: Decimal,
    },
    /// A price of a candle is no price.
    #[error("the candle at position {position} has {price} as its {field}, which is not a price")]
    BadCandle {
        /// Position from 1.
        position: usize,
        /// `open`, `high`, `low` or `close`.
        field: &'static str,
        /// What was given.
        price: Decimal,
    },
    /// The price is too old to decide on.
    #[error("the price was {age_ms} ms old when it was read; a decision needs one of at most {max_age_ms} ms")]
    StalePrice {
        /// Age in milliseconds.
        age_ms: u64,
        /// Largest age in milliseconds that is accepted.
        max_age_ms: u64,
    },
}

impl MarketError {
    /// A bounded machine word, the `code` of the problem a caller gets.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::SymbolMismatch { .. } => "symbol_mismatch",
            Self::TooManyCandles { .. } => "too_many_candles",
            Self::UnorderedCandles { .. } => "unordered_candles",
            Self::BadPrice { .. } | Self::BadCandle { .. } => "bad_price",
            Self::StalePrice { .. } => "stale_price",
        }
    }
}

/// One symbol's price and closed candles, checked: fresh, positive, ordered, of one symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketView {
    symbol: Symbol,
    price: Decimal,
    interval: Interval,
    closes: Vec<Decimal>,
}

impl MarketView {
    /// Checks a request; a price older than `max_age_ms` milliseconds is refused.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn new(request: &DecisionRequest, max_age_ms: u64) -> Result<Self, MarketError> {
        let (quote, series) = (&request.price, &request.candles);
        if quote.symbol != series.symbol {
            return Err(MarketError::SymbolMismatch { price: quote.symbol.clone(), candles: series.symbol.clone() });
        }
        if series.candles.len() > MAX_CANDLES {
            return Err(MarketError::TooManyCandles { given: series.candles.len() });
        }
        if !PRICE_RANGE.contains(&quote.price) {
            return Err(MarketError::BadPrice { price: quote.price });
        }
        for (index, candle) in series.candles.iter().enumerate() {
            check_prices(index + 1, candle)?;
        }
        for (index, pair) in series.candles.windows(2).enumerate() {
            if let [previous, next] = pair
                && next.open_time <= previous.open_time
            {
                return Err(MarketError::UnorderedCandles {
                    position: index + 2,
                    opens: next.open_time,
                    previous: previous.open_time,
                });
            }
        }
        if quote.age_ms > max_age_ms {
            return Err(MarketError::StalePrice { age_ms: quote.age_ms, max_age_ms });
        }
        Ok(Self {
            symbol: quote.symbol.clone(),
            price: quote.price,
            interval: series.interval,
            closes: series.candles.iter().filter(|candle| candle.closed).map(|candle| candle.close).collect(),
        })
    }

    /// What it is about.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The price now, in the quote currency.
    #[must_use]
    pub fn price(&self) -> Decimal {
        self.price
    }

    /// Length of a candle.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Closing prices of the closed candles, oldest first.
    #[must_use]
    pub fn closes(&self) -> &[Decimal] {
        &self.closes
    }
}

fn check_prices(position: usize, candle: &Candle) -> Result<(), MarketError> {
    let prices = [("open", candle.open), ("high", candle.high), ("low", candle.low), ("close", candle.close)];
    match prices.into_iter().find(|(_, price)| !PRICE_RANGE.contains(price)) {
        Some((field, price)) => Err(MarketError::BadCandle { position, field, price }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{CandleSeries, PriceQuote, PriceSource};

    fn request(candles: i32) -> DecisionRequest {
        let start: DateTime<Utc> = "2022-01-01T00:00:00Z".parse().unwrap();
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let candle = |index: i32| {
            let open_time = start + TimeDelta::minutes(index.into());
            let price = dec!(46000) + Decimal::from(index);
            Candle {
                open_time,
                close_time: open_time + TimeDelta::milliseconds(59_999),
                open: price,
                high: price,
                low: price,
                close: price,
                volume: Decimal::ZERO,
                closed: true,
            }
        };
        DecisionRequest {
            price: PriceQuote {
                symbol: symbol.clone(),
                price: dec!(46100),
                observed_at: start,
                age_ms: 30_000,
                source: PriceSource::Stream,
                trace_id: None,
            },
            candles: CandleSeries {
                symbol,
                interval: Interval::OneMinute,
                candles: (0..candles).map(candle).collect(),
                trace_id: None,
            },
            strategy: None,
        }
    }

    fn error_of(change: impl FnOnce(&mut DecisionRequest)) -> MarketError {
        let mut request = request(5);
        change(&mut request);
        MarketView::new(&request, 30_000).unwrap_err()
    }

    #[test]
    fn keeps_closed_candles_only() {
        let mut request = request(5);
        request.candles.candles[4].closed = false;
        let view = MarketView::new(&request, 30_000).unwrap();
        assert_eq!(view.closes(), [dec!(46000), dec!(46001), dec!(46002), dec!(46003)]);
        assert_eq!((view.symbol().as_str(), view.price()), ("BTCUSDT", dec!(46100)));
    }

    #[test]
    fn refuses_each_bad_market_with_its_own_sentence() {
        let other = error_of(|request| request.candles.symbol = "ETHUSDT".parse().unwrap());
        assert_eq!(
            other.to_string(),
            "the price is of BTCUSDT but the candles are of ETHUSDT; both have to be of the same symbol"
        );
        let swapped = error_of(|request| request.candles.candles.swap(2, 3));
        assert!(matches!(swapped, MarketError::UnorderedCandles { position: 4, .. }), "{swapped:?}");
        let twice = error_of(|request| {
            let copy = request.candles.candles[0].clone();
            request.candles.candles.insert(0, copy);
        });
        assert!(matches!(twice, MarketError::UnorderedCandles { position: 2, .. }), "{twice:?}");
        for price in [dec!(0), dec!(-1), dec!(1000000000001), Decimal::MAX] {
            assert_eq!(error_of(|request| request.price.price = price), MarketError::BadPrice { price });
            assert_eq!(
                error_of(|request| request.candles.candles[1].low = price),
                MarketError::BadCandle { position: 2, field: "low", price }
            );
        }
        assert_eq!(
            error_of(|request| request.price.age_ms = 30_001),
            MarketError::StalePrice { age_ms: 30_001, max_age_ms: 30_000 }
        );
    }

    #[test]
    fn takes_a_thousand_candles_and_no_more() {
        assert!(MarketView::new(&request(1000), 30_000).is_ok());
        let error = MarketView::new(&request(1001), 30_000).unwrap_err();
        assert_eq!(error.to_string(), "1001 candles were given; at most 1000 are taken");
        assert_eq!(error.label(), "too_many_candles");
    }
}
