//! The API, and its description.

use actix_web::web::{Data, Json, ServiceConfig, post};
use domain::{Decision, DecisionRequest};
use serde_json::{Value, json};
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::decider::Decider;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "decision-service",
        description = "BUY, SELL or HOLD for a market as its caller saw it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(decide),
    components(schemas(ProblemBody)),
    tags((name = "decisions", description = "What to do"))
)]
struct Api;

/// The description of the API.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// The routes.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.route("/v1/decisions", post().to(decide));
}

/// Decides what to do with a market.
///
/// Candles are of one interval, oldest first, each once, and of the price's symbol; open ones are ignored. `technical` and
/// `llm` need 215 closed ones, at most 1000 are taken. `llm` falls back to `technical` whatever goes wrong, and says so in
/// `fallback`; its cost is then still in `cost_usd`.
#[utoipa::path(
    post,
    path = "/v1/decisions",
    tag = "decisions",
    request_body(
        content = DecisionRequest,
        description = "The market (the example is shortened to two candles)",
        example = json!(request_example())
    ),
    responses(
        (status = 200, description = "The decision", body = Decision, examples(
            ("technical" = (summary = "The technical strategy", value = json!(decision_example()))),
            ("fallback" = (summary = "The language model could not decide", value = json!(fallback_example())))
        )),
        (status = 400, description = "`bad_json`, `bad_body` (also for a strategy that is none: the allowed ones are named), \
            `too_many_candles`", body = ProblemBody, content_type = "application/problem+json",
            example = json!(problem_example(400, "Bad Request", "too_many_candles",
                "1200 candles were given; at most 1000 are taken."))),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json",
            example = json!(problem_example(413, "Payload Too Large", "body_too_large",
                "The body is too large; at most 1048576 bytes are taken."))),
        (status = 415, description = "`unsupported_media_type`: the body is not JSON", body = ProblemBody,
            content_type = "application/problem+json",
            example = json!(problem_example(415, "Unsupported Media Type", "unsupported_media_type",
                "The body must be JSON with Content-Type: application/json."))),
        (status = 422, description = "A market that cannot be decided on: `stale_price`, `symbol_mismatch`, \
            `unordered_candles`, `bad_price`, `not_enough_candles`", body = ProblemBody,
            content_type = "application/problem+json", examples(
            ("stale_price" = (value = json!(problem_example(422, "Unprocessable Entity", "stale_price",
                "The price was 45000 ms old when it was read; a decision needs one of at most 30000 ms.")))),
            ("not_enough_candles" = (value = json!(problem_example(422, "Unprocessable Entity", "not_enough_candles",
                "60 closed candles were given; this strategy needs at least 215 (200 for its slow average and 15 to see a \
                 recent cross)."))))
        )),
        (status = 504, description = "`request_timeout`", body = ProblemBody, content_type = "application/problem+json",
            example = json!(problem_example(504, "Gateway Timeout", "request_timeout",
                "The request took longer than 30000 ms and was given up.")))
    )
)]
async fn decide(
    decider: Data<Decider>,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<Decision>, Problem> {
    Ok(Json(decider.decide(&request).await?))
}

fn request_example() -> Value {
    let candle = |open_time: &str, close_time: &str, open: &str, close: &str| {
        json!({
            "open_time": open_time, "close_time": close_time, "open": open, "high": "46265.00", "low": "46195.00",
            "close": close, "volume": "72.54", "closed": true,
        })
    };
    json!({
        "price": {
            "symbol": "BTCUSDT", "price": "46247.00", "observed_at": "2022-01-01T00:02:00.412Z", "age_ms": 38,
            "source": "stream",
        },
        "candles": {
            "symbol": "BTCUSDT",
            "interval": "1m",
            "candles": [
                candle("2022-01-01T00:00:00Z", "2022-01-01T00:00:59.999Z", "46197.00", "46224.00"),
                candle("2022-01-01T00:01:00Z", "2022-01-01T00:01:59.999Z", "46224.00", "46247.00"),
            ],
        },
        "strategy": "technical",
    })
}

fn decision_example() -> Value {
    json!({
        "decision_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "symbol": "BTCUSDT",
        "action": "BUY",
        "confidence": "0.77",
        "reason": "Uptrend: the 50-candle average 46988.26 is 0.29% above the 200-candle average 46850.78, and the price \
                   47457.00 is above the fast one. RSI 69.0 is not overbought (below 70).",
        "strategy": "technical",
        "cost_usd": "0",
        "indicators": {"sma_fast": "46988.26", "sma_slow": "46850.78", "rsi": "68.99"},
        "decided_at": "2022-01-01T05:40:00.073Z",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    })
}

fn fallback_example() -> Value {
    let mut example = decision_example();
    if let Some(decision) = example.as_object_mut() {
        decision
            .insert("fallback".to_owned(), json!({"from": "llm", "reason": "The language model refused to answer."}));
        decision.insert("cost_usd".to_owned(), json!("0.000315"));
    }
    example
}

fn problem_example(status: u16, title: &str, code: &str, detail: &str) -> Value {
    json!({
        "type": format!("urn:crypto-telemetry:problem:{code}"),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_s_examples_are_of_the_types_they_show() {
        let request: DecisionRequest = serde_json::from_value(request_example()).unwrap();
        assert_eq!(request.candles.candles.len(), 2);
        let decision: Decision = serde_json::from_value(fallback_example()).unwrap();
        assert!(decision.fallback.is_some());
    }

    #[test]
    fn every_reply_is_described_with_an_example() {
        let description = serde_json::to_value(openapi()).unwrap();
        let operation = &description["paths"]["/v1/decisions"]["post"];
        let request = &operation["requestBody"]["content"]["application/json"];
        assert_eq!(request["example"]["price"]["symbol"], "BTCUSDT");
        for status in ["200", "400", "413", "415", "422", "504"] {
            let media = if status == "200" { "application/json" } else { "application/problem+json" };
            let content = &operation["responses"][status]["content"][media];
            assert!(content["schema"]["$ref"].is_string(), "{status}: {content}");
            assert!(content["example"].is_object() || content["examples"].is_object(), "{status}: {content}");
        }
    }
}
