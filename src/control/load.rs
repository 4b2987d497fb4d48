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
    /// The law, when there is no error.
    pub rules: Option<RuleSet>,
    /// The settings of the process, when there is no error in them.
    pub settings: Option<Settings>,
    /// Every problem of every file, errors and warnings, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
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
    let sources = match Sources::read(dir, &Bounds::default()) {
        Ok(sources) => sources,
        Err(diagnostics) => return Loaded { sources: Sources::default(), rules: None, settings: None, diagnostics },
    };
    let read = Settings::read(&sources);
    let compiled = rules::compile(&sources);
    let mut diagnostics = read.diagnostics;
    diagnostics.extend(compiled.diagnostics);
    let mut rules = compiled.rules;
    if let Some(law) = &rules {
        let failed = rehearse(law);
        if !failed.is_empty() {
            rules = None;
        }
        diagnostics.extend(failed);
    }
    Loaded { sources, rules, settings: read.settings, diagnostics }
}
