//! Kept answers on the disk: one file, every change whole or not at all, bounded in bytes and age.
//!
//! When there is no room the answer that was kept first gives way; an owner who has more than a share loses their own first. It
//! must never give an answer that does not open under its owner's key and at its own place, and never run on the request path.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable, Table, TableDefinition, WriteTransaction};
use smallvec::SmallVec;

use super::page::{About, PageKey, Snapshot};
use super::pauses::Written;
use super::row::{Row, row_key};
use super::seal::{Refused, Sealer};
use crate::clock::Moment;
use crate::subject::Account;

/// The file in the data directory.
pub const FILE: &str = "snapshots.redb";

type Bytes = &'static [u8];

/// An answer by its owner, place and what it differs by.
const ROWS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("rows");
/// The same keys, in the order in which they were kept.
const ORDER: TableDefinition<'_, (u64, u64), Bytes> = TableDefinition::new("order");
/// By owner.
const SALTS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("salts");
/// Answers and bytes, by journey.
const COUNTS: TableDefinition<'_, &'static str, (u64, u64)> = TableDefinition::new("counts");
/// How long journeys have been contained, and since when they are now: milliseconds; 0 for not.
const PAUSES: TableDefinition<'_, &'static str, Written> = TableDefinition::new("outages");

/// Answers of one owner.
const SHARE: usize = 64;
/// Bytes of what redb keeps in memory.
const CACHE: usize = 16 << 20;
/// Clocks that give out when answers were true may differ by so much.
const AHEAD: Duration = Duration::from_secs(120);
/// Answers that a sweep looks at.
const STEP: usize = 4096;

/// Why the disk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The file is not what it should be.
    #[error("{0}")]
    Corrupt(String),
    /// The system refused: no room, no right.
    #[error("{0}")]
    System(String),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::System(refused.to_string())
    }
}

macro_rules! faults {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::of(error.into())
            }
        }
    )*};
}
faults!(redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError, redb::DatabaseError);

impl Fault {
    fn of(error: redb::Error) -> Self {
        match error {
            // What is there is no file of ours.
            redb::Error::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                Self::Corrupt(cause.to_string())
            }
            redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseAlreadyOpen => {
                Self::System(error.to_string())
            }
            other => Self::Corrupt(other.to_string()),
        }
    }
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is kept.
    Kept,
    /// What is kept is newer.
    Older,
}

/// What is kept of one journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Answers.
    pub answers: u64,
    /// Their bytes, sealed.
    pub bytes: u64,
}

/// What is kept of every journey.
pub(super) type Tallies = BTreeMap<Box<str>, Tally>;

/// Where an answer stands, when it was kept, and its length.
type Place = (Vec<u8>, (u64, u64), usize);

/// For how long a journey's answers are kept, and how long it has been contained in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub keep: Duration,
    pub paused: Duration,
}

/// The file.
pub(super) struct Disk {
    base: Database,
    sealer: Sealer,
    most: u64,
    largest: usize,
    used: u64,
    next: u64,
    last: u64,
    cursor: (u64, u64),
}

