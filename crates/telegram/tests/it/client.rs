//! The client over real HTTP: typed errors, limits, and a token that shows up nowhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use telegram::api::ParseMode;
use telegram::api::methods::{EditMessageTextParams, SendMessageParams, SendPhotoParams};
use telegram::api::types::AllowedUpdate;
use telegram::{AsyncTelegramApi, Client, Deliver, Error, Outgoing, Photo, Settings, Taken, UpdatesRequest};

const TOKEN: &str = "12345:A-very_secret-token";

type Seen = Arc<Mutex<Vec<(HttpHead, Vec<u8>)>>>;

#[derive(Debug, Clone)]
struct HttpHead {
    path: String,
    headers: Vec<String>,
    content_type: String,
}

struct Server {
    handle: ServerHandle,
    client: Client,
    seen: Seen,
}

/// A server that gives one answer to every call and writes down what it was asked.
async fn serve(status: u16, body: &'static str, delay: Duration) -> Server {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let server = HttpServer::new(move || {
        let log = Arc::clone(&log);
        App::new().default_service(web::to(move |request: HttpRequest, bytes: web::Bytes| {
            let log = Arc::clone(&log);
            async move {
                let head = HttpHead {
                    path: request.path().to_owned(),
                    headers: request.headers().keys().map(|name| name.as_str().to_owned()).collect(),
                    content_type: request
                        .headers()
                        .get("content-type")
                        .map(|value| value.to_str().unwrap().to_owned())
                        .unwrap_or_default(),
                };
                log.lock().unwrap().push((head, bytes.to_vec()));
                actix_web::rt::time::sleep(delay).await;
                HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).body(body)
            }
        }))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Server { handle, client: Client::new(&settings(&url)).unwrap(), seen }
}

fn settings(url: &str) -> Settings {
    let mut settings = Settings::new(url.parse().unwrap(), TOKEN.to_owned().into());
    settings.request_timeout = Duration::from_millis(700);
    settings.long_poll_margin = Duration::from_millis(700);
    settings.max_response_bytes = 10_000;
    settings
}

fn message() -> SendMessageParams {
    SendMessageParams::builder().chat_id(5).text("hello").build()
}

const SENT: &str = r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":5,"type":"private"},"text":"hello"}}"#;

#[actix_web::test]
async fn a_call_is_json_to_the_bots_path_without_trace_headers() {
    telemetry::testing::init();
    let server = serve(200, SENT, Duration::ZERO).await;
    let sent = server.client.send_message(&message()).await.unwrap();
    assert_eq!(sent.result.message_id, 1);
    let (head, body) = server.seen.lock().unwrap().remove(0);
    assert_eq!(head.path, format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(head.content_type, "application/json");
    assert!(!head.headers.iter().any(|name| name == "traceparent" || name == "baggage"), "{:?}", head.headers);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
        serde_json::json!({"chat_id": 5, "text": "hello"})
    );
    server.handle.stop(true).await;
}

