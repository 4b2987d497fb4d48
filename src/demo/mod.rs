//! The demonstration: a small shop to put Weir in front of, and a tour of what Weir then does.
//!
//! Reachable only from `weir demo`. Nothing here may be used by the gateway itself, and nothing here is a model of how a real
//! shop should keep its customers' records: it keeps them in memory and forgets them at the end.

pub mod rules;
pub mod running;
pub mod shop;
pub mod tour;
pub mod welcome;
