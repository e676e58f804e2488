//! Tokens of hooks: the secret part of a webhook's path.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// What every token begins with, so that one that leaked is found for what it is.
const PREFIX: &str = "tv_";

/// A new token: 256 random bits, so that a plain digest is as good as a slow one.
pub(crate) fn make() -> SecretString {
    let secret: [u8; 32] = rand::rng().random();
    SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
}

/// What is kept of a token, from which it cannot be told.
pub(crate) fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn tokens_differ_and_fit_into_a_path() {
        let (one, other) = (make(), make());
        let (one, other) = (one.expose_secret(), other.expose_secret());
        assert!(one != other && one.len() == 46 && one.starts_with(PREFIX), "{one}");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{one}");
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "FIPS 180-2");
    }
}
