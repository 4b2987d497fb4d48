//! The application's own session, by its cookie: Weir did not make it and cannot read it, it only tells one from another.
//!
//! It must never keep the value: only its keyed hash goes on.

use http::{HeaderMap, header};
use smallvec::SmallVec;

use super::cookies;
use crate::confidence::{Reading, Why};
use crate::subject::{Names, Session};

/// More sessions than these in one request are no browser's.
const MOST: usize = 8;

/// The sessions that a request brings: the one that its cookie names, and those that an application might read out of it instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// By the cookie's own name, when it names one only.
    pub named: Reading<Session>,
    /// All of them, each once.
    pub all: SmallVec<[Session; 2]>,
    /// There were more than eight.
    pub too_many: bool,
}

impl Brought {
    /// None.
    pub const fn nothing() -> Self {
        Self { named: Reading::Unknown(Why::Missing), all: SmallVec::new_const(), too_many: false }
    }

    fn add(&mut self, session: Session) {
        if self.all.contains(&session) {
            return;
        }
        match self.all.len() < MOST {
            true => self.all.push(session),
            false => self.too_many = true,
        }
    }
}

fn session(value: &[u8], names: &Names) -> Option<Session> {
    let value = cookies::unescaped(value);
    (!value.is_empty()).then(|| names.session(&value))
}

/// The sessions of this request, by the cookie of this name.
pub fn read(headers: &HeaderMap, cookie: &str, names: &Names) -> Brought {
    let mut brought = Brought::nothing();
    let fields = headers.get_all(header::COOKIE).iter();
    for piece in fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';')) {
        for value in cookies::taken_for(piece, cookie) {
            if let Some(session) = session(value, names) {
                brought.add(session);
            }
        }
    }
    if !brought.all.is_empty() {
        brought.named = match cookies::one(headers, cookie) {
            Reading::Known(value) => {
                session(value.as_bytes(), names).map_or(Reading::Unknown(Why::Missing), Reading::Known)
            }
            Reading::Unknown(why) => Reading::Unknown(why),
        };
    }
    brought
}

/// A session that an answer hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// Which.
    pub session: Session,
    /// Whether the client is told to keep it, rather than to forget the cookie.
    pub kept: bool,
}

/// The sessions that an answer hands out, by its `Set-Cookie` fields of this name: usually one, after one that is forgotten.
pub fn begun(headers: &HeaderMap, cookie: &str, names: &Names) -> SmallVec<[Begun; 2]> {
    let mut begun: SmallVec<[Begun; 2]> = SmallVec::new();
    for field in headers.get_all(header::SET_COOKIE) {
        let mut parts = field.as_bytes().split(|byte| *byte == b';');
        let Some(pair) = parts.next() else { continue };
        let kept = !parts.any(forgets);
        for session in cookies::taken_for(pair, cookie).filter_map(|value| session(value, names)) {
            match begun.iter_mut().find(|known| known.session == session) {
                Some(known) => known.kept |= kept,
                None => begun.push(Begun { session, kept }),
            }
        }
    }
    begun
}

/// Whether an answer takes the session away: it tells the client to forget the cookie of this name for the whole site, and hands out
/// no other.
pub fn taken_away(headers: &HeaderMap, cookie: &str) -> bool {
    let mut away = false;
    for field in headers.get_all(header::SET_COOKIE) {
        let mut parts = field.as_bytes().split(|byte| *byte == b';');
        let Some(value) = parts.next().and_then(|pair| cookies::taken_for(pair, cookie).next()) else { continue };
        if !value.is_empty() && !parts.clone().any(forgets) {
            return false;
        }
        away |= !parts.any(is_narrow);
    }
    away
}

/// A `Path` below the site's own: cookies that an application once had there are no session's.
fn is_narrow(attribute: &[u8]) -> bool {
    let mut parts = attribute.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"path"))
        && parts.next().is_some_and(|path| path.len() > 1)
}

/// `Max-Age=0`, or an `Expires` at the beginning of time: how a cookie is taken back.
fn forgets(attribute: &[u8]) -> bool {
    let Ok(attribute) = std::str::from_utf8(attribute) else { return false };
    let Some((name, value)) = attribute.split_once('=') else { return false };
    let (name, value) = (name.trim(), value.trim());
    if name.eq_ignore_ascii_case("max-age") {
        return value.parse::<i64>().is_ok_and(|seconds| seconds <= 0);
    }
    name.eq_ignore_ascii_case("expires") && ["1970", "1971", "-70"].iter().any(|year| value.contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn the_session_that_an_answer_begins_is_the_one_that_the_next_request_brings() {
        let names = Names::new([7; 16]);
        let answer: HeaderMap = [
            (header::SET_COOKIE, HeaderValue::from_static("theme=dark")),
            (header::SET_COOKIE, HeaderValue::from_static("sid=abc; Path=/; HttpOnly")),
        ]
        .into_iter()
        .collect();
        let request: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("theme=dark; sid=abc"))].into_iter().collect();
        let begun = begun(&answer, "sid", &names);
        assert_eq!((begun.len(), begun[0].kept), (1, true));
        assert_eq!(read(&request, "sid", &names).named, Reading::Known(begun[0].session));
    }

    #[test]
    fn a_session_is_taken_away_where_its_cookie_is_and_no_other_is_handed_out() {
        for (fields, away) in [
            (&["sid=; Path=/; Max-Age=0"][..], true),
            (&["theme=x", "sid=deleted; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/"], true),
            (&["sid=; Path=/"], true),
            (&["sid=; Max-Age=0", "sid=next; Path=/"], false),
            (&["sid=; Max-Age=0; Path=/old"], false),
            (&["sid=next; Max-Age=3600"], false),
            (&["theme=; Max-Age=0"], false),
            (&[], false),
        ] {
            let answer: HeaderMap =
                fields.iter().map(|field| (header::SET_COOKIE, HeaderValue::from_static(field))).collect();
            assert_eq!(taken_away(&answer, "sid"), away, "{fields:?}");
        }
    }

    #[test]
    fn every_session_that_is_handed_out_or_brought_is_seen() {
        let names = Names::new([7; 16]);
        let fields = [
            "sid=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "sid=\"abc\"; Path=/",
            "SID=abc",
            "sid=x; max-age=0",
        ];
        let answer: HeaderMap =
            fields.map(|field| (header::SET_COOKIE, HeaderValue::from_static(field))).into_iter().collect();
        let begun = begun(&answer, "sid", &names);
        assert_eq!(begun.iter().map(|begun| begun.kept).collect::<Vec<_>>(), [false, true, false]);
        let brings = |field: &'static str| {
            read(&[(header::COOKIE, HeaderValue::from_static(field))].into_iter().collect(), "sid", &names)
        };
        assert_eq!(brings("a=1; sid=%61bc").all[..], [begun[1].session]);
        assert_eq!(brings("sid=abc; sid=d").named, Reading::Unknown(Why::Ambiguous));
        assert_eq!((brings("SID=abc").named, brings("SID=abc").all.len()), (Reading::Unknown(Why::Missing), 1));
        assert!(brings("sid=1;sid=2;sid=3;sid=4;sid=5;sid=6;sid=7;sid=8;sid=9").too_many);
        assert_eq!(brings("theme=dark"), Brought::nothing());
    }
}
