//! Orders, and why there is none.

use chrono::{DateTime, Utc};
use domain::trading::{
    ConfirmationState, OrderKind, OrderStatus, Refusal, Side, Signal, SignalAction, SignalSource, TradeOrder,
};
use rust_decimal::Decimal;

use super::{clock, escape, mode_mark, money, quantity, shorten, signed, trace_line};

/// Characters of a sentence from outside that are shown.
const MAX_REASON: usize = 500;
/// Characters of a sender's words that are shown.
const MAX_COMMENT: usize = 300;
/// Characters of a name that are shown.
const MAX_NAME: usize = 80;
/// Steps of an order's life that are shown, the newest.
const MAX_STEPS: usize = 12;

/// An order as it is now.
pub(crate) fn order(order: &TradeOrder, now: DateTime<Utc>) -> String {
    let mark = match order.side {
        Side::Buy => "🟢",
        Side::Sell => "🔴",
    };
    let mut lines = vec![
        format!(
            "{mark} <b>{} {} {}</b> · <b>{}</b>{}",
            order.side.as_str().to_uppercase(),
            quantity(order.quantity),
            order.symbol,
            mode_mark(order.mode),
            if order.reduce_only { " · reduce only" } else { "" }
        ),
        format!("{} <b>{}</b> · {} UTC", status_mark(order.status), words(order.status), life(order)),
        price(order),
    ];
    if !order.filled_quantity.is_zero() || !order.fee.is_zero() {
        lines.push(format!(
            "🧾 Fee {} · realised PnL {}{}",
            money(order.fee, &order.symbol),
            signed(order.realised_pnl),
            super::quote(&order.symbol)
        ));
    }
    if let Some(reason) = &order.reason {
        lines.push(format!("💬 {}", escape(&shorten(reason, MAX_REASON))));
    }
    lines.extend(confirmation(order, now));
    lines.push(source(order.source, order.hook.as_deref(), order.comment.as_deref()));
    lines.push(format!("🆔 <code>{}</code>", order.id));
    lines.extend(order.trace_id.as_deref().map(trace_line));
    lines.join("\n")
}

/// A finished order in a line, for a message about several.
pub(crate) fn order_in_a_line(order: &TradeOrder) -> String {
    let side = order.side.as_str().to_uppercase();
    let (mark, status, symbol) = (status_mark(order.status), words(order.status), &order.symbol);
    let done = match order.average_price {
        Some(average) if !order.filled_quantity.is_zero() => {
            let (filled, average) = (quantity(order.filled_quantity), money(average, symbol));
            format!(": {filled} at {average}, PnL {}", signed(order.realised_pnl))
        }
        _ => String::new(),
    };
    let (amount, mode) = (quantity(order.quantity), mode_mark(order.mode));
    format!("{mark} {side} {amount} {symbol} {status}{done} · {mode} <code>{}</code>", order.id)
}

/// A signal or an order that a limit refused.
pub(crate) fn refusal(signal: &Signal, refusal: &Refusal, trace_id: Option<&str>) -> String {
    let mut lines = vec![
        format!("⛔ <b>{} {} refused</b>", wanted(signal), signal.symbol),
        format!("🚧 Limit <code>{}</code>: {}", refusal.code, escape(&shorten(&refusal.detail, MAX_REASON))),
        source(signal.source, signal.hook.as_deref(), signal.comment.as_deref()),
        format!("🆔 <code>{}</code>", signal.signal_id),
    ];
    lines.extend(trace_id.map(trace_line));
    lines.join("\n")
}

/// What a signal asks for, in words.
fn wanted(signal: &Signal) -> String {
    let action = match signal.action {
        SignalAction::Buy => "BUY",
        SignalAction::Sell => "SELL",
        SignalAction::Close => "CLOSE",
    };
    match (signal.quantity, signal.notional) {
        (Some(amount), _) => format!("{action} {}", quantity(amount)),
        (None, Some(notional)) => format!("{action} for {} of", money(notional, &signal.symbol)),
        (None, None) => action.to_owned(),
    }
}

/// The status for people.
pub(super) const fn words(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "new",
        OrderStatus::Submitted => "submitted",
        OrderStatus::PartiallyFilled => "partially filled",
        OrderStatus::Filled => "filled",
        OrderStatus::Rejected => "rejected",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
        OrderStatus::Unknown => "unknown: the exchange is asked",
    }
}

pub(super) const fn status_mark(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "🆕",
        OrderStatus::Submitted | OrderStatus::PartiallyFilled => "⏱",
        OrderStatus::Filled => "✅",
        OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Expired => "❌",
        OrderStatus::Unknown => "❓",
    }
}

