//! Answers that go on: events come one by one, survive every swap, and end when what they hang on ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::support::client::{BOTH, Client, Connection, Protocol};
use crate::support::live::Live;
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig, server};
use crate::upgrades::JOURNEYS;
use weir::control::law::Outcome;
use weir::rules::in_force::InForce;
use weir::rules::posture::{Armed, Posture, Scope};

async fn rig(files: &[(&str, &str)]) -> (Rig, Live) {
    let live = Live::start().await;
    let rig = Rig::start(JOURNEYS, Upstream::shop(), files, |options| {
        options.servers = Some(vec![server(live.address)]);
    });
    (rig, live)
}

/// An answer that goes on, with the connection that it comes over.
struct Going {
    body: Incoming,
    _connection: Connection,
}

async fn go(client: &Client, path: &str, cookie: &str) -> Result<Going, StatusCode> {
    let mut connection = client.connect().await;
    let answer = connection.send(client.request("GET", path, &[("cookie", cookie)], "")).await.unwrap();
    match answer.status() {
        StatusCode::OK => Ok(Going { body: answer.into_body(), _connection: connection }),
        other => Err(other),
    }
}

impl Going {
    async fn next(&mut self) -> String {
        let frame = self.body.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// Whether it ends, and ends well.
    async fn end(&mut self) -> bool {
        loop {
            match self.body.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(_)) => {}
            }
        }
    }
}

#[tokio::test]
async fn events_come_one_by_one_and_survive_twenty_swaps() {
    let (rig, live) = rig(&[]).await;
    let mut clients = vec![go(&rig.clear_client(), "/events", "").await.unwrap()];
    for protocol in BOTH {
        clients.push(go(&rig.client(protocol), "/events", "").await.unwrap());
    }
    for swap in 0..20 {
        let text = format!(
            "{JOURNEYS}\n[journeys.swap{swap}]\nroutes = [\"GET /events\"]\nladder = [{{ at = 0, do = \"deny\", to = \"main\" }}]\nwhen_unknown = \"deny\"\n"
        );
        std::fs::write(rig.rules().join("journeys.toml"), text).unwrap();
        let law = rig.weir().law.clone();
        tokio::task::spawn_blocking(move || law.reload()).await.unwrap();
        // The next event is sent only once everybody has this one: nothing waits to be sent together.
        live.events.send("tick").unwrap();
        for client in &mut clients {
            assert_eq!(client.next().await, "data: tick\n\n");
        }
    }
    assert_eq!(go(&rig.clear_client(), "/events", "").await.err(), Some(StatusCode::FORBIDDEN));
}

#[tokio::test]
async fn events_end_when_their_session_signs_out_and_when_they_are_too_old() {
    let (rig, live) = rig(&[]).await;
    let mut customer = rig.client(Protocol::H1);
    customer.post("/login", "email=ann%40example.com&password=right").await;
    let mut hers = Vec::new();
    for protocol in BOTH {
        hers.push(go(&rig.client(protocol), "/events", "sid=s-1").await.unwrap());
    }
    let mut other = go(&rig.clear_client(), "/events", "sid=another").await.unwrap();
    customer.post("/logout", "").await;
    for going in &mut hers {
        assert!(going.end().await, "a browser connects again and is judged again");
    }
    live.events.send("still here").unwrap();
    assert_eq!(other.next().await, "data: still here\n\n");
    rig.advance(Duration::from_secs(24 * 3600));
    assert!(other.end().await);
}

#[tokio::test]
async fn events_may_pause_longer_than_other_answers() {
    let sites = "[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\ntimeout = { idle = \"200ms\" }\n";
    let (rig, live) = rig(&[("sites.toml", sites)]).await;
    for protocol in BOTH {
        let client = rig.client(protocol);
        let mut events = go(&client, "/events", "").await.unwrap();
        let mut stalled = go(&client, "/stall", "").await.unwrap();
        assert!(!stalled.end().await, "what stops half-way is not passed on as complete");
        live.events.send("after a pause").unwrap();
        assert_eq!(events.next().await, "data: after a pause\n\n");
    }
}

#[tokio::test]
async fn open_streams_have_room_of_their_own_at_an_upstream() {
    let sites = "[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\nmax_in_flight = 2\nmax_streams = 3\n";
    let (rig, live) = rig(&[("sites.toml", sites)]).await;
    let client = rig.client(Protocol::H1);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(go(&client, "/events", "").await.unwrap());
    }
    assert_eq!(go(&client, "/events", "").await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    let mut shopper = rig.client(Protocol::H2);
    assert_eq!(shopper.get("/page").await.status, StatusCode::OK, "requests are not in their way");
    live.events.send("all is well").unwrap();
    for going in &mut open {
        assert_eq!(going.next().await, "data: all is well\n\n");
    }
    assert_eq!(live.seen().iter().filter(|(target, _)| target == "/events").count(), 4);
}

const CUT: &str = r#"
summary = "Open connections hold what the site needs."
owner = "security"
expires = "2h"
at_most_total = "12h"
cut_streams = true
channels = ["web"]
[desk]
verify = ["Call back on the number already on file"]
script = "Live updates are paused. Everything else works."
never = ["Change an e-mail address on an incoming call"]
escalate = ["Duty lead: ext. 4400"]
"#;

#[tokio::test]
async fn a_playbook_that_cuts_streams_ends_them_within_seconds_and_lets_no_new_one_in() {
    let channels = "[channels]\napp = { when = { header = { name = \"user-agent\", equals = \"ShopApp\" } } }\n";
    let (rig, live) = rig(&[("channels.toml", channels)]).await;
    std::fs::create_dir(rig.rules().join("playbooks")).unwrap();
    let outcome = rig.save("playbooks/cut.toml", CUT);
    assert!(matches!(outcome, Outcome::Installed { .. }), "{outcome:?}");
    let client = rig.client(Protocol::H2);
    let mut web = go(&client, "/events", "").await.unwrap();
    let mut connection = client.connect().await;
    let request = client.request("GET", "/events", &[("user-agent", "ShopApp")], "");
    let mut app = connection.send(request).await.unwrap().into_body();

    let law = rig.weir().law.in_force();
    let calm = law.load();
    let armed = Armed {
        playbook: "cut".into(),
        by: "a person".into(),
        reason: "a test".into(),
        since: NOON,
        until: NOON.plus(Duration::from_secs(7200)),
        latest: NOON.plus(Duration::from_secs(7200)),
        confirm_by: None,
        scope: Scope::default(),
        shadow: false,
        ramp: None,
    };
    let posture = Arc::new(Posture { armed: vec![armed] });
    let under = InForce::new(calm.generation + 1, calm.rules.clone(), posture, calm.installed).unwrap();
    law.store(Arc::new(under));

    assert!(web.end().await);
    assert_eq!(go(&client, "/events", "").await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    let mut shopper = rig.client(Protocol::H1);
    assert_eq!(shopper.get("/page").await.status, StatusCode::OK, "requests are not streams");
    live.events.send("the app goes on").unwrap();
    let frame = app.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&frame[..], b"data: the app goes on\n\n");
    // It ends by itself, with nobody there to stand it down.
    rig.advance(Duration::from_secs(7200));
    assert!(go(&client, "/events", "").await.is_ok());
}
