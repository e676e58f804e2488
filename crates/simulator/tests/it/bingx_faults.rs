//! What the simulated BingX does on a bad day.

use awc::http::Method;
use rust_decimal_macros::dec;
use serde_json::{Value, json};

use crate::bingx::{ORDER, call, code, data, market, number, query, signed};
use crate::support::{Simulator, eventually, fields};

async fn fault(sim: &Simulator, kind: &str) -> u64 {
    sim.fault(json!({ "target": "bingx", "kind": kind })).await
}

async fn accepted(sim: &Simulator, id: &str) -> u64 {
    sim.get("/control/bingx").await.ok()["client_order_ids"][id]["accepted"].as_u64().unwrap_or_default()
}

async fn off(sim: &Simulator) {
    sim.delete("/control/faults").await.ok();
}

#[actix_web::test]
async fn an_order_is_taken_and_the_answer_is_lost() {
    let sim = Simulator::start().await;
    fault(&sim, "accepted_then_timeout").await;
    let answer = market(&sim, "BUY", "0.01", "timeout").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (504, "text/html"));
    // Questions are answered: only what places an order is hit.
    assert_eq!(data(query(&sim, "timeout").await)["order"]["status"], "FILLED");
    assert_eq!(sim.get("/control/faults").await.ok()["faults"][0]["injected"], 1);
    off(&sim).await;

    fault(&sim, "accepted_then_drop").await;
    let url = sim.url(&format!(
        "{ORDER}?{}",
        signed(&[
            ("symbol", "BTC-USDT"),
            ("side", "BUY"),
            ("positionSide", "BOTH"),
            ("type", "MARKET"),
            ("quantity", "0.01"),
            ("clientOrderId", "dropped"),
        ])
    ));
    let key = ("X-BX-APIKEY", simulator::DEFAULT_BINGX_API_KEY);
    assert!(sim.client.post(&url).insert_header(key).send().await.is_err());
    assert_eq!(data(query(&sim, "dropped").await)["order"]["status"], "FILLED");
    off(&sim).await;
    assert_eq!((accepted(&sim, "timeout").await, accepted(&sim, "dropped").await), (1, 1));
    assert_eq!(code(&market(&sim, "BUY", "0.01", "timeout").await), 101_481);
    sim.stop().await;
}

#[actix_web::test]
async fn failures_before_the_exchange_place_nothing() {
    let sim = Simulator::start().await;
    sim.fault(json!({ "target": "bingx", "kind": "server_error", "status": 504 })).await;
    assert_eq!(market(&sim, "BUY", "0.01", "lost").await.status, 504);
    off(&sim).await;
    fault(&sim, "too_many_requests").await;
    let answer = market(&sim, "BUY", "0.01", "lost").await;
    assert_eq!((code(&answer), answer.header("retry-after")), (100_410, ""));
    off(&sim).await;
    assert_eq!(code(&query(&sim, "lost").await), 109_421);
    assert_eq!(accepted(&sim, "lost").await, 0);

    fault(&sim, "malformed").await;
    let answer = market(&sim, "BUY", "0.01", "halved").await;
    assert!(
        answer.text.starts_with("{\"code\":0") && serde_json::from_str::<Value>(&answer.text).is_err(),
        "{}",
        answer.text
    );
    off(&sim).await;
    assert_eq!(accepted(&sim, "halved").await, 1, "the order is placed, only its answer is cut");
    sim.stop().await;
}

#[actix_web::test]
async fn half_of_an_order_is_filled_and_the_rest_when_the_fault_is_over() {
    let sim = Simulator::start().await;
    fault(&sim, "partial_fill").await;
    data(market(&sim, "BUY", "0.03", "halves").await);
    let half = data(query(&sim, "halves").await)["order"].clone();
    assert_eq!((&half["status"], number(&half["executedQty"])), (&json!("PARTIALLY_FILLED"), dec!(0.015)));
    off(&sim).await;
    // Nobody asks the exchange itself: the rest comes by itself.
    let whole = eventually("the rest", async || {
        let control = sim.get("/control/bingx").await.ok();
        (control["orders"][0]["status"] == "FILLED").then(|| control["orders"][0].clone())
    })
    .await;
    assert_eq!(number(&whole["executed_quantity"]), dec!(0.03));
    let first = number(&half["avgPrice"]);
    let second = number(&whole["average_price"]) * dec!(2) - first;
    assert!(second > dec!(20000) && second < dec!(60000), "each half has a price of the market: {second}");
    sim.stop().await;
}

#[actix_web::test]
async fn orders_are_rejected_and_calls_refused() {
    let sim = Simulator::start().await;
    fault(&sim, "reject").await;
    data(market(&sim, "BUY", "0.01", "rejected").await);
    off(&sim).await;
    let order = data(query(&sim, "rejected").await)["order"].clone();
    assert_eq!((&order["status"], number(&order["executedQty"])), (&json!("REJECTED"), dec!(0)));

    fault(&sim, "insufficient_margin").await;
    assert_eq!(code(&market(&sim, "BUY", "0.0001", "poor").await), 101_204);
    data(query(&sim, "rejected").await);
    off(&sim).await;

    fault(&sim, "clock_skew").await;
    assert_eq!(code(&market(&sim, "BUY", "0.01", "late").await), 100_421);
    assert_eq!(code(&query(&sim, "rejected").await), 100_421);
    off(&sim).await;
    assert_eq!((accepted(&sim, "poor").await, accepted(&sim, "late").await), (0, 0));
    sim.stop().await;
}

#[actix_web::test]
async fn refusals_are_counted_by_what_their_body_says() {
    let sim = Simulator::start().await;
    fault(&sim, "too_many_requests").await;
    market(&sim, "BUY", "0.01", "counted").await;
    off(&sim).await;
    assert_eq!(code(&query(&sim, "counted").await), 109_421);
    data(call(&sim, Method::GET, "/openApi/swap/v2/user/balance", &[]).await);
    let metrics = telemetry::metrics::render().unwrap();
    for outcome in ["rate_limited", "client_error", "ok"] {
        let labels = ["target=\"bingx\"".to_owned(), format!("outcome=\"{outcome}\"")];
        let counted = |line: &str| {
            line.starts_with("simulator_requests_total") && labels.iter().all(|label| line.contains(label.as_str()))
        };
        assert!(metrics.lines().any(counted), "{outcome}: {metrics}");
    }
    let refused = sim.post("/control/faults", &json!({ "target": "llm", "kind": "reject", "duration_ms": 5 })).await;
    assert_eq!(refused.json["code"], "bad_fault");
    assert!(refused.json["detail"].as_str().unwrap().contains("clock_skew are for bingx"), "{}", refused.text);
    let description = sim.get("/openapi.json").await.ok();
    let kinds = description["components"]["schemas"]["FaultKind"].to_string();
    assert!(kinds.contains("accepted_then_drop"), "{kinds}");
    assert!(fields(&description["paths"]).contains(&"/control/bingx"));
    sim.stop().await;
}
