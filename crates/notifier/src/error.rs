//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use web::Problem;

use crate::question::MAX_SYMBOLS;

/// A request to ask that cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskRefused {
    /// Words that name nothing.
    #[error(
        "I did not understand the question. Name a coin or a pair, for example: \"btc?\", \"ETHUSDT\", \"btc and eth\"."
    )]
    UnknownQuestion,
    /// Two ways of saying what is asked, which may differ.
    #[error("Give symbols or a question, not both.")]
    Both,
    /// More symbols than are asked about at once.
    #[error("{named} symbols are too many: ask about {MAX_SYMBOLS} at most.")]
    TooMany {
        /// How many were named.
        named: usize,
    },
    /// A question that is no question any more.
    #[error("A question has at most {limit} characters.")]
    TooLong {
        /// The limit.
        limit: usize,
    },
}

impl From<AskRefused> for Problem {
    fn from(refused: AskRefused) -> Self {
        let code = match refused {
            AskRefused::UnknownQuestion => "unknown_question",
            AskRefused::Both => "symbols_and_question",
            AskRefused::TooMany { .. } => "too_many_symbols",
            AskRefused::TooLong { .. } => "question_too_long",
        };
        Self::new(StatusCode::BAD_REQUEST, code, refused.to_string())
    }
}

/// The secret of a webhook call is missing or wrong: both look the same from outside.
pub(crate) fn webhook_unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "This address takes calls from Telegram only.")
}
