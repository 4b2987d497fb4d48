//! What lists say of addresses: whose they are, in which country, and whether they are exits of Tor, VPNs, datacentres or proxies.
//!
//! Files are read beside the request path, whole, and swapped whole; a bad one leaves the one before in use, and says so loudly. A
//! list that is named and cannot be used makes readings unknown, never good. It must never wait for a file on the request path,
//! and never let a file of others panic, loop or fill the memory.

mod maxmind;
mod ranges;
mod text;

use std::fs;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::watch;

use self::ranges::Ranges;
use crate::clock::{Clock, Moment};
use crate::confidence::{Reading, Why};
use crate::judge::seen::Listed;
use crate::rules::in_force::InForce;
use crate::rules::lists::{ListKind, ListLaw};
use crate::swap::{Reader, Swap};
use crate::telemetry::listed::{ListState, ListedStates};

/// How often the law is asked which lists it names.
const LOOK: Duration = Duration::from_millis(100);
/// After so many of these looks the files are looked at too.
const LOOKS: u32 = 10;
/// Bytes that one file may have.
const LARGEST: u64 = 512 << 20;

/// What is wrong with a list, in words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read.
    #[error("it cannot be read ({0})")]
    Unreadable(#[from] io::Error),
    /// It is too large.
    #[error("it is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// It has too many entries.
    #[error("it has more than {0} entries")]
    TooMany(usize),
    /// It has none.
    #[error("it is empty")]
    Empty,
    /// It is no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A line of it is no address.
    #[error("line {line}: `{said}` is neither an address nor a network")]
    Line {
        /// Which, from 1.
        line: usize,
        /// How it begins.
        said: String,
    },
    /// It says something of most addresses.
    #[error("it names {0} % of all IPv4 addresses, so it tells nobody apart")]
    CoversAll(u64),
    /// It is not in MaxMind's format, or broken.
    #[error("it is not a sound file in MaxMind's format ({0})")]
    Database(String),
    /// It does not say what it is for.
    #[error("no network in it has a {}", .0.word())]
    Without(ListKind),
    /// Reading it failed in a way that nobody foresaw.
    #[error("it cannot be understood")]
    Unforeseen,
    /// It is another list than the one before.
    #[error(
        "it has {after} entries where the one in use has {before}: more than most_change = \"{most}%\" allows. If that is right, raise most_change until it is in use"
    )]
    Lurched {
        /// Entries in use.
        before: usize,
        /// Entries of the new file.
        after: usize,
        /// What is allowed.
        most: u32,
    },
}

/// One list in use.
#[derive(Debug)]
struct Held {
    law: ListLaw,
    ranges: Ranges,
    entries: usize,
    dated: Moment,
}

impl Held {
    fn read(law: &ListLaw, now: Moment) -> Result<Self, Flaw> {
        // What reads the format of others is not trusted to foresee everything.
        catch_unwind(AssertUnwindSafe(|| Self::read_file(law, now))).unwrap_or(Err(Flaw::Unforeseen))
    }

    fn read_file(law: &ListLaw, now: Moment) -> Result<Self, Flaw> {
        let file = fs::File::open(&law.path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(Flaw::Unreadable(io::Error::other("not a file")));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Flaw::TooLarge);
        }
        let (ranges, entries, dated) = if law.kind.is_maxmind() {
            let read = maxmind::read(&bytes, law.kind)?;
            (read.ranges, read.entries, read.dated)
        } else {
            let read = text::read(&bytes)?;
            let written = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let written = Moment::from_unix_seconds(written.map_or(0, |since| since.as_secs()));
            (read.ranges, read.entries, read.dated.unwrap_or(written))
        };
        // A date that has not come would keep a list young for ever.
        Ok(Self { law: law.clone(), ranges, entries, dated: dated.min(now) })
    }

    /// From when on what it says is unknown.
    fn stale_from(&self) -> Moment {
        self.dated.plus(self.law.stale_after)
    }

    fn is_stale(&self, now: Moment) -> bool {
        now >= self.stale_from()
    }
}

/// A list that the law names.
#[derive(Debug, Clone)]
enum Slot {
    /// In use.
    InUse(Arc<Held>),
    /// Named, and not to be had.
    Down,
}

/// Every list that the law names. One value, swapped whole.
#[derive(Debug, Default)]
pub struct Book([Option<Slot>; ListKind::ALL.len()]);

/// What the lists say of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its AS number. `Missing` when the list does not have it.
    pub provider: Reading<u32>,
    /// Its country. `Missing` when the list does not have it.
    pub country: Reading<[u8; 2]>,
    /// On which lists it stands.
    pub listed: Reading<Listed>,
    /// Until when that is so, if no list is replaced.
    pub until: Moment,
}

