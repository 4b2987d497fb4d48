//! Clients that repeat a refused request for ever: some apps refresh their token on every 401 and come straight back.
//!
//! It must never count two different refusals as one.

use super::stores::{About, Passing, Store};
use super::table::{Table, Worth};
use crate::clock::Moment;
use std::time::Duration;

/// This many identical 401s ...
const TIMES: u8 = 3;
/// ... within this long are a loop.
const WITHIN: Duration = Duration::from_secs(60);

const ABOUT: About = About {
    name: "loops",
    whom: "one client and one refusal",
    holds: "how often it was given within a minute",
    key: "keyed hash of session or client and of what was refused",
    purpose: "to stop an app that repeats a refused request for ever",
    kept: "a minute",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    since: Moment,
    times: u8,
}

impl Worth for Told {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(now.since(self.since) <= WITHIN)
    }
}

/// Counts identical refusals of one client. The loser is a client that was refused longest ago: it is told 401 once more.
#[derive(Debug)]
pub struct Loops(Table<Told>);

impl Loops {
    /// Room for this many clients.
    pub fn new(clients: usize) -> Self {
        Self(Table::new(clients))
    }

    pub(super) fn store(&self) -> Box<dyn Store + '_> {
        Box::new(Passing { about: &ABOUT, table: &self.0 })
    }

    /// Notes that this refusal (a keyed hash of session or client, and of what was refused) is answered with a 401 now.
    /// True when the client has already had three of them within a minute: 403 is the answer that stops it.
    pub fn is_looping(&self, refusal: u64, now: Moment) -> bool {
        let note = |told: &mut Told| {
            if told.times == 0 || now.since(told.since) > WITHIN {
                *told = Told { since: now, times: 0 };
            }
            told.times = told.times.saturating_add(1).min(TIMES + 1);
            told.times > TIMES
        };
        self.0.update(refusal, now, note).unwrap_or(false)
    }

    /// Forgets it, once the client has been let through.
    pub fn ended(&self, refusal: u64) {
        self.0.remove(refusal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_identical_refusal_within_a_minute_is_a_loop() {
        let loops = Loops::new(64);
        let start = Moment::from_unix_seconds(1_800_000_000);
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        assert_eq!([0, 1, 2, 3, 4].map(|s| loops.is_looping(7, at(s))), [false, false, false, true, true]);
        assert!(!loops.is_looping(8, at(4)));
        assert!(!loops.is_looping(7, at(70)));
        loops.ended(7);
        assert!(!loops.is_looping(7, at(71)));
    }
}
