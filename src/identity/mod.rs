//! Who is asking: what cookies, tokens and bodies say, verified before anybody believes it.
//!
//! It must never wait on the request path (keys arrive in the background), never keep or print a secret, and never read in
//! one way what could be read in two.

pub mod breach;
pub mod cookies;
pub mod device;
pub mod fields;
pub mod keys;
pub mod naming;
pub mod return_target;
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
use crate::rules::ruleset::{JwtSource, SubjectSource};
use crate::subject::Names;
use crate::swap::Swap;
use breach::Breach;
use device::Devices;
use keys::Keys;
use signed::{Keyring, KeyringError};
use token::Tokens;

/// Verified device cookies and tokens that are remembered, each.
const REMEMBERED: usize = 65_536;
/// Issuers that are remembered beside the one in force. The loser is any other: its keys are fetched again.
const ISSUERS: usize = 8;
/// How often the law is asked which issuer is in force.
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
    issuers: Mutex<HashMap<JwtSource, Issuer>>,
}

/// The keys of one issuer, and what verifies its tokens with them.
#[derive(Debug, Clone)]
struct Issuer {
    keys: Arc<Keys>,
    tokens: Arc<Tokens>,
}

impl Identity {
    /// Opens the signing keys of a data directory, or makes them.
    ///
    /// # Errors
    /// When they cannot be read, made or trusted.
    pub fn open(data: &Path, names: Names, breach: Arc<Breach>) -> Result<Self, KeyringError> {
        let keys = Keyring::open(&data.join("signing.keys"))?;
        let devices = Devices::new(keys.clone(), names.clone(), REMEMBERED)?;
        Ok(Self { keys, devices, breach, names, issuers: Mutex::default() })
    }

    /// What verifies the tokens of an issuer. Takes a lock: a worker asks once for each generation of the law.
    pub fn tokens(&self, source: &JwtSource) -> Option<Arc<Tokens>> {
        Some(self.issuer(source)?.tokens)
    }

    fn issuer(&self, source: &JwtSource) -> Option<Issuer> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = issuers.get(source) {
            return Some(known.clone());
        }
        let keys = Arc::new(Keys::default());
        let tokens = Tokens::new(keys.clone(), source.clone(), self.names.clone(), REMEMBERED);
        let tokens = tokens.map_err(|error| tracing::error!(%error, "tokens cannot be verified")).ok()?;
        if issuers.len() >= ISSUERS {
            issuers.clear();
        }
        issuers.insert(source.clone(), Issuer { keys, tokens: Arc::new(tokens) });
        issuers.get(source).cloned()
    }

    /// Keeps the keys of the issuer in force fresh, until told to stop. Never on the request path.
    pub async fn keep_keys(&self, in_force: Swap<InForce>, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(LOOK);
        let source = || match &in_force.load().rules.identity.subject {
            Some(SubjectSource::Jwt(source)) => Some(source.clone()),
            Some(SubjectSource::SessionCookie { .. }) | None => None,
        };
        loop {
            let now = source();
            let changed = async {
                while source() == now {
                    looks.tick().await;
                }
            };
            let issuer = now.as_ref().and_then(|source| Some((source.jwks.clone(), self.issuer(source)?.keys)));
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = async {
                    match issuer {
                        Some((jwks, keys)) => keys::keep(keys, jwks, clock.clone(), changed).await,
                        None => changed.await,
                    }
                } => {}
            }
        }
    }

    /// Whether every source of keys can be trusted now; `None` while the rules have named none.
    pub fn keys_up(&self, now: Moment) -> Option<bool> {
        let issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        let up = issuers.values().all(|issuer| issuer.keys.usable(now).is_ok());
        (!issuers.is_empty()).then_some(up)
    }
}

/// Installs the process's cryptography, for TLS and for tokens: with two providers compiled in, both would otherwise panic at
/// their first use. Calling it again changes nothing.
pub fn install() {
    // An error says that one is installed already, which is what is wanted.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _already = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
