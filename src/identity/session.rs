//! The application's own session, by its cookie: Weir did not make it and cannot read it, it only tells one from another.
//!
//! It must never keep the value: only its keyed hash goes on.

use http::HeaderMap;

use super::cookies;
use crate::confidence::Reading;
use crate::subject::{Names, Session};

/// The session of this request, by the cookie of this name.
pub fn read(headers: &HeaderMap, cookie: &str, names: &Names) -> Reading<Session> {
    cookies::one(headers, cookie).map(|value| names.session(value.as_bytes()))
}

/// The session that an answer begins, by its `Set-Cookie` of this name. `None` when it sets none, or two that differ.
pub fn begun(headers: &HeaderMap, cookie: &str, names: &Names) -> Option<Session> {
    let mut begun = None;
    for field in headers.get_all(http::header::SET_COOKIE) {
        let pair = field.as_bytes().split(|byte| *byte == b';').next()?;
        let Some(equals) = memchr::memchr(b'=', pair) else { continue };
        let value = pair[equals + 1..].trim_ascii();
        if pair[..equals].trim_ascii() != cookie.as_bytes() || value.is_empty() {
            continue;
        }
        let session = names.session(value);
        if begun.is_some_and(|other| other != session) {
            return None;
        }
        begun = Some(session);
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn the_session_that_an_answer_begins_is_the_one_that_the_next_request_brings() {
        let names = Names::new([7; 16]);
        let answer: HeaderMap = [
            (header::SET_COOKIE, HeaderValue::from_static("theme=dark")),
            (header::SET_COOKIE, HeaderValue::from_static("sid=abc; Path=/; HttpOnly")),
        ]
        .into_iter()
        .collect();
        let request: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("theme=dark; sid=abc"))].into_iter().collect();
        let begun = begun(&answer, "sid", &names).unwrap();
        assert_eq!(read(&request, "sid", &names), Reading::Known(begun));
    }
}
