//! What a client says in `Accept` (RFC 9110, section 12.5.1), as far as an answer of Weir's own depends on it: whether a page is
//! wanted, or a document, or events.
//!
//! A range with a wildcard asks for nothing by name. It must never take what is said not to be wanted for a wish.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::rules::notices::thousandths;

/// The weight at which a kind is asked for by name, in thousandths, and the place of the range that asks for it; of several that are
/// alike the first. None where nobody asks for it.
fn wanted(headers: &HeaderMap, fits: impl Fn(&str) -> bool) -> Option<(u16, usize)> {
    let fields = headers.get_all(ACCEPT).iter().filter_map(|field| std::str::from_utf8(field.as_bytes()).ok());
    let mut best = None;
    for (at, range) in fields.flat_map(|field| field.split(',')).enumerate() {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next().is_some_and(&fits) {
            continue;
        }
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()).unwrap_or(0))
        });
        let weight = weight.unwrap_or(1000);
        if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, at));
        }
    }
    best
}

fn is_page(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

fn is_document(kind: &str) -> bool {
    let kind = kind.as_bytes();
    let is_one = |name: &[u8]| kind.eq_ignore_ascii_case(name);
    let suffix = kind.len().checked_sub(5).map(|at| &kind[at..]);
    is_one(b"application/json") || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

/// Whether a page is wanted, and no document is wanted more; of two that are wanted alike, the one that stands first.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let Some((page, first)) = wanted(headers, is_page) else { return false };
    wanted(headers, is_document).is_none_or(|(document, at)| (page, at) > (document, first))
}

/// Whether events are wanted.
pub fn wants_events(headers: &HeaderMap) -> bool {
    wanted(headers, |kind| kind.eq_ignore_ascii_case("text/event-stream")).is_some()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepting(fields: &[&'static str]) -> HeaderMap {
        fields.iter().map(|field| (ACCEPT, HeaderValue::from_static(field))).collect()
    }

    #[test]
    fn a_page_is_for_who_wants_one_more_than_a_document() {
        for page in [
            &["text/html"][..],
            &["Text/HTML; charset=utf-8"],
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            &["application/json;q=0.9, text/html"],
            &["application/json;q=0.5", "text/html;q=0.6"],
            &["text/html, application/json"],
            &["text/html;level=1;q=0.3, */*"],
        ] {
            assert!(wants_page(&accepting(page)), "{page:?}");
        }
        for document in [
            &[][..],
            &["*/*"],
            &["text/*"],
            &["text/htmlx"],
            &["text/html;q=0"],
            &["text/html; Q = 0.000, */*"],
            &["text/html;q=much"],
            &["application/json, text/html;q=0.1"],
            &["application/json, text/html"],
            &["application/problem+json", "text/html;q=0.9"],
            &["application/vnd.shop+json;v=2, text/html;q=0.9"],
            &["a/b;", ";;;,=", "text/html;q=0.0"],
        ] {
            assert!(!wants_page(&accepting(document)), "{document:?}");
        }
        let wide = HeaderValue::from_bytes(b"\xff, text/html").unwrap();
        let both: HeaderMap = [(ACCEPT, wide), (ACCEPT, HeaderValue::from_static("text/html"))].into_iter().collect();
        assert!(wants_page(&both), "a field that cannot be read says nothing");
    }

    #[test]
    fn events_are_sent_to_who_asks_for_them() {
        for asks in [&["text/event-stream"][..], &["Text/Event-Stream;q=0.9, */*"], &["a/b", "text/event-stream"]] {
            assert!(wants_events(&accepting(asks)), "{asks:?}");
        }
        for not in [&[][..], &["*/*"], &["application/json"], &["text/event-streams"], &["text/event-stream;q=0"]] {
            assert!(!wants_events(&accepting(not)), "{not:?}");
        }
    }
}
