//! What became of a pipeline that was set off.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::PipelineId;
use crate::signal_event::SignalEvent;
use crate::{DecisionId, Symbol};

/// What set an execution off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerMode {
    /// A signal on the bus.
    Signal,
    /// A clock.
    Periodic,
    /// Somebody, by hand.
    Manual,
}

impl TriggerMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Signal, Self::Periodic, Self::Manual];

    /// `signal`, `periodic` or `manual`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Periodic => "periodic",
            Self::Manual => "manual",
        }
    }
}

impl FromStr for TriggerMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| format!("no trigger mode is called {text}"))
    }
}

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// It waits for a worker: its first attempt, or another one.
    Queued,
    /// A worker is at it.
    Running,
    /// It is through. A step that found nothing to do, as a risk check that says no, ends it so, too.
    Success,
    /// Every attempt failed: it is a dead letter, and waits for a person to replay or discard it.
    Failed,
    /// Somebody threw it away, or a day's budget was spent before it could be tried.
    Cancelled,
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the status of an execution is one of queued, running, success, failed, cancelled")]
pub struct ExecutionStatusError;

impl ExecutionStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Success, Self::Failed, Self::Cancelled];

    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }

    /// Whether an execution may go from here to there in one move. A worker that lost its lease has its execution back to
    /// queued; a failed one is queued again when somebody replays it.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Queued, Self::Running | Self::Cancelled)
                | (Self::Running, Self::Queued | Self::Success | Self::Failed | Self::Cancelled)
                | (Self::Failed, Self::Queued | Self::Cancelled)
        )
    }
}

impl fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ExecutionStatus {
    type Err = ExecutionStatusError;

    fn from_str(text: &str) -> Result<Self, ExecutionStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(ExecutionStatusError)
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It was done.
    Success,
    /// It could not be done; the attempt ends with it.
    Failed,
    /// It said that the rest is not to be done.
    Stopped,
}

impl StepStatus {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A step that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepRun {
    /// Name of the step.
    pub name: String,
    /// Word of its agent.
    pub agent: String,
    /// How it ended.
    pub status: StepStatus,
    /// In which attempt of the execution, from 1. What an earlier attempt has done is not done again.
    pub attempt: u16,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it cost, in US dollars.
    #[schema(value_type = String, example = "0.000315")]
    pub cost_usd: Decimal,
    /// What it found or did, in a sentence for people.
    pub summary: String,
    /// What it hands to the steps after it; of one that has failed, `error`: a word for why.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    pub output: serde_json::Value,
}

/// An execution of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Execution {
    /// Its id.
    pub execution_id: DecisionId,
    /// Of which pipeline.
    pub pipeline_id: PipelineId,
    /// As which revision of it: it is executed as it was then.
    pub pipeline_revision: i64,
    /// What set it off.
    pub trigger_mode: TriggerMode,
    /// The signal that set it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalEvent>,
    /// Which market it is about.
    pub symbol: Symbol,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// Attempts begun.
    pub attempts: u16,
    /// Most attempts; each replay allows as many more as the pipeline does.
    pub max_attempts: u16,
    /// Which worker is at it, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// What it has cost, in US dollars.
    #[schema(value_type = String, example = "0.000315")]
    pub cost_usd: Decimal,
    /// Why it ended as it did, or why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its steps so far, in their order; empty in lists.
    pub steps: Vec<StepRun>,
    /// Trace that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When it was set off.
    pub queued_at: DateTime<Utc>,
    /// When its first attempt began; the first since it was replayed, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// An execution by its id. Reply of what sets one off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExecutionRef {
    /// Its id.
    pub execution_id: DecisionId,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What a signal did to a pipeline that it matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchOutcome {
    /// It is executed.
    Enqueued,
    /// An execution of it still ran: this signal passed it by.
    SkippedRunning,
    /// Its budget for the day is spent.
    SkippedBudget,
}

impl MatchOutcome {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::SkippedRunning => "skipped_running",
            Self::SkippedBudget => "skipped_budget",
        }
    }
}

/// A pipeline that a signal matched, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignalMatch {
    /// Which signal.
    pub signal_id: DecisionId,
    /// Which pipeline.
    pub pipeline_id: PipelineId,
    /// What came of it.
    pub outcome: MatchOutcome,
    /// The execution, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<DecisionId>,
    /// When it was matched.
    pub matched_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_moves_are_allowed() {
        use ExecutionStatus::{Cancelled, Failed, Queued, Running, Success};
        let allowed = [
            (Queued, Running),
            (Queued, Cancelled),
            (Running, Queued),
            (Running, Success),
            (Running, Failed),
            (Running, Cancelled),
            (Failed, Queued),
            (Failed, Cancelled),
        ];
        for from in ExecutionStatus::ALL {
            assert_eq!(from.as_str().parse(), Ok(from));
            for to in ExecutionStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&(from, to)), "{from} to {to}");
            }
        }
    }
}
