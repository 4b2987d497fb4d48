//! One bounded table: found by a keyed hash, in shards with a short lock each, in memory that grows with what is in it.
//!
//! A key may stand in either of two sets of eight places; when both are full, one of the entries there is moved to its other
//! set. A shard begins with one set, and one in turn is split in two whenever most places are taken (linear hashing), so that
//! nobody waits for more than a few moves. At the bound, the entry that is worth least gives way, and of equals the one not
//! touched since the hand last passed; a newcomer that is worth less than all of them is not taken. So a flood of strangers
//! never pushes a customer out. An entry costs its value, seven bytes of its key (the eighth is the shard) and about one byte
//! more. The table must never grow past its bound, and no lock is held across an await (none can be: closures here are not
//! async).

mod door;

use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

pub use door::{Door, Doors};

use crate::clock::Moment;

/// How much an entry is worth keeping: the least is forgotten first.
pub trait Worth {
    /// 0 for a stranger or what has expired, more for what must be kept longer.
    fn worth(&self, now: Moment) -> u8;
}

const WAYS: usize = 8;
/// One for each value of a byte: workers that touch different keys seldom meet, and the shard tells a byte of the key.
const SHARDS: usize = 256;
/// Sets are made together, about so many bytes at a time.
const SLAB: usize = 2048;
/// A shard is given one set more when this part of its places is taken, in sixteenths.
const DENSE: usize = 15;
/// At most so many more for one newcomer that finds no place all the same.
const SPLITS: usize = 4;
/// Entries that are looked at to make way for one newcomer.
const STEPS: usize = 64;
/// No step.
const NOWHERE: usize = usize::MAX;
/// How often a shard is gone through again because entries moved back meanwhile, before it is held still.
const AGAIN: usize = 3;
/// Bytes that are gone through under one lock when a whole table is.
const BATCH: usize = 32 * 1024;

/// One in each of eight bytes.
const BYTES: u64 = 0x0101_0101_0101_0101;

/// Eight places, and the 56 bits of each key that the shard does not tell.
///
/// In this order: what tells where an entry is lies together, however large the entries are.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Set<V> {
    low: [u32; WAYS],
    middle: [u16; WAYS],
    high: [u8; WAYS],
    /// A bit for each place.
    used: u8,
    touched: u8,
    hand: u8,
    values: [V; WAYS],
}

impl<V: Copy + Default> Set<V> {
    fn empty() -> Self {
        Self {
            low: [0; WAYS],
            middle: [0; WAYS],
            high: [0; WAYS],
            used: 0,
            touched: 0,
            hand: 0,
            values: [V::default(); WAYS],
        }
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        let (low, middle, high) = parts(tag);
        // The eight bytes at once: a byte of `other` is zero where they are alike. Now and then another seems to be, and is not.
        let alike_everywhere = u64::from(high) * BYTES;
        let other = u64::from_le_bytes(self.high) ^ alike_everywhere;
        let mut alike = other.wrapping_sub(BYTES) & !other & BYTES << 7;
        while alike != 0 {
            let way = alike.trailing_zeros() as usize / 8;
            if self.low[way] == low && self.middle[way] == middle && self.used >> way & 1 == 1 {
                return Some(way);
            }
            alike &= alike - 1;
        }
        None
    }

    fn tag(&self, way: usize) -> u64 {
        u64::from(self.low[way]) | u64::from(self.middle[way]) << 32 | u64::from(self.high[way]) << 48
    }

    fn vacant(&self) -> Option<usize> {
        let way = self.used.trailing_ones() as usize;
        (way < WAYS).then_some(way)
    }

    fn fill(&mut self, way: usize, tag: u64, value: V) {
        (self.low[way], self.middle[way], self.high[way]) = parts(tag);
        self.values[way] = value;
        self.used |= 1 << way;
        self.touched |= 1 << way;
    }

    /// Takes an entry out; nothing of it stays in memory.
    fn clear(&mut self, way: usize) -> V {
        (self.low[way], self.middle[way], self.high[way]) = (0, 0, 0);
        self.used &= !(1 << way);
        self.touched &= !(1 << way);
        std::mem::take(&mut self.values[way])
    }

