//! One bounded table: a fixed number of places, found by a keyed hash, in shards with a short lock each.
//!
//! A key may stand in either of two sets of eight places. When both are full, the entry that is worth least gives way, and of
//! equals the one not touched since the hand last passed; a newcomer that is worth less than all of them is not taken. So a
//! flood of strangers never pushes a customer out. It must never grow, and no lock is held across an await (none can be:
//! closures here are not async).

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Moment;

/// How much an entry is worth keeping: the least is forgotten first.
pub trait Worth {
    /// 0 for a stranger or what has expired, more for what must be kept longer.
    fn worth(&self, now: Moment) -> u8;
}

const WAYS: usize = 8;
/// A power of two; workers that touch different keys seldom meet.
const SHARDS: usize = 64;

/// Eight places.
#[derive(Clone, Copy, Debug)]
struct Set<V> {
    keys: [u64; WAYS],
    touched: [bool; WAYS],
    hand: u8,
    values: [Option<V>; WAYS],
}

impl<V: Copy> Set<V> {
    const EMPTY: Self = Self { keys: [0; WAYS], touched: [false; WAYS], hand: 0, values: [None; WAYS] };

    fn find(&self, key: u64) -> Option<usize> {
        (0..WAYS).find(|&way| self.keys[way] == key && self.values[way].is_some())
    }

    fn vacant(&self) -> Option<usize> {
        self.values.iter().position(Option::is_none)
    }

    fn used(&self) -> usize {
        self.values.iter().filter(|value| value.is_some()).count()
    }
}

/// One shard: its sets are made when they are first used, so that an idle table costs little.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<V>(Mutex<Sets<V>>);

#[derive(Debug)]
struct Sets<V> {
    sets: Box<[Option<Box<Set<V>>>]>,
    len: usize,
}

impl<V: Copy + Worth> Sets<V> {
    fn set(&mut self, at: usize) -> Option<&mut Set<V>> {
        self.sets.get_mut(at).map(|set| &mut **set.get_or_insert_with(|| Box::new(Set::EMPTY)))
    }

    fn existing(&mut self, at: usize) -> Option<&mut Set<V>> {
        self.sets.get_mut(at)?.as_deref_mut()
    }

    fn find(&mut self, key: u64, homes: [usize; 2]) -> Option<(usize, usize)> {
        homes.into_iter().find_map(|home| self.existing(home)?.find(key).map(|way| (home, way)))
    }

    /// A free place in the emptier of the two sets.
    fn vacancy(&mut self, homes: [usize; 2]) -> Option<(usize, usize)> {
        let used = |sets: &mut Self, home| sets.existing(home).map_or(0, |set| set.used());
        let [one, two] = homes;
        let home = if used(self, two) < used(self, one) { two } else { one };
        self.set(home)?.vacant().map(|way| (home, way))
    }

    /// The place of the entry that gives way to a newcomer of this worth, if one does.
    fn victim(&mut self, homes: [usize; 2], newcomer: u8, now: Moment) -> Option<(usize, usize)> {
        let mut victim: Option<(u8, bool, usize, usize)> = None;
        for home in homes {
            let Some(set) = self.existing(home) else { continue };
            for step in 0..WAYS {
                let way = (usize::from(set.hand) + step) % WAYS;
                let Some(value) = &set.values[way] else { continue };
                let candidate = (value.worth(now), set.touched[way], home, way);
                if candidate.0 <= newcomer && victim.is_none_or(|best| (candidate.0, candidate.1) < (best.0, best.1)) {
                    victim = Some(candidate);
                }
            }
        }
        let (_, _, home, way) = victim?;
        let set = self.existing(home)?;
        // The hand passes: whoever is not touched again before it comes back is next among equals.
        set.touched = [false; WAYS];
        set.hand = u8::try_from((way + 1) % WAYS).unwrap_or(0);
        Some((home, way))
    }
}

/// A bounded table from a 64-bit key to a small value.
#[derive(Debug)]
pub struct Table<V> {
    shards: Box<[Shard<V>]>,
    sets_per_shard: usize,
}

impl<V: Copy + Worth> Table<V> {
    /// A table with at least this many places, rounded up to whole sets. The bound is [`Table::capacity`].
    pub fn new(places: usize) -> Self {
        let shards = SHARDS.min(places.div_ceil(WAYS).next_power_of_two().max(1));
        let sets_per_shard = places.div_ceil(WAYS * shards).max(1);
        let shard =
            || Shard(Mutex::new(Sets { sets: std::iter::repeat_with(|| None).take(sets_per_shard).collect(), len: 0 }));
        Self { shards: std::iter::repeat_with(shard).take(shards).collect(), sets_per_shard }
    }

