//! What audit-service keeps of trading: who did what, when, in which trace.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Actor;
use crate::{DecisionId, Symbol};

/// Something that happened: body of `POST /v1/events` of audit-service. It is kept once an id and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEvent {
    /// Its id, of 1 to 200 characters that can be seen: the same event that comes again is kept once.
    #[schema(min_length = 1, max_length = 200, pattern = "^[!-~]{1,200}$")]
    pub event_id: String,
    /// Who did it.
    pub actor: Actor,
    /// What was done, as a bounded word: `order.submitted`, `signal.refused`, `state.changed`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z_.]{1,64}$")]
    pub action: String,
    /// What was traded, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<Symbol>,
    /// The signal or the order that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// Trace in which it happened, 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub trace_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// Everything else, as a JSON object.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// An event as it is kept. Reply of `POST /v1/events`, and entries of `GET /v1/events` of audit-service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordedEvent {
    /// Its number: later events have higher ones.
    pub id: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// When it was written down.
    pub recorded_at: DateTime<Utc>,
}

/// Why an event cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditEventError {
    /// Its id.
    #[error("event_id is a word of 1 to 200 letters, digits and signs")]
    Id,
    /// What was done.
    #[error("action is a word of 1 to 64 lower-case letters, '_' and '.'")]
    Action,
    /// Its trace.
    #[error("trace_id has 32 lower-case hex digits")]
    Trace,
    /// When.
    #[error("at is a time from the year 1970 to 9999")]
    Time,
    /// The rest.
    #[error("data is a JSON object without NUL characters")]
    Data,
}

impl AuditEvent {
    /// Whether it can be kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), AuditEventError> {
        if !(1..=200).contains(&self.event_id.len()) || !self.event_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AuditEventError::Id);
        }
        let action = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.';
        if !(1..=64).contains(&self.action.len()) || !self.action.bytes().all(action) {
            return Err(AuditEventError::Action);
        }
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.trace_id.as_ref().is_some_and(|id| id.len() != 32 || !id.bytes().all(hex)) {
            return Err(AuditEventError::Trace);
        }
        if !super::signal_rules::can_be_kept(self.at) {
            return Err(AuditEventError::Time);
        }
        if !self.data.is_object() || has_nul(&self.data) {
            return Err(AuditEventError::Data);
        }
        Ok(())
    }
}

/// PostgreSQL keeps no NUL in JSON.
fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(all) => all.iter().any(has_nul),
        serde_json::Value::Object(all) => all.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_kept_is_told() {
        let event = AuditEvent {
            event_id: "order:1".to_owned(),
            actor: Actor::named("order", "service"),
            action: "order.new".to_owned(),
            symbol: None,
            decision_id: None,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            at: Utc::now(),
            data: json!({"status": "new"}),
        };
        assert_eq!(event.check(), Ok(()));
        let bad = |change: fn(&mut AuditEvent)| {
            let mut event = event.clone();
            change(&mut event);
            event.check().unwrap_err()
        };
        assert_eq!(bad(|event| event.event_id.clear()), AuditEventError::Id);
        assert_eq!(bad(|event| event.action = "Order New".to_owned()), AuditEventError::Action);
        assert_eq!(bad(|event| event.trace_id = Some("xyz".to_owned())), AuditEventError::Trace);
        assert_eq!(bad(|event| event.at = DateTime::<Utc>::MAX_UTC), AuditEventError::Time);
        assert_eq!(bad(|event| event.data = json!([])), AuditEventError::Data);
        assert_eq!(bad(|event| event.data = json!({"a": ["\u{0}"]})), AuditEventError::Data);
    }
}
