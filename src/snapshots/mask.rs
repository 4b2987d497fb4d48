//! Takes members out of a JSON answer before it is kept.
//!
//! What is masked must never reach the disk or another memory than the answer's own: what cannot be read as JSON is not kept.

use serde_json::Value;

/// A way down into a document, member by member; in a list a number, or `*` for each.
pub type Pointer = Box<[Box<str>]>;

/// The document without these members; nothing when it is no JSON.
pub(super) fn without(body: &[u8], pointers: &[Pointer]) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    for pointer in pointers {
        take_out(&mut document, pointer);
    }
    serde_json::to_vec(&document).ok()
}

fn take_out(value: &mut Value, pointer: &[Box<str>]) {
    let [member, rest @ ..] = pointer else { return };
    match (value, rest.is_empty()) {
        (Value::Object(members), true) => drop(members.shift_remove(&**member)),
        (Value::Object(members), false) => {
            if let Some(inner) = members.get_mut(&**member) {
                take_out(inner, rest);
            }
        }
        (Value::Array(items), true) if &**member == "*" => items.clear(),
        (Value::Array(items), true) => {
            // The others keep their places, so that the next pointer means what it says.
            if let Some(item) = place(member).and_then(|at| items.get_mut(at)) {
                *item = Value::Null;
            }
        }
        (Value::Array(items), false) if &**member == "*" => items.iter_mut().for_each(|item| take_out(item, rest)),
        (Value::Array(items), false) => {
            if let Some(item) = place(member).and_then(|at| items.get_mut(at)) {
                take_out(item, rest);
            }
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {}
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
        assert_eq!(masked("<html>", &[]), None);
        assert_eq!(masked("{\"a\":1", &[&["a"]]), None);
    }
}
