//! What a customer reads when Weir answers itself: one source of words ([`crate::rules::notices`]), rendered as a problem
//! document, a page, an app's own format or a gRPC status.
//!
//! Every notice carries at least one exit and a reference. It never names a score, a signal or a rule, never says whether an
//! account exists, is never stored by a cache, and is never 200, except where gRPC itself asks for it ([`grpc`]).

pub(in crate::gate) mod accept;
mod exits;
pub mod grpc;
mod problem;
mod profile;
mod reader;
mod situations;
mod voice;

use std::sync::Arc;

pub use exits::{Contact, Exit, May, wanted};
pub(in crate::gate) use problem::exit_member;
pub use reader::{Audience, Reader};
pub use voice::Voice;

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use smallvec::SmallVec;

use super::body::Body;
use crate::clock::Moment;
use crate::rules::notices::{Failed, Kind, PlaybookWords};
use crate::rules::ruleset::RuleSet;

/// A status and ways out, before words are found for them.
#[derive(Debug, Clone)]
pub struct Notice {
    /// 303 or 400-599.
    pub status: StatusCode,
    /// Why.
    pub kind: Kind,
    /// A change was held back: it must be sent again.
    pub resend: bool,
    /// Bytes that are taken at most, for [`Kind::TooLarge`].
    pub most: u64,
    /// The ways forward; never empty once it is rendered.
    pub exits: SmallVec<[Exit; 3]>,
    /// What to quote: nine digits for a handoff, otherwise the beginning of the request's id.
    pub reference: Option<String>,
    /// Until when a handoff's reference holds.
    pub until: Option<Moment>,
    /// Whether the same request may succeed later without anything else.
    pub retryable: bool,
    /// Seconds; at least 1 when it is sent.
    pub retry_after: Option<u32>,
    /// More header fields.
    pub fields: SmallVec<[(HeaderName, HeaderValue); 2]>,
    /// What automation may still use, where it is kept from the rest.
    pub only: Vec<May>,
    /// The words of the playbook that holds the request back, and until when it holds.
    pub playbook: Option<(Arc<PlaybookWords>, Moment)>,
}

/// A notice as an answer.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub response: Response<Body>,
    /// The operators' template that gave nothing, so that something built in had to do.
    pub failed: Option<Failed>,
}

impl Notice {
    /// An exit of every notice is a person, also where the first is another proof or a wait: the law's first help where the notice names
    /// none.
    #[must_use]
    pub fn with_a_person(mut self, rules: &RuleSet, now: Moment) -> Self {
        if !self.exits.iter().any(|exit| matches!(exit, Exit::Contact(_))) {
            self.exits.extend(Contact::first(rules, now).map(Exit::Contact));
        }
        self
    }

    /// The notice as an answer to this reader. `request_id` is the reference when there is no better one.
    pub fn answer(mut self, voice: &Voice<'_>, request_id: &str) -> Answered {
        if self.exits.is_empty() {
            self.exits.push(Exit::Read { url: "/".into() });
        }
        self.status = profile::status(&self, voice);
        let said = voice.say(&self, request_id);
        let mut failed = None;
        let (kind, text) = match voice.reader {
            Reader::Grpc => return Answered { response: grpc::answer(self, &said, voice), failed },
            Reader::Browser => {
                let (page, passed_over) = voice.notices.templates.page(&said.view(&self, voice));
                failed = passed_over;
                (HeaderValue::from_static("text/html; charset=utf-8"), page)
            }
            Reader::Program => match profile::body(&self, &said, voice) {
                Some(Ok(own)) => own,
                other => {
                    failed = other.and_then(Result::err);
                    let document = problem::render(&self, &said, voice.language(), request_id);
                    (HeaderValue::from_static("application/problem+json"), document)
                }
            },
        };
        let mut response = Response::new(Body::own(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        if let Ok(language) = HeaderValue::from_str(&voice.language().tag) {
            headers.insert(CONTENT_LANGUAGE, language);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Language"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if voice.reader == Reader::Browser {
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
        Answered { response, failed }
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
