//! What a request shows of its client's software and of where it comes from, before anything is remembered.
//!
//! Versions are left out on purpose: an update is no other client. Nothing here is believed: a header can say anything, and a
//! TLS stack can be imitated. It must never keep what it read, only small numbers made of it.

use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use crate::confidence::{Reading, Why};
use crate::subject::{Names, Network};

/// A TLS stack, without its version: the cipher part of JA4 names it. Resumption and QUIC change the rest of a JA4, never this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stack(u16);

impl Stack {
    /// Chrome, Edge, and what is built like them.
    pub const CHROMIUM: Self = Self(1);
    /// Firefox.
    pub const FIREFOX: Self = Self(2);
    /// Safari and Apple's own network library.
    pub const APPLE: Self = Self(3);
    /// A script: Python, Go, curl.
    pub const SCRIPT: Self = Self(4);

    /// The stack behind a JA4 (`t13d1516h2_8daaf6152771_...`). None when it is no JA4.
    pub fn of_ja4(ja4: &str) -> Option<Self> {
        let mut parts = ja4.split('_');
        let (_, ciphers, _) = (parts.next()?, parts.next()?, parts.next()?);
        Some(match ciphers {
            "8daaf6152771" | "55b375c5d22e" => Self::CHROMIUM,
            "5b57614c22b0" => Self::FIREFOX,
            "a09f3c656075" => Self::APPLE,
            "85036bcba153" | "9dc949149365" => Self::SCRIPT,
            other => Self(0x8000 | small(&[other.as_bytes()])),
        })
    }

    /// The number, as memory keeps it.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Takes up a number that memory kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

/// What kind of program a client says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A browser: it fetches a page before it posts a form.
    Browser,
    /// Anything else: an app, a script, nothing said.
    Other,
}

/// What a client says that it is: its program and its system, without versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Software {
    /// Program and system, as one small number.
    pub family: u16,
    /// The whole field, hashed: a key of shared buckets.
    pub agent: u64,
    /// What kind of program.
    pub kind: Kind,
    /// The TLS stack that such a program has, where that is known.
    pub expects: Option<Stack>,
}

/// How a program names itself, what it is called here, and the stack that it has. The first that fits counts: many programs name
/// others for the sake of old servers.
const PROGRAMS: &[(&str, &str, Option<Stack>)] = &[
    ("Edg/", "edge", Some(Stack::CHROMIUM)),
    ("EdgA/", "edge", Some(Stack::CHROMIUM)),
    ("OPR/", "opera", Some(Stack::CHROMIUM)),
    ("SamsungBrowser/", "samsung", Some(Stack::CHROMIUM)),
    ("CriOS/", "chrome_ios", Some(Stack::APPLE)),
    ("FxiOS/", "firefox_ios", Some(Stack::APPLE)),
    ("Firefox/", "firefox", Some(Stack::FIREFOX)),
    ("HeadlessChrome/", "headless", Some(Stack::CHROMIUM)),
    ("Chrome/", "chrome", Some(Stack::CHROMIUM)),
    ("Version/", "safari", Some(Stack::APPLE)),
];

/// Systems, the same way.
const SYSTEMS: &[(&str, &str)] = &[
    ("Windows", "windows"),
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("iOS", "ios"),
    ("CFNetwork", "ios"),
    ("Android", "android"),
    ("okhttp", "android"),
    ("Mac OS X", "mac"),
    ("Macintosh", "mac"),
    ("CrOS", "chromeos"),
    ("Linux", "linux"),
];

impl Software {
    /// What a `User-Agent` says.
    pub fn of(user_agent: &str) -> Self {
        let agent = wide(&[user_agent.as_bytes()]);
        let system = SYSTEMS.iter().find(|(sign, _)| user_agent.contains(sign)).map_or("", |(_, system)| *system);
        if user_agent.starts_with("Mozilla/")
            && let Some((_, program, expects)) = PROGRAMS.iter().find(|(sign, ..)| user_agent.contains(sign))
        {
            let family = small(&[program.as_bytes(), system.as_bytes()]);
            return Self { family, agent, kind: Kind::Browser, expects: *expects };
        }
        let name = user_agent.split(['/', ' ']).next().unwrap_or_default();
        Self { family: small(&[name.as_bytes(), system.as_bytes()]), agent, kind: Kind::Other, expects: None }
    }
}

