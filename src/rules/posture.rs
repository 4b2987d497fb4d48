//! The posture: which playbooks are armed now, since when, until when, by whom and why.
//!
//! It lives outside the law and survives every swap, restart and crash; names in it are names of playbooks and journeys, so that
//! it can be read without any law. It must never hold something that does not end.

use serde::{Deserialize, Serialize};

use super::client::Channels;
use crate::clock::Moment;

/// Everything that is armed. At most one entry for a playbook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posture {
    /// In the order in which they were armed.
    pub armed: Vec<Armed>,
}

impl Posture {
    /// The entry of a playbook.
    pub fn of(&self, playbook: &str) -> Option<&Armed> {
        self.armed.iter().find(|armed| &*armed.playbook == playbook)
    }

    /// Whether nothing is armed.
    pub const fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

/// An armed playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Its name.
    pub playbook: Box<str>,
    /// Who armed it: a person's name, or `trigger`.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// Since when.
    pub since: Moment,
    /// When it ends by itself.
    pub until: Moment,
    /// When it ends whatever extends it.
    pub latest: Moment,
    /// It ends at this moment unless a person confirms it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_by: Option<Moment>,
    /// Whom it concerns.
    #[serde(default)]
    pub scope: Scope,
    /// Both outcomes are logged, nothing is enforced.
    #[serde(default)]
    pub shadow: bool,
    /// Set once it is being stood down: the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
}

impl Armed {
    /// When it ends by itself, as things stand.
    pub fn ends(&self) -> Moment {
        let until = self.until.min(self.latest);
        let until = self.confirm_by.map_or(until, |confirm_by| until.min(confirm_by));
        self.ramp.map_or(until, |ramp| ramp.until)
    }
}

/// Whom an armed playbook concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Names of journeys; all that the playbook changes when empty.
    #[serde(default)]
    pub journeys: Vec<Box<str>>,
    /// Channels, beside what the playbook itself says.
    #[serde(default)]
    pub channels: Channels,
}

/// The way back to full service: the surest customers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// When it began.
    pub from: Moment,
    /// When everybody is served in full again.
    pub until: Moment,
}

impl Ramp {
    /// The confidence from which on a customer is served in full again at `now`: 100 at first, 0 at the end.
    pub fn line(&self, now: Moment) -> u8 {
        let whole = self.until.since(self.from).as_millis().max(1);
        let left = self.until.since(now).as_millis().min(whole);
        u8::try_from(left * 100 / whole).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_way_back_serves_the_surest_first() {
        let from = Moment::from_unix_seconds(1_800_000_000);
        let ramp = Ramp { from, until: from.plus(Duration::from_secs(100)) };
        let line = |seconds| ramp.line(from.plus(Duration::from_secs(seconds)));
        assert_eq!([0, 25, 99, 100, 500].map(line), [100, 75, 1, 0, 0]);
        assert_eq!(ramp.line(Moment::default()), 100);
    }
}
