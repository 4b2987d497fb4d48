//! A thread that writes what is remembered to the data directory now and then, and a last time when the process ends; and what
//! keeps customers' own answers there.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{StartError, thread};
use crate::clock::Clock;
use crate::identity::naming;
use crate::memory::keeper::Keeper;
use crate::outcomes::Kept;
use crate::settings::Settings;
use crate::snapshots::{self, Snapshots};
use crate::telemetry::Telemetry;

/// How long the end waits for the last writing. A disk that hangs does not keep the process.
const PATIENCE: Duration = Duration::from_secs(60);

/// How soon what has ended is on the disk.
const SOON: Duration = Duration::from_secs(1);
/// Writing that takes this share of the time leaves the rest of the machine its disk.
const SHARE: u32 = 10;

/// The thread.
#[derive(Debug)]
pub(super) struct Keeping {
    stop: Sender<()>,
    done: Mutex<Receiver<()>>,
    thread: JoinHandle<()>,
}

impl Keeping {
    /// Writes what has changed, this often; and what has ended, soon.
    pub fn start(keeper: Arc<Keeper>, outcomes: Option<Kept>, every: Duration) -> Result<Self, StartError> {
        let (stop, stopped) = channel();
        let (say_done, done) = channel();
        let thread = thread("weir-memory".into(), move || {
            let (mut next, mut soon) = (Instant::now() + every, SOON);
            loop {
                let wait = soon.min(next.saturating_duration_since(Instant::now()));
                let over = !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
                let began = Instant::now();
                // A failure is said and shown by the keeper, and tried again.
                if !over && began < next {
                    let _unsaved = keeper.keep_ends();
                    soon = SOON.max(began.elapsed() * SHARE);
                    continue;
                }
                next = began + every;
                let _unsaved = keeper.keep();
                if let Some(Err(error)) = outcomes.as_ref().map(Kept::sweep) {
                    tracing::error!(%error, "outcomes that are too old cannot be removed; it is tried again");
                }
                if over {
                    break;
                }
            }
            let _nobody_waits = say_done.send(());
        })?;
        Ok(Self { stop, done: Mutex::new(done), thread })
    }

    /// Writes a last time, and ends.
    pub fn join(self) {
        let _ended_already = self.stop.send(());
        let done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        match done.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::error!("the disk hangs; what was remembered since the last checkpoint is lost");
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if self.thread.join().is_err() {
                    tracing::error!("the thread that keeps the memory ended by a panic");
                }
            }
        }
    }
}

/// Where customers' own answers are kept, if they are, and what keeps them. A key or a file that cannot be used is said, and keeps
/// nothing from starting.
pub(super) fn snapshots(
    settings: &Settings,
    data: &Path,
    (clock, telemetry): (&Clock, &Telemetry),
) -> (Snapshots, Option<snapshots::Keeper>) {
    let kept = settings.snapshots;
    if !kept.on {
        return (Snapshots::off(clock.clone(), telemetry.clone()), None);
    }
    let key = naming::snapshots_key(data).map_err(|error| error.to_string());
    let bounds = snapshots::Bounds { memory: kept.memory, disk: kept.disk, largest: kept.largest };
    let (all, keeper) = Snapshots::open(data, key, bounds, clock.clone(), telemetry.clone());
    (all, Some(keeper))
}
