//! The path of a request: [`pass()`] is its walk on one screen, the other files are its steps.
//!
//! The gate joins what the edges know with what the law says. It never waits for anything but the client's body and the
//! upstream, and whatever it answers itself carries a way out.

pub mod answer;
pub mod body;
pub mod context;
pub mod continuity;
pub mod cors;
pub mod events;
pub mod fault;
pub mod handoff;
pub mod learn;
pub mod limits;
pub mod line;
pub mod narrowed;
pub mod notice;
pub mod outcome;
pub mod own;
pub mod page;
mod pass;
pub mod prepared;
pub mod ratelimit;
pub mod read_only;
pub mod record;
mod said;
pub mod sheet;
pub mod step_up;
pub mod streams;
pub mod tunnel;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

pub use pass::pass;

use self::context::seen::Lookups;
use self::continuity::circuit::Circuits;
use self::continuity::listeners::Listeners;
use self::continuity::works::Ready;
use self::line::Stamp;
use self::outcome::Ledger;
use self::prepared::Prepared;
use self::record::LinePolicy;
use self::streams::Streams;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::identity::{Identity, breach};
use crate::judge::history::Climate;
use crate::listen::Inflow;
use crate::lists::Lists;
use crate::memory::Memory;
use crate::rules::in_force::InForce;
use crate::snapshots::Snapshots;
use crate::subject::Names;
use crate::swap::Reader;
use crate::telemetry::Telemetry;
use crate::telemetry::lines::Lines;
use crate::upstream::Pools;

/// What all workers share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where moments come from.
    pub clock: Clock,
    /// Makes keyed hashes.
    pub names: Names,
    /// What is remembered.
    pub memory: Arc<Memory>,
    /// Tokens, device cookies, signed values.
    pub identity: Arc<Identity>,
    /// What lists say of addresses.
    pub lists: Arc<Lists>,
    /// Room.
    pub admission: Arc<Admission>,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Customers' own last-known-good answers.
    pub snapshots: Snapshots,
    /// Which upstreams fail.
    pub circuits: Arc<Circuits>,
    /// Room for what stays open.
    pub streams: Arc<streams::Room>,
    /// A body of at most so many bytes is read whole before anything is judged.
    pub whole_body: usize,
}

/// One worker's gate.
pub struct Gate {
    shared: Shared,
    worker: usize,
    law: RefCell<Reader<InForce>>,
    prepared: RefCell<Rc<Prepared>>,
    pools: Pools<Inflow>,
    lines: Rc<LinePolicy>,
    streams: Streams,
    listeners: Listeners,
    ready: Ready,
    lookups: Lookups,
    weather: RefCell<Reader<Climate>>,
    leaks: RefCell<Reader<breach::Lists>>,
    ticks: Cell<u32>,
    next_id: Cell<[u64; 2]>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl Gate {
    /// The gate of a worker. `seed` makes its request ids unlike those of other workers and starts.
    pub fn new(
        shared: Shared,
        worker: usize,
        mut law: Reader<InForce>,
        pools: Pools<Inflow>,
        (lines, outcomes): (Lines, Lines),
        allowed_one_in: u32,
        seed: [u64; 2],
    ) -> Self {
        let prepared = Rc::new(Prepared::new(law.pin(), worker, &shared));
        let lines = Rc::new(LinePolicy {
            lines: RefCell::new(lines),
            allowed_one_in,
            since: Cell::new(0),
            stamp: Stamp::default(),
            ledger: Ledger::new(outcomes, shared.names.clone()),
        });
        let lookups = Lookups::new(shared.lists.reader());
        let weather = RefCell::new(shared.memory.weather());
        let leaks = RefCell::new(shared.identity.breach.reader());
        Self {
            shared,
            worker,
            law: RefCell::new(law),
            prepared: RefCell::new(prepared),
            pools,
            lines,
            streams: Streams::default(),
            listeners: Listeners::default(),
            ready: Ready::default(),
            lookups,
            weather,
            leaks,
            ticks: Cell::new(0),
            next_id: Cell::new([seed[0] | 1, seed[1]]),
        }
    }

    /// What is in force, made ready for this worker; pinned for as long as the caller holds it.
    fn prepared(&self) -> Rc<Prepared> {
        let law = self.law.borrow_mut().pin();
        let mut prepared = self.prepared.borrow_mut();
        if !Arc::ptr_eq(&prepared.law, &law) {
            *prepared = Rc::new(Prepared::new(law, self.worker, &self.shared));
        }
        prepared.clone()
    }

    /// Hands held decision lines to their writer, and once in so many ticks (`looks`) looks through what stays open.
    pub fn tick(&self, looks: u32) {
        self.lines.lines.borrow_mut().hand_over();
        self.lines.ledger.hand_over();
        let ticks = self.ticks.get() + 1;
        self.ticks.set(if ticks < looks { ticks } else { 0 });
        self.listeners.beat(self, ticks >= looks);
        if ticks >= looks {
            let law = self.law.borrow_mut().pin();
            self.streams.look(&law, &self.shared.memory, self.shared.streams.age(), self.shared.clock.now());
        }
    }

    /// Service ends: who only listens is let go at once, and comes back to another.
    pub fn close(&self) {
        self.listeners.close();
    }

    /// A fresh request id: 32 hexadecimal digits, also the trace id. Unique, not secret (xorshift128+).
    fn request_id(&self) -> HeaderValue {
        let mut id = [b'0'; 32];
        for half in id.chunks_exact_mut(16) {
            let [mut older, newer] = self.next_id.get();
            older ^= older << 23;
            let next = older ^ newer ^ (older >> 17) ^ (newer >> 26);
            self.next_id.set([newer, next]);
            let value = next.wrapping_add(newer);
            for (at, digit) in half.iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(value >> (60 - 4 * at)) as usize & 15];
            }
        }
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("00000000000000000000000000000000"))
    }
}
