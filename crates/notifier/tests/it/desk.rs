//! A stand-in for order-service: it speaks the domain's contract, writes down what it is asked, and can be away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use chrono::{TimeDelta, Utc};
use domain::trading::{
    Balance, Confirmation, ConfirmationState, Limits, OrderCommand, OrderKind, OrderStatus, PositionView, ProfitReport,
    Side, SignalSource, StateOutcome, StateRequest, SymbolProfit, TradeEvent, TradeNotice, TradeOrder, TradingState,
    TradingStatus, Transition,
};
use domain::{Page, TradingMode};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;
use serde_json::{Value, json};
use url::Url;

#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) orders: Arc<Mutex<BTreeMap<String, TradeOrder>>>,
    /// Method, path and query, body.
    pub(crate) asked: Arc<Mutex<Vec<(String, Value)>>>,
    pub(crate) away: Arc<AtomicBool>,
    /// A limit of the moment is in the way of what is confirmed.
    pub(crate) held_back: Arc<AtomicBool>,
    status: Arc<Mutex<TradingStatus>>,
}

impl Desk {
    pub(crate) fn new(mode: TradingMode) -> Self {
        let limits = Limits {
            symbols: vec!["BTCUSDT".parse().unwrap()],
            max_order_notional_usd: dec!(1000),
            max_position_notional_usd: dec!(3000),
            max_daily_loss_usd: dec!(200),
            max_orders_per_minute: 10,
            max_price_age_ms: 10_000,
            max_signal_age_seconds: 300,
        };
        let status = TradingStatus {
            state: TradingState::Running,
            mode,
            since: Utc::now(),
            by: None,
            reason: None,
            limits,
            open_orders: 1,
            awaiting_confirmation: 0,
            unknown_orders: 0,
            realised_today: dec!(-12.5),
            trace_id: None,
        };
        Self {
            orders: Arc::default(),
            asked: Arc::default(),
            away: Arc::default(),
            held_back: Arc::default(),
            status: Arc::new(Mutex::new(status)),
        }
    }

    pub(crate) fn start(&self) -> Url {
        let desk = self.clone();
        web::testing::fake(move |request, body| {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let answer = desk.answer(request.method(), request.path(), request.query_string(), &body);
            async move { answer }
        })
    }

    /// What was asked but for the mode, which is asked for now and then.
    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap().clone();
        asked.into_iter().filter(|(call, _)| call != "GET /v1/trading/state").collect()
    }

    pub(crate) fn keep(&self, order: &TradeOrder) {
        self.orders.lock().unwrap().insert(order.id.to_string(), order.clone());
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &Value) -> HttpResponse {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        if path != "/health/live" {
            self.asked.lock().unwrap().push((format!("{method} {path}{query}"), body.clone()));
        }
        if self.away.load(Ordering::SeqCst) {
            return HttpResponse::ServiceUnavailable().finish();
        }
        let parts: Vec<&str> = path.trim_start_matches("/v1/trading/").split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["state"]) => HttpResponse::Ok().json(&*self.status.lock().unwrap()),
            ("PUT", ["state"]) => {
                let wanted: StateRequest = serde_json::from_value(body.clone()).unwrap();
                let mut status = self.status.lock().unwrap();
                let kept = body["only_tighten"] == true && status.state == TradingState::Halted;
                let changed = !kept && status.state != wanted.state;
                if !kept {
                    (status.state, status.by, status.reason) =
                        (wanted.state, Some(wanted.by.to_string()), wanted.reason);
                }
                let (cancelled, not_cancelled) = (Vec::new(), Vec::new());
                HttpResponse::Ok().json(StateOutcome { status: status.clone(), changed, cancelled, not_cancelled })
            }
            ("GET", ["balance"]) => HttpResponse::Ok().json(balance()),
            ("GET", ["profit"]) => HttpResponse::Ok().json(profit()),
            ("GET", ["orders"]) => {
                let items = self.orders.lock().unwrap().values().cloned().collect();
                HttpResponse::Ok().json(Page::<TradeOrder> { items, next_cursor: None, trace_id: None })
            }
            ("GET", ["orders", id]) => match self.orders.lock().unwrap().get(*id) {
                Some(order) => HttpResponse::Ok().json(order),
                None => problem(404, "unknown_order", "There is no such order."),
            },
            ("POST", ["orders", id, verdict]) => self.decide(id, verdict, body),
            _ => HttpResponse::Ok().json(json!({})),
        }
    }

    fn decide(&self, id: &str, verdict: &str, body: &Value) -> HttpResponse {
        let mut orders = self.orders.lock().unwrap();
        let Some(order) = orders.get_mut(id) else { return problem(404, "unknown_order", "There is no such order.") };
        let Some(asked) = &mut order.confirmation else {
            return problem(409, "no_confirmation", "The order needs no confirmation.");
        };
        if asked.state != ConfirmationState::Pending {
            return problem(409, "already_decided", "Somebody has decided about the order already: it is confirmed.");
        }
        if asked.expires_at <= Utc::now() {
            return problem(410, "confirmation_expired", "The time to confirm the order is over; it will not be sent.");
        }
        if self.held_back.load(Ordering::SeqCst) {
            let detail = format!("{} The order still waits to be confirmed.", "Too many orders. ".repeat(20).trim());
            return problem(503, "order_held_back", &detail);
        }
        let confirmed = verdict == "confirm";
        asked.state = if confirmed { ConfirmationState::Confirmed } else { ConfirmationState::Declined };
        let command: OrderCommand = serde_json::from_value(body.clone()).unwrap();
        asked.by = Some(command.by.to_string());
        order.status = if confirmed { OrderStatus::Submitted } else { OrderStatus::Cancelled };
        order.revision += 1;
        HttpResponse::Ok().json(order)
    }
}

