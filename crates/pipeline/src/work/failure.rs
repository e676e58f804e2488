//! Why a step could not be done, and whether it may be done later.

use std::time::Duration;

use web::{UpstreamError, UpstreamErrorKind};

use super::agents::services::DECISION;
use crate::store::StoreError;

/// What decision-service calls a price that is too old for it.
pub(super) const STALE_PRICE: &str = "stale_price";

/// Why a step could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(super) struct StepError {
    /// In a sentence for people.
    pub(super) detail: String,
    /// A bounded word.
    pub(super) label: &'static str,
    /// Whether it can never work: another attempt would be refused in the same way.
    pub(super) is_final: bool,
    /// What whoever failed asks to be waited.
    pub(super) retry_after: Option<Duration>,
}

impl StepError {
    /// What may work later.
    pub(super) fn passing(label: &'static str, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), label, is_final: false, retry_after: None }
    }

    /// What can never work.
    pub(super) fn for_good(label: &'static str, detail: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::passing(label, detail) }
    }
}

impl From<UpstreamError> for StepError {
    fn from(error: UpstreamError) -> Self {
        let (label, upstream) = (error.label(), error.upstream);
        match error.kind {
            UpstreamErrorKind::Status { status, retry_after, problem, .. } => {
                let code = problem.as_ref().map(|problem| problem.code.clone());
                let words = problem.map(|problem| format!(" ({}): {}", problem.code, problem.detail));
                // The snapshot's price was old: the next attempt takes another one.
                let is_old = upstream == DECISION && code.as_deref() == Some(STALE_PRICE);
                let label = if is_old { STALE_PRICE } else { label };
                let is_refusal = matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 429) && !is_old;
                let detail = format!("{upstream} answered {status}{}", words.unwrap_or_default());
                Self { retry_after, is_final: is_refusal, ..Self::passing(label, detail) }
            }
            UpstreamErrorKind::CircuitOpen { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::passing(label, format!("{upstream}: not called after repeated failures"))
            },
            kind => Self::passing(label, format!("{upstream}: {kind}")),
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::passing("store", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use web::ProblemBody;

    use super::*;

    fn answered(upstream: &'static str, status: u16, code: &str, retry_after: Option<Duration>) -> StepError {
        let body = serde_json::json!({
            "type": format!("urn:crypto-telemetry:problem:{code}"), "title": "t", "status": status,
            "detail": "Words.", "code": code,
        });
        let problem: ProblemBody = serde_json::from_value(body).unwrap();
        let problem = Some(Box::new(problem));
        let kind = UpstreamErrorKind::Status { status, body: Vec::new().into(), retry_after, problem };
        UpstreamError { upstream, kind, attempts: 1 }.into()
    }

    #[test]
    fn refusals_are_for_good_and_what_passes_is_not() {
        for status in [400, 401, 403, 404, 410, 415, 422] {
            assert!(answered("order-service", status, "x", None).is_final, "{status}");
        }
        for status in [408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(!answered("order-service", status, "x", None).is_final, "{status}");
        }
        assert!(!answered(DECISION, 422, "stale_price", None).is_final, "the next price is another one");
        assert!(answered(DECISION, 422, "not_enough_candles", None).is_final);
        for kind in [UpstreamErrorKind::Timeout, UpstreamErrorKind::Connect("refused".to_owned())] {
            assert!(!StepError::from(UpstreamError { upstream: "x", kind, attempts: 1 }).is_final);
        }
    }

    #[test]
    fn who_failed_and_how_long_to_wait_is_kept() {
        let error = answered("order-service", 503, "order_unknown", Some(Duration::from_secs(7)));
        assert_eq!(error.detail, "order-service answered 503 (order_unknown): Words.");
        assert_eq!((error.label, error.retry_after), ("server_error", Some(Duration::from_secs(7))));
        let kind = UpstreamErrorKind::CircuitOpen { retry_after: Duration::from_secs(2) };
        let error = StepError::from(UpstreamError { upstream: "x", kind, attempts: 0 });
        assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
    }
}
