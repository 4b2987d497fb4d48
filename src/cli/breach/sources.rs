//! What goes into a list, read line by line: hashes, passwords, pairs, accounts.
//!
//! What a line holds is never repeated: messages name files and line numbers only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::lines::Lines;
use super::progress::Progress;
use super::spill::Spill;
use crate::identity::breach::{Entry, Key, hex_digit};

/// Line numbers that are shown of those that cannot be read.
const SHOWN: usize = 5;
/// Ranges of the public list: every prefix of five hexadecimal digits.
pub(super) const RANGES: u64 = 1 << 20;
/// A longer password is none that anybody signs in with.
const LONGEST_PASSWORD: usize = 1024;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines of all files.
    pub lines: u64,
    /// Lines that pad a range and stand for nothing.
    pub padding: u64,
    /// Lines that cannot be read.
    pub bad: u64,
    /// The places of the first of them.
    pub places: Vec<String>,
    /// Files that hold one range each.
    pub ranges: u64,
}

impl Tally {
    fn bad(&mut self, path: &Path, line: u64) {
        self.bad += 1;
        if self.places.len() < SHOWN {
            self.places.push(format!("{}:{line}", path.display()));
        }
    }
}

/// Where entries go, and what is counted on the way.
pub(super) struct Intake<'a> {
    pub spill: &'a mut Spill,
    pub progress: &'a mut Progress,
    pub tally: Tally,
}

/// The files that a path stands for: itself, or every file of a directory.
pub(super) fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found = fs::metadata(path).with_context(|| format!("{}", path.display()))?;
    if !found.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("{}", path.display()))? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') && entry.path().is_file() {
            all.push(entry.path());
        }
    }
    if all.is_empty() {
        bail!("{} holds no file", path.display());
    }
    all.sort();
    Ok(all)
}

impl Intake<'_> {
    /// Leaked passwords as SHA-1: whole hashes, or one range a file. A line that is neither ends it: half a download must not be
    /// taken for a whole one.
    pub(super) fn hashes(&mut self, path: &Path) -> anyhow::Result<()> {
        let dir = path.is_dir();
        for file in files(path)? {
            let prefix = if dir { Some(prefix(&file)?) } else { prefix(&file).ok() };
            self.tally.ranges += u64::from(prefix.is_some());
            let before = self.tally.bad;
            self.each(&file, |intake, line, number| {
                let place = || format!("{}:{number}", file.display());
                match parse_hash(prefix, line) {
                    Ok(Hash::Of(first)) => intake.spill.push(Entry::sha1(first))?,
                    Ok(Hash::Padding) => intake.tally.padding += 1,
                    Ok(Hash::Nothing) => {}
                    Err(NotOne::Ntlm) => bail!(
                        "{}: these are NTLM hashes, which no sign-in can be compared with; download the SHA-1 ones",
                        place()
                    ),
                    Err(NotOne::Broken) => bail!(
                        "{}: not SHA1:COUNT{}; is the download whole, and is this no plain list (--plain)?",
                        place(),
                        if prefix.is_some() { ", nor SUFFIX:COUNT of this range" } else { "" }
                    ),
                }
                Ok(())
            })?;
            if let (true, Some(place)) = (self.tally.bad > before, self.tally.places.last()) {
                bail!("{place}: a line that is far too long for SHA1:COUNT");
            }
        }
        Ok(())
    }

    /// Leaked passwords, one a line. `$HEX[...]` is how such lists write what does not fit on one.
    pub(super) fn passwords(&mut self, path: &Path) -> anyhow::Result<()> {
        self.each(path, |intake, line, number| {
            match password(line) {
                Some(password) if !password.is_empty() => intake.spill.push(Entry::password(&password))?,
                Some(_) => {}
                None => intake.tally.bad(path, number),
            }
            Ok(())
        })
    }

    /// Names and passwords.
    pub(super) fn pairs(&mut self, path: &Path, separator: &str, key: &Key) -> anyhow::Result<()> {
        self.each(path, |intake, line, number| {
            let pair = memchr::memmem::find(line, separator.as_bytes())
                .map(|at| (&line[..at], &line[at + separator.len()..]))
                .and_then(|(name, written)| Some((account(name)?, password(written)?)))
                .filter(|(_, password)| !password.is_empty());
            match pair {
                Some((name, password)) => intake.spill.push(key.pair(name, &password))?,
                None if line.is_empty() => {}
                None => intake.tally.bad(path, number),
            }
            Ok(())
        })
    }

    /// Accounts, one a line.
    pub(super) fn accounts(&mut self, path: &Path, key: &Key) -> anyhow::Result<()> {
        self.each(path, |intake, line, number| {
            match account(line) {
                Some(name) => intake.spill.push(key.account(name))?,
                None if line.trim_ascii().is_empty() => {}
                None => intake.tally.bad(path, number),
            }
            Ok(())
        })
    }

    fn each(
        &mut self,
        path: &Path,
        mut take: impl FnMut(&mut Self, &[u8], u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let at = || format!("{}", path.display());
        let mut lines = Lines::open(path, &self.progress.read).with_context(at)?;
        loop {
            let number = lines.number + 1;
            let Some(line) = lines.next().with_context(|| format!("{}:{number}", path.display()))? else {
                return Ok(());
            };
            self.tally.lines += 1;
            self.progress.lines(self.tally.lines);
            match line {
                Ok(line) => take(self, line.strip_prefix(MARK).filter(|_| number == 1).unwrap_or(line), number)?,
                Err(_too_long) => self.tally.bad(path, number),
            }
        }
    }
}

