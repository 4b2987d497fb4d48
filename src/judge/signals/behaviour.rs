//! Where the request comes from and what has been tried there: the network against the account's own past, and guessing.
//!
//! Shared things are judged by how often strangers' sign-ins fail there, never by volume, and never against a device that
//! the account trusts: that is what keeps offices and carriers open. It must never let the account's past weigh against an
//! attempt.

use std::time::Duration;

use super::device::Standing;
use super::{DAY, HOUR, MINUTE, Past, Signal, decibans};
use crate::confidence::{Points, Reading, Why};
use crate::judge::stage::Stage;

/// Whether the account knows the network of this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It does.
    Known,
    /// It does not.
    New,
}

/// Sign-ins of strangers from one network, decayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// How many failed.
    pub failed: f32,
    /// How many succeeded.
    pub succeeded: f32,
}

/// One line of the gap table: up to this long after the last success, what a known and a new network weigh.
struct Gap {
    up_to: u64,
    known: i32,
    new: i32,
}

/// From the published share of new addresses by the time since the last success (`CONFIDENCE.md`, section 2). Known:
/// `10 log10((1-p)/0.04)`, at most 12. New: without numbers of providers, halfway between what section 4 gives a new
/// address of a known provider and one of a new provider, `-2.5 + 5 log10(p/0.97)`.
const GAPS: [Gap; 7] = [
    Gap { up_to: MINUTE, known: 120, new: -106 },
    Gap { up_to: 10 * MINUTE, known: 120, new: -85 },
    Gap { up_to: HOUR, known: 120, new: -73 },
    Gap { up_to: DAY, known: 120, new: -50 },
    Gap { up_to: 7 * DAY, known: 116, new: -43 },
    Gap { up_to: 30 * DAY, known: 98, new: -35 },
    Gap { up_to: u64::MAX, known: 81, new: -31 },
];

fn gap(since: Duration) -> &'static Gap {
    let [first, .., last] = &GAPS;
    GAPS.iter().find(|gap| since.as_secs() <= gap.up_to).unwrap_or(if since.is_zero() { first } else { last })
}

/// What the network says against the account's own past. Silent for an account without one.
pub(in crate::judge) fn weigh_network(
    place: Reading<Place>,
    past: Reading<Past>,
    stage: Stage,
) -> Option<(Signal, Points)> {
    if matches!(place, Reading::Unknown(Why::NotAsked)) {
        return None;
    }
    let known = place.known() == Some(Place::Known);
    let signal = if known { Signal::NetworkKnown } else { Signal::NetworkNew };
    let since = match past {
        Reading::Known(past) => past.since_last,
        // A fault hides the past: a new network weighs the most that it can, a known one gives nothing.
        Reading::Unknown(why) if why.is_fault() && !known => Some(Duration::ZERO),
        Reading::Unknown(_) => None,
    };
    let points = match (since, known, stage) {
        (None, _, _) | (Some(_), false, Stage::Attempt) => 0,
        (Some(since), true, _) => gap(since).known,
        (Some(since), false, Stage::Session) => gap(since).new,
    };
    Some((signal, Points::tenths(points)))
}

/// Failed sign-ins of the account from other devices. The owner must not pay on a device or a network that is theirs, and
/// an attempt must not learn of them at all.
pub(in crate::judge) fn weigh_account_failures(
    failures: Reading<f32>,
    device: Reading<Standing>,
    place: Reading<Place>,
    stage: Stage,
) -> Option<(Signal, Points)> {
    let own = trusted(device) || place.known() == Some(Place::Known);
    counted(Signal::AccountFailures, failures, 30, own || stage == Stage::Attempt)
}

/// Failed sign-ins of the device itself. Its owner's typing errors cost nothing.
pub(in crate::judge) fn weigh_device_failures(
    failures: Reading<f32>,
    device: Reading<Standing>,
) -> Option<(Signal, Points)> {
    counted(Signal::DeviceFailures, failures, 20, trusted(device))
}

fn trusted(device: Reading<Standing>) -> bool {
    device.known().is_some_and(Standing::is_trusted)
}

