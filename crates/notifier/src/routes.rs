//! The HTTP API of notifier-service.

use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{get, post};
use domain::{AskRequest, AskResponse, Symbol, SymbolList};
use utoipa::OpenApi;
use web::{JsonBody, LocalNames, Problem, ProblemBody};

use crate::ask::{Asker, Channel};
use crate::backends::Backends;
use crate::error::AskRefused;
use crate::question::{self, Intent, MAX_SYMBOLS};
use crate::symbols::KnownSymbols;

/// Characters of a question that are taken.
const MAX_QUESTION_CHARS: usize = 500;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) asker: Asker,
    pub(crate) backends: Backends,
    pub(crate) symbols: KnownSymbols,
    pub(crate) default_symbol: Symbol,
}

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "notifier-service",
        description = "Asks market data and decision, and answers: over HTTP and in Telegram."
    ),
    paths(ask, list_symbols, crate::bot::webhook::webhook)
)]
pub(crate) struct ApiDescription;

/// Whoever can call this service can write to its chats: no page of others in this machine's browser is to be one of them.
/// Telegram's updates come through a proxy, under a public name, with a secret of their own.
pub(crate) const NAMES: LocalNames = LocalNames::except(&["/telegram/webhook"]);

/// Adds the routes.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.app_data(NAMES).service(ask).service(list_symbols);
}

/// What to do about one or several symbols.
///
/// The whole ask is one trace, whose id the reply carries. A symbol that fails is refused beside the others' answers;
/// when all fail, the reply is the first one's problem.
#[utoipa::path(
    request_body = AskRequest,
    responses(
        (status = 200, body = AskResponse),
        (status = 400, description = "A body, question or symbol that cannot be read", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "A symbol that is not served; the problem names those that are", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "What decision-service cannot decide on, such as `not_enough_candles`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "A service or the exchange answered with an error; the problem's `upstream` names it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "A service or the exchange is away, or its price is too old", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/ask")]
pub(crate) async fn ask(
    state: Data<State>,
    JsonBody(request): JsonBody<AskRequest>,
) -> Result<Json<AskResponse>, Problem> {
    let symbols = symbols_of(&state, &request)?;
    let asked = state.asker.ask(&symbols, request.strategy, Channel::Http).await;
    asked.into_response().map(Json)
}

fn symbols_of(state: &State, request: &AskRequest) -> Result<Vec<Symbol>, AskRefused> {
    if !request.symbols.is_empty() {
        if request.question.is_some() {
            return Err(AskRefused::Both);
        }
        let mut distinct: Vec<Symbol> = Vec::new();
        for symbol in &request.symbols {
            if !distinct.contains(symbol) {
                distinct.push(symbol.clone());
            }
        }
        let named = distinct.len();
        return if named > MAX_SYMBOLS { Err(AskRefused::TooMany { named }) } else { Ok(distinct) };
    }
    let Some(question) = &request.question else {
        return Ok(vec![state.default_symbol.clone()]);
    };
    if question.chars().count() > MAX_QUESTION_CHARS {
        return Err(AskRefused::TooLong { limit: MAX_QUESTION_CHARS });
    }
    match question::read(question, &state.symbols.vocabulary(), None) {
        Intent::Ask(symbols) => Ok(symbols),
        Intent::AskDefault => Ok(vec![state.default_symbol.clone()]),
        Intent::TooMany { named } => Err(AskRefused::TooMany { named }),
        Intent::Start | Intent::Help | Intent::Command(_) | Intent::Unknown => Err(AskRefused::UnknownQuestion),
    }
}

/// The symbols that can be asked about.
#[utoipa::path(responses(
    (status = 200, body = SymbolList),
    (status = 502, description = "market-data-service answered with an error", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "market-data-service is away, or does not know its symbols yet", body = ProblemBody, content_type = "application/problem+json"),
    (status = 504, description = "No answer in time", body = ProblemBody, content_type = "application/problem+json"),
))]
#[get("/v1/symbols")]
pub(crate) async fn list_symbols(state: Data<State>) -> Result<Json<SymbolList>, Problem> {
    let mut list = state.backends.symbols().await?;
    state.symbols.learn(&list);
    list.trace_id = telemetry::trace_id();
    Ok(Json(list))
}
