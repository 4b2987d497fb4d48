//! What keeps the memory: writes it to the data directory now and then, reads it back at the start, forgets what is too old, and
//! erases or shows one account wherever something is held about it.
//!
//! It works beside the request path: under short locks of the tables, and one writer at a time. A disk that fails is said and
//! tried again; what is remembered stays in memory. It must never keep on the disk what was erased.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::checkpoint;
use super::retention::Retention;
use super::stores::Store;
use super::{Memory, stores};
use crate::clock::{Clock, Moment};
use crate::judge::history::AccountHistory;
use crate::judge::signals::device::Standing;
use crate::subject::{Account, Device, Names};
use crate::telemetry::Telemetry;
use crate::telemetry::lines::Recent;

/// How often what is too old is looked for, by the clock of the law.
const SWEEP: Duration = Duration::from_secs(600);

/// Keeps one process's memory.
#[derive(Debug)]
pub struct Keeper {
    memory: Arc<Memory>,
    dir: PathBuf,
    /// Tells the key of the hashes.
    key: u64,
    retention: Retention,
    clock: Clock,
    telemetry: Telemetry,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What each store's number of changes was when it was last written.
    written: BTreeMap<&'static str, u64>,
    /// What each store's number of ends was then.
    ends: BTreeMap<&'static str, u64>,
    swept: Moment,
    failing: bool,
}

/// What was erased of an account.
#[derive(Debug, Serialize)]
pub struct Erased {
    /// Entries, by store.
    pub stores: BTreeMap<&'static str, usize>,
    /// Devices that no other account is known to use.
    pub devices: usize,
    /// What it had used of limits.
    pub limits: usize,
    /// Lines of the latest decisions.
    pub decisions: usize,
    /// Whether the files in the data directory are without it already.
    pub on_disk: bool,
}

/// What holds something about accounts beside the stores.
#[derive(Debug, Clone, Default)]
pub struct Beyond {
    /// The latest decision lines.
    pub recent: Recent,
    /// The salts of the limits in force.
    pub salts: Vec<u64>,
}

impl Keeper {
    /// Keeps this memory in the data directory. Nothing is read yet.
    pub fn new(
        memory: Arc<Memory>,
        dir: PathBuf,
        names: &Names,
        retention: Retention,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Self {
        let key = names.key(&[b"checkpoint"]);
        Self { memory, dir, key, retention, clock, telemetry, state: Mutex::default() }
    }

    /// Fills the memory with what the data directory has. What is not believed is put aside and said: the process starts
    /// without it.
    pub fn load(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = 0;
        for store in self.memory.stores().iter().filter(|store| store.changes().is_some()) {
            let name = store.about().name;
            match store.load(&self.dir, self.key, &self.retention, now) {
                Ok(None) => {}
                Ok(Some(entries)) => {
                    tracing::info!(store = name, entries, "remembered from the last run");
                    state.written.extend(store.changes().map(|changes| (name, changes)));
                }
                Err(flaw) => {
                    refused += 1;
                    let aside = match checkpoint::put_aside(&self.dir, name) {
                        Ok(aside) => aside.display().to_string(),
                        Err(error) => format!("it stays where it is: {error}"),
                    };
                    tracing::error!(store = name, %flaw, aside, "a checkpoint is refused whole; this store begins empty");
                }
            }
        }
        self.memory.loaded();
        for store in self.memory.stores() {
            let ends = store.ends().filter(|_| state.written.contains_key(store.about().name));
            state.ends.extend(ends.map(|ends| (store.about().name, ends)));
        }
        self.telemetry.gauges.checkpoints_refused.set(refused);
    }

    /// Forgets what is too old, when it is time to, and writes every store that has changed since it was last written.
    ///
    /// # Errors
    /// The first failure; the other stores are written all the same.
    pub fn keep(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if now.since(state.swept) >= SWEEP {
            state.swept = now;
            self.sweep(now);
        }
        let outcome = self.write(&mut state, |store, state| {
            let name = store.about().name;
            store.changes().is_some_and(|changes| state.written.get(name) != Some(&changes))
        });
        self.tell(&mut state, &outcome);
        outcome
    }

    /// Writes every store in which something has ended since it was last written: what a sign-out or a report took from somebody
    /// must not come back because the process was killed. Says whether there was any.
    ///
    /// # Errors
    /// The first failure; the other stores are written all the same.
    pub fn keep_ends(&self) -> io::Result<bool> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        let outcome = self.write(&mut state, |store, state| {
            let due = store.ends().is_some_and(|ends| state.ends.get(store.about().name) != Some(&ends));
            any |= due;
            due
        });
        // A disk that works again is said where everything is written to it.
        if outcome.is_err() {
            self.tell(&mut state, &outcome);
        }
        outcome.map(|()| any)
    }

