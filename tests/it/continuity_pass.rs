//! The continuity pass, through the whole gateway: what a sign-in leaves on a device, what it shows when nobody can sign in, and what
//! ends it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use weir::control::law::Outcome;

use crate::arming::{arm, because};
use crate::identity::Issuer;
use crate::shared_signals::{self, CAEP, Listening, RISC, email};
use crate::snapshots::{Branch, JOURNEYS, is_kept, keeping};
use crate::support::client::{Answer, BOTH, Client, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PASS: &str = "__Host-weir-pass";
const DEVICE: &str = "__Host-weir-device";

fn cookie<'c>(client: &'c Client, name: &str) -> &'c str {
    client.cookies.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn set(client: &mut Client, name: &str, value: &str) {
    client.cookies.retain(|(known, _)| known != name);
    if !value.is_empty() {
        client.cookies.push((name.to_owned(), value.to_owned()));
    }
}

/// The browser was closed: what lives as long as it is gone.
fn reopen(client: &mut Client) {
    set(client, "sid", "");
}

/// Weir's own cookies alone, one of them another.
fn with(client: &Client, name: &str, value: &str) -> Client {
    let mut other = client.clone();
    set(&mut other, name, value);
    other
}

async fn looked(branch: &Branch, name: &str) -> Client {
    let mut client = branch.customer(name).await;
    assert_eq!(client.get("/balance").await.status, StatusCode::OK);
    reopen(&mut client);
    client
}

#[tokio::test]
async fn a_name_at_one_host_is_nobody_at_another_until_that_has_answered_it() {
    const ELSEWHERE: &[(&str, &str)] =
        &[("host", "shop.example"), ("content-type", "application/x-www-form-urlencoded")];
    let mut branch = Branch::open();
    looked(&branch, "ada").await;
    let sign_in = async |branch: &Branch| {
        let mut client = branch.rig.client(Protocol::H1);
        let answer = client.send("POST", "/login", ELSEWHERE, "email=ada&password=right").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        client
    };
    let (mut other, mut same) = (sign_in(&branch).await, sign_in(&branch).await);
    assert!(!cookie(&other, PASS).is_empty());
    // One of them is known here as well, as the application's own answer says.
    assert_eq!(same.get("/balance").await.status, StatusCode::OK);
    branch.outage();
    branch.rig.advance(DAY);
    assert!(!is_kept(&other.get("/balance").await), "somebody of that name, somewhere else");
    reopen(&mut other);
    assert!(!is_kept(&other.get("/balance").await), "nor by the pass that was left there");
    assert!(is_kept(&same.get("/balance").await));
    reopen(&mut same);
    assert!(is_kept(&same.get("/balance").await));
}

