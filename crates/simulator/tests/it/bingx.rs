//! The simulated BingX: orders, money, who may call, and what a restart keeps.

use std::collections::BTreeMap;

use awc::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::{DEFAULT_BINGX_API_KEY, DEFAULT_BINGX_SECRET_KEY};

use crate::support::{Answer, Simulator, fields, now_ms, read};

pub(crate) const ORDER: &str = "/openApi/swap/v2/trade/order";

/// Lower-case hex HMAC-SHA256, as BingX's documentation says.
fn signature(query: &str, key: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(query.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signed query of now.
pub(crate) fn signed(params: &[(&str, &str)]) -> String {
    let mut sorted: BTreeMap<&str, String> = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    sorted.entry("timestamp").or_insert_with(|| now_ms().to_string());
    let query = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let signature = signature(&query, DEFAULT_BINGX_SECRET_KEY);
    format!("{query}&signature={signature}")
}

pub(crate) async fn send(sim: &Simulator, method: Method, path: &str, query: &str, key: &str) -> Answer {
    let request = sim.client.request(method, sim.url(&format!("{path}?{query}"))).insert_header(("X-BX-APIKEY", key));
    read(request.send().await.unwrap()).await
}

/// A signed call by the account's owner.
pub(crate) async fn call(sim: &Simulator, method: Method, path: &str, params: &[(&str, &str)]) -> Answer {
    send(sim, method, path, &signed(params), DEFAULT_BINGX_API_KEY).await
}

/// The `data` of a call that BingX does not refuse.
#[track_caller]
pub(crate) fn data(answer: Answer) -> Value {
    let json = answer.ok();
    assert_eq!((&json["code"], &json["msg"]), (&json!(0), &json!("")), "{json}");
    json["data"].clone()
}

/// The code of a call that BingX refuses in its way: with HTTP 200.
#[track_caller]
pub(crate) fn code(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(fields(&answer.json), ["code", "data", "msg"], "{}", answer.text);
    answer.json["code"].as_i64().unwrap()
}

pub(crate) async fn market(sim: &Simulator, side: &str, quantity: &str, id: &str) -> Answer {
    let params = [
        ("symbol", "BTC-USDT"),
        ("side", side),
        ("positionSide", "BOTH"),
        ("type", "MARKET"),
        ("quantity", quantity),
        ("clientOrderId", id),
    ];
    call(sim, Method::POST, ORDER, &params).await
}

pub(crate) async fn limit(sim: &Simulator, side: &str, quantity: &str, price: &str, id: &str) -> Answer {
    let params = [
        ("symbol", "BTC-USDT"),
        ("side", side),
        ("positionSide", "BOTH"),
        ("type", "LIMIT"),
        ("quantity", quantity),
        ("price", price),
        ("clientOrderId", id),
    ];
    call(sim, Method::POST, ORDER, &params).await
}

pub(crate) async fn query(sim: &Simulator, id: &str) -> Answer {
    call(sim, Method::GET, ORDER, &[("symbol", "BTC-USDT"), ("clientOrderId", id)]).await
}

pub(crate) fn number(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).parse().unwrap()
}

#[actix_web::test]
async fn a_market_order_is_filled_found_and_booked() {
    let sim = Simulator::start().await;
    let placed = data(market(&sim, "BUY", "0.0100", "FirstOrder1").await)["order"].clone();
    assert_eq!((&placed["clientOrderID"], &placed["positionSide"]), (&json!("firstorder1"), &json!("BOTH")));
    let id = placed["orderId"].as_u64().unwrap();
    assert!(id > 1 << 53);
    assert_eq!(placed["orderID"], json!(id.to_string()));

    let order = data(query(&sim, "FIRSTorder1").await)["order"].clone();
    assert_eq!(
        (&order["orderId"], &order["status"], &order["side"]),
        (&placed["orderId"], &json!("FILLED"), &json!("BUY"))
    );
    let price = number(&order["avgPrice"]);
    assert!(price > dec!(20000) && price < dec!(60000), "a price of January 2022: {price}");
    assert_eq!(number(&order["executedQty"]), dec!(0.01));
    let fee = (price * dec!(0.01) * dec!(0.0005)).round_dp(8);
    assert_eq!(number(&order["commission"]), -fee, "what is paid is negative on the wire");
    assert_eq!(number(&order["cumQuote"]), price * dec!(0.01));
    let by_number = [("symbol", "BTC-USDT"), ("orderId", &id.to_string())];
    assert_eq!(data(call(&sim, Method::GET, ORDER, &by_number).await)["order"], order);

    let positions = data(call(&sim, Method::GET, "/openApi/swap/v2/user/positions", &[]).await);
    let position = &positions[0];
    assert_eq!((&position["symbol"], &position["positionSide"]), (&json!("BTC-USDT"), &json!("LONG")));
    assert_eq!((number(&position["positionAmt"]), number(&position["avgPrice"])), (dec!(0.01), price));
    let balance = data(call(&sim, Method::GET, "/openApi/swap/v2/user/balance", &[]).await)["balance"].clone();
    assert_eq!((number(&balance["balance"]), &balance["asset"]), (dec!(10000) - fee, &json!("USDT")));
    assert_eq!(number(&balance["equity"]), number(&balance["balance"]) + number(&balance["unrealizedProfit"]));
    assert_eq!(number(&balance["usedMargin"]), (price * dec!(0.001)).round_dp(8));

    data(market(&sim, "SELL", "0.01", "second").await);
    let sold = data(query(&sim, "second").await)["order"].clone();
    assert_eq!(number(&sold["profit"]), (number(&sold["avgPrice"]) - price) * dec!(0.01));
    assert_eq!(data(call(&sim, Method::GET, "/openApi/swap/v2/user/positions", &[]).await), json!([]));

    let control = sim.get("/control/bingx").await.ok();
    let expected = dec!(10000) - fee + number(&sold["profit"]) + number(&sold["commission"]);
    assert_eq!((number(&control["account"]["balance"]), &control["accepted"]), (expected, &json!(2)));
    assert_eq!((&control["positions"], &control["kept"]), (&json!([]), &json!(false)));
    assert_eq!(
        (&control["orders"][0]["client_order_id"], &control["orders"][1]["status"]),
        (&json!("second"), &json!("FILLED"))
    );
    assert_eq!(control["client_order_ids"]["firstorder1"]["accepted"], 1);
    sim.stop().await;
}

#[actix_web::test]
async fn strangers_old_calls_and_wrong_signatures_are_refused() {
    let sim = Simulator::start().await;
    const BALANCE: &str = "/openApi/swap/v2/user/balance";
    let get = async |query: String, key: &str| code(&send(&sim, Method::GET, BALANCE, &query, key).await);
    assert_eq!(get(signed(&[]), "somebody").await, 100_413);
    let stamp = now_ms().to_string();
    assert_eq!(get(format!("timestamp={stamp}"), DEFAULT_BINGX_API_KEY).await, 100_001);
    let forged = format!("timestamp={stamp}&signature={}", signature(&format!("timestamp={stamp}"), "another secret"));
    assert_eq!(get(forged, DEFAULT_BINGX_API_KEY).await, 100_001);
    assert_eq!(get(signed(&[]).replace("timestamp=", "timestamp=0"), DEFAULT_BINGX_API_KEY).await, 100_001);
    for (window, skew) in [("5000", -5_500), ("1000", -1_500), ("5000", 2_000)] {
        let stamp = (now_ms() + skew).to_string();
        assert_eq!(get(signed(&[("recvWindow", window), ("timestamp", &stamp)]), DEFAULT_BINGX_API_KEY).await, 100_421);
    }
    let none = format!("recvWindow=5000&signature={}", signature("recvWindow=5000", DEFAULT_BINGX_SECRET_KEY));
    assert_eq!(get(none, DEFAULT_BINGX_API_KEY).await, 100_421);
    assert_eq!(get(signed(&[("recvWindow", "60000")]), DEFAULT_BINGX_API_KEY).await, 109_400);
    // Everybody may ask for the time.
    let time = data(sim.get("/openApi/swap/v2/server/time").await)["serverTime"].as_i64().unwrap();
    assert!((now_ms() - time).abs() < 60_000);
    let nothing = sim.get("/openApi/swap/v2/nothing").await;
    assert_eq!((nothing.status.as_u16(), &nothing.json["code"]), (404, &json!(100_400)));
    sim.stop().await;
}

#[actix_web::test]
async fn orders_that_cannot_be_are_refused_with_their_codes() {
    let sim = Simulator::start().await;
    let sound = [
        ("symbol", "BTC-USDT"),
        ("side", "BUY"),
        ("positionSide", "BOTH"),
        ("type", "LIMIT"),
        ("quantity", "0.01"),
        ("price", "100"),
    ];
    for (name, value, expected) in [
        ("symbol", "BTCUSDT", 109_425),
        ("symbol", "NOSUCH-USDT", 109_425),
        ("symbol", "", 109_400),
        ("side", "HOLD", 109_400),
        ("positionSide", "LONG", 109_400),
        ("type", "STOP", 109_400),
        ("quantity", "0", 109_400),
        ("quantity", "NaN", 109_400),
        ("price", "-1", 109_400),
        ("timeInForce", "GTX", 109_400),
        ("clientOrderId", "with-dash", 109_400),
        ("reduceOnly", "maybe", 109_400),
        ("reduceOnly", "true", 101_290),
        ("quantity", "100000", 101_204),
    ] {
        let mut params = sound.to_vec();
        params.retain(|(other, _)| *other != name);
        params.push((name, value));
        let answer = call(&sim, Method::POST, ORDER, &params).await;
        assert_eq!(code(&answer), expected, "{name}={value}: {}", answer.text);
    }
    assert_eq!(code(&query(&sim, "unknown").await), 109_421);
    assert_eq!(code(&call(&sim, Method::GET, ORDER, &[("symbol", "BTC-USDT")]).await), 109_400);
    assert_eq!(sim.get("/control/bingx").await.ok()["accepted"], 0);
    sim.stop().await;
}

#[actix_web::test]
async fn a_client_id_makes_one_order() {
    let sim = Simulator::start().await;
    data(market(&sim, "BUY", "0.01", "once").await);
    for again in ["once", "ONCE"] {
        assert_eq!(code(&market(&sim, "BUY", "0.01", again).await), 101_481);
    }
    // A refusal does not use an id up.
    assert_eq!(code(&market(&sim, "BUY", "100000", "later").await), 101_204);
    data(market(&sim, "BUY", "0.01", "later").await);
    let control = sim.get("/control/bingx").await.ok();
    let seen = |id: &str| (&control["client_order_ids"][id]["received"], &control["client_order_ids"][id]["accepted"]);
    assert_eq!(seen("once"), (&json!(3), &json!(1)));
    assert_eq!(seen("later"), (&json!(2), &json!(1)));
    assert_eq!(control["accepted"], 2);
    sim.stop().await;
}

#[actix_web::test]
async fn limit_orders_wait_and_are_cancelled() {
    let sim = Simulator::start().await;
    data(limit(&sim, "BUY", "0.5", "1000", "low").await);
    data(limit(&sim, "SELL", "0.1", "900000", "high").await);
    let low = data(query(&sim, "low").await)["order"].clone();
    assert_eq!(
        (&low["status"], number(&low["executedQty"]), number(&low["avgPrice"])),
        (&json!("PENDING"), dec!(0), dec!(0))
    );
    let frozen = number(&sim.get("/control/bingx").await.ok()["account"]["frozen_margin"]);
    assert_eq!(frozen, dec!(50) + dec!(9000));
    let open = data(call(&sim, Method::GET, "/openApi/swap/v2/trade/openOrders", &[]).await);
    assert_eq!(open["orders"].as_array().unwrap().len(), 2);
    let none = data(call(&sim, Method::GET, "/openApi/swap/v2/trade/openOrders", &[("symbol", "ETH-USDT")]).await);
    assert_eq!(none["orders"], json!([]));
    let which = [("symbol", "BTC-USDT"), ("clientOrderId", "LOW")];
    let cancelled = data(call(&sim, Method::DELETE, ORDER, &which).await)["order"].clone();
    assert_eq!(cancelled["status"], "CANCELLED");
    assert_eq!(code(&call(&sim, Method::DELETE, ORDER, &which).await), 80_018);

    const SWITCH: &str = "/openApi/swap/v2/trade/cancelAllAfter";
    for wrong in [vec![("type", "ACTIVATE"), ("timeOut", "9")], vec![("type", "ACTIVATE")], vec![("type", "OFF")]] {
        assert_eq!(code(&call(&sim, Method::POST, SWITCH, &wrong).await), 109_400);
    }
    let on = data(call(&sim, Method::POST, SWITCH, &[("type", "ACTIVATE"), ("timeOut", "120")]).await);
    assert_eq!(on["status"], "ACTIVATED");
    assert!(sim.get("/control/bingx").await.ok()["cancel_all_at"].is_string());
    assert_eq!(data(call(&sim, Method::POST, SWITCH, &[("type", "CLOSE")]).await)["status"], "CLOSED");
    assert!(sim.get("/control/bingx").await.ok()["cancel_all_at"].is_null());
    sim.stop().await;
}

#[actix_web::test]
async fn more_orders_than_allowed_are_refused_with_a_code_and_no_header() {
    let sim = Simulator::with(|config| config.bingx_orders_per_second = 1).await;
    let ids: Vec<String> = (0..10).map(|n| format!("rate{n}")).collect();
    let answers = futures_util::future::join_all(ids.iter().map(|id| market(&sim, "BUY", "0.001", id))).await;
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.json["code"] == 100_410).collect();
    assert!(!refused.is_empty(), "ten at once, one a second");
    assert!(refused.iter().all(|answer| answer.status == 200 && answer.header("retry-after").is_empty()));
    let accepted = sim.get("/control/bingx").await.ok()["accepted"].as_u64().unwrap();
    assert_eq!(accepted, u64::try_from(10 - refused.len()).unwrap());
    sim.stop().await;
}

