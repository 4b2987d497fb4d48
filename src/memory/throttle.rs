//! Who was served a short while ago and is told when to come back. The told time does not move, however often a client asks.
//!
//! It must never let a client's own requests push its turn away, and never say a time that has passed.

use std::time::Duration;

use super::stores::{About, Passing, Store};
use super::table::{Table, Worth};
use crate::clock::Moment;

const ABOUT: About = About {
    name: "turns",
    whom: "one client and one journey",
    holds: "when its next turn is",
    key: "keyed hash of client and journey",
    purpose: "to tell a client that is slowed down when to come back",
    kept: "until that turn, seconds to minutes",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    next: Moment,
}

impl Worth for Turn {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(self.next > now)
    }
}

/// When each client's next turn is. The loser is a client whose turn has come; if all are waiting, one of them, which then
/// has a turn early.
#[derive(Debug)]
pub struct Throttles(Table<Turn>);

impl Throttles {
    /// Room for this many clients.
    pub fn new(clients: usize) -> Self {
        Self(Table::new(clients))
    }

    pub(super) fn store(&self) -> Box<dyn Store + '_> {
        Box::new(Passing { about: &ABOUT, table: &self.0 })
    }

    /// Whether it is this client's turn (a keyed hash of client and journey). If it is, the next one is `every` later.
    ///
    /// # Errors
    /// The moment of its turn, the same however often it asks.
    pub fn ask(&self, client: u64, every: Duration, now: Moment) -> Result<(), Moment> {
        let ask = |turn: &mut Turn| {
            // A law with a shorter time, or a clock that was set back, must not leave a client waiting for the old one.
            let told = turn.next.min(now.plus(every));
            if told > now {
                turn.next = told;
                return Err(told);
            }
            turn.next = now.plus(every);
            Ok(())
        };
        self.0.update(client, now, ask).unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_told_time_stands_however_often_a_client_asks() {
        let throttles = Throttles::new(64);
        let every = Duration::from_secs(10);
        let start = Moment::from_unix_seconds(1_800_000_000);
        assert_eq!(throttles.ask(1, every, start), Ok(()));
        let told = start.plus(every);
        for second in 1..10 {
            assert_eq!(throttles.ask(1, every, start.plus(Duration::from_secs(second))), Err(told));
        }
        assert_eq!(throttles.ask(2, every, start), Ok(()));
        assert_eq!(throttles.ask(1, every, told), Ok(()));
        assert_eq!(throttles.ask(1, Duration::from_secs(2), told), Err(told.plus(Duration::from_secs(2))));
    }
}
