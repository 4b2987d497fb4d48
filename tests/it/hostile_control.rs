//! Whoever means harm at the doors of control, in its files and with its clock: nobody gets in by force or keeps others out, and
//! what is armed neither holds for ever nor ends in silence.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use weir::clock::Moment;
use weir::control::arming::By;
use weir::control::audit::verify::verify;
use weir::control::audit::{Change, FILE, HEAD};
use weir::control::disk::Disk;
use weir::control::law::Outcome;
use weir::control::posture::{self, Ask, MOST, scope};
use weir::control::who::Who;
use weir::rules::posture::{Armed, Posture, Ramp, Scope};
use weir::telemetry::Telemetry;

use crate::arming::{OPEN, STORM};
use crate::control::{ask, audit, far, over};
use crate::support::client::Protocol;
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

const FILES: &[(&str, &str)] = &[("playbooks/storm.toml", STORM)];
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn rig() -> Rig {
    Rig::start(OPEN, Upstream::shop(), FILES, |_| {})
}

fn armed(until: Moment) -> Armed {
    Armed {
        playbook: "storm".into(),
        by: "ann".into(),
        reason: "x".into(),
        since: NOON,
        until,
        latest: until,
        confirm_by: None,
        scope: Scope::default(),
        shadow: false,
        ramp: None,
    }
}

#[tokio::test]
async fn every_route_is_for_its_roles_and_no_spelling_of_it_is_for_others() {
    let (rig, client, [operator, agent, viewer]) = far();
    let expected = [
        ("POST", "/v1/rules/rehearse", [200, 403, 403]),
        ("POST", "/v1/rules/reload", [428, 403, 403]),
        ("POST", "/v1/playbooks/storm/confirm", [428, 403, 403]),
        ("POST", "/v1/playbooks/storm/stand-down", [428, 403, 403]),
        ("GET", "/v1/events/", [404, 404, 404]),
        ("GET", "//v1/audit", [404, 404, 404]),
        ("GET", "/v1/./audit", [404, 404, 404]),
        ("GET", "/V1/AUDIT", [404, 404, 404]),
        ("GET", "/v1/status/../audit", [404, 404, 404]),
        ("GET", "/v1/%61udit", [404, 404, 404]),
        ("GET", "/v1/playbooks/storm%2Farm", [404, 403, 404]),
        ("HEAD", "/v1/audit", [200, 403, 403]),
        ("PUT", "/v1/playbooks/storm/arm", [405, 403, 403]),
    ];
    for (method, path, each) in expected {
        for (token, expected) in [&operator, &agent, &viewer].into_iter().zip(each) {
            let (status, said) = over(&client, token, method, path, None).await;
            // A method that is not taken may be told before the role is asked for: it opens nothing.
            let told = method == "PUT" && status == StatusCode::METHOD_NOT_ALLOWED;
            // rehearse may learn to take a case: then this body is no case.
            let told =
                told || (path.ends_with("rehearse") && expected == 200 && status.as_u16() / 100 == 4 && status != 403);
            assert!(told || status.as_u16() == expected, "{method} {path}: {status}, not {expected}: {said}");
        }
    }
    let posture = rig.weir().law.in_force().load().posture.clone();
    assert!(posture.is_empty());
}

#[tokio::test]
async fn of_two_who_arm_at_once_having_seen_the_same_exactly_one_does() {
    let rig = rig();
    let law = &rig.weir().law;
    for _ in 0..10 {
        let tag = law.tag();
        let body = json!({ "reason": "mine" });
        let arm = || ask(&rig, "POST", "/v1/playbooks/storm/arm", Some(&tag), &body);
        let (a, b, c, d) = tokio::join!(arm(), arm(), arm(), arm());
        let mut answers = [a.0, b.0, c.0, d.0].map(|status| status.as_u16());
        answers.sort_unstable();
        assert_eq!(answers, [200, 412, 412, 412]);
        law.stand_down("storm", "x", true, By { who: &Who::process(), expect: None }).unwrap();
    }
}

