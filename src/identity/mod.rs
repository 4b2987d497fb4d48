//! Who is asking: what cookies, tokens and bodies say, verified before anybody believes it.
//!
//! It must never wait on the request path (keys arrive in the background), never keep or print a secret, and never read in
//! one way what could be read in two.

pub mod breach;
mod carried;
pub mod cookies;
pub mod device;
pub mod dpop;
pub mod fields;
mod jws;
pub mod keys;
pub mod naming;
pub mod pass;
pub mod return_target;
pub mod security_event;
pub mod session;
pub mod signed;
pub mod token;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::rules::in_force::InForce;
use crate::rules::ruleset::{JwksSource, JwtSource, RuleSet, SubjectSource};
use crate::subject::Names;
use crate::swap::Swap;
use breach::Breach;
use device::Devices;
use keys::Keys;
use signed::{Keyring, KeyringError};
use token::Tokens;

/// Verified device cookies and tokens that are remembered, each.
const REMEMBERED: usize = 65_536;
/// Issuers that are remembered beside the one in force. The losers are those that no worker uses: their keys are fetched again.
const ISSUERS: usize = 8;
/// Sources of keys that are remembered; the law names at most 17 at a time. The losers are those that nobody uses: they are fetched again.
const SOURCES: usize = 64;
/// How often the law is asked which issuers are in force.
const LOOK: Duration = Duration::from_millis(100);

/// What verifies and signs, shared by all workers. It survives every swap of the law.
#[derive(Debug)]
pub struct Identity {
    /// Signs and reads values that come back to us.
    pub keys: Keyring,
    /// Makes and reads device cookies.
    pub devices: Devices,
    /// What has leaked.
    pub breach: Arc<Breach>,
    names: Names,
    sources: Mutex<HashMap<JwksSource, Arc<Keys>>>,
    issuers: Mutex<HashMap<JwtSource, Arc<Tokens>>>,
}

impl Identity {
    /// Opens the signing keys of a data directory, or makes them.
    ///
    /// # Errors
    /// When they cannot be read, made or trusted.
    pub fn open(data: &Path, names: Names, breach: Arc<Breach>) -> Result<Self, KeyringError> {
        let keys = Keyring::open(&data.join("signing.keys"))?;
        let devices = Devices::new(keys.clone(), names.clone(), REMEMBERED)?;
        Ok(Self { keys, devices, breach, names, sources: Mutex::default(), issuers: Mutex::default() })
    }

    /// What verifies the tokens of an issuer. Takes a lock: a worker asks once for each generation of the law.
    pub fn tokens(&self, source: &JwtSource) -> Option<Arc<Tokens>> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = issuers.get(source) {
            return Some(known.clone());
        }
        let tokens = Tokens::new(self.keys_of(&source.jwks), source.clone(), self.names.clone(), REMEMBERED);
        let tokens = tokens.map_err(|error| tracing::error!(%error, "tokens cannot be verified")).ok()?;
        if issuers.len() >= ISSUERS {
            // Those that nobody verifies with any more.
            issuers.retain(|_, tokens| Arc::strong_count(tokens) > 1);
        }
        issuers.insert(source.clone(), Arc::new(tokens));
        issuers.get(source).cloned()
    }

    /// The keys of one source, shared by whoever verifies with them. Takes a lock: not for every request.
    pub fn keys_of(&self, source: &JwksSource) -> Arc<Keys> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= SOURCES && !sources.contains_key(source) {
            sources.retain(|_, keys| Arc::strong_count(keys) > 1);
        }
        sources.entry(source.clone()).or_default().clone()
    }

    /// Keeps the keys of every issuer in force fresh, until told to stop. Never on the request path.
    pub async fn keep_keys(&self, in_force: Swap<InForce>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let now = wanted(&in_force.load().rules);
            // Said to each of those that keep keys, and so to all: the law names others.
            let (over, listening) = watch::channel(false);
            let changed = async {
                while wanted(&in_force.load().rules) == now {
                    looks.tick().await;
                }
                let _nobody_listens = over.send(true);
            };
            let kept = now.iter().map(|source| {
                let mut over = listening.clone();
                let end = async move { drop(over.wait_for(|over| *over).await) };
                keys::keep(self.keys_of(source), source.clone(), clock.clone(), end)
            });
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = futures_util::future::join(futures_util::future::join_all(kept), changed) => {}
            }
        }
    }

    /// Whether the keys of the tokens in force can be trusted now; `None` while the rules name none.
    pub fn keys_up(&self, rules: &RuleSet, now: Moment) -> Option<bool> {
        match &rules.identity.subject {
            Some(SubjectSource::Jwt(source)) => Some(self.keys_of(&source.jwks).usable(now).is_ok()),
            Some(SubjectSource::SessionCookie { .. }) | None => None,
        }
    }
}

/// Every source of keys that a law names, each once.
fn wanted(rules: &RuleSet) -> Vec<JwksSource> {
    let mut all: Vec<JwksSource> = match &rules.identity.subject {
        Some(SubjectSource::Jwt(source)) => vec![source.jwks.clone()],
        Some(SubjectSource::SessionCookie { .. }) | None => Vec::new(),
    };
    for transmitter in rules.transmitters.all() {
        if !all.contains(&transmitter.jwks) {
            all.push(transmitter.jwks.clone());
        }
    }
    all
}

/// Installs the process's cryptography, for TLS and for tokens: with two providers compiled in, both would otherwise panic at
/// their first use. Calling it again changes nothing.
pub fn install() {
    // An error says that one is installed already, which is what is wanted.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _already = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
