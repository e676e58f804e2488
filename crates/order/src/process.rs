//! A request of the chain: it becomes an order, once, and goes on.

use chrono::Utc;
use domain::{Order, ProcessRequest};
use serde_json::json;
use storage::StorageError;
use tracing::Span;
use tracing::field::Empty;
use web::{Processed, Work};

use crate::NAME;
use crate::error::OrderError;
use crate::handover::Handover;
use crate::orders::{self, Kept, Key, Orders};
use crate::pricing::{Pricing, items_of};

/// Works on requests of the chain.
pub(crate) struct Processor {
    orders: Orders,
    pricing: Pricing,
    handover: Option<Handover>,
    trace_personal_data: bool,
}

impl Processor {
    pub(crate) const fn new(
        orders: Orders,
        pricing: Pricing,
        handover: Option<Handover>,
        trace_personal_data: bool,
    ) -> Self {
        Self { orders, pricing, handover, trace_personal_data }
    }

    /// Makes the order that a request asks for, or finds the one that an earlier try of it made, and hands it on.
    pub(crate) async fn process(&self, request: ProcessRequest) -> Result<Processed, OrderError> {
        let user = request.context.as_ref().and_then(|context| context.user.as_ref());
        let personal = user.filter(|_| self.trace_personal_data);
        let span = tracing::info_span!(
            "OrderService.process",
            user.id = request.user_id.get(),
            user.name = personal.and_then(|user| user.name.as_deref()),
            user.email = personal.and_then(|user| user.email.as_deref()),
            order.id = Empty,
            order.action = request.action.as_str(),
            order.items = Empty,
            order.total = Empty,
            order.currency = Empty,
            decision.id = request.decision_id.as_ref().map(domain::DecisionId::as_str),
            idempotency.replayed = Empty,
        );
        web::observed(span, self.work(request)).await
    }

    async fn work(&self, mut request: ProcessRequest) -> Result<Processed, OrderError> {
        let mut work = Work::begin(NAME);
        let key = match request.context.as_ref().and_then(|context| context.idempotency_key.clone()) {
            Some(key) => Some(Key { key, request_hash: web::fingerprint(&request)? }),
            None => None,
        };
        let (order, entry, replayed) = match self.earlier(key.as_ref()).await? {
            Some(kept) => {
                prepare(&mut work, &mut request, &kept.order);
                (kept.order, None, true)
            }
            None => {
                let order = self.make(&request).await?;
                prepare(&mut work, &mut request, &order);
                match self.write(&order, key.as_ref(), &request).await {
                    Ok(entry) => (order, entry, false),
                    // Two tries at once: the other one was first, and its order is the order.
                    Err(conflict @ OrderError::Storage(StorageError::Conflict { .. })) => {
                        let kept = self.earlier(key.as_ref()).await?.ok_or(conflict)?;
                        if let Some(context) = &mut request.context {
                            context.order = Some(kept.order.clone());
                        }
                        (kept.order, None, true)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        show(&order);
        let behind = match &self.handover {
            Some(handover) => handover.now_or_later(entry, &request).await,
            None => Vec::new(),
        };
        // The order decides: what the next service has had before was another attempt of this very request.
        Ok(Processed { reply: work.reply(json!({ "order": order }), behind), replayed })
    }

    /// The order that an earlier try of the request made.
    async fn earlier(&self, key: Option<&Key>) -> Result<Option<Kept>, OrderError> {
        match key {
            Some(key) => self.orders.by_key(key).await,
            None => Ok(None),
        }
    }

    async fn make(&self, request: &ProcessRequest) -> Result<Order, OrderError> {
        let items = items_of(&request.action, &request.items)?;
        let priced = self.pricing.price(&items).await?;
        Ok(Order {
            id: uuid::Uuid::new_v4().simple().to_string(),
            user_id: request.user_id,
            action: request.action.clone(),
            total: priced.total,
            currency: priced.currency,
            items: priced.items,
            decision_id: request.decision_id.clone(),
            trace_id: telemetry::trace_id(),
            created_at: Utc::now(),
        })
    }

    /// Order, items and what the next service is to get: all or nothing.
    async fn write(
        &self,
        order: &Order,
        key: Option<&Key>,
        request: &ProcessRequest,
    ) -> Result<Option<storage::outbox::EntryId>, OrderError> {
        let mut transaction = self.orders.database().begin().await?;
        orders::insert(&mut transaction, order, key).await?;
        let entry = match &self.handover {
            Some(handover) => Some(handover.put(&mut transaction, &order.id, request).await?),
            None => None,
        };
        transaction.commit().await?;
        Ok(entry)
    }
}

/// Puts the order and this service's hop into what goes on.
fn prepare(work: &mut Work, request: &mut ProcessRequest, order: &Order) {
    let context = request.context.get_or_insert_default();
    context.order = Some(order.clone());
    work.hand_over(context);
}

fn show(order: &Order) {
    let span = Span::current();
    span.record("order.id", order.id.as_str());
    span.record("order.items", i64::try_from(order.items.len()).unwrap_or(i64::MAX));
    span.record("order.total", tracing::field::display(order.total));
    span.record("order.currency", order.currency.as_deref());
}
