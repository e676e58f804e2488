//! Stand-ins for market-data-service, decision-service, order-service and notifier-service at one address, which speak
//! the contracts of those services, count what they are asked, and fail when they are told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{TimeDelta, Utc};
use domain::trading::{
    OrderKind, OrderStatus, Refusal, Side, Signal, SignalAction, SignalOutcome, SignalResult, TradeEvent, TradeNotice,
    TradeOrder,
};
use domain::{
    Action, Candle, CandleSeries, Decision, DecisionId, DecisionRequest, Fallback, Indicators, Interval, PriceQuote,
    PriceSource, StrategyName, Symbol, TradingMode,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use url::Url;
use web::testing::fake;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Price,
    Candles,
    Decision,
    Order,
    Notice,
}

/// How the next answer fails.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// This status with this code; with `Retry-After` in seconds, where there is one.
    Status(u16, &'static str, Option<u64>),
    /// It is done, and the answer is lost.
    Lost,
    /// It never comes.
    Never,
    /// It is done, and the answer never comes.
    Silent,
}

/// Everybody whom a worker asks. Clones are the same.
#[derive(Clone)]
pub(crate) struct Everybody(Arc<Mutex<State>>);

struct State {
    failures: BTreeMap<Asked, VecDeque<Failure>>,
    asked: BTreeMap<Asked, usize>,
    traces: Vec<String>,
    price_age_ms: u64,
    action: Action,
    confidence: Decimal,
    cost: Decimal,
    fallback: Option<String>,
    refusal: Option<Refusal>,
    strategies: Vec<Option<StrategyName>>,
    decided: Vec<DecisionRequest>,
    /// Orders by their ids: what a signal was when it came first, and how often it came.
    orders: BTreeMap<DecisionId, (Signal, SignalOutcome, usize)>,
    notices: BTreeMap<String, TradeNotice>,
    /// What was done and not answered.
    silent: Vec<Value>,
}

