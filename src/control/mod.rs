//! Seeing and steering a running Weir: what is in force, reloading and rolling back, arming and standing down, the record of
//! every change, health and metrics.
//!
//! Control works when the upstream, the disk and the data plane are in trouble. It never edits a rule file.

pub mod api;
pub mod arming;
pub mod audit;
pub mod beat;
pub mod disk;
pub mod events;
pub mod kept;
pub mod law;
pub mod load;
pub mod outcome;
pub mod posture;
pub mod sockets;
pub mod triggers;
pub mod watch;
pub mod who;
