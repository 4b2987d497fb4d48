//! The record of every change: one JSON line each, chained by hashes, so that a line that is removed, changed or moved is found.
//!
//! It proves order and wholeness to whoever kept an earlier head, and to everybody against accident and quiet editing; it is no
//! proof against somebody who may rewrite every file of this user. It must never hold a secret, and no text in it can begin
//! another line or reach a terminal's control codes.

pub mod file;
pub mod verify;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::who::Who;
use crate::clock::Moment;

/// The file in the data directory.
pub const FILE: &str = "audit.jsonl";
/// Where the last line's number and hash are kept beside it.
pub const HEAD: &str = "audit.head";
/// Where a half-written last line is put aside.
pub const TORN: &str = "audit.torn";
/// What the first line follows.
pub const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Characters of a text that somebody typed. What is longer is cut.
pub const LONGEST: usize = 500;

/// One change, before it has a place in the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When.
    pub time: Moment,
    /// Who.
    pub who: Who,
    /// What was done, in one word: `arm`, `reload`, `refused` ...
    pub what: &'static str,
    /// To what.
    pub target: String,
    /// Why, as they said.
    pub why: String,
    /// What was, as far as it matters.
    pub before: Value,
    /// What is now.
    pub after: Value,
}

/// A line, as it is written. The order of the fields is the canonical one; `hash` follows as the last.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    seq: u64,
    time: String,
    who: Who,
    what: String,
    target: String,
    why: String,
    before: Value,
    after: Value,
    prev: String,
}

/// Where the record ends: the number and hash of its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last line's number; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: NOTHING.to_owned() }
    }
}

impl Head {
    /// The line of a change that follows this one, without its line end, and the head after it.
    pub fn next(&self, change: &Change) -> (String, Self) {
        let line = Line {
            seq: self.seq.saturating_add(1),
            time: written(change.time),
            who: change.who.clone(),
            what: change.what.to_owned(),
            target: clean(&change.target),
            why: clean(&change.why),
            before: change.before.clone(),
            after: change.after.clone(),
            prev: self.hash.clone(),
        };
        // Maps of texts and numbers always have a JSON form.
        let body = serde_json::to_string(&line).unwrap_or_default();
        let hash = hash_of(&body);
        let open = body.strip_suffix('}').unwrap_or(&body);
        (format!("{open},\"hash\":\"{hash}\"}}"), Self { seq: line.seq, hash })
    }

    /// As it is kept: always the same number of bytes, so that replacing it needs no room on the disk.
    pub fn text(&self) -> String {
        format!("{:>20} {:64}\n", self.seq, self.hash)
    }

    /// From its kept form.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(' ')?;
        let whole = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self { seq: seq.parse().ok().filter(|_| whole)?, hash: hash.to_owned() })
    }
}

/// The moment as people and machines read it.
pub fn written(moment: Moment) -> String {
    let millis = i64::try_from(moment.unix_millis()).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{stamp:.3}")
}

/// SHA-256 in hexadecimal digits.
pub fn hash_of(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A text that somebody typed, fit for a record and a terminal: bounded, with whatever steers a terminal or a reading
/// direction written out.
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    for symbol in text.trim().chars().take(LONGEST) {
        let steers = symbol.is_control()
            || matches!(symbol, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if steers {
            out.extend(symbol.escape_unicode());
        } else {
            out.push(symbol);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_begin_another_line_or_steer_a_terminal() {
        let hostile = "x\n{\"seq\":9}\r\u{1b}[2J\u{202e}\u{2028}.";
        let cleaned = clean(hostile);
        assert_eq!(cleaned, "x\\u{a}{\"seq\":9}\\u{d}\\u{1b}[2J\\u{202e}\\u{2028}.");
        assert_eq!(clean(&"é".repeat(900)).chars().count(), LONGEST);
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_its_length_never_changes() {
        let head = Head { seq: 41, hash: hash_of("x") };
        assert_eq!(Head::parse(&head.text()), Some(head.clone()));
        assert_eq!(head.text().len(), Head::default().text().len());
        assert_eq!(Head::parse("12 short"), None);
    }
}
