//! One record per request, whatever happened: metrics, and one structured line with the reasons. It is written even when the
//! client leaves before the answer. Subjects appear as keyed hashes; never a raw path, address, cookie or password.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode};
use smallvec::SmallVec;

use super::line::{Line, Stamp};
use super::outcome::{Ledger, Noted};
use super::prepared::Prepared;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::judge::decision::Verdict;
use crate::judge::floating::Floated;
use crate::judge::score::Scored;
use crate::judge::seen::{Listed, Whereabouts};
use crate::judge::stage::Stage;
use crate::listen::Ja4;
use crate::rules::calibration::Calibration;
use crate::rules::client::{Channel, Class};
use crate::rules::effects::Playbooks;
use crate::rules::routes::RouteId;
use crate::rules::ruleset::{JourneyId, UpstreamId};
use crate::subject::{Account, Device, Network, Session};
use crate::telemetry::lines::Lines;

/// Which requests get a line.
#[derive(Debug)]
pub struct LinePolicy {
    /// Where this worker's lines go.
    pub lines: RefCell<Lines>,
    /// 1 in this many simply allowed requests gets a line; 0 for none of them.
    pub allowed_one_in: u32,
    /// Allowed requests since the last that got one.
    pub since: Cell<u32>,
    /// The moment last written.
    pub stamp: Stamp,
    /// Where outcomes go.
    pub ledger: Ledger,
}

impl LinePolicy {
    fn wants(&self, simply_allowed: bool) -> bool {
        if !simply_allowed || self.allowed_one_in == 1 {
            return true;
        }
        if self.allowed_one_in == 0 {
            return false;
        }
        let since = self.since.get() + 1;
        let due = since >= self.allowed_one_in;
        self.since.set(if due { 0 } else { since });
        due
    }
}

