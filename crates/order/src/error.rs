//! What goes wrong here, as problems.

use actix_web::http::StatusCode;
use domain::{PageError, Symbol};
use storage::StorageError;
use web::{ChainError, Problem, UpstreamError};

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("the orders' database failed")]
    Storage(#[from] StorageError),
    #[error("no price of {symbol}")]
    Price {
        symbol: Symbol,
        #[source]
        source: UpstreamError,
    },
    #[error("the items' prices took too long")]
    Prices(#[source] UpstreamError),
    #[error("this idempotency key was used for another request")]
    KeyMismatch,
    #[error("the items are priced in {0} and in {1}")]
    Currencies(String, String),
    #[error("the total is larger than an order can have")]
    TooLarge,
    #[error("{0} items are too many")]
    TooManyItems(usize),
    #[error("{0} is not of the form that an order's id has")]
    BadId(String),
    #[error("there is no order {0}")]
    Unknown(String),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{0} in the database is none")]
    Kept(&'static str),
    #[error("it cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ChainError for OrderError {
    fn label(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.label(),
            Self::Price { source, .. } | Self::Prices(source) => source.label(),
            Self::KeyMismatch => "key_mismatch",
            Self::Currencies(..) => "mixed_currencies",
            Self::TooLarge => "total_too_large",
            Self::TooManyItems(_) => "too_many_items",
            Self::BadId(_) => "bad_order_id",
            Self::Unknown(_) => "unknown_order",
            Self::Page(error) => error.code(),
            Self::Kept(_) => "bad_row",
            Self::Json(_) => "bad_json",
        }
    }

    fn is_failure(&self) -> bool {
        match self {
            Self::Storage(_) | Self::Prices(_) | Self::Kept(_) | Self::Json(_) => true,
            Self::Price { source, .. } => !source.is_refusal(),
            _ => false,
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            OrderError::Storage(error) => error.into(),
            // market-data-service's own sentence names the symbol, and who failed.
            OrderError::Price { source, .. } | OrderError::Prices(source) => source.into(),
            OrderError::KeyMismatch => web::key_mismatch(),
            OrderError::Currencies(one, other) => Self::new(
                unprocessable,
                "mixed_currencies",
                format!("The items are priced in {one} and in {other}; an order has one currency. Make two orders."),
            ),
            OrderError::TooLarge => {
                Self::new(unprocessable, "total_too_large", "The order's total has more digits than an order can have.")
            }
            OrderError::TooManyItems(count) => Self::new(
                StatusCode::BAD_REQUEST,
                "too_many_items",
                format!("{count} items are too many: an order has at most {}.", domain::chain::MAX_ITEMS),
            ),
            OrderError::BadId(_) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_order_id", "An order's id is a word of 32 hex digits.")
            }
            OrderError::Unknown(id) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_order", format!("There is no order {id}."))
            }
            OrderError::Page(error) => Self::new(StatusCode::BAD_REQUEST, error.code(), format!("The {error}.")),
            OrderError::Kept(_) | OrderError::Json(_) => Self::internal(),
        }
    }
}
