//! One worker's connections to upstreams, by server: those at rest, and how new ones are made.
//!
//! Nothing here is shared with other workers but the marks in [`super::reach`]. Connections outlive every change of rules: they are kept
//! by server, not by rule. The one used last is used next, so that the surplus of a burst ages and goes.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;

use super::dial::dial;
use super::failure::Failure;
use super::line::Line;
use super::outgoing::{Sending, Streamed};
use super::reach::{Mark, Reach};
use crate::alarm::Alarms;
use crate::rules::ruleset::{Protocol, Server, Upstream};

/// Connections at rest to one server, for each worker. The loser is the one that rested longest.
const RESTING: usize = 128;
/// Requests at once over one HTTP/2 connection; more open another.
const STREAMS: usize = 100;
/// Servers remembered by a worker. The loser is any without a connection.
const TARGETS: usize = 1024;

/// One worker's connections to upstreams.
pub struct Pools<S: Streamed>(Rc<Inner<S>>);

impl<S: Streamed> Clone for Pools<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Streamed> std::fmt::Debug for Pools<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pools").field("servers", &self.0.targets.borrow().len()).finish_non_exhaustive()
    }
}

struct Inner<S: Streamed> {
    reach: Arc<Reach>,
    alarms: Alarms,
    targets: RefCell<HashMap<Server, Vec<Rc<Target<S>>>>>,
    last: RefCell<Option<Rc<Target<S>>>>,
    tidying: Cell<bool>,
}

/// One server, as one kind of upstream reaches it.
pub(super) struct Target<S: Streamed> {
    server: Server,
    protocol: Protocol,
    ca: Option<PathBuf>,
    pub mark: Arc<Mark>,
    /// Counts requests, to take turns among an upstream's servers.
    pub turn: Cell<usize>,
    keep: Cell<u64>,
    resting: RefCell<VecDeque<Box<Line<S>>>>,
    shared: RefCell<Vec<Shared<S>>>,
    /// Held while an HTTP/2 connection is made, so that a burst makes one and not a hundred.
    making: tokio::sync::Mutex<()>,
    spoke_h2: Cell<bool>,
}

/// One HTTP/2 connection that many requests use at once.
struct Shared<S: Streamed> {
    sender: http2::SendRequest<Sending<S>>,
    busy: Rc<Cell<usize>>,
    rested: Cell<u64>,
}

/// One request's part of an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Busy(Rc<Cell<usize>>);

