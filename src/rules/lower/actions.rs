//! One action with its particulars: what belongs to it, what does not, and whether what it leans on is there.

use std::time::Duration;

use super::Lower;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::{Action, HelpId, Level};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ActionTable, ActionWord, RungFile, Text};
use crate::rules::syntax::table::{Field, Said};

/// How often a throttled client is served when the rung does not say.
const EVERY: Duration = Duration::from_secs(10);

/// An action as it was written, in a rung or on its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'f> {
    pub(super) span: Span,
    pub(super) word: &'f Field<Said<ActionWord>>,
    pub(super) level: &'f Field<Text>,
    pub(super) max_age: &'f Field<Said<Duration>>,
    pub(super) to: &'f Field<Text>,
    pub(super) every: &'f Field<Said<Duration>>,
}

impl<'f> From<&'f RungFile> for Written<'f> {
    fn from(file: &'f RungFile) -> Self {
        let RungFile { span, at: _, r#do: word, level, max_age, to, every, mode: _ } = file;
        Self { span: *span, word, level, max_age, to, every }
    }
}

impl<'f> From<&'f ActionTable> for Written<'f> {
    fn from(file: &'f ActionTable) -> Self {
        let ActionTable { span, r#do: word, level, max_age, to, every } = file;
        Self { span: *span, word, level, max_age, to, every }
    }
}

impl Lower<'_> {
    /// The action; `None` when something was reported. Without a `to` of its own it leads where `fallback` says.
    pub(super) fn action(&mut self, written: Written<'_>, fallback: Option<HelpId>) -> Option<Action> {
        let word = written.word.given()?;
        self.stray(written, word);
        match word.value {
            ActionWord::Allow => Some(Action::Allow),
            ActionWord::Throttle => self.throttle(written),
            ActionWord::ReadOnly => Some(Action::ReadOnly),
            ActionWord::StepUp => {
                self.needs_proof(word.span, "step_up");
                let level = self.proof_level(written)?;
                let max_age = match written.max_age {
                    Field::Given(age) => Some(age.value),
                    Field::Broken => return None,
                    Field::Absent => None,
                };
                Some(Action::StepUp { level, max_age })
            }
            ActionWord::Handoff => self.to(written, fallback).map(|to| Action::Handoff { to }),
            ActionWord::Deny => self.to(written, fallback).map(|to| Action::Deny { to }),
            ActionWord::Queue => {
                let problem = Diagnostic::of(&codes::NOT_BUILT, "this build cannot queue");
                self.error(problem.at(word.span, "not yet").help("use \"throttle\" until a later build queues"));
                None
            }
        }
    }

    fn throttle(&mut self, written: Written<'_>) -> Option<Action> {
        let every = match written.every {
            Field::Absent => EVERY,
            Field::Broken => return None,
            Field::Given(every) => {
                if every.value.is_zero() {
                    let problem = Diagnostic::of(&codes::OUT_OF_RANGE, "a throttle of no time lets everything through");
                    self.error(
                        problem.at(every.span, "no time").help("write for example every = \"10s\", or do = \"allow\""),
                    );
                }
                every.value
            }
        };
        Some(Action::Throttle { every })
    }

    /// Keys that say nothing about this action.
    fn stray(&mut self, written: Written<'_>, word: &Said<ActionWord>) {
        let takes: &[&str] = match word.value {
            ActionWord::StepUp => &["level", "max_age"],
            ActionWord::Throttle => &["every"],
            ActionWord::Handoff | ActionWord::Deny => &["to"],
            ActionWord::Allow | ActionWord::Queue | ActionWord::ReadOnly => &[],
        };
        let given = [
            ("level", written.level.given().map(|said| said.span)),
            ("max_age", written.max_age.given().map(|said| said.span)),
            ("to", written.to.given().map(|said| said.span)),
            ("every", written.every.given().map(|said| said.span)),
        ];
        for (key, span) in given {
            if let Some(span) = span.filter(|_| !takes.contains(&key)) {
                let problem =
                    Diagnostic::of(&codes::DOES_NOT_APPLY, format!("`{key}` says nothing about {}", word.value.word()))
                        .at(span, "no effect");
                self.error(problem.help(format!("remove `{key}`")));
            }
        }
    }

    fn proof_level(&mut self, written: Written<'_>) -> Option<Level> {
        match written.level {
            Field::Given(name) => self.levels.find(name, self.broken, self.report),
            Field::Broken => None,
            Field::Absent => {
                if self.means.level.is_none() && self.means.proof && !self.broken {
                    let problem =
                        Diagnostic::of(&codes::MISSING_KEY, "a step_up that names no level needs the one of [step_up]");
                    self.error(
                        problem.at(written.span, "no `level` here").help("add `level`, or a [step_up] table with one"),
                    );
                }
                self.means.level
            }
        }
    }

    /// Reports a proof that nobody could give, or that nothing would remember.
    pub(super) fn needs_proof(&mut self, span: Span, what: &str) {
        if !self.means.proof {
            let said = format!("{what} needs a way to give one more proof, and something that remembers it");
            let problem = Diagnostic::of(&codes::RUNG_DEPENDENCY, said).at(span, "nobody could pass this");
            self.error(problem.help(
                "configure [identity] subject with jwt, or with session_cookie and a [step_up] page; a rung that cannot be passed is a dead end",
            ));
        }
    }

    fn to(&mut self, written: Written<'_>, fallback: Option<HelpId>) -> Option<HelpId> {
        let name = match written.to {
            Field::Given(name) => name,
            Field::Broken => return None,
            Field::Absent => {
                if fallback.is_none() {
                    let word = written.word.given().map_or("this", |word| word.value.word());
                    let problem = Diagnostic::of(&codes::MISSING_KEY, format!("{word} does not say where it leads"));
                    self.error(
                        problem.at(written.span, "no `to` here").help("add `to` with the name of a [help.NAME]"),
                    );
                }
                return fallback;
            }
        };
        let help = HelpId(self.help.find(name, self.broken, self.report)?);
        if !self.has_text(help) {
            let said = format!("help `{}` can be reached by voice call only", name.value);
            let problem = Diagnostic::of(&codes::DEAD_END, said).at(name.span, "no way out for those who cannot call");
            self.error(problem.help(format!("give [help.{}] a `text` with `relay` or `chat`", name.value)));
        }
        Some(help)
    }
}
