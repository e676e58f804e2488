//! Alerts: from a fault over the rules of Prometheus and Alertmanager's route to a receiver, and back.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

use crate::stack::{Stack, root};
use crate::wait::until;

type Told = Arc<Mutex<Vec<Value>>>;

/// Somebody who wants to be told: a webhook that keeps what Alertmanager posts. On a thread of its own; ends when dropped.
pub(crate) struct Receiver {
    url: String,
    told: Told,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let told = Told::default();
        let keep = Data::from(told.clone());
        let (tell, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || App::new().app_data(keep.clone()).route("/alerts", post().to(take));
                let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
                let url = format!("http://{}/alerts", server.addrs()[0]);
                let server = server.run();
                tell.send((url, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (url, server) = started.recv().unwrap();
        Self { url, told, server, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// An alert of this name and symbol that it was told of in this state, the last one first.
    fn told_of(&self, name: &str, symbol: &str, status: &str) -> Option<Value> {
        let told = self.told.lock().unwrap();
        let alerts = told.iter().rev().flat_map(|message| message["alerts"].as_array().cloned().unwrap_or_default());
        let mut wanted = alerts.filter(|alert| {
            let labels = &alert["labels"];
            labels["alertname"] == name && labels["symbol"] == symbol && alert["status"] == status
        });
        wanted.next()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The order to stop is given by the call; what it returns only waits, and so does the thread's end.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // Its only failure is to have panicked, which has been told already.
            let _ = thread.join();
        }
    }
}

async fn take(told: Data<Mutex<Vec<Value>>>, message: Json<Value>) -> HttpResponse {
    told.lock().unwrap().push(message.into_inner());
    HttpResponse::Ok().finish()
}

/// No price comes any more: Prometheus fires, Alertmanager has it, its receiver is told; and told again when it is over.
pub(crate) fn price_stale(stack: &Stack) {
    let faults = stack.url("SIMULATOR_PORT", "/control/faults");
    for (target, kind) in [("binance_rest", "server_error"), ("binance_ws", "drop")] {
        let fault = json!({"target": target, "kind": kind, "duration_ms": 120_000});
        assert!(stack.http.post(&faults).json(&fault).send().unwrap().status().is_success());
    }
    let fired =
        until("the receiver is told that a price is stale", || stack.alerts.told_of("PriceStale", "BTCUSDT", "firing"));
    assert_eq!(fired["labels"]["severity"], "critical", "{fired:#}");
    let runbook = fired["annotations"]["runbook"].as_str().unwrap();
    assert!(root().join(runbook).is_file(), "{runbook} is not there: {fired:#}");
    // A message leads back to who can be asked.
    let prometheus = stack.url("PROMETHEUS_PORT", "/graph");
    assert!(fired["generatorURL"].as_str().unwrap().starts_with(&prometheus), "{fired:#}");
    let alerts = stack.json(&stack.url("ALERTMANAGER_PORT", "/api/v2/alerts"), &[]).unwrap();
    let held = alerts.as_array().unwrap().iter().find(|alert| {
        alert["labels"]["alertname"] == "PriceStale"
            && alert["labels"]["symbol"] == "BTCUSDT"
            && alert["status"]["state"] == "active"
            && alert["receivers"][0]["name"] == "platform"
    });
    assert!(held.is_some(), "{alerts:#}");
    // A page of somebody else in a browser here must be able neither to read alerts nor to silence them.
    let alerts = stack.url("ALERTMANAGER_PORT", "/api/v2/alerts");
    let foreign = stack.http.get(alerts).header("origin", "http://elsewhere.example").send().unwrap();
    assert!(!foreign.headers().contains_key("access-control-allow-origin"), "{foreign:?}");

    assert!(stack.http.delete(&faults).send().unwrap().status().is_success());
    until("the receiver is told that it is over", || stack.alerts.told_of("PriceStale", "BTCUSDT", "resolved"));
    until("asks are answered again", || (stack.ask(&json!({"symbols": ["BTCUSDT"]})).0 == 200).then_some(()));
}
