//! Security events that transmitters push (RFC 8935): taken on the same listeners as customers, because their senders are out
//! there too, verified, and applied before they are answered: the very next request of whom they are about meets them.
//!
//! It must never let a forged or broken transmitter end everybody's session: what it takes from customers has a rate, and what
//! is beyond waits its turn, loudly. It never says or logs a name.

use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};

use super::Gate;
use super::Shared;
use super::answer::REQUEST_ID;
use super::body::Body;
use super::context::{Client, body};
use super::fault::Fault;
use super::prepared::Prepared;
use super::record::Record;
use crate::clock::Moment;
use crate::identity::pass;
use crate::identity::security_event::{Refusal, SecurityEvent, Unverified};
use crate::judge::history::{Report, Reported};
use crate::listen::{Inflow, Peer, Scheme};
use crate::memory::transmitters::Admitted;
use crate::rules::ruleset::RuleSet;
use crate::rules::shared_signals::Transmitter;
use crate::telemetry::transmitters::Shown;

/// A larger event is refused. One takes a few hundred bytes.
const LARGEST: usize = 64 * 1024;

/// Whether this request brings a security event: a POST to the path of a transmitter, on one of its hosts. Of any other request
/// it costs a look at the method.
pub fn are_brought(prepared: &Prepared, peer: &Peer, head: &request::Parts) -> bool {
    let (transmitters, sites) = (&prepared.rules().transmitters, &prepared.rules().sites);
    head.method == Method::POST
        && transmitters.listen_at(head.uri.path())
        && peer.host(head).is_ok_and(|host| {
            let mut here = transmitters.at(&host.host, head.uri.path());
            here.any(|one| !one.hosts.is_empty() || sites.find(&host.host).is_some())
        })
}

/// Why an event was not taken.
enum Untaken {
    /// Its own fault.
    Refused(Refusal),
    /// There is no room now; it comes again.
    Full,
    /// Its body did not come whole, or is too large: nothing more is read from this connection.
    Body(Fault),
}

impl From<Refusal> for Untaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Takes one event, and answers its transmitter.
pub async fn take(
    gate: &Gate,
    peer: &Peer,
    head: request::Parts,
    inflow: Inflow,
    prepared: Rc<Prepared>,
    mut record: Box<Record>,
) -> Response<Body> {
    let rules = prepared.rules();
    let trusted = &rules.identity.trusted_proxies;
    let client = Client::of(peer.remote, peer.scheme == Scheme::Https, trusted, &head.headers);
    record.network = Some(gate.shared.names.network(client.address));
    record.action = "event";
    let taken = read(gate, peer, &head, inflow, rules, &mut record).await;
    let mut response = match taken {
        Ok(()) => answer_with(StatusCode::ACCEPTED, None),
        Err(untaken) => {
            let (status, err, says, body_is_lost) = match &untaken {
                Untaken::Refused(Refusal::NotNow) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "not_now", Refusal::NotNow.says(), false)
                }
                Untaken::Refused(refusal) => (StatusCode::BAD_REQUEST, refusal.word(), refusal.says(), false),
                Untaken::Full => (StatusCode::SERVICE_UNAVAILABLE, "not_now", "there is no room for it now", false),
                Untaken::Body(Fault::BodyTooLarge(_)) => {
                    (StatusCode::BAD_REQUEST, "invalid_request", "it is larger than 65536 bytes", true)
                }
                Untaken::Body(_) => (StatusCode::BAD_REQUEST, "invalid_request", "its body did not come whole", true),
            };
            record.why = Some(err.into());
            record.cause = Some(says.into());
            let mut response = answer_with(status, Some((err, says)));
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            if body_is_lost {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
    record.status = Some(response.status());
    response
}

async fn read(
    gate: &Gate,
    peer: &Peer,
    head: &request::Parts,
    inflow: Inflow,
    rules: &RuleSet,
    record: &mut Record,
) -> Result<(), Untaken> {
    let memory = &gate.shared.memory;
    let _reading = memory.transmitters.read().ok_or(Untaken::Full)?;
    let host = peer.host(head).map_err(|fault| Untaken::Body(fault.into()))?;
    let here: Vec<&Arc<Transmitter>> = rules.transmitters.at(&host.host, head.uri.path()).collect();
    let result = async {
        if !is_security_event(&head.headers) {
            return Err(Refusal::InvalidRequest("its content type is not application/secevent+jwt").into());
        }
        let shown = bearer(&head.headers);
        let may = |one: &&Arc<Transmitter>| one.token.is_none_or(|token| shown == Some(token));
        if !here.iter().any(may) {
            return Err(Refusal::AuthenticationFailed.into());
        }
        let taken = body::take(inflow, true, LARGEST).await.map_err(Untaken::Body)?;
        let unverified = Unverified::read(taken.whole().map_or(&[][..], |bytes| bytes))?;
        let of_issuer = |one: &&&Arc<Transmitter>| unverified.issuer() == Some(&*one.issuer);
        let law = match here.iter().find(of_issuer) {
            Some(law) if may(law) => (*law).clone(),
            // What it showed belongs to another; or its issuer is listened to, elsewhere.
            Some(_) => return Err(Refusal::AccessDenied.into()),
            None if rules.transmitters.all().iter().any(|one| unverified.issuer() == Some(&*one.issuer)) => {
                return Err(Refusal::AccessDenied.into());
            }
            None => return Err(Refusal::InvalidIssuer.into()),
        };
        // The moment after the body: a slow one must not make an old event look new.
        let now = gate.shared.clock.now();
        let keys = gate.shared.identity.keys_of(&law.jwks);
        let refused = |refusal: Refusal| {
            count(gate, &law, "refused");
            Untaken::Refused(refusal)
        };
        let event = unverified.verify(&law, &keys, &gate.shared.names, now).map_err(refused)?;
        apply(gate, &law, &event, now, record)
    };
    result.await
}

/// Applies a verified event.
fn apply(
    gate: &Gate,
    law: &Arc<Transmitter>,
    event: &SecurityEvent,
    now: Moment,
    record: &mut Record,
) -> Result<(), Untaken> {
    let memory = &gate.shared.memory;
    // First those that have waited, so that nothing overtakes.
    memory.let_through(law, now, |report| void(&gate.shared, gate.prepared().rules(), report));
    if !memory.transmitters.has_room(law, event.events.len(), now) {
        count(gate, law, "no_room");
        return Err(Untaken::Full);
    }
    if !memory.transmitters.take(law, event.key, event.issued, now) {
        record.learned.push("replayed");
        count(gate, law, "replayed");
        return Ok(());
    }
    for event in &event.events {
        record.learned.push(event.kind.word());
        let outcome = match event.report {
            Some(report) => match memory.transmitters.admit(law, report, now) {
                Admitted::Now => {
                    record.account = report.account.or(record.account);
                    record.session = report.session.or(record.session);
                    let applied = memory.report(&report, now);
                    void(&gate.shared, gate.prepared().rules(), &report);
                    if applied { "applied" } else { "no_room" }
                }
                Admitted::Held { waiting } => {
                    if waiting == 1 {
                        tracing::error!(
                            transmitter = &*law.name,
                            kind = event.kind.word(),
                            "events are held back: their transmitter takes from more customers than it may (may_take); raise \
                             it to let them through, or remove the transmitter to drop them"
                        );
                    }
                    "held"
                }
            },
            None if event.means_something => "unmatched",
            None if event.kind == crate::identity::security_event::Kind::Unknown => "unknown",
            None => "ignored",
        };
        tracing::debug!(transmitter = &*law.name, kind = event.kind.word(), outcome, "an event was taken");
        count(gate, law, outcome);
    }
    Ok(())
}

/// What was kept of an account before its credentials were in the wrong hands or changed, its sessions were revoked or it was shut is
/// not shown any more. The end of one session ends that one alone: it is not verified from now on.
fn void(shared: &Shared, rules: &RuleSet, report: &Report) {
    match report.reported {
        // The end of one session ends what it left on its device.
        Reported::SessionsRevoked if report.session.is_some() => {
            let key = report.session.map(|session| pass::from_session(&shared.names, session));
            key.into_iter().for_each(|key| shared.memory.void_pass(key, shared.clock.now()));
        }
        // What a pass may show all the same stays, and is shown by that alone.
        Reported::SessionsRevoked if rules.continuity_pass.outlives_revocation => {}
        Reported::Compromised
        | Reported::CredentialChanged
        | Reported::Disabled
        | Reported::SessionsRevoked
        | Reported::Recycled => {
            if let Some(account) = report.account {
                shared.snapshots.void_account(account);
                shared.memory.void_pass(pass::all_of(&shared.names, account), shared.clock.now());
            }
        }
        Reported::Risk(_) | Reported::Enabled | Reported::ProofLowered => {}
    }
}

fn count(gate: &Gate, law: &Transmitter, outcome: &'static str) {
    gate.shared.telemetry.events.cell(gate.worker, [&law.name, outcome]).add(1);
}

fn is_security_event(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/secevent+jwt"))
}

/// The digest of the bearer token that a transmitter shows. Digests are compared, so the time it takes tells nothing of the token.
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next().filter(|_| fields.next().is_none())?;
    let (scheme, token) = field.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| digest(&SHA256, token.trim_ascii()).as_ref().try_into().ok())?
}

