//! Connects to one server: its name, its port, its certificate. Bounded in time as a whole.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::reach::{Reach, client_config};
use super::tap::Stream;
use crate::rules::ruleset::{Protocol, Server};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// A connected stream, and whether it speaks HTTP/2.
pub(super) struct Dialled {
    pub stream: Stream,
    pub h2: bool,
}

/// Connects, TLS included, within `limit`.
pub(super) async fn dial(
    reach: &Reach,
    server: &Server,
    protocol: Protocol,
    ca: Option<&Path>,
    limit: Duration,
) -> Result<Dialled, Failure> {
    let deadline = tokio::time::Instant::now() + limit;
    let addresses = in_time(deadline, Failure::ResolveTimeout, resolve(server)).await?;
    in_time(deadline, Failure::ConnectTimeout, async {
        let stream = connect(&addresses).await?;
        if !server.tls {
            return Ok(Dialled { stream: Stream::Clear(stream), h2: protocol == Protocol::H2c });
        }
        let config = trust(reach, protocol, ca).await?;
        let name = ServerName::try_from(server.host.to_string())
            .map_err(|cause| Failure::Tls(io::Error::new(io::ErrorKind::InvalidInput, cause)))?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(of_tls)?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if protocol == Protocol::H2c && !h2 {
            return Err(Failure::Tls(io::Error::other("the server does not speak HTTP/2")));
        }
        Ok(Dialled { stream: Stream::Tls(Box::new(stream)), h2 })
    })
    .await
}

/// A connection to one server for a caller who speaks HTTP/1.1 over it: the command line, asking a Weir elsewhere.
///
/// # Errors
/// Why there is none.
pub async fn connect_to(
    server: &Server,
    ca: Option<&Path>,
    limit: Duration,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, Failure> {
    Ok(dial(&Reach::new(), server, Protocol::Http1, ca, limit).await?.stream)
}

async fn in_time<T>(
    deadline: tokio::time::Instant,
    late: Failure,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout_at(deadline, step).await.unwrap_or(Err(late))
}

async fn resolve(server: &Server) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = server.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, server.port)]);
    }
    let found = tokio::net::lookup_host((&*server.host, server.port)).await.map_err(Failure::Unresolved)?;
    let addresses: Vec<_> = found.take(ADDRESSES).collect();
    match addresses.is_empty() {
        true => Err(Failure::Unresolved(io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it a small request can wait for the server's delayed acknowledgement.
                stream.set_nodelay(true).map_err(Failure::Unreachable)?;
                return Ok(stream);
            }
            Err(cause) => last = cause,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Failure::Refused(last),
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Unreachable(last),
    })
}

/// The TLS settings; read in the background of this request if nobody prepared them.
async fn trust(reach: &Reach, protocol: Protocol, ca: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    if let Some(config) = reach.trusts(ca, protocol) {
        return Ok(config);
    }
    let file = ca.map(Path::to_owned);
    let reading = file.clone();
    let config = tokio::task::spawn_blocking(move || client_config(reading.as_deref(), protocol))
        .await
        .map_err(|cause| Failure::Tls(io::Error::other(cause)))?
        .map_err(|cause| Failure::Certificate(io::Error::other(cause)))?;
    let config = Arc::new(config);
    reach.learn_trust(file, protocol, config.clone());
    Ok(config)
}

fn of_tls(cause: io::Error) -> Failure {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Failure::Certificate(cause),
        _ => Failure::Tls(cause),
    }
}
