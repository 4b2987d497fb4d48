//! Control from outside: roles, tokens, tags, events and references, over the socket and over TLS; and that it works when nothing
//! else does.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use weir::control::api::tokens::mint;

use crate::arming::{OPEN, STORM};
use crate::support::Rig;
use crate::support::client::{Client, Protocol};
use crate::support::upstream::Upstream;

const FILES: &[(&str, &str)] = &[("playbooks/storm.toml", STORM)];

async fn send(socket: &Path, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

/// Status and document of one request over the socket.
pub async fn ask(rig: &Rig, method: &str, path: &str, tag: Option<&str>, body: &Value) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path).header("host", "weir");
    if let Some(tag) = tag {
        request = request.header("if-match", format!("\"{tag}\""));
    }
    let body = Full::new(Bytes::from(if body.is_null() { String::new() } else { body.to_string() }));
    let answer = send(&rig.weir().socket, request.body(body).unwrap()).await;
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn get(rig: &Rig, path: &str) -> (StatusCode, Value) {
    ask(rig, "GET", path, None, &Value::Null).await
}

pub fn audit(rig: &Rig) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.dir().join("data/audit.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn two_operators_cannot_overwrite_each_other() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |_| {});
    let (_, status) = get(&rig, "/v1/status").await;
    let tag = status["law"]["tag"].as_str().unwrap().to_owned();
    let body = json!({ "reason": "mine" });
    let (first, _) = ask(&rig, "POST", "/v1/playbooks/storm/arm", Some(&tag), &body).await;
    assert_eq!(first, StatusCode::OK);
    for (path, body) in [
        ("/v1/playbooks/storm/stand-down", json!({ "reason": "theirs" })),
        ("/v1/playbooks/storm/arm", json!({ "reason": "theirs" })),
        ("/v1/rules/reload", json!({})),
        ("/v1/rules/rollback", json!({})),
    ] {
        let (late, said) = ask(&rig, "POST", path, Some(&tag), &body).await;
        assert_eq!(late, StatusCode::PRECONDITION_FAILED, "{path}: {said}");
    }
    let (_, status) = get(&rig, "/v1/status").await;
    assert_eq!(status["posture"][0]["reason"], "mine");
}

/// The refusals in the record, once there are so many; nobody waits for the disk to be refused.
fn refusals(rig: &Rig, count: usize) -> Vec<Value> {
    let began = std::time::Instant::now();
    loop {
        let refused: Vec<Value> = audit(rig).into_iter().filter(|line| line["what"] == "refused").collect();
        if refused.len() >= count || began.elapsed() > Duration::from_secs(20) {
            return refused;
        }
        std::thread::yield_now();
    }
}

/// A rig with a door over TLS, and a token for each role.
pub fn far() -> (Rig, Client, [String; 3]) {
    let tokens: Vec<(String, String)> = (0..3).map(|_| mint().unwrap()).collect();
    let certificate =
        "certificate = \"../certs/control.pem\", key = \"../certs/control.key\", when_missing = \"self_signed\"";
    let mut gateway = format!("[control]\nlisten = \"127.0.0.1:0\"\ntls = {{ {certificate} }}\ntokens = [\n");
    for (role, (_, sha256)) in ["operator", "agent", "viewer"].iter().zip(&tokens) {
        gateway += &format!("  {{ name = \"{role} one\", role = \"{role}\", sha256 = \"{sha256}\" }},\n");
    }
    gateway += "]\n";
    let rig = Rig::start(OPEN, Upstream::shop(), &[FILES[0], ("gateway.toml", &gateway)], |_| {});
    let address = rig.weir().steering.unwrap();
    let client = Client::tls(address, &rig.dir().join("certs/control.pem"), Protocol::H1);
    let tokens = tokens.into_iter().map(|(token, _)| token).collect::<Vec<_>>().try_into().unwrap();
    (rig, client, tokens)
}

