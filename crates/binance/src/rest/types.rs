//! Bodies of the REST API other than klines. Fields nobody reads are left out.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de};

use super::kline::time_ms;
use crate::decimal;

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    time_ms(i64::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let price = decimal::from_text(deserializer)?;
    if price <= Decimal::ZERO {
        return Err(de::Error::custom(format_args!("price {price} is not positive")));
    }
    Ok(price)
}

/// `GET /api/v3/ticker/price`: the last price, with no time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TickerPrice {
    /// Symbol, upper case.
    pub symbol: String,
    /// Last traded price.
    #[serde(deserialize_with = "price")]
    pub price: Decimal,
}

/// `GET /api/v3/ticker/24hr`: of its statistics only the last price, and the time it was stated at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticker24h {
    /// Symbol, upper case.
    pub symbol: String,
    /// Last traded price.
    #[serde(deserialize_with = "price")]
    pub last_price: Decimal,
    /// End of the statistics' window: the exchange's time of this statement.
    #[serde(deserialize_with = "time")]
    pub close_time: DateTime<Utc>,
}

/// `GET /api/v3/time`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerTime {
    #[serde(deserialize_with = "time")]
    pub(crate) server_time: DateTime<Utc>,
}

/// `GET /api/v3/exchangeInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeInfo {
    /// The symbols that were asked for, or all.
    pub symbols: Vec<ExchangeSymbol>,
}

/// A symbol of [`ExchangeInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeSymbol {
    /// Symbol, upper case.
    pub symbol: String,
    /// `TRADING`, `HALT`, `BREAK`, …
    pub status: String,
    /// Base currency, `BTC`.
    pub base_asset: String,
    /// Quote currency, `USDT`.
    pub quote_asset: String,
}

/// An error's body, `{"code":-1121,"msg":"Invalid symbol."}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ErrorBody {
    pub(crate) code: i32,
    pub(crate) msg: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_documented_examples() {
        let price: TickerPrice = serde_json::from_str(r#"{"symbol":"LTCBTC","price":"4.00000200"}"#).unwrap();
        assert_eq!((price.symbol.as_str(), price.price.to_string().as_str()), ("LTCBTC", "4.000002"));

        let day: Ticker24h = serde_json::from_str(
            r#"{"symbol":"BNBBTC","priceChange":"-94.99999800","priceChangePercent":"-95.960","weightedAvgPrice":"0.29628482",
                "prevClosePrice":"0.10002000","lastPrice":"4.00000200","lastQty":"200.00000000","bidPrice":"4.00000000",
                "bidQty":"100.00000000","askPrice":"4.00000200","askQty":"100.00000000","openPrice":"99.00000000",
                "highPrice":"100.00000000","lowPrice":"0.10000000","volume":"8913.30000000","quoteVolume":"15.30000000",
                "openTime":1499783499040,"closeTime":1499869899040,"firstId":28385,"lastId":28460,"count":76}"#,
        )
        .unwrap();
        assert_eq!(day.close_time.timestamp_millis(), 1_499_869_899_040);

        let time: ServerTime = serde_json::from_str(r#"{"serverTime":1499827319559}"#).unwrap();
        assert_eq!(time.server_time.timestamp_millis(), 1_499_827_319_559);

        let info: ExchangeInfo = serde_json::from_str(
            r#"{"timezone":"UTC","serverTime":1565246363776,"rateLimits":[{}],"exchangeFilters":[],
                "symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","baseAssetPrecision":8,"quoteAsset":"BTC",
                "quotePrecision":8,"orderTypes":["LIMIT"],"filters":[],"permissions":["SPOT"]}]}"#,
        )
        .unwrap();
        assert_eq!(info.symbols[0].base_asset, "ETH");

        let error: ErrorBody = serde_json::from_str(r#"{"code":-1121,"msg":"Invalid symbol."}"#).unwrap();
        assert_eq!(error.code, -1121);
    }

    #[test]
    fn a_price_is_positive_and_a_string() {
        let wrong = |json: &str| serde_json::from_str::<TickerPrice>(json).unwrap_err().to_string();
        assert!(wrong(r#"{"symbol":"A","price":"0"}"#).contains("not positive"));
        assert!(wrong(r#"{"symbol":"A","price":"-1"}"#).contains("not positive"));
        assert!(wrong(r#"{"symbol":"A","price":1.5}"#).contains("invalid type"));
        assert!(wrong(r#"{"symbol":"A"}"#).contains("missing field `price`"));
    }
}
