//! Delivering the entries of one group, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::CancellationToken;

use super::table::{Claimed, Stored};
use super::waiting::Tick;
use super::{Entry, Outbox, Undelivered, backoff, context};

/// Most entries of a group that are delivered before others have their turn.
const RUN: i64 = 16;

/// How long a delivery under way may still take when the service stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// A group that is ours.
pub(super) struct Ours {
    pub(super) claimed: Claimed,
    pub(super) at: Instant,
    pub(super) tick: Tick,
}

/// What has become of it.
pub(super) struct Ended {
    pub(super) group: String,
    pub(super) tick: Tick,
    pub(super) delivered: Vec<i64>,
    pub(super) refused: Vec<Refused>,
    pub(super) failed: Option<Failed>,
    /// Claimed, and not tried.
    pub(super) untried: Option<i64>,
    /// Whether nothing of it is left that was there when it was claimed.
    pub(super) emptied: bool,
}

impl Ended {
    /// All entries that it says something of: the group's first is among them.
    pub(super) fn ids(&self) -> impl Iterator<Item = &i64> {
        let refused = self.refused.iter().map(|refused| &refused.id);
        let failed = self.failed.iter().map(|failed| &failed.id);
        self.delivered.iter().chain(refused).chain(failed).chain(&self.untried)
    }
}

/// An entry that will never be delivered.
pub(super) struct Refused {
    pub(super) id: i64,
    pub(super) key: String,
    pub(super) attempt: i64,
    pub(super) reason: String,
}

/// An entry that could not be delivered now.
pub(super) struct Failed {
    pub(super) id: i64,
    pub(super) key: String,
    /// Which attempt this was.
    pub(super) attempt: i64,
    /// What the table says, so that nobody else's word is overwritten.
    pub(super) attempts_before: i64,
    pub(super) until: DateTime<Utc>,
    pub(super) reason: String,
}

impl Outbox {
    /// Delivers until the group is empty, one of its entries cannot be delivered, or it has had its turn.
    pub(super) async fn deliver_group(
        &self,
        ours: Ours,
        stop: &CancellationToken,
        deliver: &impl AsyncFn(Entry) -> Result<(), Undelivered>,
    ) -> Ended {
        let Ours { claimed: Claimed { head, more }, at, tick } = ours;
        let mut ended = Ended {
            group: head.order_group.clone(),
            tick,
            delivered: Vec::new(),
            refused: Vec::new(),
            failed: None,
            untried: None,
            emptied: false,
        };
        // A group has its turn, and then others have theirs.
        let has_time = || at.elapsed() < self.delivery_timeout && !stop.is_cancelled();
        if !has_time() {
            ended.untried = Some(head.id);
            return ended;
        }
        let head_id = head.id;
        // The head's attempt was counted when it was claimed.
        let attempt = head.attempts;
        if !self.try_one(head, attempt, stop, deliver, &mut ended).await || !more {
            ended.emptied = ended.failed.is_none();
            return ended;
        }
        if !has_time() {
            return ended;
        }
        // As long as the head is ours nobody else delivers what is behind it.
        let mut line: VecDeque<Stored> = match self.behind(&ended.group, head_id, RUN).await {
            Ok(behind) => behind.into(),
            // The database says itself that it is away.
            Err(_) => return ended,
        };
        let whole = i64::try_from(line.len()).unwrap_or(RUN) < RUN;
        while let Some(next) = line.pop_front() {
            // Somebody tries it at this moment.
            if next.leased_until > Utc::now() || !has_time() {
                return ended;
            }
            let attempt = next.attempts.saturating_add(1);
            if !self.try_one(next, attempt, stop, deliver, &mut ended).await {
                return ended;
            }
        }
        ended.emptied = whole;
        ended
    }

    /// Tries one entry. Tells whether those behind it may go.
    async fn try_one(
        &self,
        stored: Stored,
        attempt: i64,
        stop: &CancellationToken,
        deliver: &impl AsyncFn(Entry) -> Result<(), Undelivered>,
        ended: &mut Ended,
    ) -> bool {
        let (id, key, attempts_before) = (stored.id, stored.key.clone(), stored.attempts);
        match self.attempt(stored, attempt, stop, deliver).await {
            Ok(()) => {
                ended.delivered.push(id);
                true
            }
            Err(Undelivered::Never(reason)) => {
                ended.refused.push(Refused { id, key, attempt, reason });
                true
            }
            Err(Undelivered::Later(reason)) => {
                let until = Utc::now() + backoff(attempt);
                ended.failed = Some(Failed { id, key, attempt, attempts_before, until, reason });
                false
            }
        }
    }

    async fn attempt(
        &self,
        stored: Stored,
        attempt: i64,
        stop: &CancellationToken,
        deliver: &impl AsyncFn(Entry) -> Result<(), Undelivered>,
    ) -> Result<(), Undelivered> {
        let span = tracing::info_span!(
            "outbox_delivery",
            otel.name = format!("deliver {}", self.name),
            otel.kind = "producer",
            outbox.name = self.name,
            outbox.key = stored.key,
            outbox.attempts = attempt,
        );
        let context = context::restore(&stored.context);
        // Fails only where spans are off, and then there is no parent to be had either.
        let _ = span.set_parent(context.clone());
        async {
            let outcome = match serde_json::from_str(&stored.payload) {
                Err(error) => Err(Undelivered::Never(format!("what is to be delivered cannot be read: {error}"))),
                Ok(payload) => {
                    let entry = Entry {
                        group: stored.order_group,
                        key: stored.key,
                        payload,
                        attempts: attempt,
                        last_error: stored.last_error,
                        context,
                        created_at: stored.created_at,
                    };
                    tokio::select! {
                        delivered = deliver(entry) => delivered,
                        () = tokio::time::sleep(self.delivery_timeout) => {
                            Err(Undelivered::Later("it took too long".to_owned()))
                        }
                        () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => {
                            Err(Undelivered::Later("the service stopped".to_owned()))
                        }
                    }
                }
            };
            if let Err(undelivered) = &outcome {
                telemetry::record_exception(undelivered.label(), undelivered);
            }
            outcome
        }
        .instrument(span)
        .await
    }
}
