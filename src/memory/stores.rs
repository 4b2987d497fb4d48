//! Every store of what is remembered, in one list: what it holds about whom, and how one account is shown, erased and forgotten.
//!
//! The list takes [`Memory`] apart field by field, so that a new table does not compile before it is in it. It must never leave
//! a store out, and never show a name: there is none.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::checkpoint::{self, Flaw, Kept, Seal};
use super::ended::EndedAt;
use super::everybody::Together;
use super::floating::Lines;
use super::owners::{OWNERS, Owned};
use super::retention::Retention;
use super::table::{Table, Worth};
use super::{Memory, SessionFacts, passes};
use crate::clock::Moment;
use crate::judge::history::{AccountHistory, DeviceRecord, Tried};
use crate::subject::Account;

/// What is said once about a store.
#[derive(Debug, Serialize)]
pub struct About {
    /// Its name, and that of its file.
    pub name: &'static str,
    /// Whom it is about.
    pub whom: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// Under what.
    pub key: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// For how long.
    pub kept: &'static str,
    /// How an account is erased from it.
    pub erased: &'static str,
    /// Whether it is written to the data directory.
    pub on_disk: bool,
}

/// One store.
pub trait Store {
    /// What is said of it.
    fn about(&self) -> &'static About;

    /// How many entries there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it holds about this account, as it is kept, each with the seconds that it has been idle for where that is known.
    fn access(&self, account: Account, now: Moment) -> Vec<Value>;

    /// Erases what it holds about this account, and says how many entries that was.
    fn erase(&self, account: Account) -> usize;

    /// Forgets what has been idle for too long, and says how many entries that was.
    fn sweep(&self, retention: &Retention, now: Moment) -> usize;

    /// A number that is another one after every change; `None` when it is not written to the disk.
    fn changes(&self) -> Option<u64>;

    /// A number that is another one after every change that takes something from somebody: the end of a session, a void, a report.
    /// Such a one is on the disk within a second or so; `None` where there are none.
    fn ends(&self) -> Option<u64> {
        None
    }

    /// Writes it to the data directory.
    ///
    /// # Errors
    /// When the system refuses; the file before stands.
    fn save(&self, dir: &Path, key: u64) -> io::Result<u64>;

    /// Fills it from the data directory.
    ///
    /// # Errors
    /// Why the file is not believed; the store is then as it was.
    fn load(&self, dir: &Path, key: u64, retention: &Retention, now: Moment) -> Result<Option<u64>, Flaw>;
}

/// A table whose entries outlive the process.
pub(super) struct Lasting<'t, V> {
    pub about: &'static About,
    pub table: &'t Table<V>,
    pub keep: fn(&Retention) -> Duration,
    /// Whether an entry is about an account.
    pub of: fn(u64, &V, Account) -> bool,
    /// What [`Store::ends`] says.
    pub ends: Option<u64>,
}

impl<V: Kept> Store for Lasting<'_, V> {
    fn about(&self) -> &'static About {
        self.about
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn access(&self, account: Account, now: Moment) -> Vec<Value> {
        let mut found = Vec::new();
        self.table.for_each(|key, value| {
            if (self.of)(key, value, account) {
                let held = serde_json::to_value(value).unwrap_or_default();
                found.push(json!({
                    "key": format!("{key:016x}"), "idle_seconds": value.idle(now).as_secs(), "held": readable("", held)
                }));
            }
        });
        found
    }

    fn erase(&self, account: Account) -> usize {
        self.table.retain(|key, value| !(self.of)(key, value, account))
    }

    fn sweep(&self, retention: &Retention, now: Moment) -> usize {
        let keep = (self.keep)(retention);
        self.table.retain(|_, value| value.idle(now) <= keep)
    }

    fn changes(&self) -> Option<u64> {
        Some(self.table.changes())
    }

    fn ends(&self) -> Option<u64> {
        self.ends
    }

    fn save(&self, dir: &Path, key: u64) -> io::Result<u64> {
        checkpoint::write(dir, Seal { store: self.about.name, key }, self.table)
    }

    fn load(&self, dir: &Path, key: u64, retention: &Retention, now: Moment) -> Result<Option<u64>, Flaw> {
        checkpoint::read(dir, Seal { store: self.about.name, key }, self.table, (self.keep)(retention), now)
    }
}

