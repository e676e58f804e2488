//! order-service between market-data-service on the simulator, and audit-service.

use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use url::Url;
use web::RunningServer;
use web::testing::{fake, get, ready, url};

/// The simulated exchange and the service that reads it.
pub(crate) struct Market {
    pub(crate) simulator: RunningServer,
    pub(crate) market_data: RunningServer,
}

impl Market {
    pub(crate) async fn start() -> Self {
        telemetry::testing::init();
        let simulator = simulator::start(simulator::Config::ephemeral()).await.unwrap();
        let address = format!("http://{}", simulator.addr());
        let config = market_data::Config::ephemeral(&address, &address.replace("http://", "ws://")).unwrap();
        let market_data = market_data::start(config).await.unwrap();
        ready(&market_data).await;
        Self { simulator, market_data }
    }

    pub(crate) async fn stop(self) {
        self.market_data.stop().await;
        self.simulator.stop().await;
    }
}

pub(crate) async fn order_service(database: &TestDatabase, market: &Market, next: Option<Url>) -> RunningServer {
    let config = order::Config::ephemeral(database.settings(), market.market_data.base_url(), next);
    let server = order::start(config).await.unwrap();
    ready(&server).await;
    server
}

pub(crate) async fn audit_service(database: &TestDatabase) -> RunningServer {
    let server = audit::start(audit::Config::ephemeral(database.settings(), None)).await.unwrap();
    ready(&server).await;
    server
}

/// A stand-in for the next service that writes down which actions it was handed, in order, and says no while told to.
#[derive(Clone, Default)]
pub(crate) struct Next {
    pub(crate) handed: Arc<Mutex<Vec<String>>>,
    pub(crate) away: Arc<std::sync::atomic::AtomicBool>,
    /// An action that it refuses for good, and one that it cannot take now.
    pub(crate) refused: Arc<Mutex<String>>,
    pub(crate) failing: Arc<Mutex<String>>,
}

impl Next {
    pub(crate) fn start(&self) -> Url {
        let next = self.clone();
        fake(move |request, body| {
            let next = next.clone();
            async move {
                if request.path() != "/process" {
                    return HttpResponse::Ok().finish();
                }
                if next.away.load(std::sync::atomic::Ordering::SeqCst) {
                    return HttpResponse::ServiceUnavailable().finish();
                }
                let handed: Value = serde_json::from_slice(&body).unwrap_or_default();
                let action = handed["action"].as_str().unwrap_or_default().to_owned();
                if *next.refused.lock().unwrap() == action {
                    return HttpResponse::UnprocessableEntity().finish();
                }
                if *next.failing.lock().unwrap() == action {
                    return HttpResponse::ServiceUnavailable().finish();
                }
                next.handed.lock().unwrap().push(action);
                HttpResponse::Ok().json(json!({"parts": [{
                    "service": "stand-in", "status": "done", "worked_ms": 0, "data": {"context": handed["context"]},
                }]}))
            }
        })
    }

    pub(crate) fn handed(&self) -> Vec<String> {
        self.handed.lock().unwrap().clone()
    }
}

pub(crate) fn order_of(reply: &Value) -> &Value {
    &reply["parts"][0]["data"]["order"]
}

pub(crate) async fn rows(server: &RunningServer, path: &str) -> Vec<Value> {
    get(&url(server, path)).await.ok()["items"].as_array().unwrap().clone()
}