#[tokio::test]
async fn nobody_alone_can_keep_the_others_out_of_the_door_over_the_network() {
    let (rig, client, [operator, ..]) = far();
    let address = rig.weir().steering.unwrap();
    // All from 127.0.0.2, and none of them says a word.
    let mut idle = Vec::new();
    for _ in 0..200 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        idle.push(socket.connect(address).await.unwrap());
    }
    let (status, said) = over(&client, &operator, "GET", "/v1/status", None).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let mut closed = 0;
    for stream in &mut idle {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(20), tokio::io::AsyncReadExt::read(stream, &mut byte));
        closed += usize::from(matches!(read.await, Ok(Ok(0) | Err(_))));
    }
    assert!(closed >= 100, "what is too much from one address is closed: {closed}");
    drop(idle);
}

#[tokio::test]
async fn every_wrong_token_waits_and_costs_the_connection() {
    let (_rig, client, _) = far();
    let began = std::time::Instant::now();
    let guess = || async {
        let mut client = client.clone();
        client.send("GET", "/v1/status", &[("authorization", "Bearer weir_guess")], "").await
    };
    let answers = futures_util::future::join_all((0..14).map(|_| guess())).await;
    for answer in answers {
        assert_eq!((answer.status, answer.header("connection")), (StatusCode::UNAUTHORIZED, "close"));
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_reason_that_is_far_too_long_or_steers_leaves_one_short_line() {
    let rig = rig();
    let huge = json!({ "reason": "x".repeat(100 * 1024) });
    let (status, _) = ask(&rig, "POST", "/v1/playbooks/storm/arm", None, &huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let hostile = format!("{}\u{202e}\r\n{{\"seq\":1,\"what\":\"arm\"}}\u{7f}\u{1b}]0;x\u{7}", "é".repeat(480));
    let (status, _) = ask(&rig, "POST", "/v1/playbooks/storm/arm", None, &json!({ "reason": hostile })).await;
    assert_eq!(status, StatusCode::OK);
    let lines = audit(&rig);
    assert_eq!(lines.len(), 1);
    let why = lines[0]["why"].as_str().unwrap();
    assert!(why.chars().count() < 800 && !why.contains(|symbol: char| symbol.is_control() || symbol == '\u{202e}'));
    assert!(verify(&rig.dir().join("data").join(FILE)).unwrap().good());
}

#[test]
fn files_of_control_are_for_their_owner_alone() {
    let rig = rig();
    rig.weir().law.arm("storm", &because(), By { who: &Who::process(), expect: None }).unwrap();
    let data = rig.dir().join("data");
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in ["posture.json", FILE, HEAD, "weir.sock"] {
        if data.join(name).exists() {
            assert_eq!(mode(name), 0o600, "{name}");
        }
    }
}

fn because() -> Ask {
    Ask { reason: "a test".to_owned(), ..Ask::default() }
}

#[test]
fn a_data_directory_that_others_may_write_in_is_taken_from_them() {
    let outside = tempfile::tempdir().unwrap();
    let data = outside.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    let _rig = Rig::start(OPEN, Upstream::shop(), FILES, |options| options.data = Some(data.clone()));
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o022, 0);
}

/// Starts with this as the kept posture.
fn with_posture(prepare: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, Rig) {
    let outside = tempfile::tempdir().unwrap();
    let data = outside.path().to_owned();
    prepare(&data);
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |options| options.data = Some(data));
    (outside, rig)
}

#[tokio::test]
async fn a_posture_that_somebody_wrote_ends_as_its_playbook_says_and_the_record_says_so() {
    let far = NOON.plus(YEAR * 1000);
    let text = json!({
        "posture": { "armed": vec![armed(far); 10_000] },
        "quiet": [{ "playbook": "storm", "until": u64::MAX }],
        "foreign": [1, 2, 3],
    });
    let (outside, rig) = with_posture(|data| std::fs::write(data.join("posture.json"), text.to_string()).unwrap());
    let law = &rig.weir().law;
    let posture = law.in_force().load().posture.clone();
    assert_eq!(posture.armed.len(), 1, "one entry of a playbook");
    assert!(posture.armed[0].ends() <= NOON.plus(Duration::from_secs(4 * 3600)), "{posture:?}");
    assert!(law.is_quiet("storm"));
    let mut client = rig.client(Protocol::H1);
    assert_eq!(client.get("/orders").await.status, StatusCode::FORBIDDEN);
    rig.advance(Duration::from_secs(4 * 3600));
    assert_eq!(client.get("/orders").await.status, StatusCode::OK);
    assert!(!law.is_quiet("storm"), "and nobody silences a trigger for ever");
    law.arm("storm", &because(), By { who: &Who::process(), expect: None }).unwrap();
    let record = std::fs::read_to_string(outside.path().join(FILE)).unwrap();
    assert!(record.contains("\"what\":\"bounded\""), "{record}");
}

#[test]
fn a_posture_that_is_a_link_a_pipe_or_a_directory_is_put_aside_and_keeps_nobody_waiting() {
    type Prepare = fn(&std::path::Path);
    let prepare: [Prepare; 3] = [
        |data| {
            std::fs::write(data.join("theirs"), "{\"posture\":{\"armed\":[]}}").unwrap();
            std::os::unix::fs::symlink(data.join("theirs"), data.join("posture.json")).unwrap();
        },
        |data| {
            let made = std::process::Command::new("mkfifo").arg(data.join("posture.json")).status().unwrap();
            assert!(made.success());
        },
        |data| std::fs::create_dir(data.join("posture.json")).unwrap(),
    ];
    for prepare in prepare {
        let (outside, rig) = with_posture(prepare);
        assert!(rig.weir().law.in_force().load().posture.is_empty());
        assert!(std::fs::symlink_metadata(outside.path().join("posture.json.unreadable")).is_ok());
    }
}

#[test]
fn a_clock_that_is_set_back_lengthens_nothing_beyond_what_the_playbook_allows() {
    let rig = rig();
    let rules = rig.weir().law.in_force().load().rules.clone();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let a_year_ahead = armed(NOON.plus(YEAR));
    let ramping = Armed { ramp: Some(Ramp { from: NOON.plus(YEAR), until: NOON.plus(YEAR) }), ..a_year_ahead.clone() };
    let many = Posture { armed: vec![a_year_ahead.clone(); MOST * 2] };
    for posture in [Posture { armed: vec![a_year_ahead] }, Posture { armed: vec![ramping] }, many] {
        let (next, changed) = posture::bound(&posture, &rules, NOON).unwrap();
        assert!(next.armed.len() == 1 && next.armed[0].ends() <= NOON.plus(hours(4)) && !changed.is_empty());
        assert_eq!(posture::bound(&next, &rules, NOON), None, "once is enough");
        assert_eq!(posture::bound(&next, &rules, NOON.plus(hours(1))), None);
    }
    let right = Posture { armed: vec![armed(NOON.plus(hours(4)))] };
    assert_eq!(posture::bound(&right, &rules, NOON), None, "what is in its bounds is left alone");
}

#[tokio::test]
async fn a_law_that_renames_a_journey_of_a_scope_does_not_silently_end_what_is_armed() {
    let rig = rig();
    let law = &rig.weir().law;
    let narrow = Ask { scope: Some(scope(["orders"].into_iter())), ..because() };
    law.arm("storm", &narrow, By { who: &Who::process(), expect: None }).unwrap();
    let storm = STORM.replace("changes.orders", "changes.purchases");
    std::fs::write(rig.rules().join("playbooks/storm.toml"), storm).unwrap();
    let outcome = rig.save("journeys.toml", &OPEN.replace("journeys.orders", "journeys.purchases"));
    let Outcome::LacksArmed { playbooks, .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(playbooks, &["storm"]);
    assert_eq!(rig.client(Protocol::H1).get("/orders").await.status, StatusCode::FORBIDDEN);
    // The same for the last of its channels.
    std::fs::write(rig.rules().join("journeys.toml"), OPEN).unwrap();
    law.stand_down("storm", "x", true, By { who: &Who::process(), expect: None }).unwrap();
    let web = Ask { scope: Some(scope(["web"].into_iter())), ..because() };
    assert!(rig.save("playbooks/storm.toml", STORM).good());
    law.arm("storm", &web, By { who: &Who::process(), expect: None }).unwrap();
    let outcome = rig.save("playbooks/storm.toml", &format!("channels = [\"desk\"]\n{STORM}"));
    assert!(matches!(outcome, Outcome::LacksArmed { .. }), "{outcome:?}");
}

fn change(number: u64) -> Change {
    Change {
        time: NOON,
        who: Who::files(),
        what: "reload",
        target: "rules".to_owned(),
        why: number.to_string(),
        before: Value::Null,
        after: Value::Null,
    }
}

fn write(dir: &std::path::Path, count: u64) -> bool {
    let (disk, thread) = Disk::open(dir, weir::clock::Clock::manual(NOON).0, Telemetry::new()).unwrap();
    let tickets: Vec<_> = (0..count).map(|number| disk.record(change(number))).collect();
    let safe = disk.wait(&tickets);
    thread.join();
    safe
}

#[test]
fn a_line_with_the_last_number_there_is_is_a_fault_and_the_record_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write(dir.path(), 3));
    let path = dir.path().join(FILE);
    let mut text = std::fs::read_to_string(&path).unwrap();
    let last = weir::control::audit::Head { seq: u64::MAX - 1, hash: "0".repeat(64) };
    text += &(last.next(&change(1)).0 + "\n");
    text += &(last.next(&change(2)).0 + "\n");
    std::fs::write(&path, &text).unwrap();
    assert!(!verify(&path).unwrap().good());
    assert!(write(dir.path(), 2), "what happens now is still written");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&text));
}

