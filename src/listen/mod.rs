//! The front edge: accepts connections, finishes TLS, and turns bytes into requests with the transport's facts beside them.
//!
//! One worker serves on one thread: its sockets, its connections, its requests. Everything here is bounded in time, bytes and
//! number, and the loser of each bound is the connection or request that goes past it, never its neighbours. This room knows
//! nothing of rules, and never decides what a request may do.

mod bind;
mod bounds;
mod certificate;
mod client_hello;
mod connection;
mod doors;
mod handshake;
pub mod host;
mod inflow;
mod life;
mod lines;
mod offer;
mod patience;
mod peer;
mod preamble;
mod proxy_protocol;
mod serve;
mod stream;
pub mod tls;
mod wire;

pub use bind::{BindFault, bind};
pub use bounds::Bounds;
pub use certificate::ClientCertificate;
pub use client_hello::Ja4;
pub use doors::{Doors, Turned};
pub use inflow::{Ease, Inflow, InflowFault};
pub use offer::{Connection, Offer, Through};
pub use peer::{Peer, Scheme, Spoken};
pub use proxy_protocol::Proxies;
pub use serve::{Drained, Entrance, serve};
