//! Commands and buttons of trading: who may, what order-service is asked, and what people see.

use std::sync::atomic::Ordering;

use domain::TradingMode;
use domain::trading::OrderStatus;
use notifier::Config;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use telemetry::testing::{attribute, finished_spans};
use web::RunningServer;

use crate::desk::{Desk, ORDER, TRACE, notice, order, waiting};
use crate::scripted::{Script, Scripted, decision, market_data};
use crate::telegraph::{ADMIN, GROUP, STRANGER, TRADER, Telegraph, VIEWER, buttons, message, notifier};
use crate::world::{eventually, post, url};

/// A bot, a Telegram and an order-service.
struct Floor {
    telegraph: Telegraph,
    desk: Desk,
    market: Scripted,
    decider: Scripted,
    config: Config,
    server: RunningServer,
}

impl Floor {
    async fn start(database: &TestDatabase, mode: TradingMode) -> Self {
        Self::start_with(database, mode, |_config| {}).await
    }

    async fn start_with(database: &TestDatabase, mode: TradingMode, change: impl FnOnce(&mut Config)) -> Self {
        let (telegraph, desk) = (Telegraph::default(), Desk::new(mode));
        let market = Scripted::start(market_data());
        let decider = Scripted::start(vec![Script::json("/v1/decisions", decision("BTCUSDT"))]);
        let mut config = Config::ephemeral(&market.url, &decider.url).unwrap();
        config.order_url = desk.start();
        telegraph.give(&mut config, database);
        config.telegram.notify_chat_ids = TRADER.to_string().parse().unwrap();
        change(&mut config);
        let server = notifier(config.clone(), &telegraph).await;
        Self { telegraph, desk, market, decider, config, server }
    }

    async fn say(&self, user_id: i64, text: &str) -> String {
        self.telegraph.say(&self.server, user_id, user_id, text).await
    }

    async fn press(&self, user_id: i64, message_id: i64, data: &str) -> Option<String> {
        self.telegraph.press(&self.server, user_id, (TRADER, message_id), data).await
    }

    /// Tells of an order; the message with it.
    async fn told(&self, id: &str, order: domain::trading::TradeOrder) -> (i64, Value) {
        let before = self.telegraph.calls("sendMessage").len();
        self.desk.keep(&order);
        assert_eq!(post(&url(&self.server, "/v1/notices"), &notice(id, order)).await.status, 202);
        eventually("the order's message", || async { self.telegraph.calls("sendMessage").get(before).cloned() }).await
    }

    /// The last edit, once there are so many.
    async fn edit(&self, count: usize) -> Value {
        let edits = || async { self.telegraph.calls("editMessageText").get(count - 1).cloned() };
        eventually(&format!("{count} edits"), edits).await.1
    }

    async fn stop(self) {
        self.server.stop().await;
        self.market.stop().await;
        self.decider.stop().await;
    }
}

pub(crate) async fn every_command_asks_order_service_and_is_answered(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Paper).await;
    floor.desk.keep(&order(OrderStatus::Filled));
    for (command, asked, said) in [
        ("/status", "GET /v1/trading/state", "Trading is running"),
        ("/balance", "GET /v1/trading/balance", "Equity <b>10,250.00 USDT</b>"),
        ("/profit", "GET /v1/trading/profit?days=1", "<b>+10.25</b>"),
        ("/daily", "GET /v1/trading/profit?days=7", "The last 7 days"),
        ("/orders", "GET /v1/trading/orders?limit=10", ORDER),
    ] {
        let text = floor.say(VIEWER, command).await;
        assert!(text.contains(said), "{command}: {text}");
        let calls = floor.desk.asked.lock().unwrap().clone();
        assert!(calls.iter().any(|(call, _)| call == asked), "{command}: {calls:?}");
    }
    let commands = floor.telegraph.calls("setMyCommands")[0].1["commands"].to_string();
    for command in ["status", "balance", "profit", "daily", "orders", "pause", "resume", "stop", "why", "chart", "ask"]
    {
        assert!(commands.contains(&format!("\"{command}\"")), "{command} is not listed in {commands}");
    }
    // The ask knows the mode by now, and each call is a span with what it was about.
    let span = eventually("a BackendClient span", || async {
        finished_spans().into_iter().find(|span| {
            attribute(span, "backend.operation").as_deref() == Some("balance")
                && attribute(span, "http.response.status_code").as_deref() == Some("200")
        })
    })
    .await;
    assert_eq!(
        (span.name.as_ref(), attribute(&span, "peer.service").as_deref()),
        ("BackendClient", Some("order-service"))
    );
    floor.stop().await;
}

