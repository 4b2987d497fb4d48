//! Guards on the groups of signals, as sources of readings in `weir_signal_up`.

use std::sync::{Mutex, PoisonError};

/// Every group that a guard watches, and whether it is believed.
#[derive(Debug, Default)]
pub struct ShownGuards(Mutex<Vec<(&'static str, bool)>>);

impl ShownGuards {
    /// Replaces what is shown.
    pub fn show(&self, groups: impl Iterator<Item = (&'static str, bool)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = groups.collect();
    }

    /// What is shown.
    pub(super) fn signals(&self) -> Vec<(&'static str, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
