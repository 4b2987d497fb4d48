//! Limits: who is counted together, what counts, what a client is told, and what a swap of the law leaves.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use weir::control::law::Outcome;

use crate::support::Rig;
use crate::support::client::{Answer, BOTH, Client, Protocol};
use crate::support::upstream::Upstream;

/// A sign-in that lets everybody try, and something to look at.
const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 0, do = "allow" }]
ladder = [{ at = 0, do = "allow" }]
[journeys.orders]
routes = ["GET /orders"]
ladder = [{ at = 0, do = "allow" }]
"#;

const PASSWORDS: &str = r#"
[limits.login_per_account]
journeys = ["login"]
key = "account"
rate = "5/min"
counts = { status = [401, 403] }
"#;

fn rig(limits: &str) -> Rig {
    Rig::start(JOURNEYS, Upstream::shop(), &[("limits.toml", limits)], |_| {})
}

/// A sign-in by somebody without any cookie.
async fn tries(rig: &Rig, protocol: Protocol, email: &str, password: &str) -> Answer {
    rig.client(protocol).post("/login", &format!("email={email}&password={password}")).await
}

fn told(answer: &Answer) -> u64 {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.text());
    answer.header("retry-after").parse().unwrap()
}

async fn looks(client: &mut Client, path: &str, fields: &[(&str, &str)]) -> u16 {
    client.send("GET", path, fields, "").await.status.as_u16()
}