/// Changes that are made together.
pub(super) struct Batch(WriteTransaction);

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batch")
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Disk {
    /// Opens the file, or makes it, readable by its owner only.
    pub fn open(path: &Path, key: [u8; 32], most: u64, largest: usize) -> Result<Self, Fault> {
        let file = private(path).map_err(|error| Fault::System(format!("{}: {error}", path.display())))?;
        let base = Database::builder().set_cache_size(CACHE).create_with_backend(FileBackend::new(file)?)?;
        let mut disk =
            Self { base, sealer: Sealer::new(key), most, largest, used: 0, next: 0, last: 0, cursor: (0, 0) };
        let Batch(batch) = disk.begin()?;
        {
            batch.open_table(ROWS)?;
            batch.open_table(SALTS)?;
            batch.open_table(PAUSES)?;
            let last = batch.open_table(ORDER)?.last()?.map_or((0, 0), |(key, _)| key.value());
            (disk.last, disk.next) = (last.0, last.1 + 1);
            for entry in batch.open_table(COUNTS)?.iter()? {
                disk.used += entry?.1.value().1;
            }
        }
        batch.commit()?;
        Ok(disk)
    }

    /// Begins some changes. Each is written so that a killed process finds the file ready, however large it is.
    pub fn begin(&self) -> Result<Batch, Fault> {
        let mut batch = self.base.begin_write()?;
        batch.set_quick_repair(true);
        Ok(Batch(batch))
    }

    /// Makes them safe.
    pub fn commit(&self, Batch(batch): Batch) -> Result<(), Fault> {
        Ok(batch.commit()?)
    }

    /// Every answer on one page.
    pub fn page(&self, key: &PageKey) -> Result<SmallVec<[Arc<Snapshot>; 1]>, Fault> {
        let reading = self.base.begin_read()?;
        let rows = reading.open_table(ROWS)?;
        let salts = reading.open_table(SALTS)?;
        let prefix = key.bytes();
        let Some(salt) = salts.get(&prefix[..24])? else { return Ok(SmallVec::new()) };
        let mut all = SmallVec::new();
        for entry in rows.range::<&[u8]>(between(&prefix).0.as_slice()..between(&prefix).1.as_slice())? {
            let (at, row) = entry?;
            all.extend(Row::open(&self.sealer, salt.value(), at.value(), row.value()).map(Arc::new));
        }
        Ok(all)
    }

    /// Keeps an answer; what gives way for it goes in the same batch.
    pub fn put(
        &mut self,
        Batch(batch): &Batch,
        key: &PageKey,
        snapshot: &Snapshot,
        (keep, now): (Duration, Moment),
    ) -> Result<Put, Fault> {
        let mut rows = batch.open_table(ROWS)?;
        let mut order = batch.open_table(ORDER)?;
        let mut counts = batch.open_table(COUNTS)?;
        let mut salts = batch.open_table(SALTS)?;
        let owner = key.bytes();
        let known = salts.get(&owner[..24])?.map(|salt| salt.value().to_vec());
        let salt = match known {
            Some(salt) => salt,
            None => {
                let salt = Sealer::salt()?.to_vec();
                salts.insert(&owner[..24], &salt[..])?;
                salt
            }
        };
        let at = row_key(key, &snapshot.about);
        let standing = rows.get(&at[..])?.and_then(|row| Row::read(row.value()));
        // One from a moment that has not come was kept while the clock was ahead, and is newer than nothing.
        let newer = |row: &Row| row.as_of > snapshot.about.as_of && row.as_of <= now.plus(AHEAD);
        if standing.as_ref().is_some_and(newer) {
            return Ok(Put::Older);
        }
        // A clock that was set back must not make what comes now the first to give way.
        self.last = self.last.max(now.unix_millis());
        let stamp = (self.last, self.next);
        self.next += 1;
        let row = Row {
            stamp,
            as_of: snapshot.about.as_of,
            keep,
            paused: snapshot.about.paused,
            journey: snapshot.about.journey.clone(),
        };
        let sealed = row.seal(&self.sealer, &salt, &at, snapshot)?;
        let mut tables = Tables { rows: &mut rows, order: &mut order, counts: &mut counts, used: &mut self.used };
        tables.remove(&at)?;
        tables.insert(&at, &row, &sealed)?;
        tables.share(&owner[..24], &at, self.largest)?;
        while *tables.used > self.most {
            let Some(first) = tables.first()? else { break };
            tables.remove(&first)?;
        }
        Ok(Put::Kept)
    }

    /// Removes everything on one page.
    pub fn drop_page(&mut self, batch: &Batch, key: &PageKey) -> Result<usize, Fault> {
        self.drop_all(batch, &key.bytes())
    }

    /// Removes everything of an account, and the salts without which none of it can be read again.
    pub fn drop_account(&mut self, batch: &Batch, account: Account) -> Result<usize, Fault> {
        let prefix = account.bits().to_be_bytes();
        let mut salts = batch.0.open_table(SALTS)?;
        let (from, to) = between(&prefix);
        salts.retain_in::<&[u8], _>(from.as_slice()..to.as_slice(), |_, _| false)?;
        drop(salts);
        self.drop_all(batch, &prefix)
    }

    fn drop_all(&mut self, Batch(batch): &Batch, prefix: &[u8]) -> Result<usize, Fault> {
        let mut rows = batch.open_table(ROWS)?;
        let mut order = batch.open_table(ORDER)?;
        let mut counts = batch.open_table(COUNTS)?;
        let mut tables = Tables { rows: &mut rows, order: &mut order, counts: &mut counts, used: &mut self.used };
        let all = tables.below(prefix)?;
        for (at, ..) in &all {
            tables.remove(at)?;
        }
        Ok(all.len())
    }

    /// Removes what is too old, of the next few that were kept longest ago.
    pub fn sweep(
        &mut self,
        Batch(batch): &Batch,
        limits: &BTreeMap<Box<str>, Limit>,
        now: Moment,
    ) -> Result<usize, Fault> {
        let mut rows = batch.open_table(ROWS)?;
        let mut order = batch.open_table(ORDER)?;
        let mut counts = batch.open_table(COUNTS)?;
        let mut over = Vec::new();
        let mut seen = 0;
        let mut last = (0, 0);
        for entry in order.range(self.cursor..)?.take(STEP) {
            let (stamp, at) = entry?;
            (last, seen) = (stamp.value(), seen + 1);
            let Some(row) = rows.get(at.value())?.and_then(|row| Row::read(row.value())) else { continue };
            if row.is_over(limits.get(&row.journey), now) {
                over.push(at.value().to_vec());
            }
        }
        self.cursor = if seen < STEP { (0, 0) } else { (last.0, last.1 + 1) };
        let mut tables = Tables { rows: &mut rows, order: &mut order, counts: &mut counts, used: &mut self.used };
        for at in &over {
            tables.remove(at)?;
        }
        Ok(over.len())
    }

    /// What is kept, by journey, and when the oldest of it was kept.
    pub fn tallies(&self) -> Result<(Tallies, Option<Moment>), Fault> {
        let reading = self.base.begin_read()?;
        let mut all = BTreeMap::new();
        for entry in reading.open_table(COUNTS)?.iter()? {
            let (journey, count) = entry?;
            let (answers, bytes) = count.value();
            if answers > 0 {
                all.insert(journey.value().into(), Tally { answers, bytes });
            }
        }
        let order = reading.open_table(ORDER)?;
        let first = order.first()?;
        Ok((all, first.map(|(stamp, _)| Moment::from_unix_millis(stamp.value().0))))
    }

    /// What is said of each answer of an account.
    pub fn of(&self, account: Account) -> Result<Vec<(About, usize)>, Fault> {
        let reading = self.base.begin_read()?;
        let (rows, salts) = (reading.open_table(ROWS)?, reading.open_table(SALTS)?);
        let prefix = account.bits().to_be_bytes();
        let (from, to) = between(&prefix);
        let mut all = Vec::new();
        for entry in rows.range::<&[u8]>(from.as_slice()..to.as_slice())? {
            let (at, row) = entry?;
            let salt = match at.value().get(..24) {
                Some(owner) => salts.get(owner)?,
                None => None,
            };
            let opened = salt.and_then(|salt| Row::open(&self.sealer, salt.value(), at.value(), row.value()));
            all.extend(opened.map(|snapshot| (snapshot.about, snapshot.body.len())));
        }
        Ok(all)
    }

    /// Whether what was kept last was kept under this key. An empty file was.
    pub fn opens_with_this_key(&self) -> Result<bool, Fault> {
        let reading = self.base.begin_read()?;
        let (rows, salts) = (reading.open_table(ROWS)?, reading.open_table(SALTS)?);
        let order = reading.open_table(ORDER)?;
        let Some((_, at)) = order.last()? else { return Ok(true) };
        let (Some(row), Some(owner)) = (rows.get(at.value())?, at.value().get(..24)) else { return Ok(true) };
        let salt = salts.get(owner)?;
        Ok(salt.is_none_or(|salt| Row::open(&self.sealer, salt.value(), at.value(), row.value()).is_some()))
    }

    /// How long journeys have been contained.
    pub fn pauses(&self) -> Result<BTreeMap<Box<str>, Written>, Fault> {
        let reading = self.base.begin_read()?;
        let mut all = BTreeMap::new();
        for entry in reading.open_table(PAUSES)?.iter()? {
            let (journey, pause) = entry?;
            all.insert(journey.value().into(), pause.value());
        }
        Ok(all)
    }

    /// Notes how long journeys have been contained.
    pub fn note_pauses(&self, Batch(batch): &Batch, all: &BTreeMap<Box<str>, Written>) -> Result<(), Fault> {
        let mut pauses = batch.open_table(PAUSES)?;
        for (journey, pause) in all {
            pauses.insert(&**journey, *pause)?;
        }
        Ok(())
    }
}

