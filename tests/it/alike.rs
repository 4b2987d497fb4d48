//! Whoever signs in or asks for a new password is told the same whether the account exists or not, in every mode, with the shipped
//! rules: the same status, the same header, the same words. Two gateways live through the same days with the same customer; then a
//! stranger tries the customer's account at one of them, and an account that nobody has at the other.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use regex::Regex;
use weir::demo::rules::SHIPPED;

use crate::arming::{arm, because};
use crate::support::Rig;
use crate::support::client::{Answer, Client};
use crate::support::upstream::Upstream;

const CUSTOMER: &str = "ada@example.test";
const NOBODY: &str = "zoltan@example.test";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const PAGE: (&str, &str) = ("accept", "text/html");

/// An application that says the same to everybody who is wrong.
fn shop() -> Upstream {
    Upstream::answering(|seen| {
        let body = std::str::from_utf8(&seen.body).unwrap_or_default();
        let right = ["ada", "bob"].iter().any(|name| body.contains(name)) && body.contains("right");
        let (status, said) = match seen.uri.path() {
            "/login" | "/api/v1/session" if right => (StatusCode::SEE_OTHER, ""),
            "/login" | "/api/v1/session" => (StatusCode::UNAUTHORIZED, "Wrong."),
            "/verify" => (StatusCode::SEE_OTHER, ""),
            "/healthz" => (StatusCode::OK, ""),
            _ => (StatusCode::ACCEPTED, "If there is such an account, a letter is on its way."),
        };
        let mut answer = Response::builder().status(status);
        if right {
            answer = answer.header("set-cookie", format!("sid={}; Path=/", seen.header("weir-request-id")));
        }
        answer.body(Full::new(Bytes::from_static(said.as_bytes()))).unwrap()
    })
}

/// A gateway with the shipped rules, behind a proxy that says from where each comes, and a customer of some days; and another one.
async fn lived() -> (Rig, Client) {
    // What arms itself by the time that passes outside would make this a matter of luck.
    let own = |text: &str| {
        text.replace("trusted_proxies = []", "trusted_proxies = [\"127.0.0.0/8\"]")
            .replace("then = \"arm\"", "then = \"propose\"")
    };
    let law = SHIPPED.iter().filter(|(name, _)| *name != "gateway.toml");
    let files: Vec<(&str, String)> = law.map(|(name, text)| (*name, own(text))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let journeys = SHIPPED.iter().find(|(name, _)| *name == "journeys.toml").unwrap().1;
    let rig = Rig::start(journeys, shop(), &files, |options| options.workers = Some(1));
    let mut customer = rig.clear_client();
    let from = ("x-forwarded-for", "192.0.2.7");
    for day in 0..9 {
        let right = format!("email={CUSTOMER}&password=right");
        let signed_in = customer.send("POST", "/login", &[from, FORM], &right).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "day {day}: {}", signed_in.text());
        customer.send("POST", "/verify", &[from, FORM], "code=1").await;
        rig.advance(Duration::from_secs(24 * 3600));
    }
    let mut another = rig.clear_client();
    let own = [FORM, ("x-forwarded-for", "198.51.100.4")];
    let signed_in = another.send("POST", "/login", &own, "email=bob@example.test&password=right").await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.text());
    (rig, another)
}

/// Where an attempt comes from.
enum From {
    /// One place, one browser that keeps its cookies.
    One,
    /// Everywhere, each time anew.
    Everywhere,
    /// The browser of another customer, who is signed in.
    Another,
}

/// What a stranger is told who tries this account in many ways, one after the other.
async fn told((rig, another): &(Rig, Client), account: &str, tries: [u32; 3]) -> Vec<String> {
    let mut all = Vec::new();
    let name = account.split('@').next().unwrap();
    for (round, (from, tries)) in [From::Everywhere, From::One, From::Another].into_iter().zip(tries).enumerate() {
        let mut kept = if let From::Another = from { another.clone() } else { rig.clear_client() };
        for n in 0..tries {
            let (method, path, fields, body) = match n % 5 {
                0 | 3 => ("POST", "/login", &[FORM, PAGE][..], format!("email={account}&password=guess{n}")),
                1 => (
                    "POST",
                    "/api/v1/session",
                    &[JSON][..],
                    format!("{{\"email\":\"{account}\",\"password\":\"{n}\"}}"),
                ),
                2 => ("POST", "/password/reset", &[FORM, PAGE][..], format!("email={account}")),
                _ => ("POST", "/api/v1/password-resets", &[JSON][..], format!("{{\"email\":\"{account}\"}}")),
            };
            let everywhere = format!("{}.{}.3.4", 60 + round, n + 1);
            let here = match from {
                From::One => "203.0.113.9",
                From::Everywhere => &everywhere,
                From::Another => "198.51.100.4",
            };
            let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("x-forwarded-for", here)]).collect();
            let answer = match from {
                From::One | From::Another => kept.send(method, path, &fields, &body).await,
                From::Everywhere => rig.clear_client().send(method, path, &fields, &body).await,
            };
            let said = masked(&answer);
            assert!(!said.contains(name), "{said}");
            all.push(format!("{method} {path}\n{said}"));
            rig.advance(Duration::from_secs(2));
        }
    }
    all
}

