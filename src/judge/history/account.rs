//! What is remembered of one account, and how one observation changes it: at most 480 bytes, whatever happens to it.
//!
//! Learning is quarantined. Time matures networks, but never a further device of an account that has one: a device is trusted
//! by a passed proof, by a sign-in above the trust line, or as the first one after a day. At most one device and one network
//! enter in a day. It must never learn from a sign-in that was challenged and not passed, and it holds hashes only.

use std::time::Duration;

use super::decay::{Decayed, day, moment, second};
use super::slots::{
    Failing, Familiar, IDLE_DAYS, Trusted, Waiting, country_tag, device_tag, import_slot, least, network_tag, use_slot,
};
use super::{Earned, Observation, Reported, Reports, Visit};
use crate::clock::Moment;
use crate::judge::seen::{Client, Listed, Stack, Whereabouts};
use crate::judge::signals::Past;
use crate::judge::signals::device::{Move, Moved, Standing};
use crate::judge::signals::network::{Place, Ties};
use crate::rules::signal::Signal;
use crate::subject::Device;

const DEVICES: usize = 8;
const ADDRESSES: usize = 6;
const RANGES: usize = 6;
const PROVIDERS: usize = 5;
const COUNTRIES: usize = 3;
const WAITING: usize = 3;
const FAILING: usize = 2;

/// The first device of an account, and its first network, wait this long.
const FIRST: Duration = Duration::from_secs(24 * 3600);
/// Every further network waits this long.
const FURTHER: Duration = Duration::from_secs(3 * 24 * 3600);
/// After a reset no device enters for this long.
const COOLING: Duration = Duration::from_secs(24 * 3600);
/// A report of compromise spoils what was seen this long before it.
const SPOILT: Duration = Duration::from_secs(2 * 24 * 3600);
/// Counts are halved here, so that a habit is a recent one.
const HABIT: u16 = 60;

/// How fast failures on an account are forgotten.
const FAILURES: Duration = match Signal::AccountFailures.about().half_life {
    Some(half_life) => half_life,
    None => Duration::from_secs(3600),
};

/// What is remembered of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AccountHistory {
    devices: [Trusted; DEVICES],
    addresses: [Familiar; ADDRESSES],
    ranges: [Familiar; RANGES],
    providers: [Familiar; PROVIDERS],
    countries: [Familiar; COUNTRIES],
    waiting: [Waiting; WAITING],
    failing: [Failing; FAILING],
    failures: Decayed,
    /// What others have reported of the account.
    pub reports: Reports,
    first_seen: u32,
    last_success: u32,
    touched: u32,
    reset: u32,
    sign_ins: u16,
    on_unknown_devices: u16,
    on_new_networks: u16,
    device_entered: u16,
    network_entered: u16,
    listed: u8,
}

const _: () = assert!(
    size_of::<AccountHistory>() <= 480,
    "with its key, its mark and room to grow an account stays within 512 bytes"
);

/// What becomes of a sign-in that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It waits on, if there is one.
    Waits,
    /// A report of compromise has spoilt it.
    Spoilt,
    /// It has waited for long enough.
    Ripe,
}

impl AccountHistory {
    #[inline]
    fn trusted(&self, device: Device) -> Option<&Trusted> {
        let tag = device_tag(device);
        self.devices.iter().find(|slot| slot.is_used() && slot.tag == tag)
    }

    /// Whether the account trusts this device.
    pub fn is_trusted(&self, device: Device) -> bool {
        self.trusted(device).is_some()
    }

    /// How the account stands to this device.
    #[inline]
    pub fn standing(&self, device: Device) -> Standing {
        let tag = device_tag(device);
        match self.trusted(device) {
            Some(slot) => Standing::Trusted { days: u16::from(slot.days), proved: slot.proved },
            None if self.waiting.iter().any(|w| w.first != 0 && w.device == tag) => Standing::Probation,
            None => Standing::New,
        }
    }

    /// What a trusted device shows now that it did not show before; nothing for one that is not trusted.
    #[inline]
    pub fn moved(&self, device: Device, client: &Client) -> Moved {
        let Some(slot) = self.trusted(device) else { return Moved::default() };
        let software = client.software.known().map(|software| software.family);
        let stack = client.stack.known().map(Stack::bits);
        Moved {
            software: software
                .filter(|now| slot.software != 0 && *now != slot.software)
                .map(|to| Move { from: slot.software, to }),
            stack: stack
                .filter(|now| slot.stack != 0 && *now != slot.stack && *now != slot.other_stack)
                .map(|to| Move { from: slot.stack, to }),
        }
    }

