//! Values that Weir signs, hands out and believes again: `kid.expiry.payload.mac`, the last two in base64url.
//!
//! The MAC is HMAC-SHA256 over the purpose and everything before it, compared in constant time. What its holder must not read is
//! sealed instead (`kid.expiry.sealed`, AES-256-GCM). A value made for one purpose is worth nothing for another. Keys rotate: the
//! one before is still believed. It must never print a key or leave its file readable by others.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smallvec::SmallVec;

use crate::clock::Moment;
use crate::swap::Swap;

/// What a signed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A device cookie.
    Device,
    /// Where to go after a step-up.
    ReturnTarget,
    /// A receipt for an agent or a customer.
    Receipt,
    /// A continuity pass.
    Pass,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Device => "weir device 1",
            Self::ReturnTarget => "weir return target 1",
            Self::Receipt => "weir receipt 1",
            Self::Pass => "weir continuity pass 1",
        }
    }
}

/// Why a signed value is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not in the form of a signed value.
    #[error("not a signed value")]
    Form,
    /// Its key is not one of ours (any more).
    #[error("signed with another key")]
    Key,
    /// It was not signed by us, or not for this purpose.
    #[error("the signature does not hold")]
    Forged,
    /// It was good once.
    #[error("expired")]
    Expired,
}

/// A signed value that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What was signed.
    pub payload: SmallVec<[u8; 64]>,
    /// Until when it is good.
    pub expires: Moment,
}

/// Longer values are refused before anything is computed.
const LONGEST: usize = 4096;
const SECRET: usize = 32;
const KID: usize = 8;

struct Key {
    kid: [u8; KID],
    secret: [u8; SECRET],
    mac: hmac::Key,
    /// Of values that are sealed. Made from the secret, so that one key is kept; the two uses never meet.
    seal: Option<LessSafeKey>,
}

impl Key {
    fn of(secret: [u8; SECRET]) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        // Eight digits of a MAC under the key itself: they name it and say nothing about it.
        let tag = hmac::sign(&mac, b"weir key id");
        let mut kid = [b'0'; KID];
        for (digit, byte) in kid.iter_mut().zip(tag.as_ref()) {
            *digit = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        let own = hmac::sign(&mac, b"weir seal");
        let seal = UnboundKey::new(&AES_256_GCM, own.as_ref()).ok().map(LessSafeKey::new);
        Self { kid, secret, mac, seal }
    }

    fn epoch(&self) -> u64 {
        u64::from_be_bytes(self.kid)
    }

    fn random() -> Result<Self, KeyringError> {
        let mut secret = [0; SECRET];
        rand::fill(&mut secret).map_err(|_| KeyringError::Random)?;
        Ok(Self::of(secret))
    }
}

struct Pair {
    current: Key,
    previous: Option<Key>,
}

impl Pair {
    fn named(&self, kid: &str) -> Option<&Key> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.kid == kid.as_bytes())
    }
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
    /// Others could read it.
    #[error("{0} can be read by others: chmod 600 it, and rotate the keys if it ever lay open")]
    Exposed(PathBuf),
    /// It is no keyring.
    #[error("{0} is not a keyring: remove it to begin with new keys (device cookies are then forgotten)")]
    Broken(PathBuf),
    /// It is not the key of hashes.
    #[error(
        "{0} is no key: put back the one that was there, or remove it to begin with a new one (everything that is remembered is then forgotten)"
    )]
    NoKey(PathBuf),
}

/// The keys: one that signs, and the one before, which is still believed.
#[derive(Clone)]
pub struct Keyring {
    keys: Swap<Pair>,
    epoch: Arc<AtomicU64>,
    file: Option<PathBuf>,
    rotating: Arc<Mutex<()>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(keys withheld)")
    }
}

