//! The lines of a file that may be huge, packed, and hold anything. One line is in memory at a time, and only so much of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use zeroize::Zeroizing;

/// A longer line is no hash, no name and no password.
const LONGEST: usize = 4096;
/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// Reads a file line by line.
pub(super) struct Lines {
    from: Box<dyn BufRead>,
    line: Zeroizing<Vec<u8>>,
    /// The number of the line last read, from 1.
    pub number: u64,
}

/// Counts what is read from the disk, packed as it is.
struct Counted(File, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Lines {
    /// Opens a file; one that begins as gzip does is unpacked. What is read is counted in `read`.
    pub(super) fn open(path: &Path, read: &Arc<AtomicU64>) -> io::Result<Self> {
        let mut plain = BufReader::with_capacity(PIECE, Counted(File::open(path)?, read.clone()));
        let packed = plain.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let from: Box<dyn BufRead> = match packed {
            true => Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(plain))),
            false => Box::new(plain),
        };
        // Never grows, so that no copy of a password is left behind.
        Ok(Self { from, line: Zeroizing::new(Vec::with_capacity(LONGEST)), number: 0 })
    }

    /// The next line without its end. Nothing at the end of the file; `Err(TooLong)` inside for a line that was passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<&[u8], TooLong>>> {
        self.line.clear();
        let (mut any, mut long) = (false, false);
        loop {
            let here = self.from.fill_buf()?;
            if here.is_empty() {
                break;
            }
            any = true;
            let end = memchr::memchr(b'\n', here);
            let piece = &here[..end.unwrap_or(here.len())];
            long |= self.line.len() + piece.len() > LONGEST;
            if !long {
                self.line.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(match long {
            true => Err(TooLong),
            false => Ok(self.line.strip_suffix(b"\r").unwrap_or(&self.line)),
        }))
    }
}

/// A line that is longer than any that could be meant.
#[derive(Debug)]
pub(super) struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let read = Arc::new(AtomicU64::new(0));
        let mut lines = Lines::open(file.path(), &read).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.ok().map(|line| String::from_utf8(line.to_vec()).unwrap()));
        }
        assert_eq!(lines.number, all.len() as u64);
        assert_eq!(read.load(Ordering::Relaxed), bytes.len() as u64);
        all
    }

    fn said(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_line_ends_in_either_way_and_the_last_needs_no_end() {
        assert_eq!(lines(b"a\r\nb\n\n c "), [said("a"), said("b"), said(""), said(" c ")]);
        assert_eq!(lines(b"a\n"), [said("a")]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_those_after_it_are_read() {
        let mut bytes = vec![b'x'; PIECE * 2 + 17];
        bytes.extend_from_slice(b"\nafter\n");
        assert_eq!(lines(&bytes), [None, said("after")]);
        let longest = "y".repeat(LONGEST);
        assert_eq!(lines(longest.as_bytes()), [said(&longest)]);
    }

    #[test]
    fn a_packed_file_of_several_parts_is_read_and_one_that_is_cut_short_is_an_error() {
        let pack = |text: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text).unwrap();
            packed.finish().unwrap()
        };
        let both = [pack(b"a\nb"), pack(b"c\nd\n")].concat();
        assert_eq!(lines(&both), [said("a"), said("bc"), said("d")]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&both[..both.len() - 9]).unwrap();
        let mut cut = Lines::open(file.path(), &Arc::default()).unwrap();
        let end = loop {
            match cut.next() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert!(end.is_some(), "half a file is not taken for a whole one");
    }
}
