//! What was read for one request: every value, or why there is none. Made from histories, which are arguments.
//!
//! It must never fill a gap with a default: a reading that is not there says why.

use std::time::Duration;

use super::authentication::Proof;
use super::behaviour::{self, Place, Traffic};
use super::device::Standing;
use super::exposure::Exposure;
use crate::clock::Moment;
use crate::confidence::{Family, Reading, Why};
use crate::judge::history::{AccountHistory, BucketHistory, Shared};
use crate::rules::playbook::Families;
use crate::subject::{Device, Network};

/// What an account's past says about how its owner usually comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Its sign-ins.
    pub sign_ins: u16,
    /// Those of them on devices that it did not know.
    pub on_unknown_devices: u16,
    /// How long ago the last success was, if there was one.
    pub since_last: Option<Duration>,
}

/// Who was seen on this request, with what is remembered of them.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The account's history. `Missing` when one is named that was never seen, `NotAsked` when none is named.
    pub account: Reading<&'a AccountHistory>,
    /// The device, by its cookie.
    pub device: Reading<Device>,
    /// What is remembered of the device, if anything.
    pub device_bucket: Option<&'a BucketHistory>,
    /// The network.
    pub network: Reading<Network>,
    /// What is remembered of the network, if anything.
    pub network_bucket: Option<&'a BucketHistory>,
    /// What the session has proved. `Missing` when there is none.
    pub session: Reading<Proof>,
    /// In the session that began on this very network: how long before it the account's last success was. The sign-in that
    /// opened the session must not make its own network look like a sudden move.
    pub gap_at_sign_in: Option<Gap>,
}

/// How long before a sign-in the account's last success was; none when there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap(pub Option<Duration>);

/// Everything that is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readings {
    /// The device against the account's own past.
    pub device: Reading<Standing>,
    /// The network against the account's own past.
    pub network: Reading<Place>,
    /// The account's own past.
    pub past: Reading<Past>,
    /// Failed sign-ins of the account from other devices, decayed.
    pub account_failures: Reading<f32>,
    /// Failed sign-ins of the device, decayed.
    pub device_failures: Reading<f32>,
    /// Strangers' sign-ins from the network, decayed.
    pub traffic: Reading<Traffic>,
    /// What the session has proved.
    pub session: Reading<Proof>,
    /// What is known to have leaked.
    pub exposure: Reading<Exposure>,
}

impl Default for Readings {
    /// Nothing asked for.
    fn default() -> Self {
        Self {
            device: Reading::Unknown(Why::NotAsked),
            network: Reading::Unknown(Why::NotAsked),
            past: Reading::Unknown(Why::NotAsked),
            account_failures: Reading::Unknown(Why::NotAsked),
            device_failures: Reading::Unknown(Why::NotAsked),
            traffic: Reading::Unknown(Why::NotAsked),
            session: Reading::Unknown(Why::NotAsked),
            exposure: Reading::Unknown(Why::NotAsked),
        }
    }
}

/// `value` against the account's past: of a stranger to Weir everything is new, and without an account nothing is asked.
fn against<T, U>(
    account: Reading<&AccountHistory>,
    value: Reading<T>,
    stranger: U,
    known: impl FnOnce(&AccountHistory, T) -> U,
) -> Reading<U> {
    match (account, value) {
        (Reading::Known(history), Reading::Known(value)) => Reading::Known(known(history, value)),
        (Reading::Unknown(Why::Missing), Reading::Known(_)) => Reading::Known(stranger),
        (Reading::Unknown(Why::Missing) | Reading::Known(_), Reading::Unknown(why)) => Reading::Unknown(why),
        (Reading::Unknown(why), _) => Reading::Unknown(why),
    }
}