    /// Whether this move of a device was counted already.
    pub fn has_noted(&self, device: Device, moved: &Moved) -> bool {
        self.trusted(device).is_some_and(|slot| slot.noted == moved.mark())
    }

    /// Whether the account knows where this is.
    #[inline]
    pub fn place(&self, at: &Whereabouts) -> Place {
        let known = |slots: &[Familiar], tag| slots.iter().any(|slot| slot.days > 0 && slot.tag == tag);
        if known(&self.addresses, network_tag(at.network)) {
            return Place::Known;
        }
        if known(&self.ranges, network_tag(at.range)) {
            return Place::Near;
        }
        match at.provider.known() {
            Some(provider) if known(&self.providers, provider) => Place::SameProvider,
            Some(_) | None => Place::New,
        }
    }

    /// What else ties the account to where this is.
    #[inline]
    pub fn ties(&self, at: &Whereabouts) -> Ties {
        let known = |slots: &[Familiar], tag| slots.iter().any(|slot| slot.days > 0 && slot.tag == tag);
        Ties {
            country: at.country.map(|country| known(&self.countries, u32::from(country_tag(country)))),
            provider: at.provider.map(|provider| known(&self.providers, provider)),
            listed: Listed::from_bits(self.listed),
        }
    }

    /// How its owner usually comes.
    #[inline]
    pub fn past(&self, now: Moment) -> Past {
        Past {
            sign_ins: self.sign_ins,
            on_unknown_devices: self.on_unknown_devices,
            on_new_networks: self.on_new_networks,
            since_last: (self.last_success != 0).then(|| now.since(moment(self.last_success))),
            age: if self.first_seen == 0 { Duration::ZERO } else { now.since(moment(self.first_seen)) },
        }
    }

    /// Failed sign-ins from other devices than this one, decayed.
    #[inline]
    pub fn failed_elsewhere(&self, device: Option<Device>, now: Moment) -> f32 {
        let now = second(now);
        let tag = device.map_or(0, device_tag);
        let own = self.failing.iter().find(|slot| slot.device == tag);
        (self.failures.now(FAILURES, now) - own.map_or(0.0, |slot| slot.count.now(FAILURES, now))).max(0.0)
    }

    /// Whether a trusted device has not been used today.
    pub fn is_first_today(&self, device: Device, now: Moment) -> bool {
        self.trusted(device).is_some_and(|slot| slot.last_day < day(now))
    }

    /// How long ago the password was reset, if it was.
    #[inline]
    pub fn since_reset(&self, now: Moment) -> Option<Duration> {
        (self.reset != 0).then(|| now.since(moment(self.reset)))
    }

    /// When somebody last reset the password, if they did.
    pub fn reset_at(&self) -> Option<Moment> {
        (self.reset != 0).then_some(moment(self.reset))
    }

    /// Whether it has been remembered without a gap since its owner came in then: what was reported after is among it.
    pub const fn is_known_since(&self, since: Moment) -> bool {
        self.first_seen != 0 && moment(self.first_seen).unix_seconds() <= since.unix_seconds()
    }

    /// Whether the password was reset within a day and this device was not trusted before: who took over the number that the reset
    /// went to gets the next code as well, so that neither a code nor a sign-in makes the device one of the owner's yet.
    fn is_cooling(&self, visit: &Visit, now: Moment) -> bool {
        self.since_reset(now).is_some_and(|since| since < COOLING)
            && visit.device.is_none_or(|device| self.trusted(device).is_none())
    }

    /// Whether its owner has ever come in.
    pub const fn has_succeeded(&self) -> bool {
        self.last_success != 0
    }

    /// Whether anything of it is known: a device or a network.
    fn has_past(&self) -> bool {
        self.has_trusted_device() || self.addresses.iter().any(|slot| slot.days > 0)
    }

    /// Whether it trusts any device.
    pub fn has_trusted_device(&self) -> bool {
        self.devices.iter().any(Trusted::is_used)
    }

    /// Whether it has been known for so long and so well that it may vouch for what others share with it.
    pub fn is_mature(&self, now: Moment) -> bool {
        const AGE: Duration = Duration::from_secs(7 * 24 * 3600);
        self.sign_ins >= 3
            && self.first_seen != 0
            && now.since(moment(self.first_seen)) >= AGE
            && self.has_trusted_device()
    }

    /// Whether it trusts another device than this one: what it says of this one is then not only this one's word.
    pub fn has_another_device(&self, device: Device) -> bool {
        let tag = device_tag(device);
        self.devices.iter().any(|slot| slot.is_used() && slot.tag != tag)
    }

