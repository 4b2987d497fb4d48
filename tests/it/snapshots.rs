//! A customer's own last-known-good answers, through the whole gateway: what is kept, when it is shown, and to whom it never is.

#![allow(
    clippy::await_holding_lock,
    clippy::await_holding_refcell_ref,
    reason = "a test holds an upstream up while it looks, and shares its one connection with nobody"
)]

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::arming::{arm, because, stand_down};
use crate::identity::Issuer;
use crate::shared_signals::{self, CAEP, Listening, RISC, email};
use crate::support::client::{Answer, BOTH, Client, Protocol, whole};
use crate::support::upstream::{Seen, Upstream};
use crate::support::{GROUND, Rig};

pub const JOURNEYS: &str = concat!(
    include_str!("support/journeys/sign_in_of_anybody.toml"),
    r#"
[journeys.balance]
routes = ["GET /balance", "GET /orders/{id}"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "handoff"
snapshot = { keep = "30d" }

[journeys.account_change]
routes = ["POST /password"]
ladder = [{ at = 0, do = "allow" }]
"#
);

/// The journeys with this in place of what the balance keeps.
pub fn keeping(snapshot: &str) -> String {
    JOURNEYS.replace("snapshot = { keep = \"30d\" }", &format!("snapshot = {{ {snapshot} }}"))
}

/// How the bank answers now.
#[derive(Clone, Default)]
struct Says {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// A bank that knows its customers by their cookies, to the letter, and answers as it is told.
#[derive(Clone, Default)]
pub struct Bank {
    sessions: Arc<Mutex<HashMap<String, String>>>,
    says: Arc<Mutex<Says>>,
}

impl Bank {
    pub fn says(&self, status: u16, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.says.lock().unwrap() = Says { status, headers, body: None };
    }

    pub fn body(&self, kind: &str, body: &str) {
        let headers = vec![("content-type", kind.to_owned())];
        *self.says.lock().unwrap() = Says { status: 200, headers, body: Some(body.to_owned()) };
    }

    pub fn forget(&self) {
        self.sessions.lock().unwrap().clear();
    }

    pub fn answer(&self, seen: &Seen) -> Response<Full<Bytes>> {
        let text = std::str::from_utf8(&seen.body).unwrap_or_default();
        let field =
            |name: &str| text.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default().to_owned();
        let mut answer = Response::new(Full::new(Bytes::new()));
        let mut sessions = self.sessions.lock().unwrap();
        match (seen.method.as_str(), seen.uri.path()) {
            ("POST", "/login") if field("password=") == "right" => {
                let sid = format!("s-{}", seen.header("weir-request-id"));
                answer.headers_mut().insert("set-cookie", format!("sid={sid}; Path=/; HttpOnly").parse().unwrap());
                *answer.status_mut() = StatusCode::SEE_OTHER;
                sessions.insert(sid, field("email="));
            }
            ("POST", "/login") => *answer.status_mut() = StatusCode::UNAUTHORIZED,
            ("POST", _) => *answer.status_mut() = StatusCode::NO_CONTENT,
            (_, target) => {
                let sid =
                    seen.header("cookie").split("; ").find_map(|pair| pair.strip_prefix("sid=")).unwrap_or_default();
                let Some(name) = sessions.get(sid) else {
                    *answer.status_mut() = StatusCode::UNAUTHORIZED;
                    return answer;
                };
                let says = self.says.lock().unwrap().clone();
                *answer.status_mut() = StatusCode::from_u16(says.status.max(200)).unwrap();
                let headers = answer.headers_mut();
                headers.insert("content-type", "application/json".parse().unwrap());
                headers.insert("cache-control", "private".parse().unwrap());
                headers.insert("etag", "\"1\"".parse().unwrap());
                for (name, value) in &says.headers {
                    headers.insert(*name, value.parse().unwrap());
                }
                let own = || format!(r#"{{"of":"{name}","at":"{target}?{}"}}"#, seen.uri.query().unwrap_or_default());
                if seen.method != "HEAD" {
                    *answer.body_mut() = Full::new(Bytes::from(says.body.unwrap_or_else(own)));
                }
            }
        }
        answer
    }
}

pub struct Branch {
    pub rig: Rig,
    pub bank: Bank,
}

impl Branch {
    pub fn open() -> Self {
        Self::with(JOURNEYS, &[])
    }

    pub fn with(journeys: &str, files: &[(&str, &str)]) -> Self {
        let bank = Bank::default();
        let inside = bank.clone();
        let upstream = Upstream::answering(move |seen| inside.answer(seen));
        Self { rig: Rig::start(journeys, upstream, files, |_| {}), bank }
    }

    pub async fn customer(&self, name: &str) -> Client {
        self.customer_over(name, Protocol::H1).await
    }

    pub async fn customer_over(&self, name: &str, protocol: Protocol) -> Client {
        let mut client = self.rig.client(protocol);
        let answer = client.post("/login", &format!("email={name}&password=right")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        client
    }

    pub fn settle(&self) {
        self.rig.weir().snapshots.settle();
    }

    /// The upstream's port refuses connections from now on.
    pub fn outage(&mut self) {
        self.settle();
        self.rig.upstream.go();
    }

    pub fn metric(&self, line: &str) -> bool {
        self.rig.weir().telemetry.text().lines().any(|known| known == line)
    }

    fn refused(&self, why: &str) -> bool {
        self.settle();
        self.metric(&format!("weir_snapshots_refused_total{{reason=\"{why}\"}} 1"))
    }
}

pub fn is_kept(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && !answer.header("weir-as-of").is_empty()
}

#[tokio::test]
async fn who_looked_while_all_was_well_sees_their_own_when_it_is_not_with_an_honest_age() {
    for protocol in BOTH {
        let mut branch = Branch::open();
        branch.bank.says(200, &[("set-cookie", "theme=dark"), ("content-security-policy", "default-src 'self'")]);
        let mut ada = branch.customer_over("ada", protocol).await;
        let mut bob = branch.customer_over("bob", protocol).await;
        let live = ada.get("/balance?year=2026").await;
        assert_eq!((live.status, live.header("weir-as-of")), (StatusCode::OK, ""));
        branch.outage();
        branch.rig.advance(Duration::from_secs(352));

        let kept = ada.get("/balance?year=2026").await;
        assert!(is_kept(&kept), "{kept:?}");
        assert_eq!(kept.body, live.body, "byte for byte what it was");
        assert_eq!(kept.header("age"), "352");
        assert_eq!(kept.header("cache-status"), "weir; hit; ttl=-352; detail=lkg");
        assert_eq!(kept.header("cache-control"), "private, no-store");
        assert_eq!(kept.header("weir-as-of"), "2026-11-02T12:00:00Z");
        assert_eq!(kept.header("content-type"), "application/json");
        assert_eq!(kept.header("content-security-policy"), "default-src 'self'");
        assert!(!kept.header("weir-request-id").is_empty() && kept.header("vary").contains("cookie"));
        for origins in ["set-cookie", "etag", "last-modified", "accept-ranges"] {
            assert_eq!(kept.header(origins), "", "{origins}");
        }

        let part =
            ada.send("GET", "/balance?year=2026", &[("range", "bytes=0-3"), ("if-none-match", "\"1\"")], "").await;
        assert_eq!((part.status, part.body), (StatusCode::OK, live.body.clone()), "no part and no 304 of what is kept");
        let head = ada.send("HEAD", "/balance?year=2026", &[], "").await;
        assert!(is_kept(&head) && head.body.is_empty());
        assert_eq!(head.header("content-length"), live.body.len().to_string());

        for target in ["/balance", "/balance?year=2025"] {
            let none = ada.get(target).await;
            assert_eq!((none.status, none.header("weir-as-of")), (StatusCode::BAD_GATEWAY, ""), "{target}");
        }
        assert_eq!(bob.get("/balance?year=2026").await.status, StatusCode::BAD_GATEWAY);
        let mut stranger = branch.rig.client(protocol);
        assert_eq!(stranger.get("/balance?year=2026").await.status, StatusCode::BAD_GATEWAY);
        assert!(branch.metric("weir_snapshots_served_total{journey=\"balance\"} 3"));
        let lines = branch.rig.stop();
        assert_eq!(lines.iter().filter(|line| line["why"] == "snapshot").count(), 3);
    }
}

#[tokio::test]
async fn a_name_in_other_letters_is_another_customer() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    let mut other = branch.customer("Ada").await;
    let mut spaced = branch.customer("ada%20").await;
    assert_eq!(ada.get("/balance").await.status, StatusCode::OK);
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
    for other in [&mut other, &mut spaced] {
        assert_eq!(other.get("/balance").await.status, StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn what_an_answer_says_against_being_kept_is_obeyed_unless_somebody_who_may_says_otherwise() {
    let no = |name: &'static str, value: &'static str, why: &'static str| (name, value, why);
    for (name, value, why) in [
        no("cache-control", "no-store", "no_store"),
        no("cache-control", "private, no-cache", "no_cache"),
        no("cache-control", "max-age=0, must-revalidate", "must_revalidate"),
        no("vary", "*", "vary"),
        no("vary", "user-agent", "vary"),
        no("content-encoding", "br", "encoded"),
        no("weir-cache-control", "no-store", "no_store"),
    ] {
        let mut branch = Branch::open();
        branch.bank.says(200, &[(name, value)]);
        let mut ada = branch.customer("ada").await;
        let live = ada.get("/balance").await;
        assert_eq!((live.status, live.header("weir-cache-control")), (StatusCode::OK, ""));
        assert!(branch.refused(why), "{name}: {value}");
        branch.outage();
        let none = ada.get("/balance").await;
        assert_eq!(none.status, StatusCode::BAD_GATEWAY, "{name}: {value}: {none:?}");
    }
    let all = keeping("even_if = [\"no-store\", \"no-cache\", \"must-revalidate\"], vary = [\"x-tenant\"]");
    for (journeys, name, value) in [
        (&*all, "cache-control", "no-store, no-cache, must-revalidate"),
        (&*all, "vary", "X-Tenant, Cookie, Accept-Encoding"),
        (JOURNEYS, "weir-cache-control", "private, stale-if-error=600"),
        (JOURNEYS, "vary", "Accept, Accept-Language, Cookie, Authorization, Origin"),
    ] {
        let mut branch = Branch::with(journeys, &[]);
        branch.bank.says(200, &[("cache-control", "private"), (name, value)]);
        let mut ada = branch.customer("ada").await;
        assert_eq!(ada.get("/balance").await.status, StatusCode::OK);
        branch.outage();
        assert!(is_kept(&ada.get("/balance").await), "{name}: {value}");
        branch.rig.advance(Duration::from_secs(601));
        assert_eq!(is_kept(&ada.get("/balance").await), name != "weir-cache-control", "{name}: {value}");
    }
}

#[tokio::test]
async fn only_a_plain_look_that_was_answered_well_is_kept() {
    for status in [201, 203, 204, 206, 300, 404, 410, 429, 500, 503] {
        let mut branch = Branch::open();
        branch.bank.says(status, &[]);
        let mut ada = branch.customer("ada").await;
        ada.get("/balance").await;
        branch.outage();
        assert!(!is_kept(&ada.get("/balance").await), "{status}");
    }
    type Sent<'s> = (&'s str, &'s str, &'s [(&'s str, &'s str)], &'s str);
    let sent: [Sent<'_>; 5] = [
        ("HEAD", "/balance", &[], ""),
        ("GET", "/balance", &[("range", "bytes=0-1")], ""),
        ("GET", "/balance", &[("content-type", "text/plain")], "a body"),
        ("GET", "/balance", &[("x-http-method-override", "POST")], ""),
        ("GET", "/balance/x.css", &[], ""),
    ];
    for (method, target, headers, body) in sent {
        let mut branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        ada.send(method, target, headers, body).await;
        branch.outage();
        assert!(!is_kept(&ada.get("/balance").await), "{method} {target} {headers:?}");
        assert!(!is_kept(&ada.get(target).await), "{method} {target} {headers:?}");
    }
}

#[tokio::test]
async fn what_the_application_says_is_anothers_or_no_success_or_a_part_is_not_kept() {
    for (name, value, why) in [
        ("weir-subject", "bob", "another"),
        ("weir-subject", "Ada", "another"),
        ("weir-outcome", "failure", "failure"),
        ("content-range", "bytes 0-9/100", "part"),
    ] {
        let mut branch = Branch::open();
        branch.bank.says(200, &[(name, value)]);
        let mut ada = branch.customer("ada").await;
        assert_eq!(ada.get("/balance").await.status, StatusCode::OK);
        assert!(branch.refused(why), "{name}: {value}");
        branch.outage();
        assert!(!is_kept(&ada.get("/balance").await), "{name}: {value}");
    }
    let mut branch = Branch::open();
    branch.bank.says(200, &[("weir-subject", "ada"), ("weir-outcome", "success")]);
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
}

#[tokio::test]
async fn an_answer_that_takes_the_sessions_cookie_back_is_not_kept_and_ends_what_is_shown_in_it() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.bank.says(200, &[("set-cookie", "theme=; Max-Age=0"), ("x-more", "1")]);
    ada.get("/orders/7").await;
    branch.bank.says(200, &[("set-cookie", "sid=; Path=/; Max-Age=0")]);
    let still = ada.clone();
    ada.get("/orders/8").await;
    branch.outage();
    let mut ada = still;
    for target in ["/balance", "/orders/7", "/orders/8"] {
        assert!(!is_kept(&ada.get(target).await), "{target}");
    }
}

#[tokio::test]
async fn a_page_or_a_piece_of_one_says_that_it_is_kept_whoever_asks_for_it() {
    for page in [
        "<!doctype html><html><body><p>12.30</p></body></html>",
        "\u{feff}\n <HTML><body><p>12.30</p></body></HTML>",
        "<p>12.30</p>",
    ] {
        let mut branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        branch.bank.body("text/html; charset=utf-8", page);
        ada.get("/balance").await;
        branch.outage();
        for accept in ["*/*", "application/json, */*;q=0.1"] {
            let answer = ada.send("GET", "/balance", &[("accept", accept)], "").await;
            assert!(is_kept(&answer) && answer.text().contains("12.30"), "{page} {accept}");
            assert!(answer.text().contains("weir-banner"), "{page} {accept}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_conditional_request_brings_the_whole_answer_and_it_is_kept() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    let conditional = [("if-none-match", "\"1\""), ("accept-encoding", "gzip, br")];
    assert_eq!(ada.send("GET", "/balance", &conditional, "").await.status, StatusCode::OK);
    let asked = branch.rig.upstream.last();
    assert_eq!((asked.header("if-none-match"), asked.header("accept-encoding")), ("", "identity"));
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
}

#[tokio::test]
async fn answers_that_differ_by_language_are_kept_apart() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    for (language, words) in [("de-AT,de;q=0.9", "Guten Tag"), ("en", "Good day")] {
        branch.bank.body("text/html; charset=utf-8", words);
        branch.bank.says.lock().unwrap().headers.push(("vary", "Accept-Language".to_owned()));
        assert_eq!(ada.send("GET", "/balance", &[("accept-language", language)], "").await.text(), words);
    }
    branch.outage();
    for (language, words) in [("de", "Guten Tag"), ("en-GB;q=0.3,de;q=0.2", "Good day")] {
        let kept = ada.send("GET", "/balance", &[("accept-language", language)], "").await;
        assert!(is_kept(&kept) && kept.text().ends_with(words), "{}", kept.text());
    }
    assert!(!is_kept(&ada.send("GET", "/balance", &[("accept-language", "fr")], "").await));
}

#[tokio::test]
async fn what_is_masked_is_not_kept_and_what_cannot_be_masked_is_not_either() {
    let mut branch = Branch::with(&keeping("mask = [\"/card/number\", \"/accounts/*/iban\"]"), &[]);
    let mut ada = branch.customer("ada").await;
    let body = r#"{"card":{"number":"4111 1111","brand":"v"},"accounts":[{"iban":"GB1","sum":7}]}"#;
    branch.bank.body("application/json; charset=utf-8", body);
    assert_eq!(ada.get("/balance").await.text(), body, "the live answer is whole");
    branch.bank.body("text/html", "<p>4111 1111");
    ada.get("/orders/1").await;
    branch.bank.body("application/json", "{\"card\":{\"number\":\"4111");
    ada.get("/orders/2").await;
    branch.outage();
    let kept = ada.get("/balance").await;
    assert_eq!((is_kept(&kept), kept.text()), (true, r#"{"card":{"brand":"v"},"accounts":[{"sum":7}]}"#));
    for never in ["/orders/1", "/orders/2"] {
        assert!(!is_kept(&ada.get(never).await));
    }
}

#[tokio::test]
async fn what_the_application_takes_back_never_comes_back() {
    for status in [401, 403, 404, 410] {
        let mut branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        ada.get("/balance").await;
        ada.get("/orders/7").await;
        branch.settle();
        branch.bank.says(status, &[]);
        assert_eq!(ada.get("/balance").await.status.as_u16(), status);
        branch.outage();
        assert!(!is_kept(&ada.get("/balance").await), "{status}");
        assert_eq!(
            is_kept(&ada.get("/orders/7").await),
            status != 401,
            "{status}: a session that is not known sees nothing"
        );
    }
}

#[tokio::test]
async fn a_session_that_the_application_has_let_go_sees_nothing_until_it_is_answered_again() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    let mut elsewhere = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.settle();
    branch.bank.says(302, &[("location", "/login?next=/balance")]);
    ada.get("/balance").await;
    branch.bank.says(503, &[]);
    assert_eq!(ada.get("/balance").await.status, StatusCode::SERVICE_UNAVAILABLE, "sent to sign in: nothing is shown");
    branch.rig.advance(Duration::from_secs(2));
    assert!(is_kept(&elsewhere.get("/balance").await), "their other session is another one");
    branch.rig.advance(Duration::from_secs(2));
    branch.bank.says(200, &[]);
    assert!(!is_kept(&ada.get("/balance").await));
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await), "the application knows it again");
}

#[tokio::test]
async fn who_signs_out_while_the_application_is_away_leaves_nothing_behind() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
    assert_eq!(ada.post("/logout", "").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(ada.get("/balance").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_new_password_voids_what_was_kept_before_it() {
    let mut branch = Branch::open();
    let (mut ada, mut bob) = (branch.customer("ada").await, branch.customer("bob").await);
    ada.get("/balance").await;
    bob.get("/balance").await;
    branch.settle();
    assert_eq!(ada.post("/password", "new=x").await.status, StatusCode::NO_CONTENT);
    branch.outage();
    assert!(!is_kept(&ada.get("/balance").await));
    assert!(is_kept(&bob.get("/balance").await));
}

#[tokio::test]
async fn below_the_view_line_nothing_that_is_kept_is_shown() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    let strict = JOURNEYS.replace("{ at = 40, do = \"allow\" }, ", "{ at = 100, do = \"allow\" }, ");
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
    branch.rig.save("journeys.toml", &strict);
    let held = ada.get("/balance").await;
    assert_eq!((held.status, held.header("weir-as-of")), (StatusCode::FORBIDDEN, ""));
}

#[tokio::test]
async fn a_journey_that_a_playbook_contains_is_served_from_what_is_kept_and_the_rest_live() {
    let playbook = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\n[changes.balance]\ncontained = true\n";
    let branch = Branch::with(JOURNEYS, &[("playbooks/quiet.toml", playbook)]);
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.settle();
    arm(&branch.rig, "quiet", &because("a test")).unwrap();
    let asked = branch.rig.upstream.seen().len();
    assert!(is_kept(&ada.get("/balance").await));
    assert_eq!(branch.rig.upstream.seen().len(), asked, "the upstream was left alone");
    let live = ada.get("/orders/1").await;
    assert!(live.status == StatusCode::OK && !is_kept(&live));
    branch.settle();
    assert!(branch.metric("weir_snapshots 1"), "what comes from a contained journey is not kept");
    stand_down(&branch.rig, "quiet", true).unwrap();
    assert!(!is_kept(&ada.get("/balance").await));
}

#[tokio::test]
async fn a_failing_upstream_is_asked_once_a_second_by_those_who_can_be_shown_what_is_kept() {
    for status in [502, 503, 504] {
        let branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        ada.get("/balance").await;
        branch.settle();
        branch.bank.says(status, &[("retry-after", "1")]);
        let asked = branch.rig.upstream.seen().len();
        for _ in 0..10 {
            assert!(is_kept(&ada.get("/balance").await));
        }
        assert_eq!(branch.rig.upstream.seen().len(), asked + 1);
        branch.rig.advance(Duration::from_secs(1));
        for _ in 0..10 {
            assert!(is_kept(&ada.get("/balance").await));
        }
        assert_eq!(branch.rig.upstream.seen().len(), asked + 2);
        assert!(
            branch.metric("weir_upstream_failures_total{upstream=\"shop\"} 2"),
            "what triggers watch is not hidden"
        );
        branch.rig.advance(Duration::from_secs(1));
        branch.bank.says(200, &[]);
        for _ in 0..3 {
            assert!(!is_kept(&ada.get("/balance").await), "it is well again");
        }
        branch.bank.says(500, &[]);
        assert_eq!(ada.get("/balance").await.status, StatusCode::INTERNAL_SERVER_ERROR, "its own fault is its answer");
    }
}

/// An upstream that is held up for as long as the lock is, and tells of each who waits there.
fn held_up(bank: &Bank) -> (Upstream, Arc<Mutex<()>>, Receiver<()>) {
    let (door, inside) = (Arc::new(Mutex::new(())), bank.clone());
    let (tell, told) = channel();
    let (at, tell) = (door.clone(), Mutex::new(tell));
    let upstream = Upstream::answering(move |seen| {
        if seen.method == "GET" {
            let _test_is_over = tell.lock().unwrap().send(());
            drop(at.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        }
        inside.answer(seen)
    });
    (upstream, door, told)
}

#[tokio::test]
async fn who_has_waited_long_enough_is_shown_what_is_kept() {
    let bank = Bank::default();
    let (upstream, door, _) = held_up(&bank);
    let rig = Rig::start(&keeping("slow = \"50ms\""), upstream, &[], |_| {});
    let branch = Branch { rig, bank };
    let (mut ada, mut bob) = (branch.customer("ada").await, branch.customer("bob").await);
    ada.get("/balance").await;
    branch.settle();
    let shut = door.lock().unwrap();
    assert!(is_kept(&ada.get("/balance").await));
    assert!(is_kept(&ada.get("/balance").await));
    // Nothing is kept of Bob: he waits on.
    let request = bob.request("GET", "/balance", &[], "");
    let mut connection = bob.connect().await;
    let waiting = tokio::spawn(async move { whole(connection.send(request).await.unwrap()).await });
    drop(shut);
    let live = waiting.await.unwrap();
    assert!(live.status == StatusCode::OK && !is_kept(&live));
    bob.cookies.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_upstream_is_full_what_is_kept_is_shown() {
    let bank = Bank::default();
    let (upstream, door, told) = held_up(&bank);
    let (_, sites) = GROUND[0];
    let sites = sites.replace("[upstreams.shop]", "[upstreams.shop]\nmax_in_flight = 1");
    let rig = Rig::start(JOURNEYS, upstream, &[("sites.toml", &sites)], |options| options.workers = Some(1));
    let branch = Branch { rig, bank };
    let (mut ada, bob) = (branch.customer("ada").await, branch.customer("bob").await);
    ada.get("/balance").await;
    branch.settle();
    let shut = door.lock().unwrap();
    let request = bob.request("GET", "/balance", &[], "");
    let mut connection = bob.connect().await;
    let waiting = tokio::spawn(async move { whole(connection.send(request).await.unwrap()).await });
    told.recv().unwrap();
    tokio::task::block_in_place(|| told.recv().unwrap());
    assert!(is_kept(&ada.get("/balance").await));
    drop(shut);
    assert_eq!(waiting.await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_kept_too_long_is_not_shown_and_time_in_which_it_was_contained_does_not_count() {
    let playbook = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\nat_most_total = \"7d\"\n[changes.balance]\ncontained = true\n";
    let branch = Branch::with(&keeping("keep = \"1h\""), &[("playbooks/quiet.toml", playbook)]);
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    branch.settle();
    branch.rig.advance(Duration::from_secs(1800));
    arm(&branch.rig, "quiet", &because("a test")).unwrap();
    let snapshots = &branch.rig.weir().snapshots;
    while snapshots.paused("balance", crate::support::NOON.plus(Duration::from_secs(9_000))).is_zero() {
        tokio::task::yield_now().await;
    }
    branch.rig.advance(Duration::from_secs(7_000));
    assert!(is_kept(&ada.get("/balance").await), "two hours old, of which almost all were contained");
    stand_down(&branch.rig, "quiet", true).unwrap();
    let before = snapshots.paused("balance", crate::support::NOON.plus(Duration::from_secs(1 << 30)));
    assert!(before > Duration::from_secs(6_000));
    branch.bank.says(503, &[]);
    while snapshots.paused("balance", crate::support::NOON.plus(Duration::from_secs(1 << 30)))
        > Duration::from_secs(1 << 20)
    {
        tokio::task::yield_now().await;
    }
    assert!(is_kept(&ada.get("/balance").await));
    branch.rig.advance(Duration::from_secs(1801));
    assert!(!is_kept(&ada.get("/balance").await), "an hour of service has passed");
    branch.bank.forget();
}

/// What somebody who wants another's answers, or a careless cache, might make of a request.
#[derive(Debug, Clone)]
struct Odd {
    who: usize,
    other: usize,
    target: usize,
    head: bool,
    cookies: usize,
    header: usize,
}

#[test]
fn ten_thousand_customers_of_an_upstream_that_is_gone_see_their_own_and_nobody_elses() {
    use proptest::strategy::Strategy as _;
    const EACH: usize = 5_000;
    const TARGETS: [&str; 12] = [
        "/balance",
        "/Balance",
        "/balance/",
        "/balance.css",
        "/balance/x.css",
        "/balance;sid=1",
        "/balance?",
        "/balance?u=c1",
        "/%62alance",
        "/x/../balance",
        "//balance",
        "/balance%00.css",
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut branch = Branch::open();
    // Two names differ in one letter's case; one account of a table that folds them.
    let name = |n: usize| if n < EACH { format!("c{n}") } else { format!("C{}", n - EACH) };
    let signing: Vec<_> = (0..4)
        .map(|part| {
            let (client, snapshots) = (branch.rig.clear_client(), branch.rig.weir().snapshots.clone());
            runtime.spawn(async move {
                let mut connection = client.connect().await;
                let mut sids = Vec::new();
                for n in (part..2 * EACH).step_by(4) {
                    let form = [("content-type", "application/x-www-form-urlencoded")];
                    let body = format!("email={}&password=right", name(n));
                    let answer =
                        whole(connection.send(client.request("POST", "/login", &form, &body)).await.unwrap()).await;
                    let set = answer.header("set-cookie").to_owned();
                    let set = answer
                        .headers
                        .get_all("set-cookie")
                        .iter()
                        .map(|field| field.to_str().unwrap().to_owned())
                        .find(|field| field.starts_with("sid="))
                        .unwrap_or(set);
                    let sid = set.split(';').next().unwrap().to_owned();
                    let look = client.request("GET", "/balance", &[("cookie", &sid)], "");
                    let answer = whole(connection.send(look).await.unwrap()).await;
                    assert_eq!(answer.json()["of"], name(n), "{answer:?}");
                    sids.push((n, sid));
                    // What waits for the disk has a bound, and this is faster than anybody looks.
                    if sids.len() % 100 == 0 {
                        tokio::task::block_in_place(|| snapshots.settle());
                    }
                }
                sids
            })
        })
        .collect();
    let mut sids = vec![String::new(); 2 * EACH];
    for part in signing {
        for (n, sid) in runtime.block_on(part).unwrap() {
            sids[n] = sid;
        }
    }
    branch.outage();
    assert!(branch.metric("weir_snapshots 10000"), "{:?}", branch.rig.weir().snapshots.standing());
    let client = branch.rig.clear_client();
    let seen = std::cell::Cell::new(0_usize);
    let odd = (0..2 * EACH, 0..2 * EACH, 0..2 * TARGETS.len(), proptest::bool::ANY, 0..8_usize, 0..8_usize)
        .prop_map(|(who, other, target, head, cookies, header)| Odd { who, other, target, head, cookies, header });
    let config = proptest::test_runner::Config { cases: 4_000, failure_persistence: None, ..Default::default() };
    let connection = std::cell::RefCell::new(runtime.block_on(client.connect()));
    let outcome = proptest::test_runner::TestRunner::new(config).run(&odd, |odd| {
        let (own, others) = (&sids[odd.who], &sids[odd.other]);
        let bare = others.trim_start_matches("sid=");
        // Only where the request has one session of Ann's and nothing else is anything to be expected.
        let cookie = match odd.cookies {
            0..=3 => own.clone(),
            4 => format!("{own}; theme={bare}"),
            5 => format!("{own}; {others}"),
            6 => format!("{others}; SID={bare}; {own}"),
            _ => format!("sid=; x-sid={bare}"),
        };
        let other = name(odd.other);
        let header = match odd.header {
            1 => ("x-forwarded-host", "shop.example"),
            2 => ("accept-language", "de"),
            3 => ("weir-subject", other.as_str()),
            4 => ("x-http-method-override", "GET"),
            5 => ("authorization", bare),
            6 => ("x-original-url", "/balance"),
            7 => ("if-none-match", "*"),
            _ => ("accept", "application/json"),
        };
        let target = TARGETS[odd.target % TARGETS.len()];
        let target = if odd.target < TARGETS.len() { target } else { "/balance" };
        let method = if odd.head { "HEAD" } else { "GET" };
        let request = client.request(method, target, &[("cookie", &cookie), header], "");
        let answer = runtime.block_on(async {
            let mut connection = connection.borrow_mut();
            match connection.send(request.clone()).await {
                Ok(answer) => whole(answer).await,
                Err(_) => {
                    *connection = client.connect().await;
                    whole(connection.send(request).await.unwrap()).await
                }
            }
        });
        if is_kept(&answer) {
            seen.set(seen.get() + 1);
            if !odd.head {
                assert_eq!(answer.json()["of"], name(odd.who), "{odd:?}");
            }
            assert!(odd.cookies <= 4 || odd.who == odd.other, "who could be another is nobody: {odd:?}");
        }
        if odd.cookies <= 3 && target == "/balance" && odd.header != 4 {
            assert!(is_kept(&answer), "{odd:?}: {answer:?}");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(seen.get() > 1_000, "{}", seen.get());
}

#[tokio::test]
async fn what_others_report_of_an_account_voids_what_was_kept_and_the_end_of_one_session_ends_that_one_alone() {
    let own = |kind: &str| format!("{CAEP}{kind}");
    let change = json!({"change_type": "update", "credential_type": "password"});
    for (uri, payload) in [
        (format!("{RISC}credential-compromise"), json!({"credential_type": "password"})),
        (format!("{RISC}account-disabled"), json!({})),
        (own("credential-change"), change),
        (own("session-revoked"), json!({})),
        (own("session-revoked"), json!(null)),
    ] {
        let issuer = Issuer::p256("a");
        let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), shared_signals::law(""));
        let mut branch = Branch::with(JOURNEYS, &[("shared_signals.toml", law.as_str()), ("idp.json", keys.as_str())]);
        let mut all = Vec::new();
        for name in ["ada", "ada", "bob"] {
            let mut customer = branch.customer(name).await;
            assert_eq!(customer.get("/balance").await.status, StatusCode::OK);
            all.push(customer);
        }
        branch.outage();
        for customer in &mut all {
            assert!(is_kept(&customer.get("/balance").await));
        }
        let Branch { rig, .. } = branch;
        let mut idp = Listening::over(rig, issuer).await;
        let one = payload.is_null();
        let sid = all[0].cookies.iter().find(|(name, _)| name == "sid").unwrap().1.clone();
        let subject = if one { json!({"format": "opaque", "id": sid}) } else { email("ada") };
        idp.tell(&uri, subject, if one { json!({}) } else { payload }).await;
        let mut shown = Vec::new();
        for customer in &mut all {
            shown.push(is_kept(&customer.get("/balance").await));
        }
        assert_eq!(shown, [false, one, true], "{uri}");
    }
}

/// A server that signs everybody in, and answers every look with these bytes and the end of the connection.
fn raw(bytes: &'static [u8]) -> (std::net::SocketAddr, Arc<std::sync::atomic::AtomicBool>) {
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicBool, Ordering};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let gone = Arc::new(AtomicBool::new(false));
    let away = gone.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut piece = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(more @ 1..) => head.extend_from_slice(&piece[..more]),
                    _ => break,
                }
            }
            if away.load(Ordering::Acquire) {
                continue;
            }
            let answer: &[u8] = match head.starts_with(b"POST") {
                true => b"HTTP/1.1 303 See Other\r\nset-cookie: sid=one\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                false => bytes,
            };
            let _client_gone = stream.write_all(answer);
        }
    });
    (address, gone)
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_whose_end_cannot_be_told_is_not_kept() {
    let kept = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nwhole";
    let cases: [(&[u8], Option<&str>); 6] = [
        (kept, None),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
            None,
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\npart", Some("cut")),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n",
            Some("cut"),
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nwhole or not", Some("unframed")),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n", Some("empty")),
    ];
    for (bytes, why) in cases {
        let (address, gone) = raw(bytes);
        let rig = Rig::start(JOURNEYS, Upstream::shop(), &[], |options| {
            options.servers = Some(vec![crate::support::server(address)]);
        });
        let branch = Branch { rig, bank: Bank::default() };
        let mut ada = branch.rig.clear_client();
        ada.post("/login", "email=ada&password=right").await;
        let request = ada.request("GET", "/balance", &[], "");
        let mut connection = ada.connect().await;
        match connection.send(request).await {
            Ok(answer) => drop(http_body_util::BodyExt::collect(answer.into_body()).await),
            Err(broken) => assert_eq!(why, Some("cut"), "{broken}"),
        }
        branch.settle();
        gone.store(true, std::sync::atomic::Ordering::Release);
        let shown = ada.get("/balance").await;
        assert_eq!(is_kept(&shown), why.is_none(), "{}: {shown:?}", String::from_utf8_lossy(bytes));
        if let Some(why) = why {
            assert!(branch.refused(why), "{why}: {}", branch.rig.weir().telemetry.text());
        }
    }
}
