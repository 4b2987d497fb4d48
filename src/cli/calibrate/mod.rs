//! `weir calibrate`: what the kept outcomes say of the score. Constants for each journey, how good the probabilities are, lines by
//! budget, and who pays for them.
//!
//! It only reads, and writes the constants as a rule table where it is told to. It must never change a line by itself: people do,
//! when they have seen who would be challenged.

mod budget;
mod fit;
mod groups;
mod html;
mod label;
mod measure;
mod picture;
mod report;
mod text;
mod written;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use self::label::Kept;
use self::report::{Budgets, Report};
use super::say::{say, say_line};
use crate::control::load::load;
use crate::outcomes::entry::Sort;
use crate::outcomes::files;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir calibrate                                     # the outcomes kept in the data directory
  weir calibrate --html report.html                  # the same with pictures, as one file
  weir calibrate --write rules/calibration.toml      # the constants, as rules
  weir calibrate --budget 1% --budget reset=0.5%
  weir eval stream.jsonl.gz --scores scores.tsv --outcomes outcomes.jsonl
  weir calibrate --from outcomes.jsonl --skip 30d --json | jq '.parts[].calibration'

Outcomes are kept when gateway.toml says [outcomes] keep = \"180d\". What was let through is taken for
genuine when nobody has complained for 30 days; a step-up that was not answered stays unknown.
`weir outcome REFERENCE fraud` says what you have learned later.

For each journey: P(genuine) = 1 / (1 + 10^(-(a + b E) / 10)), where 50 + E is the score. It is
refused with fewer than 200 known outcomes, and with b outside 0.3 to 2.

Exit codes: 0 done, 1 there is nothing to read or it cannot be read, 2 the command line is wrong")]
pub struct CalibrateArguments {
    /// The directory of rules, whose gateway.toml says where the data directory is
    #[arg(long, value_name = "DIR", default_value = "rules")]
    rules: PathBuf,
    /// The data directory itself
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    data: Option<PathBuf>,
    /// Read this file instead: JSON lines, plain or .gz
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// The share of genuine customers that may be challenged: 1%, or for one kind session=1%
    /// (attempt, session, reset, step)
    #[arg(long, value_name = "SHARE", value_parser = budget_of)]
    budget: Vec<(Option<Sort>, f64)>,
    /// So long without a complaint makes what was let through genuine
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = super::span)]
    settled: Duration,
    /// Leave out so much at the beginning, when nobody was known yet
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::span)]
    skip: Duration,
    /// Write the report with pictures to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the constants to this file as rule tables, [calibration.JOURNEY]: one of the rules directory
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The share that may be challenged when nobody says another.
const BUDGET: f64 = 0.01;
/// More decisions than this are not read: they would not fit into memory.
const MOST: usize = 5_000_000;

pub fn calibrate(arguments: &CalibrateArguments) -> anyhow::Result<ExitCode> {
    let mut kept = Kept::default();
    let (mut entries, mut unreadable) = (0, 0);
    for path in paths(arguments)? {
        let read = files::read(opened(&path)?, |entry| {
            entries += 1;
            if entries <= MOST {
                kept.take(entry);
            }
        });
        unreadable += read.with_context(|| path.display().to_string())?.unreadable;
    }
    if entries > MOST {
        bail!("there are more than {MOST} entries; give fewer files with --from");
    }
    let labelled = kept.label(arguments.settled, arguments.skip);
    if labelled.is_empty() {
        bail!(
            "there are no decisions to calibrate with{}. They are kept when gateway.toml says [outcomes] keep = \"180d\"",
            if unreadable > 0 { format!(", and {unreadable} lines that cannot be read") } else { String::new() }
        );
    }
    let mut budgets = Budgets::all(BUDGET);
    // The share for all first, so that the order on the command line does not matter.
    for (_, share) in arguments.budget.iter().filter(|(sort, _)| sort.is_none()) {
        budgets = Budgets::all(*share);
    }
    for (sort, share) in &arguments.budget {
        sort.iter().for_each(|sort| budgets.set(*sort, *share));
    }
    let report = Report::of(&labelled, unreadable, &budgets);
    if let Some(path) = &arguments.html {
        std::fs::write(path, html::page(&report)).with_context(|| path.display().to_string())?;
    }
    let latest = labelled.iter().map(|labelled| labelled.decision.at).max().unwrap_or(0);
    let (tables, journeys) = written::tables(&report, &day(latest));
    if let Some(path) = &arguments.write {
        if journeys == 0 {
            bail!(
                "the outcomes bear no constants for any journey, so {} is not written; weir calibrate says why",
                path.display()
            );
        }
        written::put(path, &tables).with_context(|| path.display().to_string())?;
    }
    match arguments.json {
        true => say_line(&format!("{:#}", rounded(serde_json::to_value(&report)?)))?,
        false => {
            say(&text::text(&report))?;
            match &arguments.write {
                Some(path) => say_line(&format!("\nThe constants of {journeys} journeys are in {}.", path.display()))?,
                None if journeys > 0 => {
                    say_line("\nweir calibrate --write rules/calibration.toml puts these constants into the rules.")?
                }
                None => {}
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Six places are more than outcomes bear, and the same on every machine.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => json!((float * 1e6).round() / 1e6 + 0.0),
            None => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, rounded(field))).collect(),
        other => other,
    }
}

/// The day of a second since the epoch, in UTC.
fn day(second: u64) -> String {
    let at =
        i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok()).unwrap_or_default();
    at.to_string().chars().take(10).collect()
}

/// The files to read.
fn paths(arguments: &CalibrateArguments) -> anyhow::Result<Vec<PathBuf>> {
    if !arguments.from.is_empty() {
        return Ok(arguments.from.clone());
    }
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => {
            let shown = arguments.rules.display();
            let settings = load(&arguments.rules).settings;
            settings.ok_or_else(|| anyhow!("gateway.toml in {shown} has errors; `weir check {shown}` says which"))?.data
        }
    };
    files::paths(&data).with_context(|| {
        format!("no outcomes are kept in {}; [outcomes] keep = \"180d\" in gateway.toml keeps them", data.display())
    })
}

fn opened(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if packed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) })
}

/// `1%`, `0.5 %`, `session=1%`.
fn budget_of(text: &str) -> Result<(Option<Sort>, f64), String> {
    let (sort, share) = match text.split_once('=') {
        None => (None, text),
        Some((word, share)) => {
            let sort = Sort::ALL.iter().find(|sort| sort.word() == word.trim());
            let words = || Sort::ALL.iter().map(|sort| sort.word()).collect::<Vec<_>>().join(", ");
            (Some(*sort.ok_or_else(|| format!("kinds of decisions are {}", words()))?), share)
        }
    };
    let percent = share.trim().strip_suffix('%').map(str::trim).and_then(|percent| percent.parse::<f64>().ok());
    match percent {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok((sort, percent / 100.0)),
        _ => Err("a share is written 1% or 0.5%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_share_for_all_or_for_one_kind() {
        assert_eq!(budget_of("1%"), Ok((None, 0.01)));
        assert_eq!(budget_of("reset = 0.5 %"), Ok((Some(Sort::Reset), 0.005)));
        for wrong in ["1", "101%", "-1%", "NaN%", "login=1%", ""] {
            assert!(budget_of(wrong).is_err(), "{wrong}");
        }
        assert!(budget_of("login=1%").unwrap_err().contains("attempt, session, reset, step"));
    }
}
