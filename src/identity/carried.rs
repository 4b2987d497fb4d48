//! A value of Weir's that a client brings back: in its cookie or, where a client keeps none, in a header of its own.
//!
//! It must never choose between two that differ.

use http::{HeaderMap, HeaderName};

use super::cookies;
use crate::confidence::{Reading, Why};

/// The value that a request brings, by this cookie or, without one, by this header.
pub fn one<'h>(headers: &'h HeaderMap, cookie: &str, header: &HeaderName) -> Reading<&'h str> {
    match (cookies::one(headers, cookie), in_header(headers, header)) {
        (Reading::Known(cookie), Reading::Known(header)) if cookie != header => Reading::Unknown(Why::Ambiguous),
        (Reading::Known(value), _) | (Reading::Unknown(Why::Missing), Reading::Known(value)) => Reading::Known(value),
        (Reading::Unknown(Why::Missing), Reading::Unknown(why)) | (Reading::Unknown(why), _) => Reading::Unknown(why),
    }
}

fn in_header<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Reading<&'h str> {
    let mut fields = headers.get_all(header).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Reading::Unknown(Why::Missing),
        (Some(field), None) => field.to_str().map_or(Reading::Unknown(Why::Ambiguous), Reading::Known),
        (Some(_), Some(_)) => Reading::Unknown(Why::Ambiguous),
    }
}

/// What makes a cookie of Weir's one that no script reads and no other site sends along with a change.
pub(super) const fn guards(over_tls: bool) -> &'static str {
    if over_tls { "Secure; HttpOnly; SameSite=Lax" } else { "HttpOnly; SameSite=Lax" }
}
