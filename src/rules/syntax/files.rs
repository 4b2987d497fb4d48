//! What operators write: every table of a rule file, declared once. Messages, the schema and the reference come from here.
//!
//! These types mirror the files. What they mean is for `lower`.

use std::time::Duration;

use ipnet::IpNet;

use super::breach::BreachFile;
use super::budgets::BudgetFile;
use super::calibration::CalibrationFile;
use super::clients::{ChannelsFile, KeyFile, ProofFile};
use super::continuity_pass::ContinuityPassFile;
use super::feeds::Feed;
use super::forms::{Later, Many, Named, Whole};
use super::guards::GuardsFile;
use super::journeys_feed::{BannerFile, JourneysFeedFile};
use super::limits::LimitFile;
use super::lists::ListsFile;
use super::notices::{LanguagesFile, NoticeFile, ProfileFile};
use super::playbooks::{ChannelWord, ClassWord, ModeWord};
use super::shared_signals::TransmitterFile;
use super::signals::{CountsWord, SignalFile};
use super::sites::SiteFile;
use super::snapshots::SnapshotFile;
use super::streams::UpgradeName;
use super::table::{Field, Form, Said, Shape, Value, Walk, table, words};
use super::written::{
    Address, CookieName, HeaderKey, Host, KeysAt, Method, Page, PathEnd, Pattern, PerHour, PlainPath,
};
use crate::rules::help::Hours;
use crate::rules::ruleset::Server;

/// Any text.
pub(crate) type Text = Said<Box<str>>;
/// An HTTP status.
pub(crate) type Status = Whole<100, 599>;

table! {
    /// A rule file: law, hot, compiled together with every other file of the directory.
    RuleFile("a rule file") {
        /// Which upstream serves which hosts. At least one file has one; an unknown host is answered 421.
        site: Vec<SiteFile> = optional;
        /// Where requests are forwarded, by name.
        upstreams: Named<UpstreamFile> = optional;
        /// Who is asking.
        identity: IdentityFile = optional;
        /// Keys that clients may carry, named by `keys` in `[identity]`.
        key: Vec<KeyFile> = optional;
        /// What tells through which channel a client comes.
        channels: ChannelsFile = optional;
        /// Levels of authentication, weakest first.
        assurance: AssuranceFile = optional;
        /// How a customer gives one more proof.
        step_up: StepUpFile = optional;
        /// Where people are reached, by name.
        help: Named<HelpFile> = optional;
        /// What customers try to do, by name.
        journeys: Named<JourneyFile> = optional;
        /// What is refused outright, in the order written.
        refuse: Vec<RefuseFile> = optional;
        /// What must hold before this law is installed.
        case: Vec<CaseFile> = optional;
        /// How often something may be done.
        limits: Named<LimitFile> = optional;
        /// What has leaked, which sign-ins are compared with.
        breach: BreachFile = optional;
        /// What is known of addresses.
        lists: ListsFile = optional;
        /// The languages that customers are spoken to in; English alone when absent.
        languages: LanguagesFile = optional;
        /// The words that customers read, by language.
        notice: Named<NoticeFile<true>> = optional;
        /// How apps in the field are answered, by name; the first that fits.
        profiles: Named<ProfileFile> = optional;
        /// Who reports on accounts and sessions from outside, by name.
        shared_signals: Named<TransmitterFile> = optional;
        /// When a source of readings is no longer believed.
        guards: GuardsFile = optional;
        /// How much signals weigh, by name.
        signals: Named<SignalFile> = optional;
        /// What a score has meant on a journey, by its name.
        calibration: Named<CalibrationFile> = optional;
        /// What apps are told of what works now.
        journeys_feed: JourneysFeedFile = optional;
        /// What pages say that show how things were.
        banner: BannerFile = optional;
        /// What a sign-in leaves on its device, for when signing in is not possible.
        continuity_pass: ContinuityPassFile = optional;
    }
}

