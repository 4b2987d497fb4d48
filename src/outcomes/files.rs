//! The files of the kept outcomes: one a day in the data directory, JSON lines, gone whole when they are too old or too many.
//!
//! One writer at a time, beside the request path. When the bytes are up the oldest file loses; a line that a crash cut short is
//! passed over. It must never keep a line for longer than it is said.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::entry::{Entry, Tag};
use crate::clock::Clock;

/// The directory's name in the data directory.
pub const DIR: &str = "outcomes";
/// Bytes of the longest line that is read.
pub const LONGEST: u64 = 16 * 1024;
/// The bytes are spread over at least so many files, so that the oldest to go is never much.
const PARTS: u64 = 32;
const DAY: u64 = 86_400;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A day's file goes this long after its day.
    pub keep: Duration,
    /// All files together; the oldest goes.
    pub bytes: u64,
}

/// The kept outcomes of one process.
#[derive(Clone, Debug)]
pub struct Kept(Arc<Mutex<Files>>);

#[derive(Debug)]
struct Files {
    dir: PathBuf,
    bounds: Bounds,
    clock: Clock,
    open: Option<Open>,
    failing: bool,
}

/// The file that is written now.
#[derive(Debug)]
struct Open {
    name: Name,
    file: File,
    bytes: u64,
}

/// A file's name: its day, and which of that day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    day: u64,
    part: u32,
}

impl Name {
    fn of(path: &Path) -> Option<Self> {
        let (day, part) = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.split_once('-')?;
        Some(Self { day: day.parse().ok()?, part: part.parse().ok()? })
    }

    fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:05}-{:03}.jsonl", self.day, self.part))
    }
}

impl Kept {
    /// Keeps them under this data directory.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(data: &Path, bounds: Bounds, clock: Clock) -> io::Result<Self> {
        let dir = data.join(DIR);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        for entry in fs::read_dir(&dir)? {
            // What an erasure was writing when the process ended.
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(path)?;
            }
        }
        let kept = Self(Arc::new(Mutex::new(Files { dir, bounds, clock, open: None, failing: false })));
        kept.sweep()?;
        Ok(kept)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the files that are too old, and the oldest while there are too many bytes. Says how many went.
    ///
    /// # Errors
    /// When the directory cannot be read or a file not removed.
    pub fn sweep(&self) -> io::Result<usize> {
        self.files().sweep(0)
    }

    /// Writes one line at once.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add(&self, entry: &Entry) -> io::Result<()> {
        let mut line = Vec::new();
        entry.write(&mut line);
        line.push(b'\n');
        self.files().append(&line)
    }

    /// The account of the decision of this reference; the inner one is none where nobody was named.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn find(&self, reference: Tag) -> io::Result<Option<Option<Tag>>> {
        let files = self.files();
        let wanted = format!("\"reference\":\"{reference}\"");
        for (name, _) in files.list()?.into_iter().rev() {
            let bytes = fs::read(name.path(&files.dir))?;
            for line in bytes.split(|byte| *byte == b'\n') {
                if memchr::memmem::find(line, wanted.as_bytes()).is_some()
                    && let Ok(Entry::Decision(decision)) = serde_json::from_slice(line)
                {
                    return Ok(Some(decision.account));
                }
            }
        }
        Ok(None)
    }

    /// How many lines are about this account.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn count(&self, account: Tag) -> io::Result<usize> {
        let files = self.files();
        let wanted = mentions(account);
        let mut count = 0;
        for (name, _) in files.list()? {
            count += memchr::memmem::find_iter(&fs::read(name.path(&files.dir))?, &wanted).count();
        }
        Ok(count)
    }

    /// Takes every line about this account out of every file. Says how many that were.
    ///
    /// # Errors
    /// When a file cannot be read or written; those before it are done.
    pub fn erase(&self, account: Tag) -> io::Result<usize> {
        let mut files = self.files();
        let wanted = mentions(account);
        let mut gone = 0;
        for (name, _) in files.list()? {
            let path = name.path(&files.dir);
            let bytes = fs::read(&path)?;
            if memchr::memmem::find(&bytes, wanted.as_bytes()).is_none() {
                continue;
            }
            files.open = None;
            let about = |line: &&[u8]| memchr::memmem::find(line, wanted.as_bytes()).is_some();
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            gone += lines.clone().filter(about).count();
            let rest: Vec<u8> = lines.filter(|line| !about(line)).flatten().copied().collect();
            let beside = path.with_extension("new");
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(&rest)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
        }
        Ok(gone)
    }
}