/// The tables that change together.
struct Tables<'t, 'b> {
    rows: &'t mut Table<'b, Bytes, Bytes>,
    order: &'t mut Table<'b, (u64, u64), Bytes>,
    counts: &'t mut Table<'b, &'static str, (u64, u64)>,
    used: &'t mut u64,
}

impl Tables<'_, '_> {
    fn insert(&mut self, at: &[u8], row: &Row, sealed: &[u8]) -> Result<(), Fault> {
        self.rows.insert(at, sealed)?;
        self.order.insert(row.stamp, at)?;
        self.count(&row.journey, 1, sealed.len() as u64)?;
        Ok(())
    }

    /// Removes one answer, if it is there; one that cannot be read loses its place in the order when the sweep comes by.
    fn remove(&mut self, at: &[u8]) -> Result<(), Fault> {
        let Some((row, length)) = self.rows.remove(at)?.map(|row| (Row::read(row.value()), row.value().len())) else {
            return Ok(());
        };
        if let Some(row) = row {
            self.order.remove(row.stamp)?;
            self.count(&row.journey, -1, length as u64)?;
        }
        Ok(())
    }

    fn count(&mut self, journey: &str, by: i8, bytes: u64) -> Result<(), Fault> {
        let (answers, sum) = self.counts.get(journey)?.map_or((0, 0), |count| count.value());
        let (answers, sum, used) = if by > 0 {
            (answers + 1, sum + bytes, *self.used + bytes)
        } else {
            (answers.saturating_sub(1), sum.saturating_sub(bytes), self.used.saturating_sub(bytes))
        };
        self.counts.insert(journey, (answers, sum))?;
        *self.used = used;
        Ok(())
    }