#[tokio::test]
async fn a_sign_in_leaves_a_pass_and_its_owner_sees_their_own_when_nobody_can_sign_in() {
    for protocol in BOTH {
        let mut branch = Branch::open();
        let mut ada = branch.customer_over("ada", protocol).await;
        assert!(!cookie(&ada, PASS).is_empty() && !cookie(&ada, DEVICE).is_empty(), "{:?}", ada.cookies);
        let live = ada.get("/balance").await;
        reopen(&mut ada);
        assert_eq!(ada.get("/balance").await.status, StatusCode::UNAUTHORIZED, "while all is well it opens nothing");
        branch.outage();
        branch.rig.advance(7 * DAY);
        let kept = ada.get("/balance").await;
        assert!(is_kept(&kept) && kept.body == live.body, "{kept:?}");
        assert_eq!((kept.header("age"), kept.header("cache-control")), ("604800", "private, no-store"));
        assert!(kept.header("vary").contains("cookie") && kept.header("set-cookie").is_empty(), "{kept:?}");
        let head = ada.send("HEAD", "/balance", &[], "").await;
        assert!(is_kept(&head) && head.body.is_empty());
        assert!(!is_kept(&ada.get("/orders/1").await), "what was never looked at is not there");
        for (method, path) in [("POST", "/balance"), ("POST", "/password"), ("DELETE", "/balance")] {
            assert!(!is_kept(&ada.send(method, path, &[], "").await), "{method}: it is for looking");
        }
        assert!(branch.metric("weir_continuity_passes_total{event=\"shown\"} 2"));
        let lines = branch.rig.stop();
        let shown = lines.iter().find(|line| line["why"] == "continuity_pass").unwrap();
        assert_eq!((shown["action"].as_str(), shown["status"].as_u64()), (Some("read_only"), Some(200)), "{shown}");
        assert!(
            shown["account"].is_string() && shown["session"].is_null() && shown["confidence"].is_number(),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn it_is_worth_nothing_on_another_device_or_changed_or_late() {
    let mut branch = Branch::open();
    let ada = looked(&branch, "ada").await;
    let bob = looked(&branch, "bob").await;
    branch.outage();
    assert!(is_kept(&ada.clone().get("/balance").await));
    let pass = cookie(&ada, PASS);
    let changed = format!("{}{}", &pass[..pass.len() - 1], if pass.ends_with('A') { 'B' } else { 'A' });
    let later = pass.replacen("179", "189", 1);
    for (what, mut client) in [
        ("without its device", with(&ada, DEVICE, "")),
        ("on another device", with(&ada, DEVICE, cookie(&bob, DEVICE))),
        ("the other way round", with(&bob, PASS, pass)),
        ("changed", with(&ada, PASS, &changed)),
        ("for longer", with(&ada, PASS, &later)),
        ("a device cookie in its place", with(&ada, PASS, cookie(&ada, DEVICE))),
        ("nothing", with(&ada, PASS, "x")),
    ] {
        let answer = client.get("/balance").await;
        assert!(!is_kept(&answer) && answer.status.is_server_error(), "{what}: {answer:?}");
    }
    let two = format!("{DEVICE}={}; {PASS}={pass}; {PASS}={}", cookie(&ada, DEVICE), cookie(&bob, PASS));
    let mut raw = branch.rig.client(Protocol::H1);
    assert!(!is_kept(&raw.send("GET", "/balance", &[("cookie", &two)], "").await), "two are none");
    branch.rig.advance(30 * DAY - Duration::from_secs(1));
    assert!(is_kept(&ada.clone().get("/balance").await));
    branch.rig.advance(Duration::from_secs(1));
    assert!(!is_kept(&ada.clone().get("/balance").await));
}

#[tokio::test]
async fn who_was_known_without_cookies_brings_it_in_a_header() {
    let mut branch = Branch::open();
    let ada = looked(&branch, "ada").await;
    branch.outage();
    let mut app = branch.rig.client(Protocol::H2);
    let headers = [("weir-device", cookie(&ada, DEVICE)), ("weir-pass", cookie(&ada, PASS))];
    assert!(is_kept(&app.send("GET", "/balance", &headers, "").await));
    assert!(!is_kept(&app.send("GET", "/balance", &headers[1..], "").await));
}

#[tokio::test]
async fn whatever_takes_the_account_out_of_its_owners_hands_voids_it() {
    let own = |kind: &str| format!("{CAEP}{kind}");
    let change = json!({"change_type": "update", "credential_type": "password"});
    for (uri, payload, outlives) in [
        (format!("{RISC}credential-compromise"), json!({"credential_type": "password"}), false),
        (format!("{RISC}account-disabled"), json!({}), false),
        (own("credential-change"), change, false),
        (own("session-revoked"), json!({}), true),
    ] {
        for asked in [false, true] {
            let issuer = Issuer::p256("a");
            let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), shared_signals::law(""));
            let pass = format!("[continuity_pass]\noutlives_revocation = {asked}\n");
            let files = [("shared_signals.toml", law.as_str()), ("idp.json", &keys), ("pass.toml", &pass)];
            let mut branch = Branch::with(JOURNEYS, &files);
            let (mut ada, mut bob) = (looked(&branch, "ada").await, looked(&branch, "bob").await);
            branch.outage();
            assert!(is_kept(&ada.get("/balance").await) && is_kept(&bob.get("/balance").await));
            let Branch { rig, .. } = branch;
            let mut idp = Listening::over(rig, issuer).await;
            idp.tell(&uri, email("ada"), payload.clone()).await;
            assert_eq!(is_kept(&ada.get("/balance").await), asked && outlives, "{uri} {asked}");
            assert!(is_kept(&bob.get("/balance").await));
        }
    }
}

#[tokio::test]
async fn a_sign_out_ends_it_here_and_a_new_password_everywhere() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    let before = ada.clone();
    assert!(ada.post("/logout", "").await.status.is_success());
    assert_eq!(cookie(&ada, PASS), "", "the browser is told to forget it");
    let mut elsewhere = looked(&branch, "ada").await;
    let mut bob = branch.customer("bob").await;
    bob.get("/balance").await;
    let (mut bobs, mut other) = (bob.clone(), looked(&branch, "bob").await);
    reopen(&mut bobs);
    assert_eq!(bob.post("/password", "new=x").await.status, StatusCode::NO_CONTENT);
    assert_eq!(cookie(&bob, PASS), "");
    // Kept again after the change: what was left before it must not open what came after.
    assert_eq!(bob.get("/balance").await.status, StatusCode::OK);
    assert_ne!(cookie(&bob, PASS), "", "who goes on is left another");
    branch.outage();
    let mut copy = before;
    reopen(&mut copy);
    assert!(!is_kept(&copy.get("/balance").await), "a copy is void as well");
    assert!(is_kept(&elsewhere.get("/balance").await), "the other device has its own");
    assert!(!is_kept(&bobs.get("/balance").await) && !is_kept(&other.get("/balance").await));
    reopen(&mut bob);
    branch.rig.advance(Duration::from_secs(2));
    assert!(is_kept(&bob.get("/balance").await));
}

