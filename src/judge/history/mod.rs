//! What is remembered of an account, a device or a network, and how one observation changes it. Fixed size, copied freely.
//!
//! Learning is quarantined: time matures networks, but never a further device of an account that has one; a passed proof
//! does. At most one device and one network enter an account in a day. It must never learn from a sign-in that was
//! challenged and not passed, and it holds hashes only.

mod imported;
mod reports;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signals::behaviour::Place;
use super::signals::device::Standing;
use super::signals::{Past, Signal};
use crate::clock::Moment;
use crate::subject::{Device, Network};

pub use imported::Imported;
pub use reports::{Report, Reported, Reports, Risk};

const DEVICES: usize = 8;
const NETWORKS: usize = 8;
const WAITING: usize = 4;
const FAILING: usize = 3;

/// The first device of an account, and its first network, wait this long.
const FIRST: Duration = Duration::from_secs(24 * 3600);
/// Every further network waits this long.
const FURTHER: Duration = Duration::from_secs(3 * 24 * 3600);
/// A trusted device or a known network that has not been used for this many days gives way first.
const IDLE_DAYS: u16 = 180;
/// Counts are halved here, so that a habit is a recent one.
const HABIT: u16 = 200;

/// One fact that changes what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The upstream said that the password was right.
    SignInSucceeded {
        /// The device, if it sent a cookie.
        device: Option<Device>,
        /// The network.
        network: Network,
        /// The session fell short and was opened only as far as its step-up: nothing is learned yet.
        challenged: bool,
    },
    /// The upstream said that it was wrong. A fault of the upstream is no failure and is never observed.
    SignInFailed {
        /// The device, if it sent a cookie.
        device: Option<Device>,
        /// The network.
        network: Network,
    },
    /// One more proof was given.
    StepUpPassed {
        /// The device, if it sent a cookie.
        device: Option<Device>,
        /// The network.
        network: Network,
    },
}

/// The day of a moment, counted from the epoch; the last day stands for everything after it (the year 2149).
fn day(now: Moment) -> u16 {
    u16::try_from(now.unix_seconds() / 86_400).unwrap_or(u16::MAX)
}

/// The second of a moment; the last second stands for everything after it (the year 2106).
fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

/// A count that halves with time, decayed when it is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Decayed {
    value: f32,
    at: u32,
}

impl Decayed {
    /// What is left of it now.
    fn now(&self, half_life: Duration, now: u32) -> f32 {
        let passed = now.saturating_sub(self.at);
        match self.value {
            value if value > 0.0 => value * (-(passed as f32) / half_life.as_secs_f32()).exp2(),
            _ => 0.0,
        }
    }

    /// One more.
    fn count(&mut self, half_life: Duration, now: u32) {
        // A clock that steps back must not make the count grow by decaying it backwards.
        *self = Self { value: (self.now(half_life, now) + 1.0).min(1e6), at: self.at.max(now) };
    }
}

/// How fast a signal's count is forgotten; an hour where the table says nothing.
fn half_life(signal: Signal) -> Duration {
    signal.about().half_life.unwrap_or(Duration::from_secs(3600))
}

/// A device that the account trusts. An empty slot has no days.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Trusted {
    device: u64,
    days: u16,
    last_day: u16,
    proved: bool,
}

/// A network that the account knows. An empty slot has no days.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Familiar {
    network: u64,
    days: u16,
    last_day: u16,
}

/// A device or a network in quarantine. An empty slot was never seen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Waiting {
    tag: u64,
    first: u32,
    last: u32,
}

/// Failed sign-ins of the account by one device.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Failing {
    device: u64,
    count: Decayed,
}

/// What is remembered of one account: at most 512 bytes, whatever happens to it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct AccountHistory {
    devices: [Trusted; DEVICES],
    networks: [Familiar; NETWORKS],
    waiting_devices: [Waiting; WAITING],
    waiting_networks: [Waiting; WAITING],
    failing: [Failing; FAILING],
    failures: Decayed,
    last_success: u32,
    touched: u32,
    sign_ins: u16,
    on_unknown_devices: u16,
    device_entered: u16,
    network_entered: u16,
    /// What others have reported of the account.
    pub reports: Reports,
}

