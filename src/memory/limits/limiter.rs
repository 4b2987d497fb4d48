//! One limit, asked: governor's arithmetic (GCRA) over our own bounded cells.
//!
//! governor counts the state of a limiter from the moment at which the limiter was made, by the clock that it was made with. Here that
//! moment is always the Unix epoch, so a limiter made by the next law reads the cells of the last one right. It must never
//! ask for the time: the moment is an argument.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::Allowances;
use super::cells::{Cells, nanos};
use crate::clock::Moment;
use crate::rules::limits::Limit;

/// One limit of one law, for one worker.
#[derive(Debug)]
pub struct Limiter {
    governor: RateLimiter<u64, Store, Hand>,
    hand: Hand,
    cells: Arc<Cells>,
    interval: u64,
}

impl Limiter {
    /// The limiter of this limit, over the cells that are kept for its kind.
    pub fn new(limit: &Limit, allowances: &Allowances) -> Self {
        Self::over(allowances.cells(limit).clone(), limit.rate.interval(), limit.burst)
    }

    /// A limiter over these cells: one more is allowed after each `interval`, `burst` at once after a rest.
    pub fn over(cells: Arc<Cells>, interval: Duration, burst: NonZeroU32) -> Self {
        let interval = interval.max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX / 4);
        let rest = interval.saturating_mul(u64::from(burst.get())).min(u64::MAX / 4);
        // Made while the hand is at the epoch: that is what its cells count from.
        let hand = Hand::default();
        let store = Store { cells: cells.clone(), hand: hand.clone(), rest };
        Self { governor: RateLimiter::new(quota, store, hand.clone()), hand, cells, interval }
    }

    /// Counts one request of this key.
    ///
    /// # Errors
    /// The moment at which one more is allowed. Nothing is counted then, so the moment is the same however often it is asked.
    pub fn charge(&self, key: u64, now: Moment) -> Result<(), Moment> {
        self.hand.0.set(now);
        self.governor.check_key(&key).map_err(|not_until| {
            let earliest = not_until.earliest_possible().as_u64();
            Moment::from_unix_millis(earliest.div_ceil(1_000_000))
        })
    }

    /// Takes one request of this key back, as if it had not been counted.
    pub fn give_back(&self, key: u64) {
        self.cells.give_back(key, self.interval);
    }
}

/// The moment of the request that is asked about; the epoch while a limiter is made.
#[derive(Clone, Debug, Default)]
struct Hand(Rc<Cell<Moment>>);

impl Clock for Hand {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(self.0.get()).into()
    }
}

/// The cells, as governor asks for them.
#[derive(Debug)]
struct Store {
    cells: Arc<Cells>,
    hand: Hand,
    rest: u64,
}

impl StateStore for Store {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.cells.change(*key, self.hand.0.get(), self.rest, |whole| {
            decide(Some(whole.into())).map(|(answer, next)| (answer, next.as_u64()))
        })
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    fn after(milliseconds: u64) -> Moment {
        NOW.plus(Duration::from_millis(milliseconds))
    }

    fn limiter(cells: &Arc<Cells>, every: u64, burst: u32) -> Limiter {
        Limiter::over(cells.clone(), Duration::from_secs(every), NonZeroU32::new(burst).unwrap())
    }

    fn cells() -> Arc<Cells> {
        Arc::new(Cells::new(1024))
    }

    #[test]
    fn a_burst_is_let_through_then_one_at_a_time_and_the_told_time_stands() {
        let limiter = limiter(&cells(), 12, 5);
        for _ in 0..5 {
            assert_eq!(limiter.charge(7, NOW), Ok(()));
        }
        for second in 0..12 {
            assert_eq!(limiter.charge(7, after(second * 1000)), Err(after(12_000)), "asking does not move it");
        }
        assert_eq!(limiter.charge(7, after(12_000)), Ok(()), "a promise kept");
        assert_eq!(limiter.charge(7, after(12_000)), Err(after(24_000)));
        assert_eq!(limiter.charge(8, NOW), Ok(()), "another key has its own");
        for _ in 0..5 {
            assert_eq!(limiter.charge(7, after(84_000)), Ok(()), "whole again");
        }
        assert_eq!(limiter.charge(7, after(84_000)), Err(after(96_000)));
    }

    #[test]
    fn a_limiter_that_is_made_later_reads_the_cells_of_the_one_before() {
        let cells = cells();
        let first = limiter(&cells, 12, 5);
        for _ in 0..5 {
            assert_eq!(first.charge(7, NOW), Ok(()));
        }
        drop(first);
        // An hour of the process later, or a second: the cells count from the epoch, not from this.
        let second = limiter(&cells, 12, 5);
        assert_eq!(second.charge(7, after(1000)), Err(after(12_000)));
        let twice_as_often = limiter(&cells, 6, 10);
        assert_eq!(twice_as_often.charge(7, after(1000)), Err(after(6_000)), "the new rate holds at once");
        assert_eq!(limiter(&cells, 12, 5).charge(7, after(3_600_000)), Ok(()));
    }