pub(crate) async fn pause_stop_and_resume_are_for_those_who_may(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    for (command, needed) in [("/pause", "trader"), ("/stop now", "trader"), ("/resume", "admin")] {
        let text = floor.say(VIEWER, command).await;
        assert!(text.contains(&format!("the role {needed}")) && text.contains("yours is viewer"), "{command}: {text}");
    }
    let text = floor.say(TRADER, "/resume").await;
    assert!(text.contains("the role admin") && text.contains("yours is trader"), "{text}");
    assert_eq!(floor.desk.asked(), [], "nothing was asked of order-service");

    let text = floor.say(TRADER, "/pause news at two").await;
    assert!(text.contains("Trading is paused") && text.contains("💰 LIVE"), "{text}");
    let text = floor.say(TRADER, "/stop").await;
    assert!(text.contains("Trading is stopped") && text.contains("open: 1, see /orders"), "{text}");
    let text = floor.say(ADMIN, "/resume").await;
    assert!(text.contains("Trading is running"), "{text}");
    let by = |state: &str, user: i64| json!({"state": state, "by": format!("telegram:{user}")});
    let mut paused = by("reducing", TRADER);
    paused["reason"] = json!("news at two");
    paused["only_tighten"] = json!(true);
    let put = |body: Value| ("PUT /v1/trading/state".to_owned(), body);
    assert_eq!(floor.desk.asked(), [put(paused), put(by("halted", TRADER)), put(by("running", ADMIN))]);

    // In a group it is who writes that counts.
    let text = floor.telegraph.say(&floor.server, VIEWER, GROUP, "/stop@b_bot").await;
    assert!(text.contains("the role trader"), "{text}");
    let text = floor.telegraph.say(&floor.server, TRADER, GROUP, "/stop").await;
    assert!(text.contains("Trading is stopped"), "{text}");
    let denied = floor.telegraph.say(&floor.server, STRANGER, STRANGER, "/stop").await;
    assert!(denied.contains("private"), "{denied}");
    assert_eq!(floor.desk.asked().len(), 4);
    floor.stop().await;
}

pub(crate) async fn a_pause_says_that_trading_is_halted_already(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    floor.say(TRADER, "/stop").await;
    let text = floor.say(TRADER, "/PAUSE lunch").await;
    assert!(text.contains("Trading is stopped") && text.contains("halted already"), "{text}");
    assert!(text.contains("An admin lets it go on with /resume"), "{text}");
    assert!(!text.contains("is paused") && !text.contains("Only what makes a position smaller"), "{text}");
    let text = floor.say(TRADER, "/status").await;
    assert!(text.contains("Trading is stopped"), "{text}");
    floor.stop().await;
}

pub(crate) async fn a_service_that_is_away_is_named(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Paper).await;
    floor.desk.away.store(true, Ordering::SeqCst);
    for command in ["/status", "/balance", "/profit", "/daily", "/orders", "/stop", &format!("/why {ORDER}")] {
        let text = floor.say(TRADER, command).await;
        assert!(text.starts_with("⚠️") && text.contains("order-service"), "{command}: {text}");
    }
    floor.stop().await;
}

