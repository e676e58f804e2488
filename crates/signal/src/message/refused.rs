//! Why an alert is not understood.

/// What is wrong with an alert. Fields are named as the sender named them; values are not repeated, for nobody knows what
/// somebody has put into an alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("The body is no valid UTF-8 text.")]
    Encoding,
    #[error(
        "The body is empty. Give the alert a message, such as {{\"ticker\": \"{{{{ticker}}}}\", \"action\": \"buy\"}}."
    )]
    Empty,
    #[error("The body is no valid JSON: {0}. Texts stand in double quotes, placeholders too.")]
    Json(String),
    #[error("The body is JSON, but no object like {{\"ticker\": \"BTCUSDT\", \"action\": \"buy\"}}.")]
    NoObject,
    #[error(
        "The body is neither a JSON object nor text like ticker=BTCUSDT action=buy: {0}. A value with blanks stands in \
         double quotes."
    )]
    Text(String),
    #[error("{0} holds an object or a list; every value is a text or a number of its own.")]
    Nested(String),
    #[error("{0} and {1} say different things; give it once.")]
    Twice(&'static str, &'static str),
    #[error("{0} is missing.")]
    Missing(&'static str),
    #[error(
        "{0} holds a placeholder that TradingView has not filled in. Those of strategies ({{{{strategy.…}}}}) are filled \
         in for alerts of strategies only; others may be misspelt."
    )]
    Placeholder(String),
    #[error("{0} has no value (NaN, na, null or nothing): the chart had none when the alert fired.")]
    NoValue(String),
    #[error("{0} is no ticker of a trading pair such as BTCUSDT, BINANCE:BTCUSDT, BTCUSDT.P or BTC-USDT.")]
    Symbol(&'static str),
    #[error("{0} is one of buy, sell, long, short, close, exit, flat.")]
    Action(&'static str),
    #[error("{0} is one of long, short, flat.")]
    Position(&'static str),
    #[error("{0} is a number above 0 and at most 1000000000000, with at most 18 decimal places.")]
    Number(&'static str),
    #[error("{0} is a time like 2026-01-31T12:00:00Z, or unix milliseconds or seconds.")]
    Time(&'static str),
    #[error("{0} has 1 to {1} characters, none of them a control character.")]
    Word(&'static str, usize),
    #[error("The alert has a quantity ({0}) and a notional; an order has one of the two.")]
    TwoSizes(&'static str),
}

impl Refused {
    /// The bounded code of the answer.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Encoding => "bad_encoding",
            Self::Empty => "empty_body",
            Self::Json(_) => "bad_json",
            Self::NoObject => "bad_body",
            Self::Text(_) => "bad_text",
            Self::Nested(_) => "nested_value",
            Self::Twice(..) => "contradicting_fields",
            Self::Missing(_) => "missing_field",
            Self::Placeholder(_) => "unfilled_placeholder",
            Self::NoValue(_) => "no_value",
            Self::Symbol(_) => "bad_symbol",
            Self::Action(_) => "bad_action",
            Self::Position(_) => "bad_market_position",
            Self::Number(_) => "bad_number",
            Self::Time(_) => "bad_time",
            Self::Word(..) => "bad_word",
            Self::TwoSizes(_) => "two_sizes",
        }
    }

    /// Whether the body is not even of a form that can be read.
    pub(crate) const fn is_malformed(&self) -> bool {
        matches!(self, Self::Encoding | Self::Empty | Self::Json(_) | Self::NoObject | Self::Text(_))
    }
}

/// A name from outside as it may be repeated: short, and without anything that has a meaning somewhere.
pub(super) fn shown(name: &str) -> String {
    let harmless = |c: char| if c.is_alphanumeric() || "_-. ".contains(c) { c } else { '?' };
    let shown: String = name.chars().take(40).map(harmless).collect();
    if shown.trim().is_empty() { "A field without a name".to_owned() } else { shown }
}
