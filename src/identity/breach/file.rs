//! The file of a list: a header of 96 bytes, then 256 filters, one for each first byte of an entry.
//!
//! All numbers are little-endian. The digest is over the filters and the header without it, so that a file is believed whole or
//! not at all. It must never allocate what a header claims before the file is seen to be that long.
//!
//! | bytes | header |
//! | --- | --- |
//! | 0-7 | `WEIRLEAK` |
//! | 8-9, 10, 11 | version; kind (1 passwords, 2 pairs, 3 accounts); zero |
//! | 12-15 | filters: 256 |
//! | 16-23, 24-31 | when what it holds was known, and when it was lost (zero where nobody knows): seconds since 1970 |
//! | 32-39, 40-47 | entries that went in; those that differ |
//! | 48-55 | the key's identifier; zero without a key |
//! | 56-63 | bytes after the header |
//! | 64-95 | SHA-256 of what follows the header, then of bytes 0-63 |
//!
//! A filter is 24 bytes (entries, seed of 8 bytes, segment length, length of all but the last two segments, fingerprints) and its
//! fingerprints: one byte each for passwords, two for the others.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::key::KeyId;
use crate::clock::Moment;
use crate::rules::breach::Kind;

/// The first bytes of every list.
const MAGIC: [u8; 8] = *b"WEIRLEAK";
/// The version that is written and read.
const VERSION: u16 = 1;
/// Filters of a list.
pub const SHARDS: u32 = 256;
/// Bytes of a header.
pub const HEADER: usize = 96;
/// Bytes of a header that the digest covers.
pub(super) const COVERED: usize = 64;
/// Bytes of a filter before its fingerprints.
pub(super) const SHARD_HEADER: usize = 24;
/// A longer file is not read: more than seven thousand million passwords.
const LONGEST: u64 = 8 << 30;
/// A list may be dated this long after now, for clocks that differ.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(26 * 3600);

/// Why a list is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It is no list.
    #[error("it is not a list made by `weir breach`")]
    Foreign,
    /// Made by another version.
    #[error("it has version {0} of the format, and this build reads version 1: build it anew")]
    Version(u16),
    /// It has another length than it says.
    #[error("it is cut short, or longer than it says")]
    Length,
    /// It is longer than any list.
    #[error("it is longer than 8 GiB")]
    TooLong,
    /// Its contents are not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It holds something else.
    #[error("it holds {}, not {}", .0.word(), .1.word())]
    Kind(Kind, Kind),
    /// It was made with another key.
    #[error("it was made with the key {made}, and the key here is {here}")]
    Key {
        /// The key that it was made with.
        made: KeyId,
        /// The key that there is.
        here: KeyId,
    },
    /// The memory for it is not to be had.
    #[error("there is not enough memory for it")]
    Memory,
    /// It comes from the future.
    #[error("it is dated in the future")]
    Future,
}

/// What a list says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it holds.
    pub kind: Kind,
    /// When what it holds was known.
    pub created: Moment,
    /// When what it holds was lost, where that is known.
    pub breached: Option<Moment>,
    /// Entries that went in.
    pub taken: u64,
    /// Entries that differ.
    pub entries: u64,
    /// The key that it was made with, for kinds that have one.
    pub key: KeyId,
    /// Bytes after the header.
    pub(super) body: u64,
}

impl Header {
    /// The bytes that the digest covers.
    pub(super) fn bytes(&self) -> [u8; COVERED] {
        let mut bytes = [0; COVERED];
        let kind = match self.kind {
            Kind::Passwords => 1,
            Kind::Pairs => 2,
            Kind::Accounts => 3,
        };
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(10, &[kind, 0]);
        put(12, &SHARDS.to_le_bytes());
        put(16, &self.created.unix_seconds().to_le_bytes());
        put(24, &self.breached.map_or(0, Moment::unix_seconds).to_le_bytes());
        put(32, &self.taken.to_le_bytes());
        put(40, &self.entries.to_le_bytes());
        put(48, &self.key.0);
        put(56, &self.body.to_le_bytes());
        bytes
    }

    /// Reads a header, and holds it to the length of its file.
    pub(super) fn parse(bytes: &[u8; COVERED], length: u64) -> Result<Self, Flaw> {
        if bytes[..8] != MAGIC {
            return Err(Flaw::Foreign);
        }
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(Flaw::Version(version));
        }
        let kind = match (bytes[10], bytes[11]) {
            (1, 0) => Kind::Passwords,
            (2, 0) => Kind::Pairs,
            (3, 0) => Kind::Accounts,
            _ => return Err(Flaw::Damaged("it holds something unknown")),
        };
        if bytes[12..16] != SHARDS.to_le_bytes() {
            return Err(Flaw::Damaged("it has not 256 filters"));
        }
        if length > LONGEST {
            return Err(Flaw::TooLong);
        }
        if number(56).checked_add(HEADER as u64) != Some(length) {
            return Err(Flaw::Length);
        }
        let (taken, entries) = (number(32), number(40));
        if entries > taken {
            return Err(Flaw::Damaged("it has more entries than went in"));
        }
        let mut key = KeyId::default();
        key.0.copy_from_slice(&bytes[48..56]);
        Ok(Self {
            kind,
            created: Moment::from_unix_seconds(number(16)),
            breached: Some(number(24)).filter(|breached| *breached > 0).map(Moment::from_unix_seconds),
            taken,
            entries,
            key,
            body: number(56),
        })
    }

    /// Whether a list of this kind, under this key, was asked for.
    ///
    /// # Errors
    /// Why it is not the one.
    pub fn fits(&self, kind: Kind, key: Option<KeyId>, now: Moment) -> Result<(), Flaw> {
        if self.kind != kind {
            return Err(Flaw::Kind(self.kind, kind));
        }
        let here = key.unwrap_or_default();
        if self.key != here {
            return Err(Flaw::Key { made: self.key, here });
        }
        if self.created > now.plus(AHEAD) {
            return Err(Flaw::Future);
        }
        Ok(())
    }
}

/// Opens a list and reads its header: also gives the digest that it must have, and leaves the file where the filters begin.
pub(super) fn open(path: &Path) -> Result<(File, Header, [u8; 32]), Flaw> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Flaw::Foreign);
    }
    let mut bytes = [0; HEADER];
    file.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Flaw::Foreign,
        _ => Flaw::File(error),
    })?;
    let (mut covered, mut digest) = ([0; COVERED], [0; 32]);
    covered.copy_from_slice(&bytes[..COVERED]);
    digest.copy_from_slice(&bytes[COVERED..]);
    let header = Header::parse(&covered, found.len())?;
    Ok((file, header, digest))
}

/// What a list says of itself. Its contents are not looked at.
///
/// # Errors
/// When it is no list, or not as long as it says.
pub fn header(path: &Path) -> Result<Header, Flaw> {
    open(path).map(|(_, header, _)| header)
}
