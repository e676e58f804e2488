//! The API: what generators do, the signals, and a signal by hand.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use domain::trading::SignalAction;
use domain::{Interval, Page, PageQuery, SignalWord, Symbol};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};
use web::{JsonBody, Problem, ProblemBody};

use crate::by_hand::ByHand;
use crate::error::{self, ApiError};
use crate::overview::Overview;
use crate::signals::{Filter, KeptSignal, Signals};

/// The description of these routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "signal-generator",
        description = "Signals of moving averages that cross, and random ones, onto the bus"
    ),
    paths(generators, list_signals, signal, make_signal),
    components(schemas(ProblemBody))
)]
pub(crate) struct Api;

/// Adds the routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(generators)
        .route("/v1/signals", actix_web::web::get().to(list_signals))
        .service(make_signal)
        .service(signal);
}

/// What generators do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Generators {
    /// `golden_cross_generator`.
    pub(crate) golden_cross: GoldenCross,
    /// `mock_generator`.
    pub(crate) mock: Mock,
    /// Signals that wait for the bus.
    pub(crate) unpublished: i64,
    /// Most that may.
    pub(crate) buffer: u32,
    /// Trace of the request that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
}

/// What `golden_cross_generator` looks at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GoldenCross {
    /// Candles of the fast average.
    pub(crate) fast_candles: u32,
    /// Candles of the slow one.
    pub(crate) slow_candles: u32,
    /// Each symbol's candles of each interval.
    pub(crate) series: Vec<LookedAt>,
}

/// Candles of a symbol, and how far they have been looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookedAt {
    /// The symbol.
    pub(crate) symbol: Symbol,
    /// Length of a candle.
    pub(crate) interval: Interval,
    /// When the last candle opened that has been looked at; null before the first look.
    pub(crate) last_candle: Option<DateTime<Utc>>,
    /// Id of the last signal; null when there was none.
    pub(crate) last_signal: Option<String>,
    /// Why the last look failed; null when it did not.
    pub(crate) error: Option<String>,
}

/// What `mock_generator` makes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Mock {
    /// Signals a minute; 0 when it is off.
    pub(crate) per_minute: u32,
    /// How often they say what.
    #[schema(example = "buy:45,sell:45,close:10")]
    pub(crate) mix: String,
    /// What makes them the same each time; null when they are random.
    pub(crate) seed: Option<u64>,
}

/// What the generators do, and how far they are.
#[utoipa::path(
    tag = "generators",
    responses(
        (status = 200, body = Generators),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/generators")]
async fn generators(overview: Data<Overview>) -> Result<Json<Generators>, Problem> {
    Ok(Json(overview.now().await.map_err(ApiError::from)?))
}

/// Which signals.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this kind
    // Texts, so that what is wrong with them can be said in words.
    #[param(value_type = Option<String>, example = "golden_cross")]
    signal_type: Option<String>,
    /// Only those of this symbol
    #[param(value_type = Option<String>, example = "BTCUSDT")]
    symbol: Option<String>,
}

/// Signals, the newest first.
#[utoipa::path(
    get,
    path = "/v1/signals",
    tag = "signals",
    params(PageQuery, Which),
    responses(
        (status = 200, body = Page<KeptSignal>),
        (status = 400, description = "`bad_limit`, `bad_cursor`, `bad_query`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn list_signals(
    signals: Data<Signals>,
    query: Query<PageQuery>,
    which: Query<Which>,
) -> Result<Json<Page<KeptSignal>>, Problem> {
    let Which { signal_type, symbol } = which.into_inner();
    let bad = |words: String| ApiError::BadQuery(words);
    let signal_type =
        signal_type.map(|text| text.parse::<SignalWord>().map_err(|error| bad(format!("signal_type is {error}"))));
    let symbol = symbol.map(|text| text.parse::<Symbol>().map_err(|error| bad(error.to_string())));
    let filter = Filter {
        signal_type: signal_type.transpose()?.map(|word| word.to_string()),
        symbol: symbol.transpose()?.map(|symbol| symbol.to_string()),
    };
    let mut page = signals.list(&query, filter).await?;
    page.trace_id = telemetry::trace_id();
    Ok(Json(page))
}

/// One signal.
#[utoipa::path(
    tag = "signals",
    params(("id" = String, Path, description = "The signal's id", pattern = "^[0-9a-fA-F]{32}$")),
    responses(
        (status = 200, body = KeptSignal),
        (status = 400, description = "`bad_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_signal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/v1/signals/{id}")]
async fn signal(signals: Data<Signals>, id: Path<String>) -> Result<Json<KeptSignal>, Problem> {
    let id = error::id(&id)?;
    Ok(Json(signals.find(&id).await?.ok_or(ApiError::NoSignal)?))
}

/// A signal that somebody asks for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSignal {
    /// Which market it is about.
    pub(crate) symbol: Symbol,
    /// What it asks for.
    pub(crate) action: SignalAction,
    /// How sure it is, from 0 to 1; 1 when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "0.85")]
    pub(crate) confidence: Option<Decimal>,
    /// What kind of signal it is; `mock` when left out.
    #[serde(default)]
    pub(crate) signal_type: Option<SignalWord>,
    /// Why, in a sentence for people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub(crate) reason: Option<String>,
}

/// Make a signal by hand.
///
/// It goes onto the bus as any other, with `by_hand` as its source. With an `Idempotency-Key`, a repetition makes no second
/// one and is answered with the first, as it stands now.
#[utoipa::path(
    tag = "signals",
    request_body = NewSignal,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters")),
    responses(
        (status = 202, description = "It is made, and goes onto the bus. `Idempotent-Replayed: true` where it was made before", body = KeptSignal),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_idempotency_key`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`bad_signal`, `key_mismatch`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`buffer_full`: too many signals wait for the bus; or the database is away", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The database does not answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/signals")]
async fn make_signal(
    by_hand: Data<ByHand>,
    http: HttpRequest,
    JsonBody(request): JsonBody<NewSignal>,
) -> Result<HttpResponse, Problem> {
    let key = idempotency_key(&http)?;
    let made = web::detached(async move { by_hand.make(request, key).await }).await??;
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/signals/{}", made.signal.signal.signal_id)));
    if made.replayed {
        answer.insert_header((web::REPLAYED, "true"));
    }
    Ok(answer.json(made.signal))
}

/// Longest key, in characters.
const MAX_KEY: usize = 128;

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut values = request.headers().get_all("idempotency-key");
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !visible || !(1..=MAX_KEY).contains(&key.len()) {
        return Err(ApiError::BadKey);
    }
    Ok(Some(key.to_owned()))
}
