//! What an answer, or none, says about an order.

use domain::Symbol;
use secrecy::SecretString;
use serde_json::value::RawValue;
use web::{UpstreamError, UpstreamErrorKind, UpstreamResponse};

use crate::wire::order::placed;
use crate::wire::{Answer, read};
use crate::{NotSent, PlaceError, PlacedOrder, QueryError, Refusal};

/// Codes for an order that there is not: 109421 now, 80016 in older documents.
const NO_SUCH_ORDER: [i64; 2] = [109_421, 80_016];

/// An answer's status and body, or what there was instead.
pub(crate) type Outcome = Result<UpstreamResponse, UpstreamError>;

/// What is known about an order after it was sent, or was to be sent.
pub(crate) fn of_placing(
    outcome: Outcome,
    symbol: &Symbol,
    client_order_id: &str,
    secrets: &[&SecretString],
) -> Result<PlacedOrder, PlaceError> {
    match outcome {
        Ok(response) => read_placing(response.status, &response.body, symbol, client_order_id, secrets),
        Err(UpstreamError { kind: UpstreamErrorKind::Status { status, body, .. }, .. }) => {
            read_placing(status, &body, symbol, client_order_id, secrets)
        }
        Err(error) => Err(match error.kind {
            UpstreamErrorKind::Connect(reason) => NotSent::Unreachable(reason).into(),
            UpstreamErrorKind::CircuitOpen { retry_after } => NotSent::CircuitOpen { retry_after }.into(),
            // No attempt was made.
            UpstreamErrorKind::Malformed(reason) if error.attempts == 0 => NotSent::Request(reason).into(),
            kind => PlaceError::Unknown { why: kind.to_string() },
        }),
    }
}

pub(crate) fn read_placing(
    status: u16,
    body: &[u8],
    symbol: &Symbol,
    client_order_id: &str,
    secrets: &[&SecretString],
) -> Result<PlacedOrder, PlaceError> {
    match read(status, body, secrets) {
        Answer::Done(data) => {
            placed(data, symbol, client_order_id).map_err(|why| PlaceError::Unknown { why: unreadable(&why) })
        }
        Answer::Refused(refusal) => Err(PlaceError::Refused(refusal)),
        Answer::Failed(why) => Err(PlaceError::Unknown { why: failed(&why) }),
        Answer::Unreadable(why) => Err(PlaceError::Unknown { why: unreadable(&why) }),
    }
}

/// The answer to a question, or to a cancellation.
pub(crate) fn of_asking<T>(
    outcome: Outcome,
    secrets: &[&SecretString],
    take: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Result<T, QueryError> {
    match outcome {
        Ok(response) => read_asking(response.status, &response.body, secrets, take),
        Err(UpstreamError { kind: UpstreamErrorKind::Status { status, body, .. }, .. }) => {
            read_asking(status, &body, secrets, take)
        }
        Err(error) => Err(QueryError::Unavailable { why: error.kind.to_string() }),
    }
}

pub(crate) fn read_asking<T>(
    status: u16,
    body: &[u8],
    secrets: &[&SecretString],
    take: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Result<T, QueryError> {
    match read(status, body, secrets) {
        Answer::Done(data) => take(data).map_err(|why| QueryError::Unavailable { why: unreadable(&why) }),
        Answer::Refused(refusal) => Err(refused(refusal)),
        Answer::Failed(why) => Err(QueryError::Unavailable { why: failed(&why) }),
        Answer::Unreadable(why) => Err(QueryError::Unavailable { why: unreadable(&why) }),
    }
}

fn refused(refusal: Refusal) -> QueryError {
    use crate::RefusalKind::{ClockSkew, RateLimited};
    if NO_SUCH_ORDER.contains(&refusal.code) {
        return QueryError::NoSuchOrder(refusal);
    }
    match refusal.kind {
        // The next question is signed anew, later.
        RateLimited | ClockSkew => QueryError::Unavailable { why: refusal.to_string() },
        _ => QueryError::Refused(refusal),
    }
}

fn unreadable(why: &str) -> String {
    format!("the answer cannot be read: {why}")
}

fn failed(why: &str) -> String {
    format!("BingX failed: {why}")
}

#[cfg(test)]
mod tests;