impl Book {
    /// Whether the law names no list at all.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// What is known of an address.
    pub fn look_up(&self, address: IpAddr, now: Moment) -> Found {
        let in_use = self.0.iter().flatten().filter_map(|slot| match slot {
            Slot::InUse(held) if !held.is_stale(now) => Some(held.stale_from()),
            Slot::InUse(_) | Slot::Down => None,
        });
        let until = in_use.min().unwrap_or(Moment::from_unix_millis(u64::MAX));
        let number = |kind| match self.ask(kind, address, now) {
            Reading::Known(0) => Reading::Unknown(Why::Missing),
            said => said,
        };
        let letters = |code: u32| [code.to_be_bytes()[2], code.to_be_bytes()[3]];
        Found {
            provider: number(ListKind::Provider),
            country: number(ListKind::Country).map(letters),
            listed: self.listed(address, now),
            until,
        }
    }

    /// On which lists an address stands. Where it stands on none and one cannot be asked, that is unknown.
    fn listed(&self, address: IpAddr, now: Moment) -> Reading<Listed> {
        let each = [
            (ListKind::Tor, Listed::TOR),
            (ListKind::Vpn, Listed::VPN),
            (ListKind::Datacentre, Listed::DATACENTRE),
            (ListKind::Proxy, Listed::PROXY),
        ];
        let (mut found, mut unknown, mut asked) = (Listed::NOTHING, None, false);
        for (kind, listed) in each {
            match self.ask(kind, address, now) {
                Reading::Known(0) => asked = true,
                Reading::Known(_) => found = found.with(listed),
                Reading::Unknown(Why::NotAsked) => {}
                Reading::Unknown(why) => unknown = Some(why),
            }
        }
        match unknown {
            Some(why) if found == Listed::NOTHING => Reading::Unknown(why),
            None if found == Listed::NOTHING && !asked => Reading::Unknown(Why::NotAsked),
            Some(_) | None => Reading::Known(found),
        }
    }

    fn ask(&self, kind: ListKind, address: IpAddr, now: Moment) -> Reading<u32> {
        match self.slot(kind) {
            None => Reading::Unknown(Why::NotAsked),
            Some(Slot::Down) => Reading::Unknown(Why::Down),
            Some(Slot::InUse(held)) if held.is_stale(now) => Reading::Unknown(Why::Stale),
            Some(Slot::InUse(held)) => Reading::Known(held.ranges.find(address)),
        }
    }

    fn slot(&self, kind: ListKind) -> Option<&Slot> {
        self.0[kind as usize].as_ref()
    }

    fn held(&self, kind: ListKind) -> Option<&Arc<Held>> {
        match self.slot(kind)? {
            Slot::InUse(held) => Some(held),
            Slot::Down => None,
        }
    }
}

/// What tells that a file was replaced.
type Stamp = Option<(std::time::SystemTime, u64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}

/// What became of a list when it was last read.
#[derive(Debug)]
struct Tried {
    law: ListLaw,
    stamp: Stamp,
    trouble: Option<String>,
}

/// A list that the law names, for people.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Shown {
    /// What it says.
    pub list: &'static str,
    /// Its file.
    pub file: String,
    /// `in_use`, `stale` or `down`.
    pub state: &'static str,
    /// How many entries it has.
    pub entries: usize,
    /// When it was made, in seconds since 1970.
    pub dated: Option<u64>,
    /// From when on it is stale, in seconds since 1970.
    pub stale_from: Option<u64>,
    /// Bytes of memory that it takes.
    pub bytes: usize,
    /// Why the file that is there now is not in use, if it is not.
    pub trouble: Option<String>,
}

/// Keeps the lists that the law names in memory, and swaps those that are replaced.
#[derive(Debug)]
pub struct Lists {
    book: Swap<Book>,
    tried: Mutex<Vec<Tried>>,
    /// What was found when files were looked at last.
    troubles: Swap<Vec<(ListKind, String)>>,
    states: Arc<ListedStates>,
}

impl Lists {
    /// No list yet. What becomes of them is told to `states`.
    pub fn new(states: Arc<ListedStates>) -> Self {
        let (book, troubles) = (Swap::new(Arc::default()), Swap::new(Arc::default()));
        Self { book, tried: Mutex::default(), troubles, states }
    }

    /// The lists in use.
    pub fn book(&self) -> Arc<Book> {
        self.book.load()
    }

    /// What one worker reads.
    pub fn reader(&self) -> Reader<Book> {
        self.book.reader()
    }