/// Every status it had, in one line. A picture of the order without its history has the times that it holds itself.
pub(super) fn life(order: &TradeOrder) -> String {
    let mut steps: Vec<(&str, DateTime<Utc>)> = order.history.iter().map(|step| (step.to.as_str(), step.at)).collect();
    if steps.is_empty() {
        steps.push((OrderStatus::New.as_str(), order.created_at));
        if let Some(at) = order.submitted_at {
            steps.push((OrderStatus::Submitted.as_str(), at));
        }
        if steps.last().is_some_and(|(last, _)| *last != order.status.as_str()) {
            steps.push((order.status.as_str(), order.updated_at));
        }
    }
    let left_out = steps.len().saturating_sub(MAX_STEPS);
    let shown: Vec<String> = steps
        .iter()
        .skip(left_out)
        .map(|(status, at)| format!("{} {}", status.replace('_', " "), clock(*at)))
        .collect();
    let dots = if left_out > 0 { "… → " } else { "" };
    format!("{dots}{}", shown.join(" → "))
}

fn price(order: &TradeOrder) -> String {
    let symbol = &order.symbol;
    let worth = |amount: Decimal, price: Decimal| {
        amount
            .checked_mul(price)
            .map_or_else(|| "more than can be counted".to_owned(), |notional| money(notional.round_dp(2), symbol))
    };
    match order.average_price {
        Some(average) if !order.filled_quantity.is_zero() => format!(
            "💵 {} of {} at <b>{}</b>: {}",
            quantity(order.filled_quantity),
            quantity(order.quantity),
            money(average, symbol),
            worth(order.filled_quantity, average)
        ),
        _ => match order.kind {
            OrderKind::Market => format!(
                "💵 At the market, about {}: {}",
                money(order.reference_price, symbol),
                worth(order.quantity, order.reference_price)
            ),
            OrderKind::Limit { price } => format!(
                "💵 At {} or better: {}; the market is at {}",
                money(price, symbol),
                worth(order.quantity, price),
                money(order.reference_price, symbol)
            ),
        },
    }
}

fn confirmation(order: &TradeOrder, now: DateTime<Utc>) -> Option<String> {
    let confirmation = order.confirmation.as_ref()?;
    let by =
        confirmation.by.as_deref().map_or_else(String::new, |by| format!(" by {}", escape(&shorten(by, MAX_NAME))));
    Some(match confirmation.state {
        ConfirmationState::Pending if confirmation.expires_at <= now || order.status != OrderStatus::New => {
            "⌛ Nobody confirmed it in time.".to_owned()
        }
        ConfirmationState::Pending => {
            format!("⏳ Waits for a trader to confirm it, until {} UTC.", clock(confirmation.expires_at))
        }
        ConfirmationState::Confirmed => format!("👤 Confirmed{by}."),
        ConfirmationState::Declined => format!("👤 Declined{by}."),
        ConfirmationState::Expired => "⌛ Nobody confirmed it in time.".to_owned(),
    })
}

