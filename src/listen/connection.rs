//! One connection from its first byte to its last: TLS, which HTTP, and then requests until it ends, is overdue, or service does.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::certificate::ClientCertificate;
use super::doors::Pass;
use super::handshake;
use super::inflow::Inflow;
use super::life::{Life, Open, Overdue, Phase};
use super::offer::{Offer, Switched, Through};
use super::peer::{Peer, Scheme, Spoken};
use super::proxy_protocol;
use super::serve::{Ward, h2};
use super::stream::Streams;
use super::wire::{Stream, Wire};

/// What a client of HTTP/2 with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long what is idle may still take once service ends, or an idle HTTP/2 connection was told to go away.
const LAST_CALL: std::time::Duration = std::time::Duration::from_secs(1);

/// How a connection ended, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("TLS was not agreed: {0}")]
    Tls(#[source] io::Error),
    #[error("the proxy did not say for whom it comes: {0}")]
    Proxy(#[source] io::Error),
    #[error("{0} has too many connections")]
    Crowded(std::net::IpAddr),
    #[error("the connection broke before it spoke: {0}")]
    Silent(#[source] io::Error),
    #[error("the connection was overdue: {0:?}")]
    Overdue(Overdue),
    #[error("the connection was cut when service ended")]
    Cut,
    #[error("{0}")]
    Http(#[source] hyper::Error),
}

/// A connection that was let in.
pub(super) struct Arrival {
    pub stream: TcpStream,
    pub remote: SocketAddr,
    pub local: SocketAddr,
    pub tls: Option<Arc<ServerConfig>>,
    /// Its first bytes say for whom it comes.
    pub proxied: bool,
}

/// Serves one connection until it ends.
pub(super) async fn converse<F, Fut, B>(mut arrival: Arrival, pass: &mut Pass, ward: Rc<Ward<F>>) -> Result<(), Ended>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let life = Life::new(&ward.alarms, ward.bounds);
    if arrival.proxied {
        Box::pin(told(&mut arrival, pass, &life, &ward)).await?;
    }
    // Boxed, as what follows: a resting connection does not hold the room that opening and serving need.
    let Some(opened) = Box::pin(open(arrival, &life, &ward)).await? else { return Ok(()) };
    let (stream, sniffed, peer) = opened;
    let spoken = peer.spoken;
    life.speaks(spoken == Spoken::H2);
    let peer = Rc::new(peer);
    let service = || Service { peer: peer.clone(), life: life.clone(), ward: ward.clone() };
    if spoken == Spoken::H2 {
        let io = TokioIo::new(Wire::opening(stream, sniffed, life.clone(), peer.clone()));
        let conversation = h2(&ward.bounds, Streams(life.clone())).serve_connection(io, service());
        return Box::pin(until_done(conversation, life.clone(), ward.clone())).await;
    }
    let (mut stream, mut sniffed) = (stream, sniffed);
    loop {
        let io = TokioIo::new(Wire::new(stream, sniffed, life.clone()));
        let conversation = ward.h1.serve_connection(io, service());
        let ended = Box::pin(until_tired(conversation, life.clone(), ward.clone())).await;
        // Whatever comes of it, nothing of the talk stays behind in the connection's life.
        let switched = life.switched();
        let Some(wire) = ended? else { return Ok(()) };
        (stream, sniffed) = wire;
        if let Some(switched) = switched {
            return Box::pin(until_said(*switched, Through::connection(stream, sniffed), &life, &ward)).await;
        }
        life.rest();
        if sniffed.is_empty() && !rest(&stream, &life, &ward).await? {
            return Ok(());
        }
    }
}

/// What the proxy says of its client, who is then counted as itself.
async fn told<F>(arrival: &mut Arrival, pass: &mut Pass, life: &Life, ward: &Ward<F>) -> Result<(), Ended> {
    let said = within(life, ward, proxy_protocol::read(&mut arrival.stream)).await?.map_err(Ended::Proxy)?;
    if let Some((remote, local)) = said {
        (arrival.remote, arrival.local) = (remote, local);
    }
    pass.name(arrival.remote.ip()).map_err(|_| Ended::Crowded(arrival.remote.ip()))
}

/// TLS, or the first bytes of clear text. Nothing when the client left without a word.
async fn open<F>(arrival: Arrival, life: &Life, ward: &Ward<F>) -> Result<Option<(Stream, Bytes, Peer)>, Ended> {
    let Arrival { mut stream, remote, local, tls, proxied: _ } = arrival;
    let Some(tls) = tls else {
        let (sniffed, spoken) = within(life, ward, sniff(&mut stream)).await?.map_err(Ended::Silent)?;
        let peer = Peer::new(remote, local, Scheme::Http, spoken);
        return Ok((!sniffed.is_empty()).then_some((Stream::Clear(stream), sniffed, peer)));
    };
    let (stream, ja4) = within(life, ward, handshake::finish(stream, tls)).await?.map_err(Ended::Tls)?;
    let session = stream.get_ref().1;
    let spoken = if session.alpn_protocol() == Some(b"h2") { Spoken::H2 } else { Spoken::H1 };
    let mut peer = Peer::new(remote, local, Scheme::Https, spoken);
    peer.ja4 = ja4;
    peer.sni = session.server_name().map(|name| name.to_ascii_lowercase().into());
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    peer.client = certificate.and_then(|first| ClientCertificate::read(first)).map(Box::new);
    peer.tls = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => Some("1.3"),
        Some(rustls::ProtocolVersion::TLSv1_2) => Some("1.2"),
        _ => None,
    };
    Ok(Some((Stream::Tls(Box::new(stream)), Bytes::new(), peer)))
}

/// Waits for the next request with nothing but the socket. False when service ends first.
async fn rest<F>(stream: &Stream, life: &Life, ward: &Ward<F>) -> Result<bool, Ended> {
    let _resting = ward.doors.rest();
    poll_fn(|cx| {
        life.watch(cx.waker());
        if stream.poll_come(cx).is_ready() {
            return Poll::Ready(Ok(true));
        }
        if ward.draining.get() || ward.cut.get() {
            return Poll::Ready(Ok(false));
        }
        life.overdue().map_or(Poll::Pending, |overdue| Poll::Ready(Err(Ended::Overdue(overdue))))
    })
    .await
}

/// Reads until it is clear whether the client speaks HTTP/2 with prior knowledge. Nothing read means that it left.
async fn sniff(stream: &mut TcpStream) -> io::Result<(Bytes, Spoken)> {
    let mut read = BytesMut::with_capacity(1024);
    loop {
        let known = read.len().min(PREFACE.len());
        if read[..known] != PREFACE[..known] {
            return Ok((read.freeze(), Spoken::H1));
        }
        if known == PREFACE.len() {
            return Ok((read.freeze(), Spoken::H2));
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok((read.freeze(), Spoken::H1));
        }
    }
}

/// A step of the opening, within its time.
async fn within<F, T>(life: &Life, ward: &Ward<F>, step: impl Future<Output = T>) -> Result<T, Ended> {
    let mut step = pin!(step);
    poll_fn(|cx| {
        life.watch(cx.waker());
        if let Poll::Ready(done) = step.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if ward.cut.get() {
            return Poll::Ready(Err(Ended::Cut));
        }
        if ward.draining.get() {
            life.hurry(LAST_CALL.min(life.bounds.handshake));
        }
        life.overdue().map_or(Poll::Pending, |overdue| Poll::Ready(Err(Ended::Overdue(overdue))))
    })
    .await
}

/// What both versions of HTTP have in common.
trait Conversation: Future<Output = hyper::Result<()>> {
    const SEVERAL: bool;
    /// Finish what was asked, take no more.
    fn finish(self: Pin<&mut Self>);
}

impl<F, Fut, B> Conversation for &mut http1::Connection<TokioIo<Wire>, Service<F>>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    const SEVERAL: bool = false;

    fn finish(mut self: Pin<&mut Self>) {
        Pin::new(&mut **self).graceful_shutdown();
    }
}

