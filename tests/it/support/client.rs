//! A client as strict as a browser about TLS, over HTTP/1.1 or HTTP/2, that keeps cookies when asked to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    H1,
    H2,
}

pub const BOTH: [Protocol; 2] = [Protocol::H1, Protocol::H2];

/// Opens connections, and keeps cookies by name.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<rustls::ClientConfig>>,
    protocol: Protocol,
    pub cookies: Vec<(String, String)>,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The kinds of the exits of a problem document.
    pub fn exits(&self) -> Vec<String> {
        let kinds = self.json()["exits"].as_array().unwrap().clone();
        kinds.iter().map(|exit| exit["kind"].as_str().unwrap().to_owned()).collect()
    }
}

/// Bytes both ways.
pub trait Both: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + Send + 'static> Both for S {}

pub enum Connection {
    H1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl Client {
    pub fn tls(address: SocketAddr, certificate: &Path, protocol: Protocol) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(certificate).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![match protocol {
            Protocol::H1 => b"http/1.1".to_vec(),
            Protocol::H2 => b"h2".to_vec(),
        }];
        Self { address, tls: Some(Arc::new(config)), protocol, cookies: Vec::new() }
    }

    pub fn clear(address: SocketAddr) -> Self {
        Self { address, tls: None, protocol: Protocol::H1, cookies: Vec::new() }
    }

    pub const fn speaks(&self) -> Protocol {
        self.protocol
    }

    pub async fn connect(&self) -> Connection {
        let stream = self.stream().await;
        self.handshake(stream).await
    }

    /// The same, when the handshake may be refused.
    pub async fn try_connect(&self) -> std::io::Result<Connection> {
        Ok(self.handshake(self.try_stream().await?).await)
    }

    /// A connected stream, TLS done, nothing said.
    pub async fn stream(&self) -> Box<dyn Both> {
        self.try_stream().await.unwrap()
    }

    async fn try_stream(&self) -> std::io::Result<Box<dyn Both>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                Box::new(tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await?)
            }
        })
    }

    /// The same client, with a certificate of its own.
    pub fn showing(mut self, certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        let tls = self.tls.as_ref().unwrap();
        let mut config = (**tls).clone();
        let provider = config.crypto_provider().clone();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(vec![certificate], key);
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        self.tls = Some(Arc::new(config));
        self
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) -> Connection {
        match self.protocol {
            Protocol::H1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Connection::H1(sender)
            }
            Protocol::H2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) =
                    hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                Connection::H2(sender)
            }
        }
    }

    /// A request in this client's protocol, with the cookies that it keeps.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = match self.protocol {
            Protocol::H1 => path.to_owned(),
            Protocol::H2 => format!("{scheme}://{}{path}", self.address),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if self.protocol == Protocol::H1 && !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
    }

    /// Sends one request over a connection of its own and keeps the cookies that come back.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = self.request(method, path, headers, body);
        let mut connection = self.connect().await;
        let answer = whole(connection.send(request).await.unwrap()).await;
        for field in answer.headers.get_all("set-cookie") {
            let field = field.to_str().unwrap();
            let (name, value) = field.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&mut self, path: &str, form: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/x-www-form-urlencoded")], form).await
    }
}

/// Reads an answer to its end.
pub async fn whole(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    Answer { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
}
