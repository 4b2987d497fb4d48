//! What an armed playbook does to whoever meets it: what customers read, whom it leaves alone, and what it ends. Armed as operators arm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use http::{Response, StatusCode};
use weir::control::posture::{Ask, scope};
use weir::control::triggers::{Act, Counts, Now, Tower};

use crate::arming::{arm, because, stand_down};
use crate::classes::{identity, keys};
use crate::support::client::{BOTH, Client, Protocol, whole};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};
use crate::upgrades::{echoes, is_over, open, ways};

const JOURNEYS: &str = r#"
[languages]
speak = ["en", "de"]
[profiles.app]
app = { name = "ShopApp", from = "1.0", below = "2.0" }
body = "templates/app.json"
[journeys.balance]
routes = ["GET /account/balance", "POST /shop.orders/place"]
ladder = [{ at = 3, do = "allow" }, { at = 2, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
[journeys.shut]
routes = ["GET /shut"]
ladder = [{ at = 100, do = "allow" }, { at = 99, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
[journeys.search]
routes = ["GET /search"]
ladder = [{ at = 0, do = "allow" }]
"#;

/// A playbook with this name in its words, if it has any.
fn playbook(at_most: &str, words: Option<&str>) -> String {
    let words = words.map_or_else(String::new, |name| {
        format!(
            "[notice.en]\nheadline = \"{name} holds\"\ndetail = \"All is safe until {{until}}.\"\n\
             [notice.de]\nheadline = \"{name} gilt\"\ndetail = \"Alles ist sicher bis {{until}}.\"\n"
        )
    });
    format!(
        "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\n[changes.balance]\nat_most = \"{at_most}\"\n\
         [changes.shut]\nat_most = \"{at_most}\"\n[desk]\nverify = [\"Call back\"]\n{words}"
    )
}

fn spoken() -> Rig {
    let files = [
        ("playbooks/careful.toml", playbook("step_up", Some("Care"))),
        ("playbooks/storm.toml", playbook("handoff", Some("Storm"))),
        ("playbooks/thunder.toml", playbook("handoff", Some("Thunder"))),
        ("playbooks/quiet.toml", playbook("handoff", None)),
        ("templates/app.json", "{\"said\": {{ headline ~ \" \" ~ detail }}}".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {})
}

const DE: (&str, &str) = ("accept-language", "de");

#[tokio::test]
async fn a_playbook_says_in_the_readers_language_and_form_what_holds_them_back_and_until_when() {
    let rig = spoken();
    arm(&rig, "careful", &because("a test")).unwrap();
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let english = client.get("/account/balance").await.json();
        assert_eq!((&english["type"], &english["title"]), (&"urn:weir:problem:step-up".into(), &"Care holds".into()));
        assert_eq!(english["detail"], "All is safe until Monday 2 November, 14:00 (London time).");
        let german = client.send("GET", "/account/balance", &[DE], "").await.json();
        assert_eq!(german["title"], "Care gilt");
        assert_eq!(german["detail"], "Alles ist sicher bis Montag, 2. November, 14:00 Uhr (Ortszeit London).");
        let app = client.send("GET", "/account/balance", &[("user-agent", "ShopApp/1.2"), DE], "").await;
        assert!(app.json()["said"].as_str().unwrap().starts_with("Care gilt Alles ist sicher bis Montag"));
        let page = client.send("GET", "/account/balance", &[("accept", "text/html"), DE], "").await;
        assert!(page.text().contains("<h1>Care gilt</h1>"), "{}", page.text());
    }
    let grpc = [("content-type", "application/grpc"), ("te", "trailers"), DE];
    let call = rig.client(Protocol::H2).send("POST", "/shop.orders/place", &grpc, "\0\0\0\0\0").await;
    assert!(call.header("grpc-message").starts_with("Care gilt"), "{}", call.header("grpc-message"));
    stand_down(&rig, "careful", true).unwrap();
    assert_eq!(rig.client(Protocol::H1).get("/account/balance").await.status, StatusCode::OK);
}

#[tokio::test]
async fn of_several_playbooks_the_strictest_that_has_words_speaks_and_of_equals_the_first_armed() {
    let rig = spoken();
    let mut client = rig.client(Protocol::H1);
    let mut title = async |path| client.get(path).await.json()["title"].as_str().unwrap_or_default().to_owned();
    arm(&rig, "careful", &because("a test")).unwrap();
    assert_eq!(title("/account/balance").await, "Care holds");
    // The ladder asks for more than the playbook does: what decides is not the playbook.
    assert_eq!(title("/shut").await, "Let us finish this together");
    arm(&rig, "quiet", &because("a test")).unwrap();
    assert_eq!(title("/account/balance").await, "Let us finish this together", "it asks for more, and says nothing");
    arm(&rig, "thunder", &because("a test")).unwrap();
    assert_eq!(title("/account/balance").await, "Thunder holds");
    arm(&rig, "storm", &because("a test")).unwrap();
    assert_eq!(title("/account/balance").await, "Thunder holds", "it was first");
    assert_eq!(title("/shut").await, "Thunder holds");
    stand_down(&rig, "thunder", true).unwrap();
    assert_eq!(title("/account/balance").await, "Storm holds");
    arm(&rig, "thunder", &Ask { shadow: true, ..because("a test") }).unwrap();
    stand_down(&rig, "storm", true).unwrap();
    assert_eq!(title("/account/balance").await, "Let us finish this together", "what is in shadow says nothing");
}

const NARROW: &str = r#"
summary = "x"
owner = "x"
expires = "2h"
[automation]
only = ["order_status"]
[[trigger]]
watch = "automation_rate"
over = "1m"
at_least = 0.5
then = "propose"
"#;

#[tokio::test]
async fn automation_is_narrowed_and_counted_and_partners_and_people_are_not_touched() {
    let lines =
        "partner = [{ keys = \"till_keys.toml\", header = \"x-till\" }]\nautomation = [{ keys = \"api_keys.toml\" }]";
    let (identity, bots, tills) = (identity(lines), keys(&[("faq-bot", "k-1")]), keys(&[("till 4", "t-4")]));
    let files = [
        ("identity.toml", identity.as_str()),
        ("api_keys.toml", &bots),
        ("till_keys.toml", &tills),
        ("playbooks/narrow.toml", NARROW),
        ("templates/app.json", "{}"),
    ];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {});
    let mut client = rig.client(Protocol::H2);
    let rules = rig.weir().law.in_force().load().rules.clone();
    let (mut tower, mut now) = (Tower::default(), NOON);
    let mut tick = |seconds| {
        let counts = Counts::of(&rig.weir().telemetry);
        let mut acts = Vec::new();
        for _ in 0..seconds {
            now = now.plus(Duration::from_secs(1));
            acts.extend(tower.tick(counts, now, &rules.playbooks, |_| Now::default()));
        }
        acts
    };
    assert_eq!(tick(900), []);
    for _ in 0..60 {
        assert_eq!(client.send("GET", "/search", &[("x-api-key", "k-1")], "").await.status, StatusCode::OK);
    }
    assert_eq!(client.get("/search").await.status, StatusCode::OK);
    let acts = tick(5);
    assert!(matches!(&acts[..], [Act::Propose(_)]), "{acts:?}");
    let admin = Client::clear(rig.weir().admin.unwrap()).get("/metrics").await;
    let admin = admin.text();
    for counted in ["weir_requests_total{class=\"automation\"} 60", "weir_requests_total{class=\"customer\"} 1"] {
        assert!(admin.contains(counted), "{admin}");
    }

    arm(&rig, "narrow", &because("a test")).unwrap();
    let mut status = async |path, fields: &[(&str, &str)]| client.send("GET", path, fields, "").await.status;
    assert_eq!(status("/search", &[("x-api-key", "k-1")]).await, StatusCode::FORBIDDEN);
    assert_eq!(status("/order-status", &[("x-api-key", "k-1")]).await, StatusCode::OK);
    assert_eq!(status("/search", &[("x-till", "t-4")]).await, StatusCode::OK);
    assert_eq!(
        status("/search", &[("x-till", "t-4"), ("x-api-key", "k-1")]).await,
        StatusCode::OK,
        "a partner proved it"
    );
    assert_eq!(status("/search", &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn a_playbook_armed_for_a_channel_leaves_the_others_alone() {
    let channels = "[channels]\napp = { when = { header = { name = \"user-agent\", matches = \"^ShopApp/\" } } }\n";
    let storm = playbook("handoff", Some("Storm"));
    let files = [("channels.toml", channels), ("playbooks/storm.toml", &storm), ("templates/app.json", "{}")];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {});
    arm(&rig, "storm", &Ask { scope: Some(scope(["app"].into_iter())), ..because("a test") }).unwrap();
    let mut client = rig.client(Protocol::H1);
    let app = client.send("GET", "/account/balance", &[("user-agent", "ShopApp/7")], "").await;
    assert_eq!(app.status, StatusCode::FORBIDDEN);
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_in_flight_while_a_playbook_is_armed_finishes_under_the_law_that_it_came_under() {
    let (entered, mut waits) = tokio::sync::mpsc::unbounded_channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let upstream = Upstream::answering(move |_| {
        entered.send(()).unwrap();
        held.lock().unwrap().recv().unwrap();
        Response::new("served".into())
    });
    let storm = playbook("handoff", Some("Storm"));
    let files = [("playbooks/storm.toml", &*storm), ("templates/app.json", "{}")];
    let rig = Rig::start(JOURNEYS, upstream, &files, |_| {});
    let client = rig.client(Protocol::H1);
    let mut connection = client.connect().await;
    let request = client.request("GET", "/account/balance", &[], "");
    let sent = tokio::spawn(async move {
        let answer = connection.send(request).await.unwrap();
        whole(answer).await
    });
    waits.recv().await.unwrap();
    arm(&rig, "storm", &because("a test")).unwrap();
    release.send(()).unwrap();
    let answer = sent.await.unwrap();
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "served"));
    assert_eq!(rig.client(Protocol::H1).get("/account/balance").await.status, StatusCode::FORBIDDEN);
    let lines = rig.stop();
    let first = lines.iter().find(|line| line["action"] == "handoff").unwrap();
    assert_eq!(first["playbooks"], serde_json::json!(["storm"]));
}

const CUT: &str = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\ncut_streams = true\n";
const LOOKING: &str = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\nunlisted = \"read_only\"\n";
const CAREFUL: &str = "summary = \"x\"\nowner = \"x\"\nexpires = \"2h\"\n[changes.login]\nat_most = \"step_up\"\n[desk]\nverify = [\"Call back\"]\n";

#[tokio::test]
async fn arming_what_cuts_streams_ends_every_tunnel_and_lets_no_new_one_in_until_it_is_stood_down() {
    let (rig, live) = crate::upgrades::rig(&[("playbooks/cut.toml", CUT)]).await;
    let mut sockets = Vec::new();
    for client in ways(&rig) {
        sockets.push(open(&client, "/chat", "a=b").await.unwrap().1);
    }
    arm(&rig, "cut", &because("a test")).unwrap();
    for socket in &mut sockets {
        is_over(socket).await;
    }
    live.ended(3).await;
    for client in ways(&rig) {
        assert_eq!(open(&client, "/chat", "a=b").await.unwrap_err().0, StatusCode::SERVICE_UNAVAILABLE);
    }
    stand_down(&rig, "cut", true).unwrap();
    let (_, mut socket) = open(&rig.clear_client(), "/chat", "a=b").await.unwrap();
    echoes(&mut socket, "again").await;
}

#[tokio::test]
async fn while_unlisted_routes_are_only_looked_at_no_tunnel_is_opened_on_them() {
    let (rig, live) = crate::upgrades::rig(&[("playbooks/looking.toml", LOOKING)]).await;
    arm(&rig, "looking", &because("a test")).unwrap();
    for client in ways(&rig) {
        let (status, _, body) = open(&client, "/chat", "a=b").await.unwrap_err();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &problem["type"]), (StatusCode::SERVICE_UNAVAILABLE, &"urn:weir:problem:read-only".into()));
    }
    assert!(live.seen().iter().all(|(target, _)| target != "/chat"), "nothing of it reached the upstream");
    assert_eq!(rig.client(Protocol::H1).get("/page").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_a_playbook_holds_loses_its_tunnel() {
    let journeys = crate::upgrades::JOURNEYS.replacen(
        "ladder = [{ at = 0, do = \"allow\" }]",
        "ladder = [{ at = 1, do = \"allow\" }, { at = 0, do = \"step_up\" }]",
        1,
    );
    let (rig, live) = crate::upgrades::rig(&[("playbooks/careful.toml", CAREFUL), ("journeys.toml", &journeys)]).await;
    let mut customer = rig.client(Protocol::H1);
    customer.post("/login", "email=ann%40example.com&password=right").await;
    let (_, mut socket) = open(&rig.clear_client(), "/chat", "sid=s-1").await.unwrap();
    echoes(&mut socket, "hello").await;
    arm(&rig, "careful", &because("a test")).unwrap();
    echoes(&mut socket, "still here").await;
    // The same session signs in again, and is now open only as far as its step-up.
    customer.post("/login", "email=ann%40example.com&password=right").await;
    is_over(&mut socket).await;
    live.ended(1).await;
}
