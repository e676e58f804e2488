use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::support::{Simulator, eventually};

/// What a webhook got: the secret and the update.
type Delivery = (Option<String>, Value);

/// A bot's webhook that answers as told and remembers what came.
struct Hook {
    url: String,
    came: Arc<Mutex<Vec<Delivery>>>,
    handle: actix_web::dev::ServerHandle,
}

impl Hook {
    /// `answers` in turn; the last one for ever.
    fn start(answers: Vec<(u16, Value)>) -> Self {
        let came = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (came.clone(), Arc::new(answers));
        let server = HttpServer::new(move || {
            let (seen, answers) = (seen.clone(), answers.clone());
            let hook = move |request: HttpRequest, update: web::Json<Value>| {
                let secret = request
                    .headers()
                    .get("X-Telegram-Bot-Api-Secret-Token")
                    .map(|value| value.to_str().unwrap().to_owned());
                let mut seen = seen.lock().unwrap();
                let (status, body) = answers[seen.len().min(answers.len() - 1)].clone();
                seen.push((secret, update.into_inner()));
                async move { HttpResponse::build(status.try_into().unwrap()).json(body) }
            };
            App::new().route("/hook", web::post().to(hook))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}/hook", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, came, handle }
    }

    async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        eventually("deliveries", async || {
            let came = self.came.lock().unwrap();
            (came.len() >= count).then(|| came.clone())
        })
        .await
    }
}

#[actix_web::test]
async fn updates_are_posted_in_order_with_the_secret_and_again_until_taken() {
    let sim = Simulator::with(|config| config.webhook_retry_ms = 10).await;
    let inline = json!({"method":"sendMessage","chat_id":1001,"text":"answered inline"});
    let hook = Hook::start(vec![(500, Value::Null), (503, Value::Null), (200, inline), (200, json!({}))]);
    sim.say(1001, "one").await;
    sim.bot("setWebhook", json!({"url":hook.url,"secret_token":"s3cret_-"})).await.ok();
    sim.say(1001, "two").await;
    let came = hook.wait_for(4).await;
    let texts: Vec<&str> = came.iter().map(|(_, update)| update["message"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one", "one", "one", "two"]);
    assert!(came.iter().all(|(secret, _)| secret.as_deref() == Some("s3cret_-")));
    let info = eventually("an empty queue", async || {
        let info = sim.bot("getWebhookInfo", json!({})).await.ok()["result"].clone();
        (info["pending_update_count"] == 0).then_some(info)
    })
    .await;
    assert_eq!(
        (&info["url"], &info["last_error_message"]),
        (&json!(hook.url), &json!("Wrong response from the webhook: 503 Service Unavailable"))
    );
    assert_eq!(info["max_connections"], 40);
    let chat = sim.chat(1001).await;
    assert!(chat.iter().any(|message| message["text"] == "answered inline"), "{chat:?}");
    hook.handle.stop(false).await;
    sim.stop().await;
}

#[actix_web::test]
async fn a_dead_webhook_is_reported_and_a_new_one_gets_what_waited() {
    // So long a wait that only the new webhook can end it.
    let sim = Simulator::with(|config| config.webhook_retry_ms = 3_600_000).await;
    sim.bot("setWebhook", json!({"url":"http://127.0.0.1:1/hook"})).await.ok();
    sim.say(1001, "hello?").await;
    eventually("the error", async || {
        let info = sim.bot("getWebhookInfo", json!({})).await.ok();
        (info["result"]["last_error_message"] == "Connection refused").then_some(())
    })
    .await;
    let hook = Hook::start(vec![(200, json!({}))]);
    sim.bot("setWebhook", json!({"url":hook.url})).await.ok();
    let came = hook.wait_for(1).await;
    assert_eq!((&came[0].0, &came[0].1["message"]["text"]), (&None, &json!("hello?")));
    hook.handle.stop(false).await;
    sim.stop().await;
}

#[actix_web::test]
async fn bad_webhooks_are_refused() {
    let sim = Simulator::start().await;
    for (params, description) in [
        (
            json!({"url":"http://bot.example/hook"}),
            "Bad Request: bad webhook: An HTTPS URL must be provided for webhook",
        ),
        (json!({"url":"not a url"}), "Bad Request: invalid webhook URL specified"),
        (
            json!({"url":"https://bot.example/","secret_token":"no spaces"}),
            "Bad Request: secret token contains unallowed characters",
        ),
        (json!({"url":"https://bot.example/","secret_token":"x".repeat(257)}), "Bad Request: secret token is too long"),
    ] {
        let answer = sim.bot("setWebhook", params).await;
        assert_eq!(answer.json["description"], description);
    }
    let deleted = sim.bot("deleteWebhook", json!({})).await.ok();
    assert_eq!(deleted["description"], "Webhook is already deleted");
    assert_eq!(sim.bot("getWebhookInfo", json!({})).await.ok()["result"]["url"], "");
    sim.stop().await;
}

#[actix_web::test]
async fn pending_updates_can_be_dropped() {
    let sim = Simulator::start().await;
    sim.say(1001, "old").await;
    sim.bot("deleteWebhook", json!({"drop_pending_updates":true})).await.ok();
    assert_eq!(sim.bot("getUpdates", json!({})).await.ok()["result"], json!([]));
    sim.stop().await;
}
