//! A Telegram that writes down every call, for groups, answers and presses that the simulator does not have: the bot is
//! called by webhook.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use notifier::{Config, TelegramMode};
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use web::RunningServer;

use crate::world::{Reply, database_ready, eventually, post_text, url};

/// Who may what.
pub(crate) const VIEWER: i64 = 2001;
pub(crate) const TRADER: i64 = 2002;
pub(crate) const ADMIN: i64 = 2003;
pub(crate) const STRANGER: i64 = 2999;
/// A group that all of them are in.
pub(crate) const GROUP: i64 = -100_200;

const SECRET: &str = "correct-horse_battery";
const HEADER: &str = "x-telegram-bot-api-secret-token";

#[derive(Clone, Default)]
pub(crate) struct Telegraph {
    /// Method and parameters; of a form what could be read of it.
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    away: Arc<AtomicBool>,
    /// Updates that wait for somebody who polls, from number 1.
    waiting: Arc<Mutex<Vec<Value>>>,
    last_update: Arc<AtomicI64>,
}

impl Telegraph {
    /// Starts it and puts it into the settings.
    pub(crate) fn give(&self, config: &mut Config, database: &TestDatabase) {
        let telegraph = self.clone();
        let url = web::testing::fake(move |request, body| {
            let answer = telegraph.answer(request.path(), &body);
            async move { answer }
        });
        config.database = database.settings();
        config.telegram.api_url = url;
        config.telegram.bot_token = Some("1:x".to_owned().into());
        config.telegram.mode = TelegramMode::Webhook;
        config.telegram.webhook_url = Some("https://bot.example.com/telegram/webhook".parse().unwrap());
        config.telegram.webhook_secret = Some(SECRET.to_owned().into());
        config.telegram.allowed_user_ids = VIEWER.to_string().parse().unwrap();
        config.telegram.trader_user_ids = TRADER.to_string().parse().unwrap();
        config.telegram.admin_user_ids = ADMIN.to_string().parse().unwrap();
    }

    fn answer(&self, path: &str, body: &[u8]) -> HttpResponse {
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        if self.away.load(Ordering::SeqCst) && (method.starts_with("send") || method.starts_with("edit")) {
            return HttpResponse::BadGateway().finish();
        }
        let params = serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
        let mut calls = self.calls.lock().unwrap();
        calls.push((method.clone(), params));
        let result = match method.as_str() {
            "getMe" => json!({"id": 1, "is_bot": true, "first_name": "B", "username": "b_bot"}),
            "sendMessage" | "sendPhoto" | "editMessageText" => {
                json!({"message_id": calls.len(), "date": 1, "chat": {"id": 1, "type": "private"}})
            }
            "getUpdates" => {
                let offset = calls.last().and_then(|(_, params)| params["offset"].as_i64()).unwrap_or_default();
                let waiting = self.waiting.lock().unwrap();
                waiting.iter().filter(|update| update["update_id"].as_i64().unwrap() >= offset).cloned().collect()
            }
            _ => json!(true),
        };
        HttpResponse::Ok().json(json!({"ok": true, "result": result}))
    }

    /// Keeps an update for whoever polls.
    pub(crate) fn wait(&self, mut update: Value) {
        let mut waiting = self.waiting.lock().unwrap();
        let number = waiting.len() + 1;
        update["update_id"] = json!(number);
        update["message"]["message_id"] = json!(number);
        waiting.push(update);
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The parameters of every call of a method, and the id that its message has.
    pub(crate) fn calls(&self, method: &str) -> Vec<(i64, Value)> {
        let calls = self.calls.lock().unwrap();
        let numbered = calls.iter().zip(1_i64..).filter(|((called, _), _)| called == method);
        numbered.map(|((_, params), number)| (number, params.clone())).collect()
    }

    /// Texts that were sent or edited in a chat, oldest first.
    pub(crate) fn texts(&self, chat_id: i64) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let said = calls.iter().filter(|(method, params)| {
            ["sendMessage", "editMessageText"].contains(&method.as_str()) && params["chat_id"] == chat_id
        });
        said.map(|(_, params)| params["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for the n-th text in a chat.
    pub(crate) async fn text(&self, chat_id: i64, count: usize) -> String {
        eventually(&format!("{count} texts in {chat_id}"), || async {
            let texts = self.texts(chat_id);
            (texts.len() >= count).then(|| texts[count - 1].clone())
        })
        .await
    }

    /// Calls the bot with an update.
    pub(crate) async fn hand(&self, notifier: &RunningServer, mut update: Value) -> Reply {
        if update["update_id"].is_null() {
            update["update_id"] = json!(self.last_update.fetch_add(1, Ordering::SeqCst) + 1);
        }
        post_text(&url(notifier, "/telegram/webhook"), &[(HEADER, SECRET)], &update.to_string()).await
    }

    /// A person writes in a chat; the bot's next text there.
    pub(crate) async fn say(&self, notifier: &RunningServer, user_id: i64, chat_id: i64, text: &str) -> String {
        let before = self.texts(chat_id).len();
        let reply = self.hand(notifier, message(user_id, chat_id, text)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        self.text(chat_id, before + 1).await
    }

    /// A person presses a button under a message; what they are told in the answer to the press.
    pub(crate) async fn press(
        &self,
        notifier: &RunningServer,
        user_id: i64,
        (chat_id, message_id): (i64, i64),
        data: &str,
    ) -> Option<String> {
        let before = self.calls("answerCallbackQuery").len();
        let update = json!({"callback_query": {
            "id": format!("press {before} of {user_id}"), "chat_instance": "1", "data": data,
            "from": {"id": user_id, "is_bot": false, "first_name": "P"},
            "message": {"message_id": message_id, "date": 1, "chat": chat(chat_id), "text": "the message"},
        }});
        assert_eq!(self.hand(notifier, update).await.status, 200);
        let answers = self.calls("answerCallbackQuery");
        assert_eq!(answers.len(), before + 1, "every press is answered, once");
        answers.last().unwrap().1["text"].as_str().map(str::to_owned)
    }
}

fn chat(id: i64) -> Value {
    if id < 0 { json!({"id": id, "type": "supergroup", "title": "G"}) } else { json!({"id": id, "type": "private"}) }
}

pub(crate) fn message(user_id: i64, chat_id: i64, text: &str) -> Value {
    json!({"message": {
        "message_id": 7, "date": 1_700_000_000, "text": text, "chat": chat(chat_id),
        "from": {"id": user_id, "is_bot": false, "first_name": "P"},
    }})
}

/// `callback_data` of the buttons under a message.
pub(crate) fn buttons(params: &Value) -> Vec<String> {
    let rows = params["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let buttons = rows.iter().flat_map(|row| row.as_array().unwrap());
    buttons.map(|button| button["callback_data"].as_str().unwrap().to_owned()).collect()
}

/// notifier-service on this Telegram; its database is there and the bot is known.
pub(crate) async fn notifier(config: Config, telegraph: &Telegraph) -> RunningServer {
    telemetry::testing::init();
    let registered = telegraph.calls("setWebhook").len();
    let notifier = notifier::start(config).await.unwrap();
    database_ready(&notifier).await;
    eventually("the webhook", || async { (telegraph.calls("setWebhook").len() > registered).then_some(()) }).await;
    notifier
}
