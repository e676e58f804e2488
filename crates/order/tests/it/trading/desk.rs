//! Everything that trading meets, and what tests ask of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use order::trading::TradingSettings;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use url::Url;
use web::RunningServer;
use web::testing::{Reply, call, eventually, fake, get, post, ready, url};

use crate::world::audit_service;

/// Whoever tells people: keeps what it was told, unless it is away.
#[derive(Clone, Default)]
pub(crate) struct Notices {
    told: Arc<Mutex<Vec<Value>>>,
    pub(crate) away: Arc<AtomicBool>,
}

impl Notices {
    pub(crate) fn start(&self) -> Url {
        let notices = self.clone();
        fake(move |request, body| {
            let notices = notices.clone();
            async move {
                if notices.away.load(Ordering::SeqCst) {
                    return HttpResponse::ServiceUnavailable().finish();
                }
                assert_eq!(request.path(), "/v1/notices");
                notices.told.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                HttpResponse::Ok().finish()
            }
        })
    }

    /// What was told of an order, a signal or the state, in the order in which it came.
    pub(crate) fn of(&self, id: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|notice| notice["notice_id"].as_str().unwrap().contains(id)).cloned().collect()
    }
}

/// The simulated market and exchange, audit-service, and whoever tells people.
pub(crate) struct Desk {
    pub(crate) simulator: RunningServer,
    pub(crate) market_data: RunningServer,
    pub(crate) audit: RunningServer,
    pub(crate) notices: Notices,
    notices_url: Url,
}

impl Desk {
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        telemetry::testing::init();
        let mut config = simulator::Config::ephemeral();
        config.bingx_orders_per_second = 1_000;
        let simulator = simulator::start(config).await.unwrap();
        let address = format!("http://{}", simulator.addr());
        let config = market_data::Config::ephemeral(&address, &address.replace("http://", "ws://")).unwrap();
        let market_data = market_data::start(config).await.unwrap();
        ready(&market_data).await;
        let notices = Notices::default();
        let notices_url = notices.start();
        Self { simulator, market_data, audit: audit_service(database).await, notices, notices_url }
    }

    /// Usual settings, with everybody told.
    pub(crate) fn settings(&self) -> TradingSettings {
        let mut settings = TradingSettings::ephemeral(self.simulator.base_url());
        settings.notifier_url = self.notices_url.as_str().parse().unwrap();
        settings.audit_url = self.audit.base_url().as_str().parse().unwrap();
        settings
    }

    /// A process with these settings.
    pub(crate) async fn order_service(&self, database: &TestDatabase, settings: TradingSettings) -> RunningServer {
        let mut config = order::Config::ephemeral(database.settings(), self.market_data.base_url(), None);
        config.trading = settings;
        let server = order::start(config).await.unwrap();
        ready(&server).await;
        server
    }

    /// A process with the usual settings, changed.
    pub(crate) async fn with(
        &self,
        database: &TestDatabase,
        change: impl FnOnce(&mut TradingSettings),
    ) -> RunningServer {
        let mut settings = self.settings();
        change(&mut settings);
        self.order_service(database, settings).await
    }

    /// Switches a fault on, until it is switched off.
    pub(crate) async fn fault(&self, mut fault: Value) {
        fault["duration_ms"] = json!(600_000);
        let reply = post(&url(&self.simulator, "/control/faults"), &fault).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }

    pub(crate) async fn bingx_fault(&self, kind: &str) {
        self.fault(json!({"target": "bingx", "kind": kind})).await;
    }

    pub(crate) async fn faults_off(&self) {
        drop(call("DELETE", &url(&self.simulator, "/control/faults")).await.ok());
    }

    /// The account, as the exchange itself has it.
    pub(crate) async fn exchange(&self) -> Value {
        get(&url(&self.simulator, "/control/bingx")).await.ok()
    }

    /// How often an order came to the exchange, and how many it made of it.
    pub(crate) async fn seen(&self, id: &str) -> (u64, u64) {
        let seen = self.exchange().await["client_order_ids"][id].clone();
        (seen["received"].as_u64().unwrap_or_default(), seen["accepted"].as_u64().unwrap_or_default())
    }

    /// What the trail has about a signal or an order, oldest first.
    pub(crate) async fn trail(&self, id: &str) -> Vec<Value> {
        let page = get(&url(&self.audit, &format!("/v1/events?limit=200&decision_id={id}"))).await.ok();
        page["items"].as_array().unwrap().iter().rev().cloned().collect()
    }

    pub(crate) async fn stop(self) {
        self.audit.stop().await;
        self.market_data.stop().await;
        self.simulator.stop().await;
    }
}

/// A fresh signal: 0.001 BTC at the market's price.
pub(crate) fn signal(action: &str) -> Value {
    json!({
        "signal_id": uuid::Uuid::new_v4().simple().to_string(), "source": "tradingview", "hook": "main",
        "symbol": "BTCUSDT", "action": action, "quantity": "0.001", "comment": "golden cross",
        "received_at": chrono::Utc::now(),
    })
}

/// The same with something else in it.
pub(crate) fn signal_with(action: &str, change: Value) -> Value {
    let mut signal = signal(action);
    for (name, value) in change.as_object().unwrap() {
        signal[name] = value.clone();
    }
    signal
}

pub(crate) fn id_of(signal: &Value) -> String {
    signal["signal_id"].as_str().unwrap().to_owned()
}

pub(crate) async fn send(server: &RunningServer, signal: &Value) -> Reply {
    post(&url(server, "/v1/signals"), signal).await
}

/// Sends a signal until there is an outcome, as signal-service does.
pub(crate) async fn deliver(server: &RunningServer, signal: &Value) -> Value {
    eventually("the signal has an outcome", async || {
        let reply = send(server, signal).await;
        assert!(reply.status == 200 || reply.status == 503, "{}", reply.text);
        (reply.status == 200).then(|| reply.json())
    })
    .await
}

pub(crate) async fn order(server: &RunningServer, id: &str) -> Value {
    get(&url(server, &format!("/v1/trading/orders/{id}"))).await.ok()
}

/// Waits until an order stands there.
pub(crate) async fn comes_to(server: &RunningServer, id: &str, status: &str) -> Value {
    eventually(&format!("order {id} is {status}"), async || {
        let reply = get(&url(server, &format!("/v1/trading/orders/{id}"))).await;
        (reply.status == 200 && reply.json()["status"] == status).then(|| reply.json())
    })
    .await
}

/// The statuses that an order had.
pub(crate) fn statuses(order: &Value) -> Vec<String> {
    let history = order["history"].as_array().unwrap();
    history.iter().map(|step| step["to"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn put_state(server: &RunningServer, state: &str) -> Value {
    let body = json!({"state": state, "by": "telegram:1001", "reason": "a test"});
    put(server, "/v1/trading/state", &body).await.ok()
}

pub(crate) async fn state(server: &RunningServer) -> Value {
    get(&url(server, "/v1/trading/state")).await.ok()
}

/// PUT of a JSON body.
pub(crate) async fn put(server: &RunningServer, path: &str, body: &Value) -> Reply {
    web::testing::put(&url(server, path), body).await
}

/// Somebody decides about an order.
pub(crate) async fn decide(server: &RunningServer, id: &str, decision: &str) -> Reply {
    let body = json!({"by": "telegram:1001"});
    post(&url(server, &format!("/v1/trading/orders/{id}/{decision}")), &body).await
}
