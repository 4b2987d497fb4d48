//! Makes the file of a list: filter by filter, beside the one that is there, and put in its place when it is whole and on the disk.
//!
//! It must never leave half a list under its name, nor let others read a list that is about people.

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use xorf::{BinaryFuse8, BinaryFuse16};

use super::file::{Flaw, HEADER, Header, SHARD_HEADER, SHARDS};
use super::filter::Shape;
use super::key::{Entry, KeyId};
use crate::clock::Moment;
use crate::rules::breach::Kind;

/// What a list will say of itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What it holds.
    pub kind: Kind,
    /// When what it holds was known.
    pub created: Moment,
    /// When it was lost, where that is known.
    pub breached: Option<Moment>,
    /// The key that it is made with.
    pub key: Option<KeyId>,
}

/// A list that is being made.
pub struct Writer {
    path: PathBuf,
    beside: PathBuf,
    file: BufWriter<File>,
    sum: Context,
    header: Header,
    shards: u32,
    done: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).field("shards", &self.shards).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a list that will have this name.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn begin(path: &Path, about: &About) -> Result<Self, Flaw> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let mode = if about.kind.is_keyed() { 0o600 } else { 0o644 };
        let _left_by_a_crash = fs::remove_file(&beside);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        let header = Header {
            kind: about.kind,
            created: about.created,
            breached: about.breached,
            taken: 0,
            entries: 0,
            key: about.key.unwrap_or_default(),
            body: 0,
        };
        let mut writer = Self {
            path: path.to_owned(),
            beside,
            file: BufWriter::with_capacity(1 << 20, file),
            sum: Context::new(&SHA256),
            header,
            shards: 0,
            done: false,
        };
        writer.file.write_all(&[0; HEADER])?;
        Ok(writer)
    }

    /// Adds the filter of the next first byte: entries that begin with it, sorted, each once.
    ///
    /// # Errors
    /// When they do not begin with it, are too many, or cannot be written.
    pub fn add(&mut self, entries: &[Entry]) -> Result<(), Flaw> {
        let fits = |entry: &Entry| u32::from(entry.0.to_be_bytes()[0]) == self.shards;
        if self.shards >= SHARDS || !entries.iter().all(fits) {
            return Err(Flaw::Damaged("an entry came out of its order"));
        }
        self.shards += 1;
        let count = u32::try_from(entries.len()).map_err(|_| Flaw::TooLong)?;
        self.header.entries += u64::from(count);
        if count == 0 {
            return self.put(&Shape::EMPTY.bytes());
        }
        let bits: Vec<u64> = entries.iter().map(|entry| entry.0).collect();
        let unbuilt = |_| Flaw::Damaged("no filter could be made of its entries");
        match self.header.kind {
            Kind::Passwords => {
                let made = BinaryFuse8::try_from(&bits[..]).map_err(unbuilt)?;
                let fingerprints = u32::try_from(made.fingerprints.len()).map_err(|_| Flaw::TooLong)?;
                self.put(&Shape::of(count, &made.descriptor, fingerprints).bytes())?;
                self.put(&made.fingerprints)
            }
            Kind::Pairs | Kind::Accounts => {
                let made = BinaryFuse16::try_from(&bits[..]).map_err(unbuilt)?;
                let fingerprints = u32::try_from(made.fingerprints.len()).map_err(|_| Flaw::TooLong)?;
                self.put(&Shape::of(count, &made.descriptor, fingerprints).bytes())?;
                made.fingerprints.chunks(4096).try_for_each(|piece| {
                    let bytes: Vec<u8> = piece.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()).collect();
                    self.put(&bytes)
                })
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        self.sum.update(bytes);
        self.header.body += bytes.len() as u64;
        self.file.write_all(bytes)?;
        Ok(())
    }

    /// Puts the list in its place. `taken` is how many entries went in, those that came twice counted twice.
    ///
    /// # Errors
    /// When a filter lacks, or the disk does not take it; then what was there before is there still.
    pub fn finish(mut self, taken: u64) -> Result<Header, Flaw> {
        while self.shards < SHARDS {
            self.add(&[])?;
        }
        self.header.taken = taken.max(self.header.entries);
        let header = self.header.bytes();
        self.sum.update(&header);
        let digest = self.sum.clone().finish();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.write_all(digest.as_ref())?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        self.done = true;
        // The rename itself is kept once the directory is.
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(self.header)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Writes a list of entries that are all in memory.
///
/// # Errors
/// As for [`Writer`].
pub fn write(path: &Path, about: &About, mut entries: Vec<Entry>) -> Result<Header, Flaw> {
    let taken = entries.len() as u64;
    entries.sort_unstable();
    entries.dedup();
    let mut writer = Writer::begin(path, about)?;
    let mut rest = &entries[..];
    for shard in 0..SHARDS {
        let here = rest.partition_point(|entry| u32::from(entry.0.to_be_bytes()[0]) <= shard);
        let (now, later) = rest.split_at(here);
        writer.add(now)?;
        rest = later;
    }
    writer.finish(taken)
}

/// Bytes of an empty list.
pub const SMALLEST: usize = HEADER + SHARDS as usize * SHARD_HEADER;
