//! The answers to asks.

use domain::{Action, Answer, Symbol, TradingMode};
use rust_decimal::Decimal;
use web::Problem;

use super::{MAX_LENGTH, escape, length, money, shorten};
use crate::ask::{Asked, problem};

/// The answers, and why some or all are missing.
pub(crate) fn answers(asked: &Asked) -> String {
    // Reasons come from outside (a language model writes them): they give way when the message would be too long.
    let mut text = String::new();
    for reason_chars in [900, 300, 120, 40, 0] {
        text = answers_within(asked, reason_chars);
        if length(&text) <= MAX_LENGTH {
            break;
        }
    }
    text
}

fn answers_within(asked: &Asked, reason_chars: usize) -> String {
    let single = asked.results.len() == 1;
    let blocks: Vec<String> = asked
        .results
        .iter()
        .map(|(symbol, result)| match result {
            Ok(answer) if single => {
                format!("{}\n\n{}", headline(answer, reason_chars), facts(answer, asked.mode, reason_chars))
            }
            Ok(answer) => format!("{}\n{}", headline(answer, reason_chars), short_facts(answer)),
            Err(error) => refusal(symbol, &problem(error.clone())),
        })
        .collect();
    let mut text = blocks.join("\n\n");
    if !single && asked.results.iter().any(|(_, result)| result.is_ok()) {
        text.push_str(&format!("\n\n{}", mode_line(asked.mode)));
    }
    if let Some(trace_id) = &asked.trace_id {
        let gap = if single && asked.results.iter().all(|(_, result)| result.is_ok()) { "\n" } else { "\n\n" };
        let gap = if single { gap } else { "\n" };
        text.push_str(&format!("{gap}🔎 Trace <code>{}</code>", escape(trace_id)));
    }
    text
}

fn headline(answer: &Answer, reason_chars: usize) -> String {
    let mark = match answer.action {
        Action::Buy => "🟢",
        Action::Sell => "🔴",
        Action::Hold => "🟡",
    };
    let mut text =
        format!("{mark} <b>{} {}</b> · confidence {}", answer.action, answer.symbol, percent(answer.confidence));
    if reason_chars > 0 {
        text.push_str(&format!("\n{}", escape(&shorten(&answer.reason, reason_chars))));
    }
    text
}

fn facts(answer: &Answer, mode: Option<TradingMode>, reason_chars: usize) -> String {
    let mut lines = vec![
        format!("💵 Price <b>{}</b>, {}", price(answer), age(answer.price_age_ms)),
        format!("🧭 Strategy {}{}", answer.strategy, fallback(answer, reason_chars)),
        mode_line(mode),
    ];
    if answer.cost_usd > Decimal::ZERO {
        lines.push(format!("🪙 Cost ${}", answer.cost_usd.normalize()));
    }
    lines.join("\n")
}

fn short_facts(answer: &Answer) -> String {
    let instead = answer.fallback.as_ref().map(|fallback| format!(" instead of {}", fallback.from)).unwrap_or_default();
    format!("<b>{}</b>, {} · {}{instead}", price(answer), age(answer.price_age_ms), answer.strategy)
}

fn fallback(answer: &Answer, reason_chars: usize) -> String {
    answer.fallback.as_ref().map_or_else(String::new, |fallback| {
        format!(
            ", because {} could not decide: {}",
            fallback.from,
            escape(&shorten(&fallback.reason, reason_chars.min(200)))
        )
    })
}

fn refusal(symbol: &Symbol, problem: &Problem) -> String {
    format!("⚠️ <b>No answer for {symbol}</b>\n{}", escape(&shorten(problem.detail(), 250)))
}

/// What orders of this platform would move, as far as order-service said so.
fn mode_line(mode: Option<TradingMode>) -> String {
    match mode {
        Some(TradingMode::Paper) => "🧪 Mode PAPER, no real money moves".to_owned(),
        Some(TradingMode::Live) => "💰 Mode LIVE; this answer places no order".to_owned(),
        None => "🧪 Mode not known: order-service does not answer; this answer places no order".to_owned(),
    }
}

/// `0.72` as `72%`.
fn percent(fraction: Decimal) -> String {
    format!("{}%", (fraction * Decimal::ONE_HUNDRED).round())
}

fn price(answer: &Answer) -> String {
    money(answer.price, &answer.symbol)
}