/// An answer without what is every request's own: its id, its reference, its signed way back, its device. How long to wait is spread
/// between clients by a keyed hash of what is counted, and says nothing of it.
fn masked(answer: &Answer) -> String {
    let head = |(name, value): (&http::HeaderName, &http::HeaderValue)| match name.as_str() {
        "date" | "weir-request-id" | "content-length" => None,
        _ => Some(format!("{name}: {}", value.to_str().unwrap())),
    };
    let mut fields: Vec<String> = answer.headers.iter().filter_map(head).collect();
    fields.sort_unstable();
    let mut text = format!("{}\n{}\n\n{}", answer.status, fields.join("\n"), answer.text());
    text = text.replace(answer.header("weir-request-id"), "ID");
    for (own, masked) in [
        (r"(?s)<style>.*</style>", ""),
        (r"\b[0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4}\b", "REFERENCE"),
        (r"\b\d{3} \d{3} \d{3}\b", "HANDOFF"),
        (r"weir-device(=|: )[^;\n]+", "weir-device${1}OWN"),
        (r"rt=[\w.~-]+", "rt=SIGNED"),
        (r"(retry-after: |;t=|seconds.:)\d+", "${1}WAIT"),
        (r"\b\d+ (second|minute)s?\b", "WAIT"),
    ] {
        text = Regex::new(own).unwrap().replace_all(&text, masked).into_owned();
    }
    text
}

/// Both gateways in this mode, and every answer of the one beside that of the other.
async fn in_mode(mode: &str, tries: [u32; 3], enter: impl Fn(&mut Rig)) -> Vec<String> {
    let (mut one, mut other) = tokio::join!(lived(), lived());
    enter(&mut one.0);
    enter(&mut other.0);
    let (known, unknown) = tokio::join!(told(&one, CUSTOMER, tries), told(&other, NOBODY, tries));
    for (at, (known, unknown)) in known.iter().zip(&unknown).enumerate() {
        assert!(known == unknown, "{mode}: answer {at}\n{known}\n\n{unknown}");
    }
    known
}

fn kinds(said: &[String]) -> Vec<u16> {
    let status = |said: &String| said.lines().nth(1).unwrap()[..3].parse().unwrap();
    let mut all: Vec<u16> = said.iter().map(status).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_whether_an_account_exists_in_calm_times_or_while_the_application_is_away_or_fails() {
    let calm = in_mode("calm", [40, 20, 15], |_| {}).await;
    assert_eq!(kinds(&calm), [202, 401, 403, 429], "served, held by a person, and limited by account and by rung");
    let limited = |said: &&String| said.contains("_per_account\";q=");
    assert!(calm.iter().any(|said| limited(&said)), "an account is limited, whoever's it is");
    let away = in_mode("away", [10, 10, 10], |rig| rig.upstream.go()).await;
    assert!(kinds(&away).contains(&502), "{:?}", kinds(&away));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_whether_an_account_exists_while_a_playbook_is_armed_or_all_of_them_are() {
    let named = SHIPPED.iter().filter_map(|(name, _)| name.strip_prefix("playbooks/")?.strip_suffix(".toml"));
    let named: Vec<&str> = named.collect();
    for playbook in &named {
        in_mode(playbook, [10, 10, 10], |rig| _ = arm(rig, playbook, &because("a test")).unwrap()).await;
    }
    let all = in_mode("all of them", [10, 10, 10], |rig| {
        named.iter().for_each(|name| _ = arm(rig, name, &because("a test")).unwrap())
    })
    .await;
    assert!(kinds(&all).contains(&403), "{:?}", kinds(&all));
}