pub async fn over(client: &Client, token: &str, method: &str, path: &str, tag: Option<&str>) -> (StatusCode, Value) {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    headers.extend(tag.map(|tag| ("if-match", tag)));
    let answer = client.clone().send(method, path, &headers, r#"{"reason":"a test"}"#).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

#[tokio::test]
async fn a_role_may_what_it_needs_and_no_more_and_trying_leaves_a_line() {
    let (rig, client, [operator, agent, viewer]) = far();
    let paths = [
        ("GET", "/v1/status", [200, 200, 200]),
        ("GET", "/v1/desk", [200, 200, 200]),
        ("GET", "/v1/journeys", [200, 200, 200]),
        ("GET", "/v1/rules", [200, 403, 200]),
        ("GET", "/v1/playbooks", [200, 403, 200]),
        ("GET", "/v1/playbooks/storm", [200, 403, 200]),
        ("GET", "/v1/decisions/0123456789ab", [404, 403, 404]),
        ("GET", "/v1/handoffs/123", [422, 422, 403]),
        ("GET", "/v1/audit", [200, 403, 403]),
        ("GET", "/metrics", [200, 403, 200]),
        ("POST", "/v1/rules/check", [400, 403, 403]),
        ("POST", "/v1/playbooks/storm/arm", [428, 403, 403]),
        ("POST", "/v1/rules/rollback", [428, 403, 403]),
    ];
    for (method, path, expected) in paths {
        for (token, expected) in [&operator, &agent, &viewer].into_iter().zip(expected) {
            rig.advance(Duration::from_secs(2));
            let (status, said) = over(&client, token, method, path, None).await;
            let expected = if path == "/v1/rules/check" && expected == 400 { [400, 200] } else { [expected; 2] };
            assert!(expected.contains(&status.as_u16()), "{method} {path}: {status} {said}");
        }
    }
    let refused = refusals(&rig, 14);
    assert_eq!(refused.len(), 14, "{refused:?}");
    assert!(
        refused.iter().any(|line| line["who"]["name"] == "viewer one" && line["target"] == "/v1/playbooks/storm/arm")
    );
}

#[tokio::test]
async fn over_the_network_a_change_says_what_it_expects_and_a_wrong_token_opens_nothing() {
    let (rig, client, [operator, ..]) = far();
    let (missing, said) = over(&client, &operator, "POST", "/v1/playbooks/storm/arm", None).await;
    assert_eq!(missing, StatusCode::PRECONDITION_REQUIRED, "{said}");
    let tag = rig.weir().law.tag();
    let (armed, said) = over(&client, &operator, "POST", "/v1/playbooks/storm/arm", Some(&tag)).await;
    assert_eq!((armed, &said["armed"]["by"]), (StatusCode::OK, &"operator one".into()));
    let (late, _) = over(&client, &operator, "POST", "/v1/playbooks/storm/stand-down", Some(&tag)).await;
    assert_eq!(late, StatusCode::PRECONDITION_FAILED);
    for _ in 0..3 {
        let (wrong, _) = over(&client, "weir_nobody", "GET", "/v1/status", None).await;
        assert_eq!(wrong, StatusCode::UNAUTHORIZED);
    }
    let none = client.clone().send("GET", "/v1/status", &[], "").await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(refusals(&rig, 1).len(), 1, "at most one a second, and the clock stands still");
}

#[test]
fn a_door_over_the_network_needs_tls_and_somebody_who_may_come_in() {
    use weir::rules::source::Sources;
    use weir::settings::Settings;
    let codes = |text: &str| {
        let read = Settings::read(&Sources::from_texts(vec![("gateway.toml".to_owned(), text.to_owned())]));
        read.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>()
    };
    let token = format!("{{ name = \"ann\", role = \"viewer\", sha256 = \"{}\" }}", "0".repeat(64));
    assert_eq!(codes(&format!("[control]\nlisten = \"127.0.0.1:1\"\ntokens = [{token}]\n")), [""; 0]);
    assert_eq!(codes(&format!("[control]\nlisten = \"10.0.0.1:1\"\ntokens = [{token}]\n")), ["W0080"]);
    assert_eq!(codes("[control]\nlisten = \"127.0.0.1:1\"\n").len(), 1);
    assert_eq!(codes(&format!("[control]\nlisten = \"127.0.0.1:1\"\ntokens = [{token}, {token}]\n")), ["W0016"]);
    assert_eq!(
        codes(&format!("[control]\nlisten = \"127.0.0.1:1\"\ntokens = [{}]\n", token.replace("0000", "xyz0"))).len(),
        1
    );
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens_and_a_reader_goes_on_where_it_left_off() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |_| {});
    let listen = |last: Option<&str>| {
        let mut request = Request::builder().uri("/v1/events").header("host", "weir");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.body(Full::new(Bytes::new())).unwrap()
    };
    let mut stream = send(&rig.weir().socket, listen(None)).await;
    ask(&rig, "POST", "/v1/playbooks/storm/arm", None, &json!({ "reason": "x" })).await;
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        let frame = stream.frame().await.unwrap().unwrap();
        heard += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
    }
    assert!(heard.contains("event: posture") && heard.contains("\"playbook\":\"storm\""), "{heard}");
    ask(&rig, "POST", "/v1/playbooks/storm/stand-down", None, &json!({ "reason": "x", "now": true })).await;
    let id = heard.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let mut again = send(&rig.weir().socket, listen(Some(&id))).await;
    let frame = again.frame().await.unwrap().unwrap();
    let heard = std::str::from_utf8(frame.data_ref().unwrap()).unwrap().to_owned();
    assert!(heard.contains("stand_down_now"), "{heard}");
    // Streams that are open do not keep a process from ending.
    drop(rig);
}

