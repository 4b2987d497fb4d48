//! `weir snapshots`: what is kept of customers' own answers, and more of them from another system.
//!
//! A file is read line by line and sent in batches; each is safe on the disk before the next goes. Importing it again changes
//! nothing: what is newer stands.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::SteerArguments;
use super::asking;
use super::say::say;
use super::steer::finish;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir snapshots                        # how many, how many bytes, the oldest, by journey
  weir snapshots --json
  weir snapshots import answers.jsonl --dry-run
  weir snapshots import answers.jsonl

Which answers are kept, and for how long, is law: `snapshot` of a journey. How many bytes of them
is a setting: [snapshots] in gateway.toml. `weir access` and `weir erase` reach them.
Exit codes: 0 Weir answered and everything was kept, 1 it did not or not all was, 2 the command
line is wrong")]
pub struct SnapshotsArguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Keep answers that another system knows, one JSON object a line
    Import(ImportArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir snapshots import answers.jsonl --dry-run
  weir snapshots import answers.jsonl

A line:
  {\"subject\":\"ann@example.com\",\"host\":\"shop.example\",\"target\":\"/account/balance\",
   \"content_type\":\"application/json\",\"as_of\":\"2026-11-02T12:00:00Z\",\"body\":{\"balance\":12}}
(on one line). subject is the account's name to the letter, as the application says it. host may be
left out where the rules name one alone. body is text, or a JSON value. The same goes over the
control API as PUT /v1/snapshots, with a token of the role application.")]
struct ImportArguments {
    /// The file
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    /// Check the file, and keep nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    steer: SteerArguments,
}

#[derive(Serialize)]
struct Rows {
    dry_run: bool,
    rows: Vec<Box<RawValue>>,
}

/// Rows, and bytes, that go together.
const BATCH: usize = 500;
const BYTES: usize = 3 << 20;
/// Bytes of the longest line.
const LINE: usize = 3 << 20;
/// Refused lines that are shown; all are counted.
const SHOWN: usize = 20;

pub fn snapshots(arguments: &SnapshotsArguments) -> anyhow::Result<ExitCode> {
    if let Some(What::Import(arguments)) = &arguments.what {
        return import(arguments);
    }
    let mut told = asking::ask(&arguments.steer, Method::GET, "/v1/status", None)?;
    if told.good() {
        told.document = told.document["rooms"]["snapshots"].take();
    }
    finish(&arguments.steer, &told, table)
}

fn table(document: &Value) -> String {
    let mut out = String::new();
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let state = match (document["on"] == json!(true), document["trouble"].as_str()) {
        (true, None) => "on".to_owned(),
        (true, Some(why)) => format!("NOT KEPT, what is there is shown: {why}"),
        (false, Some(why)) => format!("OFF: {why}"),
        (false, None) => "off".to_owned(),
    };
    let _ = writeln!(out, "{:<12} {state}", "snapshots");
    let _ = writeln!(out, "{:<12} {}, {} bytes", "kept", number(&document["answers"]), number(&document["bytes"]));
    let _ = writeln!(out, "{:<12} {} bytes", "in memory", number(&document["memory"]));
    let _ = writeln!(out, "{:<12} {}", "oldest", document["oldest"].as_str().unwrap_or("none"));
    for (journey, tally) in document["journeys"].as_object().into_iter().flatten() {
        let (answers, bytes) = (number(&tally["answers"]), number(&tally["bytes"]));
        let _ = writeln!(out, "  {journey:<22} {answers}, {bytes} bytes");
    }
    out
}

fn import(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let file = arguments.file.display();
    let mut lines = BufReader::new(File::open(&arguments.file).with_context(|| format!("opening {file}"))?);
    let (mut number, mut rows, mut kept, mut faults) = (0_usize, 0_usize, 0_u64, 0_usize);
    let mut because: Vec<Value> = Vec::new();
    let mut over = false;
    while !over {
        let (mut batch, mut at, mut bytes) = (Vec::new(), Vec::new(), 0);
        while batch.len() < BATCH && bytes < BYTES {
            let mut line = Vec::new();
            let read = std::io::Read::take(&mut lines, LINE as u64 + 1).read_until(b'\n', &mut line)?;
            number += 1;
            if read == 0 {
                over = true;
                break;
            }
            if line.len() > LINE {
                bail!("{file}:{number}: the line is longer than {LINE} bytes; {kept} answers were kept before it");
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            rows += 1;
            match serde_json::from_slice::<Box<RawValue>>(&line) {
                Ok(row) if row.get().starts_with('{') => {
                    bytes += line.len();
                    at.push(number);
                    batch.push(row);
                }
                Ok(_) | Err(_) => {
                    faults += 1;
                    if because.len() < SHOWN {
                        because.push(json!({ "line": number, "why": "it is no JSON object" }));
                    }
                }
            }
        }
        if batch.is_empty() {
            continue;
        }
        // As they stand in the file: an amount keeps its zeros, and a long number its digits.
        let body = serde_json::to_string(&Rows { dry_run: arguments.dry_run, rows: batch })?;
        let told = asking::ask_written(&arguments.steer, Method::POST, "/v1/snapshots", Some(body))
            .with_context(|| format!("{kept} answers were kept before; run it again"))?;
        if !told.good() {
            bail!("{kept} answers were kept before this: {}", told.refusal());
        }
        kept += told.document["kept"].as_u64().unwrap_or(0);
        faults += told.document["refused"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        for refused in told.document["because"].as_array().into_iter().flatten() {
            let row = refused["row"].as_u64().and_then(|row| usize::try_from(row).ok()).and_then(|row| at.get(row));
            because.push(json!({ "line": row, "why": refused["why"] }));
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{rows} lines");
        }
    }
    if std::io::stderr().is_terminal() && rows > 0 {
        eprintln!();
    }
    because.sort_by_key(|refused| refused["line"].as_u64());
    because.truncate(SHOWN);
    let document =
        json!({ "rows": rows, "kept": kept, "refused": faults, "because": because, "dry_run": arguments.dry_run });
    if arguments.steer.json {
        say(&format!("{document:#}\n"))?;
    } else {
        let mut out = String::new();
        for refused in &because {
            let _ = writeln!(out, "{file}:{}: {}", refused["line"], refused["why"].as_str().unwrap_or_default());
        }
        let verb = if arguments.dry_run { "would be kept" } else { "are kept" };
        let _ = writeln!(out, "{kept} of {rows} answers {verb}.");
        say(&out)?;
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
