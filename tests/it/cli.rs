//! The program as an operator has it: every command, what it says, and the exit code that it ends with.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::mpsc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;

const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn without_a_command_it_says_how_it_is_used_and_ends_with_2() {
    let terminal = Terminal::new();
    let said = terminal.run(&[]);
    assert_eq!(said.code, Some(2));
    let commands = ["run", "check", "demo", "status", "reload", "rollback", "test", "explain", "init", "schema", "key"];
    let more = ["notices", "arm", "confirm", "stand-down", "playbooks", "events", "token", "completions", "man"];
    for command in commands.into_iter().chain(more) {
        assert!(said.err.contains(&format!("\n  {command} ")), "{}", said.err);
        let help = terminal.run(&[command, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(
            help.out.contains("Examples:\n  weir ") && help.out.contains(&format!("weir {command}")),
            "{}",
            help.out
        );
        assert!(help.out.lines().all(|line| line.chars().count() <= 100), "{}", help.out);
    }
    assert!(terminal.run(&["--version"]).out.starts_with("weir 0."));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_what_is_wrong() {
    let terminal = Terminal::new();
    for (arguments, words) in [
        (&["chek"][..], "'check'"),
        (&["check", "--jsn"], "'--json'"),
        (&["run", "--log", "=="], "try error, warn, info or debug"),
        (&["demo", "--port", "99999"], "0..=65535"),
        (&["demo", "--upstream", "ftp://x"], "http:// or https://"),
        (&["demo", "--upstream", "http://x/shop"], "must not have a path"),
        (&["demo", "--upstream", "shop"], "http:// or https://"),
    ] {
        let said = terminal.run(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(words), "{}", said.err);
    }
}

#[test]
fn check_says_that_good_rules_are_good() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let said = terminal.run(&["check"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("rules: no problems. 8 journeys, ") && said.out.lines().count() == 1, "{}", said.out);
    let json: serde_json::Value = serde_json::from_str(&terminal.run(&["check", "rules", "--json"]).out).unwrap();
    assert_eq!((&json["good"], &json["errors"]), (&true.into(), &0.into()));
    assert_eq!(json["fingerprint"].as_str().unwrap().len(), 12);
}

#[test]
fn check_reports_every_problem_of_every_file_and_counts_them_once() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    terminal.write("rules/extra.toml", "[journeys.x]\nroutes = [\"GET /x\"]\nladder = [{ at = 155, do = \"alow\" }]\n");
    terminal.write("rules/gateway.toml", "wrkers = 3\n");
    let said = terminal.run(&["check", "rules"]);
    assert_eq!(said.code, Some(1));
    for words in ["extra.toml:3:", "gateway.toml:1:1", "did you mean \"allow\"?", "did you mean `workers`?", "3 errors"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert_eq!(said.out.matches("error").count() - said.out.matches("error[").count(), 1, "{}", said.out);
    assert!(said.out.ends_with("rules: not fit to be put in force. A running Weir keeps its last good rules.\n"));
    let json: serde_json::Value = serde_json::from_str(&terminal.run(&["check", "rules", "--json"]).out).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 3);
    assert_eq!(json["good"], false);
}

#[test]
fn check_survives_whatever_it_is_pointed_at() {
    let terminal = Terminal::new();
    std::fs::create_dir(terminal.path("empty")).unwrap();
    std::fs::create_dir(terminal.path("junk")).unwrap();
    std::fs::write(terminal.path("junk/a.toml"), [0xff, 0, 0xfe, 7]).unwrap();
    terminal.write("huge/a.toml", &"# a comment\n".repeat(400_000));
    terminal.write("file.toml", "");
    for (dir, words) in [
        ("nowhere", "there is no directory nowhere"),
        ("file.toml", "file.toml is not a directory"),
        ("empty", "empty holds no rule file"),
        ("junk", "a.toml is not UTF-8 text"),
        ("huge", "a.toml is larger than 4096 KiB"),
    ] {
        let said = terminal.run(&["check", dir]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains(words) && said.out.contains("help: "), "{}", said.out);
    }
}

#[test]
fn warnings_fail_a_check_only_when_they_are_to() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    terminal.write("rules/upstreams.toml", "[upstreams.unused]\nservers = [\"http://10.0.0.1:80\"]\n");
    let said = terminal.run(&["check"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("1 warning\n") && said.out.contains("fit to be put in force"), "{}", said.out);
    assert_eq!(terminal.run(&["check", "--deny-warnings"]).code, Some(1));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let terminal = Terminal::new();
    terminal.write("rules/a.toml", &"x = 1\n".repeat(2_000));
    let weir = env!("CARGO_BIN_EXE_weir");
    let said = terminal.shell(&format!("{weir} check rules --json | head -1"));
    assert_eq!((said.out.as_str(), said.err.as_str()), ("{\n", ""));
}

#[test]
fn bad_rules_start_nothing() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    terminal.write("rules/sites.toml", "");
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("error[W") && said.err.contains("nothing was started"), "{}", said.err);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_said() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    terminal.write("taken", "a file");
    terminal.write("rules/gateway.toml", &format!("data = \"../taken\"\n{GATEWAY}"));
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("weir: making the data directory "), "{}", said.err);
    assert!(said.err.trim_end().lines().count() == 1 && said.err.contains("/taken: "), "{}", said.err);
}

