//! What one worker prepares once for each generation of the law, so that a request finds it ready: header values, lanes,
//! metric cells.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};

use super::Shared;
use crate::admission::Lane;
use crate::identity::token::Tokens;
use crate::rules::in_force::InForce;
use crate::rules::routes::RouteId;
use crate::rules::ruleset::{JourneyId, RuleSet, SubjectSource, UpstreamId};
use crate::telemetry::Telemetry;
use crate::telemetry::series::{Counter, Histogram};

/// What is in force, with what this worker made ready for it.
#[derive(Debug)]
pub struct Prepared {
    /// The law, pinned.
    pub law: Rc<Arc<InForce>>,
    lanes: Vec<Arc<Lane>>,
    journeys: Vec<HeaderValue>,
    tokens: Option<Arc<Tokens>>,
    meters: Meters,
}

impl Prepared {
    /// Makes ready what this law needs.
    pub fn new(law: Rc<Arc<InForce>>, worker: usize, shared: &Shared) -> Self {
        let rules = &law.rules;
        let lanes = rules.upstreams.iter().map(|upstream| shared.admission.lane(&upstream.name)).collect();
        let header = |name: &str| HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("unnamed"));
        let journeys = rules.journeys.iter().map(|journey| header(&journey.name)).collect();
        let meters = Meters::new(worker, shared.telemetry.clone(), rules.upstreams.len());
        let tokens = match &rules.identity.subject {
            Some(SubjectSource::Jwt(source)) => shared.identity.tokens(source),
            Some(SubjectSource::SessionCookie { .. }) | None => None,
        };
        Self { law, lanes, journeys, tokens, meters }
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.law.rules
    }

    /// The lane of an upstream.
    pub fn lane(&self, upstream: UpstreamId) -> &Arc<Lane> {
        &self.lanes[upstream.index()]
    }

    /// A journey's name as a header value.
    pub fn journey_header(&self, journey: JourneyId) -> &HeaderValue {
        &self.journeys[journey.index()]
    }

    /// What verifies bearer tokens, when the rules name an issuer.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_deref()
    }

    /// Where this worker counts.
    pub const fn meters(&self) -> &Meters {
        &self.meters
    }
}

/// One worker's metric cells, looked up by small numbers.
#[derive(Debug)]
pub struct Meters {
    worker: usize,
    telemetry: Telemetry,
    requests: RefCell<HashMap<(u32, u8, u16), Arc<Histogram>>>,
    decisions: RefCell<HashMap<(u16, &'static str), Arc<Counter>>>,
    confidence: RefCell<HashMap<u16, Arc<Histogram>>>,
    upstreams: RefCell<Vec<Option<Arc<Histogram>>>>,
    overhead: Arc<Histogram>,
}

/// For requests that no journey names.
const UNLISTED: u32 = u32::MAX;
const NO_JOURNEY: u16 = u16::MAX;

impl Meters {
    fn new(worker: usize, telemetry: Telemetry, upstreams: usize) -> Self {
        let overhead = telemetry.overhead.cell(worker, []);
        Self {
            worker,
            requests: RefCell::default(),
            decisions: RefCell::default(),
            confidence: RefCell::default(),
            upstreams: RefCell::new(vec![None; upstreams]),
            overhead,
            telemetry,
        }
    }

    /// Counts a request and how long it took to the answer's head.
    pub fn request(&self, rules: &RuleSet, route: Option<RouteId>, method: &Method, status: StatusCode, seconds: f64) {
        let (index, word) = method_word(method);
        let key = (route.map_or(UNLISTED, |route| route.index() as u32), index, status.as_u16());
        self.requests
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| {
                let template = route.map_or("(unlisted)", |route| rules.routes.template(route));
                self.telemetry.requests.cell(self.worker, [word, template, status.as_str()])
            })
            .observe(seconds);
    }

    /// Counts a decision.
    pub fn decision(&self, rules: &RuleSet, journey: Option<JourneyId>, action: &'static str) {
        let key = (journey.map_or(NO_JOURNEY, |journey| journey.index() as u16), action);
        self.decisions
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| {
                let name = journey.map_or("(unlisted)", |journey| &*rules.journey(journey).name);
                self.telemetry.decisions.cell(self.worker, [name, action, "enforced"])
            })
            .add(1);
    }

    /// Counts a confidence on a journey.
    pub fn confidence(&self, rules: &RuleSet, journey: JourneyId, score: u8) {
        self.confidence
            .borrow_mut()
            .entry(journey.index() as u16)
            .or_insert_with(|| self.telemetry.confidence.cell(self.worker, [&rules.journey(journey).name]))
            .observe(f64::from(score));
    }

    /// Counts an upstream's time to the answer's head.
    pub fn upstream(&self, rules: &RuleSet, upstream: UpstreamId, seconds: f64) {
        if let Some(cell) = self.upstreams.borrow_mut().get_mut(upstream.index()) {
            cell.get_or_insert_with(|| self.telemetry.upstream.cell(self.worker, [&rules.upstream(upstream).name]))
                .observe(seconds);
        }
    }

    /// Counts what Weir itself added.
    pub fn overhead(&self, seconds: f64) {
        self.overhead.observe(seconds);
    }

    /// Counts a step-up: `asked`, `passed`, `failed`, `looping`.
    pub fn step_up(&self, outcome: &'static str) {
        self.telemetry.step_ups.cell(self.worker, [outcome]).add(1);
    }

    /// Counts a handoff: `given`.
    pub fn handoff(&self, outcome: &'static str) {
        self.telemetry.handoffs.cell(self.worker, [outcome]).add(1);
    }
}

/// A small number and a bounded label for a method, as OpenTelemetry names the rest.
fn method_word(method: &Method) -> (u8, &'static str) {
    match *method {
        Method::GET => (0, "GET"),
        Method::POST => (1, "POST"),
        Method::PUT => (2, "PUT"),
        Method::DELETE => (3, "DELETE"),
        Method::PATCH => (4, "PATCH"),
        Method::HEAD => (5, "HEAD"),
        Method::OPTIONS => (6, "OPTIONS"),
        Method::CONNECT => (7, "CONNECT"),
        Method::TRACE => (8, "TRACE"),
        _ => (9, "_OTHER"),
    }
}
