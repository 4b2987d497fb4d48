//! Everybody together: how often sign-ins work where nobody guesses, how much guessing there is, and which changes many make at
//! once. A move that many make in the same hours (an app release, a renumbered city, a holiday) is no theft.
//!
//! Only long-known accounts on devices that they trust say what is usual, so that nobody moves it with throw-away accounts. It must
//! never be asked about one customer: it knows none.

use std::time::Duration;

use super::decay::{Decayed, Tried, second};
use super::shared::{Parent, contamination};
use crate::clock::Moment;
use crate::judge::signals::device::{Move, Moved};

const HOUR: u64 = 3600;
const WEEK: Duration = Duration::from_secs(7 * 24 * HOUR);
/// "The same hours" of a move.
const HOURS: Duration = Duration::from_secs(24 * HOUR);
/// What is usual for changes of place.
const USUALLY: Duration = Duration::from_secs(21 * 24 * HOUR);
/// How fast an attack is seen and forgotten.
const ATTACK: Duration = Duration::from_secs(3 * HOUR);

/// Programs and stacks of trusted devices that are counted, and moves between them. The least frequent gives way.
const LOOKS: usize = 48;
const MOVES: usize = 48;

/// How many trusted devices show something these hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Look {
    id: u16,
    count: Decayed,
}

/// How many moved from one look to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Moving {
    from: u16,
    to: u16,
    count: Decayed,
}

/// How often something happens to trusted devices: these days, and usually.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Often {
    lately: Decayed,
    usually: Decayed,
}

impl Often {
    fn count(&mut self, now: u32) {
        self.lately.add(1.0, HOURS, now);
        self.usually.add(1.0, USUALLY, now);
    }
}

/// What a known customer did on a trusted device, against their own past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// They came from an address and a range that were new to them.
    pub network: bool,
    /// ... and from a provider that was new.
    pub provider: bool,
    /// ... and from a country that was new.
    pub country: bool,
}

/// Everybody together.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Population {
    known: Tried,
    strangers: Tried,
    strangers_usually: Tried,
    visits: Often,
    new_network: Often,
    new_provider: Often,
    new_country: Often,
    #[serde(with = "slots")]
    looks: [Look; LOOKS],
    #[serde(with = "slots")]
    moves: [Moving; MOVES],
}

/// Slots as they are kept: all of them, in order.
mod slots {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer, const N: usize>(
        slots: &[T; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        slots.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'d, T: Deserialize<'d>, D: Deserializer<'d>, const N: usize>(
        deserializer: D,
    ) -> Result<[T; N], D::Error> {
        let kept = Vec::<T>::deserialize(deserializer)?;
        <[T; N]>::try_from(kept).map_err(|kept| D::Error::invalid_length(kept.len(), &"all slots"))
    }
}

impl Default for Population {
    fn default() -> Self {
        Self {
            known: Tried::default(),
            strangers: Tried::default(),
            strangers_usually: Tried::default(),
            visits: Often::default(),
            new_network: Often::default(),
            new_provider: Often::default(),
            new_country: Often::default(),
            looks: [Look::default(); LOOKS],
            moves: [Moving::default(); MOVES],
        }
    }
}

impl Population {
    /// One sign-in that the upstream has answered.
    pub fn signed_in(&mut self, trusted: bool, worked: bool, now: Moment) {
        if trusted {
            self.known.count(worked, WEEK, now);
        } else {
            self.strangers.count(worked, ATTACK, now);
            self.strangers_usually.count(worked, WEEK, now);
        }
    }

    /// A visit of a long-known account on a device that it trusts, once a day.
    pub fn visited(&mut self, looks: [Option<u16>; 2], changes: Changes, now: Moment) {
        let now = second(now);
        self.visits.count(now);
        for (happened, often) in [
            (changes.network, &mut self.new_network),
            (changes.provider, &mut self.new_provider),
            (changes.country, &mut self.new_country),
        ] {
            if happened {
                often.count(now);
            }
        }
        for look in looks.into_iter().flatten() {
            count_look(&mut self.looks, look, now);
        }
    }

