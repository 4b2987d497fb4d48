//! What the upstream's answer teaches: a sign-in that worked or failed, a proof that was given, a session that began or ended.
//!
//! Only the upstream teaches: an answer that Weir wrote itself never comes here, and a fault of the upstream counts for
//! nothing. A sign-in is judged a second time here, when the password was right: a session that falls short is opened only
//! as far as its step-up, and one that may not be opened at all is not handed out.

use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};

use super::Gate;
use super::answer::{self, Own};
use super::body::Body;
use super::context::{Context, cookie};
use super::notice::Reader;
use super::record::Record;
use super::said::Said;
use super::step_up;
use crate::confidence::Reading;
use crate::identity::session;
use crate::judge::decision::{Hold, Outcome, Stage};
use crate::judge::history::{Observation, Shared};
use crate::judge::judge;
use crate::judge::signals::Gap;
use crate::judge::signals::authentication::Proof;
use crate::judge::signals::device::Standing;
use crate::memory::SessionFacts;
use crate::rules::ruleset::{Journey, Level};
use crate::subject::Session;

/// Learns from one answer of the upstream.
///
/// # Errors
/// The answer of Weir's own that takes the upstream's place, when a sign-in worked but its session may not be opened.
pub fn from(
    gate: &Gate,
    context: &mut Context<'_>,
    response: &mut Response<Body>,
    said: Said,
    reader: Reader,
    record: &mut Record,
) -> Result<(), Own> {
    let status = response.status();
    if status.is_server_error() {
        return Ok(());
    }
    let issued = issued_session(gate, context, response);
    if context.detached {
        cookie::drop_set(response.headers_mut(), context.session_cookie());
        return Ok(());
    }
    if let (Some(new), Some(facts)) = (issued, context.facts) {
        gate.shared.memory.sessions.put(new.bits(), context.now, facts);
    }
    let rules = context.prepared.rules();
    if let Some(level) = said
        .authenticated
        .as_ref()
        .and_then(|said| rules.level_of(said.acr.as_deref(), said.amr.iter().map(|amr| &**amr)))
    {
        let at = said.authenticated.and_then(|said| said.auth_time).unwrap_or(context.now).min(context.now);
        proved(gate, context, issued.or(context.session), level, at, record);
    }
    if context.marks.proves {
        step_up_answered(gate, context, issued, status, record);
    }
    if context.marks.ends_session && !status.is_client_error() {
        session_ended(gate, context, record);
    }
    let Some(journey) = context.journey.map(|journey| rules.journey(journey)) else { return Ok(()) };
    let Some(succeeds) = &journey.succeeds_on else { return Ok(()) };
    let worked = said.outcome.unwrap_or_else(|| succeeds.contains(status.as_u16()));
    let account = said.subject.as_deref().map(|name| gate.shared.names.account(name));
    if let Some(account) = account {
        context.account = Reading::Known(account);
        record.account = Some(account);
    }
    if journey.account.is_some()
        && context.device.known().is_none()
        && let Some(minted) = gate.shared.identity.devices.mint(context.client.https, context.now)
    {
        context.device = Reading::Known(minted.device);
        context.new_device = Some(minted.cookie);
        record.device = Some(minted.device);
    }
    match worked {
        true => sign_in_worked(gate, context, journey, issued, response, reader, record),
        false => {
            if is_a_refusal(status) {
                record.learned.push("sign_in_failed");
                observe(
                    gate,
                    context,
                    Observation::SignInFailed { device: context.device.known(), network: context.network },
                );
            }
            Ok(())
        }
    }
}

/// The session that this answer hands out, by its `Set-Cookie`.
fn issued_session(gate: &Gate, context: &Context<'_>, response: &Response<Body>) -> Option<Session> {
    session::begun(response.headers(), context.session_cookie()?, &gate.shared.names)
}

/// Whether an answer that is no success says that the password was wrong. Faults, waits and misdirections say nothing.
fn is_a_refusal(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
        )
}

