//! A server that answers as it is told: for services that misbehave in ways the real ones do not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// One scripted answer.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) path_prefix: &'static str,
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Script {
    pub(crate) fn json(path_prefix: &'static str, body: impl Into<String>) -> Self {
        Self { path_prefix, status: 200, content_type: "application/json", body: body.into(), delay: Duration::ZERO }
    }

    pub(crate) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

pub(crate) struct Scripted {
    pub(crate) url: String,
    handle: ServerHandle,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers each path by the first script whose prefix fits, everything else with 404.
    pub(crate) fn start(scripts: Vec<Script>) -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let server = HttpServer::new(move || {
            let (scripts, log) = (scripts.clone(), Arc::clone(&log));
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let script = scripts.iter().find(|script| request.path().starts_with(script.path_prefix)).cloned();
                log.lock()
                    .unwrap()
                    .push(format!("{} {}", request.uri(), String::from_utf8_lossy(&body)).trim_end().to_owned());
                async move {
                    let Some(script) = script else {
                        return HttpResponse::NotFound().finish();
                    };
                    tokio::time::sleep(script.delay).await;
                    HttpResponse::build(StatusCode::from_u16(script.status).unwrap())
                        .content_type(script.content_type)
                        .body(script.body)
                }
            }))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, handle, seen }
    }

    /// What was asked: path, query, body.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// A price of now, as market-data-service gives it.
pub(crate) fn price(symbol: &str) -> String {
    serde_json::json!({
        "symbol": symbol, "price": "46224.50", "observed_at": chrono::Utc::now(), "age_ms": 120, "source": "stream"
    })
    .to_string()
}

/// Rising candles, as market-data-service gives them.
pub(crate) fn candles(symbol: &str) -> String {
    let now = chrono::Utc::now();
    let candles: Vec<serde_json::Value> = (0..250)
        .map(|n: i64| {
            let open_time = now - chrono::TimeDelta::minutes(251 - n);
            let price = (46_000 + n).to_string();
            serde_json::json!({
                "open_time": open_time, "close_time": open_time + chrono::TimeDelta::milliseconds(59_999),
                "open": price, "high": price, "low": price, "close": price, "volume": "1", "closed": true
            })
        })
        .collect();
    serde_json::json!({"symbol": symbol, "interval": "1m", "candles": candles}).to_string()
}

/// A decision, as decision-service gives it.
pub(crate) fn decision(symbol: &str) -> String {
    serde_json::json!({
        "decision_id": "0123456789abcdef0123456789abcdef", "symbol": symbol, "action": "HOLD", "confidence": "0.50",
        "reason": "Scripted.", "strategy": "technical", "cost_usd": "0", "indicators": {"sma_fast": null, "sma_slow": null, "rsi": null},
        "decided_at": chrono::Utc::now()
    })
    .to_string()
}

/// market-data-service that knows BTCUSDT.
pub(crate) fn market_data() -> Vec<Script> {
    let symbols = r#"{"symbols":[{"symbol":"BTCUSDT","base":"BTC","quote":"USDT"}]}"#;
    vec![
        Script::json("/v1/prices/BTCUSDT", price("BTCUSDT")),
        Script::json("/v1/candles/BTCUSDT", candles("BTCUSDT")),
        Script::json("/v1/symbols", symbols),
        Script::json("/health/live", "{}"),
    ]
}
