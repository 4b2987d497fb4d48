//! What waits for the thread that keeps the file, in the order in which it was handed over.
//!
//! Answers have a bound in number and bytes, beyond which the newest loses. What is voided is never lost: it has a bound far
//! beyond, and when that is reached nothing is shown any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Incoming;
use super::disk::Limit;
use super::page::{About, Page, PageKey};
use super::pauses::Written;
use crate::subject::Account;

/// Answers that wait, and their bytes.
const ANSWERS: usize = 1024;
const BYTES: usize = 32 << 20;
/// What waits beside them.
const VOIDS: usize = 65_536;
/// Jobs that are done together.
const TOGETHER: usize = 256;

/// What is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Void {
    /// Everything of an account.
    Account(Account),
    /// One page of an owner.
    Page(PageKey),
}

impl Void {
    pub const fn account(&self) -> Account {
        match self {
            Self::Account(account) => *account,
            Self::Page(key) => key.owner().account(),
        }
    }
}

/// Something for the thread to do.
#[derive(Debug)]
pub(super) enum Job {
    Put { incoming: Box<Incoming>, done: Option<Sender<Result<(), &'static str>>> },
    Void { what: Void, done: Option<Sender<Result<usize, String>>> },
    Read { key: PageKey, since: u64, reply: oneshot::Sender<Option<Arc<Page>>> },
    Access { account: Account, reply: Sender<Result<Vec<(About, usize)>, String>> },
    Pauses(BTreeMap<Box<str>, Written>),
    Sweep(BTreeMap<Box<str>, Limit>),
    Settle(Sender<()>),
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    answers: usize,
    bytes: usize,
    closed: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over; false when there is no room.
    pub fn push(&self, job: Job) -> bool {
        let mut waiting = self.waiting();
        if waiting.closed || waiting.jobs.len() >= VOIDS {
            return false;
        }
        if let Job::Put { incoming, .. } = &job {
            if waiting.answers >= ANSWERS || waiting.bytes + incoming.body.len() > BYTES {
                return false;
            }
            waiting.answers += 1;
            waiting.bytes += incoming.body.len();
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.bell.notify_one();
        true
    }

    /// Hands over what is void, and marks it so in one step: an answer that was handed over before is removed with it, and one that
    /// comes later meets the mark. False when there is no room; the mark holds all the same.
    pub fn void(&self, what: Void, done: Option<Sender<Result<usize, String>>>, mark: impl FnOnce()) -> bool {
        let mut waiting = self.waiting();
        mark();
        if waiting.jobs.len() >= VOIDS + ANSWERS {
            return false;
        }
        waiting.jobs.push_back(Job::Void { what, done });
        drop(waiting);
        self.bell.notify_one();
        true
    }

    /// No more jobs.
    pub fn close(&self) {
        self.waiting().closed = true;
        self.bell.notify_all();
    }

    /// The next jobs, once there are any; none when `patience` is over first, and nothing when there will be no more.
    pub fn next(&self, patience: Option<Duration>) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = match patience {
                None => self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (waiting, timeout) =
                        self.bell.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() && waiting.jobs.is_empty() {
                        return if waiting.closed { None } else { Some(Vec::new()) };
                    }
                    waiting
                }
            };
        }
        let count = waiting.jobs.len().min(TOGETHER);
        let jobs: Vec<Job> = waiting.jobs.drain(..count).collect();
        for job in &jobs {
            if let Job::Put { incoming, .. } = job {
                waiting.answers -= 1;
                waiting.bytes -= incoming.body.len();
            }
        }
        Some(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_takes_none() {
        let queue = Queue::default();
        let (settled, _) = std::sync::mpsc::channel();
        while queue.push(Job::Settle(settled.clone())) {}
        let names = crate::subject::Names::new([1; 16]);
        let incoming = || Incoming {
            key: PageKey::new(names.owner("ada"), "h", "/"),
            about: About {
                host: "h".into(),
                target: "/".into(),
                journey: "balance".into(),
                language: None,
                kind: None,
                others: Vec::new(),
                as_of: crate::clock::Moment::default(),
                paused: Duration::ZERO,
                at_most: None,
                fields: Vec::new(),
            },
            body: bytes::Bytes::from_static(b"x"),
            mask: Vec::new(),
            keep: Duration::ZERO,
            began: super::super::Began(0),
        };
        for _ in 0..2 * ANSWERS {
            assert!(!queue.push(Job::Put { incoming: Box::new(incoming()), done: None }));
        }
        while queue.next(Some(Duration::ZERO)).is_some_and(|jobs| !jobs.is_empty()) {}
        assert!(queue.push(Job::Put { incoming: Box::new(incoming()), done: None }), "there is room again");
    }
}
