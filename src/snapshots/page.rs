//! What one customer was shown on one page: its answers, each with what it differs by, and the moment at which it was true.
//!
//! A page is found by its owner, host and whole target, and what it holds names host and target again, to be compared in full.
//! It must never hold a cookie, or be given to another owner.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::clock::Moment;
use crate::subject::Owner;

/// Where a customer's answers to one target are: their owner, and a digest of host and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    owner: Owner,
    place: [u8; 16],
}

impl PageKey {
    /// Bytes of a key on the disk: account, name, place.
    pub const LENGTH: usize = 40;

    /// Of this owner, at this host, for this target: path and query as they are forwarded.
    pub fn new(owner: Owner, host: &str, target: &str) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(&(host.len() as u64).to_le_bytes());
        digest.update(host.as_bytes());
        digest.update(target.as_bytes());
        let mut place = [0; 16];
        place.iter_mut().zip(digest.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self { owner, place }
    }

    /// Whose.
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// On the disk. Everything of an account begins alike, and so does everything of an owner.
    pub fn bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let [one, two] = self.owner.name();
        bytes[..8].copy_from_slice(&self.owner.account().bits().to_be_bytes());
        bytes[8..16].copy_from_slice(&one.to_be_bytes());
        bytes[16..24].copy_from_slice(&two.to_be_bytes());
        bytes[24..].copy_from_slice(&self.place);
        bytes
    }
}

/// What a client prefers to be answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `text/html` among the types that it takes.
    Html,
    /// JSON among them, and no HTML.
    Json,
    /// Anything else, or whatever there is.
    Other,
}

/// What tells the answers to one target apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectors {
    /// The language that is preferred: its primary subtag, in small letters; empty for none.
    pub language: Box<str>,
    /// What kind of answer is preferred.
    pub kind: Kind,
    /// Further headers, as the rules name them.
    pub others: SmallVec<[(HeaderName, Option<HeaderValue>); 2]>,
}

/// What is said of one kept answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The host that it was asked of, without port.
    pub host: Box<str>,
    /// The whole target.
    pub target: Box<str>,
    /// The journey's name.
    pub journey: Box<str>,
    /// In this language, where the answer differs by it.
    pub language: Option<Box<str>>,
    /// For clients that prefer this, where the answer differs by it.
    pub kind: Option<Kind>,
    /// For requests whose further headers were these.
    pub others: Vec<(Box<str>, Option<Vec<u8>>)>,
    /// When it was true.
    pub as_of: Moment,
    /// How long its journey had been contained, in all, when it was kept.
    pub paused: Duration,
    /// For how long it may be kept at most, where the upstream said so.
    pub at_most: Option<Duration>,
    /// Its header fields; the content type is the first.
    pub fields: Vec<(Box<str>, Box<[u8]>)>,
}

impl About {
    /// Whether both are the answer to the same request.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.host, &self.target, &self.language, self.kind, &self.others)
            == (&other.host, &other.target, &other.language, other.kind, &other.others)
    }

    fn fits(&self, asked: &Selectors) -> bool {
        let same = |(name, value): &(Box<str>, Option<Vec<u8>>)| {
            let now = asked.others.iter().find(|(known, _)| known.as_str() == &**name);
            now.is_some_and(|(_, now)| now.as_ref().map(HeaderValue::as_bytes) == value.as_deref())
        };
        self.language.as_ref().is_none_or(|language| *language == asked.language)
            && self.kind.is_none_or(|kind| kind == asked.kind)
            && self.others.iter().all(same)
    }
}

/// One kept answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What is said of it.
    pub about: About,
    /// Its body.
    pub body: Bytes,
}

impl Snapshot {
    /// Its content type.
    pub fn content_type(&self) -> &[u8] {
        self.about.fields.first().map_or(&[], |(_, value)| value)
    }

    /// How old it is; nothing while the clock stands before it.
    pub const fn age(&self, now: Moment) -> Duration {
        now.since(self.about.as_of)
    }

    /// Whether it has been kept for too long: the time in which its journey was contained does not count.
    pub fn is_over(&self, keep: Duration, paused: Duration, now: Moment) -> bool {
        let keep = self.about.at_most.map_or(keep, |most| most.min(keep));
        self.age(now).saturating_sub(paused.saturating_sub(self.about.paused)) > keep
    }
}

/// Every answer to one target that is kept of its owner.
#[derive(Debug)]
pub struct Page {
    /// The count of what was voided when it was made: what is voided later voids it.
    pub(super) since: u64,
    pub(super) all: SmallVec<[Arc<Snapshot>; 1]>,
}

impl Page {
    /// What it takes in memory, about.
    pub(super) fn weight(&self) -> u64 {
        let one = |snapshot: &Arc<Snapshot>| 512 + snapshot.body.len() as u64;
        256 + self.all.iter().map(one).sum::<u64>()
    }

    /// The newest answer to this very target that fits the request.
    pub fn choose(&self, host: &str, target: &str, asked: &Selectors) -> Option<Arc<Snapshot>> {
        let fits = |snapshot: &&Arc<Snapshot>| {
            let about = &snapshot.about;
            &*about.host == host && &*about.target == target && about.fits(asked)
        };
        self.all.iter().filter(fits).max_by_key(|snapshot| snapshot.about.as_of).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Names;

    #[test]
    fn a_key_is_its_owners_to_the_letter_and_its_targets_to_the_byte() {
        let names = Names::new([7; 16]);
        let ann = names.owner("ann@example.com");
        let key = PageKey::new(ann, "shop.example", "/balance");
        for (owner, host, target) in [
            ("Ann@example.com", "shop.example", "/balance"),
            ("ann@example.com ", "shop.example", "/balance"),
            ("ann@example.com", "shop.exampl", "e/balance"),
            ("ann@example.com", "shop.example", "/balance?"),
            ("ann@example.com", "shop.example", "/Balance"),
        ] {
            let other = PageKey::new(names.owner(owner), host, target);
            assert_ne!(other, key, "{owner} {host} {target}");
            assert_ne!(other.bytes(), key.bytes());
        }
        assert_eq!(key.bytes()[..8], ann.account().bits().to_be_bytes());
        let long = "x".repeat(5_000);
        assert_ne!(PageKey::new(ann, "h", &format!("/{long}a")), PageKey::new(ann, "h", &format!("/{long}b")));
    }
}