/// How old a price is, in words.
fn age(age_ms: u64) -> String {
    let plural = |count: u64, unit: &str| format!("{count} {unit}{} old", if count == 1 { "" } else { "s" });
    match age_ms {
        0..1_000 => "less than a second old".to_owned(),
        1_000..120_000 => plural(age_ms / 1_000, "second"),
        120_000..7_200_000 => plural(age_ms / 60_000, "minute"),
        _ => plural(age_ms / 3_600_000, "hour"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::text::samples::{answer, shown};
    use domain::{Fallback, StrategyName};
    use proptest::prelude::*;
    use rust_decimal_macros::dec;
    use web::{UpstreamError, UpstreamErrorKind};

    fn asked(results: Vec<Result<Answer, UpstreamError>>) -> Asked {
        let results = results
            .into_iter()
            .map(|result| {
                let symbol =
                    result.as_ref().map_or_else(|_| "DOGEUSDT".parse().unwrap(), |answer| answer.symbol.clone());
                (symbol, result.map(Box::new))
            })
            .collect();
        Asked { results, trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()), mode: Some(TradingMode::Paper) }
    }

    #[test]
    fn one_answer() {
        let text = answers(&asked(vec![Ok(answer("BTCUSDT", "The fast average is above the slow one."))]));
        assert_eq!(
            text,
            "🟢 <b>BUY BTCUSDT</b> · confidence 72%\n\
             The fast average is above the slow one.\n\n\
             💵 Price <b>46,224.50 USDT</b>, 3 seconds old\n\
             🧭 Strategy technical\n\
             🧪 Mode PAPER, no real money moves\n\
             🔎 Trace <code>4bf92f3577b34da6a3ce929d0e0e4736</code>"
        );
    }

    #[test]
    fn a_fallback_and_a_cost_are_said_and_everything_is_escaped() {
        let mut fallen = answer("BTCUSDT", "<b>buy</b> & \"run\"");
        fallen.fallback = Some(Fallback { from: StrategyName::Llm, reason: "a <refusal>".to_owned() });
        fallen.cost_usd = dec!(0.000315);
        let text = answers(&asked(vec![Ok(fallen)]));
        assert!(text.contains("&lt;b&gt;buy&lt;/b&gt; &amp; &quot;run&quot;"), "{text}");
        assert!(text.contains("Strategy technical, because llm could not decide: a &lt;refusal&gt;"), "{text}");
        assert!(text.contains("Cost $0.000315"), "{text}");
    }

    #[test]
    fn several_with_a_refusal() {
        let timeout = UpstreamError { upstream: "binance", kind: UpstreamErrorKind::Timeout, attempts: 2 };
        let text = answers(&asked(vec![Ok(answer("BTCUSDT", "Up.")), Err(timeout)]));
        assert!(
            text.starts_with(
                "🟢 <b>BUY BTCUSDT</b> · confidence 72%\nUp.\n<b>46,224.50 USDT</b>, 3 seconds old · technical\n\n"
            ),
            "{text}"
        );
        assert!(text.contains("⚠️ <b>No answer for DOGEUSDT</b>\nbinance did not answer in time."), "{text}");
        assert!(text.contains("\n\n🧪 Mode PAPER"), "{text}");
    }

    #[test]
    fn ages_are_for_people_and_an_unknown_mode_is_not_called_paper() {
        assert_eq!(age(999), "less than a second old");
        assert_eq!(age(1_000), "1 second old");
        assert_eq!(age(125_000), "2 minutes old");
        assert_eq!(age(7_200_000), "2 hours old");
        assert_eq!(percent(dec!(0.725)), "72%");
        let mut unknown = asked(vec![Ok(answer("BTCUSDT", "Up."))]);
        unknown.mode = None;
        let text = answers(&unknown);
        assert!(text.contains("Mode not known") && !text.contains("PAPER"), "{text}");
        unknown.mode = Some(TradingMode::Live);
        assert!(answers(&unknown).contains("Mode LIVE"));
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes(reason in "\\PC{0,2000}", count in 1_usize..=10) {
            let mut one = answer("BTCUSDT", &reason);
            one.fallback = Some(Fallback { from: StrategyName::Llm, reason: reason.clone() });
            let text = answers(&asked(vec![Ok(one); count]));
            prop_assert!(shown(&text) <= MAX_LENGTH);
            // Nothing of the reason opens a tag: only ours are there.
            prop_assert_eq!(text.matches('<').count(), text.matches("<b>").count() * 2 + text.matches("<code>").count() * 2);
        }
    }
}
