//! When a device last fetched a page: of browsers that sign in without having looked at anything, some are scripts.
//!
//! A fixed number of places; whoever comes later to a place has it. It must never say that a page was fetched when it was not by
//! this device: a place remembers whose it is.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::checkpoint::Flaw;
use super::retention::Retention;
use super::stores::{About, Store};
use crate::clock::Moment;
use crate::subject::{Account, Device};

/// A page that was fetched longer ago than this is as good as none.
const LOOKED: Duration = Duration::from_secs(1800);

const ABOUT: About = About {
    name: "pages",
    whom: "one browser or app installation, whoever uses it",
    holds: "when it last fetched a page, to a quarter of a second",
    key: "keyed hash of the device cookie's identifier",
    purpose: "to tell a browser that looked at the page from a script",
    kept: "30m, and with the process",
    erased: "not by account: it does not say who used the device",
    on_disk: false,
};

/// Quarters of a second since the epoch, in 32 bits: they come round every 34 years.
fn quarters(now: Moment) -> u32 {
    (now.unix_millis() / 250) as u32
}

/// How long ago what a place keeps was.
fn age(kept: u64, now: Moment) -> Duration {
    Duration::from_millis(250 * u64::from(quarters(now).wrapping_sub(kept as u32)))
}

/// The last page of each device.
#[derive(Debug)]
pub struct Pages {
    places: Box<[AtomicU64]>,
}

impl Pages {
    /// So many devices at once, rounded up to a power of two.
    pub fn new(places: usize) -> Self {
        let places = places.next_power_of_two().max(1);
        Self { places: std::iter::repeat_with(AtomicU64::default).take(places).collect() }
    }

    fn place(&self, device: Device) -> Option<&AtomicU64> {
        self.places.get((device.bits() as usize) & (self.places.len() - 1))
    }

    /// It has fetched a page now.
    pub fn fetched(&self, device: Device, now: Moment) {
        if let Some(place) = self.place(device) {
            place.store(device.bits() & 0xffff_ffff_0000_0000 | u64::from(quarters(now)), Ordering::Relaxed);
        }
    }

    /// How long ago it fetched one, to a quarter of a second; none where nothing is remembered.
    pub fn since(&self, device: Device, now: Moment) -> Option<Duration> {
        let kept = self.place(device)?.load(Ordering::Relaxed);
        let its_own = kept != 0 && kept >> 32 == device.bits() >> 32;
        its_own.then(|| age(kept, now))
    }

    pub(super) fn store(&self) -> Box<dyn Store + '_> {
        Box::new(Looked(self))
    }
}

/// The store.
struct Looked<'p>(&'p Pages);

impl Store for Looked<'_> {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn len(&self) -> usize {
        self.0.places.iter().filter(|place| place.load(Ordering::Relaxed) != 0).count()
    }

    fn access(&self, _: Account, _: Moment) -> Vec<Value> {
        Vec::new()
    }

    fn erase(&self, _: Account) -> usize {
        0
    }

    fn sweep(&self, _: &Retention, now: Moment) -> usize {
        let old = |kept: u64| kept != 0 && age(kept, now) > LOOKED;
        let forget = |place: &&AtomicU64| {
            let kept = place.load(Ordering::Relaxed);
            // Whoever fetches a page meanwhile keeps the place.
            old(kept) && place.compare_exchange(kept, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        self.0.places.iter().filter(forget).count()
    }

    fn changes(&self) -> Option<u64> {
        None
    }

    fn save(&self, _: &Path, _: u64) -> io::Result<u64> {
        Ok(0)
    }

    fn load(&self, _: &Path, _: u64, _: &Retention, _: Moment) -> Result<Option<u64>, Flaw> {
        Ok(None)
    }
}
