//! How the customer goes about it: whether a browser fetched a page before it signed in, how fast a change follows, and what was
//! changed shortly before.
//!
//! It must never give points: a script can wait.

use std::time::Duration;

use super::Says;
use crate::confidence::{Points, Reading};
use crate::rules::signal::Signal;

/// How quickly something followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As a person does.
    Calm,
    /// Quicker than most people.
    Quick,
    /// Quicker than a person.
    Fast,
}

impl Pace {
    /// A sign-in so long after its page was fetched; none was within half an hour.
    pub fn of_sign_in(since_page: Option<Duration>) -> Self {
        match since_page {
            Some(since) if since < Duration::from_millis(1_000) => Self::Fast,
            Some(since) if since < Duration::from_millis(2_500) => Self::Quick,
            Some(since) if since <= Duration::from_secs(30 * 60) => Self::Calm,
            Some(_) | None => Self::Fast,
        }
    }

    /// A change so long after the last request of its session.
    pub fn of_change(since_last: Duration) -> Self {
        match since_last {
            since if since < Duration::from_millis(1_500) => Self::Fast,
            since if since < Duration::from_millis(3_000) => Self::Quick,
            _ => Self::Calm,
        }
    }
}

/// What the pace says, at a sign-in or at a change.
#[inline]
pub(in crate::judge) fn weigh_pace(signal: Signal, pace: Reading<Pace>) -> Says {
    let worst = signal.about().points;
    let points = match pace {
        Reading::Known(Pace::Calm) => return None,
        Reading::Known(Pace::Quick) => Points::tenths(worst.as_tenths() / 3),
        Reading::Known(Pace::Fast) => worst,
        Reading::Unknown(why) if why.is_fault() => worst,
        Reading::Unknown(_) => return None,
    };
    Some((signal, points))
}

/// Whether it happened, or a fault hides whether it did.
pub(in crate::judge) fn may_be(happened: Reading<bool>) -> bool {
    match happened {
        Reading::Known(happened) => happened,
        Reading::Unknown(why) => why.is_fault(),
    }
}

/// What was changed or reset shortly before, on a device that is not trusted.
pub(in crate::judge) fn weigh_shortly_before(signal: Signal, happened: Reading<bool>, trusted: bool) -> Says {
    (!trusted && may_be(happened)).then(|| (signal, signal.about().points))
}
