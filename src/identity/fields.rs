//! Reading one field out of a form or a JSON body, where it can be read in one way only.
//!
//! A body that an upstream might read differently (a field twice, two types, a bad escape, another charset) is ambiguous. It
//! must never panic, never recurse without a bound, and never keep or print a password.

mod secret;

pub use secret::{Secret, secret};

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, header};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::confidence::{Reading, Why};

/// A value longer than this names nobody.
const LONGEST: usize = 1024;
/// Steps of a pointer into JSON (`/user/email`).
const DEEPEST: usize = 8;

/// The field of this name, or at this pointer (`/user/email`, RFC 6901, JSON only). Empty is missing.
pub fn read<'a>(field: &str, headers: &HeaderMap, body: &'a [u8]) -> Reading<Cow<'a, str>> {
    let kind = match kind(headers) {
        Some(kind) => kind,
        None if body.is_empty() => return Reading::Unknown(Why::Missing),
        None => return Reading::Unknown(Why::Ambiguous),
    };
    let found = match kind {
        Kind::Form => in_form(field, body),
        Kind::Json => in_json(field, body),
    };
    match found {
        Ok(Some(value)) if value.trim().is_empty() => Reading::Unknown(Why::Missing),
        Ok(Some(value)) if value.len() > LONGEST => Reading::Unknown(Why::Ambiguous),
        Ok(Some(value)) => Reading::Known(value),
        Ok(None) => Reading::Unknown(Why::Missing),
        Err(Unclear) => Reading::Unknown(Why::Ambiguous),
    }
}

/// What cannot be read in one way only.
struct Unclear;

#[derive(Clone, Copy)]
enum Kind {
    Form,
    Json,
}

/// What the body is, when there is one type, in UTF-8, and the body is not packed.
fn kind(headers: &HeaderMap) -> Option<Kind> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return None };
    let packed = |value: &http::HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(packed) {
        return None;
    }
    let mut parts = content_type.to_str().ok()?.split(';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("charset")
            && !value.eq_ignore_ascii_case("utf-8")
            && !value.eq_ignore_ascii_case("utf8")
        {
            return None;
        }
    }
    match essence.as_str() {
        "application/x-www-form-urlencoded" => Some(Kind::Form),
        "application/json" | "text/json" => Some(Kind::Json),
        other if other.starts_with("application/") && other.ends_with("+json") => Some(Kind::Json),
        _ => None,
    }
}

/// Names that an upstream may take for this one: other letter case, or an element of a list (`email[]`, `email[0]`).
fn may_be_taken_for(name: &str, field: &str) -> bool {
    let stem = name.split_once('[').map_or(name, |(stem, _)| stem).trim();
    name != field && stem.eq_ignore_ascii_case(field)
}

/// The field as a server reads it that takes query and body for one: in both, it must say the same.
pub fn with_query<'a>(field: &str, query: &str, body: Reading<Cow<'a, str>>) -> Reading<Cow<'a, str>> {
    if !may_name(query, field) {
        return body;
    }
    match (in_form(field, query.as_bytes()), &body) {
        (Ok(Some(asked)), Reading::Known(sent)) if asked == *sent => body,
        _ => Reading::Unknown(Why::Ambiguous),
    }
}

/// Whether a query or a form may hold this field in some server's reading: `;` parts pairs too, as it once did.
pub fn may_name(text: &str, field: &str) -> bool {
    text.split(['&', ';', '?']).any(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        let name = match decode(name.as_bytes()) {
            Ok(name) => name,
            Err(Unclear) => return false,
        };
        let name = name.trim();
        name == field || may_be_taken_for(name, field)
    })
}

