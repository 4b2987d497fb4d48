//! References that a customer reads to an agent: nine digits in threes, the last a check digit.
//!
//! A reference proves where its bearer was stopped, never who they are. It must never be guessable in a useful number, never
//! outlive its time, and a flood of strangers must never push out one that belongs to an account.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};

use super::checkpoint::Kept;
use super::stores::{About, Lasting, Passing, Store};
use super::table::{Table, Worth};
use crate::clock::Moment;
use crate::subject::Account;

/// Nine digits, of which the last checks the others.
///
/// The digits, weighted 1 to 9, sum to a multiple of eleven. As eleven is prime and the weights differ, one wrong digit, or
/// any two digits that changed places, is always noticed (the principle of ISBN-10).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reference(u32);

/// Why what was read out is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// Not nine digits.
    #[error("a reference has nine digits")]
    Length,
    /// The check digit does not agree: a digit was misheard or two changed places.
    #[error("a digit is wrong, or two have changed places")]
    Check,
}

const DIGITS: usize = 9;

fn weighted(digits: &[u32]) -> u32 {
    digits.iter().zip(1..).map(|(digit, weight)| digit * weight).sum::<u32>() % 11
}

impl Reference {
    /// The reference that begins with these eight digits. `None` for one in eleven, which has no check digit.
    fn checked(first_eight: u32) -> Option<Self> {
        let mut digits = [0; DIGITS - 1];
        let mut rest = first_eight;
        for digit in digits.iter_mut().rev() {
            *digit = rest % 10;
            rest /= 10;
        }
        // 9 times the check digit must bring the sum to a multiple of 11; 9 times 5 is 1 more than such a multiple.
        let check = (11 - weighted(&digits)) % 11 * 5 % 11;
        (rest == 0 && check < 10).then_some(Self(first_eight * 10 + check))
    }

    fn random() -> Option<Self> {
        // A draw is kept with odds of about 3 in 4; never to succeed in 64 means that the source is broken.
        (0..64).find_map(|_| {
            let mut bytes = [0; 4];
            rand::fill(&mut bytes).ok()?;
            let drawn = u32::from_le_bytes(bytes) >> 5;
            (drawn < 100_000_000).then(|| Self::checked(drawn)).flatten()
        })
    }

    /// What a person typed: spaces, dots and hyphens do not matter.
    ///
    /// # Errors
    /// When it is not nine digits, or the digits do not agree with each other.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let mut digits = [0; DIGITS];
        let mut count = 0;
        for symbol in text.chars().filter(|symbol| !matches!(symbol, ' ' | '-' | '.' | '\u{a0}' | '\u{202f}')) {
            let digit = symbol.to_digit(10).ok_or(Misread::Length)?;
            *digits.get_mut(count).ok_or(Misread::Length)? = digit;
            count += 1;
        }
        match count {
            DIGITS if weighted(&digits) == 0 => Ok(Self(digits.iter().fold(0, |number, digit| number * 10 + digit))),
            DIGITS => Err(Misread::Check),
            _ => Err(Misread::Length),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03} {:03}", self.0 / 1_000_000, self.0 / 1000 % 1000, self.0 % 1000)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

/// Where a customer was stopped, and where they were sent. Journey and help are keyed hashes of their names, which mean the
/// same after a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// The journey.
    pub journey: u64,
    /// The account, if one was named.
    pub account: Option<Account>,
    /// The place of help.
    pub help: u64,
    /// When the reference was made.
    pub made: Moment,
    /// Until when it is good.
    pub expires: Moment,
}

impl Worth for Handoff {
    fn worth(&self, now: Moment) -> u8 {
        match self.account {
            _ if self.expires <= now => 0,
            None => 1,
            Some(_) => 2,
        }
    }
}

impl Kept for Handoff {
    /// None while it is good, and then for ever.
    fn idle(&self, now: Moment) -> Duration {
        if self.expires > now { Duration::ZERO } else { Duration::MAX }
    }
}

const OPEN: About = About {
    name: "handoffs",
    whom: "one customer who was sent to a person",
    holds: "journey and place of help as hashes, the account as a hash if one was named, from when until when",
    key: "the reference that the customer reads out",
    purpose: "to show an agent where the customer was stopped",
    kept: "until the reference expires",
    erased: "weir erase, from memory and disk at once",
    on_disk: true,
};

const GIVEN: About = About {
    name: "given",
    whom: "one client and one journey",
    holds: "the reference that it was given, and until when",
    key: "keyed hash of client and journey",
    purpose: "to make no new reference when a page is reloaded",
    kept: "until the reference expires",
    erased: "not by account: it does not say whose it is, and ends by itself",
    on_disk: false,
};

/// Which reference a client was last given, so that reloading a page makes no new one.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    reference: Reference,
    expires: Moment,
}

impl Worth for Given {
    fn worth(&self, now: Moment) -> u8 {
        u8::from(self.expires > now)
    }
}

/// All references that are good now. The loser is one that has expired, then one without an account.
#[derive(Debug)]
pub struct Handoffs {
    open: Table<Handoff>,
    given: Table<Given>,
}

/// A reference that was given, and whether it was made for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the customer reads out.
    pub reference: Reference,
    /// Until when it is good.
    pub expires: Moment,
    /// False when the client was shown the one that it already had.
    pub new: bool,
}

