//! What is remembered of accounts, devices, networks, sessions, handoffs and repeated answers: bounded tables that outlive
//! every rule set.
//!
//! Every table has a fixed number of places and says who is forgotten first: strangers before customers. It must never hold
//! a raw name, address, cookie or token, never grow past its bound, and never hold a lock across an await.

pub mod capacity;
pub mod checkpoint;
pub mod ended;
pub mod everybody;
pub mod floating;
pub mod guards;
pub mod handoffs;
pub mod keeper;
pub mod limits;
pub mod loops;
pub mod owners;
pub mod pages;
pub mod passes;
pub mod recall;
pub mod reported;
pub mod retention;
pub mod sessions;
pub mod stores;
mod table;
pub mod throttle;
pub mod transmitters;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Moment;
use crate::judge::history::{AccountHistory, Climate, DeviceRecord, Tried};
use crate::swap::Swap;

pub use capacity::Capacity;
pub use ended::Ended;
use everybody::Everybody;
pub use floating::Floating;
pub use guards::Guards;
pub use handoffs::{Handoff, Handoffs, Reference};
pub use limits::{Allowances, Limiter};
pub use loops::Loops;
use owners::Owned;
pub use pages::Pages;
pub use sessions::SessionFacts;
pub use table::{Table, Worth};
pub use throttle::Throttles;
pub use transmitters::Transmitters;

/// How many of each are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Accounts, at most 512 bytes each. The loser is an account whose owner never came in.
    pub accounts: usize,
    /// Devices, about 17 bytes each. The loser is a device on which nothing ever succeeded.
    pub devices: usize,
    /// What many share, about 21 bytes each. The loser is one where nothing ever worked.
    pub networks: usize,
    /// Sessions, about 65 bytes each. The loser is one that has been idle for thirty days, then any that was not touched lately.
    pub sessions: usize,
    /// Handoffs, about 90 bytes each. The loser is one that has expired, then one without an account.
    pub handoffs: usize,
    /// Clients whose repeated answers are counted, and as many that are throttled.
    pub clients: usize,
    /// Keys of each kind that limits count, about 24 bytes each. The loser is one whose allowance is whole again.
    pub limits: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            accounts: 100_000,
            devices: 200_000,
            networks: 200_000,
            sessions: 200_000,
            handoffs: 20_000,
            clients: 65_536,
            limits: 131_072,
        }
    }
}

/// Everything that is remembered in this process. Shared by all workers.
#[derive(Debug)]
pub struct Memory {
    /// By [`crate::subject::Account`].
    pub accounts: Table<AccountHistory>,
    /// By [`crate::subject::Device`].
    pub devices: Table<DeviceRecord>,
    /// What many share, by its kind and its hash.
    pub shared: Table<Tried>,
    /// When devices last fetched a page.
    pub pages: Pages,
    /// Everybody together.
    population: Mutex<Everybody>,
    /// What the judge knows of everybody.
    climate: Swap<Climate>,
    /// By [`crate::subject::Session`].
    pub sessions: Table<SessionFacts>,
    /// By [`crate::subject::Session`].
    owners: Table<Owned>,
    /// Clients that repeat a refused request.
    pub loops: Loops,
    /// Clients that were told when to come back.
    pub throttles: Throttles,
    /// What clients have used of their limits.
    pub allowances: Allowances,
    /// References that customers read to agents.
    pub handoffs: Handoffs,
    /// Customers sent to each place of help within the hour.
    pub help: Capacity,
    /// References given within the hour to strangers of each network.
    pub strangers: Capacity,
    /// Sessions that are over.
    pub ended: Ended,
    /// Continuity passes that are void, by what ends them.
    pub passes: passes::Voids,
    /// Those who report from outside.
    pub transmitters: Transmitters,
    /// What the groups of signals say of customers who have long been known.
    pub guards: Guards,
    /// Where the lines of journeys with a budget are.
    pub floating: Floating,
    /// How much was reported of accounts; 0 when nothing ever was.
    reported: AtomicU64,
}

impl Memory {
    /// Empty tables with these many places.
    pub fn new(places: &Places) -> Self {
        Self {
            accounts: Table::new(places.accounts),
            devices: Table::new(places.devices),
            shared: Table::new(places.networks),
            pages: Pages::new(places.clients),
            population: Mutex::default(),
            climate: Swap::new(Arc::default()),
            sessions: Table::new(places.sessions),
            owners: Table::new(places.sessions),
            loops: Loops::new(places.clients),
            throttles: Throttles::new(places.clients),
            allowances: Allowances::new(places.limits),
            handoffs: Handoffs::new(places.handoffs),
            help: Capacity::default(),
            strangers: Capacity::new(places.clients),
            ended: Ended::new(places.sessions),
            passes: passes::Voids::default(),
            transmitters: Transmitters::default(),
            guards: Guards::default(),
            floating: Floating::default(),
            reported: AtomicU64::new(0),
        }
    }
}

/// After this long without a sign-in an account is a stranger again (`CONFIDENCE.md`, section 11: 13 months).
const FORGOTTEN: Duration = Duration::from_secs(396 * 24 * 3600);

impl Worth for AccountHistory {
    fn worth(&self, now: Moment) -> u8 {
        match self {
            _ if self.idle(now) > FORGOTTEN => 0,
            _ if self.has_trusted_device() => 2,
            // What was reported of it is not forgotten because its owner has never come.
            _ => u8::from(self.has_succeeded() || !self.reports.is_empty()),
        }
    }
}

impl Worth for DeviceRecord {
    fn worth(&self, _now: Moment) -> u8 {
        u8::from(self.has_worked())
    }
}

impl Worth for Tried {
    fn worth(&self, _now: Moment) -> u8 {
        u8::from(self.has_worked())
    }
}
