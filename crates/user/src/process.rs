//! A request of the chain: who asks is written down, and the request goes on.

use chrono::Utc;
use domain::{ProcessRequest, User};
use serde_json::json;
use storage::Database;
use storage::idempotency::{Begun, IdempotencyKeys};
use tracing::Span;
use tracing::field::Empty;
use web::{HandedOn, NextLink, Processed, Work};

use crate::NAME;
use crate::answers::Answers;
use crate::error::UserError;
use crate::users::Users;

/// Works on requests of the chain.
pub(crate) struct Processor {
    users: Users,
    keys: IdempotencyKeys,
    answers: Answers,
    next: Option<NextLink>,
    trace_personal_data: bool,
}

impl Processor {
    pub(crate) fn new(
        users: Users,
        database: Database,
        answers: Answers,
        next: Option<NextLink>,
        trace_personal_data: bool,
    ) -> Self {
        Self { users, keys: IdempotencyKeys::new(database), answers, next, trace_personal_data }
    }

    /// Works on a request once: with an idempotency key, a repetition gets the answer that the first one got.
    pub(crate) async fn process(&self, request: ProcessRequest) -> Result<Processed, UserError> {
        let span = tracing::info_span!(
            "UserService.process",
            user.id = request.user_id.get(),
            user.name = Empty,
            user.email = Empty,
            user.request_count = Empty,
            order.action = request.action.as_str(),
            decision.id = request.decision_id.as_ref().map(domain::DecisionId::as_str),
            idempotency.replayed = Empty,
            idempotency.shared = Empty,
        );
        web::observed(span, Box::pin(self.once(request))).await
    }

    async fn once(&self, request: ProcessRequest) -> Result<Processed, UserError> {
        let Some(key) = request.context.as_ref().and_then(|context| context.idempotency_key.clone()) else {
            // Nobody has asked twice: what the links behind repeat was another attempt of this very call.
            return Ok(Processed { replayed: false, ..self.work(request).await? });
        };
        let fingerprint = web::fingerprint(&request)?;
        if let Some(reply) = self.answers.find(&key, &fingerprint).await
            // One that is no answer is as none: the database has it too.
            && let Ok(reply) = serde_json::from_value(reply)
        {
            Span::current().record("idempotency.shared", true);
            return Ok(Processed { reply, replayed: true });
        }
        let lease = match self.keys.begin(&key, &fingerprint).await? {
            Begun::New(lease) => lease,
            Begun::Replay(reply) => return Ok(Processed { reply: serde_json::from_value(reply)?, replayed: true }),
            Begun::InProgress { retry_after } => return Err(UserError::KeyInProgress { retry_after }),
            Begun::Mismatch => return Err(UserError::KeyMismatch),
        };
        match self.keys.working(&lease, Box::pin(self.work(request))).await {
            Ok(processed) => {
                // The work is done: an answer that could not be kept is still the answer. The services behind know the
                // key too, so that a repetition does nothing twice.
                let reply = serde_json::to_value(&processed.reply)?;
                match self.keys.complete(lease, &reply).await {
                    Ok(Some(until)) => self.answers.put(&key, fingerprint, &reply, until).await,
                    // Another try of the same request was quicker, and its answer is the one that counts.
                    Ok(None) => {}
                    Err(error) => tracing::warn!(error = %error, "the answer could not be kept for repetitions"),
                }
                Ok(processed)
            }
            Err(error) => {
                // A failure is no answer to keep: the next try is a new one.
                if let Err(error) = self.keys.release(lease).await {
                    tracing::warn!(error = %error, "the idempotency key is held until its lease runs out");
                }
                Err(error)
            }
        }
    }

    /// The work, whether or not it was done before: a service behind may know a key for longer than it is kept here, and
    /// says so.
    async fn work(&self, mut request: ProcessRequest) -> Result<Processed, UserError> {
        let mut work = Work::begin(NAME);
        let user = self.users.seen(&request, Utc::now()).await?;
        self.show(&user);
        let context = request.context.get_or_insert_default();
        // Makes trying again harmless for the services behind, whether or not the client sent a key of its own.
        context.idempotency_key.get_or_insert_with(|| format!("{NAME}:{}", uuid::Uuid::new_v4().simple()));
        context.user = Some(user.clone());
        work.hand_over(context);
        let (behind, replayed) = match &self.next {
            Some(next) => {
                let HandedOn { reply, replayed } = next.hand_on(&request).await.map_err(UserError::Next)?;
                (reply.parts, replayed)
            }
            None => (Vec::new(), false),
        };
        Ok(Processed { reply: work.reply(json!({ "user": user }), behind), replayed })
    }

    fn show(&self, user: &User) {
        let span = Span::current();
        span.record("user.request_count", user.request_count);
        if self.trace_personal_data {
            span.record("user.name", user.name.as_deref());
            span.record("user.email", user.email.as_deref());
        }
    }
}