pub(super) fn source(source: SignalSource, hook: Option<&str>, comment: Option<&str>) -> String {
    let hook = hook.map(|hook| escape(&shorten(hook, MAX_NAME)));
    let comment = comment
        .filter(|comment| !comment.trim().is_empty())
        .map_or_else(String::new, |comment| format!(": “{}”", escape(&shorten(comment, MAX_COMMENT))));
    match (source, hook) {
        (SignalSource::Pipeline, Some(pipeline)) => format!("🧩 Pipeline {pipeline}{comment}"),
        (_, Some(hook)) => format!("📨 Signal of {}, hook {hook}{comment}", source.as_str()),
        (_, None) => format!("📨 Signal of {}{comment}", source.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::TradingMode;
    use domain::trading::{Confirmation, RefusalCode, Transition};
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::super::MAX_LENGTH;
    use super::super::samples::{self, is_well_formed, noon, shown};
    use super::*;

    #[test]
    fn an_order_in_a_line() {
        assert_eq!(
            order_in_a_line(&samples::order()),
            "✅ BUY 0.002 BTCUSDT filled: 0.002 at 46,224.50 USDT, PnL +1.20 · 🧪 PAPER <code>0123456789abcdef0123456789abcdef</code>"
        );
        let none = TradeOrder {
            status: OrderStatus::Rejected,
            filled_quantity: Decimal::ZERO,
            average_price: None,
            ..samples::order()
        };
        assert_eq!(
            order_in_a_line(&none),
            "❌ BUY 0.002 BTCUSDT rejected · 🧪 PAPER <code>0123456789abcdef0123456789abcdef</code>"
        );
    }

    #[test]
    fn a_filled_order() {
        assert_eq!(
            order(&samples::order(), noon()),
            "🟢 <b>BUY 0.002 BTCUSDT</b> · <b>🧪 PAPER</b>\n\
             ✅ <b>filled</b> · new 12:00:01 → submitted 12:00:02 → filled 12:00:05 UTC\n\
             💵 0.002 of 0.002 at <b>46,224.50 USDT</b>: 92.45 USDT\n\
             🧾 Fee 0.046 USDT · realised PnL +1.20 USDT\n\
             📨 Signal of tradingview, hook main: “golden cross”\n\
             🆔 <code>0123456789abcdef0123456789abcdef</code>\n\
             🔎 Trace <code>4bf92f3577b34da6a3ce929d0e0e4736</code>"
        );
    }

    #[test]
    fn an_order_of_a_pipeline_names_it() {
        let of =
            TradeOrder { source: SignalSource::Pipeline, hook: Some("golden <cross>".to_owned()), ..samples::order() };
        let text = order(&of, noon());
        assert!(text.contains("\n🧩 Pipeline golden &lt;cross&gt;: “golden cross”\n"), "{text}");
    }

    #[test]
    fn a_live_order_that_waits_and_what_becomes_of_that() {
        let mut waiting = TradeOrder {
            mode: TradingMode::Live,
            status: OrderStatus::New,
            side: Side::Sell,
            kind: OrderKind::Limit { price: dec!(47000) },
            filled_quantity: Decimal::ZERO,
            average_price: None,
            fee: Decimal::ZERO,
            submitted_at: None,
            confirmation: Some(Confirmation {
                state: ConfirmationState::Pending,
                expires_at: noon() + TimeDelta::minutes(5),
                by: None,
            }),
            ..samples::order()
        };
        let text = order(&waiting, noon());
        assert!(
            text.starts_with("🔴 <b>SELL 0.002 BTCUSDT</b> · <b>💰 LIVE</b>\n🆕 <b>new</b> · new 12:00:01 UTC\n"),
            "{text}"
        );
        assert!(text.contains("💵 At 47,000.00 USDT or better: 94.00 USDT; the market is at 46,224.00 USDT"), "{text}");
        assert!(text.contains("⏳ Waits for a trader to confirm it, until 12:05:00 UTC."), "{text}");
        assert!(!text.contains("Fee"), "{text}");
        assert!(order(&waiting, noon() + TimeDelta::minutes(5)).contains("Nobody confirmed it in time"));
        waiting.confirmation = Some(Confirmation {
            state: ConfirmationState::Declined,
            expires_at: noon(),
            by: Some("telegram:1001".to_owned()),
        });
        assert!(order(&waiting, noon()).contains("👤 Declined by telegram:1001."));
    }

    #[test]
    fn a_refusal_names_the_limit_and_the_numbers() {
        let why =
            Refusal::new(RefusalCode::NotionalTooLarge, "The order's notional is 23112.00 USD; 1000 USD is the limit.");
        let text = refusal(&samples::signal(), &why, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert!(text.starts_with("⛔ <b>BUY 0.5 BTCUSDT refused</b>\n🚧 Limit <code>notional_too_large</code>: The order's notional is 23112.00 USD; 1000 USD is the limit.\n"), "{text}");
        assert!(text.ends_with("🔎 Trace <code>4bf92f3577b34da6a3ce929d0e0e4736</code>"), "{text}");
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes_and_nothing_from_outside_is_a_tag(
            words in "\\PC{0,3000}",
            number in 0_i64..i64::MAX,
            scale in 0_u32..=28,
            steps in 0_usize..40,
        ) {
            let step = Transition { from: None, to: OrderStatus::PartiallyFilled, at: noon(), reason: Some(words.clone()) };
            let odd = TradeOrder {
                hook: Some(words.clone()),
                comment: Some(words.clone()),
                reason: Some(words.clone()),
                trace_id: Some(words.clone()),
                quantity: Decimal::MAX,
                filled_quantity: Decimal::new(number, scale),
                average_price: Some(Decimal::MAX),
                fee: Decimal::new(number, scale),
                realised_pnl: -Decimal::new(number, scale),
                confirmation: Some(Confirmation { state: ConfirmationState::Confirmed, expires_at: noon(), by: Some(words.clone()) }),
                history: vec![step; steps],
                ..samples::order()
            };
            let line = order_in_a_line(&odd);
            prop_assert!(line.chars().count() <= 300 && !line.contains('\n') && is_well_formed(&line), "{line}");
            let text = order(&odd, noon());
            prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{text}");
            let refused = Refusal::new(RefusalCode::DailyLoss, words.clone());
            let signal = Signal { comment: Some(words.clone()), hook: Some(words.clone()), notional: Some(Decimal::MAX), quantity: None, ..samples::signal() };
            let text = refusal(&signal, &refused, Some(&words));
            prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{text}");
        }
    }
}
