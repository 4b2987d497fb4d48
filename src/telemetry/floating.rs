//! How far the lines of journeys with a budget float, and what share of long-known customers they hold.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// The lines of one ladder of one journey.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownLine {
    /// The journey.
    pub journey: Arc<str>,
    /// `attempt` or `session`.
    pub ladder: &'static str,
    /// By how many points they have floated; below zero is down.
    pub shift: i64,
    /// The share of long-known customers that they hold now; nothing for too few.
    pub share: Option<f64>,
}

/// The lines of every journey that has a budget.
#[derive(Debug, Default)]
pub struct ShownLines(Mutex<Vec<ShownLine>>);

impl ShownLines {
    /// Replaces what is shown.
    pub fn show(&self, lines: Vec<ShownLine>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}

/// Shows the lines to a scrape.
#[derive(Debug)]
pub(super) struct LineCollector(pub(super) Arc<ShownLines>);

impl prometheus_client::collector::Collector for LineCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let lines = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if lines.is_empty() {
            return Ok(());
        }
        let labels = |line: &ShownLine| [("journey", line.journey.to_string()), ("ladder", line.ladder.to_owned())];
        let help = "Points by which the lines of a journey have floated from where they are written";
        let mut shift = encoder.encode_descriptor("weir_line_shift", help, None, MetricType::Gauge)?;
        for line in &lines {
            shift.encode_family(&labels(line))?.encode_gauge(&line.shift)?;
        }
        let help = "Share of customers who have long been known that a journey's lines hold";
        let mut share = encoder.encode_descriptor("weir_challenged_share", help, None, MetricType::Gauge)?;
        for line in &lines {
            if let Some(part) = line.share {
                share.encode_family(&labels(line))?.encode_gauge(&part)?;
            }
        }
        Ok(())
    }
}
