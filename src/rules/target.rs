//! The path of a request in its two readings: the plain one (RFC 3986, section 6.2.2) and the worst that some server behind might
//! make of it. Routes and conditions look at both, so that no spelling reaches a guarded route unguarded.
//!
//! It never guesses in favour of the client, and it is bounded: what is still changing after eight decodings is refused.

use std::borrow::Cow;

use thiserror::Error;

/// A path in its two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    sent: &'a str,
    plain: Cow<'a, str>,
    worst: Cow<'a, str>,
    alike: bool,
}

/// Why a path has no readings. All are the client's doing, answered 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// It does not begin with a slash, or holds `?` or `#`.
    #[error("not an absolute path")]
    NotAPath,
    /// A control character stands in it, sent or encoded.
    #[error("a control character in the path")]
    Control,
    /// Encoded over and over.
    #[error("a path encoded too many times")]
    Encoding,
    /// Its normal form, which is what is forwarded, would lead some servers elsewhere than the path as it was sent.
    #[error("a path whose `..` leads to different places, by what is taken for a segment")]
    Dots,
}

impl<'a> Target<'a> {
    /// As the client sent it.
    pub const fn sent(&self) -> &'a str {
        self.sent
    }

    /// The normal form of RFC 3986: what is forwarded when a journey is known.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// The worst case: decoded to the end, lower case, without parameters, empty segments, and trailing slash, dots and spaces.
    pub fn worst(&self) -> &str {
        &self.worst
    }

    /// Whether the readings differ by letter case or a trailing slash at most.
    pub const fn alike(&self) -> bool {
        self.alike
    }

    /// The plain reading when it is not what was sent.
    pub fn canonical(&self) -> Option<&str> {
        (self.plain != self.sent).then_some(&*self.plain)
    }
}

/// Decodings after which a path that still changes is refused.
const ROUNDS: usize = 8;

/// Reads the path of a request: without query, beginning with a slash. Nothing is allocated for a path that is canonical already.
pub fn read(path: &str) -> Result<Target<'_>, Refused> {
    if !path.starts_with('/') || path.bytes().any(|byte| byte == b'?' || byte == b'#') {
        return Err(Refused::NotAPath);
    }
    match Spelling::of(path.as_bytes()) {
        Spelling::Canonical => Ok(Target { sent: path, plain: path.into(), worst: path.into(), alike: true }),
        Spelling::Foldable => {
            Ok(Target { sent: path, plain: path.into(), worst: fold_ascii(path).into(), alike: true })
        }
        Spelling::Odd => {
            let worst = self::worst(path)?;
            let (plain, dotted) = plain(path);
            // Else a journey could be chosen by what was sent, and the upstream act on what is forwarded.
            if dotted && self::worst(&plain)? != worst {
                return Err(Refused::Dots);
            }
            let alike = fold_ascii(&plain) == worst;
            Ok(Target { sent: path, plain: plain.into(), worst: worst.into(), alike })
        }
    }
}

/// How much work a path needs.
enum Spelling {
    /// Both readings are the path itself.
    Canonical,
    /// Only letter case or a trailing slash is left to fold.
    Foldable,
    /// Anything else.
    Odd,
}

impl Spelling {
    fn of(path: &[u8]) -> Self {
        let mut before = b'/';
        let mut upper = false;
        for (at, byte) in path.iter().enumerate() {
            match byte {
                b'/' if at > 0 && (before == b'/' || before == b'.') => return Self::Odd,
                b'A'..=b'Z' => upper = true,
                b'/'
                | b'a'..=b'z'
                | b'0'..=b'9'
                | b'-'
                | b'_'
                | b'~'
                | b'.'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')' => {}
                b'*' | b'+' | b',' | b'=' | b':' | b'@' => {}
                _ => return Self::Odd,
            }
            before = *byte;
        }
        match before {
            b'.' => Self::Odd,
            b'/' if path.len() > 1 => Self::Foldable,
            _ if upper => Self::Foldable,
            _ => Self::Canonical,
        }
    }
}

/// Lower case, without a trailing slash: the form in which routes are compared.
pub(in crate::rules) fn fold_ascii(path: &str) -> String {
    let stripped = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
    stripped.to_ascii_lowercase()
}

/// RFC 3986, 6.2.2: unreserved characters decoded, hexadecimal digits in upper case, dot segments removed; and whether there
/// were any.
fn plain(path: &str) -> (String, bool) {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = if *byte == b'%' { hex_at(bytes, at + 1, 2) } else { None };
        let (value, length) = escaped.and_then(|value| u8::try_from(value).ok()).map_or((*byte, 1), |value| (value, 3));
        let unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
        // A percent sign that begins no escape is written as one, else what is decoded behind it could complete it.
        let stray = length == 1 && value == b'%';
        if (length == 3 && !unreserved) || stray || !value.is_ascii() {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            text.push('%');
            text.push(char::from(DIGITS[usize::from(value >> 4)]));
            text.push(char::from(DIGITS[usize::from(value & 15)]));
        } else {
            text.push(char::from(value));
        }
        at += length;
    }
    let without = without_dots(&text);
    let dotted = without.len() != text.len();
    (without, dotted)
}

