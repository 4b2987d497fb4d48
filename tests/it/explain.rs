//! `weir explain`: what it says is what the judge did, to the point; and a line of the log is told in words.

use proptest::prelude::*;
use weir::judge::explain::{Came, Explanation, explain};
use weir::judge::rehearse::outcome;
use weir::rules::compile;
use weir::rules::diagnostic::render;
use weir::rules::ruleset::RuleSet;
use weir::rules::source::{Bounds, Sources};

use crate::support::program::{Terminal, repository};
use crate::support::upstream::Upstream;

const NOBODY: &str = "http://127.0.0.1:1";

/// The law of the shipped rules with one more case, and that case explained.
fn explained(case: &str) -> (RuleSet, Explanation) {
    let sources = Sources::read(&repository().join("rules"), &Bounds::default()).unwrap().and("zzz", case);
    let compiled = compile(&sources);
    let said = render(&compiled.diagnostics, &sources, false);
    let rules = compiled.rules.unwrap_or_else(|| panic!("{said}"));
    let ours = rules.cases.iter().find(|case| &*case.name == "ours").unwrap();
    let explained = explain(&rules, ours);
    (rules, explained)
}

/// How strict a word is, as the rule language orders them.
fn strictness(word: &str) -> usize {
    ["allow", "throttle", "queue", "step_up", "read_only", "handoff", "deny"]
        .iter()
        .position(|known| *known == word)
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The arithmetic adds up, one rung is hit, and what comes out is the strictest demand that is not met.
    #[test]
    fn an_explanation_is_what_the_judge_did(
        request in prop::sample::select(vec![
            "POST /login", "POST /checkout", "GET /account/balance", "POST /account/email", "GET /account/address",
            "POST /account/address", "POST /password/reset", "GET /orders/1", "GET /nothing", "GET /.env", "PUT /checkout",
        ]),
        device in prop::sample::select(vec!["", "device = \"known\"", "device = \"unknown\""]),
        network in prop::sample::select(vec!["", "network = \"known\"", "network = \"new\""]),
        authenticated in prop::sample::select(vec!["", "authenticated = \"pwd\"", "authenticated = \"mfa\"", "authenticated = \"phr\""]),
        age in 0u32..100,
        failures in [0u32..12, 0u32..12, 0u32..12],
        down in [any::<bool>(), any::<bool>()],
    ) {
        let (method, path) = request.split_once(' ').unwrap();
        let known: Vec<String> = [device, network, authenticated].iter().filter(|said| !said.is_empty()).map(|said| (*said).to_owned()).collect();
        let [account, device, network] = failures;
        let case = format!(
            "[[case]]\nname = \"ours\"\nexpect = \"allow\"\nrequest = {{ method = \"{method}\", path = \"{path}\" }}\n[case.given]\n{}\n\
             proof_age = \"{age}m\"\naccount_failures = {account}\ndevice_failures = {device}\nnetwork_failures = {network}\n\
             jwks_down = {}\nupstream_down = {}\n",
            known.join("\n"), down[0], down[1],
        );
        let (rules, explained) = explained(&case);
        let ours = rules.cases.iter().find(|case| &*case.name == "ours").unwrap();
        prop_assert_eq!(explained.outcome, outcome(&rules, ours).0);
        prop_assert_eq!(explained.stop.is_some(), explained.judgements.is_empty());
        prop_assert_eq!(explained.judgements.iter().filter(|judgement| judgement.decides).count(), explained.judgements.len().min(1));
        for judgement in &explained.judgements {
            let tenths = |points: f64| (points * 10.0).round() as i64;
            let sum: i64 = judgement.signals.iter().map(|line| tenths(line.points)).sum();
            prop_assert_eq!(sum, tenths(judgement.sum));
            let kept = (50 + sum.div_euclid(10)).clamp(0, 100);
            prop_assert_eq!(kept, i64::from(judgement.confidence));
            for (at, step) in judgement.ladder.iter().enumerate() {
                let first = judgement.ladder.iter().position(|step| step.at <= judgement.confidence).unwrap();
                let came = match at.cmp(&first) {
                    std::cmp::Ordering::Less => Came::Missed,
                    std::cmp::Ordering::Equal => Came::Hit,
                    std::cmp::Ordering::Greater => Came::NotReached,
                };
                prop_assert_eq!(step.came, came);
            }
            let held = judgement.demanded.iter().filter(|asked| asked.action != "step_up" || asked.lacks.is_some());
            let looking = method == "GET";
            let strictest = held
                .map(|asked| asked.action)
                .filter(|word| !(looking && *word == "read_only"))
                .max_by_key(|word| strictness(word))
                .unwrap_or("allow");
            if !(looking && judgement.outcome == "read_only") {
                prop_assert_eq!(judgement.outcome, strictest, "{:?}", judgement);
            }
        }
    }
}

/// The whole text of one explanation, for people to read.
fn golden(name: &str, arguments: &[&str]) {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    let said = terminal.run(&[&["explain"], arguments].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    insta::with_settings!({ snapshot_path => repository().join("tests/it/golden"), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("explain_{name}"), said.out);
    });
}

