//! Pages and bodies: the built-in page, and what operators put in its place. A template is small, works on fuel, can read no file
//! and sees only a [`View`]. One that fails, runs dry or writes too much costs a customer nothing: the built-in page stands in.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior};

use super::View;

/// Bytes that a page may have, so that it arrives in the first flight of packets.
pub const LARGEST: usize = 14 * 1024;
/// Work that one rendering may do; it also bounds the memory, at about 64 bytes a unit.
const FUEL: u64 = 20_000;
/// Loops and conditions inside each other.
const DEPTH: usize = 50;
/// The built-in page, as a template.
pub const BUILT_IN_PAGE: &str = include_str!("page.html");
/// The built-in page's name.
const PAGE: &str = "page.html";

/// The operators' templates of one rule set, compiled.
#[derive(Debug, Default)]
pub struct Templates {
    own: Option<Environment<'static>>,
    page: Option<Box<str>>,
    bodies: Vec<Box<str>>,
}

/// Names a body template of one rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyId(pub(in crate::rules) u8);

/// Why a template gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its name.
    pub template: Box<str>,
    /// What went wrong.
    pub why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the template {} failed: {}", self.template, self.why)
    }
}

/// What is wrong with a template, and where.
#[derive(Debug)]
pub(in crate::rules) struct Trouble {
    /// Bytes of the template.
    pub(in crate::rules) range: Option<Range<usize>>,
    /// A sentence.
    pub(in crate::rules) says: String,
}

static BUILT_IN: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = environment();
    if let Err(error) = pages.add_template(PAGE, BUILT_IN_PAGE) {
        tracing::error!(%error, "the built-in page does not parse; customers get plain words");
    }
    pages
});

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| match name.ends_with(".json") {
        true => AutoEscape::Json,
        false => AutoEscape::Html,
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_debug(false);
    environment
}

impl Templates {
    /// Adds a template under its file's name. A page takes the place of the built-in one; anything else is a body.
    pub(in crate::rules) fn add(&mut self, name: &str, text: &str) -> Result<Option<BodyId>, Trouble> {
        let own = self.own.get_or_insert_with(environment);
        own.set_debug(true);
        own.add_template_owned(name.to_owned(), text.to_owned()).map_err(|error| trouble(&error, text))?;
        if name.ends_with(".html") {
            self.page = Some(name.into());
            return Ok(None);
        }
        let id = u8::try_from(self.bodies.len()).ok().map(BodyId);
        self.bodies.push(name.into());
        Ok(id)
    }

    /// Ends the making: errors are no longer explained at length.
    pub(in crate::rules) fn finish(mut self) -> Self {
        if let Some(own) = &mut self.own {
            own.set_debug(false);
        }
        self
    }

    /// Whether the operators have a page of their own.
    pub const fn have_a_page(&self) -> bool {
        self.page.is_some()
    }

    /// The page of a notice, and why the operators' own was passed over if it was.
    pub fn page(&self, view: &View<'_>) -> (String, Option<Failed>) {
        let failed = match &self.page {
            None => None,
            Some(name) => match self.try_own(name, view) {
                Ok(page) => return (page, None),
                Err(error) => Some(Failed { template: name.clone(), why: short(&error) }),
            },
        };
        (built_in(view), failed)
    }

    /// A body in an app's own format.
    ///
    /// # Errors
    /// Why there is none.
    pub fn body(&self, id: BodyId, view: &View<'_>) -> Result<String, Failed> {
        let name = self.bodies.get(usize::from(id.0)).map_or("?", |name| &**name);
        self.try_own(name, view).map_err(|error| Failed { template: name.into(), why: short(&error) })
    }

    /// Renders one template, with what is wrong with it.
    pub(in crate::rules) fn rehearse(&self, name: &str, text: &str, view: &View<'_>) -> Result<String, Trouble> {
        self.try_own(name, view).map_err(|error| trouble(&error, text))
    }

    fn try_own(&self, name: &str, view: &View<'_>) -> Result<String, minijinja::Error> {
        let missing = || minijinja::Error::new(minijinja::ErrorKind::TemplateNotFound, "there is no such template");
        render(self.own.as_ref().ok_or_else(missing)?, name, view)
    }
}

/// The page that is always there. One that cannot be rendered is still an answer: the words alone.
fn built_in(view: &View<'_>) -> String {
    render(&BUILT_IN, PAGE, view).unwrap_or_else(|error| {
        tracing::error!(%error, "the built-in page does not render");
        let [lang, headline, detail, reference] =
            [&*view.language.tag, view.headline, view.detail, view.reference].map(|text| HtmlEscape(text).to_string());
        format!(
            "<!doctype html><html lang=\"{lang}\"><title>{headline}</title><main><h1>{headline}</h1><p>{detail}</p><p>{reference}</p><p><a href=\"/\">/</a></p></main></html>"
        )
    })
}

fn render(environment: &Environment<'_>, name: &str, view: &View<'_>) -> Result<String, minijinja::Error> {
    let page = environment.get_template(name)?.render(view.as_value())?;
    match page.len() <= LARGEST {
        true => Ok(page),
        false => {
            let says = format!("it writes {} bytes; at most {LARGEST} are sent", page.len());
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, says))
        }
    }
}

/// What an error says, with its cause, on one line and short: it goes into a decision line.
fn short(error: &minijinja::Error) -> String {
    let mut said = error.kind().to_string();
    if let Some(detail) = error.detail() {
        said = format!("{said}: {detail}");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    if let Some(line) = error.line() {
        said = format!("{said} (line {line})");
    }
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

fn trouble(error: &minijinja::Error, text: &str) -> Trouble {
    let line = error.line().map(|line| line.saturating_sub(1));
    let of_line = line.map(|line| {
        let start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
        start..start + text[start..].lines().next().map_or(0, str::len)
    });
    let range = error.range().filter(|range| range.end <= text.len() && range.start < range.end);
    let mut says = short(error);
    if let Some(at) = says.rfind(" (line ") {
        says.truncate(at);
    }
    Trouble { range: range.or(of_line), says }
}
