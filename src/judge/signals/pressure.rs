//! Guessing: on the account, by the device, from where it comes, on the whole site.
//!
//! Shared things are judged by how often strangers' sign-ins fail there, beside what they are part of, never by volume, and never
//! against a device that the account trusts: that is what keeps offices and carriers open. Nor must the owner pay for what others
//! do to the account, on a device or a network that is theirs.

use super::network::Place;
use super::{Says, db, points};
use crate::clock::Moment;
use crate::confidence::{Points, Reading};
use crate::judge::history::{Climate, Parent, Shared, Tried};
use crate::judge::stage::Stage;
use crate::rules::signal::Signal;

/// What the buckets of this request say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Guessing {
    /// All of them together, beside what they are part of.
    pub points: Points,
    /// The share of guesses at its address, beside what is usual.
    pub share: f32,
}

/// The worst of where it comes from and the worst of what it comes with; of the milder of the two a third: they are seldom
/// independent.
const SECOND: f32 = 0.35;

impl Guessing {
    /// What these buckets say.
    pub fn of<'b>(buckets: impl IntoIterator<Item = &'b (Shared, Tried)>, climate: &Climate, now: Moment) -> Self {
        let odds = |share: f32| (1.0 - share) / share;
        let site = Parent { clean: climate.clean, contamination: climate.lately };
        let usual = Parent { contamination: climate.usually.min(0.1), ..site };
        let (mut place, mut program) = (0.0_f32, 0.0_f32);
        let mut best = 0.0_f32;
        let mut address = 0.0_f32;
        for (shared, tried) in buckets {
            let share = tried.contamination(*shared, site, now);
            let says = db(odds(share) / odds(site.contamination)).clamp(-20.0, 2.0);
            best = best.max(says);
            if *shared == Shared::Address {
                address = tried.contamination(*shared, usual, now);
            }
            let worst = match shared {
                Shared::Address | Shared::Range | Shared::Provider => &mut place,
                Shared::Program | Shared::Fingerprint | Shared::Device => &mut program,
            };
            *worst = worst.min(says);
        }
        let (worse, milder) = (place.min(program), place.max(program));
        let sum = if worse < 0.0 { worse + SECOND * milder } else { best };
        Self { points: points(sum.clamp(-20.0, 2.0)), share: address }
    }
}

/// How much more guessing there is on the whole site than usual.
pub(super) fn attack(climate: &Climate) -> Points {
    let odds = |share: f32| (1.0 - share) / share;
    points(db(odds(climate.lately) / odds(climate.usually)).clamp(-10.0, 0.0))
}

/// Failed sign-ins of one device, decayed, from which on it is taken to be guessing: the fourth within minutes.
pub(in crate::judge) const GUESSES: f32 = 3.5;
/// From this share of guesses on an address is contaminated: even odds.
pub(in crate::judge) const CONTAMINATED: f32 = 0.5;

/// So many failures of others on an account are no run yet.
const A_FEW: f32 = 8.0;

/// Failed sign-ins of the account from other devices.
#[inline]
pub(in crate::judge) fn weigh_account_failures(
    failures: Reading<f32>,
    place: Reading<Place>,
    trusted: bool,
    stage: Stage,
) -> Says {
    let own = trusted || matches!(place.known(), Some(Place::Known));
    // Before the answer only a run of them counts: who fails a few times on somebody's account must not keep them out.
    let spared = if stage.only_helps() { A_FEW } else { 0.0 };
    counted(Signal::AccountFailures, failures.map(|count| count - spared), 3.0, own)
}

/// So many failures of a device are its owner's typing.
const MISTYPED: f32 = 3.0;

/// Failed sign-ins of the device itself. Its owner's typing errors cost nothing.
#[inline]
pub(in crate::judge) fn weigh_device_failures(failures: Reading<f32>, trusted: bool) -> Says {
    // People mistype: a few failures say that somebody does, and the guesser comes with a new device each time.
    counted(Signal::DeviceFailures, failures.map(|count| count - MISTYPED), 2.0, trusted)
}

/// Each failure weighs the same, five at most; a count that a fault hides is the most that it can be.
#[inline]
fn counted(signal: Signal, failures: Reading<f32>, each: f32, exempt: bool) -> Says {
    let most = 5.0;
    let count = match failures {
        Reading::Known(count) => count.clamp(0.0, most),
        Reading::Unknown(why) if why.is_fault() => most,
        Reading::Unknown(_) => return None,
    };
    // The rest of one that was long ago says nothing.
    let count = if count > 0.5 { count } else { 0.0 };
    Some((signal, if exempt { Points::ZERO } else { points(-count * each) }))
}

/// Guessing where the request comes from.
#[inline]
pub(in crate::judge) fn weigh_guessing(guessing: Reading<Guessing>, trusted: bool) -> Says {
    let signal = Signal::NetworkGuessing;
    let points = match guessing {
        Reading::Unknown(why) if !why.is_fault() => return None,
        _ if trusted => Points::ZERO,
        Reading::Known(guessing) => guessing.points,
        Reading::Unknown(_) => signal.about().points,
    };
    Some((signal, points))
}

/// Guessing on the whole site.
#[inline]
pub(in crate::judge) fn weigh_attack(attack: Reading<Points>, trusted: bool) -> Says {
    let signal = Signal::AttackLevel;
    let points = match attack {
        _ if trusted => return None,
        Reading::Known(points) => points,
        Reading::Unknown(why) if why.is_fault() => signal.about().points,
        Reading::Unknown(_) => return None,
    };
    (points != Points::ZERO).then_some((signal, points))
}

/// What guessing weighs once the password was right: a right password is evidence against guessing (30 % is left).
#[inline]
pub(in crate::judge) fn after_a_right_password(points: Points) -> Points {
    Points::tenths(points.as_tenths() * 3 / 10)
}
