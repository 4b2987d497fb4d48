//! `weir check`: every problem of every file at once, in the words that a running Weir would use.

use std::process::ExitCode;

use serde_json::json;

use super::{CheckArguments, color};
use crate::app::preflight;
use crate::control::load::{Loaded, load};
use crate::rules::diagnostic::{self, Diagnostic, codes};

pub fn check(arguments: &CheckArguments) -> ExitCode {
    let mut loaded = load(&arguments.dir);
    if let (Some(settings), Some(rules)) = (&loaded.settings, &loaded.rules) {
        let unusable = preflight(settings, rules).into_iter();
        loaded.diagnostics.extend(unusable.map(|said| Diagnostic::of(&codes::FILE, said)));
    }
    let good = loaded.errors() == 0 && (!arguments.deny_warnings || loaded.warnings() == 0);
    if arguments.json {
        let problems = diagnostic::to_json(&loaded.diagnostics, &loaded.sources);
        let document = json!({
            "good": good,
            "errors": loaded.errors(),
            "warnings": loaded.warnings(),
            "fingerprint": loaded.rules.as_ref().map(|rules| rules.fingerprint.to_string()),
            "problems": problems,
        });
        println!("{document:#}");
    } else {
        print!("{}", loaded.render(color(&std::io::stdout())));
        println!("{}", summary(arguments, &loaded));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn summary(arguments: &CheckArguments, loaded: &Loaded) -> String {
    let dir = arguments.dir.display();
    let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    let found = format!("{}, {}", count(loaded.errors(), "error"), count(loaded.warnings(), "warning"));
    match &loaded.rules {
        Some(rules) if loaded.errors() == 0 => format!(
            "{dir}: {found}. {}, {}, {} hold. Fingerprint {}.",
            count(rules.journeys.len(), "journey"),
            count(rules.routes.len(), "route"),
            count(rules.cases.len(), "case"),
            rules.fingerprint
        ),
        _ => format!("{dir}: {found}. A running Weir would keep its last good rules."),
    }
}
