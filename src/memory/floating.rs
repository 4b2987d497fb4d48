//! How far the customers who have long been known fall short of each journey's lines, counted by every worker, looked at beside the
//! path; and how far the lines float.
//!
//! Journeys are known by name, so that a swap of the law leaves where their lines are. A customer counts once a day on each ladder, as
//! the worst that the day brought, in one of a fixed number of places; who comes second to a place on a day is not counted, whoever it
//! is. To count takes no lock and nothing is allocated.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkpoint::{self, Flaw, Record, Seal};
use super::retention::Retention;
use super::stores::{About, Store};
use crate::clock::Moment;
use crate::judge::floating::{BINS, Bounds, Change, Controller, Short};
use crate::judge::stage::Stage;
use crate::rules::budgets::{Budget, Floats};
use crate::subject::Account;

/// Customers of one day that can be told apart. A sample of so many is more than a share needs.
const PLACES: usize = 32_768;
/// Journeys whose lines are known. Beyond it those that no law in use has are forgotten, then no more are taken.
const MOST: usize = 20_000;
const DAY: u64 = 86_400;

/// The two ladders of a journey.
pub const STAGES: [Stage; 2] = [Stage::Attempt, Stage::Session];

/// Where the lines of one journey are.
#[derive(Debug)]
pub struct Lane {
    name: Box<str>,
    salt: u64,
    shifts: [AtomicU8; 2],
    counts: [[AtomicI32; BINS]; 2],
    controllers: Mutex<Pair>,
}

/// What keeps both ladders of a journey within their budgets: of the attempt and of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pair {
    attempt: Controller,
    session: Controller,
}

impl Record for Pair {}

impl Pair {
    const fn of(&mut self, stage: Stage) -> &mut Controller {
        match stage {
            Stage::Attempt => &mut self.attempt,
            Stage::Claim | Stage::Session => &mut self.session,
        }
    }
}

const fn place(stage: Stage) -> usize {
    match stage {
        Stage::Attempt => 0,
        Stage::Claim | Stage::Session => 1,
    }
}

impl Lane {
    fn new(name: &str, pair: Pair) -> Self {
        let shift = |controller: Controller| AtomicU8::new(controller.shift());
        Self {
            name: name.into(),
            salt: digest(name),
            shifts: [shift(pair.attempt), shift(pair.session)],
            counts: std::array::from_fn(|_| std::array::from_fn(|_| AtomicI32::new(0))),
            controllers: Mutex::new(pair),
        }
    }

    /// How far the lines float now.
    pub fn floats(&self) -> Floats {
        let [attempt, session] = &self.shifts;
        Floats { attempt: attempt.load(Ordering::Relaxed), session: session.load(Ordering::Relaxed) }
    }

    /// What the ladder of this stage is held to; nothing where its lines do not float.
    fn bounds(budget: &Budget, stage: Stage, armed: bool) -> Option<Bounds> {
        let share = match stage {
            Stage::Attempt => budget.attempts?,
            Stage::Claim | Stage::Session => budget.challenged,
        };
        Some(Bounds { share, range: budget.range, over: budget.over, armed })
    }

    /// Looks at what was counted, and says what changed. What changed holds for the next request.
    pub fn look(&self, budget: &Budget, armed: bool, now: Moment) -> Vec<(Stage, Change)> {
        let mut pair = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        for stage in STAGES {
            let (counts, shift) = (&self.counts[place(stage)], &self.shifts[place(stage)]);
            let counted = std::array::from_fn(|at| counts[at].swap(0, Ordering::Relaxed));
            let controller = pair.of(stage);
            match Self::bounds(budget, stage, armed) {
                Some(bounds) => {
                    let said = controller.look(counted, &bounds, now);
                    changes.extend(said.into_iter().map(|change| (stage, change)));
                }
                None => *controller = Controller::default(),
            }
            shift.store(controller.shift(), Ordering::Relaxed);
        }
        changes
    }

