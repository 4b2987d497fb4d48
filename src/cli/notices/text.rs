//! The sheet for a terminal: one notice a line, in the default language, and below it who reads it.

use std::fmt::Write as _;

use super::title;
use crate::gate::sheet::{Entry, Sheet};

/// How many, and in which languages.
pub fn head(sheet: &Sheet) -> String {
    let languages = match &*sheet.languages {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        all => all.join(""),
    };
    format!("{} notices in {languages}", sheet.len())
}

/// The table.
pub fn table(dir: &str, sheet: &Sheet) -> String {
    let mut out = format!("{dir}: {}\n", head(sheet));
    for part in &sheet.parts {
        let _ = writeln!(out, "\n{}", title(part));
        for entry in &part.notices {
            let on = entry.journey.as_ref().map(|journey| format!("{journey}: ")).unwrap_or_default();
            let status = entry.status.map_or("200".to_owned(), |status| status.to_string());
            let _ = writeln!(out, "  {status}  {:<20} {on}{}", entry.kind, headline(entry));
            for who in &entry.who {
                let _ = writeln!(out, "{:28}{who}", "");
            }
        }
        if let Some(desk) = &part.desk {
            let _ = writeln!(out, "  desk {:<20} {}", "", desk.script);
        }
    }
    out
}

/// The headline in the default language.
fn headline(entry: &Entry) -> &str {
    let Some(said) = entry.said.first() else { return "" };
    let title = said.problem.as_ref().and_then(|problem| problem.get("title"));
    let told = || said.feed.as_ref().and_then(|feed| feed.get("headline"));
    title.or_else(told).and_then(|words| words.as_str()).unwrap_or("(nothing is said)")
}
