//! `POST /webhooks/tradingview/{token}`: where TradingView sends its alerts.

use std::time::{Duration, Instant};

use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::{Data, Json, Path, Payload, ServiceConfig};
use actix_web::{HttpMessage as _, HttpRequest};
use domain::DecisionId;
use secrecy::SecretString;
use serde::Serialize;
use telemetry::metrics::signal::{INGEST_DURATION, REJECTED};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use utoipa::{OpenApi, ToSchema};
use web::{Problem, ProblemBody};

use crate::WEBHOOK;
use crate::access::Access;
use crate::error::IngestError;
use crate::hooks::{Hooks, Known};
use crate::ingest::{Intake, Taken};
use crate::message::{Alert, BodyKind};
use crate::rate::Rate;

/// Largest message of an alert, in bytes.
pub(crate) const MAX_ALERT_BYTES: usize = 16 * 1024;

/// Longest that the database may take for one step: TradingView gives up after 3 s, and would not send again after our
/// own 504.
const DATABASE_WAIT: Duration = Duration::from_millis(1_200);

/// The description of the webhook.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "signal-service",
        description = "TradingView's alerts come in and become signals, each exactly once."
    ),
    paths(tradingview),
    components(schemas(ProblemBody, AlertMessage))
)]
pub(crate) struct Api;

/// Adds the route.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes.route(WEBHOOK, actix_web::web::post().to(tradingview));
}

/// What an alert may say. Names may be written in any case; others than these are left out. Text is `name=value` with
/// blanks, commas, semicolons or lines between, values with blanks in quotes.
#[derive(ToSchema)]
#[schema(example = json!({"ticker": "BINANCE:BTCUSDT", "action": "buy", "quantity": "0.001", "timenow": "2026-01-31T12:00:00Z"}))]
#[expect(dead_code, reason = "only its description is looked at: values are read digit by digit")]
struct AlertMessage {
    /// `{{ticker}}`, or `symbol`: `BTCUSDT`, `BINANCE:BTCUSDT`, `BTCUSDT.P`, `BTC-USDT`.
    ticker: String,
    /// `{{strategy.order.action}}`, or `side`: `buy` or `long`, `sell` or `short`, `close`, `exit` or `flat`. May be left
    /// out where `market_position` is `flat`.
    action: Option<String>,
    /// `{{strategy.market_position}}`: where it is `flat`, all is closed, whatever action and size say.
    market_position: Option<String>,
    /// `{{strategy.order.contracts}}`, or `contracts`, `qty`: how much, in the base currency; text or number.
    quantity: Option<String>,
    /// How much, in the quote currency; not with `quantity`.
    notional: Option<String>,
    /// Trade at this price or better.
    limit_price: Option<String>,
    /// `{{close}}`, or `close`, or `strategy.order.price`: the price that was seen; never traded at.
    price: Option<String>,
    /// `{{strategy.order.id}}`.
    order_id: Option<String>,
    /// `{{strategy.order.comment}}`; cut after 200 characters.
    comment: Option<String>,
    /// `{{interval}}`.
    interval: Option<String>,
    /// `{{timenow}}`: ISO 8601, or unix milliseconds or seconds. With it an alert that is sent again is known for a day,
    /// without it for 45 s and only by the same words.
    timenow: Option<String>,
}

/// What became of an alert.
#[derive(Debug, Serialize, ToSchema)]
struct Receipt {
    /// Whether it is a new signal, or came before.
    status: ReceiptStatus,
    /// The signal's id; the first one's where it came before.
    signal_id: DecisionId,
    /// Trace of this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReceiptStatus {
    /// It is kept, and will be executed.
    Accepted,
    /// It came before, and nothing more is done.
    Duplicate,
}

