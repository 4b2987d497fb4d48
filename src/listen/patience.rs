//! How long a client may be waited for, while it sends a body or reads an answer.
//!
//! One that moves a byte now and then must not be waited for without end, so pauses add up, and what moved meanwhile earns time at
//! the mean rate of [`Bounds`]. Only pauses in which the client is waited for count: a slow upstream is not the client's fault.

use std::task::Waker;
use std::time::Duration;

use super::bounds::Bounds;
use crate::alarm::{Alarm, Alarms};

/// The pauses of one body.
#[derive(Debug)]
pub(super) struct Patience {
    alarm: Alarm,
    bounds: Bounds,
    /// When the present pause began; 0 between pauses.
    since: u64,
    waited: u64,
    earned: u64,
}

impl Patience {
    pub fn new(alarms: &Alarms, bounds: Bounds) -> Self {
        Self { alarm: alarms.alarm(), bounds, since: 0, waited: 0, earned: 0 }
    }

    /// The client is waited for; `waker` is woken when that has been too long. False when it is.
    pub fn waits(&mut self, waker: &Waker) -> bool {
        if self.since == 0 {
            self.since = self.alarm.now();
            let earned = Duration::from_secs(self.earned / self.bounds.body_rate.max(1));
            let left = (self.bounds.body_grace + earned).saturating_sub(Duration::from_millis(self.waited));
            self.alarm.set(left.min(self.bounds.body_idle));
        } else if self.alarm.is_due() {
            return false;
        }
        self.alarm.watch(waker);
        true
    }

    /// The pause, if there was one, is over, and so many bytes moved.
    pub fn moved(&mut self, bytes: u64) {
        if self.since != 0 {
            self.waited += self.alarm.now() - self.since;
            self.earned += bytes;
            self.since = 0;
            self.alarm.lift();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Moves `bytes` every `pause` seconds; for how many seconds the client is waited for.
    fn lasts(pause: u64, bytes: u64) -> u64 {
        let began = Instant::now();
        let alarms = Alarms::new(began, Duration::from_millis(100));
        let mut patience = Patience::new(&alarms, Bounds::default());
        for second in 0..1000 {
            alarms.beat(began + Duration::from_secs(second));
            if !patience.waits(Waker::noop()) {
                return second;
            }
            if second % pause == pause - 1 {
                patience.moved(bytes);
                assert!(patience.waits(Waker::noop()));
            }
        }
        1000
    }

    #[test]
    fn silence_drops_and_a_trickle_are_over_in_time_and_an_honest_pace_is_not() {
        let silent = lasts(2000, 0);
        assert!((30..33).contains(&silent), "{silent}");
        let drops = lasts(10, 1);
        assert!((30..42).contains(&drops), "{drops}");
        assert!(lasts(10, 2000) < 200);
        assert_eq!(lasts(10, 2600), 1000);
    }
}
