//! Continuity passes that are void: those of one device after a sign-out, of one session after its end, of an account after a changed
//! password.
//!
//! A pass says by itself how long it is good; only what ends it sooner is kept here, for longer than any pass can be good. Each void is
//! a moment in one of a fixed number of places, the latest of all that share it: so nothing that is void is ever good again because
//! others came, and who shares a place with it has lost a pass for nothing. Where the file is lost, everything until then is void.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::{fmt, io};

use serde_json::Value;

use super::Memory;
use super::checkpoint::{self, Flaw, Record, Seal};
use super::retention::Retention;
use super::stores::{About, Store};
use crate::clock::Moment;
use crate::rules::continuity_pass::OLDEST;
use crate::subject::{Account, Session};

/// Places: 8 MB where all are used. With a million voids in four months one pass in fifty that was left a fortnight ago is void for
/// nothing.
const PLACES: usize = 1 << 21;
/// Where the floor is written.
const FLOOR: u64 = u64::MAX;

/// When passes were voided.
pub struct Voids {
    /// In seconds; 0 for never. None are made before the first is needed.
    places: OnceLock<Box<[AtomicU32]>>,
    /// Everything until then is void.
    floor: AtomicU32,
    used: AtomicUsize,
    changes: AtomicU64,
}

impl fmt::Debug for Voids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voids").field("used", &self.used).field("floor", &self.floor).finish_non_exhaustive()
    }
}

impl Default for Voids {
    fn default() -> Self {
        Self {
            places: OnceLock::new(),
            floor: AtomicU32::new(0),
            used: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        }
    }
}

fn second(at: Moment) -> u32 {
    u32::try_from(at.unix_seconds()).unwrap_or(u32::MAX)
}

fn moment(second: u32) -> Moment {
    Moment::from_unix_seconds(u64::from(second))
}

impl Voids {
    /// The places that there are; none before the first void.
    fn all(&self) -> &[AtomicU32] {
        self.places.get().map_or(&[], |places| places)
    }

    fn of(&self, key: u64) -> u32 {
        self.all().get((key % PLACES as u64) as usize).map_or(0, |place| place.load(Ordering::Acquire))
    }

    fn void(&self, key: u64, until: u32) {
        let made = || std::iter::repeat_with(AtomicU32::default).take(PLACES).collect();
        let Some(place) = self.places.get_or_init(made).get((key % PLACES as u64) as usize) else { return };
        let before = place.fetch_max(until, Ordering::AcqRel);
        if before < until {
            self.used.fetch_add(usize::from(before == 0), Ordering::Relaxed);
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Memory {
    /// Whatever pass this key stands for is void if it was given until then.
    pub fn void_pass(&self, key: Session, until: Moment) {
        self.passes.void(key.bits(), second(until));
    }

    /// The same, but for what is void because it is not known any more.
    pub fn pass_voided_by_somebody(&self, key: Session) -> Option<Moment> {
        let until = self.passes.of(key.bits());
        (until > 0).then(|| moment(until))
    }

    /// Until when what this key stands for is void; it may be later than anybody asked for.
    pub fn pass_voided(&self, key: Session) -> Option<Moment> {
        let until = self.passes.of(key.bits()).max(self.passes.floor.load(Ordering::Acquire));
        (until > 0).then(|| moment(until))
    }
}

/// One place, as it is written.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Until(u32);

impl Record for Until {}

const ABOUT: About = About {
    name: "void_passes",
    whom: "continuity passes that are void: of one device, one session or one account",
    holds: "until when they are",
    key: "a part of a keyed hash, which many share",
    purpose: "to keep a pass from showing anything after a sign-out, a changed password or a report",
    kept: "120d, longer than any pass is good",
    erased: "not by account: it does not say whose passes they were",
    on_disk: true,
};

/// The store.
pub(super) struct Kept<'m>(pub &'m Voids);

impl Store for Kept<'_> {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn len(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn access(&self, _: Account, _: Moment) -> Vec<Value> {
        Vec::new()
    }

    fn erase(&self, _: Account) -> usize {
        0
    }

