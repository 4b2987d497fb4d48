//! What has leaked: lists that are loaded beside the request path, and asked on it about names and passwords of sign-ins.
//!
//! A list that is named and cannot be used makes readings unknown, never good; a bad file leaves the one before in use, and says so
//! loudly. It must never wait for a file on the request path, and never keep or print a name or a password.

mod file;
mod filter;
mod key;
mod write;

pub use file::{Flaw, Header, SHARDS, header};
pub use filter::Filter;
pub use key::{Entry, Key, KeyError, KeyId, hex_digit};
pub use write::{About, SMALLEST, Writer, write};

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::confidence::{Reading, Why};
use crate::judge::signals::exposure::Exposure;
use crate::rules::breach::{Breach as Law, Kind, ListAt};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::in_force::InForce;
use crate::swap::{Reader, Swap};

/// How often the law is asked which lists it names.
const LOOK: Duration = Duration::from_millis(100);
/// After so many of these looks the files are looked at too.
const LOOKS: u32 = 20;

/// Why a list is not in use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The list itself.
    #[error("{0}")]
    List(#[from] Flaw),
    /// Its key.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// One list in use.
#[derive(Debug)]
struct Held {
    at: ListAt,
    key: Option<Key>,
    filter: Filter,
}

impl Held {
    fn read(at: &ListAt, now: Moment) -> Result<Self, Unusable> {
        let key = at.key.as_deref().map(Key::read).transpose()?;
        let id = key.as_ref().map(Key::id);
        // Cheap to find out, so that a large list of another kind is not read for nothing.
        header(&at.path)?.fits(at.kind, id, now)?;
        let filter = Filter::read(&at.path)?;
        filter.header().fits(at.kind, id, now)?;
        Ok(Self { at: at.clone(), key, filter })
    }

    fn is_stale(&self, law: &Law, now: Moment) -> bool {
        self.at.kind.grows_old() && now.since(self.filter.header().created) > law.stale_after
    }
}

/// Every list in use. One value, swapped whole.
#[derive(Debug, Default)]
pub struct Lists(Vec<Arc<Held>>);

impl Lists {
    fn find(&self, at: &ListAt) -> Option<&Arc<Held>> {
        self.0.iter().find(|held| held.at.is_same(at))
    }

    /// What the list of this kind says; nothing when none is named. An old list still knows what has leaked, but no longer what
    /// has not.
    fn ask(
        &self,
        law: &Law,
        kind: Kind,
        now: Moment,
        entry: impl FnOnce(Option<&Key>) -> Reading<Entry>,
    ) -> Option<Reading<bool>> {
        let at = law.list(kind)?;
        let Some(held) = self.find(at) else { return Some(Reading::Unknown(Why::Down)) };
        Some(match entry(held.key.as_ref()).map(|entry| held.filter.has(entry)) {
            Reading::Known(false) if held.is_stale(law, now) => Reading::Unknown(Why::Stale),
            said => said,
        })
    }

    /// What is known of this name and password. Neither is kept.
    pub fn exposure(&self, law: &Law, name: Reading<&str>, password: Reading<&str>, now: Moment) -> Reading<Exposure> {
        let pair = self.ask(law, Kind::Pairs, now, |key| match (key, name, password) {
            (Some(key), Reading::Known(name), Reading::Known(password)) => {
                Reading::Known(key.pair(name, password.as_bytes()))
            }
            (None, ..) => Reading::Unknown(Why::Down),
            (_, _, Reading::Unknown(why)) | (_, Reading::Unknown(why), _) => Reading::Unknown(why),
        });
        let password =
            self.ask(law, Kind::Passwords, now, |_| password.map(|password| Entry::password(password.as_bytes())));
        let unknown = |which: fn(Why) -> bool| {
            let whys = [pair, password].into_iter().flatten().filter_map(|said| match said {
                Reading::Unknown(why) => Some(why),
                Reading::Known(_) => None,
            });
            whys.filter(|why| which(*why)).map(Reading::Unknown).next()
        };
        // From the worst down: what is known, what a fault of ours hides, what the client hides.
        if pair == Some(Reading::Known(true)) {
            Reading::Known(Exposure::PairLeaked)
        } else if let Some(fault) = unknown(Why::is_fault) {
            fault
        } else if password == Some(Reading::Known(true)) {
            Reading::Known(Exposure::PasswordLeaked)
        } else if let Some(hidden) = unknown(|_| true) {
            hidden
        } else if pair.is_none() && password.is_none() {
            Reading::Unknown(Why::NotAsked)
        } else {
            Reading::Known(Exposure::Nothing)
        }
    }

    /// Whether this account was in a breach of the company's own.
    pub fn account(&self, law: &Law, name: &str, now: Moment) -> Reading<bool> {
        let said = self.ask(law, Kind::Accounts, now, |key| match key {
            Some(key) => Reading::Known(key.account(name)),
            None => Reading::Unknown(Why::Down),
        });
        said.unwrap_or(Reading::Unknown(Why::NotAsked))
    }

    /// When the company's own breach was.
    pub fn breached(&self, law: &Law) -> Option<Moment> {
        self.find(law.list(Kind::Accounts)?)?.filter.header().breached
    }
}

/// What tells that a file was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(std::time::SystemTime, u64, u64)>; 2]);

impl Stamp {
    fn of(at: &ListAt) -> Self {
        let one = |path: &Path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len(), found.ino()))
        };
        Self([one(&at.path), at.key.as_deref().and_then(one)])
    }
}

