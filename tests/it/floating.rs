//! Lines that float: which share of customers who have long been known they hold, and what can never move them.

use std::sync::LazyLock;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use weir::confidence::{Confidence, Points, Reading};
use weir::control::law;
use weir::judge::decision::{self, Outcome, Question, Verdict};
use weir::judge::signals::device::Standing;
use weir::judge::signals::network::Place;
use weir::judge::signals::pressure::Guessing;
use weir::judge::signals::{Past, Readings};
use weir::judge::stage::Stage;
use weir::rules::budgets::{FURTHEST, Floats};
use weir::rules::ruleset::RuleSet;

use crate::edge::until;
use crate::judge::{NOW, any_readings, any_stage, elsewhere, proof, regular, strictness, with};
use crate::law::law_with;
use crate::support::Rig;
use crate::support::client::{Answer, Client};
use crate::support::program::Terminal;
use crate::support::upstream::Upstream;

const PAY: &str = r#"
[journeys.pay]
routes = ["POST /pay"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 60, do = "allow" }, { at = 30, do = "throttle" }, { at = 0, do = "handoff", to = "main" }]
ladder = [
  { at = 75, do = "allow" },
  { at = 60, do = "step_up", level = "mfa", max_age = "10m" },
  { at = 20, do = "handoff", to = "main" },
  { at = 0, do = "deny", to = "main" },
]
view_line = 60
when_unknown = "step_up"
budget = { challenged = "1%", attempts = "0.5%" }
"#;

fn paying() -> &'static RuleSet {
    static LAW: LazyLock<RuleSet> = LazyLock::new(|| law_with(PAY));
    &LAW
}

fn pay(stage: Stage, safe_method: bool, readings: &Readings, by: u8) -> Verdict {
    let rules = paying();
    let floats = Floats { attempt: by, session: by };
    let calm = Question::calm(rules, readings, NOW);
    decision::judge(&Question { journey: rules.journey_named("pay"), stage, safe_method, floats, ..calm })
}

#[test]
fn a_customer_at_home_counts_and_a_stranger_with_the_password_does_not() {
    let rules = paying();
    let home = with(regular(), proof(rules, "pwd", 5));
    let short = |readings: &Readings| pay(Stage::Session, false, readings, 0).short;
    assert_eq!(short(&home).map(|short| short.by), Some(0));
    // A release that gives everybody another look: the device is still the account's own.
    let mut released = home;
    released.changed = Reading::Known(Points::whole(-20));
    let by = short(&released).unwrap().by;
    assert!(by > 0);
    let confidence = pay(Stage::Session, false, &released, 0).scored.confidence().score();
    assert_eq!(confidence + by, 75, "exactly so much lower and they would be served");
    assert_eq!(pay(Stage::Session, false, &released, by).action, "allow");
    assert_ne!(pay(Stage::Session, false, &released, by - 1).action, "allow");
    let floated = pay(Stage::Session, false, &released, by).floated.unwrap();
    assert_eq!((floated.line.score(), floated.written.score()), (75 - by, 75));
    // A cleared cookie on the line at home counts in a session; where only somebody says whose account it is, it does not.
    let mut cleared = home;
    cleared.device = Reading::Known(Standing::New);
    assert!(short(&cleared).is_some());
    assert!(pay(Stage::Attempt, false, &cleared, 0).short.is_none());
    let stranger = with(elsewhere(), proof(rules, "pwd", 5));
    assert!(short(&stranger).is_none());
    let mut fresh = home;
    fresh.past = Reading::Known(Past { sign_ins: 2, age: Duration::from_secs(3 * 86_400), ..Past::default() });
    assert!(short(&fresh).is_none(), "whoever came yesterday moves nothing");
}

