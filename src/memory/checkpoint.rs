//! One store on the disk: written beside the old file, made safe and renamed, so that a crash leaves the old one or the new one.
//!
//! A file says which store it is of, the layout of its records and the key that made its hashes, and ends with a digest of all
//! of it. It is believed whole or not at all: nothing enters a table before the last byte was checked. What is not believed is
//! put aside, loudly. It must never stop the process, never be longer in memory than one record, and never be written on the
//! request path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table::{Table, Worth};
use crate::clock::Moment;

const MAGIC: &[u8; 8] = b"WEIRKEPT";
/// The form of the file itself.
const FORM: u16 = 1;
/// Bytes of the longest record.
const LONGEST: usize = 4096;
const DIGEST: usize = 32;
/// Bytes that are read or written at once.
const BUFFER: usize = 256 * 1024;

/// A record that outlives the process. The fields of its default are its layout: a file with other fields is refused.
pub trait Record: Default + Serialize + DeserializeOwned {
    /// Another number when a field means something else under the same name.
    const VERSION: u16 = 1;
}

impl<V: Kept> Record for V {}

/// The value of a table that outlives the process.
pub trait Kept: Copy + Default + Worth + Serialize + DeserializeOwned {
    /// How long ago it was last used or changed.
    fn idle(&self, now: Moment) -> Duration;
}

/// Which file this is.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'n> {
    /// The store.
    pub store: &'n str,
    /// Tells the key under which the hashes were made, and nothing of it.
    pub key: u64,
}

/// Why a file is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The system.
    #[error("it cannot be read: {0}")]
    System(#[from] io::Error),
    /// It is something else, or of another store.
    #[error("it is no checkpoint of this store")]
    Foreign,
    /// Its hashes were made under a key that this process does not have.
    #[error("its hashes were made under another key than names.key")]
    Key,
    /// Its records have other fields.
    #[error("it was written by a version of Weir that remembers other things")]
    Layout,
    /// It ends too early, goes on after its end, or says what cannot be.
    #[error("it is torn at byte {0}")]
    Torn(u64),
    /// Something in it was changed.
    #[error("its digest does not hold: it was changed or damaged")]
    Digest,
}

/// The file of a store.
pub fn path(dir: &Path, store: &str) -> PathBuf {
    dir.join(format!("{store}.kept"))
}

