//! Whether there is room. Admission knows how many requests each upstream has in flight, mints the [`Slot`] without which
//! nothing is forwarded, and otherwise says when to come back.
//!
//! It must never wait, and never take a request that the upstream's bound has no room for. The loser is the newest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// All lanes. They live outside the law and survive every swap.
#[derive(Debug, Default)]
pub struct Admission {
    lanes: Mutex<HashMap<Arc<str>, Arc<Lane>>>,
}

impl Admission {
    /// The lane of an upstream. Takes a lock: a worker asks once for each generation of the law and keeps the lane.
    pub fn lane(&self, upstream: &Arc<str>) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(upstream.clone()).or_default().clone()
    }
}

/// What one upstream has in flight, over all workers.
#[derive(Debug, Default)]
pub struct Lane {
    in_flight: AtomicUsize,
}

impl Lane {
    /// A slot, if fewer than `most` requests are in flight.
    ///
    /// # Errors
    /// [`Full`], with a time to come back that is the same for one client however often it asks and differs between clients.
    pub fn admit(self: &Arc<Self>, most: usize, client: u64) -> Result<Slot, Full> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let slot = Slot { lane: self.clone() };
        match before < most {
            true => Ok(slot),
            false => Err(Full { come_back: Duration::from_secs(1 + client % 5) }),
        }
    }

    /// How many requests are in flight now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// No room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// When to come back; at least a second.
    pub come_back: Duration,
}

/// Proof that admission has room for one request. Ends when it is dropped, at the answer's head.
///
/// Only [`Lane::admit`] makes one:
///
/// ```compile_fail
/// use weir::admission::Slot;
/// let forged = Slot { lane: Default::default() };
/// ```
#[derive(Debug)]
#[must_use = "a slot that is dropped at once admits nothing"]
pub struct Slot {
    lane: Arc<Lane>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_refuses_the_newest_and_opens_again_when_a_slot_ends() {
        let lane = Admission::default().lane(&Arc::from("shop"));
        let first = lane.admit(2, 7).unwrap();
        let _second = lane.admit(2, 7).unwrap();
        assert_eq!(lane.admit(2, 7).unwrap_err(), lane.admit(2, 7).unwrap_err());
        assert_eq!(lane.in_flight(), 2);
        drop(first);
        assert!(lane.admit(2, 7).is_ok());
    }

    #[test]
    fn lanes_outlive_the_law_that_named_them() {
        let admission = Admission::default();
        let _held = admission.lane(&Arc::from("shop")).admit(1, 0).unwrap();
        assert!(admission.lane(&Arc::from("shop")).admit(1, 0).is_err());
        assert!(admission.lane(&Arc::from("other")).admit(1, 0).is_ok());
    }
}
