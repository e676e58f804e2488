//! Which step a span belongs to, by its name, its kind and its attributes.
//!
//! Names and attributes are those of this workspace's own spans: `web` (HTTP), `storage` (statements, outboxes),
//! `telegram`, `llm`, and the services.

use serde::{Deserialize, Serialize};

use crate::{SpanKind, SpanView};

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A webhook is taken: read, checked, written down, answered.
    Webhook,
    /// What was written down waits to be delivered.
    Queue,
    /// One service hands something over to another, and waits for its answer.
    HandOver,
    /// A signal becomes an order, within the limits.
    Order,
    /// A price or candles are read of market-data-service.
    Price,
    /// Statements of one service.
    Database,
    /// Calls to the exchange that trades.
    Exchange,
    /// Calls to the exchange that prices come from.
    MarketData,
    /// Buy, sell or hold is decided.
    Decision,
    /// A language model is asked.
    LanguageModel,
    /// People are told, by Telegram.
    Message,
    /// The trail is written.
    Audit,
    /// A question or a button of a person is handled.
    Question,
    /// Nothing ran.
    Waiting,
    /// Anything else.
    Other,
}

impl StepKind {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "Webhook",
            Self::Queue => "Waiting in the queue",
            Self::HandOver => "Handing over",
            Self::Order => "Order and limits",
            Self::Price => "Price",
            Self::Database => "Database",
            Self::Exchange => "Exchange",
            Self::MarketData => "Market data",
            Self::Decision => "Decision",
            Self::LanguageModel => "Language model",
            Self::Message => "Telegram message",
            Self::Audit => "Audit trail",
            Self::Question => "Question",
            Self::Waiting => "Waiting",
            Self::Other => "Other",
        }
    }
}

/// A text attribute.
pub(super) fn text<'a>(span: &'a SpanView, attribute: &str) -> Option<&'a str> {
    span.attributes.get(attribute).and_then(serde_json::Value::as_str)
}

/// The step of a span that is known.
pub(super) fn of(span: &SpanView) -> Option<StepKind> {
    // "db.system" is what the conventions called it until 2024.
    if ["db.system.name", "db.system"].iter().any(|name| span.attributes.contains_key(*name)) {
        return Some(StepKind::Database);
    }
    if span.attributes.contains_key("gen_ai.operation.name") {
        return Some(StepKind::LanguageModel);
    }
    if let Some(outbox) = text(span, "outbox.name") {
        return Some(of_outbox(outbox));
    }
    of_peer(text(span, "peer.service")).or_else(|| of_name(span)).or_else(|| of_route(span))
}

/// What was waited for when nothing ran until this span began.
pub(super) fn of_waiting_for(next: &SpanView) -> StepKind {
    let queued = text(next, "outbox.name").is_some() || matches!(next.kind, SpanKind::Producer | SpanKind::Consumer);
    if queued { StepKind::Queue } else { StepKind::Waiting }
}

fn of_outbox(name: &str) -> StepKind {
    match name {
        "notices" => StepKind::Message,
        "chain" | "trading-audit" => StepKind::Audit,
        _ => StepKind::HandOver,
    }
}

/// Systems outside of the platform.
fn of_peer(peer: Option<&str>) -> Option<StepKind> {
    match peer? {
        "bingx" => Some(StepKind::Exchange),
        "binance" => Some(StepKind::MarketData),
        "llm" => Some(StepKind::LanguageModel),
        _ => None,
    }
}

/// Spans that have a name of their own.
fn of_name(span: &SpanView) -> Option<StepKind> {
    let name = span.name.as_str();
    match name {
        "BackendClient" => of_operation(text(span, "backend.operation")?),
        "OrderService.price_item" => Some(StepKind::Price),
        // Of the chain of services: it keeps an order, and trades nothing.
        "OrderService.process" => None,
        "AuditService.process" => Some(StepKind::Audit),
        "telegram update" | "ask" => Some(StepKind::Question),
        "decide" => Some(StepKind::Decision),
        _ if name.starts_with("SignalService.") => Some(StepKind::Webhook),
        _ if name.starts_with("OrderService.") => Some(StepKind::Order),
        _ if name.starts_with("telegram ") => Some(StepKind::Message),
        _ => None,
    }
}

/// What the bot asks the services behind it.
fn of_operation(operation: &str) -> Option<StepKind> {
    match operation {
        "price" | "candles" | "symbols" => Some(StepKind::Price),
        "decide" => Some(StepKind::Decision),
        _ => None,
    }
}

/// HTTP calls, on either side: `POST /v1/signals`.
fn of_route(span: &SpanView) -> Option<StepKind> {
    let (_method, route) = span.name.split_once(' ')?;
    let is_or_below =
        |prefix: &str| route.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let routes: [(&str, StepKind); 10] = [
        ("/webhooks", StepKind::Webhook),
        ("/v1/signals", if span.kind == SpanKind::Client { StepKind::HandOver } else { StepKind::Order }),
        ("/v1/trading", StepKind::Order),
        ("/v1/prices", StepKind::Price),
        ("/v1/candles", StepKind::Price),
        ("/v1/decisions", StepKind::Decision),
        ("/v1/notices", StepKind::Message),
        ("/v1/events", StepKind::Audit),
        ("/v1/ask", StepKind::Question),
        ("/openApi", StepKind::Exchange),
    ];
    routes.into_iter().find(|(prefix, _)| is_or_below(prefix)).map(|(_, kind)| kind)
}
