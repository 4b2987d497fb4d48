//! What may be a secret is not shown, also when it was written where it does not belong: a raw key in place of its digest, a token in
//! the settings. It must never change the length of a line, so that what points into it still does.

use std::borrow::Cow;

/// Keys whose values are masked. A digest is no secret; what stands in its place may be.
const SECRET: [&str; 6] = ["sha256", "token", "secret", "password", "api_key", "authorization"];

/// A `key` is masked from this length on: the keys of limits are short words.
const LONG: usize = 16;

/// The line as it may be shown.
pub(super) fn masked(line: &str) -> Cow<'_, str> {
    let mut shown: Option<Vec<u8>> = None;
    let mut from = 0;
    while let Some(equals) = line[from..].find('=').map(|at| from + at) {
        let key = line[..equals].trim_end().trim_end_matches(['"', '\'']);
        let bare = key.trim_end_matches(|letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
        let key = key[bare.len()..].to_ascii_lowercase();
        let value = value(line, equals + 1);
        from = value.end.max(equals + 1);
        let text = &line[value.clone()];
        let secret = match &*key {
            "key" => text.len() >= LONG && !text.contains(['/', '.', ' ']),
            "sha256" => !is_digest(text),
            other => SECRET.contains(&other),
        };
        if secret {
            shown.get_or_insert_with(|| line.as_bytes().to_vec())[value].fill(b'*');
        } else {
            // A table that stands in the line has keys of its own.
            from = equals + 1;
        }
    }
    match shown.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(shown) => shown.into(),
        None => line.into(),
    }
}

/// Where the value behind a `=` stands, without its quotes.
fn value(line: &str, from: usize) -> std::ops::Range<usize> {
    let rest = &line[from..];
    let start = from + rest.len() - rest.trim_start().len();
    let rest = &line[start..];
    let quotes = rest.len() - rest.trim_start_matches(['"', '\'']).len();
    let inside = &rest[quotes..];
    let length = match rest.chars().next().filter(|_| quotes > 0) {
        Some(quote) => inside.find(quote).unwrap_or(inside.len()),
        None => inside
            .find(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '}' | '#'))
            .unwrap_or(inside.len()),
    };
    start + quotes..start + quotes + length
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_masked_in_place_and_nothing_else_is() {
        for (line, shown) in [
            ("sha256 = \"kh-raw-key\"", "sha256 = \"**********\""),
            (
                "tokens = [{ name = \"ann\", sha256 = 'sw\u{e4}rd' }] # x",
                "tokens = [{ name = \"ann\", sha256 = '******' }] # x",
            ),
            ("token=raw, next = 1", "token=***, next = 1"),
            ("\"secret\" = \"open", "\"secret\" = \"****"),
            ("key = \"c0ffeec0ffeec0ffee\"", "key = \"******************\""),
            ("key = \"acount\"", "key = \"acount\""),
            ("key = \"/etc/weir/certs/weir.key\"", "key = \"/etc/weir/certs/weir.key\""),
            ("sha256_file = \"token.txt\"", "sha256_file = \"token.txt\""),
            ("a = { b = { password = \"x\" } }", "a = { b = { password = \"*\" } }"),
            ("==== sha256 =", "==== sha256 ="),
        ] {
            assert_eq!(masked(line), shown);
            assert_eq!(masked(line).len(), line.len());
        }
        let digest = format!("sha256 = \"{}\"", "0123456789abcdef".repeat(4));
        assert_eq!(masked(&digest), digest);
    }
}