const _: () = assert!(size_of::<AccountHistory>() <= 496, "with its key and mark an account stays within 512 bytes");

impl AccountHistory {
    /// How the account stands to this device.
    pub fn standing(&self, device: Device) -> Standing {
        match self.trusted(device) {
            Some(slot) => Standing::Trusted { days: slot.days, proved: slot.proved },
            None if self.waiting_devices.iter().any(|w| w.first != 0 && w.tag == device.bits()) => Standing::Probation,
            None => Standing::New,
        }
    }

    /// Whether the account knows this network.
    pub fn place(&self, network: Network) -> Place {
        match self.networks.iter().any(|slot| slot.days > 0 && slot.network == network.bits()) {
            true => Place::Known,
            false => Place::New,
        }
    }

    /// How its owner usually comes.
    pub fn past(&self, now: Moment) -> Past {
        let since = Duration::from_secs(u64::from(second(now).saturating_sub(self.last_success)));
        Past {
            sign_ins: self.sign_ins,
            on_unknown_devices: self.on_unknown_devices,
            since_last: (self.last_success != 0).then_some(since),
        }
    }

    /// Failed sign-ins from other devices than this one, decayed.
    pub fn failed_elsewhere(&self, device: Option<Device>, now: Moment) -> f32 {
        let (half_life, now) = (half_life(Signal::AccountFailures), second(now));
        let own = device.and_then(|device| self.failing.iter().find(|slot| slot.device == device.bits()));
        (self.failures.now(half_life, now) - own.map_or(0.0, |slot| slot.count.now(half_life, now))).max(0.0)
    }

    /// Whether its owner has ever come in.
    pub const fn has_succeeded(&self) -> bool {
        self.last_success != 0
    }

    /// Whether it trusts any device.
    pub fn has_trusted_device(&self) -> bool {
        self.devices.iter().any(|slot| slot.days > 0)
    }

    /// How long ago anything was observed of it.
    pub fn idle(&self, now: Moment) -> Duration {
        Duration::from_secs(u64::from(second(now).saturating_sub(self.touched)))
    }

    /// Learns from one observation.
    pub fn observe(&mut self, observation: Observation, now: Moment) {
        self.touched = self.touched.max(second(now));
        match observation {
            Observation::SignInFailed { device, .. } => self.failed(device, now),
            // Challenged and not passed (yet): never learned from.
            Observation::SignInSucceeded { challenged: true, .. } => {}
            Observation::SignInSucceeded { device, network, challenged: false } => {
                self.count_sign_in(device);
                self.visit_device(device, now);
                self.visit_network(network, now);
                self.last_success = self.last_success.max(second(now));
            }
            Observation::StepUpPassed { device, network } => {
                // The sign-in that was challenged was not counted; now it is.
                if device.and_then(|device| self.trusted(device)).is_none() {
                    self.count_sign_in(device);
                }
                if let Some(device) = device {
                    self.prove_device(device, now);
                }
                self.prove_network(network, now);
                self.last_success = self.last_success.max(second(now));
            }
        }
    }

    fn trusted(&self, device: Device) -> Option<&Trusted> {
        self.devices.iter().find(|slot| slot.days > 0 && slot.device == device.bits())
    }

    fn failed(&mut self, device: Option<Device>, now: Moment) {
        let (half_life, now) = (half_life(Signal::AccountFailures), second(now));
        self.failures.count(half_life, now);
        let Some(device) = device else { return };
        let known = self.failing.iter().position(|slot| slot.device == device.bits());
        let at = known.or_else(|| least(&self.failing, |slot| slot.count.now(half_life, now).to_bits()));
        if let Some(slot) = at.and_then(|at| self.failing.get_mut(at)) {
            if known.is_none() {
                *slot = Failing { device: device.bits(), count: Decayed::default() };
            }
            slot.count.count(half_life, now);
        }
    }

