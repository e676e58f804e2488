//! Names people use for coins, and the symbols that are served.

use domain::Symbol;

/// Quote currency that is meant when only a coin is named.
const DEFAULT_QUOTE: &str = "USDT";

/// Quote currencies that stand for dollars: after a coin's name they are always a quote (`btc usdt`).
const DOLLARS: [&str; 6] = ["usdt", "usdc", "fdusd", "tusd", "busd", "usd"];

/// Quote currencies that are coins or money of their own: a quote only when a pair is spelled (`eth/btc`) and served.
const OTHER_QUOTES: [&str; 3] = ["eur", "btc", "eth"];

/// What people call coins, and the base currency of it.
const COINS: &[(&str, &str)] = &[
    ("btc", "BTC"),
    ("bitcoin", "BTC"),
    ("xbt", "BTC"),
    ("eth", "ETH"),
    ("ether", "ETH"),
    ("ethereum", "ETH"),
    ("sol", "SOL"),
    ("solana", "SOL"),
    ("bnb", "BNB"),
    ("binancecoin", "BNB"),
    ("xrp", "XRP"),
    ("ripple", "XRP"),
    ("ada", "ADA"),
    ("cardano", "ADA"),
    ("doge", "DOGE"),
    ("dogecoin", "DOGE"),
    ("ltc", "LTC"),
    ("litecoin", "LTC"),
    ("dot", "DOT"),
    ("polkadot", "DOT"),
    ("link", "LINK"),
    ("chainlink", "LINK"),
    ("avax", "AVAX"),
    ("avalanche", "AVAX"),
    ("trx", "TRX"),
    ("tron", "TRX"),
    ("ton", "TON"),
    ("toncoin", "TON"),
    ("near", "NEAR"),
    ("atom", "ATOM"),
    ("cosmos", "ATOM"),
    ("xlm", "XLM"),
    ("stellar", "XLM"),
    ("shib", "SHIB"),
    ("pepe", "PEPE"),
    ("matic", "MATIC"),
    ("polygon", "MATIC"),
];

/// Coins that are also everyday words: read as a coin only in capitals, with `$`, or in a bare list of coins.
const EVERYDAY_WORDS: [&str; 12] =
    ["dot", "link", "near", "atom", "ton", "cosmos", "stellar", "avalanche", "ripple", "polygon", "ether", "ada"];

/// What can be asked about, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    served: Vec<Symbol>,
}

/// How a word was written, which decides whether an everyday word means a coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emphasis {
    /// In running text.
    None,
    /// In capitals, with `$` or `#`, or in a bare list of coins.
    Strong,
}

impl Vocabulary {
    /// Knows the symbols that market-data-service serves, besides the well-known coins.
    #[must_use]
    pub fn new(served: Vec<Symbol>) -> Self {
        Self { served }
    }

    /// The symbols that are served; empty while market-data-service has not been reached.
    #[must_use]
    pub fn served(&self) -> &[Symbol] {
        &self.served
    }

    /// The symbol that one lower-case word means.
    pub(crate) fn word(&self, word: &str, emphasis: Emphasis) -> Option<Symbol> {
        self.coin(word, emphasis).or_else(|| self.whole_pair(word))
    }

    /// The symbol that two lower-case words mean together. `spelled` when they are joined by `/` or `-`.
    pub(crate) fn pair(&self, base: &str, quote: &str, spelled: bool) -> Option<Symbol> {
        let known = self.coin(base, Emphasis::Strong).is_some();
        let base = self.base_of(base);
        if DOLLARS.contains(&quote) && (known || spelled) {
            return self.of_base_and_quote(&base, quote);
        }
        let symbol: Symbol = format!("{base}{quote}").parse().ok()?;
        (spelled && OTHER_QUOTES.contains(&quote) && self.served.contains(&symbol)).then_some(symbol)
    }

    /// The symbol that a word must mean where a symbol is expected (`/ask FOO`).
    pub(crate) fn insisted(&self, word: &str) -> Option<Symbol> {
        if let Some(symbol) = self.word(word, Emphasis::Strong) {
            return Some(symbol);
        }
        let long_enough = word.len() > Symbol::MIN_LEN;
        let text = if long_enough { word.to_owned() } else { format!("{word}{DEFAULT_QUOTE}") };
        text.parse().ok()
    }

    fn coin(&self, word: &str, emphasis: Emphasis) -> Option<Symbol> {
        let is_coin = COINS.iter().any(|(name, _)| *name == word)
            || self.served.iter().filter_map(Symbol::split).any(|(base, _)| base.eq_ignore_ascii_case(word));
        if !is_coin || (emphasis == Emphasis::None && EVERYDAY_WORDS.contains(&word)) {
            return None;
        }
        let base = self.base_of(word);
        let served = self.served.iter().find(|symbol| symbol.split().is_some_and(|(served, _)| served == base));
        served.cloned().or_else(|| format!("{base}{DEFAULT_QUOTE}").parse().ok())
    }

    fn base_of(&self, word: &str) -> String {
        let known = COINS.iter().find(|(name, _)| *name == word);
        known.map_or_else(|| word.to_ascii_uppercase(), |(_, base)| (*base).to_owned())
    }

    /// `btcusdt`, `BTCUSD`; other quotes only when that pair is served.
    fn whole_pair(&self, word: &str) -> Option<Symbol> {
        let symbol: Symbol = word.parse().ok()?;
        if self.served.contains(&symbol) {
            return Some(symbol);
        }
        let quote = DOLLARS.iter().find(|quote| word.ends_with(**quote))?;
        let base = word.strip_suffix(quote)?;
        (base.len() >= 2).then(|| self.of_base_and_quote(base, quote)).flatten()
    }

    /// Dollars as such are not traded on the exchange: `usd` means its usual stand-in.
    fn of_base_and_quote(&self, base: &str, quote: &str) -> Option<Symbol> {
        let exact: Option<Symbol> = format!("{base}{quote}").parse().ok();
        match exact {
            Some(symbol) if quote != "usd" || self.served.contains(&symbol) => Some(symbol),
            _ => format!("{base}{DEFAULT_QUOTE}").parse().ok(),
        }
    }
}
