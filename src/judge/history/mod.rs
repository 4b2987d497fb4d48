//! What is remembered of an account, of a device, of what many share and of everybody together, and how one observation changes
//! it. Fixed size, copied freely.
//!
//! It must never learn from a sign-in that was challenged and not passed, and it holds hashes only.

mod account;
mod decay;
mod device;
mod population;
mod reports;
mod shared;
mod slots;

pub use account::{AccountHistory, Imported};
pub use decay::Tried;
pub use device::DeviceRecord;
pub use population::{Changes, Climate, Population};
pub use reports::{Report, Reported, Reports, Risk};
pub use shared::{Parent, Shared, contamination};

use super::seen::{Client, Whereabouts};
use crate::subject::Device;

/// Who did something, from where, with what: hashes and small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The device, by the cookie that it sent or was given with the answer.
    pub device: Option<Device>,
    /// Where it came from.
    pub at: Whereabouts,
    /// With which program.
    pub client: Client,
}

/// What a sign-in that worked has earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Earned {
    /// It was challenged, and the challenge not passed (yet): nothing is learned.
    Nothing,
    /// It was let in, below the trust line: it waits.
    Seen,
    /// It was let in above the trust line.
    Assured,
}

/// One fact that changes what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The upstream said that the password was right.
    SignInSucceeded {
        /// Who.
        visit: Visit,
        /// What is learned from it.
        earned: Earned,
    },
    /// The upstream said that it was wrong. A fault of the upstream is no failure and is never observed.
    SignInFailed(Visit),
    /// One more proof was given.
    StepUpPassed {
        /// Where and with what.
        visit: Visit,
        /// It resists phishing: whoever took over a telephone number could not have given it.
        strong: bool,
    },
    /// A request in a session.
    Visited {
        /// Who.
        visit: Visit,
        /// Whether the device may change its look with it: because enough others make the same move.
        moved_with_others: bool,
    },
    /// The password was reset.
    PasswordReset(Visit),
}
