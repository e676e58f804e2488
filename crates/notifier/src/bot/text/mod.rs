//! What the bot writes: Telegram's HTML, everything from outside escaped, never longer than Telegram takes.
//!
//! Formatting rules: <https://core.telegram.org/bots/api#html-style>.

mod account;
mod answers;
mod order;
mod pipeline;
mod position;
#[cfg(test)]
pub(crate) mod samples;
mod state;
mod why;

use chrono::{DateTime, Utc};
use domain::{CandleSeries, Interval, Symbol, TradingMode};
use rust_decimal::Decimal;
use url::Url;
use web::UpstreamError;

use super::role::Role;
use crate::ask::problem;
use crate::question::{BUTTON_TEXT, COMMANDS, MAX_SYMBOLS};

pub(crate) use account::{MAX_ORDERS, balance, daily, orders, profit};
pub(crate) use answers::answers;
pub(crate) use order::{order, order_in_a_line, refusal};
pub(crate) use pipeline::pipeline;
pub(crate) use position::position_difference;
pub(crate) use state::{changed, state_change, status};
pub(crate) use why::{Why, why};

/// Longest message, in UTF-16 code units without the tags, which is how Telegram counts.
pub(crate) const MAX_LENGTH: usize = 4096;

/// Longest text under a picture, counted in the same way.
pub(crate) const MAX_CAPTION: usize = 1024;

/// Longest answer to a press, counted in the same way: <https://core.telegram.org/bots/api#answercallbackquery>.
pub(crate) const MAX_CALLBACK: usize = 200;

/// `/start`.
pub(crate) fn greeting(served: &[Symbol]) -> String {
    format!(
        "👋 <b>I tell you what to do with crypto</b>: buy, sell or hold, how sure I am, and why.\n\n\
         Press the button below, or ask in your own words.\n\n{}",
        examples(served)
    )
}

/// `/help`.
pub(crate) fn help(served: &[Symbol], role: Role) -> String {
    let commands: Vec<String> =
        COMMANDS.iter().map(|(name, description)| format!("/{name} — {}", escape(description))).collect();
    format!(
        "<b>How to ask</b>\n\n{}\n\n\
         <b>Commands</b>\n{}\n\n\
         You are a <b>{role}</b>: {}.\n\
         Every answer names its price, how old that is, the strategy, and a trace id under which each step can be looked up. \
         An answer places no order.",
        examples(served),
        commands.join("\n"),
        match role {
            Role::Viewer => "you may ask and look",
            Role::Trader => "you may also confirm, decline and cancel orders, /pause and /stop",
            Role::Admin => "you may also confirm, decline and cancel orders, /pause, /stop and /resume",
        }
    )
}

/// To somebody whose role does not go so far: what it needs, and who can help.
pub(crate) fn needs_role(what: &str, needed: Role, has: Role) -> String {
    format!(
        "🔒 To {what} takes the role {needed}; yours is {has}. The bot's operator gives it by {}.",
        needed.setting()
    )
}

/// A command whose service failed or refused, named.
pub(crate) fn failed(what: &str, error: &UpstreamError) -> String {
    let problem = problem(error.clone());
    let who = match problem.failed_upstream() {
        Some(upstream) if upstream != error.upstream => format!("{}, because of {upstream}", error.upstream),
        _ => error.upstream.to_owned(),
    };
    format!("⚠️ <b>{}</b>\n{}: {}", escape(what), escape(&who), escape(&shorten(problem.detail(), 300)))
}

/// The same where only plain words fit.
pub(crate) fn failed_briefly(what: &str, error: &UpstreamError) -> String {
    shorten_to(&format!("{what} {}: {}", error.upstream, problem(error.clone()).detail()), MAX_CALLBACK)
}

/// That a yes was not taken, why, and until when it can be said again.
pub(crate) fn not_confirmed(error: &UpstreamError, until: DateTime<Utc>) -> String {
    let end = format!(" Press Confirm again before {} UTC.", until.format("%H:%M"));
    let why = format!("It is not confirmed: {}", problem(error.clone()).detail());
    // What is to be done stands there however long the reason is.
    shorten_to(&why, MAX_CALLBACK.saturating_sub(length(&end))) + &end
}