table! {
    /// Where requests are forwarded: equal servers, and how long each stage may take.
    UpstreamFile("an upstream") {
        /// Its servers: scheme, host and port.
        servers: Many<Said<Server>> = required;
        /// How it is spoken to.
        protocol: Said<ProtocolWord> = default("\"auto\"");
        /// Bounds in time.
        timeout: TimeoutFile = default("{}");
        /// How its servers' health is asked for; not at all when absent.
        health: HealthFile = optional;
        /// Requests in flight at once, over all workers. The newest loses, with a 503.
        max_in_flight: Whole<1, 1_000_000> = default("1024");
        /// Tunnels, event streams and gRPC calls open at once, over all workers. The newest loses, with a 503.
        max_streams: Whole<1, 1_000_000> = default("4096");
        /// Protocols that a client may switch to, where a server agrees; none when empty.
        upgrades: Vec<Said<UpgradeName>> = default("[\"websocket\"]");
        /// Certificate authorities for https servers, a PEM file beside the rules; the system's when absent.
        ca: Text = optional;
        /// A client certificate for it.
        client_certificate: Later = not_yet;
    }
}

words! {
    /// How an upstream is spoken to.
    ProtocolWord {
        /// HTTP/1.1 in clear text, what ALPN agrees on over TLS.
        "auto" => Auto,
        /// HTTP/1.1.
        "http1" => Http1,
        /// HTTP/2 in clear text with prior knowledge.
        "h2c" => H2c,
    }
}

table! {
    /// Bounds in time for an upstream.
    TimeoutFile("timeout") {
        /// To connect, TLS included.
        connect: Said<Duration> = default("\"2s\"");
        /// From the request's last byte to the answer's head.
        answer: Said<Duration> = default("\"10s\"");
        /// Between two pieces of the answer's body.
        idle: Said<Duration> = default("\"30s\"");
        /// How long an open stream may be silent: a tunnel in both directions, events and gRPC calls from the server.
        stream: Said<Duration> = default("\"5m\"");
        /// How long an unused connection is kept; less than the server keeps it.
        keep: Said<Duration> = default("\"4s\"");
    }
}

table! {
    /// How health is asked for.
    HealthFile("health") {
        /// A path that answers 2xx or 3xx when all is well.
        path: Said<Page> = required;
        /// How often.
        every: Said<Duration> = default("\"2s\"");
    }
}

table! {
    /// Who is asking.
    IdentityFile("identity") {
        /// Proxies whose forwarding headers are believed.
        trusted_proxies: Vec<Said<IpNet>> = optional;
        /// The header in which trusted proxies say the JA4 of their client; believed from them alone.
        ja4_header: Said<HeaderKey> = optional;
        /// Where the subject of a request comes from: `jwt`, or `session_cookie`.
        subject: SubjectFile = optional;
        /// Known machines that the business needs.
        partner: Vec<ProofFile> = optional;
        /// Contact-centre employees who act for customers.
        agent: Vec<ProofFile> = optional;
        /// Bots, scripts and assistants.
        automation: Vec<ProofFile> = optional;
    }
}

table! {
    /// Where the subject of a request comes from.
    SubjectFile("subject") {
        /// A verified bearer token.
        jwt: JwtFile = optional;
        /// A cookie of the application, learned when a sign-in succeeds.
        session_cookie: Said<CookieName> = optional;
        /// Routes that end a session.
        ends_on: Many<Said<Route>> = optional;
    }
}

table! {
    /// What a bearer token must be.
    JwtFile("jwt") {
        /// Where its keys are: an address, or `file:` and a path beside the rules.
        jwks: Said<KeysAt> = required;
        /// `iss` must equal this.
        issuer: Text = required;
        /// `aud` must contain this.
        audience: Text = required;
        /// The claim that names the account.
        account_claim: Text = default("\"sub\"");
    }
}

table! {
    /// Levels of authentication. Without it: `pwd`; `mfa` by amr otp or mfa; `phr` by acr phr or phrh.
    AssuranceFile("assurance") {
        /// Weakest first; everything else names one of them.
        levels: Vec<LevelFile> = required;
    }
}

