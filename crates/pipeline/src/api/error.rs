//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use domain::pipeline::{ExecutionStatus, FieldError};
use web::Problem;

use crate::store::StoreError;

/// Most fields that the sentence of a problem names; its `errors` names all.
const MOST_NAMED: usize = 3;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("what is kept could not be read or changed")]
    Store(#[from] StoreError),
    #[error("the {what} is not one")]
    Fields { what: &'static str, code: &'static str, malformed: bool, errors: Vec<FieldError> },
    #[error("{0}")]
    Query(&'static str),
    #[error("no id")]
    BadId(&'static str),
    #[error("nothing is known of the signal")]
    NoSignal,
    #[error("If-Match is missing")]
    NoIfMatch,
    #[error("If-Match is none")]
    BadIfMatch,
    #[error("Idempotency-Key is none")]
    BadKey,
    #[error("the Idempotency-Key was used for another request")]
    KeyMismatch,
    #[error("an execution of the pipeline waits or runs")]
    AlreadyRunning,
    #[error("the pipeline was changed meanwhile")]
    Changing,
    #[error("the day's budget is spent")]
    BudgetSpent,
    #[error("it is not said which market it is about")]
    SymbolNeeded,
    #[error("step {0} needs a signal")]
    SignalNeeded(String),
    #[error("either a pipeline or the id of one is tried out")]
    OneOfTwo,
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let bad = |code, detail: &str| Self::new(StatusCode::BAD_REQUEST, code, detail);
        let conflict = |code, detail: &str| Self::new(StatusCode::CONFLICT, code, detail);
        let unfit = |code, detail: String| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        match error {
            ApiError::Store(error) => of_store(error),
            ApiError::Fields { what, code, malformed, errors } => {
                let status = if malformed { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
                Self::new(status, code, sentence(what, &errors)).with_errors(errors)
            }
            ApiError::Query(why) => bad("bad_query", &format!("The query cannot be understood: {why}.")),
            ApiError::BadId(what) => bad("bad_id", &format!("An id in the path is none: {what}.")),
            ApiError::NoSignal => Self::new(
                StatusCode::NOT_FOUND,
                "unknown_signal",
                "No signal with this id has been looked at, or it was too long ago.",
            ),
            ApiError::NoIfMatch => Self::new(
                StatusCode::PRECONDITION_REQUIRED,
                "if_match_missing",
                "Say in If-Match which revision is to be changed: the ETag of the pipeline, like \"3\", or * for any.",
            ),
            ApiError::BadIfMatch => {
                bad("bad_if_match", "If-Match is one ETag of the pipeline, like \"3\", or * for any revision.")
            }
            ApiError::BadKey => bad(
                "bad_idempotency_key",
                "An Idempotency-Key is one header of 1 to 128 visible ASCII characters, without spaces.",
            ),
            ApiError::KeyMismatch => web::key_mismatch(),
            ApiError::AlreadyRunning => conflict(
                "already_running",
                "An execution of this pipeline waits or runs already; GET /v1/executions tells which.",
            ),
            ApiError::Changing => {
                conflict("pipeline_changed", "The pipeline was changed at this moment. Try again.")
            }
            ApiError::BudgetSpent => conflict(
                "budget_spent",
                "What this pipeline may cost today (UTC) is spent. It can be executed again tomorrow, or with a higher budget.",
            ),
            ApiError::SymbolNeeded => unfit(
                "symbol_needed",
                "The pipeline is for every market: say in symbol which one this is about, like {\"symbol\": \"BTCUSDT\"}."
                    .to_owned(),
            ),
            ApiError::SignalNeeded(step) => unfit(
                "signal_needed",
                format!("Step {step} acts on what a signal says, so that the pipeline cannot be executed by hand."),
            ),
            ApiError::OneOfTwo => bad("bad_body", "Give either pipeline or pipeline_id, and not both."),
        }
    }
}

fn sentence(what: &str, errors: &[FieldError]) -> String {
    let named: Vec<String> =
        errors.iter().take(MOST_NAMED).map(|error| format!("{} {}", error.field, error.reason)).collect();
    let more = match errors.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("The {what} cannot be taken: {}{more}.", named.join("; "))
}

fn of_store(error: StoreError) -> Problem {
    match error {
        StoreError::Storage(error) => error.into(),
        StoreError::Page(error) => Problem::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
        StoreError::NameTaken => Problem::new(
            StatusCode::CONFLICT,
            "name_taken",
            "A pipeline of this name is there already. Choose another name, or change that one.",
        ),
        StoreError::NoPipeline => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_pipeline",
            "There is no pipeline with this id, or not any more.",
        ),
        StoreError::Stale { current } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "stale_revision",
            format!("Somebody has changed the pipeline since: it is at revision {current}. Read it again first."),
        ),
        StoreError::NoExecution => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_execution",
            "There is no execution with this id, or not any more.",
        ),
        StoreError::Standing(ExecutionStatus::Running) => Problem::new(
            StatusCode::CONFLICT,
            "not_failed",
            "A worker is at the execution. Only one that has failed is replayed, or thrown away.",
        ),
        StoreError::Standing(status) => Problem::new(
            StatusCode::CONFLICT,
            "not_failed",
            format!(
                "The execution is {status}: only one that has failed is replayed, and one that has failed or waits is thrown away."
            ),
        ),
        StoreError::Active => ApiError::AlreadyRunning.into(),
        StoreError::Fenced | StoreError::NoEnd(_) | StoreError::Kept(_) | StoreError::Json(_) => {
            tracing::error!(error = %error, "what is kept cannot be used");
            Problem::internal()
        }
    }
}
