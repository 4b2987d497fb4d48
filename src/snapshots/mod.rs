//! Customers' own last-known-good answers: kept in memory and on the disk, sealed, and given back to nobody but their owner.
//!
//! A request hands an answer over and goes on; what is asked for is in memory, or is read by the thread that keeps the file while
//! the request waits for it and for nothing else. What is voided is void at once: before anything else is answered. This room must
//! never give an answer to another owner, and never keep one that was asked for before its owner's answers were voided.

mod disk;
mod keeper;
mod mask;
mod page;
mod pauses;
mod queue;
mod row;
mod seal;
mod standing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;

pub use disk::{FILE, Tally};
pub use keeper::Keeper;
pub use mask::{Pointer, members};
pub use page::{About, Kind, Page, PageKey, Selectors, Snapshot};
pub use standing::Standing;

use disk::Limit;
use pauses::{Paused, Pauses};
use queue::{Job, Queue, Void};
use standing::State;

use crate::clock::{Clock, Moment};
use crate::subject::Account;
use crate::swap::Swap;
use crate::telemetry::Telemetry;

/// Places for when answers of an account were last voided. Two that share one void each other's in memory, and read them again.
const SLOTS: usize = 65_536;
/// How long a request waits for the disk.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a person does.
const LONG: Duration = Duration::from_secs(25);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in memory. The loser is what was not asked for lately; it is still on the disk.
    pub memory: u64,
    /// Bytes on the disk; none when 0. The loser is what was kept first.
    pub disk: u64,
    /// Bytes of one answer. A larger one is not kept.
    pub largest: usize,
}

/// An answer to be kept.
#[derive(Debug)]
pub struct Incoming {
    /// Whose, and to what.
    pub key: PageKey,
    /// What is said of it.
    pub about: About,
    /// Its body, as it came.
    pub body: Bytes,
    /// What is taken out of it first.
    pub mask: Vec<Pointer>,
    /// For how long it is kept, as the law says now.
    pub keep: Duration,
    /// What [`Snapshots::begin`] gave when it was asked for.
    pub began: Began,
}

/// How much had been voided when a request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Began(u64);

/// What weighs in memory.
#[derive(Debug, Clone)]
struct Weigh;

impl Weighter<PageKey, Arc<Page>> for Weigh {
    fn weight(&self, _: &PageKey, page: &Arc<Page>) -> u64 {
        page.weight()
    }
}

/// The keeper of kept answers. Shared by all workers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    path: Option<PathBuf>,
    clock: Clock,
    memory: Cache<PageKey, Arc<Page>, Weigh>,
    voided: Box<[AtomicU64]>,
    count: AtomicU64,
    queue: Queue,
    pauses: Mutex<Pauses>,
    /// The same for readers, who wait for nobody.
    paused: Swap<Paused>,
    state: State,
    telemetry: Telemetry,
}

impl Snapshots {
    /// Keeps none.
    pub fn off(clock: Clock, telemetry: Telemetry) -> Self {
        let bounds = Bounds { memory: 1, disk: 0, largest: 0 };
        Self(Arc::new(Inner::new(bounds, None, clock, telemetry, State::off())))
    }

    /// Keeps them in memory, and in this data directory under this key; and what does so, to be run on a thread of its own. Where
    /// the key or the file cannot be used none are kept or shown, and that is said: nothing else changes.
    pub fn open(
        data: &Path,
        key: Result<[u8; 32], String>,
        bounds: Bounds,
        clock: Clock,
        telemetry: Telemetry,
    ) -> (Self, Keeper) {
        let path = (bounds.disk > 0).then(|| data.join(FILE));
        let all = Self(Arc::new(Inner::new(bounds, path, clock, telemetry, State::on())));
        let keeper = Keeper::new(all.clone(), key);
        (all, keeper)
    }

    /// Bytes of the largest answer that is kept.
    pub fn largest(&self) -> usize {
        self.0.bounds.largest
    }

    /// Whether answers are kept and shown.
    pub fn on(&self) -> bool {
        self.0.state.is_on()
    }

    /// A request begins that may bring an answer to keep.
    pub fn begin(&self) -> Began {
        Began(self.0.count.load(Ordering::Acquire))
    }

    /// Keeps an answer, soon. The newest loses when there is no room to wait.
    pub fn keep(&self, incoming: Incoming) {
        self.put(incoming, None);
    }

