//! A sign-in is judged twice, and what the upstream answers is what Weir learns.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::support::Rig;
use crate::support::client::{BOTH, Client, Protocol};
use crate::support::upstream::Upstream;

const JOURNEYS: &str =
    concat!(include_str!("support/journeys/sign_in.toml"), include_str!("support/journeys/own_balance.toml"));

/// The same, where a sign-in from anywhere new falls short.
fn careful() -> String {
    JOURNEYS.replace("{ at = 53, do = \"allow\" }", "{ at = 90, do = \"allow\" }")
}

#[tokio::test]
async fn guessing_from_one_place_ends_at_a_person_for_known_and_unknown_accounts_alike() {
    for protocol in BOTH {
        let rig = Rig::with(JOURNEYS);
        let mut owner = rig.client(protocol);
        assert_eq!(owner.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
        let mut guesser = rig.client(protocol);
        let mut statuses = Vec::new();
        for n in 0..20 {
            let account = if n % 2 == 0 { "ada" } else { "nobody" };
            statuses.push(guesser.post("/login", &format!("email={account}&password=guess{n}")).await.status.as_u16());
        }
        let first_held = statuses.iter().position(|status| *status == 403).expect("the guessing is held");
        assert!(first_held >= 3, "an honest mistake or two is not: {statuses:?}");
        assert!(statuses[first_held..].iter().all(|status| *status == 403), "whoever is tried: {statuses:?}");
        let ada = guesser.post("/login", "email=ada&password=x").await.json();
        let nobody = guesser.post("/login", "email=nobody&password=x").await.json();
        for member in ["type", "title", "detail", "status"] {
            assert_eq!(ada[member], nobody[member], "the answer does not tell whether an account exists");
        }
        rig.advance(Duration::from_secs(3 * 24 * 3600));
        assert_eq!(
            guesser.post("/login", "email=ada&password=x").await.status,
            StatusCode::UNAUTHORIZED,
            "it is forgotten in time"
        );
    }
}

#[tokio::test]
async fn a_session_that_falls_short_is_opened_only_as_far_as_its_step_up() {
    for protocol in BOTH {
        let rig = Rig::with(&careful());
        let mut client = rig.client(protocol);
        let answer = client.post("/login", "email=ada&password=right").await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "the password was right, and the application's answer goes on"
        );
        let held = client.get("/account/balance").await;
        assert_eq!(held.status, StatusCode::UNAUTHORIZED);
        assert!(held.header("www-authenticate").contains("acr_values"));

        client.get("/account").await;
        assert!(
            !rig.upstream.last().header("cookie").contains("sid="),
            "what no journey guards does not see the session"
        );
        client.get("/verify").await;
        assert!(rig.upstream.last().header("cookie").contains("sid="), "the step-up page does");

        assert_eq!(client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
        assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
        client.get("/account").await;
        assert!(rig.upstream.last().header("cookie").contains("sid="), "after the proof the session is whole");
    }
}

#[tokio::test]
async fn a_held_browser_is_led_to_the_step_up_and_then_to_where_it_was_going() {
    let rig = Rig::with(&careful());
    let mut client = rig.client(Protocol::H2);
    let navigate = [("sec-fetch-mode", "navigate"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = client.send("POST", "/login", &navigate, "email=ada&password=right").await;
    let page = answer.header("location").to_owned();
    assert!(page.starts_with("/verify?rt="), "{page}");
    let rt = page.split("rt=").nth(1).unwrap().to_owned();
    assert_eq!(client.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    let back = client.get(&format!("/.well-known/weir/return?rt={rt}")).await;
    assert_eq!(back.header("location"), "/account");
}

#[tokio::test]
async fn a_sign_out_that_the_application_refuses_does_not_open_a_held_session() {
    let upstream = Upstream::answering(|seen| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        match seen.uri.path() {
            "/login" => {
                *answer.status_mut() = StatusCode::SEE_OTHER;
                answer.headers_mut().insert("set-cookie", "sid=fixed; Path=/".parse().unwrap());
            }
            "/logout" => *answer.status_mut() = StatusCode::SEE_OTHER,
            _ => {}
        }
        answer
    });
    let rig = Rig::start(&careful(), upstream, &[], |_| {});
    let mut client = rig.client(Protocol::H1);
    client.post("/login", "email=ada&password=right").await;
    client.post("/logout", "").await;
    assert_eq!(client.get("/account/balance").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_sign_in_that_opened_a_session_does_not_make_its_own_network_look_like_a_move() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H2);
    for _ in 0..2 {
        client.post("/login", "email=ada&password=right").await;
        client.get("/account/balance").await;
        let confidence: u8 = rig.upstream.last().header("weir-confidence").parse().unwrap();
        assert!(confidence >= 66, "{confidence}: what the session was opened with is what it keeps");
        rig.advance(Duration::from_secs(8 * 24 * 3600));
    }
}

#[tokio::test]
async fn a_device_cookie_is_renewed_at_a_sign_in_before_it_expires() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H2);
    let device =
        |client: &Client| client.cookies.iter().find(|(name, _)| name == "__Host-weir-device").unwrap().1.clone();
    client.post("/login", "email=ada&password=right").await;
    let first = device(&client);
    client.post("/login", "email=ada&password=right").await;
    assert_eq!(device(&client), first, "a fresh cookie stays as it is");
    rig.advance(Duration::from_secs(390 * 24 * 3600));
    client.post("/login", "email=ada&password=right").await;
    let second = device(&client);
    assert_ne!(second, first);
    let id = |cookie: &str| cookie.split('.').nth(2).unwrap().to_owned();
    assert_eq!(id(&second), id(&first), "the same device, for another while");
}

#[tokio::test]
async fn a_session_ends_at_sign_out() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H1);
    client.post("/login", "email=ada&password=right").await;
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
    client.post("/logout", "").await;
    assert_eq!(
        client.get("/account/balance").await.status,
        StatusCode::UNAUTHORIZED,
        "what the journey requires is gone"
    );
}

