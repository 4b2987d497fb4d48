//! What all workers share about upstreams: whom they trust, which servers are down, and how many connections each has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::rules::ruleset::{Protocol, Server, Upstream};

/// Failures in a row that mark a server as down.
const BAD: u32 = 2;

/// Certificate authorities could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the certificate authorities{} cannot be used: {why}", file.as_ref().map_or_else(String::new, |file| format!(" in {}", file.display())))]
pub struct TrustFault {
    /// The file; the system's when absent.
    pub file: Option<PathBuf>,
    /// Why.
    pub why: String,
}

/// Shared by all workers and by the prober. Servers that no rule names any more are forgotten by [`Reach::prepare`].
#[derive(Debug, Default)]
pub struct Reach {
    marks: Mutex<HashMap<Server, Arc<Mark>>>,
    down: AtomicUsize,
    trust: Mutex<Trust>,
}

/// TLS settings by file of authorities (the system's when absent) and protocol.
type Trust = HashMap<(Option<PathBuf>, Protocol), Arc<ClientConfig>>;

/// What is known of one server.
#[derive(Debug, Default)]
pub(super) struct Mark {
    down: AtomicBool,
    bad: AtomicU32,
    connections: AtomicUsize,
}

impl Mark {
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// A place for one more connection, unless there are `most`.
    pub fn place(self: &Arc<Self>, most: usize) -> Option<Place> {
        let room = |now: usize| (now < most.max(1)).then_some(now + 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Place(self.clone()))
    }
}

/// One connection among those that a server may have.
#[derive(Debug)]
pub(super) struct Place(Arc<Mark>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reach {
    /// Nothing known yet: every server counts as up.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Reads the certificate authorities that these upstreams need, anew, and forgets servers that none of them names. Reads
    /// files: not for the request path.
    pub fn prepare(&self, upstreams: &[Upstream]) -> Vec<TrustFault> {
        let mut faults = Vec::new();
        let mut trust = Trust::new();
        for upstream in upstreams.iter().filter(|upstream| upstream.servers.iter().any(|server| server.tls)) {
            let Entry::Vacant(place) = trust.entry((upstream.ca.clone(), upstream.protocol)) else { continue };
            match client_config(upstream.ca.as_deref(), upstream.protocol) {
                Ok(config) => drop(place.insert(Arc::new(config))),
                Err(fault) => faults.push(fault),
            }
        }
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).extend(trust);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.retain(|server, mark| {
            let named = upstreams.iter().any(|upstream| upstream.servers.contains(server));
            if !named {
                self.up(mark);
            }
            named
        });
        faults
    }

    /// Whether every server of this upstream is marked as down.
    pub fn away(&self, upstream: &Upstream) -> bool {
        if self.down.load(Ordering::Relaxed) == 0 || upstream.health.is_none() {
            return false;
        }
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        upstream.servers.iter().all(|server| marks.get(server).is_some_and(|mark| mark.is_down()))
    }

    /// Whether this server is marked as down.
    pub fn is_down(&self, server: &Server) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(server).is_some_and(|mark| mark.is_down())
    }

    pub(super) fn mark(&self, server: &Server) -> Arc<Mark> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.entry(server.clone()).or_default().clone()
    }

    /// One failure. True when it is the one that marks the server as down.
    pub(super) fn bad(&self, mark: &Mark) -> bool {
        let marked = mark.bad.fetch_add(1, Ordering::Relaxed) + 1 >= BAD && !mark.down.swap(true, Ordering::Relaxed);
        if marked {
            self.down.fetch_add(1, Ordering::Relaxed);
        }
        marked
    }

    /// One success. True when it marks the server as up again.
    pub(super) fn up(&self, mark: &Mark) -> bool {
        mark.bad.store(0, Ordering::Relaxed);
        let marked = mark.down.load(Ordering::Relaxed) && mark.down.swap(false, Ordering::Relaxed);
        if marked {
            self.down.fetch_sub(1, Ordering::Relaxed);
        }
        marked
    }

    pub(super) fn trusts(&self, ca: Option<&Path>, protocol: Protocol) -> Option<Arc<ClientConfig>> {
        let trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        trust.get(&(ca.map(Path::to_owned), protocol)).cloned()
    }

    pub(super) fn learn_trust(&self, ca: Option<PathBuf>, protocol: Protocol, config: Arc<ClientConfig>) {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).insert((ca, protocol), config);
    }
}

/// Reads files: not for the request path.
pub(super) fn client_config(ca: Option<&Path>, protocol: Protocol) -> Result<ClientConfig, TrustFault> {
    let fault = |why: String| TrustFault { file: ca.map(Path::to_owned), why };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let pem = CertificateDer::pem_file_iter(file).map_err(|cause| fault(cause.to_string()))?;
            for certificate in pem {
                let certificate = certificate.map_err(|cause| fault(cause.to_string()))?;
                roots.add(certificate).map_err(|cause| fault(cause.to_string()))?;
            }
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
    }
    if roots.is_empty() {
        return Err(fault("there is none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| fault(cause.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = match protocol {
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::H2c => vec![b"h2".to_vec()],
    };
    Ok(config)
}
