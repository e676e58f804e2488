//! Messages of the stream.

use chrono::{DateTime, Utc};
use domain::Candle;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::decimal;
use crate::rest::{check_candle, time_ms};

/// A candle as it is now. `<symbol>@kline_1m`, at most every two seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KlineUpdate {
    /// Symbol, upper case.
    pub symbol: String,
    /// The exchange's time of this statement.
    pub event_time: DateTime<Utc>,
    /// The candle; `closed` is Binance's `x`, the only thing that makes a candle final.
    pub candle: Candle,
}

/// The last price. `<symbol>@ticker`, every second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickerUpdate {
    /// Symbol, upper case.
    pub symbol: String,
    /// The exchange's time of this statement.
    pub event_time: DateTime<Utc>,
    /// Last traded price.
    pub price: Decimal,
}

/// A message that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// A candle changed.
    Kline(KlineUpdate),
    /// A price was stated.
    Ticker(TickerUpdate),
    /// The server will go away soon: connect anew now.
    ServerShutdown,
    /// Something that nobody reads: a reply to a command, a kind of event that is new.
    Unknown,
}

/// A message that is not what the documentation says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct MalformedEvent(pub(crate) String);

#[derive(Deserialize)]
struct RawKlineEvent {
    #[serde(rename = "E")]
    event_time: i64,
    s: String,
    k: RawKline,
}

#[derive(Deserialize)]
struct RawKline {
    t: i64,
    #[serde(rename = "T")]
    close_time: i64,
    i: String,
    #[serde(deserialize_with = "decimal::from_text")]
    o: Decimal,
    #[serde(deserialize_with = "decimal::from_text")]
    c: Decimal,
    #[serde(deserialize_with = "decimal::from_text")]
    h: Decimal,
    #[serde(deserialize_with = "decimal::from_text")]
    l: Decimal,
    #[serde(deserialize_with = "decimal::from_text")]
    v: Decimal,
    x: bool,
}

#[derive(Deserialize)]
struct RawTicker {
    #[serde(rename = "E")]
    event_time: i64,
    s: String,
    #[serde(deserialize_with = "decimal::from_text")]
    c: Decimal,
}

impl StreamEvent {
    /// Reads one text message of `/stream?streams=` (in its wrapper) or `/ws/` (bare).
    ///
    /// # Errors
    /// When it is no JSON object, or an event lacks what the documentation promises.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedEvent> {
        let mut message: Value =
            serde_json::from_slice(text).map_err(|error| MalformedEvent(format!("no JSON: {error}")))?;
        let Some(object) = message.as_object_mut() else {
            return Err(MalformedEvent("a message is a JSON object".to_owned()));
        };
        // Combined streams wrap events in `data`; connection events may come in `event`, or bare.
        let payload =
            object.remove("data").or_else(|| object.remove("event").filter(Value::is_object)).unwrap_or(message);
        let kind = payload.get("e").and_then(Value::as_str);
        match kind {
            Some("kline") => kline(payload),
            Some("24hrTicker") => ticker(payload),
            Some("serverShutdown") => Ok(Self::ServerShutdown),
            Some(_) => Ok(Self::Unknown),
            // Replies to commands, and order book events, have no `e`.
            None if payload.get("result").is_some() || payload.get("id").is_some() || payload.get("s").is_some() => {
                Ok(Self::Unknown)
            }
            None => Err(MalformedEvent("neither an event nor a reply".to_owned())),
        }
    }
}

fn kline(payload: Value) -> Result<StreamEvent, MalformedEvent> {
    let wrong = |what: String| MalformedEvent(format!("kline event: {what}"));
    let raw: RawKlineEvent = serde_json::from_value(payload).map_err(|error| wrong(error.to_string()))?;
    if raw.k.i != "1m" {
        // Not subscribed to: no fault, but not ours either.
        return Ok(StreamEvent::Unknown);
    }
    let candle = Candle {
        open_time: time_ms(raw.k.t).map_err(wrong)?,
        close_time: time_ms(raw.k.close_time).map_err(wrong)?,
        open: raw.k.o,
        high: raw.k.h,
        low: raw.k.l,
        close: raw.k.c,
        volume: raw.k.v,
        closed: raw.k.x,
    };
    check_candle(
        candle.open_time,
        candle.close_time,
        [candle.open, candle.high, candle.low, candle.close],
        candle.volume,
    )
    .map_err(wrong)?;
    Ok(StreamEvent::Kline(KlineUpdate { symbol: raw.s, event_time: time_ms(raw.event_time).map_err(wrong)?, candle }))
}