/// A table whose entries end by themselves within hours, and with the process.
pub(super) struct Passing<'t, V> {
    pub about: &'static About,
    pub table: &'t Table<V>,
}

impl<V: Copy + Default + Worth> Store for Passing<'_, V> {
    fn about(&self) -> &'static About {
        self.about
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn access(&self, _: Account, _: Moment) -> Vec<Value> {
        Vec::new()
    }

    fn erase(&self, _: Account) -> usize {
        0
    }

    fn sweep(&self, _: &Retention, now: Moment) -> usize {
        self.table.retain(|_, value| value.worth(now) > 0)
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

impl Kept for AccountHistory {
    fn idle(&self, now: Moment) -> Duration {
        Self::idle(self, now)
    }
}

impl Kept for DeviceRecord {
    fn idle(&self, now: Moment) -> Duration {
        Self::idle(self, now)
    }
}

impl Kept for Tried {
    fn idle(&self, now: Moment) -> Duration {
        now.since(self.touched())
    }
}

impl Kept for EndedAt {
    fn idle(&self, now: Moment) -> Duration {
        now.since(self.at())
    }
}

impl Kept for Owned {
    fn idle(&self, now: Moment) -> Duration {
        Self::idle(self, now)
    }
}

impl Kept for SessionFacts {
    fn idle(&self, now: Moment) -> Duration {
        Self::idle(self, now)
    }
}

const ACCOUNTS: About = About {
    name: "accounts",
    whom: "one account",
    holds: "its devices and networks as hashes with days of use, counts of sign-ins and failures, the seconds of the last ones, and what others reported",
    key: "keyed hash of the account's name",
    purpose: "to tell the account's owner from a thief",
    kept: "[memory] retention.accounts since the last sign-in (396d)",
    erased: "weir erase, from memory and disk at once",
    on_disk: true,
};

const DEVICES: About = About {
    name: "devices",
    whom: "one browser or app installation, whoever uses it",
    holds: "counts of sign-ins, about how many accounts, for how many days",
    key: "keyed hash of the device cookie's identifier",
    purpose: "to know a device that several people use well",
    kept: "[memory] retention.devices since the last sign-in there (7d)",
    erased: "weir erase, where no other account is known to use the device",
    on_disk: true,
};

const SHARED: About = About {
    name: "shared",
    whom: "one address, range, provider, program, fingerprint or device, whoever uses it",
    holds: "decayed counts of strangers' sign-ins, and how many of them worked",
    key: "hash of its kind and its keyed hash or number",
    purpose: "to tell where guesses come from",
    kept: "[memory] retention.networks since a stranger's last sign-in there (7d)",
    erased: "not by account: it does not say whose sign-ins they were",
    on_disk: true,
};

const SESSIONS: About = About {
    name: "sessions",
    whom: "one signed-in session",
    holds: "the account, device and network that it began with as hashes, what it has proved and when, whether it is held",
    key: "keyed hash of the session's cookie or identifier",
    purpose: "to judge each request of a session by how it began",
    kept: "[memory] retention.sessions since the last request (30d)",
    erased: "weir erase, from memory and disk at once; the next request is a stranger's",
    on_disk: true,
};

const ENDED: About = About {
    name: "ended",
    whom: "one session that is over",
    holds: "when it ended",
    key: "keyed hash of the session's cookie or identifier",
    purpose: "to keep a session from coming back after a sign-out or a report",
    kept: "[memory] retention.sessions (30d)",
    erased: "not by account: it does not say whose session it was",
    on_disk: true,
};

impl Memory {
    /// Every store.
    pub fn stores(&self) -> Vec<Box<dyn Store + '_>> {
        // No `..` here: a new field must be listed.
        let Self {
            accounts,
            devices,
            shared,
            sessions,
            owners,
            loops,
            throttles,
            allowances,
            handoffs,
            help,
            strangers,
            ended,
            passes: voids,
            transmitters,
            // A count, which tells nothing of anybody.
            reported,
            pages,
            population,
            // Made from the population.
            climate,
            // Numbers of points that are nobody's.
            guards: _,
            floating,
        } = self;
        let lasting: [Box<dyn Store + '_>; 9] = [
            Box::new(Lasting {
                about: &ACCOUNTS,
                table: accounts,
                keep: |retention| retention.accounts,
                of: |key, _, account| key == account.bits(),
                ends: Some(reported.load(Ordering::Acquire)),
            }),
            Box::new(Lasting {
                about: &DEVICES,
                table: devices,
                keep: |retention| retention.devices,
                of: |_, _, _| false,
                ends: None,
            }),
            Box::new(Lasting {
                about: &SHARED,
                table: shared,
                keep: |retention| retention.networks,
                of: |_, _, _| false,
                ends: None,
            }),
            Box::new(Lasting {
                about: &SESSIONS,
                table: sessions,
                keep: |retention| retention.sessions,
                of: |_, session, account| session.account() == Some(account),
                ends: None,
            }),
            Box::new(Lasting {
                about: &OWNERS,
                table: owners,
                keep: |retention| retention.sessions,
                of: |_, owned, account| owned.is_of(account),
                ends: None,
            }),
            Box::new(Lasting {
                about: &ENDED,
                table: &ended.table,
                keep: |retention| retention.sessions,
                of: |_, _, _| false,
                ends: Some(ended.table.changes()),
            }),
            Box::new(passes::Kept(voids)),
            Box::new(Together { everybody: population, climate }),
            Box::new(Lines(floating)),
        ];
        let mut all = Vec::from(lasting);
        all.extend(handoffs.stores());
        all.extend([pages.store(), loops.store(), throttles.store(), help.of_help(), strangers.of_strangers()]);
        all.extend(allowances.stores());
        all.extend(transmitters.stores());
        all
    }
}

