//! Webhook mode: Telegram's calls, and everybody else's.

use std::time::Duration;

use notifier::TelegramMode;
use serde_json::json;
use storage::testing::TestDatabase;

use crate::scripted::{Script, Scripted, market_data};
use crate::world::{ALICE, Simulator, World, eventually, get, post, post_text, ready, url};

const SECRET: &str = "correct-horse_battery";
const HEADER: &str = "x-telegram-bot-api-secret-token";

/// A world whose bot waits for calls. The registered address leads nowhere: the tests call the service themselves.
async fn world(database: &TestDatabase) -> World {
    World::start_with(database, |config| {
        config.telegram.mode = TelegramMode::Webhook;
        config.telegram.webhook_url = Some("https://bot.example.com/telegram/webhook".parse().unwrap());
        config.telegram.webhook_secret = Some(SECRET.to_owned().into());
    })
    .await
}

fn update(id: u64, text: &str) -> String {
    json!({"update_id": id, "message": {
        "message_id": id, "date": 1_700_000_000, "text": text,
        "chat": {"id": ALICE, "type": "private"}, "from": {"id": ALICE, "is_bot": false, "first_name": "Alice"}
    }})
    .to_string()
}

pub(crate) async fn only_telegram_is_heard(database: TestDatabase) {
    let world = world(&database).await;
    let address = url(&world.notifier, "/telegram/webhook");
    let problem = post_text(&address, &[(HEADER, "wrong")], &update(1, "btc?")).await.problem(401, "unauthorized");
    let missing = post_text(&address, &[], &update(2, "btc?")).await.problem(401, "unauthorized");
    assert_eq!(problem["detail"], missing["detail"]);
    for almost in ["correct-horse_batter", "correct-horse_batteryx", ""] {
        assert_eq!(post_text(&address, &[(HEADER, almost)], "{").await.status, 401, "{almost}");
    }
    world.stop().await;
}

pub(crate) async fn an_update_is_answered_once_and_poison_is_swallowed(database: TestDatabase) {
    let world = world(&database).await;
    let telegram = &world.simulator;
    let address = url(&world.notifier, "/telegram/webhook");
    let registered = eventually("the webhook's registration", || async {
        let info = telegram.webhook_info().await;
        (info["url"] == "https://bot.example.com/telegram/webhook").then_some(info)
    })
    .await;
    assert_eq!(registered["allowed_updates"], json!(["message", "callback_query"]));

    let secret = [(HEADER, SECRET)];
    for poison in [
        json!({"update_id": 10, "hologram": {"shape": "unknown"}}).to_string(),
        json!({"update_id": 11, "message": {"message_id": "text", "chat": 7}}).to_string(),
        json!({"update_id": 12}).to_string(),
    ] {
        assert_eq!(post_text(&address, &secret, &poison).await.status, 200, "{poison}");
    }
    assert_eq!(post_text(&address, &secret, "no JSON").await.status, 400);
    assert_eq!(post_text(&address, &secret, "{}").await.status, 400);

    let before = telegram.messages(ALICE).await.len();
    for _ in 0..3 {
        assert_eq!(post_text(&address, &secret, &update(20, "btc?")).await.status, 200);
    }
    assert_eq!(post_text(&address, &secret, &update(21, "/help")).await.status, 200);
    let messages = telegram.wait_for(ALICE, before + 2).await;
    assert!(messages[before]["text"].as_str().unwrap().contains("BTCUSDT"), "{messages:?}");
    assert!(messages[before + 1]["text"].as_str().unwrap().contains("/ask BTC"), "{messages:?}");
    world.stop().await;
}

pub(crate) async fn without_webhook_mode_there_is_no_such_address(database: TestDatabase) {
    let world = World::start(&database).await;
    let reply = post(&url(&world.notifier, "/telegram/webhook"), &json!({})).await;
    assert_eq!(reply.status, 404, "{}", reply.text);
    world.stop().await;
}

pub(crate) async fn the_simulated_telegram_delivers_to_the_webhook(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    // The port must be known before the start, since it is part of what is registered: bind, look, release, start is a
    // race, so the service starts first and the webhook is set to it afterwards, as an operator might.
    let mut config = notifier::Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    simulator.give_bot(&mut config, &database);
    config.telegram.mode = TelegramMode::Webhook;
    config.telegram.webhook_url = Some("http://127.0.0.1:1/telegram/webhook".parse().unwrap());
    config.telegram.webhook_secret = Some(SECRET.to_owned().into());
    let notifier = notifier::start(config).await.unwrap();
    eventually("the registration", || async {
        (simulator.webhook_info().await["url"] == "http://127.0.0.1:1/telegram/webhook").then_some(())
    })
    .await;
    let method = simulator.url(&format!("/bot{}/setWebhook", simulator::DEFAULT_BOT_TOKEN));
    let reply = post(&method, &json!({"url": url(&notifier, "/telegram/webhook"), "secret_token": SECRET})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let help = simulator.ask("/help").await;
    assert!(help["text"].as_str().unwrap().contains("/ask BTC"), "{help}");
    notifier.stop().await;
    simulator.stop().await;
}

pub(crate) async fn an_update_whose_handling_was_cut_off_is_handled_when_it_comes_again(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    let slow = market_data().into_iter().map(|script| script.after(Duration::from_millis(1_500))).collect();
    let market = Scripted::start(slow);
    let mut config = notifier::Config::ephemeral(&market.url, "http://127.0.0.1:1").unwrap();
    simulator.give_bot(&mut config, &database);
    config.server.request_timeout_ms = 300;
    config.telegram.mode = TelegramMode::Webhook;
    config.telegram.webhook_url = Some("https://bot.example.com/telegram/webhook".parse().unwrap());
    config.telegram.webhook_secret = Some(SECRET.to_owned().into());
    let notifier = notifier::start(config).await.unwrap();
    let address = url(&notifier, "/telegram/webhook");
    // Until the database is there, 503.
    for attempt in ["first", "again"] {
        eventually(&format!("the end of the call's time, {attempt}"), || async {
            let reply = post_text(&address, &[(HEADER, SECRET)], &update(20, "btc?")).await;
            (reply.status == 504).then_some(())
        })
        .await;
    }
    notifier.stop().await;
    market.stop().await;
    simulator.stop().await;
}

pub(crate) async fn calls_that_do_not_arrive_show_in_readiness(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    let market = Scripted::start(market_data());
    let decider = Scripted::start(vec![Script::json("/health/live", "{}")]);
    let mut config = notifier::Config::ephemeral(&market.url, &decider.url).unwrap();
    simulator.give_bot(&mut config, &database);
    config.telegram.mode = TelegramMode::Webhook;
    // Nobody listens there.
    config.telegram.webhook_url = Some("http://127.0.0.1:1/telegram/webhook".parse().unwrap());
    config.telegram.webhook_secret = Some(SECRET.to_owned().into());
    config.telegram.webhook_check_interval_ms = 100;
    let notifier = notifier::start(config).await.unwrap();
    ready(&notifier).await;
    // Telegram tells times in whole seconds: each failed attempt is a later one.
    simulator.say(ALICE, "btc?").await;
    let health = eventually("the failure in readiness", || async {
        let health = get(&url(&notifier, "/health/ready")).await;
        (health.status == 503).then_some(health)
    })
    .await;
    assert!(health.text.contains("cannot deliver updates to the webhook: Connection refused"), "{}", health.text);
    let metrics = get(&url(&notifier, "/metrics")).await.text;
    assert!(metrics.lines().any(|line| line.starts_with("telegram_up{mode=\"webhook\"") && line.ends_with(" 0")));

    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
    simulator.stop().await;
}
