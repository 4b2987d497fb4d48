//! A connection's clock: which phase it is in, what that phase may take, and when it is over.
//!
//! One alarm serves every phase of a connection: setting it is a write to memory, so a request costs no timer. The phases
//! follow what the bytes do: [`super::wire`] tells of reads and blocked writes, the service of requests begun and answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::bounds::Bounds;
use super::lines::Lines;
use super::offer::{Switched, Talk};
use crate::alarm::{Alarm, Alarms};

/// How long a client that is still sending may take to notice its answer.
const LEAVE: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// TLS is being agreed, or the first bytes are awaited.
    Opening,
    /// Nothing of the next request has come.
    Waiting,
    /// Some bytes of a head have come.
    Head,
    /// At least one request is being answered.
    Serving,
    /// The last answer was given and nothing more is said; what the client still sends is thrown away.
    Leaving,
}

/// Why a connection was ended before its client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The phase took too long.
    Slow(Phase),
    /// The client did not read what it had asked for.
    Unread,
}

/// What an HTTP/2 stream's answer did while the stream had its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Bytes that were handed over.
    pub bytes: u64,
    /// Whether more was asked for than there was; otherwise what was handed over waits for the client.
    pub wants_more: bool,
}

/// Shared by a connection's parts; never leaves the worker.
#[derive(Debug)]
pub(super) struct Life {
    pub bounds: Bounds,
    pub alarms: Alarms,
    alarm: Alarm,
    /// For writes that the client does not take.
    unread: Alarm,
    began: u64,
    phase: Cell<Phase>,
    open: Cell<usize>,
    served: Cell<u64>,
    several: Cell<bool>,
    /// Bodies of requests that have not been read to their end.
    bodies: Cell<usize>,
    /// The present request was answered before its body was read to the end.
    unheard: Cell<bool>,
    rests: Cell<bool>,
    turn: Cell<Option<Turn>>,
    /// What the connection goes on with once its answer has been sent.
    switched: RefCell<Option<Box<Switched>>>,
    lines: Cell<Lines>,
    /// When a write began to be blocked; 0 when none is.
    blocked_at: Cell<u64>,
    /// Milliseconds of blocked writes, and bytes written meanwhile, within one answer.
    blocked_for: Cell<u64>,
    trickled: Cell<u64>,
}

impl Life {
    pub fn new(alarms: &Alarms, bounds: Bounds) -> Rc<Self> {
        let life = Self {
            bounds,
            alarms: alarms.clone(),
            alarm: alarms.alarm(),
            unread: alarms.alarm(),
            began: alarms.now(),
            phase: Cell::new(Phase::Opening),
            open: Cell::new(0),
            served: Cell::new(0),
            several: Cell::new(false),
            bodies: Cell::new(0),
            unheard: Cell::new(false),
            rests: Cell::new(false),
            turn: Cell::default(),
            switched: RefCell::default(),
            lines: Cell::default(),
            blocked_at: Cell::new(0),
            blocked_for: Cell::new(0),
            trickled: Cell::new(0),
        };
        life.alarm.set(bounds.handshake);
        Rc::new(life)
    }

    /// Wakes this task when a bound is passed.
    pub fn watch(&self, waker: &Waker) {
        self.alarm.watch(waker);
        if self.blocked_at.get() != 0 {
            self.unread.watch(waker);
        }
    }

    /// Whether a bound has been passed.
    pub fn overdue(&self) -> Option<Overdue> {
        if self.alarm.is_due() && self.waits_lightly() {
            if !self.is_tired() {
                self.rest();
            }
        } else if self.alarm.is_due() {
            return Some(Overdue::Slow(self.phase.get()));
        }
        (self.blocked_at.get() != 0 && self.unread.is_due()).then_some(Overdue::Unread)
    }

    /// The protocol is agreed: from here on phases follow requests. `several` streams may be open at once with HTTP/2.
    pub fn speaks(&self, several: bool) {
        self.several.set(several);
        self.phase.set(Phase::Waiting);
        // A new connection must ask soon; only one that has asked may rest.
        self.alarm.set(self.bounds.head);
    }

    /// Some bytes came.
    pub fn read(&self, bytes: &[u8]) {
        self.look_at_lines(bytes);
        if self.phase.get() == Phase::Waiting && !self.several.get() {
            self.phase.set(Phase::Head);
            if self.served.get() > 0 {
                self.alarm.set(self.bounds.head);
            }
        }
    }

