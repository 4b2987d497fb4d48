//! Where a request really comes from. Forwarding headers are believed only from proxies that the rules trust, read from the
//! right, up to the first address that no trusted proxy vouches for.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

/// The client of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// A trusted proxy stands between; the transport's facts are then the proxy's.
    pub proxied: bool,
    /// The client's own connection is TLS.
    pub https: bool,
}

impl Client {
    /// Works out the client of a request from the transport and, behind a trusted proxy, its headers.
    pub fn of(peer: SocketAddr, https: bool, trusted: &[IpNet], headers: &HeaderMap) -> Self {
        let transport = peer.ip().to_canonical();
        let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        if trusted.is_empty() || !is_trusted(&transport) {
            return Self { address: transport, proxied: false, https };
        }
        let mut address = transport;
        for hop in hops(headers).into_iter().rev() {
            let Some(hop) = hop else { break };
            address = hop;
            if !is_trusted(&address) {
                break;
            }
        }
        let https = match headers.get("x-forwarded-proto").map(http::HeaderValue::as_bytes) {
            Some(value) => last_item(value).eq_ignore_ascii_case(b"https"),
            None => https,
        };
        Self { address, proxied: true, https }
    }
}

/// The addresses that forwarding headers name, left to right; `None` for one that is not an address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let mut found = Vec::new();
    let listed = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    for item in listed.flat_map(|value| value.split(',')) {
        found.push(address(item));
    }
    if !found.is_empty() {
        return found;
    }
    let listed = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    for element in listed.flat_map(|value| value.split(',')) {
        let named = element.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then_some(value)
        });
        found.push(named.and_then(address));
    }
    found
}

/// An address with or without port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    let parsed = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    parsed.ok().map(|address| address.to_canonical())
}

fn last_item(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| *byte == b',').next().unwrap_or(value).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, trusted: &[&str], fields: &[(&'static str, &str)]) -> Client {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Client::of(SocketAddr::new(peer.parse().unwrap(), 1), false, &trusted, &headers)
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from() {
        let spoofed = client("203.0.113.9", &[], &[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https")]);
        assert_eq!(spoofed, Client { address: "203.0.113.9".parse().unwrap(), proxied: false, https: false });
    }

    #[test]
    fn behind_trusted_proxies_the_first_address_that_nobody_vouches_for_is_the_client() {
        let trusted = &["10.0.0.0/8"];
        let fields = &[("x-forwarded-for", "1.1.1.1, 203.0.113.9"), ("x-forwarded-for", "10.0.0.7")];
        assert_eq!(client("10.0.0.1", trusted, fields).address, "203.0.113.9".parse::<IpAddr>().unwrap());
        let fields = &[("forwarded", "for=\"[2001:db8::7]:4711\";proto=https, for=10.0.0.7")];
        assert_eq!(client("10.0.0.1", trusted, fields).address, "2001:db8::7".parse::<IpAddr>().unwrap());
        let nonsense = &[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.7")];
        assert_eq!(client("10.0.0.1", trusted, nonsense).address, "10.0.0.7".parse::<IpAddr>().unwrap());
    }
}
