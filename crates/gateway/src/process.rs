//! The way into the business chain: `POST /api/v1/process` (spec E1).

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use domain::chain::MAX_ITEMS;
use domain::{ChainContext, ChainPart, ProcessRequest, ProcessResponse};
use opentelemetry::trace::FutureExt as _;
use serde_json::json;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use web::{HandedOn, JsonBody, NextLink, Problem, ProblemBody, REPLAYED, Work};

use crate::NAME;
use crate::door::Caller;

/// Header that makes a repetition harmless.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest key of a client.
const MAX_KEY: usize = 128;

/// Send a request through the chain: user-service, order-service, audit-service, or whatever NEXT_SERVICE_URL puts there.
///
/// The reply has each service's part. With an `Idempotency-Key`, a repetition has no further effect and gets the answer of
/// the first one, with `Idempotent-Replayed: true`; without one, nothing is tried again. A failure names the link that
/// failed in `upstream`.
#[utoipa::path(
    post,
    path = "/api/v1/process",
    tag = "chain",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters"),
        ("X-Request-Id" = Option<String>, Header, description = "1 to 64 letters, digits, '-', '_' and '.'; made when left out"),
    ),
    request_body = ProcessRequest,
    responses(
        (status = 200, body = ProcessResponse),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_idempotency_key`, `context_not_allowed`, `too_many_items`, and what the services refuse", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "What a service does not find, such as `unknown_symbol`: an item's symbol is not served", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`key_in_progress`: a request with this key is being worked on", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`key_mismatch`: the key was used for another request; and what a service refuses, such as `mixed_currencies`, `total_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "A service of the chain answered with an error; `upstream` names it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A service of the chain, or what it needs, is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/process")]
pub(crate) async fn process(
    http: HttpRequest,
    link: Data<NextLink>,
    JsonBody(body): JsonBody<ProcessRequest>,
) -> Result<HttpResponse, Problem> {
    let mut work = Work::begin(NAME);
    let caller = Caller::of(&http)?;
    let key = idempotency_key(&http)?;
    let mut request = checked(body)?;
    let span = tracing::Span::current();
    span.set_attribute("user.id", request.user_id.get());
    span.set_attribute("order.action", request.action.as_str().to_owned());
    span.set_attribute("idempotency", key.is_some());

    let mut context = ChainContext {
        request_id: Some(caller.request_id.clone()),
        // Two clients that use the same key mean two things.
        idempotency_key: key.map(|key| format!("{}:{key}", caller.client)),
        ..ChainContext::default()
    };
    work.hand_over(&mut context);
    let user_id = request.user_id.to_string();
    request.context = Some(context);

    let chain = telemetry::propagation::with_baggage(&[("user.id", &user_id)]);
    let handed_on = link.hand_on(&request).with_context(chain).await;
    let HandedOn { reply, replayed } = handed_on.inspect_err(|error| {
        telemetry::record_exception(error.label(), error);
    })?;

    let services = work.reply(json!({ "request_id": caller.request_id, "client": &*caller.client }), reply.parts).parts;
    let status = ChainPart::worst(&services);
    let mut response = HttpResponse::Ok();
    if replayed {
        response.insert_header((REPLAYED, "true"));
    }
    Ok(response.json(ProcessResponse {
        status,
        services,
        request_id: caller.request_id,
        trace_id: telemetry::trace_id(),
    }))
}

/// What a client may send.
fn checked(request: ProcessRequest) -> Result<ProcessRequest, Problem> {
    if request.context.is_some() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "context_not_allowed",
            "A request has no context of its own: the services of the chain make it.",
        ));
    }
    if request.items.len() > MAX_ITEMS {
        let count = request.items.len();
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "too_many_items",
            format!("{count} items are too many: an order has at most {MAX_ITEMS}."),
        ));
    }
    Ok(request)
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !visible || !(1..=MAX_KEY).contains(&key.len()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_idempotency_key",
            format!("An Idempotency-Key is one header of 1 to {MAX_KEY} visible ASCII characters, without spaces."),
        ));
    }
    Ok(Some(key.to_owned()))
}
