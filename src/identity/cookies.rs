//! Reading one cookie out of a request, without allocating.
//!
//! It must never choose between two values of one name: a proxy and an upstream that choose differently are a way round.

use std::borrow::Cow;

use http::{HeaderMap, header};

use crate::confidence::{Reading, Why};

/// The value of the cookie of this name (RFC 6265, section 5.4: names are case-sensitive), over all `Cookie` fields, into
/// which HTTP/2 may have split it. The same value twice is one value; two values are ambiguous.
pub fn one<'a>(headers: &'a HeaderMap, name: &str) -> Reading<&'a str> {
    let mut found: Option<&'a [u8]> = None;
    for field in headers.get_all(header::COOKIE) {
        for pair in field.as_bytes().split(|byte| *byte == b';') {
            let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes());
            let Some(value) = rest.and_then(|rest| rest.trim_ascii_start().strip_prefix(b"=")) else { continue };
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

/// Whether an application may take this piece of a cookie field for the cookie of this name, and for which value: in another letter
/// case, escaped, or behind a comma, as older parsers read it. What is spelled plainly is among them.
pub fn taken_for<'a>(piece: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    piece.split(|byte| *byte == b',').enumerate().filter_map(move |(at, part)| {
        let equals = memchr::memchr(b'=', part)?;
        if !is_name(&part[..equals], name) {
            return None;
        }
        // The plain reading of a value goes on to the end of the piece.
        let value = if at == 0 { &piece[equals + 1..] } else { &part[equals + 1..] };
        Some(value.trim_ascii())
    })
}

fn is_name(written: &[u8], name: &str) -> bool {
    let trimmed = written.trim_ascii();
    if trimmed.len() < name.len() {
        return false;
    }
    let edge = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | 0xa0);
    let mut rest = trimmed;
    while let [first, inner @ ..] = rest
        && edge(first)
    {
        rest = inner;
    }
    while let [inner @ .., last] = rest
        && edge(last)
    {
        rest = inner;
    }
    unescaped(rest).eq_ignore_ascii_case(name.as_bytes())
}

/// A value as an application may read it: without quotes, with `\\` escapes and `%XX` undone. The same value has one such form,
/// however a client spells it.
pub fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if !value.iter().any(|byte| matches!(byte, b'"' | b'%' | b'\\' | b'\'')) {
        return Cow::Borrowed(value);
    }
    let mut now = value.to_vec();
    // Each round shortens what it changes; what is still changing after four is spelled by no honest client.
    for _ in 0..4 {
        let next = undone(&now);
        if next == now {
            break;
        }
        now = next;
    }
    Cow::Owned(now)
}

fn undone(bytes: &[u8]) -> Vec<u8> {
    let number = |at: std::ops::Range<usize>, radix: u32| {
        let digits = std::str::from_utf8(bytes.get(at)?).ok().filter(|digits| !digits.starts_with('+'))?;
        u8::from_str_radix(digits, radix).ok()
    };
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (letter, length) = match byte {
            b'"' | b'\'' => (None, 1),
            b'%' => number(at + 1..at + 3, 16).map_or((Some(b'%'), 1), |letter| (Some(letter), 3)),
            b'\\' => number(at + 1..at + 4, 8).map_or((None, 1), |letter| (Some(letter), 4)),
            other => (Some(*other), 1),
        };
        plain.extend(letter);
        at += length;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_value_has_one_form_however_it_is_spelled() {
        for spelled in ["s-one", "\"s-one\"", "%73-one", "s%2Done", "s%252done", "\"\\163-one\"", " 's-one' "] {
            assert_eq!(&*unescaped(spelled.as_bytes()), b"s-one", "{spelled}");
        }
        assert_eq!(&*unescaped(b"s%3Aabc%zz%+1"), b"s:abc%zz%+1");
    }

    #[test]
    fn a_piece_is_taken_for_the_cookie_wherever_some_parser_finds_it() {
        let found = |piece: &str| -> Vec<String> {
            taken_for(piece.as_bytes(), "sid").map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        assert_eq!(found(" sid = a,b"), ["a,b"]);
        assert_eq!(found("SID=a"), ["a"]);
        assert_eq!(found("%73id=a"), ["a"]);
        assert_eq!(found("\"sid\"=a"), ["a"]);
        assert_eq!(found("theme=dark, sid=a"), ["a"]);
        assert_eq!(found("sidx=a"), Vec::<String>::new());
        assert_eq!(found("x-sid=a"), Vec::<String>::new());
    }

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
