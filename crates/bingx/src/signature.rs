//! `signature`: lower-case hex HMAC-SHA256 of the query, its parameters sorted by name
//! (<https://bingx-api.github.io/docs/#/en-us/swapV2/authentication.html>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::SettingsError;

/// Parameters of a call. Their values are letters, digits, `.` and `-` only, so that the query is the same raw and
/// encoded: what is signed is what is sent.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// With one more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// `name=value&…`, sorted by the bytes of the names.
    fn raw(&self) -> String {
        let mut raw = String::new();
        for (name, value) in &self.0 {
            let and = if raw.is_empty() { "" } else { "&" };
            raw.extend([and, name, "=", value]);
        }
        raw
    }
}

/// Signs queries. It has no `Debug`: the key is in it.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    /// A signer with a secret key.
    pub(crate) fn new(secret_key: &SecretString) -> Result<Self, SettingsError> {
        let key = secret_key.expose_secret();
        if key.is_empty() {
            return Err(SettingsError::SecretKey);
        }
        // HMAC takes keys of any length.
        Hmac::new_from_slice(key.as_bytes()).map(Self).map_err(|_| SettingsError::SecretKey)
    }

    /// The query with its signature at the end.
    pub(crate) fn sign(&self, parameters: &Parameters) -> String {
        let mut query = parameters.raw();
        let signature = self.signature(&query);
        query.extend(["&signature=", &signature]);
        query
    }

    fn signature(&self, raw: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(raw.as_bytes());
        let mut hex = String::with_capacity(64);
        for byte in mac.finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: &str) -> Signer {
        Signer::new(&SecretString::from(key)).unwrap()
    }

    #[test]
    fn the_example_of_bingx_itself() {
        // Key, query and signature as https://bingx-api.github.io/docs/spot/authentication.html states them; spot and
        // swap sign alike.
        let raw = "quoteOrderQty=20&side=BUY&symbol=ETHUSDT&timestamp=1649404670162&type=MARKET";
        let key = "UuGuyEGt6ZEkpUObCYCmIfh0elYsZVh80jlYwpJuRZEw70t6vomMH7Sjmf94ztSI";
        assert_eq!(signer(key).signature(raw), "428a3c383bde514baff0d10d3c20e5adfaacaf799e324546dafe5ccc480dd827");
    }

    #[test]
    fn vectors_made_with_openssl() {
        // printf '%s' "$QUERY" | openssl dgst -sha256 -hmac "$KEY"
        let key = "simulated-secret-key";
        for (raw, signature) in [
            ("timestamp=1702731418000", "36bcd3f6bbaf8d70211feb44230e22c6e5dbbbf4ad66912c0d1122589027627e"),
            (
                "clientOrderId=4bf92f3577b34da6a3ce929d0e0e4736&positionSide=BOTH&quantity=0.0125&recvWindow=5000&side=SELL&symbol=BTC-USDT&timestamp=1702731418000&type=MARKET",
                "afba64e78c6c3e94394182194d93a2f8e2430b0ddec3920685011502b653280f",
            ),
        ] {
            assert_eq!(signer(key).signature(raw), signature, "{raw}");
        }
        // A key longer than a block of SHA-256 is hashed first.
        assert_eq!(
            signer(&"k".repeat(100)).signature("timestamp=1"),
            "09ccfa63841732503bd5471525e6ac48258c38120ab29aa5f00b9fe286a08ff0"
        );
    }

    #[test]
    fn parameters_are_sorted_by_bytes_and_the_signature_comes_last() {
        let parameters = Parameters::default().with("b", "2").with("a", "1").with("Z", "0");
        assert_eq!(parameters.raw(), "Z=0&a=1&b=2");
        let signed = signer("k").sign(&parameters);
        let (raw, signature) = signed.split_once("&signature=").unwrap();
        assert_eq!((raw, signature.len()), ("Z=0&a=1&b=2", 64));
        assert!(signature.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }

    #[test]
    fn no_key_signs_nothing() {
        assert_eq!(Signer::new(&SecretString::from("")).err(), Some(SettingsError::SecretKey));
    }
}
