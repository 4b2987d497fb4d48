//! Apps that are not of the site: a page of another origin in a real browser, which reads what Weir says only where the rules name it;
//! and an app that keeps no cookies, which is told its device all the same.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::arming::{arm, because};
use crate::classes::identity;
use crate::identity::Issuer;
use crate::support::chromium::Chromium;
use crate::support::client::{Answer, Protocol};
use crate::support::upstream::{Seen, Upstream};
use crate::support::{GROUND, NOON, Rig};

const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
credential = { field = "password" }
succeeds_on = { status = [200, 204] }
attempt = [{ at = 10, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 30, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
[journeys.balance]
routes = ["GET /api/balance"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
snapshot = {}
when_unknown = "step_up"
[journeys.email]
routes = ["PUT /api/email"]
ladder = [{ at = 1, do = "step_up", level = "mfa" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
[journeys.address]
routes = ["PUT /api/address"]
ladder = [{ at = 1, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
contained = "read_only"
when_unknown = "step_up"
[journeys.gift]
routes = ["PUT /api/gift"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
[journeys.search]
routes = ["PUT /api/search"]
ladder = [{ at = 0, do = "allow" }]
"#;

const LIMITS: &str = r#"
[limits.search]
journeys = ["search"]
key = "network"
rate = "2/h"
[limits.all]
key = "network"
rate = "100/h"
burst = 8
"#;

const STORM: &str = r#"
summary = "x"
owner = "x"
expires = "2h"
[changes.balance]
contained = true
[changes.address]
contained = true
"#;

/// The application behind Weir, which lets any origin read what it answers itself.
fn shop() -> Upstream {
    Upstream::answering(|seen| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"{\"sum\":1.10}")));
        let mut put = |name: &'static str, value: &str| {
            answer.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        };
        put("content-type", "application/json");
        put("cache-control", "private");
        put("access-control-allow-origin", seen.header("origin"));
        put("access-control-allow-credentials", "true");
        put("access-control-allow-methods", "PUT");
        put("access-control-allow-headers", "content-type");
        put("access-control-max-age", "0");
        if seen.uri.path() == "/login" {
            put("set-cookie", "sid=s-1; Path=/; HttpOnly");
        }
        answer
    })
}

/// Somebody's page, of an origin of its own.
fn page() -> Upstream {
    Upstream::answering(|_| {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"<!doctype html><title>App</title>")));
        answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
        answer
    })
}

