//! An OpenAI-compatible language model that follows a fixed rule (see [`rule`]) and says so.

mod error;
mod request;
mod rule;
mod schema;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use self::error::LlmError;
use self::request::{Request, ResponseFormat};
use crate::faults::{FaultTarget, Refusal, Twist, inject, wants};
use crate::world::{World, now_ms};

/// Says on every answer that no model was asked.
const FINGERPRINT: &str = "fp_simulated_fixed_rule";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/v1/chat/completions")
            .wrap(from_fn(|request: ServiceRequest, next: Next<BoxBody>| {
                inject(FaultTarget::Llm, refuse, request, next)
            }))
            .route(web::post().to(complete))
            .default_service(web::to(wrong_method)),
    );
}

fn refuse(refusal: Refusal) -> HttpResponse {
    LlmError::refused(refusal).response()
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    LlmError::method(request.method().as_str()).response()
}

async fn complete(world: Data<World>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, LlmError> {
    check_key(&world, &request)?;
    let asked = Request::read(&body)?;
    let twist = wants(&request).twist;
    let opinion = rule::opinion(asked.last_user_message());
    let content = match &asked.response_format {
        ResponseFormat::Schema(_) if twist == Some(Twist::SchemaIgnored) => talk(&opinion),
        ResponseFormat::Text => talk(&opinion),
        ResponseFormat::JsonObject => Value::Object(opinion.properties()).to_string(),
        ResponseFormat::Schema(schema) => schema::fill(schema, &opinion).to_string(),
    };
    let refusal = (twist == Some(Twist::Refusal)).then_some("I'm sorry, I can't help with that.");
    let answer = refusal.unwrap_or(&content);
    let wanted = tokens(answer);
    let allowed = match twist {
        // Cut in the middle, whatever the caller allowed.
        Some(Twist::Length) => wanted / 2,
        _ => asked.max_completion_tokens.unwrap_or(u64::MAX),
    };
    let (answer, finish_reason) =
        if wanted > allowed { (cut(answer, allowed), "length") } else { (answer.to_owned(), "stop") };
    let completion_tokens = tokens(&answer);
    let prompt_tokens = asked.prompt_tokens();
    let now_s = now_ms().div_euclid(1_000);
    let (content, refusal) =
        if refusal.is_some() { (Value::Null, Value::from(answer)) } else { (Value::from(answer), Value::Null) };
    let mut reply = Map::new();
    reply.insert("id".to_owned(), format!("chatcmpl-simulated{}", uuid::Uuid::new_v4().simple()).into());
    reply.insert("object".to_owned(), "chat.completion".into());
    reply.insert("created".to_owned(), now_s.into());
    reply.insert("model".to_owned(), asked.model.into());
    let message = json!({ "role": "assistant", "content": content, "refusal": refusal, "annotations": [] });
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason });
    reply.insert("choices".to_owned(), json!([choice]));
    if twist != Some(Twist::NoUsage) {
        let usage = json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        });
        reply.insert("usage".to_owned(), usage);
    }
    reply.insert("service_tier".to_owned(), "default".into());
    reply.insert("system_fingerprint".to_owned(), FINGERPRINT.into());
    Ok(HttpResponse::Ok().json(reply))
}

fn check_key(world: &World, request: &HttpRequest) -> Result<(), LlmError> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = header.and_then(|header| header.strip_prefix("Bearer ")).map(str::trim).filter(|key| !key.is_empty());
    match (key, &world.llm_api_key) {
        (None, _) => Err(LlmError::no_key()),
        (Some(key), Some(expected)) if key != expected.expose_secret() => Err(LlmError::wrong_key()),
        (Some(_), _) => Ok(()),
    }
}

/// The opinion in words, for those who set no format.
fn talk(opinion: &rule::Opinion) -> String {
    format!("I would {} here, with a confidence of {}. {}", opinion.action, opinion.confidence, opinion.reason)
}

/// About four characters of English make a token.
fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX)
}

/// The first so many tokens.
fn cut(text: &str, tokens: u64) -> String {
    text.chars().take(usize::try_from(tokens.saturating_mul(4)).unwrap_or(usize::MAX)).collect()
}
