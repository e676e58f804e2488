//! Faults that are switched on for a while: what the outside world does when it has a bad day.

mod inject;
mod request;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use telemetry::metrics::simulator::{FAULTS_ACTIVE, FAULTS_INJECTED};
use tokio::sync::watch;

pub(crate) use inject::{Outcome, inject, wants};
pub use request::{FaultKind, FaultRequest, FaultRequestError, FaultTarget};

/// Most faults that may be active at a time.
pub(crate) const MOST_FAULTS: usize = 100;

/// A fault that is switched on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Fault {
    /// Its id, for removing it.
    pub id: u64,
    /// What was asked for, defaults filled in.
    #[serde(flatten)]
    pub request: FaultRequest,
    /// Milliseconds until it ends by itself.
    pub remaining_ms: u64,
    /// How often it has hit so far.
    pub injected: u64,
}

/// When a fault may hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A call of an HTTP API.
    Call,
    /// The handshake of a socket.
    Handshake,
    /// The events of an open socket.
    Events,
    /// A call that places an order.
    Placing,
}

impl Occasion {
    const fn allows(self, kind: FaultKind) -> bool {
        match self {
            Self::Placing => true,
            Self::Call => !matches!(
                kind,
                FaultKind::AcceptedThenTimeout
                    | FaultKind::AcceptedThenDrop
                    | FaultKind::PartialFill
                    | FaultKind::Reject
                    | FaultKind::InsufficientMargin
            ),
            Self::Handshake => {
                matches!(
                    kind,
                    FaultKind::Latency | FaultKind::TooManyRequests | FaultKind::ServerError | FaultKind::Drop
                )
            }
            Self::Events => {
                matches!(kind, FaultKind::Latency | FaultKind::Malformed | FaultKind::Drop | FaultKind::Freeze)
            }
        }
    }
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How long it waits first.
    pub(crate) latency: Option<Duration>,
    /// How it fails.
    pub(crate) failure: Option<Failure>,
    /// What is wrong with the model's answer.
    pub(crate) twist: Option<Twist>,
    /// What the trading exchange does to the order, or the call.
    pub(crate) trick: Option<Trick>,
    /// The time at which prices stand still, milliseconds since 1970.
    pub(crate) frozen_at_ms: Option<i64>,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The system refuses it in its own words.
    Refused(Refusal),
    /// The answer is cut in half.
    Malformed,
    /// The connection ends with no answer.
    Dropped,
    /// It is done, and the answer is a 504.
    DoneThenTimeout,
    /// It is done, and the connection ends with no answer.
    DoneThenDropped,
}

/// A refusal that every outside system words its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 429, or 418 where the exchange bans.
    TooManyRequests {
        /// HTTP status.
        status: u16,
        /// Seconds to wait.
        retry_after_s: u64,
    },
    /// 5xx.
    ServerError {
        /// HTTP status.
        status: u16,
    },
}

/// What a language model's answer can lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// It refuses to answer.
    Refusal,
    /// It is cut off by the token limit.
    Length,
    /// The usage is missing.
    NoUsage,
    /// It talks instead of keeping to the schema.
    SchemaIgnored,
}

/// What the trading exchange can do to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Half of it is filled.
    PartialFill,
    /// It is taken and rejected.
    Reject,
    /// There is not enough margin for it.
    InsufficientMargin,
    /// The call's time is not accepted.
    ClockSkew,
}

struct Active {
    id: u64,
    request: FaultRequest,
    ends: Instant,
    since_ms: i64,
    injected: u64,
}

struct Inner {
    active: Vec<Active>,
    random: ChaCha8Rng,
    next_id: u64,
}

/// The faults of a simulator.
pub(crate) struct Faults {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
}

impl Faults {
    /// None yet; `seed` decides which calls a fault of less than probability 1 hits.
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner { active: Vec::new(), random: ChaCha8Rng::seed_from_u64(seed), next_id: 1 };
        Self { inner: Mutex::new(inner), version: watch::Sender::new(0) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A list of plain values, whole at every step: a panic elsewhere cannot have left it half-written.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        inner.active.retain(|fault| fault.ends > now);
        inner
    }

