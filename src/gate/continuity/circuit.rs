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
/// For how long failures speak of what comes next, in milliseconds.
const RECENT: u64 = 60_000;
/// So many in a row, over so many milliseconds, are no blip, and not the doing of one who sends something odd.
const ENOUGH: u64 = 3;
const LASTING: u64 = 5_000;
/// Upstreams that are remembered beside those in force.
const MOST: usize = 1024;

/// Of one upstream.
#[derive(Debug, Default)]
pub struct Circuit {
    /// From when on it may be asked again, in milliseconds; 0 while it is well.
    again: AtomicU64,
    /// Failures since it last answered. They keep nobody away.
    failures: Streak,
    /// Sign-ins that were not answered since one was. They keep nobody away.
    unanswered: Streak,
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Streak {
    first: AtomicU64,
    last: AtomicU64,
    count: AtomicU64,
}

impl Streak {
    fn note(&self, now: Moment) {
        let now = now.unix_millis();
        if self.count.fetch_add(1, Ordering::AcqRel) == 0 {
            self.first.store(now, Ordering::Release);
        }
        self.last.store(now, Ordering::Release);
    }

    fn end(&self) {
        if self.count.load(Ordering::Relaxed) != 0 {
            self.count.store(0, Ordering::Release);
        }
    }

    fn holds(&self, now: Moment) -> bool {
        let (first, last) = (self.first.load(Ordering::Acquire), self.last.load(Ordering::Acquire));
        self.count.load(Ordering::Acquire) >= ENOUGH
            && last.saturating_sub(first) >= LASTING
            && now.unix_millis().abs_diff(last) <= RECENT
    }
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
        self.failures.note(now);
        self.again.store(now.unix_millis() + BETWEEN, Ordering::Release);
    }

    /// Whether it has failed again and again lately, and nobody was answered in between.
    pub fn is_failing(&self, now: Moment) -> bool {
        self.failures.holds(now)
    }

    /// A sign-in was answered, or could not be.
    pub fn signed_in(&self, answered: bool, now: Moment) {
        match answered {
            true => self.unanswered.end(),
            false => self.unanswered.note(now),
        }
    }

    /// Whether sign-ins were not answered again and again lately.
    pub fn answers_no_sign_in(&self, now: Moment) -> bool {
        self.unanswered.holds(now)
    }

    /// It answered.
    pub fn answered(&self) {
        self.failures.end();
        if self.again.load(Ordering::Relaxed) != 0 {
            self.again.store(0, Ordering::Release);
        }
    }
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
        let later = |seconds| noon.plus(Duration::from_secs(seconds));
        for second in 0..2 {
            circuit.signed_in(false, later(second * 9));
            assert!(!circuit.answers_no_sign_in(later(second * 9)), "one or two are a blip");
        }
        circuit.signed_in(false, later(10));
        assert!(circuit.answers_no_sign_in(later(10)) && circuit.may_ask(later(10)) && !circuit.is_failing(later(10)));
        assert!(!circuit.answers_no_sign_in(later(71)), "it may be well again");
        circuit.signed_in(true, later(11));
        assert!(!circuit.answers_no_sign_in(later(11)));
        for _ in 0..10 {
            circuit.failed(later(20));
        }
        assert!(!circuit.is_failing(later(20)), "many at once are one");
        circuit.failed(later(26));
        assert!(circuit.is_failing(later(26)) && !circuit.is_failing(later(90)));
        circuit.answered();
        assert!(!circuit.is_failing(later(26)));
    }
}
