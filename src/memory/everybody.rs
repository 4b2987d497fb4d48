//! Everybody together, as a store: one record, which is nobody's.
//!
//! Without it a restart would take an app release of yesterday for ten thousand thefts, and an attack of this morning for a calm
//! day. It must never know one customer from another.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::checkpoint::{self, Flaw, Record, Seal};
use super::retention::Retention;
use super::stores::{About, Store};
use crate::clock::Moment;
use crate::judge::history::{Climate, Population};
use crate::subject::Account;
use crate::swap::Swap;

const ABOUT: About = About {
    name: "population",
    whom: "nobody: everybody together",
    holds: "decayed counts of sign-ins, of visits from new places, and of programs and the moves between them",
    key: "none: there is one",
    purpose: "to know what is usual, and what many do at once",
    kept: "always; each count halves within hours, days or three weeks",
    erased: "not by account: it does not say who they were",
    on_disk: true,
};

/// Everybody together.
#[derive(Debug, Default)]
pub(super) struct Everybody {
    pub population: Population,
    /// When the judge was last told.
    pub published: Moment,
    /// Another number after every change.
    pub changes: u64,
}

impl Record for Population {}

/// The store, with what the judge is told from it.
pub(super) struct Together<'m> {
    pub everybody: &'m Mutex<Everybody>,
    pub climate: &'m Swap<Climate>,
}

impl Store for Together<'_> {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn len(&self) -> usize {
        1
    }

    fn access(&self, _: Account, _: Moment) -> Vec<Value> {
        Vec::new()
    }

    fn erase(&self, _: Account) -> usize {
        0
    }

    fn sweep(&self, _: &Retention, _: Moment) -> usize {
        0
    }

    fn changes(&self) -> Option<u64> {
        Some(self.everybody.lock().unwrap_or_else(PoisonError::into_inner).changes)
    }

    fn save(&self, dir: &Path, key: u64) -> io::Result<u64> {
        // A copy: sign-ins do not wait for the disk.
        let population = self.everybody.lock().unwrap_or_else(PoisonError::into_inner).population;
        checkpoint::write_each(dir, Seal { store: ABOUT.name, key }, |each| each(0, &population))
    }

    fn load(&self, dir: &Path, key: u64, _: &Retention, now: Moment) -> Result<Option<u64>, Flaw> {
        let mut kept = None;
        checkpoint::read_each::<Population>(dir, Seal { store: ABOUT.name, key }, |_, population| {
            kept = Some(population)
        })?;
        let Some(population) = kept else { return Ok(None) };
        let mut everybody = self.everybody.lock().unwrap_or_else(PoisonError::into_inner);
        everybody.population = population;
        everybody.published = now;
        self.climate.store(Arc::new(population.climate(now)));
        Ok(Some(1))
    }
}
