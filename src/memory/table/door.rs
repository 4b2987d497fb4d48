//! Several entries at once: what is remembered of everybody in one request lies far apart in memory, and is fetched together.
//!
//! A door holds the shard of one entry. A worker first takes all its doors, then knocks at each, then looks behind each, and only
//! then lets them go: in between it touches no lock, so that the processor fetches from memory for all of them at the same time
//! instead of for one after the other. Nobody may wait for a second door while holding one of a table whose doors others may
//! hold while they wait for this one: whoever holds the door of an account may wait for the other tables, and never the other way.

use std::sync::{MutexGuard, PoisonError, TryLockError};

use super::{Homes, Sets, Table, Worth, locked};

/// One entry's shard, held.
#[derive(Debug)]
pub struct Door<'t, V> {
    sets: MutexGuard<'t, Sets<V>>,
    tag: u64,
    homes: [usize; 2],
}

impl<V: Copy + Default + Worth> Table<V> {
    /// The door of a key; none while somebody else holds its shard.
    #[inline]
    pub fn door(&self, key: u64) -> Option<Door<'_, V>> {
        let (shard, tag) = self.home(key);
        let sets = match shard.0.try_lock() {
            Ok(sets) => sets,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Door::of(sets, tag))
    }

    /// The same; waits while somebody else holds it.
    pub fn enter(&self, key: u64) -> Door<'_, V> {
        let (shard, tag) = self.home(key);
        Door::of(locked(shard), tag)
    }
}

impl<'t, V: Copy + Default + Worth> Door<'t, V> {
    #[inline]
    fn of(sets: MutexGuard<'t, Sets<V>>, tag: u64) -> Self {
        let homes = Homes::of(tag).among(sets.count);
        Self { sets, tag, homes }
    }

    /// Has the processor fetch where the entry may stand. What it says is of no use but that it must be read.
    #[inline]
    pub fn knock(&self) -> u8 {
        let [one, two] = self.homes;
        let first = |home| self.sets.set(home).map_or(0, |set| set.high[0]);
        first(one) ^ first(two)
    }

    /// The entry, where it stands. To look at it must be quick: others wait.
    #[inline]
    pub fn find(&mut self) -> Option<&V> {
        self.sets.found_among(self.homes, self.tag).map(|value| &*value)
    }
}

/// Copies of several entries of one table.
#[derive(Debug)]
pub struct Doors<'t, V, const N: usize> {
    table: &'t Table<V>,
    keys: [Option<u64>; N],
    held: [Option<Door<'t, V>>; N],
    found: [Option<V>; N],
}

#[allow(
    clippy::needless_range_loop,
    reason = "plain loops over several arrays at once: what is built of iterators costs more"
)]
impl<'t, V: Copy + Default + Worth, const N: usize> Doors<'t, V, N> {
    /// Takes the doors of these keys; not those that somebody else holds.
    #[inline]
    pub fn of(table: &'t Table<V>, keys: [Option<u64>; N]) -> Self {
        let mut held = [const { None }; N];
        for at in 0..N {
            if let Some(key) = keys[at] {
                held[at] = table.door(key);
            }
        }
        Self { table, keys, held, found: [None; N] }
    }

    /// Has the processor fetch where the entries may stand.
    #[inline]
    pub fn knock(&self) -> u8 {
        let mut heard = 0;
        for at in 0..N {
            if let Some(door) = &self.held[at] {
                heard ^= door.knock();
            }
        }
        heard
    }

    /// Copies what is behind the doors.
    #[inline]
    pub fn copy(&mut self) {
        for at in 0..N {
            if let Some(door) = &mut self.held[at] {
                self.found[at] = door.find().copied();
            }
        }
    }

    /// Lets the doors go, and forgets the keys of those that were held.
    #[inline]
    pub fn leave(&mut self) {
        for at in 0..N {
            if self.held[at].is_some() {
                (self.held[at], self.keys[at]) = (None, None);
            }
        }
    }

    /// The entries. Waits for those whose doors somebody else held.
    #[inline]
    pub fn found(mut self) -> [Option<V>; N] {
        for at in 0..N {
            if let Some(key) = self.keys[at] {
                self.found[at] = self.table.read(key);
            }
        }
        self.found
    }
}