/// What is known of a request so far; written when it is dropped.
#[derive(Debug)]
pub struct Record {
    policy: Rc<LinePolicy>,
    prepared: Rc<Prepared>,
    began: Instant,
    dispatched: Option<Instant>,
    upstream_time: f64,
    /// When, on the law's clock.
    pub moment: Moment,
    /// The request's id: 32 hexadecimal digits.
    pub id: HeaderValue,
    /// Its method.
    pub method: Method,
    /// The route that it belongs to.
    pub route: Option<RouteId>,
    /// The journey that it belongs to.
    pub journey: Option<JourneyId>,
    /// What was decided.
    pub action: &'static str,
    /// The rung that was reached, from the top.
    pub rung: Option<usize>,
    /// It was judged as an attempt to sign in.
    pub attempted: bool,
    /// Where the upper line stands, when it has floated.
    pub floated: Option<Floated>,
    /// The judgement, with every contribution.
    pub scored: Option<Scored>,
    /// The judgement of the session that a sign-in opened.
    pub session_scored: Option<(Scored, &'static str)>,
    /// The same as `floated`, of that session.
    pub session_floated: Option<Floated>,
    /// What would have been done if everything in shadow were enforced, where that is something else.
    pub shadow: Option<&'static str>,
    /// The armed playbooks that asked something of it.
    pub playbooks: Playbooks,
    /// The name of the `[[refuse]]` or the word of the fault.
    pub why: Option<Box<str>>,
    /// The cause, for operators.
    pub cause: Option<Box<str>>,
    /// Which upstream answered, or should have.
    pub upstream: Option<UpstreamId>,
    /// The upstream failed, whatever is shown in its place.
    pub upstream_failed: bool,
    /// The answer's status.
    pub status: Option<StatusCode>,
    /// What the answer taught.
    pub learned: SmallVec<[&'static str; 2]>,
    /// A handoff's reference.
    pub handoff: Option<String>,
    /// The limit that held it back.
    pub limit: Option<u16>,
    /// The limit in shadow that would have.
    pub shadow_limit: Option<u16>,
    /// Who asks.
    pub account: Option<Account>,
    /// With which device.
    pub device: Option<Device>,
    /// What kind of client.
    pub class: Class,
    /// Through which channel.
    pub channel: Channel,
    /// From where.
    pub network: Option<Network>,
    /// In which session.
    pub session: Option<Session>,
    /// The fingerprint of its TLS hello, on a journey.
    pub ja4: Option<Ja4>,
    /// What is known of where it comes from, on a journey.
    pub whereabouts: Option<Whereabouts>,
    /// What is kept of it for calibration, where outcomes are.
    pub noted: Option<Box<Noted>>,
}

impl Record {
    /// The record of a request that has just begun.
    /// Boxed: it goes with its request through many hands.
    pub fn begin(
        policy: Rc<LinePolicy>,
        prepared: Rc<Prepared>,
        moment: Moment,
        id: HeaderValue,
        method: Method,
    ) -> Box<Self> {
        Box::new(Self {
            policy,
            prepared,
            began: Instant::now(),
            dispatched: None,
            upstream_time: 0.0,
            moment,
            id,
            method,
            route: None,
            journey: None,
            action: "allow",
            rung: None,
            attempted: false,
            floated: None,
            scored: None,
            session_scored: None,
            session_floated: None,
            shadow: None,
            playbooks: Playbooks::default(),
            why: None,
            cause: None,
            upstream: None,
            upstream_failed: false,
            status: None,
            learned: SmallVec::new(),
            handoff: None,
            limit: None,
            shadow_limit: None,
            account: None,
            device: None,
            class: Class::Customer,
            channel: Channel::Web,
            network: None,
            session: None,
            ja4: None,
            whereabouts: None,
            noted: None,
        })
    }

    /// The judge has spoken.
    pub fn judged(&mut self, verdict: &Verdict, stage: Stage) {
        self.attempted = stage == Stage::Attempt;
        self.action = verdict.action;
        self.rung = verdict.reached;
        self.floated = verdict.floated;
        self.scored = Some(verdict.scored);
        self.shadow = verdict.shadow;
        self.playbooks = verdict.playbooks;
    }

    /// The judge has spoken of the session that a sign-in opens.
    pub fn judged_session(&mut self, verdict: &Verdict) {
        self.session_scored = Some((verdict.scored, verdict.action));
        self.session_floated = verdict.floated;
        self.shadow = verdict.shadow.or(self.shadow);
        self.playbooks = self.playbooks.or(verdict.playbooks);
    }

    /// A limit holds the request back.
    pub fn limited(&mut self, at: u16) {
        self.action = "throttle";
        self.limit = Some(at);
        self.shadow = self.shadow.filter(|shadow| *shadow != "throttle");
    }

    /// A limit in shadow would hold it back.
    pub fn would_limit(&mut self, at: u16) {
        self.shadow_limit.get_or_insert(at);
        self.shadow.get_or_insert("throttle");
    }

    /// The request goes to the upstream now.
    pub fn dispatched(&mut self, upstream: UpstreamId) {
        self.upstream = Some(upstream);
        self.dispatched = Some(Instant::now());
    }

    /// The upstream's head has arrived, or it failed.
    pub fn answered(&mut self) {
        if let Some(dispatched) = self.dispatched.take() {
            self.upstream_time = dispatched.elapsed().as_secs_f64();
            if let Some(upstream) = self.upstream {
                self.prepared.meters().upstream(self.prepared.rules(), upstream, self.upstream_time);
            }
        }
    }

    /// The request's id as text.
    pub fn id(&self) -> &str {
        self.id.to_str().unwrap_or("-")
    }

    /// What scores have meant on its journey.
    fn calibration(&self) -> Option<&Calibration> {
        self.prepared.rules().journey(self.journey?).calibration.as_ref()
    }

    fn write(&self, out: &mut Vec<u8>, seconds: f64) {
        let rules = self.prepared.rules();
        let mut line = Line::begin(out, &self.policy.stamp, self.moment, "decision");
        line.text("id", self.id());
        line.text("method", self.method.as_str());
        line.text("route", self.route.map_or("(unlisted)", |route| rules.routes.template(route)));
        if let Some(journey) = self.journey {
            line.text("journey", &rules.journey(journey).name);
        }
        line.text("action", self.action);
        match self.status {
            Some(status) => line.number("status", u64::from(status.as_u16())),
            None => line.text("outcome", "client_gone"),
        }
        if let Some(rung) = self.rung {
            line.number("rung", rung as u64);
        }
        floated_of(&mut line, ["line", "line_written"], self.floated);
        if let Some(scored) = &self.scored {
            line.scored(["confidence", "coverage", "because"], scored);
            // An attempt is not what was calibrated: nobody can tell who guessed.
            if let Some(calibration) = self.calibration().filter(|_| self.session_scored.is_none() && !self.attempted) {
                line.thousandths("probability", thousandths(calibration.probability(scored.sum())));
            }
        }
        if let Some((scored, action)) = &self.session_scored {
            line.text("session_action", action);
            floated_of(&mut line, ["session_line", "session_line_written"], self.session_floated);
            line.scored(["session_confidence", "session_coverage", "session_because"], scored);
            if let Some(calibration) = self.calibration() {
                line.thousandths("session_probability", thousandths(calibration.probability(scored.sum())));
            }
        }
        if let Some(shadow) = self.shadow {
            line.text("shadow", shadow);
        }
        if !self.playbooks.is_empty() {
            line.names("playbooks", self.playbooks.names(&self.prepared.law.posture));
        }
        if let Some(why) = &self.why {
            line.text("why", why);
        }
        if let Some(cause) = &self.cause {
            line.text("cause", cause);
        }
        if let Some(reference) = &self.handoff {
            line.text("handoff", reference);
        }
        for (name, limit) in [("limit", self.limit), ("shadow_limit", self.shadow_limit)] {
            if let Some(limit) = limit.and_then(|at| rules.limits.all().get(usize::from(at))) {
                line.text(name, &limit.name);
            }
        }
        if self.class != Class::Customer {
            line.text("class", self.class.word());
        }
        if self.channel != Channel::Web {
            line.text("channel", self.channel.word());
        }
        line.words("learned", &self.learned);
        line.hash("account", self.account.map(Account::bits));
        line.hash("device", self.device.map(Device::bits));
        line.hash("network", self.network.map(Network::bits));
        line.hash("session", self.session.map(Session::bits));
        if let Some(ja4) = &self.ja4 {
            line.text("ja4", ja4.text());
        }
        if let Some(whereabouts) = &self.whereabouts {
            whereabouts_of(&mut line, whereabouts);
        }
        if let Some(upstream) = self.upstream {
            line.text("upstream", &rules.upstream(upstream).name);
        }
        line.number("generation", self.prepared.law.generation);
        line.thousandths("upstream_ms", (self.upstream_time * 1e6) as u64);
        line.tenths("weir_us", ((seconds - self.upstream_time).max(0.0) * 1e7) as u64);
        line.end();
    }
}

/// A probability in thousandths.
fn thousandths(probability: f64) -> u64 {
    // `as` saturates: nothing is outside.
    (probability * 1000.0).round() as u64
}

/// Where the upper line stands and where it is written, when it has floated.
fn floated_of(line: &mut Line<'_>, [now, written]: [&str; 2], floated: Option<Floated>) {
    if let Some(floated) = floated {
        line.number(now, u64::from(floated.line.score()));
        line.number(written, u64::from(floated.written.score()));
    }
}

/// What lists say of where a request comes from; of a list that fails, why.
fn whereabouts_of(line: &mut Line<'_>, whereabouts: &Whereabouts) {
    let fault = |line: &mut Line<'_>, name, why: Why| {
        if why.is_fault() {
            line.text(name, why.word());
        }
    };
    match whereabouts.provider {
        Reading::Known(number) => line.number("provider", number.into()),
        Reading::Unknown(why) => fault(line, "provider", why),
    }
    match &whereabouts.country {
        Reading::Known(letters) => line.text("country", std::str::from_utf8(letters).unwrap_or_default()),
        Reading::Unknown(why) => fault(line, "country", *why),
    }
    match whereabouts.listed {
        Reading::Known(listed) => {
            let on = |(one, word)| listed.contains(one).then_some(word);
            let all = [
                (Listed::TOR, "tor"),
                (Listed::VPN, "vpn"),
                (Listed::DATACENTRE, "datacentre"),
                (Listed::PROXY, "proxy"),
            ];
            line.words("listed", &all.into_iter().filter_map(on).collect::<SmallVec<[&'static str; 4]>>());
        }
        Reading::Unknown(why) => fault(line, "listed", why),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.answered();
        let seconds = self.began.elapsed().as_secs_f64();
        let rules = self.prepared.rules();
        let meters = self.prepared.meters();
        let status = self.status.unwrap_or(CLIENT_GONE);
        meters.request(rules, self.route, &self.method, status, seconds);
        meters.class(self.class);
        meters.overhead((seconds - self.upstream_time).max(0.0));
        meters.decision(rules, self.journey, self.action);
        if let Some(shadow) = self.shadow {
            meters.shadow(rules, self.journey, shadow);
        }
        if let Some(upstream) = self.upstream.filter(|_| status.is_server_error() || self.upstream_failed) {
            meters.upstream_failed(rules, upstream);
        }
        if let (Some(journey), Some(scored)) = (self.journey, &self.scored) {
            meters.confidence(rules, journey, scored.confidence().score());
        }
        self.policy.ledger.keep(self, rules);
        let simply_allowed =
            self.action == "allow" && self.why.is_none() && self.learned.is_empty() && self.shadow.is_none();
        if self.policy.wants(simply_allowed) {
            self.policy.lines.borrow_mut().line(|out| self.write(out, seconds));
        }
    }
}

/// What logs and metrics call a client that left before the answer: nginx's 499, not an HTTP status.
const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::REQUEST_TIMEOUT,
};