/// Takes whole lines, as the writer of lines hands them over.
impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files().append(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a line names an account.
fn mentions(account: Tag) -> String {
    format!("\"account\":\"{account}\"")
}

impl Files {
    /// The files with their bytes, oldest first.
    fn list(&self) -> io::Result<Vec<(Name, u64)>> {
        listed(&self.dir)
    }

    /// Makes room for so many more bytes.
    fn sweep(&mut self, more: u64) -> io::Result<usize> {
        let now = self.clock.now().unix_seconds();
        let mut files = self.list()?;
        let mut bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum::<u64>() + more;
        let mut gone = 0;
        while let Some((name, size)) = files.first().copied() {
            let over = (name.day + 1).saturating_mul(DAY);
            if now < over.saturating_add(self.bounds.keep.as_secs()) && bytes <= self.bounds.bytes {
                break;
            }
            if self.open.as_ref().is_some_and(|open| open.name == name) {
                self.open = None;
            }
            fs::remove_file(name.path(&self.dir))?;
            files.remove(0);
            bytes -= size;
            gone += 1;
        }
        Ok(gone)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.try_append(lines);
        if written.is_err() {
            // Opened afresh the next time: the directory may be another one, the disk may have room.
            self.open = None;
        }
        if self.failing != written.is_err() {
            self.failing = written.is_err();
            if !self.failing {
                tracing::warn!("outcomes are kept again");
            }
        }
        written
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        let day = self.clock.now().unix_seconds() / DAY;
        let more = lines.len() as u64;
        let part = self.bounds.bytes / PARTS;
        let fits = |open: &&mut Open| open.name.day == day && (open.bytes == 0 || open.bytes + more <= part);
        if self.open.as_mut().filter(fits).is_none() {
            self.open = None;
            // Room for all that the file may still grow by.
            self.sweep(part.max(more))?;
            let last = self.list()?.pop().filter(|(name, _)| name.day == day);
            let name = match last {
                Some((name, bytes)) if bytes + more <= part => name,
                Some((name, _)) => Name { day, part: name.part.saturating_add(1) },
                None => Name { day, part: 0 },
            };
            self.open = Some(Open::at(name, &self.dir)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.write_all(lines)?;
        open.bytes += more;
        Ok(())
    }
}

impl Open {
    fn at(name: Name, dir: &Path) -> io::Result<Self> {
        let path = name.path(dir);
        let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path)?;
        let mut bytes = file.seek(SeekFrom::End(0))?;
        if bytes > 0 {
            // What a crash cut short must not swallow the line after it.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Self { name, file, bytes })
    }
}

fn listed(dir: &Path) -> io::Result<Vec<(Name, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(name) = Name::of(&entry.path()) {
            found.push((name, entry.metadata()?.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The files of a data directory, oldest first.
///
/// # Errors
/// When there is no such directory.
pub fn paths(data: &Path) -> io::Result<Vec<PathBuf>> {
    let dir = data.join(DIR);
    Ok(listed(&dir)?.into_iter().map(|(name, _)| name.path(&dir)).collect())
}

/// What reading a file came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Lines that are entries.
    pub entries: u64,
    /// Lines that are none: cut short by a crash, or of another version.
    pub unreadable: u64,
}

/// Reads every entry of one file.
///
/// # Errors
/// When it cannot be read. A line that is no entry is passed over and counted.
pub fn read(from: impl io::Read, mut take: impl FnMut(Entry)) -> io::Result<Read> {
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut read = Read::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(read);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(entry) => {
                read.entries += 1;
                take(entry);
            }
            Err(_) => read.unreadable += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::outcomes::entry::{Outcome, Report};

    const START: Moment = Moment::from_unix_seconds(20_000 * DAY);
    const HALF: Duration = Duration::from_secs(180 * DAY);

    fn report(at: u64, account: u64) -> Entry {
        Entry::Report(Report { at, reference: Tag(at), outcome: Outcome::Fraud, account: Some(Tag(account)) })
    }

    fn all(data: &Path) -> Vec<u64> {
        let mut found = Vec::new();
        for path in paths(data).unwrap() {
            read(File::open(path).unwrap(), |entry| found.push(entry.at().unix_seconds())).unwrap();
        }
        found
    }

    #[test]
    fn a_day_is_forgotten_whole_when_its_time_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(START);
        let kept = Kept::open(dir.path(), Bounds { keep: HALF, bytes: 1 << 20 }, clock).unwrap();
        kept.add(&report(1, 1)).unwrap();
        hand.advance(Duration::from_secs(DAY));
        kept.add(&report(2, 1)).unwrap();
        hand.advance(HALF - Duration::from_secs(1));
        assert_eq!((kept.sweep().unwrap(), all(dir.path())), (0, vec![1, 2]));
        hand.advance(Duration::from_secs(1));
        assert_eq!((kept.sweep().unwrap(), all(dir.path())), (1, vec![2]));
    }

    #[test]
    fn more_than_its_bytes_is_never_kept_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let bounds = Bounds { keep: HALF, bytes: 32 * 400 };
        let kept = Kept::open(dir.path(), bounds, Clock::manual(START).0).unwrap();
        for at in 0..1000 {
            kept.add(&report(at, 1)).unwrap();
        }
        let bytes: u64 = paths(dir.path()).unwrap().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert!(bytes <= bounds.bytes, "{bytes}");
        let left = all(dir.path());
        assert!(left.len() > 80 && left.last() == Some(&999), "{left:?}");
        assert!(left.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    }

    #[test]
    fn an_account_is_erased_from_every_file_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual(START);
        let kept = Kept::open(dir.path(), Bounds { keep: HALF, bytes: 1 << 20 }, clock).unwrap();
        for at in 0..4 {
            kept.add(&report(at, at % 2)).unwrap();
            hand.advance(Duration::from_secs(DAY / 2));
        }
        assert_eq!(kept.count(Tag(1)).unwrap(), 2);
        assert_eq!(kept.erase(Tag(1)).unwrap(), 2);
        assert_eq!(kept.count(Tag(1)).unwrap(), 0);
        kept.add(&report(9, 0)).unwrap();
        assert_eq!(all(dir.path()), [0, 2, 9]);
    }

    #[test]
    fn a_line_cut_short_by_a_crash_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Kept::open(dir.path(), Bounds { keep: HALF, bytes: 1 << 20 }, Clock::manual(START).0).unwrap();
        open().add(&report(1, 1)).unwrap();
        let path = paths(dir.path()).unwrap().remove(0);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"entry\":\"repo").unwrap();
        open().add(&report(2, 1)).unwrap();
        let came = read(File::open(&path).unwrap(), |_| {}).unwrap();
        assert_eq!((came, all(dir.path())), (Read { entries: 2, unreadable: 1 }, vec![1, 2]));
    }
}
