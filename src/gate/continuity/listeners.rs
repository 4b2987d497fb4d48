//! Those who listen to what works now: server-sent events, one at once and one for each change that concerns them.
//!
//! Nothing is queued: a listener that reads slowly finds the newest event and misses only what is no longer true. Their number has a
//! bound, apart from what customers' own streams may take; the newest loses and asks again later. It must never hold up a drain.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::works::{self, Who};
use crate::clock::Moment;
use crate::gate::Gate;
use crate::gate::context::Context;
use crate::gate::own::Own;
use crate::gate::streams::{Stay, Streams};
use crate::rules::in_force::InForce;

/// A listener that was told nothing for so long is told that somebody is there.
const BEAT: Duration = Duration::from_secs(15);

/// Listeners that are told in one beat of a worker, so that a change for ten thousand is not one long pause for the others.
const AT_ONCE: usize = 64;

/// What a listener shares with its worker.
#[derive(Debug)]
struct Ear {
    who: Who,
    /// How long a client waits before it connects again, in milliseconds: spread, so that not all come back at once.
    again: u64,
    /// It has to be told anew.
    due: Cell<bool>,
    /// What it reads next.
    next: RefCell<Option<Bytes>>,
    /// The tag of what it was told last.
    tag: Cell<Option<u64>>,
    spoken: Cell<Moment>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Ear {
    fn hear(&self, event: Bytes, now: Moment) {
        *self.next.borrow_mut() = Some(event);
        self.spoken.set(now);
        self.wake();
    }

    fn wake(&self) {
        // Taken out first: waking may drop a listener.
        let waker = self.waker.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Tells it what works now, unless it knows.
    fn tell(&self, gate: &Gate, now: Moment) {
        let prepared = gate.prepared();
        if !prepared.rules().journeys_feed.on {
            // Nothing is told under this law: a listener that stayed would take the last that it heard for what is so.
            self.over.set(true);
            return self.wake();
        }
        let told = works::told(gate, &prepared, &self.who, now);
        let first = self.tag.get().is_none();
        if self.tag.replace(Some(told.tag)) == Some(told.tag) {
            return;
        }
        let again = if first { format!("retry: {}\n", self.again) } else { String::new() };
        let event = format!("{again}event: journeys\nid: {}\ndata: {}\n\n", *told, told.at(now));
        self.hear(event.into(), now);
    }
}

/// A listener's side: the body of its answer.
#[derive(Debug)]
pub struct Listening {
    ear: Rc<Ear>,
    stay: Stay,
}

impl Listening {
    /// The next event; nothing when it is over.
    pub fn poll_event(&mut self, task: &mut Task<'_>) -> Poll<Option<Bytes>> {
        if self.stay.ended(task).is_some() {
            return Poll::Ready(None);
        }
        let next = self.ear.next.borrow_mut().take();
        if next.is_some() {
            self.stay.moved();
            self.stay.waits(false);
            return Poll::Ready(next);
        }
        if self.ear.over.get() {
            return Poll::Ready(None);
        }
        let mut waker = self.ear.waker.borrow_mut();
        match &mut *waker {
            Some(known) if known.will_wake(task.waker()) => {}
            other => *other = Some(task.waker().clone()),
        }
        Poll::Pending
    }
}

/// Everybody who listens at one worker.
#[derive(Debug, Default)]
pub struct Listeners {
    ears: RefCell<Vec<Rc<Ear>>>,
    seen: RefCell<Option<(Arc<InForce>, u64)>>,
    /// Some have to be told anew.
    due: Cell<bool>,
    closed: Cell<bool>,
}

/// One more listener, told at once.
///
/// # Errors
/// When there are as many as there may be, or a playbook cuts streams.
pub fn listen(gate: &Gate, context: &Context<'_>, who: Who) -> Result<Listening, Own> {
    let stay = Streams::enter_feed(gate, context)?;
    let listeners = &gate.listeners;
    let ear = Rc::new(Ear {
        who,
        again: 3000 + context.network.bits() % 4000,
        due: Cell::new(false),
        next: RefCell::default(),
        tag: Cell::new(None),
        spoken: Cell::new(context.now),
        over: Cell::new(listeners.closed.get()),
        waker: RefCell::default(),
    });
    ear.tell(gate, context.now);
    let mut ears = listeners.ears.borrow_mut();
    // Those that have gone since are forgotten before the list grows.
    if ears.len() == ears.capacity() {
        ears.retain(|ear| Rc::strong_count(ear) > 1);
    }
    ears.push(ear.clone());
    Ok(Listening { ear, stay })
}

impl Listeners {
    /// No more listening: everybody reads what is there, and is then at the end.
    pub fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        for ear in self.ears.borrow().iter() {
            ear.over.set(true);
            ear.wake();
        }
    }

    /// One beat of the worker: notices what changed and tells some of those whom it may concern. `long` for a beat in which those who
    /// were told nothing for long are looked for.
    pub fn beat(&self, gate: &Gate, long: bool) {
        if self.ears.borrow().is_empty() {
            return;
        }
        let (law, now) = (gate.law.borrow_mut().pin(), gate.shared.clock.now());
        let state = works::state(gate, &law, now);
        let same = |(known, before): &(Arc<InForce>, u64)| Arc::ptr_eq(known, &law) && *before == state;
        if !self.seen.borrow().as_ref().is_some_and(same) {
            *self.seen.borrow_mut() = Some((Arc::clone(&law), state));
            self.ears.borrow().iter().for_each(|ear| ear.due.set(true));
            self.due.set(true);
        }
        if self.due.get() {
            self.tell_some(gate, now);
        }
        if long {
            self.ears.borrow_mut().retain(|ear| Rc::strong_count(ear) > 1);
            for ear in self.ears.borrow().iter() {
                if now.since(ear.spoken.get()) >= BEAT && ear.next.borrow().is_none() {
                    ear.hear(Bytes::from_static(b": here\n\n"), now);
                }
            }
        }
    }

    fn tell_some(&self, gate: &Gate, now: Moment) {
        let mut some: Vec<Rc<Ear>> = Vec::with_capacity(AT_ONCE);
        some.extend(self.ears.borrow().iter().filter(|ear| ear.due.get()).take(AT_ONCE).cloned());
        self.due.set(some.len() == AT_ONCE);
        for ear in some {
            ear.due.set(false);
            // The list and this hold one each; who has left holds none.
            if Rc::strong_count(&ear) > 2 {
                ear.tell(gate, now);
            }
        }
    }
}
