//! A playbook is armed in a moment, for every worker, and always ends. It survives whatever happens to the process, and what a
//! person said is never loosened behind their back.

use std::time::{Duration, Instant};

use http::StatusCode;
use weir::control::arming::By;
use weir::control::law::Outcome;
use weir::control::posture::{Ask, Refusal, scope};
use weir::control::triggers::{Act, Counts, Now, Tower};
use weir::control::who::{Role, Who};

use crate::support::Rig;
use crate::support::client::{Protocol, whole};
use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;

pub const OPEN: &str = r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 1, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
[journeys.orders]
routes = ["GET /orders"]
ladder = [{ at = 1, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
"#;

/// Hands everybody on `balance` and `orders` to a person.
pub const STORM: &str = r#"
summary = "Everybody goes to a person."
owner = "security"
expires = "2h"
at_most_total = "4h"
[changes.balance]
at_most = "handoff"
[changes.orders]
at_most = "handoff"
[stand_down]
ramp = "10m"
[desk]
verify = ["Call back on the number already on file"]
"#;

/// Hands everybody on `orders` to a person.
const DRIZZLE: &str = r#"
summary = "Orders go to a person."
owner = "security"
expires = "1h"
at_most_total = "2h"
[changes.orders]
at_most = "handoff"
[desk]
verify = ["Call back on the number already on file"]
"#;

const FILES: &[(&str, &str)] = &[("playbooks/storm.toml", STORM), ("playbooks/drizzle.toml", DRIZZLE)];

fn rig() -> Rig {
    Rig::start(OPEN, Upstream::shop(), FILES, |_| {})
}

pub fn ann() -> Who {
    Who { name: "ann".into(), role: Role::Operator, how: "a test".into() }
}

pub fn because(reason: &str) -> Ask {
    Ask { reason: reason.to_owned(), ..Ask::default() }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Arms and gives what became of it.
pub fn arm(rig: &Rig, name: &str, ask: &Ask) -> Result<u64, Refusal> {
    rig.weir().law.arm(name, ask, By { who: &ann(), expect: None }).map(|changed| changed.generation)
}

pub fn stand_down(rig: &Rig, name: &str, at_once: bool) -> Result<u64, Refusal> {
    let law = &rig.weir().law;
    law.stand_down(name, "over", at_once, By { who: &ann(), expect: None }).map(|changed| changed.generation)
}

async fn status(rig: &Rig, path: &str) -> StatusCode {
    rig.client(Protocol::H1).get(path).await.status
}

#[tokio::test]
async fn arming_holds_the_next_request_of_every_kept_connection_of_every_worker() {
    let rig = Rig::start(OPEN, Upstream::shop(), FILES, |options| options.workers = Some(8));
    let client = rig.client(Protocol::H1);
    let mut connections = Vec::new();
    for _ in 0..32 {
        let mut connection = client.connect().await;
        let answer = connection.send(client.request("GET", "/account/balance", &[], "")).await.unwrap();
        assert_eq!(whole(answer).await.status, StatusCode::OK);
        connections.push(connection);
    }
    let began = Instant::now();
    arm(&rig, "storm", &because("a test")).unwrap();
    let mut first = None;
    for connection in &mut connections {
        let answer = connection.send(client.request("GET", "/account/balance", &[], "")).await.unwrap();
        assert_eq!(whole(answer).await.status, StatusCode::FORBIDDEN);
        first.get_or_insert(began.elapsed());
    }
    println!(
        "arm to the first request under it: {:?}; 32 connections of 8 workers: {:?}",
        first.unwrap(),
        began.elapsed()
    );
    assert_eq!(status(&rig, "/hello").await, StatusCode::OK);
}

#[tokio::test]
async fn it_ends_by_itself_on_the_path_even_when_nobody_looks() {
    let rig = rig();
    arm(&rig, "drizzle", &Ask { span: Some(minutes(30)), ..because("a test") }).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    rig.advance(minutes(29));
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    rig.advance(minutes(1));
    assert_eq!(status(&rig, "/orders").await, StatusCode::OK);
    rig.weir().law.beat();
    assert!(rig.weir().law.in_force().load().posture.is_empty());
    assert!(!rig.weir().telemetry.text().contains("weir_posture{"), "no longer shown");
}

#[tokio::test]
async fn what_nobody_confirms_reverts_and_what_somebody_confirms_stays() {
    let rig = rig();
    let ask = Ask { confirm_within: Some(minutes(5)), ..because("not sure") };
    arm(&rig, "drizzle", &ask).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    rig.advance(minutes(5));
    assert_eq!(status(&rig, "/orders").await, StatusCode::OK);
    rig.weir().law.beat();
    arm(&rig, "drizzle", &ask).unwrap();
    let law = &rig.weir().law;
    law.confirm("drizzle", By { who: &ann(), expect: None }).unwrap();
    rig.advance(minutes(6));
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    let again = law.confirm("drizzle", By { who: &ann(), expect: None });
    assert!(matches!(again, Err(Refusal::NothingToConfirm(_))));
}

#[tokio::test]
async fn the_way_back_is_gradual_and_standing_one_down_leaves_the_other() {
    let rig = rig();
    arm(&rig, "storm", &because("a test")).unwrap();
    arm(&rig, "drizzle", &because("a test")).unwrap();
    stand_down(&rig, "storm", false).unwrap();
    let line = || rig.weir().law.in_force().load().posture.of("storm").unwrap().ramp.unwrap();
    assert_eq!(line().line(rig.weir().law.clock().now()), 100, "at first nobody is served in full");
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::FORBIDDEN);
    rig.advance(minutes(10));
    rig.weir().law.beat();
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::OK);
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN, "drizzle still holds");
    stand_down(&rig, "drizzle", true).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::OK);
    assert!(matches!(stand_down(&rig, "drizzle", true), Err(Refusal::NotArmed(_))));
}

