//! Upgrades: a client that asks to switch is judged like any other, the server is asked, and only once it has agreed in the right way
//! are the two joined. From then on bytes go both ways unread, with a bound on what waits in between.
//!
//! It must never make a tunnel that was not asked for, and never forward `Upgrade` for a protocol that the rules do not name: `h2c`
//! would take later requests past every rule.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::Body;
use super::context::{Context, body::Taken};
use super::fault::Fault;
use super::notice::Reader;
use super::own::Own;
use super::record::Record;
use super::said::Said;
use super::streams::{Ended, Kind, Stay, Streams};
use super::{Gate, learn};
use crate::admission::Slot;
use crate::judge::decision::Clearance;
use crate::listen::host::HostFault;
use crate::listen::{Inflow, Offer, Peer, Through};
use crate::rules::ruleset::Upstream;
use crate::upstream::headers::response_headers;
use crate::upstream::{self, Opened, Tunnel};

/// Bytes that may wait in one direction.
const WAITING: usize = 16 * 1024;
/// Pieces that one direction moves before others have their turn.
const TURNS: usize = 16;

/// A client's wish to go on in another protocol.
#[derive(Debug)]
pub struct Asked {
    offer: Box<Offer>,
    protocol: HeaderValue,
    extended: bool,
}

/// Whether a request asks to switch in a way that can be granted. An extended CONNECT is from here on the GET that it stands for
/// (RFC 8441 section 5); any other wish that is not well formed is left out, and the request is served as it is.
pub fn asked(head: &mut request::Parts, inflow: &mut Inflow) -> Option<Asked> {
    let offer = inflow.offer()?;
    if let Some(protocol) = offer.extended() {
        let protocol = HeaderValue::from_str(&protocol.to_ascii_lowercase()).ok()?;
        head.method = Method::GET;
        return Some(Asked { offer, protocol, extended: true });
    }
    if head.method == Method::CONNECT || inflow.announced() != Some(0) {
        return None;
    }
    let protocol = one(&head.headers, &UPGRADE)?.to_str().ok()?.trim().to_ascii_lowercase();
    let mut options = head.headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    let named = options.any(|line| line.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")));
    let shaken = protocol != "websocket" || (head.method == Method::GET && is_handshake(&head.headers));
    let protocol = HeaderValue::from_str(&protocol).ok().filter(|_| named && shaken)?;
    Some(Asked { offer, protocol, extended: false })
}

fn one<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(name).iter();
    all.next().filter(|_| all.next().is_none())
}

/// RFC 6455 section 4.2.1.
fn is_handshake(headers: &HeaderMap) -> bool {
    let key = one(headers, &SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key.as_bytes()).ok());
    let version = one(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    version && key.is_some_and(|key| key.len() == 16)
}

impl Asked {
    /// What is left of the wish at this upstream: nothing if the rules do not name the protocol. The request is then served as it is.
    ///
    /// # Errors
    /// An extended CONNECT is nothing without its protocol.
    pub fn at(self, law: &Upstream) -> Result<Option<Self>, Own> {
        let named = law.upgrades.iter().any(|named| named.as_bytes() == self.protocol.as_bytes());
        match named && upstream::can_switch(law) {
            true => Ok(Some(self)),
            false if self.extended => Err(Own::Fault(Fault::Host(HostFault::Tunnel))),
            false => Ok(None),
        }
    }
}

/// What the walk has in hand when a request is let through.
pub struct Cleared<'w> {
    /// The front edge's facts.
    pub peer: &'w Peer,
    /// The request's head.
    pub head: request::Parts,
    /// From the judge.
    pub clearance: Clearance,
    /// From admission.
    pub slot: Slot,
    /// How the client reads.
    pub reader: Reader,
}

impl std::fmt::Debug for Cleared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cleared").finish_non_exhaustive()
    }
}

