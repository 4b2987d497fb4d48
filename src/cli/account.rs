//! `weir access`, `weir erase`, `weir data-map`: what is held about one account, its end, and what is held at all.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::SteerArguments;
use super::asking;
use super::say::say;
use super::steer::finish;
use crate::memory::stores::About;
use crate::memory::{Memory, Places};
use crate::rules::signal::Signal;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir access ann@example.com
  weir access ann@example.com --json > ann.json
  echo ann@example.com | weir access -              # keeps the name out of the shell's history

It shows every store that holds something under this account: hashes, dates and counts. The name
itself is kept nowhere; the record of changes has its hash.
Exit codes: 0 Weir answered, 1 it did not or refused, 2 the command line is wrong")]
pub struct AccessArguments {
    /// The account's name, as its owner types it; - reads it from standard input
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir erase ann@example.com --reason \"request 2214\"
  echo ann@example.com | weir erase - --reason \"request 2214\"

It reaches every store, in memory and in the data directory, before it answers. Decision logs
that were written to a file hold hashes only and end with that file. A customer who comes back
afterwards is a stranger.
Exit codes: 0 erased, from the disk too; 1 it was not, or not from the disk yet; 2 the command
line is wrong")]
pub struct EraseArguments {
    /// The account's name, as its owner types it; - reads it from standard input
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Why: it is kept in the audit record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir data-map
  weir data-map --json | jq '.stores[] | select(.on_disk) | .name'

It needs no running Weir: it is made of the declarations of the stores and signals themselves.")]
pub struct DataMapArguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Shows what is held about an account.
pub fn access(arguments: &AccessArguments) -> anyhow::Result<ExitCode> {
    let body = json!({ "account": name(&arguments.account)?, "reason": arguments.reason });
    let told = asking::ask(&arguments.steer, Method::POST, "/v1/accounts/access", Some(&body))?;
    finish(&arguments.steer, &told, held)
}

/// Erases an account.
pub fn erase(arguments: &EraseArguments) -> anyhow::Result<ExitCode> {
    let body = json!({ "account": name(&arguments.account)?, "reason": arguments.reason });
    let told = asking::ask(&arguments.steer, Method::POST, "/v1/accounts/erase", Some(&body))?;
    let shown = finish(&arguments.steer, &told, erased)?;
    match told.good() && told.document["erased"]["on_disk"] != json!(true) {
        true => Ok(ExitCode::FAILURE),
        false => Ok(shown),
    }
}

/// What was typed, or the first line of standard input.
fn name(typed: &str) -> anyhow::Result<String> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("the account's name from standard input")?;
    match text.lines().next().map(str::trim) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => bail!("standard input has no account's name"),
    }
}

fn held(document: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut out = format!("Account {}\n", text(&document["account"]));
    let stores = document["held"].as_array().map_or(&[][..], Vec::as_slice);
    if stores.is_empty() && document["snapshots"].as_array().is_none_or(Vec::is_empty) {
        out += "\nNothing is held about it.\n";
    }
    for store in stores {
        let about = &store["store"];
        let _ = writeln!(out, "\n{}: {}", text(&about["name"]), text(&about["purpose"]));
        let _ = writeln!(out, "  kept for    {}", text(&about["kept"]));
        for entry in store["entries"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "  entry       {}", text(&entry["key"]));
            if let Some(idle) = entry["idle_seconds"].as_u64() {
                let _ = writeln!(
                    out,
                    "  not used for {}",
                    crate::control::posture::say(std::time::Duration::from_secs(idle))
                );
            }
            lines(&mut out, 2, &entry["held"]);
        }
    }
    let devices = document["devices_of_this_account_alone"].as_array().map_or(0, Vec::len);
    let _ = writeln!(out, "\nDevices that no other account uses: {devices}");
    let _ = writeln!(out, "Limits that it has used: {}", document["limits"]);
    let _ = writeln!(out, "Among the latest decisions: {}", document["latest_decisions"]);
    if let Some(outcomes) = document["outcomes"].as_u64() {
        let _ = writeln!(out, "Among the kept outcomes: {outcomes}");
    }
    if let Some(why) = document["snapshots"]["unreadable"].as_str() {
        let _ = writeln!(out, "Its own last-known-good answers CANNOT BE READ now: {why}");
    }
    for (at, kept) in document["snapshots"].as_array().into_iter().flatten().enumerate() {
        if at == 0 {
            out += "Its own last-known-good answers:\n";
        }
        let (host, target) = (text(&kept["host"]), text(&kept["target"]));
        let (journey, as_of, bytes) = (text(&kept["journey"]), text(&kept["as_of"]), &kept["bytes"]);
        let _ = writeln!(out, "  {journey}: {host}{target}, as of {as_of}, {bytes} bytes");
    }
    out
}

/// Fields one a line; what is empty is left out.
fn lines(out: &mut String, indent: usize, value: &Value) {
    let empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0000000000000000",
        _ => false,
    };
    fn any(value: &Value, empty: &dyn Fn(&Value) -> bool) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| any(item, empty)),
            Value::Object(fields) => fields.values().any(|field| any(field, empty)),
            other => !empty(other),
        }
    }
    let Value::Object(fields) = value else { return };
    for (name, field) in fields.iter().filter(|(_, field)| any(field, &empty)) {
        match field {
            Value::Array(items) => {
                for item in items.iter().filter(|item| any(item, &empty)) {
                    let _ = writeln!(out, "{:indent$}  {name}: {}", "", one(item));
                }
            }
            other => drop(writeln!(out, "{:indent$}  {name}: {}", "", one(other))),
        }
    }
}