    /// Keeps an answer, and says when it is safe.
    pub fn keep_safe(&self, incoming: Incoming) -> Receiver<Result<(), &'static str>> {
        let (done, safe) = channel();
        self.put(incoming, Some(done));
        safe
    }

    fn put(&self, incoming: Incoming, done: Option<std::sync::mpsc::Sender<Result<(), &'static str>>>) {
        let refused = |why: &'static str| {
            self.refused(why);
            if let Some(done) = &done {
                let _nobody_waits = done.send(Err(why));
            }
        };
        if !self.on() {
            return refused("off");
        }
        if incoming.body.len() > self.0.bounds.largest {
            return refused("large");
        }
        let job = Job::Put { incoming: Box::new(incoming), done: done.clone() };
        if !self.0.queue.push(job) {
            refused("busy");
        }
    }

    /// An answer was not kept, and why.
    pub fn refused(&self, why: &'static str) {
        self.0.telemetry.snapshots_refused.cell(0, [why]).add(1);
    }

    /// Every answer on this page that is in memory.
    pub fn remembered(&self, key: &PageKey) -> Option<Arc<Page>> {
        if !self.on() {
            return None;
        }
        self.0.memory.get(key).filter(|page| self.0.stands(key.owner().account(), page.since))
    }

    /// Every answer on this page, wherever it is. Waits for the disk, a moment at most.
    pub async fn page(&self, key: &PageKey) -> Option<Arc<Page>> {
        if let Some(page) = self.remembered(key) {
            return Some(page);
        }
        if !self.on() || self.0.path.is_none() {
            return None;
        }
        let Began(since) = self.begin();
        let (reply, read) = oneshot::channel();
        if !self.0.queue.push(Job::Read { key: *key, since, reply }) {
            return None;
        }
        let page = tokio::time::timeout(PATIENCE, read).await.ok()?.ok()??;
        // What was voided meanwhile must not be shown.
        self.0.stands(key.owner().account(), page.since).then_some(page)
    }

    /// Nothing of an account that was kept, or asked for, until now is ever shown again.
    pub fn void_account(&self, account: Account) {
        self.void(Void::Account(account), None);
    }

    /// Nothing of this page that was kept, or asked for, until now is ever shown again.
    pub fn void_page(&self, key: &PageKey) {
        self.void(Void::Page(*key), None);
    }

    fn void(&self, what: Void, done: Option<std::sync::mpsc::Sender<Result<usize, String>>>) {
        let mark = || {
            let now = self.0.count.fetch_add(1, Ordering::AcqRel) + 1;
            self.0.slot(what.account()).store(now, Ordering::Release);
        };
        if !self.0.queue.void(what, done, mark) {
            self.0.state.fail("what was voided waits for the disk without end", true, &self.0.telemetry);
        }
    }

    /// Erases everything of an account, and the salt without which none of it can be read; how many answers that was, once it is
    /// safe.
    ///
    /// # Errors
    /// When it cannot be removed from the disk now. None of it is shown in this process all the same.
    pub fn erase(&self, account: Account) -> Result<usize, String> {
        if self.0.path.is_none() {
            self.void(Void::Account(account), None);
            return Ok(0);
        }
        let (done, safe) = channel();
        self.void(Void::Account(account), Some(done));
        waited(safe.recv_timeout(LONG)).and_then(|erased| erased)
    }

    /// What is said of each answer of an account, and the bytes of its body.
    ///
    /// # Errors
    /// When the disk cannot be read now.
    pub fn access(&self, account: Account) -> Result<Vec<(About, usize)>, String> {
        let (reply, read) = channel();
        if self.0.path.is_none() || !self.0.queue.push(Job::Access { account, reply }) {
            return Ok(Vec::new());
        }
        waited(read.recv_timeout(LONG)).and_then(|found| found)
    }

    /// Waits until everything that was handed over is kept or refused.
    pub fn settle(&self) {
        let (reply, read) = channel();
        if self.0.queue.push(Job::Settle(reply)) {
            let _gone_already = read.recv_timeout(LONG);
        }
    }

    /// How long this journey has been contained, in all.
    pub fn paused(&self, journey: &str, now: Moment) -> Duration {
        self.0.paused.load().paused(journey, now)
    }

    /// Notes, every second or so, for how long each journey keeps answers, and whether it is contained now.
    pub fn look(&self, journeys: &[(&str, Duration, bool)], now: Moment) {
        let mut pauses = self.pauses();
        let mut changed = false;
        let mut limits = BTreeMap::new();
        for (journey, keep, contained) in journeys {
            changed |= pauses.look(journey, *contained, now);
            limits.insert(Box::from(*journey), Limit { keep: *keep, paused: pauses.all().paused(journey, now) });
        }
        if changed {
            self.0.paused.store(Arc::new(pauses.all().clone()));
        }
        let kept = pauses.to_keep();
        let due = pauses.sweep_is_due(now);
        drop(pauses);
        if changed {
            self.0.queue.push(Job::Pauses(kept));
        }
        if due {
            self.0.queue.push(Job::Sweep(limits));
        }
    }

    /// When the outage began in which a journey is now, if it is in one.
    pub fn outage_since(&self, journey: &str) -> Option<Moment> {
        self.0.paused.load().outage_since(journey)
    }

    /// Takes up what the disk has.
    fn load_pauses(&self, kept: BTreeMap<Box<str>, pauses::Written>) {
        let mut pauses = self.pauses();
        pauses.load(kept);
        self.0.paused.store(Arc::new(pauses.all().clone()));
    }

    fn pauses(&self) -> std::sync::MutexGuard<'_, Pauses> {
        self.0.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let mut standing = self.0.state.standing();
        standing.memory = self.0.memory.weight();
        standing
    }

    /// What is handed over from now on is not kept; the thread ends when it has kept the rest.
    pub fn close(&self) {
        self.0.queue.close();
    }
}

fn waited<T>(waited: Result<T, RecvTimeoutError>) -> Result<T, String> {
    waited.map_err(|error| match error {
        RecvTimeoutError::Timeout => "the disk takes too long".to_owned(),
        RecvTimeoutError::Disconnected => "nothing is kept any more".to_owned(),
    })
}

impl Inner {
    fn new(bounds: Bounds, path: Option<PathBuf>, clock: Clock, telemetry: Telemetry, state: State) -> Self {
        let entries = usize::try_from(bounds.memory / 8192).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        telemetry.gauges.snapshots_ok.set(i64::from(state.is_on()));
        Self {
            bounds,
            path,
            clock,
            memory: Cache::with_weighter(entries, bounds.memory, Weigh),
            voided: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicU64::new(0),
            queue: Queue::default(),
            pauses: Mutex::default(),
            paused: Swap::new(Arc::default()),
            state,
            telemetry,
        }
    }

    fn slot(&self, account: Account) -> &AtomicU64 {
        &self.voided[account.bits() as usize % SLOTS]
    }

    /// Whether nothing of the account was voided after this count.
    fn stands(&self, account: Account, since: u64) -> bool {
        self.slot(account).load(Ordering::Acquire) <= since
    }
}
