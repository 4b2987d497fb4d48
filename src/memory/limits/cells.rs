//! A bounded table from a key to the moment at which its allowance is whole again.
//!
//! That moment counts from the Unix epoch, never from the making of a limiter: so the cells mean the same to every limiter
//! that is made for them, whichever law made it. It must never grow, and never be read under another epoch.

use std::num::NonZeroU64;

use crate::clock::Moment;
use crate::memory::stores::{About, Passing, Store};
use crate::memory::{Table, Worth};

/// What one key has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// When the allowance is whole again: nanoseconds since the Unix epoch (the theoretical arrival time of GCRA).
    whole: NonZeroU64,
    /// How long a whole allowance takes to come back, in milliseconds: tells how much of it is used.
    rest: u32,
}

/// Parts of an allowance that are told apart when somebody must be forgotten.
const PARTS: u64 = 8;

impl Default for Cell {
    fn default() -> Self {
        Self { whole: NonZeroU64::MIN, rest: 0 }
    }
}

impl Worth for Cell {
    fn worth(&self, now: Moment) -> u8 {
        let missing = self.whole.get().saturating_sub(nanos(now)) / 1_000_000;
        match missing {
            0 => u8::from(self.whole.get() > nanos(now)),
            _ => {
                1 + u8::try_from((missing.saturating_mul(PARTS) / u64::from(self.rest.max(1))).min(PARTS)).unwrap_or(0)
            }
        }
    }
}

/// Nanoseconds since the Unix epoch; half of what fits at most, so that nothing that is added to it wraps.
pub(super) fn nanos(moment: Moment) -> u64 {
    moment.unix_millis().saturating_mul(1_000_000).min(u64::MAX / 2)
}

/// The cells of one kind of key: about 27 bytes each when the table is full.
#[derive(Debug)]
pub struct Cells(Table<Cell>);

impl Cells {
    /// Room for this many keys.
    pub fn new(places: usize) -> Self {
        Self(Table::new(places))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn store(&self, about: &'static About) -> Box<dyn Store + '_> {
        Box::new(Passing { about, table: &self.0 })
    }

    /// Whether a key is counted.
    pub(super) fn has(&self, key: u64) -> bool {
        self.0.look(key, |_| ()).is_some()
    }

    /// Forgets a key; false when it was not counted.
    pub(super) fn remove(&self, key: u64) -> bool {
        self.0.remove(key).is_some()
    }

    /// How many keys there can be.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Asks `decide` with the moment at which this key's allowance is whole again, and keeps the one that it answers with. A
    /// key that there is no room for is decided as one that has used nothing.
    ///
    /// `rest` is how long a whole allowance takes to come back, in nanoseconds. No cell may be further away than that: a law
    /// with a shorter time, or a clock that was set back, must not leave a client waiting for what was.
    pub(super) fn change<T, E>(
        &self,
        key: u64,
        now: Moment,
        rest: u64,
        decide: impl Fn(u64) -> Result<(T, u64), E>,
    ) -> Result<T, E> {
        let begin = nanos(now).max(1);
        let most = begin.saturating_add(rest);
        let rest = u32::try_from(rest / 1_000_000).unwrap_or(u32::MAX);
        let fresh = || Cell { whole: NonZeroU64::new(begin).unwrap_or(NonZeroU64::MIN), rest };
        let kept = self.0.update_or(key, now, fresh, |cell| {
            let whole = cell.whole.get().min(most);
            let (answer, whole) = match decide(whole) {
                Ok((answer, next)) => (Ok(answer), next),
                Err(refused) => (Err(refused), whole),
            };
            *cell = Cell { whole: NonZeroU64::new(whole).unwrap_or(NonZeroU64::MIN), rest };
            answer
        });
        kept.unwrap_or_else(|| decide(begin).map(|(answer, _)| answer))
    }

    /// Gives back what was used, as if it had not been.
    pub(super) fn give_back(&self, key: u64, used: u64) {
        self.0.update_existing(key, |cell| {
            let whole = cell.whole.get().saturating_sub(used);
            cell.whole = NonZeroU64::new(whole).unwrap_or(NonZeroU64::MIN);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    /// A cell that has used so much of a minute.
    fn used(milliseconds: u64) -> Cell {
        let whole = nanos(NOW) + milliseconds * 1_000_000;
        Cell { whole: NonZeroU64::new(whole).unwrap(), rest: 60_000 }
    }

    #[test]
    fn who_has_an_allowance_that_is_whole_again_is_forgotten_first_and_who_waits_last() {
        let worths: Vec<u8> = [0, 1, 8_000, 30_000, 60_000].map(|used_up| used(used_up).worth(NOW)).into();
        assert_eq!(worths[0], 0);
        assert!(worths.windows(2).all(|pair| pair[0] <= pair[1]) && worths[4] > worths[1], "{worths:?}");
        assert_eq!(used(60_000).worth(NOW.plus(std::time::Duration::from_secs(60))), 0);
    }

    #[test]
    fn a_cell_takes_little_memory() {
        assert!(size_of::<Option<Cell>>() <= 16, "with its key, 24 bytes");
    }
}
