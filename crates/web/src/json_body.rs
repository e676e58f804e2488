//! The JSON body of a request: an object of its media type, and what is wrong with it in words for people.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Bytes;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Problem;
use crate::plain_words::wrong_in_body;

/// Largest body that is taken, found among the application's data: the extractor's own limit cannot be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// Extracts a JSON object, with Content-Type: application/json and no Content-Encoding.
///
/// actix's own `Json` takes more: derived code reads a struct from an array too, by position, so that a request could
/// mean something that no description of the API says.
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if let Err(problem) = check_json_headers(request) {
            return Box::pin(async { Err(problem) });
        }
        let limit = request.app_data::<BodyLimit>().copied();
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            let bytes = bytes.await.map_err(|error| unread(&error, limit))?;
            read(&bytes).map(Self)
        })
    }
}

/// Whether a request's body says of itself that it is plain JSON.
///
/// # Errors
/// 415 `unsupported_media_type` with what is taken instead.
pub fn check_json_headers(request: &HttpRequest) -> Result<(), Problem> {
    let refused =
        |words: &str| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", words.to_owned()));
    let plain = request.headers().get_all(CONTENT_ENCODING).all(|codings| {
        codings.to_str().is_ok_and(|codings| codings.split(',').all(|one| one.trim().eq_ignore_ascii_case("identity")))
    });
    if !plain {
        return refused("The body must not be compressed or encoded: send it without Content-Encoding.");
    }
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return refused("The body must be JSON with Content-Type: application/json.");
    }
    Ok(())
}

/// A body that could not be read; that it took too long is told by whoever watches its time.
fn unread(error: &Error, limit: Option<BodyLimit>) -> Problem {
    if !matches!(error.as_error(), Some(PayloadError::Overflow)) {
        return Problem::new(StatusCode::BAD_REQUEST, "bad_body", "The body could not be read.");
    }
    let detail = match limit {
        Some(BodyLimit(limit)) => format!("The body is too large; at most {limit} bytes are taken."),
        None => "The body is larger than what is taken.".to_owned(),
    };
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bad = |code, detail: String| Err(Problem::new(StatusCode::BAD_REQUEST, code, detail));
    let no_json = |error: serde_json::Error| match error.is_eof() {
        true => bad("bad_json", "The body is empty or ends too early; JSON is expected.".to_owned()),
        false => bad("bad_json", format!("The body is no valid JSON: {error}.")),
    };
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => bad("bad_body", "The body must be a JSON object, like {\"name\": \"value\"}.".to_owned()),
            Err(error) => no_json(error),
        };
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.is_data() => {
            bad("bad_body", format!("The body is not what this call takes: {}.", wrong_in_body(&error, bytes)))
        }
        Err(error) => no_json(error),
    }
}
