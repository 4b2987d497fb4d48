//! Every action, over HTTP/1.1 and HTTP/2, as a program and as a browser meets it.

use std::time::Duration;

use http::StatusCode;

use crate::support::Rig;
use crate::support::client::{BOTH, Protocol};
use crate::support::upstream::Upstream;

/// One journey for each action; the signed-in customer of a new browser scores between 55 and 75.
const JOURNEYS: &str = concat!(
    include_str!("support/journeys/sign_in_by_password.toml"),
    r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
when_unknown = "step_up"

"#,
    include_str!("support/journeys/each_action.toml"),
    r#"
[[refuse]]
name = "secrets"
when = { path_suffix = "/.env" }
"#
);

#[tokio::test]
async fn allow_passes_the_request_on_and_tells_the_upstream_what_weir_knows() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        let spoofed = [("weir-confidence", "100"), ("Weir_Journey", "none"), ("x-forwarded-for", "1.2.3.4")];
        let answer = client.send("GET", "/account/balance?of=today", &spoofed, "").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "GET /account/balance?of=today"));
        let seen = rig.upstream.last();
        assert_eq!(seen.header("weir-journey"), "balance");
        let confidence: u8 = seen.header("weir-confidence").parse().unwrap();
        assert!((55..75).contains(&confidence), "{confidence}");
        assert_eq!(seen.headers.get_all("weir-confidence").iter().count(), 1);
        assert!(!seen.headers.contains_key("weir_journey"));
        assert_eq!(seen.header("weir-request-id"), answer.header("weir-request-id"));
        assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
        assert_eq!(seen.header("x-forwarded-proto"), "https");
        assert!(seen.header("via").ends_with(" weir"), "{}", seen.header("via"));
        for secret in ["weir-confidence", "weir-journey"] {
            assert!(!answer.headers.contains_key(secret), "{secret} reached the customer");
        }
    }
}

