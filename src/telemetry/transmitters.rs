//! Those who report from outside, as metrics: when each was last heard, and what is held back of it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// One of them.
#[derive(Debug, Clone)]
pub struct Shown {
    /// As in the rule file.
    pub name: Box<str>,
    /// When its last verified event was issued, in seconds since 1970; 0 for never.
    pub heard: u64,
    /// Reports that are held back.
    pub held: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub struct ShownTransmitters(Mutex<Vec<Shown>>);

impl ShownTransmitters {
    /// Replaces what is shown.
    pub fn show(&self, all: Vec<Shown>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// Writes them into a scrape.
#[derive(Debug)]
pub(super) struct TransmitterCollector(pub(super) std::sync::Arc<ShownTransmitters>);

impl Collector for TransmitterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut heard = encoder.encode_descriptor(
            "weir_events_last_timestamp_seconds",
            "When the last verified event of a transmitter was issued; 0 for never",
            None,
            MetricType::Gauge,
        )?;
        for one in &all {
            let seconds = i64::try_from(one.heard).unwrap_or(i64::MAX);
            heard.encode_family(&[("transmitter", &*one.name)])?.encode_gauge(&seconds)?;
        }
        let mut held = encoder.encode_descriptor(
            "weir_events_held",
            "Reports of a transmitter that are held back, because it took from more customers than it may",
            None,
            MetricType::Gauge,
        )?;
        for one in &all {
            let count = i64::try_from(one.held).unwrap_or(i64::MAX);
            held.encode_family(&[("transmitter", &*one.name)])?.encode_gauge(&count)?;
        }
        Ok(())
    }
}
