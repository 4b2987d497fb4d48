//! `[snapshots]`: how much is kept of customers' own last-known-good answers. Which, and for how long, is law.

use super::{Lift, number};
use crate::rules::syntax::forms::Whole;
use crate::rules::syntax::table::{Said, table};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotsKept {
    /// Whether any is.
    pub on: bool,
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes on the disk; none there when 0.
    pub disk: u64,
    /// Bytes of one answer.
    pub largest: usize,
}

table! {
    /// Customers' own last-known-good answers, for journeys with `snapshot`: how much is kept, sealed, in the data directory.
    SnapshotsFile("snapshots") {
        /// Whether any is kept or shown, whatever the rules say.
        on: Said<bool> = default("true");
        /// Bytes in memory; what was not asked for lately goes, and is read from the disk when it is asked for.
        memory: Whole<65_536, 1_099_511_627_776> = default("67108864");
        /// Bytes on the disk; what was kept first goes. None are kept there when 0.
        disk: Whole<0, 17_592_186_044_416> = default("1073741824");
        /// Bytes of one answer; a larger one is not kept.
        largest: Whole<1_024, 4_194_304> = default("262144");
    }
}

impl Lift<'_> {
    pub(super) fn snapshots(&mut self, file: &SnapshotsFile) -> Option<SnapshotsKept> {
        Some(SnapshotsKept {
            on: file.on.given()?.value,
            memory: number(&file.memory)?,
            disk: number(&file.disk)?,
            largest: number(&file.largest)?,
        })
    }
}
