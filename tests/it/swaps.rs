//! The law is swapped whole, without a dropped request, and a bad file changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use weir::control::law::Outcome;

use crate::support::Rig;
use crate::support::client::{BOTH, Protocol, whole};

const OPEN: &str = r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 0, do = "allow" }]
"#;

const SHUT: &str = r#"
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
"#;

#[tokio::test]
async fn a_saved_file_is_in_force_for_the_next_request_and_can_be_taken_back_one_step() {
    let rig = Rig::with(OPEN);
    let mut client = rig.client(Protocol::H1);
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
    let Outcome::Installed { generation: 2, .. } = rig.save("journeys.toml", SHUT) else { panic!("not installed") };
    assert_eq!(client.get("/account/balance").await.status, StatusCode::FORBIDDEN);
    let Outcome::RolledBack { generation: 3, .. } = rig.weir().law.roll_back() else { panic!("not rolled back") };
    assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
    assert!(!rig.weir().law.standing().files_in_force);
}

/// The watcher compares what it read with what was read last: a law that is taken back in between must stay taken back.
#[test]
fn what_was_taken_back_is_not_brought_in_again_by_the_watcher() {
    let rig = Rig::with(OPEN);
    let law = &rig.weir().law;
    struct AtTheEnd<'a>(&'a AtomicBool);
    impl Drop for AtTheEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also where an assertion fails: the others are waited for.
        let _end = AtTheEnd(&over);
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    law.reload_if_changed();
                }
            });
        }
        for round in 0..100 {
            let text = if round % 2 == 0 { SHUT } else { OPEN };
            rig.save("journeys.toml", &format!("{text}# {round}\n"));
            let Outcome::RolledBack { generation, .. } = law.roll_back() else { panic!("not rolled back") };
            law.reload_if_changed();
            assert_eq!(law.in_force().load().generation, generation, "round {round}");
        }
    });
}

#[tokio::test]
async fn a_file_that_is_saved_is_noticed_without_being_told() {
    let rig = Rig::with(OPEN);
    rig.write("journeys.toml", SHUT);
    let began = Instant::now();
    while rig.weir().law.in_force().load().generation == 1 {
        assert!(began.elapsed() < Duration::from_secs(30), "the file was never noticed");
        tokio::task::yield_now().await;
    }
    println!("file saved to law in force: {:?}", began.elapsed());
    assert_eq!(rig.client(Protocol::H2).get("/account/balance").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_law_standing_and_a_mended_one_replaces_it() {
    let rig = Rig::with(OPEN);
    let mut client = rig.client(Protocol::H1);
    for broken in [
        "[journeys.balance",
        "[journeys.balance]\nroutes = [\"GET /x\"]\nladder = [{ at = 0, do = \"alow\" }]",
        "\u{0}",
        "",
    ] {
        let text = format!(
            "{broken}\n[[case]]\nname = \"never\"\nrequest = {{ method = \"GET\", path = \"/.git\" }}\nexpect = \"deny\"\n"
        );
        // An empty file is a law, but one under which the case does not hold.
        let (generation, errors, problems) = match rig.save("journeys.toml", &text) {
            Outcome::Refused { generation, errors, problems } => (generation, errors, problems),
            Outcome::CasesFailed { generation, failed, problems } => (generation, failed, problems),
            other => panic!("{broken:?}: {other:?}"),
        };
        assert!(generation == 1 && errors > 0 && problems.contains("journeys.toml"), "{problems}");
        assert_eq!(client.get("/account/balance").await.status, StatusCode::OK);
    }
    assert!(matches!(rig.save("journeys.toml", OPEN), Outcome::Unchanged { .. }));
    assert!(matches!(rig.save("journeys.toml", SHUT), Outcome::Installed { .. }));
    std::fs::remove_dir_all(rig.rules()).unwrap();
    assert!(matches!(rig.weir().law.reload(), Outcome::Refused { .. }), "rules that are gone change nothing");
    assert_eq!(client.get("/account/balance").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_changed_setting_is_said_to_need_a_restart_and_changes_nothing() {
    let rig = Rig::with(OPEN);
    assert!(!rig.weir().law.standing().restart_needed);
    assert!(matches!(rig.save("gateway.toml", "workers = 7\n"), Outcome::Unchanged { .. }));
    assert!(rig.weir().law.standing().restart_needed);
    rig.save("gateway.toml", "");
    assert!(!rig.weir().law.standing().restart_needed, "taken back, it needs none");
}

#[tokio::test]
async fn a_failing_case_keeps_a_reload_out() {
    let rig = Rig::with(OPEN);
    let promise = "[[case]]\nname = \"anyone may look\"\nrequest = { method = \"GET\", path = \"/account/balance\" }\nexpect = \"allow\"\n";
    assert!(matches!(rig.save("cases.toml", promise), Outcome::Installed { .. }));
    let Outcome::CasesFailed { failed: 1, problems, .. } = rig.save("journeys.toml", SHUT) else { panic!("installed") };
    assert!(problems.contains("anyone may look") && problems.contains("handoff"), "{problems}");
}

/// Swaps the law back and forth while clients ask without pause: every request is served, each by one law or the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_law_is_swapped() {
    let rig = Rig::with(OPEN);
    for protocol in BOTH {
        let client = rig.client(protocol);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let served = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let mut asking = Vec::new();
        for _ in 0..4 {
            let (client, stopped, served) = (client.clone(), stopped.clone(), served.clone());
            asking.push(tokio::spawn(async move {
                let mut connection = client.connect().await;
                while !*stopped.borrow() {
                    let answer = connection.send(client.request("GET", "/account/balance", &[], "")).await;
                    let by = match whole(answer.expect("answered")).await.status {
                        StatusCode::OK => 0,
                        StatusCode::FORBIDDEN => 1,
                        other => panic!("{other}"),
                    };
                    served[by].fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        for swap in 0..20 {
            let (text, by) = if swap % 2 == 0 { (SHUT, 1) } else { (OPEN, 0) };
            rig.write("journeys.toml", text);
            let law = rig.weir().law.clone();
            tokio::task::spawn_blocking(move || law.reload()).await.unwrap();
            let before = served[by].load(Ordering::Relaxed);
            while served[by].load(Ordering::Relaxed) < before + 8 {
                assert!(asking.iter().all(|task| !task.is_finished()), "a client failed");
                tokio::task::yield_now().await;
            }
        }
        stop.send(true).unwrap();
        for task in asking {
            task.await.unwrap();
        }
    }
}
