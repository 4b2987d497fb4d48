//! The compiled law: immutable, whole, and unable to express the mistakes that `lower` refuses.
//!
//! Everything here is plain data. Names that a file used have become indices; nothing in it knows about files, sockets or time.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::banner::BannerLaw;
use super::breach::Breach;
use super::budgets::Budget;
use super::calibration::Calibration;
use super::clients::Clients;
use super::condition::{Condition, Screen};
use super::continuity_pass::ContinuityPass;
use super::facts::Facts;
use super::guards::Guards;
use super::help::Hours;
use super::journeys_feed::JourneysFeed;
use super::limits::Limits;
use super::lists::ListLaw;
use super::notices::{JourneyWords, Notices};
use super::playbook::Playbook;
use super::prefixes::Prefixes;
use super::profiles::Profiles;
use super::routes::Routes;
use super::shared_signals::Transmitters;
use super::signal::Weights;
use super::snapshots::SnapshotLaw;
use crate::confidence::Confidence;

pub use super::cases::{Case, Given};

/// The law of one directory of rule files.
#[derive(Debug)]
pub struct RuleSet {
    /// What tells this law from any other: a digest of its sources.
    pub fingerprint: Fingerprint,
    /// Which upstream serves which host and path.
    pub sites: Sites,
    /// Where requests are forwarded. [`UpstreamId`] is an index.
    pub upstreams: Vec<Upstream>,
    /// Who is asking.
    pub identity: Identity,
    /// What proves classes of clients and tells channels.
    pub clients: Clients,
    /// Levels of authentication, weakest first. [`Level`] is an index.
    pub levels: Vec<LevelLaw>,
    /// How a customer gives one more proof.
    pub step_up: Option<StepUp>,
    /// Where people are reached. [`HelpId`] is an index.
    pub help: Vec<Help>,
    /// What customers try to do. [`JourneyId`] is an index.
    pub journeys: Vec<Journey>,
    /// Which method and path belongs to which journey.
    pub routes: Routes,
    /// What is refused outright, in the order written.
    pub refusals: Vec<Refusal>,
    /// How often something may be done.
    pub limits: Limits,
    /// What has leaked, which sign-ins are compared with.
    pub breach: Option<Breach>,
    /// When a group of signals is no longer believed.
    pub guards: Guards,
    /// Lists of addresses, at most one of each kind.
    pub lists: Vec<ListLaw>,
    /// Prebuilt incident modes, by name.
    pub playbooks: Vec<Playbook>,
    /// What must hold before this law is installed.
    pub cases: Vec<Case>,
    /// What customers read, in which languages.
    pub notices: Notices,
    /// How apps in the field are answered.
    pub profiles: Profiles,
    /// How much each signal weighs.
    pub weights: Weights,
    /// Who reports on accounts and sessions from outside.
    pub transmitters: Transmitters,
    /// What apps are told of what works now.
    pub journeys_feed: JourneysFeed,
    /// What pages say that show how things were.
    pub banner: BannerLaw,
    /// What a sign-in leaves on its device for when signing in is not possible.
    pub continuity_pass: ContinuityPass,
    /// Finds the refusal of a request without looking at each.
    pub(in crate::rules) screen: Screen,
}

impl RuleSet {
    /// The first refusal that holds for this request.
    pub fn refused(&self, facts: &Facts<'_>) -> Option<&Refusal> {
        let at = self.screen.first(facts, |at| self.refusals.get(at).map(|refusal| &refusal.when))?;
        self.refusals.get(at)
    }

    /// The journey with this index.
    pub fn journey(&self, id: JourneyId) -> &Journey {
        &self.journeys[usize::from(id.0)]
    }

    /// The upstream with this index.
    pub fn upstream(&self, id: UpstreamId) -> &Upstream {
        &self.upstreams[usize::from(id.0)]
    }

    /// The help with this index.
    pub fn help(&self, id: HelpId) -> &Help {
        &self.help[usize::from(id.0)]
    }

    /// The level with this index.
    pub fn level(&self, level: Level) -> &LevelLaw {
        &self.levels[usize::from(level.0)]
    }