/// The client of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// What it says that it is.
    pub software: Reading<Software>,
    /// Its TLS stack. `Proxied` behind a proxy, `NotAsked` in clear text.
    pub stack: Reading<Stack>,
    /// All of its fingerprint (JA4, HTTP/2 settings), hashed: a key of shared buckets.
    pub fingerprint: Reading<u64>,
}

impl Default for Client {
    /// Nothing asked for.
    fn default() -> Self {
        const NOT: Why = Why::NotAsked;
        Self { software: Reading::Unknown(NOT), stack: Reading::Unknown(NOT), fingerprint: Reading::Unknown(NOT) }
    }
}

/// What lists say of an address, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed(u8);

impl Listed {
    /// On no list.
    pub const NOTHING: Self = Self(0);
    /// An exit of Tor.
    pub const TOR: Self = Self(1);
    /// A commercial VPN.
    pub const VPN: Self = Self(2);
    /// A datacentre.
    pub const DATACENTRE: Self = Self(4);
    /// A proxy, residential ones too.
    pub const PROXY: Self = Self(8);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is among it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, as memory keeps them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Takes up bits that memory kept; unknown ones are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// One IPv4 address, or one IPv6 /64.
    pub network: Network,
    /// Its neighbourhood: the IPv4 /24 or the IPv6 /48, hashed.
    pub range: Network,
    /// Its provider: an AS number. `NotAsked` without a list.
    pub provider: Reading<u32>,
    /// Its country, as two letters (ISO 3166-1). `NotAsked` without a list.
    pub country: Reading<[u8; 2]>,
    /// What lists say of it. `NotAsked` without lists.
    pub listed: Reading<Listed>,
}

impl Whereabouts {
    /// An address of which no list says anything.
    pub fn of(names: &Names, address: IpAddr) -> Self {
        const NOT: Why = Why::NotAsked;
        Self {
            network: names.network(address),
            range: names.range(address),
            provider: Reading::Unknown(NOT),
            country: Reading::Unknown(NOT),
            listed: Reading::Unknown(NOT),
        }
    }
}

/// 64 bits of some text. The key is fixed: what is hashed here is public, and the tables that it keys are bounded.
fn wide(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"weir client text");
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

/// 15 bits of the same, never 0.
fn small(parts: &[&[u8]]) -> u16 {
    let bits = wide(parts);
    u16::try_from(bits % 0x7fff).unwrap_or(0) + 1
}

/// A fingerprint as one key: everything that is to be told apart, in order.
pub fn fingerprint(parts: &[&str]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"weir client text");
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part.as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_no_other_client_and_another_browser_is() {
        let chrome = |version: u32| {
            Software::of(&format!(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
            ))
        };
        assert_eq!(chrome(139).family, chrome(150).family);
        assert_ne!(chrome(139).agent, chrome(150).agent);
        assert_eq!((chrome(139).kind, chrome(139).expects), (Kind::Browser, Some(Stack::CHROMIUM)));
        let app = |text| Software::of(text);
        assert_eq!(app("Shop/7.0 (iPhone; iOS 18.5)").family, app("Shop/7.1 (iPhone; iOS 26.0)").family);
        assert_ne!(app("Shop/7.0 (iPhone; iOS 18.5)").family, app("Shop/7.0 (Android 15; okhttp/4.12.0)").family);
        assert_eq!(app("").kind, Kind::Other);
    }

    #[test]
    fn a_stack_is_read_from_the_cipher_part_alone() {
        let one = Stack::of_ja4("t13d1516h2_8daaf6152771_02713d6af862");
        assert_eq!(one, Some(Stack::CHROMIUM));
        assert_eq!(one, Stack::of_ja4("q13d0312h3_55b375c5d22e_06cda9e17597"));
        let other = Stack::of_ja4("t13d751300_479067518aa3_cb17ee1ea1a4");
        assert!(other.is_some_and(|stack| stack.bits() >= 0x8000));
        assert_eq!(Stack::of_ja4("nonsense"), None);
    }
}
