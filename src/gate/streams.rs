//! What stays open after its answer's head: tunnels, event streams, gRPC calls. Each worker knows its own, so that they can be ended
//! when the session behind them has ended, when a playbook cuts them, or when they are too old or too quiet.
//!
//! A swap of the law never touches them. They are looked through once a second by the worker's own tick; the request path sets a
//! flag and reads no clock. The number is bounded for the process and for each upstream; the newest loses.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Waker};
use std::time::Duration;

use http::{Response, request};

use super::Gate;
use super::body::Body;
use super::context::Context;
use super::own::Own;
use crate::admission::Full;
use crate::clock::Moment;
use crate::listen::{Ease, Inflow};
use crate::memory::Memory;
use crate::memory::reported::TokenFacts;
use crate::rules::client::Channel;
use crate::rules::in_force::InForce;
use crate::subject::Session;
use crate::upstream::{Answer, Flow};

/// How long one side of a tunnel may leave what it was sent unread, or go on alone after the other has closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what stays open, over all workers. Outlives every law.
#[derive(Debug)]
pub struct Room {
    most: usize,
    age: Duration,
    open: Arc<AtomicUsize>,
    feeds: Arc<AtomicUsize>,
    upstreams: Mutex<HashMap<Arc<str>, Arc<AtomicUsize>>>,
}

impl Room {
    /// Room for `most` at once, each for `age` at most.
    pub fn new(most: usize, age: Duration) -> Self {
        Self { most, age, open: Arc::default(), feeds: Arc::default(), upstreams: Mutex::default() }
    }

    /// How long each may be open.
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// What is open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// What is open at an upstream. Takes a lock: a worker asks once for each generation of the law and keeps it.
    pub fn at(&self, upstream: &Arc<str>) -> Arc<AtomicUsize> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.entry(upstream.clone()).or_default().clone()
    }
}

/// One among those that may be open; gives its place back when it is dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(count.clone());
        (count.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What kind of stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in both directions.
    Tunnel,
    /// An answer that goes on.
    Answer(Flow),
    /// Weir's own telling of what works now.
    Feed,
}

/// Why a stream was ended before its ends wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its session ended, or may go no further than its step-up.
    Session,
    /// A playbook cuts streams.
    Cut,
    /// It was open as long as it may be.
    Age,
    /// Nothing was said for too long.
    Idle,
    /// One side did not read, or did not close.
    Unread,
}

impl Ended {
    /// The word in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Session => "session_ended",
            Self::Cut => "cut_streams",
            Self::Age => "age",
            Self::Idle => "idle",
            Self::Unread => "unread",
        }
    }
}

/// One stream, as the look-through sees it.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    journey: Option<Arc<str>>,
    channel: Channel,
    /// The session that it hangs on, if its end can be noticed; and whether it was held from the start.
    session: Option<(Session, bool)>,
    /// The token that it was opened with.
    token: Option<TokenFacts>,
    began: Moment,
    quiet: Duration,
    moved: Cell<bool>,
    last: Cell<Moment>,
    waits: Cell<bool>,
    waits_since: Cell<Option<Moment>>,
    ended: Cell<Option<Ended>>,
    waker: RefCell<Option<Waker>>,
}

/// A request whose answer may stay open.
#[derive(Debug)]
pub struct Opening {
    /// For a request that goes on while its answer does: it is then not hurried.
    ease: Option<Ease>,
}

impl Opening {
    /// What its head tells: a call whose length is not announced goes on while it is answered.
    pub fn of(head: &request::Parts, inflow: &mut Inflow) -> Self {
        let talks = inflow.announced().is_none() && Flow::of(&head.headers).is_some();
        Self { ease: talks.then(|| inflow.ease()) }
    }

    /// The answer as it is passed on: one that stays open has a place among the streams.
    ///
    /// # Errors
    /// When there are as many as there may be, or a playbook cuts those of this kind.
    pub fn pass_on(
        self,
        gate: &Gate,
        context: &Context<'_>,
        mut answer: Response<Answer<Inflow>>,
    ) -> Result<Response<Body>, Own> {
        let Some(flow) = answer.body_mut().flow() else { return Ok(answer.map(Body::Passed)) };
        let stay = Streams::enter(gate, context, Kind::Answer(flow))?;
        self.ease.into_iter().for_each(Ease::now);
        Ok(answer.map(|answer| Body::open(answer, flow, stay)))
    }
}

/// A stream's hold on its place: while it lives the stream is counted and can be ended.
#[derive(Debug)]
pub struct Stay {
    entry: Rc<Entry>,
    _places: [Place; 2],
}

impl Stay {
    /// Whether it must end, and why; the task is woken when it must.
    pub fn ended(&self, task: &Task<'_>) -> Option<Ended> {
        let ended = self.entry.ended.get();
        if ended.is_none() {
            let mut waker = self.entry.waker.borrow_mut();
            match &mut *waker {
                Some(known) if known.will_wake(task.waker()) => {}
                other => *other = Some(task.waker().clone()),
            }
        }
        ended
    }

    /// Something was said.
    pub fn moved(&self) {
        self.entry.moved.set(true);
    }

