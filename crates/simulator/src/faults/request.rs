//! What may be asked of `POST /control/faults`.

use serde::{Deserialize, Serialize};

pub(super) const DEFAULT_LATENCY_MS: u64 = 1_000;
pub(super) const DEFAULT_RETRY_AFTER_S: u64 = 1;
const LONGEST_FAULT_MS: u64 = 3_600_000;
const LONGEST_LATENCY_MS: u64 = 60_000;
const LONGEST_RETRY_AFTER_S: u64 = 3 * 24 * 3600;
const LONGEST_METHOD: usize = 100;

/// Which of the simulated systems misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultTarget {
    /// `/api/v3/*`.
    BinanceRest,
    /// `/ws` and `/stream`, at the handshake and later.
    BinanceWs,
    /// `/bot<token>/*`.
    Telegram,
    /// `/v1/chat/completions`.
    Llm,
    /// `/openApi/swap/v2/*`.
    Bingx,
}

impl FaultTarget {
    /// The word in JSON and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BinanceRest => "binance_rest",
            Self::BinanceWs => "binance_ws",
            Self::Telegram => "telegram",
            Self::Llm => "llm",
            Self::Bingx => "bingx",
        }
    }
}

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answers (events of a socket) come `latency_ms` late.
    Latency,
    /// 429 (or `status` 418, a ban) with `retry_after_s`; sockets are refused at the handshake.
    TooManyRequests,
    /// 500 (or `status` 5xx); sockets are refused at the handshake.
    ServerError,
    /// The real answer (event), cut in half.
    Malformed,
    /// The connection ends with no answer; open sockets end with no close frame.
    Drop,
    /// Prices stand still: REST keeps stating the time at which they stopped, sockets send no events but stay open.
    Freeze,
    /// The model refuses.
    Refusal,
    /// The model is cut off (`finish_reason: length`).
    Length,
    /// The model's answer has no `usage`.
    NoUsage,
    /// The model talks instead of keeping to the schema.
    SchemaIgnored,
    /// BingX takes the order and answers 504.
    AcceptedThenTimeout,
    /// BingX takes the order, and the connection ends with no answer.
    AcceptedThenDrop,
    /// BingX fills half of a market order at once, and the rest when this is over.
    PartialFill,
    /// BingX takes the order, and it ends as REJECTED.
    Reject,
    /// BingX refuses the order for want of margin (101204).
    InsufficientMargin,
    /// BingX refuses every signed call for its timestamp (100421).
    ClockSkew,
}

impl FaultKind {
    /// The word in JSON and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::TooManyRequests => "too_many_requests",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::Drop => "drop",
            Self::Freeze => "freeze",
            Self::Refusal => "refusal",
            Self::Length => "length",
            Self::NoUsage => "no_usage",
            Self::SchemaIgnored => "schema_ignored",
            Self::AcceptedThenTimeout => "accepted_then_timeout",
            Self::AcceptedThenDrop => "accepted_then_drop",
            Self::PartialFill => "partial_fill",
            Self::Reject => "reject",
            Self::InsufficientMargin => "insufficient_margin",
            Self::ClockSkew => "clock_skew",
        }
    }
}

/// Body of `POST /control/faults`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// Which system.
    pub target: FaultTarget,
    /// What it does.
    pub kind: FaultKind,
    /// For how long, in milliseconds: at most an hour.
    pub duration_ms: u64,
    /// Share of the calls that it hits, above 0 and at most 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Of `latency`: how late, in milliseconds, at most a minute; 1000 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Of `too_many_requests`: what the caller is told to wait, in seconds; 1 when left out. BingX never says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Of `too_many_requests` (429 or 418; BingX answers 200 with code 100410) and `server_error` (500 to 599): the HTTP
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Only calls whose path (Telegram: method; sockets: stream names) contains this, whatever its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

const fn always() -> f64 {
    1.0
}

/// What is wrong with a [`FaultRequest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultRequestError {
    /// The time it should last.
    #[error("duration_ms is from 1 to {LONGEST_FAULT_MS} (an hour)")]
    Duration,
    /// The probability.
    #[error("probability is a number above 0 and at most 1")]
    Probability,
    /// The delay.
    #[error("latency_ms is for the kind latency, from 1 to {LONGEST_LATENCY_MS}")]
    Latency,
    /// The time to wait.
    #[error(
        "retry_after_s is for the kind too_many_requests, not of bingx, at most {LONGEST_RETRY_AFTER_S} (three days)"
    )]
    RetryAfter,
    /// The status.
    #[error("status is for the kinds too_many_requests (429 or 418, not of bingx) and server_error (500 to 599)")]
    Status,
    /// The filter.
    #[error("method has 1 to {LONGEST_METHOD} characters")]
    Method,
    /// A kind that makes no sense for the target.
    #[error("{target} cannot have the fault {kind}: freeze is for binance_rest and binance_ws; refusal, length, no_usage and schema_ignored are for llm; accepted_then_timeout, accepted_then_drop, partial_fill, reject, insufficient_margin and clock_skew are for bingx", target = .0.as_str(), kind = .1.as_str())]
    Combination(FaultTarget, FaultKind),
}

impl FaultRequest {
    /// A fault of a kind that hits every call for a while.
    #[must_use]
    pub const fn new(target: FaultTarget, kind: FaultKind, duration_ms: u64) -> Self {
        Self {
            target,
            kind,
            duration_ms,
            probability: always(),
            latency_ms: None,
            retry_after_s: None,
            status: None,
            method: None,
        }
    }

