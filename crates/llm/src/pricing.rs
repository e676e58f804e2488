//! What tokens cost.

use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::wire::Usage;

/// Prices of a model, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Tokens read.
    pub input_usd_per_million: Decimal,
    /// Tokens written.
    pub output_usd_per_million: Decimal,
}

impl Prices {
    /// What a use costs, in US dollars.
    #[must_use]
    pub fn cost_usd(&self, usage: Usage) -> Decimal {
        // Divided first: no token count, however absurd, can overflow then.
        let millions = |tokens: u64| Decimal::from(tokens) / dec!(1_000_000);
        let part = |tokens, price| millions(tokens).checked_mul(price).unwrap_or(Decimal::MAX);
        part(usage.prompt_tokens, self.input_usd_per_million)
            .checked_add(part(usage.completion_tokens, self.output_usd_per_million))
            .unwrap_or(Decimal::MAX)
            .normalize()
    }
}

/// Tokens of a JSON text of this many bytes, rounded up: at two bytes a token, more than tokenizers make of English and
/// digits (about four and three bytes), so that an estimate made before a call is rather too high than too low.
#[must_use]
pub fn estimated_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(2)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_exact() {
        let prices = Prices { input_usd_per_million: dec!(0.40), output_usd_per_million: dec!(1.60) };
        let cost = prices.cost_usd(Usage { prompt_tokens: 512, completion_tokens: 41 });
        assert_eq!(cost, dec!(0.0002704));
        assert_eq!(cost.to_string(), "0.0002704");
        let absurd = prices.cost_usd(Usage { prompt_tokens: u64::MAX, completion_tokens: u64::MAX });
        assert_eq!(absurd, dec!(36893488147419.10323));
    }

    #[test]
    fn estimates_round_up() {
        assert_eq!(estimated_tokens(0), 0);
        assert_eq!(estimated_tokens(1001), 501);
    }
}
