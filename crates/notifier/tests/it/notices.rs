//! What people are told of trading.

use chrono::Utc;
use domain::trading::{
    OrderStatus, Refusal, RefusalCode, Signal, SignalAction, SignalSource, StateChange, TradeEvent, TradeNotice,
    TradingState,
};
use notifier::Config;
use rust_decimal_macros::dec;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::finished_spans;
use web::RunningServer;

use crate::desk::{ORDER, TRACE, notice, order, waiting};
use crate::telegraph::{ADMIN, GROUP, TRADER, Telegraph, VIEWER, buttons, message, notifier};
use crate::world::{Reply, eventually, get, post, post_text, url};

const NOWHERE: &str = "http://127.0.0.1:1";

async fn tell(server: &RunningServer, notice: &Value) -> Reply {
    post(&url(server, "/v1/notices"), notice).await
}

fn with_bot(telegraph: &Telegraph, database: &TestDatabase, told: &str) -> Config {
    let mut config = Config::ephemeral(NOWHERE, NOWHERE).unwrap();
    telegraph.give(&mut config, database);
    config.telegram.notify_chat_ids = told.parse().unwrap();
    config
}

pub(crate) async fn an_order_is_told_once_to_everybody_and_its_life_is_one_message(database: TestDatabase) {
    let telegraph = Telegraph::default();
    let server = notifier(with_bot(&telegraph, &database, ""), &telegraph).await;
    let receipt = tell(&server, &notice("order:1", waiting(5))).await;
    assert_eq!(receipt.status, 202, "{}", receipt.text);
    assert_eq!((receipt.json()["outcome"].as_str(), receipt.json()["chats"].as_i64()), (Some("queued"), Some(3)));
    let repeated = tell(&server, &notice("order:1", waiting(5))).await.ok();
    assert_eq!((repeated["outcome"].as_str(), repeated["chats"].as_i64()), (Some("repeated"), Some(0)));
    for chat in [VIEWER, TRADER, ADMIN] {
        let text = telegraph.text(chat, 1).await;
        for part in
            ["<b>BUY 0.002 BTCUSDT</b>", "💰 LIVE", "<b>new</b>", "“golden &lt;cross&gt;”", "Waits for a trader", TRACE]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    let (sent_id, sent) =
        telegraph.calls("sendMessage").into_iter().find(|(_, sent)| sent["chat_id"] == TRADER).unwrap();
    let kinds: String = buttons(&sent).iter().map(|data| data[..1].to_owned()).collect();
    assert_eq!(kinds, "ynwtc");

    // Out of order, as notices of one order that were on their way when somebody was away may come.
    assert_eq!(tell(&server, &notice("order:3", order(OrderStatus::Filled))).await.status, 202);
    assert_eq!(tell(&server, &notice("order:2", order(OrderStatus::Submitted))).await.status, 202);
    let text = telegraph.text(TRADER, 2).await;
    assert!(text.contains("<b>filled</b> · new ") && text.contains("Fee 0.046 USDT"), "{text}");
    assert!(text.contains("0.002 of 0.002 at <b>46,224.50 USDT</b>: 92.45 USDT"), "{text}");
    let edit = telegraph.calls("editMessageText").into_iter().find(|(_, edit)| edit["chat_id"] == TRADER).unwrap().1;
    assert_eq!(edit["message_id"], sent_id);
    assert!(!buttons(&edit).iter().any(|data| data.starts_with(['y', 'n', 'x'])), "{edit}");
    // Whatever comes next comes after the older picture would have.
    assert_eq!(tell(&server, &state("state:1")).await.status, 202);
    let text = telegraph.text(TRADER, 3).await;
    assert!(text.contains("Trading is stopped"), "{text}");
    for chat in [VIEWER, ADMIN] {
        telegraph.text(chat, 3).await;
    }
    assert_eq!(telegraph.calls("sendMessage").len(), 6, "two messages in each chat");
    let metrics = get(&url(&server, "/metrics")).await.text;
    assert!(metrics.contains("telegram_notices_total{kind=\"order\",outcome=\"queued\""), "{metrics}");
    assert!(metrics.contains("telegram_outbox_depth"), "{metrics}");
    server.stop().await;
}

fn state(id: &str) -> Value {
    let change = StateChange {
        from: TradingState::Running,
        to: TradingState::Halted,
        by: "alert:BingXOrderFailures".to_owned(),
        reason: Some("Orders <fail>.".to_owned()),
        at: Utc::now(),
    };
    let event = TradeEvent::State { change };
    json!(TradeNotice { notice_id: id.to_owned(), at: Utc::now(), trace_id: None, event })
}

fn refusal(id: &str) -> Value {
    refusal_of(id, ORDER, None, "The order's notional is 23112 USD; 1000 USD is the limit.")
}

fn refusal_of(id: &str, signal_id: &str, hook: Option<&str>, detail: &str) -> Value {
    let signal = Signal {
        signal_id: signal_id.parse().unwrap(),
        source: SignalSource::Tradingview,
        hook: hook.map(str::to_owned),
        symbol: "BTCUSDT".parse().unwrap(),
        action: SignalAction::Buy,
        quantity: Some(dec!(0.5)),
        notional: None,
        limit_price: None,
        seen_price: None,
        sender_order_id: None,
        comment: None,
        interval: None,
        paper_only: false,
        alerted_at: None,
        received_at: Utc::now(),
    };
    let refusal = Refusal::new(RefusalCode::NotionalTooLarge, detail);
    let event = TradeEvent::Refusal { signal: Box::new(signal), refusal };
    json!(TradeNotice { notice_id: id.to_owned(), at: Utc::now(), trace_id: Some(TRACE.to_owned()), event })
}

pub(crate) async fn chats_that_are_named_are_told_groups_too_and_a_restart_repeats_nothing(database: TestDatabase) {
    let telegraph = Telegraph::default();
    let config = with_bot(&telegraph, &database, &format!("{GROUP},{TRADER}"));
    let first = notifier(config.clone(), &telegraph).await;
    // Telegram is away while they are taken; a restart comes in between.
    telegraph.go_away(true);
    assert_eq!(tell(&first, &refusal("refusal:1")).await.status, 202);
    assert_eq!(tell(&first, &state("state:1")).await.status, 202);
    first.stop().await;
    let second = notifier(config, &telegraph).await;
    assert_eq!(tell(&second, &refusal("refusal:1")).await.ok()["outcome"], "repeated");
    telegraph.go_away(false);
    for chat in [GROUP, TRADER] {
        let text = telegraph.text(chat, 1).await;
        assert!(text.contains("<b>BUY 0.5 BTCUSDT refused</b>") && text.contains("notional_too_large"), "{text}");
        assert!(text.contains("notional is 23112 USD; 1000 USD is the limit."), "{text}");
        let text = telegraph.text(chat, 2).await;
        assert!(text.contains("Trading is stopped</b> (was running), by alert:BingXOrderFailures"), "{text}");
        assert!(text.contains("Orders &lt;fail&gt;."), "{text}");
    }
    assert!(telegraph.texts(VIEWER).is_empty() && telegraph.texts(ADMIN).is_empty());
    assert_eq!(telegraph.calls("sendMessage").len(), 4, "each once");
    second.stop().await;
}

/// A strategy that went wild while Telegram was away, and a person who wants to know something.
pub(crate) async fn many_refusals_are_one_message_and_hold_up_nobody(database: TestDatabase) {
    let telegraph = Telegraph::default();
    let server = notifier(with_bot(&telegraph, &database, &TRADER.to_string()), &telegraph).await;
    telegraph.go_away(true);
    let signal_id = |number: usize| format!("{:032x}", 0xabc0 + number);
    let refused = async |number: usize, hook: Option<&str>| {
        let detail = format!("Refusal number {number}.");
        tell(&server, &refusal_of(&format!("refusal:{number}"), &signal_id(number), hook, &detail)).await
    };
    for number in 0..37 {
        assert_eq!(refused(number, Some("wild")).await.status, 202);
        // Taken before: it is not counted again.
        assert_eq!(refused(number, Some("wild")).await.ok()["outcome"], "repeated");
    }
    let odd = format!("a\u{0}b{}", "ü".repeat(5_000));
    for (number, hook) in [(100, None), (101, Some(&*odd)), (102, Some(&*odd))] {
        assert_eq!(refused(number, hook).await.status, 202);
    }
    assert_eq!(telegraph.hand(&server, message(TRADER, TRADER, "/help")).await.status, 200);
    telegraph.go_away(false);
    assert!(telegraph.text(TRADER, 1).await.contains("You are a <b>trader</b>"), "the reply goes first");
    let text = telegraph.text(TRADER, 2).await;
    assert!(text.starts_with("🔁 <b>Refused 37 times</b> since "), "{text}");
    assert!(text.contains(" UTC; last:\n⛔ <b>BUY 0.5 BTCUSDT refused</b>\n"), "{text}");
    assert!(text.contains("Refusal number 36.") && text.contains(&signal_id(36)), "{text}");
    assert!(telegraph.text(TRADER, 3).await.contains("Refusal number 100."), "of no hook");
    let text = telegraph.text(TRADER, 4).await;
    assert!(text.starts_with("🔁 <b>Refused 2 times</b>") && text.contains("Refusal number 102."), "{text}");

    let (message_id, _) = telegraph.calls("sendMessage").into_iter().nth(1).unwrap();
    assert_eq!(refused(37, Some("wild")).await.status, 202);
    let text = telegraph.text(TRADER, 5).await;
    assert!(text.starts_with("🔁 <b>Refused 38 times</b>") && text.contains("Refusal number 37."), "{text}");
    assert_eq!(telegraph.calls("editMessageText")[0].1["message_id"], message_id);

    // Why: of the message it is the last one, and each is known by its id.
    let mut why = message(TRADER, TRADER, "/why");
    why["message"]["message_id"] = json!(2_000);
    why["message"]["reply_to_message"] =
        json!({"message_id": message_id, "date": 1, "chat": {"id": TRADER, "type": "private"}});
    assert_eq!(telegraph.hand(&server, why).await.status, 200);
    let text = telegraph.text(TRADER, 6).await;
    assert!(text.contains("Refusal number 37."), "{text}");
    let text = telegraph.say(&server, TRADER, TRADER, &format!("/why {}", signal_id(0))).await;
    assert!(text.contains("Refusal number 0."), "{text}");
    server.stop().await;
}

pub(crate) async fn what_a_pipeline_tells_is_a_message_of_its_own_and_remembered(database: TestDatabase) {
    let telegraph = Telegraph::default();
    let server = notifier(with_bot(&telegraph, &database, &TRADER.to_string()), &telegraph).await;
    let said = |step: &str, text: &str| {
        json!({
            "notice_id": format!("{ORDER}:{step}"), "at": Utc::now(), "trace_id": TRACE,
            "event": {
                "kind": "pipeline", "pipeline": "golden <cross>", "execution_id": ORDER, "symbol": "BTCUSDT", "text": text,
            },
        })
    };
    for (step, text, count) in [("tell", "judge: BUY", 1), ("again", "order: filled", 2)] {
        assert_eq!(tell(&server, &said(step, text)).await.status, 202);
        assert_eq!(tell(&server, &said(step, "other words")).await.ok()["outcome"], "repeated");
        let told = telegraph.text(TRADER, count).await;
        for part in ["🧩 <b>golden &lt;cross&gt;</b> · BTCUSDT", text, ORDER, TRACE] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
    let sent = telegraph.calls("sendMessage");
    assert_eq!(sent.len(), 2, "each step's words are a message");
    let kinds: String = buttons(&sent[0].1).iter().map(|data| data[..1].to_owned()).collect();
    assert_eq!(kinds, "wtc");
    // Why: by its id and without one it is the last, and of a message that message.
    for (place, question) in ["/why".to_owned(), format!("/why {ORDER}")].iter().enumerate() {
        let text = telegraph.say(&server, TRADER, TRADER, question).await;
        assert!(text.contains("order: filled") && text.contains(TRACE), "{place}: {text}");
    }
    let mut why = message(TRADER, TRADER, "/why");
    why["message"]["message_id"] = json!(2_000);
    why["message"]["reply_to_message"] =
        json!({"message_id": sent[0].0, "date": 1, "chat": {"id": TRADER, "type": "private"}});
    assert_eq!(telegraph.hand(&server, why).await.status, 200);
    let text = telegraph.text(TRADER, 5).await;
    assert!(text.contains("judge: BUY"), "{text}");
    let metrics = get(&url(&server, "/metrics")).await.text;
    assert!(metrics.contains("telegram_notices_total{kind=\"pipeline\",outcome=\"queued\""), "{metrics}");
    server.stop().await;
}

pub(crate) async fn a_notice_is_told_in_the_trace_that_it_came_in(database: TestDatabase) {
    let telegraph = Telegraph::default();
    let server = notifier(with_bot(&telegraph, &database, &TRADER.to_string()), &telegraph).await;
    let trace_id = format!("{:032x}", rand::random::<u128>());
    let headers =
        [("content-type", "application/json"), ("traceparent", &*format!("00-{trace_id}-00f067aa0ba902b7-01"))];
    let body = notice("order:1", order(OrderStatus::Filled)).to_string();
    assert_eq!(post_text(&url(&server, "/v1/notices"), &headers, &body).await.status, 202);
    eventually("the message's span", || async {
        let spans = finished_spans();
        let is_sent = |name: &str| {
            spans.iter().any(|span| span.name == *name && span.span_context.trace_id().to_string() == trace_id)
        };
        (is_sent("telegram sendMessage") && is_sent("telegram delivery")).then_some(())
    })
    .await;
    server.stop().await;
}

pub(crate) async fn a_notice_that_cannot_be_told_is_said_so(database: TestDatabase) {
    telemetry::testing::init();
    let off = notifier::start(Config::ephemeral(NOWHERE, NOWHERE).unwrap()).await.unwrap();
    let receipt = tell(&off, &state("state:1")).await.ok();
    assert_eq!((receipt["outcome"].as_str(), receipt["chats"].as_i64()), (Some("bot_off"), Some(0)));
    off.stop().await;

    let telegraph = Telegraph::default();
    let mut config = with_bot(&telegraph, &database, "");
    config.telegram.allowed_user_ids = notifier::UserIds::default();
    config.telegram.trader_user_ids = notifier::UserIds::default();
    config.telegram.admin_user_ids = notifier::UserIds::default();
    let lonely = notifier(config, &telegraph).await;
    assert_eq!(tell(&lonely, &state("state:1")).await.ok()["outcome"], "no_recipients");

    for id in ["", " ", "a b", "é", "\u{0}", &"x".repeat(201)] {
        tell(&lonely, &state(id)).await.problem(400, "bad_notice_id");
    }
    let kind = json!({"notice_id": "1", "at": Utc::now(), "event": {"kind": "party"}});
    assert_eq!(tell(&lonely, &kind).await.status, 400);
    assert_eq!(tell(&lonely, &json!([])).await.status, 400);
    // What is odd inside reaches no database as it is.
    let mut odd = notice("order:1\u{7f}", order(OrderStatus::Filled));
    odd["notice_id"] = json!("odd");
    odd["trace_id"] = json!("\u{0}");
    odd["event"]["order"]["trace_id"] = json!("\u{0}");
    odd["event"]["order"]["comment"] = json!("a\u{0}b");
    odd["event"]["order"]["revision"] = json!(i64::MAX);
    assert_eq!(tell(&lonely, &odd).await.ok()["outcome"], "no_recipients");
    lonely.stop().await;

    let telegraph = Telegraph::default();
    let server = notifier(with_bot(&telegraph, &database, &TRADER.to_string()), &telegraph).await;
    let receipt = tell(&server, &odd).await;
    assert_eq!(receipt.status, 202, "{}", receipt.text);
    telegraph.text(TRADER, 1).await;
    server.stop().await;
}
