//! The session against its own beginning: another program, another country, two places at once; and what its sign-in left in doubt.
//!
//! A change is charged once: on a trusted device it is the device's. It must never give points.

use super::Says;
use crate::confidence::{Points, Reading};
use crate::rules::signal::Signal;

/// How a session goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Continuity {
    /// What another program or TLS stack than at its beginning weighs.
    pub changed: Points,
    /// It is in another country than at its beginning, one that the account does not know.
    pub country: bool,
    /// It goes back and forth between networks.
    pub alternates: bool,
}

/// How a session goes on, against how it began.
#[inline]
pub(in crate::judge) fn weigh(continuity: Reading<Continuity>, device_charged: bool) -> [Says; 3] {
    let worst = |signal: Signal| Some((signal, signal.about().points));
    let now = match continuity {
        Reading::Known(now) => now,
        Reading::Unknown(why) if why.is_fault() => {
            return [Signal::SessionChanged, Signal::SessionMoved, Signal::SessionAlternates].map(worst);
        }
        Reading::Unknown(_) => return [None; 3],
    };
    let changed = (now.changed < Points::ZERO && !device_charged).then_some((Signal::SessionChanged, now.changed));
    let moved = if now.country { worst(Signal::SessionMoved) } else { None };
    [changed, moved, if now.alternates { worst(Signal::SessionAlternates) } else { None }]
}

/// What the sign-in left in doubt, while the device is not trusted.
#[inline]
pub(in crate::judge) fn weigh_doubt(doubt: Reading<Points>, trusted: bool) -> Says {
    let signal = Signal::SignInDoubt;
    match doubt {
        Reading::Known(points) if points < Points::ZERO && !trusted => {
            Some((signal, points.max(signal.about().points)))
        }
        Reading::Unknown(why) if why.is_fault() && !trusted => Some((signal, signal.about().points)),
        Reading::Known(_) | Reading::Unknown(_) => None,
    }
}
