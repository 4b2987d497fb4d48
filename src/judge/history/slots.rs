//! The slots of an account's record: a few devices, places, waiting sign-ins and failures, each in a handful of bytes. The least
//! valuable gives way.
//!
//! A slot holds half of a keyed hash: enough to tell a handful of values of one account apart, and nothing outside it.

use super::decay::Decayed;
use crate::subject::{Device, Network};

/// What has not been used for this many days gives way first.
pub(super) const IDLE_DAYS: u16 = 180;

/// A device that the account trusts. An empty slot has no days.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Trusted {
    pub(super) tag: u32,
    pub(super) software: u16,
    pub(super) stack: u16,
    /// A second stack of the same program: a resumed or another kind of connection.
    pub(super) other_stack: u16,
    /// The move that was counted last, so that it is counted once.
    pub(super) noted: u16,
    pub(super) last_day: u16,
    pub(super) days: u8,
    pub(super) proved: bool,
}

impl Trusted {
    pub(super) const fn is_used(&self) -> bool {
        self.days > 0
    }
}

/// Something that the account knows: an address, a range, a provider, a country. An empty slot has no days.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Familiar {
    pub(super) tag: u32,
    pub(super) last_day: u16,
    pub(super) days: u8,
}

/// A sign-in in quarantine. An empty slot was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Waiting {
    pub(super) device: u32,
    pub(super) address: u32,
    pub(super) range: u32,
    pub(super) provider: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) country: u16,
    pub(super) software: u16,
    pub(super) stack: u16,
    pub(super) listed: u8,
    pub(super) unknown_device: bool,
}

/// Failed sign-ins of the account by one device. An empty slot counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Failing {
    pub(super) device: u32,
    pub(super) count: Decayed,
}

/// Half of a keyed hash: enough to tell a handful of values of one account apart. Never 0.
pub(super) fn tag(bits: u64) -> u32 {
    (bits as u32).max(1)
}

pub(super) fn device_tag(device: Device) -> u32 {
    tag(device.bits())
}

pub(super) fn network_tag(network: Network) -> u32 {
    tag(network.bits())
}

pub(super) fn country_tag(country: [u8; 2]) -> u16 {
    u16::from_be_bytes(country)
}

/// Takes something over; a long file of short visits pushes out nothing of many.
pub(super) fn import_slot(slots: &mut [Familiar], tag: u32, days: u8, last_day: u16) {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.days > 0 && slot.tag == tag) {
        (slot.days, slot.last_day) = (slot.days.max(days), slot.last_day.max(last_day));
        return;
    }
    let worth = |slot: &Familiar| (slot.days, slot.last_day);
    if let Some(slot) = least(slots, worth).and_then(|at| slots.get_mut(at)) {
        let newcomer = Familiar { tag, last_day, days };
        if worth(slot) < worth(&newcomer) {
            *slot = newcomer;
        }
    }
}

/// One more day of something known, or something new in the place of what is worth least. Says whether it is new.
pub(super) fn use_slot(slots: &mut [Familiar], tag: u32, today: u16) -> bool {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.days > 0 && slot.tag == tag) {
        if slot.last_day < today {
            slot.days = slot.days.saturating_add(1);
            slot.last_day = today;
        }
        return false;
    }
    let worth = |slot: &Familiar| match slot.days {
        0 => (false, 0, 0),
        days => (
            today.saturating_sub(slot.last_day) < IDLE_DAYS,
            slot.last_day.saturating_add(5 * u16::from(days.min(4))),
            0,
        ),
    };
    if let Some(slot) = least(slots, worth).and_then(|at| slots.get_mut(at)) {
        *slot = Familiar { tag, last_day: today, days: 1 };
    }
    true
}

/// The place of the slot that is worth least; the first of equals.
pub(super) fn least<T, W: PartialOrd>(slots: &[T], worth: impl Fn(&T) -> W) -> Option<usize> {
    let mut least: Option<(usize, W)> = None;
    for (at, slot) in slots.iter().enumerate() {
        let worth = worth(slot);
        if least.as_ref().is_none_or(|(_, lowest)| worth < *lowest) {
            least = Some((at, worth));
        }
    }
    least.map(|(at, _)| at)
}