/// What some editors put before the first line.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A name that an account may have.
fn account(written: &[u8]) -> Option<&str> {
    str::from_utf8(written).ok().map(str::trim).filter(|name| !name.is_empty() && !name.contains('\0'))
}

/// A password as it is typed.
fn password(written: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let password = match written.strip_prefix(b"$HEX[").and_then(|rest| rest.strip_suffix(b"]")) {
        None => written.to_vec(),
        Some(digits) if digits.len().is_multiple_of(2) => {
            let bytes = digits.chunks_exact(2).map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?));
            bytes.collect::<Option<Vec<u8>>>()?
        }
        Some(_) => return None,
    };
    Some(Zeroizing::new(password)).filter(|password| password.len() <= LONGEST_PASSWORD)
}

/// Five hexadecimal digits, from the name of a file of one range.
fn prefix(file: &Path) -> anyhow::Result<[u8; 5]> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    let mut digits = [0; 5];
    let fits = stem.len() == 5
        && stem.bytes().zip(&mut digits).all(|(letter, digit)| hex_digit(letter).map(|value| *digit = value).is_some());
    if !fits {
        bail!("{} is not named by the five digits of its range, as in 5BAA6.txt", file.display());
    }
    Ok(digits)
}

/// A line of a file of hashes.
#[derive(Debug, PartialEq)]
enum Hash {
    /// The first eight bytes of a SHA-1.
    Of([u8; 8]),
    /// A line that pads a range.
    Padding,
    /// An empty line.
    Nothing,
}

/// Why a line is none.
#[derive(Debug, PartialEq)]
enum NotOne {
    /// It is as long as an NTLM hash.
    Ntlm,
    /// It is something else, or cut short.
    Broken,
}