    fn count_sign_in(&mut self, device: Option<Device>) {
        let unknown = device.and_then(|device| self.trusted(device)).is_none();
        if self.sign_ins >= HABIT {
            self.sign_ins /= 2;
            self.on_unknown_devices /= 2;
        }
        self.sign_ins += 1;
        self.on_unknown_devices += u16::from(unknown);
    }

    /// A sign-in above the line: one more day for a trusted device; a first device matures; a further one only waits.
    fn visit_device(&mut self, device: Option<Device>, now: Moment) {
        let Some(device) = device else { return };
        let today = day(now);
        if let Some(slot) = self.devices.iter_mut().find(|slot| slot.days > 0 && slot.device == device.bits()) {
            if slot.last_day < today {
                slot.days = slot.days.saturating_add(1);
                slot.last_day = today;
            }
            return;
        }
        let first_seen = wait(&mut self.waiting_devices, device.bits(), now);
        if !self.has_trusted_device() && now.since(first_seen) >= FIRST && self.device_entered < today {
            self.admit_device(device, false, today);
        }
    }

    fn prove_device(&mut self, device: Device, now: Moment) {
        let today = day(now);
        if let Some(slot) = self.devices.iter_mut().find(|slot| slot.days > 0 && slot.device == device.bits()) {
            slot.proved = true;
            slot.last_day = slot.last_day.max(today);
            return;
        }
        if self.device_entered < today {
            self.admit_device(device, true, today);
        } else {
            wait(&mut self.waiting_devices, device.bits(), now);
        }
    }

    /// Takes a device in. It takes the place of one that has long been idle, else of the least proved with the fewest days.
    fn admit_device(&mut self, device: Device, proved: bool, today: u16) {
        leave(&mut self.waiting_devices, device.bits());
        let worth = |slot: &Trusted| match slot.days {
            0 => (false, false, 0, 0),
            days => (today.saturating_sub(slot.last_day) < IDLE_DAYS, slot.proved, days, slot.last_day),
        };
        if let Some(slot) = least(&self.devices, worth).and_then(|at| self.devices.get_mut(at)) {
            *slot = Trusted { device: device.bits(), days: 1, last_day: today, proved };
            self.device_entered = today;
        }
    }

    fn visit_network(&mut self, network: Network, now: Moment) {
        let today = day(now);
        if self.stay(network, today) {
            return;
        }
        let first_seen = wait(&mut self.waiting_networks, network.bits(), now);
        let none_yet = self.networks.iter().all(|slot| slot.days == 0);
        let ripe = if none_yet { FIRST } else { FURTHER };
        if now.since(first_seen) >= ripe && self.network_entered < today {
            self.admit_network(network, today);
        }
    }

    fn prove_network(&mut self, network: Network, now: Moment) {
        let today = day(now);
        if self.stay(network, today) {
            return;
        }
        if self.network_entered < today {
            self.admit_network(network, today);
        } else {
            wait(&mut self.waiting_networks, network.bits(), now);
        }
    }

    /// One more day on a known network; false when it is not known.
    fn stay(&mut self, network: Network, today: u16) -> bool {
        let slot = self.networks.iter_mut().find(|slot| slot.days > 0 && slot.network == network.bits());
        let Some(slot) = slot else { return false };
        if slot.last_day < today {
            slot.days = slot.days.saturating_add(1);
            slot.last_day = today;
        }
        true
    }

    fn admit_network(&mut self, network: Network, today: u16) {
        leave(&mut self.waiting_networks, network.bits());
        let worth = |slot: &Familiar| match slot.days {
            0 => (false, 0, 0),
            days => (today.saturating_sub(slot.last_day) < IDLE_DAYS, days, slot.last_day),
        };
        if let Some(slot) = least(&self.networks, worth).and_then(|at| self.networks.get_mut(at)) {
            *slot = Familiar { network: network.bits(), days: 1, last_day: today };
            self.network_entered = today;
        }
    }

