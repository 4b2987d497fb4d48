//! The issuer's keys (JWKS, RFC 7517): fetched and refreshed in the background, swapped whole, read without waiting.
//!
//! A failed fetch leaves the keys that stand. It must never be waited for by a request, never take a key that could verify
//! with a secret, and never let strangers make it fetch more often than its bound.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::confidence::Why;
use crate::rules::ruleset::JwksSource;
use crate::swap::Swap;

/// How often keys are refreshed.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// Keys older than this are stale: the issuer has been out of reach for a day.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// A token with an unknown key may ask for a refresh this often, and no more.
const ASKED: Duration = Duration::from_secs(30);
/// After a failure: at first this long, doubled each time, up to [`EVERY`].
const RETRY: Duration = Duration::from_secs(1);
/// One fetch takes at most this long ...
const LONGEST: Duration = Duration::from_secs(10);
/// ... and this many bytes.
const LARGEST: usize = 1024 * 1024;
/// More keys than this in one set are not an issuer's.
const MOST: usize = 64;

/// One public key, and the algorithms that it may verify.
struct PublicKey {
    kid: Option<Box<str>>,
    algorithms: &'static [Algorithm],
    only: Option<Algorithm>,
    key: DecodingKey,
}

/// All keys of an issuer.
#[derive(Default)]
pub struct KeySet(Vec<PublicKey>);

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.kid.as_deref().unwrap_or("(no kid)"))).finish()
    }
}

impl KeySet {
    /// The keys of a JWKS document. Keys of kinds that we do not verify with are left out.
    ///
    /// # Errors
    /// When it is no JWKS, has too many keys, or none that can verify.
    pub fn parse(document: &[u8]) -> Result<Self, &'static str> {
        #[derive(serde::Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = serde_json::from_slice(document).map_err(|_| "it is not a JWKS document")?;
        if document.keys.len() > MOST {
            return Err("it has more than 64 keys");
        }
        let keys: Vec<_> = document.keys.into_iter().filter_map(public_key).collect();
        if keys.is_empty() { Err("it has no key that can verify signatures") } else { Ok(Self(keys)) }
    }

    /// The keys that may verify a token with this header. Without a `kid` there must be no choice.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        let fits = move |key: &&PublicKey| {
            key.algorithms.contains(&algorithm) && key.only.is_none_or(|only| only == algorithm)
        };
        let named = move |key: &&PublicKey| kid.is_some() && key.kid.as_deref() == kid;
        let alone = kid.is_none() && self.0.iter().filter(fits).count() == 1;
        self.0.iter().filter(fits).filter(move |key| alone || named(key)).take(4).map(|key| &key.key)
    }
}

#[derive(serde::Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn public_key(jwk: serde_json::Value) -> Option<PublicKey> {
    let jwk: Jwk = serde_json::from_value(jwk).ok()?;
    if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    if jwk.key_ops.as_ref().is_some_and(|ops| ops.iter().all(|op| op != "verify")) {
        return None;
    }
    // Symmetric keys (`oct`) are in no arm: a secret in a public document is no secret.
    let (algorithms, key): (&'static [Algorithm], _) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (jwk.n?, jwk.e?);
            let bytes = URL_SAFE_NO_PAD.decode(&n).ok()?;
            let bytes = bytes.iter().skip_while(|byte| **byte == 0).count();
            if !(256..=1024).contains(&bytes) {
                return None;
            }
            use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
            (&[RS256, RS384, RS512, PS256, PS384, PS512], DecodingKey::from_rsa_components(&n, &e).ok()?)
        }
        ("EC", Some("P-256")) => (&[Algorithm::ES256], DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?),
        ("EC", Some("P-384")) => (&[Algorithm::ES384], DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?),
        ("OKP", Some("Ed25519")) => (&[Algorithm::EdDSA], DecodingKey::from_ed_components(&jwk.x?).ok()?),
        _ => return None,
    };
    let only = match jwk.alg {
        None => None,
        Some(named) => Some(algorithm(&named).filter(|only| algorithms.contains(only))?),
    };
    Some(PublicKey { kid: jwk.kid.map(Into::into), algorithms, only, key })
}

/// A key that came along with what it signed: worth something only where something else names its thumbprint.
pub(super) struct BoundKey {
    key: PublicKey,
    /// RFC 7638, under SHA-256.
    pub(super) thumbprint: [u8; 32],
}

impl BoundKey {
    /// Whether a signature of this algorithm may be by it.
    pub(super) fn may_verify(&self, algorithm: Algorithm) -> bool {
        self.key.algorithms.contains(&algorithm) && self.key.only.is_none_or(|only| only == algorithm)
    }

    pub(super) const fn key(&self) -> &DecodingKey {
        &self.key.key
    }
}

/// The key of a `jwk` header; none when it holds its secret too.
pub(super) fn bound_key(jwk: &serde_json::Value) -> Option<BoundKey> {
    const SECRET: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
    let members = jwk.as_object()?;
    if SECRET.iter().any(|secret| members.contains_key(*secret)) {
        return None;
    }
    let key = public_key(jwk.clone())?;
    let required: &[&str] = match members.get("kty")?.as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    // In the order of their names, without space: what a thumbprint is made of.
    let pairs = required.iter().map(|name| Some(format!("\"{name}\":{}", members.get(*name)?)));
    let text = format!("{{{}}}", pairs.collect::<Option<Vec<_>>>()?.join(","));
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().try_into().ok()?;
    Some(BoundKey { key, thumbprint })
}

