//! `weir check`: every problem of every file at once, in the words that a running Weir would use.

use std::process::ExitCode;

use serde_json::json;

use super::say::{say, say_line};
use super::{CheckArguments, color};
use crate::app::preflight;
use crate::clock::Clock;
use crate::control::load::{Loaded, load};
use crate::identity::breach::inspect;
use crate::rules::diagnostic::{self, Diagnostic, codes};

pub fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let mut loaded = load(&arguments.dir);
    if let (Some(settings), Some(rules)) = (&loaded.settings, loaded.compiled()) {
        let leaked = rules.breach.as_ref().map(|law| inspect(law, Clock::System.now())).unwrap_or_default();
        let unusable = preflight(settings, rules).into_iter();
        loaded.diagnostics.extend(leaked);
        loaded.diagnostics.extend(unusable.map(|said| Diagnostic::of(&codes::FILE, said)));
    }
    let good = loaded.errors() == 0 && (!arguments.deny_warnings || loaded.warnings() == 0);
    if arguments.json {
        let problems = diagnostic::to_json(&loaded.diagnostics, &loaded.sources);
        let document = json!({
            "good": good,
            "errors": loaded.errors(),
            "warnings": loaded.warnings(),
            "fingerprint": loaded.compiled().filter(|_| loaded.failed_cases == 0).map(|rules| rules.fingerprint.to_string()),
            "problems": problems,
        });
        say_line(&format!("{document:#}"))?;
    } else {
        say(&loaded.render(color(&std::io::stdout())))?;
        say_line(&summary(arguments, &loaded))?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