    /// An account whose owner has come for a month from one device, proved or not, and one network, last a day ago: what a
    /// case of a rule file means by a known customer.
    pub fn of_a_regular(device: Device, network: Network, now: Moment) -> Self {
        let today = day(now);
        let mut history = Self { sign_ins: 30, on_unknown_devices: 0, ..Self::default() };
        let yesterday = today.saturating_sub(1);
        history.devices[0] = Trusted { device: device.bits(), days: 30, last_day: yesterday, proved: true };
        history.networks[0] = Familiar { network: network.bits(), days: 30, last_day: yesterday };
        history.last_success = second(now).saturating_sub(86_400).max(1);
        history.touched = history.last_success;
        history
    }
}

/// The place of the slot that is worth least; the first of equals.
fn least<T, W: PartialOrd>(slots: &[T], worth: impl Fn(&T) -> W) -> Option<usize> {
    let mut least: Option<(usize, W)> = None;
    for (at, slot) in slots.iter().enumerate() {
        let worth = worth(slot);
        if least.as_ref().is_none_or(|(_, lowest)| worth < *lowest) {
            least = Some((at, worth));
        }
    }
    least.map(|(at, _)| at)
}

/// Notes a visit of something in quarantine, and says when it was first seen. The one not seen for longest gives way.
fn wait(waiting: &mut [Waiting; WAITING], tag: u64, now: Moment) -> Moment {
    let second = second(now).max(1);
    if let Some(slot) = waiting.iter_mut().find(|slot| slot.first != 0 && slot.tag == tag) {
        slot.last = slot.last.max(second);
        return Moment::from_unix_seconds(u64::from(slot.first));
    }
    if let Some(slot) = least(waiting, |slot| slot.last).and_then(|at| waiting.get_mut(at)) {
        *slot = Waiting { tag, first: second, last: second };
    }
    now
}

fn leave(waiting: &mut [Waiting; WAITING], tag: u64) {
    for slot in waiting.iter_mut().filter(|slot| slot.tag == tag) {
        *slot = Waiting::default();
    }
}

/// What kind of shared thing a bucket is about: it decides how fast failures are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// A device.
    Device,
    /// A network.
    Network,
}

impl Shared {
    fn half_life(self) -> Duration {
        half_life(match self {
            Self::Device => Signal::DeviceFailures,
            Self::Network => Signal::NetworkGuessing,
        })
    }
}

/// What is remembered of one device or one network: strangers' sign-ins there. At most 24 bytes.
///
/// Observe only what came from devices that their account does not trust: a customer's own typing errors say nothing about
/// the place.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct BucketHistory {
    failed: Decayed,
    succeeded: Decayed,
    first_seen: u32,
}

const _: () = assert!(size_of::<BucketHistory>() <= 24);

impl BucketHistory {
    /// Failed sign-ins, decayed.
    pub fn failed(&self, shared: Shared, now: Moment) -> f32 {
        self.failed.now(shared.half_life(), second(now))
    }

    /// Sign-ins that succeeded, decayed.
    pub fn succeeded(&self, shared: Shared, now: Moment) -> f32 {
        self.succeeded.now(shared.half_life(), second(now))
    }

    /// Whether anything ever succeeded there.
    pub const fn has_succeeded(&self) -> bool {
        self.succeeded.value > 0.0
    }

    /// How long ago anything was observed there.
    pub fn idle(&self, now: Moment) -> Duration {
        let last = self.failed.at.max(self.succeeded.at).max(self.first_seen);
        Duration::from_secs(u64::from(second(now).saturating_sub(last)))
    }

    /// When it was first seen.
    pub const fn first_seen(&self) -> Moment {
        Moment::from_unix_seconds(self.first_seen as u64)
    }

    /// Learns from one observation.
    pub fn observe(&mut self, shared: Shared, observation: Observation, now: Moment) {
        let (half_life, now) = (shared.half_life(), second(now));
        if self.first_seen == 0 {
            self.first_seen = now.max(1);
        }
        match observation {
            Observation::SignInFailed { .. } => self.failed.count(half_life, now),
            // A challenged sign-in says nothing yet: a thief's right password must not make the place look clean.
            Observation::SignInSucceeded { challenged: true, .. } => {}
            Observation::SignInSucceeded { challenged: false, .. } | Observation::StepUpPassed { .. } => {
                self.succeeded.count(half_life, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
