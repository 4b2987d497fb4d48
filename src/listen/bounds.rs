//! Every bound of the front edge in one place. A bound that is missing here is a way to fill the memory.

use std::time::Duration;

/// What one connection and one request may take of the edge. `gateway.toml` documents each with its loser.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once, over all workers. The loser is the newest, closed at once.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64). The loser is the newest, closed at once.
    pub connections_per_address: usize,
    /// Header fields of one request; more is 431.
    pub headers: usize,
    /// Bytes of one request's head; more is 431.
    pub head_bytes: usize,
    /// Streams at once on one HTTP/2 connection; more are refused.
    pub h2_streams: u32,
    /// Streams that a client may reset before they were answered; more ends the connection (CVE-2023-44487, CVE-2025-8671).
    pub h2_resets: usize,
    /// Bytes of one request's body; no bound when 0. More is 413.
    pub body_bytes: u64,
    /// To finish the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a head to its last; also to the first byte of a new connection.
    pub head: Duration,
    /// Between two requests, and for an HTTP/2 connection without streams.
    pub idle: Duration,
    /// How long an idle HTTP/1.1 connection keeps the memory that serving needs, before nothing but its socket is left.
    pub rest: Duration,
    /// Between two pieces of a request's body, and for an answer that the client does not read.
    pub body_idle: Duration,
    /// The mean rate that a body must keep once the grace is used up, in both directions.
    pub body_rate: u64,
    /// How long a client may be waited for, all pauses together, before the rate counts.
    pub body_grace: Duration,
    /// After this age a connection ends with its current request; never when zero.
    pub connection_age: Duration,
    /// How long connections may take to end when service ends.
    pub drain: Duration,
}

impl Bounds {
    /// Long enough that a client with a page to load is never at rest.
    pub const REST: Duration = Duration::from_secs(1);
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 1_000,
            headers: 100,
            head_bytes: 64 * 1024,
            h2_streams: 128,
            h2_resets: 100,
            body_bytes: 0,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            rest: Self::REST,
            body_idle: Duration::from_secs(30),
            body_rate: 256,
            body_grace: Duration::from_secs(30),
            connection_age: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}