    /// The request with its defaults filled in.
    ///
    /// # Errors
    /// When a value is out of its bounds or does not go with the kind.
    pub fn checked(mut self) -> Result<Self, FaultRequestError> {
        let (target, kind) = (self.target, self.kind);
        let fits = match kind {
            FaultKind::Latency
            | FaultKind::TooManyRequests
            | FaultKind::ServerError
            | FaultKind::Malformed
            | FaultKind::Drop => true,
            FaultKind::Freeze => matches!(target, FaultTarget::BinanceRest | FaultTarget::BinanceWs),
            FaultKind::Refusal | FaultKind::Length | FaultKind::NoUsage | FaultKind::SchemaIgnored => {
                target == FaultTarget::Llm
            }
            FaultKind::AcceptedThenTimeout
            | FaultKind::AcceptedThenDrop
            | FaultKind::PartialFill
            | FaultKind::Reject
            | FaultKind::InsufficientMargin
            | FaultKind::ClockSkew => target == FaultTarget::Bingx,
        };
        // Limits that are told with a status and a Retry-After.
        let polite_limit = kind == FaultKind::TooManyRequests && target != FaultTarget::Bingx;
        let check = |good: bool, error| if good { Ok(()) } else { Err(error) };
        check(fits, FaultRequestError::Combination(target, kind))?;
        check((1..=LONGEST_FAULT_MS).contains(&self.duration_ms), FaultRequestError::Duration)?;
        // Written so that NaN fails too.
        check(self.probability > 0.0 && self.probability <= 1.0, FaultRequestError::Probability)?;
        match self.latency_ms {
            None if kind == FaultKind::Latency => self.latency_ms = Some(DEFAULT_LATENCY_MS),
            None => {}
            Some(ms) => {
                check(kind == FaultKind::Latency && (1..=LONGEST_LATENCY_MS).contains(&ms), FaultRequestError::Latency)?
            }
        }
        match self.retry_after_s {
            None if polite_limit => self.retry_after_s = Some(DEFAULT_RETRY_AFTER_S),
            None => {}
            Some(s) => check(polite_limit && s <= LONGEST_RETRY_AFTER_S, FaultRequestError::RetryAfter)?,
        }
        match (self.status, kind) {
            (None, FaultKind::TooManyRequests) if polite_limit => self.status = Some(429),
            (None, FaultKind::ServerError) => self.status = Some(500),
            (Some(418 | 429), FaultKind::TooManyRequests) if polite_limit => {}
            (None, _) | (Some(500..=599), FaultKind::ServerError) => {}
            (Some(_), _) => return Err(FaultRequestError::Status),
        }
        if let Some(method) = &self.method {
            check((1..=LONGEST_METHOD).contains(&method.chars().count()), FaultRequestError::Method)?;
        }
        Ok(self)
    }

    pub(super) fn applies_to(&self, target: FaultTarget, method: &str) -> bool {
        self.target == target
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| method.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_requests_are_told_why() {
        let check = |json: &str| serde_json::from_str::<FaultRequest>(json).unwrap().checked().unwrap_err();
        use FaultRequestError as E;
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":0}"#), E::Duration);
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":3600001}"#), E::Duration);
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":1,"probability":0}"#), E::Probability);
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":1,"probability":1.1}"#), E::Probability);
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":1,"latency_ms":5}"#), E::Latency);
        assert_eq!(check(r#"{"target":"llm","kind":"latency","duration_ms":1,"latency_ms":60001}"#), E::Latency);
        assert_eq!(check(r#"{"target":"llm","kind":"latency","duration_ms":1,"retry_after_s":1}"#), E::RetryAfter);
        assert_eq!(check(r#"{"target":"llm","kind":"too_many_requests","duration_ms":1,"status":500}"#), E::Status);
        assert_eq!(check(r#"{"target":"llm","kind":"server_error","duration_ms":1,"status":404}"#), E::Status);
        assert_eq!(check(r#"{"target":"llm","kind":"drop","duration_ms":1,"method":""}"#), E::Method);
        assert_eq!(
            check(r#"{"target":"telegram","kind":"refusal","duration_ms":1}"#),
            E::Combination(FaultTarget::Telegram, FaultKind::Refusal)
        );
        assert_eq!(
            check(r#"{"target":"llm","kind":"freeze","duration_ms":1}"#),
            E::Combination(FaultTarget::Llm, FaultKind::Freeze)
        );
        assert_eq!(
            check(r#"{"target":"telegram","kind":"partial_fill","duration_ms":1}"#),
            E::Combination(FaultTarget::Telegram, FaultKind::PartialFill)
        );
        assert_eq!(
            check(r#"{"target":"bingx","kind":"too_many_requests","duration_ms":1,"retry_after_s":1}"#),
            E::RetryAfter
        );
        assert_eq!(check(r#"{"target":"bingx","kind":"too_many_requests","duration_ms":1,"status":429}"#), E::Status);
        assert!(
            serde_json::from_str::<FaultRequest>(r#"{"target":"llm","kind":"drop","duration_ms":1,"typo":1}"#).is_err()
        );
    }

    #[test]
    fn defaults_are_filled_in() {
        let request = FaultRequest::new(FaultTarget::BinanceRest, FaultKind::TooManyRequests, 5).checked().unwrap();
        assert_eq!((request.status, request.retry_after_s), (Some(429), Some(1)));
        let bingx = FaultRequest::new(FaultTarget::Bingx, FaultKind::TooManyRequests, 5).checked().unwrap();
        assert_eq!((bingx.status, bingx.retry_after_s), (None, None));
        assert_eq!(FaultRequest::new(FaultTarget::Llm, FaultKind::ServerError, 5).checked().unwrap().status, Some(500));
        assert_eq!(
            FaultRequest::new(FaultTarget::Llm, FaultKind::Latency, 5).checked().unwrap().latency_ms,
            Some(1_000)
        );
    }
}
