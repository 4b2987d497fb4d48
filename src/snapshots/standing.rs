//! Whether answers are kept and shown, why not, and how many there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::disk::Tally;
use crate::clock::Moment;
use crate::telemetry::Telemetry;

/// How it stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Standing {
    /// Answers are kept, or at least shown.
    pub on: bool,
    /// What is wrong.
    pub trouble: Option<String>,
    /// Answers on the disk.
    pub answers: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes in memory.
    pub memory: u64,
    /// When the oldest of them was kept.
    pub oldest: Option<Moment>,
    /// By journey.
    pub journeys: BTreeMap<Box<str>, Tally>,
}

const OFF: u8 = 0;
const ON: u8 = 1;
/// Shown, and not kept.
const FAILING: u8 = 2;

#[derive(Debug)]
pub(super) struct State {
    state: AtomicU8,
    standing: Mutex<Standing>,
}

impl State {
    pub fn on() -> Self {
        let standing = Standing { on: true, ..Standing::default() };
        Self { state: AtomicU8::new(ON), standing: Mutex::new(standing) }
    }

    pub fn off() -> Self {
        Self { state: AtomicU8::new(OFF), standing: Mutex::default() }
    }

    pub fn is_on(&self) -> bool {
        self.state.load(Ordering::Acquire) != OFF
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    /// Something is wrong: answers are not kept, and, where that is safer, not shown either. Only a restart turns on again what is
    /// off.
    pub fn fail(&self, why: &str, off: bool, telemetry: &Telemetry) {
        let next = |now| if off || now == OFF { OFF } else { FAILING };
        let mut standing = self.lock();
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(next(now)));
        let before = before.unwrap_or_else(|now| now);
        // What turned them off is what has to be seen to, whatever fails after it.
        if before != OFF {
            (standing.on, standing.trouble) = (!off, Some(why.to_owned()));
        }
        drop(standing);
        telemetry.gauges.snapshots_ok.set(0);
        if off && before != OFF {
            tracing::error!(
                why,
                "snapshots are off: none is kept or shown until this is seen to and Weir is started again"
            );
        } else if !off && before == ON {
            tracing::error!(why, "snapshots cannot be kept; those that are there are shown, and it is tried again");
        }
    }

    /// All is well again.
    pub fn recover(&self, telemetry: &Telemetry) {
        if self.state.compare_exchange(FAILING, ON, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.lock().trouble = None;
            telemetry.gauges.snapshots_ok.set(1);
            tracing::warn!("snapshots are kept again");
        }
    }

    /// What there is.
    pub fn counted(&self, journeys: BTreeMap<Box<str>, Tally>, oldest: Option<Moment>, telemetry: &Telemetry) {
        let mut standing = self.lock();
        standing.answers = journeys.values().map(|tally| tally.answers).sum();
        standing.bytes = journeys.values().map(|tally| tally.bytes).sum();
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        telemetry.gauges.snapshots.set(gauge(standing.answers));
        telemetry.gauges.snapshots_bytes.set(gauge(standing.bytes));
        (standing.journeys, standing.oldest) = (journeys, oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_stays_off_whatever_fails_or_recovers_after_it() {
        let (state, telemetry) = (State::on(), Telemetry::new());
        state.fail("full", false, &telemetry);
        assert!(state.is_on() && state.standing().on);
        state.fail("what was voided is lost", true, &telemetry);
        state.fail("full", false, &telemetry);
        state.recover(&telemetry);
        assert!(!state.is_on() && !state.standing().on);
        assert_eq!(state.standing().trouble.as_deref(), Some("what was voided is lost"));
    }
}
