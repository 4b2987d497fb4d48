//! A route as it is written: a method and a path with places for names. And the one text that is either a word or an address.
//!
//! What is accepted here is already in the canonical form that requests are brought into, so that no written route can be
//! one that no request ever reaches.

use super::table::{Written, Wrong};
use super::written::{Address, Method, short};
use crate::rules::diagnostic::{Code, codes};
use crate::rules::ruleset::Otherwise;

/// A method and a path.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Upper case.
    pub(crate) method: Box<str>,
    /// As written.
    pub(crate) path: Box<str>,
}

/// Bytes that a path may have, `{}` and names included.
const LONGEST: usize = 1_024;

impl Written for Route {
    const WHAT: &'static str = "a route";
    const EXAMPLE: &'static str = "GET /account/{id}/balance";
    const CODE: &'static Code = &codes::BAD_ROUTE;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let Some((method, path)) = text.split_once(' ') else {
            let help = "write a method, a space and a path: \"POST /login\"";
            return Err(Wrong::help(format!("`{}` is not a method and a path", short(text)), help));
        };
        let Method(method) = Method::parse(method)?;
        check_path(path)?;
        Ok(Self { method, path: path.into() })
    }
}

impl Route {
    /// The path as the router takes it: without trailing slash, and with every name alike, so that equal routes are equal.
    pub(crate) fn folded(&self) -> String {
        let path = if self.path.len() > 1 { self.path.trim_end_matches('/') } else { &self.path };
        let mut folded = String::with_capacity(path.len());
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            folded.push_str(before);
            folded.push_str(if name.starts_with('*') { "{*rest}" } else { "{name}" });
            rest = after;
        }
        folded.push_str(rest);
        folded
    }
}

fn check_path(path: &str) -> Result<(), Wrong> {
    let said = || format!("the path `{}`", short(path));
    let wrong = |what: &str, help: &str| Err(Wrong::help(format!("{} {what}", said()), help));
    if !path.starts_with('/') {
        return wrong("does not begin with a slash", "write \"POST /login\"");
    }
    if path.len() > LONGEST {
        return wrong("is too long", "shorten it with {*rest}");
    }
    if path.contains(['?', '#']) {
        return wrong(
            "has a query or a fragment",
            "leave it out: routes are told apart by path alone; conditions see the query",
        );
    }
    if path.contains('%') {
        return wrong(
            "holds %",
            "write what it stands for: requests are decoded before they are compared; {name} takes anything",
        );
    }
    if path.contains("//") {
        return wrong("holds //", "write one slash: requests are brought into that form before they are compared");
    }
    if path.contains([';', '\\']) {
        return wrong(
            "holds ; or a backslash",
            "leave it out: requests lose their parameters before they are compared",
        );
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let help = format!("write \"{}\": letter case makes no other route", path.to_ascii_lowercase());
        return wrong("has upper-case letters", &help);
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>^`|".contains(&byte)) {
        return wrong("holds spaces or letters beyond ASCII", "use {name} for that segment");
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        check_segment(segment, segments.peek().is_none())
            .map_err(|(what, help)| Wrong::help(format!("{} {what}", said()), help))?;
    }
    Ok(())
}

fn check_segment(segment: &str, last: bool) -> Result<(), (&'static str, &'static str)> {
    if segment == "." || segment == ".." {
        return Err(("has dot segments", "write the path that they lead to"));
    }
    if segment.ends_with('.') {
        return Err((
            "has a segment that ends with a dot",
            "leave the dot out: requests lose it before they are compared",
        ));
    }
    let Some((before, rest)) = segment.split_once('{') else {
        return if segment.contains('}') {
            Err(("has a } without a {", "write {name} for one segment"))
        } else {
            Ok(())
        };
    };
    let Some((name, after)) = rest.split_once('}') else {
        return Err(("has a { without a }", "write {name} for one segment"));
    };
    if before.contains('}') || after.contains(['{', '}']) {
        return Err(("has more than one name in a segment", "give each segment one name at most"));
    }
    let (rest, name) = name.strip_prefix('*').map_or((false, name), |name| (true, name));
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(("has a name that cannot be read", "write {id}: lower-case letters, digits and _"));
    }
    if rest && (!last || !before.is_empty() || !after.is_empty()) {
        return Err(("has {*rest} before its end", "{*rest} takes all that follows: it stands alone at the end"));
    }
    Ok(())
}

/// What is offered when help is closed or full.
#[derive(Debug, Clone)]
pub(crate) struct OtherwiseText(pub(crate) Otherwise);

impl Written for OtherwiseText {
    const WHAT: &'static str = "what is offered instead";
    const EXAMPLE: &'static str = "callback";
    const CODE: &'static Code = &codes::UNKNOWN_WORD;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "callback" {
            return Ok(Self(Otherwise::Callback));
        }
        match Address::parse(text) {
            Ok(Address(address)) => Ok(Self(Otherwise::Address(address))),
            Err(_) => Err(Wrong::help(
                format!("`{}` is neither `callback` nor an address", short(text)),
                "write \"callback\", or \"https://...\" of a page that is always there",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_written_canonically() {
        for good in [
            "GET /",
            "POST /login",
            "GET /a/{id}/b",
            "GET /files/{*rest}",
            "GET /v{n}/x.json",
            "GET /a/",
            "M-SEARCH /x",
        ] {
            assert!(Route::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "/login",
            "post /login",
            "GET login",
            "GET  /login",
            "GET /A",
            "GET /a%20b",
            "GET /a//b",
            "GET /a;b",
            "GET /a/../b",
            "GET /a?b",
            "GET /{id",
            "GET /id}",
            "GET /{}",
            "GET /{a}{b}",
            "GET /{*rest}/x",
            "GET /x{*rest}",
            "GET /a.",
            "GET /a\\b",
            "GET /{ID}",
            "GET /ä",
        ] {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_places_make_no_other_route() {
        let folded = |text| Route::parse(text).unwrap().folded();
        assert_eq!(folded("GET /a/{id}/b/"), folded("GET /a/{name}/b"));
        assert_eq!(folded("GET /"), "/");
        assert_eq!(folded("GET /{*all}"), "/{*rest}");
    }
}
