//! The thread that keeps the file: it does what was handed over, in order and in batches, each made safe before it is said to be.
//!
//! A disk that is full or refuses is said and tried again; answers are lost meanwhile, what is void is not. A file that is not what
//! it should be, or a key that cannot be used, ends it: none is kept or shown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::disk::{Batch, Disk, Fault, Put};
use super::page::{Page, PageKey, Snapshot};
use super::queue::{Job, Void};
use super::{Incoming, Snapshots, mask};
use crate::subject::Account;

/// How long a disk that failed is left alone.
const REST: Duration = Duration::from_secs(5);

/// Keeps the file.
#[derive(Debug)]
pub struct Keeper {
    all: Snapshots,
    key: [u8; 32],
    disk: Option<Disk>,
    failed: Option<Instant>,
    /// What is void and not removed yet.
    undone: Vec<Void>,
}

/// Whoever waits for an answer to be kept, or for what is void to be removed.
type Keeps = Option<Sender<Result<(), &'static str>>>;
type Voids = Option<Sender<Result<usize, String>>>;

/// Who is told when a batch is safe.
#[derive(Default)]
struct Told {
    kept: Vec<(Box<str>, Keeps)>,
    voided: Vec<(Void, usize, Voids)>,
}

impl Keeper {
    pub(super) fn new(all: Snapshots, key: Result<[u8; 32], String>) -> Self {
        let mut keeper = Self { all, key: [0; 32], disk: None, failed: None, undone: Vec::new() };
        match key {
            Ok(key) => keeper.key = key,
            Err(why) => keeper.fail(&why, true),
        }
        keeper
    }

    /// Works until there will be nothing more to do.
    pub fn run(mut self) {
        // Looked at once at the start, so that what is wrong with it is said then; but not before anybody is served.
        if self.all.0.path.as_ref().is_some_and(|path| path.exists()) {
            self.guarded(|keeper| {
                if keeper.open() {
                    keeper.learn();
                }
            });
        }
        loop {
            let patience = if self.undone.is_empty() { None } else { Some(REST) };
            let Some(jobs) = self.all.0.queue.next(patience) else { return };
            self.guarded(|keeper| keeper.work(jobs));
        }
    }

