//! Who calls, and when: key, signature and timestamp of a call.

use actix_web::HttpRequest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::error::ApiError;
use super::params::Params;

/// `recvWindow` where the call gives none, and the longest there is, in milliseconds.
const RECV_WINDOW_MS: i64 = 5_000;
/// How far a caller's clock may be ahead, in milliseconds.
const AHEAD_MS: i64 = 1_000;

/// The one account's keys.
pub(super) struct Keys {
    pub(super) api_key: SecretString,
    pub(super) secret_key: SecretString,
}

impl Keys {
    /// The parameters of a call by the account's owner.
    pub(super) fn admit(&self, request: &HttpRequest, now_ms: i64) -> Result<Params, ApiError> {
        let key = request.headers().get("x-bx-apikey").and_then(|key| key.to_str().ok()).unwrap_or_default();
        if key != self.api_key.expose_secret() {
            return Err(ApiError::api_key());
        }
        let (signed, signature) = take_signature(request.query_string()).ok_or_else(ApiError::signature)?;
        self.verify(&signed, signature)?;
        let params = Params::read(&signed)?;
        let timestamp: i64 = params.number("timestamp")?.ok_or_else(ApiError::timestamp)?;
        let window = params.number("recvWindow")?.unwrap_or(RECV_WINDOW_MS);
        if !(1..=RECV_WINDOW_MS).contains(&window) {
            return Err(ApiError::parameter("recvWindow is from 1 to 5000"));
        }
        let age = now_ms.saturating_sub(timestamp);
        if age > window || age < -AHEAD_MS { Err(ApiError::timestamp()) } else { Ok(params) }
    }

    fn verify(&self, signed: &str, signature: &str) -> Result<(), ApiError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret_key.expose_secret().as_bytes())
            .map_err(|_| ApiError::signature())?;
        mac.update(signed.as_bytes());
        let bytes = unhex(signature).ok_or_else(ApiError::signature)?;
        mac.verify_slice(&bytes).map_err(|_| ApiError::signature())
    }
}

/// The query without its signature, as it came, and the signature.
fn take_signature(query: &str) -> Option<(String, &str)> {
    let mut signature = None;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("signature=") {
            Some(value) => {
                signature = Some(value);
                false
            }
            None => true,
        })
        .collect();
    Some((rest.join("&"), signature?))
}

/// 64 lower-case hex digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn keys() -> Keys {
        Keys { api_key: "key".into(), secret_key: "secret".into() }
    }

    fn admit(query: &str, now_ms: i64) -> Result<Params, ApiError> {
        let uri = format!("/openApi/swap/v2/user/balance?{query}");
        keys().admit(&TestRequest::get().uri(&uri).insert_header(("X-BX-APIKEY", "key")).to_http_request(), now_ms)
    }

    // printf '%s' 'recvWindow=2000&timestamp=100000' | openssl dgst -sha256 -hmac secret
    const SIGNED: &str =
        "recvWindow=2000&timestamp=100000&signature=039950747b83ed0651c279f0815a03f6ffdc7c23931d40b49b4a5c3c8efad8f9";

    #[test]
    fn a_signature_holds_for_its_query_and_its_time() {
        assert!(admit(SIGNED, 100_000).is_ok());
        assert!(admit(SIGNED, 102_000).is_ok() && admit(SIGNED, 99_000).is_ok());
        assert_eq!(admit(SIGNED, 102_001).err(), Some(ApiError::timestamp()));
        assert_eq!(admit(SIGNED, 98_999).err(), Some(ApiError::timestamp()));
        assert_eq!(admit(&SIGNED.replace("2000", "2001"), 100_000).err(), Some(ApiError::signature()));
        assert_eq!(admit("recvWindow=2000&timestamp=100000", 100_000).err(), Some(ApiError::signature()));
        assert_eq!(
            admit(&SIGNED.to_uppercase().replace("SIGNATURE", "signature"), 1).err(),
            Some(ApiError::signature())
        );
        let stranger = TestRequest::get().uri(&format!("/?{SIGNED}")).insert_header(("X-BX-APIKEY", "other"));
        assert_eq!(keys().admit(&stranger.to_http_request(), 100_000).err(), Some(ApiError::api_key()));
    }

    #[test]
    fn hex_is_pairs_of_lower_case_digits() {
        assert_eq!(unhex("00ff1a"), Some(vec![0, 255, 26]));
        assert!(unhex("0").is_none() && unhex("FF").is_none() && unhex("xy").is_none());
    }
}