#[tokio::test]
async fn whoever_signs_in_on_the_device_next_leaves_nothing_of_the_one_before() {
    let mut branch = Branch::open();
    let ada = looked(&branch, "ada").await;
    let mut device = ada.clone();
    assert_eq!(device.post("/login", "email=bob&password=right").await.status, StatusCode::SEE_OTHER);
    assert_ne!(cookie(&device, PASS), cookie(&ada, PASS));
    assert_eq!(device.get("/balance").await.json()["of"], "bob");
    branch.settle();
    // Bob's session and Ada's pass: nobody's.
    let mut mixed = with(&device, PASS, cookie(&ada, PASS));
    branch.bank.forget();
    arm_sign_in_shut(&mut branch);
    assert!(!is_kept(&mixed.get("/balance").await), "beside another's session it is none");
    let kept = device.get("/balance").await;
    assert_eq!((is_kept(&kept), kept.json()["of"].as_str()), (true, Some("bob")));
    let mut before = ada;
    assert!(is_kept(&before.get("/balance").await) && before.get("/balance").await.json()["of"] == "ada");
}

const SHUT: &str = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\n[changes.login]\nat_most = \"handoff\"\n\
                    [desk]\nverify = [\"a\"]\nscript = \"s\"\nnever = [\"n\"]\nescalate = [\"e\"]\n";

/// Nobody can sign in: the law is saved with a playbook that says so, and it is armed.
fn arm_sign_in_shut(branch: &mut Branch) {
    let said = branch.rig.save("playbooks/shut.toml", SHUT);
    assert!(matches!(said, Outcome::Installed { .. }), "{said:?}");
    arm(&branch.rig, "shut", &because("a test")).unwrap();
}

#[tokio::test]
async fn an_application_that_forgot_everybody_while_sign_in_is_shut_is_not_the_end_of_what_they_see() {
    for status in [401, 302] {
        let mut branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        ada.get("/balance").await;
        let mut closed = ada.clone();
        reopen(&mut closed);
        branch.settle();
        branch.bank.says(status, &[("location", "/login?next=/balance")]);
        arm_sign_in_shut(&mut branch);
        for client in [&mut ada, &mut closed] {
            for _ in 0..2 {
                let kept = client.get("/balance").await;
                assert!(is_kept(&kept), "{status}: {kept:?}");
            }
        }
        crate::arming::stand_down(&branch.rig, "shut", true).unwrap();
        let answer = ada.get("/balance").await;
        assert!(!is_kept(&answer), "one can sign in again");
    }
}

