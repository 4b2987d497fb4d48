//! A request's body as it comes in, bounded in bytes, in pauses and in its mean rate.
//!
//! How long the client is waited for is [`Patience`]'s matter; it is made when the first pause begins, so that a body which is
//! already there costs nothing.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::life::Life;
use super::offer::Offer;
use super::patience::Patience;

/// Why a request's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum InflowFault {
    /// The client paused too long or sent too slowly; answered 408.
    #[error("the request's body came too slowly")]
    TooSlow,
    /// More bytes than are taken; answered 413.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(u64),
    /// The client left, or its framing was wrong; answered 400 if it is still there.
    #[error("the request's body broke off")]
    Broken(#[source] hyper::Error),
}

/// Ends the bounds in time of a request's body: who holds it sees to it that the conversation ends.
#[derive(Debug)]
pub struct Ease(Rc<Cell<bool>>);

impl Ease {
    /// From now on the client may be silent, and say little.
    pub fn now(self) {
        self.0.set(true);
    }
}

/// A request's body.
#[derive(Debug)]
pub struct Inflow {
    body: Incoming,
    life: Rc<Life>,
    received: u64,
    patience: Option<Box<Patience>>,
    ease: Option<Rc<Cell<bool>>>,
    offer: Option<Box<Offer>>,
    counted: bool,
    ended: bool,
    failed: bool,
}

impl Inflow {
    pub(super) fn new(body: Incoming, life: Rc<Life>, offer: Option<Box<Offer>>) -> Self {
        let counted = !body.is_end_stream();
        if counted {
            life.body_begins();
        }
        Self { body, life, received: 0, patience: None, ease: None, offer, counted, ended: false, failed: false }
    }

    /// The length that the client announced, if any: 0 for a request without a body.
    pub fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The client's offer to go on in another protocol, once.
    pub fn offer(&mut self) -> Option<Box<Offer>> {
        self.offer.take()
    }

    /// A handle that ends the bounds in time, for a body that turns out to be one side of a conversation.
    pub fn ease(&mut self) -> Ease {
        Ease(self.ease.get_or_insert_default().clone())
    }

    fn wait(&mut self, cx: &Context<'_>) -> Result<(), InflowFault> {
        if self.ease.as_ref().is_some_and(|ease| ease.get()) {
            self.patience = None;
            return Ok(());
        }
        let Self { life, patience, .. } = self;
        let patience = patience.get_or_insert_with(|| Box::new(Patience::new(&life.alarms, life.bounds)));
        if patience.waits(cx.waker()) { Ok(()) } else { Err(InflowFault::TooSlow) }
    }

    fn came(&mut self, bytes: u64) {
        self.received += bytes;
        if let Some(patience) = &mut self.patience {
            patience.moved(bytes);
        }
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        if self.counted {
            self.life.body_ends(self.ended || self.body.is_end_stream());
        }
    }
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = InflowFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let bound = self.life.bounds.body_bytes;
        let result = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => match self.wait(cx) {
                Ok(()) => return Poll::Pending,
                Err(fault) => Err(fault),
            },
            Poll::Ready(None) => {
                self.patience = None;
                self.ended = true;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(cause))) => Err(InflowFault::Broken(cause)),
            Poll::Ready(Some(Ok(frame))) => {
                self.came(frame.data_ref().map_or(0, |data| data.len() as u64));
                match bound != 0 && self.received > bound {
                    true => Err(InflowFault::TooLarge(bound)),
                    false => Ok(frame),
                }
            }
        };
        self.failed = result.is_err();
        Poll::Ready(Some(result))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
