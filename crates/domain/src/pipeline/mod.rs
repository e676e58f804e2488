//! Pipelines: what people want to happen when a signal comes, or every so often; and what happened.
//!
//! The rules are here and do no I/O: what a pipeline may be ([`PipelineRequest::check`]), which signals it is for
//! ([`SignalTrigger::matches`]), which moves an execution may make ([`ExecutionStatus::may_become`]).

mod definition;
mod execution;
mod rules;
mod step;
mod trigger;

pub use definition::{Budget, Pipeline, PipelineId, PipelineIdError, PipelineRequest};
pub use execution::{
    Execution, ExecutionRef, ExecutionStatus, ExecutionStatusError, MatchOutcome, SignalMatch, StepRun, StepStatus,
    TriggerMode,
};
pub use rules::{FieldError, RulesError};
pub use step::{Agent, OrderSize, Step};
pub use trigger::{PeriodicTrigger, SignalTrigger, Trigger};
