//! One more proof: asked for in the client's own way (RFC 9470 for programs, the application's page for browsers), and the way
//! back to where the customer was.
//!
//! A client that repeats the same request without a proof, for ever, is told once more in a way that ends the loop.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderValue, StatusCode, request};

use super::Gate;
use super::context::Context;
use super::context::back::RETURN;
use super::fault::Fault;
use super::notice::{Exit, Notice, Reader, wanted};
use super::own::Own;
use crate::identity::return_target;
use crate::judge::decision::Lack;
use crate::rules::ruleset::{JourneyId, Level, RuleSet, StepUpStatus};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How strong.
    pub level: Level,
    /// How fresh.
    pub max_age: Option<Duration>,
    /// What is missing.
    pub lacks: Lack,
}

/// The notice that asks for a proof.
pub fn notice(gate: &Gate, context: &Context<'_>, asked: Asked, reader: Reader) -> Notice {
    let rules = context.prepared.rules();
    let max_age = match asked.lacks {
        Lack::Strength => None,
        Lack::Freshness => asked.max_age.map(|age| age.as_secs()),
    };
    let back = if context.safe { sent(context) } else { context.referer.as_deref().unwrap_or("/") };
    let page = rules.step_up.as_ref().map(|step_up| page(gate, context, &step_up.page, back, !context.safe));
    let exit = Exit::proof(rules, asked.level, max_age, page.clone());
    let scheme = if context.token.is_some_and(|token| token.proved) { "DPoP" } else { "Bearer" };
    let challenge = challenge(scheme, &context.authority.host, &wanted(rules, asked.level), max_age);
    let looping = gate.shared.memory.loops.is_looping(context.loop_key(gate), context.now);
    context.prepared.meters().step_up(if looping { "looping" } else { "asked" });
    let mut notice = Notice::step_up(status(rules, context.journey, looping), &challenge, exit, !context.safe);
    if let (Reader::Browser, Some(page)) = (reader, page) {
        lead(&mut notice, &page);
    }
    notice
}

/// The status that asks a program, on this journey.
pub fn status(rules: &RuleSet, journey: Option<JourneyId>, looping: bool) -> StatusCode {
    match (looping, journey.map(|journey| rules.journey(journey).step_up_status)) {
        (true, _) | (_, Some(StepUpStatus::Forbidden)) => StatusCode::FORBIDDEN,
        (false, Some(StepUpStatus::Unauthorized) | None) => StatusCode::UNAUTHORIZED,
    }
}

/// Sends a browser to the application's page.
pub fn lead(notice: &mut Notice, page: &str) {
    if let Ok(location) = HeaderValue::from_str(page) {
        notice.status = StatusCode::SEE_OTHER;
        notice.fields.push((LOCATION, location));
    }
}

/// RFC 9470, section 3: the challenge on RFC 6750's scheme, or on RFC 9449's for who came in that.
fn challenge(scheme: &str, realm: &str, acr_values: &str, max_age: Option<u64>) -> String {
    let mut text = format!(
        "{scheme} realm=\"{}\", error=\"insufficient_user_authentication\", error_description=\"Please confirm it is you\", acr_values=\"{}\"",
        quoted(realm),
        quoted(acr_values)
    );
    if let Some(seconds) = max_age {
        let _ = write!(text, ", max_age=\"{seconds}\"");
    }
    text
}

/// What may stand between quotes in a field value.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && *c != '"' && *c != '\\').collect()
}

/// The application's page, with the signed way back. A change cannot be repeated by a redirect: the customer returns to the
/// page that it was made from, and is told that it has to be sent again.
pub fn page(gate: &Gate, context: &Context<'_>, page: &str, back: &str, resend: bool) -> String {
    let keys = &gate.shared.identity.keys;
    let joint = if page.contains('?') { '&' } else { '?' };
    let again = if resend { "&resend=1" } else { "" };
    match return_target::mint(keys, back, context.session, context.now) {
        Some(target) => format!("{page}{joint}rt={target}{again}"),
        None => page.to_owned(),
    }
}

/// The path and query as they were sent.
fn sent<'a>(context: &Context<'a>) -> &'a str {
    context.uri.path_and_query().map_or("/", |path| path.as_str())
}

/// Answers the way back from a step-up: a redirect to a target that was signed here for this session.
pub fn returning(gate: &Gate, context: &Context<'_>, head: &request::Parts) -> Option<Own> {
    if head.uri.path() != RETURN {
        return None;
    }
    let signed =
        head.uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("rt="));
    let keys = &gate.shared.identity.keys;
    let target = signed.and_then(|signed| {
        let began_as = context.facts.and_then(|facts| facts.began_as()).filter(|_| !context.is_held());
        return_target::read(keys, signed, context.session, context.now)
            .or_else(|| return_target::read(keys, signed, Some(began_as?), context.now))
    });
    Some(target.map_or(Own::Fault(Fault::ReturnTarget), Own::Return))
}
