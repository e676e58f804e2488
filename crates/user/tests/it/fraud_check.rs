//! A service for the chain by somebody who has read docs/CHAIN.md, "Another service in the chain", and has nothing of
//! ours: bare actix-web, JSON as it comes, the routes that the contract names and no other. The end-to-end tests put it
//! into the whole stack.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, get, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

/// It runs on a thread of its own, and ends when this is dropped.
pub(crate) struct FraudCheck {
    url: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl FraudCheck {
    /// Before the service at this base URL.
    pub(crate) fn start(next: &str) -> Self {
        let next = format!("{}/process", next.trim_end_matches('/'));
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
                    App::new()
                        .app_data(Data::new((http, next.clone())))
                        .route("/health/live", get().to(HttpResponse::Ok))
                        .route("/process", post().to(process))
                })
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
                let url = format!("http://{}", server.addrs()[0]);
                let server = server.run();
                tell.send((url, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (url, server) = told.recv().unwrap();
        Self { url, server, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for FraudCheck {
    fn drop(&mut self) {
        // The order to stop is given by the call; what it returns only waits, and so does the thread's end.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // Its only failure is to have panicked, which has been told already.
            let _ = thread.join();
        }
    }
}

/// Scores the request and hands it on.
async fn process(link: Data<(reqwest::Client, String)>, asked: HttpRequest, body: Bytes) -> HttpResponse {
    let (http, next) = link.get_ref();
    let Ok(mut request) = serde_json::from_slice::<Value>(&body) else {
        return problem(400, &json!({"code": "bad_body", "detail": "The body is no JSON."}));
    };
    request["context"]["business"]["fraud-check"] = json!({"score": 3});
    let mut call = http.post(next).json(&request);
    // It makes no spans of its own: what it was given goes on.
    for name in ["traceparent", "tracestate", "baggage"] {
        if let Some(value) = asked.headers().get(name) {
            call = call.header(name, value.as_bytes());
        }
    }
    let answered = async {
        let response = call.send().await?;
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Ok((response.status().as_u16(), replayed, response.json::<Value>().await?))
    };
    let outcome: Result<(u16, bool, Value), reqwest::Error> = answered.await;
    match outcome {
        Ok((200, replayed, mut reply)) => {
            let own = json!({"service": "fraud-check", "status": "done", "worked_ms": 0, "data": {"score": 3}});
            reply["parts"].as_array_mut().unwrap().insert(0, own);
            let mut answer = HttpResponse::Ok();
            if replayed {
                answer.insert_header(("idempotent-replayed", "true"));
            }
            answer.json(reply)
        }
        Ok((status, _, told)) => problem(status, &told),
        Err(error) => problem(
            502,
            &json!({"code": "next_service_failed", "detail": error.to_string(), "upstream": "order-service"}),
        ),
    }
}

fn problem(status: u16, told: &Value) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap();
    HttpResponse::build(status).content_type("application/problem+json").body(told.to_string())
}