#[tokio::test]
async fn a_session_that_ran_out_costs_nothing_and_one_that_was_ended_in_its_midst_takes_the_pass_along() {
    for (rest, still) in [(Duration::from_secs(3600), true), (Duration::from_secs(60), false)] {
        let mut branch = Branch::open();
        let mut ada = branch.customer("ada").await;
        ada.get("/balance").await;
        branch.settle();
        branch.rig.advance(rest);
        branch.bank.says(401, &[]);
        let mut copy = ada.clone();
        assert_eq!(ada.get("/balance").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(cookie(&ada, PASS).is_empty(), !still);
        branch.outage();
        assert_eq!(is_kept(&ada.get("/balance").await), still, "{rest:?}");
        assert_eq!(is_kept(&copy.get("/balance").await), still, "{rest:?}");
    }
}

#[tokio::test]
async fn it_is_kept_fresh_by_who_comes_and_goes_on_no_answer_that_others_may_get() {
    let branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    let first = cookie(&ada, PASS).to_owned();
    ada.get("/balance").await;
    assert_eq!(cookie(&ada, PASS), first);
    branch.rig.advance(2 * DAY);
    branch.bank.says(200, &[("cache-control", "public, max-age=60")]);
    // The bank says both; a field without the word for one alone would do.
    ada.get("/balance").await;
    let renewed = cookie(&ada, PASS).to_owned();
    assert_eq!(renewed, first, "a cache would give it to everybody");
    branch.bank.says(200, &[]);
    ada.get("/balance").await;
    assert_ne!(cookie(&ada, PASS), first);
}

#[tokio::test]
async fn the_law_says_whether_for_how_long_on_which_devices_and_of_what() {
    let brief = Branch::with(JOURNEYS, &[("pass.toml", "[continuity_pass]\nlasts = \"1h\"\n")]);
    let mut ada = looked(&brief, "ada").await;
    let mut brief = brief;
    brief.outage();
    assert!(is_kept(&ada.get("/balance").await));
    brief.rig.advance(Duration::from_secs(3600));
    assert!(!is_kept(&ada.get("/balance").await));
    for (law, snapshot) in [
        ("[continuity_pass]\non = false\n", "keep = \"30d\""),
        ("[continuity_pass]\ntrusted_only = true\n", "keep = \"30d\""),
        ("", "keep = \"30d\", pass = false"),
    ] {
        let mut branch = Branch::with(&keeping(snapshot), &[("pass.toml", law)]);
        let mut ada = branch.customer("ada").await;
        assert_eq!(cookie(&ada, PASS), "", "{law}{snapshot}");
        ada.get("/balance").await;
        branch.outage();
        assert!(is_kept(&ada.get("/balance").await), "a session sees it all the same");
        reopen(&mut ada);
        assert!(!is_kept(&ada.get("/balance").await));
    }
    let strict = JOURNEYS.replace("view_line = 40", "view_line = 95").replace("{ at = 40, do", "{ at = 95, do");
    let branch = Branch::with(&strict, &[]);
    assert_eq!(cookie(&branch.customer("ada").await, PASS), "", "who falls short is left none");
}

#[tokio::test]
async fn its_holder_is_judged_as_the_session_would_be_and_below_the_view_line_sees_nothing() {
    let mut branch = Branch::open();
    let mut ada = looked(&branch, "ada").await;
    branch.outage();
    assert!(is_kept(&ada.get("/balance").await));
    let strict = JOURNEYS.replace("{ at = 40, do = \"allow\" }, ", "{ at = 100, do = \"allow\" }, ");
    branch.rig.save("journeys.toml", &strict);
    let held = ada.get("/balance").await;
    assert!(!is_kept(&held) && held.status == StatusCode::FORBIDDEN, "{held:?}");
    let proved = JOURNEYS.replace("view_line = 40\n", "view_line = 40\nrequire = { level = \"mfa\" }\n");
    branch.rig.save("journeys.toml", &proved);
    assert!(!is_kept(&ada.get("/balance").await), "it proves no more than its sign-in did");
    branch.rig.save("journeys.toml", JOURNEYS);
    assert!(is_kept(&ada.get("/balance").await));
}

#[tokio::test]
async fn it_outlives_the_process_and_is_void_when_nobody_remembers_its_account() {
    let data = tempfile::tempdir().unwrap();
    let open = || {
        let bank = crate::snapshots::Bank::default();
        let inside = bank.clone();
        let upstream = Upstream::answering(move |seen| inside.answer(seen));
        let rig = Rig::start(JOURNEYS, upstream, &[], |options| options.data = Some(data.path().to_owned()));
        Branch { rig, bank }
    };
    let branch = open();
    let ada = looked(&branch, "ada").await;
    branch.settle();
    branch.rig.stop();
    for (what, there) in [("a restart", true), ("a restart without what is remembered of accounts", false)] {
        if !there {
            std::fs::remove_file(accounts(data.path())).unwrap();
        }
        let mut branch = open();
        branch.outage();
        let mut again = branch.rig.client(Protocol::H1);
        again.cookies.clone_from(&ada.cookies);
        while !branch.rig.weir().snapshots.on() {}
        let answer = again.get("/balance").await;
        assert_eq!(is_kept(&answer), there, "{what}: {answer:?}");
        branch.rig.stop();
    }
}

/// The checkpoint of the accounts.
fn accounts(data: &Path) -> PathBuf {
    let mut places = vec![data.to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                places.push(path);
            } else if path.file_stem().is_some_and(|stem| stem == "accounts") {
                return path;
            }
        }
    }
    panic!("no checkpoint of accounts in {}", data.display());
}

