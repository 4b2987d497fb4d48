//! `snapshot` of a journey: what is kept as the customer's own last-known-good answer, and when it is shown.

use std::time::Duration;

use super::files::{Status, Text};
use super::forms::Many;
use super::table::{Said, Written, Wrong, table, words};
use super::written::{HeaderKey, short};
use crate::rules::diagnostic::{Code, codes};

table! {
    /// A customer's own last-known-good answers on a journey: kept when they look, shown, with the moment at which they were true, when the upstream cannot be asked. Needs `view_line`, `contained = "read_only"` and a GET route. Only answers with status 200 to a GET of a verified subject on an allow rung are kept; `Set-Cookie` never is.
    SnapshotFile("snapshot") {
        /// For how long, at most 90d. While the journey is contained or its upstream away, this does not run on.
        keep: Said<Duration> = default("\"30d\"");
        /// Members of a JSON answer that are taken out before it is kept (RFC 6901; `*` stands for every item of a list). An answer that is no JSON is then not kept.
        mask: Many<Said<Pointer>> = optional;
        /// Kept although the answer's `Cache-Control` says this. The upstream can say so itself, answer by answer, with `Weir-Cache-Control`.
        even_if: Many<Said<EvenIfWord>> = optional;
        /// Shown when the upstream has not begun to answer after so long; the upstream's own bound when absent.
        slow: Said<Duration> = optional;
        /// Statuses of the upstream in place of which it is shown.
        instead_of: Many<Status> = default("[502, 503, 504]");
        /// Request headers by which the upstream's answers differ, beside `Accept` and `Accept-Language`. An answer whose `Vary` names another one is not kept.
        vary: Many<Said<HeaderKey>> = optional;
        /// The member of a JSON object that says as of when it is true; none is added when absent.
        as_of: Text = optional;
        /// The member of a JSON object that lists the journeys which cannot be done now; none is added when absent.
        blocked_actions: Text = optional;
        /// Whether it is also shown to whoever has a continuity pass, while signing in is not possible.
        pass: Said<bool> = default("true");
    }
}

words! {
    /// What an answer says against being kept, and may be overruled by who owns the application.
    EvenIfWord {
        /// It asks that nothing keeps it. Many frameworks say it on every signed-in page.
        "no-store" => NoStore,
        /// It asks to be asked again before each use.
        "no-cache" => NoCache,
        /// It asks never to be shown once it is stale, not even when the upstream is away.
        "must-revalidate" => MustRevalidate,
    }
}

/// A JSON pointer (RFC 6901), unescaped.
#[derive(Debug, Clone)]
pub(crate) struct Pointer(pub(crate) Vec<Box<str>>);

/// Bytes that one pointer may have, and members that it may go down.
const LONGEST: usize = 512;
const DEEPEST: usize = 32;

impl Written for Pointer {
    const WHAT: &'static str = "a JSON pointer";
    const EXAMPLE: &'static str = "/card/number";
    const CODE: &'static Code = &codes::BAD_POINTER;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let Some(path) = text.strip_prefix('/') else {
            let help = if text.is_empty() {
                "the whole answer cannot be taken out: leave `snapshot` out instead".to_owned()
            } else {
                format!("write \"/{}\": each member after a slash", short(&text.replace('.', "/")))
            };
            return Err(Wrong::help(format!("`{}` does not begin with a slash", short(text)), help));
        };
        if text.len() > LONGEST || path.split('/').count() > DEEPEST {
            return Err(Wrong::help("this JSON pointer is too long", "name a member further up"));
        }
        let mut members = Vec::new();
        for member in path.split('/') {
            let mut rest = member;
            while let Some((_, after)) = rest.split_once('~') {
                if !after.starts_with(['0', '1']) {
                    let help = "write ~0 for ~ and ~1 for / within a member's name";
                    return Err(Wrong::help(format!("`{}` holds a ~ that stands alone", short(text)), help));
                }
                rest = after;
            }
            members.push(member.replace("~1", "/").replace("~0", "~").into());
        }
        Ok(Self(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_the_rfc() {
        let read = |text| Pointer::parse(text).unwrap().0.join("|");
        assert_eq!(read("/card/number"), "card|number");
        assert_eq!(read("/a~1b/m~0n/~01"), "a/b|m~n|~1");
        assert_eq!(read("/"), "");
        for bad in ["", "card", "/a~", "/a~2", "#/card"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }
}
