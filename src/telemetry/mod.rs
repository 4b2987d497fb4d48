//! What Weir says of itself: metrics and decision lines. One declaration a metric, here; the names are in `WIRE.md`.
//!
//! Counting must cost the request path a few plain stores: every worker owns its cells, and a scrape adds them up.
//! Never a user, an address, a raw path or a session as a label.

pub mod armed;
pub mod floating;
pub mod guards;
pub mod lines;
pub mod listed;
pub mod lists;
pub mod series;
pub mod transmitters;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::{EncodeMetric as _, MetricEncoder};
use prometheus_client::registry::Registry;

use self::armed::{ArmedCollector, ArmedPlaybooks};
use self::floating::{LineCollector, ShownLines};
use self::guards::ShownGuards;
use self::listed::{ListedCollector, ListedStates};
use self::lists::{Lists, ListsCollector};
use self::series::{Counter, Histogram, Series};
use self::transmitters::{ShownTransmitters, TransmitterCollector};

/// Seconds, as OpenTelemetry's semantic conventions ask for HTTP durations.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Seconds that Weir itself adds: from two microseconds up.
const OVERHEAD: &[f64] = &[
    0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.1,
];
/// Tens of points.
const SCORES: &[f64] = &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// `http_server_request_duration_seconds{http_request_method,http_route,http_response_status_code}`
    pub requests: Arc<Series<Histogram, 3>>,
    /// `weir_decisions_total{journey,action,mode}`
    pub decisions: Arc<Series<Counter, 3>>,
    /// `weir_confidence{journey}`
    pub confidence: Arc<Series<Histogram, 1>>,
    /// `weir_overhead_seconds`
    pub overhead: Arc<Series<Histogram, 0>>,
    /// `weir_upstream_request_duration_seconds{upstream}`
    pub upstream: Arc<Series<Histogram, 1>>,
    /// `weir_step_ups_total{outcome}`
    pub step_ups: Arc<Series<Counter, 1>>,
    /// `weir_handoffs_total{outcome}`
    pub handoffs: Arc<Series<Counter, 1>>,
    /// `weir_limits_total{limit,outcome}`: `passed`, `limited`, `shadow`
    pub limits: Arc<Series<Counter, 2>>,
    /// `weir_template_failures_total{template}`
    pub template_failures: Arc<Series<Counter, 1>>,
    /// `weir_lines_dropped_total`
    pub lines_dropped: Arc<Counter>,
    /// `weir_sign_ins_total{outcome}`: `worked` or `failed`.
    pub sign_ins: Arc<Series<Counter, 1>>,
    /// `weir_upstream_failures_total{upstream}`: no answer, or one of the 5xx.
    pub upstream_failures: Arc<Series<Counter, 1>>,
    /// `weir_requests_total{class}`
    pub classes: Arc<Series<Counter, 1>>,
    /// `weir_events_total{transmitter,outcome}`: `applied`, `held`, `ignored`, `unknown`, `unmatched`, `replayed`, `refused`, `no_room`
    pub events: Arc<Series<Counter, 2>>,
    /// `weir_events_last_timestamp_seconds{transmitter}` and `weir_events_held{transmitter}`
    pub transmitters: Arc<ShownTransmitters>,
    /// `weir_snapshots_served_total{journey}`
    pub snapshots_served: Arc<Series<Counter, 1>>,
    /// `weir_snapshots_stored_total{journey}`
    pub snapshots_stored: Arc<Series<Counter, 1>>,
    /// `weir_continuity_passes_total{event}`
    pub passes: Arc<Series<Counter, 1>>,
    /// `weir_snapshots_refused_total{reason}`: answers that were not kept
    pub snapshots_refused: Arc<Series<Counter, 1>>,
    /// `weir_posture{playbook}` and `weir_posture_expires_timestamp_seconds{playbook}`
    pub armed: Arc<ArmedPlaybooks>,
    /// `weir_breach_list_entries{list}`, `weir_breach_list_created_timestamp_seconds{list}`, and whether each works in `weir_signal_up`
    pub lists: Arc<Lists>,
    /// `weir_list_entries{list}`, `weir_list_age_seconds{list}` and, of each list, `weir_signal_up{signal}`.
    pub listed: Arc<ListedStates>,
    /// `weir_signal_up{signal}` of each group of signals: 0 while a guard has frozen it.
    pub guards: Arc<ShownGuards>,
    /// `weir_line_shift{journey,ladder}` and `weir_challenged_share{journey,ladder}` of journeys with a budget.
    pub floating: Arc<ShownLines>,
    /// What changes rarely.
    pub gauges: Arc<Gauges>,
    registry: Arc<Registry>,
}