#[test]
fn explanations_read_as_they_should() {
    golden(
        "checkout",
        &["POST", "/checkout", "--given", "device=unknown", "--given", "network=new", "--given", "authenticated=pwd"],
    );
    golden(
        "login",
        &[
            "POST",
            "/login",
            "--given",
            "device=unknown",
            "--given",
            "network=new",
            "--given",
            "device_failures=8",
            "--given",
            "network_failures=8",
        ],
    );
    golden("sign_in", &["POST", "/login", "--given", "authenticated=pwd", "--given", "device=unknown"]);
    golden("refused", &["/.env"]);
    golden("unlisted", &["/products", "-H", "accept: text/html"]);
    golden(
        "down",
        &["/account/balance", "--given", "authenticated=pwd", "--given", "device=known", "--down", "jwks,upstream"],
    );
}

#[test]
fn what_cannot_be_said_in_a_case_is_refused_with_a_way_out() {
    let terminal = Terminal::new();
    terminal.rules(NOBODY);
    for (arguments, code, words) in [
        (&["/checkout", "--given", "device=knwon"][..], 1, "did you mean \"known\"?"),
        (&["/checkout", "--given", "devise=known"], 1, "did you mean `device`?"),
        (&["/checkout", "--given", "authenticated=pwdd"], 1, "did you mean `pwd`?"),
        (&["/checkout", "--armed", "nothing"], 1, "no rule file defines playbook `nothing`"),
        (&["/checkout", "--class", "robot"], 1, "automation"),
        (&["/checkout", "--given", "device"], 2, "key=value"),
        (&["/checkout", "-H", "accept"], 2, "name: value"),
        (&["/checkout", "--down", "moon"], 2, "jwks, redis, upstream"),
        (&["checkout"], 1, "neither a request nor a reference"),
        (&["/checkout", "--rules", "nowhere"], 1, "there is no directory nowhere"),
        (&["4f1c09ab77e2", "--log", "nowhere.jsonl"], 1, "reading nowhere.jsonl"),
        (&["4f1c09ab77e2"], 1, "no Weir of this user is running"),
    ] {
        let said = terminal.run(&[&["explain"], arguments].concat());
        assert_eq!(said.code, Some(code), "{arguments:?}: {said:?}");
        assert!(said.out.contains(words) || said.err.contains(words), "{arguments:?}: {said:?}");
    }
    let json = terminal.run(&["explain", "/checkout", "--json", "--down", "upstream"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["as_it_is"]["journey"], &json["gone"][0]), (&"checkout".into(), &"upstream".into()));
}

#[test]
fn a_line_of_the_log_is_found_by_what_a_customer_reads_out_and_told_in_words() {
    let terminal = Terminal::new();
    let upstream = Upstream::shop();
    terminal.rules(&format!("http://{}", upstream.address));
    let gateway = crate::support::program::GATEWAY;
    terminal.write("rules/gateway.toml", &format!("{gateway}[decisions]\nto = \"../decisions.jsonl\"\n"));
    let (weir, base) = terminal.start_run();
    let said =
        terminal.shell(&format!("curl -s -X POST -H 'content-type: application/json' -d '{{}}' {base}/checkout"));
    let problem: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let id = problem["instance"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));

    let short = format!("{} {} {}", &id[..4], &id[4..8], &id[8..12]);
    for reference in [id.as_str(), &id[..12], &short] {
        let said = terminal.run(&["explain", reference, "--log", "decisions.jsonl"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        for words in [
            &*id,
            "POST /checkout",
            "journey     checkout",
            "prior",
            "Before anything is read.",
            "Came out: step_up (answered 401)",
        ] {
            assert!(said.out.contains(words), "{words}: {}", said.out);
        }
    }
    let json = terminal.run(&["explain", &id, "--log", "decisions.jsonl", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.out).unwrap()["id"], id.as_str());
    let said = terminal.run(&["explain", "000000000000", "--log", "decisions.jsonl"]);
    assert!(said.code == Some(1) && said.err.contains("has the reference 0000 0000 0000"), "{said:?}");
}

#[test]
fn a_hostile_log_is_searched_and_cannot_steer_a_terminal() {
    let terminal = Terminal::new();
    let mut log = vec![b'x'; 300_000];
    log.extend_from_slice(b"\n{\"id\":\"4f1c09ab77e2\n\xff\xfe\n[1,2]\n");
    log.extend_from_slice(
        b"{\"id\":\"4f1c09ab77e200000000000000000000\",\"route\":\"/\\u001b[2J\",\"because\":[1,\"prior\",\"x y z w\"],\"confidence\":{\"a\":[]},\"handoff\":\"123 456 789\"}",
    );
    std::fs::write(terminal.path("log"), log).unwrap();
    for reference in ["4f1c09ab77e2", "123456789", "123-456-789"] {
        let said = terminal.run(&["explain", reference, "--log", "log"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(!said.out.contains('\u{1b}') && said.out.contains("\u{fffd}[2J"), "{}", said.out);
    }
}
