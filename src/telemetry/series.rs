//! One metric with labels, counted by each worker for itself and added up when it is scraped.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// Label sets a metric may have. The loser is the newest: it is counted under `(other)`.
pub const MOST: usize = 10_000;

/// A count that one worker adds to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more`. Only the cell's own worker writes: a load and a store.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Adds `more` where several threads write.
    pub fn add_shared(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Observations in buckets, by one worker.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts one observation. Only the cell's own worker writes.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        let count = &self.counts[bucket];
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed)) + value;
        self.sum.store(sum.to_bits(), Ordering::Relaxed);
    }
}

/// The values of a metric's labels.
type Labels<const N: usize> = [Box<str>; N];
/// A cell for each worker that has counted.
type Row<M> = Vec<Option<Arc<M>>>;

/// One metric: a name, the names of its labels, and a cell for each label set and worker.
pub struct Series<M, const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    bounds: &'static [f64],
    make: fn(&'static [f64]) -> M,
    cells: Mutex<HashMap<Labels<N>, Row<M>>>,
}

impl<M, const N: usize> fmt::Debug for Series<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<const N: usize> Series<Counter, N> {
    /// A counter with these labels.
    pub fn counter(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Arc<Self> {
        Arc::new(Self { name, help, labels, bounds: &[], make: |_| Counter::default(), cells: Mutex::default() })
    }
}

impl<const N: usize> Series<Histogram, N> {
    /// A histogram with these labels and upper bounds.
    pub fn histogram(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds: &'static [f64],
    ) -> Arc<Self> {
        Arc::new(Self { name, help, labels, bounds, make: Histogram::new, cells: Mutex::default() })
    }
}

impl<M, const N: usize> Series<M, N> {
    /// The cell of one worker for these labels. Takes a lock: workers ask once and keep the cell.
    pub fn cell(&self, worker: usize, labels: [&str; N]) -> Arc<M> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let key = labels.map(Box::from);
        let key = match cells.contains_key(&key) || cells.len() < MOST {
            true => key,
            false => labels.map(|_| Box::from("(other)")),
        };
        let row = cells.entry(key).or_default();
        if row.len() <= worker {
            row.resize_with(worker + 1, || None);
        }
        row[worker].get_or_insert_with(|| Arc::new((self.make)(self.bounds))).clone()
    }

    /// Adds up the cells whose labels are wanted, over all workers. For readers off the request path.
    fn sum(&self, wanted: impl Fn([&str; N]) -> bool, value: impl Fn(&M) -> u64) -> u64 {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = cells.iter().filter(|(labels, _)| wanted(std::array::from_fn(|at| &*labels[at])));
        rows.flat_map(|(_, row)| row.iter().flatten()).map(|cell| value(cell)).sum()
    }

    fn rows(&self) -> Vec<(Labels<N>, Row<M>)> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = cells.iter().map(|(labels, row)| (labels.clone(), row.clone())).collect();
        drop(cells);
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    }

    fn pairs<'a>(&self, values: &'a Labels<N>) -> Vec<(&'static str, &'a str)> {
        self.labels.iter().copied().zip(values.iter().map(|value| &**value)).collect()
    }
}

impl<const N: usize> Series<Counter, N> {
    /// The count over all workers, of the label sets that are wanted.
    pub fn total(&self, wanted: impl Fn([&str; N]) -> bool) -> u64 {
        self.sum(wanted, Counter::value)
    }
}

impl<const N: usize> Series<Histogram, N> {
    /// The observations of all workers, of the label sets that are wanted.
    pub fn total(&self, wanted: impl Fn([&str; N]) -> bool) -> u64 {
        self.sum(wanted, |cell| cell.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum())
    }
}

impl<const N: usize> Collector for Series<Counter, N> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
        for (labels, row) in self.rows() {
            let sum: u64 = row.iter().flatten().map(|cell| cell.value()).sum();
            let pairs = self.pairs(&labels);
            metric.encode_family(&pairs)?.encode_counter::<[(&str, &str); 0], u64, f64>(&sum, None)?;
        }
        Ok(())
    }
}

impl<const N: usize> Collector for Series<Histogram, N> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Histogram)?;
        for (labels, row) in self.rows() {
            let sum: f64 = row.iter().flatten().map(|cell| f64::from_bits(cell.sum.load(Ordering::Relaxed))).sum();
            let bounds = self.bounds.iter().copied().chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds
                .enumerate()
                .map(|(at, bound)| {
                    (bound, row.iter().flatten().map(|cell| cell.counts[at].load(Ordering::Relaxed)).sum())
                })
                .collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let pairs = self.pairs(&labels);
            metric.encode_family(&pairs)?.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
