//! What the groups of signals say of customers who have long been known, counted by every worker, looked at beside the path; and
//! which of the groups are frozen.
//!
//! To count takes no lock and nothing is allocated. It must never say of anybody what was counted: there are numbers only.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Moment;
use crate::judge::guard::{Change, SPAN, Slice, Standing, Toll, Watch, bin};
use crate::judge::stage::Stage;
use crate::rules::guards::{Groups, Guards as Law};
use crate::rules::signal::Group;

const GROUPS: usize = Group::ALL.len();
/// As many workers count without touching what another one counts in.
const APART: usize = 16;
/// What one worker counts.
const CELLS: usize = 2 * GROUPS * SPAN;

/// The guards of this process.
#[derive(Debug)]
pub struct Guards {
    /// Those of each worker behind one another.
    counts: Box<[AtomicU32]>,
    frozen: AtomicU8,
    watch: Mutex<Watch>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            counts: std::iter::repeat_with(AtomicU32::default).take(APART * CELLS).collect(),
            frozen: AtomicU8::new(0),
            watch: Mutex::default(),
        }
    }
}

const fn stage_place(stage: Stage) -> usize {
    match stage {
        Stage::Attempt => 0,
        Stage::Claim | Stage::Session => 1,
    }
}

impl Guards {
    /// The groups that are not believed now.
    pub fn frozen(&self) -> Groups {
        Groups::from_bits(self.frozen.load(Ordering::Relaxed))
    }

    /// Counts one customer of this worker's.
    pub fn count(&self, worker: usize, toll: &Toll) {
        let from = stage_place(toll.stage) * GROUPS;
        for (group, points) in toll.points.iter().enumerate() {
            if let Some(count) = self.counts.get(worker % APART * CELLS + (from + group) * SPAN + bin(*points)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Looks at what was counted, when it is time, and says what changed. What changed holds for the next request.
    pub fn look(&self, law: &Law, now: Moment) -> Vec<Change> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if !watch.is_due(law, now) {
            return Vec::new();
        }
        let mut slice: Slice = [[[0; SPAN]; GROUPS]; 2];
        for counts in self.counts.chunks(CELLS) {
            let cells = slice.iter_mut().flatten().flatten();
            for (seen, count) in cells.zip(counts) {
                *seen += count.swap(0, Ordering::Relaxed);
            }
        }
        let changes = watch.look(slice, law, now);
        self.frozen.store(watch.frozen().bits(), Ordering::Relaxed);
        changes
    }

    /// How every group does.
    pub fn show(&self) -> [(Group, Standing); GROUPS] {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        Group::ALL.map(|group| (group, watch.standing(group)))
    }
}
