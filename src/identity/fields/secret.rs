//! Reading a password out of a body: where it stands when nothing is escaped, else into one buffer that is wiped.
//!
//! No part of it may be left behind in memory that is given back: the parsers of texts that are not secret keep copies, so they
//! are not used here. It must never be printed.

use std::fmt;

use http::HeaderMap;
use serde::Deserialize as _;
use serde_json::value::RawValue;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Kind, LONGEST, Leaf, Unclear, decode_into, form_value, json_value, kind, may_name};
use crate::confidence::{Reading, Why};

/// A password on its way through: it prints as nothing and is wiped when it goes.
pub struct Secret<'a>(Held<'a>);

enum Held<'a> {
    /// As it stands in the body, which goes on to the upstream.
    There(&'a str),
    /// A copy, because it was written with escapes.
    Own(Zeroizing<String>),
}

impl Secret<'_> {
    /// The password itself, to be compared and dropped.
    pub fn reveal(&self) -> &str {
        match &self.0 {
            Held::There(text) => text,
            Held::Own(text) => text,
        }
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(withheld)")
    }
}

/// The password in this field. Where the query could name it too, it is ambiguous: an upstream may take either.
pub fn secret<'a>(field: &str, query: &str, headers: &HeaderMap, body: &'a [u8]) -> Reading<Secret<'a>> {
    if may_name(query, field) {
        return Reading::Unknown(Why::Ambiguous);
    }
    let kind = match kind(headers) {
        Some(kind) => kind,
        None if body.is_empty() => return Reading::Unknown(Why::Missing),
        None => return Reading::Unknown(Why::Ambiguous),
    };
    let found = match kind {
        Kind::Form => form_value(field, body).and_then(|value| value.map(in_form).transpose()),
        Kind::Json => json_value(field, body, Raw).and_then(|value| match value {
            Some(written) => in_json(written),
            None => Ok(None),
        }),
    };
    match found {
        Ok(Some(secret)) if secret.reveal().is_empty() => Reading::Unknown(Why::Missing),
        Ok(Some(secret)) if secret.reveal().len() > LONGEST => Reading::Unknown(Why::Ambiguous),
        Ok(Some(secret)) => Reading::Known(secret),
        Ok(None) => Reading::Unknown(Why::Missing),
        Err(Unclear) => Reading::Unknown(Why::Ambiguous),
    }
}

/// A copy that is text; what is none is wiped.
fn own(bytes: Vec<u8>) -> Result<Secret<'static>, Unclear> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Secret(Held::Own(Zeroizing::new(text)))),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(Unclear)
        }
    }
}

fn in_form(written: &[u8]) -> Result<Secret<'_>, Unclear> {
    if !written.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return str::from_utf8(written).map(|text| Secret(Held::There(text))).map_err(|_| Unclear);
    }
    // Nothing grows while it is decoded, so the buffer is never left for a larger one.
    let mut bytes = Zeroizing::new(Vec::with_capacity(written.len()));
    decode_into(written, &mut bytes)?;
    own(std::mem::take(&mut *bytes))
}

/// The JSON of a value, as it is written.
#[derive(Clone, Copy)]
struct Raw;

impl<'de> Leaf<'de> for Raw {
    type Found = &'de str;

    fn read<D: serde::Deserializer<'de>>(self, json: D) -> Result<Option<Self::Found>, D::Error> {
        <&RawValue>::deserialize(json).map(|value| Some(value.get()))
    }
}

/// A text, or a whole number as it is written; null is nothing.
fn in_json(written: &str) -> Result<Option<Secret<'_>>, Unclear> {
    let Some(text) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return match written {
            "null" => Ok(None),
            _ if written.parse::<u64>().is_ok() => Ok(Some(Secret(Held::There(written)))),
            _ => Err(Unclear),
        };
    };
    if !text.contains('\\') {
        return Ok(Some(Secret(Held::There(text))));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    unescape(text, &mut bytes)?;
    own(std::mem::take(&mut *bytes)).map(Some)
}

/// RFC 8259, section 7. Every escape is at least as long as what it stands for.
fn unescape(text: &str, into: &mut Vec<u8>) -> Result<(), Unclear> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        into.extend_from_slice(&rest.as_bytes()[..at]);
        let mut after = rest[at + 1..].chars();
        let letter = match after.next().ok_or(Unclear)? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (letter, behind) = unicode(after.as_str())?;
                after = behind.chars();
                letter
            }
            plain @ ('"' | '\\' | '/') => plain,
            _ => return Err(Unclear),
        };
        let mut encoded = Zeroizing::new([0; 4]);
        into.extend_from_slice(letter.encode_utf8(&mut *encoded).as_bytes());
        rest = after.as_str();
    }
    into.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The letter of four hexadecimal digits, or of two times four (a surrogate pair), and what follows.
fn unicode(text: &str) -> Result<(char, &str), Unclear> {
    let (high, rest) = four(text)?;
    if let Some(letter) = char::from_u32(high) {
        return Ok((letter, rest));
    }
    let (low, rest) = four(rest.strip_prefix("\\u").ok_or(Unclear)?)?;
    match (high, low) {
        (0xd800..=0xdbff, 0xdc00..=0xdfff) => char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            .map(|letter| (letter, rest))
            .ok_or(Unclear),
        _ => Err(Unclear),
    }
}