#[tokio::test]
async fn a_decision_and_a_handoff_are_found_by_what_the_customer_reads_out() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |_| {});
    ask(&rig, "POST", "/v1/playbooks/storm/arm", None, &json!({ "reason": "x" })).await;
    let answer = rig.client(Protocol::H1).get("/orders").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let reference = answer.json()["reference"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    let path = format!("/v1/handoffs/{}", reference.replace(' ', ""));
    let (status, said) = get(&rig, &path).await;
    assert_eq!((status, &said["journey"]), (StatusCode::OK, &"orders".into()), "{said}");
    let path = format!("/v1/decisions/{}", reference.replace(' ', "-"));
    let began = std::time::Instant::now();
    let said = loop {
        let (status, said) = get(&rig, &path).await;
        if status == StatusCode::OK {
            break said;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{said}");
    };
    assert_eq!((&said["journey"], &said["action"]), (&"orders".into(), &"handoff".into()));
    let id = said["id"].as_str().unwrap();
    assert_eq!(get(&rig, &format!("/v1/decisions/{}", &id[..12])).await.1["id"], id);
    assert_eq!(get(&rig, "/v1/decisions/xyz").await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_playbook_shows_what_it_would_change_and_rules_are_checked_without_being_installed() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |_| {});
    let (_, shown) = get(&rig, "/v1/playbooks/storm").await;
    let balance = &shown["changes"][0];
    assert_eq!(
        (&balance["journey"], &balance["before"][0], &balance["after"][0]),
        (&"balance".into(), &"allow from 1".into(), &"handoff from 1".into())
    );
    let (unknown, said) = get(&rig, "/v1/playbooks/strom").await;
    assert!(
        unknown == StatusCode::NOT_FOUND && said["detail"].as_str().unwrap().contains("did you mean storm?"),
        "{said}"
    );
    let (status, said) = ask(&rig, "POST", "/v1/rules/check", None, &json!({ "a.toml": "[journeys.x" })).await;
    assert_eq!((status, &said["good"]), (StatusCode::OK, &false.into()));
    assert!(said["problems"][0]["message"].is_string(), "{said}");
    assert_eq!(rig.weir().law.in_force().load().generation, 1);
    let large = json!({ "a.toml": "#".repeat(5 * 1024 * 1024) });
    assert_eq!(ask(&rig, "POST", "/v1/rules/check", None, &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(get(&rig, "/v1/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rules_whose_cases_fail_come_in_only_with_a_reason_and_survive_a_restart() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |_| {});
    let case = "[[case]]\nname = \"never\"\nrequest = { method = \"GET\", path = \"/orders\" }\nexpect = \"deny\"\n";
    std::fs::write(rig.rules().join("cases.toml"), case).unwrap();
    let (status, said) = ask(&rig, "POST", "/v1/rules/reload", None, &Value::Null).await;
    assert_eq!((status, &said["outcome"]), (StatusCode::UNPROCESSABLE_ENTITY, &"cases_failed".into()));
    let (status, _) = ask(&rig, "POST", "/v1/rules/reload", None, &json!({ "despite_cases": true })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "without a reason");
    let body = json!({ "despite_cases": true, "reason": "the case is wrong" });
    let (status, said) = ask(&rig, "POST", "/v1/rules/reload", None, &body).await;
    assert_eq!((status, &said["outcome"]), (StatusCode::OK, &"installed".into()));
    assert!(rig.weir().law.standing().despite_cases);
    let lines = audit(&rig);
    let last = lines.last().unwrap();
    assert_eq!((&last["what"], &last["why"]), (&"installed_despite_cases".into(), &"the case is wrong".into()));
    let kept = std::fs::read_to_string(rig.dir().join("data/posture.json")).unwrap();
    assert!(kept.contains("despite_cases"), "a restart finds that a person let them in: {kept}");
}

#[tokio::test]
async fn control_answers_while_the_upstream_is_gone() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |options| {
        options.servers = Some(vec![crate::support::server(([127, 0, 0, 1], 1).into())]);
    });
    assert_eq!(rig.client(Protocol::H1).get("/hello").await.status.as_u16() / 100, 5);
    let (status, _) = ask(&rig, "POST", "/v1/playbooks/storm/arm", None, &json!({ "reason": "x" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(rig.client(Protocol::H1).get("/orders").await.status, StatusCode::FORBIDDEN);
}

#[test]
fn the_commands_work_over_the_network_with_a_token() {
    use crate::support::program::{GATEWAY, Terminal};
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    let made: Value =
        serde_json::from_str(&terminal.run(&["token", "ann", "--role", "operator", "--json"]).out).unwrap();
    terminal.write("ann.token", made["token"].as_str().unwrap());
    let certificate = "certificate = \"../control.pem\", key = \"../control.key\", when_missing = \"self_signed\"";
    let door = format!(
        "[control]\nlisten = \"127.0.0.1:0\"\ntls = {{ {certificate} }}\ntokens = [{}]\n",
        made["line"].as_str().unwrap()
    );
    terminal.write("rules/gateway.toml", &format!("{GATEWAY}{door}"));
    let text = "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\nat_most_total = \"9h\"\nunlisted = \"read_only\"\n";
    terminal.write("rules/playbooks/calm.toml", text);
    let (weir, _) = terminal.start_run();
    let status: Value = serde_json::from_str(&terminal.run(&["status", "--json"]).out).unwrap();
    let url = format!("https://{}", status["places"]["control"].as_str().unwrap());
    let far = |command: &[&str]| {
        let far = ["--url", &url, "--token-file", "ann.token", "--ca", "control.pem"];
        terminal.run(&[command, &far].concat())
    };
    let said = far(&["arm", "calm", "--for", "10m", "--reason", "from afar"]);
    assert!(
        said.code == Some(0) && said.out.starts_with("calm, ") && said.out.contains("by ann: from afar"),
        "{said:?}"
    );
    let table = far(&["status"]).out;
    assert!(table.contains("armed        calm, ") && table.contains(", with a token\n"), "{table}");
    let said = terminal.run(&["status", "--url", &url, "--token-file", "ann.token"]);
    assert!(said.code == Some(1) && said.err.contains("\nhelp: --ca FILE names the authority"), "{said:?}");
    let said = terminal.run(&["status", "--url", &url.replace("https", "http"), "--token-file", "ann.token"]);
    assert!(said.code == Some(1) && said.err.contains("a door with a certificate wants https://"), "{said:?}");
    let said = far(&["arm", "clam", "--reason", "x"]);
    assert!(said.code == Some(1) && said.err.contains("did you mean calm?"), "{said:?}");
    let said = far(&["stand-down", "calm", "--reason", "x", "--if-match", "old-1"]);
    assert!(said.code == Some(1) && said.err.contains("someone changed it in the meantime"), "{said:?}");
    assert_eq!(far(&["stand-down", "calm", "--reason", "x"]).code, Some(0));
    assert_eq!(far(&["stand-down", "calm", "--reason", "x"]).code, Some(1), "it is not armed");
    terminal.write("ann.token", "weir_wrong");
    let said = far(&["status"]);
    assert!(said.code == Some(1) && said.err.contains("nobody has this token"), "{said:?}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}
