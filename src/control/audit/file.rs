//! The record on disk: appended to and made safe line by line. Only the disk's own thread writes here.
//!
//! It must never lose a line that was written, and never leave half a line where a reader would take it for a whole one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::verify::verify;
use super::{Change, FILE, HEAD, Head, TORN};
use crate::clock::Moment;
use crate::control::who::Who;

/// An open record.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    /// Replaced in place; a disk that is full has room for it.
    head_file: File,
    head: Head,
    /// Bytes of whole lines.
    whole: u64,
}

/// A record that was opened, and what was found wrong with it, in words.
#[derive(Debug)]
pub struct Opened {
    /// The record.
    pub file: AuditFile,
    /// What an operator must know; empty when all is well.
    pub said: Vec<String>,
    /// What the record itself must say of it.
    pub changes: Vec<Change>,
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

impl AuditFile {
    /// Opens the record of a data directory. A torn last line is put aside; a record that was cut goes on after the head that
    /// was kept, so that what is missing stays visible for ever.
    ///
    /// # Errors
    /// When the files cannot be opened, read or repaired.
    pub fn open(dir: &Path, now: Moment) -> io::Result<Opened> {
        let path = dir.join(FILE);
        let mut file = private().open(&path)?;
        let mut head_file = private().open(dir.join(HEAD))?;
        let mut kept = String::new();
        // What is there and is no text is told by `verify`.
        let _ = (&head_file).take(1024).read_to_string(&mut kept);
        if kept.is_empty() && file.metadata()?.len() == 0 {
            write_head(&mut head_file, &Head::default())?;
        }
        let found = verify(&path)?;
        let (mut said, mut changes) = (Vec::new(), Vec::new());
        if found.torn > 0 {
            put_aside(&mut file, dir, found.whole)?;
            file.set_len(found.whole)?;
            file.sync_all()?;
            said.push(format!("a half-written last line of {FILE} ({} bytes) was put aside in {TORN}", found.torn));
            changes.push(own("repair", "a half-written last line was put aside", now));
        }
        let mut head = found.head.clone();
        if let Some(kept) = Head::parse(&kept).filter(|kept| kept.seq > head.seq) {
            head = kept;
        }
        if let Some(fault) = found.faults.first() {
            let words = format!("{FILE}, line {}: {}", fault.line, fault.why);
            said.push(format!("the audit record is not whole: {words}. Run `weir audit verify`"));
            changes.push(own("tampered", &words, now));
        }
        let file = Self { path, file, head_file, head, whole: found.whole };
        Ok(Opened { file, said, changes })
    }

    /// Appends these changes and makes them safe: when this returns, they survive a crash.
    ///
    /// # Errors
    /// When nothing of them was kept; the file is as it was before.
    pub fn append<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> io::Result<()> {
        let mut head = self.head.clone();
        let mut text = String::new();
        for change in changes {
            let (line, next) = head.next(change);
            text.push_str(&line);
            text.push('\n');
            head = next;
        }
        let written = self.write(&text);
        if written.is_err() {
            // What stands there now is half a line, or lines that nobody was told are safe.
            let _ = self.file.set_len(self.whole);
            return written;
        }
        self.whole += text.len() as u64;
        self.head = head;
        write_head(&mut self.head_file, &self.head)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.whole))?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }

    /// Whether the file is still where it was opened: not removed, not replaced.
    pub fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let (Ok(here), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else { return false };
        (here.dev(), here.ino()) == (there.dev(), there.ino()) && here.len() == self.whole
    }
}

fn own(what: &'static str, why: &str, now: Moment) -> Change {
    Change {
        time: now,
        who: Who::weir("weir", "at the opening of the record"),
        what,
        target: FILE.to_owned(),
        why: why.to_owned(),
        before: json!(null),
        after: json!(null),
    }
}

fn put_aside(file: &mut File, dir: &Path, from: u64) -> io::Result<()> {
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(2 * 1024 * 1024).read_to_end(&mut torn)?;
    torn.push(b'\n');
    let mut aside = OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(TORN))?;
    aside.write_all(&torn)?;
    aside.sync_all()
}

fn write_head(file: &mut File, head: &Head) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(head.text().as_bytes())?;
    file.sync_data()
}
