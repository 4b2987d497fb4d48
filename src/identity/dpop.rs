//! Proof of possession (RFC 9449, RFC 8705): a token that is bound to a key is worth nothing without that key, shown on this
//! very request.
//!
//! It must never take a proof twice, for another request, or for another token; and never trust a key because it came along.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::jws::Jws;
use super::keys::bound_key;
use super::token::{LEEWAY, moment};
use crate::clock::Moment;
use crate::subject::Names;

/// How old a proof may be: a phone's clock is seldom minutes off, and a proof is used within seconds.
const WINDOW: Duration = Duration::from_secs(300);
/// Proofs that were taken and are not too old yet. The loser is the least asked for: it could be sent again within its five
/// minutes, by somebody who reads TLS.
const REMEMBERED: usize = 65_536;
/// Longer proofs are refused before anything is computed.
const LONGEST: usize = 8 * 1024;
/// Longer identifiers are not kept.
const LONGEST_ID: usize = 512;

/// What a token is bound to (`cnf`, RFC 7800).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The thumbprint of a key (`jkt`, RFC 9449).
    key: Option<[u8; 32]>,
    /// The thumbprint of a certificate (`x5t#S256`, RFC 8705).
    certificate: Option<[u8; 32]>,
}

impl Binding {
    /// What this claim binds to.
    ///
    /// # Errors
    /// When it binds in a way that is not understood: such a token cannot be believed.
    pub(super) fn read(cnf: &Value) -> Result<Self, &'static str> {
        const UNCLEAR: &str = "it is bound in a way that is not understood";
        let cnf = cnf.as_object().ok_or(UNCLEAR)?;
        let thumbprint = |name: &str| match cnf.get(name) {
            None => Ok(None),
            Some(said) => said.as_str().and_then(thumbprint).map(Some).ok_or(UNCLEAR),
        };
        let binding = Self { key: thumbprint("jkt")?, certificate: thumbprint("x5t#S256")? };
        match binding {
            Self { key: None, certificate: None } => Err(UNCLEAR),
            _ => Ok(binding),
        }
    }

    /// The thumbprint of the key that a proof shows, if it is bound to one.
    pub const fn key(&self) -> Option<[u8; 32]> {
        self.key
    }

    /// Whether it is bound to a key that a proof shows.
    pub const fn is_to_a_key(&self) -> bool {
        self.key.is_some()
    }
}

fn thumbprint(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The request that a proof must be for.
#[derive(Clone, Copy)]
pub struct Asked<'r> {
    /// Its method.
    pub method: &'r str,
    /// The client's own connection is TLS.
    pub https: bool,
    /// The host that it is for, lower case, with its port unless that is the scheme's own.
    pub authority: &'r dyn std::fmt::Display,
    /// Its path, as it was sent.
    pub path: &'r str,
    /// The thumbprint of the client certificate of this very connection, where no proxy stands between.
    pub certificate: Option<[u8; 32]>,
}

/// Why a bound token is worth nothing on this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// The proof is missing or does not hold (`invalid_dpop_proof`).
    Proof(&'static str),
    /// The token is bound to a key and not brought so, or the other way round (`invalid_token`).
    Key(&'static str),
    /// The token is bound to a certificate that this connection did not show (`invalid_token`, RFC 8705, section 3).
    Certificate(&'static str),
}

impl std::fmt::Display for Unbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Proof(says) | Self::Key(says) | Self::Certificate(says)) = self;
        f.write_str(says)
    }
}

/// What proofs may be signed with, for a challenge (RFC 9449, section 7.1).
pub const ALGORITHMS: &str = "ES256 ES384 EdDSA RS256 PS256";

/// Checks proofs, and remembers those that were taken.
#[derive(Debug)]
pub struct Proofs {
    taken: Cache<u64, Moment>,
    names: Names,
}

impl Proofs {
    pub(super) fn new(names: Names) -> Self {
        Self { taken: Cache::new(REMEMBERED), names }
    }

    /// Whether what this token is bound to was shown on this request.
    ///
    /// # Errors
    /// What is missing or does not hold.
    pub(super) fn check(
        &self,
        binding: Binding,
        token: &str,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        now: Moment,
    ) -> Result<(), Unbound> {
        if let Some(certificate) = binding.certificate
            && asked.certificate != Some(certificate)
        {
            return Err(Unbound::Certificate("it is bound to a certificate that this connection did not show"));
        }
        match binding.key {
            None => Ok(()),
            Some(key) => self.proof(Some(key), token, headers, asked, now).map(drop).map_err(Unbound::Proof),
        }
    }

    /// The thumbprint of the key that is shown on this request, whatever the token that it is for is worth by now.
    pub(super) fn shown(&self, token: &str, headers: &HeaderMap, asked: &Asked<'_>, now: Moment) -> Option<[u8; 32]> {
        self.proof(None, token, headers, asked, now).ok()
    }