    /// Told whenever a fault is added or removed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn changed(&self, active: usize) {
        FAULTS_ACTIVE.set(f64::from(u32::try_from(active).unwrap_or(u32::MAX)), &[]);
        self.version.send_modify(|version| *version += 1);
    }

    /// Switches a checked fault on; `None` when there are too many.
    pub(crate) fn add(&self, request: FaultRequest, now_ms: i64) -> Option<Fault> {
        let mut inner = self.inner();
        if inner.active.len() >= MOST_FAULTS {
            return None;
        }
        let id = inner.next_id;
        inner.next_id += 1;
        tracing::warn!(
            fault.id = id,
            fault.target = request.target.as_str(),
            fault.kind = request.kind.as_str(),
            fault.duration_ms = request.duration_ms,
            "fault switched on"
        );
        let ends = Instant::now() + Duration::from_millis(request.duration_ms);
        let active = Active { id, request, ends, since_ms: now_ms, injected: 0 };
        let fault = active.describe();
        inner.active.push(active);
        self.changed(inner.active.len());
        Some(fault)
    }

    /// Every active fault, oldest first.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let inner = self.inner();
        FAULTS_ACTIVE.set(f64::from(u32::try_from(inner.active.len()).unwrap_or(u32::MAX)), &[]);
        inner.active.iter().map(Active::describe).collect()
    }

    /// Whether a fault of a kind is on.
    pub(crate) fn is_on(&self, target: FaultTarget, kind: FaultKind) -> bool {
        self.inner().active.iter().any(|fault| fault.request.target == target && fault.request.kind == kind)
    }

    /// Switches one off; false when there is none of that id (any more).
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut inner = self.inner();
        let before = inner.active.len();
        inner.active.retain(|fault| fault.id != id);
        let removed = inner.active.len() < before;
        if removed {
            self.changed(inner.active.len());
        }
        removed
    }

    /// Switches all off and says how many there were.
    pub(crate) fn clear(&self) -> usize {
        let mut inner = self.inner();
        let removed = inner.active.len();
        inner.active.clear();
        self.changed(0);
        removed
    }

    /// What happens to a call of `method` (a path, a Telegram method, stream names). Delays add up, of the failures the
    /// oldest fault's wins.
    pub(crate) fn judge(&self, target: FaultTarget, occasion: Occasion, method: &str) -> Verdict {
        let mut guard = self.inner();
        let Inner { active, random, .. } = &mut *guard;
        let mut verdict = Verdict::default();
        let hits = |request: &FaultRequest| request.applies_to(target, method) && occasion.allows(request.kind);
        for fault in active.iter_mut().filter(|fault| hits(&fault.request)) {
            let probability = fault.request.probability;
            if probability < 1.0 && !random.random_bool(probability) {
                continue;
            }
            if !fault.apply(&mut verdict) {
                continue;
            }
            fault.injected += 1;
            FAULTS_INJECTED.add(1, &[("target", target.as_str()), ("kind", fault.request.kind.as_str())]);
        }
        verdict
    }
}

impl Active {
    fn describe(&self) -> Fault {
        let remaining = self.ends.saturating_duration_since(Instant::now());
        Fault {
            id: self.id,
            request: self.request.clone(),
            remaining_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
            injected: self.injected,
        }
    }

    /// Adds this fault to a verdict; false when an older fault has already decided the matter.
    fn apply(&self, verdict: &mut Verdict) -> bool {
        let request = &self.request;
        let failure = match request.kind {
            FaultKind::Latency => {
                let more = Duration::from_millis(request.latency_ms.unwrap_or(request::DEFAULT_LATENCY_MS));
                verdict.latency = Some(verdict.latency.unwrap_or_default() + more);
                return true;
            }
            FaultKind::Freeze => return set_once(&mut verdict.frozen_at_ms, self.since_ms),
            FaultKind::Refusal => return set_once(&mut verdict.twist, Twist::Refusal),
            FaultKind::Length => return set_once(&mut verdict.twist, Twist::Length),
            FaultKind::NoUsage => return set_once(&mut verdict.twist, Twist::NoUsage),
            FaultKind::SchemaIgnored => return set_once(&mut verdict.twist, Twist::SchemaIgnored),
            FaultKind::PartialFill => return set_once(&mut verdict.trick, Trick::PartialFill),
            FaultKind::Reject => return set_once(&mut verdict.trick, Trick::Reject),
            FaultKind::InsufficientMargin => return set_once(&mut verdict.trick, Trick::InsufficientMargin),
            FaultKind::ClockSkew => return set_once(&mut verdict.trick, Trick::ClockSkew),
            FaultKind::TooManyRequests => Failure::Refused(Refusal::TooManyRequests {
                status: request.status.unwrap_or(429),
                retry_after_s: request.retry_after_s.unwrap_or(request::DEFAULT_RETRY_AFTER_S),
            }),
            FaultKind::ServerError => Failure::Refused(Refusal::ServerError { status: request.status.unwrap_or(500) }),
            FaultKind::Malformed => Failure::Malformed,
            FaultKind::Drop => Failure::Dropped,
            FaultKind::AcceptedThenTimeout => Failure::DoneThenTimeout,
            FaultKind::AcceptedThenDrop => Failure::DoneThenDropped,
        };
        set_once(&mut verdict.failure, failure)
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> bool {
    let free = slot.is_none();
    if free {
        *slot = Some(value);
    }
    free
}

#[cfg(test)]
mod tests;
