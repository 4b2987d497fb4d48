//! A process that is killed, and what it had taken from somebody before: that must not come back with the next one.

use crate::snapshots::{Bank, JOURNEYS};
use crate::state::start;
use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;

/// The status and the body of an answer to what this jar brings.
fn curl(terminal: &Terminal, jar: &str, rest: &str) -> String {
    let said = terminal.shell(&format!("curl -s -m 20 -w ' %{{http_code}}' -b {jar} -c {jar} {rest}"));
    said.out.trim().to_owned()
}

fn sign_in(terminal: &Terminal, jar: &str, who: &str, url: &str) {
    let answer = curl(terminal, jar, &format!("-d 'email={who}&password=right' {url}/login"));
    assert!(answer.ends_with("303"), "{answer}");
    let balance = curl(terminal, jar, &format!("{url}/balance"));
    assert!(balance.contains(who) && balance.ends_with("200"), "{balance}");
}

#[test]
fn a_pass_that_a_sign_out_made_void_stays_void_after_a_kill_long_before_the_next_checkpoint() {
    let bank = Bank::default();
    let mut upstream = Upstream::answering(move |seen| bank.answer(seen));
    let terminal = Terminal::new();
    let settings = format!("{GATEWAY}[memory]\ncheckpoint = \"24h\"\n");
    terminal.ground(&upstream, &[("journeys.toml", JOURNEYS)], &settings);

    let (weir, url) = start(&terminal);
    for who in ["ada", "bob"] {
        sign_in(&terminal, who, who, &url);
    }
    // The browser is closed: what somebody copied is the device's cookie and the pass.
    terminal.shell("for who in ada bob; do grep -v '\tsid\t' $who > $who-pass; done");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));

    let (mut weir, url) = start(&terminal);
    curl(&terminal, "ada", &format!("-X POST {url}/logout"));
    weir.hear("void_passes");
    weir.signal("KILL");
    weir.end();

    let (weir, url) = start(&terminal);
    sign_in(&terminal, "elsewhere", "ada", &url);
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    upstream.go();
    let (weir, url) = start(&terminal);
    let bob = curl(&terminal, "bob-pass", &format!("{url}/balance"));
    assert!(bob.contains("bob") && bob.ends_with("200"), "{bob}");
    let ada = curl(&terminal, "ada-pass", &format!("{url}/balance"));
    assert!(!ada.contains("\"of\"") && ada.ends_with("502"), "{ada}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}
