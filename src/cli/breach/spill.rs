//! Entries on their way into a list: sorted by their first byte into 256 files, so that one part of them is in memory at a time.
//!
//! The files have no names once they are open: they go with the process, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::identity::breach::{Entry, SHARDS};

/// How much of each file is kept before it is written.
const HELD: usize = 32 * 1024;
/// Entries of one part: sixty thousand million in all. More would not fit into memory.
const MOST: u64 = 240_000_000;

/// The files.
#[derive(Debug)]
pub(super) struct Spill {
    files: Vec<BufWriter<File>>,
    /// Entries so far.
    pub entries: u64,
}

impl Spill {
    /// Files in this directory.
    pub(super) fn beside(dir: &Path) -> io::Result<Self> {
        let files = (0..SHARDS).map(|shard| {
            let path = dir.join(format!(".weir-breach.{}.{shard}", std::process::id()));
            let _left_by_a_crash = fs::remove_file(&path);
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok(BufWriter::with_capacity(HELD, file))
        });
        Ok(Self { files: files.collect::<io::Result<_>>()?, entries: 0 })
    }

    /// Adds one.
    pub(super) fn push(&mut self, entry: Entry) -> io::Result<()> {
        let bytes = entry.bits().to_be_bytes();
        self.entries += 1;
        match self.files.get_mut(usize::from(bytes[0])) {
            Some(file) => file.write_all(&bytes),
            None => Ok(()),
        }
    }

    /// Takes the entries that begin with this byte: sorted, each once.
    pub(super) fn take(&mut self, first: usize) -> io::Result<Vec<Entry>> {
        let Some(writer) = self.files.get_mut(first) else { return Ok(Vec::new()) };
        writer.flush()?;
        let file = writer.get_mut();
        let length = file.metadata()?.len();
        if length / 8 > MOST {
            return Err(io::Error::other("more than 240 million entries begin alike: this is no list of hashes"));
        }
        file.seek(SeekFrom::Start(0))?;
        let count = usize::try_from(length / 8).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut all = Vec::new();
        all.try_reserve_exact(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut piece = [0; 64 * 1024];
        while all.len() < count {
            let now = (count - all.len()).min(piece.len() / 8) * 8;
            file.read_exact(&mut piece[..now])?;
            all.extend(
                piece[..now]
                    .chunks_exact(8)
                    .map(|bytes| Entry::from_bits(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))),
            );
        }
        // What has been read is not needed again.
        file.set_len(0)?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_by_their_first_byte_sorted_and_once_and_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::beside(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let bits = |first: u64, rest: u64| first << 56 | rest;
        for round in 0..3 {
            for rest in (0..20_000).rev() {
                spill.push(Entry::from_bits(bits(rest % 3, rest + round))).unwrap();
            }
        }
        assert_eq!(spill.entries, 60_000);
        for first in 0..256 {
            let taken = spill.take(first).unwrap();
            let expected = match first {
                0..=2 => {
                    let at = first as u64;
                    let mut all: Vec<u64> = (0..3)
                        .flat_map(|round| {
                            (0..20_000).filter(move |rest| rest % 3 == at).map(move |rest| bits(at, rest + round))
                        })
                        .collect();
                    all.sort_unstable();
                    all.dedup();
                    all
                }
                _ => Vec::new(),
            };
            assert_eq!(taken.iter().map(|entry| entry.bits()).collect::<Vec<_>>(), expected);
        }
    }
}
