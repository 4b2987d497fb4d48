//! What somebody who is believed has reported of an account: a shared signal (CAEP, RISC), or an operator.
//!
//! A report is dated by the event, not by its arrival, and an older one never undoes a newer. It must never raise confidence by
//! itself: at most it takes back what another report said.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// One fact about an account that came from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Its credentials are in the wrong hands (RISC credential-compromise).
    Compromised,
    /// Its owner has a new password or factor (CAEP credential-change); ends what a compromise before it weighs.
    CredentialChanged,
    /// How risky another system holds it (CAEP risk-level-change).
    Risk(Risk),
    /// It is shut (RISC account-disabled).
    Disabled,
    /// It is open again (RISC account-enabled).
    Enabled,
    /// Every session that began before is over (CAEP session-revoked for a user).
    SessionsRevoked,
}

/// How risky another system holds an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Risk {
    /// Not at all, or not any more.
    #[default]
    Low,
    /// Somewhat.
    Medium,
    /// Very.
    High,
}

/// All reports of one account, each as the second of its event; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    compromised: u32,
    changed: u32,
    revoked: u32,
    risk_at: u32,
    shut_at: u32,
    risk: Risk,
    shut: bool,
}

fn second(at: Moment) -> u32 {
    u32::try_from(at.unix_seconds()).unwrap_or(u32::MAX).max(1)
}

fn moment(second: u32) -> Option<Moment> {
    (second != 0).then_some(Moment::from_unix_seconds(u64::from(second)))
}

impl Reports {
    /// Takes up what happened at `at`. What is older than what is known of the same kind changes nothing.
    pub fn take(&mut self, reported: Reported, at: Moment) {
        let at = second(at);
        match reported {
            Reported::Compromised => self.compromised = self.compromised.max(at),
            Reported::CredentialChanged => self.changed = self.changed.max(at),
            Reported::SessionsRevoked => self.revoked = self.revoked.max(at),
            Reported::Risk(risk) if at >= self.risk_at => (self.risk, self.risk_at) = (risk, at),
            Reported::Disabled if at >= self.shut_at => (self.shut, self.shut_at) = (true, at),
            Reported::Enabled if at > self.shut_at => (self.shut, self.shut_at) = (false, at),
            Reported::Risk(_) | Reported::Disabled | Reported::Enabled => {}
        }
    }

    /// How long ago its credentials were reported as compromised, where nothing has changed since.
    pub fn compromised(&self, now: Moment) -> Option<Duration> {
        moment(self.compromised).filter(|_| self.changed <= self.compromised).map(|at| now.since(at))
    }

    /// Whether credentials were reported as compromised later than this, changed since or not.
    pub fn compromised_since(&self, since: Moment) -> bool {
        moment(self.compromised).is_some_and(|at| at > since)
    }

    /// The risk that others report, and how long ago.
    pub fn risk(&self, now: Moment) -> Option<(Risk, Duration)> {
        moment(self.risk_at).map(|at| (self.risk, now.since(at)))
    }

    /// Whether the account is shut.
    pub const fn is_shut(&self) -> bool {
        self.shut
    }

    /// Sessions that began before this are over.
    pub fn revoked(&self) -> Option<Moment> {
        moment(self.revoked)
    }
}
