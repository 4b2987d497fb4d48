//! The browser script in a real browser and the client for apps in real TypeScript, both against the real gateway.

use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use weir::gate::continuity::feed::CLIENT_TEXT;
use weir::rules::notices::Kind;

use crate::arming::{arm, because, stand_down};
use crate::feed::{Events, JOURNEYS, STORM};
use crate::support::chromium::Chromium;
use crate::support::client::Protocol;
use crate::support::upstream::Upstream;
use crate::support::{Rig, npm};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><title>Shop</title><script src="/.well-known/weir/journeys.js" defer></script></head><body>
<button id="buy" data-weir-journey="checkout" aria-describedby="terms">Buy</button> <span id="terms">As always.</span>
<a id="look" href="/account/balance" data-weir-journey="balance">Balance</a>
<button id="change" data-weir-journey="balance">Change</button>
<button id="email" data-weir-journey="account_change">E-mail</button>
<form id="pay" action="/checkout" method="post" data-weir-journey="checkout"><button id="send">Pay</button></form>
<button id="free" data-weir-journey="unheard_of">Free</button>
<form id="find" action="/account/balance" data-weir-journey="balance"><input name="method"></form>
</body></html>"#;

/// A shop with one page, and a policy that allows nothing but its own.
fn shop() -> Upstream {
    Upstream::answering(|_| {
        let mut answer = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
        let fields = [
            ("content-type", "text/html; charset=utf-8"),
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'",
            ),
        ];
        for (name, value) in fields {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    })
}

fn rig(files: &[(&str, &str)]) -> Rig {
    let files: Vec<(&str, &str)> = [("playbooks/storm.toml", STORM)].into_iter().chain(files.iter().copied()).collect();
    Rig::start(JOURNEYS, shop(), &files, |_| {})
}

fn page(rig: &Rig) -> String {
    format!("http://{}/page", rig.weir().addresses[1])
}

const DISABLED: &str = "document.getElementById('buy').getAttribute('aria-disabled') === 'true'";