/// WHATWG URL, section 5.1, but a bad escape or bad UTF-8 is an error instead of a guess.
fn form_value<'a>(field: &str, body: &'a [u8]) -> Result<Option<&'a [u8]>, Unclear> {
    let mut found = None;
    for pair in body.split(|byte| *byte == b'&') {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        let name = decode(name)?;
        if may_be_taken_for(&name, field) || (name == field && found.is_some()) {
            return Err(Unclear);
        }
        // Browsers escape `;`; servers that part pairs at it find another field behind it.
        if memchr::memchr(b';', pair).is_some_and(|at| may_name(&String::from_utf8_lossy(&pair[at + 1..]), field)) {
            return Err(Unclear);
        }
        if name == field {
            found = Some(value);
        }
    }
    Ok(found)
}

fn in_form<'a>(field: &str, body: &'a [u8]) -> Result<Option<Cow<'a, str>>, Unclear> {
    form_value(field, body)?.map(decode).transpose()
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unclear> {
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Unclear);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    decode_into(bytes, &mut decoded)?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Unclear)
}

/// Appends what is escaped, which is never longer than its escapes.
fn decode_into(bytes: &[u8], decoded: &mut Vec<u8>) -> Result<(), Unclear> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(Unclear);
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next(), rest.next()) {
                (Some(high), Some(low)) => digit(high)? << 4 | digit(low)?,
                _ => return Err(Unclear),
            },
            other => other,
        });
    }
    Ok(())
}

fn in_json<'a>(field: &str, body: &'a [u8]) -> Result<Option<Cow<'a, str>>, Unclear> {
    json_value(field, body, Plain)
}

fn json_value<'a, L: Leaf<'a>>(field: &str, body: &'a [u8], leaf: L) -> Result<Option<L::Found>, Unclear> {
    let steps: Vec<Cow<'_, str>> = match field.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(unescape).collect(),
        None => vec![Cow::Borrowed(field)],
    };
    if steps.len() > DEEPEST {
        return Err(Unclear);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = At(&steps, leaf).deserialize(&mut json).map_err(|_| Unclear)?;
    json.end().map_err(|_| Unclear)?;
    Ok(found)
}

/// RFC 6901, section 3.
fn unescape(step: &str) -> Cow<'_, str> {
    match step.contains('~') {
        true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(step),
    }
}

/// How the value at the end of the steps is read.
trait Leaf<'de>: Copy {
    /// What it is read as.
    type Found;

    /// Reads it; null is nothing.
    fn read<D: serde::Deserializer<'de>>(self, json: D) -> Result<Option<Self::Found>, D::Error>;
}

/// A value that is no secret.
#[derive(Clone, Copy)]
struct Plain;

impl<'de> Leaf<'de> for Plain {
    type Found = Cow<'de, str>;

    fn read<D: serde::Deserializer<'de>>(self, json: D) -> Result<Option<Self::Found>, D::Error> {
        json.deserialize_any(Text)
    }
}

/// Walks down these steps, and refuses an object that has one of them twice.
struct At<'s, L>(&'s [Cow<'s, str>], L);

impl<'de, L: Leaf<'de>> DeserializeSeed<'de> for At<'_, L> {
    type Value = Option<L::Found>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => self.1.read(json),
            _ => json.deserialize_any(self),
        }
    }
}

impl<'de, L: Leaf<'de>> Visitor<'de> for At<'_, L> {
    type Value = Option<L::Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(None) };
        let mut seen = false;
        let mut found = None;
        while let Some(key) = map.next_key_seed(Key)? {
            if may_be_taken_for(&key, step) || (key == *step && seen) {
                return Err(M::Error::custom("the field could be read in two ways"));
            }
            if key == *step {
                seen = true;
                found = map.next_value_seed(At(rest, self.1))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(Text).map(Option::unwrap_or_default)
    }
}

