//! The pages in a real browser: Chromium, driven over WebDriver.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::stack::Stack;

/// Far beyond what anything here takes: only a defect reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether there is a browser to drive.
pub(crate) fn available() -> bool {
    Command::new("chromedriver").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut process =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok())
            .expect("chromedriver says on which port it listens");
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a scenario in a window of its own, of this size.
fn in_browser<F: Future<Output = ()>>(width: u32, height: u32, scenario: impl FnOnce(Client) -> F) {
    let driver = Driver::start();
    let profile = tempfile::tempdir().unwrap();
    let arguments = [
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        format!("--window-size={width},{height}"),
        format!("--user-data-dir={}", profile.path().display()),
    ];
    let options = json!({"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&driver.url)
            .await
            .unwrap();
        scenario(client.clone()).await;
        client.close().await.unwrap();
    });
}

async fn script(client: &Client, code: &str) -> serde_json::Value {
    client.execute(code, Vec::new()).await.unwrap()
}

/// Waits until a script gives something that is neither null nor false.
async fn until(client: &Client, what: &str, code: &str) -> serde_json::Value {
    let started = std::time::Instant::now();
    loop {
        let found = script(client, code).await;
        if !found.is_null() && found != json!(false) && found != json!("") {
            return found;
        }
        if started.elapsed() > LIMIT {
            let page = script(client, "return document.body.innerText").await;
            panic!("waited in vain: {what}; the page says {page}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn fits_the_window(client: &Client) {
    let excess = script(client, "return document.documentElement.scrollWidth - window.innerWidth").await;
    assert!(excess.as_i64().unwrap() <= 0, "the page is {excess} pixels wider than the window");
}

/// Collects errors of the page's own code, and what its content security policy refused.
const WATCH_ERRORS: &str = "window.__errors = []; addEventListener('error', e => __errors.push(e.message)); \
    addEventListener('unhandledrejection', e => __errors.push(String(e.reason))); \
    addEventListener('securitypolicyviolation', e => __errors.push(e.blockedURI));";

async fn ask_and_look(client: Client, url: String) {
    client.goto(&url).await.unwrap();
    script(&client, WATCH_ERRORS).await;
    client.find(Locator::Css("#go")).await.unwrap().click().await.unwrap();
    let card =
        until(&client, "an answer", "return document.querySelector('article.card[data-action]')?.innerText").await;
    let card = card.as_str().unwrap().to_uppercase();
    assert!(["BUY", "SELL", "HOLD"].iter().any(|action| card.contains(action)), "{card}");
    for wanted in ["BTC", "PAPER", "TECHNICAL", "CONFIDENCE", "%"] {
        assert!(card.contains(wanted), "{wanted} is not in {card}");
    }
    until(
        &client,
        "the waterfall has all three services",
        "const text = document.querySelector('#trace-body').innerText; \
         return ['market-data-service', 'decision-service', 'notifier-service'].every(s => text.includes(s))",
    )
    .await;
    until(
        &client,
        "the logs have all three services",
        "const text = document.querySelector('#logs-body').innerText; \
         return ['market-data-service', 'decision-service', 'notifier-service'].every(s => text.includes(s))",
    )
    .await;
    fits_the_window(&client).await;
    let errors = script(&client, "return window.__errors").await;
    assert_eq!(errors, json!([]));
}

pub(crate) fn page_on_a_desk(stack: &Stack) {
    let url = stack.url("GATEWAY_PORT", "/");
    in_browser(1280, 900, |client| ask_and_look(client, url));
}

pub(crate) fn page_on_a_phone(stack: &Stack) {
    let url = stack.url("GATEWAY_PORT", "/");
    in_browser(390, 844, |client| ask_and_look(client, url));
}

pub(crate) fn chat(stack: &Stack) {
    let url = stack.url("SIMULATOR_PORT", "/");
    in_browser(390, 844, |client| async move {
        client.goto(&url).await.unwrap();
        // A chat begins with /start, as in Telegram; the bot then offers its keyboard.
        until(&client, "the chat is loaded", "return document.querySelector('#person').options.length > 0").await;
        client.find(Locator::Css("#text")).await.unwrap().send_keys("/start").await.unwrap();
        client.find(Locator::Css("#write button[type=submit]")).await.unwrap().click().await.unwrap();
        let answers =
            "[...document.querySelector('#messages').innerText.matchAll(/(BUY|SELL|HOLD) [A-Z]+USDT/g)].length";
        let before = script(&client, &format!("return {answers}")).await.as_i64().unwrap();
        until(
            &client,
            "the keyboard's button is there and pressed",
            "const b = [...document.querySelectorAll('#keyboard button')].find(b => b.innerText.includes('What should I do with crypto?')); \
             if (!b) return null; b.click(); return true",
        )
        .await;
        until(&client, "the bot's answer is in the chat", &format!("return {answers} > {before}")).await;
        fits_the_window(&client).await;
    });
}

/// A request through the business chain, sent on the page, and its waterfall over all its services.
pub(crate) fn chain_on_the_page(stack: &Stack) {
    let url = stack.url("GATEWAY_PORT", "/");
    in_browser(390, 844, |client| async move {
        client.goto(&url).await.unwrap();
        script(&client, WATCH_ERRORS).await;
        client.find(Locator::Css("#chain summary")).await.unwrap().click().await.unwrap();
        client.find(Locator::Css("#user-name")).await.unwrap().send_keys("<b>Ann</b>").await.unwrap();
        client.find(Locator::Css("#send")).await.unwrap().click().await.unwrap();
        until(&client, "every part", "return document.querySelectorAll('.part[data-service]').length === 4").await;
        let user = script(&client, "return document.querySelector('.part[data-service=user-service]').innerText").await;
        assert!(user.as_str().unwrap().contains("<b>Ann</b>"), "a name is text: {user}");
        until(
            &client,
            "the waterfall has the chain and its queries",
            "const text = document.querySelector('#trace-body').innerText; \
             return ['UserService.process', 'INSERT orders', 'INSERT audit_logs'].every(s => text.includes(s))",
        )
        .await;
        fits_the_window(&client).await;
        assert_eq!(script(&client, "return window.__errors").await, json!([]));
    });
}

/// What somebody writes is text, wherever it is shown: on the page, and in the chat.
pub(crate) fn texts_are_no_code(stack: &Stack) {
    const EVIL: &str = "<img src=x onerror=\"window.__hit=1\"><script>window.__hit=1</script>";
    let (page, chat) = (stack.url("GATEWAY_PORT", "/"), stack.url("SIMULATOR_PORT", "/"));
    in_browser(1280, 900, |client| async move {
        client.goto(&page).await.unwrap();
        script(&client, WATCH_ERRORS).await;
        client.find(Locator::Css("#question")).await.unwrap().send_keys(EVIL).await.unwrap();
        client.find(Locator::Css("#go")).await.unwrap().click().await.unwrap();
        until(&client, "the refusal", "return document.querySelector('#answers article')?.innerText").await;
        assert_eq!(script(&client, "return [window.__hit ?? null, window.__errors]").await, json!([null, []]));

        client.goto(&chat).await.unwrap();
        until(&client, "the chat is loaded", "return document.querySelector('#person').options.length > 0").await;
        script(&client, WATCH_ERRORS).await;
        client.find(Locator::Css("#text")).await.unwrap().send_keys(EVIL).await.unwrap();
        client.find(Locator::Css("#write button[type=submit]")).await.unwrap().click().await.unwrap();
        until(
            &client,
            "the text is in the chat as it was written",
            "return document.querySelector('#messages').innerText.includes('onerror=')",
        )
        .await;
        assert_eq!(script(&client, "return [window.__hit ?? null, window.__errors]").await, json!([null, []]));
    });
}
