//! A method in disguise: headers and fields by which many frameworks let a client say that its POST is a DELETE. What a journey
//! guards is guarded by its method, so there such a request is refused.

use http::{HeaderMap, Method, header, request};

use crate::confidence::{Reading, Why};
use crate::identity::fields;

/// The field of Rails, Laravel, Symfony and their kin.
const FIELD: &str = "_method";

/// Whether the head asks that the method be read as another. `_` and `-` are the same to CGI, WSGI and Rack.
pub fn overrides(head: &request::Parts) -> bool {
    head.headers.keys().any(|name| is_override(name.as_str()))
        || head.uri.query().is_some_and(|query| fields::may_name(query, FIELD))
}

fn is_override(name: &str) -> bool {
    let same = |other: &str| {
        name.len() == other.len()
            && name.bytes().zip(other.bytes()).all(|(one, two)| one == two || (one == b'_' && two == b'-'))
    };
    name.starts_with('x') && (same("x-http-method-override") || same("x-http-method") || same("x-method-override"))
}

/// Whether the body is a form that frameworks look into for a method. One of unknown length is then read before it goes on.
pub fn is_form(head: &request::Parts) -> bool {
    head.method == Method::POST && content_type(&head.headers).contains("x-www-form-urlencoded")
}

/// All types that the head names, in lower case.
fn content_type(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::CONTENT_TYPE).iter();
    let text: Vec<String> =
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()).collect();
    text.join(" ")
}

/// Whether a whole body asks that the method be read as another.
pub fn is_overridden(head: &request::Parts, body: &[u8]) -> bool {
    if head.method != Method::POST || !might_name(body) {
        return false;
    }
    let kind = content_type(&head.headers);
    let (form, json) = (kind.contains("x-www-form-urlencoded"), kind.contains("json"));
    let reading = fields::read(FIELD, &head.headers, body);
    match reading {
        Reading::Known(_) => true,
        Reading::Unknown(Why::Missing) => false,
        // What cannot be read in one way might be read in that way.
        Reading::Unknown(_) if form => fields::may_name(&String::from_utf8_lossy(body), FIELD),
        Reading::Unknown(_) if json => named(body) || memchr::memmem::find(body, b"\\u").is_some(),
        Reading::Unknown(_) => kind.contains("multipart/") && named(body),
    }
}

/// A quick look: without an escape the word stands there, or it does not.
fn might_name(body: &[u8]) -> bool {
    memchr::memchr2(b'%', b'\\', body).is_some() || named(body)
}

fn named(body: &[u8]) -> bool {
    body.windows(FIELD.len()).any(|window| window.eq_ignore_ascii_case(FIELD.as_bytes()))
}
