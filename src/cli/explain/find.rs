//! Finding one decision by what a customer or a log calls it. A file is read as a stream, line by line, each line bounded.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Bytes of one line that are read; a longer line is no decision and is passed over.
const LINE: u64 = 64 * 1024;

/// What a decision is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An id, or its first twelve digits.
    Id(String),
    /// Nine digits of a handoff.
    Handoff(String),
}

impl Reference {
    /// Reads what a person types or pastes: spaces and dashes do not matter.
    pub fn parse(written: &str) -> Option<Self> {
        let written = written.trim().trim_start_matches("urn:weir:request:");
        let bare: String = written.chars().filter(|letter| !matches!(letter, ' ' | '-' | '\u{a0}')).collect();
        let bare = bare.to_ascii_lowercase();
        if bare.len() == 9 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Handoff(bare));
        }
        let fits = (12..=32).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(Self::Id(bare))
    }

    /// Without spaces, for an address.
    pub fn bare(&self) -> &str {
        match self {
            Self::Id(bare) | Self::Handoff(bare) => bare,
        }
    }

    /// Whether this line is about it.
    pub fn names(&self, line: &Value) -> bool {
        match self {
            Self::Id(digits) => line["id"].as_str().is_some_and(|id| id.starts_with(&**digits)),
            Self::Handoff(digits) => line["handoff"]
                .as_str()
                .is_some_and(|handoff| handoff.chars().filter(char::is_ascii_digit).eq(digits.chars())),
        }
    }

    /// Whether the text may be about it, without reading it as JSON.
    fn may_stand_in(&self, text: &[u8]) -> bool {
        match self {
            Self::Id(digits) => memchr::memmem::find(text, digits.as_bytes()).is_some(),
            Self::Handoff(_) => memchr::memmem::find(text, b"\"handoff\"").is_some(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = match self {
            Self::Id(_) => 4,
            Self::Handoff(_) => 3,
        };
        for (at, letter) in self.bare().chars().enumerate() {
            if at > 0 && at % group == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}

/// The last decision of a file with this reference: a handoff keeps its reference while it is open, and the newest line says
/// most.
pub fn in_file(path: &Path, reference: &Reference) -> anyhow::Result<Option<Value>> {
    let reading = || format!("reading {}", path.display());
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path).with_context(reading)?);
    let (mut line, mut found) = (Vec::new(), None);
    loop {
        line.clear();
        let read = file.by_ref().take(LINE).read_until(b'\n', &mut line).with_context(reading)?;
        if read == 0 {
            return Ok(found);
        }
        if line.last() != Some(&b'\n') && read as u64 == LINE {
            file.skip_until(b'\n').with_context(reading)?;
            continue;
        }
        if reference.may_stand_in(&line)
            && let Ok(value) = serde_json::from_slice::<Value>(&line)
            && reference.names(&value)
        {
            found = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_people_write_it() {
        let id = |written| Reference::parse(written).map(|reference| reference.bare().to_owned());
        assert_eq!(id("4f1c 09ab 77e2").as_deref(), Some("4f1c09ab77e2"));
        assert_eq!(id(" 4F1C-09AB-77E2 ").as_deref(), Some("4f1c09ab77e2"));
        assert_eq!(Reference::parse("123 456 789"), Some(Reference::Handoff("123456789".to_owned())));
        for nothing in ["", "checkout", "12345678", "4f1c09ab77e", "4f1c09ab77eg", &"a".repeat(33)] {
            assert_eq!(Reference::parse(nothing), None, "{nothing}");
        }
        assert_eq!(Reference::parse("4f1c09ab77e2").map(|id| id.to_string()).as_deref(), Some("4f1c 09ab 77e2"));
    }
}