#[tokio::test]
async fn the_upstream_itself_can_say_who_and_how_strongly_and_nobody_else_can() {
    let upstream = Upstream::answering(|seen| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        let headers = answer.headers_mut();
        match seen.uri.path() {
            "/login" => {
                headers.insert("set-cookie", "sid=one; Path=/".parse().unwrap());
                headers.insert("weir-outcome", "success".parse().unwrap());
                headers.insert("weir-subject", "ada".parse().unwrap());
            }
            "/verify" => {
                headers.insert("weir-authenticated", r#"acr="urn:weir:aal2", amr="otp""#.parse().unwrap());
            }
            _ => {}
        }
        answer
    });
    let rig = Rig::start(&careful(), upstream, &[], |_| {});
    let mut client = rig.client(Protocol::H2);
    let answer = client.post("/login", "email=ada&password=right").await;
    assert_eq!(answer.status, StatusCode::OK);
    for name in ["weir-outcome", "weir-subject"] {
        assert!(!answer.headers.contains_key(name), "{name} is for Weir alone");
    }
    let claimed = [("weir-authenticated", r#"acr="urn:weir:aal2""#)];
    assert_eq!(client.send("GET", "/account/balance", &claimed, "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(rig.upstream.last().header("weir-authenticated"), "");
    let proved = client.post("/verify", "").await;
    assert!(!proved.headers.contains_key("weir-authenticated"));
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK, "the application's own proof counts");
}

#[tokio::test]
async fn a_fault_of_the_upstream_is_no_failed_sign_in() {
    let upstream = Upstream::answering(|_| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer
    });
    let rig = Rig::start(JOURNEYS, upstream, &[], |_| {});
    let mut client = rig.client(Protocol::H1);
    for _ in 0..30 {
        let answer = client.post("/login", "email=ada&password=right").await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "an outage with its retries must not look like guessing"
        );
    }
}

#[tokio::test]
async fn a_login_cannot_hide_its_account_in_a_body_of_unknown_length() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H1);
    let large = format!("email=ada&password=wrong&padding={}", "x".repeat(70_000));
    assert_eq!(client.post("/login", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}
