//! Delivering what waits.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use telemetry::metrics::storage::{OUTBOX_BACKLOG, OUTBOX_OLDEST_AGE};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::CancellationToken;

use super::{Entry, EntryId, Outbox, TABLE, context};
use crate::{QueryType, Statement, StorageError};

/// Longest time between two looks at the table, where other processes may have left something.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long the loop leases an entry to itself.
const LEASE: Duration = Duration::from_secs(30);

/// Longest that a delivery may take: well within the lease, so that nobody else takes the entry meanwhile.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a delivery under way may still take when the service stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The state of an outbox.
#[derive(FromRow)]
struct Look {
    entries: i64,
    unattended: i64,
    oldest: Option<DateTime<Utc>>,
    /// Until when the first of the line is leased, or waits.
    first_until: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Claimed {
    id: i64,
    key: String,
    payload: String,
    context: String,
    created_at: DateTime<Utc>,
    attempts: i64,
}

impl Outbox {
    /// Delivers what failed, and what nobody holds a lease on any more, one after the other, until `stop` is cancelled.
    /// An `Err` of `deliver` says in a sentence why it failed; the entry is tried again, longer and longer apart. A
    /// delivery that takes longer than 20 s has failed.
    pub async fn run(self, stop: CancellationToken, deliver: impl AsyncFn(Entry) -> Result<(), String>) {
        let mut looked_at: Option<Instant> = None;
        let (mut blocked, mut said) = (None, false);
        while !stop.is_cancelled() {
            let wait = match self.step(&mut looked_at, &mut blocked, &stop, &deliver).await {
                Ok(wait) => {
                    said = false;
                    wait
                }
                // The database says itself that it is away; here it is only waited for.
                Err(error) => {
                    if !error.is_passing() && !std::mem::replace(&mut said, true) {
                        tracing::error!(outbox = self.name, error = %error, "the outbox cannot be worked on");
                    }
                    INTERVAL
                }
            };
            if wait > Duration::ZERO {
                looked_at = None;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.shared.failed.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }

    /// Delivers the first of the line, if it is nobody's now. Tells how long there is nothing to do.
    async fn step(
        &self,
        looked_at: &mut Option<Instant>,
        blocked: &mut Option<Instant>,
        stop: &CancellationToken,
        deliver: &impl AsyncFn(Entry) -> Result<(), String>,
    ) -> Result<Duration, StorageError> {
        // In a long line one look in a while is enough.
        if looked_at.is_none_or(|at| at.elapsed() > INTERVAL) {
            let look = self.look().await?;
            *looked_at = Some(Instant::now());
            let Some(first_until) = look.first_until else { return Ok(INTERVAL) };
            if let Ok(left) = (first_until - Utc::now()).to_std() {
                return Ok(left.clamp(Duration::from_millis(1), INTERVAL));
            }
        }
        let Some(entry) = self.claim().await? else {
            *looked_at = None;
            return Ok(Duration::ZERO);
        };
        let span = tracing::info_span!(
            "outbox_delivery",
            otel.name = format!("deliver {}", self.name),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            outbox.name = self.name,
            outbox.key = entry.key,
            outbox.attempts = entry.attempts,
        );
        // Fails only where spans are off, and then there is no parent to be had either.
        let _ = span.set_parent(entry.context.clone());
        async {
            let id = entry.id;
            let outcome = tokio::select! {
                delivered = deliver(entry) => delivered,
                () = tokio::time::sleep(DELIVERY_TIMEOUT) => Err("it took too long".to_owned()),
                () = async { stop.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => {
                    Err("the service stopped".to_owned())
                }
            };
            match outcome {
                Ok(()) => {
                    if let Some(since) = blocked.take() {
                        let blocked_ms = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
                        tracing::info!(outbox = self.name, blocked_ms, "the outbox delivers again");
                    }
                    self.done(id).await?;
                }
                Err(reason) => {
                    span.record("otel.status_code", "ERROR");
                    span.record("otel.status_description", &reason);
                    // Once, not at every attempt: those are in the traces.
                    if blocked.is_none() {
                        *blocked = Some(Instant::now());
                        tracing::warn!(outbox = self.name, reason, "the outbox cannot deliver; it tries on, in order");
                    }
                    self.failed(id, &reason).await?;
                }
            }
            Ok(Duration::ZERO)
        }
        .instrument(span.clone())
        .await
    }

    /// Not traced: nobody asked for it, and it comes again and again.
    async fn look(&self) -> Result<Look, StorageError> {
        let now = Utc::now();
        let statement = Statement::new(
            QueryType::Select,
            TABLE,
            "SELECT COUNT(*) AS entries, \
             COUNT(CASE WHEN waiting OR leased_until <= $2 THEN 1 END) AS unattended, \
             MIN(created_at) AS oldest, \
             (SELECT leased_until FROM outbox_entries WHERE outbox = $1 ORDER BY id LIMIT 1) AS first_until \
             FROM outbox_entries WHERE outbox = $1",
        )
        .bind(self.name)
        .bind(now);
        let look: Look = self.database.quietly(statement).await?.ok_or(StorageError::NotFound { collection: TABLE })?;
        self.shared.backlog.store(look.unattended > 0, std::sync::atomic::Ordering::Release);
        self.shared.looked.store(true, std::sync::atomic::Ordering::Release);
        let labels = [("outbox", self.name)];
        #[expect(clippy::cast_precision_loss, reason = "a figure for charts")]
        OUTBOX_BACKLOG.set(look.entries as f64, &labels);
        let age = look.oldest.and_then(|oldest| (now - oldest).to_std().ok()).unwrap_or_default();
        OUTBOX_OLDEST_AGE.set(age.as_secs_f64(), &labels);
        Ok(look)
    }

    /// Leases the first of the line to us, if it is nobody's.
    async fn claim(&self) -> Result<Option<Entry>, StorageError> {
        let now = Utc::now();
        // The condition on the lease is outside: PostgreSQL looks at it again when another process was faster.
        let statement = Statement::new(
            QueryType::Update,
            TABLE,
            "UPDATE outbox_entries SET leased_until = $3, attempts = attempts + 1, waiting = $4 \
             WHERE id = (SELECT id FROM outbox_entries WHERE outbox = $1 ORDER BY id LIMIT 1) AND leased_until <= $2 \
             RETURNING id, key, payload, context, created_at, attempts",
        )
        .bind(self.name)
        .bind(now)
        .bind(now + LEASE)
        .bind(true);
        let Some(claimed) = self.database.quietly::<Claimed>(statement).await? else { return Ok(None) };
        let payload = serde_json::from_str(&claimed.payload)
            .map_err(|_| StorageError::Malformed { column: "payload".to_owned() })?;
        Ok(Some(Entry {
            id: EntryId { id: claimed.id, attempt: claimed.attempts },
            key: claimed.key,
            payload,
            attempts: claimed.attempts,
            context: context::restore(&claimed.context),
            created_at: claimed.created_at,
        }))
    }
}