#[tokio::test(flavor = "multi_thread")]
async fn a_button_is_greyed_with_its_reason_and_comes_back_by_itself() {
    let rig = rig(&[]);
    let mut browser = Chromium::start().await;
    browser.open(&page(&rig)).await;
    // One more proof is no reason to grey: it is said beforehand.
    browser.until("document.getElementById('email').getAttribute('aria-describedby')").await;
    let email = "document.getElementById('email')";
    assert_eq!(browser.value(&format!("{email}.hasAttribute('aria-disabled')")).await, false);
    assert_eq!(
        browser.value(&format!("{email}.nextElementSibling.textContent")).await,
        "Please confirm that it is you"
    );
    assert_eq!(browser.value(DISABLED).await, false);
    let counts = "window.clicks = []; document.querySelectorAll('button, a, form').forEach((one) => { \
                  one.addEventListener('click', (event) => { window.clicks.push(one.id); if (one.tagName === 'A') event.preventDefault(); }); \
                  one.addEventListener('submit', (event) => { event.preventDefault(); window.clicks.push('sent'); }); }); true";
    browser.value(counts).await;

    arm(&rig, "storm", &because("a test")).unwrap();
    browser.until(DISABLED).await;
    let reason = "We are checking purchases by hand";
    let said = "document.getElementById('buy').getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id).textContent)";
    assert_eq!(browser.value(said).await, json!(["As always.", reason]), "beside what was there");
    assert_eq!(browser.value("document.getElementById('buy').nextElementSibling.className").await, "weir-reason");
    assert_eq!(browser.value("document.getElementById('pay').firstElementChild.textContent").await, reason);
    let disabled = "[...document.querySelectorAll('[aria-disabled=true]')].map((one) => one.id)";
    assert_eq!(
        browser.value(disabled).await,
        json!(["buy", "change", "pay"]),
        "a link or a search looks, and looking works"
    );
    let tries = "['buy', 'change', 'send', 'look', 'free'].forEach((id) => document.getElementById(id).click()); window.clicks.sort()";
    assert_eq!(
        browser.value(tries).await,
        json!(["free", "look", "pay", "send"]),
        "a form's button is pressed and nothing is sent"
    );
    // What a page adds later is greyed as well, and one that it renders anew keeps its reason.
    let later = "document.body.insertAdjacentHTML('beforeend', '<button id=\"late\" data-weir-journey=\"checkout\">Later</button>'); true";
    browser.value(later).await;
    browser.until("document.getElementById('late').getAttribute('aria-disabled') === 'true'").await;
    browser.value("document.getElementById('buy').nextElementSibling.remove(); true").await;
    browser.until(&format!("document.getElementById('buy').nextElementSibling.textContent === '{reason}'")).await;

    // A page may take back what stands on its own elements: the others are marked and freed all the same.
    browser.value("document.getElementById('late').removeAttribute('aria-describedby'); true").await;
    stand_down(&rig, "storm", true).unwrap();
    browser.until(&format!("!({DISABLED})")).await;
    browser.until("!document.getElementById('late').hasAttribute('aria-disabled')").await;
    assert_eq!(browser.value("document.getElementById('buy').getAttribute('aria-describedby')").await, "terms");
    assert_eq!(browser.value("document.querySelectorAll('.weir-reason').length").await, 1, "the e-mail's alone");
    browser.value("window.clicks = []; document.getElementById('buy').click(); true").await;
    assert_eq!(browser.value("window.clicks").await, json!(["buy"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_is_freed_where_nobody_tells_any_more_what_works() {
    let rig = rig(&[]);
    arm(&rig, "storm", &because("a test")).unwrap();
    let mut browser = Chromium::start().await;
    browser.open(&page(&rig)).await;
    browser.until(DISABLED).await;
    let off = "[journeys_feed]\non = false\n";
    assert!(matches!(rig.save("feed.toml", off), weir::control::law::Outcome::Installed { .. }));
    browser.until(&format!("!({DISABLED})")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_events_have_no_room_the_page_asks_and_knows_all_the_same() {
    let rig = rig(&[("gateway.toml", "[bounds]\nstreams = 1\n")]);
    let mut first = Events::open(&rig.client(Protocol::H1)).await.unwrap();
    first.next().await;
    arm(&rig, "storm", &because("a test")).unwrap();
    let mut browser = Chromium::start().await;
    browser.open(&page(&rig)).await;
    browser.until(DISABLED).await;
}

const APP: &str = r#"
import { journeys, subscribe, canBegin, problemOf, Unavailable, type Journeys } from "./weir.js";

const base = process.argv[2] ?? "";
const cookie = process.argv[3] ?? "";
const options = { base, headers: () => ({ cookie }), language: "de" };

const told: Journeys = await journeys(options);
console.log(JSON.stringify({
  about: told.about,
  states: Object.fromEntries(told.journeys.map((one) => [one.name, one.state])),
  buy: canBegin(told, "checkout"),
  address: [canBegin(told, "profile"), canBegin(told, "profile", "look"), canBegin(told, "unheard_of")],
}));
const form = { method: "POST", headers: { cookie, "content-type": "application/x-www-form-urlencoded" }, body: "email=x" };
const held = await problemOf(await fetch(base + "/account/email", form));
const free = await problemOf(await fetch(base + "/elsewhere"));
console.log(JSON.stringify({ held: held?.type, exits: held?.exits.map((exit) => exit.kind), free: free === undefined }));
const over = subscribe(options, (now) => {
  const checkout = now.journeys.find((one) => one.name === "checkout");
  console.log(JSON.stringify({ checkout: checkout?.state, headline: checkout?.headline, exits: checkout?.exits?.map((exit) => exit.kind) }));
  if (checkout?.state === "by_phone") over();
});
try {
  await journeys({ ...options, fetch: async () => new Response("", { status: 429, headers: { "retry-after": "7" } }) });
} catch (error) {
  if (error instanceof Unavailable) console.log(JSON.stringify({ status: error.status, again: error.retryAfter }));
}
"#;

#[test]
fn the_client_for_apps_knows_every_reason_why_a_request_is_held_back() {
    let known: Vec<&str> = CLIENT_TEXT.lines().filter_map(|line| line.trim().strip_prefix("| \"urn:")).collect();
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("weir:problem:{}\"", kind.problem())).collect();
    assert_eq!(known.iter().map(|line| line.trim_end_matches(';')).collect::<Vec<_>>(), kinds);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_in_typescript_asks_and_listens_with_the_client_as_it_is_printed() {
    let compiler = npm::fetched("typescript@5.9", "node_modules/.bin/tsc");
    let dir = tempfile::tempdir().unwrap();
    let printed = Command::new(env!("CARGO_BIN_EXE_weir")).args(["client", "--typescript"]).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    std::fs::write(dir.path().join("weir.ts"), printed.stdout).unwrap();
    std::fs::write(dir.path().join("app.ts"), APP).unwrap();
    std::fs::write(dir.path().join("process.d.ts"), "declare const process: { argv: string[] };\n").unwrap();
    std::fs::write(dir.path().join("package.json"), "{\"type\":\"module\"}").unwrap();
    let compiled = Command::new(compiler)
        .args([
            "--strict",
            "--noEmitOnError",
            "--exactOptionalPropertyTypes",
            "--noUncheckedIndexedAccess",
            "--noUnusedLocals",
        ])
        .args([
            "--target",
            "es2022",
            "--module",
            "nodenext",
            "--lib",
            "es2023,dom,dom.iterable",
            "app.ts",
            "weir.ts",
            "process.d.ts",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));

    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("playbooks/storm.toml", STORM)], |_| {});
    let mut customer = rig.clear_client();
    customer.post("/login", "email=ada%40example.test&password=right").await;
    let cookies: Vec<String> = customer.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut app = Command::new("node")
        .arg("app.js")
        .arg(format!("http://{}", rig.weir().addresses[1]))
        .arg(cookies.join("; "))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs node: tests/run installs it");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(app.stdout.take().unwrap()));
    let mut line = || serde_json::from_str::<Value>(&lines.next().expect("the app says something").unwrap()).unwrap();
    let told = line();
    assert_eq!(
        (&told["about"], &told["buy"], &told["address"]),
        (&json!("you"), &json!(true), &json!([false, true, true]))
    );
    assert_eq!((&told["states"]["gift"], &told["states"]["account_change"]), (&json!("by_phone"), &json!("proof")));
    let held = json!({ "held": "urn:weir:problem:step-up", "exits": ["step_up", "contact"], "free": true });
    assert_eq!(line(), held);
    let (mut open, mut refused) = (line(), line());
    if open.get("status").is_some() {
        std::mem::swap(&mut open, &mut refused);
    }
    assert_eq!((&open["checkout"], &refused), (&json!("open"), &json!({ "status": 429, "again": 7 })));
    arm(&rig, "storm", &because("a test")).unwrap();
    assert_eq!(
        line(),
        json!({ "checkout": "by_phone", "headline": "Wir prüfen Einkäufe gerade von Hand", "exits": ["contact"] })
    );
    assert!(app.wait().unwrap().success(), "who no longer listens lets the app end");
}