impl Keyring {
    /// New keys that live only as long as the process.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, KeyringError> {
        Ok(Self::with(Pair { current: Key::random()?, previous: None }, None))
    }

    fn with(pair: Pair, file: Option<PathBuf>) -> Self {
        let epoch = Arc::new(AtomicU64::new(pair.current.epoch()));
        Self { keys: Swap::new(Arc::new(pair)), epoch, file, rotating: Arc::default() }
    }

    /// The keys of this file, which is made, readable by its owner only, when there is none.
    ///
    /// # Errors
    /// When it cannot be read or made, can be read by others, or is not a keyring.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let file = |cause| KeyringError::File { path: path.to_owned(), cause };
        match fs::File::open(path) {
            Ok(open) => {
                if exposed(&open.metadata().map_err(file)?) {
                    return Err(KeyringError::Exposed(path.to_owned()));
                }
                let mut text = String::new();
                open.take(1024).read_to_string(&mut text).map_err(file)?;
                let pair = parse(&text).ok_or_else(|| KeyringError::Broken(path.to_owned()))?;
                Ok(Self::with(pair, Some(path.to_owned())))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let pair = Pair { current: Key::random()?, previous: None };
                write(path, &pair).map_err(file)?;
                Ok(Self::with(pair, Some(path.to_owned())))
            }
            Err(cause) => Err(file(cause)),
        }
    }

    /// Begins to sign with a new key. What the current one signed is still believed; what the one before did is not.
    ///
    /// # Errors
    /// When the new keys cannot be kept; then nothing changes.
    pub fn rotate(&self) -> Result<(), KeyringError> {
        let _one_at_a_time = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = Pair { current: Key::random()?, previous: Some(Key::of(self.keys.load().current.secret)) };
        if let Some(path) = &self.file {
            write(path, &pair).map_err(|cause| KeyringError::File { path: path.clone(), cause })?;
        }
        let epoch = pair.current.epoch();
        self.keys.store(Arc::new(pair));
        self.epoch.store(epoch, Ordering::Release);
        Ok(())
    }

    /// Signs a payload for one purpose, good until `expires` (whole seconds).
    pub fn sign(&self, purpose: Purpose, payload: &[u8], expires: Moment) -> String {
        let keys = self.keys.load();
        let mut value = String::with_capacity(KID + 12 + payload.len() * 4 / 3 + 48);
        value.extend(keys.current.kid.iter().copied().map(char::from));
        value.push('.');
        value += &expires.unix_seconds().to_string();
        value.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut value);
        let tag = hmac::sign(&keys.current.mac, &message(purpose, &value));
        value.push('.');
        URL_SAFE_NO_PAD.encode_string(tag.as_ref(), &mut value);
        value
    }

    /// Opens a value that was signed for this purpose.
    ///
    /// # Errors
    /// Why it is not believed. The signature is checked before the expiry, so that `Expired` was once good.
    pub fn open_value(&self, purpose: Purpose, value: &str, now: Moment) -> Result<Opened, Flaw> {
        if value.len() > LONGEST {
            return Err(Flaw::Form);
        }
        let (signed, tag) = value.rsplit_once('.').ok_or(Flaw::Form)?;
        let mut parts = signed.split('.');
        let (Some(kid), Some(expiry), Some(payload), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Flaw::Form);
        };
        let keys = self.keys.load();
        let key = keys.named(kid).ok_or(Flaw::Key)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| Flaw::Form)?;
        hmac::verify(&key.mac, &message(purpose, signed), &tag).map_err(|_| Flaw::Forged)?;
        let expires = expiry.parse().map(Moment::from_unix_seconds).map_err(|_| Flaw::Form)?;
        if expires <= now {
            return Err(Flaw::Expired);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Flaw::Form)?;
        Ok(Opened { payload: SmallVec::from_vec(payload), expires })
    }

    /// Seals a payload for one purpose, good until `expires` (whole seconds): nobody else can read it. `None` when the system gives no
    /// random numbers.
    pub fn seal(&self, purpose: Purpose, payload: &[u8], expires: Moment) -> Option<String> {
        let keys = self.keys.load();
        let mut head = String::with_capacity(KID + 12);
        head.extend(keys.current.kid.iter().copied().map(char::from));
        head.push('.');
        head += &expires.unix_seconds().to_string();
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = payload.to_vec();
        let key = keys.current.seal.as_ref()?;
        let bound = message(purpose, &head);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&bound[..]), &mut sealed).ok()?;
        sealed.splice(..0, nonce);
        head.push('.');
        URL_SAFE_NO_PAD.encode_string(sealed, &mut head);
        Some(head)
    }

    /// Opens a value that was sealed for this purpose.
    ///
    /// # Errors
    /// Why it is not believed, as [`Self::open_value`].
    pub fn unseal(&self, purpose: Purpose, value: &str, now: Moment) -> Result<Opened, Flaw> {
        if value.len() > LONGEST {
            return Err(Flaw::Form);
        }
        let (head, sealed) = value.rsplit_once('.').ok_or(Flaw::Form)?;
        let (kid, expiry) = head.split_once('.').ok_or(Flaw::Form)?;
        let keys = self.keys.load();
        let key = keys.named(kid).and_then(|key| key.seal.as_ref()).ok_or(Flaw::Key)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Flaw::Form)?;
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Flaw::Form)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Flaw::Form)?;
        let mut rest = SmallVec::<[u8; 64]>::from_slice(rest);
        let bound = message(purpose, head);
        let length = key.open_in_place(nonce, Aad::from(&bound[..]), &mut rest).map_err(|_| Flaw::Forged)?.len();
        rest.truncate(length);
        let expires = expiry.parse().map(Moment::from_unix_seconds).map_err(|_| Flaw::Form)?;
        if expires <= now { Err(Flaw::Expired) } else { Ok(Opened { payload: rest, expires }) }
    }

    /// A number that changes with the keys, for caches of what was believed under them.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }
}

fn message(purpose: Purpose, signed: &str) -> SmallVec<[u8; 192]> {
    let mut message = SmallVec::new();
    message.extend_from_slice(purpose.word().as_bytes());
    message.push(0);
    message.extend_from_slice(signed.as_bytes());
    message
}

