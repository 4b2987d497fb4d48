//! How deep brackets are nested, found out before anything recursive sees the text.
//!
//! It only counts; it may take odd text for deeper than it is, never for shallower.

/// The first byte that opens one bracket too many, or the first key with more dots than that.
pub(super) fn deeper_than(text: &str, most: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut dots) = (0, 0usize, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at).saturating_sub(1),
            quote @ (b'"' | b'\'') => at = after_string(bytes, at, quote) - 1,
            b'[' | b'{' => {
                open += 1;
                if open > most {
                    return Some(at);
                }
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'\n' => dots = 0,
            b'.' => {
                dots += 1;
                if dots > most {
                    return Some(at);
                }
            }
            b'=' | b',' => dots = 0,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The byte after the string that begins at `start`; a string on one line ends with the line at the latest.
fn after_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let triple = [quote; 3];
    if bytes[start..].starts_with(&triple) {
        let mut at = start + 3;
        while at < bytes.len() {
            if bytes[at] == b'\\' && quote == b'"' {
                at += 1;
            } else if bytes[at..].starts_with(&triple) {
                return at + 3;
            }
            at += 1;
        }
        return bytes.len();
    }
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'\n' {
        if bytes[at] == b'\\' && quote == b'"' {
            at += 1;
        } else if bytes[at] == quote {
            return at + 1;
        }
        at += 1;
    }
    at.clamp(start + 1, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_text_and_comments_do_not_count() {
        let text = "a = \"[[[[\" # [[[[\nb = '[[[['\nc = \"\"\"\n[[[[\\\"\"\"\"\nd = [[1]]\n";
        assert_eq!(deeper_than(text, 2), None);
        assert_eq!(deeper_than(text, 1), Some(text.find("[1").unwrap()));
    }

    #[test]
    fn a_hostile_text_is_refused_before_it_is_parsed() {
        assert_eq!(deeper_than(&"[".repeat(1_000_000), 32), Some(32));
        assert!(deeper_than(&"a.".repeat(1_000_000), 32).is_some());
        assert_eq!(deeper_than("\"\\", 32), None);
        assert_eq!(deeper_than("'", 32), None);
        assert_eq!(deeper_than("\"\"\"\\", 32), None);
    }
}