    /// A long-known account's trusted device shows something else than before.
    pub fn moved(&mut self, moved: &Moved, now: Moment) {
        let now = second(now);
        for one in moved.each() {
            let same = |slot: &Moving| slot.from == one.from && slot.to == one.to;
            let known = self.moves.iter().position(same);
            let least = |slot: &Moving| slot.count.now(HOURS, now);
            let at = known.or_else(|| lowest(&self.moves, least));
            if let Some(slot) = at.and_then(|at| self.moves.get_mut(at)) {
                if known.is_none() {
                    *slot = Moving { from: one.from, to: one.to, count: Decayed::default() };
                }
                slot.count.add(1.0, HOURS, now);
            }
        }
    }

    /// What the judge is told of it.
    pub fn climate(&self, now: Moment) -> Climate {
        let (tries, worked) = self.known.now(WEEK, now);
        let clean = ((worked + 46.0) / (tries + 50.0)).clamp(0.75, 0.98);
        let all = Parent { clean, contamination: 0.1 };
        let usually = contamination(self.strangers_usually.now(WEEK, now), 40.0, all);
        let lately = contamination(self.strangers.now(ATTACK, now), 15.0, Parent { clean, contamination: usually });
        let seconds = second(now);
        let ratio = |often: &Often, least: f32| {
            let share = |count: f32, all: f32| (count + least * 30.0) / (all + 30.0);
            let lately = share(often.lately.now(HOURS, seconds), self.visits.lately.now(HOURS, seconds));
            let usually = share(often.usually.now(USUALLY, seconds), self.visits.usually.now(USUALLY, seconds));
            (lately / usually.max(least)).clamp(1.0, 30.0)
        };
        let mut climate = Climate {
            clean,
            usually,
            lately,
            networks: ratio(&self.new_network, 0.2),
            providers: ratio(&self.new_provider, 0.03),
            countries: ratio(&self.new_country, 0.007),
            ..Climate::default()
        };
        for (slot, moving) in climate.moves.iter_mut().zip(&self.moves) {
            let count = moving.count.now(HOURS, seconds);
            if count > 0.5 {
                let from = self.looks.iter().find(|look| look.id == moving.from && look.id != 0);
                let before = from.map_or(0.0, |look| look.count.now(HOURS, seconds));
                // Those who have moved already no longer show what they moved from.
                let share = count / (before + count + SLOW_TO_BELIEVE);
                *slot = (Move { from: moving.from, to: moving.to }, share);
            }
        }
        climate
    }
}

/// So many who have not moved are assumed beside those that were seen.
const SLOW_TO_BELIEVE: f32 = 20.0;

fn lowest<T>(slots: &[T], value: impl Fn(&T) -> f32) -> Option<usize> {
    slots.iter().enumerate().min_by(|one, two| value(one.1).total_cmp(&value(two.1))).map(|(at, _)| at)
}

fn count_look(looks: &mut [Look], id: u16, now: u32) {
    let known = looks.iter().position(|look| look.id == id);
    let at = known.or_else(|| lowest(looks, |look| look.count.now(HOURS, now)));
    if let Some(look) = at.and_then(|at| looks.get_mut(at)) {
        if known.is_none() {
            *look = Look { id, count: Decayed::default() };
        }
        look.count.add(1.0, HOURS, now);
    }
}

/// What the judge knows of everybody: a small copy, made anew as sign-ins are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// The share of sign-ins that work where nobody guesses.
    pub clean: f32,
    /// The share of guesses among strangers' sign-ins, over a week.
    pub usually: f32,
    /// The same, over the last hours.
    pub lately: f32,
    /// How many times more often than usual known customers come from a network that is new to them.
    pub networks: f32,
    /// ... from a provider that is new to them.
    pub providers: f32,
    /// ... from a country that is new to them.
    pub countries: f32,
    /// Moves that are being made, each with the share of those who could that have made it.
    moves: [(Move, f32); MOVES],
}

impl Default for Climate {
    /// Nothing is known yet.
    fn default() -> Self {
        Self {
            clean: 0.92,
            usually: 0.1,
            lately: 0.1,
            networks: 1.0,
            providers: 1.0,
            countries: 1.0,
            moves: [(Move { from: 0, to: 0 }, 0.0); MOVES],
        }
    }
}

impl Climate {
    /// The share of those who could make this move these hours that have made it.
    pub fn share(&self, made: Move) -> f32 {
        self.moves.iter().find(|(known, _)| *known == made).map_or(0.0, |(_, share)| *share)
    }
}
