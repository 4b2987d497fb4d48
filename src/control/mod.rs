//! Seeing and steering a running Weir: what is in force, reloading and rolling back, health and metrics.
//!
//! Control works when the upstream, the disk and the data plane are in trouble. It never edits a rule file.

pub mod api;
pub mod law;
pub mod load;
pub mod sockets;
pub mod watch;
