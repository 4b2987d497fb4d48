//! One decision line as JSON, written straight into a worker's buffer: no formatting machinery and nothing allocated, because
//! by default every request has one.

use std::cell::Cell;
use std::io::Write as _;

use super::notice::rfc3339_millis;
use crate::clock::Moment;
use crate::judge::score::Scored;

/// The moment last written, so that the next in the same second costs three digits. UTC, RFC 3339 with milliseconds.
#[derive(Debug, Default)]
pub struct Stamp {
    second: Cell<Option<u64>>,
    text: Cell<[u8; 24]>,
}

impl Stamp {
    fn write(&self, moment: Moment, out: &mut Vec<u8>) {
        if self.second.get() != Some(moment.unix_seconds()) {
            let from = out.len();
            let _ = write!(out, "{}", rfc3339_millis(moment));
            if let Ok(text) = <[u8; 24]>::try_from(&out[from..]) {
                self.text.set(text);
                self.second.set(Some(moment.unix_seconds()));
            }
            return;
        }
        let mut text = self.text.get();
        let millis = moment.unix_millis() % 1000;
        for (place, power) in text[20..23].iter_mut().zip([100, 10, 1]) {
            *place = digit(millis / power);
        }
        out.extend_from_slice(&text);
    }
}

/// A line that is being written.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Begins an object with the moment and the kind of line.
    pub fn begin(out: &'a mut Vec<u8>, stamp: &Stamp, moment: Moment, event: &str) -> Self {
        out.extend_from_slice(br#"{"time":""#);
        stamp.write(moment, out);
        out.push(b'"');
        let mut line = Self { out };
        line.text("event", event);
        line
    }

    /// Ends it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn string(&mut self, value: &str) {
        let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f;
        if value.bytes().all(plain) {
            self.out.push(b'"');
            self.out.extend_from_slice(value.as_bytes());
            self.out.push(b'"');
        } else if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.out.extend_from_slice(b"null");
        }
    }

    /// A whole number.
    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.decimal(value);
    }

    /// So many thousandths, with as many places.
    pub fn thousandths(&mut self, key: &str, value: u64) {
        self.key(key);
        self.decimal(value / 1000);
        let part = value % 1000;
        self.out.extend_from_slice(&[b'.', digit(part / 100), digit(part / 10), digit(part)]);
    }

    /// So many tenths, with one place.
    pub fn tenths(&mut self, key: &str, value: u64) {
        self.key(key);
        self.decimal(value / 10);
        self.out.extend_from_slice(&[b'.', digit(value)]);
    }

    fn decimal(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = digit(value);
            value /= 10;
            if value == 0 || at == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// A keyed hash, if there is one.
    pub fn hash(&mut self, key: &str, bits: Option<u64>) {
        let Some(bits) = bits else { return };
        self.key(key);
        let mut text = *b"\"0000000000000000\"";
        for (at, place) in text[1..17].iter_mut().enumerate() {
            *place = b"0123456789abcdef"[(bits >> (60 - 4 * at)) as usize & 15];
        }
        self.out.extend_from_slice(&text);
    }

    /// Fixed words, if there are any.
    pub fn words(&mut self, key: &str, words: &[&'static str]) {
        if words.is_empty() {
            return;
        }
        self.key(key);
        self.list(words.iter(), |line, word| line.string(word));
    }

    /// Names, as many as there are.
    pub fn names<'n>(&mut self, key: &str, names: impl Iterator<Item = &'n str>) {
        self.key(key);
        self.list(names, Self::string);
    }

    /// A judgement: the score, its coverage, and every line of its explanation as [`crate::judge::score::Evidence`] shows it.
    pub fn scored(&mut self, [confidence, coverage, because]: [&str; 3], scored: &Scored) {
        self.number(confidence, u64::from(scored.confidence().score()));
        self.number(coverage, u64::from(scored.coverage().percent()));
        self.key(because);
        self.list(scored.lines().iter(), |line, evidence| {
            line.out.push(b'"');
            line.out.extend_from_slice(evidence.name().as_bytes());
            let tenths = evidence.points.as_tenths();
            line.out.extend_from_slice(if tenths < 0 { b" -" } else { b" +" });
            line.decimal(u64::from(tenths.unsigned_abs() / 10));
            if tenths % 10 != 0 {
                line.out.extend_from_slice(&[b'.', digit(u64::from(tenths.unsigned_abs()))]);
            }
            if let Some(why) = evidence.unknown {
                line.out.extend_from_slice(b" (");
                line.out.extend_from_slice(why.word().as_bytes());
                line.out.push(b')');
            }
            line.out.push(b'"');
        });
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, write: impl Fn(&mut Self, T)) {
        self.out.push(b'[');
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write(self, item);
        }
        self.out.push(b']');
    }
}

/// The last decimal digit.
const fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::score::score;
    use crate::judge::signals::Readings;
    use crate::judge::stage::Stage;
    use crate::rules::signal::Weights;

    const NOW: Moment = Moment::from_unix_millis(1_795_363_199_987);

    fn line(stamp: &Stamp, moment: Moment, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(&mut out, stamp, moment, "test");
        write(&mut line);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_json_and_says_what_formatting_would() {
        let scored = score(&Readings::default(), &Weights::AS_DECLARED, Stage::Session, NOW);
        let text = line(&Stamp::default(), NOW, |line| {
            line.text("plain", "GET");
            line.text("odd", "a\"b\\c\n\u{7f}");
            line.number("least", 0);
            line.number("most", u64::MAX);
            line.thousandths("ms", 12_034);
            line.tenths("us", 205);
            line.hash("hash", Some(0x00ab_cdef));
            line.hash("none", None);
            line.words("learned", &["one", "two"]);
            line.words("nothing", &[]);
            line.scored(["confidence", "coverage", "because"], &scored);
        });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["odd"], "a\"b\\c\n\u{7f}");
        assert_eq!(read["most"].as_u64(), Some(u64::MAX));
        assert!(
            text.contains(r#""ms":12.034,"us":20.5,"hash":"0000000000abcdef","learned":["one","two"],"conf"#),
            "{text}"
        );
        let because: Vec<String> = scored.lines().iter().map(ToString::to_string).collect();
        assert_eq!(read["because"], serde_json::json!(because));
    }

    #[test]
    fn the_moment_is_right_within_a_second_and_in_the_next() {
        let stamp = Stamp::default();
        for millis in [0, 5, 12, 13, 900, 20_000] {
            let moment = NOW.plus(std::time::Duration::from_millis(millis));
            let text = line(&stamp, moment, |_| {});
            assert_eq!(text, format!(r#"{{"time":"{}","event":"test"}}"#, rfc3339_millis(moment)));
        }
    }
}