    /// The strongest level that this `acr` or one of these `amr` values proves.
    pub fn level_of<'a>(&self, acr: Option<&str>, amr: impl Iterator<Item = &'a str> + Clone) -> Option<Level> {
        let proves = |law: &LevelLaw| {
            law.acr.iter().any(|known| acr == Some(&**known))
                || law.amr.iter().any(|known| amr.clone().any(|given| given == &**known))
        };
        let strongest = self.levels.iter().rposition(proves)?;
        u8::try_from(strongest).ok().map(Level)
    }
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident($kind:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(in crate::rules) $kind);

        impl $name {
            /// The place in the rule set's list.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// Names a journey of one rule set.
    JourneyId(u16)
}
index! {
    /// Names an upstream of one rule set.
    UpstreamId(u16)
}
index! {
    /// Names a place of help of one rule set.
    HelpId(u16)
}
index! {
    /// A level of authentication, comparable: stronger is greater.
    Level(u8)
}

/// A digest of the sources of a rule set, shown as twelve hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Hosts and the sites that answer for them.
#[derive(Debug, Default)]
pub struct Sites {
    /// Exact hosts, lower case, without port; sorted.
    pub(in crate::rules) exact: Vec<(Box<str>, u16)>,
    /// `*.shop.example`, kept as `.shop.example`, longest first.
    pub(in crate::rules) suffixes: Vec<(Box<str>, u16)>,
    pub(in crate::rules) all: Vec<Site>,
}

impl Sites {
    /// The site of a host: lower case, without port. `None` is answered 421.
    pub fn find(&self, host: &str) -> Option<&Site> {
        let suffix = |(suffix, _): &&(Box<str>, u16)| host.len() > suffix.len() && host.ends_with(&**suffix);
        let (_, at) = match self.exact.binary_search_by(|(known, _)| (**known).cmp(host)) {
            Ok(at) => self.exact.get(at)?,
            Err(_) => self.suffixes.iter().find(suffix)?,
        };
        self.all.get(usize::from(*at))
    }

    /// Every site, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Site> {
        self.all.iter()
    }
}

/// One site: some hosts, what serves them, and who may read its answers from another origin.
#[derive(Debug)]
pub struct Site {
    /// As written, for people.
    pub hosts: Vec<Box<str>>,
    /// Serves every path that no prefix names.
    pub upstream: UpstreamId,
    /// What serves the paths below these.
    pub paths: Prefixes<UpstreamId>,
    /// Which origins may read the answers that Weir makes itself.
    pub cors: Option<Cors>,
}

impl Site {
    /// The upstream of a path.
    pub fn upstream_of(&self, path: &str) -> UpstreamId {
        self.paths.longest(path).copied().unwrap_or(self.upstream)
    }
}

/// Cross-origin reading of Weir's own answers (Fetch standard, CORS protocol).
#[derive(Debug, Clone)]
pub struct Cors {
    /// Origins, exact (`https://app.example`).
    pub origins: Vec<Box<str>>,
    /// Whether a browser may send cookies along.
    pub credentials: bool,
}

impl Cors {
    /// Whether this origin may read.
    pub fn names(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|named| named.as_bytes() == origin)
    }
}

/// Where requests are forwarded: equal servers, and how long each stage may take.
#[derive(Debug)]
pub struct Upstream {
    /// As in the rule file.
    pub name: Arc<str>,
    /// Its servers; never empty.
    pub servers: Vec<Server>,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Bounds in time.
    pub timeout: UpstreamTimeout,
    /// How its servers' health is asked for, if at all.
    pub health: Option<Health>,
    /// Requests in flight at once, over all workers. The loser is the newest, with a 503.
    pub max_in_flight: usize,
    /// Tunnels, event streams and calls open at once, over all workers. The loser is the newest, with a 503.
    pub max_streams: usize,
    /// Protocols that a client may switch to (RFC 9110 section 7.8), lower case.
    pub upgrades: Vec<Box<str>>,
    /// Certificate authorities for `https` servers, as a PEM file; the system's when absent.
    pub ca: Option<PathBuf>,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1 in clear text; whatever ALPN agrees on over TLS.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    H2c,
}