impl Readings {
    /// The readings of this request.
    pub fn of(seen: &Sighting<'_>, now: Moment) -> Self {
        let failures = |bucket: Option<&BucketHistory>| bucket.map_or(0.0, |b| b.failed(Shared::Device, now));
        let traffic = |bucket: Option<&BucketHistory>| {
            bucket.map_or(Traffic::default(), |b| Traffic {
                failed: b.failed(Shared::Network, now),
                succeeded: b.succeeded(Shared::Network, now),
            })
        };
        Self {
            device: against(seen.account, seen.device, Standing::New, |history, device| history.standing(device)),
            network: against(seen.account, seen.network, Place::New, |history, network| history.place(network)),
            past: seen.account.map(|history| {
                let past = history.past(now);
                Past { since_last: seen.gap_at_sign_in.map_or(past.since_last, |gap| gap.0), ..past }
            }),
            account_failures: seen.account.map(|history| history.failed_elsewhere(seen.device.known(), now)),
            device_failures: seen.device.map(|_| failures(seen.device_bucket)),
            traffic: seen.network.map(|_| traffic(seen.network_bucket)),
            session: seen.session,
            exposure: Reading::Unknown(Why::NotAsked),
        }
    }

    /// The same, where it is hidden whose account it is: what its past says is not to be trusted, and so not to be gained by hiding.
    #[must_use]
    pub fn hidden_account(self) -> Self {
        const HIDDEN: Why = Why::Distrusted;
        Self {
            device: Reading::Unknown(HIDDEN),
            network: Reading::Unknown(HIDDEN),
            past: Reading::Unknown(HIDDEN),
            account_failures: Reading::Unknown(HIDDEN),
            ..self
        }
    }

    /// The same, where these families are not believed. What was not asked for stays so; what a client did not send is doubted
    /// like what it sent, so that nothing is gained by sending nothing.
    #[must_use]
    pub fn doubting(&self, families: Families) -> Self {
        fn doubt<T>(reading: Reading<T>, family: Family, families: Families) -> Reading<T> {
            match reading {
                Reading::Unknown(Why::NotAsked) => reading,
                Reading::Known(_) | Reading::Unknown(_) if families.contain(family) => {
                    Reading::Unknown(Why::Distrusted)
                }
                Reading::Known(_) | Reading::Unknown(_) => reading,
            }
        }
        Self {
            device: doubt(self.device, Family::Device, families),
            network: doubt(self.network, Family::Behaviour, families),
            past: doubt(self.past, Family::Behaviour, families),
            account_failures: doubt(self.account_failures, Family::Behaviour, families),
            device_failures: doubt(self.device_failures, Family::Behaviour, families),
            traffic: doubt(self.traffic, Family::Behaviour, families),
            session: doubt(self.session, Family::Authentication, families),
            exposure: doubt(self.exposure, Family::Exposure, families),
        }
    }

    /// Whether the client comes from where strangers are guessing: from its network's success it is as likely as not that a
    /// sign-in there is a guess (three and a half failures more than successes explain), or its device has failed that often
    /// itself. Never on a device that the account trusts; what a fault hides counts as guessing; what was never seen does not.
    pub fn contaminated(&self) -> bool {
        if self.device.known().is_some_and(Standing::is_trusted) {
            return false;
        }
        let network = match self.traffic {
            Reading::Known(traffic) => behaviour::is_guessing(traffic),
            Reading::Unknown(why) => why.is_fault(),
        };
        let device = match self.device_failures {
            Reading::Known(failures) => failures >= behaviour::GUESSES,
            Reading::Unknown(why) => why.is_fault(),
        };
        network || device
    }

    /// Every reading by its family: nothing where there is a value, the reason where there is none.
    pub fn states(&self) -> [(Family, Reading<()>); 8] {
        [
            (Family::Device, self.device.map(drop)),
            (Family::Behaviour, self.network.map(drop)),
            (Family::Behaviour, self.past.map(drop)),
            (Family::Behaviour, self.account_failures.map(drop)),
            (Family::Behaviour, self.device_failures.map(drop)),
            (Family::Behaviour, self.traffic.map(drop)),
            (Family::Authentication, self.session.map(drop)),
            (Family::Exposure, self.exposure.map(drop)),
        ]
    }
}