/// RFC 3986, 5.2.4, for an absolute path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut text = String::with_capacity(path.len());
    for segment in kept {
        text.push('/');
        text.push_str(segment);
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

fn worst(path: &str) -> Result<String, Refused> {
    let decoded = decode_fully(path).ok_or(Refused::Encoding)?;
    if decoded.chars().any(char::is_control) {
        return Err(Refused::Control);
    }
    let end = decoded.find(['?', '#']).unwrap_or(decoded.len());
    let slashed = decoded[..end].replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    for segment in slashed.split('/') {
        let segment = segment.split(';').next().unwrap_or("").trim_end_matches(' ');
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => match segment.trim_end_matches(['.', ' ']) {
                "" => {}
                segment => kept.push(segment),
            },
        }
    }
    let mut text = String::with_capacity(slashed.len());
    for segment in kept {
        text.push('/');
        text.extend(segment.chars().flat_map(fold_char));
    }
    Ok(if text.is_empty() { "/".to_owned() } else { text })
}

/// Lower case, with the letters that some servers take for ASCII ones.
fn fold_char(letter: char) -> impl Iterator<Item = char> {
    match letter {
        '\u{17f}' => 's',
        '\u{131}' => 'i',
        '\u{130}' => 'i',
        other => other,
    }
    .to_lowercase()
}

/// Decodes until nothing changes: `%XX`, `%uXXXX`, overlong UTF-8, full-width forms. `None` when it does not come to rest.
pub(in crate::rules) fn decode_fully(text: &str) -> Option<String> {
    let mut now = text.as_bytes().to_vec();
    for _ in 0..=ROUNDS {
        let next = narrow(&shortest(&decode(&now)));
        if next == now {
            return Some(String::from_utf8_lossy(&now).into_owned());
        }
        now = next;
    }
    None
}

fn hex_at(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = bytes.get(at..at + digits)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// `%XX` to a byte, `%uXXXX` to a character, once.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let wide = matches!(bytes.get(at + 1), Some(b'u' | b'U'));
        let (value, length) = match byte {
            b'%' if wide => (hex_at(bytes, at + 2, 4).and_then(char::from_u32), 6),
            b'%' => (hex_at(bytes, at + 1, 2).and_then(char::from_u32), 3),
            _ => (None, 1),
        };
        match value {
            Some(letter) if length == 6 => decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Some(letter) => decoded.push(u8::try_from(u32::from(letter)).unwrap_or(b'%')),
            None => decoded.push(*byte),
        }
        at += if value.is_some() { length } else { 1 };
    }
    decoded
}

/// Overlong UTF-8 of an ASCII character becomes that character.
fn shortest(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (length, lead) = match byte {
            0xc0 | 0xc1 => (2, byte & 0x1f),
            0xe0 => (3, 0),
            0xf0 => (4, 0),
            _ => (1, 0),
        };
        let tail = if length > 1 { bytes.get(at + 1..at + length) } else { None };
        let value = tail
            .filter(|tail| tail.iter().all(|byte| byte & 0xc0 == 0x80))
            .map(|tail| tail.iter().fold(u32::from(lead), |value, byte| value << 6 | u32::from(byte & 0x3f)));
        match value.and_then(|value| u8::try_from(value).ok()).filter(u8::is_ascii) {
            Some(ascii) => {
                text.push(ascii);
                at += length;
            }
            None => {
                text.push(*byte);
                at += 1;
            }
        }
    }
    text
}