    /// How long ago anything was observed of it.
    pub fn idle(&self, now: Moment) -> Duration {
        now.since(moment(self.touched))
    }

    /// When its owner last came in.
    pub fn last_success(&self) -> Option<Moment> {
        (self.last_success != 0).then_some(moment(self.last_success))
    }

    /// Has the processor fetch all of the record at once. What it says is of no use but that it must be read.
    #[inline]
    pub fn fetch(&self) -> u32 {
        let [device, .., other] = &self.devices;
        let [waits, .., waits_too] = &self.waiting;
        let known = self.addresses[0].tag ^ self.ranges[0].tag ^ self.providers[0].tag ^ self.countries[0].tag;
        device.tag ^ other.tag ^ waits.first ^ waits_too.first ^ known ^ self.touched ^ u32::from(self.sign_ins)
    }

    /// What becomes of a sign-in that waits.
    #[inline]
    fn fate(&self, waiting: &Waiting, today: u16, now: Moment) -> Fate {
        if waiting.first == 0 {
            return Fate::Waits;
        }
        let first = moment(waiting.first);
        let spoilt = Moment::from_unix_millis(first.unix_millis().saturating_sub(SPOILT.as_millis() as u64));
        if self.reports.compromised_since(spoilt) {
            return Fate::Spoilt;
        }
        let none_yet = self.addresses.iter().all(|slot| slot.days == 0);
        let ripe = if none_yet { FIRST } else { FURTHER };
        match now.since(first) < ripe || self.network_entered >= today {
            true => Fate::Waits,
            false => Fate::Ripe,
        }
    }

    /// Whether anything has waited for long enough, or for nothing.
    #[inline]
    pub fn is_to_settle(&self, now: Moment) -> bool {
        let waits = |waiting: &Waiting| waiting.first == 0 || self.fate(waiting, day(now), now) == Fate::Waits;
        !self.waiting.iter().all(waits)
    }

    /// Takes in what has waited for long enough. Reading a copy does this too, so that time needs nobody to watch it.
    pub fn settle(&mut self, now: Moment) {
        if self.waiting.iter().all(|waiting| waiting.first == 0) {
            return;
        }
        let today = day(now);
        for at in 0..WAITING {
            let waiting = self.waiting[at];
            match self.fate(&waiting, today, now) {
                Fate::Waits => continue,
                Fate::Spoilt => {
                    self.waiting[at] = Waiting::default();
                    continue;
                }
                Fate::Ripe => {}
            }
            self.waiting[at] = Waiting::default();
            self.count_sign_in(waiting.unknown_device, !self.knows_near(waiting.address, waiting.range));
            self.enter_network(&waiting, today);
            self.listed |= waiting.listed;
            if !self.has_trusted_device() && waiting.device != 0 {
                self.enter_device(&waiting, false, today);
            }
            self.last_success = self.last_success.max(waiting.last);
        }
    }

    /// Learns from one observation.
    pub fn observe(&mut self, observation: &Observation, now: Moment) {
        self.touched = self.touched.max(second(now));
        self.settle(now);
        match observation {
            Observation::SignInFailed(visit) => self.failed(visit.device, now),
            Observation::SignInSucceeded { visit, earned } => {
                self.begin(now);
                match earned {
                    // Challenged and not passed (yet): never learned from.
                    Earned::Nothing => {}
                    // The first sign-in of all has nothing of the account's own behind it: it waits, whatever its score.
                    Earned::Assured if self.has_past() && !self.is_cooling(visit, now) => {
                        self.take_in(visit, false, now);
                    }
                    Earned::Seen | Earned::Assured => self.wait(visit, now),
                }
            }
            Observation::StepUpPassed { visit, strong } => {
                self.begin(now);
                match self.is_cooling(visit, now) && !strong {
                    true => self.wait(visit, now),
                    false => self.take_in(visit, true, now),
                }
            }
            Observation::Visited { visit, moved_with_others } => self.visited(visit, *moved_with_others, now),
            Observation::PasswordReset(_) => self.reset = self.reset.max(second(now)),
        }
    }

    /// Takes up what happened at `at` and is known since `now`.
    pub fn report(&mut self, reported: Reported, at: Moment, now: Moment) {
        if reported == Reported::Recycled {
            *self = Self { reports: self.reports, ..Self::default() };
        }
        self.touched = self.touched.max(second(now));
        self.reports.take(reported, at);
    }

    fn begin(&mut self, now: Moment) {
        if self.first_seen == 0 {
            self.first_seen = second(now).max(1);
        }
    }

