//! One worker: accepts until it is told to stop, then takes what the kernel has queued, lets everybody finish, and counts whom it
//! had to cut.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::bounds::Bounds;
use super::connection::{Arrival, Ended, converse};
use super::doors::Doors;
use super::inflow::Inflow;
use super::peer::Peer;
use super::proxy_protocol::Proxies;
use super::stream::Streams;
use super::tls::Certificates;
use crate::alarm::Alarms;

/// How long accepting rests when the process has no descriptors left: first, and at most.
const BREATHER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// One address to accept on.
#[derive(Debug)]
pub struct Entrance {
    /// From [`super::bind()`].
    pub socket: std::net::TcpListener,
    /// Clear text when absent.
    pub tls: Option<Certificates>,
    /// Who must say, before anything else, for whom it comes.
    pub proxies: Proxies,
}

/// How service ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the time was up.
    pub cut: usize,
}

/// What all connections of a worker share.
pub(super) struct Ward<F> {
    pub answer: F,
    pub bounds: Bounds,
    pub alarms: Alarms,
    pub h1: http1::Builder,
    pub draining: Cell<bool>,
    pub cut: Cell<bool>,
    pub doors: Doors,
    open: Cell<usize>,
    left: Notify,
}

/// Serves on this thread until `stop` becomes true (or its sender is gone) and every connection has ended, at most the bounds' drain
/// time later. Must run on a runtime that can spawn local tasks. It is the worker's pulse: it beats `alarms`.
pub async fn serve<F, Fut, B>(
    entrances: Vec<Entrance>,
    bounds: Bounds,
    doors: Doors,
    alarms: Alarms,
    stop: watch::Receiver<bool>,
    answer: F,
) -> io::Result<Drained>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let ward = Rc::new(Ward {
        answer,
        bounds,
        alarms: alarms.clone(),
        h1: h1(&bounds),
        draining: Cell::new(false),
        cut: Cell::new(false),
        doors,
        open: Cell::new(0),
        left: Notify::new(),
    });
    let mut accepting = Vec::with_capacity(entrances.len());
    for entrance in entrances {
        entrance.socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(entrance.socket)?;
        accepting.push(tokio::task::spawn_local(accept(
            listener,
            (entrance.tls, entrance.proxies),
            ward.clone(),
            stop.clone(),
        )));
    }
    let work = async {
        for task in accepting {
            if let Err(panicked) = task.await {
                tracing::error!(%panicked, "an accept loop ended");
            }
        }
        drain(&ward).await
    };
    tokio::select! {
        biased;
        drained = work => Ok(drained),
        () = pulse(&alarms) => Ok(Drained::default()),
    }
}

async fn pulse(alarms: &Alarms) {
    let mut beats = tokio::time::interval(alarms.every());
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        alarms.beat(Instant::now());
    }
}

async fn drain<F>(ward: &Ward<F>) -> Drained {
    ward.alarms.wake_all();
    let all_left = async {
        while ward.open.get() > 0 {
            ward.left.notified().await;
        }
    };
    if tokio::time::timeout(ward.bounds.drain, all_left).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = ward.open.get();
    ward.cut.set(true);
    ward.alarms.wake_all();
    while ward.open.get() > 0 {
        ward.left.notified().await;
    }
    Drained { cut }
}

async fn accept<F, Fut, B>(
    listener: TcpListener,
    (tls, proxies): (Option<Certificates>, Proxies),
    ward: Rc<Ward<F>>,
    mut stop: watch::Receiver<bool>,
) where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let here = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    let mut certificates = tls.map(|tls| tls.reader());
    let mut breather = BREATHER.0;
    let mut admit = |stream: TcpStream, remote: SocketAddr| {
        let proxied = proxies.contain(remote.ip());
        let entered = if proxied { ward.doors.enter_unnamed() } else { ward.doors.enter(remote.ip()) };
        let pass = match entered {
            Ok(pass) => pass,
            Err(why) => {
                tracing::debug!(%remote, ?why, "a connection was turned away");
                return;
            }
        };
        // One system call less for a socket that is bound to one address.
        let local = if here.ip().is_unspecified() { stream.local_addr().unwrap_or(here) } else { here };
        let tls = certificates.as_mut().map(|reader| (*reader.pin()).clone());
        let arrival = Arrival { stream, remote, local, tls, proxied };
        ward.open.set(ward.open.get() + 1);
        let mut leaving = Leaving { ward: ward.clone(), pass };
        tokio::task::spawn_local(async move {
            match converse(arrival, &mut leaving.pass, leaving.ward.clone()).await {
                Ok(()) => {}
                Err(ended @ Ended::Cut) => tracing::info!(%remote, %ended),
                Err(ended) => tracing::debug!(%remote, %ended),
            }
            drop(leaving);
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                breather = BREATHER.0;
                admit(stream, remote);
            }
            Err(cause) if is_the_clients(&cause) => {}
            Err(cause) => {
                // Out of descriptors or memory: accepting again at once would spin, and connections that end make room.
                ward.doors.starve();
                if breather == BREATHER.0 {
                    tracing::error!(%cause, address = %here, "cannot accept; resting and trying again");
                }
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(breather) => breather = (breather * 2).min(BREATHER.1),
                }
            }
        }
    }
    ward.draining.set(true);
    // What the kernel has queued was promised service: closing the socket now would reset it.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, remote)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            admit(stream, remote);
        }
    }
}

/// The connection broke before it was accepted (accept(2), "error handling"): the next one may be fine.
fn is_the_clients(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied
    )
}

/// A connection inside, counted until its task ends however it ends.
struct Leaving<F> {
    ward: Rc<Ward<F>>,
    pass: super::doors::Pass,
}

impl<F> Drop for Leaving<F> {
    fn drop(&mut self) {
        self.ward.open.set(self.ward.open.get() - 1);
        self.ward.left.notify_one();
    }
}

fn h1(bounds: &Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Time is kept by `life`: hyper's own timeout would make and drop a timer for every request.
    builder.header_read_timeout(None).max_header_size(bounds.head_bytes).max_buf_size(bounds.head_bytes.max(64 * 1024));
    // hyper keeps its default of 100 on the stack; any other number costs an allocation a request.
    if bounds.headers != 100 {
        builder.max_headers(bounds.headers);
    }
    builder
}

/// For one connection: its streams are started by what knows their connection.
pub(super) fn h2(bounds: &Bounds, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .max_concurrent_streams(bounds.h2_streams)
        .max_pending_accept_reset_streams(bounds.h2_resets)
        .max_local_error_reset_streams(bounds.h2_resets)
        .max_header_list_size(u32::try_from(bounds.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(128 * 1024)
        .enable_connect_protocol()
        .keep_alive_interval(None);
    builder
}
