//! How long each route takes: believable waiting, so that a demonstration behaves like a shop with a database behind it.
//!
//! The wait of the n-th request is the same in every run. Nothing here is random.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Path begins with; shortest wait and spread, in milliseconds. The first that fits counts.
const WAITS: [(&str, u64, u64); 13] = [
    ("/healthz", 0, 0),
    ("/demo/", 0, 0),
    ("/login", 35, 25),
    ("/api/v1/session", 35, 25),
    ("/verify", 15, 15),
    ("/password/", 25, 20),
    ("/account/password", 35, 25),
    ("/account/", 10, 20),
    ("/api/v1/accounts/", 10, 20),
    ("/orders", 12, 25),
    ("/api/v1/orders", 12, 25),
    ("/checkout", 40, 20),
    ("/", 5, 10),
];

/// Counts requests and says how long each should take.
#[derive(Debug, Default)]
pub struct Latency {
    count: AtomicU64,
}

impl Latency {
    /// How long the next request for this path takes: at least the route's shortest wait, at most that and its spread.
    pub fn next(&self, path: &str) -> Duration {
        let (_, least, spread) = *WAITS.iter().find(|(prefix, ..)| path.starts_with(prefix)).unwrap_or(&("", 0, 0));
        if spread == 0 {
            return Duration::from_millis(least);
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Duration::from_micros(least * 1000 + mix(count) % (spread * 1000))
    }
}

/// SplitMix64's finaliser: spreads a counter over all 64 bits.
const fn mix(count: u64) -> u64 {
    let mut z = count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_within_5_to_60_milliseconds_and_the_same_in_every_run() {
        let (one, other) = (Latency::default(), Latency::default());
        for path in ["/", "/login", "/account/balance", "/checkout", "/api/v1/orders/1001-1"].repeat(50) {
            let wait = one.next(path);
            assert_eq!(wait, other.next(path));
            assert!((5..=60).contains(&wait.as_millis()), "{path} takes {wait:?}");
        }
        assert_eq!(one.next("/healthz"), Duration::ZERO);
    }
}
