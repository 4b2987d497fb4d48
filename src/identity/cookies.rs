//! Reading one cookie out of a request, without allocating.
//!
//! It must never choose between two values of one name: a proxy and an upstream that choose differently are a way round.

use http::{HeaderMap, header};

use crate::confidence::{Reading, Why};

/// The value of the cookie of this name (RFC 6265, section 5.4: names are case-sensitive), over all `Cookie` fields, into
/// which HTTP/2 may have split it. The same value twice is one value; two values are ambiguous.
pub fn one<'a>(headers: &'a HeaderMap, name: &str) -> Reading<&'a str> {
    let mut found: Option<&'a [u8]> = None;
    for field in headers.get_all(header::COOKIE) {
        for pair in field.as_bytes().split(|byte| *byte == b';') {
            let Some(equals) = memchr::memchr(b'=', pair) else { continue };
            let (key, value) = (&pair[..equals], &pair[equals + 1..]);
            if key.trim_ascii() != name.as_bytes() {
                continue;
            }
            let value = value.trim_ascii();
            match found {
                Some(other) if other != value => return Reading::Unknown(Why::Ambiguous),
                _ => found = Some(value),
            }
        }
    }
    match found.map(str::from_utf8) {
        None | Some(Ok("")) => Reading::Unknown(Why::Missing),
        Some(Ok(value)) => Reading::Known(value),
        Some(Err(_)) => Reading::Unknown(Why::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[&'static str]) -> HeaderMap {
        fields.iter().map(|field| (header::COOKIE, HeaderValue::from_static(field))).collect()
    }

    #[test]
    fn one_cookie_is_found_among_many_and_across_fields() {
        let map = headers(&["a=1; sid=abc=; b", " sidx=2;c="]);
        assert_eq!(one(&map, "sid"), Reading::Known("abc="));
        assert_eq!(one(&map, "sidx"), Reading::Known("2"));
        for absent in ["c", "SID", "id", "b", "d"] {
            assert_eq!(one(&map, absent), Reading::Unknown(Why::Missing), "{absent}");
        }
    }

    #[test]
    fn two_values_of_one_name_are_ambiguous_and_the_same_twice_is_not() {
        assert_eq!(one(&headers(&["sid=1; sid=2"]), "sid"), Reading::Unknown(Why::Ambiguous));
        assert_eq!(one(&headers(&["sid=1", "sid=2"]), "sid"), Reading::Unknown(Why::Ambiguous));
        assert_eq!(one(&headers(&["sid=1", "sid = 1"]), "sid"), Reading::Known("1"));
    }

    #[test]
    fn a_value_that_is_no_text_is_ambiguous() {
        let map: HeaderMap =
            [(header::COOKIE, HeaderValue::from_bytes(b"sid=\xff\xfe").unwrap())].into_iter().collect();
        assert_eq!(one(&map, "sid"), Reading::Unknown(Why::Ambiguous));
    }
}
