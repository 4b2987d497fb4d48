//! A broken text, mended: what is not TOML is reported once for each table and blanked out, so that everything else is still read.
//!
//! Blanks take the place of bytes, so every place in the mended text is the same place in the file. It guesses only in texts that are
//! broken anyway.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::DeTable;

use crate::rules::diagnostic::KEPT;

/// How often one table is parsed again before it is given up.
const ROUNDS: usize = 3;

/// Bytes up to which all mistakes of a table are gathered to find the one that stands first; above it the first found must do.
const ORDERED: usize = 256 << 10;

/// A text that can be read further.
pub(super) struct Mended<'t> {
    pub(super) text: Cow<'t, str>,
    /// What was wrong, and where.
    pub(super) errors: Vec<(Range<usize>, String)>,
    /// Tables of which something is missing.
    pub(super) torn: Vec<Range<usize>>,
    /// A table is missing whole, its name included.
    pub(super) lost: bool,
}

/// Mends a text; one without mistakes is left alone.
pub(super) fn mend(text: &str) -> Mended<'_> {
    let mut mended = Mended { text: text.into(), errors: Vec::new(), torn: Vec::new(), lost: false };
    if first_error(text).is_none() {
        return mended;
    }
    // Table by table, so that a bracket left open in one does not swallow the next.
    let whole: String = tables(text).map(|table| mended.table(text, table)).collect();
    // What is wrong between tables: a name that stands twice.
    let between = DeTable::parse_recoverable(&whole).1;
    mended.errors.extend(between.into_iter().take(KEPT + 1).map(place_and_message));
    mended.text = whole.into();
    mended
}

fn first_error(text: &str) -> Option<(Range<usize>, String)> {
    if text.len() > ORDERED {
        return DeTable::parse(text).err().map(place_and_message);
    }
    let all = DeTable::parse_recoverable(text).1;
    all.into_iter().map(place_and_message).min_by_key(|(span, _)| span.start)
}

fn place_and_message(error: toml::de::Error) -> (Range<usize>, String) {
    let message = error.message().trim().lines().collect::<Vec<_>>().join(", ");
    (error.span().unwrap_or(0..0), message)
}

impl Mended<'_> {
    /// One table, with what is not TOML in it blanked out: first the line, then everything below the header, then all.
    fn table(&mut self, text: &str, table: Range<usize>) -> String {
        let mut now = text[table.clone()].to_owned();
        for round in 0..=ROUNDS {
            let Some((span, message)) = first_error(&now) else { return now };
            let line = line_at(&now, span.start);
            if round == 0 {
                self.torn.push(table.clone());
                self.errors.push((table.start + span.start..table.start + span.end, message));
            }
            let header = line_at(&now, 0);
            let gone = match round {
                0 if line.start > 0 => line,
                1 if is_header(now.as_bytes()) => header.end..now.len(),
                _ => {
                    self.lost = true;
                    0..now.len()
                }
            };
            now = blank(&now, gone);
        }
        now
    }
}

fn line_at(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let at = at.min(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
    let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
    start..end
}

/// From each header of a table to the next.
fn tables(text: &str) -> impl Iterator<Item = Range<usize>> {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
    let mut starts = lines.filter(|at| is_header(&text.as_bytes()[*at..])).chain(std::iter::once(text.len()));
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let start = from?;
        from = starts.next();
        Some(start..from?)
    })
}

/// Whether a line looks like the header of a table.
fn is_header(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"[[").or_else(|| line.strip_prefix(b"["));
    name.and_then(<[u8]>::first).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"'))
}

fn blank(text: &str, range: Range<usize>) -> String {
    let mut blanked = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        if range.contains(&at) && letter != '\n' {
            blanked.extend(std::iter::repeat_n(' ', letter.len_utf8()));
        } else {
            blanked.push(letter);
        }
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_reported_once_and_the_rest_is_kept() {
        let text = "[a]\nx = [\"1]\ny = 2\n\n[b]\nz = [1,\nw = 3\n\n[c]\nv = \"ä\"\n";
        let mended = mend(text);
        assert_eq!(mended.errors.len(), 2);
        assert_eq!(mended.text.len(), text.len());
        assert!(mended.text.contains("y = 2") && mended.text.contains("v = \"ä\""));
        assert!(mended.text.contains("[a]") && mended.text.contains("[b]"));
    }

    #[test]
    fn a_header_that_cannot_be_read_takes_its_table_along() {
        let mended = mend("[a\nx = 1\n[b]\ny = 2\n");
        assert_eq!(mended.errors.len(), 1);
        assert!(!mended.text.contains('x') && mended.text.contains("y = 2"));
    }

    #[test]
    fn a_text_without_end_comes_to_an_end() {
        for text in ["a = \"\"\"\n[b]\n", "a = [[[\n", "\u{0}", "[", "[[", "= = =\n= = =", "[a]\n[a]\n[a]\n"] {
            let mended = mend(text);
            assert!(!mended.errors.is_empty(), "{text:?}");
            assert_eq!(mended.text.len(), text.len());
        }
    }
}
