//! The answers: one total match makes every response that is Weir's own, and one function finishes those passed on.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Response, StatusCode};
use http_body::Body as HttpBody;

use super::body::Body;
use super::context::Context;
use super::fault::{Blame, Fault};
use super::limits::seconds_until;
use super::notice::{Answered, Audience, Contact, Exit, Notice, Reader};
use super::own::Own;
use super::prepared::Prepared;
use super::ratelimit::{self, Policy};
use super::record::Record;
use super::{Gate, cors, handoff, narrowed, read_only, step_up};
use crate::identity::device;
use crate::judge::decision::{Clearance, Hold, Speaker};
use crate::rules::ruleset::Site;

/// The id of the request, on every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("weir-request-id");

/// What a hold comes to: a clearance when it is this client's turn after all, otherwise the notice.
pub fn hold(
    gate: &Gate,
    context: &Context<'_>,
    (hold, speaker): (Hold, Option<Speaker>),
    reader: Reader,
    record: &mut Record,
) -> Result<Clearance, Own> {
    let mut notice = match hold {
        Hold::StepUp { level, max_age, lacks } => {
            step_up::notice(gate, context, step_up::Asked { level, max_age, lacks }, reader)
        }
        Hold::Throttle(throttle) => {
            let turn = gate.shared.memory.throttles.ask(context.turn_key(gate), throttle.every, context.now);
            match turn {
                Ok(()) => return Ok(throttle.in_turn()),
                Err(told) => {
                    let seconds = seconds_until(told, context.now);
                    let policy = Policy { name: "throttle", quota: 1, window: throttle.every };
                    let mut notice = Notice::throttle(seconds);
                    notice.fields.extend(ratelimit::fields(policy, seconds));
                    notice
                }
            }
        }
        Hold::ReadOnly => read_only::notice(context),
        Hold::Handoff { to } => handoff::notice(gate, context, to, record),
        Hold::Narrowed => narrowed::notice(context, reader),
        Hold::Deny { to } => {
            let mut notice = Notice::denied();
            notice.exits.push(Exit::Contact(Contact::at(context.prepared.rules().help(to), false, context.now)));
            notice
        }
    };
    let law = |speaker: Speaker| Some((context.prepared.rules().playbooks.get(speaker.playbook)?, speaker.until));
    notice.playbook = speaker.and_then(law).map(|(law, until)| (law.words.clone(), until));
    Err(Own::Held(Box::new(notice)))
}

/// Makes the response of an answer that is Weir's own, and completes the record.
pub fn own(
    prepared: &Prepared,
    site: Option<&Site>,
    own: Own,
    audience: &Audience,
    mut record: Box<Record>,
) -> Response<Body> {
    let origin = audience.origin.as_ref();
    let rules = prepared.rules();
    if let Own::Fault(fault @ (Fault::Upstream(_) | Fault::Busy { .. })) = &own
        && let Some(answer) = audience.preflight(site)
    {
        record.cause = Some(fault.to_string().into());
        return finish(answer, site, origin, record);
    }
    let ends_connection = matches!(&own, Own::Fault(fault) if fault.ends_connection());
    let notice = match own {
        Own::Held(notice) => *notice,
        Own::Fault(fault) => {
            let notice = Notice::fault(&fault);
            record.action = "fault";
            record.why = Some(fault.word().into());
            record.cause = Some(fault.to_string().into());
            match fault.blame() {
                Blame::Client => {}
                Blame::Upstream | Blame::Ours => tracing::debug!(id = record.id(), %fault, "not served"),
            }
            notice
        }
        Own::Refused { name, status } => {
            record.action = "deny";
            record.why = Some(name);
            Notice::refused(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN))
        }
        Own::Return(target) => {
            record.why = Some("return".into());
            return finish(back(&target), site, origin, record);
        }
        Own::Ready(response) => return finish(*response, site, origin, record),
    };
    let voice = audience.voice(rules, record.journey, record.moment);
    let Answered { mut response, failed } =
        notice.spread(audience.address).with_a_person(rules, record.moment).answer(&voice, record.id());
    if let Some(failed) = failed {
        prepared.meters().template_failed(&failed.template);
        record.cause.get_or_insert_with(|| failed.to_string().into());
    }
    if ends_connection {
        // For HTTP/1.1; hyper leaves it out of HTTP/2, where a stream's end is never in doubt.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    finish(response, site, origin, record)
}

fn finish(
    mut response: Response<Body>,
    site: Option<&Site>,
    origin: Option<&HeaderValue>,
    mut record: Box<Record>,
) -> Response<Body> {
    cors::allow(response.headers_mut(), origin, site.and_then(|site| site.cors.as_ref()));
    stamp(&mut response, &record);
    record.status = Some(response.status());
    if record.method == Method::HEAD {
        // hyper leaves the body out of HTTP/1.1 only; in HTTP/2 a client would take it for a broken stream.
        let length = HttpBody::size_hint(response.body()).exact().unwrap_or(0);
        *response.body_mut() = Body::empty();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn back(target: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(target).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Finishes an answer that is passed on: its id, and a device cookie where a sign-in, or a browser that went to a page, came
/// without one.
pub fn passed(response: &mut Response<Body>, context: &Context<'_>, reader: Reader, record: &Record) {
    if let Some(minted) = &context.new_device {
        response.headers_mut().append(SET_COOKIE, minted.cookie.clone());
        if context.keeps_no_cookies && reader == Reader::Program {
            response.headers_mut().insert(device::HEADER, minted.token.clone());
        }
    }
    stamp(response, record);
}

fn stamp(response: &mut Response<Body>, record: &Record) {
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
}
