//! A scripted exchange: Binance's wire format, and every price, candle and fault on command.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use actix_ws::AggregatedMessage;
use chrono::Utc;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// A candle lasts as long here; never a minute.
pub(crate) const CANDLE_MS: i64 = 100;

/// What to do on every open socket.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Text(String),
    Ping(Vec<u8>),
    /// The server's goodbye.
    Close,
    /// No goodbye.
    Drop,
}

/// How REST behaves.
#[derive(Debug, Clone)]
pub(crate) enum Rest {
    Works,
    Fails {
        status: u16,
        retry_after_s: Option<u64>,
        body: &'static str,
    },
    /// Answers 200 with this, whatever is asked.
    Says(&'static str),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rest: Rest,
    pub(crate) accepts_sockets: bool,
    pub(crate) price: String,
    /// Time of the price; the present when left out.
    pub(crate) price_time_ms: Option<i64>,
    /// The exchange's clock minus this machine's.
    pub(crate) clock_offset_ms: i64,
    pub(crate) listed: Vec<&'static str>,
    /// Paths and queries of the REST calls so far.
    pub(crate) calls: Vec<String>,
    /// Sockets opened so far.
    pub(crate) sockets: usize,
    /// Sockets that the client said goodbye to.
    pub(crate) goodbyes: usize,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// Open times of all candles of the only symbol that has a history, the last one forming.
    candles: VecDeque<i64>,
    last_tick_ms: i64,
}

pub(crate) struct Exchange {
    state: Arc<Mutex<State>>,
    commands: broadcast::Sender<Command>,
    handle: ServerHandle,
    pub(crate) rest_url: String,
    pub(crate) ws_url: String,
}

impl Exchange {
    /// Starts with 1,200 candles, the last one forming now.
    pub(crate) fn start() -> Self {
        let now = Utc::now().timestamp_millis();
        let candles = (0..1200).map(|n| now - (1199 - n) * CANDLE_MS).collect();
        let state = Arc::new(Mutex::new(State {
            rest: Rest::Works,
            accepts_sockets: true,
            price: "100.00".to_owned(),
            price_time_ms: None,
            clock_offset_ms: 0,
            listed: vec!["BTCUSDT", "ETHUSDT"],
            calls: Vec::new(),
            sockets: 0,
            goodbyes: 0,
            pongs: Vec::new(),
            candles,
            last_tick_ms: 0,
        }));
        let commands = broadcast::Sender::new(4096);
        let data = (Data::new(Arc::clone(&state)), Data::new(commands.clone()));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.0.clone())
                .app_data(data.1.clone())
                .route("/stream", web::get().to(socket))
                .default_service(web::get().to(rest))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { state, commands, handle, rest_url: format!("http://{address}"), ws_url: format!("ws://{address}") }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn command(&self, command: Command) {
        // Nobody may be connected; then nobody misses it.
        drop(self.commands.send(command));
    }

    pub(crate) fn send(&self, event: &Value) {
        self.command(Command::Text(event.to_string()));
    }

    /// States a price, as the ticker stream does every second.
    pub(crate) fn tick(&self, price: &str) {
        let event_ms = {
            let mut state = self.state();
            state.price = price.to_owned();
            // Candles run ahead of the clock here; a price must not come from before them.
            let newest = state.last_tick_ms.max(*state.candles.back().unwrap() + 1);
            state.last_tick_ms = Utc::now().timestamp_millis().max(newest + 1);
            state.last_tick_ms
        };
        self.send(&ticker("BTCUSDT", price, event_ms));
    }

    /// `n` candles end and as many form; the stream tells of each.
    pub(crate) fn advance(&self, n: usize) {
        for _ in 0..n {
            let (ended, forming) = self.advance_silently();
            self.send(&kline("BTCUSDT", ended, true));
            self.send(&kline("BTCUSDT", forming, false));
        }
    }

    /// One candle ends and nobody is told. Open times of the candle that ended and of the one that forms.
    pub(crate) fn advance_silently(&self) -> (i64, i64) {
        let mut state = self.state();
        let ended = *state.candles.back().unwrap();
        let forming = ended + CANDLE_MS;
        state.candles.push_back(forming);
        (ended, forming)
    }

    /// Open time of the candle that forms.
    pub(crate) fn forming(&self) -> i64 {
        *self.state().candles.back().unwrap()
    }

    pub(crate) fn calls_to(&self, path: &str) -> usize {
        self.state().calls.iter().filter(|call| call.starts_with(path)).count()
    }

