//! Client profiles and templates: which app is answered how, and that every template that is used can be.

use std::collections::HashMap;

use super::Lower;
use super::names::Entry;
use super::refusals::Making;
use crate::rules::condition::Condition;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::notices::rehearse::rehearse;
use crate::rules::notices::{BodyId, Templates, Trouble};
use crate::rules::profiles::{App, Profile, Profiles};
use crate::rules::source::{Source, Span};
use crate::rules::syntax::closest;
use crate::rules::syntax::files::Text;
use crate::rules::syntax::forms::Whole;
use crate::rules::syntax::notices::{AppFile, ProfileFile};
use crate::rules::syntax::table::{Field, listed};

/// Profiles, and templates, that a law may have.
const MOST: usize = 200;
/// The operators' own page.
const PAGE: &str = "templates/page.html";

impl Lower<'_> {
    /// Every profile and template. What could not be made was reported.
    pub(super) fn profiles(&mut self, files: &[Entry<'_, ProfileFile>]) -> (Profiles, Templates) {
        let mut templates = Templates::default();
        let sources: Vec<(u16, &Source)> = self.sources.iter().filter(|(_, source)| source.is_template()).collect();
        if !self.within(files.len(), MOST, "profiles") || !self.within(sources.len(), MOST, "templates") {
            return (Profiles::default(), templates);
        }
        let used: Vec<&str> = files
            .iter()
            .filter_map(|(_, file)| file.and_then(|file| file.body.given()))
            .map(|body| &*body.value)
            .collect();
        let mut bodies: HashMap<&str, BodyId> = HashMap::new();
        for (number, source) in &sources {
            let name = &*source.name;
            if name != PAGE && !used.contains(&name) {
                let problem = Diagnostic::of(&codes::UNUSED_TEMPLATE, format!("nothing uses {name}"));
                let help = format!("{PAGE} is the page that customers see; a .json is used by the `body` of a profile");
                self.error(problem.at(start(*number), "not used").help(help));
                continue;
            }
            match templates.add(name, &source.text) {
                Ok(Some(body)) => drop(bodies.insert(name, body)),
                Ok(None) => self.blocked(*number, &source.text),
                Err(trouble) => self.trouble(*number, name, trouble),
            }
        }
        if !self.report.has_errors() {
            for (number, source) in
                sources.iter().filter(|(_, source)| &*source.name == PAGE || used.contains(&&*source.name))
            {
                if let Some(trouble) = rehearse(&templates, &self.languages, &source.name, &source.text) {
                    self.trouble(*number, &source.name, trouble);
                }
            }
        }
        let mut making = Making::default();
        let all =
            files.iter().filter_map(|(name, file)| self.profile(&name.value, (*file)?, &bodies, &mut making)).collect();
        if making.patterns.finish().is_err() {
            let said = "the regular expressions of the profiles are too large together";
            self.error(Diagnostic::of(&codes::TOO_MUCH, said).help("use fewer, or smaller repetitions"));
        }
        (Profiles { all }, templates.finish())
    }

    fn trouble(&mut self, number: u16, name: &str, trouble: Trouble) {
        let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let place = trouble.range.map_or(start(number), |range| Span {
            source: number,
            start: at(range.start),
            end: at(range.end),
        });
        let problem = Diagnostic::of(&codes::BAD_TEMPLATE, format!("{name} cannot be used: {}", trouble.says));
        self.error(problem.at(place, "here").help("a template must say all that a customer needs: the headline, the detail, the reference, what is never asked for and every way forward; a body must be JSON. `weir notices --template` prints a page to begin with, and what a template may use"));
    }

    /// What a browser will not load, because the page's own policy forbids it.
    fn blocked(&mut self, number: u16, text: &str) {
        let lower = text.to_ascii_lowercase();
        let on_event = |tag: &str| {
            tag.split_ascii_whitespace().skip(1).any(|word| {
                word.strip_prefix("on")
                    .and_then(|rest| rest.split_once('='))
                    .is_some_and(|(event, _)| !event.is_empty() && event.bytes().all(|b| b.is_ascii_lowercase()))
            })
        };
        let tags = lower.match_indices('<').map(|(at, _)| (at, lower[at..].split('>').next().unwrap_or_default()));
        let found = tags
            .filter_map(|(at, tag)| {
                let what = if tag.starts_with("<script") {
                    "a script"
                } else if tag.starts_with("<link")
                    || tag.starts_with("<img")
                    || tag.starts_with("<iframe")
                    || tag.contains(" src=")
                {
                    "something from elsewhere"
                } else if tag.starts_with("<form") {
                    "a form"
                } else if tag.starts_with("<meta") && tag.contains("refresh") {
                    "a page that refreshes itself"
                } else if on_event(tag) {
                    "a script in an attribute"
                } else {
                    return None;
                };
                Some((at, tag.len(), what))
            })
            .chain(
                ["@import", "url("]
                    .iter()
                    .filter_map(|word| Some((lower.find(word)?, word.len(), "something from elsewhere"))),
            );
        let found: Vec<_> = found.take(20).collect();
        for (from, length, what) in found {
            let at = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let place = Span { source: number, start: at(from), end: at(from + length) };
            let problem = Diagnostic::of(&codes::TEMPLATE_BLOCKED, format!("{what} does not work on this page"));
            let help = "write plain HTML with its style inside: the page must work without scripts, for everybody, and without another server";
            self.error(problem.at(place, "browsers will not take it").help(help));
        }
    }

    fn profile(
        &mut self,
        name: &str,
        file: &ProfileFile,
        bodies: &HashMap<&str, BodyId>,
        making: &mut Making,
    ) -> Option<Profile> {
        let when: Option<Condition> = match &file.when {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(when) => Some(self.condition(when, 0, making)?),
        };
        let app = match &file.app {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(app) => Some(self.app(app)?),
        };
        let says_nothing = file.step_up.is_absent()
            && file.refused.is_absent()
            && file.throttle.is_absent()
            && file.unavailable.is_absent()
            && file.body.is_absent();
        if says_nothing && app.is_none() && !self.broken {
            let problem = Diagnostic::of(&codes::EMPTY, format!("profile `{name}` changes nothing"))
                .at(file.span, "nothing here");
            self.error(problem.help("give `step_up`, `refused`, `throttle`, `unavailable` or `body`"));
        }
        let content_type = file.content_type.given()?.0.clone();
        let body = match &file.body {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(body) => self.body(body, bodies).map(|body| (body, content_type)),
        };
        Some(Profile {
            name: name.into(),
            when,
            app,
            step_up: self.status(&file.step_up, &[401, 403, 503]),
            refused: self.status(&file.refused, &[]),
            throttle: self.status(&file.throttle, &[]),
            unavailable: self.status(&file.unavailable, &[]),
            body,
        })
    }

    fn app(&mut self, file: &AppFile) -> Option<App> {
        let (name, from) = (file.name.given()?, file.from.given()?);
        let below = file.below.given();
        if let Some(below) = below.filter(|below| below.value <= from.value) {
            let problem =
                Diagnostic::of(&codes::BAD_PROFILE, "no version lies in this range").at(below.span, "not above `from`");
            self.error(problem.help("`from` is the first version, `below` the first that is no longer meant"));
        }
        Some(App { name: name.0.clone(), from: from.value, below: below.map(|below| below.value) })
    }

    /// A status that an app may be answered with: never one at which clients sign in again or repeat by themselves.
    fn status<const FROM: u64, const TO: u64>(&mut self, field: &Field<Whole<FROM, TO>>, only: &[u64]) -> Option<u16> {
        let status = field.given()?;
        let bad = match only {
            [] => matches!(status.value, 401 | 407 | 408 | 421 | 425),
            only => !only.contains(&status.value),
        };
        if bad {
            let problem = Diagnostic::of(&codes::BAD_PROFILE, format!("{} cannot be used here", status.value));
            let help = match only {
                [] => {
                    "use 403, 409, 429 or 503: at 401, 407, 408, 421 and 425 clients sign in again or repeat by themselves"
                }
                _ => "use 401, 403 or 503",
            };
            self.error(problem.at(status.span, "not this one").help(help));
        }
        u16::try_from(status.value).ok()
    }

    fn body(&mut self, body: &Text, bodies: &HashMap<&str, BodyId>) -> Option<BodyId> {
        let found = bodies.get(&*body.value).copied();
        let there = self.sources.iter().any(|(_, source)| source.name == body.value && source.is_template());
        if found.is_none() && !there && !self.broken {
            let names: Vec<&str> =
                self.sources.iter().map(|(_, source)| &*source.name).filter(|name| name.ends_with(".json")).collect();
            let help = match closest(&body.value, names.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None if names.is_empty() => {
                    "put it below templates/ beside the rules, with a name that ends in .json".to_owned()
                }
                None => format!("there is {}", listed(&names)),
            };
            let problem =
                Diagnostic::of(&codes::UNKNOWN_NAME, format!("there is no template `{}`", body.value.escape_debug()));
            self.error(problem.at(body.span, "no such file").help(help));
        } else if found.is_none() && there && body.value.ends_with(".html") {
            let problem = Diagnostic::of(&codes::BAD_PROFILE, "the body of an app is JSON").at(body.span, "not JSON");
            self.error(problem.help("use a template that ends in .json; the page for people is templates/page.html"));
        }
        found
    }
}

/// The beginning of a source.
const fn start(source: u16) -> Span {
    Span { source, start: 0, end: 0 }
}
