//! What control writes to the data directory, by a thread of its own: the posture, whole, and the audit record, line by line.
//!
//! A disk that is full, failing or hanging stops nothing: what is wanted stays in memory, is said loudly and is tried again
//! until it is written. A change waits for its safety, but never longer than [`PATIENCE`].

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::audit::Change;
use super::audit::file::AuditFile;
use super::who::Who;
use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// The posture's file in the data directory.
pub const POSTURE: &str = "posture.json";
/// How long a change waits for its safety.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How often what failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Changes that may wait for the disk. The newest lose, and are counted.
const WAITING: usize = 1000;
/// Changes written together.
const BATCH: usize = 64;

/// The disk, as the rest of control sees it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    clock: Clock,
    telemetry: Telemetry,
    state: Mutex<State>,
    /// There is something to write, or it is time to stop.
    wanted: Condvar,
    /// Something was written, or could not be.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    posture: Option<(u64, Arc<str>)>,
    posture_asked: u64,
    posture_saved: u64,
    posture_fault: Option<String>,
    changes: VecDeque<Change>,
    asked: u64,
    /// How many of those asked for have been dealt with.
    written: u64,
    /// How many had no room to wait, since the last that were said to be lost.
    lost: u64,
    audit_fault: Option<String>,
    /// What was found at the opening of the record.
    found: Vec<String>,
    /// How many attempts failed, so that a waiter knows of one that was made after it asked.
    failures: u64,
    stop: bool,
    stopped: bool,
}

/// How the disk does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The posture in force is on the disk.
    pub posture_saved: bool,
    /// Why it is not.
    pub posture_fault: Option<String>,
    /// Every change is in the audit record.
    pub audit_written: bool,
    /// How many are waiting for it.
    pub audit_waiting: usize,
    /// How many had no room to wait and are lost.
    pub audit_lost: u64,
    /// Why they wait.
    pub audit_fault: Option<String>,
    /// What was found wrong with the record when it was opened.
    pub audit_found: Vec<String>,
}

/// The thread that writes.
#[derive(Debug)]
pub struct DiskThread(Disk, JoinHandle<()>);

