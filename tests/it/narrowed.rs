//! Automation that a playbook keeps to some journeys: known by its key, its token or its certificate, told what it may still use
//! in the form that it reads, and nobody else touched.

use http::StatusCode;
use rcgen::DnType;
use serde_json::json;
use weir::control::posture::{Ask, scope};

use crate::arming::{arm, because, stand_down};
use crate::classes::{Authority, identity, keys, with_clients};
use crate::identity::Issuer;
use crate::support::client::{Answer, BOTH, Client, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

const JOURNEYS: &str = r#"
[languages]
speak = ["en", "de"]
[journeys.order_status]
routes = ["GET /order-status", "GET /api/v1/orders/{id}"]
ladder = [{ at = 0, do = "allow" }]
[journeys.faq]
routes = ["GET /faq", "POST /shop.questions/ask"]
ladder = [{ at = 0, do = "allow" }]
[journeys.search]
routes = ["GET /search", "POST /shop.search/find"]
ladder = [{ at = 0, do = "allow" }]
"#;

const NARROW: &str = r#"
summary = "x"
owner = "x"
expires = "2h"
[automation]
only = ["order_status", "faq"]
"#;

/// Two hours after noon.
const UNTIL: &str = "2026-11-02T14:00:00Z";

fn is_you_may_only(answer: &Answer, who: &str) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{who}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    // Spread between clients.
    assert!((91..=120).contains(&answer.header("retry-after").parse().unwrap()), "{who}");
    let problem = answer.json();
    let expected = json!({
        "type": "urn:weir:problem:automation-narrowed",
        "status": 403,
        "retryable": false,
        "until": UNTIL,
        "only": [
            { "name": "order_status", "routes": ["GET /order-status", "GET /api/v1/orders/{id}"] },
            { "name": "faq", "routes": ["GET /faq", "POST /shop.questions/ask"] },
        ],
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&problem[member], value, "{who}: {member}");
    }
    assert_eq!(problem["title"], "Automated access is limited right now");
    assert!(problem["detail"].as_str().unwrap().ends_with("If a person needs it, they can continue here."));
    assert_eq!(answer.exits(), ["wait", "read", "contact"]);
    assert_eq!(problem["exits"][1]["url"], "/.well-known/weir/journeys");
}

/// What a client sends, before, while and after the playbook is armed. `None` for whom it does not concern.
type Asks<'a> = (&'a str, Client, Vec<(&'a str, String)>, bool);

async fn narrowed(rig: &Rig, asks: Vec<Asks<'_>>) {
    let ask = async |client: &Client, fields: &[(&str, String)], path: &str| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.clone().send("GET", path, &fields, "").await
    };
    for armed in [false, true, false] {
        match (armed, rig.weir().law.in_force().load().posture.armed.is_empty()) {
            (true, _) => _ = arm(rig, "narrow", &because("a test")).unwrap(),
            (false, false) => _ = stand_down(rig, "narrow", true).unwrap(),
            (false, true) => {}
        }
        for (who, client, fields, automation) in &asks {
            for open in ["/order-status", "/api/v1/orders/7", "/faq"] {
                assert_eq!(ask(client, fields, open).await.status, StatusCode::OK, "{who} {open} {armed}");
            }
            // Those journeys alone: what no journey names is none of them.
            for beyond in ["/search", "/nobody/named/this"] {
                let other = ask(client, fields, beyond).await;
                if armed && *automation {
                    is_you_may_only(&other, who);
                } else {
                    assert_eq!(other.status, StatusCode::OK, "{who} {beyond} {armed}");
                }
            }
        }
    }
}

fn field<'a>(name: &'a str, value: &str) -> Vec<(&'a str, String)> {
    vec![(name, value.to_owned())]
}

const LINES: &str =
    "partner = [{ keys = \"till_keys.toml\", header = \"x-till\" }]\nautomation = [{ keys = \"api_keys.toml\" }]";

