//! The bytes of one connection, on their way between the socket and hyper: tells the connection's life of reads and of writes
//! that the client does not take, and gives back bytes that were read to find out which protocol is spoken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::life::Life;
use super::peer::Peer;
use super::preamble::{Heard, Preamble};

/// How much of what a client still sends is read and thrown away once it has its last answer.
const DISCARDED: usize = 256 * 1024;

/// Clear text or TLS.
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Ready when something has come, or the other end has gone.
    pub fn poll_come(&self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        socket.poll_read_ready(cx).map(drop)
    }

    /// Reads past everything that knows what the bytes mean.
    fn poll_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        };
        Pin::new(socket).poll_read(cx, buf)
    }
}

/// A stream that is watched.
pub(super) struct Wire {
    stream: Stream,
    sniffed: Bytes,
    life: Rc<Life>,
    ending: Ending,
    /// Listens to how an HTTP/2 connection is opened, for its peer; until the first request.
    preamble: Option<Box<(Preamble, Rc<Peer>)>>,
}

/// How far closing has come.
enum Ending {
    Open,
    /// Nothing more is sent; so many bytes have been thrown away.
    Mute(usize),
}

impl Wire {
    pub fn new(stream: Stream, sniffed: Bytes, life: Rc<Life>) -> Self {
        Self { stream, sniffed, life, ending: Ending::Open, preamble: None }
    }

    /// The same for an HTTP/2 connection, whose peer is told how it is opened.
    pub fn opening(stream: Stream, sniffed: Bytes, life: Rc<Life>, peer: Rc<Peer>) -> Self {
        Self { preamble: Some(Box::new((Preamble::default(), peer))), ..Self::new(stream, sniffed, life) }
    }

    /// Some bytes came.
    fn came(&mut self, bytes: &[u8]) {
        self.life.read(bytes);
        if let Some(listening) = &mut self.preamble {
            match listening.0.came(bytes) {
                Heard::More => return,
                Heard::Opening(opening) => listening.1.opened_with(opening),
                Heard::Nothing => {}
            }
            self.preamble = None;
        }
    }

    /// The stream again, with what was given back and not read.
    pub fn into_stream(self) -> (Stream, Bytes) {
        (self.stream, self.sniffed)
    }

    /// A socket that is closed with bytes unread is reset, and a reset overtakes the answer (RFC 9112 section 9.6). So a client that
    /// is still sending is heard out for a little while: until it closes, the bound is reached or the connection is overdue.
    fn poll_heard_out(&mut self, cx: &mut Context<'_>, mut discarded: usize) -> Poll<io::Result<()>> {
        let mut sink = [0; 8 * 1024];
        while discarded < DISCARDED {
            let mut sink = ReadBuf::new(&mut sink);
            match self.stream.poll_raw(cx, &mut sink) {
                Poll::Ready(Ok(())) if !sink.filled().is_empty() => {
                    discarded += sink.filled().len();
                    self.ending = Ending::Mute(discarded);
                    self.life.leave();
                }
                Poll::Pending if self.life.is_cut_short() => {
                    self.life.leave();
                    return Poll::Pending;
                }
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note<T>(
        &self,
        cx: &Context<'_>,
        result: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &result {
            Poll::Pending => self.life.blocked(cx.waker()),
            Poll::Ready(Ok(done)) => self.life.wrote(bytes(done)),
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.sniffed.is_empty() {
            let n = self.sniffed.len().min(buf.remaining());
            let given = self.sniffed.split_to(n);
            buf.put_slice(&given);
            self.came(&given);
            if self.sniffed.is_empty() {
                self.sniffed = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.came(&buf.filled()[before..]);
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.note(cx, result, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.stream {
            Stream::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.note(cx, result, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Clear(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Clear(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => {
                let result = Pin::new(stream).poll_flush(cx);
                self.note(cx, result, |()| 0)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let discarded = match self.ending {
            Ending::Mute(discarded) => discarded,
            Ending::Open => {
                let result = match &mut self.stream {
                    Stream::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
                    Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
                };
                ready!(self.note(cx, result, |()| 0))?;
                self.ending = Ending::Mute(0);
                0
            }
        };
        self.poll_heard_out(cx, discarded)
    }
}