    /// Reads every file of this law that is new or was replaced, and lets go of what the law does not name. Blocks.
    pub fn settle(&self, laws: &[ListLaw], now: Moment) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|tried| laws.contains(&tried.law));
        let before = self.book.load();
        let mut book = Book::default();
        let mut changed = false;
        for law in laws {
            let kept = before.held(law.kind);
            let stamp = stamp(&law.path);
            let known = tried.iter().find(|tried| tried.law == *law && tried.stamp == stamp);
            let held = match known {
                Some(_) => kept.cloned(),
                None => {
                    let (held, trouble) = take_up(law, kept, now);
                    tried.retain(|tried| tried.law.kind != law.kind);
                    tried.push(Tried { law: law.clone(), stamp, trouble });
                    changed = true;
                    held
                }
            };
            book.0[law.kind as usize] = Some(held.map_or(Slot::Down, Slot::InUse));
        }
        changed |= ListKind::ALL.iter().any(|kind| before.slot(*kind).is_some() != book.slot(*kind).is_some());
        if changed {
            self.book.store(Arc::new(book));
            let troubles = tried.iter().filter_map(|tried| Some((tried.law.kind, tried.trouble.clone()?)));
            self.troubles.store(Arc::new(troubles.collect()));
        }
        drop(tried);
        self.tell(laws, now);
    }

    /// Tells the metrics how the lists do.
    fn tell(&self, laws: &[ListLaw], now: Moment) {
        let book = self.book.load();
        self.states.show(laws.iter().map(|law| {
            let held = book.held(law.kind);
            ListState {
                list: law.kind.word(),
                entries: held.map_or(0, |held| held.entries as u64),
                age: held.map(|held| now.since(held.dated).as_secs()),
                up: held.is_some_and(|held| !held.is_stale(now)),
            }
        }));
    }

    /// Every list that the law names, with its state.
    pub fn show(&self, laws: &[ListLaw], now: Moment) -> Vec<Shown> {
        let (book, troubles) = (self.book.load(), self.troubles.load());
        let shown = laws.iter().map(|law| {
            let held = book.held(law.kind);
            Shown {
                list: law.kind.word(),
                file: law.path.display().to_string(),
                state: held.map_or("down", |held| if held.is_stale(now) { "stale" } else { "in_use" }),
                entries: held.map_or(0, |held| held.entries),
                dated: held.map(|held| held.dated.unix_seconds()),
                stale_from: held.map(|held| held.stale_from().unix_seconds()),
                bytes: held.map_or(0, |held| held.ranges.bytes()),
                trouble: troubles.iter().find(|(kind, _)| *kind == law.kind).map(|(_, said)| said.clone()),
            }
        });
        shown.collect()
    }

    /// Keeps the lists of the law in force, until told to stop. Files are read on threads of their own.
    pub async fn keep(self: Arc<Self>, in_force: Swap<InForce>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut beats = tokio::time::interval(LOOK);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
            if let Err(error) = tokio::task::spawn_blocking(move || keeper.settle(&law.lists, now)).await {
                tracing::error!(%error, "reading the lists of addresses failed; those in use stay");
            }
            settled = Some(rules);
        }
    }
}

/// Reads one file. When it cannot be used, the list that is in use stays.
fn take_up(law: &ListLaw, kept: Option<&Arc<Held>>, now: Moment) -> (Option<Arc<Held>>, Option<String>) {
    let (list, file) = (law.kind.word(), law.path.display());
    let read = Held::read(law, now).and_then(|held| match kept {
        // Another file is another list: the person who named it knows.
        Some(before) if before.law.is_same(law) => within(before, held),
        Some(_) | None => Ok(held),
    });
    match read {
        Ok(held) => {
            tracing::info!(list, entries = held.entries, %file, "a list of addresses is in use");
            if held.is_stale(now) {
                tracing::error!(list, %file, "the list is older than it may be: what it says is unknown");
            }
            (Some(Arc::new(held)), None)
        }
        Err(flaw) => {
            match kept {
                Some(_) => {
                    tracing::error!(%flaw, list, %file, "a new list of addresses is refused; the one in use stays")
                }
                None => {
                    tracing::error!(%flaw, list, %file, "a list of addresses cannot be used: what it would say is unknown")
                }
            }
            (kept.cloned(), Some(flaw.to_string()))
        }
    }
}

/// The new list, if it has not lurched.
fn within(before: &Held, new: Held) -> Result<Held, Flaw> {
    let most = new.law.most_change;
    let moved = before.entries.abs_diff(new.entries) as u128 * 100;
    if moved > before.entries as u128 * u128::from(most) {
        return Err(Flaw::Lurched { before: before.entries, after: new.entries, most });
    }
    Ok(new)
}

/// What would keep these lists from being used.
pub fn unusable(laws: &[ListLaw], now: Moment) -> Vec<String> {
    let each = laws.iter().filter_map(|law| {
        let flaw = Held::read(law, now).err()?;
        Some(format!("the list of [lists.{}], {}: {flaw}", law.kind.word(), law.path.display()))
    });
    each.collect()
}
