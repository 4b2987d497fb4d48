//! How kept answers lie on the disk: AES-256-GCM under a key of their owner's own, which is made from the process's key and a
//! random salt. Without the salt nobody can make it again, so that to erase it is to erase them.
//!
//! It must never seal two answers under one key and nonce, and never open what was moved, changed or another owner's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;

/// Bytes of an owner's salt.
pub(super) const SALT: usize = 32;
/// What a sealed answer is longer by.
#[cfg(test)]
pub(super) const MORE: usize = NONCE_LEN + 16;

/// Seals and opens. Its key is never printed.
pub(super) struct Sealer([u8; 32]);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(key withheld)")
    }
}

/// Something that randomness or cryptography refused.
#[derive(Debug, thiserror::Error)]
#[error("the system's cryptography refused")]
pub(super) struct Refused;

impl Sealer {
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A salt that nobody has had.
    pub fn salt() -> Result<[u8; SALT], Refused> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).map_err(|_| Refused)?;
        Ok(salt)
    }

    fn key(&self, salt: &[u8]) -> Result<LessSafeKey, Refused> {
        let made = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let info = [&b"weir snapshot"[..]];
        let key = made.expand(&info, &AES_256_GCM).map_err(|_| Refused)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }

    /// Seals this text, bound to `place`.
    pub fn seal(&self, salt: &[u8], place: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Refused)?;
        let given = Nonce::assume_unique_for_key(nonce);
        self.key(salt)?.seal_in_place_append_tag(given, Aad::from(place), &mut text).map_err(|_| Refused)?;
        text.splice(..0, nonce);
        Ok(text)
    }

    /// Opens what was sealed for this place; nothing when it is not that.
    pub fn open(&self, salt: &[u8], place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let length = self.key(salt).ok()?.open_in_place(nonce, Aad::from(place), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_salt_and_place_open_what_was_sealed() {
        let (sealer, salt) = (Sealer::new([1; 32]), Sealer::salt().unwrap());
        let sealed = sealer.seal(&salt, b"here", b"body".to_vec()).unwrap();
        assert_eq!(sealed.len(), 4 + MORE);
        assert_eq!(sealer.open(&salt, b"here", &sealed).as_deref(), Some(&b"body"[..]));
        assert_eq!(sealer.open(&salt, b"there", &sealed), None);
        assert_eq!(sealer.open(&Sealer::salt().unwrap(), b"here", &sealed), None);
        assert_eq!(Sealer::new([2; 32]).open(&salt, b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open(&salt, b"here", &changed), None, "{at}");
            assert_eq!(sealer.open(&salt, b"here", &sealed[..at]), None, "{at}");
        }
        assert_ne!(sealer.seal(&salt, b"here", b"body".to_vec()).unwrap(), sealed, "another nonce each time");
    }
}