    fn failed(&mut self, device: Option<Device>, now: Moment) {
        let now = second(now);
        self.failures.add(1.0, FAILURES, now);
        let tag = device.map_or(0, device_tag);
        if tag == 0 {
            return;
        }
        let known = self.failing.iter().position(|slot| slot.device == tag);
        let at = known.or_else(|| least(&self.failing, |slot| slot.count.now(FAILURES, now).to_bits()));
        if let Some(slot) = at.and_then(|at| self.failing.get_mut(at)) {
            if known.is_none() {
                *slot = Failing { device: tag, count: Decayed::default() };
            }
            slot.count.add(1.0, FAILURES, now);
        }
    }

    fn count_sign_in(&mut self, unknown_device: bool, new_network: bool) {
        if self.sign_ins >= HABIT {
            self.sign_ins /= 2;
            self.on_unknown_devices /= 2;
            self.on_new_networks /= 2;
        }
        self.sign_ins += 1;
        self.on_unknown_devices += u16::from(unknown_device);
        self.on_new_networks += u16::from(new_network);
    }

    fn knows_near(&self, address: u32, range: u32) -> bool {
        self.addresses.iter().any(|slot| slot.days > 0 && slot.tag == address)
            || self.ranges.iter().any(|slot| slot.days > 0 && slot.tag == range)
    }

    fn as_waiting(&self, visit: &Visit, now: Moment) -> Waiting {
        let second = second(now).max(1);
        Waiting {
            device: visit.device.map_or(0, device_tag),
            address: network_tag(visit.at.network),
            range: network_tag(visit.at.range),
            provider: visit.at.provider.known().unwrap_or(0),
            first: second,
            last: second,
            country: visit.at.country.known().map_or(0, country_tag),
            software: visit.client.software.known().map_or(0, |software| software.family),
            stack: visit.client.stack.known().map_or(0, Stack::bits),
            listed: visit.at.listed.known().unwrap_or_default().bits(),
            unknown_device: visit.device.is_none_or(|device| self.trusted(device).is_none()),
        }
    }

    /// A sign-in that is believed only so far waits. The one not seen for longest gives way.
    fn wait(&mut self, visit: &Visit, now: Moment) {
        let newcomer = self.as_waiting(visit, now);
        if !newcomer.unknown_device && self.stay(&newcomer, day(now)) {
            self.count_sign_in(false, false);
            self.last_success = self.last_success.max(second(now));
            return;
        }
        let same =
            |slot: &Waiting| slot.first != 0 && slot.device == newcomer.device && slot.address == newcomer.address;
        if let Some(slot) = self.waiting.iter_mut().find(|slot| same(slot)) {
            slot.last = slot.last.max(newcomer.last);
            return;
        }
        if let Some(slot) = least(&self.waiting, |slot| slot.last).and_then(|at| self.waiting.get_mut(at)) {
            *slot = newcomer;
        }
    }

    /// A sign-in that is believed: its device is trusted and its network known, as far as a day allows.
    fn take_in(&mut self, visit: &Visit, proved: bool, now: Moment) {
        let today = day(now);
        let newcomer = self.as_waiting(visit, now);
        self.count_sign_in(newcomer.unknown_device, !self.knows_near(newcomer.address, newcomer.range));
        if newcomer.device != 0 {
            if !self.use_device(&newcomer, proved, today) {
                if self.device_entered < today {
                    self.enter_device(&newcomer, proved, today);
                } else {
                    self.wait(visit, now);
                }
            }
            for slot in self.waiting.iter_mut().filter(|slot| slot.device == newcomer.device) {
                slot.device = 0;
            }
        }
        if !self.stay(&newcomer, today) {
            if self.network_entered < today {
                self.enter_network(&newcomer, today);
            } else {
                self.wait(visit, now);
            }
        }
        self.listed |= newcomer.listed;
        self.last_success = self.last_success.max(second(now));
    }

    /// A request in a session, on a trusted device: one more day of it, and of where it is. Its new look is taken over when enough
    /// others made the same move.
    fn visited(&mut self, visit: &Visit, moved_with_others: bool, now: Moment) {
        let Some(device) = visit.device else { return };
        let moved = self.moved(device, &visit.client);
        let today = day(now);
        let newcomer = self.as_waiting(visit, now);
        if newcomer.unknown_device {
            return;
        }
        if moved.is_none() || moved_with_others {
            self.use_device(&newcomer, false, today);
        }
        let tag = newcomer.device;
        if let Some(slot) = self.devices.iter_mut().find(|slot| slot.is_used() && slot.tag == tag) {
            slot.noted = moved.mark();
        }
        if moved.is_none() && !self.stay(&newcomer, today) {
            self.wait(visit, now);
        }
        self.last_success = self.last_success.max(second(now));
    }

