//! People are told, by the bot: once, however often the step is tried.

use chrono::{DateTime, Utc};
use domain::pipeline::Step;
use domain::trading::{PipelineNotice, TradeEvent, TradeNotice};
use serde_json::json;

use super::services::Services;
use super::{Done, SoFar};
use crate::store::Claim;
use crate::work::failure::StepError;

/// Most characters of a summary that is told.
const MAX_TEXT: usize = 1_000;

/// What the steps before have found or done; what set the pipeline off where there are none.
fn summary(claim: &Claim, so_far: &SoFar) -> String {
    let text = if so_far.told.is_empty() {
        match &claim.execution.signal {
            Some(signal) => {
                let reason = signal.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
                format!("Signal {} of {}: {}{reason}", signal.signal_type, signal.source, signal.action)
            }
            None => format!("Set off ({})", claim.execution.trigger_mode.as_str()),
        }
    } else {
        so_far.told.join("\n")
    };
    text.chars().filter(|c| *c != '\0').take(MAX_TEXT).collect()
}

pub(super) async fn tell(
    services: &Services,
    claim: &Claim,
    step: &Step,
    text: Option<&str>,
    so_far: &SoFar,
    now: DateTime<Utc>,
) -> Result<Done, StepError> {
    let execution = &claim.execution;
    let notice = TradeNotice {
        notice_id: format!("{}:{}", execution.execution_id, step.name),
        at: now,
        trace_id: telemetry::trace_id(),
        event: TradeEvent::Pipeline(PipelineNotice {
            pipeline: claim.pipeline.name.clone(),
            execution_id: execution.execution_id.clone(),
            symbol: execution.symbol.clone(),
            text: text.map_or_else(|| summary(claim, so_far), str::to_owned),
        }),
    };
    let receipt = services.tell(&notice).await?;
    let words = match receipt.outcome.as_str() {
        "queued" => format!("told to {} chats", receipt.chats),
        "repeated" => "told before".to_owned(),
        "no_recipients" => "told to nobody: no chat is told of orders".to_owned(),
        "bot_off" => "told to nobody: the bot is off".to_owned(),
        _ => "taken by notifier-service".to_owned(),
    };
    Ok(Done::new(words, json!({"outcome": receipt.outcome, "chats": receipt.chats})))
}
