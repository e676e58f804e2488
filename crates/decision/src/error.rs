//! Why there is no decision, and what a caller is told.

use actix_web::http::StatusCode;
use domain::strategy::{MarketError, NotEnoughCandles};
use web::Problem;

/// A market that cannot be decided on. Nothing else stops a decision: a language model that fails is replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecisionError {
    /// The market as stated is inconsistent or stale.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// Too little history.
    #[error(transparent)]
    NotEnoughCandles(#[from] NotEnoughCandles),
}

impl From<DecisionError> for Problem {
    fn from(error: DecisionError) -> Self {
        let (status, code) = match &error {
            DecisionError::Market(MarketError::TooManyCandles { .. }) => (StatusCode::BAD_REQUEST, "too_many_candles"),
            DecisionError::Market(market) => (StatusCode::UNPROCESSABLE_ENTITY, market.label()),
            DecisionError::NotEnoughCandles(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not_enough_candles"),
        };
        Self::new(status, code, capitalised(&error.to_string()))
    }
}

/// An error's text as a sentence.
fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_get_a_code_and_a_sentence() {
        let problem = Problem::from(DecisionError::from(NotEnoughCandles { given: 3 }));
        assert_eq!((problem.status().as_u16(), problem.code()), (422, "not_enough_candles"));
        assert!(problem.detail().starts_with("3 closed candles were given; this strategy needs at least 215"));
        let problem =
            Problem::from(DecisionError::from(MarketError::StalePrice { age_ms: 31_000, max_age_ms: 30_000 }));
        assert_eq!((problem.status().as_u16(), problem.code()), (422, "stale_price"));
        assert_eq!(
            problem.detail(),
            "The price was 31000 ms old when it was read; a decision needs one of at most 30000 ms."
        );
    }
}
