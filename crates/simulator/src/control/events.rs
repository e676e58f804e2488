//! What happens in the chats, live, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Bytes, Data, Query, ServiceConfig};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::telegram::PageEvent;
use crate::world::World;

/// A comment so often keeps the connection alive and tells a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn configure(config: &mut ServiceConfig) {
    config.route("/control/telegram/events", web::get().to(watch));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    chat_id: Option<i64>,
}

/// Watches the chats: events `message`, `edit`, `callback_answer`, `chat_action`, `commands`, and `resync` when the
/// watcher was too slow and has to load the chat anew.
#[utoipa::path(
    get,
    path = "/control/telegram/events",
    params(("chat_id" = Option<i64>, Query, description = "Only this chat")),
    responses((status = 200, description = "text/event-stream"))
)]
pub(super) async fn watch(world: Data<World>, query: Query<EventsQuery>) -> HttpResponse {
    let events = world.telegram.events();
    let chat_id = query.chat_id;
    // A first comment, so that the watcher knows that nothing will be missed from now on.
    let begin = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b": watching\n\n")) });
    let rest = stream::unfold((world, events), move |(world, mut events)| async move {
        let chunk = tokio::select! {
            chunk = next(&mut events, chat_id) => chunk,
            () = world.stop.cancelled() => None,
        }?;
        Some((Ok::<_, Infallible>(chunk), (world, events)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(futures_util::StreamExt::chain(begin, Box::pin(rest)))
}

async fn next(events: &mut Receiver<PageEvent>, chat_id: Option<i64>) -> Option<Bytes> {
    loop {
        match tokio::time::timeout(HEARTBEAT, events.recv()).await {
            Err(_elapsed) => return Some(Bytes::from_static(b": alive\n\n")),
            Ok(Err(RecvError::Closed)) => return None,
            Ok(Err(RecvError::Lagged(_))) => return Some(Bytes::from_static(b"event: resync\ndata: {}\n\n")),
            Ok(Ok(event)) => {
                let wanted = chat_id.is_none() || event.chat_id.is_none() || event.chat_id == chat_id;
                if wanted {
                    // JSON on one line: serde_json escapes line ends.
                    return Some(Bytes::from(format!("event: {}\ndata: {}\n\n", event.name, event.data)));
                }
            }
        }
    }
}
