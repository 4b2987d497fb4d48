//! What the upstream's answer teaches: a sign-in that worked or failed, a proof that was given, a session that began or ended.
//!
//! Only the upstream teaches: an answer that Weir wrote itself never comes here, and a fault of the upstream counts for
//! nothing. A sign-in is judged a second time here, when the password was right: a session that falls short is opened only
//! as far as its step-up, and one that may not be opened at all is not handed out.

use std::sync::Arc;

use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use smallvec::SmallVec;

use super::Gate;
use super::answer;
use super::body::Body;
use super::context::{Context, cookie};
use super::continuity;
use super::notice::{Notice, Reader};
use super::own::Own;
use super::page;
use super::record::Record;
use super::said::Said;
use super::step_up;
use crate::clock::Moment;
use crate::confidence::Reading;
use crate::identity::session::{self, Begun};
use crate::judge::decision::{Hold, Outcome, Question};
use crate::judge::judge;
use crate::judge::score::Scored;
use crate::judge::signals::authentication::Proof;
use crate::judge::signals::{Gap, Readings};
use crate::judge::stage::Stage;
use crate::memory::recall::{Asking, doubt, earned};
use crate::memory::{Memory, SessionFacts};
use crate::rules::ruleset::{Action, Journey, Level};
use crate::subject::{Account, Session};

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
    let rules = context.prepared.rules();
    let signs_in =
        context.journey.map(|journey| rules.journey(journey)).filter(|journey| journey.succeeds_on.is_some());
    let issued = issued_sessions(gate, context, response);
    if context.detached && signs_in.is_none() {
        cookie::drop_set(response.headers_mut(), context.session_cookie());
        return Ok(());
    }
    carried(gate, context, &issued, signs_in.is_some());
    if status.is_server_error() {
        return Ok(());
    }
    page::went_to(gate, context, response, reader, record);
    // What the application says of a proof counts before what its status means.
    let said_nothing = said.authenticated.is_none();
    if let Some(level) = said
        .authenticated
        .as_ref()
        .and_then(|said| rules.level_of(said.acr.as_deref(), said.amr.iter().map(|amr| &**amr)))
    {
        let at = said.authenticated.and_then(|said| said.auth_time).unwrap_or(context.now).min(context.now);
        proved(gate, context, &issued, level, at, record);
    }
    if context.marks.proves && said_nothing {
        step_up_answered(gate, context, &issued, status, record);
    }
    if context.marks.ends_session && !status.is_client_error() {
        session_ended(gate, context, record);
        continuity::pass::clear(context, response.headers_mut());
    }
    if context.stage != Stage::Attempt && context.whereabouts.is_some() {
        went_on(gate, context);
        if !status.is_client_error() {
            password_reset(gate, context);
            credentials_changed(gate, context, response);
        }
    }
    let Some((journey, succeeds)) = signs_in.and_then(|journey| Some((journey, journey.succeeds_on.as_ref()?))) else {
        return Ok(());
    };
    let worked = said.outcome.unwrap_or_else(|| succeeds.contains(status.as_u16()));
    let account = said.subject.as_deref().map(|name| gate.shared.names.account(name));
    if let Some(account) = account {
        context.account = Reading::Known(account);
        context.owner = said.subject.as_deref().map(|name| gate.shared.names.owner(name));
        record.account = Some(account);
    }
    if journey.account.is_some()
        && context.device.known().is_none()
        && let Some(minted) = gate.shared.identity.devices.mint(context.client.https, context.now)
    {
        context.device = Reading::Known(minted.device);
        record.device = Some(minted.device);
        context.new_device = Some(minted);
    }
    match worked {
        true => sign_in_worked(gate, context, journey, &issued, response, reader, record),
        false => {
            if is_a_refusal(status) {
                record.learned.push("sign_in_failed");
                context.prepared.meters().sign_in("failed");
                sign_in_failed(gate, context);
            }
            Ok(())
        }
    }
}

/// The sessions that an answer hands out.
type Issued = SmallVec<[Begun; 2]>;

/// The sessions that this answer hands out, by its `Set-Cookie`.
fn issued_sessions(gate: &Gate, context: &Context<'_>, response: &Response<Body>) -> Issued {
    let cookie = context.session_cookie();
    cookie.map_or_else(Issued::new, |cookie| session::begun(response.headers(), cookie, &gate.shared.names))
}