#[tokio::test]
async fn an_end_begins_the_way_back_without_a_moment_between() {
    let rig = rig();
    arm(&rig, "storm", &Ask { span: Some(minutes(60)), ..because("a test") }).unwrap();
    rig.advance(minutes(60) - Duration::from_millis(800));
    rig.weir().law.beat();
    rig.advance(minutes(1));
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::FORBIDDEN);
    rig.advance(minutes(10));
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::OK);
}

#[tokio::test]
async fn scope_and_shadow_hold_only_what_they_say() {
    let rig = rig();
    arm(&rig, "storm", &Ask { scope: Some(scope(["orders", "web"].into_iter())), ..because("a test") }).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::OK);
    stand_down(&rig, "storm", true).unwrap();
    arm(&rig, "storm", &Ask { shadow: true, ..because("trying it") }).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::OK);
    arm(&rig, "storm", &because("it is right")).unwrap();
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN, "from shadow to enforced is allowed");
}

#[tokio::test]
async fn arming_again_widens_and_lengthens_and_never_loosens() {
    let rig = rig();
    let narrow = Ask { span: Some(minutes(60)), scope: Some(scope(["orders"].into_iter())), ..because("a test") };
    arm(&rig, "storm", &narrow).unwrap();
    for (ask, why) in [
        (Ask { span: Some(minutes(10)), ..because("x") }, "shorter"),
        (Ask { shadow: true, ..because("x") }, "shadow"),
        (Ask { scope: Some(scope(["balance"].into_iter())), ..because("x") }, "elsewhere"),
        (Ask { scope: Some(scope(["orders", "app"].into_iter())), ..because("x") }, "fewer channels"),
        (Ask { confirm_within: Some(minutes(1)), ..because("x") }, "unconfirmed"),
    ] {
        let refused = arm(&rig, "storm", &ask);
        assert!(matches!(refused, Err(Refusal::Looser(_))), "{why}: {refused:?}");
    }
    arm(&rig, "storm", &Ask { span: Some(minutes(120)), ..because("longer") }).unwrap();
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::OK, "the scope stays when none is said");
    arm(&rig, "storm", &Ask { scope: Some(scope(["all"].into_iter())), ..because("wider") }).unwrap();
    assert_eq!(status(&rig, "/account/balance").await, StatusCode::FORBIDDEN);
    let too_long = arm(&rig, "storm", &Ask { span: Some(minutes(241)), ..because("x") });
    assert!(too_long.unwrap_err().to_string().contains("4h at most"));
    rig.advance(minutes(100));
    let beyond = arm(&rig, "storm", &Ask { span: Some(minutes(200)), ..because("x") });
    assert!(beyond.unwrap_err().to_string().contains("may hold until"));
    for (name, ask, words) in [
        ("strom", because("x"), "did you mean storm?"),
        ("storm", because("  "), "say why"),
        ("storm", Ask { scope: Some(scope(["ordrs"].into_iter())), ..because("x") }, "did you mean orders?"),
    ] {
        let refused = arm(&rig, name, &ask).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn rules_are_swapped_under_the_posture_and_may_not_lack_what_is_armed() {
    let rig = rig();
    arm(&rig, "storm", &because("a test")).unwrap();
    let Outcome::Installed { .. } =
        rig.save("more.toml", "[journeys.x]\nroutes = [\"GET /x\"]\nladder = [{ at = 0, do = \"allow\" }]\n")
    else {
        panic!("not installed")
    };
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    let Outcome::LacksArmed { playbooks, .. } = rig.remove("playbooks/storm.toml") else { panic!("installed") };
    assert_eq!(playbooks, ["storm"]);
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN);
    assert!(matches!(rig.weir().law.roll_back(), Outcome::RolledBack { .. }));
    assert_eq!(status(&rig, "/orders").await, StatusCode::FORBIDDEN, "a step back is a step of the law alone");
    stand_down(&rig, "storm", true).unwrap();
    assert!(matches!(rig.weir().law.reload(), Outcome::Installed { .. }), "nothing that a watcher would have seen");
}

