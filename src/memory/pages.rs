//! When a device last fetched a page: of browsers that sign in without having looked at anything, some are scripts.
//!
//! A fixed number of places; whoever comes later to a place has it. It must never say that a page was fetched when it was not by
//! this device: a place remembers whose it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::subject::Device;

/// Quarters of a second since the epoch, in 32 bits: they come round every 34 years.
fn quarters(now: Moment) -> u32 {
    (now.unix_millis() / 250) as u32
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
        its_own.then(|| Duration::from_millis(250 * u64::from(quarters(now).wrapping_sub(kept as u32))))
    }
}
