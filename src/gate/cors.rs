//! Cross-origin reading of the answers that Weir makes itself. Without these fields a browser shows an app an opaque network
//! error instead of the notice. Preflights and the upstream's own answers are never touched.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method};

use crate::rules::ruleset::Cors;

/// What an app may read beside the body.
const EXPOSED: &str = "Retry-After, RateLimit, RateLimit-Policy, Weir-As-Of, Weir-Request-Id, WWW-Authenticate";

/// Whether a request is a CORS preflight (Fetch standard): it goes to the upstream as it is.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets the origin read an answer of Weir's own, when the site's rules name it.
pub fn allow(answer: &mut HeaderMap, origin: Option<&HeaderValue>, cors: Option<&Cors>) {
    let (Some(origin), Some(cors)) = (origin, cors) else { return };
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if !cors.origins.iter().any(|named| named.as_bytes() == origin.as_bytes()) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if cors.credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}
