//! One decision line in words. A line is read as it comes, from whatever version wrote it: what is missing is left out, what is not
//! known here is shown as it stands, and nothing in it can steer a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::test::printable;
use crate::judge::score::{CEILING, RISES_SLOWLY};
use crate::rules::signal::{Group, Signal};

/// Characters of one value that are shown.
const SHOWN: usize = 200;

/// The line as people read it.
pub fn words(line: &Value) -> String {
    let mut out = String::new();
    let method = short(&line["method"]).unwrap_or_default();
    let route = short(&line["route"]).unwrap_or_else(|| "a path that no journey names".to_owned());
    let id = short(&line["id"]).unwrap_or_else(|| "(without an id)".to_owned());
    let time = short(&line["time"]).unwrap_or_default();
    let _ = writeln!(
        out,
        "{id}\n{time}  {}\n",
        if route.starts_with(&method) { route } else { format!("{method} {route}") }
    );
    let mut row = |name: &str, key: &str| {
        if let Some(value) = short(&line[key]) {
            let _ = writeln!(out, "  {name:<12}{value}");
        }
    };
    row("journey", "journey");
    row("class", "class");
    row("channel", "channel");
    row("playbooks", "playbooks");
    judged(
        &mut out,
        line,
        ["confidence", "coverage", "because", "rung", "line", "line_written", "probability"],
        "Judged",
    );
    if let Some(action) = short(&line["session_action"]) {
        judged(
            &mut out,
            line,
            [
                "session_confidence",
                "session_coverage",
                "session_because",
                "",
                "session_line",
                "session_line_written",
                "session_probability",
            ],
            "The session that it opened",
        );
        let _ = writeln!(out, "  so: {action}");
    }
    out.push('\n');
    let status = short(&line["status"])
        .map_or_else(|| short(&line["outcome"]).unwrap_or_default(), |status| format!("answered {status}"));
    let _ = writeln!(out, "Came out: {} ({status})", short(&line["action"]).unwrap_or_default());
    let mut row = |name: &str, key: &str, unit: &str| {
        if let Some(value) = short(&line[key]) {
            let _ = writeln!(out, "  {name:<12}{value}{unit}");
        }
    };
    row("why", "why", "");
    row("cause", "cause", "");
    row("limit", "limit", "");
    row("in shadow", "shadow", " (not enforced)");
    row("handoff", "handoff", "");
    row("learned", "learned", "");
    row("upstream", "upstream", "");
    row("its time", "upstream_ms", " ms");
    row("Weir's time", "weir_us", " us");
    row("generation", "generation", " of the rules");
    for (name, key) in [("account", "account"), ("device", "device"), ("network", "network"), ("session", "session")] {
        row(name, key, " (hashed)");
    }
    out
}

fn judged(
    out: &mut String,
    line: &Value,
    [confidence, coverage, because, rung, now, written, probability]: [&str; 7],
    what: &str,
) {
    let Some(score) = short(&line[confidence]) else { return };
    let _ = writeln!(out, "\n{what}\n");
    for said in line[because].as_array().into_iter().flatten().take(32).filter_map(Value::as_str) {
        let said = shortened(said);
        let mut parts = said.splitn(3, ' ');
        let (name, points) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let _ = writeln!(out, "  {points:>6}  {name:<20}{}", reason(name, parts.next()));
    }
    let coverage = short(&line[coverage]).map_or(String::new(), |coverage| format!(", coverage {coverage} %"));
    let _ = writeln!(out, "  ------\n          50 and these, kept between 0 and 100: confidence {score}{coverage}");
    if let Some(probability) = line[probability].as_f64() {
        let _ =
            writeln!(out, "          calibrated: the account's owner in {:.1} % of such cases", probability * 100.0);
    }
    if let Some(rung) = line[rung].as_u64() {
        let _ = writeln!(out, "          rung {} of the ladder, from the top", rung.saturating_add(1));
    }
    if let (Some(now), Some(written)) = (line[now].as_u64(), line[written].as_u64()) {
        let _ = writeln!(out, "          line {now} (written {written}, floats -{})", written.saturating_sub(now));
    }
}

/// The sentence of a signal's name, and why it was unknown.
fn reason(name: &str, unknown: Option<&str>) -> String {
    let signal = Signal::ALL.iter().find(|signal| signal.about().name == name);
    let limit = Group::ALL.iter().any(|group| group.limit_word() == name);
    let sentence = match (signal, name) {
        (Some(signal), _) => signal.about().operators,
        (None, CEILING) => RISES_SLOWLY,
        (None, "prior") => "Before anything is read.",
        (None, _) if limit => "The signals of one group count together only so far.",
        (None, _) => "",
    };
    match unknown {
        Some(unknown) => format!("unknown: {}", unknown.trim_matches(['(', ')'])),
        None => sentence.to_owned(),
    }
}

/// A value without line breaks and of bounded length; nothing for what is absent.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(shortened(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().take(16).filter_map(short).collect();
            Some(shortened(&items.join(", ")))
        }
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Object(_) => Some(shortened(&value.to_string())),
    }
}

fn shortened(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('\u{2026}');
    }
    printable(&cut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_that_has_floated_a_probability_and_a_session_that_rises_slowly_are_said() {
        let said = words(&json!({
            "id": "4f1c09ab77e2", "method": "POST", "route": "POST /login", "action": "allow", "status": 303,
            "confidence": 61, "coverage": 90, "because": ["prior +6"], "rung": 0,
            "session_action": "allow", "session_confidence": 54, "session_coverage": 90,
            "session_because": ["prior +6", "session_ceiling -4.1"],
            "session_line": 53, "session_line_written": 55, "session_probability": 0.973,
        }));
        assert_eq!(said.matches("(written ").count(), 1, "{said}");
        for row in [
            "line 53 (written 55, floats -2)",
            "calibrated: the account's owner in 97.3 % of such cases",
            "session_ceiling     The session changed",
        ] {
            assert!(said.contains(row), "{row}: {said}");
        }
    }
}