    /// How many entries there can be.
    pub fn capacity(&self) -> usize {
        self.shards.len() * self.sets_per_shard * WAYS
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the entry.
    pub fn read(&self, key: u64) -> Option<V> {
        let (shard, homes) = self.homes(key);
        let mut sets = locked(shard);
        let (home, way) = sets.find(key, homes)?;
        let set = sets.existing(home)?;
        set.touched[way] = true;
        set.values[way]
    }

    /// Changes the entry, made anew where there is none. `None` when the table is full of entries that are worth more than
    /// what the newcomer has become.
    pub fn update<R>(&self, key: u64, now: Moment, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        V: Default,
    {
        self.update_or(key, now, V::default, change)
    }

    /// The same, with `make` for a new entry.
    pub fn update_or<R>(
        &self,
        key: u64,
        now: Moment,
        make: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let (shard, homes) = self.homes(key);
        let mut sets = locked(shard);
        if let Some((home, way)) = sets.find(key, homes) {
            let set = sets.existing(home)?;
            set.touched[way] = true;
            return set.values[way].as_mut().map(change);
        }
        let mut value = make();
        let answer = change(&mut value);
        let (home, way) = match sets.vacancy(homes) {
            Some(free) => {
                sets.len += 1;
                free
            }
            None => sets.victim(homes, value.worth(now), now)?,
        };
        let set = sets.existing(home)?;
        set.keys[way] = key;
        set.values[way] = Some(value);
        set.touched[way] = true;
        Some(answer)
    }

    /// Changes the entry if there is one.
    pub fn update_existing<R>(&self, key: u64, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let (shard, homes) = self.homes(key);
        let mut sets = locked(shard);
        let (home, way) = sets.find(key, homes)?;
        let set = sets.existing(home)?;
        set.touched[way] = true;
        set.values[way].as_mut().map(change)
    }

    /// Puts an entry in, in place of the one with its key. False when it was not taken.
    pub fn put(&self, key: u64, now: Moment, value: V) -> bool {
        self.update_or(key, now, || value, |place| *place = value).is_some()
    }

    /// Takes the entry out.
    pub fn remove(&self, key: u64) -> Option<V> {
        let (shard, homes) = self.homes(key);
        let mut sets = locked(shard);
        let (home, way) = sets.find(key, homes)?;
        let taken = sets.existing(home)?.values[way].take();
        sets.len = sets.len.saturating_sub(1);
        taken
    }

    /// The shard of a key and its two sets there. Keys are keyed hashes already; mixing them again makes counters safe too.
    fn homes(&self, key: u64) -> (&Shard<V>, [usize; 2]) {
        let mixed = mix(key);
        let again = mix(mixed);
        let within = |bits: u64| usize::try_from(bits >> 8).unwrap_or(usize::MAX) % self.sets_per_shard;
        let shard = usize::try_from(mixed & 0xff).unwrap_or(0) % self.shards.len();
        (&self.shards[shard], [within(mixed), within(again)])
    }
}

/// A panic inside a short closure leaves plain data behind: the entry is as good as any.
fn locked<V>(shard: &Shard<V>) -> MutexGuard<'_, Sets<V>> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spreads the bits of a key over the whole word (multiply and fold).
const fn mix(key: u64) -> u64 {
    let product = (key ^ 0x9e37_79b9_7f4a_7c15) as u128 * 0xd6e8_feb8_6659_fd93_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Entry {
        worth: u8,
        seen: u32,
    }

    impl Worth for Entry {
        fn worth(&self, _: Moment) -> u8 {
            self.worth
        }
    }

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    #[test]
    fn what_is_put_in_is_read_until_it_is_taken_out() {
        let table = Table::new(1000);
        for key in 0..500_u64 {
            assert!(table.put(key, NOW, Entry { worth: 0, seen: 7 }));
        }
        assert_eq!(table.len(), 500);
        assert_eq!(table.update(3, NOW, |e: &mut Entry| e.seen += 1), Some(()));
        assert_eq!(table.read(3).map(|e| e.seen), Some(8));
        assert_eq!(table.remove(3).map(|e| e.seen), Some(8));
        assert_eq!((table.read(3), table.remove(3), table.len()), (None, None, 499));
        assert_eq!(table.update_existing(3, |_| ()), None);
    }

    #[test]
    fn a_flood_of_strangers_fills_no_memory_and_forgets_no_customer() {
        let table = Table::new(1024);
        for key in 0..256_u64 {
            assert!(table.put(mix(key), NOW, Entry { worth: 1, seen: 1 }));
        }
        for key in 0..100_000_u64 {
            table.update(mix(key ^ 0xffff_0000_0000), NOW, |e: &mut Entry| e.seen += 1);
        }
        assert!(table.len() <= table.capacity());
        assert!((0..256_u64).all(|key| table.read(mix(key)).is_some()));
    }

    #[test]
    fn a_newcomer_that_is_worth_less_than_all_is_not_taken() {
        let table = Table::new(8);
        for key in 1..=8 {
            assert!(table.put(key, NOW, Entry { worth: 1, seen: 0 }));
        }
        assert!(!table.put(9, NOW, Entry::default()));
        assert!(table.put(9, NOW, Entry { worth: 1, seen: 0 }));
        assert_eq!(table.len(), 8);
    }

    #[test]
    fn among_equals_the_one_not_touched_lately_gives_way() {
        let table = Table::new(8);
        for key in 1..=8 {
            table.put(key, NOW, Entry::default());
        }
        table.put(9, NOW, Entry::default());
        for key in 2..=8 {
            if key != 5 {
                table.read(key);
            }
        }
        table.put(10, NOW, Entry::default());
        assert!(table.read(5).is_none() || table.read(1).is_none());
        assert!(table.read(10).is_some());
    }

    #[test]
    fn most_places_are_used_before_anyone_is_forgotten() {
        let table = Table::new(64 * 8 * 128);
        let nine_tenths = table.capacity() * 9 / 10;
        for key in 0..nine_tenths as u64 {
            table.put(mix(key), NOW, Entry::default());
        }
        assert!(table.len() * 1000 >= nine_tenths * 985, "{} of {nine_tenths}", table.len());
    }
}
