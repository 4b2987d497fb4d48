//! One value that is replaced whole while others read it: the law, certificates, keys. The only file that names arc-swap.
//!
//! A reader never waits and never sees half a change. Writers replace; nobody mutates in place.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

/// A shared value, swapped whole.
#[derive(Debug)]
pub struct Swap<T>(Arc<ArcSwap<T>>);

impl<T> Clone for Swap<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Swap<T> {
    /// A swap that holds `value`.
    pub fn new(value: Arc<T>) -> Self {
        Self(Arc::new(ArcSwap::new(value)))
    }

    /// Replaces the value; readers that hold the old one keep it until they let go.
    pub fn store(&self, value: Arc<T>) {
        self.0.store(value);
    }

    /// The value now, for readers off the request path.
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// A reader for one worker thread, cheap enough for every request.
    pub fn reader(&self) -> Reader<T> {
        let mut cache = Cache::new(self.0.clone());
        let pinned = Rc::new(cache.load().clone());
        Reader { cache, pinned }
    }
}

#[allow(
    clippy::redundant_allocation,
    reason = "the outer count is this thread's own: a request pins without an atomic"
)]
/// One worker's reader of a [`Swap`]: reads without touching a cache line that other workers write.
#[derive(Debug)]
pub struct Reader<T> {
    cache: Cache<Arc<ArcSwap<T>>, Arc<T>>,
    #[allow(
        clippy::redundant_allocation,
        reason = "the Rc is what a request clones: no atomic count shared by workers"
    )]
    pinned: Rc<Arc<T>>,
}

#[allow(clippy::redundant_allocation, reason = "as above")]
impl<T> Reader<T> {
    /// The value now, pinned for as long as the caller holds it. Costs a comparison and a thread-local count.
    pub fn pin(&mut self) -> Rc<Arc<T>> {
        let now = self.cache.load();
        if !Arc::ptr_eq(now, &self.pinned) {
            self.pinned = Rc::new(now.clone());
        }
        self.pinned.clone()
    }
}
