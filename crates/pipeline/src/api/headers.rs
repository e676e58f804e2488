//! Headers that say on what condition something is done.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH};

use super::error::ApiError;

/// Name of the header that makes trying again harmless.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longest key.
const MAX_KEY: usize = 128;

/// A revision as an `ETag`.
pub(crate) fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// The revision that `If-Match` names; none for `*`, which is any.
pub(crate) fn expected_revision(request: &HttpRequest) -> Result<Option<i64>, ApiError> {
    let mut values = request.headers().get_all(IF_MATCH);
    let value = values.next().ok_or(ApiError::NoIfMatch)?;
    if values.next().is_some() {
        return Err(ApiError::BadIfMatch);
    }
    let text = value.to_str().map_err(|_| ApiError::BadIfMatch)?.trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(ApiError::BadIfMatch)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::BadIfMatch);
    }
    digits.parse().map(Some).map_err(|_| ApiError::BadIfMatch)
}

/// What `Idempotency-Key` says, if there is one.
pub(crate) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !visible || !(1..=MAX_KEY).contains(&key.len()) {
        return Err(ApiError::BadKey);
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_one_etag_or_a_star_is_a_condition() {
        let read =
            |value: &str| expected_revision(&TestRequest::put().insert_header(("if-match", value)).to_http_request());
        assert!(matches!(read("\"3\""), Ok(Some(3))));
        assert!(matches!(read("*"), Ok(None)));
        for bad in
            ["3", "\"\"", "\"", "\"-1\"", "\"+1\"", "W/\"3\"", "\"3\", \"4\"", "\"99999999999999999999\"", "\"x\""]
        {
            assert!(matches!(read(bad), Err(ApiError::BadIfMatch)), "{bad}");
        }
        let missing = expected_revision(&TestRequest::put().to_http_request());
        assert!(matches!(missing, Err(ApiError::NoIfMatch)));
    }
}