    fn ways(&self) -> impl Iterator<Item = usize> + use<V> {
        let used = self.used;
        (0..WAYS).filter(move |way| used >> way & 1 == 1)
    }
}

/// The three parts in which 56 bits are kept without padding.
#[inline]
const fn parts(tag: u64) -> (u32, u16, u8) {
    (tag as u32, (tag >> 32) as u16, (tag >> 48) as u8)
}

/// One shard.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<V>(Mutex<Sets<V>>);

/// The sets of a shard, in slabs that never move.
#[derive(Debug)]
struct Sets<V> {
    slabs: Vec<Box<[Set<V>]>>,
    /// Sets in use.
    count: usize,
    /// Sets that there can be.
    most: u32,
    /// Entries.
    len: usize,
    /// How often anything was changed.
    changes: u64,
    /// How often an entry was moved to a set further back.
    moved_back: u32,
}

const _: () = assert!(size_of::<Shard<u64>>() == 64, "to take a shard is to take one line of the processor's cache");

/// Two hashes, each of which says a set, however many there are.
#[derive(Clone, Copy)]
struct Homes([u32; 2]);

impl Homes {
    #[inline]
    const fn of(tag: u64) -> Self {
        Self([tag as u32, mix(tag) as u32])
    }

    /// The sets among `count`, as linear hashing numbers them: those that were not split yet stand for both halves.
    #[inline]
    fn among(self, count: usize) -> [usize; 2] {
        let all = count.next_power_of_two();
        let home = |hash: u32| {
            let at = hash as usize & (all - 1);
            if at < count { at } else { at - all / 2 }
        };
        let [one, two] = self.0;
        [home(one), home(two)]
    }
}

impl<V: Copy + Default + Worth> Sets<V> {
    /// A power of two, so that no set costs a division.
    const PER_SLAB: usize = if SLAB / size_of::<Set<V>>() == 0 { 1 } else { 1 << (SLAB / size_of::<Set<V>>()).ilog2() };

    const fn most(&self) -> usize {
        self.most as usize
    }

    #[inline]
    fn set(&self, at: usize) -> Option<&Set<V>> {
        self.slabs.get(at / Self::PER_SLAB)?.get(at % Self::PER_SLAB)
    }

    #[inline]
    fn set_mut(&mut self, at: usize) -> Option<&mut Set<V>> {
        self.slabs.get_mut(at / Self::PER_SLAB)?.get_mut(at % Self::PER_SLAB)
    }

    fn find(&self, tag: u64) -> Option<(usize, usize)> {
        if self.count == 0 {
            return None;
        }
        let homes = Homes::of(tag).among(self.count);
        homes.into_iter().find_map(|home| self.set(home)?.find(tag).map(|way| (home, way)))
    }

    fn found(&mut self, tag: u64) -> Option<&mut V> {
        self.found_among(Homes::of(tag).among(self.count), tag)
    }

    /// The entry in one of these sets.
    #[inline]
    fn found_among(&mut self, homes: [usize; 2], tag: u64) -> Option<&mut V> {
        let [one, two] = homes;
        let way = |home| self.set(home).and_then(|set| set.find(tag));
        let (home, way) = match (way(one), way(two)) {
            (Some(way), _) => (one, way),
            (None, Some(way)) => (two, way),
            (None, None) => return None,
        };
        let set = self.set_mut(home)?;
        if set.touched >> way & 1 == 0 {
            set.touched |= 1 << way;
        }
        Some(&mut set.values[way])
    }

    /// A free place in the emptier of the two sets.
    fn vacancy(&self, homes: [usize; 2]) -> Option<(usize, usize)> {
        let used = |home| self.set(home).map_or(u32::MAX, |set| set.used.count_ones());
        let [one, two] = homes;
        let home = if used(two) < used(one) { two } else { one };
        self.set(home)?.vacant().map(|way| (home, way))
    }