impl Handoffs {
    /// Room for this many references.
    pub fn new(places: usize) -> Self {
        Self { open: Table::new(places), given: Table::new(places) }
    }

    pub(super) fn stores(&self) -> [Box<dyn Store + '_>; 2] {
        let open = Lasting {
            about: &OPEN,
            table: &self.open,
            keep: |_| Duration::ZERO,
            of: |_, handoff, account| handoff.account == Some(account),
            ends: None,
        };
        [Box::new(open), Box::new(Passing { about: &GIVEN, table: &self.given })]
    }

    /// The reference that this client has already been given for the same, while it is good.
    pub fn given(&self, client: u64, entry: &Handoff, now: Moment) -> Option<Opened> {
        let given = self.given.read(client).filter(|given| given.expires > now)?;
        let known = self.find(given.reference, now)?;
        let same = (known.journey, known.account, known.help) == (entry.journey, entry.account, entry.help);
        same.then_some(Opened { reference: given.reference, expires: given.expires, new: false })
    }

    /// The reference of this client (a keyed hash of client and journey): the one that it has, else a new one that is good
    /// for `lasting`. `None` when there is no room for it; the customer is then sent on without one.
    pub fn open(&self, client: u64, entry: Handoff, lasting: Duration, now: Moment) -> Option<Opened> {
        if let Some(given) = self.given(client, &entry, now) {
            return Some(given);
        }
        let entry = Handoff { made: now, expires: now.plus(lasting), ..entry };
        // A number that is in use is drawn again; with a full table of 20,000 that happens once in 4,500 draws.
        let reference = (0..16).find_map(|_| Reference::random().filter(|drawn| self.find(*drawn, now).is_none()))?;
        if !self.open.put(u64::from(reference.0), now, entry) {
            return None;
        }
        self.given.put(client, now, Given { reference, expires: entry.expires });
        Some(Opened { reference, expires: entry.expires, new: true })
    }

    /// What stands behind a reference, while it is good.
    pub fn find(&self, reference: Reference, now: Moment) -> Option<Handoff> {
        self.open.read(u64::from(reference.0)).filter(|entry| entry.expires > now)
    }

    /// Ends a reference before its time.
    pub fn close(&self, reference: Reference) -> Option<Handoff> {
        self.open.remove(u64::from(reference.0))
    }

    /// How many are kept, expired ones among them until their place is needed.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_digit_and_every_swap_of_two_is_noticed() {
        for first in (0..100_000_000).step_by(999_983) {
            let Some(reference) = Reference::checked(first) else { continue };
            let shown = reference.to_string();
            assert_eq!(Reference::parse(&shown), Ok(reference));
            let digits: Vec<char> = shown.chars().filter(char::is_ascii_digit).collect();
            for at in 0..DIGITS {
                for wrong in ('0'..='9').filter(|wrong| *wrong != digits[at]) {
                    let mut misheard = digits.clone();
                    misheard[at] = wrong;
                    assert_eq!(Reference::parse(&misheard.iter().collect::<String>()), Err(Misread::Check));
                }
                for other in 0..at {
                    let mut swapped = digits.clone();
                    swapped.swap(at, other);
                    if swapped != digits {
                        assert_eq!(Reference::parse(&swapped.iter().collect::<String>()), Err(Misread::Check));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_reference_is_said_to_be_none() {
        for text in ["", "12345678", "1234567890", "12a456789", "١٢٣٤٥٦٧٨٩"] {
            assert_eq!(Reference::parse(text), Err(Misread::Length), "{text}");
        }
    }

    #[test]
    fn a_client_that_reloads_keeps_its_reference_until_it_expires() {
        let handoffs = Handoffs::new(64);
        let now = Moment::from_unix_seconds(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let entry = Handoff { journey: 1, account: None, help: 2, made: now, expires: now };
        let first = handoffs.open(9, entry, hour, now).unwrap();
        let again = handoffs.open(9, entry, hour, now.plus(Duration::from_secs(60))).unwrap();
        assert_eq!(
            (again.reference, again.expires, first.new, again.new),
            (first.reference, first.expires, true, false)
        );
        let other = handoffs.open(9, Handoff { account: Some(Account::from_bits(5)), ..entry }, hour, now).unwrap();
        assert!(other.new && other.reference != first.reference);
        assert_eq!(handoffs.find(first.reference, now).map(|h| h.expires), Some(now.plus(hour)));
        assert_eq!(handoffs.find(first.reference, now.plus(hour)), None);
        assert!(handoffs.close(other.reference).is_some());
        assert_eq!(handoffs.find(other.reference, now), None);
    }

    #[test]
    fn a_flood_of_strangers_pushes_out_no_customers_reference() {
        let handoffs = Handoffs::new(64);
        let now = Moment::from_unix_seconds(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let stranger = Handoff { journey: 1, account: None, help: 2, made: now, expires: now };
        let customer = Handoff { account: Some(Account::from_bits(1)), ..stranger };
        let reference = handoffs.open(1, customer, hour, now).unwrap().reference;
        for client in 2..5000 {
            handoffs.open(client, stranger, hour, now);
        }
        assert!(handoffs.find(reference, now).is_some());
    }
}
