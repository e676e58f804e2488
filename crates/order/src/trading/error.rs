//! What goes wrong in trading, as problems.

use std::time::Duration;

use actix_web::http::StatusCode;
use domain::trading::{OrderStatus, PnlError, Refusal, SignalError};
use domain::{DecisionId, PageError, Symbol, TradingMode};
use storage::StorageError;
use web::{Problem, UpstreamError};

/// When whoever asks about an order whose outcome is not known should come again.
const COME_AGAIN: Duration = Duration::from_secs(2);

/// Why a request gets no answer, or an order does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TradingError {
    #[error("the orders' database failed")]
    Storage(#[from] StorageError),
    #[error("there is no price")]
    Price(#[source] UpstreamError),
    #[error("the signal makes no sense: {0}")]
    Signal(#[from] SignalError),
    #[error("the exchange cannot be used now: {0}")]
    Exchange(String),
    #[error("it is not known yet whether the exchange has order {0}")]
    Unknown(DecisionId),
    #[error("the exchange had order {0} and does not know it now")]
    Missing(DecisionId),
    #[error("there is no order {0}")]
    NoSuchOrder(DecisionId),
    #[error("{0} is no id of an order")]
    BadId(String),
    #[error("order {id} belongs to {} trading", mode.as_str())]
    OtherMode { id: DecisionId, mode: TradingMode },
    #[error("order {0} needs no confirmation")]
    NoConfirmation(DecisionId),
    #[error("somebody has decided about order {id} already: {decided}")]
    AlreadyDecided { id: DecisionId, decided: &'static str },
    #[error("the time to confirm order {0} is over")]
    ConfirmationExpired(DecisionId),
    #[error("order {id} is {status}")]
    AlreadyFinal { id: DecisionId, status: OrderStatus },
    #[error("the order is held back: {}", .0.detail)]
    HeldBack(Refusal),
    #[error("it is not settled what becomes of another order of {0}")]
    Uncertain(Symbol),
    #[error("the yes is not taken: {}", .0.detail)]
    YesHeldBack(Refusal),
    #[error("the yes is not taken: it is not settled what becomes of another order of {0}")]
    YesUncertain(Symbol),
    #[error("orders of {0} are open")]
    OrdersOpen(Symbol),
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{0}")]
    Query(String),
    #[error("{0} in the database is none")]
    Kept(&'static str),
    #[error("an order cannot go from {from} to {to}")]
    ForbiddenMove { from: OrderStatus, to: OrderStatus },
    #[error("a fill cannot be counted")]
    Pnl(#[from] PnlError),
    #[error("it cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the order was changed again and again while it was worked on")]
    Contended,
}

impl TradingError {
    /// The same where somebody's yes is at stake: it is not kept, and nobody tries again but whoever says it again.
    pub(crate) fn of_a_yes(self) -> Self {
        match self {
            Self::HeldBack(refusal) => Self::YesHeldBack(refusal),
            Self::Uncertain(symbol) => Self::YesUncertain(symbol),
            other => other,
        }
    }

    /// A bounded word, for `error.type`.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.label(),
            Self::Price(error) => error.label(),
            Self::Signal(_) => "bad_signal",
            Self::Exchange(_) => "exchange_unavailable",
            Self::Unknown(_) | Self::Missing(_) => "order_unknown",
            Self::NoSuchOrder(_) => "unknown_order",
            Self::BadId(_) => "bad_order_id",
            Self::OtherMode { .. } => "other_mode",
            Self::NoConfirmation(_) => "no_confirmation",
            Self::AlreadyDecided { .. } => "already_decided",
            Self::ConfirmationExpired(_) => "confirmation_expired",
            Self::AlreadyFinal { .. } => "already_final",
            Self::HeldBack(_) | Self::Uncertain(_) | Self::YesHeldBack(_) | Self::YesUncertain(_) => "order_held_back",
            Self::OrdersOpen(_) => "orders_open",
            Self::Page(error) => error.code(),
            Self::Query(_) => "bad_query",
            Self::Kept(_) => "bad_row",
            Self::ForbiddenMove { .. } => "forbidden_move",
            Self::Pnl(_) => "bad_fill",
            Self::Json(_) => "bad_json",
            Self::Contended => "contended",
        }
    }

    /// Whether something failed, rather than was refused.
    pub(crate) const fn is_failure(&self) -> bool {
        match self {
            Self::Price(error) => !error.is_refusal(),
            Self::Storage(_)
            | Self::Exchange(_)
            | Self::Unknown(_)
            | Self::Missing(_)
            | Self::Kept(_)
            | Self::ForbiddenMove { .. }
            | Self::Pnl(_)
            | Self::Json(_)
            | Self::Contended => true,
            _ => false,
        }
    }

    /// Puts it onto the current span, if it is a failure.
    pub(crate) fn show(&self) {
        if self.is_failure() {
            telemetry::record_exception(self.label(), self);
        }
    }
}

impl From<TradingError> for Problem {
    fn from(error: TradingError) -> Self {
        let label = error.label();
        let away = StatusCode::SERVICE_UNAVAILABLE;
        let (status, sentence) = match error {
            TradingError::Storage(error) => return error.into(),
            // market-data-service's own sentence names the symbol, and who failed.
            TradingError::Price(error) => return error.into(),
            TradingError::Signal(error) => (StatusCode::BAD_REQUEST, format!("The signal makes no sense: {error}.")),
            TradingError::Exchange(reason) => {
                let sentence = format!("The exchange cannot be used now: {reason}. Try again in a moment.");
                return Self::new(away, label, sentence).upstream("bingx").retry_after(COME_AGAIN);
            }
            TradingError::Unknown(id) => {
                let sentence = format!(
                    "It is not known yet whether the exchange has order {id}. It is asked; come again in a moment."
                );
                return Self::new(away, label, sentence).upstream("bingx").retry_after(COME_AGAIN);
            }
            TradingError::Missing(id) => {
                let sentence = format!(
                    "The exchange had order {id} and does not know it now. It is asked again; once the order is unknown for \
                     that, cancelling it ends it."
                );
                return Self::new(away, label, sentence).upstream("bingx").retry_after(COME_AGAIN);
            }
            TradingError::Contended => {
                let sentence = "The order is being worked on by others. Try again in a moment.";
                return Self::new(away, label, sentence).retry_after(COME_AGAIN);
            }
            TradingError::NoSuchOrder(id) => (StatusCode::NOT_FOUND, format!("There is no order {id}.")),
            TradingError::BadId(_) => {
                (StatusCode::BAD_REQUEST, "An order's id is a word of 32 lower-case hex digits.".to_owned())
            }
            TradingError::OtherMode { id, mode } => {
                let mode = mode.as_str();
                let sentence = format!("Order {id} belongs to {mode} trading: TRADING_MODE={mode} decides about it.");
                (StatusCode::CONFLICT, sentence)
            }
            TradingError::NoConfirmation(id) => {
                (StatusCode::CONFLICT, format!("Order {id} needs no confirmation: nobody has to decide about it."))
            }
            TradingError::AlreadyDecided { id, decided } => {
                (StatusCode::CONFLICT, format!("Somebody has decided about order {id} already: it is {decided}."))
            }
            TradingError::ConfirmationExpired(id) => (
                StatusCode::GONE,
                format!("The time to confirm order {id} is over; it will not be sent. A new signal makes a new order."),
            ),
            TradingError::AlreadyFinal { id, status } => {
                (StatusCode::CONFLICT, format!("Order {id} is {status}: there is nothing left to take back."))
            }
            TradingError::HeldBack(refusal) => {
                let sentence = format!("The order waits: {} It is tried again by itself.", refusal.detail);
                return Self::new(away, label, sentence).retry_after(COME_AGAIN);
            }
            TradingError::Uncertain(symbol) => {
                let sentence = format!(
                    "The order waits: it is not settled yet what becomes of another order of {symbol}, and so what is held. \
                     It is tried again by itself."
                );
                return Self::new(away, label, sentence).retry_after(COME_AGAIN);
            }
            TradingError::YesHeldBack(refusal) => {
                let sentence = format!("{} The order still waits to be confirmed.", refusal.detail);
                return Self::new(away, label, sentence).retry_after(COME_AGAIN);
            }
            TradingError::YesUncertain(symbol) => {
                let sentence = format!(
                    "It is not settled yet what becomes of another order of {symbol}, and so what is held. The order \
                     still waits to be confirmed."
                );
                return Self::new(away, label, sentence).retry_after(COME_AGAIN);
            }
            TradingError::OrdersOpen(symbol) => {
                let sentence =
                    format!("Orders of {symbol} are open: cancel them, or wait for their end, and try again.");
                (StatusCode::CONFLICT, sentence)
            }
            TradingError::Page(error) => (StatusCode::BAD_REQUEST, format!("The {error}.")),
            TradingError::Query(reason) => {
                (StatusCode::BAD_REQUEST, format!("The query cannot be understood: {reason}."))
            }
            TradingError::Kept(_)
            | TradingError::ForbiddenMove { .. }
            | TradingError::Pnl(_)
            | TradingError::Json(_) => {
                tracing::error!(error = %error, "a defect of trading");
                return Self::internal();
            }
        };
        Self::new(status, label, sentence)
    }
}

#[cfg(test)]
mod tests {
    use domain::trading::RefusalCode;

    use super::*;

    #[test]
    fn only_a_signal_s_order_is_tried_again_by_itself() {
        let held =
            || Refusal::new(RefusalCode::TooManyOrders, "There were 3 orders in the last minute; 3 is the limit.");
        let uncertain = || TradingError::Uncertain("BTCUSDT".parse().unwrap());
        for (error, said) in [
            (TradingError::HeldBack(held()), "3 is the limit. It is tried again by itself."),
            (TradingError::HeldBack(held()).of_a_yes(), "3 is the limit. The order still waits to be confirmed."),
            (uncertain(), "It is tried again by itself."),
            (uncertain().of_a_yes(), "so what is held. The order still waits to be confirmed."),
        ] {
            let problem = Problem::from(error);
            assert!(problem.detail().ends_with(said), "{}", problem.detail());
        }
        assert_eq!(uncertain().of_a_yes().label(), "order_held_back");
        assert_eq!(TradingError::Contended.of_a_yes().label(), "contended");
    }
}