impl Busy {
    fn begin(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A connection to send one request over.
pub(super) enum Way<S: Streamed> {
    One(Box<Line<S>>),
    Many { sender: http2::SendRequest<Sending<S>>, busy: Busy, reused: bool },
}

impl<S: Streamed> Pools<S> {
    /// No connections yet. Must be used on the thread whose pulse beats `alarms`.
    pub fn new(reach: Arc<Reach>, alarms: Alarms) -> Self {
        Self(Rc::new(Inner {
            reach,
            alarms,
            targets: RefCell::default(),
            last: RefCell::new(None),
            tidying: Cell::new(false),
        }))
    }

    /// Whether every server of this upstream is marked as down.
    pub fn away(&self, upstream: &Upstream) -> bool {
        self.0.reach.away(upstream)
    }

    /// Connections at rest now, for metrics.
    pub fn resting(&self) -> usize {
        let count = |target: &Rc<Target<S>>| target.resting.borrow().len() + target.shared.borrow().len();
        self.0.targets.borrow().values().flatten().map(count).sum()
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.0.reach
    }

    pub(super) fn alarms(&self) -> &Alarms {
        &self.0.alarms
    }

    pub(super) fn target(&self, upstream: &Upstream, server: &Server) -> Rc<Target<S>> {
        if let Some(last) = &*self.0.last.borrow()
            && last.is(upstream, server)
        {
            return last.clone();
        }
        let found = {
            let targets = self.0.targets.borrow();
            targets.get(server).and_then(|kinds| kinds.iter().find(|kind| kind.is(upstream, server)).cloned())
        };
        let target = found.unwrap_or_else(|| self.make(upstream, server));
        self.0.last.replace(Some(target.clone()));
        target
    }

    fn make(&self, upstream: &Upstream, server: &Server) -> Rc<Target<S>> {
        let target = Rc::new(Target {
            server: server.clone(),
            protocol: upstream.protocol,
            ca: upstream.ca.clone(),
            mark: self.0.reach.mark(server),
            turn: Cell::new(0),
            keep: Cell::new(0),
            resting: RefCell::default(),
            shared: RefCell::default(),
            making: tokio::sync::Mutex::new(()),
            spoke_h2: Cell::new(false),
        });
        let mut targets = self.0.targets.borrow_mut();
        if targets.len() >= TARGETS {
            targets.retain(|_, kinds| {
                kinds.retain(|kind| Rc::strong_count(kind) > 1 || kind.has_connections());
                !kinds.is_empty()
            });
        }
        targets.entry(server.clone()).or_default().push(target.clone());
        target
    }

    /// A connection that rested. Whether it still stands is seen when something is to be sent: hyper looks for the other end's
    /// last word before it writes, and gives the request back unsent.
    pub(super) fn rested(&self, target: &Target<S>) -> Option<Way<S>> {
        if target.speaks_h2() {
            return target.share(true);
        }
        let mut line = target.resting.borrow_mut().pop_back()?;
        if self.0.alarms.now().saturating_sub(line.rested) >= target.keep.get() {
            // The youngest is too old, and so are all.
            target.resting.borrow_mut().clear();
            return None;
        }
        line.reused = true;
        Some(Way::One(line))
    }

    /// A new connection.
    pub(super) async fn connect(&self, target: &Target<S>, upstream: &Upstream) -> Result<Way<S>, Failure> {
        let _making = if target.speaks_h2() { Some(target.making.lock().await) } else { None };
        if let Some(way) = target.share(true).filter(|_| target.speaks_h2()) {
            return Ok(way);
        }
        let place = target.mark.place(upstream.max_in_flight).ok_or(Failure::Full)?;
        let limit = upstream.timeout.connect;
        let dialled = dial(&self.0.reach, &target.server, target.protocol, target.ca.as_deref(), limit).await?;
        if !dialled.h2 {
            target.spoke_h2.set(false);
            return Ok(Way::One(Line::open(dialled.stream, self.0.alarms.alarm(), place).await?));
        }
        target.spoke_h2.set(true);
        let io = TokioIo::new(dialled.stream);
        let mut builder = http2::Builder::new(Local);
        builder.initial_stream_window_size(256 * 1024).initial_connection_window_size(1024 * 1024);
        builder.max_header_list_size(64 * 1024).max_send_buf_size(128 * 1024);
        let made = tokio::time::timeout(limit, builder.handshake(io)).await.map_err(|_| Failure::ConnectTimeout)?;
        let (sender, connection) = made.map_err(Failure::of)?;
        tokio::task::spawn_local(async move {
            if let Err(cause) = connection.await {
                tracing::debug!(%cause, "an HTTP/2 connection to an upstream ended");
            }
            drop(place);
        });
        let busy = Rc::new(Cell::new(0));
        let way = Way::Many { sender: sender.clone(), busy: Busy::begin(&busy), reused: false };
        target.shared.borrow_mut().push(Shared { sender, busy, rested: Cell::new(self.0.alarms.now()) });
        self.tidy_later(target, upstream.timeout.keep);
        Ok(way)
    }

    /// Takes a line back, if it can serve another request.
    pub(super) fn give_back(&self, target: &Target<S>, mut line: Box<Line<S>>, keep: Duration) {
        if !line.is_counted() || (!line.is_free() && !line.stands()) {
            return;
        }
        line.rested = self.0.alarms.now();
        {
            let mut resting = target.resting.borrow_mut();
            resting.push_back(line);
            if resting.len() > RESTING {
                resting.pop_front();
            }
        }
        self.tidy_later(target, keep);
    }

    /// Starts the task that closes what has rested too long, unless it runs. It ends when nothing rests.
    fn tidy_later(&self, target: &Target<S>, keep: Duration) {
        target.keep.set(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        if !self.0.tidying.replace(true) {
            tokio::task::spawn_local(tidy(Rc::downgrade(&self.0)));
        }
    }
}

async fn tidy<S: Streamed>(pools: Weak<Inner<S>>) {
    let mut pause = tokio::time::interval(Duration::from_millis(500));
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        let Some(pools) = pools.upgrade() else { return };
        let now = pools.alarms.now();
        let mut left = false;
        for target in pools.targets.borrow().values().flatten() {
            target.tidy(now);
            left |= target.has_connections();
        }
        if !left {
            pools.tidying.set(false);
            return;
        }
    }
}

impl<S: Streamed> Target<S> {
    fn is(&self, upstream: &Upstream, server: &Server) -> bool {
        self.protocol == upstream.protocol && self.ca == upstream.ca && self.server == *server
    }

    fn speaks_h2(&self) -> bool {
        match self.protocol {
            Protocol::H2c => true,
            Protocol::Http1 => false,
            Protocol::Auto => self.spoke_h2.get(),
        }
    }

    fn has_connections(&self) -> bool {
        !self.resting.borrow().is_empty() || !self.shared.borrow().is_empty()
    }

    fn share(&self, reused: bool) -> Option<Way<S>> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|one| !one.sender.is_closed());
        let one = shared.iter().find(|one| one.busy.get() < STREAMS)?;
        Some(Way::Many { sender: one.sender.clone(), busy: Busy::begin(&one.busy), reused })
    }

    fn tidy(&self, now: u64) {
        let keep = self.keep.get();
        self.resting.borrow_mut().retain_mut(|line| now.saturating_sub(line.rested) < keep && line.stands());
        self.shared.borrow_mut().retain(|one| {
            if one.busy.get() > 0 {
                one.rested.set(now);
            }
            !one.sender.is_closed() && now.saturating_sub(one.rested.get()) < keep
        });
    }
}

/// Spawns HTTP/2's own tasks on this worker's thread.
#[derive(Clone, Copy, Debug)]
struct Local;

impl<Fut> hyper::rt::Executor<Fut> for Local
where
    Fut: Future + 'static,
    Fut::Output: 'static,
{
    fn execute(&self, task: Fut) {
        tokio::task::spawn_local(task);
    }
}
