//! What one worker prepares once for each generation of the law, so that a request finds it ready: header values, lanes,
//! metric cells.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use http::{HeaderValue, Method, StatusCode};
use smallvec::SmallVec;

use super::Shared;
use super::continuity::circuit::Circuit;
use super::continuity::works;
use crate::admission::Lane;
use crate::clock::Moment;
use crate::confidence::Confidence;
use crate::identity::token::Tokens;
use crate::memory::limits::salt;
use crate::memory::{Limiter, floating};
use crate::rules::client::Class;
use crate::rules::in_force::InForce;
use crate::rules::limits::Limit;
use crate::rules::routes::RouteId;
use crate::rules::ruleset::{JourneyId, RuleSet, SubjectSource, UpstreamId};
use crate::telemetry::Telemetry;
use crate::telemetry::series::{Counter, Histogram};

/// The names of the armed playbooks that are enforced, and until when that is right.
#[derive(Debug)]
struct PostureHeader {
    value: HeaderValue,
    until: Moment,
}

/// What is in force, with what this worker made ready for it.
#[derive(Debug)]
pub struct Prepared {
    /// The law, pinned.
    pub law: Rc<Arc<InForce>>,
    lanes: Vec<Arc<Lane>>,
    streams: Vec<Arc<AtomicUsize>>,
    circuits: Vec<Arc<Circuit>>,
    keeps_snapshots: bool,
    gives_passes: bool,
    journeys: Vec<HeaderValue>,
    scores: Vec<HeaderValue>,
    posture: Option<PostureHeader>,
    tokens: Option<Arc<Tokens>>,
    limiters: Vec<Limiting>,
    floating: Vec<Option<Arc<floating::Lane>>>,
    feed: Limiting,
    meters: Meters,
}

impl Prepared {
    /// Makes ready what this law needs.
    pub fn new(law: Rc<Arc<InForce>>, worker: usize, shared: &Shared) -> Self {
        let rules = &law.rules;
        let lanes = rules.upstreams.iter().map(|upstream| shared.admission.lane(&upstream.name)).collect();
        let header = |name: &str| HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("unnamed"));
        let journeys = rules.journeys.iter().map(|journey| header(&journey.name)).collect();
        let scores = (0..=100).map(|score: u16| HeaderValue::from(score)).collect();
        let posture = posture_header(&law, law.installed)
            .map(|value| PostureHeader { value, until: law.effects.next_end(law.installed).unwrap_or_default() });
        let meters = Meters::new(worker, shared.telemetry.clone(), rules);
        let tokens = match &rules.identity.subject {
            Some(SubjectSource::Jwt(source)) => shared.identity.tokens(source),
            Some(SubjectSource::SessionCookie { .. }) | None => None,
        };
        let streams = rules.upstreams.iter().map(|upstream| shared.streams.at(&upstream.name)).collect();
        let circuits = rules.upstreams.iter().map(|upstream| shared.circuits.at(&upstream.name)).collect();
        let keeps_snapshots = rules.keeps_snapshots();
        let gives_passes = rules.gives_passes();
        let limiters = rules.limits.all().iter().map(|limit| Limiting::new(limit, worker, shared)).collect();
        let memory = &shared.memory.floating;
        let floating =
            rules.journeys.iter().map(|journey| memory.lane(journey.budget.as_ref().map(|_| &journey.name)?));
        let floating = floating.collect();
        let feed = Limiting::new(&works::limit(), worker, shared);
        Self {
            law,
            lanes,
            streams,
            circuits,
            keeps_snapshots,
            gives_passes,
            journeys,
            scores,
            posture,
            tokens,
            limiters,
            floating,
            feed,
            meters,
        }
    }

    /// What the upstream is told of the posture; nothing while none is enforced. Made once for a posture; again only where one
    /// has ended and nobody has said so yet.
    pub fn posture_header(&self, now: Moment) -> Option<HeaderValue> {
        let prepared = self.posture.as_ref()?;
        if now < prepared.until { Some(prepared.value.clone()) } else { posture_header(&self.law, now) }
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.law.rules
    }

    /// The lane of an upstream.
    pub fn lane(&self, upstream: UpstreamId) -> &Arc<Lane> {
        &self.lanes[upstream.index()]
    }

    /// How many streams are open at an upstream.
    pub fn streams(&self, upstream: UpstreamId) -> &Arc<AtomicUsize> {
        &self.streams[upstream.index()]
    }

    /// Whether an upstream fails.
    pub fn circuit(&self, upstream: UpstreamId) -> &Circuit {
        &self.circuits[upstream.index()]
    }

    /// Whether any journey keeps answers.
    pub const fn keeps_snapshots(&self) -> bool {
        self.keeps_snapshots
    }

    /// Whether continuity passes are given and taken.
    pub const fn gives_passes(&self) -> bool {
        self.gives_passes
    }

    /// A journey's name as a header value.
    pub fn journey_header(&self, journey: JourneyId) -> &HeaderValue {
        &self.journeys[journey.index()]
    }

    /// A score as a header value.
    pub fn score_header(&self, confidence: Confidence) -> &HeaderValue {
        &self.scores[usize::from(confidence.score()).min(100)]
    }

    /// What verifies bearer tokens, when the rules name an issuer.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_deref()
    }

    /// Where the lines of a journey are, if it has a budget.
    pub fn floating(&self, journey: JourneyId) -> Option<&floating::Lane> {
        self.floating.get(journey.index())?.as_deref()
    }

    /// What asks the limit at this place of the law.
    pub fn limiter(&self, at: u16) -> Option<&Limiting> {
        self.limiters.get(usize::from(at))
    }

    /// What asks how often a customer has looked at what works now.
    pub const fn feed(&self) -> &Limiting {
        &self.feed
    }

    /// Where this worker counts.
    pub const fn meters(&self) -> &Meters {
        &self.meters
    }
}

