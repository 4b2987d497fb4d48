//! One HTTP/1.1 connection to a server, driven by whichever request uses it. No task of its own, no wake-up between tasks.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::failure::Failure;
use super::outgoing::{Outgoing, Sending, Streamed};
use super::reach::Place;
use super::tap::{Desk, Stream, Tap};
use crate::alarm::Alarm;

/// Bytes of one head of an answer.
const HEAD_BYTES: usize = 64 * 1024;
/// Bytes before an answer's head is complete, informational answers included. More is a storm.
const STORM_BYTES: u64 = 256 * 1024;
/// How often hyper may ask to be looked at again within one turn, so that one connection does not keep the others waiting.
const TURNS: usize = 32;

/// An HTTP/1.1 connection.
pub(super) struct Line<S: Streamed> {
    sender: http1::SendRequest<Sending<S>>,
    /// None once it is over and a request was still waiting in it.
    connection: Option<http1::Connection<TokioIo<Tap>, Sending<S>>>,
    desk: Rc<Desk>,
    again: Arc<Again>,
    inner: Waker,
    over: bool,
    pub alarm: Alarm,
    /// When it was last given back, on the worker's coarse clock.
    pub rested: u64,
    pub reused: bool,
    place: Option<Place>,
}

/// Why a request got no answer on this line.
pub(super) enum Unanswered<S> {
    /// Nothing was sent; here it is again.
    Unsent(Box<Request<Outgoing<S>>>),
    /// It was, or may have been.
    Failed {
        failure: Failure,
        /// The server has not said a single byte, and the connection is gone.
        silent: bool,
    },
}

/// hyper asks to be polled again.
#[derive(Debug, Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<S: Streamed> Line<S> {
    /// A line over a connected stream.
    pub async fn open(stream: Stream, alarm: Alarm, place: Place) -> Result<Box<Self>, Failure> {
        let desk = Desk::new();
        let io = TokioIo::new(Tap::new(stream, desk.clone()));
        let mut builder = http1::Builder::new();
        builder.max_header_size(HEAD_BYTES).max_buf_size(128 * 1024);
        let (sender, connection) = builder.handshake(io).await.map_err(Failure::of)?;
        let again = Arc::new(Again::default());
        let inner = Waker::from(again.clone());
        Ok(Box::new(Self {
            sender,
            connection: Some(connection),
            desk,
            again,
            inner,
            over: false,
            alarm,
            rested: 0,
            reused: false,
            place: Some(place),
        }))
    }

    /// Looks whether a resting line still stands. Wakes nobody later.
    pub fn stands(&mut self) -> bool {
        self.desk.seat(Waker::noop());
        let mut cx = Context::from_waker(&self.inner);
        for _ in 0..TURNS {
            self.again.0.store(false, Ordering::Relaxed);
            if self.over
                || self.connection.as_mut().is_none_or(|connection| Pin::new(connection).poll(&mut cx).is_ready())
            {
                self.over = true;
                return false;
            }
            if !self.again.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.sender.is_ready()
    }

    /// The head last sent, if it was to be kept.
    pub fn recall(&self) -> Option<Request<()>> {
        self.desk.recall()
    }

    /// Whether it can take another request as it is.
    pub fn is_free(&self) -> bool {
        self.desk.seat(Waker::noop());
        !self.over && self.sender.is_ready()
    }

    /// What comes over it goes on for as long as it likes, and is counted elsewhere: its place among the server's connections is free.
    pub fn free_place(&mut self) {
        self.place = None;
    }

    /// Whether it has its place among the server's connections.
    pub const fn is_counted(&self) -> bool {
        self.place.is_some()
    }

    /// The stream under it, with what the server has sent since its answer's head. None while the connection is still in use.
    pub fn into_stream(mut self) -> Option<(Stream, Bytes)> {
        self.stands();
        if !self.over {
            return None;
        }
        let parts = self.connection?.into_parts();
        Some((parts.io.into_inner().into_stream(), parts.read_buf))
    }

    /// Sends a request and waits for its answer's head. If `keep` is set its head can be recalled.
    pub async fn ask(
        &mut self,
        request: Request<Outgoing<S>>,
        answer: Duration,
        keep: bool,
    ) -> Result<Response<Incoming>, Unanswered<S>> {
        let desk = self.desk.clone();
        desk.keep(keep);
        let request = request.map(|body| Sending::new(body, desk.clone(), true));
        let mut reply = pin!(self.sender.try_send_request(request));
        let mut written = 0;
        self.alarm.set(answer);
        poll_fn(|cx| {
            let polled = match self.drive(cx, |cx| reply.as_mut().poll(cx)) {
                // It ended before it took the request up: let go of, it gives it back.
                Poll::Pending if self.over && self.connection.take().is_some() => {
                    self.drive(cx, |cx| reply.as_mut().poll(cx))
                }
                polled => polled,
            };
            match polled {
                Poll::Ready(Ok(response)) => {
                    self.alarm.lift();
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Err(mut error)) => {
                    self.alarm.lift();
                    if let Some(request) = error.take_message() {
                        return Poll::Ready(Err(Unanswered::Unsent(Box::new(request.map(Sending::into_body)))));
                    }
                    let failure = match desk.fault() {
                        Some(cause) => Failure::RequestBody(cause),
                        None => Failure::of(error.into_error()),
                    };
                    let silent = matches!(failure, Failure::Closed(_)) && desk.read() == 0;
                    return Poll::Ready(Err(Unanswered::Failed { failure, silent }));
                }
                Poll::Pending => {}
            }
            let failed = |failure| Poll::Ready(Err(Unanswered::Failed { failure, silent: false }));
            if desk.read() > STORM_BYTES {
                return failed(Failure::HeadTooLarge);
            }
            if desk.waits_for_client() {
                // The body has bounds of its own.
                self.alarm.lift();
            } else if desk.written() != written || !self.alarm.is_set() {
                written = desk.written();
                self.alarm.set(answer);
            } else if self.alarm.is_due() {
                return failed(Failure::AnswerTimeout);
            }
            self.alarm.watch(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// Drives the connection until `wanted` has come or nothing more can be done now.
    pub fn drive<T>(&mut self, cx: &mut Context<'_>, mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.desk.seat(cx.waker());
        let mut inner = Context::from_waker(&self.inner);
        // What has come already needs no look at the connection.
        if let Poll::Ready(come) = wanted(&mut inner) {
            return Poll::Ready(come);
        }
        for _ in 0..TURNS {
            self.again.0.store(false, Ordering::Relaxed);
            if !self.over
                && self.connection.as_mut().is_none_or(|connection| Pin::new(connection).poll(&mut inner).is_ready())
            {
                self.over = true;
            }
            if let Poll::Ready(come) = wanted(&mut inner) {
                return Poll::Ready(come);
            }
            if !self.again.0.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
