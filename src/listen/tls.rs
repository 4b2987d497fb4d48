//! Certificates: read from PEM files, chosen by the name that the client asks for, replaced while connections go on.
//!
//! Session tickets are made under one key for all workers and survive a reload. A broken file changes nothing: the certificates
//! that are in use stay. Keys are never logged.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::swap::{Reader, Swap};

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What is done when a pair's files do not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Say so and do not start.
    Fail,
    /// Make a certificate that signs itself, for localhost and these names.
    SelfSigned(Vec<String>),
}

/// Who vouches for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Certificates of authorities, PEM.
    pub file: PathBuf,
    /// A client without a certificate is turned away at the handshake.
    pub required: bool,
}

/// What is wrong with a certificate, in words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file cannot be read.
    #[error("{}: cannot be read ({cause}). {help}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
        /// What to do.
        help: &'static str,
    },
    /// A file holds something else.
    #[error("{}: {what}. {help}", file.display())]
    Content {
        /// Which.
        file: PathBuf,
        /// What was found.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// No pair was given.
    #[error("a TLS listener needs a certificate and a key. Name both in gateway.toml")]
    Nothing,
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// The certificates of one listener, shared by its workers.
#[derive(Clone)]
pub struct Certificates {
    swap: Swap<ServerConfig>,
    pairs: Arc<[Pair]>,
    tickets: Arc<dyn ProducesTickets>,
    clients: Option<Authority>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("pairs", &self.pairs).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads every pair; the first serves clients that ask for no name or an unknown one.
    pub fn open(pairs: Vec<Pair>, when_missing: &WhenMissing) -> Result<Self, TlsFault> {
        Self::with_clients(pairs, when_missing, None)
    }

    /// The same, asking clients for certificates too.
    pub fn with_clients(
        pairs: Vec<Pair>,
        when_missing: &WhenMissing,
        clients: Option<Authority>,
    ) -> Result<Self, TlsFault> {
        if let WhenMissing::SelfSigned(names) = when_missing {
            for pair in &pairs {
                if !pair.certificate.exists() && !pair.key.exists() {
                    self_signed(pair, names)?;
                }
            }
        }
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(TlsFault::Setup)?;
        let config = load(&pairs, &tickets, clients.as_ref())?;
        Ok(Self { swap: Swap::new(Arc::new(config)), pairs: pairs.into(), tickets, clients })
    }

    /// Reads the files again. New connections use what was read; a fault changes nothing.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.swap.store(Arc::new(load(&self.pairs, &self.tickets, self.clients.as_ref())?));
        Ok(())
    }

    /// The files that are read.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Finishes the handshake of one stream that will speak HTTP/1.1. For a door with few clients: workers keep a reader instead.
    ///
    /// # Errors
    /// When the client and this end cannot agree.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<S>> {
        let mut config = ServerConfig::clone(&self.swap.load());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }

    pub(super) fn reader(&self) -> Reader<ServerConfig> {
        self.swap.reader()
    }
}

fn load(
    pairs: &[Pair],
    tickets: &Arc<dyn ProducesTickets>,
    clients: Option<&Authority>,
) -> Result<ServerConfig, TlsFault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let keys = pairs.iter().map(|pair| certified(pair, &provider)).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(TlsFault::Nothing);
    }
    let verifier = match clients {
        Some(authority) => verifier(authority, &provider)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsFault::Setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(ByName(keys)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if clients.is_none() {
        config.ticketer = tickets.clone();
    } else {
        // A session taken up again would go on under an authority that is no longer trusted.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn verifier(
    authority: &Authority,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let content = |what: String| TlsFault::Content {
        file: authority.file.clone(),
        what,
        help: "It must hold the certificates of the authorities that vouch for clients, as PEM: BEGIN CERTIFICATE",
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(&authority.file)?) {
        let certificate = certificate.map_err(|cause| content(cause.to_string()))?;
        roots.add(certificate).map_err(|cause| content(cause.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if authority.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|cause| content(cause.to_string()))
}

fn certified(pair: &Pair, provider: &rustls::crypto::CryptoProvider) -> Result<Arc<CertifiedKey>, TlsFault> {
    let content = |file: &Path, what: String, help| TlsFault::Content { file: file.to_owned(), what, help };
    let pem = read(&pair.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| content(&pair.certificate, cause.to_string(), "It must be PEM: BEGIN CERTIFICATE"))?;
    if chain.is_empty() {
        let help = "It must hold BEGIN CERTIFICATE, the server's own first, then the intermediates";
        return Err(content(&pair.certificate, "holds no certificate".to_owned(), help));
    }
    let help = "It must be an unencrypted PEM key: BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY";
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)?)
        .map_err(|_| content(&pair.key, "holds no private key".to_owned(), help))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|cause| content(&pair.key, format!("is of no known kind ({cause})"), help))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| {
        let what = format!("is not the key of {}", pair.certificate.display());
        content(&pair.key, what, "Give the key that the certificate was made with")
    })?;
    Ok(Arc::new(certified))
}