#[tokio::test]
async fn what_works_now_is_told_to_who_has_one_as_they_would_find_it() {
    let mut branch = Branch::open();
    let ada = looked(&branch, "ada").await;
    let state = |answer: &Answer| {
        let document = answer.json();
        let all = document["journeys"].as_array().unwrap().clone();
        let balance =
            all.iter().find(|journey| journey["id"] == "balance" || journey["name"] == "balance").unwrap().clone();
        (document["about"].as_str().unwrap().to_owned(), balance["state"].as_str().unwrap().to_owned())
    };
    const FEED: &str = "/.well-known/weir/journeys";
    assert_eq!(state(&ada.clone().get(FEED).await).1, "open");
    branch.outage();
    for _ in 0..3 {
        assert_ne!(state(&ada.clone().get(FEED).await).1, "read_only", "one or two who are not answered are no outage");
        ada.clone().post("/login", "email=ada&password=right").await;
        branch.rig.advance(Duration::from_secs(3));
    }
    let told = ada.clone().get(FEED).await;
    assert_eq!(state(&told), ("everybody".to_owned(), "read_only".to_owned()), "{}", told.text());
    assert_ne!(state(&with(&ada, DEVICE, "").get(FEED).await).1, "read_only");
    assert_ne!(state(&branch.rig.client(Protocol::H1).get(FEED).await).1, "read_only");
}