    fn proof(
        &self,
        key: Option<[u8; 32]>,
        token: &str,
        headers: &HeaderMap,
        asked: &Asked<'_>,
        now: Moment,
    ) -> Result<[u8; 32], &'static str> {
        let mut fields = headers.get_all("dpop").iter();
        let field = fields.next().ok_or("there is no proof")?;
        if fields.next().is_some() {
            return Err("there are two proofs");
        }
        let text = field.to_str().ok().filter(|text| text.len() <= LONGEST).ok_or("not a JWT")?;
        let proof = Jws::read(text)?;
        if proof.head.kind().as_deref() != Some("dpop+jwt") {
            return Err("it is another kind of token");
        }
        let algorithm = proof.algorithm()?;
        let shown = bound_key(proof.head.jwk.as_ref().ok_or("it shows no key")?).ok_or("its key cannot be used")?;
        if key.is_some_and(|key| shown.thumbprint != key) {
            return Err("it is by another key than the token is bound to");
        }
        if !shown.may_verify(algorithm) || !proof.is_of(shown.key(), algorithm) {
            return Err("its signature does not hold");
        }
        let claims = proof.claims().ok_or("its claims cannot be read")?;
        let id = self.is_for(&claims, token, asked, now)?;
        // One who comes first wins, also of two workers: whoever puts it in has taken it.
        let mut first = false;
        let by = self.names.key(&[b"dpop", &shown.thumbprint, id.as_bytes()]);
        let made = || -> Result<Moment, std::convert::Infallible> {
            first = true;
            Ok(now)
        };
        let _taken = self.taken.get_or_insert_with(&by, made);
        if first { Ok(shown.thumbprint) } else { Err("it was used before") }
    }

    /// Whether the proof is for this request and this token; its identifier.
    fn is_for<'c>(
        &self,
        claims: &'c Map<String, Value>,
        token: &str,
        asked: &Asked<'_>,
        now: Moment,
    ) -> Result<&'c str, &'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("htm") != Some(asked.method) {
            return Err("it is for another method");
        }
        if !text("htu").is_some_and(|htu| is_same_address(htu, asked)) {
            return Err("it is for another address");
        }
        let made = moment(claims.get("iat")).ok_or("it does not say when it was made")?;
        if made > now.plus(LEEWAY) || now.since(made) > WINDOW {
            return Err("it is too old, or from the future");
        }
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
        if text("ath") != Some(&*hash) {
            return Err("it is for another token");
        }
        text("jti").filter(|id| !id.is_empty() && id.len() <= LONGEST_ID).ok_or("it has no identifier")
    }
}

/// Whether `htu` names what was asked for: scheme, host, port and path, without query and fragment (RFC 9449, section 4.3).
fn is_same_address(htu: &str, asked: &Asked<'_>) -> bool {
    let Ok(named) = htu.parse::<http::Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (named.scheme_str(), named.authority()) else { return false };
    let (own, port) = if asked.https { ("https", 443) } else { ("http", 80) };
    let host = authority.host().to_ascii_lowercase();
    let said = match authority.port_u16() {
        Some(said) if said != port => format!("{host}:{said}"),
        Some(_) | None => host,
    };
    let path = if named.path().is_empty() { "/" } else { named.path() };
    scheme.eq_ignore_ascii_case(own)
        && !authority.as_str().contains('@')
        && said == asked.authority.to_string()
        && path == asked.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_the_same_whatever_its_default_port_query_and_case_of_host() {
        let asked = |path: &'static str, authority: &'static &'static str| Asked {
            method: "GET",
            https: true,
            authority,
            path,
            certificate: None,
        };
        let plain = asked("/balance", &"shop.example");
        for same in ["https://shop.example/balance", "HTTPS://Shop.Example:443/balance?x=1#y"] {
            assert!(is_same_address(same, &plain), "{same}");
        }
        for other in [
            "http://shop.example/balance",
            "https://shop.example:8443/balance",
            "https://shop.example/Balance",
            "https://shop.example/balance/",
            "https://a@shop.example/balance",
            "https://shop.example.evil.example/balance",
            "/balance",
            "",
        ] {
            assert!(!is_same_address(other, &plain), "{other}");
        }
        assert!(is_same_address("https://shop.example:8443", &asked("/", &"shop.example:8443")));
    }

    #[test]
    fn a_binding_that_is_not_understood_is_none() {
        let print = URL_SAFE_NO_PAD.encode([7; 32]);
        assert!(Binding::read(&json!({ "jkt": print })).is_ok_and(|binding| binding.is_to_a_key()));
        assert!(Binding::read(&json!({ "x5t#S256": print })).is_ok_and(|binding| !binding.is_to_a_key()));
        for unclear in [json!({}), json!({"kid": "a"}), json!({"jkt": "short"}), json!({"jkt": 1}), json!("jkt")] {
            assert!(Binding::read(&unclear).is_err(), "{unclear}");
        }
    }
}