/// Why a service refused, in its own words.
pub(crate) fn refused_briefly(error: &UpstreamError) -> String {
    shorten_to(problem(error.clone()).detail(), MAX_CALLBACK)
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

/// Under a chart.
pub(crate) fn chart(series: &CandleSeries, mark: Option<&str>) -> String {
    let last =
        series.candles.last().map_or_else(String::new, |last| format!(" · {}", money(last.close, &series.symbol)));
    let mark = mark.map_or_else(String::new, |mark| format!("\n📍 {}", escape(&shorten(mark, 80))));
    let text = format!("📈 <b>{}</b>{last} · candles of {}{mark}", series.symbol, series.interval);
    debug_assert!(length(&text) <= MAX_CAPTION, "a caption is too long");
    text
}

/// To somebody who wants candles of a length that there is not.
pub(crate) fn no_interval() -> String {
    let all = Interval::ALL.map(Interval::as_str).join(", ");
    format!("🤔 Candles are of {all}: /chart BTC 5m. /chart BTC alone has the shortest.")
}

/// Why there is no chart.
pub(crate) fn no_chart(symbol: &Symbol, reason: &str) -> String {
    format!("⚠️ <b>There is no chart of {symbol}</b>\n{}", escape(&shorten(reason, 300)))
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

/// `46224` as `46,224.00`, `0.00001234` as it is: at least two decimals, at most eight.
pub(crate) fn grouped(number: Decimal) -> String {
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

pub(crate) fn shorten(text: &str, max_chars: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Length as Telegram counts it.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Shortens plain words to a length as Telegram counts it.
pub(crate) fn shorten_to(text: &str, most: usize) -> String {
    let mut text = shorten(text, most);
    while length(&text) > most {
        text = shorten(&text, text.chars().count().saturating_sub(2));
    }
    text
}

/// With its sign: `+1.20`.
fn signed(number: Decimal) -> String {
    if number > Decimal::ZERO { format!("+{}", grouped(number.round_dp(2))) } else { grouped(number.round_dp(2)) }
}

/// A quantity as it is: `0.002`.
fn quantity(number: Decimal) -> String {
    number.normalize().to_string()
}

/// The currency that a symbol is priced in, with a space before it; nothing where that is not known.
fn quote(symbol: &Symbol) -> String {
    symbol.split().map_or_else(String::new, |(_, quote)| format!(" {quote}"))
}

/// An amount and its currency.
fn money(number: Decimal, symbol: &Symbol) -> String {
    format!("{}{}", grouped(number), quote(symbol))
}

/// `12:00:05`.
fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

/// `21 Nov 12:00`.
fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %b %H:%M").to_string()
}

/// A mode in one word, with its mark.
const fn mode_mark(mode: TradingMode) -> &'static str {
    match mode {
        TradingMode::Paper => "🧪 PAPER",
        TradingMode::Live => "💰 LIVE",
    }
}

fn trace_line(trace_id: &str) -> String {
    format!("🔎 Trace <code>{}</code>", escape(&shorten(trace_id, 64)))
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;
    use web::UpstreamErrorKind;

    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let shown = |number: Decimal| grouped(number);
        assert_eq!(shown(dec!(46224)), "46,224.00");
        assert_eq!(shown(dec!(1234567.891)), "1,234,567.891");
        assert_eq!(shown(dec!(999.5)), "999.50");
        assert_eq!(shown(dec!(0.00001234)), "0.00001234");
        assert_eq!(shown(dec!(-1000)), "-1,000.00");
        assert_eq!(shown(dec!(0)), "0.00");
        assert_eq!(
            (signed(dec!(1.204)), signed(dec!(-3)), signed(dec!(0))),
            ("+1.20".into(), "-3.00".into(), "0.00".into())
        );
        assert_eq!(quantity(dec!(0.00200)), "0.002");
    }

    #[test]
    fn a_link_only_where_the_page_has_an_address() {
        let url = Url::parse("https://example.com/crypto/").unwrap();
        let text = trace("4bf9", Some(&url));
        assert!(text.contains("<a href=\"https://example.com/crypto/?trace=4bf9\">"), "{text}");
        assert!(!trace("4bf9", None).contains("http"));
    }

    #[test]
    fn who_failed_is_named_and_what_a_role_lacks() {
        let error = UpstreamError { upstream: "order-service", kind: UpstreamErrorKind::Timeout, attempts: 1 };
        let text = failed("The balance cannot be shown.", &error);
        assert!(text.contains("order-service") && text.contains("did not answer in time"), "{text}");
        let brief = failed_briefly("Not confirmed.", &error);
        assert!(brief.starts_with("Not confirmed. order-service: "), "{brief}");
        let needed = needs_role("resume trading", Role::Admin, Role::Trader);
        assert!(needed.contains("the role admin") && needed.contains("yours is trader"), "{needed}");
        assert_eq!(length(&shorten_to(&"😀".repeat(500), MAX_CALLBACK)), MAX_CALLBACK - 1);
    }

    #[test]
    fn help_names_every_command_and_fits() {
        let served: Vec<Symbol> = (0..100).map(|n| format!("COIN{n}USDT").parse().unwrap()).collect();
        let text = help(&served, Role::Admin);
        assert!(COMMANDS.iter().all(|(name, _)| text.contains(&format!("/{name} "))), "{text}");
        assert!(samples::shown(&text) <= MAX_LENGTH);
    }
}
