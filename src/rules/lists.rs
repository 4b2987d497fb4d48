//! What lists of addresses the law names, as plain data: where they lie, how old they may be, how much they may change at once.
//!
//! It holds paths only. What a list says is read beside the request path, and never here.

use std::path::PathBuf;
use std::time::Duration;

/// What a list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListKind {
    /// Whose it is: an AS number.
    Provider,
    /// Its country.
    Country,
    /// That it is an exit of Tor.
    Tor,
    /// That it is a commercial VPN's.
    Vpn,
    /// That it stands in a datacentre.
    Datacentre,
    /// That it is a proxy.
    Proxy,
}

impl ListKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Provider, Self::Country, Self::Tor, Self::Vpn, Self::Datacentre, Self::Proxy];

    /// The word in rule files, logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Country => "country",
            Self::Tor => "tor",
            Self::Vpn => "vpn",
            Self::Datacentre => "datacentre",
            Self::Proxy => "proxy",
        }
    }

    /// Whether it is a file in MaxMind's format; the others are text.
    pub const fn is_maxmind(self) -> bool {
        match self {
            Self::Provider | Self::Country => true,
            Self::Tor | Self::Vpn | Self::Datacentre | Self::Proxy => false,
        }
    }
}

/// One list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLaw {
    /// What it says.
    pub kind: ListKind,
    /// The file, absolute.
    pub path: PathBuf,
    /// From this age on, what it says is unknown.
    pub stale_after: Duration,
    /// By how many percent of its entries a new file may grow or shrink; more is refused.
    pub most_change: u32,
}

impl ListLaw {
    /// Whether both name the same file.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.path) == (other.kind, &other.path)
    }
}
