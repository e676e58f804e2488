//! Paper orders at somebody else's prices: those of market-data-service.

use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use domain::{PriceQuote, PriceSource};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::json;

use crate::bingx::{code, data, limit, market, number, query};
use crate::support::{Simulator, eventually};

/// A market-data-service for BTCUSDT, whose price a test sets; without one it has none.
async fn with_prices(price: &Arc<Mutex<Option<Decimal>>>) -> Simulator {
    let price = price.clone();
    let url = web::testing::fake(move |request: HttpRequest, _| {
        let price = *price.lock().unwrap();
        async move {
            let Some(symbol) = request.path().strip_prefix("/v1/prices/") else {
                return HttpResponse::NotFound().finish();
            };
            if symbol != "BTCUSDT" {
                return HttpResponse::NotFound().finish();
            }
            let Some(price) = price else { return HttpResponse::ServiceUnavailable().finish() };
            HttpResponse::Ok().json(PriceQuote {
                symbol: symbol.parse().unwrap(),
                price,
                observed_at: Utc::now(),
                age_ms: 1,
                source: PriceSource::Stream,
                trace_id: None,
            })
        }
    });
    Simulator::with(|config| config.bingx_price_url = Some(url)).await
}

#[actix_web::test]
async fn orders_are_filled_at_the_prices_of_market_data() {
    let price = Arc::new(Mutex::new(Some(dec!(104250.55))));
    let sim = with_prices(&price).await;
    data(market(&sim, "BUY", "0.02", "real").await);
    let order = data(query(&sim, "real").await)["order"].clone();
    assert_eq!((number(&order["avgPrice"]), number(&order["commission"])), (dec!(104250.55), dec!(-1.0425055)));

    // A limit order waits for its price, with nobody asking, and pays the maker's fee.
    data(limit(&sim, "SELL", "0.02", "105000", "profit").await);
    assert_eq!(data(query(&sim, "profit").await)["order"]["status"], "PENDING");
    *price.lock().unwrap() = Some(dec!(105001));
    let sold = eventually("the price to be crossed", async || {
        let control = sim.get("/control/bingx").await.ok();
        (control["orders"][0]["status"] == "FILLED").then(|| control.clone())
    })
    .await;
    let order = &sold["orders"][0];
    assert_eq!((number(&order["average_price"]), number(&order["fee"])), (dec!(105000), dec!(0.42)));
    assert_eq!(number(&order["realised_profit"]), dec!(14.989));
    assert_eq!(number(&sold["account"]["balance"]), dec!(10000) - dec!(1.0425055) + dec!(14.989) - dec!(0.42));
    assert!(sold["price_source"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    sim.stop().await;
}

#[actix_web::test]
async fn without_a_price_nothing_is_filled() {
    let price = Arc::new(Mutex::new(None));
    let sim = with_prices(&price).await;
    let answer = market(&sim, "BUY", "0.02", "blind").await;
    assert_eq!((answer.status.as_u16(), &answer.json["code"]), (503, &json!(100_500)));
    assert_eq!(code(&query(&sim, "blind").await), 109_421);
    *price.lock().unwrap() = Some(dec!(100));
    // The same order, now that there is a price. (Calls for prices may still be held back for a moment.)
    eventually("a price", async || (market(&sim, "BUY", "0.02", "blind").await.json["code"] == 0).then_some(())).await;
    let unknown =
        [("symbol", "ETH-USDT"), ("side", "BUY"), ("positionSide", "BOTH"), ("type", "MARKET"), ("quantity", "1")];
    let answer = crate::bingx::call(&sim, awc::http::Method::POST, crate::bingx::ORDER, &unknown).await;
    assert_eq!(code(&answer), 109_425, "market-data-service does not know it");
    sim.stop().await;
}