fn posture_header(law: &InForce, now: Moment) -> Option<HeaderValue> {
    let names: Vec<&str> = law.effects.enforced(&law.rules, now).collect();
    if names.is_empty() { None } else { HeaderValue::from_str(&names.join(", ")).ok() }
}

/// One limit, ready to be asked: what makes its keys unlike those of other limits, and where what came of it is counted.
#[derive(Debug)]
pub struct Limiting {
    /// Asks its cells.
    pub limiter: Limiter,
    /// Mixed into every key. By name, so that a swap that leaves the limit leaves what was used of it.
    pub salt: u64,
    /// Requests that it let through.
    pub passed: Arc<Counter>,
    /// Requests that it held back.
    pub limited: Arc<Counter>,
    /// Requests that it would have held back.
    pub shadow: Arc<Counter>,
}

impl Limiting {
    fn new(limit: &Limit, worker: usize, shared: &Shared) -> Self {
        let cell = |outcome| shared.telemetry.limits.cell(worker, [&*limit.name, outcome]);
        Self {
            limiter: Limiter::new(limit, &shared.memory.allowances),
            salt: salt(&shared.names, limit),
            passed: cell("passed"),
            limited: cell("limited"),
            shadow: cell("shadow"),
        }
    }
}

/// Metric cells by a place in the law, and what else tells them apart: a few at each place, so a request finds its own by
/// looking at one or two.
#[derive(Debug)]
struct Cells<K, M>(RefCell<Vec<Few<K, M>>>);

type Few<K, M> = SmallVec<[(K, Arc<M>); 1]>;

impl<K: PartialEq, M> Cells<K, M> {
    fn new(places: usize) -> Self {
        Self(RefCell::new(std::iter::repeat_with(SmallVec::new).take(places).collect()))
    }

    /// Counts in the cell of this place and key, fetched when it is first needed.
    fn count(&self, place: usize, key: K, fetch: impl FnOnce() -> Arc<M>, count: impl FnOnce(&M)) {
        let mut places = self.0.borrow_mut();
        let Some(cells) = places.get_mut(place) else { return };
        if let Some((_, cell)) = cells.iter().find(|(known, _)| *known == key) {
            return count(cell);
        }
        let cell = fetch();
        count(&cell);
        cells.push((key, cell));
    }
}

/// One worker's metric cells. What no route or journey names is counted in the first place, the others one further on.
#[derive(Debug)]
pub struct Meters {
    worker: usize,
    telemetry: Telemetry,
    requests: Cells<(u8, u16), Histogram>,
    decisions: Cells<&'static str, Counter>,
    shadows: Cells<&'static str, Counter>,
    confidence: Cells<(), Histogram>,
    upstreams: Cells<(), Histogram>,
    failures: Cells<(), Counter>,
    classes: [Arc<Counter>; Class::ALL.len()],
    overhead: Arc<Histogram>,
}

