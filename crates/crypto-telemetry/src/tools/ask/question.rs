//! From the words of the command line to the question.

use domain::{AskRequest, StrategyName, Symbol};

/// Symbols when every word is one (`BTCUSDT ethusdt`, `BTCUSDT,ETHUSDT`), else a question in words, which the service
/// understands (`btc and eth?`). No word asks about the service's default symbol.
pub(super) fn request(words: &[String], strategy: Option<StrategyName>) -> AskRequest {
    let items: Vec<&str> =
        words.iter().flat_map(|word| word.split([',', ' '])).filter(|item| !item.is_empty()).collect();
    let symbols: Option<Vec<Symbol>> = items.iter().map(|item| symbol(item)).collect();
    match symbols {
        Some(symbols) => AskRequest { symbols, question: None, strategy },
        None => AskRequest { symbols: Vec::new(), question: Some(words.join(" ")), strategy },
    }
}

/// A word that is meant as a symbol: of known quote in any case, or else in capitals. "about" is a word, "ABCXYZ" is a
/// symbol, perhaps one that is not served, which the answer then says.
fn symbol(item: &str) -> Option<Symbol> {
    let symbol: Symbol = item.parse().ok()?;
    let capitals = item.bytes().any(|b| b.is_ascii_uppercase()) && !item.bytes().any(|b| b.is_ascii_lowercase());
    (symbol.split().is_some() || capitals).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (Vec<String>, Option<String>) {
        let request = request(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), None);
        (request.symbols.iter().map(ToString::to_string).collect(), request.question)
    }

    fn symbols(names: &[&str]) -> (Vec<String>, Option<String>) {
        (names.iter().map(|name| (*name).to_owned()).collect(), None)
    }

    fn question(text: &str) -> (Vec<String>, Option<String>) {
        (Vec::new(), Some(text.to_owned()))
    }

    #[test]
    fn symbols_and_questions_are_told_apart() {
        assert_eq!(read(&[]), symbols(&[]));
        assert_eq!(read(&["BTCUSDT"]), symbols(&["BTCUSDT"]));
        assert_eq!(read(&["btcusdt", "ETHUSDT,SOLUSDT"]), symbols(&["BTCUSDT", "ETHUSDT", "SOLUSDT"]));
        assert_eq!(read(&["BTCUSDT ETHUSDT"]), symbols(&["BTCUSDT", "ETHUSDT"]));
        assert_eq!(read(&["ABCXYZ"]), symbols(&["ABCXYZ"]));
        assert_eq!(read(&["btc?"]), question("btc?"));
        assert_eq!(read(&["what", "about", "btc?"]), question("what about btc?"));
        assert_eq!(read(&["about"]), question("about"));
        assert_eq!(read(&["BTCUSDT", "or", "eth"]), question("BTCUSDT or eth"));
    }
}
