//! Why an order, a decision or a refusal is what it is, and where its time went.

use chrono::Utc;
use domain::Answer;
use domain::trading::{PipelineNotice, Refusal, Signal, TradeOrder};

use super::{MAX_LENGTH, escape, grouped, length, money, shorten, trace_line};
use crate::bot::latency::Latency;

/// Characters of a sentence from outside that are shown.
const MAX_REASON: usize = 900;

/// Characters of a step's name that are shown: a line of a table has to fit on a phone.
const MAX_STEP: usize = 24;

/// What is asked about.
#[derive(Debug)]
pub(crate) enum Why {
    /// An order.
    Order(Box<TradeOrder>),
    /// An answer to an ask.
    Decision(Box<Answer>),
    /// A signal that became no order.
    Refusal(Box<(Signal, Refusal)>),
    /// What a pipeline told.
    Pipeline(Box<PipelineNotice>),
}

/// `/why`. `sorry` says, in a bounded sentence, what could not be brought up to date.
pub(crate) fn why(what: &Why, sorry: Option<&str>, latency: &Latency, trace_id: Option<&str>) -> String {
    let reason = match what {
        Why::Order(order) => of_order(order),
        Why::Decision(answer) => of_decision(answer),
        Why::Refusal(refused) => super::order::refusal(&refused.0, &refused.1, None),
        Why::Pipeline(told) => super::pipeline::pipeline(told, None),
    };
    let trace = trace_id.map(|id| format!("\n{}", trace_line(id))).unwrap_or_default();
    let sorry = sorry.map(|sorry| format!("\n\n{sorry}")).unwrap_or_default();
    let mut rows = usize::MAX;
    loop {
        let text = format!("❓ <b>Why</b>\n{reason}{sorry}\n\n{}{trace}", table(latency, rows));
        if length(&text) <= MAX_LENGTH || rows == 0 {
            return text;
        }
        // Steps give way when the message would be too long.
        rows = match latency {
            Latency::Steps { steps, .. } => rows.min(steps.len()) / 2,
            _ => 0,
        };
    }
}

fn of_order(order: &TradeOrder) -> String {
    // Everything that the order's own message says, and the reason of each step.
    let mut text = super::order::order(&TradeOrder { trace_id: None, ..order.clone() }, Utc::now());
    let reasons: Vec<String> = order
        .history
        .iter()
        .filter_map(|step| Some((step.to, step.reason.as_deref()?)))
        .take(5)
        .map(|(to, reason)| format!("• {}: {}", super::order::words(to), escape(&shorten(reason, 200))))
        .collect();
    if !reasons.is_empty() {
        text.push_str("\n<b>Its steps</b>\n");
        text.push_str(&reasons.join("\n"));
    }
    text
}

