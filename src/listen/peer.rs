//! The facts that the transport proved, kept once for the connection. Nothing here comes from a header.

use std::any::Any;
use std::cell::OnceCell;
use std::net::SocketAddr;
use std::rc::Rc;

use http::request;

use super::certificate::ClientCertificate;
use super::client_hello::Ja4;
use super::host::{Authority, HostFault, Memo};
use crate::confidence::{Reading, Why};

/// Whether the client came over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme leaves out.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Which HTTP the connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spoken {
    /// HTTP/1.0 or 1.1.
    H1,
    /// HTTP/2.
    H2,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Where it comes from; an IPv4 address even when the socket speaks IPv6.
    pub remote: SocketAddr,
    /// Where it came in.
    pub local: SocketAddr,
    /// Clear text or TLS.
    pub scheme: Scheme,
    /// Which HTTP.
    pub spoken: Spoken,
    /// The host name of the TLS handshake, lower case.
    pub sni: Option<Box<str>>,
    /// The TLS version that was agreed, as in "1.3".
    pub tls: Option<&'static str>,
    /// The client's certificate, if it showed one that the listener's authorities vouch for.
    pub client: Option<Box<ClientCertificate>>,
    /// The fingerprint of its TLS hello. `NotAsked` in clear text, `Ambiguous` where the hello could not be looked at.
    pub ja4: Reading<Ja4>,
    opening: OnceCell<Box<str>>,
    host: Memo,
    kept: OnceCell<Box<dyn Any>>,
}

impl Peer {
    /// The facts of one connection.
    pub fn new(remote: SocketAddr, local: SocketAddr, scheme: Scheme, spoken: Spoken) -> Self {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            remote: canonical(remote),
            local: canonical(local),
            scheme,
            spoken,
            sni: None,
            tls: None,
            client: None,
            ja4: Reading::Unknown(Why::NotAsked),
            opening: OnceCell::new(),
            host: Memo::default(),
            kept: OnceCell::new(),
        }
    }

    /// The one host that all parts of a request's head agree on; the last one is remembered.
    pub fn host(&self, head: &request::Parts) -> Result<Rc<Authority>, HostFault> {
        self.host.agree(head, self.scheme)
    }

    /// How its HTTP/2 connection was opened: settings, window and priorities, such as `1:65536;2:0;4:6291456;6:262144|15663105|0`.
    /// None over HTTP/1.1.
    pub fn opening(&self) -> Option<&str> {
        self.opening.get().map(|text| &**text)
    }

    pub(super) fn opened_with(&self, opening: Box<str>) {
        // The first is the only one.
        let _ = self.opening.set(opening);
    }

    /// Something that the gate works out once and keeps for the connection. The first kind kept is the only one; asking
    /// for another gives `None`.
    pub fn keep<T: 'static>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.kept.get_or_init(|| Box::new(make())).downcast_ref()
    }
}
