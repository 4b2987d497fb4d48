//! An upstream's answer as it comes in. Its end gives the connection back; dropping it earlier closes the connection, or resets the stream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::headers;
use super::line::Line;
use super::outgoing::Streamed;
use super::pool::{Busy, Pools, Target};
use crate::alarm::Alarm;
use crate::rules::ruleset::UpstreamTimeout;

/// Why an answer's body broke off. It is never passed on as complete.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// Nothing came for too long.
    #[error("the server paused too long within its answer")]
    Idle,
    /// The connection ended, or the framing was wrong.
    #[error("the server's answer broke off")]
    Broken(#[source] hyper::Error),
}

impl AnswerFault {
    /// The error type for the log (RFC 9209 section 2.3).
    pub const fn token(&self) -> &'static str {
        match self {
            Self::Idle => "http_response_timeout",
            Self::Broken(_) => "http_response_incomplete",
        }
    }
}

/// Marks an answer whose end is nothing but the end of its connection: whether it is whole cannot be told.
#[derive(Debug, Clone, Copy)]
pub struct UntilClose;

/// An answer's body.
pub struct Answer<S: Streamed> {
    body: Incoming,
    idle: Duration,
    keep: Duration,
    flow: Option<Flow>,
    over: Over<S>,
}

/// An answer that goes on for as long as there is something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Server-sent events.
    Events,
    /// gRPC: one message or a stream of them.
    Calls,
}

impl Flow {
    /// By its content type, of an answer or of a request.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.as_bytes();
        let is = |name: &[u8]| kind.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is(b"text/event-stream") {
            Some(Self::Events)
        } else if is(b"application/grpc") {
            Some(Self::Calls)
        } else {
            None
        }
    }
}

/// What the answer comes over.
enum Over<S: Streamed> {
    /// Nothing more is to come, or nothing can.
    Done,
    Line {
        line: Box<Line<S>>,
        pools: Pools<S>,
        target: Rc<Target<S>>,
    },
    Stream {
        alarm: Alarm,
        _busy: Busy,
    },
}

impl<S: Streamed> std::fmt::Debug for Answer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("body", &self.body).finish_non_exhaustive()
    }
}

impl<S: Streamed> Answer<S> {
    pub(super) fn over_line(
        body: Incoming,
        line: Box<Line<S>>,
        pools: &Pools<S>,
        target: Rc<Target<S>>,
        timeout: UpstreamTimeout,
        headers: &HeaderMap,
    ) -> Self {
        let flow = Flow::of(headers);
        let (idle, keep) = (idle(flow, timeout), timeout.keep);
        let mut answer = Self { body, idle, keep, flow, over: Over::Line { line, pools: pools.clone(), target } };
        answer.give_back_at_end();
        answer
    }

    pub(super) fn over_stream(
        body: Incoming,
        alarm: Alarm,
        busy: Busy,
        timeout: UpstreamTimeout,
        headers: &HeaderMap,
    ) -> Self {
        let flow = Flow::of(headers);
        let done = body.is_end_stream();
        let over = if done { Over::Done } else { Over::Stream { alarm, _busy: busy } };
        Self { body, idle: idle(flow, timeout), keep: Duration::ZERO, flow, over }
    }

    /// What kind of stream it is, while it goes on. Its connection is then not counted among those that answer requests: whoever
    /// asks sees to it that there are not too many.
    pub fn flow(&mut self) -> Option<Flow> {
        let flow = self.flow.filter(|_| !self.body.is_end_stream())?;
        if let Over::Line { line, .. } = &mut self.over {
            line.free_place();
        }
        Some(flow)
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Over::Line { line, pools, target } = std::mem::replace(&mut self.over, Over::Done) {
            line.alarm.lift();
            pools.give_back(&target, line, self.keep);
        }
    }
}

const fn idle(flow: Option<Flow>, timeout: UpstreamTimeout) -> Duration {
    match flow {
        Some(_) => timeout.stream,
        None => timeout.idle,
    }
}

impl<S: Streamed> Body for Answer<S> {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, over, idle, .. } = &mut *self;
        let polled = match over {
            Over::Line { line, .. } => line.drive(cx, |cx| Pin::new(&mut *body).poll_frame(cx)),
            Over::Done | Over::Stream { .. } => Pin::new(body).poll_frame(cx),
        };
        let alarm = match over {
            Over::Line { line, .. } => Some(&line.alarm),
            Over::Stream { alarm, .. } => Some(&*alarm),
            Over::Done => None,
        };
        match polled {
            Poll::Pending => {
                if let Some(alarm) = alarm {
                    if !alarm.is_set() {
                        alarm.set(*idle);
                    } else if alarm.is_due() {
                        self.over = Over::Done;
                        return Poll::Ready(Some(Err(AnswerFault::Idle)));
                    }
                    alarm.watch(cx.waker());
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(alarm) = alarm {
                    alarm.lift();
                }
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers(trailers);
                    self.give_back();
                } else {
                    self.give_back_at_end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(cause))) => {
                self.over = Over::Done;
                Poll::Ready(Some(Err(AnswerFault::Broken(cause))))
            }
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
