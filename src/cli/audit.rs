//! `weir audit tail`, `weir audit verify`, `weir events`, `weir token`: who changed what, whether the record is whole, what happens
//! now, and who may come in over the network.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::SteerArguments;
use super::arm::second;
use super::asking;
use super::say::say_line;
use crate::control::api::tokens::mint;
use crate::control::audit::{FILE, clean, verify};

/// How often a followed record is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Show the last changes: who, what, why
    #[command(after_help = "Examples:
  weir audit tail
  weir audit tail -n 5 --json
  weir audit tail --follow
  weir audit tail /var/lib/weir/audit.jsonl     # without a running Weir")]
    Tail(TailArguments),
    /// Find a line that was removed, changed or moved
    #[command(after_help = "Examples:
  weir audit verify
  weir audit verify /var/lib/weir/audit.jsonl   # without a running Weir

audit.head beside the file says where the record ended, so that a cut end is found.
Exit codes: 0 the record is whole, 1 it is not or cannot be read, 2 the command line is wrong")]
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
struct TailArguments {
    /// The record, or the data directory that it is in; that of the running Weir when left out
    path: Option<PathBuf>,
    /// How many lines
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on with what is added
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// The record, or the data directory that it is in; that of the running Weir when left out
    path: Option<PathBuf>,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir events
  weir events --json | jq 'select(.event == \"posture\")'

It goes on until you end it.
Exit codes: 0 Weir ended, 1 it did not answer, 2 the command line is wrong")]
pub(super) struct EventsArguments {
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir token ann --role viewer

The token is shown once. gateway.toml holds its SHA-256 only.
Exit codes: 0 it was made, 1 it was not, 2 the command line is wrong")]
pub(super) struct TokenArguments {
    /// Whose it is, as the audit record will have it
    #[arg(value_parser = super::key::name)]
    name: String,
    /// What they may
    #[arg(long, value_enum)]
    role: TokenRole,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TokenRole {
    /// Everything
    Operator,
    /// Status, journeys, handoffs by reference, what to say and do
    Agent,
    /// Handing over answers to keep for customers
    Application,
    /// Looking, without anything about a person
    Viewer,
}

pub(super) fn audit(arguments: &AuditArguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        AuditCommand::Tail(arguments) => tail(arguments),
        AuditCommand::Verify(arguments) => whole(arguments),
    }
}

fn record(path: Option<&Path>, steer: &SteerArguments) -> anyhow::Result<PathBuf> {
    match path {
        Some(path) if path.is_dir() => Ok(path.join(FILE)),
        Some(path) => Ok(path.to_path_buf()),
        None => Ok(asking::data(steer)?.join(FILE)),
    }
}

fn tail(arguments: &TailArguments) -> anyhow::Result<ExitCode> {
    let path = record(arguments.path.as_deref(), &arguments.steer)?;
    let file = File::open(&path).with_context(|| format!("{}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut last = std::collections::VecDeque::new();
    let mut line = String::new();
    let mut read = 0;
    while reader.read_line(&mut line)? > 0 {
        if !line.ends_with('\n') {
            break;
        }
        read += line.len() as u64;
        last.push_back(std::mem::take(&mut line));
        if last.len() > arguments.lines {
            last.pop_front();
        }
    }
    for line in &last {
        show(line, arguments.steer.json)?;
    }
    if arguments.follow { follow(&mut reader, read, arguments.steer.json) } else { Ok(ExitCode::SUCCESS) }
}

/// Shows every line that is added from here on, until the command is ended.
fn follow(reader: &mut BufReader<File>, mut read: u64, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut line = String::new();
    loop {
        // Half a line is read again when it is whole.
        reader.seek(SeekFrom::Start(read))?;
        line.clear();
        if reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            read += line.len() as u64;
            show(&line, as_json)?;
        } else {
            std::thread::sleep(LOOK);
        }
    }
}

fn show(line: &str, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(say_line(line.trim_end())?);
    }
    let Ok(document) = serde_json::from_str::<Value>(line) else {
        return Ok(say_line(&format!("not a line of this record: {}", clean(line)))?);
    };
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let who = &document["who"];
    let why = match text(&document["why"]) {
        why if why.is_empty() => String::new(),
        why => format!(": {why}"),
    };
    say_line(&format!(
        "{:>6} {} {} ({}) {} {}{}{why}",
        document["seq"].to_string(),
        second(&text(&document["time"])),
        text(&who["name"]),
        text(&who["role"]),
        text(&document["what"]),
        text(&document["target"]),
        became(&document["before"], &document["after"]),
    ))?;
    Ok(())
}

/// What a change made of what was there, in a few words: which rules took the place of which, or how a playbook is armed now.
fn became(before: &Value, after: &Value) -> String {
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    let (old, new) = (text(&before["fingerprint"]), text(&after["fingerprint"]));
    if !new.is_empty() && new != old {
        return format!(" ({old} -> {new})");
    }
    if !after["playbook"].is_string() {
        return String::new();
    }
    let mut said = vec![format!("until {}", second(&text(&after["until"])))];
    if after["shadow"] == true {
        said.push("in shadow".to_owned());
    }
    if after["confirm_by"].is_string() {
        said.push("unconfirmed".to_owned());
    }
    for (names, all) in [("journeys", usize::MAX), ("channels", 4)] {
        if after[names].as_array().is_some_and(|names| !names.is_empty() && names.len() < all) {
            said.push(format!("only {}", list(&after[names])));
        }
    }
    format!(" ({})", said.join("; "))
}

fn whole(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let path = record(arguments.path.as_deref(), &arguments.steer)?;
    let found = verify::verify(&path).with_context(|| format!("{}", path.display()))?;
    if arguments.steer.json {
        let document = json!({
            "good": found.good(), "lines": found.lines, "torn_bytes": found.torn, "faults": found.faults,
            "last": found.head.seq, "hash": found.head.hash,
        });
        say_line(&format!("{document:#}"))?;
    } else {
        for fault in &found.faults {
            say_line(&format!("{}:{}: {}", path.display(), fault.line, fault.why))?;
        }
        if found.torn > 0 {
            let said =
                "ends with half a line: a crash, or a line that is being written; it is put aside at the next start";
            say_line(&format!("{}: {said}", path.display()))?;
        }
        let lines = if found.lines == 1 { "1 line".to_owned() } else { format!("{} lines", found.lines) };
        say_line(&match found.good() {
            true => format!("{}: {lines}, whole and in order. Last hash {}.", path.display(), found.head.hash),
            false => format!("{}: {lines}, NOT whole.", path.display()),
        })?;
    }
    Ok(if found.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) fn events(arguments: &EventsArguments) -> anyhow::Result<ExitCode> {
    let as_json = arguments.steer.json;
    let (mut kind, mut failed) = (String::new(), None);
    asking::listen(&arguments.steer, "/v1/events", |line| {
        if let Some(event) = line.strip_prefix("event:") {
            kind = event.trim().to_owned();
        } else if let Some(data) = line.strip_prefix("data:") {
            let said: Value = serde_json::from_str(data.trim()).unwrap_or_default();
            let text = match as_json {
                true => json!({ "event": kind, "said": said }).to_string(),
                false => format!("{kind:<9} {}", pairs(&said)),
            };
            if let Err(error) = say_line(&text) {
                failed = Some(error);
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What an event says, as names with values; what it does not say is left out.
fn pairs(said: &Value) -> String {
    let Some(all) = said.as_object() else { return clean(&said.to_string()) };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name}={}", clean(text))),
        Value::Object(_) if value["until"].is_string() => {
            Some(format!("until={}", second(value["until"].as_str().unwrap_or_default())))
        }
        other => Some(format!("{name}={}", clean(&other.to_string()))),
    };
    all.iter().filter_map(pair).collect::<Vec<_>>().join(" ")
}

pub(super) fn token(arguments: &TokenArguments) -> anyhow::Result<ExitCode> {
    let (token, sha256) = mint().map_err(|_| anyhow!("this system gives no randomness"))?;
    let role = match arguments.role {
        TokenRole::Operator => "operator",
        TokenRole::Agent => "agent",
        TokenRole::Application => "application",
        TokenRole::Viewer => "viewer",
    };
    let name = &arguments.name;
    let line = format!("{{ name = \"{name}\", role = \"{role}\", sha256 = \"{sha256}\" }}");
    if arguments.json {
        let document = json!({ "name": name, "role": role, "token": token, "sha256": sha256, "line": line });
        say_line(&format!("{document:#}"))?;
    } else {
        say_line(&format!(
            "{token}\n\nThis is the only time that the token is shown. Give it to {name}, and add this to tokens in [control]\n\
             of gateway.toml, then restart:\n\n  {line}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
