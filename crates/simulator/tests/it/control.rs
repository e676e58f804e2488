use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Simulator};

/// Reads server-sent events.
struct Events<S> {
    stream: S,
    buffer: String,
}

impl<S: futures_util::Stream<Item = Result<bytes::Bytes, awc::error::PayloadError>> + Unpin> Events<S> {
    /// The next block; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            match tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("nothing comes") {
                Some(Ok(chunk)) => self.buffer.push_str(std::str::from_utf8(&chunk).unwrap()),
                Some(Err(_)) | None => return None,
            }
        }
    }

    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.expect("an event");
            if let Some(rest) = block.strip_prefix("event: ") {
                let (name, data) = rest.split_once("\ndata: ").unwrap();
                return (name.to_owned(), serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[actix_web::test]
async fn the_chat_is_live_and_ends_with_the_simulator() {
    let sim = Simulator::start().await;
    let response = sim.client.get(sim.url("/control/telegram/events?chat_id=1001")).send().await.unwrap();
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    let mut events = Events { stream: response, buffer: String::new() };
    assert_eq!(events.block().await.unwrap(), ": watching");
    sim.say(1002, "somebody else's").await;
    sim.say(1001, "mine\nin two lines").await;
    let (name, said) = events.event().await;
    assert_eq!((name.as_str(), &said["text"]), ("message", &json!("mine\nin two lines")));
    let sent = sim.bot("sendMessage", json!({"chat_id":1001,"text":"answer"})).await.ok();
    assert_eq!(events.event().await.1["text"], "answer");
    let id = &sent["result"]["message_id"];
    sim.bot("editMessageText", json!({"chat_id":1001,"message_id":id,"text":"better"})).await.ok();
    let (name, edited) = events.event().await;
    assert_eq!((name.as_str(), &edited["text"]), ("edit", &json!("better")));
    sim.bot("sendChatAction", json!({"chat_id":1001,"action":"typing"})).await.ok();
    assert_eq!(events.event().await, ("chat_action".to_owned(), json!({"action":"typing"})));
    let ((), end) = futures_util::join!(sim.stop(), async {
        while let Some(block) = events.block().await {
            assert!(block.starts_with(':'), "{block}");
        }
        "ended"
    });
    assert_eq!(end, "ended");
}

#[actix_web::test]
async fn the_market_says_where_its_prices_come_from() {
    let sim = Simulator::with(|config| config.seconds_per_candle = 3600.try_into().unwrap()).await;
    let market = sim.get("/control/market").await.ok();
    let origins: Vec<&str> =
        market["symbols"].as_array().unwrap().iter().map(|symbol| symbol["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["recorded_month", "seeded_random_walk", "seeded_random_walk"]);
    assert_eq!(market["seconds_per_candle"], 3600);
    assert_eq!(market["symbols"][0]["minute_of_month"], simulator::StartAt::default().index());
    sim.stop().await;
}

#[actix_web::test]
async fn it_is_a_service_like_the_others() {
    let sim = Simulator::start().await;
    assert_eq!(sim.get("/health/live").await.status, 200);
    assert_eq!(sim.get("/health/ready").await.status, 200);
    let description = sim.get("/openapi.json").await.ok();
    for path in [
        "/control/faults",
        "/control/faults/{id}",
        "/control/telegram/updates",
        "/control/telegram/chats/{chat_id}/messages",
        "/control/market",
    ] {
        assert!(description["paths"].get(path).is_some(), "{path}");
    }
    let nothing = sim.get("/control/nothing").await;
    assert_eq!((nothing.status.as_u16(), nothing.header("content-type")), (404, "application/problem+json"));
    sim.stop().await;
}

#[actix_web::test]
async fn it_refuses_settings_that_cannot_work() {
    let mut config = simulator::Config::ephemeral();
    config.telegram_bot_token = "not-a-token".into();
    let error = simulator::start(config).await.err().unwrap();
    assert!(error.to_string().contains("TELEGRAM_BOT_TOKEN has the form"), "{error}");
    let mut config = simulator::Config::ephemeral();
    config.llm_api_key_file = Some("/no/such/file".into());
    let error = simulator::start(config).await.err().unwrap();
    assert!(error.to_string().starts_with("LLM_API_KEY_FILE: cannot read /no/such/file"), "{error}");
}
