//! A request's body on its way to an upstream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::failure::BoxError;
use super::headers;
use super::tap::Desk;

/// A request's body: none, read whole, or streaming from the client.
#[derive(Debug)]
pub enum Outgoing<S> {
    /// None.
    Empty,
    /// Already here; can be sent again.
    Whole(Bytes),
    /// Still coming; can be sent once.
    Stream(S),
}

impl<S: Body<Data = Bytes>> Outgoing<S> {
    /// The same body once more, if it can be sent again.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }

    /// Makes the head say exactly how this body is framed, whatever the client's head said. hyper trusts these fields, so a length
    /// that does not fit would shift every later request on the connection.
    pub(super) fn frame(&self, head: &mut HeaderMap) {
        match self {
            Self::Empty => {
                head.remove(TRANSFER_ENCODING);
                if head.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0") {
                    head.remove(CONTENT_LENGTH);
                }
            }
            Self::Whole(bytes) => known(head, bytes.len() as u64),
            Self::Stream(body) => match body.size_hint().exact() {
                Some(length) => known(head, length),
                None => {
                    head.remove(CONTENT_LENGTH);
                    head.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
            },
        }
    }
}

fn known(head: &mut HeaderMap, length: u64) {
    head.remove(TRANSFER_ENCODING);
    head.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// A body that can be forwarded while it comes in.
pub trait Streamed: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static {}

impl<S> Streamed for S where S: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static {}

/// A body as the client connection pulls it.
pub(super) struct Sending<S> {
    body: Outgoing<S>,
    desk: Rc<Desk>,
    /// Over HTTP/1.1 the connection is driven by the request's own task, and the desk knows whom to wake.
    driven: bool,
}

impl<S: Streamed> Sending<S> {
    pub fn new(body: Outgoing<S>, desk: Rc<Desk>, driven: bool) -> Self {
        let sending = Self { body, desk, driven };
        sending.desk.begin(sending.ended());
        sending
    }

    /// Gives the body back, for a request that was never sent.
    pub fn into_body(self) -> Outgoing<S> {
        self.body
    }

    fn ended(&self) -> bool {
        match &self.body {
            Outgoing::Empty => true,
            Outgoing::Whole(bytes) => bytes.is_empty(),
            Outgoing::Stream(body) => body.is_end_stream(),
        }
    }
}

/// The request's body failed; the desk holds the reason.
#[derive(Debug, thiserror::Error)]
#[error("the request's body failed")]
pub(super) struct BodyFailed;

impl<S: Streamed> Body for Sending<S> {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, desk, driven } = &mut *self;
        let polled = match body {
            Outgoing::Empty => Poll::Ready(None),
            Outgoing::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outgoing::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::Stream(stream) if *driven => desk.awake(|cx| Pin::new(stream).poll_frame(cx)),
            Outgoing::Stream(stream) => Pin::new(stream).poll_frame(cx),
        };
        desk.pulled(polled.is_pending());
        let polled = match polled {
            Poll::Ready(Some(Err(cause))) => {
                desk.fail(cause.into());
                Poll::Ready(Some(Err(BodyFailed)))
            }
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers(trailers);
                }
                if !*driven {
                    desk.wrote(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        };
        if matches!(polled, Poll::Ready(None)) || self.ended() {
            self.desk.done();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Outgoing::Empty => SizeHint::with_exact(0),
            Outgoing::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Stream(body) => body.size_hint(),
        }
    }
}