pub(crate) async fn an_order_is_confirmed_once_by_somebody_who_may(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    let (message_id, sent) = floor.told("n1", waiting(5)).await;
    let [confirm, decline] = [&buttons(&sent)[0], &buttons(&sent)[1]].map(Clone::clone);
    assert_eq!((confirm.as_str(), decline.as_str()), (&*format!("y:{ORDER}"), &*format!("n:{ORDER}")));

    let told = floor.press(STRANGER, message_id, &confirm).await.unwrap();
    assert!(told.contains("private"), "{told}");
    for data in [&confirm, &decline, &format!("x:{ORDER}")] {
        let told = floor.press(VIEWER, message_id, data).await.unwrap();
        assert!(told.contains("the role trader") && told.contains("yours is viewer"), "{told}");
    }
    assert_eq!(floor.desk.asked(), [], "nothing was decided");

    assert_eq!(floor.press(TRADER, message_id, &confirm).await.as_deref(), Some("Confirmed."));
    let decided = (format!("POST /v1/trading/orders/{ORDER}/confirm"), json!({"by": format!("telegram:{TRADER}")}));
    assert_eq!(floor.desk.asked(), [decided]);
    let edit = floor.edit(1).await;
    assert_eq!(edit["message_id"], message_id);
    let text = edit["text"].as_str().unwrap();
    assert!(text.contains("<b>submitted</b>") && text.contains(&format!("Confirmed by telegram:{TRADER}.")), "{text}");
    assert!(!buttons(&edit).iter().any(|data| data.starts_with(['y', 'n'])), "{edit}");

    // The button is still on somebody's screen.
    let told = floor.press(ADMIN, message_id, &decline).await.unwrap();
    assert!(told.contains("decided about the order already"), "{told}");
    floor.stop().await;
}

/// The limit of a moment is in the way: the yes is not kept, and nobody tries again but whoever presses again.
pub(crate) async fn a_yes_that_is_held_back_has_to_be_said_again(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    let asked = waiting(5);
    let until = asked.confirmation.as_ref().unwrap().expires_at.format("%H:%M UTC").to_string();
    let (message_id, sent) = floor.told("n1", asked).await;
    let confirm = buttons(&sent)[0].clone();
    floor.desk.held_back.store(true, Ordering::SeqCst);
    let told = floor.press(TRADER, message_id, &confirm).await.unwrap();
    assert!(told.starts_with("It is not confirmed: Too many orders."), "{told}");
    assert!(told.ends_with(&format!("Press Confirm again before {until}.")) && told.chars().count() <= 200, "{told}");
    floor.desk.held_back.store(false, Ordering::SeqCst);
    assert_eq!(floor.press(TRADER, message_id, &confirm).await.as_deref(), Some("Confirmed."));
    let edit = floor.edit(1).await;
    assert!(edit["text"].as_str().unwrap().contains("<b>submitted</b>"), "the button stayed until then: {edit}");
    floor.stop().await;
}

pub(crate) async fn a_button_that_expired_says_so_and_goes(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    let (message_id, sent) = floor.told("n1", waiting(5)).await;
    assert!(buttons(&sent)[0].starts_with("y:"));
    // Its time goes by; nothing else of it changes.
    floor.desk.keep(&waiting(-1));
    let told = floor.press(TRADER, message_id, &format!("y:{ORDER}")).await.unwrap();
    assert!(told.contains("time to confirm the order is over"), "{told}");
    let edit = floor.edit(1).await;
    assert!(edit["text"].as_str().unwrap().contains("Nobody confirmed it in time"), "{edit}");
    assert!(!buttons(&edit).iter().any(|data| data.starts_with(['y', 'n', 'x'])), "{edit}");

    floor.desk.away.store(true, Ordering::SeqCst);
    let told = floor.press(TRADER, message_id, &format!("y:{ORDER}")).await.unwrap();
    assert!(told.starts_with("Not known whether it is confirmed. order-service"), "{told}");
    for data in ["y:1", "hologram", ""] {
        let told = floor.press(TRADER, message_id, data).await.unwrap();
        assert!(told.contains("too old"), "{data}: {told}");
    }
    floor.stop().await;
}

pub(crate) async fn an_update_that_comes_again_after_a_restart_is_answered_once(database: TestDatabase) {
    let mut floor = Floor::start(&database, TradingMode::Live).await;
    let (message_id, _) = floor.told("n1", waiting(5)).await;
    let mut stop = message(TRADER, TRADER, "/stop");
    stop["update_id"] = json!(500);
    let press = json!({"update_id": 501, "callback_query": {
        "id": "one press", "chat_instance": "1", "data": format!("n:{ORDER}"),
        "from": {"id": TRADER, "is_bot": false, "first_name": "P"},
        "message": {"message_id": message_id, "date": 1, "chat": {"id": TRADER, "type": "private"}, "text": "the message"},
    }});
    assert_eq!(floor.telegraph.hand(&floor.server, stop.clone()).await.status, 200);
    assert_eq!(floor.telegraph.hand(&floor.server, press.clone()).await.status, 200);
    let text = floor.telegraph.text(TRADER, 3).await;
    assert!(text.contains("Declined by"), "{text}");
    let asked = floor.desk.asked();
    floor.server.stop().await;

    floor.server = notifier(floor.config.clone(), &floor.telegraph).await;
    for update in [stop.clone(), press, stop.clone()] {
        assert_eq!(floor.telegraph.hand(&floor.server, update).await.status, 200);
    }
    // A Telegram that begins to count anew is another matter: the same number, another message.
    stop["message"]["message_id"] = json!(8);
    assert_eq!(floor.telegraph.hand(&floor.server, stop).await.status, 200);
    floor.telegraph.text(TRADER, 4).await;
    assert_eq!(floor.telegraph.texts(TRADER).len(), 4, "{:?}", floor.telegraph.texts(TRADER));
    assert_eq!(floor.desk.asked().len(), asked.len() + 1, "nothing was done twice");
    floor.stop().await;
}

