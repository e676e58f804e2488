//! What the tests of texts and buttons speak about.

use chrono::{DateTime, TimeDelta, Utc};
use domain::trading::{OrderKind, OrderStatus, Side, Signal, SignalAction, SignalSource, TradeOrder};
use domain::{Action, Answer, DecisionId, Indicators, StrategyName, TradingMode};
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

/// Length of a text as Telegram shows it: without its tags, and with what they escape.
pub(crate) fn shown(html: &str) -> usize {
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let end = rest[start..].find('>').expect("a tag that ends");
        rest = &rest[start + end + 1..];
    }
    text.push_str(rest);
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    text.encode_utf16().count()
}

/// Whether every tag is one of ours and is closed in its turn.
pub(crate) fn is_well_formed(html: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { return false };
        let tag = &rest[start + 1..start + end];
        match tag.strip_prefix('/') {
            Some(name) => {
                if open.pop() != Some(name) {
                    return false;
                }
            }
            None if ["b", "i", "code", "pre"].contains(&tag) => open.push(tag),
            None => return false,
        }
        rest = &rest[start + end + 1..];
    }
    open.is_empty() && !rest.contains('>')
}

pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap() - TimeDelta::seconds(36_800)
}

pub(crate) fn id() -> DecisionId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

pub(crate) fn answer(symbol: &str, reason: &str) -> Answer {
    Answer {
        decision_id: DecisionId::from_bytes([7; 16]),
        symbol: symbol.parse().unwrap(),
        action: Action::Buy,
        confidence: dec!(0.72),
        reason: reason.to_owned(),
        price: dec!(46224.5),
        price_observed_at: Utc::now(),
        price_age_ms: 3_200,
        strategy: StrategyName::Technical,
        fallback: None,
        cost_usd: Decimal::ZERO,
        indicators: Indicators::default(),
        mode: TradingMode::Paper,
    }
}

/// A paper order that was filled at once.
pub(crate) fn order() -> TradeOrder {
    let at = noon();
    TradeOrder {
        id: id(),
        revision: 3,
        source: SignalSource::Tradingview,
        hook: Some("main".to_owned()),
        comment: Some("golden cross".to_owned()),
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        kind: OrderKind::Market,
        reduce_only: false,
        quantity: dec!(0.002),
        reference_price: dec!(46224),
        price_observed_at: at,
        mode: TradingMode::Paper,
        status: OrderStatus::Filled,
        reason: None,
        confirmation: None,
        exchange_order_id: Some("1736011869418901234".to_owned()),
        filled_quantity: dec!(0.002),
        average_price: Some(dec!(46224.5)),
        fee: dec!(0.046),
        realised_pnl: dec!(1.2),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        received_at: at,
        created_at: at + TimeDelta::seconds(1),
        submitted_at: Some(at + TimeDelta::seconds(2)),
        updated_at: at + TimeDelta::seconds(5),
        history: Vec::new(),
    }
}

pub(crate) fn signal() -> Signal {
    Signal {
        signal_id: id(),
        source: SignalSource::Tradingview,
        hook: Some("main".to_owned()),
        symbol: "BTCUSDT".parse().unwrap(),
        action: SignalAction::Buy,
        quantity: Some(dec!(0.5)),
        notional: None,
        limit_price: None,
        seen_price: None,
        sender_order_id: None,
        comment: Some("golden cross".to_owned()),
        interval: None,
        paper_only: false,
        alerted_at: None,
        received_at: noon(),
    }
}
