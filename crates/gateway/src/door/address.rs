//! Who a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The client's address: the peer's, or, where the peer is a proxy that is trusted, the right-most address of
/// X-Forwarded-For that is none. What stands further left was written by whoever, and counts for nothing.
pub(crate) fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
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

/// What one client has of addresses: an IPv6 network of 64 bits is one client's, who would otherwise have as many
/// limits as it likes.
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
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
    fn a_network_of_64_bits_is_one_client() {
        let network = |text: &str| client_network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }
}
