//! What is refused outright: conditions made into trees, and their expressions into sets.

use super::Lower;
use crate::rules::condition::{Condition, HeaderTest, Networks, Patterns, Screen, Spelled, Subject};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::Refusal;
use crate::rules::source::Span;
use crate::rules::syntax::files::{ConditionFile, HeaderFile, RefuseFile};
use crate::rules::syntax::forms::Many;
use crate::rules::syntax::table::Field;

/// Refusals that a law may have, predicates in all of them, and conditions inside conditions.
const REFUSALS: usize = 20_000;
const PREDICATES: usize = 100_000;
const DEPTH: usize = 16;

/// What is counted and gathered while conditions are made.
#[derive(Default)]
pub(super) struct Making {
    pub(super) patterns: Patterns,
    predicates: usize,
}

impl Making {
    /// Compiles what was gathered, for conditions that no screen is made for.
    pub(super) fn finish(self) -> Result<(), Subject> {
        self.patterns.finish().map(drop)
    }

    /// Part of a path, which the set of the paths also knows, so that the screen can pass it over.
    fn spelled(&mut self, written: &str, before: &str, after: &str) -> Spelled {
        let spelled = Spelled::new(written);
        self.patterns.add(&Subject::Path, &spelled.pattern(before, after));
        spelled
    }
}

