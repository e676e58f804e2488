//! Who may send alerts, and who may look after hooks and signals.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use web::{Problem, StartError};

use crate::config::AccessSettings;

/// Header that carries the key of whoever manages from elsewhere.
const API_KEY: &str = "x-api-key";

/// Headers that a proxy adds: what comes through one comes from elsewhere, whatever the socket says.
const FORWARDING: [&str; 6] =
    ["x-forwarded-for", "forwarded", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// The rules.
#[derive(Clone)]
pub(crate) struct Access {
    sources: Vec<IpNet>,
    trusted: Vec<IpNet>,
    /// SHA-256 of the key.
    admin_key: Option<[u8; 32]>,
}

/// Nobody else's address may send alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceNotAllowed;

impl Access {
    /// The rules as the settings have them.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub(crate) fn new(settings: &AccessSettings) -> Result<Self, StartError> {
        let key = admin_key(settings.admin_key.as_ref(), settings.admin_key_file.as_deref())?;
        Ok(Self {
            sources: settings.sources(),
            trusted: web::Network::all(&settings.trusted_proxies),
            admin_key: key.map(|key| digest(key.expose_secret())),
        })
    }

    /// Where a request comes from, behind whatever proxy that is trusted.
    pub(crate) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> IpAddr {
        web::client_address(peer, headers, &self.trusted)
    }

    /// Whether alerts are taken from where this one comes from.
    pub(crate) fn may_send(&self, request: &HttpRequest) -> Result<(), SourceNotAllowed> {
        let client = self.client(request.peer_addr(), request.headers());
        let listed = self.sources.is_empty() || self.sources.iter().any(|network| network.contains(&client));
        if listed { Ok(()) } else { Err(SourceNotAllowed) }
    }

    /// Whether a request may look after hooks and read signals: it has the key, or comes from this very machine, through
    /// no proxy, and calls it by a name of its own, which a page of somebody else's in this machine's browser does not.
    ///
    /// # Errors
    /// 403 `management_not_allowed`.
    pub(crate) fn may_manage(&self, request: &HttpRequest) -> Result<(), Problem> {
        let headers = request.headers();
        let presented = headers.get(API_KEY).map(|key| digest_bytes(key.as_bytes()));
        let has_key = match (&self.admin_key, presented) {
            (Some(known), Some(presented)) => bool::from(known.ct_eq(&presented)),
            _ => false,
        };
        let near = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
            && !FORWARDING.iter().any(|name| headers.contains_key(*name))
            && web::is_local_name(request.head());
        if has_key || near {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "management_not_allowed",
            "Hooks and signals are looked after from the machine of signal-service itself, through no proxy, or with the key \
             that SIGNAL_ADMIN_KEY sets, as 'X-API-Key: KEY'.",
        ))
    }
}

fn digest(text: &str) -> [u8; 32] {
    digest_bytes(text.as_bytes())
}

fn digest_bytes(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The key from its file, or else from its variable; an empty variable is none.
fn admin_key(value: Option<&SecretString>, file: Option<&Path>) -> Result<Option<SecretString>, StartError> {
    let (setting, key) = match file {
        None => ("SIGNAL_ADMIN_KEY", value.cloned()),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| StartError::Setting {
                setting: "SIGNAL_ADMIN_KEY_FILE",
                reason: format!("{} cannot be read: {error}", file.display()),
            })?;
            ("SIGNAL_ADMIN_KEY_FILE", Some(SecretString::from(text.trim())))
        }
    };
    let Some(key) = key.filter(|key| file.is_some() || !key.expose_secret().is_empty()) else { return Ok(None) };
    let text = key.expose_secret();
    if !(16..=256).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = "the key has 16 to 256 visible ASCII characters ('openssl rand -hex 32' makes one)".to_owned();
        return Err(StartError::Setting { setting, reason });
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn access(key: Option<&str>) -> Access {
        Access::new(&AccessSettings { admin_key: key.map(SecretString::from), ..AccessSettings::default() }).unwrap()
    }

    fn request(peer: &str, headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let request = TestRequest::get().peer_addr(format!("{peer}:4711").parse().unwrap());
        headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    #[test]
    fn this_machine_and_the_key_may_manage() {
        let (open, keyed) = (access(None), access(Some(KEY)));
        for access in [&open, &keyed] {
            for peer in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
                assert!(access.may_manage(&request(peer, &[("host", "localhost:8000")])).is_ok(), "{peer}");
            }
            for headers in [
                &[("x-forwarded-for", "127.0.0.1")][..],
                &[("forwarded", "for=127.0.0.1")],
                &[("via", "1.1 proxy")],
                &[("x-real-ip", "192.0.2.1")],
                &[("host", "signals.example.org")],
                &[("x-forwarded-for", ""), ("x-api-key", "0123456789abcdeX")],
            ] {
                let problem = access.may_manage(&request("127.0.0.1", headers)).unwrap_err();
                assert_eq!((problem.status().as_u16(), problem.code()), (403, "management_not_allowed"), "{headers:?}");
            }
            assert!(access.may_manage(&request("192.0.2.1", &[("host", "localhost")])).is_err());
        }
        let with_key = request("192.0.2.1", &[("host", "signals.example.org"), ("x-api-key", KEY)]);
        assert!(keyed.may_manage(&with_key).is_ok() && open.may_manage(&with_key).is_err());
        assert!(keyed.may_manage(&request("192.0.2.1", &[("x-api-key", "")])).is_err());
    }

    #[test]
    fn a_key_that_anybody_guesses_is_refused_and_not_repeated() {
        for bad in ["short", "0123456789 abcdef", "0123456789\u{e4}bcdef"] {
            let settings = AccessSettings { admin_key: Some(SecretString::from(bad)), ..AccessSettings::default() };
            let error = Access::new(&settings).err().unwrap().to_string();
            assert!(error.contains("SIGNAL_ADMIN_KEY") && !error.contains(bad), "{error}");
        }
        assert!(access(Some("")).admin_key.is_none());
        let missing = AccessSettings { admin_key_file: Some("no-such-file".into()), ..AccessSettings::default() };
        assert!(Access::new(&missing).err().unwrap().to_string().contains("no-such-file"));
    }
}