    fn sweep(&self, _: &Retention, now: Moment) -> usize {
        let old = |until: &u32| *until != 0 && now.since(moment(*until)) > OLDEST;
        let mut gone = 0;
        for place in self.0.all() {
            let until = place.load(Ordering::Acquire);
            let swept = old(&until) && place.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            gone += usize::from(swept);
        }
        if gone > 0 {
            self.0.used.fetch_sub(gone, Ordering::Relaxed);
            self.0.changes.fetch_add(1, Ordering::AcqRel);
        }
        gone
    }

    fn changes(&self) -> Option<u64> {
        Some(self.0.changes.load(Ordering::Acquire))
    }

    fn ends(&self) -> Option<u64> {
        self.changes()
    }

    fn save(&self, dir: &Path, key: u64) -> io::Result<u64> {
        checkpoint::write_each(dir, Seal { store: ABOUT.name, key }, |each| {
            each(FLOOR, &Until(self.0.floor.load(Ordering::Acquire)));
            for (at, place) in (0_u64..).zip(self.0.all()) {
                let until = place.load(Ordering::Acquire);
                if until != 0 {
                    each(at, &Until(until));
                }
            }
        })
    }

    fn load(&self, dir: &Path, key: u64, _: &Retention, now: Moment) -> Result<Option<u64>, Flaw> {
        let mut entries = 0;
        let mut kept = Vec::new();
        let found = checkpoint::read_each::<Until>(dir, Seal { store: ABOUT.name, key }, |at, Until(until)| {
            entries += 1;
            if kept.len() <= PLACES {
                kept.push((at, until));
            }
        });
        if !matches!(found, Ok(true)) {
            // What was void before is not known any more.
            self.0.floor.fetch_max(second(now).saturating_sub(1), Ordering::AcqRel);
            self.0.changes.fetch_add(1, Ordering::AcqRel);
        } else {
            for (at, until) in kept {
                match at {
                    FLOOR => drop(self.0.floor.fetch_max(until, Ordering::AcqRel)),
                    _ => self.0.void(at, until),
                }
            }
        }
        Ok(found?.then_some(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::Places;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    #[test]
    fn nothing_that_is_void_is_good_again_because_others_came_or_its_file_is_lost() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let memory = Memory::new(&Places::default());
        let key = |n: u64| Session::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for n in 0..100_000 {
            memory.void_pass(key(n), NOW);
        }
        memory.void_pass(key(0), Moment::from_unix_seconds(1));
        assert!(
            (0..100_000).all(|n| memory.pass_voided(key(n)) == Some(NOW)),
            "the later counts, and none is forgotten"
        );
        let spared = (200_000..300_000).filter(|n| memory.pass_voided(key(*n)).is_none()).count();
        assert!(spared > 94_000, "{spared}");
        Kept(&memory.passes).save(dir.path(), 7).unwrap();
        let again = Memory::new(&Places::default());
        Kept(&again.passes).load(dir.path(), 7, &Retention::default(), NOW).unwrap();
        assert_eq!(again.pass_voided(key(99_999)), Some(NOW));
        assert_eq!(Kept(&again.passes).len(), Kept(&memory.passes).len());
        let later = NOW.plus(Duration::from_secs(60));
        let lost = Memory::new(&Places::default());
        assert!(Kept(&lost.passes).load(elsewhere.path(), 7, &Retention::default(), later).unwrap().is_none());
        let before = NOW.plus(Duration::from_secs(59));
        assert_eq!(lost.pass_voided(key(123_456_789)), Some(before), "everything until then");
        Kept(&lost.passes).save(elsewhere.path(), 7).unwrap();
        let after = Memory::new(&Places::default());
        Kept(&after.passes).load(elsewhere.path(), 7, &Retention::default(), later.plus(OLDEST)).unwrap();
        assert_eq!(after.pass_voided(key(123_456_789)), Some(before), "and no more after the next start");
        assert!(Kept(&memory.passes).sweep(&Retention::default(), NOW.plus(OLDEST)) == 0);
        assert!(
            Kept(&memory.passes).sweep(&Retention::default(), NOW.plus(OLDEST).plus(Duration::from_secs(1))) > 90_000
        );
        assert_eq!((memory.pass_voided(key(5)), Kept(&memory.passes).len()), (None, 0));
    }
}
