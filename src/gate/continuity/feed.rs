//! `/.well-known/weir/journeys`: what works now, for apps and pages, as a document or as events; and the browser script beside it.
//!
//! It must never be kept by a cache for another customer, never teach a history anything, and cost nothing where it is not asked.

use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL,
    CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Response, StatusCode, request};

use super::listeners;
use super::works::{self, Who};
use crate::gate::Gate;
use crate::gate::body::Body;
use crate::gate::context::Context;
use crate::gate::cors::is_preflight;
use crate::gate::fault::Fault;
use crate::gate::limits::seconds_until;
use crate::gate::notice::{Notice, accept};
use crate::gate::own::Own;
use crate::gate::ratelimit::{self, Policy};
use crate::gate::record::Record;
use crate::listen::Peer;
use crate::rules::ruleset::RuleSet;

/// Where what works now is told.
pub const JOURNEYS: &str = "/.well-known/weir/journeys";

/// Where the browser script is.
pub const SCRIPT: &str = "/.well-known/weir/journeys.js";

/// The browser script.
pub const SCRIPT_TEXT: &str = include_str!("clients/journeys.js");

/// The client for apps.
pub const CLIENT_TEXT: &str = include_str!("clients/weir.ts");

/// Answers what is asked of the feed; nothing for every other path, and where the law has none.
pub fn answer(
    gate: &Gate,
    peer: &Peer,
    context: &mut Context<'_>,
    head: &request::Parts,
    record: &mut Record,
) -> Option<Own> {
    let path = head.uri.path();
    if !path.starts_with(JOURNEYS) || !context.prepared.rules().journeys_feed.on {
        return None;
    }
    match path {
        JOURNEYS => Some(journeys(gate, peer, context, head, record).unwrap_or_else(|own| own)),
        SCRIPT => Some(script(head)),
        _ => None,
    }
}

fn journeys(
    gate: &Gate,
    peer: &Peer,
    context: &mut Context<'_>,
    head: &request::Parts,
    record: &mut Record,
) -> Result<Own, Own> {
    if is_preflight(&head.method, &head.headers) {
        return Ok(Own::Ready(Box::new(preflight())));
    }
    only_looks(&head.method)?;
    if !context.vouched && context.prepared.gives_passes() {
        context.bring_pass(head);
    }
    if context.vouched || context.pass.is_some() {
        // What its client shows is looked at as on a journey, so that the answer is what a journey would say.
        context.look(gate, peer, head, record);
    }
    let who = Who::of(context, gate, head.headers.get(ACCEPT_LANGUAGE));
    if !who.is_everybody() {
        in_turn(gate, context)?;
    }
    if head.method == Method::GET && accept::wants_events(&head.headers) {
        let listening = listeners::listen(gate, context, who)?;
        let mut response = Response::new(Body::told(listening));
        dress(response.headers_mut(), HeaderValue::from_static("text/event-stream"));
        // For proxies that would otherwise hold events back.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        return Ok(Own::Ready(Box::new(response)));
    }
    let told = works::told(gate, context.prepared, &who, context.now);
    let tag = HeaderValue::try_from(format!("W/\"{told}\"")).unwrap_or(HeaderValue::from_static("W/\"0\""));
    let mut response = match is_known(&head.headers, tag.as_bytes()) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => Response::new(Body::own(told.at(context.now))),
    };
    let headers = response.headers_mut();
    dress(headers, HeaderValue::from_static("application/json"));
    if let Ok(language) = HeaderValue::from_str(&context.prepared.rules().notices.language(told.language).tag) {
        headers.insert(CONTENT_LANGUAGE, language);
    }
    headers.insert(ETAG, tag);
    Ok(Own::Ready(Box::new(response)))
}

/// A customer's own answer is judged for every asking: each has so many a minute. What holds for everybody is ready, and needs none.
fn in_turn(gate: &Gate, context: &Context<'_>) -> Result<(), Own> {
    let limiting = context.prepared.feed();
    let key = limiting.salt ^ context.client_key(gate);
    limiting.limiter.charge(key, context.now).map_err(|told| {
        limiting.limited.add(1);
        let seconds = seconds_until(told, context.now);
        let mut notice = Notice::throttle(seconds);
        let rate = works::limit().rate;
        let policy = Policy { name: "journeys-feed", quota: rate.count.get(), window: rate.per };
        notice.fields.extend(ratelimit::fields(policy, seconds));
        Own::Held(Box::new(notice))
    })
}

fn only_looks(method: &Method) -> Result<(), Own> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Own::Fault(Fault::MethodNotAllowed { allow: "GET, HEAD".to_owned() })),
    }
}

/// What every answer of the feed carries: it is one client's, in one language.
fn dress(headers: &mut HeaderMap, kind: HeaderValue) {
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Language, Authorization, Cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// An app of another origin asks whether it may send its token along. Which origins may read is for the site's rules to say.
fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, DPoP, Weir-Device, Weir-Pass, Accept-Language, If-None-Match, Last-Event-ID",
        ),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the client has what would be sent (RFC 9110, section 13.1.2): compared weakly, as the section says.
fn is_known(headers: &HeaderMap, tag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let same = |known: &[u8]| known == b"*" || opaque(known) == opaque(tag);
    let mut fields = headers.get_all(IF_NONE_MATCH).iter();
    fields.any(|field| field.as_bytes().split(|byte| *byte == b',').any(|known| same(known.trim_ascii())))
}

fn script(head: &request::Parts) -> Own {
    if let Err(own) = only_looks(&head.method) {
        return own;
    }
    let tag = HeaderValue::from_static(concat!("\"", env!("CARGO_PKG_VERSION"), "\""));
    let mut response = match is_known(&head.headers, tag.as_bytes()) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => Response::new(Body::own(Bytes::from_static(SCRIPT_TEXT.as_bytes()))),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ETAG, tag);
    Own::Ready(Box::new(response))
}

/// Whether this path is the feed's own under this law.
pub fn is_ours(rules: &RuleSet, path: &str) -> bool {
    rules.journeys_feed.on && (path == JOURNEYS || path == SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let name = http::HeaderName::from_static(name);
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_client_that_has_it_is_recognised_by_a_weak_comparison() {
        for known in [&["*"][..], &["\"a\""], &["W/\"a\""], &["\"b\" , W/\"a\""], &["\"b\"", "\"a\""]] {
            assert!(is_known(&headers("if-none-match", known), b"W/\"a\""), "{known:?}");
        }
        for other in [&[][..], &["\"b\""], &["a"], &["\"a"]] {
            assert!(!is_known(&headers("if-none-match", other), b"W/\"a\""), "{other:?}");
        }
    }
}
