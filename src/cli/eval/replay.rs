//! A recorded stream of requests, replayed through the memory and the judge that the gateway runs, in its own time.
//!
//! It knows nothing that a gateway would not see: the truth in a line is not read. Nothing of the score is worked out here.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::clock::Moment;
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::{Reported, Risk};
use crate::judge::score::{Scored, score};
use crate::judge::seen::{Client, Listed, Software, Stack, Whereabouts, fingerprint};
use crate::judge::signals::authentication::Proof;
use crate::judge::signals::exposure::Exposure;
use crate::judge::signals::{Gap, Readings};
use crate::judge::stage::Stage;
use crate::memory::recall::{Asking, doubt, earned};
use crate::memory::{Memory, SessionFacts};
use crate::rules::ruleset::{Level, RuleSet};
use crate::rules::signal::Weights;
use crate::subject::{Account, Device, Names};

/// A line of the stream: one request with its answer, or one report from elsewhere.
#[derive(Deserialize)]
struct Line<'a> {
    t: f64,
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a str>,
    #[serde(default, borrow)]
    event: Option<&'a str>,
    #[serde(default)]
    ip: Option<IpAddr>,
    #[serde(default)]
    asn: Option<u32>,
    #[serde(default, borrow)]
    cc: Option<&'a str>,
    #[serde(default, borrow)]
    rep: Vec<&'a str>,
    #[serde(default, borrow)]
    ua: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    ja4: Option<&'a str>,
    #[serde(default, borrow)]
    h2: Option<&'a str>,
    #[serde(default, borrow)]
    dev: Option<&'a str>,
    #[serde(default, borrow)]
    setdev: Option<&'a str>,
    #[serde(default, borrow)]
    sess: Option<&'a str>,
    #[serde(default, borrow)]
    acct: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    route: &'a str,
    #[serde(default)]
    status: u16,
    #[serde(default, borrow)]
    out: Option<&'a str>,
    #[serde(default, borrow)]
    auth: Option<Auth<'a>>,
    #[serde(default)]
    cred: Option<Cred>,
}

/// How the session of a request was opened.
#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(borrow)]
    acr: &'a str,
    #[serde(borrow)]
    amr: Vec<&'a str>,
    at: f64,
    #[serde(default, borrow)]
    bind: Option<&'a str>,
}

/// What the breach corpus says of the name and password of a sign-in.
#[derive(Deserialize)]
struct Cred {
    pwned: bool,
    pair: bool,
}

/// What came of one line: the score before the answer or of the request, and after the answer of a sign-in that worked.
#[derive(Debug)]
pub struct Judged {
    /// Before the answer; for a request in a session, the only one.
    pub first: Scored,
    /// After the answer, where the password was right.
    pub after: Option<Scored>,
    /// What was read for the first.
    pub readings: Readings,
}

/// Why a line cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON, or not of this shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A request without an address.
    #[error("a request needs \"ip\"")]
    NoAddress,
}

/// Routes that change something of the account, or cost money.
const CHANGES: [&str; 6] =
    ["checkout", "email_change", "password_change", "address_change", "payment_add", "reset_confirm"];
/// Those after which a checkout is watched.
const OF_ACCOUNT: [&str; 3] = ["email_change", "password_change", "address_change"];

/// The replay: memory as a gateway has it, and what this stream leaves out.
#[derive(Debug)]
pub struct Replay<'r> {
    memory: Memory,
    rules: &'r RuleSet,
    levels: [Level; 3],
    weights: Weights,
    names: Names,
    /// Below this a sign-in is challenged.
    line: Points,
    /// Sign-ins whose session has not shown itself: the stream leaves out which session an answer hands out.
    opened: HashMap<(Account, Option<Device>), (SessionFacts, Moment)>,
}

/// So long after its sign-in a session that shows itself is taken for the one that was opened then.
const OPENED: std::time::Duration = std::time::Duration::from_secs(900);

impl<'r> Replay<'r> {
    /// With empty memory. `levels` are the law's, weakest first; below `line` (0 to 100) a sign-in is challenged.
    pub fn new(memory: Memory, rules: &'r RuleSet, levels: [Level; 3], weights: Weights, line: u8) -> Self {
        Self {
            memory,
            rules,
            levels,
            weights,
            names: Names::new(*b"weir eval replay"),
            line: Points::whole(i32::from(line) - 50),
            opened: HashMap::new(),
        }
    }

