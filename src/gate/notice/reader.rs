//! Who reads an answer of Weir's own: how, in which language, from which origin and with which app. Taken from the head before
//! it goes on to the upstream; what no rule asks for is not looked at.

use std::net::IpAddr;

use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderName, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, Version, request};

use super::{Voice, accept};
use crate::clock::Moment;
use crate::gate::body::Body;
use crate::gate::context::Client;
use crate::gate::cors::Preflight;
use crate::listen::{Peer, Scheme};
use crate::rules::facts::Facts;
use crate::rules::profiles::Choice;
use crate::rules::ruleset::{JourneyId, RuleSet, Site};
use crate::rules::target;

/// How the client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A person in front of a browser that is going to a page.
    Browser,
    /// An app, a script, a `fetch`.
    Program,
    /// A gRPC client: a status in the header, and no body.
    Grpc,
}

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// `application/grpc`, alone or with `+proto` and the like; gRPC-Web is another protocol.
fn is_grpc(kind: &HeaderValue) -> bool {
    let rest = kind.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.first().is_none_or(|next| b"+; ".contains(next)))
}

impl Reader {
    /// A browser navigation says so (Fetch metadata), or wants HTML more than a document. gRPC is POST over HTTP/2 of its own content type.
    pub fn of(method: &Method, version: Version, headers: &HeaderMap) -> Self {
        if version == Version::HTTP_2 && *method == Method::POST && headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
            return Self::Grpc;
        }
        if let Some(mode) = headers.get(FETCH_MODE) {
            return if mode == "navigate" { Self::Browser } else { Self::Program };
        }
        let pages = *method == Method::GET || *method == Method::POST || *method == Method::HEAD;
        if pages && accept::wants_page(headers) { Self::Browser } else { Self::Program }
    }
}

/// Who reads an answer of Weir's own.
#[derive(Debug)]
pub struct Audience {
    /// How.
    pub reader: Reader,
    /// From which origin.
    pub origin: Option<HeaderValue>,
    /// What a preflight asks for.
    preflight: Option<Preflight>,
    /// What it says of languages, where more than one is spoken.
    languages: Option<HeaderValue>,
    /// With which app.
    app: Choice,
    /// Where it comes from, as far as is known yet.
    pub address: IpAddr,
}

impl Audience {
    /// The reader of answers to this request.
    pub fn of(rules: &RuleSet, peer: &Peer, head: &request::Parts) -> Self {
        let several = rules.notices.languages().len() > 1;
        Self {
            reader: Reader::of(&head.method, head.version, &head.headers),
            origin: head.headers.get(ORIGIN).cloned(),
            preflight: Preflight::of(&head.method, &head.headers),
            languages: head.headers.get(ACCEPT_LANGUAGE).filter(|_| several).cloned(),
            app: if rules.profiles.is_empty() { Choice::default() } else { app(rules, peer, head) },
            address: peer.remote.ip(),
        }
    }

    /// The answer to a preflight that the upstream of this site cannot answer.
    pub fn preflight(&self, site: Option<&Site>) -> Option<Response<Body>> {
        self.preflight.as_ref()?.answer(self.origin.as_ref(), site?.cors.as_ref())
    }

    /// The voice that this reader is spoken to with.
    pub fn voice<'a>(&self, rules: &'a RuleSet, journey: Option<JourneyId>, now: Moment) -> Voice<'a> {
        Voice {
            reader: self.reader,
            spoken: rules.notices.choose(self.languages.as_ref().map(HeaderValue::as_bytes)),
            journey: journey.map(|journey| &rules.journey(journey).words),
            profile: rules.profiles.get(self.app),
            unknown_version: self.app.unknown_version,
            now,
            notices: &rules.notices,
        }
    }
}

/// The profile of a request, also of one that cannot be served.
fn app(rules: &RuleSet, peer: &Peer, head: &request::Parts) -> Choice {
    let target = target::read(head.uri.path()).ok();
    let authority = peer.host(head).ok();
    let trusted = &rules.identity.trusted_proxies;
    let facts = target.as_ref().zip(authority.as_ref()).map(|(target, authority)| Facts {
        method: head.method.as_str(),
        target,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        host: &authority.host,
        address: Client::of(peer.remote, peer.scheme == Scheme::Https, trusted, &head.headers).address,
    });
    rules.profiles.choose(facts.as_ref(), head.headers.get(USER_AGENT).map(HeaderValue::as_bytes))
}
