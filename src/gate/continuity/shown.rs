//! Where what is shown is dressed: a customer's own last-known-good answer, and a page that comes live while its journey is contained.
//!
//! A page gets its banner and its marks, a JSON object the members that its journey asks for, and everything else goes as it is. It must
//! never change a value of the application's own, and never dress what it cannot read.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, request};

use super::banner::{self, Banner};
use super::marks::Marks;
use super::works;
use crate::clock::Moment;
use crate::gate::Gate;
use crate::gate::body::Body;
use crate::gate::context::Context;
use crate::gate::notice::{Reader, rfc3339};
use crate::judge::decision::Clearance;
use crate::rules::notices::LanguageId;
use crate::rules::snapshots::SnapshotLaw;
use crate::snapshots;

/// A kept answer that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// What the journey says of it.
    pub law: &'a SnapshotLaw,
    /// When it was true.
    pub as_of: Moment,
    /// Its body, whole and without a content coding.
    pub body: &'a Bytes,
}

/// The body of a kept answer as it is sent to this reader; its fields no longer say what does not hold of it.
pub fn kept(
    gate: &Gate,
    context: &Context<'_>,
    languages: Option<&HeaderValue>,
    kept: Kept<'_>,
    headers: &mut HeaderMap,
) -> Bytes {
    let notices = &context.prepared.rules().notices;
    let spoken = notices.choose(languages.map(HeaderValue::as_bytes));
    // Also where a script fetches the page to put it into another: people read it all the same.
    if banner::fits(headers) {
        banner::unstamp(headers);
        return banner::rewrite_whole(kept.body, of(gate, context, spoken, Some(kept.as_of)));
    }
    let asks = kept.law.as_of.is_some() || kept.law.blocked_actions.is_some();
    if !asks || !is_json(headers) {
        return kept.body.clone();
    }
    let mut more = Vec::new();
    if let Some(name) = &kept.law.as_of {
        more.push((&**name, format!("\"{}\"", rfc3339(kept.as_of))));
    }
    if let Some(name) = &kept.law.blocked_actions {
        let rules = context.prepared.rules();
        let blocked = works::constraints(gate, context, spoken);
        let names: Vec<&str> = blocked.iter().map(|one| &*rules.journey(one.journey).name).collect();
        more.push((&**name, serde_json::to_string(&names).unwrap_or_else(|_| "[]".to_owned())));
    }
    match with_members(kept.body, &more) {
        Some(body) => {
            banner::unstamp(headers);
            body
        }
        None => kept.body.clone(),
    }
}

/// A page that comes live while its journey is contained, and who reads it.
#[derive(Debug)]
pub struct Live {
    languages: Option<HeaderValue>,
}

impl Live {
    /// Whether this request goes to such a page and the law wants it dressed. It is then asked for without a content coding.
    pub fn of(context: &Context<'_>, clearance: &Clearance, reader: Reader, head: &mut request::Parts) -> Option<Self> {
        let wanted = clearance.is_for_looking()
            && context.prepared.rules().banner.live
            && reader == Reader::Browser
            && head.method == Method::GET;
        if !wanted {
            return None;
        }
        head.headers.remove(ACCEPT_ENCODING);
        Some(Self { languages: head.headers.get(ACCEPT_LANGUAGE).cloned() })
    }

    /// The page, dressed; whatever else came, as it is.
    pub fn dress(self, gate: &Gate, context: &Context<'_>, mut response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK || !banner::fits(response.headers()) {
            return response;
        }
        let notices = &context.prepared.rules().notices;
        let spoken = notices.choose(self.languages.as_ref().map(HeaderValue::as_bytes));
        banner::unstamp(response.headers_mut());
        let banner = of(gate, context, spoken, None);
        response.map(|body| banner::rewrite(body, banner))
    }
}

fn of(gate: &Gate, context: &Context<'_>, spoken: LanguageId, as_of: Option<Moment>) -> Banner {
    let rules = context.prepared.rules();
    let says = context.journey.and_then(|journey| works::says(gate, context, journey, spoken));
    let marks = Marks::of(context, works::constraints(gate, context, spoken));
    Banner::new(&rules.banner, rules.notices.language(spoken), as_of, says.as_deref(), marks)
}

fn is_json(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A JSON object with these members, in place of its own of the same names. Every other value stays as it was written, to the last
/// digit. `None` for what is no object.
fn with_members(body: &[u8], more: &[(&str, String)]) -> Option<Bytes> {
    let members = snapshots::members(body)?;
    let mut out = String::with_capacity(body.len() + 256);
    out.push('{');
    let own = members.iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name));
    let own = own.map(|(name, value)| (&**name, value.get()));
    for (name, value) in own.chain(more.iter().map(|(name, value)| (*name, &**value))) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(name).ok()?);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_to_objects_alone_and_no_value_is_written_anew() {
        let more = [("as_of", "\"2026-11-02T12:00:00Z\"".to_owned()), ("blocked", "[]".to_owned())];
        let with =
            |body: &str| with_members(body.as_bytes(), &more).map(|body| String::from_utf8(body.to_vec()).unwrap());
        assert_eq!(with("{}").unwrap(), "{\"as_of\":\"2026-11-02T12:00:00Z\",\"blocked\":[]}");
        assert_eq!(
            with(" {\"sum\": 1.10, \"id\":12345678901234567890123,\"as_of\" : 1, \"a\\u00e9\": {\"b\":[1 ,2]} } ")
                .unwrap(),
            "{\"sum\":1.10,\"id\":12345678901234567890123,\"aé\":{\"b\":[1 ,2]},\"as_of\":\"2026-11-02T12:00:00Z\",\"blocked\":[]}"
        );
        for no_object in ["", "[]", "1", "\"{}\"", "{", "{}{}", "{} x", "{\"a\":}", "nul"] {
            assert_eq!(with(no_object), None, "{no_object}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(with(&deep).unwrap().starts_with(deep.trim_end_matches('}')), "however deep");
        assert_eq!(with_members(b"{\"a\":\"\xff\"}", &more), None);
    }

    #[test]
    fn json_is_known_by_its_kind() {
        let json =
            |kind: &'static str| is_json(&[(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect());
        assert!(json("application/json") && json("Application/HAL+JSON; charset=utf-8"));
        assert!(!json("text/json") && !json("application/jsonp") && !json("text/html"));
    }
}