    /// The state of the ladder of this stage.
    pub fn show(&self, stage: Stage) -> Controller {
        *self.controllers.lock().unwrap_or_else(PoisonError::into_inner).of(stage)
    }
}

/// The lines of every journey that has a budget.
#[derive(Debug)]
pub struct Floating {
    lanes: Mutex<BTreeMap<Box<str>, Arc<Lane>>>,
    /// Read from the disk, for journeys that no law has named yet.
    kept: Mutex<BTreeMap<u64, Pair>>,
    /// The day, how far short, and whose, of each customer counted.
    places: Box<[AtomicU64]>,
    changes: AtomicU64,
}

impl Default for Floating {
    fn default() -> Self {
        Self {
            lanes: Mutex::default(),
            kept: Mutex::default(),
            places: std::iter::repeat_with(AtomicU64::default).take(PLACES).collect(),
            changes: AtomicU64::new(0),
        }
    }
}

impl Floating {
    /// The lane of a journey; nothing when there are too many.
    pub fn lane(&self, name: &str) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(name) {
            return Some(lane.clone());
        }
        if lanes.len() >= MOST {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        if lanes.len() >= MOST {
            return None;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(name));
        let lane = Arc::new(Lane::new(name, kept.unwrap_or_default()));
        lanes.insert(name.into(), lane.clone());
        Some(lane)
    }

