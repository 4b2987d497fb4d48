//! How often something may be done: limits as plain data, and which of them a request meets.
//!
//! A limit only ever says *not yet*. It must never be the reason that a customer has no way forward, and never depend on
//! state: what was used so far is kept in memory and survives every swap of the law.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::ruleset::{JourneyId, StatusSet};

/// One limit.
#[derive(Debug, Clone)]
pub struct Limit {
    /// As in the rule file.
    pub name: Arc<str>,
    /// Whose requests are counted together.
    pub key: Key,
    /// Only requests for accounts that have been known for less than this are counted and held; those of every account, and of none,
    /// when absent.
    pub younger_than: Option<Duration>,
    /// How often.
    pub rate: Rate,
    /// How many at once after a rest.
    pub burst: NonZeroU32,
    /// The statuses of the upstream's answers that are counted; every request that is sent on when absent.
    pub counts: Option<StatusSet>,
    /// Whether it is only watched: nothing is refused, and what would have been is recorded.
    pub shadow: bool,
}

/// So many in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; at most a thousand million.
    pub count: NonZeroU32,
    /// In how long: a second, a minute, an hour or a day.
    pub per: Duration,
}

impl Rate {
    /// The time after which one more is allowed; at least a nanosecond.
    pub fn interval(&self) -> Duration {
        (self.per / self.count.get()).max(Duration::from_nanos(1))
    }
}

impl Limit {
    /// The time after which nothing is left of what was used.
    pub fn rest(&self) -> Duration {
        self.rate.interval().saturating_mul(self.burst.get())
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The account: verified in a session, or tried at a sign-in.
    Account,
    /// The session, else the device, else the network.
    Client,
    /// The device, once somebody has come in on it, else the network.
    Device,
    /// The network: an IPv4 address, an IPv6 /64.
    Network,
    /// The values of this header.
    Header(HeaderName),
}

impl Key {
    /// The word in rules.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Client => "client",
            Self::Device => "device",
            Self::Network => "network",
            Self::Header(_) => "header",
        }
    }
}

/// All limits of a law, and those that a request meets.
#[derive(Debug, Default)]
pub struct Limits {
    all: Vec<Limit>,
    unlisted: Box<[u16]>,
    by_journey: Vec<Box<[u16]>>,
}

impl Limits {
    /// These limits, each with the journeys that it is put on; with none it is put on every request.
    pub(in crate::rules) fn new(all: Vec<(Limit, Vec<JourneyId>)>, journeys: usize) -> Self {
        if all.is_empty() {
            return Self::default();
        }
        let meets = |journey: Option<usize>| {
            let on = |on: &[JourneyId]| on.is_empty() || on.iter().any(|on| Some(on.index()) == journey);
            (0..=u16::MAX).zip(&all).filter(|(_, (_, journeys))| on(journeys)).map(|(at, _)| at).collect()
        };
        let unlisted = meets(None);
        let by_journey = (0..journeys).map(|journey| meets(Some(journey))).collect();
        Self { all: all.into_iter().map(|(limit, _)| limit).collect(), unlisted, by_journey }
    }

    /// Every limit, in the order written.
    pub fn all(&self) -> &[Limit] {
        &self.all
    }

    /// The places in [`Limits::all`] of the limits that a request on this journey meets.
    pub fn of(&self, journey: Option<JourneyId>) -> &[u16] {
        match journey {
            None => &self.unlisted,
            Some(journey) => self.by_journey.get(journey.index()).map_or(&[], |limits| limits),
        }
    }
}