table! {
    /// A level of authentication.
    LevelFile("a level") {
        /// Its name.
        name: Text = required;
        /// Values of `acr` that prove it.
        acr: Many<Text> = optional;
        /// Values of `amr` (RFC 8176) of which one proves it.
        amr: Many<Text> = optional;
    }
}

table! {
    /// How a customer gives one more proof.
    StepUpFile("step_up") {
        /// The application's page.
        page: Said<Page> = required;
        /// How the application tells that the proof was given.
        succeeds: SucceedsFile = optional;
        /// The level that success proves, and that a rung asks for when it names none.
        level: Text = required;
    }
}

table! {
    /// How success is told.
    SucceedsFile("succeeds") {
        /// The route that takes the proof.
        route: Said<Route> = required;
        /// Its answers that mean success.
        status: Many<Status> = default("[200, 303]");
    }
}

table! {
    /// Where people are reached.
    HelpFile("help") {
        /// A voice line.
        phone: Text = optional;
        /// For people who cannot use a voice line.
        text: TextFile = optional;
        /// When it is open; always when absent.
        hours: Said<Hours> = optional;
        /// How many customers it takes; no bound when absent.
        capacity: Said<PerHour> = optional;
        /// What is offered when it is closed or full: `callback`, or an address that is always there.
        otherwise: Said<OtherwiseText> = default("\"callback\"");
    }
}

table! {
    /// Help without a voice line.
    TextFile("text") {
        /// A text relay.
        relay: Text = optional;
        /// A chat.
        chat: Said<Address> = optional;
    }
}

table! {
    /// What a customer is trying to do.
    JourneyFile("a journey") {
        /// Its routes: method and path, `{id}` for a segment, `{*rest}` for all that follows. GET implies HEAD.
        routes: Many<Said<Route>> = required;
        /// Where the account's name stands in the body.
        account: BodyField = optional;
        /// Where the password stands in the body; compared, then dropped.
        credential: BodyField = optional;
        /// Which answers of the upstream mean that it worked.
        succeeds_on: OutcomeFile = optional;
        /// What an attempt may do, before the upstream's answer.
        attempt: Vec<RungFile> = optional;
        /// What the session may do, from full service down.
        ladder: Vec<RungFile> = required;
        /// Below it no personal data is shown.
        view_line: Whole<0, 100> = optional;
        /// What must be proved whatever the score.
        require: RequireFile = optional;
        /// What allow becomes when the upstream is away.
        contained: ActionFile = optional;
        /// What is done when a source is stale, distrusted or down, or coverage falls short.
        when_unknown: ActionFile = optional;
        /// What a change on it counts as for the signals that look back at it; a journey named `account_change` or `password_reset` counts as that by itself.
        counts_as: Said<CountsWord> = optional;
        /// Percent of coverage below which `when_unknown` holds.
        min_coverage: Whole<0, 100> = default("0");
        /// The status that asks an API client for one more proof; 403 for clients that repeat a 401 for ever.
        step_up_status: Whole<401, 403> = default("401");
        /// Which share of customers who have long been known its lines may hold, and how far they float to keep it.
        budget: BudgetFile = optional;
        /// The words that customers read on this journey, by language.
        notice: Named<NoticeFile<false>> = optional;
        /// What is kept as the customer's own last-known-good answer.
        snapshot: SnapshotFile = optional;
        /// Whether apps are told in the journeys feed how it stands.
        listed: Said<bool> = default("true");
        /// How it is served under load.
        priority: Later = not_yet;
        /// Which channels it belongs to.
        channels: Later = not_yet;
    }
}

table! {
    /// A field of a request's body.
    BodyField("a body field") {
        /// Its name in a form or a JSON object.
        field: Text = required;
    }
}

table! {
    /// Which answers mean that it worked.
    OutcomeFile("an outcome") {
        /// Statuses.
        status: Many<Status> = required;
    }
}

