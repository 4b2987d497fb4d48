//! `weir arm`, `confirm`, `stand-down`, `playbooks`: the prebuilt modes of an incident, by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::asking;
use super::say::say_line;
use super::steer::finish;
use super::{SteerArguments, span};
use crate::app::SOCKET;
use crate::clock::Clock;
use crate::control::audit::Change;
use crate::control::disk::Disk;
use crate::control::kept::Kept;
use crate::control::posture::shown;
use crate::control::who::{Role, Who};
use crate::telemetry::Telemetry;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir arm credential_stuffing --reason \"ticket 4711: failed sign-ins x10\"
  weir arm fraud_spike --for 2h --scope checkout,web --reason \"...\"
  weir arm bot_abuse --shadow --reason \"trying it out\"     # logs both outcomes, changes nothing
  weir arm bot_abuse --confirm-within 5m --reason \"...\"    # ends by itself unless confirmed

It is in force for the next request, and it ends by itself. Arming what is armed makes it
last longer or reach further, never less.
Exit codes: 0 armed, 1 it was not, 2 the command line is wrong")]
pub(super) struct ArmArguments {
    /// The playbook
    name: String,
    /// For how long; as the playbook says when left out
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    span: Option<Duration>,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only these journeys and channels (web, app, store, desk); `all` widens it again
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    scope: Vec<String>,
    /// Log what would be done, and do nothing
    #[arg(long)]
    shadow: bool,
    /// Ends by itself after this unless it is confirmed
    #[arg(long, value_name = "TIME", value_parser = span)]
    confirm_within: Option<Duration>,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir confirm bot_abuse

Exit codes: 0 confirmed, 1 it was not, 2 the command line is wrong")]
pub(super) struct ConfirmArguments {
    /// The playbook
    name: String,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir stand-down credential_stuffing --reason \"calm since 20 minutes\"
  weir stand-down credential_stuffing --now --reason \"it hits customers\"
  weir stand-down credential_stuffing --offline /var/lib/weir --reason \"Weir does not start\"

Full service comes back gradually, as the playbook says; with --now at once. Its triggers are
silent for a while.
Exit codes: 0 it is ending or has ended, 1 it was not armed, 2 the command line is wrong")]
pub(super) struct StandDownArguments {
    /// The playbook
    name: String,
    /// At once, without the way back that the playbook has
    #[arg(long)]
    now: bool,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// In the data directory of a Weir that is not running
    #[arg(long, value_name = "DATA", conflicts_with_all = ["socket", "url"])]
    offline: Option<PathBuf>,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir playbooks
  weir playbooks credential_stuffing     # what it changes, and what the desk says

Exit codes: 0 Weir answered, 1 it did not or there is no such playbook, 2 the command line is wrong")]
pub(super) struct PlaybooksArguments {
    /// One of them, in full
    name: Option<String>,
    #[command(flatten)]
    steer: SteerArguments,
}

/// A name as a piece of a path.
fn piece(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes().fold(String::new(), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

pub(super) fn arm(arguments: &ArmArguments) -> anyhow::Result<ExitCode> {
    let body = json!({
        "for_seconds": arguments.span.map(|span| span.as_secs()),
        "reason": arguments.reason,
        "scope": (!arguments.scope.is_empty()).then_some(&arguments.scope),
        "shadow": arguments.shadow,
        "confirm_within_seconds": arguments.confirm_within.map(|span| span.as_secs()),
    });
    let path = format!("/v1/playbooks/{}/arm", piece(&arguments.name));
    changed(&arguments.steer, &path, &body, &arguments.name)
}

pub(super) fn confirm(arguments: &ConfirmArguments) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/playbooks/{}/confirm", piece(&arguments.name));
    changed(&arguments.steer, &path, &json!({}), &arguments.name)
}

pub(super) fn stand_down(arguments: &StandDownArguments) -> anyhow::Result<ExitCode> {
    if let Some(data) = &arguments.offline {
        return offline(data, arguments);
    }
    let path = format!("/v1/playbooks/{}/stand-down", piece(&arguments.name));
    let body = json!({ "reason": arguments.reason, "now": arguments.now });
    changed(&arguments.steer, &path, &body, &arguments.name)
}

fn changed(arguments: &SteerArguments, path: &str, body: &Value, name: &str) -> anyhow::Result<ExitCode> {
    let told = asking::ask(arguments, Method::POST, path, Some(body))?;
    finish(arguments, &told, |document| {
        let mut out = match &document["armed"] {
            Value::Null => format!("{name} is not armed any more. Customers are served as the rules say.\n"),
            armed => format!("{}\n", armed_words(armed).join("\n  ")),
        };
        if let Some(fault) = document["disk_fault"].as_str() {
            let _ = writeln!(
                out,
                "The disk does not take it ({fault}): it holds in memory, and would not survive a restart."
            );
        }
        out
    })
}

/// An armed playbook: how long it lasts, then what is special about it, then who armed it and why; a line each.
pub(super) fn armed_words(armed: &Value) -> Vec<String> {
    let text = |name: &str| armed[name].as_str().unwrap_or_default();
    let left = armed["seconds_left"].as_u64().unwrap_or(0);
    let left = match (left / 3600, left / 60 % 60, left % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    };
    let mut out = vec![format!("{}, {left} left (until {})", text("playbook"), second(text("until")))];
    if armed["confirm_by"].is_string() {
        out.push(format!("UNCONFIRMED: it ends then, unless you run  weir confirm {}", text("playbook")));
    }
    if armed["shadow"] == true {
        out.push("in shadow: nothing is enforced".to_owned());
    }
    if armed["standing_down"].is_object() {
        let from = &armed["standing_down"]["in_full_from"];
        out.push(format!("standing down: customers from confidence {from} up are served in full, the others soon"));
    }
    let words = |name: &str| {
        let each = armed[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        each.collect::<Vec<_>>().join(", ")
    };
    if armed["journeys"].as_array().is_some_and(|names| !names.is_empty()) {
        out.push(format!("only the journeys {}", words("journeys")));
    }
    if armed["channels"].as_array().is_some_and(|names| names.len() < 4) {
        out.push(format!("only the channels {}", words("channels")));
    }
    out.push(format!("by {}: {}", text("by"), text("reason")));
    out
}

/// A moment, to the second: nobody reads a clock more closely.
pub(super) fn second(moment: &str) -> String {
    match moment.split_once('.') {
        Some((whole, part)) if part.ends_with('Z') => format!("{whole}Z"),
        _ => moment.to_owned(),
    }
}

pub(super) fn playbooks(arguments: &PlaybooksArguments) -> anyhow::Result<ExitCode> {
    match &arguments.name {
        None => {
            let told = asking::ask(&arguments.steer, Method::GET, "/v1/playbooks", None)?;
            finish(&arguments.steer, &told, list)
        }
        Some(name) => {
            let path = format!("/v1/playbooks/{}", piece(name));
            let told = asking::ask(&arguments.steer, Method::GET, &path, None)?;
            finish(&arguments.steer, &told, whole)
        }
    }
}

fn list(document: &Value) -> String {
    let mut out = String::new();
    for playbook in document.as_array().into_iter().flatten() {
        let armed = if playbook["armed"].is_object() { "ARMED" } else { "" };
        let text = |name: &str| playbook[name].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(out, "{:<24} {armed:<6} {}", text("playbook"), text("summary"));
    }
    if out.is_empty() { "These rules have no playbooks.\n".to_owned() } else { out }
}

fn whole(document: &Value) -> String {
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    let mut out = format!("{}: {}\n", text("playbook"), text("summary"));
    let _ = writeln!(
        out,
        "owner {}; holds {}, at most {}; back to full service over {}",
        text("owner"),
        text("expires"),
        text("at_most_total"),
        text("ramp")
    );
    if document["armed"].is_object() {
        let _ = writeln!(out, "ARMED: {}", armed_words(&document["armed"]).join("\n  "));
    }
    let words = |value: &Value| {
        let each = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        each.collect::<Vec<_>>().join(", ")
    };
    out += "\nWhat it changes\n";
    for change in document["changes"].as_array().into_iter().flatten() {
        match change["journey"].as_str() {
            Some(journey) if change["served_from"].is_string() => {
                let _ =
                    writeln!(out, "  {journey}: served from {}", change["served_from"].as_str().unwrap_or_default());
            }
            Some(journey) => {
                let only = if change["only_contaminated"] == true { " (only where there is an attack)" } else { "" };
                let contained = if change["contained"] == true { "; as if its upstream were away" } else { "" };
                let _ = writeln!(
                    out,
                    "  {journey}{only}{contained}\n    now   {}\n    then  {}",
                    words(&change["before"]),
                    words(&change["after"])
                );
            }
            None => {
                for (name, value) in change.as_object().into_iter().flatten() {
                    let value = if value.is_array() { words(value) } else { value.to_string() };
                    let _ = writeln!(out, "  {name}: {value}");
                }
            }
        }
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
            lines.iter().for_each(|line| {
                let _ = writeln!(out, "  {line}");
            });
        }
    };
    let lines = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut watched = lines(&document["triggers"]);
    watched.extend(document["stands_down"].as_str().map(|when| format!("stands down {when}")));
    section("What it watches", watched);
    let desk = &document["desk"];
    section("The desk verifies", lines(&desk["verify"]));
    section(
        "The desk says",
        desk["script"].as_str().filter(|said| !said.is_empty()).map(str::to_owned).into_iter().collect(),
    );
    section("The desk never", lines(&desk["never"]));
    section("The desk escalates to", lines(&desk["escalate"]));
    out
}

/// Stands a playbook down in the data directory of a Weir that is not running.
fn offline(data: &Path, arguments: &StandDownArguments) -> anyhow::Result<ExitCode> {
    if std::os::unix::net::UnixStream::connect(data.join(SOCKET)).is_ok() {
        bail!("a Weir is running with {}; leave --offline out", data.display());
    }
    fs::metadata(data).with_context(|| format!("the data directory {}", data.display()))?;
    let read = Kept::read(data);
    if let Some(fault) = read.fault {
        bail!("{fault}");
    }
    let mut kept = read.kept;
    let (clock, name) = (Clock::default(), &arguments.name);
    let now = clock.now();
    let Some(at) = kept.posture.armed.iter().position(|armed| *armed.playbook == **name) else {
        eprintln!("weir: {name} is not armed in {}", data.display());
        return Ok(ExitCode::FAILURE);
    };
    let armed = kept.posture.armed.remove(at);
    let (disk, thread) = Disk::open(data, clock, Telemetry::new())?;
    let user = fs::metadata("/proc/self").map(|found| std::os::unix::fs::MetadataExt::uid(&found));
    let who = Who { role: Role::Operator, ..Who::user(user.unwrap_or(u32::MAX)) };
    let change = Change {
        time: now,
        who,
        what: "stand_down_offline",
        target: name.clone(),
        why: arguments.reason.clone(),
        before: shown(&armed, now),
        after: Value::Null,
    };
    let safe = disk.wait(&[disk.save(kept.text().into()), disk.record(change)]);
    let health = disk.health();
    thread.join();
    if !safe {
        let why = health.posture_fault.or(health.audit_fault).unwrap_or_default();
        bail!("the data directory {} cannot be written: {why}", data.display());
    }
    say_line(&format!("{name} is not armed any more in {}.", data.display()))?;
    Ok(ExitCode::SUCCESS)
}