fn answer_with(status: StatusCode, refused: Option<(&str, &str)>) -> Response<Body> {
    let mut response = match refused {
        None => Response::new(Body::empty()),
        Some((err, description)) => {
            let text = serde_json::json!({ "err": err, "description": description }).to_string();
            let mut response = Response::new(Body::own(text));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
            response
        }
    };
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Once a second, beside the workers: lets through what was held back, and says who is silent and who is held.
#[derive(Debug, Default)]
pub struct Tending {
    /// Those of whom it was said that they are silent.
    silent: Vec<Arc<str>>,
}

impl Tending {
    /// Looks after every transmitter of this law.
    pub fn look(&mut self, shared: &Shared, rules: &RuleSet, now: Moment) {
        let memory = &shared.memory;
        let laws = rules.transmitters.all();
        let dropped = memory.transmitters.keep_only(laws);
        if dropped > 0 {
            tracing::warn!(dropped, "what was held back of a transmitter went with it");
        }
        let mut up = (!laws.is_empty()).then_some(true);
        let mut shown = Vec::new();
        let mut silent = Vec::new();
        for law in laws {
            let through = memory.let_through(law, now, |report| void(shared, rules, report));
            if through > 0 {
                tracing::info!(transmitter = &*law.name, through, "events that were held back were applied");
            }
            let standing = memory.transmitters.standing(law, now);
            let keys = shared.identity.keys_of(&law.jwks).usable(now).is_ok();
            up = up.map(|up| up && keys && !standing.silent && standing.held == 0);
            if standing.silent {
                if !self.silent.contains(&law.name) {
                    tracing::warn!(transmitter = &*law.name, "a transmitter has been silent for longer than it may");
                }
                silent.push(law.name.clone());
            }
            let heard = standing.heard.map_or(0, Moment::unix_seconds);
            shown.push(Shown { name: law.name.as_ref().into(), heard, held: standing.held });
        }
        memory.transmitters.are_silent(!silent.is_empty());
        self.silent = silent;
        shared.telemetry.gauges.events_up.set(up.map_or(-1, i64::from));
        shared.telemetry.transmitters.show(shown);
    }
}