#[test]
fn what_was_acknowledged_survives_being_killed_at_any_moment() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    terminal.rules(&format!("http://{}", upstream.address));
    terminal.write("rules/gateway.toml", GATEWAY);
    for n in 0..4 {
        let text =
            "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\nat_most_total = \"9h\"\nunlisted = \"read_only\"\n";
        terminal.write(&format!("rules/playbooks/p{n}.toml"), text);
    }
    let mut wanted: Vec<String> = Vec::new();
    for round in 0..20 {
        let (weir, _) = terminal.start_run();
        let said = terminal.run(&["status", "--json"]);
        let document: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let armed: Vec<&str> =
            document["posture"].as_array().unwrap().iter().map(|armed| armed["playbook"].as_str().unwrap()).collect();
        for name in &wanted {
            assert!(armed.contains(&name.as_str()), "round {round}: {name} was acknowledged and is not in {armed:?}");
        }
        let name = format!("p{}", round % 4);
        let said = terminal.run(&["arm", &name, "--reason", "a test"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        if !wanted.contains(&name) {
            wanted.push(name);
        }
        // Killed while the next is being armed: that one may be there or not, what was acknowledged must be.
        let mut next = terminal.command(&["arm", &format!("p{}", (round + 1) % 4), "--reason", "in the middle"]);
        let mut child = next.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        weir.signal("KILL");
        child.wait().unwrap();
        weir.end();
        assert_eq!(terminal.run(&["audit", "verify", "data"]).code, Some(0));
    }
}

#[test]
fn rules_that_lack_what_is_armed_do_not_start_until_it_is_stood_down_offline() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    terminal.write("rules/gateway.toml", GATEWAY);
    let text = "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\nat_most_total = \"9h\"\nunlisted = \"read_only\"\n";
    terminal.write("rules/playbooks/calm.toml", text);
    let (weir, _) = terminal.start_run();
    assert_eq!(terminal.run(&["arm", "calm", "--reason", "a test"]).code, Some(0));
    let refused = terminal.run(&["stand-down", "calm", "--reason", "x", "--offline", "data"]);
    assert!(refused.code == Some(1) && refused.err.contains("leave --offline out"), "{refused:?}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    std::fs::remove_file(terminal.path("rules/playbooks/calm.toml")).unwrap();
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("weir stand-down calm --reason \"...\" --offline "), "{}", said.err);
    assert_eq!(
        terminal.run(&["stand-down", "calm", "--reason", "gone from the rules", "--offline", "data"]).code,
        Some(0)
    );
    assert_eq!(terminal.run(&["audit", "verify", "data"]).code, Some(0));
    let (weir, _) = terminal.start_run();
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn a_posture_that_cannot_be_read_is_put_aside_and_said_and_the_site_starts() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    terminal.write("rules/gateway.toml", GATEWAY);
    terminal.write("data/posture.json", "{ not json");
    let mut weir = terminal.start(&["run"]);
    let line = weir.hear("NOTHING IS ARMED");
    assert!(line.contains("posture.json.unreadable"), "{line}");
    weir.hear("in force");
    assert!(terminal.path("data/posture.json.unreadable").exists());
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    let tail = terminal.run(&["audit", "tail", "data"]);
    assert!(tail.out.contains("posture_lost"), "{tail:?}");
}

