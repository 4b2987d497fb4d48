//! What is looked up in a list: 64 bits of a password, of a name with its password, or of a name.
//!
//! A leaked password is public and is known by its SHA-1, as everybody publishes it. Who had it is not: names are hashed under a
//! key that lies in a file of its own, so that a list that is lost tells nothing. Keys and passwords are wiped when they go, and
//! must never be printed.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac, rand};
use zeroize::Zeroizing;

use crate::subject::account_name;

/// Bytes of a key.
const SECRET: usize = 32;
/// A key's file is no longer than this.
const LONGEST: u64 = 1024;

/// What stands for a secret in a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(pub(super) u64);

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(withheld)")
    }
}

impl Entry {
    /// A password: the first eight bytes of its SHA-1, as lists of leaked passwords have it.
    pub fn password(password: &[u8]) -> Self {
        Self::first(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password).as_ref())
    }

    /// A password whose SHA-1 begins so.
    pub const fn sha1(first: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(first))
    }

    fn first(hash: &[u8]) -> Self {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(hash) {
            *to = *from;
        }
        Self(u64::from_be_bytes(first))
    }

    /// Its 64 bits, for sorting many of them. They are no secret worth less than what they stand for.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Takes up bits that were sorted.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Tells one key from another, and says nothing about either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
    /// Others could read it.
    #[error(
        "the key {0} can be read by others: chmod 600 it, and build the lists anew with a new one if it ever lay open"
    )]
    Exposed(PathBuf),
    /// It is no key.
    #[error("{0} is not a key of lists: it holds one line of 64 hexadecimal digits, as `weir breach build` makes it")]
    Broken(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The key of lists that are about people.
pub struct Key {
    mac: hmac::Key,
    id: KeyId,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    fn of(secret: &[u8; SECRET]) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let id = KeyId(Entry::first(hmac::sign(&mac, b"weir breach key id").as_ref()).0.to_be_bytes());
        Self { mac, id }
    }

    /// The key in this file.
    ///
    /// # Errors
    /// When it cannot be read, can be read by others, or is no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let file = |cause| KeyError::File { path: path.to_owned(), cause };
        let open = fs::File::open(path).map_err(file)?;
        if open.metadata().map_err(file)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or(0)));
        open.take(LONGEST).read_to_string(&mut text).map_err(file)?;
        let secret = parse(&text).ok_or_else(|| KeyError::Broken(path.to_owned()))?;
        Ok(Self::of(&secret))
    }

    /// The key in this file, which is made, readable by its owner only, when there is none. Also whether it was made.
    ///
    /// # Errors
    /// As for [`Key::read`], and when it cannot be made.
    pub fn read_or_make(path: &Path) -> Result<(Self, bool), KeyError> {
        match Self::read(path) {
            Err(KeyError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                let mut secret = Zeroizing::new([0; SECRET]);
                rand::fill(&mut secret[..]).map_err(|_| KeyError::Random)?;
                write(path, &secret).map_err(|cause| KeyError::File { path: path.to_owned(), cause })?;
                Ok((Self::of(&secret), true))
            }
            read => read.map(|key| (key, false)),
        }
    }

    /// What tells it from other keys.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// A name with its password. The name as accounts are named, the password as it is.
    pub fn pair(&self, name: &str, password: &[u8]) -> Entry {
        self.hash(&[b"pair", account_name(name).as_bytes(), password])
    }

    /// An account.
    pub fn account(&self, name: &str) -> Entry {
        self.hash(&[b"account", account_name(name).as_bytes()])
    }

    /// The parts, each but the last ended by a NUL: no name holds one, and the password comes last.
    fn hash(&self, parts: &[&[u8]]) -> Entry {
        let mut context = hmac::Context::with_key(&self.mac);
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                context.update(&[0]);
            }
            context.update(part);
        }
        Entry::first(context.sign().as_ref())
    }
}

fn parse(text: &str) -> Option<Zeroizing<[u8; SECRET]>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let (Some(digits), None) = (lines.next().map(str::trim), lines.next()) else { return None };
    if digits.len() != 2 * SECRET {
        return None;
    }
    let mut secret = Zeroizing::new([0; SECRET]);
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(secret)
}

/// The value of a hexadecimal digit, in either case.
pub fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Made at once and whole, and never over another key.
fn write(path: &Path, secret: &[u8; SECRET]) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str("# The key of Weir's lists of leaked pairs and accounts. Keep it to yourself; without it the lists are of no use.\n");
    for byte in secret {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
    text.push('\n');
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_sha1() {
        // SHA-1 of "password" is 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8.
        assert_eq!(Entry::password(b"password"), Entry::sha1([0x5b, 0xaa, 0x61, 0xe4, 0xc9, 0xb9, 0x3f, 0x3f]));
    }

    #[test]
    fn a_name_is_hashed_as_accounts_are_named_and_a_password_as_it_is() {
        let key = Key::of(&[7; SECRET]);
        assert_eq!(key.pair(" Ada@Shop.example ", b"pw"), key.pair("ada@shop.example", b"pw"));
        assert_eq!(key.account("ÅSA"), key.account("åsa"));
        assert_ne!(key.pair("ada", b"pw"), key.pair("ada", b"PW"));
        assert_ne!(key.pair("ada", b"pw"), key.pair("adap", b"w"), "name and password are kept apart");
        assert_ne!(key.pair("ada", b"pw"), Key::of(&[8; SECRET]).pair("ada", b"pw"));
        assert_ne!(key.pair("ada", b""), key.account("ada"));
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_and_printed_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lists.key");
        assert!(matches!(Key::read(&path), Err(KeyError::File { .. })));
        let (made, new) = Key::read_or_make(&path).unwrap();
        assert!(new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, new) = Key::read_or_make(&path).unwrap();
        assert!(!new && again.id() == made.id() && again.account("ada") == made.account("ada"));
        let text = fs::read_to_string(&path).unwrap();
        let digits = text.lines().last().unwrap();
        assert!(digits.len() == 64 && !format!("{made:?}").contains(&digits[..8]));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::read_or_make(&path), Err(KeyError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for broken in ["", "12", &"zz".repeat(32), &format!("{digits}\n{digits}\n"), &"a".repeat(4096)] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(Key::read_or_make(&path), Err(KeyError::Broken(_))), "{broken:.20}");
        }
    }
}