#[test]
fn a_missing_certificate_and_a_wrong_key_are_said() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let listen = |key: &str| {
        format!(
            "admin = \"off\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntls = {{ certificate = \"a.pem\", key = \"{key}\", when_missing = \"fail\" }}\n"
        )
    };
    terminal.write("rules/gateway.toml", &listen("a.key"));
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("a.pem") && said.err.contains("cannot be read"), "{}", said.err);
    for name in ["a", "b"] {
        let pair = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
        terminal.write(&format!("rules/{name}.pem"), &pair.cert.pem());
        terminal.write(&format!("rules/{name}.key"), &pair.signing_key.serialize_pem());
    }
    terminal.write("rules/gateway.toml", &listen("b.key"));
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("b.key") || said.err.contains("a.pem"), "{}", said.err);
}

#[test]
fn a_second_weir_is_refused_on_the_same_port_and_on_the_same_data() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let (first, base) = terminal.start_run();
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("another Weir is running with the data directory"), "{}", said.err);
    let taken = GATEWAY.replacen("127.0.0.1:0\"\n[times]", &format!("{}\"\n[times]", &base[7..]), 1);
    terminal.write("rules/gateway.toml", &format!("data = \"../second\"\n{taken}"));
    let said = terminal.run(&["run"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("cannot listen on 127.0.0.1:") && said.err.contains("another address"), "{}", said.err);
    assert_eq!(terminal.get(&format!("{base}/nothing")).0, 502, "the first goes on");
    first.signal("TERM");
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_running_weir_is_steered_from_another_terminal() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    terminal.rules(&format!("http://{}", upstream.address));
    let (mut weir, _) = terminal.start_run();
    let status = || -> serde_json::Value { serde_json::from_str(&terminal.run(&["status", "--json"]).out).unwrap() };
    assert_eq!(status()["law"]["generation"], 1);
    assert_eq!(status()["places"]["process"], weir.id());
    assert_eq!(terminal.run(&["rollback"]).code, Some(1));
    let said = terminal.run(&["reload"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "The files are what is in force already: generation 1.\n"));

    // A saved file is noticed.
    let journeys = std::fs::read_to_string(terminal.path("rules/journeys.toml")).unwrap();
    terminal.write("rules/journeys.toml", &journeys.replace("at = 55", "at = 80"));
    weir.hear("new rules are in force generation=2");
    let table = terminal.run(&["status"]).out;
    for words in ["in force     generation 2, ", "rules: in force", "rollback     to ", "upstream     shop: http://"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    // A broken one changes nothing, and is said everywhere.
    terminal.write("rules/journeys.toml", &journeys.replace("at = 55", "at = 155"));
    weir.hear("the last good rules stay in force");
    let said = terminal.run(&["reload"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("journeys.toml:") && said.out.contains("generation 2 stays in force"), "{}", said.out);
    assert!(terminal.run(&["status"]).out.contains("REFUSED, 1 error: run weir check /"));
    assert_eq!(status()["law"]["files_in_force"], false);

    // Back one step, and forward again.
    let said = terminal.run(&["rollback"]);
    assert!(said.code == Some(0) && said.out.contains("generation 3"), "{said:?}");
    assert!(terminal.run(&["status"]).out.contains("not in force (rolled back)"));
    terminal.write("rules/journeys.toml", &journeys);
    weir.signal("HUP");
    weir.hear("the rule files are in force already");

    // Settings wait for a restart, and that is said.
    terminal.write("rules/gateway.toml", &GATEWAY.replace("1s", "2s"));
    weir.hear("gateway.toml has changed");
    assert!(terminal.run(&["status"]).out.contains("at the next restart"));
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    let said = terminal.run(&["status"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no Weir of this user is running"), "{}", said.err);
}

#[test]
fn several_weirs_are_told_apart_by_their_sockets() {
    let terminal = Terminal::new();
    let mut demos =
        [terminal.start(&["demo", "--port", "0", "--quiet"]), terminal.start(&["demo", "--port", "0", "--quiet"])];
    for demo in &mut demos {
        assert!(demo.line().starts_with("https://127.0.0.1:"));
    }
    let said = terminal.run(&["status"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("weir: 2 Weirs are running; say which:\n"), "{}", said.err);
    for choice in said.err.lines().skip(1) {
        let (_, socket) = choice.split_once("--socket ").unwrap();
        assert_eq!(terminal.run(&["status", "--socket", socket]).code, Some(0));
    }
    let said = terminal.run(&["status", "--socket", "/nonexistent/weir.sock"]);
    assert!(said.code == Some(1) && said.err.contains("no Weir answers at /nonexistent/weir.sock"), "{}", said.err);
    for demo in demos {
        demo.signal("INT");
        assert_eq!(demo.end().code, Some(0));
    }
    let left: Vec<_> =
        std::fs::read_dir(terminal.path("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with("weir-demo-")), "{left:?}");
}

/// An application that says when a request has come, and answers `/slow` when it is told to.
fn slow() -> (Upstream, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (here, come) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::answering(move |seen| {
        if seen.uri.path() == "/slow" {
            let _ = here.send(());
            let _ = wait.lock().unwrap().recv();
        }
        Response::new(Full::new(Bytes::from_static(b"whole")))
    });
    (upstream, come, go)
}

#[test]
fn a_request_in_flight_is_finished_before_it_stops_and_status_says_that_it_drains() {
    let terminal = Terminal::new();
    let (upstream, come, go) = slow();
    terminal.rules(&format!("http://{}", upstream.address));
    terminal.write("rules/gateway.toml", &GATEWAY.replace("1s", "60s"));
    let (mut weir, base) = terminal.start_run();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| terminal.get(&format!("{base}/slow")));
        come.recv().unwrap();
        weir.signal("TERM");
        weir.hear("stopping: requests in flight are finished");
        let said = terminal.run(&["status"]);
        assert!(said.out.contains(", draining\n"), "{said:?}");
        let admin = said.out.lines().find_map(|line| line.strip_prefix("metrics      ")).unwrap().to_owned();
        assert_eq!(terminal.get(&admin.replace("/metrics", "/readyz")).0, 503);
        assert_eq!(terminal.get(&admin.replace("/metrics", "/livez")).0, 200);
        go.send(()).unwrap();
        assert_eq!(asking.join().unwrap(), (200, "whole".to_owned()));
    });
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn draining_is_bounded_and_ends_with_4() {
    let terminal = Terminal::new();
    let (upstream, come, go) = slow();
    terminal.rules(&format!("http://{}", upstream.address));
    let (weir, base) = terminal.start_run();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| terminal.shell(&format!("curl -s -m 60 {base}/slow")));
        come.recv().unwrap();
        weir.signal("INT");
        let said = weir.end();
        assert_eq!(said.code, Some(4));
        assert!(said.err.contains("1 connection was still busy"), "{}", said.err);
        go.send(()).unwrap();
        assert_ne!(asking.join().unwrap().code, Some(0));
    });
}

#[test]
fn the_demonstration_runs_from_any_directory_and_with_ones_own_rules_and_application() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    terminal.rules(NOBODY);
    std::fs::rename(terminal.path("rules"), terminal.path("mine")).unwrap();
    let url = format!("http://{}", upstream.address);
    let mut demo = terminal.start(&["demo", "--port", "0", "--rules", "mine", "--upstream", &url]);
    let first = demo.line();
    assert!(first.ends_with(&format!("in front of {url}.")), "{first}");
    let base = first.split_whitespace().nth(3).unwrap().trim_end_matches(',').to_owned();
    assert_eq!(terminal.get(&format!("{base}/hello")), (200, "GET /hello".to_owned()));
    let mut rest = String::new();
    while !rest.contains("Ctrl-C") {
        rest += &demo.line();
    }
    assert!(rest.contains("mine") && !rest.contains("ada@example.test"), "{rest}");
    demo.signal("INT");
    assert_eq!(demo.end().code, Some(0));
    let said = terminal.run(&["demo", "--port", "0", "--rules", "nowhere"]);
    assert!(said.code == Some(1) && said.err.contains("there is no directory nowhere"), "{said:?}");
}

#[test]
fn secrets_that_it_makes_are_for_its_user_alone() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let (weir, _) = terminal.start_run();
    let mode = |path: &str| std::fs::metadata(terminal.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/weir.sock")), (0o700, 0o600));
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    assert!(!terminal.path("data/weir.sock").exists());
}
