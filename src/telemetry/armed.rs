//! What is armed, as metrics: one series a playbook, gone when it has ended.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// Name, end in seconds since 1970, and whether it is in shadow.
type Entry = (Box<str>, u64, bool);

/// What is armed.
#[derive(Debug, Default)]
pub struct ArmedPlaybooks(Mutex<Vec<Entry>>);

impl ArmedPlaybooks {
    /// Replaces what is shown: name, end in seconds since 1970, and whether it is in shadow.
    pub fn show(&self, armed: impl Iterator<Item = (Box<str>, u64, bool)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = armed.collect();
    }
}

/// Writes it into a scrape.
#[derive(Debug)]
pub(super) struct ArmedCollector(pub(super) std::sync::Arc<ArmedPlaybooks>);

impl Collector for ArmedCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let entries = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut posture =
            encoder.encode_descriptor("weir_posture", "1 for each playbook that is armed", None, MetricType::Gauge)?;
        for (name, _, shadow) in &entries {
            let mode = if *shadow { "shadow" } else { "enforced" };
            posture.encode_family(&[("playbook", &**name), ("mode", mode)])?.encode_gauge(&1)?;
        }
        let mut expires = encoder.encode_descriptor(
            "weir_posture_expires_timestamp_seconds",
            "When an armed playbook ends by itself",
            None,
            MetricType::Gauge,
        )?;
        for (name, until, _) in &entries {
            let until = i64::try_from(*until).unwrap_or(i64::MAX);
            expires.encode_family(&[("playbook", &**name)])?.encode_gauge(&until)?;
        }
        Ok(())
    }
}
