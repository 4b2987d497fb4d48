//! What is known to have leaked: the name and password of this sign-in, the account, and what others report of it.
//!
//! It must never see a password: it is told what the corpus said.

use std::time::Duration;

use super::{DAY, Says, points};
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::Risk;
use crate::rules::signal::Signal;

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
#[inline]
pub(in crate::judge) fn weigh(exposure: Reading<Exposure>, trusted: bool, password_right: bool) -> Says {
    let exposure = match exposure {
        Reading::Known(exposure) => exposure,
        // Who makes a password unreadable to us on purpose must not gain by it.
        Reading::Unknown(why) if why.is_fault() || why == Why::Ambiguous => Exposure::PairLeaked,
        Reading::Unknown(_) => return None,
    };
    match exposure {
        Exposure::Nothing => None,
        Exposure::PasswordLeaked if trusted => Some((Signal::PasswordLeaked, Points::ZERO)),
        // Four of ten honest sign-ins that work use a leaked password; of guesses nearly all do.
        Exposure::PasswordLeaked if password_right => Some((Signal::PasswordLeaked, Points::whole(-1))),
        Exposure::PasswordLeaked => Some((Signal::PasswordLeaked, Signal::PasswordLeaked.about().points)),
        Exposure::PairLeaked if trusted => Some((Signal::PairLeaked, Points::whole(-2))),
        Exposure::PairLeaked => Some((Signal::PairLeaked, Signal::PairLeaked.about().points)),
    }
}

/// Whether the account is on the list of our own breach.
#[inline]
pub(in crate::judge) fn weigh_account(breached: Reading<bool>, trusted: bool) -> Says {
    let signal = Signal::AccountBreached;
    let says = match breached {
        Reading::Known(breached) => breached,
        Reading::Unknown(why) => why.is_fault(),
    };
    says.then(|| (signal, if trusted { Points::whole(-2) } else { signal.about().points }))
}

/// A report of compromise with nothing changed since: halved every week, gone after 45 days.
#[inline]
pub(in crate::judge) fn weigh_compromise(reported: Reading<Option<Duration>>, trusted: bool) -> Says {
    let signal = Signal::Compromised;
    let most = if trusted { 6.0 } else { 14.0 };
    match reported {
        Reading::Known(None) => None,
        Reading::Known(Some(ago)) if ago >= Duration::from_secs(45 * DAY) => None,
        Reading::Known(Some(ago)) => Some((signal, points(-most * halved(ago, 7)))),
        Reading::Unknown(why) if why.is_fault() => Some((signal, points(-most))),
        Reading::Unknown(_) => None,
    }
}

/// How risky another system holds the account: halved every day.
#[inline]
pub(in crate::judge) fn weigh_risk(reported: Reading<Option<(Risk, Duration)>>) -> Says {
    let signal = Signal::RiskReported;
    let most = match reported {
        Reading::Known(Some((Risk::High, ago))) => 10.0 * halved(ago, 1),
        Reading::Known(Some((Risk::Medium, ago))) => 4.0 * halved(ago, 1),
        Reading::Unknown(why) if why.is_fault() => 10.0,
        Reading::Known(Some((Risk::Low, _)) | None) | Reading::Unknown(_) => return None,
    };
    let points = points(-most);
    (points < Points::ZERO).then_some((signal, points))
}

fn halved(ago: Duration, days: u64) -> f32 {
    (-ago.as_secs_f32() / (days * DAY) as f32).exp2()
}
