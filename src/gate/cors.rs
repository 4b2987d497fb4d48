//! Cross-origin reading of the answers that Weir makes itself. Without these fields a browser shows an app an opaque network
//! error instead of the notice. The upstream's own answers are never touched, and preflights are its own to answer; only where it
//! cannot, they are answered here, so that an app can still read what Weir says instead.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, Response, StatusCode};

use super::body::Body;
use crate::rules::ruleset::Cors;

/// What an app may read beside the body.
const EXPOSED: &str = "Retry-After, RateLimit, RateLimit-Policy, Weir-As-Of, Weir-Request-Id, WWW-Authenticate";

/// Whether a request is a CORS preflight (Fetch standard): it goes to the upstream as it is.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// How long a browser remembers an answer to a preflight that is not the upstream's.
const SHORTLY: &str = "5";

/// What a preflight asks for.
#[derive(Debug)]
pub struct Preflight {
    method: HeaderValue,
    fields: Option<HeaderValue>,
}

impl Preflight {
    /// What this request asks for, if it is a preflight.
    pub fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let asked = || headers.get(ACCESS_CONTROL_REQUEST_METHOD).cloned();
        let fields = || headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        is_preflight(method, headers).then(asked).flatten().map(|method| Self { method, fields: fields() })
    }

    /// The answer while the upstream gives none: an origin that the rules name may ask, for this once. The request itself is then
    /// decided like any other.
    pub fn answer(&self, origin: Option<&HeaderValue>, cors: Option<&Cors>) -> Option<Response<Body>> {
        let (origin, cors) = (origin?, cors?);
        cors.names(origin.as_bytes()).then(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.method.clone());
            if let Some(fields) = &self.fields {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, fields.clone());
            }
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(SHORTLY));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        })
    }
}

/// Lets the origin read an answer of Weir's own, when the site's rules name it.
pub fn allow(answer: &mut HeaderMap, origin: Option<&HeaderValue>, cors: Option<&Cors>) {
    let (Some(origin), Some(cors)) = (origin, cors) else { return };
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if !cors.names(origin.as_bytes()) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if cors.credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}