impl DiskThread {
    /// Writes what waits, at most as long as [`PATIENCE`], and ends.
    pub fn join(self) {
        let Self(disk, thread) = self;
        let mut state = disk.lock();
        state.stop = true;
        disk.0.wanted.notify_all();
        let (state, late) = disk
            .0
            .done
            .wait_timeout_while(state, PATIENCE, |state| !state.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        let waiting = state.changes.len();
        drop(state);
        if late.timed_out() {
            // A disk that hangs is not waited for: the thread ends with the process.
            tracing::error!(waiting, "the disk hangs; what it had not taken is lost");
        } else if thread.join().is_err() {
            tracing::error!("the thread that writes to the data directory ended by a panic");
        }
    }
}

impl Disk {
    /// Starts writing to this directory, which exists.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn open(dir: &Path, clock: Clock, telemetry: Telemetry) -> io::Result<(Self, DiskThread)> {
        let disk = Self(Arc::new(Inner {
            dir: dir.to_path_buf(),
            clock,
            telemetry,
            state: Mutex::default(),
            wanted: Condvar::new(),
            done: Condvar::new(),
        }));
        let writing = disk.clone();
        let thread = std::thread::Builder::new().name("weir-disk".into()).spawn(move || writing.write())?;
        Ok((disk.clone(), DiskThread(disk, thread)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants this posture on the disk; an older one that was not written yet need not be.
    pub fn save(&self, text: Arc<str>) -> Ticket {
        let mut state = self.lock();
        state.posture_asked += 1;
        state.posture = Some((state.posture_asked, text));
        self.0.wanted.notify_all();
        Ticket { posture: state.posture_asked, change: 0, failures: state.failures }
    }

    /// Wants this change in the record.
    pub fn record(&self, change: Change) -> Ticket {
        let mut state = self.lock();
        let (who, target) = (&change.who, &change.target);
        tracing::info!(what = change.what, target, by = %who.name, role = who.role.word(), why = change.why, "changed");
        if state.changes.len() >= WAITING {
            state.lost += 1;
        } else {
            state.asked += 1;
            state.changes.push_back(change);
            self.0.wanted.notify_all();
        }
        Ticket { posture: 0, change: state.asked, failures: state.failures }
    }

    /// Waits until both are safe, or an attempt failed, or patience ends. True when they are safe.
    pub fn wait(&self, tickets: &[Ticket]) -> bool {
        let posture = tickets.iter().map(|ticket| ticket.posture).max().unwrap_or(0);
        let change = tickets.iter().map(|ticket| ticket.change).max().unwrap_or(0);
        // Whatever was wanted last decides which attempt is worth waiting for.
        let failures = tickets.iter().map(|ticket| ticket.failures).max().unwrap_or(0);
        let safe = |state: &State| state.posture_saved >= posture && state.written >= change;
        let (state, _) = self
            .0
            .done
            .wait_timeout_while(self.lock(), PATIENCE, |state| {
                !safe(state) && state.failures < failures + 2 && !state.stopped
            })
            .unwrap_or_else(PoisonError::into_inner);
        safe(&state)
    }

    /// How it does.
    pub fn health(&self) -> Health {
        let state = self.lock();
        Health {
            posture_saved: state.posture_saved >= state.posture_asked,
            posture_fault: state.posture_fault.clone(),
            audit_written: state.written >= state.asked && state.lost == 0,
            audit_waiting: state.changes.len(),
            audit_lost: state.lost,
            audit_fault: state.audit_fault.clone(),
            audit_found: state.found.clone(),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    fn write(&self) {
        let mut record = None;
        loop {
            let (posture, changes) = {
                let mut state = self.lock();
                let idle = |state: &State| !state.stop && state.posture.is_none() && state.changes.is_empty();
                while idle(&state) {
                    state = self.0.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                (state.posture.clone(), state.changes.iter().take(BATCH).cloned().collect::<Vec<_>>())
            };
            let saved = posture.as_ref().map(|(_, text)| replace(&self.0.dir, text));
            let written = if changes.is_empty() { Ok(()) } else { self.append(&mut record, &changes) };
            let mut state = self.lock();
            let failed = written.is_err() || saved.as_ref().is_some_and(Result::is_err);
            if let (Some(saved), Some((number, _))) = (saved, posture) {
                self.tell("posture", saved.as_ref().err(), &mut state.posture_fault);
                if saved.is_ok() {
                    state.posture_saved = number;
                    if state.posture.as_ref().is_some_and(|(newest, _)| *newest == number) {
                        state.posture = None;
                    }
                }
            }
            self.tell("audit", written.as_ref().err(), &mut state.audit_fault);
            if written.is_ok() {
                state.written += changes.len() as u64;
                state.changes.drain(..changes.len());
                if state.lost > 0 {
                    let lost = std::mem::take(&mut state.lost);
                    state.asked += 1;
                    state.changes.push_back(self.lost(lost));
                }
            }
            state.failures += u64::from(failed);
            let over = state.stop && (failed || (state.posture.is_none() && state.changes.is_empty()));
            state.stopped = over;
            self.0.done.notify_all();
            if over {
                return;
            }
            if failed {
                // New work is tried at once, what failed a little later.
                let _unused = self.0.wanted.wait_timeout(state, AGAIN).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Says a failure once, and its end.
    fn tell(&self, what: &'static str, fault: Option<&io::Error>, known: &mut Option<String>) {
        let gauge = match what {
            "posture" => &self.0.telemetry.gauges.posture_disk_ok,
            _ => &self.0.telemetry.gauges.audit_disk_ok,
        };
        gauge.set(i64::from(fault.is_none()));
        let dir = self.0.dir.display();
        match (fault, &known) {
            (Some(error), None) => tracing::error!(
                %error, what, "the data directory {dir} cannot be written; everything goes on in memory and is tried again"
            ),
            (None, Some(_)) => {
                tracing::warn!(what, "the data directory {dir} can be written again; nothing was lost by waiting")
            }
            _ => {}
        }
        *known = fault.map(ToString::to_string);
    }

    fn append(&self, record: &mut Option<AuditFile>, changes: &[Change]) -> io::Result<()> {
        if record.as_ref().is_none_or(|file| !file.is_in_place()) {
            let opened = AuditFile::open(&self.0.dir, self.0.clock.now())?;
            for said in &opened.said {
                tracing::error!("{said}");
            }
            let file = record.insert(opened.file);
            file.append(opened.changes.iter())?;
            let mut state = self.lock();
            state.found.extend(opened.said);
            let more = state.found.len().saturating_sub(20);
            state.found.drain(..more);
        }
        match record {
            Some(file) => file.append(changes.iter()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn lost(&self, lost: u64) -> Change {
        Change {
            time: self.0.clock.now(),
            who: Who::weir("weir", "the disk had no room"),
            what: "lost",
            target: super::audit::FILE.to_owned(),
            why: format!("{lost} changes were made while the disk had no room and more than {WAITING} were waiting"),
            before: json!(null),
            after: json!({ "lost": lost }),
        }
    }
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    posture: u64,
    change: u64,
    failures: u64,
}

/// Replaces the posture's file whole: a crash leaves the old one or the new one.
///
/// # Errors
/// When the system refuses any step; the old file stands.
pub fn replace(dir: &Path, text: &str) -> io::Result<()> {
    let (new, path) = (dir.join("posture.json.new"), dir.join(POSTURE));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(dir)?.sync_all()
}