#[test]
fn however_passes_devices_sessions_and_headers_are_mixed_nobody_sees_what_is_anothers() {
    const PEOPLE: [&str; 4] = ["ada", "Ada", "bob", "eve"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut branch = Branch::open();
    let all: Vec<(Client, String)> = PEOPLE
        .iter()
        .map(|name| {
            runtime.block_on(async {
                let mut client = branch.customer(name).await;
                assert_eq!(client.get("/balance").await.json()["of"], *name);
                let sid = cookie(&client, "sid").to_owned();
                (client, sid)
            })
        })
        .collect();
    branch.outage();
    let client = branch.rig.client(Protocol::H1);
    let shown = std::cell::Cell::new(0_usize);
    // Of each: whose pass, device and session stand in the cookies, and whose pass and device in headers; none beyond the last.
    let mixes = proptest::array::uniform5(0..=PEOPLE.len());
    let config = proptest::test_runner::Config { cases: 600, failure_persistence: None, ..Default::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&(mixes, 0..4_usize), |(mix, odd)| {
        let [pass, device, session, head_pass, head_device] = mix;
        let of = |who: usize, name: &str| all.get(who).map(|(client, _)| cookie(client, name).to_owned());
        let mut pairs: Vec<String> = Vec::new();
        pairs.extend(of(pass, PASS).map(|value| format!("{PASS}={value}")));
        pairs.extend(of(device, DEVICE).map(|value| format!("{DEVICE}={value}")));
        pairs.extend(all.get(session).map(|(_, sid)| format!("sid={sid}")));
        if odd == 1 {
            pairs.reverse();
        }
        let cookies = pairs.join(if odd == 2 { ";" } else { "; " });
        let (in_pass, in_device) = (of(head_pass, PASS), of(head_device, DEVICE));
        let mut headers = vec![("cookie", cookies.as_str())];
        headers.extend(in_pass.as_deref().map(|value| ("weir-pass", value)));
        headers.extend(in_device.as_deref().map(|value| ("weir-device", value)));
        if odd == 3 {
            headers.push(("weir-subject", "ada"));
        }
        let answer = runtime.block_on(async { client.clone().send("GET", "/balance", &headers, "").await });
        if is_kept(&answer) {
            shown.set(shown.get() + 1);
            let whose = answer.json()["of"].as_str().unwrap().to_owned();
            let is = |who: usize| PEOPLE.get(who) == Some(&whose.as_str());
            let by_session = is(session);
            let by_pass = (is(pass) || is(head_pass)) && (is(device) || is(head_device));
            assert!(by_session || (by_pass && session == PEOPLE.len()), "{mix:?} showed {whose}");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(shown.get() > 50, "{}", shown.get());
}

#[tokio::test]
async fn a_session_that_came_from_elsewhere_leaves_none() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    let mut thief = branch.rig.client(Protocol::H1);
    set(&mut thief, "sid", cookie(&ada, "sid"));
    assert_eq!(thief.get("/balance").await.status, StatusCode::OK);
    assert_eq!(cookie(&thief, PASS), "", "nobody signed in there");
    let mut copied = thief.clone();
    set(&mut copied, PASS, cookie(&ada, PASS));
    assert_eq!(copied.get("/balance").await.status, StatusCode::OK);
    branch.outage();
    reopen(&mut thief);
    reopen(&mut copied);
    assert!(!is_kept(&thief.get("/balance").await) && !is_kept(&copied.get("/balance").await));
}

#[tokio::test]
async fn a_sign_out_ends_the_copies_that_were_made_before_the_last_was_left() {
    let mut branch = Branch::open();
    let mut ada = branch.customer("ada").await;
    ada.get("/balance").await;
    let mut monday = ada.clone();
    reopen(&mut monday);
    branch.rig.advance(2 * DAY);
    ada.get("/balance").await;
    assert_ne!(cookie(&ada, PASS), cookie(&monday, PASS));
    ada.post("/logout", "").await;
    branch.outage();
    assert!(!is_kept(&monday.get("/balance").await));
}

#[tokio::test]
async fn the_end_of_one_session_that_others_report_ends_what_it_left_and_nothing_else() {
    let issuer = Issuer::p256("a");
    let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), shared_signals::law(""));
    let files = [("shared_signals.toml", law.as_str()), ("idp.json", keys.as_str())];
    let mut branch = Branch::with(JOURNEYS, &files);
    let mut lost = branch.customer("ada").await;
    lost.get("/balance").await;
    let sid = cookie(&lost, "sid").to_owned();
    reopen(&mut lost);
    let mut home = looked(&branch, "ada").await;
    branch.outage();
    assert!(is_kept(&lost.get("/balance").await) && is_kept(&home.get("/balance").await));
    let Branch { rig, .. } = branch;
    let mut idp = Listening::over(rig, issuer).await;
    idp.tell(&format!("{CAEP}session-revoked"), json!({"format": "opaque", "id": sid}), json!({})).await;
    assert!(!is_kept(&lost.get("/balance").await) && is_kept(&home.get("/balance").await));
}

#[tokio::test]
async fn a_session_from_before_a_compromise_leaves_none_after_it() {
    let issuer = Issuer::p256("a");
    let (keys, law) = (String::from_utf8(issuer.document()).unwrap(), shared_signals::law(""));
    let files = [("shared_signals.toml", law.as_str()), ("idp.json", keys.as_str())];
    let branch = Branch::with(JOURNEYS, &files);
    let mut thief = branch.customer("ada").await;
    thief.get("/balance").await;
    let Branch { rig, .. } = branch;
    rig.advance(Duration::from_secs(60));
    let mut idp = Listening::over(rig, issuer).await;
    let payload = json!({"credential_type": "password"});
    idp.tell(&format!("{RISC}credential-compromise"), email("ada"), payload).await;
    idp.rig.advance(2 * DAY);
    let before = cookie(&thief, PASS).to_owned();
    let live = thief.get("/balance").await;
    assert_eq!(live.status, StatusCode::OK, "its session is the application's own business");
    assert!(cookie(&thief, PASS).is_empty() || cookie(&thief, PASS) == before);
    idp.rig.weir().snapshots.settle();
    idp.rig.upstream.go();
    reopen(&mut thief);
    assert!(!is_kept(&thief.get("/balance").await));
}

#[tokio::test]
async fn it_is_shown_to_no_application_and_to_no_program_that_hides_what_it_is() {
    let mut branch = Branch::open();
    let mut ada = branch.rig.client(Protocol::H1);
    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
    let form = ("content-type", "application/x-www-form-urlencoded");
    ada.send("POST", "/login", &[("user-agent", AGENT), form], "email=ada&password=right").await;
    assert_ne!(cookie(&ada, PASS), "");
    ada.send("GET", "/balance", &[("user-agent", AGENT)], "").await;
    let seen = branch.rig.upstream.last();
    assert!(!seen.header("cookie").contains("weir-pass") && seen.header("cookie").contains("sid="), "{seen:?}");
    branch.outage();
    reopen(&mut ada);
    for (agents, shown) in [(&[AGENT][..], true), (&[], false), (&[AGENT, AGENT], false), (&["curl/8.0"], false)] {
        let fields: Vec<_> = agents.iter().map(|agent| ("user-agent", *agent)).collect();
        assert_eq!(is_kept(&ada.clone().send("GET", "/balance", &fields, "").await), shown, "{agents:?}");
    }
}

#[tokio::test]
async fn a_name_in_other_letters_on_the_same_device_is_another_customer() {
    let mut branch = Branch::open();
    let mut device = branch.customer("Ada").await;
    device.get("/balance").await;
    assert_eq!(device.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    branch.outage();
    reopen(&mut device);
    assert!(!is_kept(&device.get("/balance").await));
}

fn by_token() -> Vec<(&'static str, String)> {
    let (_, ground) = GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let jwt = r#"{ jwt = { jwks = "file:keys.json", issuer = "https://id.example", audience = "shop", account_claim = "email" } }"#;
    vec![("identity.toml", ground.replace(r#"{ session_cookie = "sid", ends_on = ["POST /logout"] }"#, jwt))]
}

async fn ask(client: &mut Client, token: &str) -> Answer {
    client.send("GET", "/account", &[("authorization", &format!("Bearer {token}"))], "").await
}

#[tokio::test]
async fn a_token_that_ran_out_while_its_issuer_is_away_leaves_the_pass() {
    const LAW: &str = r#"
[journeys.account]
routes = ["GET /account"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "handoff"
snapshot = { keep = "30d", even_if = ["no-store"] }
"#;
    let issuer = Issuer::p256("a");
    let keys = String::from_utf8(issuer.document()).unwrap();
    let identity = by_token();
    let files = [("identity.toml", identity[0].1.as_str()), ("keys.json", keys.as_str())];
    let upstream = Upstream::answering(|_| {
        let mut answer = http::Response::new(http_body_util::Full::new(bytes::Bytes::from_static(b"{\"sum\":7}")));
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        answer.headers_mut().insert("cache-control", "private".parse().unwrap());
        answer
    });
    let rig = Rig::start(LAW, upstream, &files, |_| {});
    let now = NOON.unix_seconds();
    let claims = json!({
        "iss": "https://id.example", "aud": ["shop"], "sub": "4711", "email": "ada@shop.example", "sid": "s1",
        "exp": now + 600, "iat": now, "auth_time": now, "acr": "pwd",
    });
    let token = issuer.token(&claims);
    let mut ada = rig.client(Protocol::H1);
    while ask(&mut ada, &token).await.status != StatusCode::OK {
        tokio::task::yield_now().await;
    }
    assert!(!cookie(&ada, PASS).is_empty() && !cookie(&ada, DEVICE).is_empty());
    rig.weir().snapshots.settle();
    rig.advance(Duration::from_secs(3600));
    let expired = ask(&mut ada, &token).await;
    assert_eq!(expired.status, StatusCode::UNAUTHORIZED, "its issuer gives out another");
    std::fs::remove_file(rig.rules().join("keys.json")).unwrap();
    // The keys are fetched in the background: now, since somebody shows a token under another one.
    let other = Issuer::p256("b").token(&claims);
    let shown = loop {
        ask(&mut rig.client(Protocol::H1), &other).await;
        let answer = ask(&mut ada, &token).await;
        if is_kept(&answer) {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(shown.text(), "{\"sum\":7}");
    let mut claims = claims;
    (claims["email"], claims["sid"]) = (json!("bob@shop.example"), json!("s2"));
    let bobs = issuer.token(&claims);
    let of_bob = ask(&mut ada.clone(), &bobs).await;
    assert!(!is_kept(&of_bob), "a token that ran out and names another: {of_bob:?}");
    let mut thief = with(&ada, DEVICE, "");
    assert_eq!(ask(&mut thief, &token).await.status, StatusCode::UNAUTHORIZED);
    let asked = rig.upstream.seen().len();
    ask(&mut ada, &token).await;
    assert_eq!(rig.upstream.seen().len(), asked, "what is not believed goes nowhere");
}