    /// One more day of a trusted device, with what it looks like now; false when it is not trusted.
    fn use_device(&mut self, now: &Waiting, proved: bool, today: u16) -> bool {
        let slot = self.devices.iter_mut().find(|slot| slot.is_used() && slot.tag == now.device);
        let Some(slot) = slot else { return false };
        if slot.last_day < today {
            slot.days = slot.days.saturating_add(1);
            slot.last_day = today;
        }
        slot.proved |= proved;
        if now.software != 0 {
            slot.software = now.software;
        }
        if now.stack != 0 && now.stack != slot.stack {
            (slot.other_stack, slot.stack) = (slot.stack, now.stack);
        }
        true
    }

    /// Takes a device in. It takes the place of one that has long been idle, else of the least proved with the fewest days.
    fn enter_device(&mut self, now: &Waiting, proved: bool, today: u16) {
        let worth = |slot: &Trusted| match slot.days {
            0 => (false, false, 0, 0),
            days => (today.saturating_sub(slot.last_day) < IDLE_DAYS, slot.proved, days, slot.last_day),
        };
        if let Some(slot) = least(&self.devices, worth).and_then(|at| self.devices.get_mut(at)) {
            *slot = Trusted {
                tag: now.device,
                software: now.software,
                stack: now.stack,
                other_stack: 0,
                noted: 0,
                last_day: today,
                days: 1,
                proved,
            };
            self.device_entered = today;
        }
    }

    /// One more day on a known address; false when it is not known.
    fn stay(&mut self, now: &Waiting, today: u16) -> bool {
        if !self.addresses.iter().any(|slot| slot.days > 0 && slot.tag == now.address) {
            return false;
        }
        self.enter_network(now, today);
        true
    }

    /// Takes in where this is, or notes one more day there.
    fn enter_network(&mut self, now: &Waiting, today: u16) {
        let entered = use_slot(&mut self.addresses, now.address, today);
        use_slot(&mut self.ranges, now.range, today);
        if now.provider != 0 {
            use_slot(&mut self.providers, now.provider, today);
        }
        if now.country != 0 {
            use_slot(&mut self.countries, u32::from(now.country), today);
        }
        if entered {
            self.network_entered = today;
        }
    }

    /// An account whose owner has come for a month from one device, proved, and one network, last a day ago: what a case of a rule
    /// file means by a known customer.
    pub fn of_a_regular(visit: &Visit, now: Moment) -> Self {
        let today = day(now);
        let mut history = Self { sign_ins: 30, ..Self::default() };
        let yesterday = today.saturating_sub(1);
        let seen = history.as_waiting(visit, now);
        history.enter_network(&seen, yesterday);
        if seen.device != 0 {
            history.enter_device(&seen, true, yesterday);
            history.devices[0].days = 30;
        }
        for slot in [&mut history.addresses[0], &mut history.ranges[0], &mut history.providers[0]] {
            slot.days = slot.days.saturating_mul(30);
        }
        history.last_success = second(now).saturating_sub(86_400).max(1);
        history.first_seen = second(now).saturating_sub(30 * 86_400).max(1);
        history.touched = history.last_success;
        history
    }

    /// Takes over what another system knows, as matured: a place and when its owner last came, and never a device, since no device of
    /// another system carries a cookie of ours. What lies after `now` counts as now. Doing it twice changes nothing more.
    pub fn import(&mut self, imported: &Imported, now: Moment) {
        let last = imported.last.min(now);
        let (last_second, last_day) = (second(last).max(1), day(last));
        self.touched = self.touched.max(last_second);
        self.last_success = self.last_success.max(last_second);
        self.first_seen = if self.first_seen == 0 { last_second } else { self.first_seen.min(last_second) };
        let Some(at) = imported.at else { return };
        let days = u8::try_from(imported.visits.max(1)).unwrap_or(u8::MAX);
        import_slot(&mut self.addresses, network_tag(at.network), days, last_day);
        import_slot(&mut self.ranges, network_tag(at.range), days, last_day);
        if let Some(provider) = at.provider.known() {
            import_slot(&mut self.providers, provider, days, last_day);
        }
        if let Some(country) = at.country.known() {
            import_slot(&mut self.countries, u32::from(country_tag(country)), days, last_day);
        }
        self.sign_ins = self.sign_ins.max(imported.visits.min(HABIT / 2));
    }
}

/// What another system knows of one account and one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imported {
    /// Where its owner came from.
    pub at: Option<Whereabouts>,
    /// When the last time was.
    pub last: Moment,
    /// How often, at least once.
    pub visits: u16,
}
