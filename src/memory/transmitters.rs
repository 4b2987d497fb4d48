//! What is remembered of those who report from outside: when each was last heard, which events were taken, how much each has
//! taken from customers, and what is held back.
//!
//! Bounded: an event that was taken is remembered for seven days (the loser is the oldest kind of all: one not asked for since);
//! ten thousand reports of one transmitter are held back (the loser is the newest, which its transmitter sends again).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checkpoint::{self, Flaw, Kept, Record, Seal};
use super::retention::Retention;
use super::stores::{About, Lasting, Store};
use super::table::{Table, Worth};
use crate::clock::Moment;
use crate::judge::history::{Report, Reported};
use crate::rules::shared_signals::{REMEMBERED, Transmitter};
use crate::subject::{Account, Session};

/// Events that were taken and are remembered, of all transmitters.
const TAKEN: usize = 262_144;
/// Reports of one transmitter that are held back. The loser is the newest: it is answered so that it comes again.
const HELD: usize = 10_000;
/// Events that are read at the same time. The loser is the newest, with a 503.
const AT_ONCE: usize = 64;
/// Transmitters that are remembered; the law names at most 16 at a time. The loser is any whose law is gone.
const KNOWN: usize = 64;

const EVENTS: About = About {
    name: "events",
    whom: "one security event that was taken",
    holds: "the second in which it was taken",
    key: "keyed hash of its transmitter and identifier",
    purpose: "to take no event twice",
    kept: "7d, as long as an event may be old",
    erased: "not by account: it does not say whom the event was about",
    on_disk: true,
};

const HELD_BACK: About = About {
    name: "events_held",
    whom: "one account or session",
    holds: "what was reported of it and when it happened, until it is applied",
    key: "none: they wait in the order in which they came",
    purpose: "to let no transmitter take from more customers than it may",
    kept: "until its transmitter may take more, or is not named any more",
    erased: "weir erase, from memory and disk at once",
    on_disk: true,
};

/// When an event was taken.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct TakenAt {
    at: u32,
}

impl Kept for TakenAt {
    fn idle(&self, now: Moment) -> Duration {
        Duration::from_secs(u64::from(second(now).saturating_sub(self.at)))
    }
}

impl Worth for TakenAt {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(self.idle(now) <= REMEMBERED)
    }
}

fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

/// What one transmitter has done.
#[derive(Debug, Default)]
struct State {
    /// Since when it is listened to.
    since: Moment,
    heard: Option<Moment>,
    /// When its whole allowance is back, in milliseconds (GCRA's theoretical arrival time).
    whole_at: u64,
    held: VecDeque<Report>,
}

impl State {
    /// Whether it may take from one more customer now.
    fn may_take(&mut self, law: &Transmitter, now: Moment) -> bool {
        let interval = u64::try_from(law.may_take.interval().as_millis()).unwrap_or(u64::MAX).max(1);
        let whole = u64::try_from(law.may_take.per.as_millis()).unwrap_or(u64::MAX);
        let next = self.whole_at.max(now.unix_millis()).saturating_add(interval);
        if next - now.unix_millis() > whole {
            return false;
        }
        self.whole_at = next;
        true
    }
}

/// How one transmitter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// When it was last heard.
    pub heard: Option<Moment>,
    /// It has been silent for longer than it may.
    pub silent: bool,
    /// Reports of it that are held back.
    pub held: usize,
}

/// What becomes of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It is applied.
    Now,
    /// It is held back, with this many others.
    Held {
        /// How many wait, itself included.
        waiting: usize,
    },
}

/// Everybody who reports.
#[derive(Debug)]
pub struct Transmitters {
    taken: Table<TakenAt>,
    states: Mutex<HashMap<Arc<str>, State>>,
    /// Another number whenever something else is held back.
    changes: AtomicU64,
    reading: AtomicUsize,
    silent: AtomicBool,
}

impl Default for Transmitters {
    fn default() -> Self {
        Self {
            taken: Table::new(TAKEN),
            states: Mutex::default(),
            changes: AtomicU64::new(0),
            reading: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
        }
    }
}

