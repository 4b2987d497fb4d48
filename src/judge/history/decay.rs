//! Time in memory: seconds and days in few bits, and counts that are forgotten.
//!
//! A clock that steps back must never make a count grow or a day return.

use std::time::Duration;

use crate::clock::Moment;

/// The day of a moment, counted from the epoch; the last day stands for everything after it (the year 2149).
#[inline]
pub(super) fn day(now: Moment) -> u16 {
    u16::try_from(now.unix_seconds() / 86_400).unwrap_or(u16::MAX)
}

/// The second of a moment; the last second stands for everything after it (the year 2106).
#[inline]
pub(super) fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

/// A second that memory kept, as a moment.
pub(super) const fn moment(second: u32) -> Moment {
    Moment::from_unix_seconds(second as u64)
}

/// What is left of one after this time.
#[inline]
pub(super) fn left(passed: u32, half_life: Duration) -> f32 {
    match passed {
        0 => 1.0,
        passed => (-(passed as f32) / half_life.as_secs_f32()).exp2(),
    }
}

/// A count that halves with time, decayed when it is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Decayed {
    value: f32,
    at: u32,
}

impl Decayed {
    /// What is left of it now.
    #[inline]
    pub(super) fn now(&self, half_life: Duration, now: u32) -> f32 {
        match self.value {
            value if value > 0.0 => value * left(now.saturating_sub(self.at), half_life),
            _ => 0.0,
        }
    }

    /// So much more.
    pub(super) fn add(&mut self, more: f32, half_life: Duration, now: u32) {
        *self = Self { value: (self.now(half_life, now) + more).min(1e9), at: self.at.max(now) };
    }
}

/// Tries and how many of them worked, forgotten together: 12 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tried {
    tries: f32,
    worked: f32,
    at: u32,
}

const _: () = assert!(size_of::<Tried>() <= 12);

impl Tried {
    /// What is left of both now: tries, and those that worked.
    #[inline]
    pub fn now(&self, half_life: Duration, now: Moment) -> (f32, f32) {
        let left = left(second(now).saturating_sub(self.at), half_life);
        (self.tries * left, self.worked * left)
    }

    /// One more.
    pub fn count(&mut self, worked: bool, half_life: Duration, now: Moment) {
        self.add(1.0, f32::from(u8::from(worked)), half_life, now);
    }

    /// So many more.
    pub(super) fn add(&mut self, tries: f32, worked: f32, half_life: Duration, now: Moment) {
        let (had, had_worked) = self.now(half_life, now);
        let at = self.at.max(second(now));
        *self = Self { tries: (had + tries).min(1e9), worked: (had_worked + worked).min(1e9), at };
    }

    /// Whether anything ever worked.
    pub const fn has_worked(&self) -> bool {
        self.worked > 0.0
    }

    /// When it was last counted.
    pub const fn touched(&self) -> Moment {
        moment(self.at)
    }
}