pub(crate) async fn why_tells_the_reason_and_where_the_time_went(database: TestDatabase) {
    const TEMPO: &str = include_str!("../../../trace-reader/tests/data/tempo-trace.json");
    let looks = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&looks);
    let tempo = web::testing::fake(move |_request, _body| {
        let look = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            // It is still on its way at first.
            if look == 0 {
                actix_web::HttpResponse::NotFound().finish()
            } else {
                actix_web::HttpResponse::Ok().body(TEMPO)
            }
        }
    });
    let floor = Floor::start_with(&database, TradingMode::Live, |config| config.tempo_url = Some(tempo)).await;
    assert!(floor.say(TRADER, "/why").await.contains("no order and no decision in this chat yet"));
    assert!(floor.say(TRADER, "/why nothing").await.contains("32 hex digits"));
    assert!(
        floor.say(TRADER, "/why ffffffffffffffffffffffffffffffff").await.contains("There is no order with this id")
    );

    let answer = floor.say(TRADER, "btc?").await;
    assert!(answer.contains("HOLD BTCUSDT") && answer.contains("Mode LIVE"), "{answer}");
    let text = floor.say(TRADER, "/why").await;
    assert!(text.contains("💬 Scripted.") && text.contains("Where the time went"), "{text}");
    assert!(text.contains("<pre>") && text.contains("total") && text.contains(" ms"), "{text}");
    assert!(looks.load(Ordering::SeqCst) >= 2);

    let (message_id, sent) = floor.told("n1", order(OrderStatus::Filled)).await;
    let text = floor.say(TRADER, "/why").await;
    assert!(text.contains("BUY 0.002 BTCUSDT") && text.contains("new ") && text.contains(TRACE), "{text}");
    let why = buttons(&sent).into_iter().find(|data| data.starts_with("w:")).unwrap();
    let before = floor.telegraph.texts(TRADER).len();
    assert_eq!(floor.press(TRADER, message_id, &why).await, None);
    assert!(floor.telegraph.text(TRADER, before + 1).await.contains("BUY 0.002 BTCUSDT"));

    // As an answer to the decision's message, and to one that nothing is known of.
    let asked = floor.telegraph.calls("sendMessage");
    let (decision_message, _) = asked.iter().find(|(_, sent)| sent["text"].as_str().unwrap() == answer).unwrap();
    for (replied, wanted) in [(*decision_message, "Scripted."), (99_999, "do not know which")] {
        let before = floor.telegraph.texts(TRADER).len();
        let mut update = message(TRADER, TRADER, "/why");
        update["message"]["message_id"] = json!(1_000 + replied);
        update["message"]["reply_to_message"] =
            json!({"message_id": replied, "date": 1, "chat": {"id": TRADER, "type": "private"}});
        assert_eq!(floor.telegraph.hand(&floor.server, update).await.status, 200);
        let text = floor.telegraph.text(TRADER, before + 1).await;
        assert!(text.contains(wanted), "{text}");
    }
    floor.stop().await;
}

