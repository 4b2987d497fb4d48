//! Looks for lines of a head that end in LF without CR.
//!
//! A recipient may take them for lines (RFC 9112 section 2.2), and hyper does. Another server on the way may not, and then the two
//! disagree about where a request ends: so after such a head nothing more is read from the connection. This reads no fields.

/// What was seen of the heads of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// The last two bytes that were read.
    last: [u8; 2],
    /// How far behind the end of the last head the last bare LF was.
    behind: usize,
    bare: bool,
}

impl Lines {
    /// A head had a line that ended in a bare LF.
    pub fn are_bare(&self) -> bool {
        self.bare
    }

    /// These bytes came; they belong to a head, and perhaps to what follows it. `fresh` when nothing of the head came before.
    pub fn came(&mut self, fresh: bool, bytes: &[u8]) {
        if has_bare(self.last[1], bytes) {
            self.locate(fresh, bytes);
        }
        self.last = match bytes {
            [.., older, newer] => [*older, *newer],
            [only] => [self.last[1], *only],
            [] => self.last,
        };
    }

    /// A head has ended whose body has this length, if it has one that is known. What is behind it is a head again.
    pub fn head_ended(&mut self, body: Option<u64>) {
        let behind = std::mem::take(&mut self.behind);
        self.bare |= body.is_some_and(|body| behind as u64 > body);
    }

    /// Rare, and therefore exact: a body may well have bare LFs.
    #[cold]
    fn locate(&mut self, fresh: bool, bytes: &[u8]) {
        let mut before = self.last[1];
        let mut begun = !fresh;
        // Whether the line that is being read has no byte but a CR so far.
        let mut empty = fresh || before == b'\n' || self.last == *b"\n\r";
        for (at, byte) in bytes.iter().copied().enumerate() {
            if byte == b'\n' {
                self.bare |= before != b'\r';
                if empty && begun {
                    let rest = &bytes[at + 1..];
                    let last = (0..rest.len()).rev().find(|&n| rest[n] == b'\n' && (n == 0 || rest[n - 1] != b'\r'));
                    self.behind = last.map_or(0, |last| last + 1);
                    return;
                }
                empty = true;
            } else if byte != b'\r' {
                (begun, empty) = (true, false);
            }
            before = byte;
        }
    }
}

/// Without a branch in the loop, so that it becomes a few vector instructions.
fn has_bare(before: u8, bytes: &[u8]) -> bool {
    let first = bytes.first() == Some(&b'\n') && before != b'\r';
    bytes.windows(2).fold(first, |found, pair| found | ((pair[1] == b'\n') & (pair[0] != b'\r')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a head (and more) in pieces of every size; whether a head had bare lines.
    fn bare(text: &str, body: Option<u64>) -> bool {
        let one = |size: usize| {
            let mut lines = Lines::default();
            let mut pieces = text.as_bytes().chunks(size);
            let mut so_far = Vec::new();
            let mut fresh = true;
            for piece in pieces.by_ref() {
                lines.came(fresh, piece);
                so_far.extend_from_slice(piece);
                fresh &= so_far.iter().all(|byte| b"\r\n".contains(byte));
                let begun = so_far.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(so_far.len());
                let ended = |end: &[u8]| so_far[begun..].windows(end.len()).any(|window| window == end);
                if ended(b"\r\n\r\n") || ended(b"\n\n") || ended(b"\n\r\n") {
                    break;
                }
            }
            lines.head_ended(body);
            lines.are_bare()
        };
        let whole = one(text.len());
        // In pieces the body comes later and is not looked at.
        assert!((1..text.len()).all(|size| one(size) == whole || body != Some(0)), "{text:?}");
        whole
    }

    #[test]
    fn only_heads_count_and_however_they_come_in_pieces() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(!bare(get, Some(0)));
        assert!(!bare(&format!("\r\n{get}"), Some(0)));
        for dirty in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(bare(dirty, Some(0)), "{dirty:?}");
        }
    }

    #[test]
    fn a_body_may_have_bare_lines_and_what_is_behind_it_may_not() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\n\r\na\nb\n";
        assert!(!bare(post, Some(4)));
        assert!(!bare(post, None));
        assert!(bare(&format!("{post}GET / HTTP/1.1\n"), Some(4)));
        let mut lines = Lines::default();
        lines.came(true, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\nHost: a\r\n\r\n");
        lines.head_ended(Some(0));
        assert!(lines.are_bare());
    }
}