/// The one that goes on from this answer: the last that the client is told to keep, else the one that it came with.
fn continued(context: &Context<'_>, issued: &Issued) -> Option<Session> {
    issued.iter().rev().find(|begun| begun.kept).map(|begun| begun.session).or(context.session)
}

/// What is known of a session goes on when its cookie changes, whatever the status. A sign-in begins another one: what was
/// proved before is not the new one's, only a hold goes on until the sign-in is judged.
fn carried(gate: &Gate, context: &Context<'_>, issued: &Issued, signs_in: bool) {
    let Some(mut facts) = context.facts.filter(|facts| facts.is_held() || !signs_in) else { return };
    facts.goes_on_from(context.session);
    for begun in issued.iter().filter(|begun| begun.kept || facts.is_held()) {
        gate.shared.memory.sessions.put(begun.session.bits(), context.now, facts);
    }
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
    issued: &Issued,
    response: &mut Response<Body>,
    reader: Reader,
    record: &mut Record,
) -> Result<(), Own> {
    let rules = context.prepared.rules();
    let Some(level) = rules.weakest_level() else { return Ok(()) };
    if is_shut(gate, context) {
        return Err(shut(gate, context, journey, issued, reader, record));
    }
    context.proof = Reading::Known(Proof { level, at: context.now, held: false, bound: false });
    let mut readings = context.readings(gate);
    let trusted = readings.on_trusted_device();
    if journey.account.is_some() && context.account.known().is_none() {
        // Somebody came in, and nobody can say who: what their account's past would say is hidden, and so counts as the worst.
        readings = readings.hidden_account();
    }
    let verdict =
        judge(&Question { stage: Stage::Session, safe_method: true, ..context.question(gate, &readings, false) });
    record.judged_session(&verdict);
    context.count_short(gate, &verdict);
    let hold = match verdict.outcome {
        Outcome::Cleared(_) => None,
        Outcome::Held(Hold::Throttle(throttle)) => {
            let _cleared = throttle.in_turn();
            None
        }
        Outcome::Held(hold) => Some(hold),
    };
    record.learned.push("sign_in_succeeded");
    context.prepared.meters().sign_in("worked");
    let challenged = hold.is_some();
    let (account, visit) = (context.account.known(), context.asking(gate).visit(None));
    let earned = earned(&verdict.scored, challenged);
    gate.shared.memory.signed_in(account, &visit, trusted, Some(earned), context.now);
    let facts = SessionFacts::begin(account, &visit, (rules, level), challenged, context.now);
    let facts = facts.after(Gap(readings.past.known().and_then(|past| past.since_last)), doubt(&verdict.scored));
    for session in opened(context, issued, challenged) {
        gate.shared.memory.ended.opened(session);
        gate.shared.memory.sessions.put(session.bits(), context.now, facts);
        if context.prepared.keeps_snapshots() {
            let owner = context.owner.filter(|owner| Some(owner.account()) == context.account.known());
            gate.shared.memory.owned(session, owner, context.host(gate), context.now);
        }
        record.session = Some(session);
        context.session = Some(session);
        context.facts = Some(facts);
    }
    let in_full = hold.is_none().then(|| verdict.scored.confidence());
    continuity::pass::signed_in(gate, context, response.headers_mut(), facts, in_full);
    tracing::trace!(journey = %journey.name, challenged, "a sign-in worked");
    match hold {
        None => Ok(()),
        Some(Hold::StepUp { .. } | Hold::ReadOnly | Hold::Throttle(_)) => {
            record.learned.push("session_held");
            lead_to_step_up(gate, context, response, reader);
            Ok(())
        }
        Some(hold @ (Hold::Handoff { .. } | Hold::Deny { .. } | Hold::Narrowed)) => {
            record.action = verdict.action;
            answer::hold(gate, context, (hold, verdict.speaker), reader, record).map(|_| ())
        }
    }
}

/// Whether others have reported that the account is shut.
fn is_shut(gate: &Gate, context: &Context<'_>) -> bool {
    let reports = context.account.known().and_then(|account| gate.shared.memory.reports(account));
    reports.is_some_and(|reports| reports.is_shut())
}

