//! What people are told of trading: an order is one message a chat, edited as the order goes on.

use chrono::{DateTime, Utc};
use domain::trading::{TradeEvent, TradeNotice, TradeOrder};
use serde_json::json;
use trace_reader::TraceId;

use super::{keyboard, text};
use crate::outbox::{Content, Draft, Fold, Memory, Subject, Urgency};

/// Characters of a hook's name that tell it from others; a hook of signal-service has 40 at most.
const MAX_HOOK: usize = 80;

/// What a notice says in a chat.
pub(crate) fn drafts(notice: &TradeNotice, chats: &[i64], now: DateTime<Utc>) -> Vec<Draft> {
    // It goes into a column of its own: what is no id goes nowhere.
    let trace_id = notice.trace_id.as_deref().and_then(|id| id.parse().ok()).map(|id: TraceId| id.as_str().to_owned());
    chats
        .iter()
        .map(|chat_id| match &notice.event {
            TradeEvent::Order { order } => order_draft(*chat_id, order, None, now),
            TradeEvent::Refusal { signal, refusal } => {
                let id = &signal.signal_id;
                let words = text::refusal(signal, refusal, trace_id.as_deref());
                let buttons = keyboard::under_refusal(&signal.symbol, id, trace_id.as_deref());
                // The message is about the last of its kind, and each is remembered by itself.
                let name = format!("refusals:{id}");
                let memory = |subject: String| {
                    let detail = json!([signal, refusal]);
                    Memory { subject, detail, trace_id: trace_id.clone() }
                };
                // It is a key of a table: what others call a hook may be long, and hold a NUL.
                let hook = signal.hook.as_deref().unwrap_or_default();
                let hook: String = hook.escape_default().take(MAX_HOOK).collect();
                Draft {
                    subject: Some(Subject { name: name.clone(), rank: 1, message_id: None }),
                    memories: vec![memory(format!("refusal:{id}")), memory(name)],
                    fold: Some(Fold { name: format!("refusal:{}:{hook}", refusal.code), what: "Refused" }),
                    ..Draft::new(*chat_id, None, Content::new(words, buttons)).as_notice()
                }
            }
            TradeEvent::State { change } => {
                Draft::new(*chat_id, None, Content::text(text::state_change(change, trace_id.as_deref()))).as_notice()
            }
            TradeEvent::PositionDifference { difference } => {
                Draft::new(*chat_id, None, Content::text(text::position_difference(difference))).as_notice()
            }
            TradeEvent::Pipeline(told) => {
                let id = &told.execution_id;
                let words = text::pipeline(told, trace_id.as_deref());
                let buttons = keyboard::under_refusal(&told.symbol, id, trace_id.as_deref());
                // An execution may tell several things: each is a message, and the last one is what its id is asked about.
                let name = format!("pipelines:{id}:{}", notice.notice_id);
                let memory = |subject| Memory { subject, detail: json!(told), trace_id: trace_id.clone() };
                Draft {
                    subject: Some(Subject { name: name.clone(), rank: 1, message_id: None }),
                    memories: vec![memory(format!("pipeline:{id}")), memory(name)],
                    ..Draft::new(*chat_id, None, Content::new(words, buttons)).as_notice()
                }
            }
        })
        .collect()
}

/// The message of an order in a chat. `message_id` is the one that is known to be it, where somebody has pressed a button:
/// that is waited for, and so is an order that somebody is to confirm.
pub(super) fn order_draft(chat_id: i64, order: &TradeOrder, message_id: Option<i32>, now: DateTime<Utc>) -> Draft {
    let name = format!("order:{}", order.id);
    let awaits = order.awaits_confirmation() && order.confirmation.as_ref().is_some_and(|asked| asked.expires_at > now);
    let content = Content::new(text::order(order, now), keyboard::under_order(order, awaits));
    // The same picture of an order is another one once it is too late to confirm it.
    let too_late = order.awaits_confirmation() && !awaits;
    let rank = order.revision.saturating_mul(2).saturating_add(i64::from(too_late));
    let trace_id = order.trace_id.as_deref().and_then(|id| id.parse().ok()).map(|id: TraceId| id.as_str().to_owned());
    let urgency = if awaits || message_id.is_some() { Urgency::Awaited } else { Urgency::Notice };
    // Whoever has pressed a button is told of that order.
    let digest = (order.status.is_final() && message_id.is_none()).then(|| text::order_in_a_line(order));
    Draft {
        urgency,
        digest,
        subject: Some(Subject { name: name.clone(), rank, message_id }),
        memories: vec![Memory { subject: name, detail: json!(order), trace_id }],
        ..Draft::new(chat_id, None, content)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::trading::{Confirmation, ConfirmationState, OrderStatus};

    use super::super::text::samples::{noon, order};
    use super::*;
    use crate::outbox::Buttons;

    #[test]
    fn a_later_picture_has_a_higher_rank_also_when_only_time_went_by() {
        let waiting = TradeOrder {
            status: OrderStatus::New,
            confirmation: Some(Confirmation {
                state: ConfirmationState::Pending,
                expires_at: noon() + TimeDelta::minutes(5),
                by: None,
            }),
            ..order()
        };
        let asked = order_draft(5, &waiting, None, noon());
        let late = order_draft(5, &waiting, None, noon() + TimeDelta::minutes(6));
        let next = order_draft(5, &TradeOrder { revision: waiting.revision + 1, ..waiting }, None, noon());
        let rank = |draft: &Draft| draft.subject.as_ref().unwrap().rank;
        assert!(rank(&asked) < rank(&late) && rank(&late) < rank(&next));
        let has_confirm = |draft: &Draft| match &draft.content.buttons {
            Buttons::Rows(rows) => rows.concat().iter().any(|button| button.data.starts_with("y:")),
            _ => false,
        };
        assert!(has_confirm(&asked) && !has_confirm(&late));
        assert_eq!(
            [&asked, &late, &next].map(|draft| draft.urgency),
            [Urgency::Awaited, Urgency::Notice, Urgency::Awaited]
        );
        assert_eq!(order_draft(5, &order(), None, noon()).urgency, Urgency::Notice);
        assert_eq!(order_draft(5, &order(), Some(7), noon()).urgency, Urgency::Awaited, "somebody pressed a button");
    }
}
