//! Diagnostics as text with carets, for people, and as JSON, for tools. The only file that names annotate-snippets.
//!
//! It never shows more than the lines around a problem, and never panics on a span that does not fit its source.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask::masked;
use super::{Diagnostic, Severity};
use crate::rules::source::{Sources, Span};

/// Longest line that is shown whole; above it the place is given without the line.
const WIDEST: usize = 2_000;
/// Bytes before what is shown of a longer line in which the key of a value is looked for.
const BEFORE: usize = 4_000;

/// All problems as text, and one line that counts them. Colours are terminal escapes.
pub fn render(problems: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for problem in problems {
        text.push_str(&renderer.render(&[report(problem, sources)]));
        text.push_str("\n\n");
    }
    text.push_str(&summary(problems));
    text
}

fn summary(problems: &[Diagnostic]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    match (errors, problems.len() - errors) {
        (0, 0) => String::new(),
        (0, warnings) => format!("{}\n", count(warnings, "warning")),
        (errors, 0) => format!("{}\n", count(errors, "error")),
        (errors, warnings) => format!("{}, {}\n", count(errors, "error"), count(warnings, "warning")),
    }
}

fn report<'a>(problem: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(one_line(&problem.message)).id(problem.code));
    let marks = [(&problem.primary, AnnotationKind::Primary), (&problem.also, AnnotationKind::Context)];
    let mut snippets: Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> = Vec::new();
    let windows: Vec<_> = marks
        .into_iter()
        .filter_map(|(mark, kind)| mark.as_ref().map(|(span, label)| (*span, label, kind)))
        .filter_map(|(span, label, kind)| Some((span, Window::around(sources, span)?, label, kind)))
        .collect();
    for (span, window, label, kind) in windows {
        let Some(name) = sources.get(span.source).map(|source| &*source.name) else { continue };
        snippets.push(
            Snippet::source(window.text)
                .path(name)
                .line_start(window.line)
                .annotation(kind.span(window.mark).label(one_line(label))),
        );
    }
    group = group.elements(snippets);
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(one_line(help))),
        None => group,
    }
}

/// No control character of a rule file reaches a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The lines of a span, and the span in them.
struct Window<'a> {
    text: Cow<'a, str>,
    line: usize,
    mark: Range<usize>,
}

impl<'a> Window<'a> {
    fn around(sources: &'a Sources, span: Span) -> Option<Self> {
        let text = &*sources.get(span.source)?.text;
        let start = floor_char(text, span.start as usize);
        let end = floor_char(text, (span.end as usize).max(start));
        let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
        // Only the first line is marked: a table can be as long as its file.
        let last = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[..first].bytes().filter(|byte| *byte == b'\n').count() + 1;
        if last - first > WIDEST {
            let from = floor_char(text, start.saturating_sub(100).max(first));
            let to = floor_char(text, (from + 200).min(last));
            // A key that stands before the window still masks its value.
            let before = floor_char(text, from.saturating_sub(BEFORE).max(first));
            let shown = match masked(&text[before..to]) {
                Cow::Borrowed(_) => Cow::Borrowed(&text[from..to]),
                Cow::Owned(masked) => masked.get(from - before..).unwrap_or_default().to_owned().into(),
            };
            return Some(Self { text: shown, line, mark: start - from..end.clamp(start, to) - from });
        }
        // A mark may begin in the carriage returns that are not shown; it then stands at the end of what is.
        let shown = masked(text[first..last].trim_end_matches('\r'));
        let within = |at: usize| (at - first).min(shown.len());
        let mark = within(start)..within(end.clamp(start, last));
        Some(Self { text: shown, line, mark })
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// All problems as a JSON array: `code`, `severity`, `message`, and where known `file`, `line`, `column`, `label`, `help`, `also`.
pub fn to_json(problems: &[Diagnostic], sources: &Sources) -> serde_json::Value {
    let place = |mark: &Option<(Span, String)>| {
        let (span, label) = mark.as_ref()?;
        let (file, line, column) = sources.place(*span)?;
        Some(serde_json::json!({ "file": file, "line": line, "column": column, "label": label }))
    };
    let one = |problem: &Diagnostic| {
        let mut object = serde_json::Map::new();
        object.insert("code".into(), problem.code.into());
        object.insert("severity".into(), problem.severity.word().into());
        object.insert("message".into(), problem.message.as_str().into());
        if let Some(serde_json::Value::Object(primary)) = place(&problem.primary) {
            object.extend(primary);
        }
        if let Some(also) = place(&problem.also) {
            object.insert("also".into(), also);
        }
        if let Some(help) = &problem.help {
            object.insert("help".into(), help.as_str().into());
        }
        serde_json::Value::Object(object)
    };
    problems.iter().map(one).collect()
}
