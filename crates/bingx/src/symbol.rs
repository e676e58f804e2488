//! Symbols as BingX spells them: `BTC-USDT` for our `BTCUSDT`.

use domain::Symbol;

/// BingX's spelling; `None` where the quote currency is not known.
pub(crate) fn to_bingx(symbol: &Symbol) -> Option<String> {
    symbol.split().map(|(base, quote)| format!("{base}-{quote}"))
}

/// Ours; `None` for what is no symbol.
pub(crate) fn from_bingx(text: &str) -> Option<Symbol> {
    let (base, quote) = text.split_once('-')?;
    format!("{base}{quote}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (ours, theirs) in [("BTCUSDT", "BTC-USDT"), ("ETHUSDC", "ETH-USDC"), ("1000PEPEUSDT", "1000PEPE-USDT")] {
            let symbol: Symbol = ours.parse().unwrap();
            assert_eq!(to_bingx(&symbol).as_deref(), Some(theirs));
            assert_eq!(from_bingx(theirs), Some(symbol));
        }
        assert_eq!(to_bingx(&"BTCXYZ".parse().unwrap()), None);
        assert_eq!(from_bingx("BTCUSDT"), None);
        assert_eq!(from_bingx("-"), None);
    }
}