#[tokio::test]
async fn step_up_challenges_a_program_and_lets_it_through_once_the_proof_is_given() {
    for protocol in BOTH {
        let rig = Rig::with(JOURNEYS);
        let mut client = rig.signed_in(protocol).await;
        let asked = client.post("/account/email", "email=new").await;
        assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
        let challenge = asked.header("www-authenticate");
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("insufficient_user_authentication"),
            "{challenge}"
        );
        assert!(challenge.contains(r#"acr_values="urn:weir:aal2""#) && !challenge.contains("max_age"), "{challenge}");
        assert_eq!(asked.header("content-type"), "application/problem+json");
        assert_eq!(asked.header("cache-control"), "no-store");
        assert_eq!(asked.exits(), ["step_up", "contact"]);
        let problem = asked.json();
        assert_eq!((&problem["type"], &problem["status"]), (&"urn:weir:problem:step-up".into(), &401.into()));

        assert_eq!(client.post("/verify", "code=wrong").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(client.post("/account/email", "email=new").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
        assert_eq!(client.post("/account/email", "email=new").await.status, StatusCode::OK);

        rig.advance(Duration::from_secs(601));
        let stale = client.post("/account/email", "email=new").await;
        assert_eq!(stale.status, StatusCode::UNAUTHORIZED);
        assert!(stale.header("www-authenticate").contains(r#"max_age="600""#), "freshness is what is missing");
        let mut thief = rig.client(protocol);
        assert_eq!(
            thief.post("/account/email", "email=new").await.status,
            StatusCode::UNAUTHORIZED,
            "bound to the session"
        );
    }
}

#[tokio::test]
async fn step_up_takes_a_browser_to_the_page_and_back_to_where_it_was() {
    for protocol in BOTH {
        let rig = Rig::with(JOURNEYS);
        let mut client = rig.signed_in(protocol).await;
        let navigate = [("sec-fetch-mode", "navigate"), ("accept", "text/html")];
        let sent = client.send("GET", "/account/email?tab=2", &navigate, "").await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER);
        let page = sent.header("location").to_owned();
        assert!(page.starts_with("/verify?rt="), "{page}");
        let rt = page.split("rt=").nth(1).unwrap();
        let back = client.send("GET", &format!("/.well-known/weir/return?rt={rt}"), &navigate, "").await;
        assert_eq!((back.status, back.header("location")), (StatusCode::SEE_OTHER, "/account/email?tab=2"));
        let forged = rt.replace(&rt[rt.len() - 4..], "AAAA");
        let refused = client.send("GET", &format!("/.well-known/weir/return?rt={forged}"), &navigate, "").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let mut other = rig.client(protocol);
        let stolen = other.send("GET", &format!("/.well-known/weir/return?rt={rt}"), &navigate, "").await;
        assert_eq!(stolen.status, StatusCode::BAD_REQUEST, "a return target belongs to its session");

        let here = format!("https://{}/account/settings", rig.weir().addresses[0]);
        let change = [("sec-fetch-mode", "navigate"), ("referer", here.as_str())];
        let sent = client.send("POST", "/account/email", &change, "email=new").await;
        assert!(sent.header("location").ends_with("&resend=1"), "{}", sent.header("location"));
        rig.advance(Duration::from_secs(16 * 60));
        let late = client.send("GET", &format!("/.well-known/weir/return?rt={rt}"), &navigate, "").await;
        assert_eq!(late.status, StatusCode::BAD_REQUEST, "a return target expires");
    }
}

#[tokio::test]
async fn a_client_that_repeats_a_challenged_request_for_ever_is_told_in_a_way_that_ends_it() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.signed_in(Protocol::H1).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let asked = client.post("/account/email", "email=new").await;
        assert!(asked.header("www-authenticate").contains("insufficient_user_authentication"));
        statuses.push(asked.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 403, 403]);
}

#[tokio::test]
async fn read_only_shows_and_does_not_change() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        assert_eq!(client.get("/account/address").await.status, StatusCode::OK);
        let before = rig.upstream.seen().len();
        let held = client.post("/account/address", "street=1").await;
        assert_eq!(held.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(held.exits(), ["wait", "read", "contact"]);
        assert_eq!((held.header("x-should-retry"), held.header("retry-after").is_empty()), ("false", false));
        assert_eq!(rig.upstream.seen().len(), before, "the change reached nobody");
        let page = client.send("POST", "/account/address", &[("accept", "text/html")], "street=1").await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(
            page.text().contains("<html lang=\"en\" dir=\"ltr\">") && page.text().contains("You can look"),
            "{}",
            page.text()
        );
        assert!(page.text().len() < 14 * 1024 && !page.text().contains("<script"));
    }
}

#[tokio::test]
async fn handoff_gives_a_reference_and_says_which_help_is_open_now() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        let given = client.post("/gift", "").await;
        assert_eq!(given.status, StatusCode::FORBIDDEN);
        let problem = given.json();
        let reference = problem["handoff"]["reference"].as_str().unwrap();
        assert_eq!(reference.chars().filter(char::is_ascii_digit).count(), 9, "{reference}");
        assert_eq!(problem["handoff"]["expires"], "2026-11-03T12:00:00Z");
        let contact = &problem["exits"][0];
        assert_eq!((&contact["kind"], &contact["open"]), (&"contact".into(), &true.into()));
        assert_eq!(contact["phone"], "+44 20 7946 0000");
        let again = client.post("/gift", "").await;
        assert_eq!(again.json()["handoff"]["reference"], reference, "one open reference, however often it asks");
    }
    rig.advance(Duration::from_secs(11 * 3600));
    let mut late = rig.signed_in(Protocol::H1).await;
    let contact = late.post("/gift", "").await.json()["exits"][0].clone();
    assert_eq!((&contact["open"], &contact["opens"]), (&false.into(), &"2026-11-03T08:00:00Z".into()));
    assert_eq!(contact["otherwise"], "callback");
}

#[tokio::test]
async fn deny_and_refuse_are_plain_and_still_name_a_person() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let denied = client.get("/export").await;
        assert_eq!((denied.status, denied.exits()), (StatusCode::FORBIDDEN, vec!["contact".to_owned()]));
        for path in ["/.env", "/a/.env", "/%2eenv", "/a/%252eenv", "/.ENV"] {
            let refused = client.get(path).await;
            assert_eq!(
                (refused.status, refused.exits()),
                (StatusCode::FORBIDDEN, vec!["contact".to_owned()]),
                "{path}"
            );
        }
        assert!(rig.upstream.seen().is_empty(), "nothing went on");
    }
}

