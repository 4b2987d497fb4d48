//! What works now, as apps and pages are told: the truth that a request would find, never more than its class, and at once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use weir::app::Options;
use weir::control::law::Outcome;
use weir::rules::Compiled;
use weir::rules::source::Sources;

use crate::arming::{arm, because, stand_down};
use crate::classes::{identity, keys};
use crate::support::client::{BOTH, Client, Connection, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{Rig, golden};

pub const FEED: &str = "/.well-known/weir/journeys";

/// A signed-in customer of a new browser scores between 55 and 75.
pub const JOURNEYS: &str = concat!(
    r#"
[languages]
speak = ["en", "de"]

[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
credential = { field = "password" }
succeeds_on = { status = [303] }
attempt = [{ at = 10, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 30, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "step_up"

[journeys.checkout]
routes = ["GET /checkout", "POST /checkout"]
require = { level = "pwd" }
ladder = [{ at = 40, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
contained = "read_only"
when_unknown = "step_up"

"#,
    include_str!("support/journeys/each_action.toml"),
    r#"
[journeys.inner]
routes = ["GET /inner"]
ladder = [{ at = 0, do = "allow" }]
listed = false
"#
);

/// Buying is by phone, looking at the balance is all that is left of it, and signing in takes one more proof.
pub const STORM: &str = r#"
summary = "Changes go to a person."
owner = "security"
expires = "2h"
at_most_total = "4h"
[changes.checkout]
at_most = "handoff"
[changes.balance]
contained = true
[changes.login]
at_most = "step_up"
[automation]
only = ["search"]
[stand_down]
ramp = "10m"
[notice.en]
headline = "We are checking purchases by hand"
detail = "Your orders are safe. This is so until {until}."
[notice.de]
headline = "Wir prüfen Einkäufe gerade von Hand"
detail = "Ihre Bestellungen sind sicher. Das gilt bis {until}."
[desk]
verify = ["Call back on the number already on file"]
"#;

pub const SITES: &str = r#"
[[site]]
hosts = ["127.0.0.1", "shop.example"]
upstream = "shop"
cors = { origins = ["https://app.example"], credentials = true }
[upstreams.shop]
servers = ["http://127.0.0.1:1"]
timeout = { connect = "2s", answer = "10s", idle = "10s" }
health = { path = "/healthz", every = "100ms" }
"#;

fn rig_with(files: &[(&str, &str)], adjust: impl FnOnce(&mut Options)) -> Rig {
    let files: Vec<(&str, &str)> = [("playbooks/storm.toml", STORM)].into_iter().chain(files.iter().copied()).collect();
    Rig::start(JOURNEYS, Upstream::shop(), &files, adjust)
}

fn rig() -> Rig {
    rig_with(&[], |_| {})
}

/// The states by journey.
fn states(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = document["journeys"].as_array().unwrap().iter();
    each.map(|journey| (text(&journey["name"]), text(&journey["state"]))).collect()
}

pub fn state(document: &Value, name: &str) -> String {
    let found = states(document).into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name} is not told of: {document}")).1
}

#[tokio::test]
async fn everybody_is_told_what_holds_for_everybody_and_nothing_of_their_address() {
    let rig = rig();
    let mut client = rig.client(Protocol::H2);
    let calm = client.get(FEED).await;
    assert_eq!((calm.status, calm.header("content-type")), (StatusCode::OK, "application/json"));
    assert_eq!(calm.header("cache-control"), "private, no-cache");
    assert_eq!(calm.header("vary"), "Accept, Accept-Language, Authorization, Cookie");
    let document = calm.json();
    assert_eq!((&document["as_of"], &document["about"]), (&json!("2026-11-02T12:00:00Z"), &json!("everybody")));
    let open = ["login", "balance", "checkout", "profile", "gift", "export", "search"];
    for (name, state) in states(&document) {
        // Only what always takes one more proof, and a law that asks everybody, is anything but open.
        let expected = if name == "account_change" { "proof" } else { "open" };
        assert_eq!(state, expected, "{name}");
        assert!(name != "inner", "what is not listed is not told of");
    }
    assert!(open.iter().all(|name| state(&document, name) == "open"));
    // Two hundred guesses later this address is known for nothing good, and is told the same.
    for guess in 0..200 {
        client.post("/login", &format!("email=c{guess}%40example.test&password=wrong")).await;
    }
    let after = rig.client(Protocol::H1).get(FEED).await;
    assert_eq!((after.header("etag"), states(&after.json())), (calm.header("etag"), states(&document)));
    arm(&rig, "storm", &because("a test")).unwrap();
    let stormy = rig.client(Protocol::H1).get(FEED).await;
    let stormy = stormy.json();
    for (name, expected) in [("checkout", "by_phone"), ("balance", "read_only"), ("login", "proof"), ("search", "open")]
    {
        assert_eq!(state(&stormy, name), expected, "{name}");
    }
}

#[tokio::test]
async fn a_customer_is_told_what_a_request_then_finds() {
    let rig = rig();
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        let told = client.get(FEED).await.json();
        assert_eq!(told["about"], "you");
        for (name, expected, method, path, status) in [
            ("balance", "open", "GET", "/account/balance", StatusCode::OK),
            ("checkout", "open", "POST", "/checkout", StatusCode::OK),
            ("account_change", "proof", "POST", "/account/email", StatusCode::UNAUTHORIZED),
            ("profile", "read_only", "POST", "/account/address", StatusCode::SERVICE_UNAVAILABLE),
            ("profile", "read_only", "GET", "/account/address", StatusCode::OK),
            ("gift", "by_phone", "POST", "/gift", StatusCode::FORBIDDEN),
            ("export", "closed", "GET", "/export", StatusCode::FORBIDDEN),
            ("search", "open", "GET", "/search", StatusCode::OK),
        ] {
            assert_eq!(state(&told, name), expected, "{name}");
            let answer = client.send(method, path, &[], "").await;
            assert_eq!(answer.status, status, "{name}");
            if !status.is_success() {
                let headline = told["journeys"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
                assert_eq!(headline["headline"], answer.json()["title"], "{name}: the words are the same");
            }
        }
        assert_eq!(client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
        assert_eq!(state(&client.get(FEED).await.json(), "account_change"), "open", "the proof was given");
        rig.advance(Duration::from_secs(11 * 60));
        let aged = client.get(FEED).await.json();
        assert_eq!(state(&aged, "account_change"), "proof", "and is too old by now");
        let exit =
            &aged["journeys"].as_array().unwrap().iter().find(|one| one["name"] == "account_change").unwrap()["exits"];
        assert_eq!(
            exit[0],
            json!({ "kind": "step_up", "url": "/verify", "acr_values": "urn:weir:aal2", "max_age": 600 })
        );
        // Nothing of why is told.
        for word in ["confidence", "score", "rung", "signal", "storm"] {
            assert!(!aged.to_string().contains(word), "{word}: {aged}");
        }
        client.post("/logout", "").await;
        assert_eq!(client.get(FEED).await.json()["about"], "everybody", "a session that is over is nobody's");
    }
}

#[tokio::test]
async fn the_words_are_the_playbooks_in_the_readers_language_and_say_until_when() {
    let rig = rig();
    let mut customer = rig.signed_in(Protocol::H2).await;
    arm(&rig, "storm", &because("a test")).unwrap();
    let mut text = String::new();
    for language in ["en", "de"] {
        let answer = rig.client(Protocol::H2).send("GET", FEED, &[("accept-language", language)], "").await;
        assert_eq!(answer.header("content-language"), language);
        let _ = writeln!(text, "{}", serde_json::to_string_pretty(&answer.json()).unwrap());
    }
    golden("journeys_feed", &text);
    let told = customer.get(FEED).await.json();
    let balance = told["journeys"].as_array().unwrap().iter().find(|one| one["name"] == "balance").unwrap();
    assert_eq!((&told["about"], &balance["state"]), (&json!("you"), &json!("read_only")));
    assert_eq!(balance["headline"], "We are checking purchases by hand", "who looks is served; who asks is told why");
    stand_down(&rig, "storm", false).unwrap();
    let document = rig.client(Protocol::H1).get(FEED).await.json();
    let checkout = document["journeys"].as_array().unwrap().iter().find(|one| one["name"] == "checkout").unwrap();
    assert_eq!((&checkout["state"], &checkout["until"]), (&json!("by_phone"), &json!("2026-11-02T12:10:00Z")));
    // It ends by itself, and what was kept ready for everybody with it.
    rig.advance(Duration::from_secs(600));
    assert_eq!(state(&rig.client(Protocol::H1).get(FEED).await.json(), "checkout"), "open");
}

#[tokio::test]
async fn a_client_that_has_the_answer_is_told_so_and_other_methods_and_origins_as_everywhere() {
    let rig = rig();
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        let first = client.get(FEED).await;
        let tag = first.header("etag").to_owned();
        rig.advance(Duration::from_secs(5));
        let known = client.send("GET", FEED, &[("if-none-match", &tag)], "").await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (StatusCode::NOT_MODIFIED, 0, &*tag));
        assert_eq!(known.header("vary"), first.header("vary"));
        let head = client.send("HEAD", FEED, &[], "").await;
        assert_eq!((head.status, head.body.len(), head.header("etag")), (StatusCode::OK, 0, &*tag));
        assert_eq!(head.header("content-length"), first.body.len().to_string());
        let german = client.send("GET", FEED, &[("if-none-match", &tag), ("accept-language", "de")], "").await;
        assert_eq!(german.status, StatusCode::OK, "another language is another answer");
        let post = client.send("POST", FEED, &[], "").await;
        assert_eq!((post.status, post.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));

        let own = client.send("GET", FEED, &[("origin", "https://app.example")], "").await;
        assert_eq!(own.header("access-control-allow-origin"), "https://app.example");
        assert_eq!(own.header("access-control-allow-credentials"), "true");
        assert!(own.headers.get_all("vary").iter().any(|vary| vary == "Origin"));
        let other = client.send("GET", FEED, &[("origin", "https://thief.example")], "").await;
        assert!(!other.headers.contains_key("access-control-allow-origin"));
        let asks = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        let preflight = client.send("OPTIONS", FEED, &asks, "").await;
        assert_eq!(preflight.status, StatusCode::NO_CONTENT);
        assert!(preflight.header("access-control-allow-headers").contains("Authorization"));

        let script = client.get("/.well-known/weir/journeys.js").await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(!script.body.is_empty() && script.body.len() <= 3584, "{} bytes", script.body.len());
        let again = [("if-none-match", script.header("etag"))];
        assert_eq!(
            client.send("GET", "/.well-known/weir/journeys.js", &again, "").await.status,
            StatusCode::NOT_MODIFIED
        );
    }
    assert!(rig.upstream.seen().iter().all(|seen| !seen.uri.path().starts_with("/.well-known")));
}

#[tokio::test]
async fn a_law_without_the_feed_leaves_its_paths_to_the_application() {
    let rig = rig();
    let mut client = rig.client(Protocol::H1);
    assert_eq!(client.get(FEED).await.header("content-type"), "application/json");
    assert!(matches!(rig.save("feed.toml", "[journeys_feed]\non = false\n"), Outcome::Installed { .. }));
    for path in [FEED, "/.well-known/weir/journeys.js"] {
        let answer = client.get(path).await;
        assert_eq!(answer.text(), format!("GET {path}"));
    }
    assert!(matches!(rig.save("feed.toml", "[journeys_feed]\non = true\n"), Outcome::Installed { .. }));
    assert_eq!(client.get(FEED).await.header("content-type"), "application/json");
    // A neighbour of the path is the application's in any case.
    assert_eq!(client.get("/.well-known/weir/journeys/x").await.text(), "GET /.well-known/weir/journeys/x");
}

#[tokio::test]
async fn one_customer_who_asks_without_end_is_told_when_to_come_back_and_keeps_nobody_else_out() {
    let rig = rig();
    let mut client = rig.signed_in(Protocol::H2).await;
    let mut other = rig.signed_in(Protocol::H1).await;
    let mut last = StatusCode::OK;
    for _ in 0..30 {
        let answer = client.get(FEED).await;
        last = answer.status;
        if last == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!((answer.header("retry-after"), answer.exits()), ("1", vec!["wait".into(), "contact".into()]));
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(other.get(FEED).await.status, StatusCode::OK);
    rig.advance(Duration::from_secs(1));
    assert_eq!(client.get(FEED).await.status, StatusCode::OK, "a promise kept");
    for _ in 0..100 {
        assert_eq!(
            rig.client(Protocol::H1).get(FEED).await.status,
            StatusCode::OK,
            "what holds for everybody is ready"
        );
    }
}

#[tokio::test]
async fn automation_is_told_what_is_closed_to_it_and_people_are_not() {
    let identity = identity("automation = [{ keys = \"api_keys.toml\" }]");
    let bots = keys(&[("faq-bot", "k-1")]);
    let rig = rig_with(&[("identity.toml", &identity), ("api_keys.toml", &bots)], |_| {});
    arm(&rig, "storm", &because("a test")).unwrap();
    let bot = rig.client(Protocol::H2).send("GET", FEED, &[("x-api-key", "k-1")], "").await.json();
    assert_eq!((&*state(&bot, "gift"), &*state(&bot, "search")), ("closed", "open"), "{bot}");
    let person = rig.client(Protocol::H2).get(FEED).await.json();
    assert_eq!((&*state(&person, "gift"), &*state(&person, "search")), ("open", "open"));
}

/// Events of the feed, as they come.
pub struct Events {
    body: Incoming,
    read: String,
    _connection: Connection,
}

impl Events {
    pub async fn open(client: &Client) -> Result<Self, StatusCode> {
        let mut connection = client.connect().await;
        let request = client.request("GET", FEED, &[("accept", "text/event-stream")], "");
        let answer = connection.send(request).await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
        Ok(Self { body: answer.into_body(), read: String::new(), _connection: connection })
    }

    /// The next block as it was sent; `None` at the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let block = block.to_owned();
                self.read = rest.to_owned();
                return Some(block);
            }
            let frame = self.body.frame().await?.unwrap();
            self.read.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    /// The next event's document.
    pub async fn next(&mut self) -> Value {
        loop {
            let block = self.block().await.expect("an event");
            if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                assert!(block.contains("event: journeys\n"), "{block}");
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn events_tell_at_once_and_at_each_change_of_the_law_and_the_posture() {
    let rig = rig();
    let mut all = Vec::new();
    for protocol in BOTH {
        all.push(Events::open(&rig.client(protocol)).await.unwrap());
        all.push(Events::open(&rig.signed_in(protocol).await).await.unwrap());
    }
    all.push(Events::open(&rig.clear_client()).await.unwrap());
    for events in &mut all {
        let block = events.block().await.unwrap();
        assert!(block.starts_with("retry: ") && block.contains("\nid: "), "{block}");
    }
    arm(&rig, "storm", &because("a test")).unwrap();
    for events in &mut all {
        assert_eq!(state(&events.next().await, "checkout"), "by_phone");
    }
    stand_down(&rig, "storm", true).unwrap();
    for events in &mut all {
        assert_eq!(state(&events.next().await, "checkout"), "open");
    }
    let narrower =
        JOURNEYS.replace("{ at = 40, do = \"allow\" }, { at = 20, do = \"step_up\" }", "{ at = 20, do = \"step_up\" }");
    // A law that says the same of everything is no event; the next one is.
    assert!(matches!(rig.save("journeys.toml", &format!("{JOURNEYS}\n# a remark\n")), Outcome::Installed { .. }));
    assert!(matches!(rig.save("journeys.toml", &narrower), Outcome::Installed { .. }));
    for events in &mut all {
        assert_eq!(state(&events.next().await, "checkout"), "proof");
    }
    rig.advance(Duration::from_secs(15));
    for events in &mut all {
        assert_eq!(events.block().await.unwrap(), ": here");
    }
    // Who goes on listening under a law that tells nothing would take the last that was told for what is so.
    assert!(matches!(rig.save("feed.toml", "[journeys_feed]\non = false\n"), Outcome::Installed { .. }));
    for events in &mut all {
        assert_eq!(events.block().await, None);
    }
}

/// A shop that says that it is not well when it is told to.
fn ailing() -> (Upstream, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = well.clone();
    let upstream = Upstream::answering(move |seen| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"a page")));
        if seen.uri.path() == "/healthz" && !says.load(Ordering::Relaxed) {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        if seen.uri.path() == "/login" {
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert("set-cookie", http::HeaderValue::from_static("sid=s-1; Path=/; HttpOnly"));
        }
        answer
    });
    (upstream, well)
}

#[tokio::test]
async fn an_upstream_that_goes_and_comes_back_is_an_event() {
    let (upstream, well) = ailing();
    let keeps = "contained = \"read_only\"\nsnapshot = {}";
    let journeys = JOURNEYS.replacen("contained = \"read_only\"", keeps, 1);
    let rig = Rig::start(&journeys, upstream, &[("sites.toml", SITES)], |_| {});
    let mut events = Events::open(&rig.client(Protocol::H2)).await.unwrap();
    let mut hers = Events::open(&rig.signed_in(Protocol::H1).await).await.unwrap();
    assert_eq!(state(&events.next().await, "search"), "open");
    assert_eq!(state(&hers.next().await, "balance"), "open");
    well.store(false, Ordering::Relaxed);
    let away = hers.next().await;
    assert_eq!(
        (&*state(&away, "balance"), &*state(&away, "checkout")),
        ("read_only", "closed"),
        "what was kept is shown"
    );
    let away = events.next().await;
    for name in ["search", "balance", "checkout"] {
        assert_eq!(state(&away, name), "closed", "nothing is there to be looked at");
    }
    let search = away["journeys"].as_array().unwrap().iter().find(|one| one["name"] == "search").unwrap();
    assert_eq!(search["headline"], "This part of the site is not answering");
    assert!(search.get("until").is_none(), "nobody knows until when");
    well.store(true, Ordering::Relaxed);
    assert_eq!(state(&events.next().await, "search"), "open");
}

#[tokio::test]
async fn listeners_end_with_their_session_and_at_a_drain_and_leave_room_for_others() {
    let gateway = "[bounds]\nstreams = 3\n";
    let mut rig = rig_with(&[("gateway.toml", gateway)], |_| {});
    let mut customer = rig.signed_in(Protocol::H1).await;
    let mut hers = Events::open(&customer).await.unwrap();
    let mut other = Events::open(&rig.client(Protocol::H2)).await.unwrap();
    assert_eq!(hers.next().await["about"], "you");
    assert_eq!(other.next().await["about"], "everybody");
    assert_eq!(Events::open(&rig.client(Protocol::H2)).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    customer.post("/logout", "").await;
    assert!(hers.block().await.is_none(), "her session has ended");
    let mut another = Events::open(&rig.client(Protocol::H1)).await.unwrap();
    another.next().await;
    let weir = rig.weir.take().unwrap();
    let stopped = tokio::task::spawn_blocking(move || weir.stop());
    for listener in [&mut other, &mut another] {
        assert!(listener.block().await.is_none(), "a drain waits for nobody who only listens");
    }
    assert_eq!(stopped.await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_slow_reader_finds_the_newest_and_misses_only_what_is_no_longer_true() {
    let rig = rig_with(&[], |options| options.workers = Some(1));
    let mut slow = Events::open(&rig.client(Protocol::H1)).await.unwrap();
    let mut quick = Events::open(&rig.client(Protocol::H2)).await.unwrap();
    quick.next().await;
    for _ in 0..20 {
        arm(&rig, "storm", &because("a test")).unwrap();
        assert_eq!(state(&quick.next().await, "checkout"), "by_phone");
        stand_down(&rig, "storm", true).unwrap();
        assert_eq!(state(&quick.next().await, "checkout"), "open");
    }
    arm(&rig, "storm", &because("a test")).unwrap();
    quick.next().await;
    let mut seen = Vec::new();
    // Whatever it read on the way, it comes to what is true now.
    loop {
        seen.push(state(&slow.next().await, "checkout"));
        if seen.last().unwrap() == "by_phone" && seen.len() >= 2 {
            break;
        }
    }
    assert!(seen.len() <= 42, "{}", seen.len());
}

#[test]
fn more_journeys_than_the_feed_shows_are_warned_of_and_the_last_are_not_told_of() {
    let (_, sites) = crate::support::GROUND.iter().find(|(name, _)| *name == "sites.toml").unwrap();
    let journey = |at: usize, more: &str| {
        format!("[journeys.j{at}]\nroutes = [\"GET /j{at}\"]\nladder = [{{ at = 0, do = \"allow\" }}]\n{more}\n")
    };
    let law = |many: usize, more: &str, feed: &str| {
        let journeys: String = (0..many).map(|at| journey(at, if at == 7 { more } else { "" })).collect();
        let files = [("sites.toml", (*sites).to_owned()), ("journeys.toml", journeys), ("feed.toml", feed.to_owned())];
        weir::rules::compile(&Sources::from_texts(files.map(|(name, text)| (name.to_owned(), text)).into()))
    };
    let codes = |compiled: &Compiled| compiled.diagnostics.iter().map(|problem| problem.code).collect::<Vec<_>>();
    assert!(codes(&law(256, "", "")).is_empty());
    let full = law(258, "", "");
    assert_eq!(codes(&full), ["W0251"], "once");
    assert!(full.diagnostics[0].help.as_ref().unwrap().contains("listed = false"));
    let rules = full.rules.unwrap();
    assert_eq!(rules.journeys_feed.listed.len(), 256);
    assert_eq!(&*rules.journey(rules.journeys_feed.listed[255]).name, "j255");
    assert!(codes(&law(257, "listed = false", "")).is_empty());
    assert!(codes(&law(258, "", "[journeys_feed]\non = false\n")).is_empty(), "nobody is told of any");
}
