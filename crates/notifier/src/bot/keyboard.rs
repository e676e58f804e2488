//! Buttons, and what comes back when they are pressed.
//!
//! `callback_data` has at most 64 bytes and comes from outside: it is parsed like any input.

use domain::Symbol;
use telegram::api::types::{
    InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, ReplyKeyboardMarkup, ReplyMarkup,
};
use trace_reader::TraceId;

use crate::question::{BUTTON_TEXT, MAX_SYMBOLS};

/// Telegram's limit for `callback_data`.
const MAX_DATA_BYTES: usize = 64;

/// Stands for the quote currency `USDT` in `callback_data`, so that ten symbols fit.
const USDT: &str = "~";

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Press {
    /// Ask about these again.
    AskAgain(Vec<Symbol>),
    /// Show where this trace can be seen.
    Trace(TraceId),
}

/// The keyboard with the one question.
pub(crate) fn question() -> ReplyMarkup {
    let button = KeyboardButton::builder().text(BUTTON_TEXT).build();
    let keyboard = ReplyKeyboardMarkup::builder()
        .keyboard(vec![vec![button]])
        .is_persistent(true)
        .resize_keyboard(true)
        .input_field_placeholder("btc? · ETHUSDT · btc and eth")
        .build();
    ReplyMarkup::ReplyKeyboardMarkup(keyboard)
}

/// The row under an answer; a button that would not fit is left out.
pub(crate) fn under_answer(symbols: &[Symbol], trace_id: Option<&str>) -> Option<ReplyMarkup> {
    let names: Vec<String> = symbols.iter().map(short).collect();
    let again = format!("a:{}", names.join(","));
    let trace = trace_id.map(|id| format!("t:{id}"));
    let row: Vec<InlineKeyboardButton> = [("🔄 Ask again", Some(again)), ("🔎 Trace", trace)]
        .into_iter()
        .filter_map(|(text, data)| Some((text, data.filter(|data| data.len() <= MAX_DATA_BYTES)?)))
        .map(|(text, data)| InlineKeyboardButton::builder().text(text).callback_data(data).build())
        .collect();
    (!row.is_empty())
        .then(|| ReplyMarkup::InlineKeyboardMarkup(InlineKeyboardMarkup::builder().inline_keyboard(vec![row]).build()))
}

/// Reads `callback_data`; `None` for anything that none of our buttons sends.
pub(crate) fn press(data: &str) -> Option<Press> {
    let (kind, rest) = data.split_once(':')?;
    match kind {
        "a" => {
            let symbols: Vec<Symbol> =
                rest.split(',').map(|name| name.replace(USDT, "USDT").parse().ok()).collect::<Option<_>>()?;
            (1..=MAX_SYMBOLS).contains(&symbols.len()).then_some(Press::AskAgain(symbols))
        }
        "t" => rest.parse().ok().map(Press::Trace),
        _ => None,
    }
}

fn short(symbol: &Symbol) -> String {
    symbol.as_str().strip_suffix("USDT").map_or_else(|| symbol.to_string(), |base| format!("{base}{USDT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn data(markup: Option<ReplyMarkup>) -> Vec<String> {
        match markup {
            Some(ReplyMarkup::InlineKeyboardMarkup(markup)) => {
                markup.inline_keyboard.concat().into_iter().filter_map(|b| b.callback_data).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn buttons_come_back_as_they_were_meant() {
        let asked = symbols(&["BTCUSDT", "ETHBTC"]);
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let data = data(under_answer(&asked, Some(id)));
        assert_eq!(data, ["a:BTC~,ETHBTC", "t:4bf92f3577b34da6a3ce929d0e0e4736"]);
        assert_eq!(press(&data[0]), Some(Press::AskAgain(asked)));
        assert_eq!(press(&data[1]), Some(Press::Trace(id.parse().unwrap())));
    }

    #[test]
    fn data_keeps_to_telegrams_limit() {
        let usual = symbols(&[
            "BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "AVAXUSDT", "LINKUSDT",
            "DOTUSDT",
        ]);
        assert_eq!(data(under_answer(&usual, None)).len(), 1);
        let long: Vec<Symbol> = (0..10).map(|n| format!("LONGNAME{n}USDT").parse().unwrap()).collect();
        assert_eq!(under_answer(&long, None), None);
    }

    #[test]
    fn anything_else_is_no_press() {
        for data in ["", "a", "a:", "a:x", "a:BTC~,", "t:1", "t:", "z:BTC~", "a:BTC/USDT", &"a:".repeat(40)] {
            assert_eq!(press(data), None, "{data}");
        }
        let eleven = format!("a:{}", ["BTC~"; 11].join(","));
        assert_eq!(press(&eleven), None);
    }
}
