use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::{Answer, Simulator, fields, now_ms};

fn decimal(value: &Value) -> Decimal {
    let text = value.as_str().unwrap();
    assert_eq!(text.split_once('.').unwrap().1.len(), 8, "eight decimals: {text}");
    text.parse().unwrap()
}

#[track_caller]
fn refused(answer: &Answer, code: i32) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(fields(&answer.json), ["code", "msg"]);
    assert_eq!(answer.json["code"], code, "{}", answer.text);
}

#[actix_web::test]
async fn klines_are_arrays_of_twelve_in_order() {
    let sim = Simulator::start().await;
    let rows = sim.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000").await.ok();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 1000);
    for (row, next) in rows.iter().zip(&rows[1..]) {
        assert_eq!(row.as_array().unwrap().len(), 12);
        let [open, high, low, close] = [1, 2, 3, 4].map(|column| decimal(&row[column]));
        assert!(low <= open.min(close) && open.max(close) <= high);
        assert!(decimal(&row[5]) > Decimal::ZERO && decimal(&row[9]) <= decimal(&row[5]));
        assert!(decimal(&row[10]) <= decimal(&row[7]));
        assert_eq!((row[8].as_i64(), row[11].as_str()), (Some(10), Some("0")));
        // A second a candle in tests.
        assert_eq!(row[6].as_i64().unwrap() - row[0].as_i64().unwrap(), 999);
        assert_eq!(row[6].as_i64().unwrap() + 1, next[0].as_i64().unwrap());
    }
    let last = rows.last().unwrap()[6].as_i64().unwrap();
    assert!(last >= now_ms() - 20_000, "the last candle is now");
    let five = sim.get("/api/v3/klines?symbol=SOLUSDT&interval=5m").await.ok();
    assert_eq!(five.as_array().unwrap().len(), 500);
    assert_eq!(five[0][6].as_i64().unwrap() - five[0][0].as_i64().unwrap(), 4_999);
    sim.stop().await;
}

#[actix_web::test]
async fn a_range_of_klines_is_the_same_whenever_it_is_asked_for() {
    let sim = Simulator::start().await;
    let end = now_ms() - 5_000;
    let path = format!("/api/v3/klines?symbol=ETHUSDT&interval=1m&startTime={}&endTime={end}", end - 60_000);
    let first = sim.get(&path).await.ok();
    assert_eq!(first.as_array().unwrap().len(), 60);
    assert_eq!(first, sim.get(&path).await.ok());
    sim.stop().await;
}

#[actix_web::test]
async fn the_seed_decides_the_walks_and_not_the_recording() {
    let prices = async |seed| {
        let sim = Simulator::with(|config| {
            config.seed = seed;
            config.seconds_per_candle = 3600.try_into().unwrap();
        })
        .await;
        let closes = async |symbol: &str| {
            let rows = sim.get(&format!("/api/v3/klines?symbol={symbol}&interval=1m&limit=50")).await.ok();
            rows.as_array().unwrap()[..49].iter().map(|row| row[4].clone()).collect::<Vec<_>>()
        };
        let found = (closes("BTCUSDT").await, closes("ETHUSDT").await);
        sim.stop().await;
        found
    };
    let (one, again, other) = (prices(1).await, prices(1).await, prices(2).await);
    assert_eq!(one, again);
    assert_eq!(one.0, other.0);
    assert_ne!(one.1, other.1);
}

#[actix_web::test]
async fn tickers_have_the_documented_fields_and_agree() {
    let sim = Simulator::with(|config| config.seconds_per_candle = 3600.try_into().unwrap()).await;
    let full = sim.get("/api/v3/ticker/24hr?symbol=BTCUSDT").await.ok();
    let mut documented: Vec<&str> = "symbol priceChange priceChangePercent weightedAvgPrice prevClosePrice lastPrice lastQty bidPrice bidQty askPrice askQty openPrice highPrice lowPrice volume quoteVolume openTime closeTime firstId lastId count".split(' ').collect();
    documented.sort_unstable();
    assert_eq!(fields(&full), documented);
    assert_eq!(decimal(&full["lastPrice"]) - decimal(&full["openPrice"]), decimal(&full["priceChange"]));
    assert_eq!(
        full["lastId"].as_i64().unwrap() - full["firstId"].as_i64().unwrap() + 1,
        full["count"].as_i64().unwrap()
    );
    let close_time = full["closeTime"].as_i64().unwrap();
    assert!(close_time <= now_ms() && close_time > now_ms() - 30_000);

    let mini = sim.get("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI").await.ok();
    let mut documented: Vec<&str> =
        "symbol openPrice highPrice lowPrice lastPrice volume quoteVolume openTime closeTime firstId lastId count"
            .split(' ')
            .collect();
    documented.sort_unstable();
    assert_eq!(fields(&mini), documented);

    let price = sim.get("/api/v3/ticker/price?symbol=BTCUSDT").await.ok();
    assert_eq!(fields(&price), ["price", "symbol"]);
    let all = sim.get("/api/v3/ticker/price").await.ok();
    assert_eq!(
        all.as_array().unwrap().iter().map(|row| row["symbol"].as_str().unwrap()).collect::<Vec<_>>(),
        ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    );
    let two = sim.get("/api/v3/ticker/price?symbols=%5B%22SOLUSDT%22,%22BTCUSDT%22%5D").await.ok();
    assert_eq!(
        two.as_array().unwrap().iter().map(|row| row["symbol"].as_str().unwrap()).collect::<Vec<_>>(),
        ["SOLUSDT", "BTCUSDT"]
    );
    let book = sim.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT").await.ok();
    assert_eq!(fields(&book), ["askPrice", "askQty", "bidPrice", "bidQty", "symbol"]);
    assert!(decimal(&book["bidPrice"]) < decimal(&book["askPrice"]));

    // Each price has its trade, and the candle that forms closes (so far) at the newest one.
    let trades = sim.get("/api/v3/trades?symbol=BTCUSDT&limit=20").await.ok();
    let trades = trades.as_array().unwrap();
    assert_eq!(fields(&trades[0]), ["id", "isBestMatch", "isBuyerMaker", "price", "qty", "quoteQty", "time"]);
    assert!(trades.iter().any(|trade| trade["price"] == full["lastPrice"] && trade["id"] == full["lastId"]));
    let candle = sim.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1").await.ok();
    let later = sim.get("/api/v3/trades?symbol=BTCUSDT&limit=20").await.ok();
    assert!(later.as_array().unwrap().iter().any(|trade| trade["price"] == candle[0][4]));
    sim.stop().await;
}

