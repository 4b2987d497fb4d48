//! Continuity passes that are void: one of them after a sign-out, all of an account's after a changed password.
//!
//! A pass says by itself how long it is good; only what ends it sooner is kept here, for longer than any pass can be good. It must
//! never make one good again: the loser is a void pass that is too old by itself.

use std::time::Duration;

use super::Memory;
use super::stores::About;
use super::table::Worth;
use crate::clock::Moment;
use crate::rules::continuity_pass::OLDEST;
use crate::subject::Session;

/// When one was voided, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VoidedAt(u32);

impl VoidedAt {
    /// How long ago.
    pub(super) fn since(self, now: Moment) -> Duration {
        now.since(Moment::from_unix_seconds(u64::from(self.0)))
    }
}

impl Worth for VoidedAt {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(self.since(now) <= OLDEST)
    }
}

pub(super) const PASSES: About = About {
    name: "void_passes",
    whom: "one continuity pass, or all passes of one account, that are void",
    holds: "since when",
    key: "keyed hash of the pass, or of the account",
    purpose: "to keep a pass from showing anything after a sign-out or a changed password",
    kept: "120d, longer than any pass is good",
    erased: "not by account: it does not say whose passes they were",
    on_disk: true,
};

impl Memory {
    /// A pass, or whatever else this key stands for, is void if it was given until now.
    pub fn void_pass(&self, key: Session, now: Moment) {
        let second = u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX);
        self.passes.update(key.bits(), now, |voided| voided.0 = voided.0.max(second));
    }

    /// When this was last done.
    pub fn pass_voided(&self, key: Session) -> Option<Moment> {
        self.passes.read(key.bits()).map(|voided| Moment::from_unix_seconds(u64::from(voided.0)))
    }
}
