//! The services of a test, started on free ports, and the simulated people of Telegram.

use notifier::Config;
use secrecy::SecretString;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::RunningServer;
pub(crate) use web::testing::{Reply, eventually, get, post, post_text, ready, url};

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
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, |_config| {}).await
    }

    /// Starts everything and waits until prices are there and the bot is.
    pub(crate) async fn start_with(database: &TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        telemetry::testing::init();
        let simulator = Simulator::start().await;
        let ws_url = simulator.url("").replace("http://", "ws://");
        let market_data =
            market_data::start(market_data::Config::ephemeral(&simulator.url(""), &ws_url).unwrap()).await.unwrap();
        let decision = decision::start(decision::Config::ephemeral()).await.unwrap();
        let mut config = Config::ephemeral(market_data.base_url().as_str(), decision.base_url().as_str()).unwrap();
        simulator.give_bot(&mut config, database);
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

/// Waits until the service's database is there, whoever else is not.
pub(crate) async fn database_ready(server: &RunningServer) {
    eventually("the database", || async {
        let health = get(&url(server, "/health/ready")).await.json();
        let checks = health["checks"].as_array().cloned().unwrap_or_default();
        checks.iter().any(|check| check["name"] == "database" && check["status"] == "ok").then_some(())
    })
    .await;
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

    /// Puts the simulated bot's token and address into the settings, its database, and Alice on the list.
    pub(crate) fn give_bot(&self, config: &mut Config, database: &TestDatabase) {
        config.database = database.settings();
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
