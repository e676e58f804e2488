//! What the bot writes: Telegram's HTML, everything from outside escaped, never longer than Telegram takes.
//!
//! Formatting rules: <https://core.telegram.org/bots/api#html-style>.

use domain::{Action, Answer, Symbol, TradingMode};
use rust_decimal::Decimal;
use url::Url;
use web::Problem;

use crate::ask::{Asked, problem};
use crate::question::{BUTTON_TEXT, MAX_SYMBOLS};

/// Most characters of a message.
pub(crate) const MAX_CHARS: usize = 4096;

/// `/start`.
pub(crate) fn greeting(served: &[Symbol]) -> String {
    format!(
        "👋 <b>I tell you what to do with crypto</b>: buy, sell or hold, how sure I am, and why.\n\n\
         Press the button below, or ask in your own words.\n\n{}",
        examples(served)
    )
}

/// `/help`.
pub(crate) fn help(served: &[Symbol]) -> String {
    format!(
        "<b>How to ask</b>\n\n{}\n\n\
         <b>Commands</b>\n\
         /ask BTC — ask about one or several symbols\n\
         /help — this text\n\
         /start — show the button\n\n\
         Every answer names its price, how old that is, the strategy, and a trace id under which each step can be looked up. \
         No order is placed: answers are for paper trading.",
        examples(served)
    )
}

/// To a text that means nothing here.
pub(crate) fn unknown(served: &[Symbol]) -> String {
    format!(
        "🤔 I did not understand that. Name a coin or a pair, or press “{}”.\n\n{}",
        escape(BUTTON_TEXT),
        examples(served)
    )
}

/// To a question about too many symbols.
pub(crate) fn too_many(named: usize) -> String {
    format!("🙈 {named} symbols are too many for one message: name {MAX_SYMBOLS} at most.")
}

/// To somebody who may not use the bot.
pub(crate) fn denied(user_id: u64) -> String {
    format!(
        "🔒 Sorry, this bot is private. If it is yours to use, ask its operator to allow your user id: <code>{user_id}</code>"
    )
}

/// To a press of the trace button.
pub(crate) fn trace(trace_id: &str, public_url: Option<&Url>) -> String {
    let id = escape(trace_id);
    let way = public_url.and_then(|url| trace_link(url, trace_id)).map_or_else(
        || "Paste it into the page of api-gateway, or into Grafana (Explore, Tempo).".to_owned(),
        |link| format!("<a href=\"{0}\">{0}</a>", escape(&link)),
    );
    format!("🔎 <b>Trace</b> <code>{id}</code>\n{way}")
}

/// To a press of a button whose meaning is gone.
pub(crate) const STALE_BUTTON: &str = "This button is too old. Ask again, please.";

fn trace_link(public_url: &Url, trace_id: &str) -> Option<String> {
    let mut link = public_url.join("./").ok()?;
    link.set_query(Some(&format!("trace={trace_id}")));
    Some(link.to_string())
}

fn examples(served: &[Symbol]) -> String {
    let mut text =
        "For example: <i>btc?</i> · <i>ETHUSDT</i> · <i>btc and eth</i> · <i>what about solana</i>".to_owned();
    if !served.is_empty() {
        let names: Vec<String> = served.iter().take(30).map(|symbol| escape(symbol.as_str())).collect();
        text.push_str(&format!("\nI know: {}", names.join(", ")));
    }
    text
}

