//! The bot as its users see it, on the simulated Telegram.

use notifier::Config;
use notifier::question::BUTTON_TEXT;
use serde_json::{Value, json};
use storage::testing::TestDatabase;

use crate::scripted::{Script, Scripted, decision, market_data};
use crate::world::{ALICE, MALLORY, Simulator, World, eventually, get, post, ready, url};

fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap_or_default()
}

/// `callback_data` of the buttons under a message.
fn buttons(message: &Value) -> Vec<String> {
    let rows = message["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|button| button["callback_data"].as_str().unwrap().to_owned())
        .collect()
}

fn is_answer(message: &Value, symbol: &str) -> bool {
    ["BUY", "SELL", "HOLD"].iter().any(|action| text(message).contains(&format!("{action} {symbol}")))
}

pub(crate) async fn the_button_gets_an_answer_and_its_buttons_work(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    let greeting = telegram.ask("/start").await;
    assert!(text(&greeting).contains("what to do with crypto"), "{greeting}");
    assert_eq!(telegram.chat(ALICE).await["reply_keyboard"]["keyboard"][0][0]["text"], BUTTON_TEXT);

    let answer = telegram.ask(BUTTON_TEXT).await;
    assert!(is_answer(&answer, "BTCUSDT"), "{answer}");
    for part in ["confidence", "USDT", "old", "Strategy technical", "places no order", "Trace"] {
        assert!(text(&answer).contains(part), "{part} is not in {answer}");
    }

    let [again, trace, _why, _chart] = buttons(&answer).try_into().unwrap();
    let count = telegram.messages(ALICE).await.len();
    telegram.press(ALICE, &answer, &again).await;
    let second = telegram.wait_for(ALICE, count + 1).await.pop().unwrap();
    assert!(is_answer(&second, "BTCUSDT"), "{second}");
    telegram.press(ALICE, &answer, &trace).await;
    let shown = telegram.wait_for(ALICE, count + 2).await.pop().unwrap();
    assert!(text(&shown).contains(trace.strip_prefix("t:").unwrap()), "{shown}");
    world.stop().await;
}

pub(crate) async fn plain_questions_several_symbols_and_texts_that_mean_nothing(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    assert!(is_answer(&telegram.ask("eth?").await, "ETHUSDT"));
    let both = telegram.ask("btc and solana").await;
    assert!(is_answer(&both, "BTCUSDT") && is_answer(&both, "SOLUSDT"), "{both}");
    let mixed = telegram.ask("/ask btc nope").await;
    assert!(is_answer(&mixed, "BTCUSDT"), "{mixed}");
    let missing = telegram.ask("dogecoin?").await;
    assert!(text(&missing).contains("No answer for DOGEUSDT") && text(&missing).contains("ETHUSDT"), "{missing}");
    let unknown = telegram.ask("tell me a joke <b>now</b>").await;
    assert!(text(&unknown).contains("did not understand") && text(&unknown).contains("btc and eth"), "{unknown}");
    assert!(text(&telegram.ask("/help").await).contains("/ask BTC"));
    world.stop().await;
}

pub(crate) async fn a_stranger_is_told_once_and_gets_nothing_else(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    for question in ["btc?", BUTTON_TEXT, "/start", "btc?"] {
        telegram.say(MALLORY, question).await;
    }
    let refusals = telegram.wait_for(MALLORY, 1).await;
    assert!(
        text(&refusals[0]).contains("private") && text(&refusals[0]).contains(&MALLORY.to_string()),
        "{refusals:?}"
    );
    // Alice's answer comes after Mallory's four updates were handled: then nothing more can come.
    assert!(is_answer(&telegram.ask("btc?").await, "BTCUSDT"));
    assert_eq!(telegram.messages(MALLORY).await.len(), 1);
    let metrics = get(&url(&world.notifier, "/metrics")).await.text;
    assert!(metrics.contains("tvtelegrambingx_bot_updates_total{outcome=\"denied\",type=\"message\""), "{metrics}");
    world.stop().await;
}

pub(crate) async fn when_telegram_asks_to_slow_down_every_message_arrives_once_and_in_order(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    telegram
        .fault(&json!({"target": "telegram", "kind": "too_many_requests", "method": "sendMessage", "duration_ms": 2500, "retry_after_s": 1}))
        .await;
    for question in ["eth?", "sol?", "btc?", "/help"] {
        telegram.say(ALICE, question).await;
    }
    let messages = telegram.wait_for(ALICE, 4).await;
    assert!(is_answer(&messages[0], "ETHUSDT"), "{messages:?}");
    assert!(is_answer(&messages[1], "SOLUSDT"), "{messages:?}");
    assert!(is_answer(&messages[2], "BTCUSDT"), "{messages:?}");
    assert!(text(&messages[3]).contains("/ask BTC"), "{messages:?}");
    assert_eq!(telegram.messages(ALICE).await.len(), 4);
    let metrics = get(&url(&world.notifier, "/metrics")).await.text;
    assert!(
        metrics.contains("telegram_send_retries_total{method=\"sendMessage\",reason=\"too_many_requests\""),
        "{metrics}"
    );
    world.stop().await;
}

pub(crate) async fn a_service_that_is_away_is_named_to_the_user(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    let market = Scripted::start(market_data());
    let mut config = Config::ephemeral(&market.url, "http://127.0.0.1:1").unwrap();
    simulator.give_bot(&mut config, &database);
    let notifier = notifier::start(config).await.unwrap();
    let message = simulator.ask("btc?").await;
    assert!(
        text(&message).contains("No answer for BTCUSDT") && text(&message).contains("decision-service"),
        "{message}"
    );
    assert_eq!(buttons(&message)[0], "a:BTC~", "it can be asked again");
    notifier.stop().await;
    market.stop().await;
    simulator.stop().await;
}

pub(crate) async fn with_telegram_away_asks_over_http_are_answered_and_the_bot_comes_back(database: TestDatabase) {
    telemetry::testing::init();
    let simulator = Simulator::start().await;
    simulator.fault(&json!({"target": "telegram", "kind": "server_error", "duration_ms": 600_000})).await;
    let market = Scripted::start(market_data());
    let decider =
        Scripted::start(vec![Script::json("/v1/decisions", decision("BTCUSDT")), Script::json("/health", "{}")]);
    let mut config = Config::ephemeral(&market.url, &decider.url).unwrap();
    simulator.give_bot(&mut config, &database);
    let notifier = notifier::start(config).await.unwrap();
    eventually("the failure in readiness", || async {
        let health = get(&url(&notifier, "/health/ready")).await;
        (health.status == 503 && health.text.contains("Telegram failed with HTTP status 500")).then_some(())
    })
    .await;
    assert_eq!(post(&url(&notifier, "/v1/ask"), &json!({})).await.status, 200);
    simulator.heal().await;
    ready(&notifier).await;
    assert!(is_answer(&simulator.ask("btc?").await, "BTCUSDT"));
    notifier.stop().await;
    market.stop().await;
    decider.stop().await;
    simulator.stop().await;
}

pub(crate) async fn what_was_answered_is_not_answered_again_after_a_restart(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    telegram.ask("btc?").await;
    world.notifier.stop().await;
    telegram.say(ALICE, "eth?").await;

    let market = Scripted::start(market_data());
    let mut config = Config::ephemeral(&market.url, "http://127.0.0.1:1").unwrap();
    telegram.give_bot(&mut config, &database);
    let second = notifier::start(config).await.unwrap();
    let messages = telegram.wait_for(ALICE, 2).await;
    assert!(text(&messages[1]).contains("ETHUSDT"), "what came in between is answered: {messages:?}");
    telegram.ask("/help").await;
    assert_eq!(telegram.messages(ALICE).await.len(), 3, "and nothing twice");
    second.stop().await;
    market.stop().await;
}

pub(crate) async fn updates_that_cannot_be_read_are_skipped_and_do_not_come_again(database: TestDatabase) {
    telemetry::testing::init();
    let poison = r#"{"ok":true,"result":[
        {"update_id":5,"hologram":{"shape":"unknown"}},
        {"update_id":6,"message":{"message_id":"text","chat":7}},
        {"update_id":7,"message":{"message_id":1,"date":1,"chat":{"id":1001,"type":"private"},"from":{"id":1001,"is_bot":false,"first_name":"A"},"text":"/help"}}]}"#;
    let me = r#"{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"B","username":"b_bot"}}"#;
    let sent = r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":1001,"type":"private"}}}"#;
    let telegram = Scripted::start(vec![
        Script::json("/bot1:x/getMe", me),
        Script::json("/bot1:x/getUpdates", poison),
        Script::json("/bot1:x/sendMessage", sent),
        Script::json("/bot1:x/", r#"{"ok":true,"result":true}"#),
    ]);
    let mut config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    config.database = database.settings();
    config.telegram.api_url = telegram.url.parse().unwrap();
    config.telegram.bot_token = Some("1:x".to_owned().into());
    config.telegram.allowed_user_ids = ALICE.to_string().parse().unwrap();
    let notifier = notifier::start(config).await.unwrap();
    // The server hands out the same three for ever; the bot confirms them, and answers the good one once.
    eventually("the confirmation", || async {
        telegram.seen().iter().any(|call| call.contains("/getUpdates") && call.contains("\"offset\":8")).then_some(())
    })
    .await;
    eventually("the answer", || async {
        telegram.seen().iter().any(|call| call.contains("/sendMessage")).then_some(())
    })
    .await;
    notifier.stop().await;
    let answers = telegram.seen().iter().filter(|call| call.contains("/sendMessage")).count();
    assert_eq!(answers, 1, "{:?}", telegram.seen());
    telegram.stop().await;
}