impl<F, Fut, B> Conversation for http2::Connection<TokioIo<Wire>, Service<F>, Streams>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    const SEVERAL: bool = true;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// An HTTP/1.1 connection until it ends, until it has been silent for a while, or until it switches to another protocol: then its
/// stream, to be taken up again.
async fn until_tired<F, Fut, B>(
    mut conversation: http1::Connection<TokioIo<Wire>, Service<F>>,
    life: Rc<Life>,
    ward: Rc<Ward<F>>,
) -> Result<Option<(Stream, Bytes)>, Ended>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut + 'static,
    Fut: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let done = {
        let mut driving = pin!(until_done(&mut conversation, life.clone(), ward));
        poll_fn(|cx| match driving.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if life.is_tired() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    };
    if let Some(ended) = done {
        ended?;
        if !life.has_switched() {
            return Ok(None);
        }
    }
    let parts = conversation.into_parts();
    let (stream, sniffed) = parts.io.into_inner().into_stream();
    // What hyper had read of the next head comes first.
    let read = if sniffed.is_empty() { parts.read_buf } else { [parts.read_buf, sniffed].concat().into() };
    Ok(Some((stream, read)))
}

/// Lets a connection that has switched have its talk, until it is over or service has ended.
async fn until_said<F>(switched: Switched, through: Through, life: &Life, ward: &Ward<F>) -> Result<(), Ended> {
    let Switched { talk, open: _open } = switched;
    let mut talk = talk(through);
    poll_fn(|cx| {
        life.watch(cx.waker());
        let ended = catch_unwind(AssertUnwindSafe(|| talk.as_mut().poll(cx)));
        match ended {
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Ok(Poll::Pending) if ward.cut.get() => Poll::Ready(Err(Ended::Cut)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => {
                tracing::error!("a tunnel panicked; it was closed and the others go on");
                Poll::Ready(Ok(()))
            }
        }
    })
    .await
}

/// Drives the connection, and ends it when it is overdue or service ends.
async fn until_done<C: Conversation, F>(conversation: C, life: Rc<Life>, ward: Rc<Ward<F>>) -> Result<(), Ended> {
    let mut conversation = pin!(conversation);
    let mut closing = false;
    poll_fn(|cx| {
        life.watch(cx.waker());
        loop {
            if let Poll::Ready(result) = conversation.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Ended::Http));
            }
            if ward.cut.get() {
                return Poll::Ready(Err(Ended::Cut));
            }
            let overdue = life.overdue();
            if !closing {
                // A client of HTTP/2 that merely rests is told before the connection closes.
                let rested = C::SEVERAL && overdue == Some(Overdue::Slow(Phase::Waiting));
                // One that was queued when service ended, and has not asked yet, may still ask.
                let fresh = life.served() == 0 && life.phase() != Phase::Serving;
                if ward.draining.get() && fresh && overdue.is_none() {
                    closing = true;
                    life.hurry(LAST_CALL.min(life.bounds.head));
                    return Poll::Pending;
                }
                if ward.draining.get() || rested || life.aged() {
                    closing = true;
                    life.hurry(LAST_CALL.min(life.bounds.idle));
                    conversation.as_mut().finish();
                    continue;
                }
            }
            return overdue.map_or(Poll::Pending, |overdue| Poll::Ready(Err(Ended::Overdue(overdue))));
        }
    })
    .await
}

