//! A signature in compact form (RFC 7515), taken apart once: for access tokens, security events and proofs of possession.
//!
//! It must never believe an algorithm that its key does not have, and never say what was in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::keys::{KeySet, algorithm};

/// The parts of one.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub(super) head: Head,
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
}

/// What is read of a header.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Head {
    alg: String,
    pub(super) kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
    pub(super) jwk: Option<Value>,
}

impl Head {
    /// Its type, in lower case and without `application/` (RFC 7515, section 4.1.9).
    pub(super) fn kind(&self) -> Option<String> {
        let kind = self.typ.as_deref()?.to_ascii_lowercase();
        Some(kind.strip_prefix("application/").unwrap_or(&kind).to_owned())
    }
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// It is not one of this key's.
    Wrong,
    /// Nobody publishes a key that it could be of.
    NoSuchKey,
}

impl<'t> Jws<'t> {
    /// Takes it apart; nothing in it is believed yet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(token: &'t str) -> Result<Self, &'static str> {
        let (message, signature) = token.rsplit_once('.').ok_or("not a JWT")?;
        let (head, payload) = message.split_once('.').ok_or("not a JWT")?;
        if payload.contains('.') {
            return Err("not a JWT");
        }
        let head: Head = decode(head).ok_or("its header cannot be read")?;
        if head.crit.is_some() {
            return Err("it demands an extension that is not understood");
        }
        Ok(Self { head, message, payload, signature })
    }

    /// The algorithm that it claims.
    ///
    /// # Errors
    /// When it is none that is accepted.
    pub(super) fn algorithm(&self) -> Result<Algorithm, &'static str> {
        algorithm(&self.head.alg).ok_or("its algorithm is not accepted")
    }

    /// What it says, believed or not.
    pub(super) fn claims(&self) -> Option<Map<String, Value>> {
        decode(self.payload)
    }

    /// Whether this key made it.
    pub(super) fn is_of(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        matches!(jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm), Ok(true))
    }

    /// Whether one of these keys made it.
    ///
    /// # Errors
    /// When none did, or none could have.
    pub(super) fn is_of_one(&self, keys: &KeySet, algorithm: Algorithm) -> Result<(), Unsigned> {
        let mut found = false;
        let holds = keys.candidates(self.head.kid.as_deref(), algorithm).any(|key| {
            found = true;
            self.is_of(key, algorithm)
        });
        match (holds, found) {
            (true, _) => Ok(()),
            (false, true) => Err(Unsigned::Wrong),
            (false, false) => Err(Unsigned::NoSuchKey),
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
