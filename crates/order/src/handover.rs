//! Handing a request on to the next service, now or later: what is written into the outbox reaches it, in the order of
//! each user, whether or not it is there at the moment. What it refuses for good is parked there.

use std::time::Duration;

use chrono::Utc;
use domain::{ChainPart, PartStatus, ProcessRequest, RecoveredError};
use serde_json::{Value, json};
use storage::outbox::{Entry, EntryId, NewEntry, Outbox, ParkedEntry, Undelivered};
use storage::{Database, StorageError, Transaction};
use web::{CancellationToken, NextLink, UpstreamError, UpstreamErrorKind};

use crate::NAME;
use crate::error::OrderError;

/// How much longer than the link's own time limit handing on may take, before the outbox takes over: the two never try
/// at once.
const SPARE: Duration = Duration::from_secs(2);

/// What is said where nobody has tried yet.
const OTHERS_WAIT: &str = "others of this user wait to be handed on, and it keeps its place behind them";

/// The code of what was left to the outbox.
const DEFERRED: &str = "next_service_deferred";

/// The outbox and who it is for.
#[derive(Clone)]
pub(crate) struct Handover {
    outbox: Outbox,
    next: NextLink,
    lease: Duration,
}

impl Handover {
    pub(crate) fn new(database: Database, next: NextLink) -> Self {
        let limit = next.timeout() + SPARE;
        let outbox = Outbox::new(database, "chain").with_delivery_timeout(limit);
        let lease = outbox.lease_for(limit);
        Self { outbox, next, lease }
    }

    /// Writes down, with the order, what the next service is to get. Where others of the user wait it is left to the
    /// outbox at once.
    pub(crate) async fn put(
        &self,
        transaction: &mut Transaction,
        order_id: &str,
        request: &ProcessRequest,
    ) -> Result<EntryId, OrderError> {
        let (group, payload) = (group_of(request), serde_json::to_value(request)?);
        let lease = (!self.outbox.has_backlog(&group)).then_some(self.lease);
        let entry = NewEntry { group, key: order_id.to_owned(), payload, lease };
        Ok(self.outbox.put(transaction, entry).await?)
    }

    /// Hands a request on at once; where that fails, or others of its user wait already, says that it is deferred, and
    /// where it is refused for good, that it is refused.
    ///
    /// `entry` is none when an earlier try of the same request has written it.
    pub(crate) async fn now_or_later(&self, entry: Option<EntryId>, request: &ProcessRequest) -> Vec<ChainPart> {
        // Whoever goes first while others wait would overtake them.
        let waits = match &entry {
            Some(entry) => entry.waits(),
            None => self.outbox.has_backlog(&group_of(request)),
        };
        if waits {
            return vec![self.deferred(OTHERS_WAIT)];
        }
        let error = match self.next.hand_on(request).await {
            Ok(handed) => {
                if let Some(entry) = entry
                    && let Err(error) = self.outbox.done(entry).await
                {
                    // It will be delivered once more, which the next service takes for what it is.
                    tracing::warn!(error = %error, "the outbox entry could not be ticked off");
                }
                return handed.reply.parts;
            }
            Err(error) => error,
        };
        telemetry::record_exception(error.label(), &error);
        let undelivered = undelivered(&error);
        if let Some(entry) = entry {
            let written = match &undelivered {
                Undelivered::Later(reason) => self.outbox.failed(entry, reason).await,
                Undelivered::Never(reason) => self.outbox.park(entry, reason).await,
            };
            if let Err(error) = written {
                tracing::warn!(error = %error, "the outbox entry waits until its lease runs out");
            }
        }
        vec![match undelivered {
            Undelivered::Later(reason) => self.deferred(&reason),
            Undelivered::Never(reason) => self.refused(reason),
        }]
    }

    fn deferred(&self, reason: &str) -> ChainPart {
        telemetry::record_fallback(self.next.name(), "outbox", reason);
        let recovery = "The order stands; the rest of the chain is done from the outbox, in the user's order, as soon as \
                        it can be.";
        let recovered = told(DEFERRED, reason.to_owned(), recovery.to_owned());
        self.part(PartStatus::Deferred, json!({ "deferred": recovered }))
    }