impl Meters {
    fn new(worker: usize, telemetry: Telemetry, rules: &RuleSet) -> Self {
        let overhead = telemetry.overhead.cell(worker, []);
        Self {
            worker,
            requests: Cells::new(rules.routes.len() + 1),
            decisions: Cells::new(rules.journeys.len() + 1),
            shadows: Cells::new(rules.journeys.len() + 1),
            confidence: Cells::new(rules.journeys.len()),
            upstreams: Cells::new(rules.upstreams.len()),
            failures: Cells::new(rules.upstreams.len()),
            classes: Class::ALL.map(|class| telemetry.classes.cell(worker, [class.word()])),
            overhead,
            telemetry,
        }
    }

    /// Counts a request and how long it took to the answer's head.
    pub fn request(&self, rules: &RuleSet, route: Option<RouteId>, method: &Method, status: StatusCode, seconds: f64) {
        let (index, word) = method_word(method);
        let fetch = || {
            let template = route.map_or("(unlisted)", |route| rules.routes.template(route));
            self.telemetry.requests.cell(self.worker, [word, template, status.as_str()])
        };
        let place = route.map_or(0, |route| route.index() + 1);
        self.requests.count(place, (index, status.as_u16()), fetch, |cell| cell.observe(seconds));
    }

    /// Counts a request of a client of this class.
    pub fn class(&self, class: Class) {
        self.classes[class as usize].add(1);
    }

    /// Counts a decision.
    pub fn decision(&self, rules: &RuleSet, journey: Option<JourneyId>, action: &'static str) {
        let fetch = || {
            let name = journey.map_or("(unlisted)", |journey| &*rules.journey(journey).name);
            self.telemetry.decisions.cell(self.worker, [name, action, "enforced"])
        };
        let place = journey.map_or(0, |journey| journey.index() + 1);
        self.decisions.count(place, action, fetch, |cell| cell.add(1));
    }

    /// Counts what would have been decided if everything in shadow were enforced, where that is something else.
    pub fn shadow(&self, rules: &RuleSet, journey: Option<JourneyId>, action: &'static str) {
        let fetch = || {
            let name = journey.map_or("(unlisted)", |journey| &*rules.journey(journey).name);
            self.telemetry.decisions.cell(self.worker, [name, action, "shadow"])
        };
        let place = journey.map_or(0, |journey| journey.index() + 1);
        self.shadows.count(place, action, fetch, |cell| cell.add(1));
    }

    /// Counts a confidence on a journey.
    pub fn confidence(&self, rules: &RuleSet, journey: JourneyId, score: u8) {
        let fetch = || self.telemetry.confidence.cell(self.worker, [&rules.journey(journey).name]);
        self.confidence.count(journey.index(), (), fetch, |cell| cell.observe(f64::from(score)));
    }

    /// Counts an upstream's time to the answer's head.
    pub fn upstream(&self, rules: &RuleSet, upstream: UpstreamId, seconds: f64) {
        let fetch = || self.telemetry.upstream.cell(self.worker, [&rules.upstream(upstream).name]);
        self.upstreams.count(upstream.index(), (), fetch, |cell| cell.observe(seconds));
    }

    /// Counts a request that an upstream failed.
    pub fn upstream_failed(&self, rules: &RuleSet, upstream: UpstreamId) {
        let fetch = || self.telemetry.upstream_failures.cell(self.worker, [&rules.upstream(upstream).name]);
        self.failures.count(upstream.index(), (), fetch, |cell| cell.add(1));
    }

    /// Counts a sign-in that the upstream answered: `worked`, `failed`.
    pub fn sign_in(&self, outcome: &'static str) {
        self.telemetry.sign_ins.cell(self.worker, [outcome]).add(1);
    }

    /// Counts what Weir itself added.
    pub fn overhead(&self, seconds: f64) {
        self.overhead.observe(seconds);
    }

    /// Counts a step-up: `asked`, `passed`, `failed`, `looping`.
    pub fn step_up(&self, outcome: &'static str) {
        self.telemetry.step_ups.cell(self.worker, [outcome]).add(1);
    }

    /// Counts a template of the operators' that gave nothing.
    pub fn template_failed(&self, template: &str) {
        self.telemetry.template_failures.cell(self.worker, [template]).add(1);
    }

    /// Counts a kept answer that is shown.
    pub fn snapshot(&self, journey: &str) {
        self.telemetry.snapshots_served.cell(self.worker, [journey]).add(1);
    }

    /// Counts a continuity pass: `given`, `shown`, `void`.
    pub fn pass(&self, event: &'static str) {
        self.telemetry.passes.cell(self.worker, [event]).add(1);
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