fn read(file: &Path) -> Result<Vec<u8>, TlsFault> {
    fs::read(file).map_err(|cause| {
        let help = match cause.kind() {
            io::ErrorKind::NotFound => {
                "Put the file there, correct the path, or ask for one with when_missing = \"self_signed\""
            }
            io::ErrorKind::PermissionDenied => "Let the user that runs Weir read it",
            _ => "See the path in gateway.toml",
        };
        TlsFault::Unreadable { file: file.to_owned(), cause, help }
    })
}

/// Writes a certificate that signs itself. The key is readable by its owner only.
fn self_signed(pair: &Pair, names: &[String]) -> Result<(), TlsFault> {
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    all.extend(names.iter().filter(|name| !name.contains('/')).cloned());
    all.dedup();
    let made = rcgen::generate_simple_self_signed(all).map_err(|cause| TlsFault::Content {
        file: pair.certificate.clone(),
        what: format!("a self-signed certificate cannot be made ({cause})"),
        help: "Check the hosts of your sites",
    })?;
    write(&pair.key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
    write(&pair.certificate, made.cert.pem().as_bytes(), 0o644)
}

fn write(file: &Path, content: &[u8], mode: u32) -> Result<(), TlsFault> {
    let attempt = || {
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?.write_all(content)
    };
    attempt().map_err(|cause| TlsFault::Unreadable {
        file: file.to_owned(),
        cause,
        help: "Let the user that runs Weir write there, or put a certificate there yourself",
    })
}

/// Chooses by the name that the client asks for; the first is for everybody else.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().filter(|_| self.0.len() > 1).and_then(|name| ServerName::try_from(name).ok());
        let named = asked.and_then(|name| self.0.iter().find(|key| is_for(key, &name)));
        named.or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Some(own) = key.cert.first() else { return false };
    ParsedCertificate::try_from(own).is_ok_and(|own| verify_server_name(&own, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(directory: &Path, name: &str) -> Pair {
        Pair { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) }
    }

    #[test]
    fn a_missing_certificate_is_made_once_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("directory");
        let pair = pair(&directory.path().join("certs"), "weir");
        let missing = WhenMissing::SelfSigned(vec!["shop.example".to_owned()]);
        Certificates::open(vec![pair.clone()], &missing).expect("opens");
        let first = fs::read(&pair.certificate).expect("made");
        assert_eq!(fs::metadata(&pair.key).expect("made").permissions().mode() & 0o777, 0o600);
        Certificates::open(vec![pair.clone()], &missing).expect("opens again");
        assert_eq!(fs::read(&pair.certificate).expect("kept"), first);
    }

    #[test]
    fn faults_name_the_file_and_the_way_out() {
        let directory = tempfile::tempdir().expect("directory");
        let (one, two) = (pair(directory.path(), "one"), pair(directory.path(), "two"));
        let fault = Certificates::open(vec![one.clone()], &WhenMissing::Fail).expect_err("nothing there");
        assert!(fault.to_string().contains("one.pem") && fault.to_string().contains("when_missing"), "{fault}");
        for pair in [&one, &two] {
            self_signed(pair, &[]).expect("made");
        }
        let crossed = Pair { certificate: one.certificate.clone(), key: two.key.clone() };
        let fault = Certificates::open(vec![crossed], &WhenMissing::Fail).expect_err("crossed");
        assert!(fault.to_string().contains("is not the key of"), "{fault}");
        fs::write(&one.certificate, "hello").expect("written");
        let fault = Certificates::open(vec![one.clone()], &WhenMissing::Fail).expect_err("no PEM");
        assert!(fault.to_string().contains("holds no certificate"), "{fault}");
    }

    #[test]
    fn a_broken_file_leaves_the_certificates_that_serve() {
        let directory = tempfile::tempdir().expect("directory");
        let pair = pair(directory.path(), "weir");
        let certificates = Certificates::open(vec![pair.clone()], &WhenMissing::SelfSigned(Vec::new())).expect("opens");
        let before = certificates.swap.load();
        fs::write(&pair.certificate, "broken").expect("written");
        assert!(certificates.reload().is_err());
        assert!(Arc::ptr_eq(&before, &certificates.swap.load()));
    }
}
