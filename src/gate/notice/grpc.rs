//! A notice as a gRPC status: an answer of headers alone ("Trailers-Only" in gRPC's HTTP/2 protocol), whose `:status` is 200
//! because gRPC clients take any other status for a broken transport. The refusal is `grpc-status`, never a message.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::voice::Said;
use super::{Notice, Voice, exit_member, rfc3339};
use crate::gate::body::Body;
use crate::rules::notices::{Kind, ended};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const ONLY: HeaderName = HeaderName::from_static("weir-only");
const UNTIL: HeaderName = HeaderName::from_static("weir-until");
const REFERENCE: HeaderName = HeaderName::from_static("weir-reference");
/// The ways on, as in a problem document: a list in JSON, percent-encoded as the message is.
const EXITS: HeaderName = HeaderName::from_static("weir-exits");

/// gRPC's status code for a kind of notice.
pub const fn code(kind: Kind) -> u16 {
    match kind {
        // INVALID_ARGUMENT
        Kind::Return | Kind::Incomplete | Kind::MethodOverride | Kind::Target | Kind::Host | Kind::Request => 3,
        // DEADLINE_EXCEEDED
        Kind::TooSlow => 4,
        // PERMISSION_DENIED
        Kind::Handoff | Kind::Denied | Kind::Refused | Kind::AutomationNarrowed => 7,
        // RESOURCE_EXHAUSTED
        Kind::Throttle | Kind::TooLarge => 8,
        // UNIMPLEMENTED
        Kind::Method | Kind::UnknownSite => 12,
        // INTERNAL
        Kind::Internal => 13,
        // UNAVAILABLE
        Kind::ReadOnly | Kind::Busy | Kind::Upstream => 14,
        // UNAUTHENTICATED
        Kind::StepUp | Kind::InvalidToken => 16,
    }
}

/// The answer.
pub(super) fn answer(notice: Notice, said: &Said, voice: &Voice<'_>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(STATUS, HeaderValue::from(code(notice.kind)));
    text(headers, MESSAGE, &format!("{} {}", ended(&said.headline), said.detail));
    text(headers, REFERENCE, &said.reference);
    text(headers, EXITS, &Value::from_iter(notice.exits.iter().map(exit_member)).to_string());
    if notice.kind == Kind::AutomationNarrowed {
        let routes: Vec<&str> = notice.only.iter().flat_map(|may| &may.routes).map(String::as_str).collect();
        text(headers, ONLY, &routes.join(", "));
        if let Some(until) = notice.until {
            text(headers, UNTIL, &rfc3339(until));
        }
    }
    let pushback = match (notice.retryable, notice.retry_after) {
        (true, Some(seconds)) => HeaderValue::from(u64::from(seconds.max(1)) * 1000),
        // What is not positive tells a client not to try again.
        (false, _) | (true, None) => HeaderValue::from_static("-1"),
    };
    headers.insert(PUSHBACK, pushback);
    if let Ok(language) = HeaderValue::from_str(&voice.language().tag) {
        headers.insert(http::header::CONTENT_LANGUAGE, language);
    }
    for (name, value) in notice.fields {
        headers.insert(name, value);
    }
    response
}

/// Text as gRPC's `Percent-Encoded`: whatever is not printable ASCII, and `%`, is written as `%XX` of its UTF-8.
fn text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    let mut encoded = Vec::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte),
            _ => {
                let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 15)];
                encoded.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(&encoded) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_language_fits_a_header() {
        let mut headers = HeaderMap::new();
        text(&mut headers, MESSAGE, "100 % bestätigt\n");
        assert_eq!(headers[MESSAGE], "100 %25 best%C3%A4tigt%0A");
    }
}