    fn look_at_lines(&self, bytes: &[u8]) {
        let of_a_head = !self.several.get() && self.bodies.get() == 0 && !self.unheard.get();
        if of_a_head && self.phase.get() != Phase::Leaving {
            let mut lines = self.lines.get();
            lines.came(self.phase.get() != Phase::Head, bytes);
            self.lines.set(lines);
        }
    }

    /// A head has ended, and with it the announced length of its body, if any.
    pub fn head_ended(&self, body: Option<u64>) {
        let mut lines = self.lines.get();
        lines.head_ended(body);
        self.lines.set(lines);
    }

    /// Whether nothing more should be read once the present request is answered: where it ends is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.lines.get().are_bare()
    }

    /// A stream has its turn.
    pub fn turn_begins(&self) {
        self.turn.set(None);
    }

    /// What the answer of the stream did in its turn; nothing if it was not asked.
    pub fn turn_ends(&self) -> Option<Turn> {
        self.turn.take()
    }

    /// A request has come whole; it is open until the guard is dropped.
    pub fn begin(self: &Rc<Self>) -> Open {
        self.open.set(self.open.get() + 1);
        self.served.set(self.served.get() + 1);
        self.phase.set(Phase::Serving);
        self.unheard.set(false);
        self.alarm.lift();
        if !self.several.get() {
            self.blocked_for.set(0);
            self.trickled.set(0);
        }
        Open(self.clone())
    }

    /// The connection goes on with this talk once its answer has been sent.
    pub fn switch_to(self: &Rc<Self>, talk: Talk) {
        let open = self.begin();
        self.switched.replace(Some(Box::new(Switched { talk, open })));
    }

    /// Whether the connection goes on with a talk.
    pub fn has_switched(&self) -> bool {
        self.switched.borrow().is_some()
    }

    /// What the connection goes on with, if it is not done.
    pub fn switched(&self) -> Option<Box<Switched>> {
        self.switched.take()
    }

    fn end(&self) {
        let open = self.open.get() - 1;
        self.open.set(open);
        if open == 0 && self.phase.get() != Phase::Leaving {
            self.phase.set(Phase::Waiting);
            self.rests.set(false);
            let idle = self.bounds.idle;
            self.alarm.set(if self.several.get() { idle } else { idle.min(self.bounds.rest) });
        }
    }

    /// In the first part of waiting for the next request, whose end is no fault.
    fn waits_lightly(&self) -> bool {
        self.phase.get() == Phase::Waiting && self.served.get() > 0 && !self.rests.get() && !self.several.get()
    }

    /// Whether nothing has come for a while and nothing is half done, so that all but the socket may be given back.
    pub fn is_tired(&self) -> bool {
        self.alarm.is_due() && self.waits_lightly() && self.bodies.get() == 0 && self.blocked_at.get() == 0
    }

    /// The second part of waiting begins.
    pub fn rest(&self) {
        self.rests.set(true);
        self.alarm.set(self.bounds.idle.saturating_sub(self.bounds.rest));
    }

    /// A request has a body that is to be read.
    pub fn body_begins(&self) {
        self.bodies.set(self.bodies.get() + 1);
    }

    /// A request's body is not read any further; `whole` when that is because it has ended.
    pub fn body_ends(&self, whole: bool) {
        self.bodies.set(self.bodies.get() - 1);
        self.unheard.set(self.unheard.get() || !whole);
    }

    /// Whether the client is probably still sending: closing now would reset the connection, and the client would never see the
    /// answer that it got.
    pub fn is_cut_short(&self) -> bool {
        !self.several.get() && (self.unheard.get() || matches!(self.phase.get(), Phase::Head | Phase::Leaving))
    }

    /// Nothing more will be said. Bounds how long the client may take to notice.
    pub fn leave(&self) {
        if self.phase.replace(Phase::Leaving) != Phase::Leaving {
            self.alarm.set(LEAVE);
        }
    }

    /// Requests begun so far.
    pub fn served(&self) -> u64 {
        self.served.get()
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Service is ending: what is not being answered may take this long and no longer.
    pub fn hurry(&self, left: Duration) {
        if self.phase.get() != Phase::Serving {
            self.alarm.set(left);
        }
    }

    /// Whether the connection has lived as long as it may.
    pub fn aged(&self) -> bool {
        let age = self.bounds.connection_age;
        !age.is_zero() && u128::from(self.alarm.now() - self.began) >= age.as_millis()
    }

    /// A write was blocked: the client's buffers are full.
    pub fn blocked(&self, waker: &Waker) {
        if self.blocked_at.get() == 0 {
            self.blocked_at.set(self.alarm.now());
            // One pause may last as long as a body's; all pauses of an answer together as long as the rate allows.
            let earned = Duration::from_secs(self.trickled.get() / self.bounds.body_rate.max(1));
            let left = (self.bounds.body_grace + earned).saturating_sub(Duration::from_millis(self.blocked_for.get()));
            self.unread.set(left.min(self.bounds.body_idle));
        }
        self.unread.watch(waker);
    }

    /// A write went through.
    pub fn wrote(&self, bytes: usize) {
        let at = self.blocked_at.replace(0);
        if at != 0 {
            self.blocked_for.set(self.blocked_for.get() + (self.alarm.now() - at));
            // Only what came unstuck earns time: bytes that the kernel took at once say nothing of the client's pace.
            self.trickled.set(self.trickled.get().saturating_add(bytes as u64));
            self.unread.lift();
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Open(Rc<Life>);

impl Open {
    /// The answer's head or a piece of its body, of so many bytes, was handed over to be sent.
    pub fn hands_over(&self, bytes: u64) {
        let before = self.0.turn.get().map_or(0, |turn| turn.bytes);
        self.0.turn.set(Some(Turn { bytes: before + bytes, wants_more: false }));
    }

    /// There is nothing to hand over yet.
    pub fn has_nothing(&self) {
        let bytes = self.0.turn.get().map_or(0, |turn| turn.bytes);
        self.0.turn.set(Some(Turn { bytes, wants_more: true }));
    }

    /// As [`Life::is_in_doubt`].
    pub fn is_in_doubt(&self) -> bool {
        self.0.is_in_doubt()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn seconds(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    fn life() -> (Instant, Alarms, Rc<Life>) {
        let began = Instant::now();
        let alarms = Alarms::new(began, Duration::from_millis(100));
        let life = Life::new(&alarms, Bounds::default());
        (began, alarms, life)
    }

    #[test]
    fn a_head_that_drips_is_over_in_time_however_often_bytes_come() {
        let (began, alarms, life) = life();
        life.speaks(false);
        for second in 0..14 {
            alarms.beat(seconds(began, second));
            life.read(b"X: a");
            assert_eq!(life.overdue(), None, "at {second}");
        }
        alarms.beat(seconds(began, 16));
        assert_eq!(life.overdue(), Some(Overdue::Slow(Phase::Head)));
    }

    #[test]
    fn a_connection_that_has_asked_may_rest_longer_than_one_that_has_not() {
        let (began, alarms, life) = life();
        life.speaks(false);
        drop(life.begin());
        alarms.beat(seconds(began, 2));
        assert!(life.is_tired() && life.overdue().is_none());
        life.rest();
        alarms.beat(seconds(began, 59));
        assert_eq!(life.overdue(), None);
        alarms.beat(seconds(began, 62));
        assert_eq!(life.overdue(), Some(Overdue::Slow(Phase::Waiting)));
    }

    #[test]
    fn an_answer_may_take_long_but_must_be_read() {
        let (began, alarms, life) = life();
        life.speaks(false);
        let _open = life.begin();
        alarms.beat(seconds(began, 1000));
        assert_eq!(life.overdue(), None);
        life.blocked(Waker::noop());
        alarms.beat(seconds(began, 1029));
        assert_eq!(life.overdue(), None);
        alarms.beat(seconds(began, 1031));
        assert_eq!(life.overdue(), Some(Overdue::Unread));
    }

    #[test]
    fn an_answer_that_is_read_in_drops_uses_up_its_grace() {
        let (began, alarms, life) = life();
        life.speaks(false);
        let _open = life.begin();
        let mut second = 1;
        while life.overdue().is_none() {
            assert!(second < 60, "held for ever");
            alarms.beat(seconds(began, second));
            if life.overdue().is_none() {
                life.wrote(1);
                life.blocked(Waker::noop());
            }
            second += 10;
        }
        assert_eq!(life.overdue(), Some(Overdue::Unread));
    }
}
