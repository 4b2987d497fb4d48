//! How a client of HTTP/2 opens its connection, as a fingerprint: settings, window and priorities, in the form of the Akamai white
//! paper without the order of the pseudo-headers (that stands in compressed headers, which are not read here).
//!
//! It looks at frames on their way to hyper, until the first request. It must never change them, and never look for longer.

use std::fmt::Write as _;

use super::client_hello::is_grease;

/// What comes before the first frame (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// Bytes until the first request that are looked at; a client that opens with more shows nothing.
const LONGEST: usize = 1024;

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;

/// Listens to the opening of one connection.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    heard: Vec<u8>,
}

/// What came of listening so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet.
    More,
    /// The opening, such as `1:65536;2:0;4:6291456;6:262144|15663105|0`.
    Opening(Box<str>),
    /// Nothing that could be read.
    Nothing,
}

impl Preamble {
    /// Some more bytes came.
    pub(super) fn came(&mut self, bytes: &[u8]) -> Heard {
        let room = LONGEST - self.heard.len();
        self.heard.extend(bytes.iter().take(room));
        match opening(&self.heard) {
            Heard::More if self.heard.len() == LONGEST => Heard::Nothing,
            heard => heard,
        }
    }
}

/// Reads frames up to the head of the first request.
fn opening(bytes: &[u8]) -> Heard {
    let Some(mut rest) = bytes.get(PREFACE..) else { return Heard::More };
    let (mut settings, mut window, mut priorities) = (None, None, String::new());
    while let Some((head, after)) = rest.split_first_chunk::<FRAME_HEAD>() {
        let [a, b, c, kind, flags, stream @ ..] = *head;
        if kind == HEADERS {
            let window: &str = window.as_deref().unwrap_or("00");
            let priorities = if priorities.is_empty() { "0" } else { &priorities };
            return Heard::Opening(format!("{}|{window}|{priorities}", settings.unwrap_or_default()).into());
        }
        let Some((body, next)) = after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize) else { break };
        let stream = number(stream);
        match (kind, body) {
            (SETTINGS, _) if flags & ACK == 0 && settings.is_none() => settings = Some(settings_of(body)),
            (WINDOW_UPDATE, [a, b, c, d]) if stream == 0 && window.is_none() => {
                window = Some(number([*a, *b, *c, *d]).to_string());
            }
            (PRIORITY, [a, b, c, d, weight]) => {
                let exclusive = u8::from(a & 0x80 != 0);
                let (on, weight) = (number([*a, *b, *c, *d]), u16::from(*weight) + 1);
                let comma = if priorities.is_empty() { "" } else { "," };
                let _ = write!(priorities, "{comma}{stream}:{exclusive}:{on}:{weight}");
            }
            _ => {}
        }
        rest = next;
    }
    Heard::More
}

fn settings_of(body: &[u8]) -> String {
    let mut text = String::new();
    for [a, b, value @ ..] in body.as_chunks::<6>().0 {
        let id = u16::from_be_bytes([*a, *b]);
        if !is_grease(id) {
            let semicolon = if text.is_empty() { "" } else { ";" };
            let _ = write!(text, "{semicolon}{id}:{}", u32::from_be_bytes(*value));
        }
    }
    text
}

/// 31 bits: the first one is reserved.
const fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
    }

    fn settings(all: &[(u16, u32)]) -> Vec<u8> {
        let body: Vec<u8> =
            all.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        frame(SETTINGS, 0, 0, &body)
    }

    fn chrome() -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(settings(&[(1, 65536), (0x8a8a, 7), (2, 0), (4, 6_291_456), (6, 262_144)]));
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &15_663_105_u32.to_be_bytes()));
        bytes.extend(frame(HEADERS, 4, 1, b"\x82\x87"));
        bytes
    }

    #[test]
    fn an_opening_is_read_the_same_however_it_is_cut() {
        let expected = Heard::Opening("1:65536;2:0;4:6291456;6:262144|15663105|0".into());
        let whole = chrome();
        // The last bytes are the request itself.
        for each in [1, 2, 7, whole.len()] {
            let mut preamble = Preamble::default();
            let heard: Vec<Heard> = whole.chunks(each).map(|piece| preamble.came(piece)).collect();
            let found = heard.iter().find(|heard| **heard != Heard::More);
            assert_eq!(found, Some(&expected), "{each} bytes each");
        }
    }

    #[test]
    fn priorities_are_told_and_an_acknowledgement_is_no_setting() {
        let mut bytes = vec![0; PREFACE];
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        bytes.extend(settings(&[(1, 65536), (4, 131_072)]));
        bytes.extend(frame(PRIORITY, 0, 3, &[0x80, 0, 0, 0, 200]));
        bytes.extend(frame(PRIORITY, 0, 5, &[0, 0, 0, 3, 0]));
        bytes.extend(frame(HEADERS, 4, 15, &[]));
        let heard = Preamble::default().came(&bytes);
        assert_eq!(heard, Heard::Opening("1:65536;4:131072|00|3:1:0:201,5:0:3:1".into()));
    }

    #[test]
    fn a_client_that_never_asks_is_not_listened_to_for_ever() {
        let mut preamble = Preamble::default();
        let ping = frame(6, 0, 0, &[0; 8]);
        preamble.came(&[0; PREFACE]);
        let heard: Vec<Heard> = (0..100).map(|_| preamble.came(&ping)).collect();
        assert_eq!(heard.last(), Some(&Heard::Nothing));
        assert!(preamble.heard.len() <= LONGEST);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut preamble = Preamble::default();
            for piece in pieces {
                let _ = preamble.came(&piece);
            }
        }
    }
}
