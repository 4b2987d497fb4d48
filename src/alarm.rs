//! Coarse deadlines for one worker thread: setting one is a write to an array, and nobody pays for those that never ring.
//!
//! A proxy sets several deadlines a request and nearly all are lifted again, so a timer for each would cost more than the
//! work it guards. Here the worker's pulse calls [`Alarms::beat`] a few times a second, which looks through a dense list of
//! deadlines and wakes the tasks whose time has come. An alarm never rings early; it may ring up to two beats late. This file
//! never asks for the time itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

const NEVER: u64 = u64::MAX;
const RUNG: u64 = 0;

/// The deadlines of one worker. Cloning it gives another handle to the same list.
#[derive(Clone, Debug)]
pub struct Alarms(Rc<List>);

#[derive(Debug)]
struct List {
    began: Instant,
    beat: Duration,
    /// Milliseconds since `began`, as of the last beat; starts at 1 because 0 means "rung".
    now: Cell<u64>,
    deadlines: RefCell<Vec<u64>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl Alarms {
    /// An empty list whose owner calls [`Alarms::beat`] every `beat`.
    pub fn new(began: Instant, beat: Duration) -> Self {
        Self(Rc::new(List {
            began,
            beat,
            now: Cell::new(1),
            deadlines: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
        }))
    }

    /// How often [`Alarms::beat`] is to be called.
    pub fn every(&self) -> Duration {
        self.0.beat
    }

    /// Milliseconds since this list began, as of the last beat: for ages and idle times that need not be exact.
    pub fn now(&self) -> u64 {
        self.0.now.get()
    }

    /// A new alarm, not set.
    pub fn alarm(&self) -> Alarm {
        let place = match self.0.free.borrow_mut().pop() {
            Some(place) => place,
            None => {
                self.0.wakers.borrow_mut().push(None);
                let mut deadlines = self.0.deadlines.borrow_mut();
                deadlines.push(NEVER);
                deadlines.len() - 1
            }
        };
        Alarm { list: self.0.clone(), place }
    }

    /// Moves the time on and rings what is due.
    pub fn beat(&self, now: Instant) {
        let millis = u64::try_from(now.saturating_duration_since(self.0.began).as_millis()).unwrap_or(NEVER - 1);
        let millis = millis.saturating_add(1).max(self.0.now.get());
        self.0.now.set(millis);
        let mut rung = Vec::new();
        {
            let mut deadlines = self.0.deadlines.borrow_mut();
            for (place, deadline) in deadlines.iter_mut().enumerate() {
                if *deadline <= millis && *deadline != RUNG {
                    *deadline = RUNG;
                    rung.push(place);
                }
            }
        }
        for place in rung {
            let waker = self.0.wakers.borrow_mut().get_mut(place).and_then(Option::take);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Wakes every task that watches an alarm, set or not: something concerns all of them, such as the end of service.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self.0.wakers.borrow_mut().iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One deadline that can be set, lifted and set again.
#[derive(Debug)]
pub struct Alarm {
    list: Rc<List>,
    place: usize,
}

impl Alarm {
    /// Rings when `after` has passed. Replaces an earlier deadline.
    pub fn set(&self, after: Duration) {
        let after = u64::try_from((after + self.list.beat).as_millis()).unwrap_or(NEVER);
        self.write(self.list.now.get().saturating_add(after));
    }

    /// Does not ring any more.
    pub fn lift(&self) {
        self.write(NEVER);
    }

    /// Whether a deadline is set, rung or not.
    pub fn is_set(&self) -> bool {
        self.read() != NEVER
    }

    /// Whether the deadline has come. Stays true until the alarm is set anew or lifted.
    pub fn is_due(&self) -> bool {
        self.read() <= self.list.now.get()
    }

    /// Milliseconds since the list began, as [`Alarms::now`].
    pub fn now(&self) -> u64 {
        self.list.now.get()
    }

    /// Wakes this task when the alarm rings.
    pub fn watch(&self, waker: &Waker) {
        if let Some(place) = self.list.wakers.borrow_mut().get_mut(self.place) {
            match place {
                Some(known) if known.will_wake(waker) => {}
                other => *other = Some(waker.clone()),
            }
        }
    }

    fn read(&self) -> u64 {
        self.list.deadlines.borrow().get(self.place).copied().unwrap_or(NEVER)
    }

    fn write(&self, deadline: u64) {
        if let Some(place) = self.list.deadlines.borrow_mut().get_mut(self.place) {
            *place = deadline;
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.write(NEVER);
        let waker = self.list.wakers.borrow_mut().get_mut(self.place).and_then(Option::take);
        self.list.free.borrow_mut().push(self.place);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const BEAT: Duration = Duration::from_millis(100);

    #[test]
    fn an_alarm_rings_once_and_never_early() {
        let began = Instant::now();
        let alarms = Alarms::new(began, BEAT);
        let (alarm, count) = (alarms.alarm(), Arc::new(Count(AtomicUsize::new(0))));
        alarm.set(Duration::from_millis(250));
        alarm.watch(&Waker::from(count.clone()));
        for millis in [100, 200, 249] {
            alarms.beat(began + Duration::from_millis(millis));
            assert!(!alarm.is_due(), "early at {millis}");
        }
        alarms.beat(began + Duration::from_millis(500));
        alarms.beat(began + Duration::from_millis(600));
        assert!(alarm.is_due());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        alarm.lift();
        assert!(!alarm.is_due());
    }

    #[test]
    fn a_place_is_used_again_without_its_old_deadline() {
        let began = Instant::now();
        let alarms = Alarms::new(began, BEAT);
        let first = alarms.alarm();
        first.set(Duration::ZERO);
        drop(first);
        let second = alarms.alarm();
        alarms.beat(began + Duration::from_secs(9));
        assert!(!second.is_due());
        assert_eq!(alarms.0.deadlines.borrow().len(), 1);
    }

    #[test]
    fn waking_all_reaches_those_without_a_deadline() {
        let alarms = Alarms::new(Instant::now(), BEAT);
        let (alarm, count) = (alarms.alarm(), Arc::new(Count(AtomicUsize::new(0))));
        alarm.watch(&Waker::from(count.clone()));
        alarms.wake_all();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
