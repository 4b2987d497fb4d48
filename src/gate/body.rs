//! The body of an answer: made here, or passed on from the upstream as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::listen::Inflow;
use crate::upstream::Answer;

/// What a client is sent.
#[derive(Debug)]
pub enum Body {
    /// Written by Weir; taken when it is sent.
    Own(Option<Bytes>),
    /// Passed on.
    Passed(Answer<Inflow>),
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self::Own(None)
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Passed(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Passed(answer) => answer.size_hint(),
        }
    }
}