    /// One set more: the next in turn is split. Entries move to a set further on.
    fn split(&mut self) {
        let new = self.count;
        if new.is_multiple_of(Self::PER_SLAB) {
            let sets = Self::PER_SLAB.min(self.most() - new);
            self.slabs.push(vec![Set::empty(); sets].into_boxed_slice());
        }
        self.count += 1;
        let Some(old) = new.checked_sub(self.count.next_power_of_two() / 2) else { return };
        if old == new {
            return;
        }
        let Some(mut from) = self.set(old).copied() else { return };
        let mut to = Set::empty();
        for way in from.ways() {
            let tag = from.tag(way);
            if !Homes::of(tag).among(self.count).contains(&old) {
                let touched = from.touched >> way & 1;
                let value = from.clear(way);
                to.fill(way, tag, value);
                to.touched &= !((touched ^ 1) << way);
            }
        }
        for (at, set) in [(old, from), (new, to)] {
            if let Some(place) = self.set_mut(at) {
                *place = set;
            }
        }
    }

    /// The place for a newcomer, and whether it was free.
    fn place(&mut self, tag: u64, worth: impl Fn() -> u8, now: Moment) -> Option<(usize, usize, bool)> {
        if self.len * 16 >= self.count * WAYS * DENSE && self.count < self.most() {
            self.split();
        }
        for _ in 0..=SPLITS {
            let homes = Homes::of(tag).among(self.count);
            if let Some((home, way)) = self.vacancy(homes).or_else(|| self.make_way(homes)) {
                return Some((home, way, true));
            }
            if self.count == self.most() {
                break;
            }
            self.split();
        }
        let (home, way) = self.victim(Homes::of(tag).among(self.count), worth(), now)?;
        Some((home, way, false))
    }

    /// A place in one of these sets, both full, after entries were moved to the other set where each may stand (cuckoo
    /// hashing, by the shortest way). A shard with hardly a free place is not searched.
    fn make_way(&mut self, homes: [usize; 2]) -> Option<(usize, usize)> {
        if self.len * 64 >= self.count * WAYS * 63 {
            return None;
        }
        // Each step is an entry that may move, and the step whose entry then moves to its place.
        let mut steps: SmallVec<[(usize, usize, usize); STEPS]> = SmallVec::new();
        let mut seen: SmallVec<[usize; STEPS / WAYS]> = SmallVec::new();
        let mut next = 0;
        let mut look_at = |home: usize, from: usize, steps: &mut SmallVec<[_; STEPS]>| {
            if steps.len() + WAYS <= STEPS && !seen.contains(&home) {
                seen.push(home);
                steps.extend((0..WAYS).map(|way| (home, way, from)));
            }
        };
        for home in homes {
            look_at(home, NOWHERE, &mut steps);
        }
        while let Some(&(home, way, _)) = steps.get(next) {
            let tag = self.set(home)?.tag(way);
            let other = Homes::of(tag).among(self.count).into_iter().find(|other| *other != home);
            if let Some(other) = other {
                match self.set(other)?.vacant() {
                    Some(free) => return self.shift(&steps, next, (other, free)),
                    None => look_at(other, next, &mut steps),
                }
            }
            next += 1;
        }
        None
    }

    /// Moves the entry of this step to a free place, the one that led to it to where it was, and so on back.
    fn shift(
        &mut self,
        steps: &[(usize, usize, usize)],
        last: usize,
        mut free: (usize, usize),
    ) -> Option<(usize, usize)> {
        let mut at = last;
        while let Some(&(home, way, from)) = steps.get(at) {
            let set = self.set_mut(home)?;
            let (tag, touched) = (set.tag(way), set.touched >> way & 1);
            let value = set.clear(way);
            let to = self.set_mut(free.0)?;
            to.fill(free.1, tag, value);
            to.touched &= !((touched ^ 1) << free.1);
            self.moved_back = self.moved_back.wrapping_add(u32::from(free.0 < home));
            (free, at) = ((home, way), from);
        }
        Some(free)
    }

