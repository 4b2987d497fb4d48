//! What is known to have leaked. Nothing asks for it yet: the breach corpus is not built in, so its reading is `NotAsked`.
//!
//! It must never see a password: it is told what the corpus said.

use super::Signal;
use super::device::Standing;
use crate::confidence::{Points, Reading};

/// What the breach corpus says of the name and password of this sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nothing.
    Nothing,
    /// The password has leaked, with some name.
    PasswordLeaked,
    /// The name and the password have leaked together.
    PairLeaked,
}

/// What the corpus says. On a trusted device a leak asks for a new password rather than for suspicion.
pub(in crate::judge) fn weigh(exposure: Reading<Exposure>, device: Reading<Standing>) -> Option<(Signal, Points)> {
    let trusted = device.known().is_some_and(Standing::is_trusted);
    let exposure = match exposure {
        Reading::Known(exposure) => exposure,
        Reading::Unknown(why) if why.is_fault() => Exposure::PairLeaked,
        Reading::Unknown(_) => return None,
    };
    match exposure {
        Exposure::Nothing => None,
        Exposure::PasswordLeaked if trusted => Some((Signal::PasswordLeaked, Points::ZERO)),
        Exposure::PasswordLeaked => Some((Signal::PasswordLeaked, Signal::PasswordLeaked.about().points)),
        Exposure::PairLeaked if trusted => Some((Signal::PairLeaked, Points::whole(-2))),
        Exposure::PairLeaked => Some((Signal::PairLeaked, Signal::PairLeaked.about().points)),
    }
}
