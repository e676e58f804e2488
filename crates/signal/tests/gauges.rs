//! The gauges of what waits: a process's own, so that they have a test process of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpResponse;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::metric_values;
use web::testing::{eventually, fake, post, post_text, ready, url};

fn gauge(name: &str) -> Option<f64> {
    metric_values(name, &[]).first().copied()
}

#[actix_web::test]
async fn what_waits_is_counted_and_its_age_grows() {
    telemetry::testing::init();
    let database = TestDatabase::sqlite();
    let away = Arc::new(AtomicBool::new(true));
    let orders = fake({
        let away = Arc::clone(&away);
        move |_, body| {
            let away = away.load(Ordering::SeqCst);
            async move {
                let signal: Value = serde_json::from_slice(&body).unwrap_or_default();
                if away {
                    return HttpResponse::ServiceUnavailable().finish();
                }
                HttpResponse::Ok().json(json!({"signal_id": signal["signal_id"], "result": "ordered"}))
            }
        }
    });
    let server =
        signal::start(signal::Config::ephemeral(database.settings(), bus::BusSettings::at(database.url()), orders))
            .await
            .unwrap();
    ready(&server).await;
    let hook = post(&url(&server, "/v1/hooks"), &json!({"name": "gauges"})).await.json();
    let path = url(&server, hook["path"].as_str().unwrap());
    let (depth, age) = ("tvtelegrambingx_signal_queue_depth", "tvtelegrambingx_signal_oldest_age_seconds");
    eventually("nothing waits", async || (gauge(depth) == Some(0.0) && gauge(age) == Some(0.0)).then_some(())).await;
    for number in 0..3 {
        drop(post_text(&path, &[], &format!("ticker=BTCUSDT action=buy order_id={number}")).await.ok());
    }
    eventually("three wait", async || (gauge(depth) == Some(3.0)).then_some(())).await;
    let first = gauge(age).unwrap();
    eventually("the oldest gets older", async || gauge(age).filter(|age| *age > first)).await;
    away.store(false, Ordering::SeqCst);
    eventually("nothing waits any more", async || (gauge(depth) == Some(0.0) && gauge(age) == Some(0.0)).then_some(()))
        .await;
    assert_eq!(metric_values("tvtelegrambingx_signals_executed_total", &[("result", "ordered")]), [3.0]);
    server.stop().await;
}