fn of_decision(answer: &Answer) -> String {
    let number = |name: &str, value: Option<rust_decimal::Decimal>| {
        value.map(|value| format!("{name} {}", grouped(value.round_dp(2))))
    };
    let indicators = &answer.indicators;
    let numbers: Vec<String> = [
        number("fast average", indicators.sma_fast),
        number("slow average", indicators.sma_slow),
        number("RSI", indicators.rsi),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut lines = vec![
        format!("<b>{} {}</b> at {}", answer.action, answer.symbol, money(answer.price, &answer.symbol)),
        format!("💬 {}", escape(&shorten(&answer.reason, MAX_REASON))),
        format!("🧭 Strategy {}", answer.strategy),
    ];
    if let Some(fallback) = &answer.fallback {
        lines.push(format!("↩️ {} could not decide: {}", fallback.from, escape(&shorten(&fallback.reason, 200))));
    }
    if !numbers.is_empty() {
        lines.push(format!("📐 {}", numbers.join(" · ")));
    }
    lines.push(format!("🆔 <code>{}</code>", answer.decision_id));
    lines.join("\n")
}

/// Where the time went, as a table in letters of one width.
fn table(latency: &Latency, most_rows: usize) -> String {
    let (total_ms, steps) = match latency {
        Latency::Off => return "⏱ Latencies are not told: the bot has no TEMPO_URL.".to_owned(),
        Latency::Untraced => return "⏱ It was not traced, so there are no latencies.".to_owned(),
        Latency::Missing => return "⏱ Its trace is not there (yet): ask again in a moment.".to_owned(),
        Latency::Failed(reason) => {
            return format!("⏱ Its trace cannot be read now: {}", escape(&shorten(reason, 200)));
        }
        Latency::Steps { total_ms, steps } => (*total_ms, steps),
    };
    let shown = steps.len().min(most_rows);
    let name = |name: &str| shorten(name, MAX_STEP);
    let width = steps.iter().take(shown).map(|step| name(&step.name).chars().count()).max().unwrap_or(0).max(5);
    let mut lines: Vec<String> =
        steps.iter().take(shown).map(|step| row(&name(&step.name), width, step.own_ms)).collect();
    if shown < steps.len() {
        lines.push(format!("… and {} more", steps.len() - shown));
    }
    lines.push(row("total", width, total_ms));
    format!("⏱ <b>Where the time went</b>\n<pre>{}</pre>", lines.join("\n"))
}

/// Padded before it is escaped: what is shown is what counts.
fn row(name: &str, width: usize, ms: f64) -> String {
    format!("{} {:>9}", escape(&format!("{name:<width$}")), format!("{ms:.1} ms"))
}

#[cfg(test)]
mod tests {
    use domain::trading::RefusalCode;
    use proptest::prelude::*;
    use rust_decimal_macros::dec;

    use super::super::samples::{self, is_well_formed, shown};
    use super::*;
    use crate::bot::latency::Step;

    fn step(name: &str, own_ms: f64) -> Step {
        Step { name: name.to_owned(), own_ms }
    }

    #[test]
    fn a_decision_and_where_its_time_went() {
        let mut answer = samples::answer("BTCUSDT", "The fast average is above the slow one.");
        answer.indicators.sma_fast = Some(dec!(46100.123));
        answer.indicators.rsi = Some(dec!(55.5));
        let latency =
            Latency::Steps { total_ms: 21.54, steps: vec![step("market-data-service", 12.0), step("<ask>", 3.26)] };
        let text = why(&Why::Decision(Box::new(answer)), None, &latency, Some("4bf9"));
        assert!(text.contains("💬 The fast average is above the slow one."), "{text}");
        assert!(text.contains("📐 fast average 46,100.12 · RSI 55.50"), "{text}");
        let table = "<pre>market-data-service   12.0 ms\n&lt;ask&gt;                  3.3 ms\ntotal                 21.5 ms</pre>";
        assert!(text.contains(table), "{text}");
        assert!(text.ends_with("🔎 Trace <code>4bf9</code>"), "{text}");
    }

    #[test]
    fn no_latencies_are_said_to_be_none() {
        let refusal = Refusal::new(RefusalCode::TradingHalted, "Trading is halted.");
        let refused = || Why::Refusal(Box::new((samples::signal(), refusal.clone())));
        for (latency, words) in [
            (Latency::Off, "TEMPO_URL"),
            (Latency::Untraced, "not traced"),
            (Latency::Missing, "not there (yet)"),
            (Latency::Failed("tempo: <no>".to_owned()), "tempo: &lt;no&gt;"),
        ] {
            let text = why(&refused(), None, &latency, None);
            assert!(text.contains(words) && text.contains("Trading is halted."), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes(words in "\\PC{0,3000}", count in 0_usize..400, ms in any::<f64>()) {
            let steps = vec![step(&words, ms); count];
            let latency = Latency::Steps { total_ms: ms, steps };
            let decision = Why::Decision(Box::new(samples::answer("BTCUSDT", &words)));
            let order = TradeOrder { reason: Some(words.clone()), comment: Some(words.clone()), ..samples::order() };
            for what in [decision, Why::Order(Box::new(order))] {
                let text = why(&what, Some(&"s".repeat(400)), &latency, Some(&words));
                prop_assert!(shown(&text) <= MAX_LENGTH && is_well_formed(&text), "{text}");
            }
        }
    }
}
