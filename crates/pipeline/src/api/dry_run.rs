//! Trying a pipeline out: nothing is executed, and nothing is kept.

use actix_web::post;
use actix_web::web::{Data, Json, ServiceConfig};
use domain::SignalEvent;
use domain::pipeline::{Agent, FieldError, Pipeline, PipelineRequest, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};
use web::{JsonBody, Problem, ProblemBody};

use super::body;
use super::error::ApiError;
use super::pipeline_routes::pipeline_id;
use crate::store::{Store, StoreError, now};

/// The description of this route.
#[derive(OpenApi)]
#[openapi(paths(dry_run))]
pub(crate) struct Api;

/// Adds the route.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.service(dry_run);
}

/// Body of `POST /v1/pipelines/dry-run`: a pipeline, or the id of one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DryRunRequest {
    /// A pipeline that need not be there.
    #[schema(value_type = Option<PipelineRequest>)]
    pipeline: Option<Value>,
    /// One that is there.
    #[schema(example = "7f3c1a52-6a4e-4b0e-9d0f-3f6f0b9f8c11")]
    pipeline_id: Option<String>,
    /// A signal that may set it off.
    #[schema(value_type = Option<SignalEvent>)]
    signal: Option<Value>,
}

/// A step that would be done.
#[derive(Debug, Serialize, ToSchema)]
struct PlannedStep {
    /// Its name.
    name: String,
    /// Word of its agent.
    #[schema(example = "risk_check")]
    agent: &'static str,
    /// Whether it may say that the rest is not to be done.
    may_stop: bool,
    /// Whether it does something outside: orders, or tells somebody.
    acts: bool,
}

/// What would happen. Reply of `POST /v1/pipelines/dry-run`.
#[derive(Debug, Serialize, ToSchema)]
struct DryRunReply {
    /// Whether the pipeline can be executed at all.
    sound: bool,
    /// What is wrong with it, field by field.
    errors: Vec<FieldError>,
    /// Whether the signal would set it off; null without a signal, or when the pipeline is not sound.
    matches: Option<bool>,
    /// Why the signal would not set it off, field by field; and, of a pipeline that is there, what would keep it from being
    /// executed at this moment (`execution`, `budget.usd_per_day`).
    why_not: Vec<FieldError>,
    /// The steps that would be done, in their order; none when the signal would not set it off.
    steps: Vec<PlannedStep>,
    /// Trace of the request that this answers; absent when telemetry is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Try a pipeline out
///
/// Says whether the pipeline is sound, whether a signal would set it off and why not, and which steps would be done.
/// Executes nothing and keeps nothing.
#[utoipa::path(
    tag = "pipelines",
    request_body = DryRunRequest,
    responses(
        (status = 200, description = "Also for a pipeline that is not sound: `errors` says why", body = DryRunReply),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_id`; `bad_signal`: the signal cannot be read", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_pipeline`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`bad_signal`: the signal makes no sense", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/pipelines/dry-run")]
async fn dry_run(store: Data<Store>, JsonBody(sent): JsonBody<DryRunRequest>) -> Result<Json<DryRunReply>, Problem> {
    let signal = sent.signal.as_ref().map(body::signal).transpose()?;
    let (request, kept) = match (&sent.pipeline, &sent.pipeline_id) {
        (Some(value), None) => match body::pipeline(value) {
            Ok(request) => (request, None),
            Err(bad) => return Ok(Json(unsound(bad.errors))),
        },
        (None, Some(id)) => {
            let id = pipeline_id(id)?;
            let kept = store.pipeline(&id).await.map_err(ApiError::from)?;
            let kept = kept.ok_or(ApiError::Store(StoreError::NoPipeline))?;
            (kept.request.clone(), Some(kept))
        }
        _ => return Err(ApiError::OneOfTwo.into()),
    };
    let mut why_not = signal.as_ref().map(|signal| mismatches(&request, signal)).unwrap_or_default();
    let matches = signal.map(|_| why_not.is_empty());
    if let Some(kept) = &kept {
        why_not.extend(hindrances(&store, kept).await?);
    }
    let steps = if matches == Some(false) { Vec::new() } else { request.steps.iter().map(planned).collect() };
    Ok(Json(DryRunReply { sound: true, errors: Vec::new(), matches, why_not, steps, trace_id: telemetry::trace_id() }))
}