table! {
    /// What must be proved.
    RequireFile("require") {
        /// A level.
        level: Text = required;
    }
}

table! {
    /// A rung: from which confidence it is reached, and what it does.
    RungFile("a rung") {
        /// Reached from this confidence up.
        at: Whole<0, 100> = required;
        /// What is done.
        r#do: Said<ActionWord> = required;
        /// How strong a proof `step_up` asks for; the level of `[step_up]` when absent.
        level: Text = optional;
        /// How old the proof may be; as old as the session when absent.
        max_age: Said<Duration> = optional;
        /// The help that `handoff` and `deny` lead to.
        to: Text = optional;
        /// The shortest time between two requests of one client, for `throttle`; 10s when absent.
        every: Said<Duration> = optional;
        /// Whether it is enforced, or only logged: the rung above then reaches down over it.
        mode: Said<ModeWord> = default("\"enforce\"");
    }
}

words! {
    /// What is done, weakest first.
    ActionWord {
        /// Served in full.
        "allow" => Allow,
        /// Served, but only so often for one client.
        "throttle" => Throttle,
        /// Served in turn. This build does not act on it yet.
        "queue" => Queue,
        /// Served with a fresh proof, otherwise asked for it.
        "step_up" => StepUp,
        /// Looking, not changing.
        "read_only" => ReadOnly,
        /// The same through a person.
        "handoff" => Handoff,
        /// Refused, with a way to reach a person.
        "deny" => Deny,
    }
}

table! {
    /// What is done, with its particulars.
    ActionTable("an action") {
        /// What is done.
        r#do: Said<ActionWord> = required;
        /// How strong a proof `step_up` asks for.
        level: Text = optional;
        /// How old the proof may be.
        max_age: Said<Duration> = optional;
        /// The help that `handoff` and `deny` lead to.
        to: Text = optional;
        /// The shortest time between two requests, for `throttle`.
        every: Said<Duration> = optional;
    }
}

/// An action: a word alone, or a table with its particulars.
#[derive(Debug, Clone)]
pub(crate) struct ActionFile(pub(crate) ActionTable);