/// Characters that some servers take for ASCII ones become these: full-width forms, slashes, dots.
fn narrow(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_ascii() {
        return bytes.to_vec();
    }
    let mut text = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let narrow = match letter {
                '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xff01 + 0x21).unwrap_or(letter),
                '\u{2044}' | '\u{2215}' | '\u{29f8}' => '/',
                '\u{29f5}' | '\u{29f9}' | '\u{2216}' | '\u{fe68}' => '\\',
                '\u{2024}' | '\u{fe52}' | '\u{3002}' | '\u{ff61}' => '.',
                '\u{fe6a}' => '%',
                '\u{fe54}' | '\u{37e}' => ';',
                '\u{3000}' | '\u{a0}' => ' ',
                '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{ad}' => continue,
                other => other,
            };
            text.extend_from_slice(narrow.encode_utf8(&mut [0; 4]).as_bytes());
        }
        text.extend_from_slice(chunk.invalid());
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn readings(path: &str) -> (String, String) {
        let target = read(path).unwrap();
        (target.plain().to_owned(), target.worst().to_owned())
    }

    #[test]
    fn what_is_forwarded_leads_no_server_elsewhere_than_what_was_sent() {
        // One server takes two segments back, another three.
        for path in ["/safe/z\\q/../..%5Cadmin", "/safe/z%2fq/../..%2fadmin", "/a//../x", "/a/;/../x", "/ä\\a/.."] {
            assert_eq!(read(path), Err(Refused::Dots), "{path}");
        }
        assert_eq!(readings("/a%2Fb/./c"), ("/a%2Fb/c".to_owned(), "/a/b/c".to_owned()));
        assert_eq!(readings("/x/../a%2Fb/"), ("/a%2Fb/".to_owned(), "/a/b".to_owned()));
    }

    #[test]
    fn a_stray_percent_sign_is_not_completed_by_what_is_decoded_behind_it() {
        assert_eq!(readings("/%%32a"), ("/%252a".to_owned(), "/*".to_owned()));
        assert_eq!(readings("/%%32%65%%32%65/x"), ("/%252e%252e/x".to_owned(), "/x".to_owned()));
    }

    #[test]
    fn a_canonical_path_costs_nothing() {
        for path in ["/", "/account/password", "/.env", "/a.b/c-d_e~f", "/a/@b:c=d"] {
            let target = read(path).unwrap();
            assert!(matches!((&target.plain, &target.worst), (Cow::Borrowed(_), Cow::Borrowed(_))), "{path}");
            assert!(target.alike() && target.canonical().is_none());
        }
    }

    #[test]
    fn the_plain_reading_is_that_of_the_rfc() {
        for (sent, plain) in [
            ("/%61%2d%7E", "/a-~"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("/a/.", "/a/"),
            ("/%2e%2e/x", "/x"),
            ("/ä", "/%C3%A4"),
            ("/a//b", "/a//b"),
            ("/%zz", "/%25zz"),
            ("/A/", "/A/"),
            ("/%41%3b", "/A%3B"),
        ] {
            assert_eq!(readings(sent).0, plain, "{sent}");
        }
    }

    #[test]
    fn the_worst_reading_sees_through_every_spelling() {
        for sent in [
            "/account/password",
            "/account/password/",
            "/Account/PASSWORD",
            "/account//password",
            "/account/./password",
            "/x/../account/password",
            "/account;x/password",
            "/account/password;jsessionid=1",
            "/%61ccount/password",
            "/%2561ccount/password",
            "/%252561ccount/password",
            "/x/..;/account/password",
            "\\account\\password".replace('\\', "/").as_str(),
            "/account%5cpassword",
            "/account\\password",
            "/account%2fpassword",
            "/account%252fpassword",
            "/account/password%20",
            "/account/password.",
            "/account/password...",
            "/account/password%3f",
            "/account/password%23x",
            "/account/%70assword",
            "/account%c0%afpassword",
            "/account%e0%80%afpassword",
            "/account%f0%80%80%afpassword",
            "/%u0061ccount/password",
            "/account%u2215password",
            "/\u{ff41}ccount/password",
            "/%ef%bd%81ccount/password",
            "/account\u{ff0f}password",
            "/x/%2e%2e/account/password",
            "/x/%252e%252e/account/password",
            "/account/pa\u{17f}sword",
            "/x/.%2e/account/password",
            "/x\\..\\account\\password",
            "/%c1%a1ccount/password",
            "/account/.;x/password",
        ] {
            assert_eq!(readings(sent).1, "/account/password", "{sent}");
        }
    }

    #[test]
    fn control_characters_and_endless_encodings_are_refused() {
        for sent in ["/a%00", "/a%2500", "/a%0d%0a", "/a%c0%80", "/a\u{7f}", "/%u000a", "/a%c2%85"] {
            assert_eq!(read(sent), Err(Refused::Control), "{sent}");
        }
        let mut deep = "/a".to_owned();
        deep.push_str("%25");
        for _ in 0..12 {
            deep = deep.replace('%', "%25");
        }
        assert_eq!(read(&format!("{deep}41")), Err(Refused::Encoding));
        assert_eq!(read("*"), Err(Refused::NotAPath));
        assert_eq!(read(""), Err(Refused::NotAPath));
        assert_eq!(read("/a#b"), Err(Refused::NotAPath));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_comes_to_rest(path in "/[a-zA-Z0-9%./;\\\\ u\u{ff0e}\u{ff0f}äK\u{130}-]{0,40}") {
            if let Ok(target) = read(&path) {
                let again = read(target.plain()).unwrap();
                prop_assert_eq!(again.plain(), target.plain());
                let worst = target.worst().to_owned();
                let settled = read(&worst).unwrap();
                prop_assert_eq!(settled.worst(), worst.as_str());
                // Forwarding the plain form is judged as the form that was sent.
                prop_assert_eq!(again.worst(), target.worst());
            }
        }

        #[test]
        fn any_text_is_read_or_refused(path in "\\PC{0,60}") {
            let _ = read(&path);
            let _ = read(&format!("/{path}"));
        }
    }
}
