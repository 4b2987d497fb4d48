//! `weir eval`: a stream goes through the judge that runs, and a thief who comes back with the same cookie is no old friend.

use serde_json::{Value, json};

use crate::support::program::Terminal;

const START: f64 = 1_800_000_000.0;
const DAY: f64 = 86_400.0;

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";

/// A sign-in with the right password.
fn sign_in(day: f64, ip: &str, asn: u32, country: &str, device: Option<&str>, given: Option<&str>) -> Value {
    json!({
        "t": START + day * DAY, "ip": ip, "asn": asn, "cc": country, "rep": [], "ua": CHROME, "plat": "Windows",
        "ja4": "t13d1516h2_8daaf6152771_02713d6af862", "h2": "1:65536|0", "dev": device, "setdev": given,
        "sess": null, "acct": "ada", "route": "login", "method": "POST", "status": 200, "out": "ok", "auth": null,
        "cred": { "pwned": false, "pair": false }
    })
}

fn page(day: f64, like: &Value) -> Value {
    let mut page = like.clone();
    page["t"] = json!(START + day * DAY - 20.0);
    (page["route"], page["method"], page["acct"]) = (json!("login_page"), json!("GET"), Value::Null);
    page
}

/// What each sign-in scored once its password was right, as a confidence that is not cut.
fn scored(stream: &[Value]) -> Vec<f64> {
    let terminal = Terminal::new();
    let text: String = stream.iter().map(|line| format!("{line}\n")).collect();
    terminal.write("stream.jsonl", &text);
    let said = terminal.run(&["eval", "stream.jsonl", "--scores", "scores.tsv", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["lines"], stream.len());
    let scores = std::fs::read_to_string(terminal.path("scores.tsv")).unwrap();
    let after = |line: &str| line.split('\t').nth(2).map(|risk| 100.0 - risk.parse::<f64>().unwrap());
    scores.lines().filter_map(after).collect()
}

#[test]
fn a_thief_who_comes_back_with_the_same_cookie_through_another_network_is_still_a_stranger() {
    let mut stream = Vec::new();
    for day in 0..20 {
        let (device, given) = if day == 0 { (None, Some("d-own")) } else { (Some("d-own"), None) };
        let own = sign_in(f64::from(day), "240.1.1.7", 64_600, "GB", device, given);
        stream.extend([page(f64::from(day), &own), own]);
    }
    let first = sign_in(20.3, "240.9.9.9", 64_900, "NL", Some("d-thief"), None);
    let second = sign_in(27.8, "240.8.8.8", 64_901, "FR", Some("d-thief"), None);
    stream.extend([page(20.3, &first), first, page(27.8, &second), second]);
    let home = sign_in(28.0, "240.1.1.7", 64_600, "GB", Some("d-own"), None);
    stream.extend([page(28.0, &home), home]);

    let scores = scored(&stream);
    let [.., before, first, second, home] = &scores[..] else { panic!("{scores:?}") };
    assert!(*before > 85.0 && *home > 85.0, "the owner goes on as before: {scores:?}");
    assert!(*first < 53.0, "a right password from nowhere is asked for one more proof: {scores:?}");
    assert!(*second < 53.0, "and to have been there once is no proof: {scores:?}");
}

#[test]
fn what_is_no_stream_is_refused_with_its_line() {
    let terminal = Terminal::new();
    let good = sign_in(0.0, "240.1.1.7", 64_600, "GB", None, Some("d"));
    for (bad, says) in [("{\"t\": ", "line 2"), ("{\"t\": 1, \"route\": \"login\"}", "needs \"ip\""), ("[]", "line 2")]
    {
        terminal.write("stream.jsonl", &format!("{good}\n{bad}\n"));
        let said = terminal.run(&["eval", "stream.jsonl", "--scores", "scores.tsv"]);
        assert_eq!(said.code, Some(1), "{bad}");
        assert!(said.err.contains("line 2") && said.err.contains(says), "{bad}: {}", said.err);
    }
    let said = terminal.run(&["eval", "nothing.jsonl", "--scores", "scores.tsv"]);
    assert!(said.code == Some(1) && said.err.contains("nothing.jsonl"), "{}", said.err);
    // A weight of the rules reaches the score.
    terminal.write("stream.jsonl", &format!("{good}\n"));
    let rules = terminal.path("rules-of-eval");
    std::fs::create_dir(&rules).unwrap();
    let law = "[signals.password_right]\nweight = 0\n[assurance]\nlevels = [{ name = \"pwd\" }]\n\
        [[site]]\nhosts = [\"a.example\"]\nupstream = \"a\"\n[upstreams.a]\nservers = [\"http://127.0.0.1:1\"]\n";
    std::fs::write(rules.join("rules.toml"), law).unwrap();
    let after = |more: &[&str]| {
        let arguments = [&["eval", "stream.jsonl", "--scores", "scores.tsv"], more].concat();
        assert_eq!(terminal.run(&arguments).code, Some(0));
        let text = std::fs::read_to_string(terminal.path("scores.tsv")).unwrap();
        text.trim().split('\t').nth(2).unwrap().parse::<f64>().unwrap()
    };
    assert!((after(&["--rules", rules.to_str().unwrap()]) - after(&[]) - 12.0).abs() < 0.01);
}
