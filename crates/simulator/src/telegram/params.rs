//! Parameters of a method: from the query, a JSON object, a form, or multipart/form-data with files.

use std::collections::HashMap;

use actix_multipart::Multipart;
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::BotError;
use super::photo::MOST_PHOTO_BYTES;

/// Body of a call: a photo and the text around it.
const MOST_BODY_BYTES: usize = MOST_PHOTO_BYTES + 1024 * 1024;
/// Parameters of a call; no method has as many.
const MOST_PARAMETERS: usize = 100;

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Params {
    fields: HashMap<String, Value>,
    files: HashMap<String, Bytes>,
}

fn too_large() -> BotError {
    BotError::new(413, "Request Entity Too Large")
}

impl Params {
    /// Reads a request; what the body says wins over the query.
    pub(super) async fn read(request: &HttpRequest, body: Payload) -> Result<Self, BotError> {
        let mut params = Self::default();
        params.take_form(request.query_string().as_bytes())?;
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => {
                let body = whole(body).await?;
                if !body.is_empty() {
                    params.take_json(&body)?;
                }
            }
            "application/x-www-form-urlencoded" => params.take_form(&whole(body).await?)?,
            "multipart/form-data" => params.take_multipart(Multipart::new(request.headers(), body)).await?,
            // Telegram's server ignores bodies of other types.
            _ => drop(whole(body).await?),
        }
        Ok(params)
    }

    /// Parameters that a webhook put into its answer.
    pub(super) fn from_object(object: serde_json::Map<String, Value>) -> Self {
        Self { fields: object.into_iter().collect(), files: HashMap::new() }
    }

    fn take_json(&mut self, body: &[u8]) -> Result<(), BotError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) if object.len() <= MOST_PARAMETERS => {
                self.fields.extend(object);
                Ok(())
            }
            Ok(Value::Object(_)) => Err(BotError::new(413, "Request Entity Too Large: too many parameters")),
            Ok(_) => Err(BotError::bad("JSON object expected")),
            Err(error) => Err(BotError::bad(format!("can't parse parameter value: {error}"))),
        }
    }

    fn take_form(&mut self, form: &[u8]) -> Result<(), BotError> {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_bytes(form).map_err(|_| BotError::bad("can't parse parameter value: no UTF-8"))?;
        if pairs.len() > MOST_PARAMETERS {
            return Err(BotError::new(413, "Request Entity Too Large: too many parameters"));
        }
        self.fields.extend(pairs.into_iter().map(|(name, value)| (name, Value::String(value))));
        Ok(())
    }

    async fn take_multipart(&mut self, mut parts: Multipart) -> Result<(), BotError> {
        let mut left = MOST_BODY_BYTES;
        while let Some(part) = parts.next().await {
            let mut part = part.map_err(|_| BotError::bad("can't parse form data headers"))?;
            let disposition = part.content_disposition();
            let is_file = disposition.is_some_and(|disposition| disposition.get_filename().is_some());
            let name = disposition.and_then(|disposition| disposition.get_name()).map(str::to_owned);
            let name = name.ok_or_else(|| BotError::bad("field name in multipart/form-data not found"))?;
            let mut content = BytesMut::new();
            while let Some(chunk) = part.next().await {
                let chunk = chunk.map_err(|_| BotError::bad("unexpected end of request content"))?;
                left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
                content.extend_from_slice(&chunk);
            }
            if self.fields.len() + self.files.len() >= MOST_PARAMETERS {
                return Err(BotError::new(413, "Request Entity Too Large: too many parameters in form data"));
            }
            if is_file {
                self.files.insert(name, content.freeze());
            } else {
                let text = String::from_utf8(content.to_vec())
                    .map_err(|_| BotError::bad("can't parse parameter value: no UTF-8"))?;
                self.fields.insert(name, Value::String(text));
            }
        }
        Ok(())
    }

    /// A parameter as text, as Telegram's server sees it: empty when it is not there.
    pub(super) fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A whole number; anything else is 0 on the real server, here it is `None`.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).trim().parse().ok()
    }

    /// `true`, `yes` or `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).trim().to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }

    /// A parameter that is JSON: itself within a JSON body, as text elsewhere. `Err` when the text is no such JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some),
            Some(value) => T::deserialize(value).map(Some),
        }
    }

    /// A file: the part of that name, or the part that `attach://` names.
    pub(super) fn file(&self, name: &str) -> Option<&Bytes> {
        let attached = self.text(name);
        self.files.get(attached.strip_prefix("attach://").unwrap_or(name))
    }
}

async fn whole(mut body: Payload) -> Result<Bytes, BotError> {
    let mut content = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| BotError::bad("unexpected end of request content"))?;
        if content.len() + chunk.len() > MOST_BODY_BYTES {
            return Err(too_large());
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content.freeze())
}