    /// The place of the entry that gives way to a newcomer of this worth, if one does.
    fn victim(&mut self, homes: [usize; 2], newcomer: u8, now: Moment) -> Option<(usize, usize)> {
        let mut victim: Option<(u8, bool, usize, usize)> = None;
        for home in homes {
            let Some(set) = self.set(home) else { continue };
            for step in 0..WAYS {
                let way = (usize::from(set.hand) + step) % WAYS;
                if set.used >> way & 1 == 0 {
                    continue;
                }
                let candidate = (set.values[way].worth(now), set.touched >> way & 1 == 1, home, way);
                if candidate.0 <= newcomer && victim.is_none_or(|best| (candidate.0, candidate.1) < (best.0, best.1)) {
                    victim = Some(candidate);
                }
            }
        }
        let (_, _, home, way) = victim?;
        let set = self.set_mut(home)?;
        // The hand passes: whoever is not touched again before it comes back is next among equals.
        set.touched = 0;
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

impl<V: Copy + Default + Worth> Table<V> {
    /// Sets that are gone through under one lock.
    const STEP: usize = if BATCH / size_of::<Set<V>>() == 0 { 1 } else { BATCH / size_of::<Set<V>>() };

    /// A table with at least this many places, rounded up to a whole set for each of 256 shards (2,048 places at least). The
    /// bound is [`Table::capacity`]. Nothing but the shards is allocated until entries come.
    pub fn new(places: usize) -> Self {
        let most = u32::try_from(places.div_ceil(WAYS * SHARDS)).unwrap_or(u32::MAX).max(1);
        let shard = || Shard(Mutex::new(Sets { slabs: Vec::new(), count: 0, most, len: 0, changes: 0, moved_back: 0 }));
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), sets_per_shard: most as usize }
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

    /// A number that is another one after every change.
    pub fn changes(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| sum.wrapping_add(locked(shard).changes))
    }

