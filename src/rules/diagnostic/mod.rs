//! What is said about a rule file: a stable code, a sentence, the place, and a way out. The same words in `weir check` and in the
//! running gateway.
//!
//! A diagnostic never holds more of a file than its place.

pub mod codes;
mod mask;
mod render;

pub use render::{render, to_json};

use super::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The law does not compile.
    Error,
    /// The law compiles; someone should look.
    Warning,
}

impl Severity {
    /// The word in rendered text and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One kind of problem. Its number never changes its meaning.
#[derive(Debug)]
pub struct Code {
    /// `W0001`.
    pub id: &'static str,
    /// How bad every problem of this kind is.
    pub severity: Severity,
    /// One line for the reference.
    pub what: &'static str,
}

/// One problem of a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code, `W0001`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence for the operator.
    pub message: String,
    /// The place, with what stands there.
    pub primary: Option<(Span, String)>,
    /// Another place that has to do with it: where the first of two stands.
    pub also: Option<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem of this kind, without a place.
    pub fn of(code: &'static Code, message: impl Into<String>) -> Self {
        let message = bounded(message.into());
        Self { code: code.id, severity: code.severity, message, primary: None, also: None, help: None }
    }

    /// The same at this place.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.primary = Some((span, bounded(label.into())));
        self
    }

    /// The same with a second place.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some((span, bounded(label.into())));
        self
    }

    /// The same with a way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(bounded(help.into()));
        self
    }

    /// Whether it keeps the law from compiling.
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

/// Bytes of one text of a problem: what a file says at length is not said again at length.
const LONGEST: usize = 2_000;

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('\u{2026}');
        text.shrink_to_fit();
    }
    text
}

/// How many problems are kept; what comes after them is counted in one last line.
pub(crate) const KEPT: usize = 500;

/// The problems found so far, bounded.
#[derive(Debug, Default)]
pub(crate) struct Report {
    kept: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Report {
    /// Adds one. Above the bound it is only counted, but an error takes the place of a warning.
    pub(crate) fn push(&mut self, problem: Diagnostic) {
        self.errors += usize::from(problem.is_error());
        if self.kept.len() < KEPT {
            self.kept.push(problem);
            return;
        }
        self.dropped += 1;
        let warning = self.kept.iter_mut().rfind(|kept| !kept.is_error()).filter(|_| problem.is_error());
        if let Some(warning) = warning {
            *warning = problem;
        }
    }

    /// Whether further problems are only counted.
    pub(crate) const fn is_full(&self) -> bool {
        self.kept.len() >= KEPT
    }

    /// Whether the law can no longer compile.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All of them in the order of the files, without repetitions.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut all = self.kept;
        all.sort_by_key(|problem| problem.primary.as_ref().map(|(span, _)| *span));
        let mut seen = std::collections::HashSet::new();
        all.retain(|problem| {
            seen.insert((problem.code, problem.message.clone(), problem.primary.as_ref().map(|(span, _)| *span)))
        });
        if self.dropped > 0 {
            let code = if self.errors > 0 { &codes::MORE } else { &codes::MORE_WARNINGS };
            all.push(
                Diagnostic::of(code, format!("and {} more", self.dropped))
                    .help("repair the first ones and check again"),
            );
        }
        all
    }
}
