//! The body of an answer: made here, or passed on from the upstream as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::continuity::banner::Rewriting;
use super::continuity::listeners::Listening;
use super::continuity::store::Tee;
use super::streams::{Ended, Stay};
use crate::listen::Inflow;
use crate::upstream::{Answer, BoxError, Flow};

/// What a client is sent.
#[derive(Debug)]
pub enum Body {
    /// Written by Weir; taken when it is sent.
    Own(Option<Bytes>),
    /// Passed on.
    Passed(Answer<Inflow>),
    /// Passed on for as long as it goes on, unless something ends it.
    Open(Box<Open>),
    /// Passed on, and gathered to be kept.
    Kept(Box<Tee>),
    /// A page, rewritten as it passes.
    Rewritten(Box<Rewriting>),
    /// What works now, told for as long as somebody listens.
    Told(Box<Listening>),
}

/// An answer that goes on.
#[derive(Debug)]
pub struct Open {
    answer: Option<Answer<Inflow>>,
    flow: Flow,
    stay: Stay,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

impl Open {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
        if let Some(why) = self.stay.ended(cx) {
            // Events have no end that could be missed: a client connects again and is judged again.
            self.answer = None;
            return Poll::Ready(match self.flow {
                Flow::Events => None,
                Flow::Calls => Some(Ok(Frame::trailers(last_words(why)))),
            });
        }
        let polled = http_body::Body::poll_frame(Pin::new(answer), cx);
        if let Poll::Ready(Some(Ok(_))) = &polled {
            self.stay.moved();
        }
        polled.map_err(Into::into)
    }
}

/// The status of a gRPC call that Weir ended: 16 UNAUTHENTICATED or 14 UNAVAILABLE.
fn last_words(why: Ended) -> HeaderMap {
    let (status, message) = match why {
        Ended::Session => ("16", "The session has ended. Please sign in again."),
        Ended::Cut | Ended::Age | Ended::Idle | Ended::Unread => ("14", "The call was ended. Please call again."),
    };
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static(status));
    trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    trailers
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self::Own(None)
    }

    /// An answer that goes on, while it has its place.
    pub fn open(answer: Answer<Inflow>, flow: Flow, stay: Stay) -> Self {
        Self::Open(Box::new(Open { answer: Some(answer), flow, stay }))
    }

    /// A page that is rewritten as it passes.
    pub fn rewritten(rewriting: Rewriting) -> Self {
        Self::Rewritten(Box::new(rewriting))
    }

    /// What a listener is told.
    pub fn told(listening: Listening) -> Self {
        Self::Told(Box::new(listening))
    }

    /// These bytes.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        Self::Own(Some(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passed(answer) => Pin::new(answer).poll_frame(cx).map_err(Into::into),
            Self::Open(open) => open.poll_frame(cx),
            Self::Kept(tee) => tee.poll_frame(cx),
            Self::Rewritten(rewriting) => rewriting.poll_frame(cx),
            Self::Told(listening) => listening.poll_event(cx).map(|event| event.map(|event| Ok(Frame::data(event)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Passed(answer) => answer.is_end_stream(),
            Self::Open(open) => open.answer.as_ref().is_none_or(http_body::Body::is_end_stream),
            Self::Kept(tee) => tee.is_end_stream(),
            Self::Rewritten(rewriting) => rewriting.is_end(),
            Self::Told(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Passed(answer) => answer.size_hint(),
            Self::Kept(tee) => tee.size_hint(),
            Self::Open(open) => {
                open.answer.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
            }
            Self::Rewritten(_) | Self::Told(_) => SizeHint::default(),
        }
    }
}
