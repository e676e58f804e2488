//! How trading stands, and who changed it.

use domain::trading::{StateChange, StateOutcome, TradingState, TradingStatus};

use super::{clock, escape, grouped, mode_mark, moment, shorten, signed, trace_line};

/// Characters of a reason that are shown.
const MAX_REASON: usize = 500;
/// Characters of a name that are shown.
const MAX_NAME: usize = 80;
/// Orders that are named.
const MAX_ORDERS: usize = 5;
/// Symbols that are listed.
const MAX_SYMBOLS: usize = 50;

/// `/status`.
pub(crate) fn status(status: &TradingStatus) -> String {
    let limits = &status.limits;
    let symbols: Vec<&str> = limits.symbols.iter().take(MAX_SYMBOLS).map(domain::Symbol::as_str).collect();
    let more = limits.symbols.len().saturating_sub(MAX_SYMBOLS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let mut lines = vec![
        format!("{} · <b>{}</b>", headline(status.state), mode_mark(status.mode)),
        format!(
            "🕒 Since {} UTC{}{}",
            moment(status.since),
            by(status.by.as_deref()),
            because(status.reason.as_deref())
        ),
        format!(
            "📋 Orders open {} · to be confirmed {} · outcome unknown {}",
            status.open_orders, status.awaiting_confirmation, status.unknown_orders
        ),
        format!("💵 Realised today {} (fees taken off)", signed(status.realised_today)),
        String::new(),
        "<b>Limits</b>".to_owned(),
        format!(
            "An order {} USD · a position {} USD · a day's loss {} USD",
            grouped(limits.max_order_notional_usd),
            grouped(limits.max_position_notional_usd),
            grouped(limits.max_daily_loss_usd)
        ),
        format!(
            "Orders a minute {} · price at most {} ms old · signal at most {} s old",
            limits.max_orders_per_minute, limits.max_price_age_ms, limits.max_signal_age_seconds
        ),
        format!("Symbols {}{more}", symbols.join(", ")),
    ];
    lines.extend(status.trace_id.as_deref().map(trace_line));
    lines.join("\n")
}

/// To whoever wanted a state.
pub(crate) fn changed(wanted: TradingState, outcome: &StateOutcome) -> String {
    let status = &outcome.status;
    let kept = wanted == TradingState::Reducing && status.state == TradingState::Halted;
    let means = match status.state {
        TradingState::Halted if kept => {
            "Trading is halted already, which is stricter than a pause: nothing is traded. An admin lets it go on with /resume."
        }
        TradingState::Running => "Signals become orders, within the limits.",
        TradingState::Reducing => "Only what makes a position smaller is traded. An admin lets it go on with /resume.",
        TradingState::Halted => "Nothing is traded. An admin lets it go on with /resume.",
    };
    let mut lines = vec![format!("{} · <b>{}</b>", headline(status.state), mode_mark(status.mode)), means.to_owned()];
    if kept {
        lines.push(format!("🕒 Since {} UTC{}", moment(status.since), by(status.by.as_deref())));
    } else if !outcome.changed {
        lines.push("It was so before.".to_owned());
    }
    if !outcome.cancelled.is_empty() {
        lines.push(format!("❌ Open orders that were taken back: {}", outcome.cancelled.len()));
    }
    if !outcome.not_cancelled.is_empty() {
        lines.push(format!(
            "⚠️ Open orders that could not be taken back yet; it is tried again: {}",
            outcome.not_cancelled.len()
        ));
        let named = outcome.not_cancelled.iter().take(MAX_ORDERS);
        lines
            .extend(named.map(|one| format!("• <code>{}</code> {}", one.order_id, escape(&shorten(&one.detail, 200)))));
    }
    if status.open_orders > 0 {
        lines.push(format!("📋 Orders that are open: {}, see /orders", status.open_orders));
    }
    lines.join("\n")
}

/// That somebody changed the state.
pub(crate) fn state_change(change: &StateChange, trace_id: Option<&str>) -> String {
    let mut text = format!(
        "{} (was {}){}{}\n🕒 {} UTC",
        headline(change.to),
        change.from,
        by(Some(&change.by)),
        because(change.reason.as_deref()),
        clock(change.at)
    );
    if let Some(trace_id) = trace_id {
        text.push('\n');
        text.push_str(&trace_line(trace_id));
    }
    text
}

fn headline(state: TradingState) -> &'static str {
    match state {
        TradingState::Running => "▶️ <b>Trading is running</b>",
        TradingState::Reducing => "⏸ <b>Trading is paused</b>: reducing only",
        TradingState::Halted => "⏹ <b>Trading is stopped</b>",
    }
}

