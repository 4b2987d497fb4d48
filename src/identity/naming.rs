//! The key of the hashes that stand for accounts, devices, networks and sessions, kept on the disk so that what is remembered means
//! the same after a restart.
//!
//! It is one key for as long as the memory lasts. It does not rotate beside the one before: what is remembered is nothing but
//! hashes under it, of names that nobody keeps, so that a new key is a new memory. Whoever wants that removes the file. The key
//! must never be printed, nor lie where others can read it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::signed::{KeyringError, exposed, put_in_place};
use crate::subject::Names;

/// The file in the data directory.
pub const FILE: &str = "names.key";

/// The file of the key that customers' kept answers are sealed under.
pub const SNAPSHOTS: &str = "snapshots.key";

/// Makes the hashes under the key of this data directory, which is made, readable by its owner only, when there is none.
///
/// # Errors
/// When it cannot be read or made, can be read by others, or is no key.
pub fn open(data: &Path) -> Result<Names, KeyringError> {
    let says = "The key of Weir's hashes. Keep it to yourself; without it what is remembered means nothing.";
    secret(&data.join(FILE), says).map(Names::new)
}

/// The key that kept answers are sealed under; made when there is none. Without it they are unreadable for ever.
///
/// # Errors
/// As [`open`].
pub fn snapshots_key(data: &Path) -> Result<[u8; 32], KeyringError> {
    let says = "The key of customers' kept answers. Keep it to yourself; without it they cannot be read.";
    secret(&data.join(SNAPSHOTS), says)
}

fn secret<const BYTES: usize>(path: &Path, says: &str) -> Result<[u8; BYTES], KeyringError> {
    let file = |cause| KeyringError::File { path: path.to_owned(), cause };
    match fs::File::open(path) {
        Ok(open) => {
            if exposed(&open.metadata().map_err(file)?) {
                return Err(KeyringError::Exposed(path.to_owned()));
            }
            let mut text = String::new();
            open.take(1024).read_to_string(&mut text).map_err(file)?;
            let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let key = lines.next().and_then(|line| URL_SAFE_NO_PAD.decode(line.trim()).ok());
            match (key.and_then(|key| <[u8; BYTES]>::try_from(key).ok()), lines.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(KeyringError::NoKey(path.to_owned())),
            }
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; BYTES];
            rand::fill(&mut key).map_err(|_| KeyringError::Random)?;
            let mut text = format!("# {says}\n");
            URL_SAFE_NO_PAD.encode_string(key, &mut text);
            text.push('\n');
            put_in_place(path, |file| file.write_all(text.as_bytes())).map_err(file)?;
            Ok(key)
        }
        Err(cause) => Err(file(cause)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_name_means_the_same_after_a_restart_and_elsewhere_nothing() {
        let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = open(here.path()).unwrap().account("ann@example.com");
        assert_eq!(open(here.path()).unwrap().account("Ann@Example.com "), first);
        assert_ne!(open(elsewhere.path()).unwrap().account("ann@example.com"), first);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(open(dir.path()), Err(KeyringError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for broken in ["", "short\n", "AAAAAAAAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAA\n", "\u{fffd}"] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(open(dir.path()), Err(KeyringError::NoKey(_))), "{broken:?}");
        }
    }
}