    /// One side is waited for, or not any more.
    pub fn waits(&self, waits: bool) {
        self.entry.waits.set(waits);
    }
}

/// The open streams of one worker.
#[derive(Debug, Default)]
pub struct Streams(RefCell<Vec<Rc<Entry>>>);

impl Streams {
    /// A place for one more stream of this request.
    ///
    /// # Errors
    /// When there are as many as there may be, or a playbook cuts those of this kind.
    pub fn enter(gate: &Gate, context: &Context<'_>, kind: Kind) -> Result<Stay, Own> {
        let prepared = context.prepared;
        let law = prepared.rules().upstream(context.upstream);
        Self::place(gate, context, kind, (prepared.streams(context.upstream), law.max_streams), law.timeout.stream)
    }

    /// A place for one more who listens to what works now. They take at most half of the room: the rest is for customers' own streams.
    ///
    /// # Errors
    /// When there are as many as there may be, or a playbook cuts streams.
    pub fn enter_feed(gate: &Gate, context: &Context<'_>) -> Result<Stay, Own> {
        let room = &gate.shared.streams;
        Self::place(gate, context, Kind::Feed, (&room.feeds, room.most.div_ceil(2)), Duration::MAX)
    }

    fn place(
        gate: &Gate,
        context: &Context<'_>,
        kind: Kind,
        (among, most): (&Arc<AtomicUsize>, usize),
        quiet: Duration,
    ) -> Result<Stay, Own> {
        let (prepared, room) = (context.prepared, &gate.shared.streams);
        let law = prepared.rules().upstream(context.upstream);
        let journey = context.journey.map(|journey| prepared.rules().journey(journey).name.clone());
        let full = || Own::busy(law, Full { come_back: Duration::from_secs(1 + context.network.bits() % 5) });
        if cuts(&prepared.law, kind, journey.as_deref(), context.channel, context.now) {
            return Err(full());
        }
        let places =
            [Place::among(among, most).ok_or_else(full)?, Place::among(&room.open, room.most).ok_or_else(full)?];
        let known = context.facts.map(|facts| facts.is_held());
        let entry = Rc::new(Entry {
            kind,
            journey,
            channel: context.channel,
            session: context.session.zip(known),
            token: context.token,
            began: context.now,
            quiet,
            moved: Cell::new(false),
            last: Cell::new(context.now),
            waits: Cell::new(false),
            waits_since: Cell::new(None),
            ended: Cell::new(None),
            waker: RefCell::default(),
        });
        let mut entries = gate.streams.0.borrow_mut();
        // Those that have ended since the last look are forgotten before the list grows.
        if entries.len() == entries.capacity() {
            entries.retain(|entry| Rc::strong_count(entry) > 1);
        }
        entries.push(entry.clone());
        Ok(Stay { entry, _places: places })
    }

    /// Looks through all of them and ends those whose time has come.
    pub fn look(&self, law: &InForce, memory: &Memory, age: Duration, now: Moment) {
        let mut rung = Vec::new();
        self.0.borrow_mut().retain(|entry| {
            let here = Rc::strong_count(entry) > 1;
            if here
                && entry.ended.get().is_none()
                && let Some(why) = entry.over(law, memory, age, now)
            {
                entry.ended.set(Some(why));
                tracing::info!(why = why.word(), journey = entry.journey.as_deref(), "a stream was ended");
                rung.extend(entry.waker.take());
            }
            here
        });
        rung.into_iter().for_each(Waker::wake);
    }
}

impl Entry {
    fn over(&self, law: &InForce, memory: &Memory, age: Duration, now: Moment) -> Option<Ended> {
        if self.moved.take() {
            self.last.set(now);
        }
        let waits = match self.waits.get() {
            true => Some(self.waits_since.get().unwrap_or(now)),
            false => None,
        };
        self.waits_since.set(waits);
        if let Some((session, held)) = self.session
            && memory
                .sessions
                .read(session.bits())
                .is_none_or(|facts| (facts.is_held() && !held) || memory.is_over(session, Some(&facts)))
        {
            return Some(Ended::Session);
        }
        if self.token.is_some_and(|token| memory.is_token_over(&token)) {
            return Some(Ended::Session);
        }
        if cuts(law, self.kind, self.journey.as_deref(), self.channel, now) {
            return Some(Ended::Cut);
        }
        if !age.is_zero() && now.since(self.began) >= age {
            return Some(Ended::Age);
        }
        if self.kind == Kind::Tunnel && now.since(self.last.get()) >= self.quiet {
            return Some(Ended::Idle);
        }
        waits.is_some_and(|since| now.since(since) >= PATIENCE).then_some(Ended::Unread)
    }
}

/// Whether an armed playbook cuts the streams of this journey and channel. A single gRPC call is a request like any other.
fn cuts(law: &InForce, kind: Kind, journey: Option<&str>, channel: Channel, now: Moment) -> bool {
    if law.effects.is_empty() || kind == Kind::Answer(Flow::Calls) {
        return false;
    }
    let journey = journey.and_then(|name| law.rules.journey_named(name));
    law.cuts_streams(journey, channel, now)
}
