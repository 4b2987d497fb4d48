//! What of a live answer is kept: a whole 200 to a verified subject's GET from full service, as far as its own fields allow it.
//!
//! The body is gathered while it goes to the client and handed over when it is whole. It must never delay the answer, keep a part of
//! one, an error, a cookie, or what the application has taken back since.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use super::{By, Sight, pass, sign_in};
use crate::gate::Gate;
use crate::gate::body::Body;
use crate::gate::context::Context;
use crate::gate::said::Said;
use crate::listen::Inflow;
use crate::memory::Memory;
use crate::memory::reported::TokenFacts;
use crate::rules::snapshots::{EvenIf, SnapshotLaw};
use crate::snapshots::{About, Incoming, Snapshots};
use crate::subject::{Host, Session};
use crate::upstream::{Answer, BoxError, UntilClose};

/// The fields that are kept with a body: what says how it is to be read, and what keeps it safe in a browser.
const FIELDS: [&str; 14] = [
    "content-type",
    "content-language",
    "content-disposition",
    "content-security-policy",
    "content-security-policy-report-only",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];
/// Bytes of them.
const HEAD: usize = 16 * 1024;

impl Sight {
    /// Makes the request ask for what can be kept: the whole answer, in the form in which it can be read and marked.
    pub fn ask_for_whole(&self, headers: &mut HeaderMap) {
        if self.keeps {
            for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE] {
                headers.remove(name);
            }
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }

    /// Why an answer is not its owner's good one, by what the upstream says of it: it is somebody else's, or no success.
    pub fn doubt(&self, gate: &Gate, said: &Said) -> Option<&'static str> {
        let another = |name: &str| gate.shared.names.owner(name) != self.key.owner();
        match said {
            _ if said.subject.as_deref().is_some_and(another) => Some("another"),
            _ if said.outcome == Some(false) => Some("failure"),
            _ => None,
        }
    }

    /// Takes up what a live answer says of what is kept, and gathers its body if it is to be. `told` is the upstream's
    /// `Weir-Cache-Control`, `says` what it says beside it against keeping it.
    pub fn keep(
        mut self: Box<Self>,
        gate: &Gate,
        context: &Context<'_>,
        mut response: Response<Body>,
        (told, says): (Option<&str>, Option<&'static str>),
    ) -> Response<Body> {
        let (Some(law), By::Session { session, token, shut }) = (self.law(context), &self.by) else { return response };
        let (session, token, shut) = (*session, *token, *shut);
        let told = told.map(Directives::of_one);
        self.take_back(gate, context, &mut response, told.as_ref());
        let snapshots = &gate.shared.snapshots;
        if !self.keeps || response.status() != StatusCode::OK {
            return response;
        }
        if let Some(why) = says {
            snapshots.refused(why);
            return response;
        }
        if shut {
            // It answers the session as before.
            gate.shared.memory.reopen(session, context.facts.as_ref(), context.host(gate));
        }
        pass::served(gate, context, response.headers_mut(), self.key.owner());
        let about = match self.about(gate, context, law, &response, told.as_ref()) {
            Ok(about) => about,
            Err(why) => {
                snapshots.refused(why);
                return response;
            }
        };
        let expected = response.body().size_hint().exact();
        let unfit = match expected {
            Some(0) => Some("empty"),
            Some(length) if length > snapshots.largest() as u64 => Some("large"),
            Some(_) | None => None,
        };
        if let Some(why) = unfit {
            snapshots.refused(why);
            return response;
        }
        let (head, body) = response.into_parts();
        let answer = match body {
            Body::Passed(answer) => answer,
            other => return Response::from_parts(head, other),
        };
        let keeping = Keeping {
            snapshots: snapshots.clone(),
            memory: gate.shared.memory.clone(),
            session,
            token,
            host: context.host(gate),
            mask: law.mask.clone(),
            keep: law.keep,
            sight: self,
            about,
        };
        Response::from_parts(head, Body::Kept(Box::new(Tee::new(answer, expected, keeping))))
    }

    /// What the application takes back by its answer: the session that it does not know, the page that is not there any more.
    fn take_back(
        &mut self,
        gate: &Gate,
        context: &Context<'_>,
        response: &mut Response<Body>,
        told: Option<&Directives>,
    ) {
        let status = response.status();
        // A session that has rested ran out. One that ends in the midst was ended: of its owner's other sessions and devices it says
        // nothing, of this device it may say everything.
        let signed_out = sign_in::is_asked_for(context, response);
        let ended = signed_out && pass::ended_midway(context) && !sign_in::is_away(gate, context);
        if signed_out {
            self.keeps = false;
            self.shut(gate, context);
        }
        if ended {
            pass::take_away(gate, context, response.headers_mut());
        }
        // Applications that know no HEAD answer it with 404.
        let missing = !self.look.head && matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let gone = missing || (ended && status == StatusCode::UNAUTHORIZED) || status == StatusCode::FORBIDDEN;
        if gone || told.is_some_and(|told| told.no_store) {
            gate.shared.snapshots.void_page(&self.key);
        }
    }

    fn about(
        &self,
        gate: &Gate,
        context: &Context<'_>,
        law: &SnapshotLaw,
        response: &Response<Body>,
        told: Option<&Directives>,
    ) -> Result<About, &'static str> {
        let headers = response.headers();
        let at_most = match told {
            // What is meant for us stands in place of what is meant for every cache (RFC 9213).
            Some(told) if told.no_store => return Err("no_store"),
            Some(told) => told.stale_if_error,
            None => {
                Directives::of(headers).allow(law.even_if)?;
                None
            }
        };
        if response.extensions().get::<UntilClose>().is_some() {
            return Err("unframed");
        }
        if headers.contains_key(CONTENT_RANGE) {
            return Err("part");
        }
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err("encoded");
        }
        let content_type = headers.get(CONTENT_TYPE).ok_or("untyped")?;
        if !law.mask.is_empty() && !is_json(content_type) {
            return Err("not_json");
        }
        let by = Differs::of(headers, &self.look.asked.others)?;
        let fields = FIELDS.iter().flat_map(|name| {
            headers.get_all(*name).iter().map(|value| (Box::from(*name), Box::from(value.as_bytes())))
        });
        let fields: Vec<(Box<str>, Box<[u8]>)> = fields.collect();
        if fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEAD {
            return Err("large_head");
        }
        let name = &context.prepared.rules().journey(self.look.journey).name;
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0_u64);
        let as_of = context.now.unix_millis().saturating_sub(age.saturating_mul(1000));
        Ok(About {
            host: self.look.host.clone(),
            target: self.look.target.clone(),
            journey: (**name).into(),
            language: by.language.then(|| self.look.asked.language.clone()),
            kind: by.kind.then_some(self.look.asked.kind),
            others: self
                .look
                .asked
                .others
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_ref().map(|value| value.as_bytes().to_vec())))
                .collect(),
            as_of: crate::clock::Moment::from_unix_millis(as_of),
            paused: gate.shared.snapshots.paused(name, context.now),
            at_most,
            fields,
        })
    }
}

