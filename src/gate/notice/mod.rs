//! What a customer reads when Weir answers itself: one source of words, rendered as a problem document or as a page.
//!
//! Every notice carries at least one exit and a reference. It never names a score, a signal or a rule, never says whether an
//! account exists, is never stored by a cache, and is never 200.

mod exits;
mod page;
mod problem;
mod words;

pub use exits::{Contact, Exit};

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Response, StatusCode};
use smallvec::SmallVec;

use super::body::Body;
use crate::clock::Moment;

/// Words, a status and ways out, before they become bytes.
#[derive(Debug)]
pub struct Notice {
    /// 303 or 400-599.
    pub status: StatusCode,
    /// The stable last part of the problem's `type`.
    pub kind: &'static str,
    /// One line.
    pub headline: &'static str,
    /// What it means for the customer, and what happened to what they entered.
    pub detail: String,
    /// The ways forward; never empty once it is rendered.
    pub exits: SmallVec<[Exit; 3]>,
    /// What to quote: nine digits for a handoff, otherwise the request's id.
    pub reference: Option<String>,
    /// Until when a handoff's reference holds.
    pub until: Option<Moment>,
    /// Whether the same request may succeed later without anything else.
    pub retryable: bool,
    /// Seconds; at least 1 when it is sent.
    pub retry_after: Option<u32>,
    /// More header fields.
    pub fields: SmallVec<[(HeaderName, HeaderValue); 2]>,
}

/// How the client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A person in front of a browser that is going to a page.
    Browser,
    /// An app, a script, a `fetch`.
    Program,
}

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

fn is_html(range: &[u8]) -> bool {
    range.trim_ascii_start().starts_with(b"text/html")
}

impl Reader {
    /// A browser navigation says so (Fetch metadata), or asks for HTML.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if let Some(mode) = headers.get(FETCH_MODE) {
            return if mode == "navigate" { Self::Browser } else { Self::Program };
        }
        let pages = *method == Method::GET || *method == Method::POST || *method == Method::HEAD;
        let html = |accept: &HeaderValue| accept.as_bytes().split(|byte| *byte == b',').any(is_html);
        if pages && headers.get_all(http::header::ACCEPT).iter().any(html) { Self::Browser } else { Self::Program }
    }
}

impl Notice {
    /// The notice as an answer. `request_id` is the reference when there is no better one.
    pub fn answer(mut self, reader: Reader, request_id: &str) -> Response<Body> {
        if self.exits.is_empty() {
            self.exits.push(Exit::Read { url: "/".into() });
        }
        let (kind, text) = match reader {
            Reader::Browser => (HeaderValue::from_static("text/html; charset=utf-8"), page::render(&self, request_id)),
            Reader::Program => {
                (HeaderValue::from_static("application/problem+json"), problem::render(&self, request_id))
            }
        };
        let mut response = Response::new(Body::own(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Language"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if reader == Reader::Browser {
            headers.insert(
                CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(
                    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                ),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if !self.retryable && self.status.is_server_error() {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        for (name, value) in self.fields {
            headers.insert(name, value);
        }
        response
    }
}

/// RFC 3339 with milliseconds, in UTC.
pub fn rfc3339_millis(moment: Moment) -> impl std::fmt::Display {
    let millis = i64::try_from(moment.unix_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    std::fmt::from_fn(move |f| write!(f, "{time:.3}"))
}

/// RFC 3339, whole seconds, in UTC.
pub fn rfc3339(moment: Moment) -> String {
    let seconds = i64::try_from(moment.unix_seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