/// Hands requests to the answer function and keeps the connection's life informed.
struct Service<F> {
    peer: Rc<Peer>,
    life: Rc<Life>,
    ward: Rc<Ward<F>>,
}

impl<F, Fut, B> hyper::service::Service<Request<Incoming>> for Service<F>
where
    F: Fn(Rc<Peer>, Request<Inflow>) -> Fut,
    Fut: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
{
    type Response = Response<Outflow<B>>;
    type Error = Infallible;
    type Future = Answering<Fut>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.life.head_ended(request.body().size_hint().exact());
        let open = self.life.begin();
        let offer = if request.extensions().is_empty() { None } else { Offer::of(&mut request, &self.life) };
        let request = request.map(|body| Inflow::new(body, self.life.clone(), offer));
        let peer = self.peer.clone();
        let answer = catch_unwind(AssertUnwindSafe(|| (self.ward.answer)(peer, request)));
        Answering { answer: answer.ok(), open: Some(open) }
    }
}

pin_project! {
    /// A request being answered. A panic in it costs this request a 500 and nobody else anything.
    struct Answering<Fut> {
        #[pin]
        answer: Option<Fut>,
        open: Option<Open>,
    }
}

impl<Fut, B> Future for Answering<Fut>
where
    Fut: Future<Output = Response<B>>,
{
    type Output = Result<Response<Outflow<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(answer) = this.answer.as_mut().as_pin_mut() {
            match catch_unwind(AssertUnwindSafe(|| answer.poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(mut response)) => {
                    let open = this.open.take();
                    if let Some(open) = &open {
                        open.hands_over(0);
                        if open.is_in_doubt() {
                            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                        }
                    }
                    return Poll::Ready(Ok(response.map(|body| Outflow { body: Some(body), open })));
                }
                Err(_) => {
                    let dropped = catch_unwind(AssertUnwindSafe(|| this.answer.set(None)));
                    if dropped.is_err() {
                        tracing::error!("a request panicked again while it was dropped");
                    }
                }
            }
        }
        tracing::error!("a request panicked; it was answered 500 and the others go on");
        let mut response = Response::new(Outflow { body: None, open: this.open.take() });
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Poll::Ready(Ok(response))
    }
}

pin_project! {
    /// An answer's body; the request is open until it ends.
    pub(super) struct Outflow<B> {
        #[pin]
        body: Option<B>,
        open: Option<Open>,
    }
}

impl<B: Body<Data = Bytes>> Body for Outflow<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let polled = body.poll_frame(cx);
        if let Some(open) = this.open {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => open.hands_over(frame.data_ref().map_or(0, |data| data.len() as u64)),
                Poll::Ready(_) => {}
                Poll::Pending => open.has_nothing(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}