#[test]
fn who_has_given_the_proof_that_is_asked_is_not_held() {
    let rules = paying();
    let mut low = with(regular(), proof(rules, "mfa", 1));
    low.network = Reading::Known(Place::New);
    low.country = Reading::Known(false);
    low.changed = Reading::Known(Points::whole(-5));
    let verdict = pay(Stage::Session, false, &low, 0);
    assert_eq!(verdict.action, "allow", "{}", verdict.scored.because());
    assert_eq!(verdict.short.map(|short| short.by), Some(0));
    let mut old = low;
    old.session = Reading::Known(proof(rules, "mfa", 60));
    assert!(pay(Stage::Session, false, &old, 0).short.unwrap().by > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn only_customers_long_known_and_at_home_are_counted(readings in any_readings(), stage in any_stage()) {
        let counted = pay(stage, false, &readings, 0).short.is_some();
        let own_device = readings.device.known().is_some_and(Standing::is_trusted);
        let at_home = readings.network == Reading::Known(Place::Known) && readings.session.known().is_some();
        prop_assert!(!counted || readings.past.known().is_some_and(|past| past.sign_ins >= 3));
        prop_assert!(!counted || own_device || (stage == Stage::Session && at_home));
    }

    #[test]
    fn more_guessing_by_strangers_never_loosens_a_line(
        readings in any_readings(),
        stage in any_stage(),
        failures in 0.0_f32..100.0,
        share in 0.0_f32..1.0,
        attack in -100_i32..0,
    ) {
        let mut attacked = readings;
        attacked.account_failures = readings.account_failures.map(|_| failures);
        attacked.device_failures = readings.device_failures.map(|_| failures);
        attacked.guessing = readings.guessing.map(|_| Guessing { share, points: Points::whole(-20) });
        attacked.attack = readings.attack.map(|_| Points::tenths(attack));
        attacked.doubt = readings.doubt.map(|_| Points::whole(-10));
        let short = |readings: &Readings| pay(stage, false, readings, 0).short;
        prop_assert_eq!(short(&attacked), short(&readings));
    }

    #[test]
    fn a_floating_line_shows_nothing_below_the_view_line_and_refuses_nobody_later(
        readings in any_readings(),
        stage in any_stage(),
        safe: bool,
        by in 0_u8..=FURTHEST,
    ) {
        let (written, floated) = (pay(stage, safe, &readings, 0), pay(stage, safe, &readings, by));
        prop_assert!(strictness(&floated) <= strictness(&written));
        let confidence = floated.scored.confidence();
        let proved = readings.session.known().is_some_and(|proof| proof.level.index() > 0);
        if stage == Stage::Session && confidence < Confidence::line(60).unwrap() && !proved {
            prop_assert!(matches!(floated.outcome, Outcome::Held(_)), "{}", floated.scored.because());
        }
        prop_assert_eq!(floated.action == "deny", written.action == "deny");
        // What else is asked does not float.
        if floated.scored.fault().is_some() && stage == Stage::Session {
            prop_assert!(floated.action != "allow" || proved);
        }
        // What is counted does not depend on where the lines are.
        prop_assert_eq!(floated.short, written.short);
    }
}

const CUSTOMERS: usize = 60;

/// A journey whose upper line is here, and that may hold a tenth of the customers.
fn rules(at: u8, range: u8) -> String {
    format!(
        r#"
[journeys.login]
routes = ["POST /login"]
account = {{ field = "email" }}
succeeds_on = {{ status = [303] }}
ladder = [{{ at = 0, do = "allow" }}]
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{{ at = {at}, do = "allow" }}, {{ at = 0, do = "handoff", to = "main" }}]
when_unknown = "step_up"
budget = {{ challenged = "10%", range = {range} }}
"#
    )
}

/// One of the customers, from where they are.
async fn send(client: &mut Client, (customer, elsewhere): (usize, bool), method: &str, path: &str) -> Answer {
    let from = format!("{}.{customer}.7.7", if elsewhere { 92 } else { 81 });
    let form = [("x-forwarded-for", &*from), ("content-type", "application/x-www-form-urlencoded")];
    let body = format!("email=c{customer}&password=right");
    client.send(method, path, &form, if method == "POST" { &body } else { "" }).await
}

fn shift(rig: &Rig) -> Option<String> {
    let text = rig.weir().telemetry.text();
    let line = text.lines().find(|line| line.starts_with("weir_line_shift{journey=\"balance\""))?;
    Some(line.rsplit_once(' ')?.1.to_owned())
}

/// Gives the lines the time that each point takes, and waits until they have floated point by point.
async fn floated(rig: &Rig, points: impl IntoIterator<Item = u8>) {
    for point in points {
        let there = || shift(rig).is_some_and(|shift| shift == format!("-{point}"));
        tokio::time::timeout(Duration::from_secs(30), until(there))
            .await
            .unwrap_or_else(|_| panic!("no line floated to -{point}"));
        rig.advance(Duration::from_secs(301));
    }
}