#[tokio::test]
async fn wrong_passwords_are_counted_by_account_and_right_ones_are_not() {
    for protocol in BOTH {
        let rig = rig(PASSWORDS);
        for _ in 0..12 {
            assert_eq!(tries(&rig, protocol, "ada", "right").await.status, StatusCode::SEE_OTHER);
        }
        for _ in 0..5 {
            assert_eq!(tries(&rig, protocol, "ada", "wrong").await.status, StatusCode::UNAUTHORIZED);
        }
        let reached = rig.upstream.seen().len();
        let held = tries(&rig, protocol, "ada", "wrong").await;
        let wait = told(&held);
        assert!((12..=14).contains(&wait), "one comes back every 12 s, and a tenth of that is spread: {wait}");
        assert_eq!(held.header("ratelimit-policy"), r#""login_per_account";q=5;w=60"#);
        assert_eq!(held.header("ratelimit"), format!(r#""login_per_account";r=0;t={wait}"#));
        assert_eq!(held.exits(), ["wait", "contact"]);
        assert_eq!(held.header("cache-control"), "no-store");
        assert_eq!(
            tries(&rig, protocol, "ADA ", "right").await.status,
            StatusCode::TOO_MANY_REQUESTS,
            "the same account"
        );
        assert_eq!(rig.upstream.seen().len(), reached, "nothing more reached the upstream");
        assert_eq!(tries(&rig, protocol, "bob", "wrong").await.status, StatusCode::UNAUTHORIZED, "another account");

        rig.advance(Duration::from_secs(5));
        assert_eq!(told(&tries(&rig, protocol, "ada", "wrong").await), wait - 5, "asking again moves no told time");
        rig.advance(Duration::from_secs(wait - 5));
        assert_eq!(tries(&rig, protocol, "ada", "wrong").await.status, StatusCode::UNAUTHORIZED, "a promise kept");
        assert_eq!(tries(&rig, protocol, "ada", "wrong").await.status, StatusCode::TOO_MANY_REQUESTS);
        rig.advance(Duration::from_secs(60));
        for _ in 0..5 {
            assert_eq!(tries(&rig, protocol, "ada", "wrong").await.status, StatusCode::UNAUTHORIZED, "whole again");
        }
    }
}

#[tokio::test]
async fn a_sign_in_that_is_held_back_says_the_same_whether_the_account_exists() {
    let rig = rig(PASSWORDS);
    tries(&rig, Protocol::H2, "ada", "right").await;
    let mut said = Vec::new();
    for email in ["ada", "nobody"] {
        for _ in 0..5 {
            tries(&rig, Protocol::H2, email, "wrong").await;
        }
        let held = tries(&rig, Protocol::H2, email, "right").await;
        let wait = told(&held).to_string();
        let own = held.header("weir-request-id").to_owned();
        let fields: Vec<_> = held.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        let read_out = format!("{} {} {}", &own[..4], &own[4..8], &own[8..12]);
        let text = format!("{}\n{}", fields.join("\n"), held.text()).replace(&own, "ID").replace(&read_out, "REF");
        let text = text.replace(&wait, "WAIT");
        assert!(!text.contains(email) && !text.contains("account "), "{text}");
        let date = held.header("date").to_owned();
        said.push(text.replace(&date, "DATE"));
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn a_strangers_guesses_never_lock_the_owner_out() {
    let rig = rig(PASSWORDS);
    let mut owner = rig.client(Protocol::H2);
    assert_eq!(owner.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(owner.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    for _ in 0..6 {
        tries(&rig, Protocol::H1, "ada", "wrong").await;
    }
    assert_eq!(tries(&rig, Protocol::H1, "ada", "right").await.status, StatusCode::TOO_MANY_REQUESTS);
    owner.cookies.retain(|(name, _)| name != "sid");
    assert_eq!(owner.post("/login", "email=ada&password=wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(owner.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    for _ in 0..5 {
        owner.post("/login", "email=ada&password=wrong").await;
    }
    let beyond = owner.post("/login", "email=ada&password=right").await;
    assert_eq!(beyond.status, StatusCode::TOO_MANY_REQUESTS, "on the owner's device it is limited all the same");
}

#[tokio::test]
async fn a_guess_counts_from_the_moment_it_is_sent_on() {
    let (arrived, mut arrives) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let upstream = Upstream::answering(move |seen| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        if seen.body.ends_with(b"slow") {
            arrived.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            *answer.status_mut() = StatusCode::SEE_OTHER;
        } else {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        answer
    });
    let limits = PASSWORDS.replace("5/min", "1/h");
    let rig = Arc::new(Rig::start(JOURNEYS, upstream, &[("limits.toml", &limits)], |_| {}));
    let beside = rig.clone();
    let first = tokio::spawn(async move { tries(&beside, Protocol::H2, "ada", "slow").await });
    arrives.recv().await.unwrap();
    let second = tries(&rig, Protocol::H2, "ada", "wrong").await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS, "guesses sent side by side are all counted");
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap().status, StatusCode::SEE_OTHER);
    assert_eq!(
        tries(&rig, Protocol::H2, "ada", "wrong").await.status,
        StatusCode::UNAUTHORIZED,
        "the first did not count in the end"
    );

    rig.advance(Duration::from_secs(3600));
    let client = rig.client(Protocol::H1);
    let mut connection = client.connect().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let gone = tokio::spawn(async move {
        let request = client.request("POST", "/login", &form, "email=ada&password=slow");
        let _ = connection.send(request).await;
    });
    arrives.recv().await.unwrap();
    gone.abort();
    assert!(gone.await.is_err());
    release.send(()).unwrap();
    assert_eq!(
        tries(&rig, Protocol::H2, "ada", "wrong").await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "hanging up before the answer takes nothing back"
    );
}

#[tokio::test]
async fn an_upstream_that_is_away_uses_nobody_up() {
    let limits = "[limits.login]\njourneys = [\"login\"]\nkey = \"account\"\nrate = \"2/h\"\ncounts = { status = [401, 502, 503] }\n";
    let mut rig = rig(limits);
    rig.upstream.go();
    for _ in 0..5 {
        let answer = tries(&rig, Protocol::H1, "ada", "wrong").await;
        assert!(answer.status.is_server_error(), "{}: Weir's own answers are never counted", answer.status);
    }
}

#[tokio::test]
async fn a_header_tells_clients_apart_and_leaving_it_out_buys_nothing() {
    let rig = rig("[limits.clients]\nkey = \"header\"\nheader = \"x-client-id\"\nrate = \"2/min\"\n");
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        for id in ["one", "two", ""] {
            let fields = [("x-client-id", id)];
            let fields = if id.is_empty() { &[][..] } else { &fields[..] };
            let statuses = [
                looks(&mut client, "/orders", fields).await,
                looks(&mut client, "/nowhere/listed", fields).await,
                looks(&mut client, "/orders", fields).await,
            ];
            assert_eq!(statuses, [200, 200, 429], "{id}");
        }
        let both = [("x-client-id", "one"), ("x-client-id", "two")];
        assert_eq!(looks(&mut client, "/orders", &both).await, 200, "two values are a client of their own");
        let head = client.send("HEAD", "/orders", &[("x-client-id", "one")], "").await;
        assert!(told(&head) >= 1 && head.body.is_empty());
        rig.advance(Duration::from_secs(120));
    }
}

#[tokio::test]
async fn a_network_is_one_address_or_a_64() {
    let trusting = "[identity]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let limits = "[limits.networks]\nkey = \"network\"\nrate = \"1/min\"\n";
    let files = [("limits.toml", limits), ("identity.toml", trusting)];
    let rig = Rig::start("", Upstream::shop(), &files, |_| {});
    let mut client = rig.clear_client();
    for (address, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("::ffff:192.0.2.2", 429),
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1:ffff::9", 429),
        ("2001:db8:0:2::1", 200),
    ] {
        assert_eq!(looks(&mut client, "/", &[("x-forwarded-for", address)]).await, status, "{address}");
    }
}

#[tokio::test]
async fn a_client_is_its_session_and_a_device_is_one_on_which_somebody_came_in() {
    for key in ["client", "device"] {
        let rig = rig(&format!("[limits.orders]\njourneys = [\"orders\"]\nkey = \"{key}\"\nrate = \"2/min\"\n"));
        let mut strangers = [rig.client(Protocol::H1), rig.client(Protocol::H2)];
        for stranger in &mut strangers {
            stranger.post("/login", "email=ada&password=wrong").await;
            assert!(!stranger.cookies.is_empty(), "a device was handed out");
            assert_eq!(looks(stranger, "/orders", &[]).await, 200);
        }
        for stranger in &mut strangers {
            assert_eq!(
                looks(stranger, "/orders", &[]).await,
                429,
                "{key}: made-up devices share the network's allowance"
            );
        }
        for _ in 0..2 {
            let mut customer = rig.client(Protocol::H2);
            customer.post("/login", "email=ada&password=right").await;
            let statuses = [
                looks(&mut customer, "/orders", &[]).await,
                looks(&mut customer, "/orders", &[]).await,
                looks(&mut customer, "/orders", &[]).await,
            ];
            assert_eq!(statuses, [200, 200, 429], "{key}: a customer who came in has an allowance of their own");
        }
    }
}

#[tokio::test]
async fn what_was_used_survives_every_swap_of_the_law() {
    let limits = "[limits.slow]\nkey = \"network\"\nrate = \"1/h\"\n";
    let rig = rig(limits);
    let mut client = rig.client(Protocol::H2);
    assert_eq!(looks(&mut client, "/orders", &[]).await, 200);
    rig.advance(Duration::from_secs(600));
    let wait = told(&client.get("/orders").await);
    assert!((3000..=3360).contains(&wait), "{wait}");

    let saved = |name: &str, text: &str| assert!(matches!(rig.save(name, text), Outcome::Installed { .. }), "{text}");
    saved("refuse.toml", "[[refuse]]\nwhen = { path = \"/.env\" }\n");
    assert_eq!(told(&client.get("/orders").await), wait, "a swap that leaves the limit leaves what was used of it");
    saved("limits.toml", &format!("[limits.first]\nkey = \"network\"\nrate = \"100/s\"\n{limits}"));
    assert_eq!(told(&client.get("/orders").await), wait, "and where it stands does not matter");

    saved("limits.toml", &limits.replace("1/h", "2/h"));
    let sooner = told(&client.get("/orders").await);
    assert!(sooner <= wait / 2, "a new rate holds at once: {sooner}");
    saved("limits.toml", &limits.replace("1/h", "1/min"));
    let soon = told(&client.get("/orders").await);
    assert!((60..=66).contains(&soon), "nobody waits for a law that has gone: {soon}");
    rig.advance(Duration::from_secs(30));
    assert_eq!(told(&client.get("/orders").await), soon - 30, "and asking does not move that time either");

    saved("limits.toml", "");
    assert_eq!(looks(&mut client, "/orders", &[]).await, 200, "a limit that is gone holds nobody");
    saved("limits.toml", &limits.replace("1/h", "1/min"));
    assert_eq!(told(&client.get("/orders").await), soon - 30, "and remembers when it comes back");
    rig.advance(Duration::from_secs(soon - 30));
    assert_eq!(looks(&mut client, "/orders", &[]).await, 200);
}

#[tokio::test]
async fn of_several_limits_the_longest_wait_is_told_and_a_refusal_uses_up_none() {
    let limits = "[limits.second]\nkey = \"network\"\nrate = \"1/s\"\n[limits.minute]\nkey = \"network\"\nrate = \"1/min\"\nburst = 2\n";
    let rig = rig(limits);
    let mut client = rig.client(Protocol::H1);
    assert_eq!(looks(&mut client, "/", &[]).await, 200);
    let held = client.get("/").await;
    assert!(told(&held) <= 2 && held.header("ratelimit").starts_with("\"second\""));
    rig.advance(Duration::from_secs(2));
    assert_eq!(looks(&mut client, "/", &[]).await, 200, "the refusal used up nothing of the minute");
    let held = client.get("/").await;
    let wait = told(&held);
    assert!((56..=66).contains(&wait) && held.header("ratelimit").starts_with("\"minute\""), "{wait}");
    rig.advance(Duration::from_secs(wait));
    assert_eq!(looks(&mut client, "/", &[]).await, 200, "one time told, and kept");
}

#[tokio::test]
async fn what_weir_answers_itself_is_not_counted() {
    let limits = "[limits.all]\nkey = \"network\"\nrate = \"1/h\"\n[[refuse]]\nwhen = { path_suffix = \".env\" }\n";
    let rig = rig(limits);
    let mut client = rig.client(Protocol::H2);
    for _ in 0..3 {
        assert_eq!(looks(&mut client, "/.env", &[]).await, 403);
        assert_eq!(client.send("DELETE", "/orders", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(looks(&mut client, "/orders", &[]).await, 200);
    assert_eq!(looks(&mut client, "/orders", &[]).await, 429);
    assert_eq!(looks(&mut client, "/.env", &[]).await, 403);
}

#[tokio::test]
async fn a_limit_in_shadow_holds_nobody_and_both_outcomes_are_written_down() {
    let limits = "[limits.trial]\nkey = \"network\"\nrate = \"2/h\"\nmode = \"shadow\"\n[limits.real]\nkey = \"network\"\nrate = \"4/h\"\n";
    // One worker, so that its lines are in order.
    let files = [("limits.toml", limits)];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |options| options.workers = Some(1));
    let mut client = rig.client(Protocol::H2);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(looks(&mut client, "/orders", &[]).await);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    let metrics = rig.weir().telemetry.text();
    for (series, count) in
        [("trial\",outcome=\"passed", 2), ("trial\",outcome=\"shadow", 3), ("trial\",outcome=\"limited", 0)]
    {
        assert!(metrics.contains(&format!("weir_limits_total{{limit=\"{series}\"}} {count}\n")), "{series}: {metrics}");
    }
    assert!(metrics.contains("weir_limits_total{limit=\"real\",outcome=\"limited\"} 1\n"));
    assert!(metrics.contains("weir_limits_total{limit=\"real\",outcome=\"passed\"} 4\n"));
    rig.save("limits.toml", &limits.replace("mode = \"shadow\"", ""));
    rig.advance(Duration::from_secs(900));
    assert_eq!(looks(&mut client, "/orders", &[]).await, 200, "what was seen in shadow is not held against anybody");

    let lines = rig.stop();
    let said = |name: &str| lines.iter().map(|line| line[name].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>();
    assert_eq!(said("action"), ["allow", "allow", "allow", "allow", "throttle", "allow"]);
    assert_eq!(said("limit"), ["", "", "", "", "real", ""]);
    assert_eq!(said("shadow"), ["", "", "throttle", "throttle", "", ""], "where it is another outcome");
    assert_eq!(said("shadow_limit"), ["", "", "trial", "trial", "trial", ""]);
}

#[tokio::test]
async fn every_429_can_be_read_by_an_app_of_another_origin() {
    let rungs = r#"
[journeys.search]
routes = ["GET /search"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "throttle", every = "10s" }]
when_unknown = "throttle"
[limits.all]
journeys = ["orders"]
key = "network"
rate = "1/h"
"#;
    let rig = rig(rungs);
    let mut client = rig.client(Protocol::H2);
    for (path, policy) in [("/search", r#""throttle";q=1;w=10"#), ("/orders", r#""all";q=1;w=3600"#)] {
        assert_eq!(looks(&mut client, path, &[]).await, 200);
        let held = client.send("GET", path, &[("origin", "https://app.example")], "").await;
        let wait = told(&held);
        assert_eq!(held.header("ratelimit-policy"), policy);
        assert!(held.header("ratelimit").ends_with(&format!(";r=0;t={wait}")), "{}", held.header("ratelimit"));
        assert_eq!(held.header("access-control-allow-origin"), "https://app.example");
        let exposed = held.header("access-control-expose-headers");
        assert!(
            ["Retry-After", "RateLimit", "RateLimit-Policy"].iter().all(|name| exposed.contains(name)),
            "{exposed}"
        );
    }
    let page = client.send("GET", "/orders", &[("sec-fetch-mode", "navigate")], "").await;
    assert!(told(&page) > 3000 && page.header("content-type").starts_with("text/html"));
}

/// New accounts together, whatever their devices, and nobody else.
const FRESH: &str = r#"
[limits.fresh]
journeys = ["orders"]
key = "network"
accounts_younger_than = "7d"
rate = "5/d"
"#;

#[tokio::test]
async fn new_accounts_of_one_network_are_counted_together_and_customers_beside_them_are_not() {
    let rig = rig(FRESH);
    let mut regular = rig.client(Protocol::H2);
    assert_eq!(regular.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    rig.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(regular.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    let mut buyers = Vec::new();
    for number in 0..7 {
        let mut buyer = rig.client(Protocol::H2);
        let made = buyer.post("/login", &format!("email=new{number}&password=right")).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER);
        buyers.push(buyer);
    }
    // Two days later each has kept its cookie, and a device of its own: they are counted together all the same.
    rig.advance(Duration::from_secs(2 * 86_400));
    let mut statuses = Vec::new();
    for buyer in &mut buyers {
        statuses.push(looks(buyer, "/orders", &[]).await);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    for _ in 0..10 {
        assert_eq!(looks(&mut regular, "/orders", &[]).await, 200, "who has long been known is not counted");
    }
    assert_eq!(looks(&mut rig.client(Protocol::H2), "/orders", &[]).await, 200, "and a guest is no new account");
    // Once they have been known for long enough it does not concern them.
    rig.advance(Duration::from_secs(6 * 86_400));
    for buyer in buyers.iter_mut().chain([&mut regular]) {
        for _ in 0..2 {
            assert_eq!(looks(buyer, "/orders", &[]).await, 200);
        }
    }
}