/// Values of which only the latest counts.
#[derive(Debug, Default)]
pub struct Gauges {
    /// `weir_rules_generation`
    pub rules_generation: Gauge,
    /// `weir_rules_last_load_success`: 1 when the files on disk are the law in force.
    pub rules_last_load_success: Gauge,
    /// `weir_identities`: accounts remembered.
    pub identities: Gauge,
    /// `weir_sessions`: sessions remembered.
    pub sessions: Gauge,
    /// `weir_connections`: open now.
    pub connections: Gauge,
    /// `weir_streams`: tunnels, event streams and calls open now.
    pub streams: Gauge,
    /// `weir_refused_connections_total`: closed at the door since the start, because a bound was reached.
    pub refused_connections: Gauge,
    /// `weir_disk_ok{what="posture"}`: 1 while what is armed can be kept.
    pub posture_disk_ok: Gauge,
    /// `weir_disk_ok{what="audit"}`: 1 while changes can be recorded.
    pub audit_disk_ok: Gauge,
    /// `weir_disk_ok{what="checkpoint"}`: 1 while what is remembered can be kept.
    pub checkpoint_disk_ok: Gauge,
    /// `weir_disk_ok{what="snapshots"}`: 1 while customers' last-known-good answers are kept and shown.
    pub snapshots_ok: Gauge,
    /// `weir_snapshots`: answers kept.
    pub snapshots: Gauge,
    /// `weir_snapshots_bytes`: of them on the disk.
    pub snapshots_bytes: Gauge,
    /// `weir_checkpoints_refused`: stores that began empty because their file was not believed.
    pub checkpoints_refused: Gauge,
    /// `weir_signal_up{signal="jwks"}`: 1 or 0; below zero while the rules name no source of keys, and then not shown.
    pub jwks_up: Gauge,
    /// `weir_signal_up{signal="events"}`: 0 while a transmitter is silent, held back or without keys; below zero while the rules
    /// name none, and then not shown.
    pub events_up: Gauge,
}

