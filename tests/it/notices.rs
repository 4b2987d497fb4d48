//! What customers read when Weir answers itself, situation by situation, word for word. Every one of them has a way on.

use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::BodyExt as _;
use weir::clock::Moment;
use weir::gate::fault::Fault;
use weir::gate::notice::{Contact, Exit, May, Notice, Reader, Voice};
use weir::listen::host::HostFault;
use weir::rules::notices::{BUILT_IN, Language, Notices, Templates};
use weir::rules::ruleset::Otherwise;
use weir::upstream::Failure;

use crate::support::{NOON, golden};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Every situation, by name.
pub fn situations() -> Vec<(&'static str, Notice)> {
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
        ("automation_narrowed", narrowed()),
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

fn narrowed() -> Notice {
    let routes = ["GET /order-status", "GET /api/v1/orders"].map(str::to_owned).to_vec();
    Notice {
        until: Some(Moment::from_unix_seconds(NOON.unix_seconds() + 7_200)),
        only: vec![May { journey: "order_status".into(), routes }],
        ..Notice::automation_narrowed()
    }
}

/// The help of a shop, at noon or after hours.
pub fn help(open: bool) -> Exit {
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

/// A law that speaks one language: in its own words where it is built in, else in English ones.
pub fn speaking(tag: &str) -> Notices {
    let known = if BUILT_IN.contains(&tag) { tag } else { "en" };
    let mut language = Language::built_in(known).unwrap();
    language.tag = tag.into();
    Notices::speaking(vec![language], Templates::default()).unwrap()
}

/// The head, without what every answer has, and the body.
async fn said(notice: Notice, reader: Reader, notices: &Notices) -> (String, String) {
    let answered = notice.answer(&Voice::plain(notices, reader, NOON), ID);
    assert!(answered.failed.is_none());
    let answer = answered.response;
    let spoken = answer.headers()[http::header::CONTENT_LANGUAGE].to_str().unwrap().to_owned();
    assert_eq!(*spoken, *notices.languages()[0].tag);
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
        let (head, body) = said(notice, Reader::Program, &Notices::default()).await;
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        let exits = document["exits"].as_array().unwrap();
        assert!(!exits.is_empty(), "{name} is a dead end");
        assert_eq!(document["status"].to_string(), head[..3], "{name}");
        all += &format!("== {name}\n{head}{document:#}\n\n");
    }
    golden("problems", &all);
}

/// What every page owes to people: one headline, landmarks, links with words, a language, a size.
fn is_accessible(name: &str, tag: &str, body: &str) {
    assert!(body.len() <= 14_336, "{name} in {tag} has {} bytes", body.len());
    assert!(body.starts_with(&format!("<!doctype html>\n<html lang=\"{tag}\" dir=\"ltr\">")), "{name}: {body}");
    for once in ["<title>", "<h1>", "<main>", "<footer>", "<meta name=\"viewport\""] {
        assert_eq!(body.matches(once).count(), 1, "{name} in {tag}: {once}");
    }
    for never in ["<script", "<img", "@import", "url(", " src=", "http-equiv", "user-scalable", "maximum-scale", " on"]
    {
        let inside = body.split('<').any(|tag| tag.split('>').next().unwrap_or_default().contains(never));
        assert!(!inside && (never == " on" || !body.contains(never)), "{name} in {tag} has {never}");
    }
    for link in body.split("<a ").skip(1) {
        let words = link.split_once('>').unwrap().1.split_once("</a>").unwrap().0;
        assert!(!words.trim().is_empty() && link.contains("href=\""), "{name} in {tag}: a link without words");
    }
    assert!(body.find("<h1>").unwrap() < body.find("<h2>").unwrap_or(usize::MAX), "{name} in {tag}");
    assert!(!body.contains('{') || body.find('{').unwrap() < body.find("</style>").unwrap(), "{name} in {tag}");
    let words = body.split_once("</style>").unwrap().1;
    assert!(!words.contains('{') && !words.contains("none"), "{name} in {tag} has a place that nobody filled: {words}");
}

#[tokio::test]
async fn a_person_reads_a_page_with_a_way_on_in_every_language() {
    for (tag, file) in BUILT_IN.into_iter().zip(["pages", "pages_de"]) {
        let notices = speaking(tag);
        let mut all = String::new();
        for (name, mut notice) in situations() {
            if name == "handoff" || name == "read_only" {
                notice.exits.push(help(name == "handoff"));
            }
            let (head, body) = said(notice, Reader::Browser, &notices).await;
            is_accessible(name, tag, &body);
            let main = body.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0.trim();
            let way_on = ["<a href=", "<a class=\"go\" href=", "Please try again in ", "Bitte versuchen Sie es in "];
            assert!(way_on.iter().any(|way| main.contains(way)), "{name} is a dead end: {main}");
            all += &format!("== {name}\n{head}{main}\n\n");
        }
        golden(file, &all);
    }
}

#[tokio::test]
async fn a_grpc_client_reads_a_status_in_the_header() {
    let mut all = String::new();
    for tag in BUILT_IN {
        let notices = speaking(tag);
        for (name, notice) in situations() {
            let answer = notice.answer(&Voice::plain(&notices, Reader::Grpc, NOON), ID).response;
            assert_eq!(answer.status(), StatusCode::OK, "gRPC takes any other status for a broken transport");
            assert!(http_body::Body::is_end_stream(answer.body()), "{name} has a message");
            let field = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(field("content-type"), "application/grpc");
            assert_ne!(field("grpc-status"), "0", "{name}");
            let exits: Vec<serde_json::Value> = serde_json::from_str(&field("weir-exits")).unwrap();
            assert!(!exits.is_empty() && exits.iter().all(|exit| exit["kind"].is_string()), "{name} is a dead end");
            let (code, pushback) = (field("grpc-status"), field("grpc-retry-pushback-ms"));
            all += &format!("{name}: {code}, {pushback}, {}, {}\n", field("weir-reference"), field("grpc-message"));
        }
    }
    golden("grpc", &all);
}

#[tokio::test]
async fn a_notice_never_tells_how_it_was_decided() {
    for ((name, notice), reader) in
        situations().into_iter().chain(situations()).zip([Reader::Browser, Reader::Program].into_iter().cycle())
    {
        for tag in BUILT_IN {
            let notice = Notice {
                fields: notice.fields.clone(),
                exits: notice.exits.clone(),
                reference: None,
                playbook: None,
                only: notice.only.clone(),
                ..notice
            };
            let (_, body) = said(notice, reader, &speaking(tag)).await;
            let words = body.split_once("<main>").map_or(body.as_str(), |(_, main)| main).to_lowercase();
            for word in [
                "confidence",
                "score",
                "signal",
                "device",
                "network",
                "journey",
                " rung ",
                "upstream ",
                "fraud",
                "attack",
                "betrug",
                "angriff",
                "gerät ",
                "netzwerk",
                "punkte",
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
        (Method::GET, headers(&[("accept", "application/json, text/html;q=0.1")]), Reader::Program),
        (Method::GET, headers(&[("accept", "text/html;q=0")]), Reader::Program),
        (Method::GET, headers(&[("accept", "TEXT/HTML")]), Reader::Browser),
        (Method::PUT, headers(&[("accept", html)]), Reader::Program),
        (Method::GET, headers(&[]), Reader::Program),
    ] {
        assert_eq!(Reader::of(&method, Version::HTTP_11, &fields), reader, "{method} {fields:?}");
    }
    for (version, kind, reader) in [
        (Version::HTTP_2, "application/grpc", Reader::Grpc),
        (Version::HTTP_2, "application/grpc+proto", Reader::Grpc),
        (Version::HTTP_2, "application/grpc;x=y", Reader::Grpc),
        (Version::HTTP_2, "application/grpc-web", Reader::Program),
        (Version::HTTP_2, "application/grpcish", Reader::Program),
        (Version::HTTP_11, "application/grpc", Reader::Program),
    ] {
        let fields = headers(&[("content-type", kind)]);
        assert_eq!(Reader::of(&Method::POST, version, &fields), reader, "{version:?} {kind}");
    }
}