/// Every cookie that an answer sets.
fn cookies(answer: &Answer) -> String {
    answer.headers.get_all("set-cookie").iter().map(|field| field.to_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn preflights(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.method == "OPTIONS").count()
}

/// Asks from the page that is open, with its cookies, and gives all that the page can read.
async fn ask(browser: &mut Chromium, rig: &Rig, method: &str, path: &str) -> Value {
    let url = format!("http://{}{path}", rig.weir().addresses[1]);
    let body = match (method, path) {
        ("GET", _) => "undefined",
        (_, "/login") => "new URLSearchParams({ email: 'ada@example.test', password: 'right' })",
        _ => "'{}'",
    };
    let kind = if method == "PUT" { "{ 'content-type': 'application/json' }" } else { "{}" };
    let asking = format!(
        "fetch('{url}', {{ method: '{method}', credentials: 'include', headers: {kind}, body: {body} }})\
         .then(async (answer) => ({{ status: answer.status, fields: Object.fromEntries(answer.headers), body: await answer.json() }}))\
         .catch((error) => ({{ refused: error.name }}))"
    );
    browser.value(&asking).await
}

fn problem(answer: &Value) -> (i64, &str) {
    let status = answer["status"].as_i64().unwrap_or_else(|| panic!("the page could not read it: {answer}"));
    assert_eq!(answer["fields"]["content-type"], "application/problem+json", "{answer}");
    assert!(!answer["body"]["exits"].as_array().unwrap().is_empty() && answer["body"]["reference"].is_string());
    (status, answer["body"]["type"].as_str().unwrap().strip_prefix("urn:weir:problem:").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_origin_that_the_rules_name_reads_all_that_weir_says_and_any_other_reads_nothing() {
    let (app, stranger) = (page(), page());
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "sites.toml").unwrap();
    let sites = ground.replace("https://app.example", &format!("http://{}", app.address));
    let files = [("sites.toml", &*sites), ("limits.toml", LIMITS), ("playbooks/storm.toml", STORM)];
    let mut rig = Rig::start(JOURNEYS, shop(), &files, |options| options.workers = Some(1));
    let mut browser = Chromium::start().await;
    browser.open(&format!("http://{}/", app.address)).await;

    assert_eq!(ask(&mut browser, &rig, "POST", "/login").await["status"], 200, "its cookies are kept and sent");
    let live = ask(&mut browser, &rig, "GET", "/api/balance").await;
    assert_eq!((&live["status"], &live["body"]), (&json!(200), &json!({ "sum": 1.10 })));

    let asked = ask(&mut browser, &rig, "PUT", "/api/email").await;
    assert_eq!(problem(&asked), (401, "step-up"));
    let challenge = asked["fields"]["www-authenticate"].as_str().unwrap();
    assert!(
        challenge.contains("insufficient_user_authentication") && challenge.contains("acr_values=\"urn:weir:aal2\"")
    );
    let handed = ask(&mut browser, &rig, "PUT", "/api/gift").await;
    assert_eq!(problem(&handed), (403, "handoff"));
    assert_eq!(handed["body"]["handoff"]["reference"].as_str().unwrap().len(), 11);

    // Each of these is asked for beforehand, and only the thing itself is counted.
    for _ in 0..2 {
        assert_eq!(ask(&mut browser, &rig, "PUT", "/api/search").await["status"], 200);
    }
    let before = preflights(&rig.upstream.seen());
    assert!(before >= 4, "the browser asks beforehand");
    let told = ask(&mut browser, &rig, "PUT", "/api/search").await;
    assert_eq!(problem(&told), (429, "throttle"));
    let wait: u64 = told["fields"]["retry-after"].as_str().unwrap().parse().unwrap();
    assert_eq!(told["fields"]["ratelimit"], format!("\"search\";r=0;t={wait}"));
    assert_eq!(told["fields"]["ratelimit-policy"], "\"search\";q=2;w=3600");
    assert_eq!(told["body"]["exits"][0], json!({ "kind": "wait", "seconds": wait }));

    rig.weir().snapshots.settle();
    rig.advance(Duration::from_secs(90));
    arm(&rig, "storm", &because("a test")).unwrap();
    let kept = ask(&mut browser, &rig, "GET", "/api/balance").await;
    assert_eq!((&kept["status"], &kept["body"]), (&json!(200), &json!({ "sum": 1.10 })));
    assert_eq!(kept["fields"]["weir-as-of"], "2026-11-02T12:00:00Z");
    assert!(kept["fields"].get("set-cookie").is_none());
    let looking = ask(&mut browser, &rig, "PUT", "/api/address").await;
    assert_eq!(problem(&looking), (503, "read-only"));
    let wait = looking["fields"]["retry-after"].as_str().unwrap();
    assert!((91..=120).contains(&wait.parse().unwrap()), "{wait}");

    // With the application away nobody answers what a browser asks beforehand, but for Weir.
    rig.upstream.go();
    let kept = ask(&mut browser, &rig, "GET", "/api/balance").await;
    assert_eq!((&kept["status"], &kept["fields"]["weir-as-of"]), (&json!(200), &json!("2026-11-02T12:00:00Z")));
    for (path, expected) in [("/api/email", (401, "step-up")), ("/api/gift", (403, "handoff"))] {
        rig.advance(Duration::from_secs(600));
        assert_eq!(problem(&ask(&mut browser, &rig, "PUT", path).await), expected, "{path}");
    }

    browser.open(&format!("http://{}/", stranger.address)).await;
    for (method, path) in [("GET", "/api/balance"), ("PUT", "/api/email"), ("PUT", "/api/gift"), ("PUT", "/api/search")]
    {
        let nothing = ask(&mut browser, &rig, method, path).await;
        assert_eq!(nothing, json!({ "refused": "TypeError" }), "{method} {path}");
    }
    let counted = rig.stop().iter().filter(|line| line["limit"] == "all").count();
    assert_eq!(counted, 0, "what is asked beforehand is charged to nobody");
}

#[tokio::test]
async fn a_preflight_is_answered_here_only_where_the_application_does_not_and_the_rules_name_the_origin() {
    let upstream = Upstream::answering(|seen| {
        let status = if seen.uri.path() == "/api/search" { 204 } else { 503 };
        Response::builder().status(status).header("access-control-allow-origin", "*").body(Full::default()).unwrap()
    });
    let tight = "[limits.all]\nkey = \"network\"\nrate = \"1/h\"\n";
    let rig = Rig::start(JOURNEYS, upstream, &[("limits.toml", tight)], |_| {});
    let mut client = rig.client(Protocol::H2);
    let asks = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "content-type,x-own"),
        ]
    };
    for _ in 0..3 {
        let own = client.send("OPTIONS", "/api/search", &asks("https://app.example"), "").await;
        assert_eq!((own.status, own.header("access-control-allow-origin")), (StatusCode::NO_CONTENT, "*"));
        assert_eq!(own.header("access-control-allow-headers"), "", "it is the application's to say");
    }
    let here = client.send("OPTIONS", "/api/gift", &asks("https://app.example"), "").await;
    assert_eq!((here.status, here.body.len()), (StatusCode::NO_CONTENT, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "content-type,x-own"),
        ("access-control-max-age", "5"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(here.header(name), value, "{name}");
    }
    let other = client.send("OPTIONS", "/api/gift", &asks("https://thief.example"), "").await;
    assert_eq!((other.status, other.header("access-control-allow-methods")), (StatusCode::SERVICE_UNAVAILABLE, ""));
    let plain = client.send("OPTIONS", "/elsewhere", &[("origin", "https://app.example")], "").await;
    assert_eq!(plain.status, StatusCode::SERVICE_UNAVAILABLE, "it asks for nothing");
}

