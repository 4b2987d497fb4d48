//! For how long each store remembers what is not used any more.

use std::time::Duration;

const DAY: u64 = 24 * 3600;

/// After so long without use an entry is forgotten, whatever room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Accounts: since their last sign-in.
    pub accounts: Duration,
    /// Devices: since anybody signed in on them.
    pub devices: Duration,
    /// Networks: since a stranger signed in from them.
    pub networks: Duration,
    /// Sessions: since their last request.
    pub sessions: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            accounts: Duration::from_secs(396 * DAY),
            devices: Duration::from_secs(7 * DAY),
            networks: Duration::from_secs(7 * DAY),
            sessions: Duration::from_secs(30 * DAY),
        }
    }
}
