//! Confidence falls at once and rises slowly: a session that somebody else had does not come back to what it was without a proof.

use std::time::Duration;

use http::StatusCode;

use crate::support::Rig;
use crate::support::client::{Answer, Client};

const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
ladder = [{ at = 0, do = "allow" }]
[journeys.balance]
routes = ["GET /account/balance"]
ladder = [{ at = 0, do = "allow" }]
[journeys.pay]
routes = ["GET /pay"]
ladder = [{ at = 60, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"
"#;

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

async fn send(client: &mut Client, program: &str, method: &str, path: &str, body: &str) -> Answer {
    let fields = [("user-agent", program), ("content-type", "application/x-www-form-urlencoded")];
    client.send(method, path, &fields, body).await
}

/// The confidence that the application is told of one more look at the balance.
async fn confidence(rig: &Rig, client: &mut Client, program: &str) -> u8 {
    assert_eq!(send(client, program, "GET", "/account/balance", "").await.status, StatusCode::OK);
    rig.upstream.last().header("weir-confidence").parse().unwrap()
}

#[tokio::test]
async fn a_session_that_another_program_had_rises_by_ten_points_an_hour_and_a_proof_lifts_it() {
    let rig = Rig::with(JOURNEYS);
    let mut owner = rig.clear_client();
    assert_eq!(
        send(&mut owner, CHROME, "POST", "/login", "email=ada&password=right").await.status,
        StatusCode::SEE_OTHER
    );
    let before = confidence(&rig, &mut owner, CHROME).await;
    // Whoever has the cookie now is held, and what that says of the session stays all the same.
    let mut thief = owner.clone();
    assert_eq!(send(&mut thief, FIREFOX, "GET", "/pay", "").await.status, StatusCode::FORBIDDEN);
    let fallen = confidence(&rig, &mut thief, FIREFOX).await;
    assert!(fallen + 10 <= before, "{before} {fallen}");
    // Back with the first program: the score that its signals give is held down, by a line that says so.
    assert_eq!(confidence(&rig, &mut owner, CHROME).await, fallen);
    rig.advance(Duration::from_secs(30 * 60));
    assert_eq!(confidence(&rig, &mut owner, CHROME).await, fallen + 5);
    // Asking again does not reset the clock.
    rig.advance(Duration::from_secs(30 * 60));
    assert_eq!(confidence(&rig, &mut owner, CHROME).await, fallen + 10);
    // The thief comes back: it falls again at once.
    let again = confidence(&rig, &mut thief, FIREFOX).await;
    assert!(again < fallen + 10);
    assert_eq!(confidence(&rig, &mut owner, CHROME).await, again);
    assert_eq!(send(&mut owner, CHROME, "POST", "/verify", "code=right").await.status, StatusCode::SEE_OTHER);
    assert!(confidence(&rig, &mut owner, CHROME).await >= before, "a proof lifts it");

    let lines = rig.stop();
    let looks = || lines.iter().filter(|line| line["journey"] == "balance");
    let held = looks().filter(|line| line["because"].to_string().contains("session_ceiling -")).count();
    // Not an hour after it fell by ten: then it is where it was.
    assert_eq!(held, 3);
    for line in looks() {
        let points = line["because"]
            .as_array()
            .unwrap()
            .iter()
            .map(|said| said.as_str().unwrap().split(' ').nth(1).unwrap().parse::<f64>().unwrap());
        let sum = 50.0 + points.sum::<f64>();
        assert_eq!(sum.clamp(0.0, 100.0).floor(), line["confidence"].as_f64().unwrap(), "{line}");
    }
}

#[tokio::test]
async fn a_session_that_goes_on_as_it_began_is_held_by_nothing() {
    let rig = Rig::with(JOURNEYS);
    let mut owner = rig.clear_client();
    send(&mut owner, CHROME, "POST", "/login", "email=ada&password=right").await;
    for _ in 0..3 {
        confidence(&rig, &mut owner, CHROME).await;
        rig.advance(Duration::from_secs(86_400));
    }
    assert!(rig.stop().iter().all(|line| !line["because"].to_string().contains("session_ceiling")));
}
