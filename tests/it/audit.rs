//! The record of every change: nothing can be taken out, changed or moved without being found, a crash loses no line that was
//! written, and a disk that is full stops nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use weir::clock::Clock;
use weir::control::audit::verify::{Found, verify};
use weir::control::audit::{Change, FILE, HEAD, TORN};
use weir::control::disk::Disk;
use weir::control::who::Who;
use weir::telemetry::Telemetry;

use crate::arming::{OPEN, STORM};
use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

fn change(number: usize) -> Change {
    Change {
        time: NOON.plus(Duration::from_secs(number as u64)),
        who: Who::files(),
        what: "reload",
        target: "rules".to_owned(),
        why: format!("number {number}"),
        before: json!({ "generation": number }),
        after: json!({ "generation": number + 1 }),
    }
}

/// Writes so many changes, and gives the directory's record.
fn record(dir: &Path, count: usize) -> PathBuf {
    let (disk, thread) = Disk::open(dir, Clock::manual(NOON).0, Telemetry::new()).unwrap();
    let tickets: Vec<_> = (0..count).map(|number| disk.record(change(number))).collect();
    assert!(disk.wait(&tickets));
    thread.join();
    dir.join(FILE)
}

/// What `verify` finds after somebody edited the lines.
fn after(edit: impl Fn(&mut Vec<String>)) -> Found {
    let dir = tempfile::tempdir().unwrap();
    let path = record(dir.path(), 9);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 9);
    edit(&mut lines);
    std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    verify(&path).unwrap()
}

#[test]
fn a_record_that_nobody_touched_is_whole() {
    let found = after(|_| {});
    assert!(found.good() && found.lines == 9 && found.head.seq == 9, "{found:?}");
}

#[test]
fn a_removed_changed_moved_or_cut_line_is_found_with_its_place() {
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, u64, &str, Edit); 8] = [
        ("removed", 4, "number 4 is missing before this one", |lines| drop(lines.remove(3))),
        ("two removed", 4, "4 to 5 are missing", |lines| drop(lines.drain(3..5))),
        ("the first removed", 1, "number 1 is missing", |lines| drop(lines.remove(0))),
        ("changed", 4, "number 4 was changed", |lines| lines[3] = lines[3].replace("number 3", "number 7")),
        ("moved", 4, "number 4 is missing", |lines| lines.swap(3, 4)),
        ("twice", 5, "the order was changed", |lines| lines.insert(4, lines[3].clone())),
        ("the end cut", 9, "the end was cut: 1 line was written after this", |lines| drop(lines.pop())),
        ("foreign", 4, "has no hash", |lines| lines[3] = "hello".to_owned()),
    ];
    for (name, line, words, edit) in edits {
        let found = after(edit);
        let fault = found.faults.first().unwrap_or_else(|| panic!("{name} was not found"));
        assert_eq!(fault.line, line, "{name}: {found:?}");
        assert!(fault.why.contains(words), "{name}: {fault:?}");
    }
}

#[test]
fn a_line_replaced_by_one_with_a_right_hash_of_its_own_is_found_by_the_next() {
    let found = after(|lines| {
        let head = weir::control::audit::Head {
            seq: 3,
            hash: serde_json::from_str::<serde_json::Value>(&lines[2]).unwrap()["hash"].as_str().unwrap().to_owned(),
        };
        lines[3] = head.next(&change(77)).0;
    });
    assert!(found.faults.iter().any(|fault| fault.line == 5 && fault.why.contains("was replaced")), "{found:?}");
}

#[test]
fn a_torn_last_line_is_put_aside_and_no_earlier_one_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = record(dir.path(), 5);
    let whole = std::fs::read_to_string(&path).unwrap();
    for cut in [1, 20, 150] {
        let torn = format!("{whole}{}", &whole[..cut]);
        std::fs::write(&path, torn).unwrap();
        let found = verify(&path).unwrap();
        assert!(found.good() && found.torn == cut as u64, "half a line is what a crash leaves: {found:?}");
    }
    record(dir.path(), 1);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&whole) && verify(&path).unwrap().good(), "{text}");
    assert!(text.contains("half-written last line was put aside"));
    assert_eq!(std::fs::read(dir.path().join(TORN)).unwrap().len(), 151);
}

#[test]
fn a_cut_record_goes_on_and_what_is_missing_stays_visible_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = record(dir.path(), 5);
    let text = std::fs::read_to_string(&path).unwrap();
    let cut: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, cut).unwrap();
    record(dir.path(), 2);
    record(dir.path(), 2);
    let found = verify(&path).unwrap();
    assert_eq!(found.faults.len(), 1, "{found:?}");
    assert!(found.faults[0].line == 4 && found.faults[0].why.contains("4 to 5 are missing"), "{found:?}");
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"what\":\"tampered\""));
}

#[test]
fn a_missing_head_is_said_for_without_it_a_cut_end_cannot_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = record(dir.path(), 3);
    std::fs::remove_file(dir.path().join(HEAD)).unwrap();
    assert!(verify(&path).unwrap().faults[0].why.contains("is missing"));
}

