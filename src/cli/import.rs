//! `weir import history`: what another system knows of accounts, so that the first day is not blind.
//!
//! The whole file is read and checked before the first row is sent, and every bad line is said with its number. Rows go in
//! batches; importing the same file again changes nothing more, so that a broken import is simply repeated.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::SteerArguments;
use super::asking;
use super::say::say;

#[derive(Debug, Args)]
pub struct ImportArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Take over what another system knows of accounts, from a CSV file
    History(HistoryArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir import history sign-ins.csv --dry-run
  weir import history sign-ins.csv
  weir import history sign-ins.csv --skip-bad   # leave bad lines out, do not refuse the file

The first line names the columns, in any order: account and last_seen, and if known network (an
address) and count; agent is left out. last_seen is a time like 2026-11-02T12:00:00Z, a date, or
seconds since 1970.
  account,network,agent,last_seen,count
  ann@example.com,203.0.113.7,\"Mozilla/5.0 (X11; Linux x86_64) ...\",2026-10-30T18:05:00Z,41

Names and addresses are hashed as they arrive. Importing a file twice changes nothing more.
Exit codes: 0 all rows were taken, 1 some or all were not, 2 the command line is wrong")]
struct HistoryArguments {
    /// The file
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Check the file and count, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave bad lines out instead of refusing the file
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    steer: SteerArguments,
}

/// Rows that go together.
const BATCH: usize = 1000;
/// Bytes of the longest line.
const LINE: usize = 16 * 1024;
/// Bad lines that are shown; all are counted.
const SHOWN: usize = 20;

pub fn import(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let What::History(arguments) = &arguments.what;
    let mut bad = Vec::new();
    let mut faults = 0_usize;
    let mut good = 0_usize;
    for row in Rows::open(&arguments.file)? {
        match row? {
            (_, Ok(_)) => good += 1,
            (line, Err(why)) => {
                faults += 1;
                if bad.len() < SHOWN {
                    bad.push(json!({ "line": line, "why": why }));
                }
            }
        }
    }
    let mut sums = Sums::default();
    let refused = faults > 0 && !arguments.skip_bad;
    if !refused {
        let mut rows = Rows::open(&arguments.file)?.filter_map(|row| match row {
            Ok((_, Ok(row))) => Some(Ok(row)),
            Ok((_, Err(_))) => None,
            Err(error) => Some(Err(error)),
        });
        loop {
            let batch = rows.by_ref().take(BATCH).collect::<anyhow::Result<Vec<Value>>>()?;
            if batch.is_empty() {
                break;
            }
            let count = batch.len();
            let body = json!({ "dry_run": arguments.dry_run, "rows": batch });
            let told = asking::ask(&arguments.steer, Method::POST, "/v1/accounts/import", Some(&body))
                .with_context(|| format!("{} of {good} rows were taken before; run it again", sums.rows))?;
            if !told.good() {
                bail!("{} of {good} rows were taken before this: {}", sums.rows, told.refusal());
            }
            sums.add(count, &told.document);
            if std::io::stderr().is_terminal() {
                eprint!("\r{} of {good} rows", sums.rows);
            }
        }
        if std::io::stderr().is_terminal() && sums.rows > 0 {
            eprintln!();
        }
    }
    let document = json!({
        "rows": good, "taken": sums.rows - sums.no_room, "new": sums.new, "no_room": sums.no_room,
        "bad": faults, "bad_lines": bad, "dry_run": arguments.dry_run, "refused": refused,
    });
    match arguments.steer.json {
        true => say(&format!("{document:#}\n"))?,
        false => say(&told(&document, arguments))?,
    }
    let whole = !refused && sums.no_room == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Sums {
    rows: usize,
    new: u64,
    no_room: usize,
}

impl Sums {
    fn add(&mut self, rows: usize, told: &Value) {
        self.rows += rows;
        self.new += told["new"].as_u64().unwrap_or(0);
        self.no_room += told["no_room"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    }
}

fn told(document: &Value, arguments: &HistoryArguments) -> String {
    let file = arguments.file.display();
    let mut out = String::new();
    for bad in document["bad_lines"].as_array().into_iter().flatten() {
        out += &format!("{file}:{}: {}\n", bad["line"], bad["why"].as_str().unwrap_or_default());
    }
    let faults = document["bad"].as_u64().unwrap_or(0);
    if faults > SHOWN as u64 {
        out += &format!("... and {} more\n", faults - SHOWN as u64);
    }
    if document["refused"] == json!(true) {
        return out
            + &format!("{faults} lines are bad; nothing was taken. Mend them, or leave them out with --skip-bad.\n");
    }
    let left_out = if faults > 0 { format!(" {faults} bad lines were left out.") } else { String::new() };
    out += &match document["dry_run"] == json!(true) {
        true => format!(
            "{} rows are good; {} would be new accounts. Nothing was changed.",
            document["rows"], document["new"]
        ),
        false => format!("{} rows were taken; {} were new accounts.", document["taken"], document["new"]),
    };
    out += &left_out;
    if document["no_room"] != json!(0) {
        out += &format!(" {} rows found no room: raise [memory] accounts.", document["no_room"]);
    }
    out + "\n"
}

/// The rows of a file, each with the number of its line.
struct Rows {
    lines: BufReader<File>,
    columns: Columns,
    number: usize,
}

/// Where each column is.
struct Columns {
    account: usize,
    last_seen: usize,
    network: Option<usize>,
    count: Option<usize>,
    width: usize,
}

type Row = (usize, Result<Value, String>);

impl Rows {
    fn open(file: &PathBuf) -> anyhow::Result<Self> {
        let open = File::open(file).with_context(|| format!("opening {}", file.display()))?;
        let mut rows = Self {
            lines: BufReader::new(open),
            columns: Columns { account: 0, last_seen: 0, network: None, count: None, width: 0 },
            number: 0,
        };
        let Some(first) = rows.line()? else { bail!("{} is empty", file.display()) };
        let head = first.map_err(|why| why.to_owned()).and_then(|line| fields(&line)).map_err(anyhow::Error::msg)?;
        let at = |name: &str| head.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let (Some(account), Some(last_seen)) = (at("account"), at("last_seen")) else {
            bail!("the first line of {} must name the columns, with account and last_seen among them", file.display());
        };
        if let Some(other) = head.iter().find(|column| {
            !["account", "last_seen", "network", "agent", "count"]
                .contains(&column.trim().to_ascii_lowercase().as_str())
        }) {
            bail!("the column {other:?} means nothing here; there are account, last_seen, network, agent and count");
        }
        rows.columns = Columns { account, last_seen, network: at("network"), count: at("count"), width: head.len() };
        Ok(rows)
    }

    /// The next line, without its end. A line that is too long or no text is a fault of its own.
    fn line(&mut self) -> anyhow::Result<Option<Result<String, &'static str>>> {
        let mut bytes = Vec::new();
        let read = std::io::Read::take(&mut self.lines, LINE as u64 + 1).read_until(b'\n', &mut bytes)?;
        self.number += 1;
        if read == 0 {
            return Ok(None);
        }
        if bytes.len() > LINE {
            self.lines.skip_until(b'\n')?;
            return Ok(Some(Err("the line is longer than 16 KiB")));
        }
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).to_vec();
        Ok(Some(String::from_utf8(text).map_err(|_| "the line is not UTF-8")))
    }

    fn row(&self, line: &str) -> Result<Value, String> {
        let columns = &self.columns;
        let fields = fields(line)?;
        if fields.len() != columns.width {
            return Err(format!("it has {} fields, and the first line names {}", fields.len(), columns.width));
        }
        let field = |at: usize| fields.get(at).map(|field| field.trim()).filter(|field| !field.is_empty());
        let known = |at: Option<usize>| at.and_then(field);
        let account = field(columns.account).ok_or("the account is missing")?;
        if account.len() > 320 {
            return Err("the account's name is longer than 320 bytes".to_owned());
        }
        let last = field(columns.last_seen).ok_or("last_seen is missing")?;
        let last = moment(last).ok_or_else(|| format!("{last:?} is no time"))?;
        let mut row = json!({ "account": account, "last_seen": last });
        if let Some(address) = known(columns.network) {
            let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
            row["network"] = json!(address);
        }
        if let Some(count) = known(columns.count) {
            let whole: u64 = count.parse().map_err(|_| format!("{count:?} is no count"))?;
            row["count"] = json!(whole.clamp(1, u64::from(u16::MAX)));
        }
        Ok(row)
    }
}

impl Iterator for Rows {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            let row = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => self.row(&line),
                Err(why) => Err(why.to_owned()),
            };
            return Some(Ok((self.number, row)));
        }
    }
}