/// What the records of a value look like: its version and the names of its fields.
fn layout<V: Record>() -> u64 {
    let mut names = serde_json::to_value(V::default()).map(|value| value.to_string()).unwrap_or_default();
    names.push_str(&format!("{} {}", V::VERSION, std::any::type_name::<V>().rsplit("::").next().unwrap_or_default()));
    let digest = digest::digest(&digest::SHA256, names.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn head<V: Record>(seal: Seal<'_>) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(FORM.to_le_bytes());
    head.extend(layout::<V>().to_le_bytes());
    head.extend(seal.key.to_le_bytes());
    head.push(u8::try_from(seal.store.len()).unwrap_or(u8::MAX));
    head.extend(seal.store.bytes().take(usize::from(u8::MAX)));
    head
}

/// Writes the table, whole, and says how many entries it had.
///
/// # Errors
/// When the system refuses any step; the old file stands.
pub fn write<V: Kept>(dir: &Path, seal: Seal<'_>, table: &Table<V>) -> io::Result<u64> {
    write_each(dir, seal, |each| table.for_each(each))
}

/// Writes every record that `all` shows, each with a key, and says how many they were.
///
/// # Errors
/// When the system refuses any step, or a record is longer than one may be; the old file stands.
pub fn write_each<V: Record>(dir: &Path, seal: Seal<'_>, all: impl FnOnce(&mut dyn FnMut(u64, &V))) -> io::Result<u64> {
    let (new, place) = (dir.join(format!("{}.kept.new", seal.store)), path(dir, seal.store));
    match fs::remove_file(&new) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let mut sum = digest::Context::new(&digest::SHA256);
    let mut put = |bytes: &[u8], sum: &mut digest::Context| {
        sum.update(bytes);
        out.write_all(bytes)
    };
    put(&head::<V>(seal), &mut sum)?;
    let (mut count, mut failed, mut record) = (0_u64, None, Vec::new());
    all(&mut |key, value| {
        if failed.is_some() {
            return;
        }
        record.clear();
        record.extend([0; 2]);
        record.extend(key.to_le_bytes());
        let encoded = postcard::to_io(value, &mut record).map(|_| ());
        let written = encoded.map_err(io::Error::other).and_then(|()| {
            let length = record.len() - 10;
            let length = u16::try_from(length).ok().filter(|length| (1..=LONGEST).contains(&usize::from(*length)));
            let length = length.ok_or_else(|| io::Error::other("a record has no length that can be written"))?;
            record[..2].copy_from_slice(&length.to_le_bytes());
            put(&record, &mut sum)
        });
        match written {
            Ok(()) => count += 1,
            Err(error) => failed = Some(error),
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    put(&0_u16.to_le_bytes(), &mut sum)?;
    put(&count.to_le_bytes(), &mut sum)?;
    out.write_all(sum.finish().as_ref())?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&new, &place)?;
    File::open(dir)?.sync_all()?;
    Ok(count)
}

/// Fills the table from its file, but for what has not been used for `keep`. `None` when there is no file.
///
/// # Errors
/// Why the file is not believed; the table is then as it was.
pub fn read<V: Kept>(
    dir: &Path,
    seal: Seal<'_>,
    table: &Table<V>,
    keep: Duration,
    now: Moment,
) -> Result<Option<u64>, Flaw> {
    let mut taken = 0;
    let found = read_each::<V>(dir, seal, |key, value| {
        taken += u64::from(value.idle(now) <= keep && table.put(key, now, value));
    })?;
    Ok(found.then_some(taken))
}

/// Shows every record of a file to `each`, in the order in which they were written, once all of it was checked. False when there
/// is no file.
///
/// # Errors
/// Why the file is not believed; nothing was shown then.
pub fn read_each<V: Record>(dir: &Path, seal: Seal<'_>, each: impl FnMut(u64, V)) -> Result<bool, Flaw> {
    let open = || match File::open(path(dir, seal.store)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let Some(file) = open()? else { return Ok(false) };
    walk::<V>(file, seal, |_, _| ())?;
    let Some(file) = open()? else { return Ok(false) };
    walk::<V>(file, seal, each)?;
    Ok(true)
}

/// Puts a file that is not believed out of the way, in place of the one before.
///
/// # Errors
/// When the system refuses.
pub fn put_aside(dir: &Path, store: &str) -> io::Result<PathBuf> {
    let aside = dir.join(format!("{store}.kept.bad"));
    fs::rename(path(dir, store), &aside)?;
    Ok(aside)
}

/// Bytes in order, each counted and summed.
struct Reader {
    file: BufReader<File>,
    sum: digest::Context,
    at: u64,
}

impl Reader {
    fn take(&mut self, into: &mut [u8]) -> Result<(), Flaw> {
        self.file.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Flaw::Torn(self.at),
            _ => Flaw::System(error),
        })?;
        self.sum.update(into);
        self.at += into.len() as u64;
        Ok(())
    }

    fn number<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Flaw> {
        let mut bytes = [0; BYTES];
        self.take(&mut bytes)?;
        Ok(bytes)
    }
}

/// Goes through a file, shows every record to `each`, and says at the end whether it holds.
fn walk<V: Record>(file: File, seal: Seal<'_>, mut each: impl FnMut(u64, V)) -> Result<(), Flaw> {
    let mut reader =
        Reader { file: BufReader::with_capacity(BUFFER, file), sum: digest::Context::new(&digest::SHA256), at: 0 };
    let wanted = head::<V>(seal);
    let begins = [reader.number::<8>()?.to_vec(), reader.number::<2>()?.to_vec()].concat();
    if begins != wanted[..10] {
        return Err(Flaw::Foreign);
    }
    let (layout, key) = (reader.number::<8>()?, reader.number::<8>()?);
    let mut store = vec![0; wanted.len() - 26];
    reader.take(&mut store)?;
    if store != wanted[26..] {
        return Err(Flaw::Foreign);
    }
    if layout != wanted[10..18] {
        return Err(Flaw::Layout);
    }
    if key != wanted[18..26] {
        return Err(Flaw::Key);
    }
    let mut record = [0; LONGEST];
    let mut count = 0_u64;
    loop {
        let length = usize::from(u16::from_le_bytes(reader.number()?));
        if length == 0 {
            break;
        }
        let key = u64::from_le_bytes(reader.number()?);
        let Some(bytes) = record.get_mut(..length) else { return Err(Flaw::Torn(reader.at)) };
        reader.take(bytes)?;
        let Ok((value, [])) = postcard::take_from_bytes::<V>(bytes) else { return Err(Flaw::Torn(reader.at)) };
        each(key, value);
        count += 1;
    }
    if u64::from_le_bytes(reader.number()?) != count {
        return Err(Flaw::Torn(reader.at));
    }
    let (end, sum) = (reader.at, reader.sum.clone().finish());
    let said: [u8; DIGEST] = reader.number()?;
    if said != sum.as_ref() {
        return Err(Flaw::Digest);
    }
    match reader.number::<1>() {
        Err(Flaw::Torn(_)) => Ok(()),
        Err(flaw) => Err(flaw),
        Ok(_) => Err(Flaw::Torn(end)),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Entry {
        seen: u32,
        times: [u16; 3],
    }

    impl Worth for Entry {
        fn worth(&self, _: Moment) -> u8 {
            1
        }
    }

    impl Kept for Entry {
        fn idle(&self, now: Moment) -> Duration {
            now.since(Moment::from_unix_seconds(u64::from(self.seen)))
        }
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Other {
        seen: u32,
        counts: [u16; 3],
    }

    impl Worth for Other {
        fn worth(&self, _: Moment) -> u8 {
            1
        }
    }

    impl Kept for Other {
        fn idle(&self, _: Moment) -> Duration {
            Duration::ZERO
        }
    }

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
    const SEAL: Seal<'_> = Seal { store: "entries", key: 7 };
    const LONG: Duration = Duration::from_secs(3600);

    fn entry(number: u64) -> Entry {
        Entry { seen: 1_800_000_000 - number as u32, times: [number as u16, 1, 2] }
    }

    fn written(dir: &Path, entries: u64) -> Table<Entry> {
        let table = Table::new(10_000);
        for number in 0..entries {
            table.put(number, NOW, entry(number));
        }
        assert_eq!(write(dir, SEAL, &table).unwrap(), entries);
        table
    }

    #[test]
    fn what_is_written_is_read_back_but_for_what_is_too_old() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 5000);
        let table = Table::new(10_000);
        assert_eq!(read(dir.path(), SEAL, &table, LONG, NOW).unwrap(), Some(3601));
        assert!((0..=3600).all(|number| table.read(number) == Some(entry(number))));
        assert_eq!(table.read(3601), None);
        let nothing: Table<Entry> = Table::new(64);
        assert_eq!(read(dir.path(), Seal { store: "absent", ..SEAL }, &nothing, LONG, NOW).unwrap(), None);
    }

    #[test]
    fn no_byte_can_be_changed_cut_off_or_added_and_nothing_of_it_enters() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 40);
        let file = path(dir.path(), SEAL.store);
        let good = fs::read(&file).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let table: Table<Entry> = Table::new(64);
            let said = read(dir.path(), SEAL, &table, LONG, NOW);
            assert!(table.is_empty());
            said.unwrap_err()
        };
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x41;
            refused(&bytes);
            assert!(matches!(refused(&good[..at]), Flaw::Torn(_)), "cut at {at}");
        }
        assert!(matches!(refused(&[&good[..], b"x"].concat()), Flaw::Torn(_)));
        fs::write(&file, &good).unwrap();
        let table: Table<Entry> = Table::new(64);
        assert_eq!(read(dir.path(), SEAL, &table, LONG, NOW).unwrap(), Some(40));
    }

    #[test]
    fn a_file_of_another_store_key_or_layout_says_which() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 3);
        let table: Table<Entry> = Table::new(64);
        let other: Table<Other> = Table::new(64);
        assert!(matches!(read(dir.path(), Seal { key: 8, ..SEAL }, &table, LONG, NOW), Err(Flaw::Key)));
        assert!(matches!(read(dir.path(), SEAL, &other, LONG, NOW), Err(Flaw::Layout)));
        fs::rename(path(dir.path(), SEAL.store), path(dir.path(), "another")).unwrap();
        assert!(matches!(read(dir.path(), Seal { store: "another", ..SEAL }, &table, LONG, NOW), Err(Flaw::Foreign)));
        let aside = put_aside(dir.path(), "another").unwrap();
        assert!(aside.ends_with("another.kept.bad") && !path(dir.path(), "another").exists());
    }
}