impl Form for ActionFile {
    fn shape() -> Shape {
        Shape::Either(vec![Said::<ActionWord>::shape(), ActionTable::shape()])
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        if !matches!(value.get_ref(), toml::de::DeValue::String(_)) {
            return ActionTable::read(walk, value).map(Self);
        }
        let word = Said::<ActionWord>::read(walk, value)?;
        Some(Self(ActionTable { span: word.span, r#do: Field::Given(word), ..ActionTable::default() }))
    }
}

table! {
    /// What is refused outright.
    RefuseFile("refuse") {
        /// Its name in logs; `refuse[n]` when absent.
        name: Text = optional;
        /// When.
        when: ConditionFile = required;
        /// With which status.
        status: Whole<400, 599> = default("403");
    }
}

table! {
    /// A condition. Several keys in one table must all hold. Paths hold if either reading of the request's path fits.
    ConditionFile("a condition") {
        /// One of these holds.
        any: Vec<ConditionFile> = optional;
        /// All of these hold.
        all: Vec<ConditionFile> = optional;
        /// This does not hold.
        not: Box<ConditionFile> = optional;
        /// The path is this.
        path: Many<Said<PlainPath>> = optional;
        /// The path begins so.
        path_prefix: Many<Said<PlainPath>> = optional;
        /// The path ends so.
        path_suffix: Many<Said<PathEnd>> = optional;
        /// A regular expression fits somewhere in the path.
        path_matches: Many<Said<Pattern>> = optional;
        /// A regular expression fits somewhere in the query, as sent or decoded.
        query_matches: Many<Said<Pattern>> = optional;
        /// The method is one of these.
        method: Many<Said<Method>> = optional;
        /// The host is one of these.
        host: Many<Said<Host>> = optional;
        /// A header of this name.
        header: HeaderFile = optional;
        /// The client's address is in one of these networks.
        address: Many<Said<IpNet>> = optional;
    }
}

table! {
    /// A header, and what one of its values must be. Exactly one of the four.
    HeaderFile("header") {
        /// The header's name.
        name: Said<HeaderKey> = required;
        /// A value is exactly this.
        equals: Text = optional;
        /// A value contains this.
        contains: Text = optional;
        /// A regular expression fits somewhere in a value.
        matches: Said<Pattern> = optional;
        /// Whether the header is there at all.
        present: Said<bool> = optional;
    }
}

table! {
    /// A case that must hold before the law is installed.
    CaseFile("a case") {
        /// A sentence.
        name: Text = required;
        /// What is asked.
        request: CaseRequest = required;
        /// What is known of the client; what it leaves out is missing.
        given: GivenFile = default("{}");
        /// The action that must come out.
        expect: Said<ActionWord> = required;
        /// Playbooks that are armed, beside the one whose file this is.
        armed: Many<Text> = optional;
    }
}

table! {
    /// The request of a case.
    CaseRequest("request") {
        /// Its method.
        method: Said<Method> = default("\"GET\"");
        /// Its path, with a query if any.
        path: Text = required;
        /// Its host; the first site's when absent.
        host: Text = optional;
        /// Its headers, by name.
        headers: Headers = optional;
    }
}

/// Headers of a case: names and values.
#[derive(Debug, Clone)]
pub(crate) struct Headers(pub(crate) Vec<(Box<str>, Text)>);

impl Form for Headers {
    fn shape() -> Shape {
        Shape::Named(Box::new(Text::shape()))
    }

    fn read(walk: &mut Walk, value: &Value<'_>) -> Option<Self> {
        use crate::rules::diagnostic::{Diagnostic, codes};
        use crate::rules::syntax::table::Written as _;
        let mut all = Vec::new();
        for (key, span, value) in walk.entries(value, Self::shape)? {
            let text = Text::read(walk, value);
            match (HeaderKey::parse(key), text) {
                (Ok(HeaderKey(name)), Some(text)) => all.push((name.as_str().into(), text)),
                (Err(wrong), _) => {
                    let help = "write for example \"user-agent\"";
                    walk.push(Diagnostic::of(&codes::BAD_HEADER, wrong.says).at(span, "not a header name").help(help));
                }
                (Ok(_), None) => {}
            }
        }
        Some(Self(all))
    }
}

table! {
    /// What a case knows of the client.
    GivenFile("given") {
        /// Whether the account knows the device.
        device: Said<DeviceWord> = optional;
        /// Whether the account knows the network.
        network: Said<NetworkWord> = optional;
        /// The level that the session has proved.
        authenticated: Text = optional;
        /// How long ago it did.
        proof_age: Said<Duration> = default("\"0s\"");
        /// Recent failed sign-ins of the account, from elsewhere.
        account_failures: Whole<0, 65_535> = default("0");
        /// Recent failed sign-ins of the device.
        device_failures: Whole<0, 65_535> = default("0");
        /// Recent failed sign-ins of the network.
        network_failures: Whole<0, 65_535> = default("0");
        /// The upstream is away.
        upstream_down: Said<bool> = default("false");
        /// The keys of tokens cannot be had.
        jwks_down: Said<bool> = default("false");
        /// What kind of client asks.
        class: Said<ClassWord> = default("\"customer\"");
        /// Where it comes from.
        channel: Said<ChannelWord> = default("\"web\"");
        /// Its network is under attack: most sign-ins of strangers from there fail.
        contaminated: Said<bool> = default("false");
        /// Sources of readings that are gone.
        down: Many<Said<Feed>> = optional;
    }
}

words! {
    /// Whether the account knows the device.
    DeviceWord {
        /// It does.
        "known" => Known,
        /// It does not.
        "unknown" => Unknown,
    }
}

words! {
    /// Whether the account knows the network.
    NetworkWord {
        /// It does.
        "known" => Known,
        /// It does not.
        "new" => New,
    }
}

pub(crate) use super::route::{OtherwiseText, Route};
