//! `weir eval`: replays a recorded stream of requests through the memory and the judge that the gateway runs, and writes what each
//! decision would have scored. Nothing listens, and nothing is kept.

mod outcomes;
mod replay;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use flate2::read::MultiGzDecoder;
use serde_json::json;

use self::replay::{Judged, Replay};
use super::say::say_line;
use crate::judge::score::Scored;
use crate::memory::{Memory, Places};
use crate::rules::compile;
use crate::rules::ruleset::{Level, RuleSet};
use crate::rules::source::{Bounds, Sources};

/// The longest line that is read.
const LONGEST: u64 = 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir eval stream.jsonl.gz --scores scores.tsv
  weir eval stream.jsonl --scores scores.tsv --rules rules     # with the weights of these rules
  weir eval stream.jsonl --scores scores.tsv --because why.tsv
  weir eval stream.jsonl --scores scores.tsv --outcomes outcomes.jsonl   # for weir calibrate --from
  weir eval stream.jsonl --scores /dev/null --json | jq .decisions

A line of the stream is a JSON object: a request with its answer (t, ip, asn, cc, rep, ua, ja4,
h2, dev, setdev, sess, acct, route, status, out, auth, cred), or a report (type \"set\", event, acct).
A line of the scores is the number of its line from 0, 100 minus the confidence, and, where a
password was right, the same after the answer; not cut at 0 and 100, so that all can be ranked.

Exit codes: 0 done, 1 a line or the rules cannot be read, 2 the command line is wrong")]
pub struct EvalArguments {
    /// The stream: JSON lines, plain or .gz
    file: PathBuf,
    /// Where the scores go
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,
    /// Where every contribution goes: line, stage, and the points of each signal
    #[arg(long, value_name = "FILE")]
    because: Option<PathBuf>,
    /// Where the decisions go with the truth of the stream, for weir calibrate --from
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Take levels and weights from this directory of rules
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Below this confidence a sign-in is challenged, and nothing is learned from it
    #[arg(long, value_name = "SCORE", default_value_t = 53, value_parser = clap::value_parser!(u8).range(0..=100))]
    line: u8,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The levels of a replay without rules of one's own.
const LAW: &str = "[[site]]\nhosts = [\"eval.example\"]\nupstream = \"none\"\n\
    [upstreams.none]\nservers = [\"http://127.0.0.1:1\"]\n\
    [assurance]\nlevels = [{ name = \"pwd\" }, { name = \"mfa\", amr = [\"otp\", \"mfa\"] }, { name = \"phr\", acr = [\"phr\", \"phrh\"] }]\n";

pub fn eval(arguments: &EvalArguments) -> anyhow::Result<ExitCode> {
    let rules = law(arguments.rules.as_deref())?;
    let levels = levels(&rules)?;
    let places = Places {
        accounts: 1_000_000,
        devices: 4_000_000,
        networks: 4_000_000,
        sessions: 1_000_000,
        ..Places::default()
    };
    let places = Places { clients: 1 << 20, ..places };
    let mut replay = Replay::new(Memory::new(&places), &rules, levels, rules.weights, arguments.line);
    let mut scores = written(&arguments.scores)?;
    let mut because = arguments.because.as_deref().map(written).transpose()?;
    let mut outcomes = arguments.outcomes.as_deref().map(written).transpose()?;
    let mut stream = opened(&arguments.file)?;
    let (mut text, mut number, mut decisions) = (String::new(), 0_u64, 0_u64);
    loop {
        text.clear();
        let read = stream.by_ref().take(LONGEST + 1).read_line(&mut text);
        let read = read.with_context(|| format!("{}, line {}", arguments.file.display(), number + 1))?;
        if read == 0 {
            break;
        }
        if read as u64 > LONGEST {
            bail!("{}, line {}: longer than {LONGEST} bytes", arguments.file.display(), number + 1);
        }
        if !text.trim().is_empty() {
            let judged = replay.line(&text);
            let judged = judged.map_err(|why| anyhow!("{}, line {}: {why}", arguments.file.display(), number + 1))?;
            if let Some(judged) = judged {
                decisions += 1;
                write_scores(&mut scores, number, &judged)?;
                if let Some(because) = &mut because {
                    write_because(because, number, &judged)?;
                }
                if let Some(outcomes) = &mut outcomes {
                    outcomes::write(outcomes, &text, number, &judged)?;
                }
            }
        }
        number += 1;
    }
    scores.flush()?;
    because.iter_mut().chain(&mut outcomes).try_for_each(std::io::Write::flush)?;
    let memory = replay.memory();
    let (accounts, devices, sessions) = (memory.accounts.len(), memory.devices.len(), memory.sessions.len());
    if arguments.json {
        let remembered = json!({ "accounts": accounts, "devices": devices, "sessions": sessions });
        say_line(&format!("{:#}", json!({ "lines": number, "decisions": decisions, "remembered": remembered })))?;
    } else {
        say_line(&format!(
            "{number} lines, {decisions} decisions, written to {}. Remembered at the end: {accounts} accounts, {devices} devices, {sessions} sessions.",
            arguments.scores.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules of a directory, or the built-in ones.
fn law(dir: Option<&Path>) -> anyhow::Result<RuleSet> {
    let wrong =
        || anyhow!("the rules have errors; `weir check {}` says which", dir.unwrap_or(Path::new("rules")).display());
    let sources = match dir {
        Some(dir) => Sources::read(dir, &Bounds::default()).map_err(|_| wrong())?,
        None => Sources::from_texts(vec![("eval.toml".to_owned(), LAW.to_owned())]),
    };
    compile(&sources).rules.ok_or_else(wrong)
}

/// The levels for a password, a second factor, and one that cannot be relayed: the first three of the rules, weakest first.
fn levels(rules: &RuleSet) -> anyhow::Result<[Level; 3]> {
    let named = |at: usize| {
        let name = rules.levels.get(at.min(rules.levels.len().saturating_sub(1))).map(|level| level.name.clone());
        name.and_then(|name| rules.level_where(|level| level == &*name))
    };
    match (named(0), named(1), named(2)) {
        (Some(one), Some(two), Some(three)) => Ok([one, two, three]),
        _ => bail!("the rules name no levels; add [assurance] levels = [...]"),
    }
}

fn written(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
}

fn opened(path: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let read: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
    Ok(BufReader::with_capacity(1 << 18, read))
}

/// 100 minus the confidence, not cut.
fn risk(scored: &Scored) -> f64 {
    50.0 - f64::from(scored.sum().as_tenths()) / 10.0
}

fn write_scores(out: &mut impl std::io::Write, number: u64, judged: &Judged) -> std::io::Result<()> {
    match &judged.after {
        Some(after) => writeln!(out, "{number}\t{:.1}\t{:.1}", risk(&judged.first), risk(after)),
        None => writeln!(out, "{number}\t{:.1}", risk(&judged.first)),
    }
}

fn write_because(out: &mut impl std::io::Write, number: u64, judged: &Judged) -> std::io::Result<()> {
    for (stage, scored) in [("first", Some(&judged.first)), ("after", judged.after.as_ref())] {
        let Some(scored) = scored else { continue };
        write!(out, "{number}\t{stage}")?;
        for line in scored.lines() {
            write!(out, "\t{}={:.1}", line.name(), f64::from(line.points.as_tenths()) / 10.0)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
