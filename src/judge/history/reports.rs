//! What somebody who is believed has reported of an account: a shared signal (CAEP, RISC), or an operator.
//!
//! A report is dated by the event, not by its arrival, and an older one never undoes a newer. It must never raise confidence by
//! itself: at most it takes back what another report said.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::subject::{Account, Session};

/// One fact about an account that came from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What was proved before proves no more than a password (CAEP assurance-level-change downwards, device-compliance-change to
    /// not compliant): the next demand for a proof asks anew.
    ProofLowered,
    /// The name belongs to somebody else now (RISC identifier-recycled): nothing of its past speaks for them.
    Recycled,
}

impl Reported {
    /// Whether it takes something from a customer: what a feed may do only so often.
    pub const fn takes(self) -> bool {
        match self {
            Self::Compromised
            | Self::Risk(Risk::Medium | Risk::High)
            | Self::Disabled
            | Self::SessionsRevoked
            | Self::ProofLowered
            | Self::Recycled => true,
            Self::CredentialChanged | Self::Risk(Risk::Low) | Self::Enabled => false,
        }
    }
}

/// Something that was reported of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What.
    pub reported: Reported,
    /// Of which account.
    pub account: Option<Account>,
    /// Of which session alone.
    pub session: Option<Session>,
    /// When it happened.
    pub at: Moment,
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
    lowered: u32,
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
            Reported::ProofLowered => self.lowered = self.lowered.max(at),
            Reported::Recycled => self.revoked = self.revoked.max(at),
            Reported::Disabled if at >= self.shut_at => {
                (self.shut, self.shut_at) = (true, at);
                self.revoked = self.revoked.max(at);
            }
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

    /// Whether a session that began then is over: it began no later than the second in which all were revoked, or the account is
    /// shut.
    pub fn ends(&self, began: Moment) -> bool {
        self.shut || (self.revoked != 0 && second(began) <= self.revoked)
    }

    /// Whether what was kept of it then is not to be shown any more: its credentials were in the wrong hands or have changed since,
    /// its sessions were revoked, or it is shut.
    pub fn voids(&self, kept: Moment) -> bool {
        let since = |at: u32| at != 0 && at >= second(kept);
        self.shut || since(self.compromised) || since(self.changed) || since(self.revoked)
    }

    /// The same, but for sessions that were revoked and nothing else.
    pub fn voids_though_revoked(&self, kept: Moment) -> bool {
        Self { revoked: 0, ..*self }.voids(kept)
    }

    /// Whether what was proved then proves no more than a password by now.
    pub fn lowers(&self, proved: Moment) -> bool {
        self.lowered != 0 && second(proved) <= self.lowered
    }

    /// Whether anything was ever reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confidence::{Reading, Why};
    use crate::judge::history::{AccountHistory, Visit};
    use crate::judge::seen::{Client, Whereabouts};
    use crate::subject::{Device, Network};

    const NOON: Moment = Moment::from_unix_seconds(1_793_620_800);

    fn at(seconds: u64) -> Moment {
        NOON.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_older_report_never_undoes_a_newer_one() {
        let mut reports = Reports::default();
        reports.take(Reported::Disabled, at(100));
        assert!(reports.is_shut() && reports.ends(at(500)));
        reports.take(Reported::Enabled, at(50));
        assert!(reports.is_shut());
        reports.take(Reported::Enabled, at(200));
        assert!(!reports.is_shut() && reports.ends(at(100)) && !reports.ends(at(101)), "what began before stays over");
        reports.take(Reported::Disabled, at(150));
        assert!(!reports.is_shut());
        reports.take(Reported::Risk(Risk::High), at(10));
        reports.take(Reported::Risk(Risk::Low), at(5));
        assert_eq!(reports.risk(at(20)), Some((Risk::High, Duration::from_secs(10))));
    }

    #[test]
    fn a_new_password_ends_what_a_compromise_before_it_weighs_and_nothing_after() {
        let mut reports = Reports::default();
        reports.take(Reported::Compromised, at(100));
        assert_eq!(reports.compromised(at(160)), Some(Duration::from_secs(60)));
        reports.take(Reported::CredentialChanged, at(200));
        assert_eq!(reports.compromised(at(260)), None);
        reports.take(Reported::Compromised, at(300));
        assert!(reports.compromised(at(360)).is_some() && reports.compromised_since(at(250)));
    }

    #[test]
    fn a_name_with_a_new_owner_has_no_past() {
        let nowhere = Network::from_bits(2);
        const NOT: Why = Why::NotAsked;
        let place = Whereabouts {
            network: nowhere,
            range: nowhere,
            provider: Reading::Unknown(NOT),
            country: Reading::Unknown(NOT),
            listed: Reading::Unknown(NOT),
        };
        let visit = Visit { device: Some(Device::from_bits(1)), at: place, client: Client::default() };
        let mut history = AccountHistory::of_a_regular(&visit, at(0));
        assert!(history.has_trusted_device());
        history.report(Reported::Recycled, at(10), at(20));
        assert!(!history.has_trusted_device() && !history.has_succeeded() && history.reports.ends(at(5)));
    }
}
