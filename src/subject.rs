//! Who a fact is about, as keyed hashes: no raw name, address, cookie or token goes past these types.
//!
//! A hash is 64 bits of SipHash-1-3 under a key that the process holds (`CONFIDENCE.md`, privacy). It identifies
//! within this deployment and means nothing outside it.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher13;
use siphasher::sip128::{self, Hasher128 as _};

macro_rules! hashed {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// The 64 bits, as the key of a memory table or for a log line.
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Takes up bits that a table or a signed value kept.
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }
        }

        /// Hexadecimal digits where a person reads, a number elsewhere.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match serializer.is_human_readable() {
                    true => serializer.collect_str(self),
                    false => serializer.serialize_u64(self.0),
                }
            }
        }

        impl<'d> Deserialize<'d> for $name {
            fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
                u64::deserialize(deserializer).map(Self)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}

hashed! {
    /// An account, by the name that its owner types or that a verified token carries.
    Account
}
hashed! {
    /// A browser or app installation, by its signed device cookie.
    Device
}
hashed! {
    /// A network that a client comes from: one IPv4 address, or one IPv6 /64; as a neighbourhood an IPv4 /24 or an IPv6 /48.
    Network
}
hashed! {
    /// A signed-in session, by its cookie or by its token's `sid`.
    Session
}

/// An account's name as it is hashed, here and in lists of what has leaked: without surrounding space, in small letters.
pub fn account_name(name: &str) -> Cow<'_, str> {
    let trimmed = name.trim();
    match trimmed.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        true => Cow::Owned(trimmed.to_lowercase()),
        false => Cow::Borrowed(trimmed),
    }
}

/// Whose something is: an account, and its name to the letter. Where two accounts of an application differ only in letter case or
/// space, they are one [`Account`] and two owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    account: Account,
    name: [u64; 2],
}

impl Owner {
    /// Takes up what a table kept.
    pub const fn from_parts(account: Account, name: [u64; 2]) -> Self {
        Self { account, name }
    }

    /// The account.
    pub const fn account(&self) -> Account {
        self.account
    }

    /// The hash of the name, as it was written.
    pub const fn name(&self) -> [u64; 2] {
        self.name
    }
}

/// A host at which somebody is known, by a part of its keyed hash; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host(u32);

impl Host {
    /// The part of the hash.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Makes the hashes. One for the process; its key never leaves memory unencrypted.
#[derive(Clone)]
pub struct Names {
    key: [u8; 16],
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(key withheld)")
    }
}

impl Names {
    /// Hashes under this key.
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    fn hash(&self, kind: u8, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u8(kind);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }

    /// The account of this name. Surrounding space and letter case do not make another account.
    pub fn account(&self, name: &str) -> Account {
        Account(self.hash(1, &[account_name(name).as_bytes()]))
    }

    /// The owner of this name, to the letter: 128 bits, so that no two names of a deployment ever meet.
    pub fn owner(&self, name: &str) -> Owner {
        let mut hasher = sip128::SipHasher13::new_with_key(&self.key);
        hasher.write_u8(9);
        hasher.write(name.as_bytes());
        let hash = hasher.finish128();
        Owner { account: self.account(name), name: [hash.h1, hash.h2] }
    }

    /// The device with this identifier.
    pub fn device(&self, id: &[u8]) -> Device {
        Device(self.hash(2, &[id]))
    }

    /// The network of this address: IPv4 whole, IPv6 by its /64, IPv4-mapped IPv6 as IPv4.
    pub fn network(&self, address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network(self.hash(3, &[&v4.octets()])),
            IpAddr::V6(v6) => Network(self.hash(4, &[&v6.octets()[..8]])),
        }
    }

    /// The neighbourhood of this address: the IPv4 /24 or the IPv6 /48.
    pub fn range(&self, address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network(self.hash(7, &[&v4.octets()[..3]])),
            IpAddr::V6(v6) => Network(self.hash(8, &[&v6.octets()[..6]])),
        }
    }

    /// The session with this cookie value or identifier.
    pub fn session(&self, id: &[u8]) -> Session {
        Session(self.hash(5, &[id]))
    }

    /// A host of ours.
    pub fn host(&self, name: &str) -> Host {
        Host(self.key(&[b"host", name.as_bytes()]) as u32 | 1)
    }

    /// A key for a bounded table, over several parts: for memory that is not about one subject (a verified token, a loop).
    pub fn key(&self, parts: &[&[u8]]) -> u64 {
        self.hash(6, parts)
    }
}
