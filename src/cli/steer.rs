//! `weir status`, `weir reload`, `weir rollback`: what is in force, and the law by hand.

use std::fmt::Write as _;
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::arm::second;
use super::asking::{self, Told};
use super::say::{say, say_line};
use super::{ReloadArguments, RollbackArguments, SteerArguments};

pub fn status(arguments: &SteerArguments) -> anyhow::Result<ExitCode> {
    let told = asking::ask(arguments, Method::GET, "/v1/status", None)?;
    finish(arguments, &told, table)
}

pub fn reload(arguments: &ReloadArguments) -> anyhow::Result<ExitCode> {
    let body = json!({
        "despite_cases": arguments.despite_cases,
        "reason": arguments.reason.as_deref().unwrap_or_default(),
    });
    change(&arguments.steer, "/v1/rules/reload", &body)
}

pub fn roll_back(arguments: &RollbackArguments) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": arguments.reason.as_deref().unwrap_or_default() });
    change(&arguments.steer, "/v1/rules/rollback", &body)
}

fn change(arguments: &SteerArguments, path: &str, body: &Value) -> anyhow::Result<ExitCode> {
    let told = asking::ask(arguments, Method::POST, path, Some(body))?;
    if told.document["outcome"].is_string() && !arguments.json {
        say_line(&sentence(&told.document))?;
        return Ok(code(&told));
    }
    finish(arguments, &told, |document| format!("{document:#}\n"))
}

/// Prints an answer for people or machines; a refusal goes to standard error.
pub(super) fn finish(
    arguments: &SteerArguments,
    told: &Told,
    words: impl FnOnce(&Value) -> String,
) -> anyhow::Result<ExitCode> {
    if arguments.json {
        say_line(&format!("{:#}", told.document))?;
    } else if told.good() {
        say(&words(&told.document))?;
    } else {
        eprintln!("weir: {}", told.refusal());
    }
    Ok(code(told))
}