/// Asks the server to switch. If it does, the client is told so and the two are joined; otherwise its answer is passed on.
///
/// # Errors
/// What makes the answer Weir's own.
pub async fn open(
    gate: &Gate,
    context: &mut Context<'_>,
    asked: Asked,
    cleared: Cleared<'_>,
    record: &mut Record,
) -> Result<Response<Body>, Own> {
    let law = context.prepared.rules().upstream(context.upstream);
    let stay = Streams::enter(gate, context, Kind::Tunnel)?;
    let Cleared { peer, head, clearance, slot, reader } = cleared;
    let request = context.outgoing(peer, head, Taken::Nothing, record);
    record.dispatched(context.upstream);
    let unheard = learn::Unheard::of(gate, context);
    let opened = upstream::open(&gate.pools, clearance, slot, law, request, &asked.protocol).await;
    unheard.into_iter().for_each(learn::Unheard::heard);
    record.answered();
    let (mut response, tunnel) = match opened.map_err(|failure| Own::Fault(failure.into()))? {
        Opened::Answered(response) => (response.map(Body::Passed), None),
        Opened::Switched(response, tunnel) => (response.map(|()| Body::empty()), Some(tunnel)),
    };
    let said = Said::read(&response_headers(response.headers_mut()));
    learn::from(gate, context, &mut response, said, reader, record)?;
    if let Some(tunnel) = tunnel {
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        if asked.extended {
            headers.remove(SEC_WEBSOCKET_ACCEPT);
            *response.status_mut() = StatusCode::OK;
        } else {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, asked.protocol);
        }
        asked.offer.take_up(move |client| join(client, tunnel, stay));
    }
    Ok(response)
}

/// Moves bytes both ways until both sides have closed, one has failed, or the stream is ended.
async fn join(mut client: Through, mut server: Tunnel, stay: Stay) {
    let (mut up, mut down) = (Way::default(), Way::default());
    let ended = poll_fn(|task| {
        if let Some(why) = stay.ended(task) {
            return Poll::Ready(Ok(Some(why)));
        }
        let sent = up.go_on(task, &mut client, &mut server, &stay)?;
        let received = down.go_on(task, &mut server, &mut client, &stay)?;
        if sent.is_ready() && received.is_ready() {
            return Poll::Ready(Ok(None));
        }
        stay.waits(up.is_blocked() || down.is_blocked() || sent.is_ready() || received.is_ready());
        Poll::Pending
    })
    .await;
    close(ended, client, server);
}

fn close(ended: io::Result<Option<Ended>>, client: Through, server: Tunnel) {
    if let Err(cause) = ended {
        tracing::debug!(%cause, "a tunnel broke");
    }
    drop((client, server));
}

/// One direction of a tunnel. Nothing is kept while nothing waits.
#[derive(Debug, Default)]
struct Way {
    waiting: Vec<u8>,
    written: usize,
    unflushed: bool,
    ended: bool,
    shut: bool,
}

impl Way {
    /// Whether the other side has to read before more can be taken.
    fn is_blocked(&self) -> bool {
        self.written < self.waiting.len()
    }

    /// Moves what there is. Ready when this direction is closed.
    fn go_on<F, T>(&mut self, task: &mut Task<'_>, from: &mut F, to: &mut T, stay: &Stay) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURNS {
            while self.is_blocked() {
                let sent = ready!(Pin::new(&mut *to).poll_write(task, &self.waiting[self.written..]))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                (self.written, self.unflushed) = (self.written + sent, true);
                stay.moved();
            }
            if !self.waiting.is_empty() {
                (self.waiting, self.written) = (Vec::new(), 0);
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(task))?;
                self.shut = true;
                return Poll::Ready(Ok(()));
            }
            let mut space = [MaybeUninit::uninit(); WAITING];
            let mut space = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(task, &mut space)?.is_pending() {
                if self.unflushed && Pin::new(&mut *to).poll_flush(task)?.is_ready() {
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            let came = space.filled();
            if came.is_empty() {
                self.ended = true;
                continue;
            }
            stay.moved();
            let sent = match Pin::new(&mut *to).poll_write(task, came)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(sent) => sent,
                Poll::Pending => 0,
            };
            self.unflushed |= sent > 0;
            if let Some(left) = came.get(sent..).filter(|left| !left.is_empty()) {
                self.waiting.extend_from_slice(left);
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