#[test]
fn a_line_that_is_far_too_long_is_a_fault_and_no_later_line_is_written_over_others() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write(dir.path(), 2));
    let path = dir.path().join(FILE);
    let whole = std::fs::read_to_string(&path).unwrap();
    let mut text = format!("{whole}{}\n", "x".repeat(5 * 1024 * 1024 / 2));
    text += &whole;
    std::fs::write(&path, &text).unwrap();
    let found = verify(&path).unwrap();
    assert!(!found.good() && found.lines == 5 && found.torn == 0, "{:?}", found.faults);
    assert!(write(dir.path(), 2));
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now.starts_with(&text) && now.lines().count() >= 7, "nothing that stood there was written over");
}

/// A raw request over the listener in clear text, and all that comes back until the end.
fn raw(rig: &Rig, text: &str) -> String {
    let mut stream = TcpStream::connect(rig.weir().addresses[1]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tunnel_carries_a_second_request_past_the_law() {
    let rig = rig();
    rig.weir().law.arm("storm", &because(), By { who: &Who::process(), expect: None }).unwrap();
    let behind = "GET /orders HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let ask = |head: &str| format!("{head}\r\n{behind}");
    for head in [
        "GET /orders HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
        "GET /hello HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
        "GET /hello HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
        "POST /hello HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n",
    ] {
        let before = rig.upstream.seen().len();
        let text = ask(head);
        let said = {
            let rig = &rig;
            tokio::task::block_in_place(|| raw(rig, &text))
        };
        assert!(!said.contains("HTTP/1.1 101"), "{head}: {said}");
        let seen = rig.upstream.seen();
        assert!(
            seen[before..].iter().all(|request| !format!("{request:?}").contains("/orders")),
            "{head}: what stands behind a request is judged like any other: {seen:?}"
        );
    }
}