/// What became of a list when it was last read.
#[derive(Debug)]
struct Tried {
    at: ListAt,
    stamp: Stamp,
    trouble: Option<String>,
}

/// A named list, for people.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What it holds.
    pub kind: Kind,
    /// What it says of itself; none while none is in use.
    pub header: Option<Header>,
    /// Whether it is older than it may be.
    pub stale: bool,
    /// Why the file that is there now is not in use, if it is not.
    pub trouble: Option<String>,
}

impl Shown {
    /// Whether all is well with it.
    pub const fn up(&self) -> bool {
        self.header.is_some() && !self.stale && self.trouble.is_none()
    }
}

/// Keeps the lists that the law names in memory, and swaps those that are replaced.
#[derive(Debug)]
pub struct Breach {
    lists: Swap<Lists>,
    tried: Mutex<Vec<Tried>>,
}

impl Default for Breach {
    fn default() -> Self {
        Self { lists: Swap::new(Arc::default()), tried: Mutex::default() }
    }
}

impl Breach {
    /// The lists in use.
    pub fn lists(&self) -> Arc<Lists> {
        self.lists.load()
    }

    /// The same for one worker, whose every sign-in reads them.
    pub fn reader(&self) -> Reader<Lists> {
        self.lists.reader()
    }

    /// Reads what a law names and is new or was replaced, before that law is in force; what is in use stays. Blocks.
    pub fn prepare(&self, law: Option<&Law>, now: Moment) {
        self.take_up(law, now, true);
    }

    /// The same for the law in force, and lets go of what it no longer names. Blocks.
    pub fn settle(&self, law: Option<&Law>, now: Moment) {
        self.take_up(law, now, false);
    }