    /// What was remembered at the end.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Replays one line.
    ///
    /// # Errors
    /// When it is no line of a stream. Nothing has changed then.
    pub fn line(&mut self, text: &str) -> Result<Option<Judged>, Unreadable> {
        let line: Line<'_> = serde_json::from_str(text)?;
        let now = Moment::from_unix_millis((line.t.max(0.0) * 1000.0) as u64);
        if line.kind == Some("set") {
            self.report(&line, now);
            return Ok(None);
        }
        let asking = self.asking(&line, now)?;
        let given = line.setdev.map(|id| self.names.device(id.as_bytes()));
        Ok(match line.route {
            "login_page" => {
                let device = asking.device.known().or(given);
                device.into_iter().for_each(|device| self.memory.pages.fetched(device, now));
                None
            }
            "login" if line.status >= 500 => None,
            "login" => Some(self.sign_in(&line, asking, given, now)),
            "mfa" if line.out == Some("ok") => {
                if let Reading::Known(account) = asking.account {
                    self.memory.proved(account, &asking.visit(given), self.levels[1], now);
                }
                None
            }
            "reset_confirm" => {
                let readings = self.memory.readings(&asking, now);
                let scored = self.score(&readings, Stage::Session, now);
                if let Reading::Known(account) = asking.account {
                    self.memory.reset(account, &asking.visit(given), now);
                }
                Some(Judged { first: scored, after: None, readings })
            }
            _ => self.in_session(&line, asking, now),
        })
    }

    fn score(&self, readings: &Readings, stage: Stage, now: Moment) -> Scored {
        score(readings, &self.weights, stage, now)
    }

    fn asking(&self, line: &Line<'_>, now: Moment) -> Result<Asking, Unreadable> {
        let missing = Reading::Unknown(Why::Missing);
        let address = line.ip.ok_or(Unreadable::NoAddress)?;
        let stack = line.ja4.and_then(Stack::of_ja4);
        let listed = line.rep.iter().fold(Listed::NOTHING, |listed, word| match *word {
            "tor" => listed.with(Listed::TOR),
            "vpn" => listed.with(Listed::VPN),
            "dc" => listed.with(Listed::DATACENTRE),
            "proxy" => listed.with(Listed::PROXY),
            _ => listed,
        });
        let country = line.cc.and_then(|cc| <[u8; 2]>::try_from(cc.as_bytes()).ok());
        Ok(Asking {
            account: line
                .acct
                .as_deref()
                .map_or(Reading::Unknown(Why::NotAsked), |acct| Reading::Known(self.names.account(acct))),
            device: line.dev.map_or(missing, |id| Reading::Known(self.names.device(id.as_bytes()))),
            at: Whereabouts {
                network: self.names.network(address),
                range: self.names.range(address),
                provider: line.asn.map_or(Reading::Unknown(Why::Missing), Reading::Known),
                country: country.map_or(Reading::Unknown(Why::Missing), Reading::Known),
                listed: Reading::Known(listed),
            },
            client: Client {
                software: line
                    .ua
                    .as_deref()
                    .map_or(Reading::Unknown(Why::Missing), |ua| Reading::Known(Software::of(ua))),
                stack: stack.map_or(Reading::Unknown(Why::Missing), Reading::Known),
                fingerprint: line.ja4.map_or(Reading::Unknown(Why::Missing), |ja4| {
                    Reading::Known(fingerprint(&[ja4, line.h2.unwrap_or_default()]))
                }),
            },
            signs_in: line.route == "login",
            changes: CHANGES.contains(&line.route),
            proof: line
                .auth
                .as_ref()
                .map_or(Reading::Unknown(Why::Missing), |auth| Reading::Known(self.proof(auth, now))),
            facts: line.sess.and_then(|id| self.memory.sessions.read(self.names.session(id.as_bytes()).bits())),
            exposure: line.cred.as_ref().map_or(Reading::Unknown(Why::NotAsked), |cred| {
                Reading::Known(match (cred.pair, cred.pwned) {
                    (true, _) => Exposure::PairLeaked,
                    (false, true) => Exposure::PasswordLeaked,
                    (false, false) => Exposure::Nothing,
                })
            }),
            account_breached: Reading::Unknown(Why::NotAsked),
        })
    }

