//! What leaked lists a sign-in is compared with, as plain data: where they lie, and how old they may be.
//!
//! It holds paths only. It must never hold a key, a password or what a list says.

use std::path::PathBuf;
use std::time::Duration;

use super::source::Span;

/// `[breach]`: the lists that names and passwords are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Every list that is named, each kind at most once.
    pub lists: Vec<ListAt>,
    /// From this age on, a list of passwords or pairs no longer says that something has *not* leaked.
    pub stale_after: Duration,
}

impl Breach {
    /// The list of this kind, if one is named.
    pub fn list(&self, kind: Kind) -> Option<&ListAt> {
        self.lists.iter().find(|list| list.kind == kind)
    }
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Passwords that have leaked, with whatever name.
    Passwords,
    /// Names and passwords that have leaked together.
    Pairs,
    /// Accounts that were in the company's own breach.
    Accounts,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Passwords, Self::Pairs, Self::Accounts];

    /// The word in rule files, logs and files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passwords => "passwords",
            Self::Pairs => "pairs",
            Self::Accounts => "accounts",
        }
    }

    /// Its name among the sources of readings, in metrics.
    pub const fn signal(self) -> &'static str {
        match self {
            Self::Passwords => "breach_passwords",
            Self::Pairs => "breach_pairs",
            Self::Accounts => "breach_accounts",
        }
    }

    /// Whether its entries are hashed under a key. A leaked password is public; who had it is not.
    pub const fn is_keyed(self) -> bool {
        match self {
            Self::Passwords => false,
            Self::Pairs | Self::Accounts => true,
        }
    }

    /// Whether it grows old. What the company itself lost is lost at one moment.
    pub const fn grows_old(self) -> bool {
        match self {
            Self::Passwords | Self::Pairs => true,
            Self::Accounts => false,
        }
    }
}

/// Where one list lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAt {
    /// What it holds.
    pub kind: Kind,
    /// The file, absolute.
    pub path: PathBuf,
    /// The file of the key that it was made with, for lists that have one.
    pub key: Option<PathBuf>,
    /// Where the rule file names it, for messages.
    pub span: Span,
}

impl ListAt {
    /// Whether both name the same list, wherever they do.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.path, &self.key) == (other.kind, &other.path, &other.key)
    }
}
