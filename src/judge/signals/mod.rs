//! How readings become points, one file per group of signals. What the signals are called and may weigh is law
//! ([`crate::rules::signal`]).
//!
//! It must never let a shared thing (an address, a device used by many) weigh on a device that the account trusts, and never let an
//! unknown reading count as good.

pub mod authentication;
pub mod client;
mod deciban;
pub mod device;
pub mod exposure;
pub mod journey;
pub mod network;
pub mod pressure;
mod readings;
pub mod session;

use std::time::Duration;

use crate::confidence::Points;
use crate::rules::signal::Signal;

use deciban::{db, decibans, points};
pub(super) use readings::Tally;
pub use readings::{Begun, Buckets, Gap, Readings, Sighting};

/// Evidence before anything is read: four of five requests that are scored are honest (`CONFIDENCE.md`, section 3).
pub const PRIOR: Points = Points::whole(6);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What one signal says, if anything.
pub(super) type Says = Option<(Signal, Points)>;

/// What an account's past says about how its owner usually comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Its sign-ins.
    pub sign_ins: u16,
    /// Those of them on devices that it did not know.
    pub on_unknown_devices: u16,
    /// Those of them from networks that it did not know.
    pub on_new_networks: u16,
    /// How long ago the last success was, if there was one.
    pub since_last: Option<Duration>,
    /// How long it has been known.
    pub age: Duration,
}