fn problem(status: u16, code: &str, detail: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).content_type("application/problem+json").json(json!({
        "type": format!("urn:crypto-telemetry:problem:{code}"), "title": "No", "status": status, "code": code,
        "detail": detail,
    }))
}

fn balance() -> Balance {
    let position = PositionView {
        symbol: "BTCUSDT".parse().unwrap(),
        quantity: dec!(0.5),
        average_price: dec!(46000),
        price: Some(dec!(46500)),
        unrealised_pnl: Some(dec!(250)),
    };
    Balance {
        mode: TradingMode::Paper,
        asset: "USDT".to_owned(),
        balance: dec!(10000),
        equity: dec!(10250),
        available: dec!(7000),
        positions: vec![position],
        as_of: Utc::now(),
        trace_id: None,
    }
}

fn profit() -> ProfitReport {
    let symbol = SymbolProfit { symbol: "BTCUSDT".parse().unwrap(), realised_pnl: dec!(10.5), fees: dec!(0.25) };
    ProfitReport {
        mode: TradingMode::Paper,
        realised_pnl: dec!(10.5),
        fees: dec!(0.25),
        symbols: vec![symbol],
        days: Vec::new(),
        trace_id: None,
    }
}

pub(crate) const ORDER: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An order in a status; the revision follows from it.
pub(crate) fn order(status: OrderStatus) -> TradeOrder {
    let at = Utc::now();
    let filled = status == OrderStatus::Filled;
    let steps = match status {
        OrderStatus::New => vec![OrderStatus::New],
        OrderStatus::Submitted => vec![OrderStatus::New, OrderStatus::Submitted],
        other => vec![OrderStatus::New, OrderStatus::Submitted, other],
    };
    TradeOrder {
        id: ORDER.parse().unwrap(),
        revision: i64::try_from(steps.len()).unwrap(),
        source: SignalSource::Tradingview,
        hook: Some("main".to_owned()),
        comment: Some("golden <cross>".to_owned()),
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        kind: OrderKind::Market,
        reduce_only: false,
        quantity: dec!(0.002),
        reference_price: dec!(46224),
        price_observed_at: at,
        mode: TradingMode::Live,
        status,
        reason: None,
        confirmation: None,
        exchange_order_id: None,
        filled_quantity: if filled { dec!(0.002) } else { Decimal::ZERO },
        average_price: filled.then(|| dec!(46224.5)),
        fee: if filled { dec!(0.046) } else { Decimal::ZERO },
        realised_pnl: Decimal::ZERO,
        trace_id: Some(TRACE.to_owned()),
        received_at: at,
        created_at: at,
        submitted_at: (steps.len() > 1).then_some(at),
        updated_at: at,
        history: steps.into_iter().map(|to| Transition { from: None, to, at, reason: None }).collect(),
    }
}

/// An order that waits for somebody to confirm it.
pub(crate) fn waiting(minutes: i64) -> TradeOrder {
    let expires_at = Utc::now() + TimeDelta::minutes(minutes);
    let confirmation = Confirmation { state: ConfirmationState::Pending, expires_at, by: None };
    TradeOrder { confirmation: Some(confirmation), ..order(OrderStatus::New) }
}

pub(crate) fn notice(id: &str, order: TradeOrder) -> Value {
    let event = TradeEvent::Order { order: Box::new(order) };
    json!(TradeNotice { notice_id: id.to_owned(), at: Utc::now(), trace_id: Some(TRACE.to_owned()), event })
}