    fn refused(&self, reason: String) -> ChainPart {
        let recovery = "The order stands; the rest of the chain is not done. It is set aside for a person to look at.";
        let refused = told("next_service_refused", reason, recovery.to_owned());
        self.part(PartStatus::Refused, json!({ "refused": refused }))
    }

    fn part(&self, status: PartStatus, data: Value) -> ChainPart {
        ChainPart { service: self.next.name().to_owned(), status, worked_ms: 0, data }
    }

    /// For readiness: whether it is known what waits.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.outbox.ready()
    }

    /// What the next service has refused for good and stands before `before` in the list, the newest first.
    pub(crate) async fn parked(&self, before: i64, limit: u32) -> Result<Vec<ParkedEntry>, StorageError> {
        self.outbox.parked(before, limit).await
    }

    /// Lets an order's request be handed on again. Tells whether one was parked.
    pub(crate) async fn give_back(&self, order_id: &str) -> Result<bool, StorageError> {
        self.outbox.unpark(order_id).await
    }

    /// Gives up for good what is parked of an order. Tells whether there was anything.
    pub(crate) async fn discard(&self, order_id: &str) -> Result<bool, StorageError> {
        // Why it was parked is in the log.
        Ok(self.outbox.discard(order_id).await?.is_some())
    }

    /// Delivers what could not be handed on at once, until the service stops.
    pub(crate) async fn deliver_later(self, stop: CancellationToken) {
        let Self { outbox, next, .. } = self;
        let delivered = outbox.run(stop, async |entry| {
            let request = late_request(entry)?;
            next.hand_on(&request).await.map(drop).map_err(|error| undelivered(&error))
        });
        Box::pin(delivered).await;
    }
}

/// Whose order is kept.
fn group_of(request: &ProcessRequest) -> String {
    request.user_id.get().to_string()
}

/// The request of an entry that is handed on late: its context says so, and why.
fn late_request(entry: Entry) -> Result<ProcessRequest, Undelivered> {
    let late_ms = (Utc::now() - entry.created_at).num_milliseconds();
    let (attempts, written) = (entry.attempts, entry.created_at.to_rfc3339());
    let mut request: ProcessRequest = serde_json::from_value(entry.payload)
        .map_err(|error| Undelivered::Never(format!("the request cannot be read: {error}")))?;
    let detail = entry.last_error.unwrap_or_else(|| OTHERS_WAIT.to_owned());
    let recovery = format!(
        "Handed on from the outbox at attempt {attempts}, {late_ms} ms after it was written down at {written}."
    );
    request.context.get_or_insert_default().errors.push(told(DEFERRED, detail, recovery));
    Ok(request)
}

fn told(code: &str, detail: String, recovery: String) -> RecoveredError {
    RecoveredError { service: NAME.to_owned(), code: code.to_owned(), detail, recovery }
}

/// Whether the next service may take the request later. A refusal is its last word, but for those that speak of the
/// moment: 408 and 425 (try again), 409 (it works on the same request), 429 (too many).
pub(crate) fn undelivered(error: &UpstreamError) -> Undelivered {
    let sentence = format!("{} failed: {}", error.upstream, error.kind);
    match &error.kind {
        UpstreamErrorKind::Status { status: 408 | 409 | 425 | 429, .. } => Undelivered::Later(sentence),
        UpstreamErrorKind::Status { status: 400..=499, problem, .. } => Undelivered::Never(match problem {
            Some(problem) => format!("{sentence}: {}", problem.detail),
            None => sentence,
        }),
        _ => Undelivered::Later(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_last_word_but_for_those_of_the_moment() {
        let never = |status| {
            let kind = UpstreamErrorKind::Status { status, body: Default::default(), retry_after: None, problem: None };
            let error = UpstreamError { upstream: "audit-service", kind, attempts: 1 };
            matches!(undelivered(&error), Undelivered::Never(reason) if reason.contains(&status.to_string()))
        };
        for status in [400, 401, 404, 413, 422, 499] {
            assert!(never(status), "{status}");
        }
        for status in [301, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(!never(status), "{status}");
        }
    }
}