#[actix_web::test]
async fn a_call_is_a_client_span_and_the_token_is_in_none_of_its_words() {
    telemetry::testing::init();
    let server = serve(
        403,
        r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#,
        Duration::ZERO,
    )
    .await;
    let error = server.client.send_message(&message()).await.unwrap_err();
    assert_eq!(error, Error::Forbidden { description: "Forbidden: bot was blocked by the user".to_owned() });
    server.handle.stop(true).await;

    let spans = telemetry::testing::finished_spans();
    let span = spans
        .iter()
        .find(|span| span.name == "telegram sendMessage" && format!("{:?}", span.attributes).contains("forbidden"))
        .expect("a span of the call");
    assert_eq!(span.span_kind, opentelemetry::trace::SpanKind::Client);
    assert!(matches!(span.status, opentelemetry::trace::Status::Error { .. }), "{:?}", span.status);
    let attribute =
        |name: &str| span.attributes.iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value.to_string());
    assert_eq!(attribute("server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(attribute("http.response.status_code").as_deref(), Some("403"));
    assert_eq!(attribute("error.type").as_deref(), Some("forbidden"));
    assert!(!format!("{spans:?}").contains(TOKEN));
}

#[actix_web::test]
async fn the_token_is_in_no_error_and_no_debug_text() {
    // Nobody listens on port 1, nothing answers in 100 ms, a redirect is not followed.
    let gone = Client::new(&settings("http://127.0.0.1:1")).unwrap();
    let error = gone.get_me().await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    let unresolved = Client::new(&settings("http://nowhere.invalid")).unwrap().get_me().await.unwrap_err();
    let echo: &'static str = Box::leak(
        format!(r#"{{"ok":false,"error_code":400,"description":"no such path /bot{TOKEN}/x"}}"#).into_boxed_str(),
    );
    let echoing = serve(400, echo, Duration::ZERO).await;
    let echoed = echoing.client.get_me().await.unwrap_err();
    assert_eq!(echoed.label(), "bad_request");
    for text in [
        format!("{error} {error:?}"),
        format!("{unresolved} {unresolved:?}"),
        format!("{echoed} {echoed:?}"),
        format!("{gone:?}"),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
    echoing.handle.stop(true).await;
}

#[actix_web::test]
async fn slow_large_and_broken_answers_are_told_apart() {
    let slow = serve(200, SENT, Duration::from_secs(5)).await;
    assert_eq!(slow.client.get_me().await.unwrap_err(), Error::Timeout);
    slow.handle.stop(false).await;

    let large: &'static str = Box::leak(format!(r#"{{"ok":true,"result":"{}"}}"#, "x".repeat(20_000)).into_boxed_str());
    let large = serve(200, large, Duration::ZERO).await;
    assert_eq!(large.client.get_me().await.unwrap_err(), Error::TooLarge { limit: 10_000 });
    large.handle.stop(true).await;

    let broken = serve(200, r#"{"ok":true,"resu"#, Duration::ZERO).await;
    assert_eq!(broken.client.get_me().await.unwrap_err().label(), "malformed");
    broken.handle.stop(true).await;

    let gateway = serve(502, "<html>Bad Gateway</html>", Duration::ZERO).await;
    assert_eq!(gateway.client.get_me().await.unwrap_err(), Error::Server { status: 502 });
    gateway.handle.stop(true).await;
}

#[actix_web::test]
async fn a_long_poll_may_take_longer_than_other_calls() {
    // The server holds the answer for 1 s: more than an ordinary call may take, less than 2 s of poll and the margin.
    let server = serve(200, r#"{"ok":true,"result":[{"update_id":3,"hologram":{}},{"update_id":4,"message":{"message_id":1,"date":1,"chat":{"id":5,"type":"private"}}}]}"#, Duration::from_secs(1)).await;
    assert_eq!(server.client.get_me().await.unwrap_err(), Error::Timeout);
    let request = UpdatesRequest { offset: 3, hold_seconds: 2, limit: 10, allowed: vec![AllowedUpdate::Message] };
    let updates = server.client.poll_updates(&request).await.unwrap();
    assert_eq!(
        updates.iter().map(|update| (update.id, update.update.is_ok())).collect::<Vec<_>>(),
        [(3, false), (4, true)]
    );
    let (head, body) = server.seen.lock().unwrap().pop().unwrap();
    assert_eq!(head.path, format!("/bot{TOKEN}/getUpdates"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, serde_json::json!({"offset": 3, "timeout": 2, "limit": 10, "allowed_updates": ["message"]}));
    server.handle.stop(false).await;
}

#[actix_web::test]
async fn a_file_goes_as_a_form() {
    let server = serve(200, SENT, Duration::ZERO).await;
    let path = std::env::temp_dir().join(format!("telegram-test-{}.png", std::process::id()));
    std::fs::write(&path, b"\x89PNG picture").unwrap();
    let params = SendPhotoParams::builder().chat_id(5).photo(path.clone()).caption("a chart").build();
    server.client.send_photo(&params).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let (head, body) = server.seen.lock().unwrap().pop().unwrap();
    assert!(head.content_type.starts_with("multipart/form-data"), "{}", head.content_type);
    let body = String::from_utf8_lossy(&body).into_owned();
    for part in
        ["name=\"chat_id\"", "name=\"caption\"", "a chart", "name=\"photo\"; filename=\"telegram-test-", "PNG picture"]
    {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    let missing = SendPhotoParams::builder().chat_id(5).photo(path).build();
    assert_eq!(server.client.send_photo(&missing).await.unwrap_err().label(), "request");
    server.handle.stop(true).await;
}

/// Says something once; how it ended.
async fn say(status: u16, body: &'static str) -> Result<Taken, Error> {
    let server = serve(status, body, Duration::ZERO).await;
    let outcome = server.client.deliver(&Outgoing::Message(Box::new(message()))).await;
    server.handle.stop(true).await;
    assert_eq!(server.seen.lock().unwrap().len(), 1);
    outcome
}

#[actix_web::test]
async fn a_message_that_telegram_took_counts_as_sent_whatever_its_answer_looks_like() {
    assert_eq!(say(200, SENT).await, Ok(Taken { message_id: Some(1) }));
    let large: &'static str = Box::leak(format!(r#"{{"ok":true,"result":"{}"}}"#, "x".repeat(20_000)).into_boxed_str());
    for (status, body) in [
        (200, r#"{"ok":true,"result":{"hologram":{"message_id":"of a shape that is not known"}}}"#),
        (200, r#"{"ok":true,"result":{"message_id":99999999999}}"#),
        (200, r#"{"ok":true}"#),
        (200, r#"{"ok":true,"resu"#),
        (200, "<html>OK</html>"),
        (204, ""),
        (200, large),
    ] {
        assert_eq!(say(status, body).await, Ok(Taken { message_id: None }), "{status} {}", body.len());
    }
}

#[actix_web::test]
async fn a_message_that_was_not_taken_may_be_tried_again_or_not() {
    assert_eq!(say(502, "<html>Bad Gateway</html>").await, Err(Error::Server { status: 502 }));
    let elsewhere = say(302, "<html>log in first</html>").await.unwrap_err();
    assert!(elsewhere.is_transient() && elsewhere.label() == "malformed", "{elsewhere:?}");
    let refusal = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#;
    let refused = say(200, refusal).await.unwrap_err();
    assert!(!refused.is_transient() && refused.label() == "forbidden", "{refused:?}");
}

#[actix_web::test]
async fn a_picture_goes_from_memory_and_an_edit_names_its_message() {
    let server = serve(200, SENT, Duration::ZERO).await;
    let photo = Photo {
        chat_id: 5,
        message_thread_id: None,
        caption: "<b>a chart</b>".to_owned(),
        parse_mode: ParseMode::Html,
        reply_markup: None,
        png: b"\x89PNG picture".to_vec(),
    };
    let sent = server.client.deliver(&Outgoing::Photo(Box::new(photo.clone()))).await;
    assert_eq!(sent, Ok(Taken { message_id: Some(1) }));
    let (head, body) = server.seen.lock().unwrap().pop().unwrap();
    assert_eq!(head.path, format!("/bot{TOKEN}/sendPhoto"));
    let body = String::from_utf8_lossy(&body).into_owned();
    for part in ["name=\"chat_id\"", "<b>a chart</b>", "HTML", "name=\"photo\"; filename=\"chart.png\"", "PNG picture"]
    {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    let huge = Photo { png: vec![0; telegram::MAX_PHOTO_BYTES + 1], ..photo };
    assert_eq!(server.client.deliver(&Outgoing::Photo(Box::new(huge))).await.unwrap_err().label(), "request");

    let edit = EditMessageTextParams::builder().chat_id(5).message_id(7).text("new words").build();
    server.client.deliver(&Outgoing::Edit(Box::new(edit))).await.unwrap();
    let (head, body) = server.seen.lock().unwrap().pop().unwrap();
    assert_eq!(head.path, format!("/bot{TOKEN}/editMessageText"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, serde_json::json!({"chat_id": 5, "message_id": 7, "text": "new words"}));
    assert!(server.seen.lock().unwrap().is_empty(), "what is too large is not sent");
    server.handle.stop(true).await;
}
