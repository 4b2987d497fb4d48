//! Outcomes: what a gateway keeps of its decisions, what is learned later, and what `weir calibrate` makes of them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use weir::outcomes::files::{paths, read};
use weir::outcomes::{Entry, reference};

use crate::control::{ask, audit};
use crate::support::client::Protocol;
use crate::support::program::{Said, Terminal};
use crate::support::upstream::Upstream;
use crate::support::{Rig, golden};

const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 20, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 97, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

[journeys.checkout]
routes = ["POST /checkout"]
ladder = [{ at = 20, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
"#;

const KEPT: &str = "[outcomes]\nkeep = \"180d\"\n";

fn entries(data: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for path in paths(data).unwrap() {
        let file = std::fs::File::open(path).unwrap();
        let came = read(file, |entry: Entry| found.push(serde_json::to_value(entry).unwrap())).unwrap();
        assert_eq!(came.unreadable, 0);
    }
    found
}

fn told(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
}

/// The decision with the request's id that the upstream saw last.
fn id(rig: &Rig) -> String {
    rig.upstream.last().header("weir-request-id").to_owned()
}

#[tokio::test]
async fn decisions_are_kept_under_hashes_and_calibration_knows_how_they_turned_out() {
    let mut rig = Rig::start(JOURNEYS, Upstream::shop(), &[("gateway.toml", KEPT)], |_| {});
    let mut ada = rig.client(Protocol::H1);
    assert_eq!(ada.post("/login", "email=ada@example.com&password=right").await.status, StatusCode::SEE_OTHER);
    let sign_in = id(&rig);
    assert_eq!(ada.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.post("/checkout", "").await.status, StatusCode::OK);
    let checkout = id(&rig);
    let mut eve = rig.client(Protocol::H1);
    assert_eq!(eve.post("/login", "email=bob@example.com&password=guess").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(eve.post("/login", "email=bob@example.com&password=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(eve.post("/verify", "code=guess").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut cat = rig.client(Protocol::H1);
    assert_eq!(cat.post("/login", "email=cat@example.com&password=right").await.status, StatusCode::SEE_OTHER);

    rig.advance(Duration::from_secs(3 * 86_400));
    let body = json!({ "reference": checkout, "outcome": "fraud", "reason": "chargeback 8841" });
    let (status, said) = ask(&rig, "POST", "/v1/outcomes", None, &body).await;
    assert_eq!((status, &said["outcome"]), (StatusCode::OK, &json!("fraud")), "{said}");

    let data = rig.dir().join("data");
    let names = weir::identity::naming::open(&data).unwrap();
    rig.weir.take().unwrap().stop();
    let line = audit(&rig).into_iter().find(|line| line["what"] == "outcome").unwrap();
    assert_eq!((&line["target"], &line["why"]), (&json!(checkout), &json!("chargeback 8841")));
    let kept = entries(&data);
    let text = serde_json::to_string(&kept).unwrap();
    for secret in ["example.com", "127.0.0.1", &sign_in, &checkout, "right", "s-"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let decision = |id: &str| {
        let wanted = json!(reference(&names, id));
        kept.iter().find(|entry| entry["entry"] == "decision" && entry["reference"] == wanted).unwrap()
    };
    let first = decision(&sign_in);
    assert_eq!(
        (&first["journey"], &first["sort"], &first["action"]),
        (&json!("login"), &json!("session"), &json!("step_up"))
    );
    assert_eq!(first["account"], json!(names.account("ada@example.com")));
    let sum: i64 = first["points"].as_array().unwrap().iter().map(|points| points.as_i64().unwrap()).sum();
    assert_eq!(first["evidence"].as_i64(), Some(60 + sum), "the prior and the groups are the evidence");
    assert_eq!(first["groups"]["cookie"], "none");
    assert_eq!(decision(&checkout)["sort"], "step");
    // A wrong password is nobody's decision: three sign-ins and a checkout are.
    assert_eq!(kept.iter().filter(|entry| entry["entry"] == "decision").count(), 4, "{kept:#?}");

    let terminal = Terminal::new();
    let report = told(&terminal.run(&["calibrate", "--data", data.to_str().unwrap(), "--json"]));
    let expected = json!({
        "as was reported": 1,
        "the step-up was answered wrongly": 1,
        "the step-up was not answered": 1,
        "the step-up was passed": 1,
    });
    assert_eq!(report["told"], expected, "{report:#}");
    assert!(report["parts"][0]["refused"].as_str().unwrap().starts_with("2 outcomes are known"));
}

#[tokio::test]
async fn nothing_is_kept_unless_the_settings_say_so() {
    let mut rig = Rig::with(JOURNEYS);
    let mut ada = rig.client(Protocol::H1);
    assert_eq!(ada.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    let body = json!({ "reference": id(&rig), "outcome": "fraud", "reason": "x" });
    let (status, said) = ask(&rig, "POST", "/v1/outcomes", None, &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    assert!(said["help"].as_str().unwrap().contains("[outcomes] keep"));
    rig.weir.take().unwrap().stop();
    assert!(!rig.dir().join("data/outcomes").exists());
    let data = rig.dir().join("data");
    let said = Terminal::new().run(&["calibrate", "--data", data.to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("[outcomes] keep = \"180d\""), "{}", said.err);
}

#[tokio::test]
async fn what_is_reported_has_a_reference_that_is_known_and_a_reason() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("gateway.toml", KEPT)], |_| {});
    let unknown = "0".repeat(32);
    for (body, expected) in [
        (json!({ "reference": "12", "outcome": "fraud", "reason": "x" }), 422),
        (json!({ "reference": unknown, "outcome": "fraud" }), 422),
        (json!({ "reference": unknown, "outcome": "perhaps", "reason": "x" }), 400),
        (json!({ "reference": unknown, "outcome": "fraud", "reason": "x" }), 404),
    ] {
        let (status, said) = ask(&rig, "POST", "/v1/outcomes", None, &body).await;
        assert_eq!(status.as_u16(), expected, "{said}");
    }
    assert!(audit(&rig).iter().all(|line| line["what"] != "outcome"));
}

#[tokio::test]
async fn an_erased_account_is_in_no_outcome_either() {
    let mut rig = Rig::start(JOURNEYS, Upstream::shop(), &[("gateway.toml", KEPT)], |_| {});
    for name in ["ada", "bob"] {
        let mut client = rig.client(Protocol::H1);
        assert_eq!(client.post("/login", &format!("email={name}&password=right")).await.status, StatusCode::SEE_OTHER);
        let body = json!({ "reference": id(&rig), "outcome": "genuine", "reason": "support called back" });
        assert_eq!(ask(&rig, "POST", "/v1/outcomes", None, &body).await.0, StatusCode::OK);
    }
    let body = json!({ "account": "ada", "reason": "request 2214" });
    assert_eq!(ask(&rig, "POST", "/v1/accounts/access", None, &body).await.1["outcomes"], 2);
    let (status, said) = ask(&rig, "POST", "/v1/accounts/erase", None, &body).await;
    assert_eq!(
        (status, &said["erased"]["outcomes"], &said["erased"]["on_disk"]),
        (StatusCode::OK, &json!(2), &json!(true))
    );
    assert_eq!(ask(&rig, "POST", "/v1/accounts/access", None, &body).await.1["outcomes"], 0);
    let data = rig.dir().join("data");
    let names = weir::identity::naming::open(&data).unwrap();
    rig.weir.take().unwrap().stop();
    let accounts: Vec<Value> = entries(&data).iter().map(|entry| entry["account"].clone()).collect();
    assert_eq!(accounts, vec![json!(names.account("bob")); 2]);
}

/// Outcomes whose every number is known: of each score as many are genuine as it says, and one country is scored 8 points low.
fn made() -> String {
    let mut out = String::new();
    let mut number = 0_usize;
    for (journey, sort, shift) in [("login", "session", 0.0), ("checkout", "step", 5.0), ("email_change", "step", 0.0)]
    {
        for score in (5..100).step_by(5) {
            let evidence = f64::from(score) - 50.0;
            let genuine = 1.0 / (1.0 + 10.0_f64.powf(-(evidence + shift) / 10.0));
            let n = if journey == "email_change" { 4 } else { 40 };
            for at in 0..n {
                number += 1;
                let outcome = if f64::from(at) + 0.5 < genuine * f64::from(n) { "genuine" } else { "fraud" };
                let country = if at % 4 == 0 { "FR" } else { "GB" };
                let system = ["ios", "android", "windows"][number % 3];
                let low = if country == "FR" && outcome == "genuine" { 80 } else { 0 };
                let _ = writeln!(
                    out,
                    "{}",
                    json!({
                        "entry": "decision", "at": 1_793_620_800 + number, "journey": journey, "sort": sort,
                        "evidence": score * 10 - 500 - low, "points": [0, 0, 0, 0, 0, 0, 0, 0], "action": "allow",
                        "reference": format!("{number:016x}"), "account": format!("{:016x}", number % 97),
                        "groups": {
                            "network": if at % 10 == 0 { "vpn" } else { "unlisted" }, "seen": "known", "country": country,
                            "system": system, "cookie": "trusted",
                            "age": "under 1 year",
                        },
                        "outcome": outcome,
                    })
                );
            }
        }
    }
    out
}

#[test]
fn the_report_is_one_document_for_machines_and_one_page_for_people() {
    let terminal = Terminal::new();
    terminal.write("outcomes.jsonl", &format!("{}not a line\n", made()));
    let said =
        terminal.run(&["calibrate", "--from", "outcomes.jsonl", "--budget", "2%", "--html", "report.html", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    golden("calibrate_json", &said.out);
    let page = std::fs::read_to_string(terminal.path("report.html")).unwrap();
    golden("calibrate_html", &page);
    for outside in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page loads nothing: {outside}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("<html lang=\"en\">"));
    let pictures = page.matches("<svg ").count();
    assert!(pictures >= 8);
    assert_eq!(page.matches("role=\"img\"").count(), pictures, "every picture is one for those who hear it");
    assert_eq!(page.matches("<desc ").count(), pictures);

    let text = terminal.run(&["calibrate", "--from", "outcomes.jsonl", "--budget", "2%"]);
    golden("calibrate_text", &text.out);
    let again = terminal.run(&["calibrate", "--from", "outcomes.jsonl", "--budget", "2%"]);
    assert_eq!(text.out, again.out);
}

#[tokio::test]
async fn the_constants_come_back_into_the_law_and_every_decision_is_explained_with_them() {
    let terminal = Terminal::new();
    terminal.write("outcomes.jsonl", &made());
    let said = terminal.run(&["calibrate", "--from", "outcomes.jsonl", "--write", "calibration.toml"]);
    assert!(
        said.code == Some(0) && said.out.contains("The constants of 3 journeys are in calibration.toml."),
        "{said:?}"
    );
    let tables = std::fs::read_to_string(terminal.path("calibration.toml")).unwrap();
    golden("calibration_toml", &tables);
    assert!(tables.contains("# By the outcomes of checkout, email_change together."), "{tables}");
    let again = terminal.run(&["calibrate", "--from", "outcomes.jsonl"]);
    assert!(again.out.contains("weir calibrate --write rules/calibration.toml"), "{}", again.out);

    // A journey that these rules do not have would be a mistake, so theirs has its name.
    let journeys = format!(
        "{JOURNEYS}\n[journeys.email_change]\nroutes = [\"POST /email\"]\nladder = [{{ at = 0, do = \"allow\" }}]\n"
    );
    let rig = Rig::start(&journeys, Upstream::shop(), &[("calibration.toml", &tables)], |_| {});
    let mut ada = rig.client(Protocol::H1);
    assert_eq!(ada.post("/login", "email=ada&password=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.post("/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.post("/checkout", "").await.status, StatusCode::OK);
    let rules = rig.rules();
    let rules = rules.to_str().unwrap();
    let asked = ["explain", "POST", "/checkout", "--rules", rules];
    let explained = terminal.run(&asked);
    assert!(explained.out.contains("calibrated: the account's owner in "), "{explained:?}");
    let lines = rig.stop();
    let line = |journey: &str| lines.iter().find(|line| line["journey"] == journey).unwrap();
    let evidence = |because: &Value| {
        let points = |said: &Value| said.as_str().unwrap().split(' ').nth(1).unwrap().parse::<f64>().unwrap();
        because.as_array().unwrap().iter().map(points).sum::<f64>()
    };
    let number = |table: &str, name: &str| {
        let of = tables.split(&format!("[calibration.{table}]")).nth(1).unwrap();
        let row = of.lines().find(|row| row.starts_with(name)).unwrap();
        row.split(" = ").nth(1).unwrap().parse::<f64>().unwrap()
    };
    for (journey, because, probability) in
        [("login", "session_because", "session_probability"), ("checkout", "because", "probability")]
    {
        let points = number(journey, "offset") + number(journey, "slope") * evidence(&line(journey)[because]);
        let right = 1.0 / (1.0 + 10.0_f64.powf(-points / 10.0));
        let said = line(journey)[probability].as_f64().unwrap();
        assert!((said - right).abs() <= 0.0006, "{journey}: {said}, and it should be {right}");
    }
    assert_eq!(line("login")["probability"], Value::Null, "an attempt is not what was calibrated");
}

#[test]
fn outcomes_that_bear_no_constants_are_not_written() {
    let terminal = Terminal::new();
    let few: String = made().lines().take(30).map(|line| format!("{line}\n")).collect();
    terminal.write("few.jsonl", &few);
    terminal.write("rules.toml", "as it was\n");
    let said = terminal.run(&["calibrate", "--from", "few.jsonl", "--write", "rules.toml"]);
    assert!(said.code == Some(1) && said.err.contains("bear no constants"), "{said:?}");
    assert_eq!(std::fs::read_to_string(terminal.path("rules.toml")).unwrap(), "as it was\n");
}

#[test]
fn what_cannot_be_calibrated_says_why() {
    let terminal = Terminal::new();
    terminal.write("empty.jsonl", "");
    terminal.write("broken.jsonl", "{}\n");
    for (arguments, words) in [
        (&["--from", "empty.jsonl"][..], "no decisions to calibrate with"),
        (&["--from", "broken.jsonl"], "1 lines that cannot be read"),
        (&["--from", "nowhere.jsonl"], "nowhere.jsonl"),
    ] {
        let said = terminal.run(&[&["calibrate"], arguments].concat());
        assert!(said.code == Some(1) && said.err.contains(words), "{said:?}");
    }
    let said = terminal.run(&["calibrate", "--from", "empty.jsonl", "--budget", "login=1%"]);
    assert!(said.code == Some(2) && said.err.contains("attempt, session, reset, step"), "{said:?}");
}

#[test]
fn on_the_recorded_stream_the_probabilities_are_right_after_calibration() {
    let stream = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/confidence/data/seed1_small.jsonl.gz");
    let terminal = Terminal::new();
    let arguments = ["eval", stream.to_str().unwrap(), "--scores", "scores.tsv", "--outcomes", "outcomes.jsonl"];
    let said = terminal.run(&arguments);
    assert_eq!(said.code, Some(0), "{said:?}");
    let report = told(&terminal.run(&["calibrate", "--from", "outcomes.jsonl", "--skip", "30d", "--json"]));
    let mut calibrated = 0;
    for part in report["parts"].as_array().unwrap() {
        let figure = |of: &str, name: &str| part[of][name].as_f64();
        if part["groups"].is_array()
            && let Some(error) = figure("held_out", "calibration_error")
        {
            assert!(error <= 0.02, "{}: {error}", part["sort"]);
            assert!(figure("after", "brier") <= figure("before", "brier"), "{}", part["sort"]);
            let b = part["calibration"]["b"].as_f64().unwrap();
            assert!((0.3..=2.0).contains(&b));
            calibrated += 1;
        }
        assert!(part["line"]["challenged"].as_f64().unwrap() <= 0.01);
    }
    assert_eq!(calibrated, 3, "attempts, sessions and steps: {report:#}");
}
