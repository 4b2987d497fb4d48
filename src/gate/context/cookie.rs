//! A session cookie that must not travel: taken out of a request, and out of the answer to it.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::identity::{cookies, pass};

/// Whether a `Set-Cookie` field sets this cookie, in any spelling.
fn sets(field: &HeaderValue, name: &str) -> bool {
    let pair = field.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    cookies::taken_for(pair, name).next().is_some()
}

/// Takes the fields that set this cookie out of an answer.
pub fn drop_set(headers: &mut HeaderMap, name: Option<&str>) {
    let Some(name) = name else { return };
    if !headers.get_all(SET_COOKIE).iter().any(|field| sets(field, name)) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(SET_COOKIE).iter().filter(|field| !sets(field, name)).cloned().collect();
    headers.remove(SET_COOKIE);
    for field in kept {
        headers.append(SET_COOKIE, field);
    }
}

/// Takes a continuity pass out of a request: it is for Weir alone, and a secret that no application has to keep.
pub fn keep_pass(headers: &mut HeaderMap) {
    let brings = |field: &HeaderValue| memchr::memmem::find(field.as_bytes(), b"weir-pass").is_some();
    if headers.get_all(COOKIE).iter().any(brings) {
        [true, false].iter().for_each(|over_tls| drop_sent(headers, pass::cookie_name(*over_tls)));
    }
}

/// Takes this cookie out of a request, wherever it stands, however often and however it is spelled.
pub fn drop_sent(headers: &mut HeaderMap, name: &str) {
    let mut kept: Vec<u8> = Vec::new();
    for field in headers.get_all(COOKIE) {
        for pair in field.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
            if pair.is_empty() || cookies::taken_for(pair, name).next().is_some() {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_bytes(&kept)) {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (SET_COOKIE, field.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_that_must_not_travel_is_gone_everywhere() {
        let mut headers: HeaderMap = [(COOKIE, "a=1; sid=x; b=2"), (COOKIE, "sid=y;c=3")]
            .map(|(k, v)| (k, v.parse().unwrap()))
            .into_iter()
            .collect();
        drop_sent(&mut headers, "sid");
        assert_eq!(headers[COOKIE], "a=1; b=2; c=3");
        headers.insert(COOKIE, HeaderValue::from_static("SID=x; a=1; %73id=y; d=1, sid=z"));
        drop_sent(&mut headers, "sid");
        assert_eq!(headers[COOKIE], "a=1");
        let mut set = answer(&["sid=a", "b=1"]);
        drop_set(&mut set, Some("sid"));
        assert_eq!(set.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["b=1"]);
    }
}
