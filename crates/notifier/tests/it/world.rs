//! The services of a test, started on free ports, and the simulated people of Telegram.

use std::future::Future;
use std::time::{Duration, Instant};

use notifier::Config;
use secrecy::SecretString;
use serde_json::{Value, json};
use web::RunningServer;

/// The one whom the bot answers.
pub(crate) const ALICE: i64 = 1001;
/// The one whom it does not.
pub(crate) const MALLORY: i64 = 1002;

/// Simulator, market-data-service, decision-service and notifier-service with its bot.
pub(crate) struct World {
    pub(crate) notifier: RunningServer,
    pub(crate) simulator: Simulator,
    market_data: RunningServer,
    decision: RunningServer,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_config| {}).await
    }

    /// Starts everything and waits until prices are there and the bot is.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let simulator = Simulator::start().await;
        let ws_url = simulator.url("").replace("http://", "ws://");
        let market_data =
            market_data::start(market_data::Config::ephemeral(&simulator.url(""), &ws_url).unwrap()).await.unwrap();
        let decision = decision::start(decision::Config::ephemeral()).await.unwrap();
        let mut config = Config::ephemeral(market_data.base_url().as_str(), decision.base_url().as_str()).unwrap();
        simulator.give_bot(&mut config);
        change(&mut config);
        let notifier = notifier::start(config).await.unwrap();
        ready(&market_data).await;
        ready(&notifier).await;
        Self { notifier, simulator, market_data, decision }
    }

    pub(crate) async fn stop(self) {
        self.notifier.stop().await;
        self.decision.stop().await;
        self.market_data.stop().await;
        self.simulator.stop().await;
    }
}

/// The simulated Telegram and Binance.
pub(crate) struct Simulator {
    server: RunningServer,
}

impl Simulator {
    pub(crate) async fn start() -> Self {
        let server = simulator::start(simulator::Config::ephemeral()).await.unwrap();
        Self { server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    /// Puts the simulated bot's token and address into the settings, and Alice on the list.
    pub(crate) fn give_bot(&self, config: &mut Config) {
        config.telegram.api_url = self.server.base_url();
        config.telegram.bot_token = Some(SecretString::from(simulator::DEFAULT_BOT_TOKEN));
        config.telegram.allowed_user_ids = ALICE.to_string().parse().unwrap();
    }

    pub(crate) async fn say(&self, user_id: i64, text: &str) {
        self.update(&json!({"user_id": user_id, "text": text})).await;
    }

    pub(crate) async fn press(&self, user_id: i64, message: &Value, callback_data: &str) {
        self.update(&json!({"user_id": user_id, "callback_data": callback_data, "message_id": message["message_id"]}))
            .await;
    }

    async fn update(&self, update: &Value) {
        let reply = post(&self.url("/control/telegram/updates"), update).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }

    pub(crate) async fn fault(&self, fault: &Value) {
        let reply = post(&self.url("/control/faults"), fault).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }

    pub(crate) async fn heal(&self) {
        let response = reqwest::Client::new().delete(self.url("/control/faults")).send().await.unwrap();
        assert!(response.status().is_success());
    }

    /// What the bot sent, oldest first.
    pub(crate) async fn messages(&self, chat_id: i64) -> Vec<Value> {
        let reply = get(&self.url(&format!("/control/telegram/chats/{chat_id}/messages"))).await;
        reply.json()["messages"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn chat(&self, chat_id: i64) -> Value {
        get(&self.url(&format!("/control/telegram/chats/{chat_id}/messages"))).await.json()
    }

    /// Waits until the bot has sent so many messages.
    pub(crate) async fn wait_for(&self, chat_id: i64, count: usize) -> Vec<Value> {
        eventually(&format!("{count} messages"), || async {
            let messages = self.messages(chat_id).await;
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    /// Says something and waits for the bot's next message.
    pub(crate) async fn ask(&self, text: &str) -> Value {
        let before = self.messages(ALICE).await.len();
        self.say(ALICE, text).await;
        self.wait_for(ALICE, before + 1).await.swap_remove(before)
    }

    /// What Telegram knows about the webhook.
    pub(crate) async fn webhook_info(&self) -> Value {
        let method = self.url(&format!("/bot{}/getWebhookInfo", simulator::DEFAULT_BOT_TOKEN));
        post(&method, &json!({})).await.json()["result"].take()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// A reply with what tests look at.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a problem and gives its body.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert!(body["detail"].as_str().unwrap().len() > 10, "no sentence for people: {body}");
        body
    }
}

pub(crate) async fn get(url: &str) -> Reply {
    Reply::of(reqwest::get(url).await.unwrap()).await
}

pub(crate) async fn post(url: &str, body: &Value) -> Reply {
    Reply::of(reqwest::Client::new().post(url).json(body).send().await.unwrap()).await
}

pub(crate) async fn post_text(url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = reqwest::Client::new().post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Reply::of(request.send().await.unwrap()).await
}

pub(crate) fn url(server: &RunningServer, path: &str) -> String {
    format!("http://{}{path}", server.addr())
}

/// Waits until a service says that it is ready.
pub(crate) async fn ready(server: &RunningServer) {
    let address = url(server, "/health/ready");
    eventually(&format!("{address} ready"), || async { (get(&address).await.status == 200).then_some(()) }).await;
}

/// Waits for a condition.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
