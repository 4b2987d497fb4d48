//! Takes members out of a JSON answer before it is kept.
//!
//! What is masked must never reach the disk or another memory than the answer's own: what cannot be read as JSON is not kept.

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A way down into a document, member by member; in a list a number, or `*` for each.
pub type Pointer = Box<[Box<str>]>;

/// The document without these members, and every other value as it was written; nothing when it is no JSON.
pub(super) fn without(body: &[u8], pointers: &[Pointer]) -> Option<Vec<u8>> {
    let document: &RawValue = serde_json::from_slice(body).ok()?;
    let ways: Vec<&[Box<str>]> = pointers.iter().map(|pointer| &**pointer).collect();
    let mut out = String::with_capacity(body.len());
    write(document.get(), &ways, &mut out)?;
    Some(out.into_bytes())
}

fn write(value: &str, ways: &[&[Box<str>]], out: &mut String) -> Option<()> {
    match value.as_bytes().first() {
        Some(b'{') if !ways.is_empty() => object(value, ways, out),
        Some(b'[') if !ways.is_empty() => list(value, ways, out),
        _ => {
            out.push_str(value);
            Some(())
        }
    }
}

fn object(value: &str, ways: &[&[Box<str>]], out: &mut String) -> Option<()> {
    out.push('{');
    let mut first = true;
    for (name, value) in members(value.as_bytes())? {
        let Some(deeper) = beyond(ways, |member| *member == *name) else { continue };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(&name).ok()?);
        out.push(':');
        write(value.get(), &deeper, out)?;
    }
    out.push('}');
    Some(())
}

fn list(value: &str, ways: &[&[Box<str>]], out: &mut String) -> Option<()> {
    let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
    let emptied = ways.iter().any(|way| matches!(way, [each] if &**each == "*"));
    out.push('[');
    for (at, item) in items.into_iter().enumerate().take_while(|_| !emptied) {
        if at > 0 {
            out.push(',');
        }
        match beyond(ways, |member| member == "*" || place(member) == Some(at)) {
            Some(deeper) => write(item.get(), &deeper, out)?,
            // The others keep their places, so that the next pointer means what it says.
            None => out.push_str("null"),
        }
    }
    out.push(']');
    Some(())
}

/// The ways on, of those that lead here; nothing where one of them ends.
fn beyond<'p>(ways: &[&'p [Box<str>]], leads: impl Fn(&str) -> bool) -> Option<Vec<&'p [Box<str>]>> {
    let mut all = Vec::new();
    for way in ways {
        match way {
            [member, rest @ ..] if leads(member) => match rest {
                [] => return None,
                _ => all.push(rest),
            },
            _ => {}
        }
    }
    Some(all)
}

/// An object's members in their order, each value as it is written; one name may stand there twice. `None` for what is no object
/// alone.
pub fn members(document: &[u8]) -> Option<Vec<(String, &RawValue)>> {
    let mut reader = serde_json::Deserializer::from_slice(document);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// RFC 6901, section 4: digits without a leading zero.
fn place(member: &str) -> Option<usize> {
    let digits = member.bytes().all(|byte| byte.is_ascii_digit()) && (member == "0" || !member.starts_with('0'));
    if digits { member.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_masked_is_gone_wherever_it_stands() {
        let masked = |body: &str, pointers: &[&[&str]]| {
            let pointers: Vec<Pointer> =
                pointers.iter().map(|members| members.iter().map(|member| Box::from(*member)).collect()).collect();
            without(body.as_bytes(), &pointers).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let body = r#"{"card":{"number":"4111","brand":"v"},"cards":[{"number":1,"n":2},{"number":3}],"a/b":1}"#;
        assert_eq!(
            masked(body, &[&["card", "number"], &["cards", "*", "number"], &["a/b"], &["not", "there"]]).unwrap(),
            r#"{"card":{"brand":"v"},"cards":[{"n":2},{}]}"#
        );
        assert_eq!(masked("[1,2,3]", &[&["1"], &["01"], &["9"]]).unwrap(), "[1,null,3]");
        assert_eq!(masked(r#"{"number":1,"number":2}"#, &[&["number"]]).unwrap(), "{}");
        assert_eq!(
            masked(r#"{"c\u0061rd":{"number":1},"card":{"number":2,"n":3}}"#, &[&["card", "number"]]).unwrap(),
            r#"{"card":{},"card":{"n":3}}"#
        );
        assert_eq!(masked("[[1,2],[3]]", &[&["*", "0"], &["1", "*"]]).unwrap(), "[[null,2],[]]");
        assert_eq!(masked("<html>", &[]), None);
        assert_eq!(masked("{\"a\":1", &[&["a"]]), None);
    }

    #[test]
    fn what_is_not_masked_stays_as_it_was_written_to_the_last_digit() {
        let pointers: Vec<Pointer> =
            vec![vec!["card".into(), "number".into()].into(), vec!["items".into(), "*".into(), "cvc".into()].into()];
        let body = r#" {"sum": 1.10, "id":12345678901234567890123, "e":1E400, "card":{"number":1, "limit": 2000.00},
            "items":[{"cvc":1,"price":0.10000000000000000001}, 3.0 ]} "#;
        let masked = without(body.as_bytes(), &pointers).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(
            masked.unwrap(),
            r#"{"sum":1.10,"id":12345678901234567890123,"e":1E400,"card":{"limit":2000.00},"items":[{"price":0.10000000000000000001},3.0]}"#
        );
        let deep = format!("{{\"card\":{{\"number\":1}},\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(
            without(deep.as_bytes(), &pointers).is_some_and(|masked| masked.starts_with(b"{\"card\":{},\"a\":[[")),
            "however deep"
        );
        assert_eq!(without(b"{\"card\":{\"number\":1},\"a\":\"\xff\"}", &pointers), None);
    }
}
