//! How, how strongly and how recently the subject proved itself.
//!
//! It must never give points for a proof that was asked for and not given: only what a session or a verified token says.

use std::time::Duration;

use super::{DAY, HOUR, MINUTE, Says};
use crate::clock::Moment;
use crate::confidence::{Points, Reading};
use crate::rules::ruleset::Level;
use crate::rules::signal::Signal;

/// What the session of this request has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// How strongly.
    pub level: Level,
    /// When.
    pub at: Moment,
    /// Opened only as far as its step-up: nothing is served on a journey before the proof.
    pub held: bool,
    /// The token is bound to a key that was shown on this very request (RFC 9449, RFC 8705).
    pub bound: bool,
}

impl Proof {
    /// How old it is.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.at)
    }
}

/// Whether a proof of this level cannot be relayed or taken over with a telephone number: the third level of the law and above.
pub fn resists_phishing(level: Level) -> bool {
    level.index() > 1
}

/// What the session says: at most a password, a stronger factor, a key, and how recently. After a reset the code went where the
/// reset went: it says nothing more. What resists phishing does.
pub(in crate::judge) fn weigh(session: Reading<Proof>, just_reset: bool, now: Moment) -> [Says; 5] {
    let Some(proof) = session.known() else {
        let silent = match session {
            Reading::Unknown(why) if why.is_fault() => Some((Signal::PasswordRight, Points::ZERO)),
            Reading::Unknown(_) | Reading::Known(_) => None,
        };
        return [silent, None, None, None, None];
    };
    let given = |signal: Signal| Some((signal, signal.about().points));
    let factor = match proof.level.index() {
        0 => None,
        _ if resists_phishing(proof.level) => given(Signal::PhishingResistant),
        _ if just_reset => None,
        _ => given(Signal::SecondFactor),
    };
    let bound = if proof.bound { given(Signal::BoundToken) } else { None };
    let recent = factor.and_then(|_| recent(proof.age(now))).map(|points| (Signal::RecentProof, points));
    let old = if proof.age(now) > OLD { given(Signal::OldProof) } else { None };
    [given(Signal::PasswordRight), factor, bound, recent, old]
}

/// After this long even the weakest level should be proved again (SP 800-63B-4, AAL1).
const OLD: Duration = Duration::from_secs(30 * DAY);

/// Full for a quarter of an hour, then half every two hours, nothing after a day.
fn recent(age: Duration) -> Option<Points> {
    let full = Signal::RecentProof.about().points.as_tenths();
    let late = age.saturating_sub(Duration::from_secs(15 * MINUTE)).as_secs();
    let tenths = match late {
        0 => full,
        late if late > DAY => 0,
        late => (full as f32 * (-(late as f32) / (2 * HOUR) as f32).exp2()).round() as i32,
    };
    (tenths > 0).then_some(Points::tenths(tenths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_up_fades() {
        let at = |minutes: u64| recent(Duration::from_secs(minutes * MINUTE));
        assert_eq!(at(15), Some(Points::whole(2)));
        assert_eq!(at(135), Some(Points::whole(1)));
        assert_eq!(at(60 * 48), None);
        assert_eq!(recent(Duration::MAX), None);
    }
}
