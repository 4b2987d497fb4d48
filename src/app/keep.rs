//! A thread that writes what is remembered to the data directory now and then, and a last time when the process ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{StartError, thread};
use crate::memory::keeper::Keeper;
use crate::outcomes::Kept;

/// How long the end waits for the last writing. A disk that hangs does not keep the process.
const PATIENCE: Duration = Duration::from_secs(60);

/// The thread.
#[derive(Debug)]
pub(super) struct Keeping {
    stop: Sender<()>,
    done: Mutex<Receiver<()>>,
    thread: JoinHandle<()>,
}

impl Keeping {
    /// Writes what has changed, this often.
    pub fn start(keeper: Arc<Keeper>, outcomes: Option<Kept>, every: Duration) -> Result<Self, StartError> {
        let (stop, stopped) = channel();
        let (say_done, done) = channel();
        let thread = thread("weir-memory".into(), move || {
            loop {
                let over = !matches!(stopped.recv_timeout(every), Err(RecvTimeoutError::Timeout));
                // A failure is said and shown by the keeper, and tried again.
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
