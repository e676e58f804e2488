//! `POST /v1/notices`: what people are told of trading, once, in every chat that is told.

use actix_web::http::StatusCode;
use actix_web::post;
use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{Either, HttpResponse};
use chrono::Utc;
use domain::trading::{TradeEvent, TradeNotice};
use serde::{Deserialize, Serialize};
use storage::StorageError;
use telemetry::metrics::notifier::NOTICES;
use utoipa::OpenApi;
use web::{JsonBody, Problem, ProblemBody};

use crate::bot;
use crate::outbox::{Outbox, Said};

/// Longest id of a notice, in characters.
const MAX_ID: usize = 200;

/// Who is told, and where it is written down; nobody while the bot is off.
#[derive(Clone)]
pub(crate) struct Notices {
    told: Option<(Outbox, Vec<i64>)>,
}

/// What becomes of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeOutcome {
    /// It is written down and will be told.
    Queued,
    /// It was taken before; nothing is told twice.
    Repeated,
    /// Nobody is to be told.
    NoRecipients,
    /// The bot is off: nobody can be told.
    BotOff,
}

impl NoticeOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Repeated => "repeated",
            Self::NoRecipients => "no_recipients",
            Self::BotOff => "bot_off",
        }
    }
}

/// Reply of `POST /v1/notices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NoticeReceipt {
    /// Which notice.
    pub notice_id: String,
    /// What becomes of it.
    pub outcome: NoticeOutcome,
    /// Chats that are told.
    pub chats: u32,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// The description of this part of the API.
#[derive(OpenApi)]
#[openapi(paths(take), components(schemas(ProblemBody)))]
pub(crate) struct ApiDescription;

/// Adds the route.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(take);
}

impl Notices {
    /// Tells these chats.
    pub(crate) const fn to(outbox: Outbox, chats: Vec<i64>) -> Self {
        Self { told: Some((outbox, chats)) }
    }

    /// Tells nobody: the bot is off. A notice is taken all the same, so that whoever sends it does not keep it for a bot
    /// that may never be there; that it is not told is counted.
    pub(crate) const fn off() -> Self {
        Self { told: None }
    }

    async fn tell(&self, notice: &TradeNotice) -> Result<(NoticeOutcome, usize), StorageError> {
        let Some((outbox, chats)) = &self.told else { return Ok((NoticeOutcome::BotOff, 0)) };
        if chats.is_empty() {
            return Ok((NoticeOutcome::NoRecipients, 0));
        }
        let drafts = bot::notice_drafts(notice, chats, Utc::now());
        match outbox.say(&format!("notice:{}", notice.notice_id), &drafts).await? {
            Said::Now => Ok((NoticeOutcome::Queued, chats.len())),
            Said::Before => Ok((NoticeOutcome::Repeated, 0)),
        }
    }
}

/// Tell people what happened in trading.
///
/// It is written down for every chat that is told, all or nothing, before the answer: an order is one message a chat, which
/// is edited by later notices of the same order. The same `notice_id` is told once, and pictures of an order that are
/// older than what was told (by `revision`) are not told. Refusals by one limit of one hook's signals are one message a
/// chat for ten minutes, which counts them. While more than twenty orders' messages wait in a chat, orders that finish and
/// have no message yet are lines of one. What a pipeline tells is a message of its own. What somebody waits for, an order to be confirmed and the bot's replies, goes
/// before what else a chat is told. While the bot is off a notice is taken and not told.
#[utoipa::path(
    tag = "notices",
    request_body = TradeNotice,
    responses(
        (status = 202, description = "It is written down and will be told", body = NoticeReceipt),
        (status = 200, description = "Nothing more is told: it was taken before, nobody is to be told, or the bot is off", body = NoticeReceipt),
        (status = 400, description = "`bad_json`, `bad_body`, `bad_notice_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`database_away`: it is not written down; send it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "`database_timeout`: it is not known whether it is written down; send it again", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/notices")]
pub(crate) async fn take(
    notices: Data<Notices>,
    JsonBody(notice): JsonBody<TradeNotice>,
) -> Result<Either<Json<NoticeReceipt>, HttpResponse>, Problem> {
    let id = &notice.notice_id;
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("A notice_id has 1 to {MAX_ID} letters, digits and marks of ASCII, without spaces.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_notice_id", detail));
    }
    let kind = match notice.event {
        TradeEvent::Order { .. } => "order",
        TradeEvent::Refusal { .. } => "refusal",
        TradeEvent::State { .. } => "state",
        TradeEvent::PositionDifference { .. } => "position",
        TradeEvent::Pipeline(_) => "pipeline",
    };
    let (outcome, chats) = notices.tell(&notice).await?;
    NOTICES.add(1, &[("kind", kind), ("outcome", outcome.as_str())]);
    let receipt = NoticeReceipt {
        notice_id: notice.notice_id,
        outcome,
        chats: u32::try_from(chats).unwrap_or(u32::MAX),
        trace_id: telemetry::trace_id(),
    };
    Ok(match outcome {
        NoticeOutcome::Queued => Either::Right(HttpResponse::Accepted().json(receipt)),
        _ => Either::Left(Json(receipt)),
    })
}
