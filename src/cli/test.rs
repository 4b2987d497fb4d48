//! `weir test`: the cases of a directory, one line each, judged as customers would be.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::color;
use super::say::{say, say_line};
use crate::judge::rehearse::outcome;
use crate::rules::compile;
use crate::rules::diagnostic::{self, render};
use crate::rules::ruleset::{Case, RuleSet};
use crate::rules::source::{Bounds, Sources};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weir test rules
  weir test rules --filter checkout       # only the cases with this word in their name or path
  weir test rules --json | jq '.cases[] | select(.holds | not)'

Each [[case]] of each file is judged as a customer would be; nothing is started and nobody is asked.
Exit codes: 0 every case holds, 1 one does not or the rules have errors, 2 the command line is wrong")]
pub struct TestArguments {
    /// The directory of rule files
    #[arg(value_name = "DIR", default_value = "rules")]
    dir: PathBuf,
    /// Only the cases that have this text in their name or path
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl TestArguments {
    fn wants(&self, case: &Case) -> bool {
        let has = |filter: &String| {
            let filter = filter.to_lowercase();
            case.name.to_lowercase().contains(&filter) || case.path.to_lowercase().contains(&filter)
        };
        self.filter.as_ref().is_none_or(has)
    }
}

/// One case that was judged.
struct Tried<'r> {
    case: &'r Case,
    got: &'static str,
    why: String,
}

impl Tried<'_> {
    fn holds(&self) -> bool {
        *self.case.expect == *self.got
    }

    fn place(&self, sources: &Sources) -> String {
        let place = sources.place(self.case.span);
        place.map_or_else(String::new, |(file, line, _)| format!("{file}:{line}"))
    }

    fn to_json(&self, sources: &Sources) -> Value {
        json!({
            "name": self.case.name,
            "place": self.place(sources),
            "expected": self.case.expect,
            "got": self.got,
            "holds": self.holds(),
            "why": self.why,
        })
    }
}

pub fn test(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let (sources, rules) = match law(&arguments.dir) {
        Ok(law) => law,
        Err((sources, problems)) => {
            if arguments.json {
                let problems = diagnostic::to_json(&problems, &sources);
                say_line(&format!("{:#}", json!({ "good": false, "problems": problems })))?;
            } else {
                say(&render(&problems, &sources, color(&std::io::stdout())))?;
                say_line(&format!("{}: the rules have errors; no case was run", arguments.dir.display()))?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let wanted: Vec<&Case> = rules.cases.iter().filter(|case| arguments.wants(case)).collect();
    if let (Some(filter), true) = (&arguments.filter, wanted.is_empty()) {
        bail!("no case has {filter:?} in its name or path; there are {} cases", rules.cases.len());
    }
    let tried = try_all(&rules, &wanted, arguments.json, &sources)?;
    let failed = tried.iter().filter(|tried| !tried.holds()).count();
    if arguments.json {
        let cases: Vec<Value> = tried.iter().map(|tried| tried.to_json(&sources)).collect();
        let held = tried.len() - failed;
        say_line(&format!("{:#}", json!({ "good": failed == 0, "hold": held, "fail": failed, "cases": cases })))?;
    } else {
        say_line(&summary(arguments, tried.len(), failed))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Problems = Vec<diagnostic::Diagnostic>;

/// The law of a directory, whether its cases hold or not.
pub(super) fn law(dir: &std::path::Path) -> Result<(Sources, RuleSet), (Sources, Problems)> {
    let sources = Sources::read(dir, &Bounds::default()).map_err(|problems| (Sources::default(), problems))?;
    law_of(sources)
}

/// The law of these files.
pub(super) fn law_of(sources: Sources) -> Result<(Sources, RuleSet), (Sources, Problems)> {
    let compiled = compile(&sources);
    match compiled.rules {
        Some(rules) => Ok((sources, rules)),
        None => Err((sources, compiled.diagnostics)),
    }
}

/// How many cases there must be before progress is shown, and how often it is.
const MANY: usize = 1_000;

fn try_all<'r>(rules: &RuleSet, wanted: &[&'r Case], quiet: bool, sources: &Sources) -> anyhow::Result<Vec<Tried<'r>>> {
    let watched = wanted.len() > MANY && std::io::stderr().is_terminal();
    let mut all = Vec::with_capacity(wanted.len());
    for (at, case) in wanted.iter().enumerate() {
        if watched && at % MANY == 0 {
            eprint!("\r{at} of {} cases", wanted.len());
        }
        let (got, why) = outcome(rules, case);
        let tried = Tried { case, got, why };
        if !quiet {
            say(&line(&tried, sources))?;
        }
        all.push(tried);
    }
    if watched {
        eprintln!("\r{} cases           ", wanted.len());
    }
    Ok(all)
}

fn line(tried: &Tried<'_>, sources: &Sources) -> String {
    let Tried { case, got, why } = tried;
    if tried.holds() {
        return format!("ok     {}\n", printable(&case.name));
    }
    format!(
        "FAILS  {}\n       expected {}, got {got}\n       because {why}\n       {}\n",
        printable(&case.name),
        case.expect,
        tried.place(sources)
    )
}

/// A text of a file without what would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn summary(arguments: &TestArguments, tried: usize, failed: usize) -> String {
    let dir = arguments.dir.display();
    let cases = if tried == 1 { "1 case".to_owned() } else { format!("{tried} cases") };
    match (tried, failed) {
        (0, _) => format!("{dir}: there is no [[case]]. Write one for each promise to your customers."),
        (1, 0) => format!("{dir}: 1 case holds."),
        (_, 0) => format!("{dir}: {cases} hold."),
        (_, 1) => format!("{dir}: {cases}, 1 does not hold. These rules are not put in force."),
        (_, _) => format!("{dir}: {cases}, {failed} do not hold. These rules are not put in force."),
    }
}