    /// The one that was kept first.
    fn first(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some((stamp, at)) = self.order.first()?.map(|(stamp, at)| (stamp.value(), at.value().to_vec())) else {
            return Ok(None);
        };
        if self.rows.get(&at[..])?.is_none() {
            self.order.remove(stamp)?;
        }
        Ok(Some(at))
    }

    /// The keys that begin so, each with when it was kept and its length.
    fn below(&self, prefix: &[u8]) -> Result<Vec<Place>, Fault> {
        let (from, to) = between(prefix);
        let mut all = Vec::new();
        for entry in self.rows.range::<&[u8]>(from.as_slice()..to.as_slice())? {
            let (at, row) = entry?;
            let stamp = Row::read(row.value()).map_or((0, 0), |row| row.stamp);
            all.push((at.value().to_vec(), stamp, row.value().len()));
        }
        Ok(all)
    }

    /// Nobody has more than their share: their own oldest gives way.
    fn share(&mut self, owner: &[u8], newest: &[u8], largest: usize) -> Result<(), Fault> {
        let mut all = self.below(owner)?;
        let mut bytes: usize = all.iter().map(|(.., length)| length).sum();
        all.sort_unstable_by_key(|(_, stamp, _)| std::cmp::Reverse(*stamp));
        while all.len() > SHARE || bytes > largest.saturating_mul(8) {
            let Some((at, _, length)) = all.pop().filter(|(at, ..)| at != newest) else { return Ok(()) };
            bytes -= length;
            self.remove(&at)?;
        }
        Ok(())
    }
}

/// From where to where the keys with this beginning stand.
fn between(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut to = prefix.to_vec();
    to.resize(PageKey::LENGTH + 16, 0xff);
    (prefix.to_vec(), to)
}

fn private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Names;

    #[test]
    fn a_file_that_was_sealed_under_another_key_is_known_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = |key: u8| Disk::open(&dir.path().join(FILE), [key; 32], 1 << 20, 1 << 16).unwrap();
        let mut disk = open(1);
        assert!(disk.opens_with_this_key().unwrap());
        let now = Moment::from_unix_seconds(1_800_000_000);
        let about = About {
            host: "h".into(),
            target: "/".into(),
            journey: "balance".into(),
            language: None,
            kind: None,
            others: Vec::new(),
            as_of: now,
            paused: Duration::ZERO,
            at_most: None,
            fields: Vec::new(),
        };
        let key = PageKey::new(Names::new([1; 16]).owner("ada"), "h", "/");
        let batch = disk.begin().unwrap();
        let snapshot = Snapshot { about, body: bytes::Bytes::from_static(b"x") };
        disk.put(&batch, &key, &snapshot, (Duration::from_secs(60), now)).unwrap();
        disk.commit(batch).unwrap();
        drop(disk);
        assert!(!open(2).opens_with_this_key().unwrap());
        assert!(open(1).opens_with_this_key().unwrap());
    }
}
