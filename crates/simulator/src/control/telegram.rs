//! The people's side of Telegram: what they write and press, and what the bot sent them.

use ::web::{JsonBody, Problem};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::telegram::PersonError;
use crate::world::World;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .route("/control/telegram", web::get().to(overview))
        .route("/control/telegram/updates", web::post().to(inject_update))
        .route("/control/telegram/chats/{chat_id}/messages", web::get().to(messages))
        .route("/control/telegram/photos/{file_id}", web::get().to(photo));
}

/// What a person does: writes `text`, or presses a button of message `message_id` that carries `callback_data`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateRequest {
    /// Who; their private chat with the bot has the same id.
    pub user_id: i64,
    /// What they write.
    #[serde(default)]
    pub text: Option<String>,
    /// Data of the button they press.
    #[serde(default)]
    pub callback_data: Option<String>,
    /// The message with that button.
    #[serde(default)]
    pub message_id: Option<i64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct UpdateInjected {
    /// Id of the update; absent when the bot does not want such updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_id: Option<i64>,
    /// Id of the message that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// Id of the callback query that the press began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_query_id: Option<String>,
}

/// Whose messages are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Author {
    /// What the bot sent.
    #[default]
    Bot,
    /// What the person wrote.
    User,
    /// Both.
    All,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesQuery {
    #[serde(default)]
    from: Author,
}

/// A chat.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChatMessages {
    /// Whose chat.
    pub chat_id: i64,
    /// `Message` objects of the Bot API, oldest first, with whatever `reply_markup` they were sent with, and
    /// `edit_count`: how often the bot has edited them.
    #[schema(value_type = Vec<Object>)]
    pub messages: Vec<Value>,
    /// `ReplyKeyboardMarkup` that is shown.
    #[schema(value_type = Option<Object>)]
    pub reply_keyboard: Option<Value>,
}

fn problem(error: &PersonError) -> Problem {
    let (status, code) = match error {
        PersonError::UserId | PersonError::Text | PersonError::CallbackData => (StatusCode::BAD_REQUEST, "bad_update"),
        PersonError::NoSuchMessage { .. } => (StatusCode::NOT_FOUND, "unknown_message"),
        PersonError::TooManyChats => (StatusCode::CONFLICT, "too_many_chats"),
    };
    Problem::new(status, code, format!("{error}."))
}

/// Has a person write to the bot or press a button.
#[utoipa::path(
    post,
    path = "/control/telegram/updates",
    request_body = UpdateRequest,
    responses(
        (status = 201, description = "The update waits for the bot", body = UpdateInjected),
        (status = 415, description = "`unsupported_media_type`: no application/json, or encoded", body = ::web::ProblemBody, content_type = "application/problem+json"),
        (status = 400, description = "Neither a text nor a press of a button", body = ::web::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such message with buttons", body = ::web::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn inject_update(
    world: Data<World>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<HttpResponse, Problem> {
    let injected = match (request.text, request.callback_data, request.message_id) {
        (Some(text), None, None) => {
            let said = world.telegram.say(request.user_id, &text).map_err(|error| problem(&error))?;
            UpdateInjected { update_id: said.update_id, message_id: Some(said.message_id), callback_query_id: None }
        }
        (None, Some(data), Some(message_id)) => {
            let pressed = world.telegram.press(request.user_id, message_id, &data).map_err(|error| problem(&error))?;
            UpdateInjected {
                update_id: pressed.update_id,
                message_id: None,
                callback_query_id: Some(pressed.callback_query_id),
            }
        }
        _ => {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_update",
                "Send user_id with text, or user_id with callback_data and message_id.",
            ));
        }
    };
    Ok(HttpResponse::Created().json(injected))
}

/// Shows a chat; by default what the bot sent.
#[utoipa::path(
    get,
    path = "/control/telegram/chats/{chat_id}/messages",
    params(
        ("chat_id" = i64, Path, description = "Id of the chat, which is its person's"),
        ("from" = Option<Author>, Query, description = "Whose messages: bot (default), user or all"),
    ),
    responses((status = 200, description = "The chat", body = ChatMessages), (status = 404, description = "No such chat", body = ::web::ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn messages(
    world: Data<World>,
    chat_id: Path<i64>,
    query: Query<MessagesQuery>,
) -> Result<Json<ChatMessages>, Problem> {
    let chat_id = chat_id.into_inner();
    let wanted = |from_bot: bool| match query.from {
        Author::Bot => from_bot,
        Author::User => !from_bot,
        Author::All => true,
    };
    match world.telegram.read_chat(chat_id, wanted) {
        Some((messages, reply_keyboard)) => Ok(Json(ChatMessages { chat_id, messages, reply_keyboard })),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_chat",
            format!("User {chat_id} has not talked to the bot yet."),
        )),
    }
}

/// Shows the bot, the people who talk to it, and how it takes its updates.
#[utoipa::path(get, path = "/control/telegram", responses((status = 200, description = "The bot and its people")))]
pub(super) async fn overview(world: Data<World>) -> Json<Value> {
    Json(world.telegram.overview())
}

/// A photo that the bot sent.
#[utoipa::path(
    get,
    path = "/control/telegram/photos/{file_id}",
    params(("file_id" = String, Path, description = "`file_id` of the photo")),
    responses((status = 200, description = "The picture"), (status = 404, description = "No such photo (any more)", body = ::web::ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn photo(world: Data<World>, file_id: Path<String>) -> Result<HttpResponse, Problem> {
    let photo = world.telegram.photo(&file_id).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "unknown_photo", "There is no such photo; old ones are forgotten.")
    })?;
    Ok(HttpResponse::Ok()
        .content_type(photo.media_type)
        .insert_header((CACHE_CONTROL, "private, max-age=86400, immutable"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(photo.bytes))
}
