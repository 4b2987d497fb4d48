//! `[guards]` as law: how far a source may shift the scores of customers who have long been known before it is not believed.
//!
//! Plain data; the judge watches. It must never say what is watched: that is every group of signals.

use std::time::Duration;

use super::signal::Group;
use crate::confidence::{Family, Points};

/// When a group of signals is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Whether anything is.
    pub on: bool,
    /// A median that moved further than this.
    pub shift: Points,
    /// Within this time.
    pub over: Duration,
    /// Believed again once it has been back for so long.
    pub thaw_after: Duration,
    /// These are believed whatever they do: a person has looked.
    pub trusted: Groups,
}

impl Default for Guards {
    fn default() -> Self {
        let ten_minutes = Duration::from_secs(600);
        Self { on: true, shift: Points::whole(5), over: ten_minutes, thaw_after: ten_minutes, trusted: Groups::NONE }
    }
}

/// Some groups of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups(u8);

impl Groups {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// As [`Self::bits`] gave them.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// One bit a group.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// With this group.
    #[must_use]
    pub const fn with(self, group: Group) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    /// Without this group.
    #[must_use]
    pub const fn without(self, group: Group) -> Self {
        Self(self.0 & !(1 << group as u8))
    }

    /// Without the groups of this family.
    #[must_use]
    pub fn without_family(self, family: Family) -> Self {
        let of = Group::ALL.into_iter().filter(|group| group.family() == family);
        of.fold(self, Self::without)
    }

    /// Whether the set has this group.
    pub const fn contain(self, group: Group) -> bool {
        self.0 & (1 << group as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its groups.
    pub fn iter(self) -> impl Iterator<Item = Group> {
        Group::ALL.into_iter().filter(move |group| self.contain(*group))
    }
}

impl FromIterator<Group> for Groups {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Self {
        groups.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_taken_out_with_all_its_groups() {
        let all: Groups = Group::ALL.into_iter().collect();
        let left = all.without_family(Family::Behaviour);
        assert_eq!(
            left.iter().collect::<Vec<_>>(),
            [Group::Device, Group::Client, Group::Authentication, Group::Exposure]
        );
        assert_eq!(Groups::from_bits(left.bits()), left);
    }
}
