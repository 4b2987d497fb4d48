//! What a condition may look at: the parts of a request that the client chose, and where it comes from.

use std::net::IpAddr;

use http::HeaderMap;

use super::target::Target;

/// One request, as conditions see it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The path in its two readings.
    pub target: &'a Target<'a>,
    /// The query without its question mark; empty when there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The host, lower case, without port.
    pub host: &'a str,
    /// The client's address.
    pub address: IpAddr,
}
