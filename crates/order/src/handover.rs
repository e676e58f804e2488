//! Handing a request on to the next service, now or later: what is written into the outbox reaches it, in order,
//! whether or not it is there at the moment.

use std::time::Duration;

use domain::{ChainPart, PartStatus, ProcessRequest, RecoveredError};
use serde_json::json;
use storage::outbox::{EntryId, NewEntry, Outbox};
use storage::{Database, Transaction};
use web::{CancellationToken, NextLink, UpstreamError};

use crate::NAME;
use crate::error::OrderError;

/// How much longer than the link's own time limit a request may take to hand itself on before the outbox does it: the
/// two never try at once.
const SPARE: Duration = Duration::from_secs(2);

/// The outbox and who it is for.
#[derive(Clone)]
pub(crate) struct Handover {
    outbox: Outbox,
    next: NextLink,
    lease: Duration,
}

impl Handover {
    pub(crate) fn new(database: Database, next: NextLink) -> Self {
        let lease = next.timeout() + SPARE;
        Self { outbox: Outbox::new(database, "chain"), next, lease }
    }

    /// Writes down, with the order, what the next service is to get.
    pub(crate) async fn put(
        &self,
        transaction: &mut Transaction,
        order_id: &str,
        request: &ProcessRequest,
    ) -> Result<EntryId, OrderError> {
        let entry = NewEntry { key: order_id.to_owned(), payload: serde_json::to_value(request)?, lease: self.lease };
        Ok(self.outbox.put(transaction, entry).await?)
    }

    /// Hands a request on at once; where that fails, or others wait already, says that it is deferred.
    ///
    /// `entry` is none when an earlier try of the same request has written it.
    pub(crate) async fn now_or_later(&self, entry: Option<EntryId>, request: &ProcessRequest) -> Vec<ChainPart> {
        // Whoever goes first while others wait would overtake them.
        if self.outbox.has_backlog() {
            self.leave(entry, "others wait before it").await;
            return vec![self.deferred("others wait to be handed on, and it keeps its place behind them")];
        }
        match self.next.hand_on(request).await {
            Ok(handed) => {
                if let Some(entry) = entry
                    && let Err(error) = self.outbox.done(entry).await
                {
                    // It will be delivered once more, which the next service takes for what it is.
                    tracing::warn!(error = %error, "the outbox entry could not be ticked off");
                }
                handed.reply.parts
            }
            Err(error) => {
                telemetry::record_exception(error.label(), &error);
                self.leave(entry, error.label()).await;
                vec![self.deferred(&sentence(&error))]
            }
        }
    }

    async fn leave(&self, entry: Option<EntryId>, reason: &str) {
        if let Some(entry) = entry
            && let Err(error) = self.outbox.failed(entry, reason).await
        {
            tracing::warn!(error = %error, "the outbox entry waits until its lease runs out");
        }
    }

    fn deferred(&self, reason: &str) -> ChainPart {
        telemetry::record_fallback(self.next.name(), "outbox", reason);
        let recovered = RecoveredError {
            service: NAME.to_owned(),
            code: "next_service_deferred".to_owned(),
            detail: reason.to_owned(),
            recovery:
                "The order stands; the rest of the chain is done from the outbox, in order, as soon as it can be."
                    .to_owned(),
        };
        ChainPart {
            service: self.next.name().to_owned(),
            status: PartStatus::Deferred,
            worked_ms: 0,
            data: json!({ "deferred": recovered }),
        }
    }

    /// For readiness: whether it is known what waits.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.outbox.ready()
    }

    /// Delivers what could not be handed on at once, until the service stops.
    pub(crate) async fn deliver_later(self, stop: CancellationToken) {
        let Self { outbox, next, .. } = self;
        outbox
            .run(stop, async |entry| {
                let request: ProcessRequest =
                    serde_json::from_value(entry.payload).map_err(|error| format!("it cannot be read: {error}"))?;
                next.hand_on(&request).await.map(drop).map_err(|error| error.to_string())
            })
            .await;
    }
}

fn sentence(error: &UpstreamError) -> String {
    format!("{} failed: {}", error.upstream, error.kind)
}