/// One of the events that are being read.
#[derive(Debug)]
pub struct Reading<'m>(&'m AtomicUsize);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Transmitters {
    /// Room to read one more event; none when there are as many as there may be.
    pub fn read(&self) -> Option<Reading<'_>> {
        let before = self.reading.fetch_add(1, Ordering::AcqRel);
        let reading = Reading(&self.reading);
        (before < AT_ONCE).then_some(reading)
    }

    /// A verified event of this transmitter has come, with this key: whether it is new. Its transmitter was heard either way.
    pub fn take(&self, law: &Transmitter, key: u64, issued: Moment, now: Moment) -> bool {
        let mut states = self.states();
        let state = state(&mut states, law, now);
        // A replay must not make a silent transmitter look alive: the event's own time counts.
        state.heard = state.heard.max(Some(issued.min(now)));
        let fresh = self.taken.update(key, now, |taken| match taken.at {
            0 => {
                taken.at = second(now).max(1);
                true
            }
            _ => false,
        });
        fresh.unwrap_or(true)
    }

    /// Room for these many reports, should all of them be held back.
    pub fn has_room(&self, law: &Transmitter, reports: usize, now: Moment) -> bool {
        let mut states = self.states();
        state(&mut states, law, now).held.len() + reports <= HELD
    }

    /// Whether a report is applied at once: what takes from a customer only as often as the law allows, and in order.
    pub fn admit(&self, law: &Transmitter, report: Report, now: Moment) -> Admitted {
        let mut states = self.states();
        let state = state(&mut states, law, now);
        // What gives back is never held behind what takes, unless both are about the same.
        let same = |held: &Report| (held.account, held.session) == (report.account, report.session);
        let behind = state.held.iter().any(same);
        let free = !behind && (!report.reported.takes() || (state.held.is_empty() && state.may_take(law, now)));
        if free {
            return Admitted::Now;
        }
        state.held.push_back(report);
        self.changed();
        Admitted::Held { waiting: state.held.len() }
    }

    /// A held report whose time has come.
    pub fn release(&self, law: &Transmitter, now: Moment) -> Option<Report> {
        let mut states = self.states();
        let state = state(&mut states, law, now);
        let takes = state.held.front()?.reported.takes();
        if takes && !state.may_take(law, now) {
            return None;
        }
        self.changed();
        state.held.pop_front()
    }

    /// How this one stands.
    pub fn standing(&self, law: &Transmitter, now: Moment) -> Standing {
        let mut states = self.states();
        let state = state(&mut states, law, now);
        let last = state.heard.unwrap_or(state.since).max(state.since);
        let silent = law.expected_every.is_some_and(|every| now.since(last) > every);
        Standing { heard: state.heard, silent, held: state.held.len() }
    }

    /// Forgets everybody whom the law does not name any more, with what is held back of them.
    pub fn keep_only(&self, laws: &[Arc<Transmitter>]) -> usize {
        let mut dropped = 0;
        self.states().retain(|name, state| {
            let named = laws.iter().any(|law| law.name == *name);
            dropped += if named { 0 } else { state.held.len() };
            named
        });
        if dropped > 0 {
            self.changed();
        }
        dropped
    }

    /// Whether somebody has been silent for longer than they may, as far as was last looked: what is reported is stale then.
    pub fn is_stale(&self) -> bool {
        self.silent.load(Ordering::Acquire)
    }

    /// Says so.
    pub fn are_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Release);
    }

    /// The stores that it is.
    pub(super) fn stores(&self) -> [Box<dyn Store + '_>; 2] {
        let events =
            Lasting { about: &EVENTS, table: &self.taken, keep: |_| REMEMBERED, of: |_, _, _| false, ends: None };
        // What is held back goes to the disk before it is remembered that it was taken: of two files, one may be the older.
        [Box::new(HeldBack(self)), Box::new(events)]
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Arc<str>, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state<'s>(states: &'s mut HashMap<Arc<str>, State>, law: &Transmitter, now: Moment) -> &'s mut State {
    if states.len() >= KNOWN && !states.contains_key(&law.name) {
        states.clear();
    }
    states.entry(law.name.clone()).or_insert_with(|| State { since: now, ..State::default() })
}

/// One report that waits, as it is written.
#[derive(Serialize, Deserialize)]
struct Waiting {
    transmitter: String,
    report: Report,
}

impl Default for Waiting {
    fn default() -> Self {
        let (account, session) = (Some(Account::from_bits(0)), Some(Session::from_bits(0)));
        let report = Report { reported: Reported::Compromised, account, session, at: Moment::default() };
        Self { transmitter: String::new(), report }
    }
}

impl Record for Waiting {}

/// What is held back, as a store.
struct HeldBack<'t>(&'t Transmitters);

