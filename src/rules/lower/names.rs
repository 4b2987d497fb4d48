//! Names of several files joined, and names turned into indices.

use std::collections::HashMap;

use crate::rules::diagnostic::{Diagnostic, Report, codes};
use crate::rules::ruleset::{Level, LevelLaw};
use crate::rules::source::Span;
use crate::rules::syntax::closest;
use crate::rules::syntax::files::{AssuranceFile, RuleFile, Text};
use crate::rules::syntax::forms::{Many, Named};
use crate::rules::syntax::table::{Field, Said, listed};

/// A named table: its name, and what it holds if that could be read.
pub(super) type Entry<'f, T> = (&'f Said<Box<str>>, Option<&'f T>);

/// The named tables of one kind, of all files.
pub(super) fn named<'f, T>(
    files: &'f [RuleFile],
    pick: impl Fn(&'f RuleFile) -> Option<&'f Named<T>>,
) -> Vec<Entry<'f, T>> {
    files.iter().filter_map(pick).flat_map(|named| &named.all).map(|(name, table)| (name, table.as_ref())).collect()
}

/// The listed tables of one kind, of all files.
pub(super) fn all<'f, T>(files: &'f [RuleFile], pick: impl Fn(&'f RuleFile) -> &'f Field<Vec<T>>) -> Vec<&'f T> {
    files.iter().flat_map(|file| pick(file).items()).collect()
}

/// The one table of its kind; a second one is reported.
pub(super) fn one<'f, T>(
    name: &str,
    files: &'f [RuleFile],
    pick: impl Fn(&'f RuleFile) -> Option<&'f T>,
    span: impl Fn(&T) -> Span,
    report: &mut Report,
) -> Option<&'f T> {
    let mut all = files.iter().filter_map(pick);
    let first = all.next()?;
    for other in all {
        let problem = Diagnostic::of(&codes::TWICE, format!("{name} stands in two files"))
            .at(span(other), "the second")
            .also(span(first), "the first");
        report.push(problem.help("join them: it is one table for the whole law"));
    }
    Some(first)
}

/// Entries of one kind that a law may have. Beyond it nothing is made of any of them.
pub(super) const MOST_NAMES: usize = 10_000;

/// So many of the known names are looked at for the one that was meant.
const OFFERED: usize = 500;

/// Names of one kind and their indices.
#[derive(Debug)]
pub(super) struct Index<'f> {
    kind: &'static str,
    known: HashMap<&'f str, (u16, Span)>,
    used: Vec<bool>,
    in_order: Vec<&'f str>,
}

impl<'f> Index<'f> {
    /// An index of these names; one that stands twice is reported.
    pub(super) fn new<T>(kind: &'static str, entries: &[Entry<'f, T>], report: &mut Report) -> Self {
        let mut known: HashMap<&str, (u16, Span)> = HashMap::new();
        for (at, (name, _)) in (0..=u16::MAX).zip(entries) {
            if let Some((_, first)) = known.get(&*name.value) {
                let problem = Diagnostic::of(&codes::TWICE, format!("{kind} `{}` is defined twice", name.value))
                    .at(name.span, "the second")
                    .also(*first, "the first");
                report.push(problem.help("give one of them another name"));
            } else {
                known.insert(&name.value, (at, name.span));
            }
        }
        if entries.len() > MOST_NAMES {
            let said = format!("there are {} entries of kind {kind}; at most {MOST_NAMES} are allowed", entries.len());
            report.push(Diagnostic::of(&codes::TOO_MUCH, said).help("join or remove some"));
        }
        let in_order = entries.iter().map(|(name, _)| &*name.value).collect();
        Self { kind, known, used: vec![false; entries.len()], in_order }
    }

    /// The index of a name, which is then used; an unknown one is reported, unless a broken file may define it.
    pub(super) fn find(&mut self, name: &Text, broken: bool, report: &mut Report) -> Option<u16> {
        if let Some((at, _)) = self.known.get(&*name.value) {
            if let Some(used) = self.used.get_mut(usize::from(*at)) {
                *used = true;
            }
            return Some(*at);
        }
        if !broken {
            let names = if report.is_full() { Vec::new() } else { self.names() };
            report.push(unknown(self.kind, name, &names));
        }
        None
    }

    /// Every name, in the order of the indices.
    pub(super) fn in_order(&self) -> Vec<Box<str>> {
        self.in_order.iter().map(|&name| name.into()).collect()
    }

    /// Whether there are more than a law may have.
    pub(super) const fn is_too_long(&self) -> bool {
        self.in_order.len() > MOST_NAMES
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.in_order.iter().take(OFFERED).copied().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Those that nothing named, with the places of their definitions.
    pub(super) fn unused(&self) -> Vec<(&'f str, Span)> {
        let mut all: Vec<_> = self
            .known
            .iter()
            .filter(|(_, (at, _))| self.used.get(usize::from(*at)) == Some(&false))
            .map(|(name, (_, span))| (*name, *span))
            .collect();
        all.sort_unstable();
        all
    }
}