    fn take_up(&self, law: Option<&Law>, now: Moment, keep_others: bool) {
        let named = law.map_or(&[][..], |law| &law.lists);
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if !keep_others {
            let is_named = |at: &ListAt| named.iter().any(|named| named.is_same(at));
            tried.retain(|tried| is_named(&tried.at));
            let lists = self.lists.load();
            if !lists.0.iter().all(|held| is_named(&held.at)) {
                self.lists.store(Arc::new(Lists(lists.0.iter().filter(|held| is_named(&held.at)).cloned().collect())));
            }
        }
        for at in named {
            let stamp = Stamp::of(at);
            if tried.iter().any(|tried| tried.at.is_same(at) && tried.stamp == stamp) {
                continue;
            }
            let trouble = match Held::read(at, now) {
                Ok(held) => {
                    let (entries, list) = (held.filter.header().entries, at.kind.word());
                    tracing::info!(list, entries, file = %at.path.display(), "a list of what has leaked is in use");
                    let lists = self.lists.load();
                    let others = lists.0.iter().filter(|other| !other.at.is_same(at)).cloned();
                    self.lists.store(Arc::new(Lists(others.chain([Arc::new(held)]).collect())));
                    None
                }
                Err(error) => {
                    let stays = self.lists.load().find(at).is_some();
                    let (list, file) = (at.kind.word(), at.path.display());
                    match stays {
                        true => {
                            tracing::error!(%error, list, %file, "a new list of what has leaked is refused; the one in use stays")
                        }
                        false => {
                            tracing::error!(%error, list, %file, "a list of what has leaked cannot be used: what it would say is unknown")
                        }
                    }
                    Some(error.to_string())
                }
            };
            tried.retain(|tried| !tried.at.is_same(at));
            tried.push(Tried { at: at.clone(), stamp, trouble });
        }
    }

    /// Every list that the law names, with its state.
    pub fn show(&self, law: Option<&Law>, now: Moment) -> Vec<Shown> {
        let Some(law) = law else { return Vec::new() };
        // Reading a list can take seconds, and nobody who only looks waits for it.
        let tried = self.tried.try_lock().ok();
        let lists = self.lists.load();
        let shown = law.lists.iter().map(|at| {
            let held = lists.find(at);
            let of = |tried: &Vec<Tried>| tried.iter().find(|tried| tried.at.is_same(at))?.trouble.clone();
            Shown {
                kind: at.kind,
                header: held.map(|held| *held.filter.header()),
                stale: held.is_some_and(|held| held.is_stale(law, now)),
                trouble: tried.as_deref().and_then(of),
            }
        });
        shown.collect()
    }

    /// Keeps the lists of the law in force, until told to stop. Files are read on threads of their own.
    pub async fn keep(self: Arc<Self>, in_force: Swap<InForce>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut beats = tokio::time::interval(LOOK);
        let (mut beat, mut settled) = (0, None);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = beats.tick() => {}
            }
            let rules = in_force.load().rules.clone();
            beat = (beat + 1) % LOOKS;
            if beat != 0 && settled.as_ref().is_some_and(|settled| Arc::ptr_eq(settled, &rules)) {
                continue;
            }
            let (keeper, law, now) = (self.clone(), rules.clone(), clock.now());
            let done = tokio::task::spawn_blocking(move || keeper.settle(law.breach.as_ref(), now));
            if let Err(error) = done.await {
                tracing::error!(%error, "reading the lists of what has leaked failed; those in use stay");
            }
            settled = Some(rules);
        }
    }
}

/// What would keep the lists of a law from being used, as far as their headers tell.
pub fn inspect(law: &Law, now: Moment) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for at in &law.lists {
        let word = at.kind.word();
        let found = at.key.as_deref().map(Key::read).transpose().map_err(Unusable::from).and_then(|key| {
            let header = header(&at.path)?;
            header.fits(at.kind, key.as_ref().map(Key::id), now)?;
            Ok(header)
        });
        match found {
            Err(error) => {
                let said = format!("the list of {word} cannot be used: {error}");
                let problem = Diagnostic::of(&codes::BREACH_FILE, said).at(at.span, at.path.display().to_string());
                problems.push(problem.help("make it with `weir breach build` or `weir breach accounts`, and look at it with `weir breach show`"));
            }
            Ok(header) if at.kind.grows_old() && now.since(header.created) > law.stale_after => {
                let days = now.since(header.created).as_secs() / 86_400;
                let said = format!("the list of {word} is {days} days old, more than `stale_after` allows");
                let problem = Diagnostic::of(&codes::BREACH_STALE, said).at(at.span, at.path.display().to_string());
                problems.push(problem.help("build it anew; until then what it does not find is unknown, not good"));
            }
            Ok(_) => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests;
