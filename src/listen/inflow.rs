//! A request's body as it comes in, bounded in bytes, in pauses and in its mean rate.
//!
//! A body that drips a byte now and then must not live for ever, so pauses add up. Only time in which the client is waited for
//! counts: an upstream that reads slowly is not the client's fault. The alarm is made when the first pause begins, so that a
//! body which is already there costs nothing.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::life::Life;
use crate::alarm::Alarm;

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

/// A request's body.
#[derive(Debug)]
pub struct Inflow {
    body: Incoming,
    life: Rc<Life>,
    received: u64,
    pauses: Option<Box<Pauses>>,
    counted: bool,
    ended: bool,
    failed: bool,
}

#[derive(Debug)]
struct Pauses {
    alarm: Alarm,
    /// When the present pause began; 0 between pauses.
    since: u64,
    waited: u64,
    earned: u64,
}

impl Inflow {
    pub(super) fn new(body: Incoming, life: Rc<Life>) -> Self {
        let counted = !body.is_end_stream();
        if counted {
            life.body_begins();
        }
        Self { body, life, received: 0, pauses: None, counted, ended: false, failed: false }
    }

    /// The length that the client announced, if any: 0 for a request without a body.
    pub fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    fn wait(&mut self, cx: &Context<'_>) -> Result<(), InflowFault> {
        let Self { life, pauses, .. } = self;
        let pauses = pauses
            .get_or_insert_with(|| Box::new(Pauses { alarm: life.alarms.alarm(), since: 0, waited: 0, earned: 0 }));
        if pauses.since == 0 {
            pauses.since = life.alarms.now();
            let earned = Duration::from_secs(pauses.earned / life.bounds.body_rate.max(1));
            let left = (life.bounds.body_grace + earned).saturating_sub(Duration::from_millis(pauses.waited));
            pauses.alarm.set(left.min(life.bounds.body_idle));
        } else if pauses.alarm.is_due() {
            return Err(InflowFault::TooSlow);
        }
        pauses.alarm.watch(cx.waker());
        Ok(())
    }

    fn came(&mut self, bytes: u64) {
        self.received += bytes;
        if let Some(pauses) = &mut self.pauses
            && pauses.since != 0
        {
            pauses.waited += self.life.alarms.now() - pauses.since;
            pauses.earned += bytes;
            pauses.since = 0;
            pauses.alarm.lift();
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
                self.pauses = None;
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
