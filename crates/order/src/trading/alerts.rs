//! Alerts make trading stricter, never freer: Alertmanager's webhook, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).

use std::collections::BTreeMap;

use domain::trading::{Actor, TradingState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::core::Trading;
use super::error::TradingError;
use super::state::{Wish, strictness};

/// Most characters of a reason that is kept.
const MAX_REASON_CHARS: usize = 500;

/// What Alertmanager sends: of its members, those that matter here.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct AlertGroup {
    /// The alerts of the group.
    #[serde(default)]
    pub(crate) alerts: Vec<Alert>,
}

/// One alert.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Alert {
    /// `firing`, or `resolved`.
    pub(crate) status: String,
    /// Its labels; `trading_action` is `reduce` or `halt` where trading is to become stricter.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Its annotations; `summary` becomes the reason.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What an alert has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AlertsOutcome {
    /// What may be traded now.
    pub(crate) state: TradingState,
    /// Whether that was changed.
    pub(crate) changed: bool,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
}

impl Alert {
    /// What trading is to become at least.
    fn wish(&self) -> Option<TradingState> {
        if self.status != "firing" {
            return None;
        }
        match self.labels.get("trading_action").map(String::as_str) {
            Some("halt") => Some(TradingState::Halted),
            Some("reduce") => Some(TradingState::Reducing),
            _ => None,
        }
    }
}

impl Trading {
    /// Heeds alerts: the strictest of them counts, at once.
    pub(crate) async fn heed(&self, group: &AlertGroup) -> Result<AlertsOutcome, TradingError> {
        let strictest = group
            .alerts
            .iter()
            .filter_map(|alert| Some((alert, alert.wish()?)))
            .max_by_key(|(_, wish)| strictness(*wish));
        let changed = match strictest {
            Some((alert, wish)) => {
                let by = Actor::named("alert", alert.labels.get("alertname").map_or("unnamed", String::as_str));
                let reason: Option<String> = alert
                    .annotations
                    .get("summary")
                    .map(|summary| summary.chars().filter(|c| *c != '\0').take(MAX_REASON_CHARS).collect());
                let changed = self.set_state(&Wish::AtLeast(wish), &by, reason.as_deref()).await?;
                if changed {
                    // As when a person does it. What cannot be reached now is named in the log, and tried again.
                    Box::pin(self.take_back_unwanted(wish, &by)).await?;
                }
                changed
            }
            None => false,
        };
        let state = super::state::read(&self.core.database).await?.state;
        Ok(AlertsOutcome { state, changed, trace_id: telemetry::trace_id() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fires_and_asks_for_it_counts() {
        let alert = |status: &str, action: &str| Alert {
            status: status.to_owned(),
            labels: [("trading_action".to_owned(), action.to_owned())].into(),
            annotations: BTreeMap::new(),
        };
        assert_eq!(alert("firing", "halt").wish(), Some(TradingState::Halted));
        assert_eq!(alert("firing", "reduce").wish(), Some(TradingState::Reducing));
        for (status, action) in [("resolved", "halt"), ("firing", "run"), ("firing", "running"), ("", "halt")] {
            assert_eq!(alert(status, action).wish(), None, "{status} {action}");
        }
    }
}
