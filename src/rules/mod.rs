//! The law: from a directory of rule files to one immutable [`ruleset::RuleSet`], and what is asked of it for every request.
//!
//! directory -> [`source`] -> `syntax` -> `lower` -> [`ruleset`]. Every problem of every file is gathered; a law with an error in it
//! does not come into being. Nothing here waits, asks a clock or touches a socket, and only `source` reads files.

pub mod banner;
pub mod breach;
pub mod budgets;
pub mod calibration;
pub mod cases;
pub mod client;
pub mod clients;
pub mod condition;
pub mod continuity_pass;
pub mod diagnostic;
pub mod effects;
pub mod facts;
pub mod feeds;
pub mod guards;
pub mod help;
pub mod in_force;
pub mod journeys_feed;
pub mod limits;
pub mod lists;
mod lower;
pub mod named;
pub mod notices;
pub mod playbook;
pub mod posture;
pub mod prefixes;
pub mod profiles;
pub mod routes;
pub mod ruleset;
pub mod shared_signals;
pub mod signal;
pub mod snapshots;
pub mod source;
pub mod syntax;
pub mod target;

use diagnostic::{Diagnostic, Report};
use ruleset::RuleSet;
use source::Sources;

/// What came of compiling.
#[derive(Debug)]
pub struct Compiled {
    /// The law; there is one if and only if no diagnostic is an error.
    pub rules: Option<RuleSet>,
    /// Errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles the law of these sources. The process's settings (`gateway.toml`) are not law and are passed over.
pub fn compile(sources: &Sources) -> Compiled {
    let mut report = Report::default();
    sources.problems().iter().cloned().for_each(|problem| report.push(problem));
    let broken = sources.problems().iter().any(Diagnostic::is_error);
    let mut tables = syntax::Tables { broken, ..syntax::Tables::default() };
    for (number, source) in sources.iter().filter(|(_, source)| source.is_law()) {
        tables.add(number, source).into_iter().for_each(|problem| report.push(problem));
    }
    let rules = lower::lower(&tables, sources, &mut report);
    let rules = rules.filter(|_| !report.has_errors());
    Compiled { rules, diagnostics: report.finish() }
}

/// A time as it is written in rules: `90s`, `15m`, `2h`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    use syntax::table::Written as _;
    std::time::Duration::parse(text).map_err(|wrong| match wrong.help {
        Some(help) => format!("{}; {help}", wrong.says),
        None => wrong.says,
    })
}
