//! signal-service before a recording order-service.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use bus::BusSettings;
use serde_json::{Value, json};
use signal::Config;
use storage::testing::TestDatabase;
use url::Url;
use web::RunningServer;
use web::testing::{eventually, fake, ready};

/// A stand-in for order-service, of this test and nothing more: it speaks the contract of `POST /v1/signals`, writes down
/// what it is handed, and says no while told to.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Signals in the order in which they were executed, each once.
    executed: Vec<Value>,
    /// How often each came.
    times: HashMap<String, usize>,
    headers: Vec<HashMap<String, String>>,
    away: bool,
    /// Sender's order ids that are answered so.
    refused: Option<String>,
    invalid: Option<String>,
    /// Executes, and loses the answer of the first try.
    forgetful: bool,
}

impl Orders {
    pub(crate) fn start(&self) -> Url {
        let orders = self.clone();
        fake(move |request, body| {
            let orders = orders.clone();
            async move {
                if request.path() != "/v1/signals" || request.method() != "POST" {
                    return HttpResponse::Ok().finish();
                }
                let headers = request.headers().iter();
                let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
                orders.handle(&serde_json::from_slice(&body).unwrap(), headers.collect())
            }
        })
    }

    fn handle(&self, signal: &Value, headers: HashMap<String, String>) -> HttpResponse {
        let mut state = self.state.lock().unwrap();
        if state.away {
            return HttpResponse::ServiceUnavailable().finish();
        }
        // The contract, field by field.
        let read: domain::trading::Signal = serde_json::from_value(signal.clone()).unwrap();
        let id = read.signal_id.to_string();
        let said = |marked: &Option<String>| marked.is_some() && *marked == read.sender_order_id;
        if said(&state.invalid) {
            return HttpResponse::UnprocessableEntity().finish();
        }
        let times = state.times.entry(id.clone()).or_default();
        *times += 1;
        let first = *times == 1;
        if first {
            state.executed.push(signal.clone());
            state.headers.push(headers);
        }
        if first && state.forgetful {
            return HttpResponse::BadGateway().finish();
        }
        if said(&state.refused) {
            let refusal = json!({"code": "trading_halted", "detail": "Trading is halted."});
            return HttpResponse::Ok().json(json!({"signal_id": id, "result": "refused", "refusal": refusal}));
        }
        HttpResponse::Ok().json(json!({"signal_id": id, "result": "awaiting_confirmation", "replayed": !first}))
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    pub(crate) fn set_forgetful(&self) {
        self.state.lock().unwrap().forgetful = true;
    }

    /// An order id whose signals a limit refuses, and one whose signals are none.
    pub(crate) fn refuse(&self, refused: &str, invalid: &str) {
        let mut state = self.state.lock().unwrap();
        (state.refused, state.invalid) = (Some(refused.to_owned()), Some(invalid.to_owned()));
    }

    /// One field of what was executed, in order.
    pub(crate) fn executed(&self, field: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.executed.iter().map(|signal| signal[field].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn signals(&self) -> Vec<Value> {
        self.state.lock().unwrap().executed.clone()
    }

    pub(crate) fn headers(&self) -> Vec<HashMap<String, String>> {
        self.state.lock().unwrap().headers.clone()
    }

    pub(crate) fn times(&self, id: &str) -> usize {
        self.state.lock().unwrap().times.get(id).copied().unwrap_or_default()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A problem with a sentence.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{code}: {}", self.text);
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert!(body["detail"].as_str().unwrap().len() > 10, "{body}");
        body
    }
}

/// signal-service and its callers.
pub(crate) struct World {
    pub(crate) server: RunningServer,
    pub(crate) orders: Orders,
    pub(crate) config: Config,
    client: reqwest::Client,
}

impl World {
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, |_| {}).await
    }

    pub(crate) async fn start_with(database: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let orders = Orders::default();
        let mut config = Config::ephemeral(database.settings(), BusSettings::at(database.url()), orders.start());
        change(&mut config);
        let server = signal::start(config.clone()).await.unwrap();
        ready(&server).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, orders, config, client }
    }

    /// The same service once more, as after a restart.
    pub(crate) async fn restart(&mut self) {
        let server = signal::start(self.config.clone()).await.unwrap();
        std::mem::replace(&mut self.server, server).stop().await;
        ready(&self.server).await;
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let url = format!("http://{}{path}", self.server.addr());
        let request = self.client.request(method.parse().unwrap(), url).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        Answer { status: response.status().as_u16(), text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], Vec::new()).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
    }

    /// Makes a hook: its id and its path.
    pub(crate) async fn hook(&self, name: &str) -> (String, String) {
        let made = self.post_json("/v1/hooks", &json!({"name": name})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        (made["id"].as_str().unwrap().to_owned(), made["path"].as_str().unwrap().to_owned())
    }

    /// Sends an alert as text.
    pub(crate) async fn send(&self, path: &str, text: &str) -> Answer {
        self.call("POST", path, &[("content-type", "text/plain; charset=utf-8")], text.as_bytes().to_vec()).await
    }

    /// Sends an alert that must be taken: its status and id.
    pub(crate) async fn taken(&self, path: &str, text: &str) -> (String, String) {
        let answer = self.send(path, text).await;
        assert_eq!(answer.status, 200, "{text}: {}", answer.text);
        let receipt = answer.json();
        (receipt["status"].as_str().unwrap().to_owned(), receipt["signal_id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn signal(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/signals/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The signal once it stands so.
    pub(crate) async fn signal_is(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), async || {
            let signal = self.signal(id).await;
            (signal["status"] == status).then_some(signal)
        })
        .await
    }

    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
