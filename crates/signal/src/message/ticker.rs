//! Tickers as TradingView spells them, as symbols.

use domain::Symbol;

/// Longest ticker that is looked at, in bytes.
const MAX_LEN: usize = 64;

/// The symbol of `BTCUSDT`, `BINANCE:BTCUSDT`, `BTCUSDT.P` and `BTCUSDTPERP` (perpetual futures), `BTC-USDT`, `BTC/USDT`,
/// `BTC_USDT`. What an exchange's prefix or the word for futures adds is dropped: where and what is traded is not for
/// the alert to say.
pub(super) fn symbol(ticker: &str) -> Option<Symbol> {
    let ticker = ticker.trim();
    if ticker.len() > MAX_LEN || !ticker.is_ascii() {
        return None;
    }
    let pair = match ticker.split_once(':') {
        None => ticker,
        Some((exchange, pair)) => {
            let word = !exchange.is_empty() && exchange.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            word.then_some(pair)?
        }
    }
    .to_ascii_uppercase();
    let pair = without_perpetual(&pair);
    let parts: Vec<&str> = pair.split(['-', '/', '_']).collect();
    match parts[..] {
        [whole] => whole.parse().ok(),
        [base, quote] if !base.is_empty() && !quote.is_empty() => format!("{base}{quote}").parse().ok(),
        _ => None,
    }
}

fn without_perpetual(pair: &str) -> &str {
    if let Some(pair) = pair.strip_suffix(".P") {
        return pair;
    }
    match pair.strip_suffix("PERP").map(|pair| pair.trim_end_matches(['-', '_', '.'])) {
        // `BTCUSDTPERP`, and not a pair against a coin of that name.
        Some(bare) if bare.replace(['-', '/', '_'], "").parse::<Symbol>().is_ok_and(|s| s.split().is_some()) => bare,
        _ => pair,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_symbol() {
        for ticker in [
            "BTCUSDT",
            "btcusdt",
            " BTCUSDT ",
            "BINANCE:BTCUSDT",
            "BINANCE:BTCUSDT.P",
            "BTCUSDT.P",
            "BTCUSDTPERP",
            "BTCUSDT-PERP",
            "BTC-USDT",
            "BTC/USDT",
            "BTC_USDT",
            "BINGX:BTCUSDT.P",
            "BTC-USDT.P",
            "BTCUSDT_PERP",
        ] {
            assert_eq!(symbol(ticker).map(String::from).as_deref(), Some("BTCUSDT"), "{ticker}");
        }
        assert_eq!(symbol("PERPUSDT").unwrap().as_str(), "PERPUSDT");
        assert_eq!(symbol("BTCUSD.P").unwrap().as_str(), "BTCUSD");
    }

    #[test]
    fn what_is_no_pair_is_none() {
        for ticker in [
            "",
            "BTC",
            ":",
            ":BTCUSDT",
            "A:B:BTCUSDT",
            "BTC1!",
            "BTC-USDT-SWAP",
            "-BTCUSDT",
            "BTC USDT",
            "<b>BTC",
            "BTC-",
            "\u{411}TCUSDT",
            "BINANCE:",
            ".P",
            "PERP",
            "B\0TCUSDT",
            "BTCUSDTBTCUSDTBTCUSDT",
            &"A".repeat(9_999),
        ] {
            assert_eq!(symbol(ticker), None, "{ticker}");
        }
    }
}
