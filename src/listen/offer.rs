//! A client's offer to go on in another protocol: `Upgrade` over HTTP/1.1, extended CONNECT over HTTP/2 (RFC 8441).
//!
//! Nothing is switched unless somebody takes the offer up, and then only once the answer's head has gone out. This file moves the
//! client's bytes; it never looks at them, and it does not decide who may switch.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Method, Request};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::life::{Life, Open};
use super::wire::Stream;

/// What goes on with the client's bytes after the switch.
pub(super) type Talk = Box<dyn FnOnce(Through) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A client's offer. Dropping it declines.
#[derive(Debug)]
pub struct Offer {
    protocol: Option<Box<str>>,
    over: Over,
    life: Rc<Life>,
}

#[derive(Debug)]
enum Over {
    /// The whole connection.
    Connection,
    /// One stream of it.
    Stream(Box<OnUpgrade>),
}

impl Offer {
    /// The offer of this request, if it makes one; there is one for every plain CONNECT over HTTP/2 too, without a protocol.
    pub(super) fn of<B>(request: &mut Request<B>, life: &Rc<Life>) -> Option<Box<Self>> {
        let switch = request.extensions_mut().remove::<OnUpgrade>()?;
        let protocol = request.extensions_mut().remove::<Protocol>().map(|protocol| protocol.as_str().into());
        let over = match *request.method() == Method::CONNECT {
            true => Over::Stream(Box::new(switch)),
            false => Over::Connection,
        };
        Some(Box::new(Self { protocol, over, life: life.clone() }))
    }

    /// The `:protocol` of an extended CONNECT; none for `Upgrade`, whose token stands in the head.
    pub fn extended(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Takes it up: once the answer's head has been sent, `talk` has the client's bytes. The answer must be 101, or 200 over
    /// HTTP/2. If the answer cannot be sent, `talk` is dropped. The request counts as being served until the talk is over.
    pub fn take_up<F: Future<Output = ()> + 'static>(self, talk: impl FnOnce(Through) -> F + 'static) {
        match self.over {
            Over::Connection => self.life.switch_to(Box::new(move |through| Box::pin(talk(through)))),
            Over::Stream(switched) => {
                let open = self.life.begin();
                tokio::task::spawn_local(async move {
                    if let Ok(upgraded) = switched.await {
                        talk(Through::Stream(TokioIo::new(upgraded))).await;
                    }
                    drop(open);
                });
            }
        }
    }
}

/// A connection that has switched, held open for its talk.
pub(super) struct Switched {
    pub talk: Talk,
    pub open: Open,
}

impl std::fmt::Debug for Switched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switched").field("open", &self.open).finish_non_exhaustive()
    }
}

/// A client's bytes after the switch.
pub enum Through {
    /// A whole connection, with what it had sent already.
    Connection(Connection),
    /// One stream of an HTTP/2 connection.
    Stream(TokioIo<Upgraded>),
}

/// A whole connection.
pub struct Connection {
    stream: Stream,
    sent: Bytes,
}

impl std::fmt::Debug for Through {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connection(_) => "Connection",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Through {
    pub(super) const fn connection(stream: Stream, sent: Bytes) -> Self {
        Self::Connection(Connection { stream, sent })
    }
}

impl AsyncRead for Through {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Stream(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Connection(Connection { stream, sent }) => {
                if !sent.is_empty() {
                    let n = sent.len().min(buf.remaining());
                    buf.put_slice(&sent[..n]);
                    sent.advance(n);
                    if sent.is_empty() {
                        *sent = Bytes::new();
                    }
                    return Poll::Ready(Ok(()));
                }
                match stream {
                    Stream::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
                    Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
                }
            }
        }
    }
}

impl AsyncWrite for Through {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Stream(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Connection(Connection { stream: Stream::Clear(stream), .. }) => Pin::new(stream).poll_write(cx, buf),
            Self::Connection(Connection { stream: Stream::Tls(stream), .. }) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Stream(stream) => Pin::new(stream).poll_flush(cx),
            Self::Connection(Connection { stream: Stream::Clear(_), .. }) => Poll::Ready(Ok(())),
            Self::Connection(Connection { stream: Stream::Tls(stream), .. }) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Stream(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Connection(Connection { stream: Stream::Clear(stream), .. }) => Pin::new(stream).poll_shutdown(cx),
            Self::Connection(Connection { stream: Stream::Tls(stream), .. }) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
