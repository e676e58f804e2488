//! Updates, read one by one so that one that cannot be read does not hold up the others.
//!
//! Frankenstein's `get_updates` reads the whole batch as one value: an update of a kind it does not know yet would make
//! every poll fail for 24 hours.

use frankenstein::AsyncTelegramApi;
use frankenstein::methods::GetUpdatesParams;
use frankenstein::response::MethodResponse;
use frankenstein::types::AllowedUpdate;
use frankenstein::updates::Update;
use serde_json::Value;

use crate::{Client, Error};

/// Which updates are wanted.
#[derive(Debug, Clone)]
pub struct UpdatesRequest {
    /// Id of the first update wanted; everything before it is confirmed, that is, forgotten by Telegram.
    pub offset: i64,
    /// How many seconds Telegram may hold the answer back while there is nothing to tell.
    pub hold_seconds: u32,
    /// Most updates in one answer, 1 to 100.
    pub limit: u32,
    /// Kinds of updates that are wanted.
    pub allowed: Vec<AllowedUpdate>,
}

/// An update, or what is known of one that cannot be read.
#[derive(Debug, Clone)]
pub struct IncomingUpdate {
    /// Its id, by which it is confirmed.
    pub id: i64,
    /// Its content, or why it cannot be read (without its content).
    pub update: Result<Box<Update>, String>,
}

/// Reads one update, from a poll or from a webhook's body.
///
/// # Errors
/// When it has no `update_id`: then it cannot even be confirmed.
pub fn read_update(json: Value) -> Result<IncomingUpdate, Error> {
    let id = json
        .get("update_id")
        .and_then(Value::as_i64)
        .ok_or_else(|| Error::Malformed { detail: "an update without update_id".to_owned() })?;
    let kind = kind(&json);
    let update = serde_json::from_value(json)
        .map(Box::new)
        .map_err(|_content_is_private| format!("an update of kind {kind} in a shape that is not known"));
    Ok(IncomingUpdate { id, update })
}

/// Name of the one field beside `update_id`, bounded.
fn kind(json: &Value) -> String {
    let fields = json.as_object().into_iter().flat_map(|object| object.keys());
    let name = fields.into_iter().find(|key| *key != "update_id").map_or("none", String::as_str);
    name.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect()
}

impl Client {
    /// Polls for updates. Those that cannot be read are in the answer too, so that they can be confirmed and skipped.
    ///
    /// # Errors
    /// As any call; [`Error::Conflict`] when another process polls with the same token.
    pub async fn poll_updates(&self, request: &UpdatesRequest) -> Result<Vec<IncomingUpdate>, Error> {
        let params = GetUpdatesParams::builder()
            .offset(request.offset)
            .timeout(request.hold_seconds)
            .limit(request.limit)
            .allowed_updates(request.allowed.clone())
            .build();
        let answer: MethodResponse<Vec<Value>> = self.request("getUpdates", Some(params)).await?;
        answer.result.into_iter().map(read_update).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_update() {
        let json = serde_json::json!({"update_id": 7, "message": {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}, "text": "hi"}});
        let incoming = read_update(json).unwrap();
        assert_eq!(incoming.id, 7);
        assert_eq!(incoming.update.unwrap().update_id, 7);
    }

    #[test]
    fn keeps_the_id_of_what_it_cannot_read() {
        let incoming = read_update(serde_json::json!({"update_id": 8, "hologram": {"text": "private"}})).unwrap();
        assert_eq!(incoming.id, 8);
        assert_eq!(incoming.update.unwrap_err(), "an update of kind hologram in a shape that is not known");
        assert!(read_update(serde_json::json!({"message": {}})).is_err());
        assert!(read_update(serde_json::json!(3)).is_err());
    }
}
