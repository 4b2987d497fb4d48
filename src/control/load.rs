//! From a directory to a law that may be installed: read, compile, rehearse. `weir check`, `weir run` and every reload
//! come through here, so that they say the same words and load the same thing.

use std::path::Path;

use crate::judge::rehearse::rehearse;
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::rules::ruleset::RuleSet;
use crate::rules::source::{Bounds, Sources};
use crate::rules::{self};
use crate::settings::Settings;

/// Everything that one reading of a directory gave.
#[derive(Debug)]
pub struct Loaded {
    /// The files, for showing problems in them.
    pub sources: Sources,
    rules: Option<RuleSet>,
    /// How many of the law's own cases do not hold; they are among the diagnostics.
    pub failed_cases: usize,
    /// The settings of the process, when there is no error in them.
    pub settings: Option<Settings>,
    /// Every problem of every file, errors and warnings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// The law, when it compiles. Its own cases may fail: looking at it is not installing it.
    pub const fn compiled(&self) -> Option<&RuleSet> {
        self.rules.as_ref()
    }

    /// Takes the law out to install it, when nothing speaks against it: it compiles, and every case holds.
    pub fn take_fit(&mut self) -> Option<RuleSet> {
        if self.failed_cases > 0 { None } else { self.rules.take() }
    }

    /// Takes the law out whether its cases hold or not. For somebody who has said why.
    pub const fn take_despite_cases(&mut self) -> Option<RuleSet> {
        self.rules.take()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// The problems as people read them.
    pub fn render(&self, color: bool) -> String {
        rules::diagnostic::render(&self.diagnostics, &self.sources, color)
    }
}

/// Reads, compiles and rehearses a directory.
pub fn load(dir: &Path) -> Loaded {
    match Sources::read(dir, &Bounds::default()) {
        Ok(sources) => load_sources(sources),
        Err(diagnostics) => {
            Loaded { sources: Sources::default(), rules: None, failed_cases: 0, settings: None, diagnostics }
        }
    }
}

/// The same for files that have been read already.
pub fn load_sources(sources: Sources) -> Loaded {
    let read = Settings::read(&sources);
    let compiled = rules::compile(&sources);
    let failed = compiled.rules.as_ref().map(rehearse).unwrap_or_default();
    let failed_cases = failed.len();
    let mut diagnostics = read.diagnostics;
    diagnostics.extend(compiled.diagnostics);
    diagnostics.extend(failed);
    Loaded { sources, rules: compiled.rules, failed_cases, settings: read.settings, diagnostics }
}