    /// Bytes that the entries take now, all told but for what the allocator rounds up.
    pub fn bytes(&self) -> usize {
        let of = |sets: MutexGuard<'_, Sets<V>>| {
            let slabs: usize = sets.slabs.iter().map(|slab| size_of_val(&**slab)).sum();
            slabs + sets.slabs.capacity() * size_of::<Box<[Set<V>]>>()
        };
        size_of_val(&*self.shards) + self.shards.iter().map(|shard| of(locked(shard))).sum::<usize>()
    }

    /// A copy of the entry.
    pub fn read(&self, key: u64) -> Option<V> {
        self.look(key, |value| *value)
    }

    /// What `look` makes of the entry, where it stands. It must be quick: others wait.
    pub fn look<R>(&self, key: u64, look: impl FnOnce(&V) -> R) -> Option<R> {
        let (shard, tag) = self.home(key);
        locked(shard).found(tag).map(|value| look(value))
    }

    /// Changes the entry, made anew where there is none. `None` when the table is full of entries that are worth more than
    /// what the newcomer has become.
    pub fn update<R>(&self, key: u64, now: Moment, change: impl FnOnce(&mut V) -> R) -> Option<R> {
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
        let (shard, tag) = self.home(key);
        let mut sets = locked(shard);
        sets.changes = sets.changes.wrapping_add(1);
        if let Some(value) = sets.found(tag) {
            return Some(change(value));
        }
        let mut value = make();
        let answer = change(&mut value);
        let (home, way, free) = sets.place(tag, || value.worth(now), now)?;
        sets.len += usize::from(free);
        sets.set_mut(home)?.fill(way, tag, value);
        Some(answer)
    }

    /// Changes the entry if there is one.
    pub fn update_existing<R>(&self, key: u64, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let (shard, tag) = self.home(key);
        let mut sets = locked(shard);
        let answer = sets.found(tag).map(change)?;
        sets.changes = sets.changes.wrapping_add(1);
        Some(answer)
    }

    /// Puts an entry in, in place of the one with its key. False when it was not taken.
    pub fn put(&self, key: u64, now: Moment, value: V) -> bool {
        self.update_or(key, now, || value, |place| *place = value).is_some()
    }

    /// Takes the entry out; nothing of it stays in memory.
    pub fn remove(&self, key: u64) -> Option<V> {
        let (shard, tag) = self.home(key);
        let mut sets = locked(shard);
        let (home, way) = sets.find(tag)?;
        let taken = sets.set_mut(home)?.clear(way);
        sets.len = sets.len.saturating_sub(1);
        sets.changes = sets.changes.wrapping_add(1);
        Some(taken)
    }

    /// Shows every entry that is there from the beginning to the end of it, a few at a time: nobody waits for `each`. What moves
    /// meanwhile may be shown twice, what comes meanwhile not at all.
    pub fn for_each(&self, mut each: impl FnMut(u64, &V)) {
        let mut batch = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            for round in 0..=AGAIN {
                let (mut next, mut more, before) = (0, true, locked(shard).moved_back);
                while more {
                    {
                        let sets = locked(shard);
                        let step = if round == AGAIN { sets.count } else { Self::STEP };
                        let to = sets.count.min(next + step);
                        for set in (next..to).filter_map(|at| sets.set(at)) {
                            let key = |way| unmix(set.tag(way) << 8 | number as u64);
                            batch.extend(set.ways().map(|way| (key(way), set.values[way])));
                        }
                        (next, more) = (to, to < sets.count);
                    }
                    for (key, value) in batch.drain(..) {
                        each(key, &value);
                    }
                }
                if locked(shard).moved_back == before {
                    break;
                }
            }
        }
    }

    /// Takes out every entry that `keep` does not keep, a few under one lock, and says how many. `keep` must be quick: others wait.
    pub fn retain(&self, mut keep: impl FnMut(u64, &V) -> bool) -> usize {
        let mut gone = 0;
        for (number, shard) in self.shards.iter().enumerate() {
            let mut next = 0;
            loop {
                let mut sets = locked(shard);
                if next >= sets.count {
                    break;
                }
                let to = sets.count.min(next + Self::STEP);
                let before = gone;
                for at in next..to {
                    let Some(set) = sets.set_mut(at) else { continue };
                    for way in set.ways() {
                        if !keep(unmix(set.tag(way) << 8 | number as u64), &set.values[way]) {
                            set.clear(way);
                            gone += 1;
                        }
                    }
                }
                sets.len = sets.len.saturating_sub(gone - before);
                sets.changes = sets.changes.wrapping_add((gone - before) as u64);
                next = to;
            }
        }
        gone
    }

    /// The shard of a key, and what tells the key within it. Keys are keyed hashes already; mixing them again makes counters
    /// safe too.
    #[inline]
    fn home(&self, key: u64) -> (&Shard<V>, u64) {
        let mixed = mix(key);
        (&self.shards[(mixed & 0xff) as usize], mixed >> 8)
    }
}

/// A panic inside a short closure leaves plain data behind: the entry is as good as any.
#[inline]
fn locked<V>(shard: &Shard<V>) -> MutexGuard<'_, Sets<V>> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

const ONE: u64 = 0xbf58_476d_1ce4_e5b9;
const TWO: u64 = 0x94d0_49bb_1331_11eb;

/// Spreads the bits of a key over the whole word, so that [`unmix`] finds it again (the finalizer of `SplitMix64`).
#[inline]
const fn mix(key: u64) -> u64 {
    let key = (key ^ key >> 30).wrapping_mul(ONE);
    let key = (key ^ key >> 27).wrapping_mul(TWO);
    key ^ key >> 31
}

/// The key that was mixed.
const fn unmix(mixed: u64) -> u64 {
    let key = (mixed ^ mixed >> 31 ^ mixed >> 62).wrapping_mul(const { inverse(TWO) });
    let key = (key ^ key >> 27 ^ key >> 54).wrapping_mul(const { inverse(ONE) });
    key ^ key >> 30 ^ key >> 60
}

/// What an odd number is multiplied by to give 1: each step of Newton's method doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

#[cfg(test)]
mod tests;
