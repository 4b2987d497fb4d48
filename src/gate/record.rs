//! One record per request, whatever happened: metrics, and one structured line with the reasons. It is written even when the
//! client leaves before the answer. Subjects appear as keyed hashes; never a raw path, address, cookie or password.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Instant;

use http::{Method, StatusCode};
use smallvec::SmallVec;

use super::prepared::Prepared;
use crate::clock::Moment;
use crate::judge::decision::Verdict;
use crate::judge::score::Scored;
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
    pub since: std::cell::Cell<u32>,
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
    /// The request's id.
    pub id: [u8; 32],
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
    /// The judgement, with every contribution.
    pub scored: Option<Scored>,
    /// The judgement of the session that a sign-in opened.
    pub session_scored: Option<(Scored, &'static str)>,
    /// The name of the `[[refuse]]` or the word of the fault.
    pub why: Option<Box<str>>,
    /// The cause, for operators.
    pub cause: Option<Box<str>>,
    /// Which upstream answered, or should have.
    pub upstream: Option<UpstreamId>,
    /// The answer's status.
    pub status: Option<StatusCode>,
    /// What the answer taught.
    pub learned: SmallVec<[&'static str; 2]>,
    /// A handoff's reference.
    pub handoff: Option<String>,
    /// Who asks.
    pub account: Option<Account>,
    /// With which device.
    pub device: Option<Device>,
    /// From where.
    pub network: Option<Network>,
    /// In which session.
    pub session: Option<Session>,
}

impl Record {
    /// The record of a request that has just begun.
    pub fn begin(policy: Rc<LinePolicy>, prepared: Rc<Prepared>, moment: Moment, id: [u8; 32], method: Method) -> Self {
        Self {
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
            scored: None,
            session_scored: None,
            why: None,
            cause: None,
            upstream: None,
            status: None,
            learned: SmallVec::new(),
            handoff: None,
            account: None,
            device: None,
            network: None,
            session: None,
        }
    }

    /// The judge has spoken.
    pub fn judged(&mut self, verdict: &Verdict) {
        self.action = verdict.action;
        self.rung = verdict.reached;
        self.scored = Some(verdict.scored);
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
        std::str::from_utf8(&self.id).unwrap_or("-")
    }

    fn write(&self, out: &mut Vec<u8>, seconds: f64) {
        let rules = self.prepared.rules();
        let mut line = Line { out };
        let _ = write!(
            line.out,
            r#"{{"time":"{}","event":"decision","id":"{}","method":"{}""#,
            super::notice::rfc3339_millis(self.moment),
            self.id(),
            self.method
        );
        match self.route {
            Some(route) => line.text("route", rules.routes.template(route)),
            None => line.text("route", "(unlisted)"),
        }
        if let Some(journey) = self.journey {
            line.text("journey", &rules.journey(journey).name);
        }
        line.text("action", self.action);
        match self.status {
            Some(status) => line.number("status", i64::from(status.as_u16())),
            None => line.text("outcome", "client_gone"),
        }
        if let Some(rung) = self.rung {
            line.number("rung", i64::try_from(rung).unwrap_or(-1));
        }
        if let Some(scored) = &self.scored {
            line.scored("confidence", "coverage", "because", scored);
        }
        if let Some((scored, action)) = &self.session_scored {
            line.text("session_action", action);
            line.scored("session_confidence", "session_coverage", "session_because", scored);
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
        if !self.learned.is_empty() {
            line.key("learned");
            line.out.push(b'[');
            for (at, word) in self.learned.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let _ = write!(line.out, "{comma}\"{word}\"");
            }
            line.out.push(b']');
        }
        line.hash("account", self.account.map(Account::bits));
        line.hash("device", self.device.map(Device::bits));
        line.hash("network", self.network.map(Network::bits));
        line.hash("session", self.session.map(Session::bits));
        if let Some(upstream) = self.upstream {
            line.text("upstream", &rules.upstream(upstream).name);
        }
        line.number("generation", i64::try_from(self.prepared.law.generation).unwrap_or(i64::MAX));
        line.key("upstream_ms");
        let _ = write!(line.out, "{:.3}", self.upstream_time * 1e3);
        line.key("weir_us");
        let _ = write!(line.out, "{:.1}", (seconds - self.upstream_time).max(0.0) * 1e6);
        line.out.push(b'}');
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
        meters.overhead((seconds - self.upstream_time).max(0.0));
        meters.decision(rules, self.journey, self.action);
        if let (Some(journey), Some(scored)) = (self.journey, &self.scored) {
            meters.confidence(rules, journey, scored.confidence().score());
        }
        let simply_allowed = self.action == "allow" && self.why.is_none() && self.learned.is_empty();
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

struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        let _ = write!(self.out, ",\"{key}\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.out.extend_from_slice(b"null");
        }
    }

    fn number(&mut self, key: &str, value: i64) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    fn hash(&mut self, key: &str, bits: Option<u64>) {
        if let Some(bits) = bits {
            self.key(key);
            let _ = write!(self.out, "\"{bits:016x}\"");
        }
    }

    fn scored(&mut self, confidence: &str, coverage: &str, because: &str, scored: &Scored) {
        self.number(confidence, i64::from(scored.confidence().score()));
        self.number(coverage, i64::from(scored.coverage().percent()));
        self.key(because);
        self.out.push(b'[');
        for (at, evidence) in scored.lines().iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(self.out, "{comma}\"{evidence}\"");
        }
        self.out.push(b']');
    }
}