impl Lower<'_> {
    /// Every refusal, and the screen that asks them all at once; no screen when its expressions are too large together.
    pub(super) fn refusals(&mut self, files: Vec<&RefuseFile>) -> (Vec<Refusal>, Option<Screen>) {
        if !self.within(files.len(), REFUSALS, "refusals") {
            return (Vec::new(), None);
        }
        let mut making = Making::default();
        let mut refusals = Vec::new();
        for (at, file) in files.into_iter().enumerate() {
            let when = file.when.given().and_then(|when| self.condition(when, 0, &mut making));
            let name = file.name.given().map_or_else(|| format!("refuse[{at}]").into(), |name| name.value.clone());
            let status = file.status.given().and_then(|status| u16::try_from(status.value).ok());
            if let (Some(when), Some(status)) = (when, status) {
                refusals.push(Refusal { name, when, status });
            }
        }
        if !self.within(making.predicates, PREDICATES, "predicates in refusals") {
            return (refusals, None);
        }
        let screen = match making.patterns.finish() {
            Ok(sets) => Some(Screen::new(sets, refusals.iter().map(|refusal| &refusal.when))),
            Err(subject) => {
                let over = match subject {
                    Subject::Path => "paths".to_owned(),
                    Subject::Query => "queries".to_owned(),
                    Subject::Header(name) => format!("header {name}"),
                };
                let problem = Diagnostic::of(
                    &codes::TOO_MUCH,
                    format!("the regular expressions over {over} are too large together"),
                );
                self.error(problem.help("use fewer, or smaller repetitions"));
                None
            }
        };
        (refusals, screen)
    }

    /// One condition, `depth` deep inside others; `None` when something in it was reported.
    pub(super) fn condition(&mut self, file: &ConditionFile, depth: usize, making: &mut Making) -> Option<Condition> {
        if depth > DEPTH {
            let problem = Diagnostic::of(&codes::TOO_MUCH, format!("conditions are nested more than {DEPTH} deep"));
            self.error(problem.at(file.span, "one too many").help("name inner ones as refusals of their own"));
            return None;
        }
        let mut all = Vec::new();
        let mut whole = self.group(&file.any, file.span, depth, making, Condition::Any, &mut all);
        whole &= self.group(&file.all, file.span, depth, making, Condition::All, &mut all);
        match &file.not {
            Field::Given(inner) => match self.condition(inner, depth + 1, making) {
                Some(inner) => all.push(Condition::Not(Box::new(inner))),
                None => whole = false,
            },
            Field::Broken => whole = false,
            Field::Absent => {}
        }
        whole &=
            each(&file.path, &mut all, making, |path, making| Condition::Path(making.spelled(&path.0, r"\A", r"/?\z")));
        whole &= each(&file.path_prefix, &mut all, making, |path, making| {
            Condition::PathPrefix(making.spelled(&path.0, r"\A", ""))
        });
        whole &= each(&file.path_suffix, &mut all, making, |path, making| {
            Condition::PathSuffix(making.spelled(&path.0, "", r"/?\z"))
        });
        whole &= each(&file.path_matches, &mut all, making, |pattern, making| {
            Condition::Fits(making.patterns.add(&Subject::Path, &pattern.0))
        });
        whole &= each(&file.query_matches, &mut all, making, |pattern, making| {
            Condition::Fits(making.patterns.add(&Subject::Query, &pattern.0))
        });
        whole &= joined(&file.method, &mut all, making, |methods| {
            Condition::Method(methods.iter().map(|method| method.0.clone()).collect())
        });
        whole &= joined(&file.host, &mut all, making, |hosts| {
            Condition::Host(hosts.iter().map(|host| host.0.strip_prefix('*').unwrap_or(&host.0).into()).collect())
        });
        whole &= joined(&file.address, &mut all, making, |nets| {
            Condition::Address(Networks::new(nets.iter().map(|net| net.value)))
        });
        match &file.header {
            Field::Given(header) => match self.header(header, making) {
                Some(condition) => all.push(condition),
                None => whole = false,
            },
            Field::Broken => whole = false,
            Field::Absent => {}
        }
        if whole && all.is_empty() {
            let problem = Diagnostic::of(&codes::EMPTY, "this condition says nothing, so it would always hold")
                .at(file.span, "empty");
            self.error(problem.help("give at least one of any, all, not, path, path_prefix, path_suffix, path_matches, query_matches, method, host, header and address"));
            return None;
        }
        match (whole, all.len()) {
            (false, _) => None,
            (true, 1) => all.pop(),
            (true, _) => Some(Condition::All(all.into())),
        }
    }

    /// The conditions of `any` or `all`. False when one of them was reported.
    fn group(
        &mut self,
        field: &Field<Vec<ConditionFile>>,
        place: Span,
        depth: usize,
        making: &mut Making,
        make: fn(Box<[Condition]>) -> Condition,
        all: &mut Vec<Condition>,
    ) -> bool {
        let files = match field {
            Field::Absent => return true,
            Field::Broken => return false,
            Field::Given(files) => files,
        };
        if files.is_empty() {
            let problem = Diagnostic::of(&codes::EMPTY, "a list of conditions is empty").at(place, "in here");
            self.error(problem.help("give at least one condition, or leave the key out"));
            return false;
        }
        let inner: Vec<_> = files.iter().map(|file| self.condition(file, depth + 1, making)).collect();
        let inner: Option<Box<[Condition]>> = inner.into_iter().collect();
        let whole = inner.is_some();
        all.extend(inner.map(make));
        whole
    }

    fn header(&mut self, file: &HeaderFile, making: &mut Making) -> Option<Condition> {
        making.predicates += 1;
        let given =
            [file.equals.is_absent(), file.contains.is_absent(), file.matches.is_absent(), file.present.is_absent()];
        if given.iter().filter(|absent| !**absent).count() != 1 {
            let problem =
                Diagnostic::of(&codes::EXACTLY_ONE, "a header is tested in exactly one way").at(file.span, "here");
            self.error(problem.help("give exactly one of equals, contains, matches and present"));
            return None;
        }
        let name = file.name.given()?.0.clone();
        if let Some(pattern) = file.matches.given() {
            return Some(Condition::Fits(making.patterns.add(&Subject::Header(name), &pattern.0)));
        }
        let test = if let Some(text) = file.equals.given() {
            HeaderTest::Equals(text.as_bytes().into())
        } else if let Some(text) = file.contains.given() {
            HeaderTest::Contains(text.as_bytes().into())
        } else {
            HeaderTest::Present(file.present.given()?.value)
        };
        Some(Condition::Header(name, test))
    }
}

/// One condition for each value; several are joined by *or*. False when the key holds something that was reported.
fn each<T>(
    field: &Field<Many<T>>,
    all: &mut Vec<Condition>,
    making: &mut Making,
    mut make: impl FnMut(&T, &mut Making) -> Condition,
) -> bool {
    joined_with(field, all, making, |values, making| {
        let mut conditions: Vec<_> = values.iter().map(|value| make(value, making)).collect();
        if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions.into()) }
    })
}

/// One condition for all values.
fn joined<T>(
    field: &Field<Many<T>>,
    all: &mut Vec<Condition>,
    making: &mut Making,
    make: impl FnOnce(&[T]) -> Condition,
) -> bool {
    joined_with(field, all, making, |values, _| make(values))
}

fn joined_with<T>(
    field: &Field<Many<T>>,
    all: &mut Vec<Condition>,
    making: &mut Making,
    make: impl FnOnce(&[T], &mut Making) -> Condition,
) -> bool {
    match field {
        Field::Absent => true,
        Field::Broken => false,
        Field::Given(many) => {
            making.predicates += many.all.len();
            all.push(make(&many.all, making));
            true
        }
    }
}