/// A rig whose automation shows a key.
fn by_key() -> Rig {
    let (identity, bots, tills) = (identity(LINES), keys(&[("faq-bot", "k-1")]), keys(&[("till 4", "t-4")]));
    let files = [
        ("identity.toml", identity.as_str()),
        ("api_keys.toml", &bots),
        ("till_keys.toml", &tills),
        ("playbooks/narrow.toml", NARROW),
    ];
    Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {})
}

#[tokio::test]
async fn automation_known_by_its_key_is_told_what_it_may_still_use_and_partners_and_people_are_not_touched() {
    let rig = by_key();
    let client = || rig.client(Protocol::H2);
    let both = vec![("x-till", "t-4".to_owned()), ("x-api-key", "k-1".to_owned())];
    let asks = vec![
        ("a bot", client(), field("x-api-key", "k-1"), true),
        ("a bot over HTTP/1.1", rig.client(Protocol::H1), field("x-api-key", "k-1"), true),
        ("a till", client(), field("x-till", "t-4"), false),
        ("a till that shows a bot's key too", client(), both, false),
        ("a person", client(), Vec::new(), false),
        ("a person who makes up a key", client(), field("x-api-key", "k-2"), false),
    ];
    narrowed(&rig, asks).await;
}

#[tokio::test]
async fn automation_known_by_a_claim_of_its_token_is_told_what_it_may_still_use() {
    let issuer = Issuer::p256("one");
    let jwt = r#"{ jwt = { jwks = "file:keys.json", issuer = "https://id.example", audience = "shop", account_claim = "email" } }"#;
    let lines = "partner = [{ jwt_claim = { name = \"client_type\", equals = \"courier\" } }]\nautomation = [{ jwt_claim = { name = \"client_type\", equals = \"bot\" } }]";
    let identity = identity(lines).replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt);
    let document = String::from_utf8(issuer.document()).unwrap();
    let files = [("identity.toml", &*identity), ("keys.json", &*document), ("playbooks/narrow.toml", NARROW)];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {});
    let now = NOON.unix_seconds();
    let token = |client_type: &str| {
        let claims = json!({
            "iss": "https://id.example", "aud": "shop", "sub": "4711", "email": "ada@shop.example", "sid": "s1",
            "exp": now + 3600, "iat": now, "auth_time": now - 60, "acr": "pwd", "client_type": client_type,
        });
        field("authorization", &format!("Bearer {}", issuer.token(&claims)))
    };
    let mut client = rig.client(Protocol::H2);
    // A token whose keys have not come yet proves nothing.
    while rig.weir().telemetry.gauges.jwks_up.value() != 1 {
        client.send("GET", "/faq", &[("authorization", &token("bot")[0].1)], "").await;
    }
    let asks = vec![
        ("a bot", client.clone(), token("bot"), true),
        ("a courier", client.clone(), token("courier"), false),
        ("a person", client.clone(), token("person"), false),
        ("somebody without a token", client, Vec::new(), false),
    ];
    narrowed(&rig, asks).await;
}

#[tokio::test]
async fn automation_known_by_its_certificate_is_told_what_it_may_still_use() {
    let ours = Authority::new("Shop machines");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clients.pem");
    std::fs::write(&file, ours.pem()).unwrap();
    let lines = "partner = [{ client_certificate = \"CN=tills\" }]\nautomation = [{ client_certificate = \"O=Robots\", issuer = \"CN=Shop machines\" }]";
    let identity = identity(lines);
    let files = [("identity.toml", identity.as_str()), ("playbooks/narrow.toml", NARROW)];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, with_clients(false, file));
    for protocol in BOTH {
        let showing = |attributes: &[(DnType, &str)]| {
            let (certificate, key) = ours.vouch(attributes);
            rig.client(protocol).showing(certificate, key)
        };
        let robot = showing(&[(DnType::CommonName, "price watch"), (DnType::OrganizationName, "Robots")]);
        let asks = vec![
            ("a robot", robot, Vec::new(), true),
            ("a till", showing(&[(DnType::CommonName, "tills")]), Vec::new(), false),
            ("a machine of neither", showing(&[(DnType::CommonName, "O=Robots")]), Vec::new(), false),
            ("a person", rig.client(protocol), Vec::new(), false),
        ];
        narrowed(&rig, asks).await;
    }
}