/// One key a line, the current one first.
fn parse(text: &str) -> Option<Pair> {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut key = || -> Option<Option<Key>> {
        let Some(line) = lines.next() else { return Some(None) };
        let secret = URL_SAFE_NO_PAD.decode(line.trim()).ok()?;
        Some(Some(Key::of(secret.try_into().ok()?)))
    };
    let current = key()??;
    let previous = key()?;
    match key()? {
        Some(_) => None,
        None => Some(Pair { current, previous }),
    }
}

/// Written beside it and renamed, so that a crash leaves the old keys or the new ones.
fn write(path: &Path, pair: &Pair) -> io::Result<()> {
    let mut text =
        String::from("# Weir's keys for signed values: the current one, then the one before. Keep it to yourself.\n");
    for key in std::iter::once(&pair.current).chain(&pair.previous) {
        URL_SAFE_NO_PAD.encode_string(key.secret, &mut text);
        text.push('\n');
    }
    put_in_place(path, |file| file.write_all(text.as_bytes()))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn put_in_place(path: &Path, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    let mut file = private(&beside)?;
    fill(&mut file)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename itself is kept once the directory is.
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
pub(super) fn exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
pub(super) fn exposed(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    fn later() -> Moment {
        NOW.plus(Duration::from_secs(60))
    }

    #[test]
    fn a_value_is_believed_for_its_purpose_and_its_time_only() {
        let keys = Keyring::random().unwrap();
        let value = keys.sign(Purpose::Device, b"payload", later());
        let opened = keys.open_value(Purpose::Device, &value, NOW).unwrap();
        assert_eq!((&opened.payload[..], opened.expires), (&b"payload"[..], later()));
        assert_eq!(keys.open_value(Purpose::Receipt, &value, NOW), Err(Flaw::Forged));
        assert_eq!(keys.open_value(Purpose::Device, &value, later()), Err(Flaw::Expired));
    }

    #[test]
    fn no_byte_of_a_value_can_be_changed() {
        let keys = Keyring::random().unwrap();
        let value = keys.sign(Purpose::Device, b"payload", later());
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(keys.open_value(Purpose::Device, &changed, NOW).is_err(), "{changed}");
        }
        for nonsense in ["", ".", "...", "....", "a.b.c.d", &"x".repeat(5000)] {
            assert!(keys.open_value(Purpose::Device, nonsense, NOW).is_err());
        }
    }

    #[test]
    fn what_is_sealed_is_read_by_nobody_else_and_no_byte_of_it_can_be_changed() {
        let keys = Keyring::random().unwrap();
        let value = keys.seal(Purpose::Pass, b"payload", later()).unwrap();
        assert_eq!(&keys.unseal(Purpose::Pass, &value, NOW).unwrap().payload[..], b"payload");
        assert!(!value.contains(&URL_SAFE_NO_PAD.encode(b"payload")));
        assert_ne!(keys.seal(Purpose::Pass, b"payload", later()).unwrap(), value, "another nonce each time");
        assert_eq!(keys.unseal(Purpose::Device, &value, NOW), Err(Flaw::Forged));
        assert_eq!(keys.unseal(Purpose::Pass, &value, later()), Err(Flaw::Expired));
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(keys.unseal(Purpose::Pass, &changed, NOW).is_err(), "{changed}");
            assert!(keys.unseal(Purpose::Pass, &value[..at], NOW).is_err(), "{at}");
        }
        let signed = keys.sign(Purpose::Pass, b"payload", later());
        assert!(
            keys.unseal(Purpose::Pass, &signed, NOW).is_err() && keys.open_value(Purpose::Pass, &value, NOW).is_err()
        );
        keys.rotate().unwrap();
        assert!(keys.unseal(Purpose::Pass, &value, NOW).is_ok());
        keys.rotate().unwrap();
        assert_eq!(keys.unseal(Purpose::Pass, &value, NOW), Err(Flaw::Key));
    }

    #[test]
    fn rotating_once_keeps_what_was_signed_and_rotating_twice_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let keys = Keyring::open(&path).unwrap();
        let value = keys.sign(Purpose::Device, b"x", later());
        keys.rotate().unwrap();
        assert!(keys.open_value(Purpose::Device, &value, NOW).is_ok());
        let again = Keyring::open(&path).unwrap();
        assert!(again.open_value(Purpose::Device, &value, NOW).is_ok());
        assert_eq!(again.epoch(), keys.epoch());
        again.rotate().unwrap();
        assert_eq!(again.open_value(Purpose::Device, &value, NOW), Err(Flaw::Key));
    }

    #[cfg(unix)]
    #[test]
    fn a_keyring_that_others_can_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        Keyring::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Keyring::open(&path), Err(KeyringError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for broken in ["", "short\n", "a\nb\nc\n"] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(Keyring::open(&path), Err(KeyringError::Broken(_))), "{broken:?}");
        }
    }

    #[test]
    fn a_keyring_prints_no_key() {
        assert_eq!(format!("{:?}", Keyring::random().unwrap()), "Keyring(keys withheld)");
    }
}