pub(crate) async fn a_second_poller_is_named_as_what_it_is(database: TestDatabase) {
    telemetry::testing::init();
    let conflict = r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#;
    let me = r#"{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"B","username":"b_bot"}}"#;
    let telegram = Scripted::start(vec![
        Script::json("/bot1:x/getMe", me),
        Script::json("/bot1:x/getUpdates", conflict).status(409),
        Script::json("/bot1:x/", r#"{"ok":true,"result":true}"#),
    ]);
    let mut config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    config.database = database.settings();
    config.telegram.api_url = telegram.url.parse().unwrap();
    config.telegram.bot_token = Some("1:x".to_owned().into());
    let notifier = notifier::start(config).await.unwrap();
    eventually("the conflict in readiness", || async {
        get(&url(&notifier, "/health/ready")).await.text.contains("somebody else receives this bot").then_some(())
    })
    .await;
    let polls = telegram.seen().iter().filter(|call| call.contains("/getUpdates")).count();
    assert_eq!(polls, 1, "the other one is left alone");
    notifier.stop().await;
    telegram.stop().await;
}

pub(crate) async fn through_an_outage_every_message_arrives_once_and_in_order(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    assert!(is_answer(&telegram.ask("btc?").await, "BTCUSDT"), "the chat is open");
    let fault = json!({"target": "telegram", "kind": "server_error", "method": "sendMessage", "duration_ms": 600_000});
    telegram.fault(&fault).await;
    let numbers: Vec<u32> = (1..=8).collect();
    for number in &numbers {
        let change = json!({
            "from": "running", "to": "halted", "by": "test", "reason": format!("number {number} of many"), "at": chrono::Utc::now(),
        });
        let notice = json!({
            "notice_id": format!("state:{number}"), "at": chrono::Utc::now(), "event": {"kind": "state", "change": change},
        });
        assert_eq!(post(&url(&world.notifier, "/v1/notices"), &notice).await.status, 202);
    }
    eventually("the outage is met", || async {
        let metrics = get(&url(&world.notifier, "/metrics")).await.text;
        let retries = "telegram_send_retries_total{method=\"sendMessage\",reason=\"server_error\"";
        metrics.contains(retries).then_some(())
    })
    .await;
    assert_eq!(telegram.messages(ALICE).await.len(), 1);
    telegram.heal().await;
    let messages = telegram.wait_for(ALICE, 1 + numbers.len()).await;
    let told: Vec<bool> = messages[1..]
        .iter()
        .zip(&numbers)
        .map(|(said, number)| text(said).contains(&format!("number {number} of")))
        .collect();
    assert_eq!(told, vec![true; numbers.len()], "{messages:?}");
    // Whatever comes next comes after a repetition would have.
    assert!(text(&telegram.ask("/help").await).contains("/ask BTC"));
    assert_eq!(telegram.messages(ALICE).await.len(), 2 + numbers.len());
    world.stop().await;
}

pub(crate) async fn a_chart_arrives_as_a_picture_that_can_be_read(database: TestDatabase) {
    let world = World::start(&database).await;
    let telegram = &world.simulator;
    let answer = telegram.ask("eth?").await;
    let chart = buttons(&answer).into_iter().find(|data| data.starts_with("c:ETH~:")).unwrap();
    telegram.press(ALICE, &answer, &chart).await;
    let with_mark = telegram.wait_for(ALICE, 2).await.pop().unwrap();
    let plain = telegram.ask("/chart btc").await;
    for (message, words) in [(&with_mark, "ETHUSDT"), (&plain, "BTCUSDT")] {
        let caption = message["caption"].as_str().unwrap();
        assert!(caption.contains(words) && caption.contains("candles of 1m"), "{caption}");
        let file = message["photo"][0]["file_id"].as_str().unwrap();
        let address = telegram.url(&format!("/control/telegram/photos/{file}"));
        let bytes = reqwest::get(&address).await.unwrap().bytes().await.unwrap();
        let mut picture = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
        let frame = picture.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (u32::from(chart::WIDTH), u32::from(chart::HEIGHT)));
    }
    assert!(with_mark["caption"].as_str().unwrap().contains("📍"), "the decision is marked: {with_mark}");
    world.stop().await;
}
