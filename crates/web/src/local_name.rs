//! By which name this machine is called.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::header;
use actix_web::http::uri::Authority;

/// Whether a request calls this machine by a name that can be no other's.
#[must_use]
pub fn is_local_name(request: &RequestHead) -> bool {
    let named = match request.headers().get(header::HOST) {
        Some(host) => host.to_str().unwrap_or("?").parse::<Authority>().ok(),
        // HTTP/2 says it in the address; HTTP/1.0 need not say it, and no browser speaks that.
        None => match request.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => return true,
        },
    };
    named.is_some_and(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local =
            |host: &str| is_local_name(TestRequest::get().insert_header(("host", host)).to_srv_request().head());
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8080"] {
            assert!(local(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "192.0.2.1", "[2001:db8::1]:80", "", "a b"] {
            assert!(!local(host), "{host}");
        }
        assert!(is_local_name(TestRequest::get().to_srv_request().head()), "HTTP/1.0 need not say it");
    }
}
