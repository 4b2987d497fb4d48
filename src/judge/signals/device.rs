//! The device cookie against the account's own past. A cookie that is not bound to a key can be copied, so its points stop
//! at 16 (`CONFIDENCE.md`, section 14). Familiarity is not proof: days of use alone stop short of what a proof gives.
//!
//! It must never let the account's past weigh against an attempt: that would tell which accounts exist.

use super::{Past, Signal, decibans};
use crate::confidence::{Points, Reading};
use crate::judge::stage::Stage;

/// How the account stands to the device of this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Trusted: the account has used it on this many days, and may have passed a proof on it.
    Trusted {
        /// On how many days.
        days: u16,
        /// Whether a proof was passed on it.
        proved: bool,
    },
    /// Seen, not trusted yet.
    Probation,
    /// Never seen by the account.
    New,
}

impl Standing {
    /// Whether the account trusts the device.
    pub const fn is_trusted(self) -> bool {
        matches!(self, Self::Trusted { .. })
    }
}

/// What the device says. One that sent no cookie is as strange as one that the account has never seen; so is one whose
/// reading a fault hides.
pub(in crate::judge) fn weigh(
    device: Reading<Standing>,
    past: Reading<Past>,
    stage: Stage,
) -> Option<(Signal, Points)> {
    if matches!(device, Reading::Unknown(crate::confidence::Why::NotAsked)) {
        return None;
    }
    let standing = device.known().unwrap_or(Standing::New);
    Some(match standing {
        Standing::Trusted { proved: true, .. } => (Signal::DeviceProved, Signal::DeviceProved.about().points),
        Standing::Trusted { days, proved: false } => {
            let further = i32::from(days.saturating_sub(1)).min(4);
            (Signal::DeviceFamiliar, Points::whole(10 + further))
        }
        Standing::Probation => (Signal::DeviceProbation, Signal::DeviceProbation.about().points),
        Standing::New => (
            Signal::DeviceUnknown,
            match stage {
                Stage::Attempt => Points::ZERO,
                Stage::Session => by_habit(past),
            },
        ),
    })
}

/// What an unknown device weighs: little for an account that always comes with a new one, much for one that never does.
fn by_habit(past: Reading<Past>) -> Points {
    let worst = Signal::DeviceUnknown.about().points;
    let past = match past {
        Reading::Known(past) => past,
        Reading::Unknown(why) if why.is_fault() => return worst,
        Reading::Unknown(_) => Past::default(),
    };
    if past.sign_ins == 0 {
        return Points::whole(-1);
    }
    let unknown = (f32::from(past.on_unknown_devices) + 0.6) / (f32::from(past.sign_ins) + 2.0);
    decibans(unknown / 0.99).clip(worst, Points::tenths(-5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_always_clears_cookies_is_not_punished_for_it() {
        let with = |sign_ins, on_unknown_devices| {
            by_habit(Reading::Known(Past { sign_ins, on_unknown_devices, since_last: None }))
        };
        assert_eq!(with(40, 40), Points::tenths(-5));
        assert_eq!(with(40, 0), Points::whole(-14));
        assert_eq!(with(0, 0), Points::whole(-1));
        assert!(with(40, 20) > with(40, 10));
    }
}
