//! Lists of what has leaked, as metrics: one series a list that the law names.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// How one list does.
#[derive(Debug, Clone)]
pub struct ListState {
    /// What it holds: `passwords`, `pairs`, `accounts`.
    pub list: &'static str,
    /// Its name among the sources of readings.
    pub signal: &'static str,
    /// Whether it is in use, young enough, and what lies on the disk.
    pub up: bool,
    /// When what it holds was known, in seconds since 1970.
    pub created: Option<u64>,
    /// How many entries it has.
    pub entries: u64,
}

/// The lists that the law names.
#[derive(Debug, Default)]
pub struct Lists(Mutex<Vec<ListState>>);

impl Lists {
    /// Replaces what is shown.
    pub fn show(&self, lists: impl Iterator<Item = ListState>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lists.collect();
    }

    /// Every list as a source of readings, and whether it works: for `weir_signal_up`.
    pub(super) fn signals(&self) -> Vec<(&'static str, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|list| (list.signal, list.up)).collect()
    }
}

/// A family of gauges: its name, what it says, and its value for one list.
type Family = (&'static str, &'static str, fn(&ListState) -> Option<u64>);

/// Writes it into a scrape.
#[derive(Debug)]
pub(super) struct ListsCollector(pub(super) std::sync::Arc<Lists>);

impl Collector for ListsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lists = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let families: [Family; 2] = [
            ("weir_breach_list_entries", "Entries of a list of what has leaked", |list| Some(list.entries)),
            ("weir_breach_list_created_timestamp_seconds", "When what a list holds was known", |list| list.created),
        ];
        for (name, help, value) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for list in &lists {
                let Some(value) = value(list) else { continue };
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                family.encode_family(&[("list", list.list)])?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}
