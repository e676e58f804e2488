//! `/why`: the reason of an order, a decision or a refusal, and where its time went.

use domain::DecisionId;
use domain::trading::TradeOrder;
use storage::StorageError;

use super::intake::Place;
use super::reply::Reply;
use super::text::Why;
use super::{Bot, Outcome, keyboard, text};
use crate::outbox::{Buttons, Recalled};

/// What is known of something, and what could not be brought up to date.
pub(super) struct Known {
    pub(super) what: Why,
    pub(super) trace_id: Option<String>,
    sorry: Option<String>,
}

/// What was looked for.
pub(super) enum Found {
    Known(Box<Known>),
    /// There is nothing with that id.
    Nothing,
    /// A service that would know failed; what to say.
    Failed(String),
}

impl Bot {
    /// Why this order or decision.
    pub(super) async fn why_of(&self, place: Place, id: &DecisionId) -> Result<Reply, StorageError> {
        let recalled = self.inner.outbox.recall(place.chat_id, id.as_str()).await?;
        let found = self.while_typing(place, self.find(id, recalled)).await;
        Ok(self.explain(place, found).await)
    }

    /// Why the one that is replied to, or else the last one of this chat.
    pub(super) async fn why_latest(&self, place: Place, replied_to: Option<i32>) -> Result<Reply, StorageError> {
        let recalled = match replied_to {
            Some(message_id) => {
                let recalled = self.inner.outbox.recall_message(place.chat_id, message_id).await?;
                if recalled.is_none() {
                    let words = "🤔 I do not know which order or decision that message is about. /why alone is about the last one.";
                    return Ok(Reply::text(place, words.to_owned()).with(Outcome::Refused));
                }
                recalled
            }
            None => self.inner.outbox.recall_latest(place.chat_id).await?,
        };
        let Some(recalled) = recalled else {
            let words = "🤔 There was no order and no decision in this chat yet. Ask me something first.";
            return Ok(Reply::text(place, words.to_owned()).with(Outcome::Refused));
        };
        // What stands behind the id tells apart what was told of the same.
        let Some(id) = recalled.subject.split(':').nth(1).and_then(|id| id.parse::<DecisionId>().ok()) else {
            return Err(StorageError::Malformed { column: "subject".to_owned() });
        };
        let found = self.while_typing(place, self.find(&id, Some(recalled))).await;
        Ok(self.explain(place, found).await)
    }

    /// What is known of an id: what this chat was told, and of orders what order-service says now.
    pub(super) async fn find(&self, id: &DecisionId, recalled: Option<Recalled>) -> Found {
        let trace_id = recalled.as_ref().and_then(|recalled| recalled.trace_id.clone());
        let known = |what, sorry| Found::Known(Box::new(Known { what, trace_id: trace_id.clone(), sorry }));
        let remembered = match &recalled {
            Some(recalled) => remembered(recalled),
            None => None,
        };
        match remembered {
            Some(Why::Order(told)) => match self.inner.backends.order(id).await {
                Ok(Some(order)) => of_order(order),
                Ok(None) => {
                    known(Why::Order(told), Some("order-service does not know this order any more.".to_owned()))
                }
                Err(error) => known(Why::Order(told), Some(text::failed("This is what was told last.", &error))),
            },
            Some(what) => known(what, None),
            None => match self.inner.backends.order(id).await {
                Ok(Some(order)) => of_order(order),
                Ok(None) => Found::Nothing,
                Err(error) => Found::Failed(text::failed("It cannot be told why.", &error)),
            },
        }
    }

    async fn explain(&self, place: Place, found: Found) -> Reply {
        let known = match found {
            Found::Known(known) => known,
            Found::Nothing => {
                let words = "🤔 There is no order with this id, and no decision with it was told in this chat.";
                return Reply::text(place, words.to_owned()).with(Outcome::Refused);
            }
            Found::Failed(words) => return Reply::text(place, words).with(Outcome::Refused),
        };
        let trace_id = known.trace_id.as_deref();
        let latency = self.while_typing(place, self.inner.latencies.of(trace_id)).await;
        let words = text::why(&known.what, known.sorry.as_deref(), &latency, trace_id);
        Reply::new(place, words, trace_id.map_or(Buttons::None, keyboard::trace_only))
    }
}

fn of_order(order: TradeOrder) -> Found {
    let trace_id = order.trace_id.clone();
    Found::Known(Box::new(Known { what: Why::Order(Box::new(order)), trace_id, sorry: None }))
}

/// What a chat was told, if this program still understands it.
fn remembered(recalled: &Recalled) -> Option<Why> {
    let (kind, _) = recalled.subject.split_once(':')?;
    let detail = recalled.detail.clone();
    let read: Result<Why, serde_json::Error> = match kind {
        "order" => serde_json::from_value(detail).map(|order| Why::Order(Box::new(order))),
        "decision" => serde_json::from_value(detail).map(|answer| Why::Decision(Box::new(answer))),
        "refusal" | "refusals" => serde_json::from_value(detail).map(|refused| Why::Refusal(Box::new(refused))),
        "pipeline" | "pipelines" => serde_json::from_value(detail).map(|told| Why::Pipeline(Box::new(told))),
        _ => return None,
    };
    read.inspect_err(|error| tracing::warn!(error = %error, "what was told before cannot be read any more")).ok()
}
