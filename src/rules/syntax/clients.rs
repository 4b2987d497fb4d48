//! What is written of clients: the proofs of a class, keys by their digest, and what tells a channel.

use super::files::{ConditionFile, Text};
use super::playbooks::ClassWord;
use super::table::{Said, Written, Wrong, table};
use super::written::HeaderKey;
use crate::rules::clients::Attributes;
use crate::rules::diagnostic::{Code, codes};

table! {
    /// A proof of a class. Exactly one of `client_certificate`, `keys` and `jwt_claim`.
    ProofFile("a proof") {
        /// Attributes that the subject of a verified client certificate must have, as in "CN=tills, O=Shop". See `client_ca` in gateway.toml.
        client_certificate: Said<Subject> = optional;
        /// Attributes that the issuer of that certificate must have.
        issuer: Said<Subject> = optional;
        /// A rule file with `[[key]]` tables; whoever carries one of the keys has proved it.
        keys: Text = optional;
        /// The header that carries the key.
        header: Said<HeaderKey> = default("\"x-api-key\"");
        /// A claim of a verified bearer token.
        jwt_claim: ClaimFile = optional;
    }
}

table! {
    /// A claim of a verified bearer token.
    ClaimFile("jwt_claim") {
        /// Its name.
        name: Text = required;
        /// What it says. Of a list, one value is enough.
        equals: Text = required;
    }
}

table! {
    /// A key that a client may carry. The key itself is written nowhere.
    KeyFile("key") {
        /// Whose it is.
        name: Text = required;
        /// SHA-256 of the key, 64 hexadecimal digits.
        sha256: Said<Digest> = required;
    }
}

table! {
    /// Channels, asked in this order; a client of none comes through the web.
    ChannelsFile("channels") {
        /// The company's own app.
        app: ChannelFile = optional;
        /// A shop: tills, kiosks.
        store: ChannelFile = optional;
        /// The contact centre.
        desk: ChannelFile = optional;
    }
}

table! {
    /// What tells a channel. What is given must hold, and one of the two is given. A header is no proof: nothing may be easier for it.
    ChannelFile("a channel") {
        /// The client is of this class.
        class: Said<ClassWord> = optional;
        /// This holds.
        when: ConditionFile = optional;
    }
}

/// Attributes of a distinguished name.
#[derive(Debug, Clone)]
pub(crate) struct Subject(pub(crate) Attributes);

/// Attributes that a name may be asked for.
const ATTRIBUTES: usize = 16;

impl Written for Subject {
    const WHAT: &'static str = "attributes of a name, with commas between them";
    const EXAMPLE: &'static str = "CN=tills, O=Shop";
    const CODE: &'static Code = &codes::BAD_SUBJECT;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let help = "write the type of each, `=` and its value, for example \"CN=tills, O=Shop\"";
        let parsed = text.split(',').map(|part| {
            let (kind, value) = part.split_once('=')?;
            let (kind, value) = (kind.trim(), value.trim());
            let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
            (named && !value.is_empty()).then(|| (kind.to_ascii_uppercase().into(), value.into()))
        });
        match parsed.take(ATTRIBUTES + 1).collect::<Option<Attributes>>() {
            Some(all) if all.len() <= ATTRIBUTES => Ok(Self(all)),
            Some(_) => Err(Wrong::help(format!("a name has more than {ATTRIBUTES} attributes"), "name fewer")),
            None => Err(Wrong::help(format!("`{text:.80}` is not a name with attributes"), help)),
        }
    }
}

/// SHA-256 as hexadecimal digits.
#[derive(Debug, Clone)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl Written for Digest {
    const WHAT: &'static str = "64 hexadecimal digits";
    const EXAMPLE: &'static str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const CODE: &'static Code = &codes::BAD_DIGEST;

    fn parse(text: &str) -> Result<Self, Wrong> {
        // What was written is not repeated: it may be the key itself.
        let wrong = || {
            Wrong::help(
                "this is not a SHA-256 digest: it has 64 hexadecimal digits",
                "write the digest, never the key: `printf %s \"$KEY\" | sha256sum`",
            )
        };
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(pair[0] * 16 + pair[1]).unwrap_or(0);
        }
        Ok(Self(digest))
    }
}
