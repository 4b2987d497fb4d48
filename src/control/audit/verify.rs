//! Reads a record from its beginning and says where it was cut, changed or put in another order. Line by line, so that a long
//! record needs no more memory than a short one. It must never say anything false of a record that is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::{HEAD, Head, hash_of};

/// Bytes of one line. Longer ones are not ours.
const LONGEST_LINE: u64 = 1024 * 1024;
/// Faults that are told one by one.
const MOST: usize = 100;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line in the file, from 1.
    pub line: u64,
    /// Why, in words.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Whole lines.
    pub lines: u64,
    /// What is wrong; the first hundred.
    pub faults: Vec<Fault>,
    /// Bytes of a last line without its end.
    pub torn: u64,
    /// Where the record ends.
    #[serde(skip)]
    pub head: Head,
    /// Bytes of whole lines.
    #[serde(skip)]
    pub whole: u64,
}

impl Found {
    /// Whether nothing is wrong. A torn last line is not a fault: a crash leaves one, and it is put aside at the next start.
    pub const fn good(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, line: u64, why: impl Into<String>) {
        if self.faults.len() < MOST {
            self.faults.push(Fault { line, why: why.into() });
        }
    }
}

/// Reads the record at `path` and the head beside it.
///
/// # Errors
/// When the file cannot be read.
pub fn verify(path: &Path) -> io::Result<Found> {
    let mut found = chain(BufReader::new(File::open(path)?))?;
    let kept = match std::fs::read_to_string(path.with_file_name(HEAD)) {
        // A disk that had no room for the first line had none for the first head either.
        Ok(text) if text.is_empty() && found.lines == 0 => None,
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match kept.as_deref().map(Head::parse) {
        Some(Some(head)) => compare(&mut found, &head),
        Some(None) => found.fault(found.lines, format!("{HEAD} cannot be read: whether the end was cut is not known")),
        None if found.lines > 0 => {
            found.fault(found.lines, format!("{HEAD} is missing: whether the end was cut is not known"));
        }
        None => {}
    }
    Ok(found)
}

/// The head is written after its line: a record may be ahead of it by what a crash left, never behind.
fn compare(found: &mut Found, head: &Head) {
    if head.seq > found.head.seq {
        let cut = head.seq - found.head.seq;
        let lines = if cut == 1 { "1 line was".to_owned() } else { format!("{cut} lines were") };
        found.fault(
            found.lines + 1,
            format!("the end was cut: {lines} written after this (the last was number {})", head.seq),
        );
    } else if head.seq == found.head.seq && head.hash != found.head.hash {
        found.fault(found.lines, format!("line number {} is not the one that was written last", head.seq));
    }
}

/// Checks each line by itself and against the one before it.
fn chain(mut reader: impl BufRead) -> io::Result<Found> {
    let mut found = Found::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(found);
        }
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            if read as u64 == LONGEST_LINE {
                found.lines += 1;
                found.fault(found.lines, "this line is longer than any that Weir writes");
                let mut long = read as u64;
                let mut rest = Vec::new();
                loop {
                    rest.clear();
                    let more = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut rest)? as u64;
                    long += more;
                    if more == 0 {
                        // It never ends: what a reader must not take for a line.
                        found.torn = long;
                        return Ok(found);
                    }
                    if rest.last() == Some(&b'\n') {
                        break;
                    }
                }
                // It stays where it is, and what is written next goes behind it.
                found.whole += long;
                continue;
            }
            found.torn = read as u64;
            return Ok(found);
        }
        found.lines += 1;
        found.whole += read as u64;
        let at = found.lines;
        let (said, changed) = match one(&line) {
            Ok(said) => said,
            Err(why) => {
                found.fault(at, why);
                continue;
            }
        };
        match changed {
            Some(why) => found.fault(at, why),
            None => {
                let expected = found.head.seq.saturating_add(1);
                if said.seq == expected && said.prev == found.head.hash {
                } else if said.seq > expected {
                    let lines = match said.seq - expected {
                        1 => format!("line number {expected} is missing"),
                        _ => format!("lines number {expected} to {} are missing", said.seq - 1),
                    };
                    found.fault(at, format!("{lines} before this one"));
                } else if said.seq < expected {
                    found.fault(
                        at,
                        format!("number {} stands after number {}: the order was changed", said.seq, found.head.seq),
                    );
                } else {
                    found.fault(at, "it does not follow the line before it: one of the two was replaced");
                }
            }
        }
        found.head = Head { seq: said.seq, hash: said.hash };
    }
}

struct Said {
    seq: u64,
    prev: String,
    hash: String,
}

/// A line by itself, and why its hash is not that of its own text, if so.
fn one(line: &[u8]) -> Result<(Said, Option<String>), String> {
    let text = std::str::from_utf8(line).map_err(|_| "this line is not text".to_owned())?;
    let (body, hash) = text
        .strip_suffix("\"}")
        .and_then(|rest| rest.rsplit_once(",\"hash\":\""))
        .ok_or_else(|| "this is not a line of this record: it has no hash".to_owned())?;
    let document: Value = serde_json::from_str(text).map_err(|_| "this line is not JSON".to_owned())?;
    let seq = document["seq"].as_u64().ok_or_else(|| "this line has no number".to_owned())?;
    let prev = document["prev"].as_str().unwrap_or_default().to_owned();
    let changed = (hash_of(&format!("{body}}}")) != hash)
        .then(|| format!("line number {seq} was changed: its hash is not that of its text"));
    Ok((Said { seq, prev, hash: hash.to_owned() }, changed))
}
