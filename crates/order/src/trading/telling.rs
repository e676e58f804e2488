//! Telling others what happened: people through notifier-service, and the trail of audit-service. What is to be told is
//! written in the transaction of what it tells about; an outbox delivers it, so nobody who is away holds an order up.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::trading::{Actor, AuditEvent, TradeEvent, TradeNotice};
use domain::{DecisionId, Symbol};
use serde_json::Value;
use storage::outbox::{Entry, NewEntry, Outbox, Undelivered};
use storage::{Database, Transaction};
use web::{CancellationToken, Upstream, UpstreamSettings};

use super::error::TradingError;
use super::values::Receiver;
use crate::handover::undelivered;

/// Longest that one delivery takes.
const DELIVERY: Duration = Duration::from_secs(5);

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Happened {
    /// Its id.
    pub(crate) key: String,
    /// Whose order is kept: an order's id, or `state`.
    pub(crate) group: String,
    pub(crate) actor: Actor,
    /// A bounded word.
    pub(crate) action: &'static str,
    pub(crate) symbol: Option<Symbol>,
    pub(crate) decision_id: Option<DecisionId>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) data: Value,
}

#[derive(Clone)]
struct Line {
    outbox: Outbox,
    receiver: Upstream,
    route: &'static str,
}

impl Line {
    fn new(
        database: &Database,
        name: &'static str,
        service: &'static str,
        route: &'static str,
        receiver: &Receiver,
    ) -> Option<Self> {
        let Receiver::At(url) = receiver else { return None };
        let receiver = Upstream::new(UpstreamSettings {
            attempt_timeout: DELIVERY,
            total_timeout: DELIVERY,
            max_attempts: 1,
            ..UpstreamSettings::new(service, url.clone()).internal()
        });
        let outbox = Outbox::new(database.clone(), name).with_delivery_timeout(DELIVERY + Duration::from_secs(1));
        Some(Self { outbox, receiver, route })
    }

    async fn put(
        &self,
        transaction: &mut Transaction,
        group: &str,
        key: &str,
        payload: Value,
    ) -> Result<(), TradingError> {
        let entry = NewEntry { group: group.to_owned(), key: key.to_owned(), payload, lease: None };
        self.outbox.put(transaction, entry).await?;
        Ok(())
    }

    async fn deliver(self, stop: CancellationToken) {
        let Self { outbox, receiver, route } = self;
        let delivered = outbox.run(stop, async |entry: Entry| -> Result<(), Undelivered> {
            let call = receiver.post(route).json(&entry.payload).send();
            Box::pin(call).await.map(drop).map_err(|error| undelivered(&error))
        });
        Box::pin(delivered).await;
    }
}

/// Who is told.
#[derive(Clone)]
pub(crate) struct Telling {
    notices: Option<Line>,
    audit: Option<Line>,
}

impl Telling {
    pub(crate) fn new(database: &Database, notifier: &Receiver, audit: &Receiver) -> Self {
        Self {
            notices: Line::new(database, "notices", "notifier-service", "/v1/notices", notifier),
            audit: Line::new(database, "trading-audit", "audit-service", "/v1/events", audit),
        }
    }

    /// Writes down what is to be told: to the trail, and to people where there is something for them.
    pub(crate) async fn put(
        &self,
        transaction: &mut Transaction,
        happened: Happened,
        event: Option<TradeEvent>,
    ) -> Result<(), TradingError> {
        let trace_id = telemetry::trace_id();
        let Happened { key, group, actor, action, symbol, decision_id, at, data } = happened;
        if let (Some(line), Some(event)) = (&self.notices, event) {
            let notice = TradeNotice { notice_id: key.clone(), at, trace_id: trace_id.clone(), event };
            line.put(transaction, &group, &key, serde_json::to_value(notice)?).await?;
        }
        if let Some(line) = &self.audit {
            let event = AuditEvent {
                event_id: key.clone(),
                actor,
                action: action.to_owned(),
                symbol,
                decision_id,
                trace_id,
                at,
                data,
            };
            line.put(transaction, &group, &key, serde_json::to_value(event)?).await?;
        }
        Ok(())
    }

    /// Delivers what is written down, until the service stops.
    pub(crate) async fn deliver(self, stop: CancellationToken) {
        let run = async |line: Option<Line>| {
            if let Some(line) = line {
                line.deliver(stop.clone()).await;
            }
        };
        futures_util::join!(run(self.notices), run(self.audit));
    }
}