/// The algorithms that are believed: public keys only, never `none`, never HMAC (RFC 8725, section 3.1).
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// The keys as all workers share them.
#[derive(Debug)]
pub struct Keys {
    set: Swap<KeySet>,
    document: Mutex<Bytes>,
    generation: AtomicU64,
    fetched: AtomicU64,
    asked: AtomicU64,
    wanted: Notify,
    trouble: Mutex<Option<String>>,
    failing: AtomicBool,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            set: Swap::new(Arc::default()),
            document: Mutex::default(),
            generation: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            wanted: Notify::new(),
            trouble: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }
}

impl Keys {
    /// Takes in a document that was fetched now. The keys change, and their generation with them, only when it does.
    ///
    /// # Errors
    /// When it holds no keys; those that stand stay.
    pub fn install(&self, document: &[u8], now: Moment) -> Result<(), &'static str> {
        let mut kept = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        if &kept[..] != document {
            let set = KeySet::parse(document)?;
            *kept = Bytes::copy_from_slice(document);
            self.set.store(Arc::new(set));
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        self.fetched.store(now.unix_millis().max(1), Ordering::Release);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.failing.store(false, Ordering::Release);
        Ok(())
    }

    /// Whether tokens can be verified at all.
    ///
    /// # Errors
    /// `Down` before the first fetch, `Stale` when the last is a day old.
    pub fn usable(&self, now: Moment) -> Result<(), Why> {
        match self.age(now) {
            None => Err(Why::Down),
            Some(age) if age > STALE => Err(Why::Stale),
            Some(_) => Ok(()),
        }
    }

    /// How long ago the keys were last fetched; none before the first time.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        match self.fetched.load(Ordering::Acquire) {
            0 => None,
            fetched => Some(now.since(Moment::from_unix_millis(fetched))),
        }
    }

    /// Why the last fetch failed, if it did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last fetch failed.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Counts the changes of the keys: what was verified under another generation is verified again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn set(&self) -> Arc<KeySet> {
        self.set.load()
    }

    /// A token names a key that is not here. Asks for a refresh, at most one in 30 seconds; false when the keys are so fresh
    /// that the key does not exist.
    pub(super) fn ask(&self, now: Moment) -> bool {
        if self.age(now).is_some_and(|age| age < ASKED) {
            return false;
        }
        let last = self.asked.load(Ordering::Acquire);
        let due = now.since(Moment::from_unix_millis(last)) >= ASKED;
        if due && self.asked.compare_exchange(last, now.unix_millis(), Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wanted.notify_one();
        }
        true
    }

    fn failed(&self, trouble: String) {
        tracing::warn!(trouble, "the issuer's keys could not be fetched; those that stand are kept");
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        self.failing.store(true, Ordering::Release);
    }
}

/// Why one fetch failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Document(&'static str),
    #[error("{0}: {1}")]
    File(std::path::PathBuf, #[source] std::io::Error),
    #[error("the address is not one: {0}")]
    Address(#[from] http::uri::InvalidUri),
    #[error("no answer within 10 seconds")]
    Slow,
    #[error("{0}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer was {0}")]
    Status(http::StatusCode),
    #[error("the answer broke off or was larger than 1 MiB")]
    Body,
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Keeps the keys fresh until `stop` is ready: at once, then every five minutes, sooner after a failure or when a token
/// names a key that is not here.
pub async fn keep(keys: Arc<Keys>, source: JwksSource, clock: Clock, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut retry = RETRY;
    let mut client = None;
    loop {
        let fetch = tokio::time::timeout(LONGEST, fetch(&source, &mut client));
        let fetched = tokio::select! {
            () = &mut stop => return,
            fetched = fetch => fetched.unwrap_or(Err(Failure::Slow)),
        };
        let installed = fetched.and_then(|document| keys.install(&document, clock.now()).map_err(Failure::Document));
        let pause = match installed {
            Ok(()) => {
                retry = RETRY;
                EVERY
            }
            Err(failure) => {
                keys.failed(failure.to_string());
                let pause = retry;
                retry = (retry * 2).min(EVERY);
                pause
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
            () = keys.wanted.notified() => {}
        }
    }
}

type Fetcher = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

async fn fetch(source: &JwksSource, client: &mut Option<Fetcher>) -> Result<Bytes, Failure> {
    match source {
        JwksSource::File(path) => from_file(path).await.map_err(|cause| Failure::File(path.clone(), cause)),
        JwksSource::Url(address) => {
            let address: http::Uri = address.parse()?;
            let client = match client {
                Some(client) => client,
                None => client.insert(fetcher()?),
            };
            let answer = client.get(address).await?;
            if answer.status() != http::StatusCode::OK {
                return Err(Failure::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|_| Failure::Body)?;
            Ok(body.to_bytes())
        }
    }
}

async fn from_file(path: &Path) -> std::io::Result<Bytes> {
    let mut document = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    tokio::fs::File::open(path).await?.take(most).read_to_end(&mut document).await?;
    Ok(document.into())
}

/// A client that trusts the system's authorities. It follows no redirects and keeps no idle connections.
fn fetcher() -> Result<Fetcher, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_example_in_rfc_9449() {
        let jwk = serde_json::json!({
            "kty": "EC", "kid": "left out", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256",
        });
        let key = bound_key(&jwk).expect("a key");
        assert_eq!(URL_SAFE_NO_PAD.encode(key.thumbprint), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert!(key.may_verify(Algorithm::ES256) && !key.may_verify(Algorithm::EdDSA));
    }
}
