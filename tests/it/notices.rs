//! What customers read when Weir answers itself, situation by situation, word for word. Every one of them has a way on.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use weir::clock::Moment;
use weir::gate::fault::Fault;
use weir::gate::notice::{Contact, Exit, Notice, Reader};
use weir::listen::host::HostFault;
use weir::rules::ruleset::Otherwise;
use weir::upstream::Failure;

use crate::support::{NOON, golden};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Every situation, by name.
fn situations() -> Vec<(&'static str, Notice)> {
    let exit = || Exit::StepUp {
        url: Some("/verify?rt=signed".into()),
        acr_values: "urn:weir:aal2".into(),
        max_age: Some(600),
    };
    let until = Moment::from_unix_seconds(NOON.unix_seconds() + 86_400);
    let challenge = "Bearer realm=\"shop.example\", error=\"insufficient_user_authentication\"";
    vec![
        ("step_up_to_see", Notice::step_up(StatusCode::UNAUTHORIZED, challenge, exit(), false)),
        ("step_up_to_change", Notice::step_up(StatusCode::UNAUTHORIZED, challenge, exit(), true)),
        ("read_only", Notice::read_only(Some("/account/address".into()))),
        ("throttle", Notice::throttle(30)),
        ("handoff", Notice::handoff(Some("123 456 789".into()), Some(until))),
        ("denied", Notice::denied()),
        ("refused", Notice::refused(StatusCode::FORBIDDEN)),
        ("broken", Notice::broken()),
        ("host", Notice::fault(&Fault::Host(HostFault::Several))),
        ("request", Notice::fault(&Fault::Host(HostFault::Tunnel))),
        ("target", Notice::fault(&Fault::AmbiguousTarget)),
        ("unknown_site", Notice::fault(&Fault::UnknownSite("elsewhere.example".into()))),
        ("method", Notice::fault(&Fault::MethodNotAllowed { allow: "GET, HEAD".into() })),
        ("method_override", Notice::fault(&Fault::MethodOverride)),
        ("too_large", Notice::fault(&Fault::BodyTooLarge(10_485_760))),
        ("too_slow", Notice::fault(&Fault::BodyTooSlow)),
        ("incomplete", Notice::fault(&Fault::BodyBroken("chunk".into()))),
        ("invalid_token", Notice::fault(&Fault::InvalidToken("expired"))),
        ("return", Notice::fault(&Fault::ReturnTarget)),
        ("busy", Notice::fault(&Fault::Busy { upstream: "shop".into(), come_back: 2 })),
        ("upstream_away", Notice::fault(&Fault::Upstream(Failure::ConnectTimeout))),
        ("upstream_silent", Notice::fault(&Fault::Upstream(Failure::AnswerTimeout))),
    ]
}

/// The help of a shop, at noon or after hours.
fn help(open: bool) -> Exit {
    Exit::Contact(Contact {
        phone: Some("+44 20 7946 0000".into()),
        relay: Some("18001 020 7946 0000".into()),
        chat: Some("https://help.example/chat".into()),
        hours: Some("Mo-Su 08:00-20:00 Europe/London".into()),
        open,
        opens: (!open).then(|| Moment::from_unix_seconds(NOON.unix_seconds() + 20 * 3_600)),
        otherwise: (!open).then_some(Otherwise::Callback),
    })
}

/// The head, without what every answer has, and the body.
async fn said(notice: Notice, reader: Reader) -> (String, String) {
    let answer = notice.answer(reader, ID);
    assert!(answer.status().is_client_error() || answer.status().is_server_error());
    let field = |name: HeaderName| answer.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default().to_vec();
    assert_eq!(field(http::header::CACHE_CONTROL), b"no-store");
    assert_eq!(field(http::header::X_CONTENT_TYPE_OPTIONS), b"nosniff");
    let mut head = format!("{}\n", answer.status());
    for name in ["www-authenticate", "allow", "retry-after", "x-should-retry", "proxy-status"] {
        if let Some(value) = answer.headers().get(name) {
            head += &format!("{name}: {}\n", value.to_str().unwrap());
        }
    }
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (head, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_program_reads_a_problem_document() {
    let mut all = String::new();
    for (name, notice) in situations() {
        let (head, body) = said(notice, Reader::Program).await;
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        let exits = document["exits"].as_array().unwrap();
        assert!(!exits.is_empty(), "{name} is a dead end");
        assert_eq!(document["status"].to_string(), head[..3], "{name}");
        all += &format!("== {name}\n{head}{document:#}\n\n");
    }
    golden("problems", &all);
}

#[tokio::test]
async fn a_person_reads_a_page_with_a_way_on() {
    let mut all = String::new();
    for (name, mut notice) in situations() {
        if name == "handoff" || name == "read_only" {
            notice.exits.push(help(name == "handoff"));
        }
        let (head, body) = said(notice, Reader::Browser).await;
        assert!(body.len() <= 14 * 1024 && body.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        assert!(!body.contains("<script") && !body.contains("<img") && !body.contains("@import"), "{name}");
        let main = body.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0.trim();
        let way_on = ["<a href=", "<a class=\"go\" href=", "Please try again in "];
        assert!(way_on.iter().any(|way| main.contains(way)), "{name} is a dead end: {main}");
        all += &format!("== {name}\n{head}{main}\n\n");
    }
    golden("pages", &all);
}

#[tokio::test]
async fn a_notice_never_tells_how_it_was_decided() {
    for (name, notice) in situations() {
        for reader in [Reader::Browser, Reader::Program] {
            let notice = Notice {
                fields: notice.fields.clone(),
                exits: notice.exits.clone(),
                detail: notice.detail.clone(),
                reference: None,
                ..notice
            };
            let (_, body) = said(notice, reader).await;
            let words = body.split_once("<main>").map_or(body.as_str(), |(_, main)| main).to_lowercase();
            for word in [
                "confidence",
                "score",
                "signal",
                "device",
                "network",
                "journey",
                "rung",
                "upstream ",
                "fraud",
                "attack",
            ] {
                assert!(!words.contains(word), "{name} says {word:?}: {words}");
            }
        }
    }
}

#[test]
fn only_what_navigates_gets_a_page() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    };
    let html = "text/html,application/xhtml+xml";
    for (method, fields, reader) in [
        (Method::GET, headers(&[("accept", html)]), Reader::Browser),
        (Method::POST, headers(&[("accept", html), ("sec-fetch-mode", "navigate")]), Reader::Browser),
        (Method::GET, headers(&[("accept", html), ("sec-fetch-mode", "cors")]), Reader::Program),
        (Method::GET, headers(&[("accept", "*/*")]), Reader::Program),
        (Method::PUT, headers(&[("accept", html)]), Reader::Program),
        (Method::GET, headers(&[]), Reader::Program),
    ] {
        assert_eq!(Reader::of(&method, &fields), reader, "{method} {fields:?}");
    }
}