/// Milliseconds since 1970 of a time, a date or a number of seconds.
fn moment(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let date = text.parse::<jiff::civil::Date>().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    u64::try_from(time.as_millisecond()).ok()
}

/// The fields of a line (RFC 4180, but that no field goes over a line's end).
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest: VecDeque<char> = line.chars().collect();
    loop {
        let mut field = String::new();
        if rest.front() == Some(&'"') {
            rest.pop_front();
            loop {
                match rest.pop_front() {
                    Some('"') if rest.front() == Some(&'"') => field.extend(rest.pop_front()),
                    Some('"') => break,
                    Some(symbol) => field.push(symbol),
                    None => return Err("a quotation mark is not closed".to_owned()),
                }
            }
            if rest.front().is_some_and(|next| *next != ',') {
                return Err("something follows a closing quotation mark".to_owned());
            }
        } else {
            while let Some(symbol) = rest.front().copied().filter(|symbol| *symbol != ',') {
                field.push(symbol);
                rest.pop_front();
            }
        }
        fields.push(field);
        if rest.pop_front().is_none() {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_as_spreadsheets_write_them() {
        assert_eq!(fields("a,,c").unwrap(), ["a", "", "c"]);
        assert_eq!(fields("\"a,b\",\"say \"\"hi\"\"\",").unwrap(), ["a,b", "say \"hi\"", ""]);
        assert!(fields("\"open").is_err() && fields("\"a\"b").is_err());
    }

    #[test]
    fn times_are_read_in_three_forms() {
        let all = ["1793620800", "2026-11-02T12:00:00Z", "2026-11-02T13:00:00+01:00"];
        assert!(all.iter().all(|text| moment(text) == Some(1_793_620_800_000)));
        assert_eq!(moment("2026-11-02"), Some(1_793_577_600_000));
        assert_eq!((moment("yesterday"), moment("-5")), (None, None));
    }
}
