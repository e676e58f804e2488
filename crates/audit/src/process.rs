//! A request of the chain: it is recorded, once.

use domain::ProcessRequest;
use serde_json::json;
use tracing::Span;
use tracing::field::Empty;
use web::{NextLink, Processed, Work};

use crate::NAME;
use crate::error::AuditError;
use crate::trail::Trail;

/// Works on requests of the chain.
pub(crate) struct Processor {
    trail: Trail,
    next: Option<NextLink>,
    trace_personal_data: bool,
}

impl Processor {
    pub(crate) const fn new(trail: Trail, next: Option<NextLink>, trace_personal_data: bool) -> Self {
        Self { trail, next, trace_personal_data }
    }

    /// Records a request, and hands it on where somebody comes behind.
    pub(crate) async fn process(&self, request: ProcessRequest) -> Result<Processed, AuditError> {
        let context = request.context.as_ref();
        let personal = context.and_then(|context| context.user.as_ref()).filter(|_| self.trace_personal_data);
        let span = tracing::info_span!(
            "AuditService.process",
            user.id = request.user_id.get(),
            user.name = personal.and_then(|user| user.name.as_deref()),
            user.email = personal.and_then(|user| user.email.as_deref()),
            order.id = context.and_then(|context| context.order.as_ref()).map(|order| order.id.as_str()),
            order.action = request.action.as_str(),
            decision.id = request.decision_id.as_ref().map(domain::DecisionId::as_str),
            audit.id = Empty,
            audit.event_id = Empty,
            audit.hops = i64::try_from(context.map_or(0, |context| context.hops.len())).unwrap_or(i64::MAX),
            idempotency.replayed = Empty,
        );
        web::observed(span, self.work(request)).await
    }

    async fn work(&self, mut request: ProcessRequest) -> Result<Processed, AuditError> {
        let mut work = Work::begin(NAME);
        let context = request.context.get_or_insert_default();
        web::show_context(context, self.trace_personal_data);
        // An order is an event; without one, the key tells two tries of a request from two requests.
        let event_id = match (&context.order, &context.idempotency_key) {
            (Some(order), _) => order.id.clone(),
            (None, Some(key)) => key.clone(),
            (None, None) => uuid::Uuid::new_v4().simple().to_string(),
        };
        let recorded = self.trail.record(&event_id, &request).await?;
        let span = Span::current();
        span.record("audit.id", recorded.entry.id);
        span.record("audit.event_id", event_id.as_str());
        let behind = match &self.next {
            Some(next) => {
                work.hand_over(request.context.get_or_insert_default());
                next.hand_on(&request).await.map_err(AuditError::Next)?.reply.parts
            }
            None => Vec::new(),
        };
        let data = json!({ "audit": recorded.entry });
        Ok(Processed { reply: work.reply(data, behind), replayed: recorded.again })
    }
}