fn unsound(errors: Vec<FieldError>) -> DryRunReply {
    DryRunReply {
        sound: false,
        errors,
        matches: None,
        why_not: Vec::new(),
        steps: Vec::new(),
        trace_id: telemetry::trace_id(),
    }
}

fn planned(step: &domain::pipeline::Step) -> PlannedStep {
    PlannedStep {
        name: step.name.clone(),
        agent: step.agent.as_str(),
        may_stop: matches!(step.agent, Agent::RiskCheck { .. }),
        acts: matches!(step.agent, Agent::PlaceOrder { .. } | Agent::Notify { .. }),
    }
}

/// Why a signal does not set a pipeline off: all of it.
fn mismatches(request: &PipelineRequest, signal: &SignalEvent) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut expect = |holds: bool, field: &str, reason: String| {
        if !holds {
            found.push(FieldError { field: field.to_owned(), reason });
        }
    };
    expect(request.enabled, "enabled", "is false".to_owned());
    match &request.trigger {
        Trigger::Periodic(_) => {
            expect(false, "trigger.mode", "is periodic: signals do not set it off".to_owned());
        }
        Trigger::Signal(trigger) => {
            let fits = trigger.signal_types.is_empty() || trigger.signal_types.contains(&signal.signal_type);
            expect(fits, "trigger.signal_types", format!("does not have {}", signal.signal_type));
            let fits = trigger.tickers.is_empty() || trigger.tickers.contains(&signal.symbol);
            expect(fits, "trigger.tickers", format!("does not have {}", signal.symbol.as_str()));
            let fits = signal.confidence >= trigger.minimum_confidence;
            let reason = format!("is {}, and the signal has {}", trigger.minimum_confidence, signal.confidence);
            expect(fits, "trigger.minimum_confidence", reason);
        }
    }
    found
}

/// What keeps a pipeline from being executed at this moment.
async fn hindrances(store: &Store, pipeline: &Pipeline) -> Result<Vec<FieldError>, ApiError> {
    let mut found = Vec::new();
    if store.is_active(pipeline).await? {
        let reason = "of this pipeline waits or runs".to_owned();
        found.push(FieldError { field: "execution".to_owned(), reason });
    }
    if store.is_budget_spent(pipeline, now()).await? {
        let reason = "is spent for today (UTC)".to_owned();
        found.push(FieldError { field: "budget.usd_per_day".to_owned(), reason });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use domain::pipeline::SignalTrigger;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        /// It says the same as what sets pipelines off.
        #[test]
        fn a_signal_that_matches_has_no_reason_not_to(
            types in prop::sample::subsequence(vec!["mock", "golden_cross"], 0..=2),
            tickers in prop::sample::subsequence(vec!["BTCUSDT", "ETHUSDT"], 0..=2),
            least in 0..10_i64, confidence in 0..10_i64, other in any::<bool>(),
        ) {
            let request: PipelineRequest = serde_json::from_value(json!({
                "name": "n", "steps": [{"name": "a", "agent": "notify"}],
                "trigger": {"mode": "signal", "signal_types": types, "tickers": tickers, "minimum_confidence": format!("0.{least}")},
            })).unwrap();
            let signal = body::signal(&json!({
                "signal_id": "07070707070707070707070707070707", "signal_type": if other { "mock" } else { "golden_cross" },
                "source": "mock_generator", "symbol": if other { "ETHUSDT" } else { "BTCUSDT" }, "action": "buy",
                "confidence": format!("0.{confidence}"), "generated_at": "2026-01-31T12:00:00Z",
            })).unwrap();
            let Trigger::Signal(trigger) = &request.trigger else { unreachable!() };
            let _: &SignalTrigger = trigger;
            prop_assert_eq!(mismatches(&request, &signal).is_empty(), trigger.matches(&signal));
        }
    }
}
