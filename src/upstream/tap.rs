//! The bytes of one upstream connection, and the desk where the request, its body and its connection leave word for each other.
//!
//! An HTTP/1.1 connection is driven by the request that uses it, within that request's own task. So its socket and its body wake
//! that task, which the desk knows; what hyper wakes for its inner queues only says "look again".

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::failure::BoxError;

/// Clear text or TLS.
#[derive(Debug)]
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Where the parts of one exchange meet. Never leaves the worker.
#[derive(Debug)]
pub(super) struct Desk {
    task: RefCell<Waker>,
    /// Bytes read since the request began: none means that the server has not begun to answer.
    read: Cell<u64>,
    written: Cell<u64>,
    /// The client is waited for, not the server.
    body_pending: Cell<bool>,
    body_done: Cell<bool>,
    fault: RefCell<Option<BoxError>>,
    /// The head as it was written, while the request may have to be sent again.
    keeps: Cell<bool>,
    head: RefCell<Vec<u8>>,
}

/// Bytes of a head that are kept to send it again; a request with a larger one is sent once.
const KEPT: usize = 16 * 1024;

impl Desk {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            task: RefCell::new(Waker::noop().clone()),
            read: Cell::new(0),
            written: Cell::new(0),
            body_pending: Cell::new(false),
            body_done: Cell::new(true),
            fault: RefCell::new(None),
            keeps: Cell::new(false),
            head: RefCell::default(),
        })
    }

    /// From now on keeps what is written, or does not.
    pub fn keep(&self, keeps: bool) {
        self.keeps.set(keeps);
        self.head.borrow_mut().clear();
    }

    fn keeping(&self, result: &Poll<io::Result<usize>>, bytes: &[u8]) {
        if self.keeps.get() {
            let sent = match result {
                Poll::Ready(Ok(sent)) => bytes.len().min(*sent),
                Poll::Ready(Err(_)) => bytes.len(),
                Poll::Pending => 0,
            };
            let mut head = self.head.borrow_mut();
            if head.len() < KEPT {
                head.extend_from_slice(&bytes[..sent]);
            }
        }
    }

    /// Reads back the head that was written. Copying every head for the rare second sending would cost more than sending it.
    pub fn recall(&self) -> Option<Request<()>> {
        let written = self.head.borrow();
        let end = memchr::memmem::find(&written, b"\r\n\r\n")?;
        let mut lines = std::str::from_utf8(&written[..end]).ok()?.split("\r\n");
        let (method, target) = lines.next()?.strip_suffix(" HTTP/1.1")?.split_once(' ')?;
        let mut request = Request::builder().method(method).uri(target);
        for line in lines {
            let (name, value) = line.split_once(": ")?;
            request = request.header(name, value);
        }
        request.body(()).ok()
    }

    /// A new exchange begins.
    pub fn begin(&self, without_body: bool) {
        self.read.set(0);
        self.written.set(0);
        self.body_pending.set(false);
        self.body_done.set(without_body);
        self.fault.replace(None);
    }

    /// The task to wake from now on.
    pub fn seat(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }

    /// Polls something so that it wakes the task that is seated.
    pub fn awake<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        poll(&mut Context::from_waker(&self.task.borrow()))
    }

    /// The body was asked for its next piece.
    pub fn pulled(&self, pending: bool) {
        self.body_pending.set(pending);
    }

    /// The body has ended.
    pub fn done(&self) {
        self.body_done.set(true);
    }

    /// Some of the request went out.
    pub fn wrote(&self, bytes: usize) {
        self.written.set(self.written.get() + bytes as u64);
    }

    pub fn fail(&self, cause: BoxError) {
        self.fault.replace(Some(cause));
    }

    pub fn fault(&self) -> Option<BoxError> {
        self.fault.take()
    }

    pub fn read(&self) -> u64 {
        self.read.get()
    }

    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Whether the client is to blame for the present silence.
    pub fn waits_for_client(&self) -> bool {
        self.body_pending.get() && !self.body_done.get()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Clear(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A stream that keeps the desk informed and wakes whoever sits at it.
pub(super) struct Tap {
    stream: Stream,
    desk: Rc<Desk>,
}

impl Tap {
    pub fn new(stream: Stream, desk: Rc<Desk>) -> Self {
        Self { stream, desk }
    }

    /// The stream again.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    fn with<T>(&mut self, poll: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> T) -> T {
        let Self { stream, desk } = self;
        desk.awake(|cx| poll(Pin::new(stream), cx))
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = result {
            self.desk.wrote(bytes);
        }
        result
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = self.with(|stream, cx| stream.poll_read(cx, buf));
        self.desk.read.set(self.desk.read.get() + (buf.filled().len() - before) as u64);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = self.with(|stream, cx| stream.poll_write(cx, buf));
        self.desk.keeping(&result, buf);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.with(|stream, cx| stream.poll_write_vectored(cx, bufs));
        self.desk.keeping(&result, bufs.first().map_or(&[], |first| &**first));
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream, cx| stream.poll_shutdown(cx))
    }
}
