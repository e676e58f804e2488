//! What an update is answered with.

use domain::{Answer, Symbol};
use serde_json::json;

use super::intake::Place;
use super::{Outcome, keyboard, text};
use crate::ask::Asked;
use crate::outbox::{Buttons, Content, Draft, Memory, Subject};

/// Messages, and how the update ended.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    pub(super) drafts: Vec<Draft>,
}

impl Reply {
    /// Words with buttons.
    pub(super) fn new(place: Place, text: String, buttons: Buttons) -> Self {
        Self::of(place, Content::new(text, buttons))
    }

    /// Words alone.
    pub(super) fn text(place: Place, text: String) -> Self {
        Self::of(place, Content::text(text))
    }

    pub(super) fn of(place: Place, content: Content) -> Self {
        Self { outcome: Outcome::Answered, drafts: vec![Draft::new(place.chat_id, place.thread_id, content)] }
    }

    /// Nothing is said.
    pub(super) const fn silent(outcome: Outcome) -> Self {
        Self { outcome, drafts: Vec::new() }
    }

    /// The same with another outcome.
    pub(super) fn with(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

/// The answer to an ask, and what is remembered of it.
pub(super) fn answers(place: Place, symbols: &[Symbol], asked: &Asked) -> Reply {
    let answers: Vec<&Answer> = asked.results.iter().filter_map(|(_, result)| result.as_deref().ok()).collect();
    let buttons = keyboard::under_answer(symbols, &answers, asked.trace_id.as_deref());
    let mut draft = Draft::new(place.chat_id, place.thread_id, Content::new(text::answers(asked), buttons));
    draft.memories = answers
        .iter()
        .map(|answer| Memory {
            subject: format!("decision:{}", answer.decision_id),
            detail: json!(answer),
            trace_id: asked.trace_id.clone(),
        })
        .collect();
    // A reply to this message is about the first answer.
    draft.subject =
        draft.memories.first().map(|memory| Subject { name: memory.subject.clone(), rank: 1, message_id: None });
    let outcome = if answers.is_empty() { Outcome::Refused } else { Outcome::Answered };
    Reply { outcome, drafts: vec![draft] }
}