/// Bounds in time for one upstream.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamTimeout {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the answer's head.
    pub answer: Duration,
    /// Between two pieces of the answer's body.
    pub idle: Duration,
    /// How long an open stream may be silent: a tunnel in both directions, events and calls from the server.
    pub stream: Duration,
    /// How long an unused connection is kept for the next request.
    pub keep: Duration,
}

/// How health is asked for.
#[derive(Debug, Clone)]
pub struct Health {
    /// A path that answers 2xx or 3xx when all is well.
    pub path: Box<str>,
    /// How often.
    pub every: Duration,
}

/// Who is asking.
#[derive(Debug, Default)]
pub struct Identity {
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where trusted proxies say the JA4 of their client.
    pub ja4_header: Option<HeaderName>,
    /// Where the subject of a request comes from.
    pub subject: Option<SubjectSource>,
}

/// Where the subject of a request comes from.
#[derive(Debug)]
pub enum SubjectSource {
    /// A verified bearer token (RFC 7519).
    Jwt(JwtSource),
    /// A cookie of the application, learned when a sign-in succeeds and forgotten when it ends.
    SessionCookie {
        /// The cookie's name.
        name: Box<str>,
    },
}

/// What a bearer token must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JwtSource {
    /// Where its keys are.
    pub jwks: JwksSource,
    /// `iss` must equal this.
    pub issuer: Box<str>,
    /// `aud` must contain this.
    pub audience: Box<str>,
    /// The claim that names the account; `sub` by default.
    pub account_claim: Box<str>,
}

/// Where keys are: fetched and refreshed in the background, never on the request path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwksSource {
    /// An `http` or `https` address.
    Url(Box<str>),
    /// A file, absolute.
    File(PathBuf),
}

/// One level of authentication.
#[derive(Debug)]
pub struct LevelLaw {
    /// As in the rule file.
    pub name: Box<str>,
    /// Values of `acr` that prove it.
    pub acr: Vec<Box<str>>,
    /// Values of `amr` (RFC 8176) of which one proves it.
    pub amr: Vec<Box<str>>,
}

/// How a customer gives one more proof.
#[derive(Debug)]
pub struct StepUp {
    /// The application's page, a path.
    pub page: Box<str>,
    /// Statuses of the success route that mean that the proof was given. The route itself is in [`Routes`].
    pub succeeds: Option<StatusSet>,
    /// The level that success proves.
    pub level: Level,
}

/// Where people are reached.
#[derive(Debug)]
pub struct Help {
    /// As in the rule file.
    pub name: Box<str>,
    /// A voice line.
    pub phone: Option<Box<str>>,
    /// A text relay for people who cannot use a voice line.
    pub relay: Option<Box<str>>,
    /// A chat, an address.
    pub chat: Option<Box<str>>,
    /// When it is open; always when absent.
    pub hours: Option<Hours>,
    /// How many customers it takes in an hour; no bound when absent.
    pub per_hour: Option<u32>,
    /// What is offered instead when it is closed or full.
    pub otherwise: Otherwise,
}

/// What is offered when help is closed or full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// A person calls back.
    Callback,
    /// A page or an address that is always there.
    Address(Box<str>),
}

/// What a customer is trying to do.
#[derive(Debug)]
pub struct Journey {
    /// As in the rule file.
    pub name: Arc<str>,
    /// Where the account's name stands in the body.
    pub account: Option<Box<str>>,
    /// Where the password stands in the body.
    pub credential: Option<Box<str>>,
    /// Which answers of the upstream mean that it worked.
    pub succeeds_on: Option<StatusSet>,
    /// Before the upstream's answer: what an attempt may do. Only for journeys with `succeeds_on`.
    pub attempt: Option<Ladder>,
    /// What the session may do; for a sign-in, what the session that it opens may do.
    pub ladder: Ladder,
    /// Below it no personal data is shown.
    pub view_line: Option<Confidence>,
    /// Must be proved whatever the score.
    pub require: Option<Level>,
    /// What `allow` becomes when the upstream is away.
    pub contained: Option<Action>,
    /// What is done when a family is stale, distrusted or down, or coverage falls short.
    pub when_unknown: Option<Action>,
    /// A change on it changes something of the account.
    pub changes_account: bool,
    /// A change on it resets the password.
    pub resets_password: bool,
    /// Percent of coverage below which `when_unknown` holds.
    pub min_coverage: u8,
    /// Clients that repeat a 401 for ever get 403 at once.
    pub step_up_status: StepUpStatus,
    /// What its lines may cost customers who have long been known; its lines do not float without it.
    pub budget: Option<Budget>,
    /// What its score has meant, for operators; no decision leans on it.
    pub calibration: Option<Calibration>,
    /// What its ladders would be if every rung in shadow were enforced; none when no rung is in shadow.
    pub in_shadow: Option<InShadow>,
    /// Words of its own for customers.
    pub words: JourneyWords,
    /// How customers' own last-known-good answers are kept and shown; not at all when absent.
    pub snapshot: Option<SnapshotLaw>,
}