fn sign_in_worked(
    gate: &Gate,
    context: &mut Context<'_>,
    journey: &Journey,
    issued: Option<Session>,
    response: &mut Response<Body>,
    reader: Reader,
    record: &mut Record,
) -> Result<(), Own> {
    let rules = context.prepared.rules();
    let session = issued.or(context.session);
    let Some(level) = rules.weakest_level() else { return Ok(()) };
    context.proof = Reading::Known(Proof { level, at: context.now, held: false });
    let readings = context.readings(gate);
    let verdict = judge(rules, context.journey, Stage::Session, true, false, &readings, context.now);
    record.session_scored = Some((verdict.scored, verdict.action));
    let hold = match verdict.outcome {
        Outcome::Cleared(_) => None,
        Outcome::Held(Hold::Throttle(throttle)) => {
            let _cleared = throttle.in_turn();
            None
        }
        Outcome::Held(hold) => Some(hold),
    };
    record.learned.push("sign_in_succeeded");
    let challenged = hold.is_some();
    let succeeded =
        Observation::SignInSucceeded { device: context.device.known(), network: context.network, challenged };
    observe(gate, context, succeeded);
    if let Some(session) = session {
        let facts = SessionFacts::begin(
            context.account.known(),
            context.device.known(),
            context.network,
            rules,
            level,
            challenged,
            context.now,
        );
        let facts = facts.after(Gap(readings.past.known().and_then(|past| past.since_last)));
        gate.shared.memory.sessions.put(session.bits(), context.now, facts);
        record.session = Some(session);
        context.session = Some(session);
        context.facts = Some(facts);
    }
    tracing::trace!(journey = %journey.name, challenged, "a sign-in worked");
    match hold {
        None => Ok(()),
        Some(Hold::StepUp { .. } | Hold::ReadOnly | Hold::Throttle(_)) => {
            record.learned.push("session_held");
            lead_to_step_up(gate, context, response, reader);
            Ok(())
        }
        Some(hold @ (Hold::Handoff { .. } | Hold::Deny { .. })) => {
            record.action = verdict.action;
            answer::hold(gate, context, hold, reader, record).map(|_| ())
        }
    }
}

/// A browser whose session was opened only as far as its step-up goes there at once, and from there to where it was going.
fn lead_to_step_up(gate: &Gate, context: &Context<'_>, response: &mut Response<Body>, reader: Reader) {
    let Some(law) = &context.prepared.rules().step_up else { return };
    if reader != Reader::Browser || !response.status().is_redirection() {
        return;
    }
    let going = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let going = going.filter(|to| to.starts_with('/')).unwrap_or("/").to_owned();
    if let Ok(location) = HeaderValue::from_str(&step_up::page(gate, context, &law.page, &going, false)) {
        response.headers_mut().insert(LOCATION, location);
    }
}

fn step_up_answered(
    gate: &Gate,
    context: &Context<'_>,
    issued: Option<Session>,
    status: StatusCode,
    record: &mut Record,
) {
    let Some(law) = &context.prepared.rules().step_up else { return };
    let Some(succeeds) = &law.succeeds else { return };
    if succeeds.contains(status.as_u16()) {
        proved(gate, context, issued.or(context.session), law.level, context.now, record);
    } else if is_a_refusal(status) {
        context.prepared.meters().step_up("failed");
        record.learned.push("step_up_failed");
        observe(gate, context, Observation::SignInFailed { device: context.device.known(), network: context.network });
    }
}

/// A proof was given in this session.
fn proved(
    gate: &Gate,
    context: &Context<'_>,
    session: Option<Session>,
    level: Level,
    at: crate::clock::Moment,
    record: &mut Record,
) {
    let Some(session) = session else { return };
    let memory = &gate.shared.memory;
    let rules = context.prepared.rules();
    let mut facts = context.facts.unwrap_or_else(|| {
        let account = context.account.known();
        SessionFacts::begin(account, context.device.known(), context.network, rules, level, false, at)
    });
    facts.prove(rules, level, at);
    memory.sessions.put(session.bits(), context.now, facts);
    if let Some(old) = context.session.filter(|old| *old != session) {
        memory.sessions.put(old.bits(), context.now, facts);
    }
    context.prepared.meters().step_up("passed");
    record.learned.push("step_up_passed");
    observe(gate, context, Observation::StepUpPassed { device: context.device.known(), network: context.network });
}

/// A session ended. One that was held stays held: the application may have refused the sign-out after all.
fn session_ended(gate: &Gate, context: &Context<'_>, record: &mut Record) {
    if let (Some(session), false) = (context.session, context.is_held()) {
        gate.shared.memory.sessions.remove(session.bits());
        record.learned.push("session_ended");
    }
}

fn observe(gate: &Gate, context: &Context<'_>, observation: Observation) {
    let (memory, now) = (&gate.shared.memory, context.now);
    let account = context.account.known();
    let device = context.device.known();
    // A customer's own typing errors say nothing about a place.
    let known = account.and_then(|account| memory.accounts.read(account.bits()));
    let trusted = device.is_some_and(|device| {
        known.is_some_and(|history| matches!(history.standing(device), Standing::Trusted { .. }))
    });
    if let Some(account) = account {
        memory.accounts.update(account.bits(), now, |history| history.observe(observation, now));
    }
    if trusted {
        return;
    }
    if let Some(device) = device {
        memory.devices.update(device.bits(), now, |bucket| bucket.observe(Shared::Device, observation, now));
    }
    memory.networks.update(context.network.bits(), now, |bucket| bucket.observe(Shared::Network, observation, now));
}