    fn write(&self, state: &mut State, mut is_due: impl FnMut(&dyn Store, &State) -> bool) -> io::Result<()> {
        let mut outcome = Ok(());
        for store in self.memory.stores() {
            let name = store.about().name;
            // Asked before it is written: what changes meanwhile is written next time.
            let (changes, ends) = (store.changes(), store.ends());
            if !is_due(&*store, state) {
                continue;
            }
            match store.save(&self.dir, self.key) {
                Ok(entries) => {
                    tracing::debug!("checkpoint of {entries} {name}");
                    state.written.extend(changes.map(|changes| (name, changes)));
                    state.ends.extend(ends.map(|ends| (name, ends)));
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    fn tell(&self, state: &mut State, outcome: &io::Result<()>) {
        let failing = outcome.is_err();
        if let Err(error) = outcome
            && !state.failing
        {
            let dir = self.dir.display();
            tracing::error!(%error, "what is remembered cannot be written to {dir}; it stays in memory and is tried again");
        } else if state.failing && !failing {
            tracing::warn!("what is remembered is on the disk again");
        }
        state.failing = failing;
        self.telemetry.gauges.checkpoint_disk_ok.set(i64::from(!failing));
    }

    /// Forgets what is too old. Says how many entries that was.
    pub fn sweep(&self, now: Moment) -> usize {
        self.memory.stores().iter().map(|store| store.sweep(&self.retention, now)).sum()
    }

    /// What is held about an account, store by store.
    pub fn access(&self, account: Account, beyond: &Beyond) -> Value {
        let now = self.clock.now();
        let mut held: Vec<Value> = Vec::new();
        for store in self.memory.stores() {
            let entries = store.access(account, now);
            if !entries.is_empty() {
                held.push(json!({ "store": store.about(), "entries": entries }));
            }
        }
        let (known, alone) = self.devices(account);
        json!({
            "account": account,
            "as_of": stores::readable("at", json!(now)),
            "held": held,
            "devices_of_this_account_alone": alone,
            "limits": self.memory.allowances.held(account, &known, &beyond.salts),
            "latest_decisions": beyond.recent.count(&stores::mentions(account)),
        })
    }

    /// Erases an account from every store and at once from the disk.
    pub fn erase(&self, account: Account, beyond: &Beyond) -> Erased {
        let (known, alone) = self.devices(account);
        let mut erased = BTreeMap::new();
        for store in self.memory.stores() {
            let gone = store.erase(account);
            if gone > 0 {
                erased.insert(store.about().name, gone);
            }
        }
        let devices = alone.iter().filter(|device| self.memory.devices.remove(device.bits()).is_some()).count();
        let limits = self.memory.allowances.forget(account, &known, &beyond.salts);
        let decisions = beyond.recent.forget(&stores::mentions(account));
        // Written even where nothing was in memory: an older file may still hold what has been evicted since.
        self.state.lock().unwrap_or_else(PoisonError::into_inner).written.clear();
        Erased { stores: erased, devices, limits, decisions, on_disk: self.keep().is_ok() }
    }

    /// Devices on which somebody came in and that this account knows, and those of them that no other account does.
    fn devices(&self, account: Account) -> (Vec<Device>, Vec<Device>) {
        let knows = |history: &AccountHistory, device: Device| !matches!(history.standing(device), Standing::New);
        let Some(history) = self.memory.accounts.read(account.bits()) else { return (Vec::new(), Vec::new()) };
        let mut known = Vec::new();
        self.memory.devices.for_each(|key, _| {
            let device = Device::from_bits(key);
            if knows(&history, device) && !known.contains(&device) {
                known.push(device);
            }
        });
        let mut alone = known.clone();
        if !alone.is_empty() {
            self.memory.accounts.for_each(|key, other| {
                if key != account.bits() {
                    alone.retain(|device| !knows(other, *device));
                }
            });
        }
        (known, alone)
    }
}
