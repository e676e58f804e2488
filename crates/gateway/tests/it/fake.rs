//! Fakes of what is behind the gateway: servers of the test's own that answer as they are told.

use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// One answer of a fake.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) path_prefix: &'static str,
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Script {
    pub(crate) fn json(path_prefix: &'static str, body: impl Into<String>) -> Self {
        Self { path_prefix, status: 200, body: body.into() }
    }

    pub(crate) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

pub(crate) struct Fake {
    pub(crate) url: String,
    handle: ServerHandle,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers each path by the first script whose prefix fits, everything else with 404.
    pub(crate) fn start(scripts: Vec<Script>) -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let server = HttpServer::new(move || {
            let (scripts, log) = (scripts.clone(), Arc::clone(&log));
            App::new().default_service(web::to(move |request: HttpRequest| {
                log.lock().unwrap().push(request.uri().to_string());
                let script = scripts.iter().find(|script| request.path().starts_with(script.path_prefix));
                let answer = match script {
                    None => HttpResponse::NotFound().finish(),
                    Some(script) => HttpResponse::build(StatusCode::from_u16(script.status).unwrap())
                        .content_type("application/json")
                        .body(script.body.clone()),
                };
                async move { answer }
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
        Self { url, handle, seen }
    }

    /// Paths and queries that were asked for.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}