#[actix_web::test]
async fn a_restart_keeps_the_account_where_there_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Simulator::with(|config| config.data_dir = Some(folder.path().to_owned()));
    let sim = start().await;
    data(market(&sim, "BUY", "0.01", "kept").await);
    data(limit(&sim, "BUY", "0.5", "1000", "waiting").await);
    let before = sim.get("/control/bingx").await.ok();
    assert_eq!(before["kept"], true);
    sim.stop().await;

    let sim = start().await;
    let after = sim.get("/control/bingx").await.ok();
    assert_eq!(after, before);
    assert_eq!(code(&market(&sim, "BUY", "0.01", "kept").await), 101_481);
    data(market(&sim, "SELL", "0.01", "after").await);
    data(call(&sim, Method::DELETE, ORDER, &[("symbol", "BTC-USDT"), ("clientOrderId", "waiting")]).await);
    sim.stop().await;

    // A process that died while it wrote.
    let file = folder.path().join("bingx.jsonl");
    let mut text = std::fs::read(&file).unwrap();
    text.extend(b"{\"account\":{\"bal");
    std::fs::write(&file, text).unwrap();
    let sim = start().await;
    assert_eq!(sim.get("/control/bingx").await.ok()["accepted"], 3);
    assert_eq!(data(query(&sim, "waiting").await)["order"]["status"], "CANCELLED");
    sim.stop().await;

    std::fs::write(&file, "nonsense\n{}\n").unwrap();
    let mut config = simulator::Config::ephemeral();
    config.data_dir = Some(folder.path().to_owned());
    let error = simulator::start(config).await.err().unwrap();
    assert!(error.to_string().contains("bingx.jsonl, line 1, cannot be read"), "{error}");
}