/// A tower that has seen a calm quarter of an hour, one sample a second.
fn calm_tower(playbooks: &[weir::rules::playbook::Playbook]) -> (Tower, Counts, weir::clock::Moment) {
    let (mut tower, mut counts, mut now) = (Tower::default(), Counts::default(), crate::support::NOON);
    for _ in 0..900 {
        now = now.plus(Duration::from_secs(1));
        counts.signed_in += 9;
        counts.sign_in_failed += 1;
        assert_eq!(tower.tick(counts, now, playbooks, |_| Now::default()), []);
    }
    (tower, counts, now)
}

const WATCHING: &str = r#"
summary = "x"
owner = "x"
expires = "30m"
at_most_total = "2h"
[[trigger]]
watch = "login_failure_rate"
over = "1m"
at_least = "5x baseline"
then = "THEN"
[changes.balance]
at_most = "handoff"
where = { contaminated = true }
[stand_down]
when = { watch = "login_failure_rate", at_most = "1.5x baseline", during = "2m" }
[desk]
verify = ["Call back on the number already on file"]
"#;

fn watching(then: &str) -> std::sync::Arc<weir::rules::ruleset::RuleSet> {
    let rig = Rig::start(OPEN, Upstream::shop(), &[("playbooks/watch.toml", &WATCHING.replace("THEN", then))], |_| {});
    rig.weir().law.in_force().load().rules.clone()
}

#[tokio::test]
async fn an_attack_arms_by_itself_never_becomes_usual_and_ends_when_it_is_calm() {
    let rules = watching("arm");
    let (mut tower, mut counts, mut now) = calm_tower(&rules.playbooks);
    let mut armed = false;
    let (mut arms, mut stands) = (0, 0);
    for second in 0..1800 {
        now = now.plus(Duration::from_secs(1));
        let attack = second < 1200;
        counts.signed_in += 9;
        counts.sign_in_failed += if attack { 91 } else { 1 };
        for act in tower.tick(counts, now, &rules.playbooks, |_| Now { armed, ..Now::default() }) {
            match act {
                Act::Arm { because, .. } => {
                    assert!(attack && because.contains("login_failure_rate"), "{because}");
                    (armed, arms) = (true, arms + 1);
                }
                Act::StandDown { .. } => {
                    assert!(!attack, "it is not calm at {second}");
                    (armed, stands) = (false, stands + 1);
                }
                Act::Propose(proposal) => panic!("{proposal:?}"),
            }
        }
    }
    assert_eq!((arms, stands), (1, 1));
    let usual = tower.usual().into_iter().find(|usual| &*usual.watch == "login_failure_rate").unwrap();
    assert!((0.08..0.15).contains(&usual.value), "the attack became usual: {}", usual.value);
}

#[tokio::test]
async fn a_trigger_that_asks_proposes_once_and_one_that_a_person_silenced_is_silent() {
    let rules = watching("propose");
    let (mut tower, mut counts, mut now) = calm_tower(&rules.playbooks);
    let mut proposals = Vec::new();
    for second in 0..240 {
        now = now.plus(Duration::from_secs(1));
        counts.sign_in_failed += 100;
        proposals.extend(tower.tick(counts, now, &rules.playbooks, |_| Now { quiet: second < 120, ..Now::default() }));
        assert!(second >= 120 || proposals.is_empty());
    }
    let [Act::Propose(proposal)] = proposals.as_slice() else { panic!("{proposals:?}") };
    assert!(proposal.command.starts_with("weir arm watch --reason "), "{proposal:?}");
    assert_eq!(tower.proposals().count(), 1);
}

#[tokio::test]
async fn a_handful_of_events_or_a_start_without_a_past_arms_nothing() {
    let rules = watching("arm");
    let (mut tower, mut counts, mut now) = (Tower::default(), Counts::default(), crate::support::NOON);
    for _ in 0..300 {
        now = now.plus(Duration::from_secs(1));
        counts.sign_in_failed += 100;
        assert_eq!(
            tower.tick(counts, now, &rules.playbooks, |_| Now::default()),
            [],
            "there is no past to compare with"
        );
    }
    let (mut tower, mut counts, mut now) = calm_tower(&rules.playbooks);
    for second in 0..300 {
        now = now.plus(Duration::from_secs(1));
        counts.sign_in_failed += u64::from(second % 10 == 0);
        assert_eq!(tower.tick(counts, now, &rules.playbooks, |_| Now::default()), [], "at {second}");
    }
}