/// A name that nothing defines.
fn unknown(kind: &str, name: &Text, known: &[&str]) -> Diagnostic {
    let problem = Diagnostic::of(&codes::UNKNOWN_NAME, format!("no rule file defines {kind} `{}`", name.value))
        .at(name.span, format!("unknown {kind}"));
    match closest(name, known.iter().copied()) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None if known.is_empty() => problem.help(format!("define it; there is no {kind} at all")),
        None => problem.help(format!("define it, or use {}", listed(known))),
    }
}

/// Levels of authentication and their names.
#[derive(Debug)]
pub(super) struct Levels {
    laws: Vec<LevelLaw>,
    /// The table could not be read whole: names may be missing.
    broken: bool,
}

/// Levels that a law may have.
const MOST: usize = 16;

impl Levels {
    /// The levels of this table; the usual three when there is none.
    pub(super) fn new(file: Option<&AssuranceFile>, report: &mut Report) -> Self {
        let Some(file) = file else {
            let law = |name: &str, acr: &[&str], amr: &[&str]| LevelLaw {
                name: name.into(),
                acr: acr.iter().map(|&value| value.into()).collect(),
                amr: amr.iter().map(|&value| value.into()).collect(),
            };
            let laws = vec![law("pwd", &[], &[]), law("mfa", &[], &["otp", "mfa"]), law("phr", &["phr", "phrh"], &[])];
            return Self { laws, broken: false };
        };
        let files = file.levels.items();
        if files.is_empty() && file.levels.given().is_some() || files.len() > MOST {
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, format!("there are {} levels", files.len()));
            report.push(problem.at(file.span, "here").help(format!("name 1 to {MOST} levels, weakest first")));
        }
        let mut laws: Vec<LevelLaw> = Vec::new();
        let mut broken = file.levels.given().is_none();
        for level in files.iter().take(MOST) {
            let Some(name) = level.name.given() else {
                broken = true;
                continue;
            };
            if laws.iter().any(|law| law.name == name.value) {
                let problem = Diagnostic::of(&codes::TWICE, format!("level `{}` is defined twice", name.value));
                report.push(problem.at(name.span, "the second").help("give each level a name of its own"));
            }
            let values = |many: &Field<Many<Text>>| {
                many.given().map(|many| many.all.iter().map(|text| text.value.clone()).collect()).unwrap_or_default()
            };
            for said in level.amr.given().map_or(&[][..], |amr| &amr.all).iter().filter(|amr| &*amr.value == "rba") {
                let says = "`rba` is somebody else's score, and a score proves nothing";
                let problem = Diagnostic::of(&codes::SCORE_AS_PROOF, says).at(said.span, "not a proof");
                report.push(problem.help("name methods that a person carries out, such as \"otp\" or \"hwk\""));
            }
            laws.push(LevelLaw { name: name.value.clone(), acr: values(&level.acr), amr: values(&level.amr) });
        }
        Self { laws, broken }
    }

    /// The level of this name; an unknown one is reported.
    pub(super) fn find(&self, name: &Text, broken: bool, report: &mut Report) -> Option<Level> {
        let at = self.laws.iter().position(|law| law.name == name.value);
        if at.is_none() && !broken && !self.broken {
            let known: Vec<&str> = self.laws.iter().map(|law| &*law.name).collect();
            report.push(unknown("level", name, &known));
        }
        at.and_then(|at| u8::try_from(at).ok()).map(Level)
    }

    /// The law of the levels.
    pub(super) fn into_laws(self) -> Vec<LevelLaw> {
        self.laws
    }
}