/// A journey's ladders with the rungs that are in shadow. `Journey::ladder` and `attempt` are without them: the rung above
/// reaches down over one in shadow.
#[derive(Debug)]
pub struct InShadow {
    /// In place of `attempt`.
    pub attempt: Option<Ladder>,
    /// In place of `ladder`.
    pub ladder: Ladder,
}

/// Which status asks an API client for one more proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUpStatus {
    /// 401, and 403 by itself for a client that loops.
    Unauthorized,
    /// Always 403.
    Forbidden,
}

/// A journey's ways of being served, from full service down; the last begins at 0.
#[derive(Debug, Clone)]
pub struct Ladder {
    pub(in crate::rules) rungs: SmallVec<[Rung; 4]>,
}

impl Ladder {
    /// The rungs, highest first.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// The rung that this confidence reaches, and its place. A ladder always ends at 0, so there is one.
    pub fn reach(&self, confidence: Confidence) -> (usize, &Rung) {
        let last = self.rungs.len() - 1;
        let at = self.rungs.iter().position(|rung| confidence >= rung.at).unwrap_or(last);
        (at, &self.rungs[at])
    }
}

/// One rung: from which confidence it is reached, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Reached from here up.
    pub at: Confidence,
    /// What is done.
    pub action: Action,
}

/// What a rung does. Ordered by strictness, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Served in full.
    Allow,
    /// Served, but only so often for one client; the others are told when to come back.
    Throttle {
        /// The shortest time between two requests of one client.
        every: Duration,
    },
    /// Served with a proof that is fresh enough; otherwise asked for it.
    StepUp {
        /// How strong the proof must be.
        level: Level,
        /// How old it may be; any age within the session when absent.
        max_age: Option<Duration>,
    },
    /// Looking, not changing.
    ReadOnly,
    /// The same thing through a person.
    Handoff {
        /// Where.
        to: HelpId,
    },
    /// Refused, with a way to reach a person.
    Deny {
        /// Where a person is reached all the same.
        to: HelpId,
    },
}

impl Action {
    /// The word in rules, logs and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Throttle { .. } => "throttle",
            Self::StepUp { .. } => "step_up",
            Self::ReadOnly => "read_only",
            Self::Handoff { .. } => "handoff",
            Self::Deny { .. } => "deny",
        }
    }

    /// How strict it is: greater is stricter. 2 is kept for `queue`.
    pub const fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Throttle { .. } => 1,
            Self::StepUp { .. } => 3,
            Self::ReadOnly => 4,
            Self::Handoff { .. } => 5,
            Self::Deny { .. } => 6,
        }
    }
}

/// A set of HTTP statuses (100-599).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSet([u64; 10]);

impl StatusSet {
    /// Adds a status; false when it is none.
    pub fn insert(&mut self, status: u16) -> bool {
        let valid = (100..600).contains(&status);
        if valid {
            self.0[usize::from(status >> 6)] |= 1 << (status & 63);
        }
        valid
    }

    /// Whether the set has this status.
    pub fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status >> 6)).is_some_and(|word| word & (1 << (status & 63)) != 0)
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((100..600).filter(|status| self.contains(*status))).finish()
    }
}

/// What is refused outright.
#[derive(Debug)]
pub struct Refusal {
    /// For logs: its name, or `refuse[n]`.
    pub name: Box<str>,
    /// When.
    pub when: Condition,
    /// With which status, 400-599.
    pub status: u16,
}