fn is_json(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/json")
        || (kind.len() > 5 && kind[kind.len() - 5..].eq_ignore_ascii_case(b"+json"))
}

/// What `Cache-Control` says that matters here (RFC 9111, section 5.2; RFC 5861).
#[derive(Debug, Default, PartialEq, Eq)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    must_revalidate: bool,
    stale_if_error: Option<Duration>,
}

impl Directives {
    fn of(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for field in headers.get_all(CACHE_CONTROL) {
            match field.to_str() {
                Ok(text) => all.read(text),
                // What cannot be read may say anything.
                Err(_) => all.no_store = true,
            }
        }
        all
    }

    fn of_one(text: &str) -> Self {
        let mut all = Self::default();
        all.read(text);
        all
    }

    fn read(&mut self, text: &str) {
        for directive in text.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => self.no_store = true,
                "no-cache" => self.no_cache = true,
                "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
                "stale-if-error" => {
                    let seconds = value.trim().trim_matches('"').parse().ok();
                    self.stale_if_error = seconds.map(Duration::from_secs).or(self.stale_if_error);
                }
                _ => {}
            }
        }
    }

    /// RFC 9111 is plain about each: such an answer is not to be kept, or not to be shown while its origin cannot be asked. Who owns
    /// the application may know better, and says so.
    fn allow(&self, even_if: EvenIf) -> Result<(), &'static str> {
        match self {
            _ if self.no_store && !even_if.no_store => Err("no_store"),
            _ if self.no_cache && !even_if.no_cache => Err("no_cache"),
            _ if self.must_revalidate && !even_if.must_revalidate => Err("must_revalidate"),
            _ => Ok(()),
        }
    }
}

/// By what an answer differs, as its `Vary` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differs {
    language: bool,
    kind: bool,
}

impl Differs {
    fn of(headers: &HeaderMap, others: &[(HeaderName, Option<HeaderValue>)]) -> Result<Self, &'static str> {
        let mut by = Self::default();
        for field in headers.get_all(VARY) {
            for name in field.to_str().map_err(|_| "vary")?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                match name.to_ascii_lowercase().as_str() {
                    "accept-language" => by.language = true,
                    "accept" => by.kind = true,
                    // One coding is asked for. Who asks is in the key, and so is the host; who may read across origins is said anew.
                    "accept-encoding" | "cookie" | "authorization" | "host" | "origin" => {}
                    other if others.iter().any(|(known, _)| known.as_str() == other) => {}
                    _ => return Err("vary"),
                }
            }
        }
        Ok(by)
    }
}

