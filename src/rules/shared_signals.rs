//! Who may report on accounts and sessions from outside (Shared Signals Framework 1.0), and how far that goes.
//!
//! Plain data. What a transmitter has sent is memory and survives every swap of the law.

use std::sync::Arc;
use std::time::Duration;

use super::limits::Rate;
use super::ruleset::JwksSource;

/// How long an event that was taken is remembered, so that it is not taken twice; none may be older.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// Every transmitter that is believed.
#[derive(Debug, Default)]
pub struct Transmitters {
    all: Vec<Arc<Transmitter>>,
    /// Their paths, each once.
    paths: Vec<Box<str>>,
}

impl Transmitters {
    /// These.
    pub fn new(all: Vec<Transmitter>) -> Self {
        let mut paths: Vec<Box<str>> = all.iter().map(|one| one.path.clone()).collect();
        paths.sort_unstable();
        paths.dedup();
        Self { all: all.into_iter().map(Arc::new).collect(), paths }
    }

    /// Whether anything is taken at this path, on some host. Asked of every POST: usually one comparison, none without
    /// transmitters.
    pub fn listen_at(&self, path: &str) -> bool {
        self.paths.iter().any(|known| **known == *path)
    }

    /// Those whose events are taken at this path of this host.
    pub fn at<'a>(&'a self, host: &'a str, path: &'a str) -> impl Iterator<Item = &'a Arc<Transmitter>> {
        self.all.iter().filter(move |one| *one.path == *path && one.is_taken_on(host))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Transmitter>] {
        &self.all
    }
}

/// One transmitter.
#[derive(Debug)]
pub struct Transmitter {
    /// As in the rule file.
    pub name: Arc<str>,
    /// `iss` must equal this.
    pub issuer: Box<str>,
    /// Where its keys are.
    pub jwks: JwksSource,
    /// `aud` must contain one of these.
    pub audience: Vec<Box<str>>,
    /// The hosts that it is taken on, `*.shop.example` kept as `.shop.example`; all when empty.
    pub hosts: Vec<Box<str>>,
    /// The path that it is taken at.
    pub path: Box<str>,
    /// SHA-256 of the bearer token that it must show.
    pub token: Option<[u8; 32]>,
    /// The formats whose value names an account.
    pub accounts: Vec<SubjectFormat>,
    /// How old an event may be when it arrives.
    pub max_age: Duration,
    /// How long it may be silent.
    pub expected_every: Option<Duration>,
    /// How much it may take from customers.
    pub may_take: Rate,
}

impl Transmitter {
    fn is_taken_on(&self, host: &str) -> bool {
        let fits = |known: &str| match known.strip_prefix('.') {
            Some(_) => host.len() > known.len() && host.ends_with(known),
            None => host == known,
        };
        self.hosts.is_empty() || self.hosts.iter().any(|known| fits(known))
    }

    /// Whether subjects of this format name accounts.
    pub fn names_accounts_by(&self, format: SubjectFormat) -> bool {
        self.accounts.contains(&format)
    }
}

/// A format of a subject that can name an account (RFC 9493, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectFormat {
    /// An address of mail.
    Email,
    /// An acct: address.
    Account,
    /// Issuer and subject.
    IssuerAndSubject,
    /// An identifier that both sides agreed on.
    Opaque,
    /// A number of a phone.
    Phone,
}