#[tokio::test]
async fn throttle_serves_a_client_only_so_often_and_keeps_its_promise() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H1);
    assert_eq!(client.get("/search").await.status, StatusCode::OK);
    let told = client.get("/search").await;
    assert_eq!(told.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = told.header("retry-after").parse().unwrap();
    assert_eq!(client.get("/search").await.header("retry-after"), told.header("retry-after"), "the same however often");
    rig.advance(Duration::from_secs(seconds));
    assert_eq!(client.get("/search").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_app_of_another_origin_can_read_what_weir_says_and_preflights_go_through() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let app = ("origin", "https://app.example");
        let held = client.send("POST", "/gift", &[app], "").await;
        assert_eq!(held.header("access-control-allow-origin"), "https://app.example");
        assert_eq!(held.header("access-control-allow-credentials"), "true");
        assert!(held.header("access-control-expose-headers").contains("WWW-Authenticate"));
        let stranger = client.send("POST", "/gift", &[("origin", "https://evil.example")], "").await;
        assert_eq!(stranger.header("access-control-allow-origin"), "");
        let preflight = [app, ("access-control-request-method", "POST")];
        assert_eq!(client.send("OPTIONS", "/gift", &preflight, "").await.status, StatusCode::OK);
        assert_eq!(rig.upstream.last().method, "OPTIONS");
        assert_eq!(client.send("OPTIONS", "/gift", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn an_upstream_that_goes_while_its_connections_rest_is_missed_at_once() {
    for _ in 0..8 {
        let mut rig = Rig::with(JOURNEYS);
        let mut client = rig.client(Protocol::H1);
        for _ in 0..4 {
            assert_eq!(client.get("/anything").await.status, StatusCode::OK);
        }
        rig.upstream.go();
        for _ in 0..2 {
            let gone = client.get("/anything").await;
            assert!(gone.header("proxy-status").starts_with("weir; error=connection_refused"), "{gone:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_said_calmly_and_honestly() {
    let mut upstream = Upstream::shop();
    upstream.go();
    let rig = Rig::start(JOURNEYS, upstream, &[], |_| {});
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let gone = client.get("/anything").await;
        assert_eq!(gone.status, StatusCode::BAD_GATEWAY);
        assert!(
            gone.header("proxy-status").starts_with("weir; error=connection_refused"),
            "{}",
            gone.header("proxy-status")
        );
        assert_eq!(gone.exits(), ["wait", "contact"]);
        let id = gone.header("weir-request-id");
        assert_eq!(gone.json()["reference"], format!("{} {} {}", &id[..4], &id[4..8], &id[8..12]));
        assert_eq!(gone.json()["instance"], format!("urn:weir:request:{id}"));
    }
}

#[tokio::test]
async fn what_no_site_or_journey_can_mean_is_refused_before_it_is_judged() {
    let rig = Rig::with(JOURNEYS);
    for protocol in BOTH {
        let mut client = rig.signed_in(protocol).await;
        for (method, path, status) in [
            ("DELETE", "/account/balance", 405),
            ("GET", "/account;x/balance", 400),
            ("GET", "/%2561ccount/balance", 400),
            ("GET", "//account/balance", 400),
            ("GET", "/account/balance/", 200),
            ("GET", "/Account/Balance", 200),
            ("GET", "/x/../account/balance", 200),
            ("HEAD", "/account/balance", 200),
        ] {
            let answer = client.send(method, path, &[], "").await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}: {:?}", answer.body);
            if status == 200 {
                assert_eq!(rig.upstream.last().header("weir-journey"), "balance", "{path}");
            }
        }
        let over = [("x-http-method-override", "DELETE")];
        assert_eq!(client.send("GET", "/account/balance", &over, "").await.status, StatusCode::BAD_REQUEST);
    }
    let mut client = rig.client(Protocol::H1);
    let elsewhere = client.send("GET", "/", &[("host", "elsewhere.example")], "").await;
    assert_eq!(elsewhere.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn every_request_leaves_one_line_with_its_reasons_and_no_secret() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.signed_in(Protocol::H2).await;
    client.get("/account/balance").await;
    client.post("/gift", "").await;
    client.get("/secret-token-in-a-path?token=hunter2").await;
    client.get("/.env").await;
    let session = client.cookies.iter().find(|(name, _)| name == "sid").unwrap().1.clone();
    let text = rig.lines.clone();
    let mut lines = rig.stop();
    // Two workers write, each in its own order.
    let order = ["login", "balance", "gift"];
    lines.sort_by_key(|line| order.iter().position(|name| line["journey"] == *name).unwrap_or(order.len()));
    let said: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["journey"].as_str().unwrap_or("-"), line["action"].as_str().unwrap())).collect();
    assert_eq!(said[..3], [("login", "allow"), ("balance", "allow"), ("gift", "handoff")]);
    let mut unlisted = said[3..].to_vec();
    unlisted.sort_unstable();
    assert_eq!(unlisted, [("-", "allow"), ("-", "deny")]);
    let balance = &lines[1];
    assert_eq!((&balance["status"], &balance["generation"]), (&200.into(), &1.into()));
    let because: Vec<&str> = balance["because"].as_array().unwrap().iter().map(|why| why.as_str().unwrap()).collect();
    let sum: f64 = because.iter().map(|why| why.split(' ').nth(1).unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(
        (50.0 + sum).floor(),
        balance["confidence"].as_f64().unwrap(),
        "the explanation is the arithmetic: {because:?}"
    );
    for secret in ["hunter2", "ada@", "=right", session.as_str(), "127.0.0.1", "secret-token"] {
        assert!(!text.text().contains(secret), "{secret} is in the log");
    }
}