    #[test]
    fn nobody_waits_longer_than_the_law_in_force_allows() {
        let cells = cells();
        let hourly = limiter(&cells, 3600, 1);
        assert_eq!(hourly.charge(7, NOW), Ok(()));
        assert_eq!(hourly.charge(7, NOW), Err(after(3_600_000)));
        let often = limiter(&cells, 1, 3);
        assert_eq!(often.charge(7, NOW), Err(after(1000)));
        assert_eq!(often.charge(7, after(500)), Err(after(1000)), "and asking again does not move it");
        assert_eq!(often.charge(7, after(1000)), Ok(()));
        // A clock that was set back by a year.
        assert_eq!(often.charge(9, after(31_536_000_000)), Ok(()));
        assert_eq!(often.charge(9, NOW), Err(after(1000)));
        assert_eq!(often.charge(9, after(1000)), Ok(()));
    }

    #[test]
    fn what_is_given_back_was_never_used() {
        let limiter = limiter(&cells(), 12, 1);
        for request in 0..100 {
            assert_eq!(limiter.charge(7, after(request)), Ok(()));
            limiter.give_back(7);
        }
        assert_eq!(limiter.charge(7, after(100)), Ok(()));
        assert_eq!(limiter.charge(7, after(100)), Err(after(12_100)));
        limiter.give_back(8);
        assert_eq!(limiter.charge(8, after(100)), Ok(()), "giving back to nobody makes nobody");
    }

    #[test]
    fn a_flood_of_made_up_keys_stays_in_the_table_and_frees_nobody_who_waits() {
        let cells = Arc::new(Cells::new(4096));
        let limiter = limiter(&cells, 12, 5);
        for customer in 0..512_u64 {
            for _ in 0..5 {
                assert_eq!(limiter.charge(customer, NOW), Ok(()));
            }
        }
        for stranger in 0..1_000_000_u64 {
            assert_eq!(limiter.charge(0x1000_0000 + stranger, NOW), Ok(()));
        }
        assert!(cells.len() <= cells.capacity() && cells.capacity() <= 4096 + 512, "{}", cells.capacity());
        assert!((0..512).all(|customer| limiter.charge(customer, NOW).is_err()), "who waits is forgotten last");
    }

    #[test]
    fn the_ends_of_time_and_of_numbers_stop_nothing() {
        let cells = cells();
        let limiter = Limiter::over(cells.clone(), Duration::from_nanos(0), NonZeroU32::MAX);
        assert_eq!(limiter.charge(1, Moment::from_unix_millis(0)), Ok(()));
        assert_eq!(limiter.charge(1, Moment::from_unix_millis(u64::MAX)), Ok(()));
        let slow = Limiter::over(cells, Duration::from_secs(31 * 86_400), NonZeroU32::MIN);
        assert_eq!(slow.charge(2, Moment::from_unix_millis(u64::MAX)), Ok(()));
        assert!(slow.charge(2, Moment::from_unix_millis(u64::MAX)).is_err());
        slow.give_back(2);
        assert_eq!(slow.charge(2, Moment::from_unix_seconds(1)), Err(Moment::from_unix_seconds(31 * 86_400 + 1)));
    }

    proptest! {
        /// The same answers as governor over its own unbounded store, for any times between requests.
        #[test]
        fn our_cells_decide_as_governors_own_do(
            every in 1_u64..100_000, burst in 1_u32..20,
            asks in proptest::collection::vec((0_u64..4, 0_u64..50_000), 1..200),
        ) {
            let burst = NonZeroU32::new(burst).unwrap();
            let every = Duration::from_millis(every);
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_period(every).unwrap().allow_burst(burst);
            let theirs = RateLimiter::hashmap_with_clock(quota, clock.clone());
            let cells = Arc::new(Cells::new(64));
            let mut ours = Limiter::over(cells.clone(), every, burst);
            let mut elapsed = 0;
            for (at, (key, wait)) in asks.into_iter().enumerate() {
                elapsed += wait;
                clock.advance(Duration::from_millis(wait));
                if at % 7 == 6 {
                    ours = Limiter::over(cells.clone(), every, burst);
                }
                let expected = theirs.check_key(&key).map_err(|not_until| {
                    after(not_until.earliest_possible().as_u64().div_ceil(1_000_000))
                });
                prop_assert_eq!(ours.charge(key, after(elapsed)), expected);
            }
        }
    }
}
