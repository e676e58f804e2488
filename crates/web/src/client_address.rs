//! Who a request comes from, behind proxies that are trusted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// An address, a network, or nothing where a list of them in the settings is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Option<IpNet>);

impl Network {
    /// The networks of a list.
    #[must_use]
    pub fn all(list: &[Self]) -> Vec<IpNet> {
        list.iter().filter_map(|network| network.0).collect()
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(|network| Self(Some(network)))
            .map_err(|_| format!("{text:?} is neither an address nor a network like 10.0.0.0/8"))
    }
}

/// The client's address: the peer's, or, where the peer is a proxy that is trusted, the right-most address of
/// X-Forwarded-For that is none. What stands further left was written by whoever, and counts for nothing.
#[must_use]
pub fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    // There is no peer where there is no network, as in a test without a server.
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip());
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").map(|line| line.to_str().unwrap_or_default()).collect();
    nearest(peer, lines.into_iter(), trusted)
}

fn nearest<'a>(peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut nearest = peer.to_canonical();
    // Several header lines are one list.
    for entry in forwarded.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(nearest) {
            break;
        }
        match address(entry.trim()) {
            Some(address) => nearest = address,
            // What a trusted proxy did not write as an address hides who came to it.
            None => break,
        }
    }
    nearest
}

/// An address, as some proxies write it with a port or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        nearest(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(of("192.0.2.1", &["198.51.100.1"], &[]), "192.0.2.1");
        assert_eq!(of("192.0.2.1", &["198.51.100.1"], &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1", &[], &[]), "192.0.2.1");
    }

    #[test]
    fn behind_trusted_proxies_the_right_most_other_counts() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        assert_eq!(of("10.0.0.1", &["198.51.100.1"], &proxies), "198.51.100.1");
        assert_eq!(
            of("10.0.0.1", &["203.0.113.9, 198.51.100.1"], &proxies),
            "198.51.100.1",
            "the left one is invented"
        );
        assert_eq!(of("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.2.3.4"], &proxies), "198.51.100.1");
        assert_eq!(of("10.0.0.1", &["203.0.113.9", "198.51.100.1,10.2.3.4"], &proxies), "198.51.100.1");
        assert_eq!(of("::1", &["[2001:db8::1]:4711"], &proxies), "2001:db8::1");
        assert_eq!(of("::1", &["[2001:db8::1]"], &proxies), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &["198.51.100.1:80"], &proxies), "198.51.100.1");
        assert_eq!(of("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], &proxies), "198.51.100.1");
    }

    #[test]
    fn what_is_no_address_hides_who_came() {
        let proxies = ["10.0.0.0/8"];
        for forwarded in [&["unknown"][..], &[""], &[","], &["198.51.100.1, unknown"], &[]] {
            assert_eq!(of("10.0.0.1", forwarded, &proxies), "10.0.0.1", "{forwarded:?}");
        }
        assert_eq!(of("10.0.0.1", &["10.0.0.7, 10.0.0.6"], &proxies), "10.0.0.7", "proxies all the way");
    }

    #[test]
    fn networks_are_read() {
        let read = |text: &str| text.parse::<Network>();
        let networks = ["10.0.0.0/8", " ::1", "", "192.0.2.7"].map(|text| read(text).unwrap());
        let shown: Vec<String> = Network::all(&networks).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]);
        for bad in ["proxy.example.org", "10.0.0.0/33", "tradingview"] {
            assert!(read(bad).unwrap_err().contains(bad), "{bad}");
        }
    }
}