fn by(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(", by {}", escape(&shorten(by, MAX_NAME))))
}

fn because(reason: Option<&str>) -> String {
    reason
        .filter(|reason| !reason.trim().is_empty())
        .map_or_else(String::new, |reason| format!("\n💬 {}", escape(&shorten(reason, MAX_REASON))))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use domain::TradingMode;
    use domain::trading::{Limits, NotCancelled};
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use rust_decimal_macros::dec;

    use super::super::MAX_LENGTH;
    use super::super::samples::{is_well_formed, noon, shown};
    use super::*;

    fn sample() -> TradingStatus {
        TradingStatus {
            state: TradingState::Reducing,
            mode: TradingMode::Live,
            since: noon(),
            by: Some("telegram:1001".to_owned()),
            reason: Some("news <soon>".to_owned()),
            limits: Limits {
                symbols: vec!["BTCUSDT".parse().unwrap(), "ETHUSDT".parse().unwrap()],
                max_order_notional_usd: dec!(1000),
                max_position_notional_usd: dec!(3000),
                max_daily_loss_usd: dec!(200),
                max_orders_per_minute: 10,
                max_price_age_ms: 10_000,
                max_signal_age_seconds: 300,
            },
            open_orders: 2,
            awaiting_confirmation: 1,
            unknown_orders: 0,
            realised_today: dec!(-12.345),
            trace_id: None,
        }
    }

    #[test]
    fn how_trading_stands() {
        let text = status(&sample());
        for part in [
            "⏸ <b>Trading is paused</b>: reducing only · <b>💰 LIVE</b>",
            "by telegram:1001\n💬 news &lt;soon&gt;",
            "open 2 · to be confirmed 1 · outcome unknown 0",
            "Realised today -12.34",
            "An order 1,000.00 USD · a position 3,000.00 USD · a day's loss 200.00 USD",
            "Symbols BTCUSDT, ETHUSDT",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let not_cancelled = NotCancelled {
            order_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            detail: "bingx did not <answer>.".to_owned(),
        };
        let outcome = StateOutcome {
            status: sample(),
            changed: false,
            cancelled: vec![not_cancelled.order_id.clone()],
            not_cancelled: vec![not_cancelled; 9],
        };
        let text = changed(TradingState::Reducing, &outcome);
        for part in [
            "It was so before.",
            "taken back: 1",
            "tried again: 9\n• <code>0123456789abcdef0123456789abcdef</code> bingx did not &lt;answer&gt;.",
            "open: 2, see /orders",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(is_well_formed(&text) && text.matches('•').count() == MAX_ORDERS, "{text}");
        let halted = StateOutcome { status: TradingStatus { state: TradingState::Halted, ..sample() }, ..outcome };
        let text = changed(TradingState::Reducing, &halted);
        assert!(text.contains("Trading is halted already") && text.contains(", by telegram:1001"), "{text}");
        assert!(!text.contains("It was so before"), "{text}");
        let text = changed(TradingState::Halted, &halted);
        assert!(text.contains("\nNothing is traded.") && text.contains("It was so before."), "{text}");
    }

    #[test]
    fn who_changed_it_and_why() {
        let change = StateChange {
            from: TradingState::Running,
            to: TradingState::Halted,
            by: "alert:BingXOrderFailures".to_owned(),
            reason: Some("Orders fail.".to_owned()),
            at: noon(),
        };
        assert_eq!(
            state_change(&change, Some("4bf9")),
            "⏹ <b>Trading is stopped</b> (was running), by alert:BingXOrderFailures\n💬 Orders fail.\n🕒 12:00:00 UTC\n\
             🔎 Trace <code>4bf9</code>"
        );
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes(words in "\\PC{0,3000}", count in 1_usize..300) {
            let mut odd = sample();
            odd.by = Some(words.clone());
            odd.reason = Some(words.clone());
            odd.limits.symbols = (0..count).map(|n| format!("LONGESTNAME{n}USDT").parse().unwrap()).collect();
            odd.realised_today = Decimal::MIN;
            let change = StateChange { from: TradingState::Running, to: TradingState::Halted, by: words.clone(), reason: Some(words.clone()), at: Utc::now() };
            for text in [status(&odd), state_change(&change, Some(&words))] {
                prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{text}");
            }
        }
    }
}
