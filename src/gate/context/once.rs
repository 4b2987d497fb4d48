//! What is worked out once for a connection and holds for each of its requests.

use crate::confidence::{Reading, Why};
use crate::judge::seen::{Stack, fingerprint};
use crate::listen::{Ja4, Peer, Scheme, Spoken};
use crate::upstream::headers::Proof;

/// What a connection's transport says, ready to be used.
#[derive(Debug)]
pub struct Once {
    /// What the upstream is told of the connection.
    pub proof: Proof,
    /// What its client's software shows of itself.
    pub hello: Hello,
}

/// What the software at the other end of a connection shows of itself, before it says anything.
#[derive(Debug, Clone, Copy)]
pub struct Hello {
    /// Its TLS fingerprint.
    pub ja4: Reading<Ja4>,
    /// The TLS stack that is behind it.
    pub stack: Reading<Stack>,
    /// Its TLS fingerprint and how it opened HTTP/2, as one key.
    pub fingerprint: Reading<u64>,
}

impl Once {
    /// What this connection says. Asked with its first request: an HTTP/2 connection has been opened by then.
    pub fn of(peer: &Peer) -> Self {
        Self {
            proof: Proof::new(peer.remote.ip(), peer.scheme == Scheme::Https, peer.spoken == Spoken::H2),
            hello: Hello::of(peer.ja4, peer.opening()),
        }
    }
}

impl Hello {
    /// Nothing shown, for this reason.
    pub const fn unknown(why: Why) -> Self {
        Self { ja4: Reading::Unknown(why), stack: Reading::Unknown(why), fingerprint: Reading::Unknown(why) }
    }

    /// What these show.
    pub fn of(ja4: Reading<Ja4>, opening: Option<&str>) -> Self {
        let text = ja4.as_ref().map(Ja4::text);
        let stack = match text.map(Stack::of_ja4) {
            Reading::Known(stack) => stack.map_or(Reading::Unknown(Why::Ambiguous), Reading::Known),
            Reading::Unknown(why) => Reading::Unknown(why),
        };
        Self { ja4, stack, fingerprint: text.map(|text| fingerprint(&[text, opening.unwrap_or_default()])) }
    }
}