    /// Counts one customer: once a day on each ladder, as the worst that the day brought.
    pub fn count(&self, lane: &Lane, account: Account, short: Short, now: Moment) {
        let mixed = mixed(account.bits() ^ lane.salt, short.stage);
        let Some(cell) = self.places.get(mixed as usize % PLACES) else { return };
        let (whose, day) = (mixed >> 32, (now.unix_seconds() / DAY) & 0xffff);
        let entry = |by: u8| whose << 32 | day << 16 | u64::from(by) << 8 | 1;
        let mut old = cell.load(Ordering::Relaxed);
        let was = loop {
            let today = old & 1 == 1 && old >> 16 & 0xffff == day;
            let was = ((old >> 8) & 0xff) as u8;
            if today && (old >> 32 != whose || was >= short.by) {
                return;
            }
            match cell.compare_exchange_weak(old, entry(short.by), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break today.then_some(was),
                Err(now) => old = now,
            }
        };
        let counts = &lane.counts[place(short.stage)];
        let bin = |by: u8| counts.get(usize::from(by));
        bin(short.by).into_iter().for_each(|count| _ = count.fetch_add(1, Ordering::Relaxed));
        was.and_then(bin).into_iter().for_each(|count| _ = count.fetch_sub(1, Ordering::Relaxed));
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A digest of a journey's name (FNV-1a): names are the operator's own, so nobody chooses them to collide.
fn digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn mixed(bits: u64, stage: Stage) -> u64 {
    let bits = (bits ^ (place(stage) as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(32)
}

const ABOUT: About = About {
    name: "lines",
    whom: "nobody: customers together, by journey",
    holds: "decayed counts of how far customers who have long been known fall short of a journey's lines, and how far the lines float",
    key: "digest of the journey's name",
    purpose: "to ask no more of them than the journey's budget",
    kept: "always; each count halves within half of the budget's `over`",
    erased: "not by account: it does not say who they were",
    on_disk: true,
};

/// The store.
pub(super) struct Lines<'m>(pub &'m Floating);

impl Store for Lines<'_> {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn len(&self) -> usize {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn access(&self, _: Account, _: Moment) -> Vec<Value> {
        Vec::new()
    }

    fn erase(&self, _: Account) -> usize {
        0
    }

    fn sweep(&self, _: &Retention, _: Moment) -> usize {
        0
    }

    fn changes(&self) -> Option<u64> {
        let lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let shifts = lanes.values().map(|lane| lane.floats());
        let moved = shifts.fold(0, |sum: u64, floats| {
            sum.wrapping_mul(31).wrapping_add(u64::from(floats.attempt) << 8 | u64::from(floats.session))
        });
        Some(self.0.changes.load(Ordering::Relaxed) ^ moved << 32)
    }

    fn save(&self, dir: &Path, key: u64) -> io::Result<u64> {
        let lanes: Vec<Arc<Lane>> =
            self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        checkpoint::write_each(dir, Seal { store: ABOUT.name, key }, |each| {
            for lane in lanes {
                let pair = *lane.controllers.lock().unwrap_or_else(PoisonError::into_inner);
                each(digest(&lane.name), &pair);
            }
        })
    }

    fn load(&self, dir: &Path, key: u64, _: &Retention, _: Moment) -> Result<Option<u64>, Flaw> {
        let mut kept = BTreeMap::new();
        let found = checkpoint::read_each::<Pair>(dir, Seal { store: ABOUT.name, key }, |key, pair| {
            if kept.len() < MOST {
                kept.insert(key, pair);
            }
        })?;
        let entries = kept.len() as u64;
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(found.then_some(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::budgets::Share;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
    const BUDGET: Budget =
        Budget { challenged: Share(100), attempts: None, range: 12, over: Duration::from_secs(86_400) };

    fn counts(lane: &Lane) -> Vec<(usize, i32)> {
        let all = lane.counts[1].iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        all.filter(|(_, count)| *count != 0).collect()
    }

    fn short(by: u8) -> Short {
        Short { stage: Stage::Session, by }
    }

    #[test]
    fn a_customer_counts_once_a_day_as_the_worst_that_the_day_brought() {
        let floating = Floating::default();
        let lane = floating.lane("login").unwrap();
        let account = Account::from_bits(7);
        for by in [0, 3, 1, 5, 5, 0] {
            floating.count(&lane, account, short(by), NOW);
        }
        assert_eq!(counts(&lane), [(5, 1)]);
        floating.count(&lane, account, short(0), NOW.plus(Duration::from_secs(DAY)));
        assert_eq!(counts(&lane), [(0, 1), (5, 1)]);
        let other = floating.lane("checkout").unwrap();
        floating.count(&other, account, short(0), NOW);
        assert_eq!(counts(&other), [(0, 1)], "each journey has its own");
    }

    #[test]
    fn a_flood_of_accounts_fills_the_places_and_no_more() {
        let floating = Floating::default();
        let lane = floating.lane("login").unwrap();
        for number in 0..200_000_u64 {
            floating.count(&lane, Account::from_bits(number.wrapping_mul(0x2545_f491_4f6c_dd1d)), short(0), NOW);
        }
        let [(0, counted)] = counts(&lane)[..] else { panic!("{:?}", counts(&lane)) };
        assert!((30_000..=PLACES as i32).contains(&counted), "{counted}");
    }

    #[test]
    fn where_lines_are_survives_a_restart_and_a_swap_by_the_journeys_name() {
        let dir = tempfile::tempdir().unwrap();
        let floating = Floating::default();
        let lane = floating.lane("login").unwrap();
        for number in 0..400_u64 {
            let by = if number % 4 == 0 { 6 } else { 0 };
            floating.count(&lane, Account::from_bits(mixed(number, Stage::Session)), short(by), NOW);
        }
        for minutes in 0..12 {
            lane.look(&BUDGET, false, NOW.plus(Duration::from_secs(60 * minutes)));
        }
        assert_eq!(lane.floats(), Floats { attempt: 0, session: 3 });
        drop(lane);
        assert_eq!(floating.lane("login").unwrap().floats().session, 3, "another law, the same journey");
        assert_eq!(Lines(&floating).save(dir.path(), 5).unwrap(), 1);

        let after = Floating::default();
        let retention = Retention::default();
        assert_eq!(Lines(&after).load(dir.path(), 5, &retention, NOW).unwrap(), Some(1));
        assert_eq!(after.lane("checkout").unwrap().floats(), Floats::NONE);
        let lane = after.lane("login").unwrap();
        assert_eq!(lane.floats().session, 3);
        assert!(lane.show(Stage::Session).share(5).unwrap() > 0.2);
    }
}