impl Store for HeldBack<'_> {
    fn about(&self) -> &'static About {
        &HELD_BACK
    }

    fn len(&self) -> usize {
        self.0.states().values().map(|state| state.held.len()).sum()
    }

    fn access(&self, account: Account, _: Moment) -> Vec<Value> {
        let states = self.0.states();
        let held = states.values().flat_map(|state| &state.held).filter(|report| report.account == Some(account));
        held.map(|report| json!({ "happened": report.at, "reported": format!("{:?}", report.reported) })).collect()
    }

    fn erase(&self, account: Account) -> usize {
        let mut gone = 0;
        for state in self.0.states().values_mut() {
            let before = state.held.len();
            state.held.retain(|report| report.account != Some(account));
            gone += before - state.held.len();
        }
        self.0.changed();
        gone
    }

    fn sweep(&self, _: &Retention, _: Moment) -> usize {
        0
    }

    fn changes(&self) -> Option<u64> {
        Some(self.0.changes.load(Ordering::Acquire))
    }

    fn save(&self, dir: &Path, key: u64) -> io::Result<u64> {
        // A copy: no event waits for the disk.
        let held: Vec<(Arc<str>, VecDeque<Report>)> =
            self.0.states().iter().map(|(name, state)| (name.clone(), state.held.clone())).collect();
        checkpoint::write_each(dir, Seal { store: HELD_BACK.name, key }, |each| {
            let reports = held.iter().flat_map(|(name, held)| held.iter().map(move |report| (name, report)));
            for (turn, (name, report)) in (0..).zip(reports) {
                each(turn, &Waiting { transmitter: name.as_ref().into(), report: *report });
            }
        })
    }

    fn load(&self, dir: &Path, key: u64, _: &Retention, now: Moment) -> Result<Option<u64>, Flaw> {
        let (mut states, mut taken) = (self.0.states(), 0);
        let found = checkpoint::read_each(dir, Seal { store: HELD_BACK.name, key }, |_, waiting: Waiting| {
            let known = states.len() < KNOWN || states.contains_key(&*waiting.transmitter);
            let state = known.then(|| states.entry(waiting.transmitter.into()));
            let state = state.map(|state| state.or_insert_with(|| State { since: now, ..State::default() }));
            if let Some(state) = state.filter(|state| state.held.len() < HELD) {
                state.held.push_back(waiting.report);
                taken += 1;
            }
        })?;
        Ok(found.then_some(taken))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::judge::history::Reported;
    use crate::rules::limits::Rate;
    use crate::rules::ruleset::JwksSource;
    use crate::subject::Account;

    const NOON: Moment = Moment::from_unix_seconds(1_793_620_800);

    fn law(count: u32) -> Transmitter {
        Transmitter {
            name: "idp".into(),
            issuer: "https://id.example".into(),
            jwks: JwksSource::Url("unused".into()),
            audience: vec!["shop".into()],
            hosts: Vec::new(),
            path: "/events".into(),
            token: None,
            accounts: Vec::new(),
            max_age: Duration::from_secs(86_400),
            expected_every: Some(Duration::from_secs(3600)),
            may_take: Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(60) },
        }
    }

    fn about(account: u64, reported: Reported) -> Report {
        Report { reported, account: Some(Account::from_bits(account)), session: None, at: NOON }
    }

    #[test]
    fn a_transmitter_takes_only_so_much_and_the_rest_waits_its_turn() {
        let (transmitters, law) = (Transmitters::default(), law(3));
        let admit = |account, reported| transmitters.admit(&law, about(account, reported), NOON);
        for account in 0..3 {
            assert_eq!(admit(account, Reported::SessionsRevoked), Admitted::Now);
        }
        for account in 3..6 {
            let waiting = account as usize - 2;
            assert_eq!(admit(account, Reported::SessionsRevoked), Admitted::Held { waiting });
        }
        assert_eq!(admit(9, Reported::Enabled), Admitted::Now, "what gives back does not wait");
        assert_eq!(
            admit(4, Reported::CredentialChanged),
            Admitted::Held { waiting: 4 },
            "but never before what it follows"
        );
        assert_eq!(transmitters.release(&law, NOON), None);
        let later = NOON.plus(Duration::from_secs(20));
        assert_eq!(transmitters.release(&law, later), Some(about(3, Reported::SessionsRevoked)));
        assert_eq!(transmitters.release(&law, later), None);
        assert_eq!(transmitters.standing(&law, later).held, 3);
        assert_eq!(transmitters.keep_only(&[]), 3);
    }

    #[test]
    fn an_event_is_taken_once_and_a_replay_is_no_sign_of_life() {
        let (transmitters, law) = (Transmitters::default(), law(3));
        assert!(!transmitters.standing(&law, NOON).silent);
        assert!(transmitters.take(&law, 7, NOON, NOON));
        let later = NOON.plus(Duration::from_secs(3601));
        assert!(!transmitters.take(&law, 7, NOON, later));
        assert!(transmitters.standing(&law, later).silent);
        assert!(transmitters.take(&law, 8, later, later));
        assert!(!transmitters.standing(&law, later).silent);
    }

    #[test]
    fn only_so_many_events_are_read_at_once() {
        let transmitters = Transmitters::default();
        let all: Vec<_> = (0..AT_ONCE).map(|_| transmitters.read().unwrap()).collect();
        assert!(transmitters.read().is_none());
        drop(all);
        assert!(transmitters.read().is_some());
    }
}