/// `HASH:COUNT`, or `SUFFIX:COUNT` in the file of a range; the count may be left out.
fn parse_hash(prefix: Option<[u8; 5]>, line: &[u8]) -> Result<Hash, NotOne> {
    let line = line.trim_ascii_end();
    if line.is_empty() {
        return Ok(Hash::Nothing);
    }
    let (digits, count) = match memchr::memchr(b':', line) {
        Some(colon) => (&line[..colon], Some(&line[colon + 1..])),
        None => (line, None),
    };
    let before = prefix.map_or(0, |_| 5);
    if !digits.iter().all(|digit| hex_digit(*digit).is_some()) {
        return Err(NotOne::Broken);
    }
    // A whole hash is one in the file of a range too.
    let prefix = match digits.len() + before {
        40 => prefix,
        45 if before == 5 => None,
        32 | 37 => return Err(NotOne::Ntlm),
        _ => return Err(NotOne::Broken),
    };
    if let Some(count) = count {
        let number = !count.is_empty() && count.len() <= 20 && count.iter().all(u8::is_ascii_digit);
        match number {
            false => return Err(NotOne::Broken),
            true if count.iter().all(|digit| *digit == b'0') => return Ok(Hash::Padding),
            true => {}
        }
    }
    let mut all = prefix.into_iter().flatten().chain(digits.iter().filter_map(|digit| hex_digit(*digit)));
    let mut first = [0; 8];
    for byte in &mut first {
        *byte = all.next().unwrap_or(0) << 4 | all.next().unwrap_or(0);
    }
    Ok(Hash::Of(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-1 of "password".
    const WHOLE: &str = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const FIRST: [u8; 8] = [0x5b, 0xaa, 0x61, 0xe4, 0xc9, 0xb9, 0x3f, 0x3f];

    #[test]
    fn a_hash_is_read_whole_or_in_its_range_and_padding_is_passed_over() {
        let range = Some([5, 0xb, 0xa, 0xa, 6]);
        let suffix = &WHOLE[5..];
        for (prefix, line) in [
            (None, format!("{WHOLE}:3861493")),
            (None, WHOLE.to_lowercase()),
            (range, format!("{suffix}:1")),
            (range, format!("{WHOLE}:1")),
            (None, format!("{WHOLE}:1 ")),
        ] {
            assert_eq!(parse_hash(prefix, line.as_bytes()), Ok(Hash::Of(FIRST)), "{line}");
        }
        assert_eq!(parse_hash(range, format!("{suffix}:0").as_bytes()), Ok(Hash::Padding));
        assert_eq!(parse_hash(None, b""), Ok(Hash::Nothing));
    }

    #[test]
    fn what_is_no_sha1_is_told_from_ntlm_and_from_a_broken_line() {
        let range = Some([5, 0xb, 0xa, 0xa, 6]);
        assert_eq!(parse_hash(None, b"8846F7EAEE8FB117AD06BDD830B7586C:5"), Err(NotOne::Ntlm));
        assert_eq!(parse_hash(range, b"7EAEE8FB117AD06BDD830B7586C:5"), Err(NotOne::Ntlm));
        for (prefix, line) in [
            (None, &WHOLE[..39]),
            (None, &WHOLE[5..]),
            (range, &WHOLE[6..]),
            (None, "password"),
            (None, ":5"),
            (None, &format!("{WHOLE}:")),
            (None, &format!("{WHOLE}:x")),
            (None, &format!("{WHOLE}:-1")),
            (None, &format!("{}G:1", &WHOLE[..39])),
            (None, &format!("{WHOLE}{WHOLE}:1")),
        ] {
            assert_eq!(parse_hash(prefix, line.as_bytes()), Err(NotOne::Broken), "{line}");
        }
    }

    #[test]
    fn a_range_is_named_by_five_digits() {
        assert_eq!(prefix(Path::new("ranges/5BAA6")).unwrap(), [5, 0xb, 0xa, 0xa, 6]);
        assert_eq!(prefix(Path::new("5baa6.txt.gz")).unwrap(), [5, 0xb, 0xa, 0xa, 6]);
        for other in ["5BAA", "5BAA61", "README.md", "5BAAG", ""] {
            assert!(prefix(Path::new(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn a_password_is_taken_as_it_is_or_from_its_digits() {
        assert_eq!(password(b" a b ").unwrap().as_slice(), b" a b ");
        assert_eq!(password(b"$HEX[3a0d0A]").unwrap().as_slice(), b":\r\n");
        assert_eq!(password(b"$HEX[").unwrap().as_slice(), b"$HEX[");
        for bad in [&b"$HEX[1]"[..], b"$HEX[zz]", &[b'x'; LONGEST_PASSWORD + 1]] {
            assert!(password(bad).is_none());
        }
    }
}