/// One value of which only the latest counts.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// All metrics at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Series::histogram(
            "http_server_request_duration_seconds",
            "Duration of requests to the answer's head",
            ["http_request_method", "http_route", "http_response_status_code"],
            SECONDS,
        );
        let decisions = Series::counter("weir_decisions", "Decisions taken", ["journey", "action", "mode"]);
        let confidence = Series::histogram("weir_confidence", "Identity confidence, 0 to 100", ["journey"], SCORES);
        let overhead = Series::histogram(
            "weir_overhead_seconds",
            "Time that Weir itself added to a request, to the answer's head",
            [],
            OVERHEAD,
        );
        let upstream = Series::histogram(
            "weir_upstream_request_duration_seconds",
            "Time from the request's dispatch to the answer's head",
            ["upstream"],
            SECONDS,
        );
        let step_ups = Series::counter("weir_step_ups", "Proofs asked for and given", ["outcome"]);
        let handoffs = Series::counter("weir_handoffs", "Customers handed to a person", ["outcome"]);
        let limits = Series::counter(
            "weir_limits",
            "Requests that a limit passed, held or would have held",
            ["limit", "outcome"],
        );
        let template_failures = Series::counter(
            "weir_template_failures",
            "Pages and bodies that an operator's template failed to give, so that the built-in one stood in",
            ["template"],
        );
        let sign_ins = Series::counter("weir_sign_ins", "Sign-ins that the upstream answered", ["outcome"]);
        let upstream_failures =
            Series::counter("weir_upstream_failures", "Requests that an upstream failed", ["upstream"]);
        let classes = Series::counter("weir_requests", "Requests by the class of their client", ["class"]);
        let events =
            Series::counter("weir_events", "Security events that transmitters sent", ["transmitter", "outcome"]);
        let snapshots_served =
            Series::counter("weir_snapshots_served", "Last-known-good answers shown to their owners", ["journey"]);
        let snapshots_stored = Series::counter("weir_snapshots_stored", "Answers kept for their owners", ["journey"]);
        let passes = Series::counter(
            "weir_continuity_passes",
            "Continuity passes that were given, that showed something, and that were voided by their holders",
            ["event"],
        );
        let snapshots_refused =
            Series::counter("weir_snapshots_refused", "Answers that were not kept, and why", ["reason"]);
        let transmitters = Arc::<ShownTransmitters>::default();
        let armed = Arc::<ArmedPlaybooks>::default();
        let lists = Arc::<Lists>::default();
        let listed = Arc::<ListedStates>::default();
        let guards = Arc::<ShownGuards>::default();
        let floating = Arc::<ShownLines>::default();
        let lines_dropped = Arc::new(Counter::default());
        let gauges = Arc::new(Gauges::default());
        gauges.jwks_up.set(-1);
        gauges.events_up.set(-1);
        gauges.posture_disk_ok.set(1);
        gauges.audit_disk_ok.set(1);
        gauges.checkpoint_disk_ok.set(1);
        gauges.snapshots_ok.set(1);
        registry.register_collector(Box::new(requests.clone()));
        registry.register_collector(Box::new(decisions.clone()));
        registry.register_collector(Box::new(confidence.clone()));
        registry.register_collector(Box::new(overhead.clone()));
        registry.register_collector(Box::new(upstream.clone()));
        registry.register_collector(Box::new(step_ups.clone()));
        registry.register_collector(Box::new(handoffs.clone()));
        registry.register_collector(Box::new(limits.clone()));
        registry.register_collector(Box::new(template_failures.clone()));
        registry.register_collector(Box::new(sign_ins.clone()));
        registry.register_collector(Box::new(upstream_failures.clone()));
        registry.register_collector(Box::new(classes.clone()));
        registry.register_collector(Box::new(events.clone()));
        registry.register_collector(Box::new(snapshots_served.clone()));
        registry.register_collector(Box::new(snapshots_stored.clone()));
        registry.register_collector(Box::new(snapshots_refused.clone()));
        registry.register_collector(Box::new(passes.clone()));
        registry.register_collector(Box::new(TransmitterCollector(transmitters.clone())));
        registry.register_collector(Box::new(ArmedCollector(armed.clone())));
        registry.register_collector(Box::new(ListsCollector(lists.clone())));
        registry.register_collector(Box::new(ListedCollector(listed.clone())));
        registry.register_collector(Box::new(LineCollector(floating.clone())));
        registry.register_collector(Box::new(GaugeCollector {
            gauges: gauges.clone(),
            lists: lists.clone(),
            listed: listed.clone(),
            guards: guards.clone(),
            dropped: lines_dropped.clone(),
        }));
        Self {
            requests,
            decisions,
            confidence,
            overhead,
            upstream,
            step_ups,
            handoffs,
            limits,
            template_failures,
            sign_ins,
            upstream_failures,
            classes,
            events,
            snapshots_served,
            snapshots_stored,
            snapshots_refused,
            passes,
            transmitters,
            armed,
            guards,
            floating,
            lists,
            listed,
            lines_dropped,
            gauges,
            registry: Arc::new(registry),
        }
    }

    /// The metrics as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::from("# EOF\n"),
        }
    }
}

#[derive(Debug)]
struct GaugeCollector {
    gauges: Arc<Gauges>,
    lists: Arc<Lists>,
    dropped: Arc<Counter>,
    listed: Arc<ListedStates>,
    guards: Arc<ShownGuards>,
}

