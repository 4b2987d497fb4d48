//! Accepts for control: so many connections at once and no more, fewer still from one address over the network, a bounded time
//! for a request's head, and an end when Weir ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixListener as UnixSocket;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Control, Door, showing, steering};
use crate::control::who::Who;
use crate::listen::tls::Certificates;

/// Connections at once through one door. The newest waits outside.
const MOST: usize = 64;
/// Connections at once from one address (an IPv6 /64) over the network. What is more is closed at once, so that nobody alone can
/// keep the others out.
const FROM_ONE: usize = 16;
/// For a TLS handshake, and for a request's head.
const HEAD: Duration = Duration::from_secs(10);
/// How long open requests are waited for when Weir ends.
const LAST: Duration = Duration::from_secs(2);
/// A pause after a failed accept, so that a lack of file descriptors is no busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves what shows and never steers, until `stop` becomes true.
///
/// # Errors
/// When the listener fails.
pub async fn show(listener: std::net::TcpListener, control: Control, stop: watch::Receiver<bool>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router = showing(control);
    accept(
        stop,
        async || listener.accept().await,
        |(stream, _), stop| {
            let router = router.clone();
            async move { serve(stream, router, stop).await }
        },
    )
    .await;
    Ok(())
}

/// Serves what steers, until `stop` becomes true. Only for a socket that the file system guards.
///
/// # Errors
/// When the listener fails.
pub async fn steer(listener: UnixSocket, control: Control, stop: watch::Receiver<bool>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let router = steering(control, Door::Socket);
    accept(
        stop,
        async || listener.accept().await,
        |(stream, _), stop| {
            let router = router.clone();
            async move {
                // Nobody is let in whom the system cannot name.
                let Ok(peer) = stream.peer_cred() else { return };
                serve(stream, router.layer(axum::Extension(Who::user(peer.uid()))), stop).await;
            }
        },
    )
    .await;
    Ok(())
}

/// Serves what steers to whoever has a token; in clear text only where no certificate is given, on this machine alone.
///
/// # Errors
/// When the listener fails.
pub async fn steer_tls(
    listener: std::net::TcpListener,
    certificates: Option<Certificates>,
    control: Control,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let router = steering(control, Door::Tcp);
    let sources = Sources::default();
    accept(
        stop,
        async || listener.accept().await,
        |(stream, peer): (_, SocketAddr), stop| {
            let (router, certificates) = (router.clone().layer(axum::Extension(peer)), certificates.clone());
            let place = sources.enter(peer.ip());
            async move {
                let Some(_place) = place else { return };
                match certificates {
                    None => serve(stream, router, stop).await,
                    Some(certificates) => {
                        if let Ok(Ok(stream)) = timeout(HEAD, certificates.accept(stream)).await {
                            serve(stream, router, stop).await;
                        }
                    }
                }
            }
        },
    )
    .await;
    Ok(())
}

/// Who is inside, by address: at most as many entries as connections.
#[derive(Clone, Default)]
struct Sources(Rc<RefCell<HashMap<IpAddr, usize>>>);

/// One connection of an address; left when it is dropped.
struct Place(Sources, IpAddr);

impl Sources {
    /// Lets one more in, unless there are enough from there.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address @ IpAddr::V4(_) => address,
        };
        let mut inside = self.0.borrow_mut();
        let count = inside.entry(address).or_default();
        (*count < FROM_ONE).then(|| {
            *count += 1;
            Place(self.clone(), address)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.0.0.borrow_mut();
        if let Some(count) = inside.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.1);
            }
        }
    }
}

/// Accepts while there is room, serves each connection by itself, and waits for the last ones at the end.
async fn accept<S, F: Future<Output = ()> + 'static>(
    mut stop: watch::Receiver<bool>,
    next: impl AsyncFn() -> io::Result<S>,
    serve: impl Fn(S, watch::Receiver<bool>) -> F,
) {
    let mut open = JoinSet::new();
    let ending = stop.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = open.join_next() => {}
            accepted = next(), if open.len() < MOST => match accepted {
                Ok(stream) => {
                    open.spawn_local(serve(stream, ending.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "control cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    let _ = timeout(LAST, async { while open.join_next().await.is_some() {} }).await;
    open.shutdown().await;
}

/// One connection to its end.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stop.wait_for(|stop| *stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