/// Take an alert.
///
/// It is kept before this answers, and handed to order-service afterwards, once. An alert that is sent again gets the
/// first one's id.
#[utoipa::path(
    post,
    path = WEBHOOK,
    tag = "webhooks",
    params(("token" = String, Path, description = "Token of a hook")),
    request_body(content((AlertMessage = "application/json"), (String = "text/plain")), description = "The alert's message, at most 16 KiB"),
    responses(
        (status = 200, description = "It is kept: `accepted`, or `duplicate` where it was before", body = Receipt),
        (status = 400, description = "`bad_encoding`, `empty_body`, `bad_json`, `bad_body`, `bad_text`, `unreadable_body`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "`unknown_hook`: no hook has this token, or not any more", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`source_not_allowed`: alerts are not taken from this address", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: neither application/json nor text/plain, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong; the sentence names it: `nested_value`, `contradicting_fields`, `missing_field`, `unfilled_placeholder`, `no_value`, `bad_symbol`, `bad_action`, `bad_market_position`, `bad_number`, `bad_time`, `bad_word`, `two_sizes`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: this hook has sent more alerts than it may; it is not kept. `Retry-After` says when there is room again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`database_away`, `database_timeout`, `overloaded`: send it again", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn tradingview(
    request: HttpRequest,
    token: Path<String>,
    payload: Payload,
    access: Data<Access>,
    hooks: Data<Hooks>,
    rate: Data<Rate>,
    intake: Data<Intake>,
) -> Result<Json<Receipt>, Problem> {
    let started = Instant::now();
    let token = SecretString::from(token.into_inner());
    let span = tracing::info_span!(
        "SignalService.ingest",
        crypto.symbol = Empty,
        decision.id = Empty,
        signal.id = Empty,
        signal.action = Empty,
        signal.hook = Empty,
        signal.duplicate = Empty,
        signal.rejected = Empty,
    );
    async {
        let taken = Box::pin(ingest(&request, &token, payload, &Door { access, hooks, rate }, intake)).await;
        let outcome = match &taken {
            Ok(taken) if taken.duplicate => "duplicate",
            Ok(_) => "accepted",
            Err(error) if error.is_failure() => {
                telemetry::record_exception(error.code(), error);
                "failed"
            }
            Err(error) => {
                REJECTED.add(1, &[("reason", error.code())]);
                Span::current().record("signal.rejected", error.code());
                "rejected"
            }
        };
        INGEST_DURATION.record(started.elapsed().as_secs_f64(), &[("outcome", outcome)]);
        let Taken { signal_id, duplicate } = taken.map_err(Problem::from)?;
        let status = if duplicate { ReceiptStatus::Duplicate } else { ReceiptStatus::Accepted };
        Ok(Json(Receipt { status, signal_id, trace_id: telemetry::trace_id() }))
    }
    .instrument(span)
    .await
}

/// What an alert has to pass.
struct Door {
    access: Data<Access>,
    hooks: Data<Hooks>,
    rate: Data<Rate>,
}

async fn ingest(
    request: &HttpRequest,
    token: &SecretString,
    payload: Payload,
    door: &Door,
    intake: Data<Intake>,
) -> Result<Taken, IngestError> {
    door.access.may_send(request)?;
    let known = tokio::time::timeout(DATABASE_WAIT, door.hooks.by_token(token)).await;
    let hook = known.map_err(|_| IngestError::TooSlow)??.ok_or(IngestError::UnknownHook)?;
    Span::current().record("signal.hook", hook.name.as_str());
    door.rate.admit(&hook.id).map_err(IngestError::TooMany)?;
    let kind = body_kind(request)?;
    let body = payload.to_bytes_limited(MAX_ALERT_BYTES).await.map_err(|_| IngestError::TooLarge)?;
    let body = body.map_err(|_| IngestError::Unreadable)?;
    let alert = Alert::read(&body, kind)?;
    let span = Span::current();
    span.record("crypto.symbol", alert.symbol.as_str());
    span.record("signal.action", alert.action.as_str());
    // A sender that hangs up, and a wait that is over, do not undo what may have been committed at that very moment: the
    // same alert is known when it comes again.
    let work = web::detached(async move { take(&intake, hook, alert, &body).await });
    let done = tokio::time::timeout(DATABASE_WAIT, work).await.map_err(|_| IngestError::TooSlow)?;
    done.map_err(|_| IngestError::Ended)?
}

async fn take(intake: &Intake, hook: Known, alert: Alert, body: &[u8]) -> Result<Taken, IngestError> {
    Box::pin(intake.take(&hook, alert, body)).await
}

/// TradingView says `application/json` where the message is valid JSON, and `text/plain` otherwise.
fn body_kind(request: &HttpRequest) -> Result<BodyKind, IngestError> {
    let plain =
        request.headers().get_all(CONTENT_ENCODING).all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let kind = request.content_type();
    match kind {
        _ if !plain => Err(IngestError::MediaType),
        _ if kind.eq_ignore_ascii_case("application/json") => Ok(BodyKind::Json),
        _ if kind.is_empty() || kind.eq_ignore_ascii_case("text/plain") => Ok(BodyKind::Text),
        _ => Err(IngestError::MediaType),
    }
}