impl prometheus_client::collector::Collector for GaugeCollector {
    fn encode(&self, mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::metrics::MetricType;
        let gauges = [
            ("weir_rules_generation", "Generation of the law in force", &self.gauges.rules_generation),
            (
                "weir_rules_last_load_success",
                "1 when the rule files on disk are the law in force",
                &self.gauges.rules_last_load_success,
            ),
            ("weir_identities", "Accounts remembered", &self.gauges.identities),
            ("weir_sessions", "Sessions remembered", &self.gauges.sessions),
            (
                "weir_checkpoints_refused",
                "Stores that began empty because their file was not believed",
                &self.gauges.checkpoints_refused,
            ),
            ("weir_snapshots", "Last-known-good answers kept", &self.gauges.snapshots),
            ("weir_snapshots_bytes", "Their bytes on the disk, sealed", &self.gauges.snapshots_bytes),
            ("weir_connections", "Client connections open now", &self.gauges.connections),
            ("weir_streams", "Tunnels, event streams and gRPC calls open now", &self.gauges.streams),
        ];
        for (name, help, gauge) in gauges {
            let mut metric: MetricEncoder<'_> = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&gauge.value())?;
        }
        let mut up = encoder.encode_descriptor(
            "weir_signal_up",
            "1 while a source of readings works",
            None,
            MetricType::Gauge,
        )?;
        for (signal, gauge) in [("jwks", &self.gauges.jwks_up), ("events", &self.gauges.events_up)] {
            if gauge.value() >= 0 {
                up.encode_family(&[("signal", signal)])?.encode_gauge(&gauge.value())?;
            }
        }
        for (signal, works) in self.lists.signals() {
            up.encode_family(&[("signal", signal)])?.encode_gauge(&i64::from(works))?;
        }
        for (group, believed) in self.guards.signals() {
            up.encode_family(&[("signal", group)])?.encode_gauge(&i64::from(believed))?;
        }
        for list in self.listed.shown() {
            up.encode_family(&[("signal", list.list)])?.encode_gauge(&i64::from(list.up))?;
        }
        let mut disk = encoder.encode_descriptor(
            "weir_disk_ok",
            "Whether the data directory takes what is to be kept",
            None,
            MetricType::Gauge,
        )?;
        let gauges = &self.gauges;
        let disks = [
            ("posture", &gauges.posture_disk_ok),
            ("audit", &gauges.audit_disk_ok),
            ("checkpoint", &gauges.checkpoint_disk_ok),
            ("snapshots", &gauges.snapshots_ok),
        ];
        for (what, gauge) in disks {
            disk.encode_family(&[("what", what)])?.encode_gauge(&gauge.value())?;
        }
        let build = prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        build.encode(encoder.encode_descriptor("weir_build", "This build", None, MetricType::Info)?)?;
        let mut dropped = encoder.encode_descriptor(
            "weir_lines_dropped",
            "Decision lines dropped because their reader was too slow",
            None,
            MetricType::Counter,
        )?;
        dropped.encode_counter::<[(&str, &str); 0], u64, f64>(&self.dropped.value(), None)?;
        let mut refused = encoder.encode_descriptor(
            "weir_refused_connections",
            "Connections closed at the door because a bound was reached",
            None,
            MetricType::Counter,
        )?;
        let count = u64::try_from(self.gauges.refused_connections.value()).unwrap_or(0);
        refused.encode_counter::<[(&str, &str); 0], u64, f64>(&count, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_adds_up_what_the_workers_counted() {
        let telemetry = Telemetry::new();
        for worker in 0..2 {
            telemetry.decisions.cell(worker, ["login", "allow", "enforced"]).add(3);
            telemetry.requests.cell(worker, ["GET", "/", "200"]).observe(0.007);
        }
        telemetry.gauges.rules_generation.set(4);
        let text = telemetry.text();
        assert!(text.contains(r#"weir_decisions_total{journey="login",action="allow",mode="enforced"} 6"#), "{text}");
        let count = r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/",http_response_status_code="200"} 2"#;
        assert!(text.contains(count), "{text}");
        assert!(text.contains("weir_rules_generation 4"), "{text}");
        assert!(text.contains("weir_build_info{"), "{text}");
    }

    #[test]
    fn series_are_bounded_and_the_rest_is_counted_together() {
        let telemetry = Telemetry::new();
        for n in 0..(series::MOST + 10) {
            telemetry.decisions.cell(0, [&format!("j{n}"), "allow", "enforced"]).add(1);
        }
        assert!(telemetry.text().contains(r#"journey="(other)""#));
    }
}