/// A sign-in to an account that is shut, with the right password: whoever has it is told where a person is, and comes no further.
/// With a wrong one nobody is told anything.
fn shut(
    gate: &Gate,
    context: &Context<'_>,
    journey: &Journey,
    issued: &Issued,
    reader: Reader,
    record: &mut Record,
) -> Own {
    for session in opened(context, issued, true) {
        gate.shared.memory.ended.end(session, context.now, context.now);
    }
    record.learned.push("account_shut");
    context.prepared.meters().sign_in("shut");
    let person = journey.ladder.rungs().iter().rev().find_map(|rung| match rung.action {
        Action::Handoff { to } => Some(Hold::Handoff { to }),
        Action::Deny { to } => Some(Hold::Deny { to }),
        Action::Allow | Action::Throttle { .. } | Action::StepUp { .. } | Action::ReadOnly => None,
    });
    record.action = if let Some(Hold::Handoff { .. }) = person { "handoff" } else { "deny" };
    let denied = || Own::Held(Box::new(Notice::denied()));
    match person {
        None => denied(),
        Some(hold) => answer::hold(gate, context, (hold, None), reader, record).err().unwrap_or_else(denied),
    }
}

/// Every session that a sign-in may have opened: those that the answer hands out; where it hands out none, those that came with
/// the request, of which the application kept one. The last is the one that goes on.
fn opened(context: &Context<'_>, issued: &Issued, challenged: bool) -> SmallVec<[Session; 2]> {
    let mut opened: SmallVec<[Session; 2]> =
        issued.iter().filter(|begun| begun.kept || challenged).map(|begun| begun.session).collect();
    if !issued.iter().any(|begun| begun.kept) && !context.detached && !context.over {
        opened.extend(context.brought.iter().copied().filter(|_| challenged));
    }
    opened.extend(continued(context, issued));
    opened
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

fn step_up_answered(gate: &Gate, context: &Context<'_>, issued: &Issued, status: StatusCode, record: &mut Record) {
    let Some(law) = &context.prepared.rules().step_up else { return };
    let Some(succeeds) = &law.succeeds else { return };
    if succeeds.contains(status.as_u16()) {
        proved(gate, context, issued, law.level, context.now, record);
    } else if is_a_refusal(status) {
        context.prepared.meters().step_up("failed");
        record.learned.push("step_up_failed");
        sign_in_failed(gate, context);
    }
}

/// A proof was given in this session.
fn proved(gate: &Gate, context: &Context<'_>, issued: &Issued, level: Level, at: Moment, record: &mut Record) {
    let Some(session) = continued(context, issued) else { return };
    let memory = &gate.shared.memory;
    let rules = context.prepared.rules();
    let mut facts = context.facts.unwrap_or_else(|| {
        let visit = context.asking(gate).visit(None);
        SessionFacts::begin(context.account.known(), &visit, (rules, level), false, at)
    });
    facts.prove(rules, level, at);
    facts.goes_on_from(context.session);
    memory.sessions.put(session.bits(), context.now, facts);
    if let Some(old) = context.session.filter(|old| *old != session) {
        memory.sessions.put(old.bits(), context.now, facts);
    }
    context.prepared.meters().step_up("passed");
    record.learned.push("step_up_passed");
    if let Some(account) = context.account.known() {
        memory.proved(account, &context.asking(gate).visit(None), level, context.now);
    }
}

/// A session ended. One that was held stays held: the application may have refused the sign-out after all.
fn session_ended(gate: &Gate, context: &Context<'_>, record: &mut Record) {
    if let (Some(session), false) = (context.session, context.is_held()) {
        gate.shared.memory.sessions.remove(session.bits());
        if context.token.is_some() {
            // A cookie's session ends at the application. A token goes on by itself until it expires.
            gate.shared.memory.ended.end(session, context.now, context.now);
        }
        record.learned.push("session_ended");
    }
}

/// A password, or a proof, was wrong.
fn sign_in_failed(gate: &Gate, context: &Context<'_>) {
    let asking = context.asking(gate);
    let trusted = context.readings(gate).on_trusted_device();
    gate.shared.memory.signed_in(context.account.known(), &asking.visit(None), trusted, None, context.now);
}

/// A password was reset, where the journey says so.
fn password_reset(gate: &Gate, context: &Context<'_>) {
    let resets = context.journey.is_some_and(|id| context.prepared.rules().journey(id).resets_password);
    if let (true, false, Some(account)) = (resets, context.safe, context.account.known()) {
        gate.shared.memory.reset(account, &context.asking(gate).visit(None), context.now);
    }
}

/// Whoever is verified changed a password or an address: what was kept before is void. One that nobody has proved to own an account
/// voids nothing of it, or anybody could.
fn credentials_changed(gate: &Gate, context: &Context<'_>, response: &mut Response<Body>) {
    let changes = |id| {
        let journey = context.prepared.rules().journey(id);
        journey.changes_account || journey.resets_password
    };
    if let (false, true, true, Some(account)) =
        (context.safe, context.is_owner(), context.journey.is_some_and(changes), context.account.known())
    {
        gate.shared.snapshots.void_account(account);
        if context.prepared.gives_passes() {
            continuity::pass::void_all(gate, account, context.now);
            continuity::pass::clear(context, response.headers_mut());
        }
    }
}

/// A session went on: its last request, one more day of its device, and what looks other than before.
fn went_on(gate: &Gate, context: &Context<'_>) {
    let (Some(session), Some(facts)) = (context.session, &context.facts) else { return };
    let visit = context.asking(gate).visit(None);
    let memory = &gate.shared.memory;
    let account = context.account.known().filter(|_| !facts.is_held());
    let moved_with_others = account.is_some_and(|account| memory.visited(account, &visit, context.now));
    let changed =
        !context.safe && context.journey.is_some_and(|id| context.prepared.rules().journey(id).changes_account);
    if facts.is_due(&visit, context.now) || moved_with_others || changed {
        memory.sessions.update_existing(session.bits(), |facts| {
            facts.went_on(&visit, context.now);
            if moved_with_others {
                facts.looks_like(&visit, context.now);
            }
            if changed {
                facts.changed_something(context.now);
            }
        });
    }
}

/// A session that goes on otherwise than it began: its confidence has fallen, and rises slowly. Noted before anything is answered, so
/// that who is held does not come back with what is left of it.
pub fn fell(gate: &Gate, context: &Context<'_>, readings: &Readings, scored: &Scored) {
    let (Some(session), Some(facts)) = (context.session, &context.facts) else { return };
    let to = scored.confidence();
    if context.stage == Stage::Session && facts.falls(to, context.now) && readings.session_changed() {
        gate.shared.memory.sessions.update_existing(session.bits(), |facts| facts.fell(to, context.now));
    }
}

/// A sign-in whose client goes before the answer comes. The application goes on with it, so it is taken for the worst that it can
/// be: the password was wrong, and the session that it came with is open only as far as its step-up. Otherwise guessing would
/// cost nothing to whoever hangs up in time, and a session that the application keeps would be opened unjudged.
#[derive(Debug)]
#[must_use = "dropping it is what a client that has gone leaves behind"]
pub struct Unheard {
    memory: Arc<Memory>,
    account: Option<Account>,
    asking: Asking,
    sessions: SmallVec<[Session; 2]>,
    facts: Option<SessionFacts>,
    now: Moment,
    heard: bool,
}

impl Unheard {
    /// Of a sign-in that is about to be sent on; none for anything else.
    pub fn of(gate: &Gate, context: &Context<'_>) -> Option<Self> {
        let rules = context.prepared.rules();
        rules.journey(context.journey?).succeeds_on.as_ref()?;
        let (account, asking) = (context.account.known(), context.asking(gate));
        let sessions = if context.detached || context.over { SmallVec::new() } else { context.brought.clone() };
        let facts = rules
            .weakest_level()
            .map(|level| SessionFacts::begin(account, &asking.visit(None), (rules, level), true, context.now));
        Some(Self {
            memory: gate.shared.memory.clone(),
            account,
            asking,
            sessions,
            facts,
            now: context.now,
            heard: false,
        })
    }

    /// The upstream has answered, or failed to.
    pub fn heard(mut self) {
        self.heard = true;
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if self.heard {
            return;
        }
        if let Some(facts) = self.facts {
            for session in &self.sessions {
                self.memory.sessions.put(session.bits(), self.now, facts);
            }
        }
        let trusted = self.memory.readings(&self.asking, self.now).on_trusted_device();
        self.memory.signed_in(self.account, &self.asking.visit(None), trusted, None, self.now);
    }
}
