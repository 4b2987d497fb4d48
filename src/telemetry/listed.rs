//! Lists of addresses, as metrics: one series a list that the law names.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// How one list does.
#[derive(Debug, Clone)]
pub struct ListState {
    /// What it says, such as `tor`.
    pub list: &'static str,
    /// How many entries it has.
    pub entries: u64,
    /// How old it is, in seconds; none while none is in use.
    pub age: Option<u64>,
    /// Whether it is in use and young enough.
    pub up: bool,
}

/// The lists that the law names.
#[derive(Debug, Default)]
pub struct ListedStates(Mutex<Vec<ListState>>);

impl ListedStates {
    /// Replaces what is shown.
    pub fn show(&self, lists: impl Iterator<Item = ListState>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lists.collect();
    }

    /// What is shown.
    pub fn shown(&self) -> Vec<ListState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes it into a scrape. Whether a list works is told with the other sources of readings.
#[derive(Debug)]
pub(super) struct ListedCollector(pub(super) std::sync::Arc<ListedStates>);

impl Collector for ListedCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lists = self.0.shown();
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut entries = encoder.encode_descriptor(
            "weir_list_entries",
            "Entries of a list of addresses",
            None,
            MetricType::Gauge,
        )?;
        for list in &lists {
            entries.encode_family(&[("list", list.list)])?.encode_gauge(&whole(list.entries))?;
        }
        let mut age = encoder.encode_descriptor(
            "weir_list_age_seconds",
            "Age of a list of addresses",
            None,
            MetricType::Gauge,
        )?;
        for list in &lists {
            if let Some(seconds) = list.age {
                age.encode_family(&[("list", list.list)])?.encode_gauge(&whole(seconds))?;
            }
        }
        Ok(())
    }
}