    /// A bug in a file's reading must not end the thread, and with it the process's good faith in what it removed.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.disk = None;
            let path = self.all.0.path.as_deref().unwrap_or(std::path::Path::new(super::FILE));
            self.fail(&format!("{} cannot be believed: its reader fell over it; move it away", path.display()), true);
        }
    }

    fn fail(&self, why: &str, off: bool) {
        self.all.0.state.fail(why, off, &self.all.0.telemetry);
    }

    fn fault(&mut self, fault: &Fault) {
        self.disk = None;
        self.failed = Some(Instant::now());
        match fault {
            Fault::Corrupt(why) => {
                let path = self.all.0.path.as_deref().unwrap_or(std::path::Path::new(super::FILE));
                self.fail(&format!("{} cannot be believed: {why}; move it away", path.display()), true);
            }
            Fault::System(why) => self.fail(&format!("the data directory refuses: {why}"), false),
        }
    }

    /// Whether there is a file to work with.
    fn open(&mut self) -> bool {
        if self.disk.is_some() {
            return true;
        }
        let resting = self.failed.is_some_and(|failed| failed.elapsed() < REST);
        let Some(path) = self.all.0.path.clone().filter(|_| !resting && self.all.on()) else { return false };
        let bounds = self.all.0.bounds;
        match Disk::open(&path, self.key, bounds.disk, bounds.largest) {
            Ok(disk) => {
                self.disk = Some(disk);
                true
            }
            Err(fault) => {
                self.fault(&fault);
                false
            }
        }
    }

    /// Takes up what the file knows.
    fn learn(&mut self) {
        let Some(disk) = &self.disk else { return };
        match disk.pauses() {
            Ok(pauses) => self.all.load_pauses(pauses),
            Err(fault) => return self.fault(&fault),
        }
        match disk.opens_with_this_key() {
            Ok(true) => {}
            Ok(false) => tracing::error!(
                "the kept answers are sealed under another key than the one in the data directory: nobody can read them; put that key \
                 back and start again, or leave them to go with time"
            ),
            Err(fault) => return self.fault(&fault),
        }
        self.count();
    }

    fn count(&mut self) {
        let Some(disk) = &self.disk else { return };
        match disk.tallies() {
            Ok((journeys, oldest)) => self.all.0.state.counted(journeys, oldest, &self.all.0.telemetry),
            Err(fault) => self.fault(&fault),
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut batch = None;
        let mut told = Told::default();
        let undone = std::mem::take(&mut self.undone);
        let again = undone.into_iter().map(|what| Job::Void { what, done: None });
        for job in again.chain(jobs) {
            match job {
                Job::Put { incoming, done } => self.put(*incoming, done, &mut batch, &mut told),
                Job::Void { what, done } => {
                    let gone = self.write(&mut batch, |disk, batch| match &what {
                        Void::Account(account) => disk.drop_account(batch, *account),
                        Void::Page(key) => disk.drop_page(batch, key),
                    });
                    match gone {
                        Ok(gone) => told.voided.push((what, gone.unwrap_or(0), done)),
                        Err(()) => self.not_voided(what, done),
                    }
                }
                Job::Pauses(pauses) => {
                    // Noted again with the next change, should it fail.
                    let _noted = self.write(&mut batch, |disk, batch| disk.note_pauses(batch, &pauses));
                }
                Job::Sweep(limits) => {
                    let now = self.all.0.clock.now();
                    if self.disk.is_some() {
                        // Swept again in a while, should it fail.
                        let _swept = self.write(&mut batch, |disk, batch| disk.sweep(batch, &limits, now));
                    }
                }
                // Whoever asked has gone.
                Job::Read { reply, .. } if reply.is_closed() => {}
                Job::Read { key, since, reply } => {
                    self.commit(&mut batch, &mut told);
                    let _nobody_waits = reply.send(self.read(&key, since));
                }
                Job::Access { account, reply } => {
                    self.commit(&mut batch, &mut told);
                    let _nobody_waits = reply.send(self.access(account));
                }
                Job::Settle(reply) => {
                    self.commit(&mut batch, &mut told);
                    let _nobody_waits = reply.send(());
                }
            }
        }
        self.commit(&mut batch, &mut told);
    }

    /// Changes the file within the batch. What fails takes the batch with it: `commit` says so to whoever waits.
    fn write<T>(
        &mut self,
        batch: &mut Option<Result<Batch, ()>>,
        change: impl FnOnce(&mut Disk, &Batch) -> Result<T, Fault>,
    ) -> Result<Option<T>, ()> {
        if self.all.0.path.is_none() {
            return Ok(None);
        }
        if !self.open() {
            return Err(());
        }
        let Some(disk) = &mut self.disk else { return Err(()) };
        let changed = match batch {
            Some(Err(())) => return Err(()),
            Some(Ok(batch)) => change(disk, batch),
            None => match disk.begin() {
                Ok(new) => {
                    let changed = change(disk, &new);
                    *batch = Some(Ok(new));
                    changed
                }
                Err(fault) => Err(fault),
            },
        };
        changed.map(Some).map_err(|fault| {
            *batch = Some(Err(()));
            self.fault(&fault);
        })
    }

    fn commit(&mut self, batch: &mut Option<Result<Batch, ()>>, told: &mut Told) {
        let told = std::mem::take(told);
        let changed = batch.is_some();
        let safe = match (batch.take(), &self.disk) {
            (None, _) => Ok(()),
            (Some(Ok(batch)), Some(disk)) => disk.commit(batch),
            (Some(_), _) => return self.lost(told),
        };
        if let Err(fault) = safe {
            self.fault(&fault);
            return self.lost(told);
        }
        if self.disk.is_some() && self.undone.is_empty() {
            self.all.0.state.recover(&self.all.0.telemetry);
        }
        if changed {
            self.count();
        }
        for (journey, done) in told.kept {
            self.all.0.telemetry.snapshots_stored.cell(0, [&journey]).add(1);
            if let Some(done) = done {
                let _nobody_waits = done.send(Ok(()));
            }
        }
        for (_, gone, done) in told.voided {
            if let Some(done) = done {
                let _nobody_waits = done.send(Ok(gone));
            }
        }
    }

    fn lost(&mut self, told: Told) {
        for (_, done) in told.kept {
            self.refuse("disk", done.as_ref());
        }
        for (what, _, done) in told.voided {
            self.not_voided(what, done);
        }
    }

    fn not_voided(&mut self, what: Void, done: Voids) {
        if let Some(done) = done {
            let _nobody_waits = done.send(Err("the disk refuses; it is tried again".to_owned()));
        }
        if !self.undone.contains(&what) {
            self.undone.push(what);
        }
        if self.undone.len() > 4096 {
            self.fail("what was voided cannot be removed from the disk", true);
            self.undone.clear();
        }
    }

    fn refuse(&self, why: &'static str, done: Option<&Sender<Result<(), &'static str>>>) {
        self.all.refused(why);
        if let Some(done) = done {
            let _nobody_waits = done.send(Err(why));
        }
    }

    fn put(&mut self, incoming: Incoming, done: Keeps, batch: &mut Option<Result<Batch, ()>>, told: &mut Told) {
        let Incoming { key, about, body, mask, keep, began } = incoming;
        let since = self.all.0.count.load(Ordering::Acquire);
        let account = key.owner().account();
        if !self.all.0.stands(account, began.0) {
            return self.refuse("revoked", done.as_ref());
        }
        // What goes with this batch is still to be read until then, and must not be taken up beside what comes now.
        if told.voided.iter().any(|(what, ..)| what.account() == account) {
            self.commit(batch, told);
        }
        let body = if mask.is_empty() {
            body
        } else {
            match mask::without(&body, &mask) {
                Some(masked) => masked.into(),
                None => return self.refuse("not_json", done.as_ref()),
            }
        };
        let snapshot = Arc::new(Snapshot { about, body });
        let now = self.all.0.clock.now();
        match self.write(batch, |disk, batch| disk.put(batch, &key, &snapshot, (keep, now))) {
            Ok(Some(Put::Older)) => return self.refuse("older", done.as_ref()),
            Ok(Some(Put::Kept) | None) => {}
            Err(()) => return self.refuse("disk", done.as_ref()),
        }
        told.kept.push((snapshot.about.journey.clone(), done));
        self.remember(key, since, snapshot);
    }

    /// Puts an answer into memory, with whatever else is kept on its page.
    fn remember(&mut self, key: PageKey, since: u64, snapshot: Arc<Snapshot>) {
        let mut all: SmallVec<[Arc<Snapshot>; 1]> = match self.all.remembered(&key) {
            Some(page) => page.all.clone(),
            None => self.disk.as_ref().and_then(|disk| disk.page(&key).ok()).unwrap_or_default(),
        };
        all.retain(|known| !known.about.is_same(&snapshot.about));
        all.push(snapshot);
        self.all.0.memory.insert(key, Arc::new(Page { since, all }));
    }

    fn read(&mut self, key: &PageKey, since: u64) -> Option<Arc<Page>> {
        let account = key.owner().account();
        if self.undone.iter().any(|what| what.account() == account) || !self.open() {
            return None;
        }
        match self.disk.as_ref()?.page(key) {
            Ok(all) if all.is_empty() => None,
            Ok(all) => {
                let page = Arc::new(Page { since, all });
                self.all.0.memory.insert(*key, page.clone());
                Some(page)
            }
            Err(fault) => {
                self.fault(&fault);
                None
            }
        }
    }

    fn access(&mut self, account: Account) -> Result<Vec<(super::About, usize)>, String> {
        if !self.open() {
            return Err("the file of kept answers cannot be read".to_owned());
        }
        let Some(disk) = &self.disk else { return Ok(Vec::new()) };
        disk.of(account).map_err(|fault| fault.to_string())
    }
}
