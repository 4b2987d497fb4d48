//! Security event tokens (RFC 8417) as transmitters push them (RFC 8935): verified like any token, then read for what they
//! report of whom.
//!
//! It must never believe a token of another kind, issuer or audience, and never keep or print a name: subjects leave here as
//! keyed hashes.

mod events;
mod subjects;

use serde_json::{Map, Value};

pub use events::Kind;

use super::jws::{Jws, Unsigned};
use super::keys::Keys;
use super::token::{LEEWAY, moment};
use crate::clock::Moment;
use crate::judge::history::Report;
use crate::rules::shared_signals::Transmitter;
use crate::subject::Names;

/// Events that one token may hold. A token usually holds one.
const EVENTS: usize = 16;
/// Longer identifiers are not kept.
const LONGEST_ID: usize = 512;

/// Why a token is not taken, in the words of RFC 8935, section 2.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read as a security event, or is too old.
    InvalidRequest(&'static str),
    /// It is signed with a key that its issuer does not publish, or not with that key.
    InvalidKey(&'static str),
    /// Its issuer is nobody who is listened to.
    InvalidIssuer,
    /// It is for somebody else.
    InvalidAudience,
    /// Who sends it did not show the bearer token that belongs to it.
    AuthenticationFailed,
    /// Who sends it may not send events of this issuer here.
    AccessDenied,
    /// The issuer's keys are not here now: it is to be sent again.
    NotNow,
}

impl Refusal {
    /// The `err` of the answer.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidKey(_) => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
            Self::NotNow => "not_now",
        }
    }

    /// The `description` of the answer: for whoever runs the transmitter.
    pub const fn says(self) -> &'static str {
        match self {
            Self::InvalidRequest(says) | Self::InvalidKey(says) => says,
            Self::InvalidIssuer => "no events of this issuer are taken here",
            Self::InvalidAudience => "it is for another audience",
            Self::AuthenticationFailed => "the bearer token is missing or wrong",
            Self::AccessDenied => "this transmitter may not send events of this issuer here",
            Self::NotNow => "the issuer's keys could not be fetched yet",
        }
    }
}

/// A token that was taken apart. Nothing in it is believed yet.
#[derive(Debug)]
pub struct Unverified<'t> {
    token: Jws<'t>,
    claims: Map<String, Value>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is no security event token.
    pub fn read(body: &'t [u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(body.trim_ascii()).map_err(|_| Refusal::InvalidRequest("not a JWT"))?;
        let token = Jws::read(text).map_err(Refusal::InvalidRequest)?;
        if token.head.kind().as_deref() != Some("secevent+jwt") {
            return Err(Refusal::InvalidRequest("its type is not secevent+jwt"));
        }
        let claims = token.claims().ok_or(Refusal::InvalidRequest("its claims cannot be read"))?;
        Ok(Self { token, claims })
    }

    /// Who it says it is from.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Verifies it, and reads what it reports. The caller has found the transmitter by its issuer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(
        self,
        transmitter: &Transmitter,
        keys: &Keys,
        names: &Names,
        now: Moment,
    ) -> Result<SecurityEvent, Refusal> {
        let algorithm = self.token.algorithm().map_err(Refusal::InvalidKey)?;
        keys.usable(now).map_err(|_| Refusal::NotNow)?;
        match self.token.is_of_one(&keys.set(), algorithm) {
            Ok(()) => {}
            Err(Unsigned::Wrong) => return Err(Refusal::InvalidKey("its signature does not hold")),
            Err(Unsigned::NoSuchKey) if keys.ask(now) => return Err(Refusal::NotNow),
            Err(Unsigned::NoSuchKey) => {
                return Err(Refusal::InvalidKey("it is signed with a key that its issuer does not publish"));
            }
        }
        if self.issuer() != Some(&*transmitter.issuer) {
            return Err(Refusal::InvalidIssuer);
        }
        let meant = |one: &str| transmitter.audience.iter().any(|own| **own == *one);
        let for_us = match self.claims.get("aud") {
            Some(Value::String(one)) => meant(one),
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(meant),
            _ => false,
        };
        if !for_us {
            return Err(Refusal::InvalidAudience);
        }
        self.reports(transmitter, names, now).map_err(Refusal::InvalidRequest)
    }

    fn reports(&self, transmitter: &Transmitter, names: &Names, now: Moment) -> Result<SecurityEvent, &'static str> {
        let id = self.claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= LONGEST_ID);
        let id = id.ok_or("it has no identifier (jti)")?;
        let issued = moment(self.claims.get("iat")).ok_or("it does not say when it was issued (iat)")?;
        if issued > now.plus(LEEWAY) {
            return Err("it was issued in the future");
        }
        if now.since(issued) > transmitter.max_age {
            return Err("it is older than events may be here");
        }
        let events = self.claims.get("events").and_then(Value::as_object).ok_or("it holds no events")?;
        if events.is_empty() || events.len() > EVENTS {
            return Err("it holds no events, or too many");
        }
        let happened = moment(self.claims.get("toe")).unwrap_or(issued);
        let mut all = Vec::new();
        for (uri, payload) in events {
            let payload = payload.as_object().ok_or("an event is not an object")?;
            let kind = Kind::of(uri);
            let at = events::timestamp(payload).unwrap_or(happened).min(now);
            let subject = self.claims.get("sub_id").or_else(|| payload.get("subject"));
            let named = subject.map(|subject| subjects::read(subject, transmitter, names)).unwrap_or_default();
            let reported = events::meaning(kind, payload, &named);
            let report = reported.and_then(|reported| {
                let session = events::session_of(kind, &named);
                let account = named.account.filter(|_| session.is_none());
                (account.is_some() || session.is_some()).then_some(Report { reported, account, session, at })
            });
            all.push(Event { kind, means_something: reported.is_some(), report });
        }
        Ok(SecurityEvent {
            key: names.key(&[b"event", transmitter.name.as_bytes(), id.as_bytes()]),
            issued,
            events: all,
        })
    }
}

/// A token that was verified.
#[derive(Debug)]
pub struct SecurityEvent {
    /// What tells it from every other of its transmitter, hashed.
    pub key: u64,
    /// When it was issued.
    pub issued: Moment,
    /// What it holds; never empty.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// Of which kind.
    pub kind: Kind,
    /// It changes something, if its subject is anybody here.
    pub means_something: bool,
    /// What it reports of whom. None when it changes nothing, or names nobody in a way that is known here.
    pub report: Option<Report>,
}