fn four(text: &str) -> Result<(u32, &str), Unclear> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(Unclear)?;
    Ok((u32::from_str_radix(digits, 16).map_err(|_| Unclear)?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};
    use proptest::prelude::*;

    fn typed(content_type: &'static str) -> HeaderMap {
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect()
    }

    fn form(body: &str) -> Reading<String> {
        let headers = typed("application/x-www-form-urlencoded");
        secret("password", "", &headers, body.as_bytes()).map(|secret| secret.reveal().to_owned())
    }

    fn json(body: &str) -> Reading<String> {
        secret("password", "", &typed("application/json"), body.as_bytes()).map(|secret| secret.reveal().to_owned())
    }

    fn known(text: &str) -> Reading<String> {
        Reading::Known(text.to_owned())
    }

    const MISSING: Reading<String> = Reading::Unknown(Why::Missing);
    const UNCLEAR: Reading<String> = Reading::Unknown(Why::Ambiguous);

    #[test]
    fn a_password_prints_as_nothing() {
        let headers = typed("application/x-www-form-urlencoded");
        for body in [&b"p=hunter2"[..], b"p=h%75nter2"] {
            let secret = secret("p", "", &headers, body).known().unwrap();
            assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("hunter2", "Secret(withheld)"));
        }
    }

    #[test]
    fn a_password_in_a_form_is_read_as_the_application_reads_it() {
        assert_eq!(form("email=a&password=hunter2"), known("hunter2"));
        assert_eq!(form("password=p%C3%A4ss+w%2Brd%26&x=1"), known("päss w+rd&"));
        assert_eq!(form("password=+pad+"), known(" pad "), "what stands around it is part of it");
        assert_eq!(form("password="), MISSING);
        assert_eq!(form("email=a"), MISSING);
        for unclear in ["password=a&password=a", "password=%", "password=%ff", "Password=a", "password=a;password=b"] {
            assert_eq!(form(unclear), UNCLEAR, "{unclear}");
        }
        assert_eq!(form(&format!("password={}", "a".repeat(LONGEST + 1))), UNCLEAR);
    }

    #[test]
    fn a_password_in_json_is_read_with_its_escapes() {
        assert_eq!(json(r#"{"email":"a","password":"hunter2"}"#), known("hunter2"));
        assert_eq!(json(r#"{"password":"a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00z"}"#), known("a\"\\/\u{8}\u{c}\n\r\tä😀z"));
        assert_eq!(json(r#"{"password":4711}"#), known("4711"));
        for missing in ["{}", r#"{"password":null}"#, r#"{"password":""}"#] {
            assert_eq!(json(missing), MISSING, "{missing}");
        }
        for unclear in [
            r#"{"password":"a","password":"a"}"#,
            r#"{"password":"a","p\u0061ssword":"b"}"#,
            r#"{"password":["a"]}"#,
            r#"{"password":{"a":"b"}}"#,
            r#"{"password":1.5}"#,
            r#"{"password":-1}"#,
            r#"{"password":true}"#,
            r#"{"password":"\ud83d"}"#,
            r#"{"password":"\ud83dx"}"#,
            r#"{"password":"\ude00\ud83d"}"#,
            r#"{"password":"\q"}"#,
            r#"{"password":"a"#,
            r#"{"password":"a"} x"#,
        ] {
            assert_eq!(json(unclear), UNCLEAR, "{unclear}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = |field: &str| format!("{{\"{field}\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(json(&deep("a")), MISSING);
        assert_eq!(json(&deep("password")), UNCLEAR);
    }

    #[test]
    fn a_password_that_the_query_could_name_too_is_ambiguous() {
        let headers = typed("application/x-www-form-urlencoded");
        for query in ["password=x", "a=b;password=x", "PASSWORD[]=x", "%70assword"] {
            let read = secret("password", query, &headers, b"password=hunter2").map(|_| ());
            assert_eq!(read, Reading::Unknown(Why::Ambiguous), "{query}");
        }
        assert!(secret("password", "next=/password", &headers, b"password=hunter2").known().is_some());
    }

    proptest! {
        #[test]
        fn a_secret_and_a_plain_field_are_read_alike(password in "\\PC{1,20}", escape in any::<bool>()) {
            let mut written = serde_json::to_string(&password).unwrap();
            if escape {
                let units: String = password.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
                written = format!("\"{units}\"");
            }
            prop_assert_eq!(json(&format!("{{\"a\":[1],\"password\":{written}}}")), known(&password));
            let form_written: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(form(&format!("password={form_written}")), known(&password));
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), is_json in any::<bool>()) {
            let headers = typed(if is_json { "application/json" } else { "application/x-www-form-urlencoded" });
            let _ = secret("p", "", &headers, &body);
        }

        #[test]
        fn no_twisted_json_panics(text in r#"[\\"ud8f0-9a-f{}: ,p]{0,40}"#) {
            let headers = typed("application/json");
            let _ = secret("p", "", &headers, format!("{{\"p\":\"{text}\"}}").as_bytes());
        }
    }
}