#[tokio::test]
async fn an_app_that_keeps_no_cookies_finds_its_way_through_a_step_up_and_keeps_its_device() {
    let issuer = Issuer::p256("one");
    let jwt = r#"{ jwt = { jwks = "file:keys.json", issuer = "https://id.example", audience = "shop", account_claim = "email" } }"#;
    let identity = identity("").replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt);
    let document = String::from_utf8(issuer.document()).unwrap();
    let files = [("identity.toml", &*identity), ("keys.json", &*document)];
    let rig = Rig::start(JOURNEYS, shop(), &files, |options| options.workers = Some(1));
    let now = NOON.unix_seconds();
    let bearer = |acr: &str| {
        let token = issuer.token(&json!({
            "iss": "https://id.example", "aud": "shop", "sub": "4711", "email": "ada@example.test", "sid": "s1",
            "exp": now + 3600, "iat": now, "auth_time": now - 5, "acr": acr,
        }));
        format!("Bearer {token}")
    };
    while rig.weir().telemetry.gauges.jwks_up.value() != 1 {
        tokio::task::yield_now().await;
    }
    let app = rig.client(Protocol::H2);
    let send = async |method: &str, path: &str, fields: &[(&str, &str)], body: &str| {
        // A client of its own each time: nothing is kept but what the app keeps itself.
        app.clone().send(method, path, fields, body).await
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let right = "email=ada%40example.test&password=right";

    let first = send("POST", "/login", &[form], right).await;
    let device = first.header("weir-device").to_owned();
    assert_eq!(first.status, StatusCode::OK);
    let pass = first.header("weir-pass");
    assert!(!pass.is_empty() && cookies(&first).contains(&format!("weir-pass={pass};")), "its pass as well");
    assert!(!device.is_empty() && cookies(&first).contains(&device), "one device, told in both ways");
    let (weak, strong) = (bearer("pwd"), bearer("urn:weir:aal2"));
    let asked = send("PUT", "/api/email", &[("authorization", &weak), ("weir-device", &device)], "{}").await;
    assert_eq!((asked.status, asked.header("weir-device")), (StatusCode::UNAUTHORIZED, ""));
    assert!(asked.header("www-authenticate").contains("acr_values=\"urn:weir:aal2\""));
    assert_eq!(asked.json()["exits"][0]["acr_values"], "urn:weir:aal2");
    let done = send("PUT", "/api/email", &[("authorization", &strong), ("weir-device", &device)], "{}").await;
    assert_eq!(done.status, StatusCode::OK);
    let again = send("POST", "/login", &[form, ("weir-device", &device)], right).await;
    assert_eq!((again.status, again.header("weir-device")), (StatusCode::OK, ""));
    assert!(!cookies(&again).contains("weir-device="), "{}", cookies(&again));
    // Half way through it is given a fresh one, in the way that it sent the old.
    rig.advance(Duration::from_secs(210 * 24 * 3600));
    let fresh = send("POST", "/login", &[form, ("weir-device", &device)], right).await;
    assert!(!fresh.header("weir-device").is_empty() && fresh.header("weir-device") != device);

    // A browser's is in its cookie alone, where no script reads it.
    for fields in [
        &[form, ("sec-fetch-mode", "cors")][..],
        &[form, ("sec-fetch-mode", "navigate"), ("accept", "text/html")],
        &[form, ("sec-fetch-site", "same-origin"), ("weir-device", "?")],
        &[form, ("cookie", "theme=dark")],
        &[form, ("accept", "text/html")],
    ] {
        let answer = send("POST", "/login", fields, right).await;
        assert_eq!((answer.header("weir-device"), answer.header("weir-pass")), ("", ""), "{fields:?}");
        assert!(cookies(&answer).contains("weir-device="), "{fields:?}");
    }
    let devices: Vec<Value> = rig.stop().into_iter().map(|line| line["device"].clone()).collect();
    assert!(devices[0].is_string() && devices[..5].iter().all(|one| *one == devices[0]), "{devices:?}");
    assert!(devices[5..].iter().all(|one| *one != devices[0]), "{devices:?}");
}
