//! Where a customer goes back to after a step-up: a path of this site, signed, for one session and a quarter of an hour.
//!
//! It must never lead away from this site: an open redirect on a sign-in page is a gift to phishing.

use std::time::Duration;

use super::signed::{Keyring, Purpose};
use crate::clock::Moment;
use crate::subject::Session;

/// How long a target is good.
pub const LASTING: Duration = Duration::from_secs(15 * 60);
/// Longer targets are not kept: the customer then goes back to the start page.
const LONGEST: usize = 2048;

/// A signed target, for the `rt` parameter. `None` when it is no path of this site.
pub fn mint(keys: &Keyring, path_and_query: &str, session: Option<Session>, now: Moment) -> Option<String> {
    if !is_local(path_and_query) {
        return None;
    }
    let mut payload = Vec::with_capacity(8 + path_and_query.len());
    payload.extend_from_slice(&bits(session));
    payload.extend_from_slice(path_and_query.as_bytes());
    Some(keys.sign(Purpose::ReturnTarget, &payload, now.plus(LASTING)))
}

/// The target that this value holds for this session. `None` when it is not good: the customer goes to the start page.
pub fn read(keys: &Keyring, value: &str, session: Option<Session>, now: Moment) -> Option<String> {
    let opened = keys.open_value(Purpose::ReturnTarget, value, now).ok()?;
    let (of, target) = opened.payload.split_at_checked(8)?;
    let target = str::from_utf8(target).ok()?;
    (of == bits(session) && is_local(target)).then(|| target.to_owned())
}

fn bits(session: Option<Session>) -> [u8; 8] {
    session.map_or(0, Session::bits).to_le_bytes()
}

/// One slash, then no other and no backslash (browsers read `//host` and `/\host` as another site), and only visible ASCII.
fn is_local(target: &str) -> bool {
    let bytes = target.as_bytes();
    bytes.first() == Some(&b'/')
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.len() <= LONGEST
        && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_target_comes_back_for_its_session_and_its_time_only() {
        let keys = Keyring::random().unwrap();
        let session = Some(Session::from_bits(5));
        let value = mint(&keys, "/checkout?step=2", session, NOW).unwrap();
        assert_eq!(read(&keys, &value, session, NOW).as_deref(), Some("/checkout?step=2"));
        assert_eq!(read(&keys, &value, None, NOW), None);
        assert_eq!(read(&keys, &value, Some(Session::from_bits(6)), NOW), None);
        assert_eq!(read(&keys, &value, session, NOW.plus(LASTING)), None);
    }

    #[test]
    fn no_target_leads_away() {
        let keys = Keyring::random().unwrap();
        let long = format!("/{}", "a".repeat(LONGEST));
        for away in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a\r\nb",
            "/a b",
            "/\t/e",
            "/é",
            &long,
        ] {
            assert_eq!(mint(&keys, away, None, NOW), None, "{away}");
            let signed = keys.sign(Purpose::ReturnTarget, &[&[0; 8], away.as_bytes()].concat(), NOW.plus(LASTING));
            assert_eq!(read(&keys, &signed, None, NOW), None, "{away}");
        }
    }
}