/// The answers, and why some or all are missing.
pub(crate) fn answers(asked: &Asked) -> String {
    // Reasons come from outside (a language model writes them): they give way when the message would be too long.
    let mut text = String::new();
    for reason_chars in [900, 300, 120, 40, 0] {
        text = answers_within(asked, reason_chars);
        if text.chars().count() <= MAX_CHARS {
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
            Ok(answer) if single => format!("{}\n\n{}", headline(answer, reason_chars), facts(answer, reason_chars)),
            Ok(answer) => format!("{}\n{}", headline(answer, reason_chars), short_facts(answer)),
            Err(error) => refusal(symbol, &problem(error.clone())),
        })
        .collect();
    let mut text = blocks.join("\n\n");
    if !single
        && let Some(mode) = asked.results.iter().find_map(|(_, result)| result.as_ref().ok()).map(|answer| answer.mode)
    {
        text.push_str(&format!("\n\n🧪 Mode {}", mode_words(mode)));
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

fn facts(answer: &Answer, reason_chars: usize) -> String {
    let mut lines = vec![
        format!("💵 Price <b>{}</b>, {}", price(answer), age(answer.price_age_ms)),
        format!("🧭 Strategy {}{}", answer.strategy, fallback(answer, reason_chars)),
        format!("🧪 Mode {}", mode_words(answer.mode)),
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

const fn mode_words(mode: TradingMode) -> &'static str {
    match mode {
        TradingMode::Paper => "PAPER, no real money moves",
        TradingMode::Live => "LIVE",
    }
}

/// `0.72` as `72%`.
fn percent(fraction: Decimal) -> String {
    format!("{}%", (fraction * Decimal::ONE_HUNDRED).round())
}

fn price(answer: &Answer) -> String {
    let quote = answer.symbol.split().map_or("", |(_, quote)| quote);
    format!("{} {quote}", grouped(answer.price)).trim_end().to_owned()
}

/// `46224` as `46,224.00`, `0.00001234` as it is: at least two decimals, at most eight.
fn grouped(number: Decimal) -> String {
    let number = number.round_dp(8).normalize();
    let text = format!("{:.*}", (number.scale() as usize).max(2), number.abs());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, "00"));
    let mut out = String::new();
    if number.is_sign_negative() && !number.is_zero() {
        out.push('-');
    }
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{out}.{decimals}")
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

fn shorten(text: &str, max_chars: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use domain::{DecisionId, Fallback, Indicators, StrategyName};
    use proptest::prelude::*;
    use rust_decimal_macros::dec;
    use web::{UpstreamError, UpstreamErrorKind};

    fn answer(symbol: &str, reason: &str) -> Answer {
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

    fn asked(results: Vec<Result<Answer, UpstreamError>>) -> Asked {
        let results = results
            .into_iter()
            .map(|result| {
                let symbol =
                    result.as_ref().map_or_else(|_| "DOGEUSDT".parse().unwrap(), |answer| answer.symbol.clone());
                (symbol, result.map(Box::new))
            })
            .collect();
        Asked { results, trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()) }
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
    fn numbers_and_ages_are_for_people() {
        let shown = |number: Decimal| grouped(number);
        assert_eq!(shown(dec!(46224)), "46,224.00");
        assert_eq!(shown(dec!(1234567.891)), "1,234,567.891");
        assert_eq!(shown(dec!(999.5)), "999.50");
        assert_eq!(shown(dec!(0.00001234)), "0.00001234");
        assert_eq!(shown(dec!(-1000)), "-1,000.00");
        assert_eq!(shown(dec!(0)), "0.00");
        assert_eq!(age(999), "less than a second old");
        assert_eq!(age(1_000), "1 second old");
        assert_eq!(age(125_000), "2 minutes old");
        assert_eq!(age(7_200_000), "2 hours old");
        assert_eq!(percent(dec!(0.725)), "72%");
    }

    #[test]
    fn a_link_only_where_the_page_has_an_address() {
        let url = Url::parse("https://example.com/crypto/").unwrap();
        let text = trace("4bf9", Some(&url));
        assert!(text.contains("<a href=\"https://example.com/crypto/?trace=4bf9\">"), "{text}");
        assert!(!trace("4bf9", None).contains("http"));
    }

    proptest! {
        #[test]
        fn never_longer_than_telegram_takes(reason in "\\PC{0,2000}", count in 1_usize..=10) {
            let mut one = answer("BTCUSDT", &reason);
            one.fallback = Some(Fallback { from: StrategyName::Llm, reason: reason.clone() });
            let text = answers(&asked(vec![Ok(one); count]));
            prop_assert!(text.chars().count() <= MAX_CHARS);
            // Nothing of the reason opens a tag: only ours are there.
            prop_assert_eq!(text.matches('<').count(), text.matches("<b>").count() * 2 + text.matches("<code>").count() * 2);
        }
    }
}
