//! What clients have used of their limits: bounded tables of small cells, outside the law, so that a swap forgets nothing.
//!
//! Each kind of key has a table of its own: what a client can make up (a header's value) cannot push out what it cannot (an
//! account, a network). The loser of a full table is a cell whose allowance is whole again, then the one that has used the
//! least of it; a newcomer that has used less than all others is not counted. Limits in shadow never touch these tables: what
//! they would have done is worked out in one small table of their own, which never grows and is forgotten first.

mod cells;
mod limiter;

use std::sync::Arc;

pub use cells::Cells;
pub use limiter::Limiter;

use super::stores::{About, Store};
use crate::rules::limits::{Key, Limit};
use crate::subject::{Account, Device, Names};

/// Cells that all limits in shadow share.
const SHADOW: usize = 8_192;

const ACCOUNTS: About = About {
    name: "limits_accounts",
    whom: "one account",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "weir erase",
    on_disk: false,
};

const CLIENTS: About = About {
    name: "limits_clients",
    whom: "one client",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

const DEVICES: About = About {
    name: "limits_devices",
    whom: "one device",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

const NETWORKS: About = About {
    name: "limits_networks",
    whom: "one network",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

const HEADERS: About = About {
    name: "limits_headers",
    whom: "one value of a header that a rule names",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

const SHADOWS: About = About {
    name: "limits_shadow",
    whom: "whatever a limit in shadow counts",
    holds: "when its allowance is whole again",
    key: "keyed hash",
    purpose: "to hold limits",
    kept: "until the allowance is whole again",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

/// The cells of every limit.
#[derive(Debug)]
pub struct Allowances {
    accounts: Arc<Cells>,
    clients: Arc<Cells>,
    devices: Arc<Cells>,
    networks: Arc<Cells>,
    headers: Arc<Cells>,
    shadow: Arc<Cells>,
}

impl Allowances {
    /// Room for this many keys of each kind. Nothing is allocated until a key is counted.
    pub fn new(places: usize) -> Self {
        let cells = |places| Arc::new(Cells::new(places));
        Self {
            accounts: cells(places),
            clients: cells(places),
            devices: cells(places),
            networks: cells(places),
            headers: cells(places),
            shadow: cells(places.min(SHADOW)),
        }
    }

    pub(super) fn stores(&self) -> [Box<dyn Store + '_>; 6] {
        let Self { accounts, clients, devices, networks, headers, shadow } = self;
        [
            accounts.store(&ACCOUNTS),
            clients.store(&CLIENTS),
            devices.store(&DEVICES),
            networks.store(&NETWORKS),
            headers.store(&HEADERS),
            shadow.store(&SHADOWS),
        ]
    }

    /// What an account has used of the limits with these salts, on any of these devices too: how many cells.
    pub fn held(&self, account: Account, devices: &[Device], salts: &[u64]) -> usize {
        let everywhere = [&self.accounts, &self.networks, &self.shadow];
        keys(account, devices, salts).filter(|key| everywhere.iter().any(|cells| cells.has(*key))).count()
    }

    /// Forgets that, and says how many cells that was.
    pub fn forget(&self, account: Account, devices: &[Device], salts: &[u64]) -> usize {
        let keys = keys(account, devices, salts);
        keys.flat_map(|key| [&self.accounts, &self.networks, &self.shadow].map(|cells| cells.remove(key)))
            .filter(|gone| *gone)
            .count()
    }

    /// Where a limit counts.
    pub fn cells(&self, limit: &Limit) -> &Arc<Cells> {
        match (&limit.key, limit.shadow) {
            (_, true) => &self.shadow,
            (Key::Account, false) => &self.accounts,
            (Key::Client, false) => &self.clients,
            (Key::Device, false) => &self.devices,
            (Key::Network, false) => &self.networks,
            (Key::Header(_), false) => &self.headers,
        }
    }
}

fn keys(account: Account, devices: &[Device], salts: &[u64]) -> impl Iterator<Item = u64> {
    let on = devices.iter().map(move |device| account_on(account, Some(*device)));
    let whose = std::iter::once(account_on(account, None)).chain(on);
    whose.flat_map(|whose| salts.iter().map(move |salt| salt ^ whose))
}

/// What keeps the cells of one limit apart from those of another; the same after a reload.
pub fn salt(names: &Names, limit: &Limit) -> u64 {
    names.key(&[b"limit", limit.key.word().as_bytes(), limit.name.as_bytes()])
}

/// The key under which an account's use counts; on a device that it trusts, it counts apart.
pub fn account_on(account: Account, device: Option<Device>) -> u64 {
    account.bits() ^ device.map_or(0, |device| device.bits().rotate_left(32))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::rules::limits::Rate;

    #[test]
    fn a_limit_in_shadow_leaves_no_trace_where_limits_hold_and_little_elsewhere() {
        let allowances = Allowances::new(1 << 20);
        let now = Moment::from_unix_seconds(1_800_000_000);
        let rate = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(3600) };
        let limit = |key: Key, shadow: bool| Limit {
            name: "trial".into(),
            key,
            rate,
            burst: NonZeroU32::MIN,
            counts: None,
            younger_than: None,
            shadow,
        };
        let keys = [Key::Account, Key::Client, Key::Device, Key::Network, Key::Header(http::header::USER_AGENT)];
        for key in keys {
            let trial = Limiter::new(&limit(key.clone(), true), &allowances);
            for client in 0..20_000 {
                let _ = trial.charge(client, now);
            }
            let real = limit(key, false);
            assert!(allowances.cells(&real).is_empty());
            assert_eq!(Limiter::new(&real, &allowances).charge(1, now), Ok(()));
            assert_eq!(allowances.cells(&real).len(), 1);
        }
        assert!(allowances.shadow.len() <= allowances.shadow.capacity() && allowances.shadow.capacity() <= SHADOW);
    }
}