#[test]
fn a_disk_without_room_stops_no_change_and_is_caught_up_with() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // A name that is taken by a directory cannot be written, whoever this is: the same as no room.
    std::fs::create_dir(data.join(FILE)).unwrap();
    let telemetry = Telemetry::new();
    let (disk, thread) = Disk::open(&data, Clock::manual(NOON).0, telemetry.clone()).unwrap();
    let ticket = disk.record(change(0));
    assert!(!disk.wait(&[ticket]));
    for number in 1..1200 {
        disk.record(change(number));
    }
    let health = disk.health();
    assert!(!health.audit_written && health.audit_waiting == 1000 && health.audit_lost == 200, "{health:?}");
    assert!(health.audit_fault.is_some());
    assert!(telemetry.text().contains("weir_disk_ok{what=\"audit\"} 0"));
    std::fs::remove_dir(data.join(FILE)).unwrap();
    assert!(disk.wait(&[disk.save("{}\n".into()), ticket]), "one of a new change's attempts succeeds");
    thread.join();
    let found = verify(&data.join(FILE)).unwrap();
    assert!(found.good() && found.lines == 1001, "{found:?}");
    assert!(
        std::fs::read_to_string(data.join(FILE)).unwrap().contains("200 changes were made while the disk had no room")
    );
    assert!(telemetry.text().contains("weir_disk_ok{what=\"audit\"} 1"));
}

#[tokio::test]
async fn arming_works_in_memory_while_the_disk_does_not_and_is_written_when_it_does() {
    let rig = Rig::start(OPEN, Upstream::shop(), &[("playbooks/storm.toml", STORM)], |_| {});
    let data = rig.dir().join("data");
    std::fs::create_dir_all(data.join("posture.json.new")).unwrap();
    let who = Who::user(0);
    let by = weir::control::arming::By { who: &who, expect: None };
    let ask = weir::control::posture::Ask { reason: "a full disk".to_owned(), ..Default::default() };
    let changed = rig.weir().law.arm("storm", &ask, by).unwrap();
    assert!(!changed.safe);
    let mut client = rig.client(crate::support::client::Protocol::H1);
    assert_eq!(client.get("/orders").await.status, http::StatusCode::FORBIDDEN);
    let health = rig.weir().law.disk().health();
    assert!(!health.posture_saved && health.audit_written && health.posture_fault.is_some(), "{health:?}");
    std::fs::remove_dir(data.join("posture.json.new")).unwrap();
    // Whatever happens next takes the posture along.
    let changed = rig.weir().law.stand_down("storm", "x", false, by).unwrap();
    assert!(changed.safe);
    assert!(std::fs::read_to_string(data.join("posture.json")).unwrap().contains("storm"));
}

#[test]
fn a_disk_with_no_room_left_is_said_by_status_and_the_site_goes_on() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    terminal.rules(&format!("http://{}", upstream.address));
    terminal.write("rules/gateway.toml", GATEWAY);
    let text = "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\nat_most_total = \"9h\"\nunlisted = \"read_only\"\n";
    terminal.write("rules/playbooks/calm.toml", text);
    let (weir, base) = terminal.start_run();
    // No file of this process may grow from here on: what a full disk looks like to it.
    let limited = terminal.shell(&format!("prlimit --pid {} --fsize=0", weir.id()));
    if limited.code != Some(0) {
        panic!("prlimit (util-linux) is needed: {limited:?}");
    }
    let said = terminal.run(&["arm", "calm", "--reason", "a full disk"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("The disk does not take it"), "{said:?}");
    assert_eq!(terminal.get(&format!("{base}/hello")).0, 200);
    let said = terminal.run(&["status"]);
    assert!(said.out.contains("DISK") && said.out.contains("armed        calm, "), "{said:?}");
    assert_eq!(terminal.run(&["stand-down", "calm", "--reason", "x"]).code, Some(0));
    assert_eq!(terminal.run(&["audit", "verify", "data"]).code, Some(0), "and the record says nothing false");
}

#[test]
fn the_record_is_shown_and_verified_with_and_without_a_running_weir() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    terminal.write("rules/gateway.toml", GATEWAY);
    let text = "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\nat_most_total = \"9h\"\nunlisted = \"read_only\"\n";
    terminal.write("rules/playbooks/calm.toml", text);
    let (weir, _) = terminal.start_run();
    let hostile = "ticket 7\n{\"seq\":1}\u{1b}[2J";
    assert_eq!(terminal.run(&["arm", "calm", "--reason", hostile]).code, Some(0));
    assert_eq!(terminal.run(&["rollback", "--reason", "x"]).code, Some(1));
    let tail = terminal.run(&["audit", "tail", "-n", "2"]);
    assert!(tail.out.lines().count() == 2 && tail.out.contains(" arm calm (until "), "{tail:?}");
    assert!(tail.out.contains("Z): ticket 7\\u{a}"), "{tail:?}");
    assert!(!tail.out.contains('\u{1b}'), "{tail:?}");
    assert!(terminal.run(&["audit", "verify"]).out.contains("whole and in order"));
    weir.signal("TERM");
    weir.end();
    let json: serde_json::Value =
        serde_json::from_str(&terminal.run(&["audit", "verify", "data", "--json"]).out).unwrap();
    assert_eq!((&json["good"], &json["lines"]), (&true.into(), &2.into()));
    let text = std::fs::read_to_string(terminal.path("data/audit.jsonl")).unwrap();
    terminal.write("data/audit.jsonl", &text.replace("ticket 7", "ticket 8"));
    let said = terminal.run(&["audit", "verify", "data"]);
    assert!(said.code == Some(1) && said.out.contains(":1: line number 1 was changed"), "{said:?}");
}