/// What an answer needs to be kept once it is whole.
#[derive(Debug)]
struct Keeping {
    snapshots: Snapshots,
    memory: Arc<Memory>,
    session: Session,
    token: Option<TokenFacts>,
    host: Host,
    mask: Vec<crate::snapshots::Pointer>,
    keep: Duration,
    sight: Box<Sight>,
    about: About,
}

impl Keeping {
    /// The answer is whole.
    fn done(self, body: Bytes) {
        let over = match &self.token {
            Some(token) => self.memory.is_token_over(token),
            None => {
                let facts = self.memory.sessions.read(self.session.bits());
                // One that was ended, or is another's by now.
                let owner = facts
                    .as_ref()
                    .and_then(|facts| self.memory.owner(self.session, facts, self.host, self.about.as_of));
                owner.map(|(owner, _)| owner) != Some(self.sight.key.owner())
                    || self.memory.is_over(self.session, facts.as_ref())
            }
        };
        if over {
            return self.snapshots.refused("revoked");
        }
        if body.is_empty() {
            return self.snapshots.refused("empty");
        }
        let Self { snapshots, mask, keep, sight, about, .. } = self;
        snapshots.keep(Incoming { key: sight.key, about, body, mask, keep, began: sight.began });
    }
}

/// An answer on its way to the client, and what is gathered of it.
#[derive(Debug)]
pub struct Tee {
    answer: Answer<Inflow>,
    expected: Option<u64>,
    gathered: BytesMut,
    keeping: Option<Keeping>,
}

impl Tee {
    fn new(answer: Answer<Inflow>, expected: Option<u64>, keeping: Keeping) -> Self {
        let room = expected.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        Self { answer, expected, gathered: BytesMut::with_capacity(room), keeping: Some(keeping) }
    }

    /// The next piece, unchanged.
    pub fn poll_frame(&mut self, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.answer).poll_frame(cx);
        match &polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.gather(data);
                }
                // After the last piece nobody may ask again.
                if frame.is_trailers() || self.answer.is_end_stream() {
                    self.end();
                }
            }
            Poll::Ready(Some(Err(_))) => self.give_up("cut"),
            Poll::Ready(None) => self.end(),
        }
        polled.map_err(Into::into)
    }

    fn gather(&mut self, data: &Bytes) {
        let Some(keeping) = &self.keeping else { return };
        if self.gathered.len() + data.len() > keeping.snapshots.largest() {
            return self.give_up("large");
        }
        self.gathered.extend_from_slice(data);
    }

    fn give_up(&mut self, why: &'static str) {
        if let Some(keeping) = self.keeping.take() {
            keeping.snapshots.refused(why);
            self.gathered = BytesMut::new();
        }
    }

    fn end(&mut self) {
        if self.expected.is_some_and(|expected| expected != self.gathered.len() as u64) {
            return self.give_up("cut");
        }
        let body = std::mem::take(&mut self.gathered).freeze();
        if let Some(keeping) = self.keeping.take() {
            keeping.done(body);
        }
    }

    /// Whether nothing more comes.
    pub fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    /// How much more comes.
    pub fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.give_up("cut");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_an_answer_says_against_being_kept_is_overruled_by_name_only() {
        let all = EvenIf { no_store: true, no_cache: true, must_revalidate: true };
        for (field, word, only) in [
            ("private, No-Store", "no_store", EvenIf { no_store: true, ..EvenIf::default() }),
            ("max-age=0, no-cache", "no_cache", EvenIf { no_cache: true, ..EvenIf::default() }),
            ("proxy-revalidate", "must_revalidate", EvenIf { must_revalidate: true, ..EvenIf::default() }),
            (
                "private=\"x\", must-revalidate",
                "must_revalidate",
                EvenIf { must_revalidate: true, ..EvenIf::default() },
            ),
        ] {
            let said = Directives::of(&headers(&[("cache-control", "private"), ("cache-control", field)]));
            assert_eq!(said.allow(EvenIf::default()), Err(word), "{field}");
            assert_eq!((said.allow(only), said.allow(all)), (Ok(()), Ok(())), "{field}");
        }
        assert_eq!(
            Directives::of(&headers(&[("cache-control", "private, max-age=60")])).allow(EvenIf::default()),
            Ok(())
        );
        assert_eq!(Directives::of_one("stale-if-error=600").stale_if_error, Some(Duration::from_secs(600)));
    }

    #[test]
    fn an_answer_that_differs_by_what_is_not_known_is_not_kept() {
        let others = [(HeaderName::from_static("x-tenant"), None)];
        let of = |value| Differs::of(&headers(&[("vary", "Cookie"), ("vary", value)]), &others);
        assert_eq!(of("Accept-Encoding, authorization"), Ok(Differs::default()));
        assert_eq!(of("X-Tenant, Accept-Language"), Ok(Differs { language: true, kind: false }));
        for unknown in ["*", "user-agent", "accept, x-region"] {
            assert_eq!(of(unknown), Err("vary"), "{unknown}");
        }
    }
}