/// What a decision line says where it is about this account.
pub fn mentions(account: Account) -> String {
    format!("\"account\":\"{account}\"")
}

/// Seconds and days as dates, and hashes as hexadecimal digits, by the names of their fields.
pub(super) fn readable(name: &str, value: Value) -> Value {
    const DATED: [&str; 14] = [
        "at",
        "first",
        "last",
        "since",
        "seen",
        "touched",
        "success",
        "made",
        "expires",
        "changed",
        "compromised",
        "revoked",
        "entered",
        "day",
    ];
    const HASHED: [&str; 7] = ["account", "device", "network", "session", "level", "journey", "help"];
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let shown = readable(&name, value);
                (name, shown)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(|item| readable(name, item)).collect(),
        Value::Number(number) => {
            let says = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
            match number.as_u64() {
                Some(written) if says(&DATED) && date(written).is_some() => date(written).unwrap_or_default(),
                Some(bits) if bits > 1 << 53 || (says(&HASHED) && !says(&DATED)) => json!(format!("{bits:016x}")),
                _ => Value::Number(number),
            }
        }
        other => other,
    }
}

/// A date for what can be one: days, seconds or milliseconds since the epoch.
fn date(written: u64) -> Option<Value> {
    let (seconds, whole_day) = match written {
        10_000..=40_000 => (written * 86_400, true),
        900_000_000..=4_294_967_294 => (written, false),
        900_000_000_000..=9_999_999_999_999 => (written / 1000, false),
        _ => return None,
    };
    let text = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string();
    Some(json!(if whole_day { text.get(..10).unwrap_or(&text) } else { &text }))
}