/// A text, or a whole number as it is written; null is nothing. Anything else names nobody.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn typed(content_type: &'static str) -> HeaderMap {
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect()
    }

    fn form(body: &str) -> Reading<Cow<'_, str>> {
        read("email", &typed("application/x-www-form-urlencoded"), body.as_bytes())
    }

    fn json<'a>(field: &str, body: &'a str) -> Reading<Cow<'a, str>> {
        read(field, &typed("application/json; charset=UTF-8"), body.as_bytes())
    }

    fn known(text: &str) -> Reading<Cow<'_, str>> {
        Reading::Known(Cow::Borrowed(text))
    }

    const MISSING: Reading<Cow<'_, str>> = Reading::Unknown(Why::Missing);
    const UNCLEAR: Reading<Cow<'_, str>> = Reading::Unknown(Why::Ambiguous);

    #[test]
    fn a_form_field_is_read() {
        assert_eq!(form("a=1&email=ada%40shop.example&b="), known("ada@shop.example"));
        assert_eq!(form("%65mail=ada+l"), known("ada l"));
        for missing in ["", "a=1", "email", "email=", "email=%20"] {
            assert_eq!(form(missing), MISSING, "{missing}");
        }
    }

    #[test]
    fn a_form_that_could_be_read_in_two_ways_is_ambiguous() {
        let twice = ["email=a&email=b", "email=a&email=a", "email=a&%65mail=b", "email=a&email[]=b", "Email=a&email=b"];
        let broken = ["email=%", "email=%4", "email=%zz", "email=%ff", "%zz=1&email=a", "EMAIL=a"];
        for body in twice.iter().chain(&broken) {
            assert_eq!(form(body), UNCLEAR, "{body}");
        }
    }

    #[test]
    fn a_json_field_is_read_at_the_top_and_by_a_pointer() {
        assert_eq!(json("email", r#"{"a":{"email":"no"},"email":"ada\u0040x"}"#), known("ada@x"));
        assert_eq!(json("/user/email", r#"{"user":{"x":[1],"email":"ada"}}"#), known("ada"));
        assert_eq!(json("/a~1b", r#"{"a/b":"ada"}"#), known("ada"));
        assert_eq!(json("email", r#"{"email":4711}"#), known("4711"));
        for missing in ["{}", r#"{"email":null}"#, r#"{"email":" "}"#] {
            assert_eq!(json("email", missing), MISSING, "{missing}");
        }
    }

    #[test]
    fn json_that_could_be_read_in_two_ways_is_ambiguous() {
        let bodies = [
            r#"{"email":"a","email":"b"}"#,
            r#"{"email":"a","\u0065mail":"b"}"#,
            r#"{"email":"a","Email":"b"}"#,
            r#"{"email":["a"]}"#,
            r#"{"email":{}}"#,
            r#"{"email":true}"#,
            r#"{"email":1.5}"#,
            r#"{"email":"a"} {}"#,
            r#"{"email":"a""#,
            r#"[{"email":"a"}]"#,
            "",
            "\u{feff}{}",
        ];
        for body in bodies {
            assert_eq!(json("email", body), UNCLEAR, "{body:.60}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = |field: &str| format!("{{\"{field}\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(json("email", &deep("a")), MISSING);
        assert_eq!(json("email", &deep("email")), UNCLEAR);
    }

    #[test]
    fn a_body_of_unclear_type_is_ambiguous() {
        let body = b"email=a";
        let none = HeaderMap::new();
        assert_eq!(read("email", &none, body), UNCLEAR);
        assert_eq!(read("email", &none, b""), MISSING);
        for odd in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=utf-16",
            "",
            "application/json, application/x-www-form-urlencoded",
        ] {
            assert_eq!(read("email", &typed(odd), body), UNCLEAR, "{odd}");
        }
        let mut two = typed("application/x-www-form-urlencoded");
        two.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(read("email", &two, body), UNCLEAR);
        let mut packed = typed("application/x-www-form-urlencoded");
        packed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(read("email", &packed, body), UNCLEAR);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), json in any::<bool>(), field in "/?[a-z~/]{0,12}") {
            let headers = typed(if json { "application/json" } else { "application/x-www-form-urlencoded" });
            let _ = read(&field, &headers, &body);
        }

        #[test]
        fn no_twisted_body_panics(body in r#"[{}\[\]":,aemil\\u0%&=+ ]{0,60}"#, json in any::<bool>()) {
            let headers = typed(if json { "application/json" } else { "application/x-www-form-urlencoded" });
            let _ = read("email", &headers, body.as_bytes());
        }
    }
}