pub(crate) async fn a_chart_is_a_picture_with_what_happened_in_it(database: TestDatabase) {
    let floor = Floor::start(&database, TradingMode::Live).await;
    let (message_id, sent) = floor.told("n1", order(OrderStatus::Filled)).await;
    let chart = buttons(&sent).into_iter().find(|data| data.starts_with("c:")).unwrap();
    assert_eq!(floor.press(TRADER, message_id, &chart).await, None);
    let photo = eventually("the picture", || async { floor.telegraph.calls("sendPhoto").pop() }).await.1;
    let form = photo.as_str().unwrap();
    assert!(
        form.contains("<b>BTCUSDT</b>") && form.contains("BUY 0.002 at 46,224.50"),
        "{}",
        &form[..600.min(form.len())]
    );
    assert!(form.contains("IHDR"), "a PNG");

    // Candles of another length, and of one that there is not.
    let before = floor.telegraph.calls("sendPhoto").len();
    assert_eq!(floor.telegraph.hand(&floor.server, message(TRADER, TRADER, "/chart BTC 5m")).await.status, 200);
    eventually("another picture", || async { (floor.telegraph.calls("sendPhoto").len() > before).then_some(()) }).await;
    assert!(floor.market.seen().iter().any(|call| call.contains("/v1/candles/BTCUSDT?interval=5m")));
    let text = floor.say(TRADER, "/chart BTC 99m").await;
    assert!(text.contains("Candles are of 1m, 5m, 15m, 1h"), "{text}");

    // market-data-service does not serve it.
    let text = floor.say(TRADER, "/chart doge").await;
    assert!(text.contains("There is no chart") && text.contains("market-data-service"), "{text}");
    floor.stop().await;
}

pub(crate) async fn trading_is_stopped_although_nothing_can_be_written_down(database: TestDatabase) {
    let (telegraph, desk) = (Telegraph::default(), Desk::new(TradingMode::Live));
    let mut config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    config.order_url = desk.start();
    telegraph.give(&mut config, &database);
    config.database = storage::DatabaseSettings::at("postgres://nobody@127.0.0.1:1/nothing");
    telemetry::testing::init();
    let server = notifier::start(config).await.unwrap();
    // Telegram hands it out again until the answer is kept; to stop twice does no harm.
    let stop = telegraph.hand(&server, message(TRADER, TRADER, "/stop")).await;
    stop.problem(503, "database_away");
    let resume = telegraph.hand(&server, message(ADMIN, ADMIN, "/resume")).await;
    resume.problem(503, "database_away");
    let viewer = telegraph.hand(&server, message(VIEWER, VIEWER, "/stop")).await;
    viewer.problem(503, "database_away");
    let put = ("PUT /v1/trading/state".to_owned(), json!({"state": "halted", "by": format!("telegram:{TRADER}")}));
    assert_eq!(desk.asked(), [put]);
    server.stop().await;
}

/// Polling, with something older of the same chat that cannot be answered either: what stops trading does not wait for it.
pub(crate) async fn trading_is_stopped_although_something_older_waits(database: TestDatabase) {
    let (telegraph, desk) = (Telegraph::default(), Desk::new(TradingMode::Live));
    let mut config = Config::ephemeral("http://127.0.0.1:1", "http://127.0.0.1:1").unwrap();
    config.order_url = desk.start();
    telegraph.give(&mut config, &database);
    config.telegram.mode = notifier::TelegramMode::Polling;
    config.database = storage::DatabaseSettings::at("postgres://nobody@127.0.0.1:1/nothing");
    telemetry::testing::init();
    // Written by several in one group, and none of it can be answered.
    let written = [(VIEWER, "/status"), (VIEWER, "/stop"), (TRADER, "/orders"), (TRADER, "/pause"), (TRADER, "/stop")];
    for (user, text) in written {
        telegraph.wait(message(user, GROUP, text));
    }
    let server = notifier::start(config).await.unwrap();
    let asked = eventually("trading is paused and stopped", || async {
        let asked = desk.asked();
        let states: Vec<Value> = asked.iter().map(|(_, body)| body["state"].clone()).collect();
        (states.contains(&json!("reducing")) && states.contains(&json!("halted"))).then_some(asked)
    })
    .await;
    let by = json!(format!("telegram:{TRADER}"));
    assert!(asked.iter().all(|(call, body)| call == "PUT /v1/trading/state" && body["by"] == by), "{asked:?}");
    // Nothing of it is done: all of it comes again, in its order, once the database is back.
    let offsets = telegraph.calls("getUpdates").into_iter().map(|(_, params)| params["offset"].as_i64().unwrap_or(0));
    assert!(offsets.max().unwrap() <= 1);
    server.stop().await;
}
