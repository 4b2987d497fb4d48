//! How many customers each place of help was given within the hour, so that nobody is sent to a line that cannot take them.
//!
//! It must never count one customer twice: a reference that is shown again takes no more room.

use super::stores::{About, Passing, Store};
use super::table::{Table, Worth};
use crate::clock::Moment;

const HELP: About = About {
    name: "help",
    whom: "one place of help",
    holds: "how many customers were sent there within the hour",
    key: "keyed hash of its name",
    purpose: "to send nobody to a line that is full",
    kept: "two hours",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

const STRANGERS: About = About {
    name: "strangers",
    whom: "one network",
    holds: "how many references strangers there were given within the hour",
    key: "keyed hash of the address",
    purpose: "to keep a flood of strangers from using up references",
    kept: "two hours",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    hour: u64,
    now: u32,
    before: u32,
}

impl Worth for Taken {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(hour(now).saturating_sub(self.hour) <= 1)
    }
}

impl Taken {
    /// The same, seen from this hour.
    fn at(self, now: Moment) -> Self {
        let this = hour(now);
        match this.saturating_sub(self.hour) {
            0 => self,
            1 => Self { hour: this, now: 0, before: self.now },
            _ => Self { hour: this, now: 0, before: 0 },
        }
    }

    /// How many within the last sixty minutes.
    fn within(self, now: Moment) -> u64 {
        let left = 3600 - now.unix_seconds() % 3600;
        u64::from(self.now) + u64::from(self.before) * left / 3600
    }
}

fn hour(now: Moment) -> u64 {
    now.unix_seconds() / 3600
}

/// Customers taken by each place of help over the last hour. More places than these 4,096 are not counted: the loser is
/// the one that was given nobody for longest.
#[derive(Debug)]
pub struct Capacity(Table<Taken>);

impl Default for Capacity {
    fn default() -> Self {
        Self(Table::new(4096))
    }
}

impl Capacity {
    /// Counts for this many places. The loser is the one that was given nothing for longest.
    pub fn new(places: usize) -> Self {
        Self(Table::new(places))
    }

    pub(super) fn of_help(&self) -> Box<dyn Store + '_> {
        Box::new(Passing { about: &HELP, table: &self.0 })
    }

    pub(super) fn of_strangers(&self) -> Box<dyn Store + '_> {
        Box::new(Passing { about: &STRANGERS, table: &self.0 })
    }

    /// Gives one customer to a place of help (a keyed hash of its name) that takes `per_hour`. False when it is full.
    ///
    /// The count slides: what was taken in the last clock hour weighs by how much of it lies within sixty minutes.
    pub fn take(&self, help: u64, per_hour: u32, now: Moment) -> bool {
        let take = |taken: &mut Taken| {
            *taken = taken.at(now);
            let room = taken.within(now) < u64::from(per_hour);
            taken.now = taken.now.saturating_add(u32::from(room));
            room
        };
        self.0.update(help, now, take).unwrap_or(true)
    }

    /// Whether a place of help that takes `per_hour` could take no more now. Takes nothing.
    pub fn is_full(&self, help: u64, per_hour: u32, now: Moment) -> bool {
        self.0.read(help).is_some_and(|taken| taken.at(now).within(now) >= u64::from(per_hour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_that_takes_two_an_hour_takes_two_and_then_two_more() {
        let capacity = Capacity::default();
        let start = Moment::from_unix_seconds(1_800_000_000 / 3600 * 3600);
        assert_eq!([0; 3].map(|_| capacity.take(1, 2, start)), [true, true, false]);
        assert!(capacity.take(2, 2, start));
        assert!(!capacity.take(1, 2, start.plus(Duration::from_secs(3600))));
        assert!(capacity.take(1, 2, start.plus(Duration::from_secs(2 * 3600 - 1))));
        assert!(!capacity.take(3, 0, start));
        assert!(!capacity.is_full(9, 2, start), "of whom nobody was sent");
        let later = start.plus(Duration::from_secs(2 * 3600 - 1));
        assert!(capacity.is_full(1, 1, later) && !capacity.is_full(1, 3, later));
        assert!(!capacity.is_full(1, 1, start.plus(Duration::from_secs(9 * 3600))));
    }
}
