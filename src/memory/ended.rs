//! Sessions that are over, whoever said so: a sign-out, a shared signal. What they were is of no matter; that they are over is
//! kept for as long as a cookie of theirs may still be about.
//!
//! It must never bring one back by forgetting the wrong one first: the loser is one that ended more than thirty days ago, then
//! any that nobody has shown since.

use std::sync::atomic::{AtomicBool, Ordering};

use super::table::{Table, Worth};
use crate::clock::Moment;
use crate::subject::Session;

/// Thirty days, in seconds: as long as an idle session is remembered.
const KEPT: u32 = 30 * 24 * 3600;

/// When one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EndedAt(u32);

impl EndedAt {
    /// That moment.
    pub const fn at(self) -> Moment {
        Moment::from_unix_seconds(self.0 as u64)
    }
}

impl Worth for EndedAt {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(second(now).saturating_sub(self.0) <= KEPT)
    }
}

fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

/// Those that are over.
#[derive(Debug)]
pub struct Ended {
    /// By [`Session`].
    pub table: Table<EndedAt>,
    any: AtomicBool,
}

impl Ended {
    /// Room for this many.
    pub fn new(places: usize) -> Self {
        Self { table: Table::new(places), any: AtomicBool::new(false) }
    }

    /// Whether any ever ended.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// This one is over since `at`. Of two ends the later counts.
    pub fn end(&self, session: Session, at: Moment, now: Moment) {
        self.table.update(session.bits(), now, |ended| ended.0 = ended.0.max(second(at)));
        self.any.store(true, Ordering::Release);
    }

    /// When it ended, if it did.
    pub fn ended(&self, session: Session) -> Option<Moment> {
        if !self.any() {
            return None;
        }
        self.table.read(session.bits()).map(|ended| Moment::from_unix_seconds(u64::from(ended.0)))
    }

    /// It is another one now: the application has opened it anew.
    pub fn opened(&self, session: Session) {
        if self.any() {
            self.table.remove(session.bits());
        }
    }

    /// Entries were put into the table from elsewhere: they count from now on.
    pub fn loaded(&self) {
        self.any.store(!self.table.is_empty(), Ordering::Release);
    }
}