fn code(told: &Told) -> ExitCode {
    if told.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sentence(document: &Value) -> String {
    let generation = &document["generation"];
    let fingerprint = document["fingerprint"].as_str().unwrap_or_default();
    match document["outcome"].as_str().unwrap_or_default() {
        "installed" => format!("New rules are in force: generation {generation}, {fingerprint}."),
        "unchanged" => format!("The files are what is in force already: generation {generation}."),
        "rolled_back" => format!(
            "The rules before are in force again: generation {generation}, {fingerprint}. \
             The files on disk are not; mend them before you save."
        ),
        "nothing_before" => format!("There are no rules before generation {generation} in this process."),
        "refused" => format!(
            "{}The files have errors; generation {generation} stays in force.",
            document["problems"].as_str().unwrap_or_default()
        ),
        "cases_failed" => format!(
            "{}Cases do not hold; generation {generation} stays in force. To let these rules in all the same:\n  \
             weir reload --despite-cases --reason \"...\"",
            document["problems"].as_str().unwrap_or_default()
        ),
        "lacks_armed" => {
            let names: Vec<&str> =
                document["playbooks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let names = names.join(", ");
            format!(
                "These rules do not have what is armed: {names}. Generation {generation} stays in force. \
                 Stand it down first:\n  weir stand-down {names} --reason \"...\""
            )
        }
        "moved" => {
            format!("Someone changed it in the meantime: generation {generation} is in force. Look again, then decide.")
        }
        other => format!("Weir answered {other:?}."),
    }
}

fn table(document: &Value) -> String {
    let law = &document["law"];
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<12} {value}");
    };
    let places = &document["places"];
    let draining = if document["draining"] == true { ", draining" } else { "" };
    row("weir", format!("{}, process {}{draining}", text(&document["weir"]), places["process"]));
    let listening: Vec<String> = places["listening"].as_array().into_iter().flatten().map(text).collect();
    row("listening", listening.join(", "));
    if let Some(admin) = places["admin"].as_str() {
        row("metrics", format!("http://{admin}/metrics"));
    }
    if let Some(door) = places["control"].as_str() {
        row("control", format!("{door}, with a token"));
    }
    row("in force", format!("generation {}, {}", law["generation"], text(&law["fingerprint"])));
    row("since", text(&law["installed"]));
    let files = match (law["files_in_force"] == true, law["last"]["outcome"].as_str()) {
        (true, _) => "in force".to_owned(),
        (false, Some("refused")) => {
            let errors = match law["last"]["errors"].as_u64() {
                Some(1) => "1 error".to_owned(),
                _ => format!("{} errors", law["last"]["errors"]),
            };
            format!("REFUSED, {errors}: run weir check {}", text(&law["rules"]))
        }
        (false, Some("cases_failed")) => {
            format!("NOT IN FORCE, cases do not hold: run weir test {}", text(&law["rules"]))
        }
        (false, Some("lacks_armed")) => "NOT IN FORCE: they lack a playbook that is armed".to_owned(),
        (false, Some("rolled_back")) => "not in force (rolled back)".to_owned(),
        (false, _) => "not in force: weir reload says why".to_owned(),
    };
    row("files", format!("{}: {files}", text(&law["rules"])));
    if law["despite_cases"] == true {
        row("cases", format!("NOT ALL HOLD, let in despite them: run weir test {}", text(&law["rules"])));
    }
    if law["restart_needed"] == true {
        row("settings", "gateway.toml has CHANGED: taken up at the next restart".to_owned());
    }
    row("rollback", law["before"].as_str().map_or("nothing to go back to".to_owned(), |before| format!("to {before}")));
    posture(&mut row, document);
    let rooms = &document["rooms"];
    row("connections", text(&rooms["connections"]));
    row("remembered", format!("accounts: {}, sessions: {}", rooms["accounts"], rooms["sessions"]));
    for upstream in rooms["upstreams"].as_array().into_iter().flatten() {
        let servers: Vec<String> = upstream["servers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|server| format!("{} {}", text(&server["url"]), if server["up"] == true { "up" } else { "DOWN" }))
            .collect();
        row("upstream", format!("{}: {}", text(&upstream["name"]), servers.join(", ")));
    }
    let snapshots = &rooms["snapshots"];
    if let Some(trouble) = snapshots["trouble"].as_str() {
        let state = if snapshots["on"] == true { "NOT KEPT" } else { "OFF" };
        row("SNAPSHOTS", format!("{state}: {trouble}"));
    } else if snapshots["answers"].as_u64().is_some_and(|answers| answers > 0) {
        row("snapshots", format!("{} answers, {} bytes", snapshots["answers"], snapshots["bytes"]));
    }
    for guard in rooms["guards"].as_array().into_iter().flatten() {
        if let Some(since) = guard["frozen_since"].as_str() {
            let shift = guard["shift"].as_f64().map_or(String::new(), |shift| format!(", {shift:+} points"));
            row("FROZEN", format!("signals of {} since {since}{shift}", text(&guard["group"])));
        }
    }
    // Where nobody can be counted yet, all lines are as they are written.
    for line in
        rooms["lines"].as_array().into_iter().flatten().filter(|line| line["floats"] != 0 || line["held"].is_number())
    {
        row(if line["at_the_end"] == true { "LINES" } else { "lines" }, lines(line));
    }
    for list in rooms["breach"].as_array().into_iter().flatten() {
        let state = match (list["trouble"].as_str(), list["entries"].as_u64()) {
            (Some(trouble), None) => format!("NOT IN USE: {trouble}"),
            (Some(trouble), Some(entries)) => format!("{entries} entries; the new file is REFUSED: {trouble}"),
            (None, Some(entries)) => {
                let old = if list["stale"] == true { ", TOO OLD" } else { "" };
                format!("{entries} entries, of {}{old}", super::arm::second(&text(&list["created"])))
            }
            (None, None) => "not read yet".to_owned(),
        };
        row("leaked", format!("{}: {state}", text(&list["list"])));
    }
    out
}

/// How one ladder's lines float, and what share of long-known customers they hold.
fn lines(line: &Value) -> String {
    let attempts = if line["ladder"] == "attempt" { ", attempts" } else { "" };
    let held = match (line["held"].as_f64(), line["held_as_written"].as_f64()) {
        (Some(held), Some(written)) => {
            format!("hold {held} % of customers long known ({written} % as written; budget {} %)", line["budget"])
        }
        _ => format!("too few customers yet to tell ({}; budget {} %)", line["customers"], line["budget"]),
    };
    let floats = match line["floats"].as_i64() {
        Some(0) | None => "as written".to_owned(),
        Some(floats) => format!("float {floats} of -{}", line["range"]),
    };
    let end = if line["at_the_end"] == true { ": AT THE END OF THEIR RANGE" } else { "" };
    format!("{}{attempts}: {floats}, {held}{end}", text(&line["journey"]))
}

/// What is armed, proposed and silenced, and how the disk does.
fn posture(row: &mut impl FnMut(&str, String), document: &Value) {
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    for armed in list("posture") {
        for (at, line) in super::arm::armed_words(&armed).into_iter().enumerate() {
            row(if at == 0 { "armed" } else { "" }, line);
        }
    }
    for proposal in list("proposals") {
        row("PROPOSED", format!("{}: {}", text(&proposal["playbook"]), text(&proposal["because"])));
        row("", text(&proposal["command"]));
    }
    for quiet in list("silenced") {
        row(
            "silenced",
            format!("the triggers of {} until {}", text(&quiet["playbook"]), second(&text(&quiet["until"]))),
        );
    }
    let disk = &document["disk"];
    for (what, good, fault) in
        [("what is armed", "posture_saved", "posture_fault"), ("the audit record", "audit_written", "audit_fault")]
    {
        if disk[good] == false {
            let why = disk[fault].as_str().unwrap_or("it takes long");
            row("DISK", format!("{what} is not on the disk: {why}. It is kept in memory and tried again"));
        }
    }
    for found in disk["audit_found"].as_array().into_iter().flatten() {
        row("AUDIT", text(found));
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
