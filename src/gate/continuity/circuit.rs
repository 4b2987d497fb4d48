//! How often an upstream that fails is asked on behalf of customers who can be shown what is kept: once a second by one of them,
//! and by nobody else, until it answers.
//!
//! Customers of whom nothing is kept are sent on as ever. It must never keep everybody away from an upstream that is well again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Moment;

/// Milliseconds between two who ask.
const BETWEEN: u64 = 1000;
/// For how long sign-ins that failed speak of those that come next, in milliseconds.
const RECENT: u64 = 60_000;
/// Upstreams that are remembered beside those in force.
const MOST: usize = 1024;

/// Of one upstream.
#[derive(Debug, Default)]
pub struct Circuit {
    /// From when on it may be asked again, in milliseconds; 0 while it is well.
    again: AtomicU64,
    /// When a sign-in was last not answered, in milliseconds; 0 while they are. It keeps nobody away.
    unanswered: AtomicU64,
}

impl Circuit {
    /// Whether this request may ask. Of those that come at once, one.
    pub fn may_ask(&self, now: Moment) -> bool {
        let again = self.again.load(Ordering::Acquire);
        let now = now.unix_millis();
        // A moment further off than it can be was told by a clock that has been set back since.
        if again == 0 || again > now + BETWEEN {
            return true;
        }
        now >= again && self.again.compare_exchange(again, now + BETWEEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// It failed, or was too slow.
    pub fn failed(&self, now: Moment) {
        self.again.store(now.unix_millis() + BETWEEN, Ordering::Release);
    }

    /// Whether it has failed lately, and nobody has been answered since. Asking whether one may ask takes the turn; this does not.
    pub fn is_failing(&self, now: Moment) -> bool {
        is_recent(self.again.load(Ordering::Acquire), now)
    }

    /// A sign-in was answered, or could not be.
    pub fn signed_in(&self, answered: bool, now: Moment) {
        let at = if answered { 0 } else { now.unix_millis().max(1) };
        if self.unanswered.load(Ordering::Relaxed) != at {
            self.unanswered.store(at, Ordering::Release);
        }
    }

    /// Whether sign-ins have not been answered lately.
    pub fn answers_no_sign_in(&self, now: Moment) -> bool {
        is_recent(self.unanswered.load(Ordering::Acquire), now)
    }

    /// It answered.
    pub fn answered(&self) {
        if self.again.load(Ordering::Relaxed) != 0 {
            self.again.store(0, Ordering::Release);
        }
    }
}

fn is_recent(at: u64, now: Moment) -> bool {
    at != 0 && now.unix_millis().abs_diff(at) <= RECENT
}

/// Of every upstream, by name: a new law knows which of them fail.
#[derive(Debug, Default)]
pub struct Circuits(Mutex<HashMap<Arc<str>, Arc<Circuit>>>);

impl Circuits {
    /// That of this upstream. Takes a lock: a worker asks once for each generation of the law.
    pub fn at(&self, upstream: &Arc<str>) -> Arc<Circuit> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, circuit| Arc::strong_count(circuit) > 1);
        }
        all.entry(upstream.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_a_second_asks_while_it_fails_and_everybody_once_it_answers() {
        let circuit = Circuit::default();
        let noon = Moment::from_unix_seconds(1_800_000_000);
        let later = |millis| noon.plus(Duration::from_millis(millis));
        assert!((0..10).all(|_| circuit.may_ask(noon)));
        circuit.failed(noon);
        assert!((0..10).all(|_| !circuit.may_ask(later(999))));
        assert_eq!((0..10).filter(|_| circuit.may_ask(later(1000))).count(), 1);
        assert_eq!((0..10).filter(|_| circuit.may_ask(later(2000))).count(), 1);
        assert!(circuit.may_ask(Moment::from_unix_seconds(1_000)), "a clock that was set back keeps nobody away");
        circuit.answered();
        assert!((0..10).all(|_| circuit.may_ask(later(2001))));
    }

    #[test]
    fn sign_ins_that_are_not_answered_keep_nobody_away() {
        let circuit = Circuit::default();
        let noon = Moment::from_unix_seconds(1_800_000_000);
        circuit.signed_in(false, noon);
        assert!(circuit.answers_no_sign_in(noon) && circuit.may_ask(noon) && !circuit.is_failing(noon));
        assert!(!circuit.answers_no_sign_in(noon.plus(Duration::from_secs(61))), "it may be well again");
        circuit.signed_in(true, noon);
        assert!(!circuit.answers_no_sign_in(noon));
        circuit.failed(noon);
        assert!(circuit.is_failing(noon) && !circuit.is_failing(noon.plus(Duration::from_secs(62))));
    }
}
