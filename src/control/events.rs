//! What happened, as it happens, for whoever listens: a bounded ring with numbers, so that a reader who comes back goes on where
//! it left off, and one who is too slow is told how many it missed. Nobody waits for a reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

/// Events that are kept. The oldest lose.
const KEPT: usize = 1000;

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Counts from 1 in this process.
    pub number: u64,
    /// One of `law`, `posture`, `page`, `proposal`, `disk`, `upstream`.
    pub kind: &'static str,
    /// What happened.
    pub said: Value,
}

/// The events of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<VecDeque<Event>>,
    last: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Inner { ring: Mutex::default(), last: watch::Sender::new(0) }))
    }
}

impl Events {
    /// Tells everybody.
    pub fn tell(&self, kind: &'static str, said: Value) {
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.0.last.borrow() + 1;
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(Event { number, kind, said });
        self.0.last.send_replace(number);
    }

    /// The number of the newest; 0 before the first.
    pub fn last(&self) -> u64 {
        *self.0.last.borrow()
    }

    /// Those after a number, at most 100, and how many before them are no longer kept.
    pub fn after(&self, number: u64) -> (u64, Vec<Event>) {
        let ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = ring.front().map_or(0, |first| first.number.saturating_sub(number + 1));
        (missed, ring.iter().filter(|event| event.number > number).take(100).cloned().collect())
    }

    /// Rings when there is a newer one.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_goes_on_where_it_left_off_and_is_told_what_it_missed() {
        let events = Events::default();
        for number in 0..(KEPT as u64 + 50) {
            events.tell("law", Value::from(number));
        }
        let (missed, next) = events.after(10);
        assert_eq!((missed, next.len(), next[0].number), (40, 100, 51));
        let (missed, next) = events.after(events.last() - 1);
        assert_eq!((missed, next.len()), (0, 1));
        assert!(events.after(events.last()).1.is_empty());
    }
}