    pub(crate) async fn stop(self) {
        self.command(Command::Drop);
        self.handle.stop(false).await;
    }
}

/// The price a candle has: all four the same, and different for each candle.
pub(crate) fn candle_price(open_ms: i64) -> String {
    format!("{}.50", 100 + open_ms / CANDLE_MS % 1000)
}

pub(crate) fn ticker(symbol: &str, price: &str, event_ms: i64) -> Value {
    json!({"stream": format!("{}@ticker", symbol.to_lowercase()), "data": {
        "e": "24hrTicker", "E": event_ms, "s": symbol, "p": "0.0", "P": "0.0", "w": price, "x": price, "c": price, "Q": "1",
        "b": price, "B": "1", "a": price, "A": "1", "o": price, "h": price, "l": price, "v": "1", "q": "1", "O": 0,
        "C": event_ms, "F": 0, "L": 1, "n": 2}})
}

pub(crate) fn kline(symbol: &str, open_ms: i64, is_final: bool) -> Value {
    let price = candle_price(open_ms);
    let event_ms = if is_final { open_ms + CANDLE_MS } else { open_ms + 1 };
    json!({"stream": format!("{}@kline_1m", symbol.to_lowercase()), "data": {
        "e": "kline", "E": event_ms, "s": symbol, "k": {
            "t": open_ms, "T": open_ms + CANDLE_MS - 1, "s": symbol, "i": "1m", "f": 1, "L": 2, "o": price, "c": price,
            "h": price, "l": price, "v": "3.5", "n": 2, "x": is_final, "q": "1", "V": "1", "Q": "1", "B": "0"}}})
}

async fn rest(state: Data<Arc<Mutex<State>>>, request: HttpRequest) -> HttpResponse {
    let mut state = state.lock().unwrap();
    state.calls.push(format!("{}?{}", request.path(), request.query_string()));
    match state.rest.clone() {
        Rest::Works => {}
        Rest::Fails { status, retry_after_s, body } => {
            let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
            if let Some(seconds) = retry_after_s {
                response.insert_header(("Retry-After", seconds.to_string()));
            }
            return response.content_type("application/json").body(body);
        }
        Rest::Says(body) => return HttpResponse::Ok().content_type("application/json").body(body),
    }
    let query: Vec<(String, String)> =
        web::Query::from_query(request.query_string()).map(web::Query::into_inner).unwrap();
    let get = |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let symbol = get("symbol");
    let now = Utc::now().timestamp_millis() + state.clock_offset_ms;
    let unlisted = || HttpResponse::BadRequest().json(json!({"code": -1121, "msg": "Invalid symbol."}));
    let body = match request.path() {
        "/api/v3/time" => json!({"serverTime": now}),
        "/api/v3/exchangeInfo" => {
            let names: Vec<String> = serde_json::from_str(get("symbols")).unwrap();
            if names.iter().any(|name| !state.listed.contains(&name.as_str())) {
                return unlisted();
            }
            json!({"timezone": "UTC", "serverTime": now, "rateLimits": [], "exchangeFilters": [],
                "symbols": names.iter().map(|name| json!({"symbol": name, "status": "TRADING",
                    "baseAsset": name.trim_end_matches("USDT"), "quoteAsset": "USDT"})).collect::<Vec<_>>()})
        }
        _ if !state.listed.contains(&symbol) => return unlisted(),
        "/api/v3/ticker/24hr" => json!({"symbol": symbol, "lastPrice": state.price, "openTime": now - 86_400_000,
            "closeTime": state.price_time_ms.unwrap_or(now)}),
        "/api/v3/klines" => {
            let limit: usize = get("limit").parse().unwrap();
            let candles = &state.candles;
            candles.range(candles.len().saturating_sub(limit)..).map(|open| row(*open)).collect()
        }
        _ => return HttpResponse::NotFound().finish(),
    };
    HttpResponse::Ok().insert_header(("X-MBX-USED-WEIGHT-1M", "17")).json(body)
}

fn row(open_ms: i64) -> Value {
    let price = candle_price(open_ms);
    json!([open_ms, price, price, price, price, "3.5", open_ms + CANDLE_MS - 1, "1", 2, "1", "1", "0"])
}

async fn socket(
    state: Data<Arc<Mutex<State>>>,
    commands: Data<broadcast::Sender<Command>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let streams = request.query_string().strip_prefix("streams=").unwrap_or_default();
    assert!(streams.contains("btcusdt@kline_1m/btcusdt@ticker"), "{streams}");
    // Before the socket is counted: a test that sees it may command it.
    let mut commands = commands.subscribe();
    {
        let mut state = state.lock().unwrap();
        if !state.accepts_sockets {
            return Ok(HttpResponse::ServiceUnavailable().finish());
        }
        state.sockets += 1;
    }
    let (response, mut session, messages) = actix_ws::handle(&request, payload)?;
    let mut messages = messages.aggregate_continuations();
    actix_web::rt::spawn(async move {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Ok(AggregatedMessage::Pong(payload))) => state.lock().unwrap().pongs.push(payload.to_vec()),
                    Some(Ok(AggregatedMessage::Close(_))) => {
                        state.lock().unwrap().goodbyes += 1;
                        return;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                command = commands.recv() => {
                    let sent = match command {
                        Ok(Command::Text(text)) => session.text(text).await,
                        Ok(Command::Ping(payload)) => session.ping(&payload).await,
                        Ok(Command::Close) => {
                            drop(session.close(None).await);
                            return;
                        }
                        Ok(Command::Drop) | Err(_) => return,
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Ok(response)
}