/// Each failure weighs the same, five at most; a count that a fault hides is the most that it can be.
fn counted(signal: Signal, failures: Reading<f32>, each: i32, exempt: bool) -> Option<(Signal, Points)> {
    let most = 5.0;
    let count = match failures {
        Reading::Known(count) => count.clamp(0.0, most),
        Reading::Unknown(why) if why.is_fault() => most,
        Reading::Unknown(_) => return None,
    };
    let tenths = if exempt { 0 } else { -(count * each as f32).round() as i32 };
    Some((signal, Points::tenths(tenths)))
}

/// The share of strangers' sign-ins that succeed when nobody guesses.
const USUAL_SUCCESS: f32 = 0.92;
/// The share of guesses that is assumed where nothing is known.
const USUAL_GUESSING: f32 = 0.08;
/// As many sign-ins as it takes to believe a network more than the assumption.
const BELIEF: f32 = 4.0;

/// How likely the strangers of this network are guessing, from their success alone (Herley and Schechter, NDSS 2019).
pub(in crate::judge) fn weigh_traffic(
    traffic: Reading<Traffic>,
    device: Reading<Standing>,
) -> Option<(Signal, Points)> {
    let signal = Signal::NetworkGuessing;
    let worst = signal.about().points;
    let points = match traffic {
        _ if trusted(device) => Points::ZERO,
        Reading::Known(traffic) => guessing(traffic).clip(worst, Points::whole(2)),
        Reading::Unknown(why) if why.is_fault() => worst,
        Reading::Unknown(_) => return None,
    };
    Some((signal, points))
}

/// Failed sign-ins of one device, decayed, from which on it is taken to be guessing: the fourth within minutes.
pub(in crate::judge) const GUESSES: f32 = 3.5;

/// Whether a stranger's sign-in from here is as likely as not a guess: even odds, about -10 points of `network_guessing`.
pub(in crate::judge) fn is_guessing(traffic: Traffic) -> bool {
    share_of_guesses(traffic).is_some_and(|share| share >= 0.5)
}

/// The share of guesses among strangers' sign-ins, from their success alone; none where nothing was seen.
fn share_of_guesses(traffic: Traffic) -> Option<f32> {
    let succeeded = traffic.succeeded.max(0.0);
    let attempts = traffic.failed.max(0.0) + succeeded;
    if attempts == 0.0 {
        return None;
    }
    let honest = (succeeded + BELIEF * USUAL_SUCCESS * (1.0 - USUAL_GUESSING)) / ((attempts + BELIEF) * USUAL_SUCCESS);
    Some((1.0 - honest).clamp(0.01, 0.99))
}

fn guessing(traffic: Traffic) -> Points {
    let Some(guessing) = share_of_guesses(traffic) else { return Points::ZERO };
    decibans(((1.0 - guessing) / guessing) / ((1.0 - USUAL_GUESSING) / USUAL_GUESSING))
}

/// What guessing weighs once the password was right: a right password is evidence against guessing (30 % is left).
pub(in crate::judge) fn after_a_right_password(points: Points) -> Points {
    Points::tenths(points.as_tenths() * 3 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_office_that_succeeds_reads_clean_and_a_guessing_machine_does_not() {
        let office = guessing(Traffic { failed: 80.0, succeeded: 920.0 });
        let machine = guessing(Traffic { failed: 40.0, succeeded: 0.0 });
        assert!(office >= Points::ZERO, "{office}");
        assert!(machine <= Points::whole(-18), "{machine}");
        assert!(is_guessing(Traffic { failed: 4.0, succeeded: 0.0 }));
        assert!(!is_guessing(Traffic { failed: 3.0, succeeded: 0.0 }) && !is_guessing(Traffic::default()));
        assert!(!is_guessing(Traffic { failed: 80.0, succeeded: 920.0 }));
        assert_eq!(guessing(Traffic::default()), Points::ZERO);
        assert_eq!(guessing(Traffic { failed: f32::NAN, succeeded: f32::NAN }), Points::ZERO);
    }

    #[test]
    fn the_gap_table_never_rewards_a_shorter_gap_on_a_new_network() {
        for pair in GAPS.windows(2) {
            assert!(pair[0].up_to < pair[1].up_to && pair[0].known >= pair[1].known && pair[0].new <= pair[1].new);
        }
        assert_eq!(gap(Duration::MAX).new, -31);
    }
}
