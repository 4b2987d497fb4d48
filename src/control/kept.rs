//! What control keeps over a restart, in one small file that an operator can read: the posture, what a person silenced, what is
//! usual, and the law that was let in although its cases failed.
//!
//! A file that cannot be read is put aside and said, never silently replaced; the site starts all the same.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::POSTURE;
use crate::clock::Moment;
use crate::rules::posture::Posture;

/// Bytes of the file. A larger one is not ours.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What is armed.
    pub posture: Posture,
    /// Playbooks whose triggers a person silenced by standing them down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiet: Vec<Quiet>,
    /// Rules that a person let in although their cases failed, by fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub despite_cases: Option<Box<str>>,
    /// What is usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usual: Vec<Usual>,
}

/// A playbook whose triggers do nothing for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Which.
    pub playbook: Box<str>,
    /// Until when.
    pub until: Moment,
}

/// What is usual for something that is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// Its word.
    pub watch: Box<str>,
    /// The mean.
    pub value: f64,
    /// Minutes behind it.
    pub minutes: u32,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Read {
    /// What was kept; nothing when there is no file or it cannot be read.
    pub kept: Kept,
    /// Why the file cannot be read, in words.
    pub fault: Option<String>,
}

impl Kept {
    /// Reads the file of a data directory. One that cannot be read is put aside.
    pub fn read(dir: &Path) -> Read {
        let path = dir.join(POSTURE);
        let read = match fs::symlink_metadata(&path) {
            // A pipe would be waited for, and a link shows what somebody else wrote.
            Ok(found) if !found.is_file() => Err(io::Error::other("it is no file")),
            Ok(found) if found.len() > LARGEST => Err(io::Error::other("it is larger than any that Weir writes")),
            _ => fs::read_to_string(&path),
        };
        let fault = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::default(),
            Err(error) => error.to_string(),
            Ok(text) => match serde_json::from_str(&text) {
                Ok(kept) => return Read { kept, fault: None },
                Err(error) => error.to_string(),
            },
        };
        let aside = dir.join(format!("{POSTURE}.unreadable"));
        let moved = match fs::rename(&path, &aside) {
            Ok(()) => format!("it was put aside as {}", aside.display()),
            Err(error) => format!("it could not be put aside either ({error})"),
        };
        let said =
            format!("{} cannot be read ({fault}); {moved}. NOTHING IS ARMED: arm what is needed again", path.display());
        Read { kept: Kept::default(), fault: Some(said) }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Takes out what has ended; gives the names of the playbooks that had.
    pub fn drop_ended(&mut self, now: Moment) -> Vec<Box<str>> {
        let (ended, armed) = std::mem::take(&mut self.posture.armed).into_iter().partition(|armed| armed.ends() <= now);
        self.posture.armed = armed;
        self.quiet.retain(|quiet| quiet.until > now);
        let ended: Vec<crate::rules::posture::Armed> = ended;
        ended.into_iter().map(|armed| armed.playbook).collect()
    }
}
