//! The device cookie against the account's own past. A cookie that is not bound to a key can be copied, so its points stop
//! at 16 (`CONFIDENCE.md`, section 14). Familiarity is not proof: days of use alone stop short of what a proof gives.
//!
//! It must never let the account's past weigh against an attempt: that would tell which accounts exist.

use super::{Past, Says, db, decibans};
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::Climate;
use crate::judge::stage::Stage;
use crate::rules::signal::Signal;

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

/// From one look to another: small numbers of programs or of TLS stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// What it showed before.
    pub from: u16,
    /// What it shows now.
    pub to: u16,
}

/// What a device shows now that it did not show before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Another program or system.
    pub software: Option<Move>,
    /// Another TLS stack.
    pub stack: Option<Move>,
}

impl Moved {
    /// Whether nothing moved.
    pub const fn is_none(&self) -> bool {
        self.software.is_none() && self.stack.is_none()
    }

    /// Each of the moves.
    pub fn each(&self) -> impl Iterator<Item = Move> {
        self.software.into_iter().chain(self.stack)
    }

    /// A small number of what it moved to; 0 for nothing.
    pub fn mark(&self) -> u16 {
        self.each().fold(0, |mark, one| mark ^ one.to.rotate_left(u32::from(mark != 0))).max(u16::from(!self.is_none()))
    }

    /// What it weighs: full for a move that nobody else makes, nothing for one that many make in the same hours. Two moves at
    /// once are one change.
    pub fn weigh(&self, climate: &Climate) -> Points {
        let one = |made: Option<Move>, most: f32| {
            made.map_or(0.0, |made| {
                let share = climate.share(made).max(0.0005);
                db(share / 0.15).clamp(-most, 0.0)
            })
        };
        super::points(one(self.software, 10.0).min(one(self.stack, MOST)))
    }
}

/// The most that a change of look weighs.
const MOST: f32 = -Signal::DeviceChanged.about().points.as_tenths() as f32 / 10.0;

/// From here down a change is such a surprise that the device is not taken for the one that is trusted.
pub(in crate::judge) const SURPRISE: Points = Points::whole(-6);

/// What was read of the device.
#[derive(Clone, Copy, Debug)]
pub(in crate::judge) struct Read {
    pub(in crate::judge) device: Reading<Standing>,
    pub(in crate::judge) changed: Reading<Points>,
    pub(in crate::judge) accounts: Reading<u8>,
    pub(in crate::judge) vouched: Reading<bool>,
    pub(in crate::judge) past: Reading<Past>,
}

impl Read {
    /// Whether the account trusts the device, and it looks as it should.
    pub(in crate::judge) fn is_trusted(&self) -> bool {
        self.device.known().is_some_and(Standing::is_trusted) && self.changed.known().is_some_and(|by| by > SURPRISE)
    }
}

/// What the device says: how the account stands to it, what others say for it or against it, and whether it changed. One that
/// sent no cookie is as strange as one that the account has never seen; so is one whose reading a fault hides.
#[inline]
pub(in crate::judge) fn weigh(read: &Read, stage: Stage) -> [Says; 3] {
    if matches!(read.device, Reading::Unknown(Why::NotAsked)) {
        return [None; 3];
    }
    let helps = |points: Points| if stage.only_helps() { points.max(Points::ZERO) } else { points };
    let changed = match read.changed {
        Reading::Known(points) => points,
        Reading::Unknown(why) if why.is_fault() => Signal::DeviceChanged.about().points,
        Reading::Unknown(_) => Points::ZERO,
    };
    if let Reading::Unknown(why) = read.device
        && why.is_fault()
    {
        // It may be one that the account trusts and that looks other than it should.
        return [Some((Signal::DeviceUnknown, helps(by_habit(read.past).min(changed)))), None, None];
    }
    let standing = read.device.known().unwrap_or(Standing::New);
    if !standing.is_trusted() {
        let unknown = by_habit(read.past);
        let (signal, points) = match standing {
            Standing::Probation => (Signal::DeviceProbation, Points::tenths(unknown.as_tenths() * 3 / 4)),
            Standing::New | Standing::Trusted { .. } => (Signal::DeviceUnknown, unknown),
        };
        let vouched = read.vouched.known().unwrap_or(false);
        let vouched = vouched.then(|| (Signal::DeviceVouched, Signal::DeviceVouched.about().points));
        return [Some((signal, helps(points))), vouched, None];
    }
    let changed_line = (changed < Points::ZERO).then_some((Signal::DeviceChanged, helps(changed)));
    if changed <= SURPRISE {
        return [None, None, Some((Signal::DeviceChanged, helps(changed)))];
    }
    let (signal, points) = match standing {
        // A proof can be relayed, and a number taken over: on its first day a proved device is only half believed.
        Standing::Trusted { proved: true, days: 0..=1 } => (Signal::DeviceProved, Points::whole(4)),
        Standing::Trusted { proved: true, days } => {
            (Signal::DeviceProved, Points::whole(12 + i32::from(days.saturating_sub(2)).min(4)))
        }
        Standing::Trusted { days, .. } => {
            (Signal::DeviceFamiliar, Points::whole(10 + i32::from(days.saturating_sub(1)).min(4)))
        }
        Standing::Probation | Standing::New => (Signal::DeviceUnknown, Points::ZERO),
    };
    // As many as it could be, where a fault hides how many have used it.
    let crowded = match read.accounts {
        Reading::Known(accounts) => accounts > 3,
        Reading::Unknown(why) => why.is_fault(),
    };
    let crowded = crowded.then(|| (Signal::DeviceCrowded, Points::whole(8) + Points::tenths(-points.as_tenths())));
    [Some((signal, points)), crowded, changed_line]
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
            by_habit(Reading::Known(Past { sign_ins, on_unknown_devices, ..Past::default() }))
        };
        assert_eq!(with(40, 40), Points::tenths(-5));
        assert_eq!(with(60, 0), Points::whole(-14));
        assert_eq!(with(0, 0), Points::whole(-1));
        assert!(with(40, 20) > with(40, 10));
    }

    #[test]
    fn a_device_of_which_a_fault_hides_who_used_it_counts_as_crowded() {
        let sum = |accounts| {
            let read = Read {
                device: Reading::Known(Standing::Trusted { days: 4, proved: false }),
                changed: Reading::Known(Points::ZERO),
                accounts,
                vouched: Reading::Known(false),
                past: Reading::Known(Past::default()),
            };
            weigh(&read, Stage::Session).into_iter().flatten().map(|(_, points)| points).sum::<Points>()
        };
        assert_eq!(sum(Reading::Known(4)), Points::whole(8));
        assert_eq!(sum(Reading::Unknown(Why::Stale)), Points::whole(8));
        assert_eq!(sum(Reading::Known(3)), Points::whole(13));
        assert_eq!(sum(Reading::Unknown(Why::Missing)), Points::whole(13));
    }

    #[test]
    fn a_move_that_nobody_else_makes_is_a_surprise() {
        let moved = Moved { software: None, stack: Some(Move { from: 1, to: 4 }) };
        assert_eq!(moved.weigh(&Climate::default()), Points::whole(-14));
        assert_eq!(Moved::default().weigh(&Climate::default()), Points::ZERO);
        assert_eq!(Moved::default().mark(), 0);
        assert_ne!(moved.mark(), 0);
    }
}