impl Everybody {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            failures: BTreeMap::new(),
            asked: BTreeMap::new(),
            traces: Vec::new(),
            price_age_ms: 40,
            action: Action::Buy,
            confidence: Decimal::new(72, 2),
            cost: Decimal::new(315, 6),
            fallback: None,
            refusal: None,
            strategies: Vec::new(),
            decided: Vec::new(),
            orders: BTreeMap::new(),
            notices: BTreeMap::new(),
            silent: Vec::new(),
        })))
    }

    pub(crate) fn start(&self) -> Url {
        let everybody = self.clone();
        fake(move |request, body| {
            let everybody = everybody.clone();
            async move { everybody.answer(&request, &body).await }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answers to this fail so.
    pub(crate) fn fail(&self, asked: Asked, failures: &[Failure]) {
        self.state().failures.entry(asked).or_default().extend(failures.iter().cloned());
    }

    /// What is decided, how sure.
    pub(crate) fn decide(&self, action: Action, confidence: &str) {
        let mut state = self.state();
        (state.action, state.confidence) = (action, confidence.parse().unwrap());
    }

    /// A language model that is asked cannot decide.
    pub(crate) fn fall_back(&self, reason: &str) {
        self.state().fallback = Some(reason.to_owned());
    }

    /// Orders are refused.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.state().refusal = Some(refusal);
    }

    pub(crate) fn age(&self, price_age_ms: u64) {
        self.state().price_age_ms = price_age_ms;
    }

    /// How often this was asked.
    pub(crate) fn asked(&self, asked: Asked) -> usize {
        self.state().asked.get(&asked).copied().unwrap_or_default()
    }

    /// The bodies of the calls that were done and not answered.
    pub(crate) fn silent(&self) -> Vec<Value> {
        self.state().silent.clone()
    }

    /// The traces of which calls were part.
    pub(crate) fn traces(&self) -> Vec<String> {
        self.state().traces.clone()
    }

    pub(crate) fn strategies(&self) -> Vec<Option<StrategyName>> {
        self.state().strategies.clone()
    }

    pub(crate) fn decided(&self) -> Vec<DecisionRequest> {
        self.state().decided.clone()
    }

    /// Signals that became orders: each once, however often it came.
    pub(crate) fn orders(&self) -> Vec<Signal> {
        self.state().orders.values().map(|(signal, ..)| signal.clone()).collect()
    }

    /// What was told, each once.
    pub(crate) fn notices(&self) -> Vec<TradeNotice> {
        self.state().notices.values().cloned().collect()
    }

    async fn answer(&self, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        let asked = match (request.method().as_str(), request.path()) {
            ("GET", path) if path.starts_with("/v1/prices/") => Asked::Price,
            ("GET", path) if path.starts_with("/v1/candles/") => Asked::Candles,
            ("POST", "/v1/decisions") => Asked::Decision,
            ("POST", "/v1/signals") => Asked::Order,
            ("POST", "/v1/notices") => Asked::Notice,
            _ => return HttpResponse::Ok().finish(),
        };
        let failure = {
            let mut state = self.state();
            *state.asked.entry(asked).or_default() += 1;
            if let Some(parent) = request.headers().get("traceparent") {
                state.traces.push(parent.to_str().unwrap().split('-').nth(1).unwrap().to_owned());
            }
            state.failures.get_mut(&asked).and_then(VecDeque::pop_front)
        };
        match failure {
            Some(Failure::Never) => std::future::pending().await,
            Some(Failure::Silent) => {
                let _ = self.do_it(asked, request, body);
                self.state().silent.push(serde_json::from_slice(body).unwrap_or_default());
                std::future::pending().await
            }
            Some(Failure::Status(status, code, retry_after)) => problem(status, code, retry_after),
            Some(Failure::Lost) => {
                let _ = self.do_it(asked, request, body);
                problem(502, "lost", None)
            }
            None => self.do_it(asked, request, body),
        }
    }

    fn do_it(&self, asked: Asked, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        match asked {
            Asked::Price => self.price(last_of(request)),
            Asked::Candles => candles(last_of(request), request.query_string()),
            Asked::Decision => self.decision(serde_json::from_slice(body).unwrap()),
            Asked::Order => self.order(serde_json::from_slice(body).unwrap()),
            Asked::Notice => self.notice(serde_json::from_slice(body).unwrap()),
        }
    }

    fn price(&self, symbol: Symbol) -> HttpResponse {
        let age_ms = self.state().price_age_ms;
        HttpResponse::Ok().json(PriceQuote {
            symbol,
            price: Decimal::from(46_224),
            observed_at: Utc::now() - TimeDelta::milliseconds(i64::try_from(age_ms).unwrap()),
            age_ms,
            source: PriceSource::Stream,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        })
    }

    fn decision(&self, request: DecisionRequest) -> HttpResponse {
        let mut state = self.state();
        if request.price.symbol != request.candles.symbol || request.candles.candles.iter().any(|candle| !candle.closed)
        {
            return problem(422, "symbol_mismatch", None);
        }
        if request.candles.candles.len() < domain::strategy::technical::CANDLES_NEEDED as usize {
            return problem(422, "not_enough_candles", None);
        }
        if request.price.age_ms > 30_000 {
            return problem(422, "stale_price", None);
        }
        state.strategies.push(request.strategy);
        let asked = request.strategy.unwrap_or(StrategyName::Technical);
        let is_llm = asked == StrategyName::Llm;
        let fallback = state.fallback.clone().filter(|_| is_llm);
        let decision = Decision {
            decision_id: DecisionId::from_bytes(uuid::Uuid::new_v4().into_bytes()),
            symbol: request.price.symbol.clone(),
            action: state.action,
            confidence: state.confidence,
            reason: "Uptrend.".to_owned(),
            strategy: if fallback.is_some() { StrategyName::Technical } else { asked },
            fallback: fallback.map(|reason| Fallback { from: StrategyName::Llm, reason }),
            cost_usd: if is_llm { state.cost } else { Decimal::ZERO },
            indicators: Indicators::default(),
            decided_at: Utc::now(),
            trace_id: None,
        };
        state.decided.push(request);
        HttpResponse::Ok().json(decision)
    }

    fn order(&self, signal: Signal) -> HttpResponse {
        signal.check().unwrap();
        let mut state = self.state();
        if let Some((_, outcome, times)) = state.orders.get_mut(&signal.signal_id) {
            *times += 1;
            return HttpResponse::Ok().json(SignalOutcome { replayed: true, ..outcome.clone() });
        }
        let outcome = SignalOutcome {
            signal_id: signal.signal_id.clone(),
            result: if state.refusal.is_some() { SignalResult::Refused } else { SignalResult::Ordered },
            order: state.refusal.is_none().then(|| Box::new(order_of(&signal))),
            refusal: state.refusal.clone(),
            replayed: false,
            trace_id: None,
        };
        if state.refusal.is_none() {
            state.orders.insert(signal.signal_id.clone(), (signal, outcome.clone(), 1));
        }
        HttpResponse::Ok().json(outcome)
    }

    fn notice(&self, notice: TradeNotice) -> HttpResponse {
        let id = notice.notice_id.clone();
        assert!((1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        let before = self.state().notices.insert(id.clone(), notice).is_some();
        if before {
            return HttpResponse::Ok().json(json!({"notice_id": id, "outcome": "repeated", "chats": 0}));
        }
        HttpResponse::Accepted().json(json!({"notice_id": id, "outcome": "queued", "chats": 2}))
    }
}

/// What a notice of a pipeline says: its name, of which execution, the words.
pub(crate) fn words(notice: &TradeNotice) -> (String, DecisionId, String) {
    let TradeEvent::Pipeline(told) = &notice.event else { panic!("{notice:?}") };
    (told.pipeline.clone(), told.execution_id.clone(), told.text.clone())
}

fn last_of(request: &HttpRequest) -> Symbol {
    request.path().rsplit('/').next().unwrap().parse().unwrap()
}

fn candles(symbol: Symbol, query: &str) -> HttpResponse {
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let interval: Interval = query["interval"].parse().unwrap();
    let limit: i64 = query["limit"].parse().unwrap();
    assert!((1..=1_000).contains(&limit), "market-data-service takes no limit of {limit}");
    let length = TimeDelta::minutes(i64::from(interval.minutes()));
    let first = Utc::now() - length * i32::try_from(limit).unwrap();
    let candles = (0..limit).map(|number| {
        let open_time = first + length * i32::try_from(number).unwrap();
        let price = Decimal::from(46_000 + number);
        Candle {
            open_time,
            close_time: open_time + length,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Decimal::ONE,
            closed: number + 1 < limit,
        }
    });
    HttpResponse::Ok().json(CandleSeries { symbol, interval, candles: candles.collect(), trace_id: None })
}

fn order_of(signal: &Signal) -> TradeOrder {
    let at = Utc::now();
    TradeOrder {
        id: signal.signal_id.clone(),
        revision: 1,
        source: signal.source,
        hook: signal.hook.clone(),
        comment: signal.comment.clone(),
        symbol: signal.symbol.clone(),
        side: if signal.action == SignalAction::Buy { Side::Buy } else { Side::Sell },
        kind: OrderKind::Market,
        reduce_only: signal.action == SignalAction::Close,
        quantity: Decimal::new(54, 5),
        reference_price: Decimal::from(46_224),
        price_observed_at: at,
        mode: TradingMode::Paper,
        status: OrderStatus::Filled,
        reason: None,
        confirmation: None,
        exchange_order_id: Some("1".to_owned()),
        filled_quantity: Decimal::new(54, 5),
        average_price: Some(Decimal::from(46_224)),
        fee: Decimal::ZERO,
        realised_pnl: Decimal::ZERO,
        trace_id: None,
        received_at: signal.received_at,
        created_at: at,
        submitted_at: Some(at),
        updated_at: at,
        history: Vec::new(),
    }
}

fn problem(status: u16, code: &str, retry_after: Option<u64>) -> HttpResponse {
    let body: Value = json!({
        "type": format!("urn:crypto-telemetry:problem:{code}"), "title": "t", "status": status,
        "detail": "The words of the problem.", "code": code,
    });
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        response.insert_header(("retry-after", seconds.to_string()));
    }
    response.content_type("application/problem+json").body(body.to_string())
}
