//! What was reported from outside, applied: to the account's record, or to the one session that it is about; and asked for on
//! every request with a session.
//!
//! While nothing was ever reported it costs one load. It must never bring a session back.

use std::sync::atomic::Ordering;

use super::{Memory, SessionFacts};
use crate::clock::Moment;
use crate::judge::history::{Report, Reported, Reports};
use crate::rules::shared_signals::Transmitter;
use crate::subject::{Account, Session};

/// What decides whether the session of a verified token is over.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts {
    /// Which.
    pub session: Session,
    /// Whose.
    pub account: Account,
    /// When this token was issued.
    pub issued: Option<Moment>,
    /// When the session began.
    pub began: Moment,
    /// Until when the token says that it is good.
    pub expires: Moment,
    /// It was brought with a proof of its key (RFC 9449): challenges are in that scheme too.
    pub proved: bool,
}

impl Memory {
    /// Takes up a report: the very next request of whom it is about meets it. False when there is no room to remember it.
    pub fn report(&self, report: &Report, now: Moment) -> bool {
        if let (Reported::SessionsRevoked, Some(session)) = (report.reported, report.session) {
            self.ended.end(session, report.at, now);
            return true;
        }
        let Some(account) = report.account else { return false };
        let kept = self.accounts.update(account.bits(), now, |history| history.report(report.reported, report.at, now));
        self.reported.fetch_add(1, Ordering::Release);
        kept.is_some()
    }

    /// Tables were filled from elsewhere: what they report counts from now on. Looks at every account: for the start.
    pub fn loaded(&self) {
        self.ended.loaded();
        let mut any = false;
        self.accounts.for_each(|_, history| any |= !history.reports.is_empty());
        self.reported.fetch_add(u64::from(any), Ordering::Release);
    }

    /// Applies what was held back of this transmitter and may pass by now, and shows each; how many.
    pub fn let_through(&self, law: &Transmitter, now: Moment, mut applied: impl FnMut(&Report)) -> usize {
        let mut through = 0;
        while let Some(report) = self.transmitters.release(law, now) {
            through += usize::from(self.report(&report, now));
            applied(&report);
        }
        through
    }

    /// What others have reported of an account; nothing while nothing was ever reported of anybody.
    pub fn reports(&self, account: Account) -> Option<Reports> {
        if self.reported.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.accounts.update_existing(account.bits(), |history| history.reports).filter(|reports| !reports.is_empty())
    }

    /// Whether anything was ever ended, by itself or with an account.
    pub fn has_ended(&self) -> bool {
        self.ended.any() || self.reported.load(Ordering::Acquire) > 0
    }

    /// Whether a session of the application is over, by itself or with all of its account.
    pub fn is_over(&self, session: Session, facts: Option<&SessionFacts>) -> bool {
        let began_as = facts.and_then(SessionFacts::began_as);
        self.ended.ended(session).is_some()
            || began_as.is_some_and(|first| self.ended.ended(first).is_some())
            || facts.is_some_and(|facts| self.ends(facts.account(), facts.began()))
    }

    /// Whether a token's session is over: ended since the token was issued, or with all of its account.
    pub fn is_token_over(&self, token: &TokenFacts) -> bool {
        let ended = self.ended.ended(token.session);
        ended.is_some_and(|ended| token.issued.is_none_or(|issued| issued.unix_seconds() <= ended.unix_seconds()))
            || self.ends(Some(token.account), token.began)
    }

    fn ends(&self, account: Option<Account>, began: Moment) -> bool {
        account.and_then(|account| self.reports(account)).is_some_and(|reports| reports.ends(began))
    }
}