fn ticker(payload: Value) -> Result<StreamEvent, MalformedEvent> {
    let wrong = |what: String| MalformedEvent(format!("ticker event: {what}"));
    let raw: RawTicker = serde_json::from_value(payload).map_err(|error| wrong(error.to_string()))?;
    if raw.c <= Decimal::ZERO {
        return Err(wrong(format!("price {} is not positive", raw.c)));
    }
    Ok(StreamEvent::Ticker(TickerUpdate {
        symbol: raw.s,
        event_time: time_ms(raw.event_time).map_err(wrong)?,
        price: raw.c,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Binance's web-socket-streams.md, in the wrapper of a combined stream.
    const KLINE: &str = r#"{"stream":"bnbbtc@kline_1m","data":{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{
        "t":1672515780000,"T":1672515839999,"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025",
        "l":"0.0010","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}}"#;
    const TICKER: &str = r#"{"stream":"bnbbtc@ticker","data":{"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015",
        "P":"250.00","w":"0.0018","x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100",
        "o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}}"#;

    fn parse(text: &str) -> Result<StreamEvent, String> {
        StreamEvent::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_a_kline() {
        let StreamEvent::Kline(update) = parse(KLINE).unwrap() else { panic!("no kline") };
        assert_eq!(update.symbol, "BNBBTC");
        assert_eq!(update.event_time.timestamp_millis(), 1_672_515_782_136);
        assert_eq!(update.candle.close_time.timestamp_millis(), 1_672_515_839_999);
        assert_eq!(update.candle.close.to_string(), "0.002");
        assert!(!update.candle.closed);
        let StreamEvent::Kline(closed) = parse(&KLINE.replace("\"x\":false", "\"x\":true")).unwrap() else {
            panic!("no kline")
        };
        assert!(closed.candle.closed);
    }

    #[test]
    fn reads_a_ticker_wrapped_and_bare() {
        let StreamEvent::Ticker(update) = parse(TICKER).unwrap() else { panic!("no ticker") };
        assert_eq!(update.price.to_string(), "0.0025");
        let bare = TICKER.strip_prefix(r#"{"stream":"bnbbtc@ticker","data":"#).unwrap().strip_suffix('}').unwrap();
        assert_eq!(parse(bare).unwrap(), StreamEvent::Ticker(update));
    }

    #[test]
    fn knows_the_shutdown_in_every_wrapping() {
        for text in [
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
            r#"{"event":{"e":"serverShutdown","E":1770123456789}}"#,
            r#"{"e":"serverShutdown","E":1770123456789}"#,
        ] {
            assert_eq!(parse(text), Ok(StreamEvent::ServerShutdown));
        }
    }

    #[test]
    fn what_nobody_asked_for_is_unknown() {
        for text in [
            r#"{"result":null,"id":1}"#,
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT"}}"#,
            r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.3","B":"31.2","a":"25.4","A":"40.7"}}"#,
        ] {
            assert_eq!(parse(text), Ok(StreamEvent::Unknown), "{text}");
        }
        assert_eq!(parse(&KLINE.replace("\"i\":\"1m\"", "\"i\":\"5m\"")), Ok(StreamEvent::Unknown));
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |text: &str| parse(text).unwrap_err();
        assert!(wrong("{").contains("no JSON"));
        assert!(wrong("[]").contains("JSON object"));
        assert!(wrong("{}").contains("neither an event"));
        assert!(wrong(r#"{"stream":"x","data":7}"#).contains("neither an event"));
        assert!(wrong(&KLINE.replace("\"x\":false,", "")).contains("missing field `x`"));
        assert!(wrong(&KLINE.replace("\"h\":\"0.0025\"", "\"h\":\"0.0015\"")).contains("do not enclose"));
        assert!(wrong(&KLINE.replace("1672515780000", "1672515780")).contains("no time in milliseconds"));
        assert!(wrong(&TICKER.replace("\"c\":\"0.0025\"", "\"c\":\"0.0\"")).contains("not positive"));
        assert!(wrong(&TICKER.replace("\"c\":\"0.0025\"", "\"c\":\"abc\"")).contains("no decimal"));
    }
}
