//! Where one signs in: whether it is possible now, for everybody, as the law, the posture and what serves it stand; and what sends
//! somebody there.
//!
//! It must never be said of one customer: who cannot sign in because of who they are is told so by the judge.

use http::header::LOCATION;
use http::{Response, StatusCode};

use super::serve::Asked;
use super::works;
use crate::clock::Moment;
use crate::gate::Gate;
use crate::gate::context::Context;
use crate::gate::prepared::Prepared;
use crate::identity::session;
use crate::judge::outlook::{self, Everybody, Standing};
use crate::judge::stage::Stage;
use crate::rules::client::{Channel, Class};
use crate::rules::routes::Found;
use crate::rules::ruleset::{JourneyId, Site};
use crate::rules::target;
use crate::upstream::Failure;

/// Notes whether a sign-in was answered at all.
pub fn heard(context: &Context<'_>, asked: &Asked) {
    if context.stage != Stage::Attempt || !context.prepared.gives_passes() {
        return;
    }
    let answered = match asked {
        // What the client did not send says nothing.
        Asked::Answered(Err(Failure::RequestBody(_))) | Asked::Shown(_) => return,
        Asked::Answered(Err(_)) => false,
        Asked::Answered(Ok(answer)) => !matches!(
            answer.status(),
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
    };
    context.prepared.circuit(context.upstream).signed_in(answered, context.now);
}

/// Whether an answer asks whoever got it to sign in: as it says, by where it leads, or by taking the session's cookie back.
pub fn is_asked_for<B>(context: &Context<'_>, answer: &Response<B>) -> bool {
    let taken_away = || context.session_cookie().is_some_and(|cookie| session::taken_away(answer.headers(), cookie));
    answer.status() == StatusCode::UNAUTHORIZED || leads_there(context, answer) || taken_away()
}

/// Whether an answer sends the browser to where one signs in.
fn leads_there<B>(context: &Context<'_>, response: &Response<B>) -> bool {
    if !response.status().is_redirection() {
        return false;
    }
    let rules = context.prepared.rules();
    let path = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| {
        let to = to.parse::<http::Uri>().ok()?;
        Some(to.path().to_owned())
    });
    let Some(Ok(target)) = path.as_deref().map(target::read) else { return false };
    match rules.routes.find("POST", &target) {
        Found::Listed { journey: Some(journey), .. } => rules.journey(journey).succeeds_on.is_some(),
        Found::Listed { journey: None, .. } | Found::Unlisted | Found::Ambiguous | Found::MethodNotAllowed { .. } => {
            false
        }
    }
}

/// Whether nobody can sign in: no way of it is open, or whoever gives out tokens cannot be reached.
pub fn is_away(gate: &Gate, context: &Context<'_>) -> bool {
    is_away_at(gate, context.prepared, context.site, context.now)
}

/// The same on this site. A client can say which channel it comes by, so it is asked of each by which customers sign in.
pub fn is_away_at(gate: &Gate, prepared: &Prepared, site: &Site, now: Moment) -> bool {
    let rules = prepared.rules();
    if prepared.tokens().is_some_and(|tokens| tokens.is_issuer_away(now)) {
        return true;
    }
    let mut ways = rules.journey_ids().filter(|id| rules.journey(*id).succeeds_on.is_some()).peekable();
    ways.peek().is_some()
        && ways.all(|way| {
            let mut channels = [Channel::Web, Channel::App].into_iter();
            channels.all(|channel| is_shut(gate, prepared, (site, way), (Class::Customer, channel), now))
        })
}

fn is_shut(
    gate: &Gate,
    prepared: &Prepared,
    (site, journey): (&Site, JourneyId),
    (class, channel): (Class, Channel),
    now: Moment,
) -> bool {
    let rules = prepared.rules();
    let upstream_away = works::is_away(gate, prepared, (site, journey), channel, now);
    let fails = |path: &str| {
        let circuit = prepared.circuit(site.upstream_of(path));
        circuit.is_failing(now) || circuit.answers_no_sign_in(now)
    };
    if upstream_away || rules.routes.of(journey).any(|(_, path)| fails(path)) {
        return true;
    }
    let outlook = outlook::of_everybody(&Everybody {
        rules,
        effects: &prepared.law.effects,
        journey,
        safe_method: false,
        upstream_away,
        class,
        channel,
        now,
    });
    match outlook.standing {
        Standing::Open | Standing::Proof { .. } => false,
        Standing::ReadOnly
        | Standing::ByPhone { .. }
        | Standing::Closed { .. }
        | Standing::Narrowed
        | Standing::Away => true,
    }
}
