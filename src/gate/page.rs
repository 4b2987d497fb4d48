//! A page that a browser went to: of those who sign in without having looked at one, some are scripts.
//!
//! A browser without a device cookie is given one with the page, where the rules know how customers sign in, so that it can be told
//! from a script when it signs in. It must never be put on an answer that a cache may give to others, and cost nothing where no
//! page is asked for.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, LAST_MODIFIED};
use http::{Method, Response, StatusCode};

use super::Gate;
use super::body::Body;
use super::context::Context;
use super::notice::Reader;
use super::record::Record;
use crate::confidence::{Reading, Why};
use crate::rules::client::Class;

/// Notes that this answer is a page which its browser went to.
pub fn went_to(gate: &Gate, context: &mut Context<'_>, response: &Response<Body>, reader: Reader, record: &mut Record) {
    let page = reader == Reader::Browser
        && record.method == Method::GET
        && response.status() == StatusCode::OK
        && is_html(response.headers())
        && context.class == Class::Customer;
    if !page || !context.prepared.rules().journeys.iter().any(|journey| journey.succeeds_on.is_some()) {
        return;
    }
    if context.device == Reading::Unknown(Why::Missing)
        && is_for_one(response.headers())
        && let Some(minted) = gate.shared.identity.devices.mint(context.client.https, context.now)
    {
        context.device = Reading::Known(minted.device);
        record.device = Some(minted.device);
        context.new_device = Some(minted);
    }
    if let Reading::Known(device) = context.device {
        gate.shared.memory.pages.fetched(device, context.now);
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

/// Whether no shared cache keeps this answer (RFC 9111, section 3): it is said to be private, or nothing makes it fresh or lets it
/// be asked for anew.
pub(super) fn is_for_one(headers: &HeaderMap) -> bool {
    let mut fresh = [ETAG, EXPIRES, LAST_MODIFIED].iter().any(|name| headers.contains_key(name));
    for field in headers.get_all(CACHE_CONTROL) {
        for directive in field.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // Only without the names of fields: `private="set-cookie"` leaves the rest to everybody.
            if directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private") {
                return true;
            }
            fresh = true;
        }
    }
    !fresh
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn what_a_shared_cache_may_keep_is_not_for_one() {
        let headers = |fields: &[(&str, &str)]| -> HeaderMap {
            let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            fields.iter().map(field).collect()
        };
        for alone in [
            &[][..],
            &[("cache-control", "no-store")],
            &[("cache-control", "max-age=60, Private"), ("etag", "\"1\"")],
            &[("cache-control", "no-cache"), ("cache-control", "no-store")],
        ] {
            assert!(is_for_one(&headers(alone)), "{alone:?}");
        }
        for shared in [
            &[("cache-control", "public")][..],
            &[("cache-control", "s-maxage=60")],
            &[("cache-control", "max-age=0")],
            &[("cache-control", "private=\"set-cookie\"")],
            &[("etag", "\"1\"")],
            &[("last-modified", "Mon, 02 Nov 2026 12:00:00 GMT")],
        ] {
            assert!(!is_for_one(&headers(shared)), "{shared:?}");
        }
    }
}