#[tokio::test]
async fn a_change_that_puts_known_customers_below_the_line_floats_it_down_and_its_end_is_said_loudly() {
    let trusting = crate::support::GROUND.iter().find(|(name, _)| *name == "identity.toml").unwrap().1;
    let trusting = trusting.replace("[identity]", "[identity]\ntrusted_proxies = [\"127.0.0.0/8\"]");
    let files = [("identity.toml", &*trusting)];
    let rig = Rig::start(&rules(1, 12), Upstream::shop(), &files, |options| options.workers = Some(1));
    let mut customers: Vec<Client> = (0..CUSTOMERS).map(|_| rig.clear_client()).collect();
    // Four visits in nine days: by then each is known on a device and a network of their own.
    for _ in 0..4 {
        for (number, client) in customers.iter_mut().enumerate() {
            assert_eq!(send(client, (number, false), "POST", "/login").await.status, StatusCode::SEE_OTHER);
        }
        rig.advance(Duration::from_secs(3 * 86_400));
    }
    // Overnight their provider gives all of them other addresses. The first request of a day teaches; the next ones are alike.
    let mut confidence = 0;
    for _ in 0..2 {
        for (number, client) in customers.iter_mut().enumerate() {
            let served = send(client, (number, true), "GET", "/account/balance").await;
            assert_eq!(served.status, StatusCode::OK);
            confidence = rig.upstream.last().header("weir-confidence").parse::<u8>().unwrap();
        }
    }
    let written = confidence + 2;
    let saved = rig.save("journeys.toml", &rules(written, 12));
    assert!(matches!(saved, law::Outcome::Installed { .. }), "{saved:?}");
    for (number, client) in customers.iter_mut().enumerate() {
        let held = send(client, (number, true), "GET", "/account/balance").await;
        assert_eq!(held.status, StatusCode::FORBIDDEN, "{number}");
    }
    // A stranger who guesses is not one of them, however often.
    let mut stranger = rig.clear_client();
    for number in 0..CUSTOMERS {
        send(&mut stranger, (number, true), "GET", "/account/balance").await;
    }
    floated(&rig, 1..=2).await;
    for (number, client) in customers.iter_mut().enumerate() {
        let answer = send(client, (number, true), "GET", "/account/balance").await;
        assert_eq!(answer.status, StatusCode::OK, "{number}");
    }
    let status = crate::control::ask(&rig, "GET", "/v1/status", None, &serde_json::Value::Null).await.1;
    let line = &status["rooms"]["lines"][0];
    assert_eq!((&line["journey"], &line["floats"], &line["held"]), (&"balance".into(), &(-2).into(), &0.0.into()));
    assert!(line["held_as_written"].as_f64().unwrap() > 90.0, "{line}");

    // A law that allows less holds at once, and then its end is said: in the status and in the metrics.
    rig.save("journeys.toml", &rules(written, 1));
    floated(&rig, [1]).await;
    let answer = send(&mut customers[0], (0, true), "GET", "/account/balance").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let status = crate::control::ask(&rig, "GET", "/v1/status", None, &serde_json::Value::Null).await.1;
    assert_eq!(status["rooms"]["lines"][0]["at_the_end"], true, "{}", status["rooms"]["lines"]);

    let shown = Terminal::new().run(&["status", "--socket", rig.weir().socket.to_str().unwrap()]);
    let row = shown.out.lines().find(|row| row.starts_with("LINES")).unwrap_or_else(|| panic!("{shown:?}"));
    assert!(row.contains("balance: float -1 of -1, hold ") && row.ends_with(": AT THE END OF THEIR RANGE"), "{row}");

    let lines = rig.stop();
    let balance = |line: &&serde_json::Value| line["journey"] == "balance";
    let served = lines.iter().filter(balance).filter(|line| line["line"] == confidence).count();
    assert_eq!(served, CUSTOMERS, "each decision says where the line was");
    let last = lines.iter().rfind(balance).unwrap();
    assert_eq!((&last["line"], &last["line_written"]), (&(written - 1).into(), &written.into()));
}

#[tokio::test]
async fn without_a_budget_nothing_floats_and_nothing_is_shown() {
    let rig = Rig::with(&rules(50, 12).replace("budget =", "# budget ="));
    let mut client = rig.clear_client();
    send(&mut client, (1, false), "POST", "/login").await;
    send(&mut client, (1, false), "GET", "/account/balance").await;
    assert_eq!(shift(&rig), None);
    let status = crate::control::ask(&rig, "GET", "/v1/status", None, &serde_json::Value::Null).await.1;
    assert_eq!(status["rooms"]["lines"], serde_json::json!([]));
}