#[actix_web::test]
async fn general_endpoints_have_their_documented_shapes() {
    let sim = Simulator::start().await;
    assert_eq!(sim.get("/api/v3/ping").await.ok(), json!({}));
    let time = sim.get("/api/v3/time").await.ok();
    assert_eq!(fields(&time), ["serverTime"]);
    assert!((time["serverTime"].as_i64().unwrap() - now_ms()).abs() < 60_000);
    let info = sim.get("/api/v3/exchangeInfo").await.ok();
    assert_eq!(fields(&info), ["exchangeFilters", "rateLimits", "serverTime", "symbols", "timezone"]);
    assert_eq!(
        info["rateLimits"][0],
        json!({"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000})
    );
    assert_eq!(info["symbols"].as_array().unwrap().len(), 3);
    let symbol = &sim.get("/api/v3/exchangeInfo?symbol=ETHUSDT").await.ok()["symbols"][0];
    assert_eq!(
        (&symbol["status"], &symbol["baseAsset"], &symbol["quoteAsset"]),
        (&json!("TRADING"), &json!("ETH"), &json!("USDT"))
    );
    assert_eq!(symbol["simulatedFrom"], "SIMULATED: seeded random walk");
    sim.stop().await;
}

#[actix_web::test]
async fn errors_have_binances_codes() {
    let sim = Simulator::start().await;
    let klines = |rest: &str| format!("/api/v3/klines?symbol=BTCUSDT&interval=1m{rest}");
    for (path, code) in [
        ("/api/v3/ticker/price?symbol=NOSUCH".to_owned(), -1121),
        ("/api/v3/ticker/price?symbol=btcusdt".to_owned(), -1100),
        ("/api/v3/ticker/price?symbol=".to_owned(), -1105),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D".to_owned(), -1128),
        ("/api/v3/ticker/price?symbols=BTCUSDT".to_owned(), -1100),
        ("/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D".to_owned(), -1151),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbol=ETHUSDT".to_owned(), -1101),
        ("/api/v3/ticker/24hr?symbol=BTCUSDT&type=HUGE".to_owned(), -1139),
        ("/api/v3/ping?x=1".to_owned(), -1101),
        ("/api/v3/klines?interval=1m".to_owned(), -1102),
        ("/api/v3/klines?symbol=BTCUSDT".to_owned(), -1102),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m".to_owned(), -1120),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1M".to_owned(), -1120),
        (klines("&limit=0"), -1130),
        (klines("&limit=ten"), -1100),
        (klines("&startTime=-5"), -1100),
        (klines("&startTime=99999999999999999999"), -1130),
    ] {
        refused(&sim.get(&path).await, code);
    }
    assert_eq!(sim.get(&klines("&limit=5000")).await.ok().as_array().unwrap().len(), 1000);
    let nothing = sim.get("/api/v3/order").await;
    assert_eq!((nothing.status.as_u16(), nothing.header("content-type")), (404, "text/html"));
    sim.stop().await;
}

#[actix_web::test]
async fn weight_is_counted_and_limited() {
    let sim = Simulator::with(|config| config.binance_weight_limit = 50).await;
    let used = |answer: &Answer| -> u32 {
        assert_eq!(answer.header("x-mbx-used-weight"), answer.header("x-mbx-used-weight-1m"));
        answer.header("x-mbx-used-weight-1m").parse().unwrap()
    };
    // The minute may end in between: then the count begins again and so do we.
    loop {
        let first = used(&sim.get("/api/v3/ping").await);
        let second = used(&sim.get("/api/v3/klines?symbol=BTCUSDT&interval=1m").await);
        let third = used(&sim.get("/api/v3/klines?symbol=NOSUCH&interval=1m").await);
        if (second, third) == (first + 2, first + 4) {
            break;
        }
        assert!(second < first || third < second, "{first} {second} {third}");
    }
    let refused = loop {
        let answer = sim.get("/api/v3/exchangeInfo").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (429, &json!(-1003)));
    assert!(refused.json["msg"].as_str().unwrap().contains("current limit is 50 request weight per 1 MINUTE"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
    sim.stop().await;
}
