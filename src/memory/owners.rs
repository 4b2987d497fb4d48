//! Whose sessions are, to the letter: what an account's own answers are kept and shown by.
//!
//! Only filled where the rules keep snapshots. A session without an entry has none: it must never be guessed from the account alone,
//! which two names that differ in letter case share.

use std::time::Duration;

use super::stores::About;
use super::table::Worth;
use super::{Memory, SessionFacts};
use crate::clock::Moment;
use crate::subject::{Account, Host, Owner, Session};

/// Thirty days: as long as an idle session is remembered.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often it is noted that an entry is used.
const NOTED: Duration = Duration::from_secs(24 * 3600);

/// Hosts at which one session is known. The loser is where it was not newly answered for longest.
const HOSTS: usize = 3;

/// Whose one session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owned {
    account: u64,
    name: [u64; 2],
    began: u32,
    last: u32,
    /// The application has let it go, as far as is known.
    shut: bool,
    /// Where it signed in and was answered as its owner's since, the last first: what one application says of a name, another on the
    /// same gateway may say of somebody else.
    at: [u32; HOSTS],
}

impl Owned {
    /// Whose.
    pub const fn owner(&self) -> Owner {
        Owner::from_parts(Account::from_bits(self.account), self.name)
    }

    fn is_known_at(&self, host: Host) -> bool {
        self.at.contains(&host.bits())
    }

    fn answered_at(&mut self, host: Host) {
        if !self.is_known_at(host) {
            self.at.rotate_right(1);
            self.at[0] = host.bits();
        }
    }

    pub(super) const fn is_of(&self, account: Account) -> bool {
        self.account == account.bits()
    }

    /// How long ago it was last used.
    pub(super) fn idle(&self, now: Moment) -> Duration {
        now.since(Moment::from_unix_seconds(u64::from(self.last)))
    }
}

impl Worth for Owned {
    fn worth(&self, now: Moment) -> u8 {
        // That one is shut is not forgotten before whose another one is.
        u8::from(self.idle(now) <= IDLE)
    }
}

pub(super) const OWNERS: About = About {
    name: "owners",
    whom: "one signed-in session, where snapshots are kept",
    holds: "a hash of the account's name to the letter, when the session began, and hashes of the hosts where it is known",
    key: "keyed hash of the session's cookie",
    purpose: "to show a customer's last-known-good answers to nobody else",
    kept: "[memory] retention.sessions since the last use (30d)",
    erased: "weir erase, from memory and disk at once",
    on_disk: true,
};

fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

impl Memory {
    /// A session that begins now, at this host, is theirs; nobody's when it cannot be said.
    pub fn owned(&self, session: Session, owner: Option<Owner>, host: Host, now: Moment) {
        match owner {
            Some(owner) => {
                let (began, last) = (second(now), second(now));
                let mut owned =
                    Owned { account: owner.account().bits(), name: owner.name(), began, last, ..Owned::default() };
                owned.answered_at(host);
                self.owners.put(session.bits(), now, owned);
            }
            None => drop(self.owners.remove(session.bits())),
        }
    }

    /// The application does not know a session any more, or was asked to end it: nothing kept is shown in it until it is answered
    /// as before.
    pub fn shut(&self, session: Session, now: Moment) {
        self.owners.update(session.bits(), now, |owned| (owned.shut, owned.last) = (true, second(now)));
    }

    /// The application at this host answers a session as before, or for the first time.
    pub fn reopen(&self, session: Session, facts: Option<&SessionFacts>, host: Host) {
        self.owners.update_existing(session.bits(), |owned| owned.shut = false);
        for at in [Some(session), facts.and_then(SessionFacts::began_as)].into_iter().flatten() {
            self.owners.update_existing(at.bits(), |owned| owned.answered_at(host));
        }
    }

    /// Whether a session is shut, wherever its owner is known from.
    pub fn is_shut(&self, session: Session) -> bool {
        self.owners.read(session.bits()).is_some_and(|owned| owned.shut)
    }

    /// Whose a session is, by what its sign-in said and by nothing else: the same account, begun in the same second. And whether it
    /// is shut, or this host has not answered it yet.
    pub fn owner(&self, session: Session, facts: &SessionFacts, host: Host, now: Moment) -> Option<(Owner, bool)> {
        let fits =
            |owned: &Owned| facts.account() == Some(Account::from_bits(owned.account)) && facts.began() == began(owned);
        let all = [Some(session), facts.began_as()].into_iter().flatten();
        let (key, owned) =
            all.filter_map(|at| Some((at, self.owners.read(at.bits())?))).find(|(_, owned)| fits(owned))?;
        if owned.idle(now) >= NOTED {
            self.owners.update_existing(key.bits(), |owned| owned.last = second(now));
        }
        Some((owned.owner(), owned.shut || !owned.is_known_at(host) || self.is_shut(session)))
    }
}

fn began(owned: &Owned) -> Moment {
    Moment::from_unix_seconds(u64::from(owned.began))
}