/// A value in one line.
fn one(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let each: Vec<String> = fields.iter().map(|(name, field)| format!("{name} {}", one(field))).collect();
            each.join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn erased(document: &Value) -> String {
    let erased = &document["erased"];
    let mut out = format!("Account {} is erased.\n", document["account"].as_str().unwrap_or_default());
    for (store, count) in erased["stores"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "  {store:<18} {count}");
    }
    let _ = writeln!(out, "  {:<18} {}", "its own devices", erased["devices"]);
    let _ = writeln!(out, "  {:<18} {}", "limits", erased["limits"]);
    let _ = writeln!(out, "  {:<18} {}", "latest decisions", erased["decisions"]);
    if let Some(answers) = erased["snapshots"].as_u64().filter(|answers| *answers > 0) {
        let _ = writeln!(out, "  {:<18} {answers}", "kept answers");
    }
    if let Some(outcomes) = erased["outcomes"].as_u64().filter(|outcomes| *outcomes > 0) {
        let _ = writeln!(out, "  {:<18} {outcomes}", "outcomes");
    }
    out += match erased["on_disk"] == json!(true) {
        true => "The data directory is without it too.\n",
        false => "The data directory could NOT be written: it is tried again, and weir_disk_ok says when it was.\n",
    };
    out
}

/// Prints what is kept, about whom, as what, for how long, why, and how it is erased.
pub fn data_map(arguments: &DataMapArguments) -> anyhow::Result<ExitCode> {
    let memory = Memory::new(&Places::default());
    let stores: Vec<Value> =
        memory.stores().iter().map(|store| json!(store.about())).chain([json!(SNAPSHOTS)]).collect();
    let signals: Vec<Value> = Signal::ALL
        .iter()
        .map(|signal| {
            let about = signal.about();
            let half_life = about.half_life.map(crate::control::posture::say);
            json!({ "name": about.name, "family": signal.family().word(), "says": about.operators, "half_life": half_life })
        })
        .collect();
    let document = json!({ "stores": stores, "signals": signals, "elsewhere": ELSEWHERE });
    match arguments.json {
        true => say(&format!("{document:#}\n"))?,
        false => say(&map(&document))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The one store that is not in the memory's own list.
const SNAPSHOTS: About = About {
    name: "snapshots",
    whom: "one account, to the letter of its name",
    holds: "the application's own last good answers to it, on journeys with `snapshot`: bodies and content types, without cookies and without what the rules mask; sealed (AES-256-GCM) under a key made from snapshots.key and the account's own salt",
    key: "keyed hashes of the account's name, and of host and target",
    purpose: "to show customers what is theirs while the application is away",
    kept: "`keep` of the journey's snapshot since the application answered (30d), not counting incidents",
    erased: "weir erase, from memory and disk at once, with the salt without which no copy can be read",
    on_disk: true,
};

/// What is in the data directory or goes out beside the stores.
const ELSEWHERE: &[(&str, &str)] = &[
    ("passwords", "compared in place on sign-in routes and dropped; never stored, never logged"),
    (
        "decision lines",
        "hashes, points and reasons; the latest 8 MiB in memory, the rest where [decisions] to says; weir erase reaches those in memory",
    ),
    (
        "outcomes",
        "only where [outcomes] keep says so: what was decided and how it turned out, under hashes, for calibration; at most 180 days, then the day's file goes; weir erase reaches them",
    ),
    ("audit record", "who changed what and why; of accounts that were shown or erased, the hash"),
    ("snapshots.key", "the key that kept answers are sealed under; without it they cannot be read"),
    ("names.key", "the key of all hashes; without it nothing here can be told to be about anybody"),
];

fn map(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = String::from(
        "# Data map\n\nNo name, address, cookie or token is kept: everything is under keyed hashes.\n\n## Stores\n",
    );
    for store in document["stores"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "\n### {}\n", text(&store["name"]));
        let disk = if store["on_disk"] == json!(true) { "memory and the data directory" } else { "memory only" };
        let rows = [
            ("about", text(&store["whom"])),
            ("holds", text(&store["holds"])),
            ("under", text(&store["key"])),
            ("for", text(&store["purpose"])),
            ("kept", text(&store["kept"])),
            ("where", disk.to_owned()),
            ("erased", text(&store["erased"])),
        ];
        for (name, value) in rows {
            let _ = writeln!(out, "- {name}: {value}");
        }
    }
    out += "\n## Signals\n\nWhat the stores are read for, on each request.\n\n";
    for signal in document["signals"].as_array().into_iter().flatten() {
        let fades = signal["half_life"].as_str().map_or_else(String::new, |half| format!(" Halves in {half}."));
        let _ = writeln!(
            out,
            "- {} ({}): {}{fades}",
            text(&signal["name"]),
            text(&signal["family"]),
            text(&signal["says"])
        );
    }
    out += "\n## Elsewhere\n\n";
    for (name, what) in ELSEWHERE {
        let _ = writeln!(out, "- {name}: {what}");
    }
    out
}