#[tokio::test]
async fn what_automation_may_still_use_is_said_as_a_page_and_as_a_grpc_status_too() {
    let rig = by_key();
    arm(&rig, "narrow", &because("a test")).unwrap();
    let mut client = rig.client(Protocol::H2);
    let fields = [("x-api-key", "k-1"), ("accept", "text/html"), ("accept-language", "de")];
    let page = client.send("GET", "/search", &fields, "").await;
    assert_eq!((page.status, page.header("content-language")), (StatusCode::FORBIDDEN, "de"));
    let text = page.text().replace("&#x2f;", "/");
    for said in [
        "<h1>Automatischer Zugriff",
        "<li><bdi dir=\"ltr\">GET /order-status</bdi></li>",
        "GET /api/v1/orders/{id}",
        "tel:",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.len() <= 14_336 && !text.contains("/.well-known/"), "{text}");
    let grpc = [("x-api-key", "k-1"), ("content-type", "application/grpc"), ("te", "trailers")];
    let call = client.send("POST", "/shop.search/find", &grpc, "\0\0\0\0\0").await;
    assert_eq!(
        (call.status, call.header("grpc-status"), call.header("grpc-retry-pushback-ms")),
        (StatusCode::OK, "7", "-1")
    );
    assert!(call.header("grpc-message").starts_with("Automated access is limited right now"));
    assert_eq!(
        call.header("weir-only"),
        "GET /order-status, GET /api/v1/orders/{id}, GET /faq, POST /shop.questions/ask"
    );
    assert_eq!(call.header("weir-until"), UNTIL);
    let may = client.send("POST", "/shop.questions/ask", &grpc, "\0\0\0\0\0").await;
    assert_eq!(may.header("grpc-status"), "", "the upstream answered");
    let change = client.send("POST", "/nobody/named/this", &[("x-api-key", "k-1")], "").await;
    is_you_may_only(&change, "a bot that changes something");
}

#[tokio::test]
async fn of_two_playbooks_automation_may_use_what_both_leave_and_until_the_last_of_them_ends() {
    let rig = by_key();
    let longer = "summary = \"x\"\nowner = \"x\"\nexpires = \"3h\"\n[automation]\nonly = [\"faq\", \"search\"]\n";
    rig.save("playbooks/longer.toml", longer);
    let bot = [("x-api-key", "k-1")];
    let mut client = rig.client(Protocol::H1);
    let may = |answer: &Answer| {
        let problem = answer.json();
        let only = problem["only"].as_array().unwrap();
        let names: Vec<String> = only.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (names, problem["until"].as_str().unwrap().to_owned())
    };
    arm(&rig, "narrow", &because("a test")).unwrap();
    arm(&rig, "longer", &because("a test")).unwrap();
    let both = client.send("GET", "/search", &bot, "").await;
    assert_eq!(may(&both), (vec!["faq".to_owned()], UNTIL.to_owned()), "only the first keeps it from searching");
    let both = client.send("GET", "/order-status", &bot, "").await;
    assert_eq!(may(&both), (vec!["faq".to_owned()], "2026-11-02T15:00:00Z".to_owned()));
    stand_down(&rig, "longer", true).unwrap();
    stand_down(&rig, "narrow", true).unwrap();
    // Armed for one journey, it leaves every other as it was.
    let one = Ask { scope: Some(scope(["search"].into_iter())), ..because("a test") };
    arm(&rig, "narrow", &one).unwrap();
    let narrowed = client.send("GET", "/search", &bot, "").await;
    assert_eq!(may(&narrowed).0, ["order_status", "faq"]);
    // A trial changes nothing for anybody.
    stand_down(&rig, "narrow", true).unwrap();
    arm(&rig, "narrow", &Ask { shadow: true, ..because("a test") }).unwrap();
    assert_eq!(client.send("GET", "/search", &bot, "").await.status, StatusCode::OK);
}