    fn proof(&self, auth: &Auth<'_>, now: Moment) -> Proof {
        let [password, second, strong] = self.levels;
        let has = |names: &[&str]| auth.amr.iter().any(|amr| names.contains(amr));
        let level = match auth.acr {
            "phr" | "phrh" => strong,
            _ if has(&["otp", "mfa"]) => second,
            _ => password,
        };
        let at = Moment::from_unix_millis((auth.at.max(0.0) * 1000.0) as u64).min(now);
        Proof { level, at, held: false, bound: auth.bind.is_some() }
    }

    /// A sign-in: judged before its answer, and, when the password was right, once more.
    fn sign_in(&mut self, line: &Line<'_>, asking: Asking, given: Option<Device>, now: Moment) -> Judged {
        let before = self.memory.readings(&asking, now);
        let first = self.score(&before, Stage::Attempt, now);
        let trusted = before.on_trusted_device();
        let account = asking.account.known();
        let visit = asking.visit(given);
        if !matches!(line.out, Some("ok" | "mfa")) {
            self.memory.signed_in(account, &visit, trusted, None, now);
            return Judged { first, after: None, readings: before };
        }
        // Without a password, what was right is a key.
        let [password, _, strong] = self.levels;
        let level = if line.cred.is_none() { strong } else { password };
        let proof = Proof { level, at: now, held: false, bound: false };
        let readings = Readings { session: Reading::Known(proof), ..before };
        let after = self.score(&readings, Stage::Session, now);
        let challenged = after.sum() < self.line;
        self.memory.signed_in(account, &visit, trusted, Some(earned(&after, challenged)), now);
        if let Some(account) = account {
            let gap = readings.past.known().and_then(|past| past.since_last);
            let facts = SessionFacts::begin(Some(account), &visit, (self.rules, level), challenged, now);
            self.opened.insert((account, visit.device), (facts.after(Gap(gap), doubt(&after)), now));
        }
        Judged { first, after: Some(after), readings: before }
    }

    fn in_session(&mut self, line: &Line<'_>, mut asking: Asking, now: Moment) -> Option<Judged> {
        let id = self.names.session(line.sess?.as_bytes());
        let visit = asking.visit(None);
        let account = asking.account.known();
        if asking.facts.is_none() {
            let opened = account.and_then(|account| self.opened.remove(&(account, visit.device)));
            let begun = || SessionFacts::begin(account, &visit, (self.rules, self.levels[0]), false, now);
            let facts = opened.filter(|(_, at)| now.since(*at) <= OPENED).map_or_else(begun, |(facts, _)| facts);
            asking.facts = Some(facts);
            self.memory.sessions.put(id.bits(), now, facts);
        }
        let readings = self.memory.readings(&asking, now);
        let scored = self.score(&readings, Stage::Session, now);
        let fallen = readings.session_changed().then_some(scored.confidence());
        let judged = CHANGES.contains(&line.route).then_some(Judged { first: scored, after: None, readings });
        let moved_with_others = account.is_some_and(|account| self.memory.visited(account, &visit, now));
        let changed = OF_ACCOUNT.contains(&line.route);
        self.memory.sessions.update_existing(id.bits(), |facts| {
            fallen.into_iter().for_each(|to| facts.fell(to, now));
            facts.went_on(&visit, now);
            if moved_with_others {
                facts.looks_like(&visit, now);
            }
            if changed {
                facts.changed_something(now);
            }
        });
        judged
    }

    /// A report from elsewhere, by the last part of its event's name.
    fn report(&self, line: &Line<'_>, now: Moment) {
        let (Some(event), Some(account)) = (line.event, line.acct.as_deref()) else { return };
        let reported = match event.rsplit('/').next().unwrap_or(event) {
            "credential-compromise" => Reported::Compromised,
            "credential-change" => Reported::CredentialChanged,
            "account-disabled" => Reported::Disabled,
            "account-enabled" => Reported::Enabled,
            "session-revoked" => Reported::SessionsRevoked,
            "risk-level-change" => Reported::Risk(Risk::High),
            _ => return,
        };
        let account = self.names.account(account);
        self.memory.accounts.update(account.bits(), now, |history| history.report(reported, now, now));
    }
}
