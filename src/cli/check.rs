//! `weir check`: every problem of every file at once, in the words that a running Weir would use.

use std::process::ExitCode;

use serde_json::json;

use super::say::{say, say_line};
use super::{CheckArguments, color};
use crate::app::preflight;
use crate::clock::Clock;
use crate::control::load::{Loaded, load};
use crate::identity::breach::inspect;
use crate::judge::matrix::{self, Cell, Row};
use crate::rules::diagnostic::{self, Diagnostic, codes};

pub fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let mut loaded = load(&arguments.dir);
    if let (Some(settings), Some(rules)) = (&loaded.settings, loaded.compiled()) {
        let leaked = rules.breach.as_ref().map(|law| inspect(law, Clock::System.now())).unwrap_or_default();
        let unusable = preflight(settings, rules).into_iter();
        loaded.diagnostics.extend(leaked);
        loaded.diagnostics.extend(unusable.map(|said| Diagnostic::of(&codes::FILE, said)));
    }
    let rows = loaded.compiled().map(matrix::matrix).unwrap_or_default();
    loaded.diagnostics.extend(matrix::problems(&rows));
    let good = loaded.errors() == 0 && (!arguments.deny_warnings || loaded.warnings() == 0);
    if arguments.json {
        let problems = diagnostic::to_json(&loaded.diagnostics, &loaded.sources);
        let mut document = json!({
            "good": good,
            "errors": loaded.errors(),
            "warnings": loaded.warnings(),
            "fingerprint": loaded.compiled().filter(|_| loaded.failed_cases == 0).map(|rules| rules.fingerprint.to_string()),
            "problems": problems,
        });
        if arguments.matrix {
            document["matrix"] = json!(rows);
        }
        say_line(&format!("{document:#}"))?;
    } else {
        say(&loaded.render(color(&std::io::stdout())))?;
        if arguments.matrix && !rows.is_empty() {
            say(&table(&rows))?;
        }
        say_line(&summary(arguments, &loaded))?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The matrix as a table: a dot where the loss changes nothing, a dash where nothing leans on the source.
fn table(rows: &[Row]) -> String {
    let mut head = vec!["journey".to_owned(), "customer".to_owned(), "as it is".to_owned()];
    head.extend(rows.iter().take(1).flat_map(|row| row.without.iter().map(|cell| format!("no {}", cell.source))));
    let line = |row: &Row| {
        let mut line = vec![row.journey.clone(), row.who.to_owned(), row.as_it_is.to_owned()];
        line.extend(row.without.iter().map(|cell| match cell {
            Cell { better: true, comes_out, .. } => format!("{comes_out} (!)"),
            Cell { used: false, .. } => "-".to_owned(),
            Cell { comes_out, .. } if *comes_out == row.as_it_is => ".".to_owned(),
            Cell { comes_out, .. } => (*comes_out).to_owned(),
        }));
        line
    };
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let wide = |at: usize| lines.iter().filter_map(|line| line.get(at)).map(String::len).max().unwrap_or(0);
    let mut out = String::from("\nWhat comes out when a source is gone (. the same, - not used by these rules):\n\n");
    for line in &lines {
        let cells: Vec<String> = line.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", wide(at))).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out.push('\n');
    out
}

/// What follows the problems, which have been counted already.
fn summary(arguments: &CheckArguments, loaded: &Loaded) -> String {
    let dir = arguments.dir.display();
    let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    match loaded.compiled() {
        Some(rules) if loaded.errors() == 0 => format!(
            "{dir}: {}. {}, {}; {}. Fingerprint {}.",
            if loaded.warnings() == 0 { "no problems" } else { "fit to be put in force" },
            count(rules.journeys.len(), "journey"),
            count(rules.routes.len(), "route"),
            match rules.cases.len() {
                1 => "1 case holds".to_owned(),
                n => format!("{n} cases hold"),
            },
            rules.fingerprint
        ),
        _ => format!("{dir}: not fit to be put in force. A running Weir keeps its last good rules."),
    }
}
