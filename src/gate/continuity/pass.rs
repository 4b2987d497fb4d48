//! The continuity pass on the path: left by a sign-in that was served in full, kept fresh while its owner comes, and taken where
//! there is no session any more and none can be had.
//!
//! Who brings one is judged as the session would be that it comes from, at this moment and from here; it shows what is kept, and
//! nothing is asked of the application with it. It must never be left to somebody who fell short, or stand beside another's session.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, Response, request};

use super::{By, Look, Sight, owner, sign_in};
use crate::clock::Moment;
use crate::confidence::{Confidence, Reading, Why};
use crate::gate::body::Body;
use crate::gate::context::Context;
use crate::gate::context::body::Taken;
use crate::gate::own::Own;
use crate::gate::prepared::Prepared;
use crate::gate::record::Record;
use crate::gate::{Gate, limits, page};
use crate::identity::pass::{self, Pass};
use crate::judge::decision::{Outcome, Verdict};
use crate::judge::judge;
use crate::judge::seen::Listed;
use crate::judge::signals::Readings;
use crate::judge::signals::authentication::Proof;
use crate::judge::signals::device::Standing;
use crate::judge::stage::Stage;
use crate::memory::SessionFacts;
use crate::memory::recall::Asking;
use crate::rules::client::Class;
use crate::rules::ruleset::JourneyId;
use crate::snapshots::PageKey;
use crate::subject::{Account, Device, Owner};

/// How often the pass of somebody who keeps coming is made anew.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Accounts that come in on one device before it is taken for nobody's own.
const OWNERS: u8 = 3;
/// Providers that a pass remembers: a home, a carrier, a place of work, a friend's.
const PROVIDERS: usize = 4;
/// Hosts that a pass remembers.
const HOSTS: usize = 3;
/// A pass that is void must be so whenever it is looked at again.
const EVER: Moment = Moment::from_unix_seconds(0);
/// What a clock may be set back by.
const AHEAD: Duration = Duration::from_secs(3600);

/// Who has a pass, as the judge saw them.
#[derive(Debug)]
pub struct Holder {
    /// What was said of them.
    pub verdict: Verdict,
    /// Sessions that were revoked do not void what is shown.
    pub outlives_revocation: bool,
}

/// A pass that holds, on its own device, with whoever brings it.
#[derive(Debug, Clone)]
pub struct Held {
    pass: Pass,
    asking: Asking,
}

impl Held {
    /// The pass that a request brings; nothing where there is the least doubt about it. `contained_since`: time from then on does not
    /// count towards its end.
    pub fn of(gate: &Gate, context: &Context<'_>, contained_since: Option<Moment>) -> Option<Self> {
        let rules = context.prepared.rules();
        let customer = context.class == Class::Customer && context.stage == Stage::Session;
        let ambiguous = context.proof == Reading::Unknown(Why::Ambiguous);
        let unclear = context.entangled || context.is_held() || ambiguous;
        let ended = context.over && !rules.continuity_pass.outlives_revocation;
        if !customer || unclear || ended || !context.prepared.gives_passes() {
            return None;
        }
        let counted = contained_since.map_or(context.now, |since| since.min(context.now));
        let pass = open(gate, context, counted)?;
        let account = pass.owner.account();
        let elsewhere = context.device.known() != Some(pass.device) || !pass.hosts.contains(&context.host(gate).bits());
        let unproved = pass.bound.is_some() && pass.bound != context.key;
        let another = is_of_another(gate, context, &pass);
        if elsewhere || unproved || another || is_void(gate, context.prepared, &pass, context.now) {
            return None;
        }
        let facts = facts_of(&pass)?;
        let proof = facts.proof(rules).map(|proof| lowered(gate, context, account, proof));
        let asking = Asking {
            account: Reading::Known(account),
            facts: Some(facts),
            proof: proof.map_or(context.proof, Reading::Known),
            ..context.asking(gate)
        };
        (!is_copied(gate, context, &asking, (&pass, &facts))).then_some(Self { pass, asking })
    }

    /// Whether nothing has happened to it since.
    pub fn stands(&self, gate: &Gate, prepared: &Prepared, now: Moment) -> bool {
        !is_void(gate, prepared, &self.pass, now)
    }

    /// What the histories say of whoever has it.
    pub fn readings(&self, gate: &Gate, now: Moment) -> Readings {
        gate.shared.memory.readings(&self.asking, now)
    }
}

/// What a request may see by the pass that it brings; nothing for most.
pub fn sight(gate: &Gate, context: &Context<'_>, look: Look) -> Option<Box<Sight>> {
    let rules = context.prepared.rules();
    let law = rules.journey(look.journey);
    law.snapshot.as_ref().filter(|snapshot| snapshot.pass)?;
    let held = Held::of(gate, context, gate.shared.snapshots.outage_since(&law.name))?;
    let readings = held.readings(gate, context.now);
    // As if nothing were left but looking: that is all that a pass is for.
    let verdict = judge(&context.question(gate, &readings, true));
    let confidence = verdict.scored.confidence();
    if !matches!(verdict.outcome, Outcome::Cleared(_)) || law.view_line.is_none_or(|line| confidence < line) {
        return None;
    }
    // A playbook that contains the journey while one can sign in is no reason: it is armed when thieves are about.
    let contained = gate.pools.away(rules.upstream(context.upstream)).then_some("away");
    Some(Box::new(Sight {
        key: PageKey::new(held.pass.owner, &look.host, &look.target),
        look,
        by: By::Pass(Box::new(Holder { verdict, outlives_revocation: rules.continuity_pass.outlives_revocation })),
        contained,
        keeps: false,
        began: gate.shared.snapshots.begin(),
    }))
}

/// What is shown to the holder of a pass who has no session, in place of the notice that asks for one: where the application is away
/// or fails, or nobody can sign in.
///
/// # Errors
/// The notice of a limit that is used up.
pub async fn instead(
    gate: &Gate,
    context: &Context<'_>,
    (head, body): (&request::Parts, &Taken),
    record: &mut Record,
) -> Result<Option<Response<Body>>, Own> {
    if context.pass.is_none() {
        return Ok(None);
    }
    let Some(sight) = Look::of(gate, context, head, body).and_then(|look| sight(gate, context, look)) else {
        return Ok(None);
    };
    let failing = || context.prepared.circuit(context.upstream).is_failing(context.now).then_some("failing");
    let nobody = || sign_in::is_away(gate, context).then_some("no_sign_in");
    let Some(why) = sight.contained.or_else(failing).or_else(nobody) else { return Ok(None) };
    let charged = limits::charge(gate, context, head, record)?;
    let shown = sight.show(gate, context, why, record).await;
    if shown.is_none() {
        charged.give_back(context.prepared);
    }
    Ok(shown)
}

/// What the application says to a session that it does not know any more, while nobody can sign in: its owner is shown what is kept.
pub async fn signed_out(
    gate: &Gate,
    context: &Context<'_>,
    look: &Look,
    record: &mut Record,
) -> Option<Response<Body>> {
    if context.pass.is_none() || !sign_in::is_away(gate, context) {
        return None;
    }
    sight(gate, context, look.clone())?.show(gate, context, "no_sign_in", record).await
}

/// A sign-in worked. One that was served in full leaves a pass where it was sure enough; whoever else came in on the device loses
/// theirs.
pub fn signed_in(
    gate: &Gate,
    context: &Context<'_>,
    headers: &mut HeaderMap,
    facts: SessionFacts,
    in_full: Option<Confidence>,
) {
    if !context.prepared.gives_passes() || context.class != Class::Customer {
        return;
    }
    let memory = &gate.shared.memory;
    if let (Some(account), Some(_)) = (context.account.known(), in_full)
        && let Some(reset) = memory.accounts.read(account.bits()).and_then(|history| history.reset_at())
    {
        // Somebody came in after it: it was no stranger's joke, and whoever had the account before it has it no more.
        void_all(gate, account, reset);
    }
    let line = context.prepared.rules().pass_line();
    let sure = in_full.zip(line).is_some_and(|(confidence, line)| confidence >= line);
    let owner = context.owner.filter(|owner| sure && context.account.known() == Some(owner.account()));
    let both = owner.zip(context.device.known());
    let given = both.is_some_and(|both| give(gate, context, headers, both, facts));
    if !given && open(gate, context, EVER).is_some_and(|had| Some(had.owner) != context.owner) {
        take_away(gate, context, headers);
    }
}

/// Somebody who was served in full is left a pass, or a fresh one; the pass of anybody else is taken away.
pub fn served(gate: &Gate, context: &Context<'_>, headers: &mut HeaderMap, owner: Owner) {
    let gives = context.prepared.gives_passes() && context.journey.is_some_and(|id| snapshot_has_pass(context, id));
    // Whoever got the answer out of a cache would have the pass of somebody else.
    let shared = ["cdn-cache-control", "surrogate-control"].iter().any(|name| headers.contains_key(*name));
    if !gives || shared || !page::is_for_one(headers) {
        return;
    }
    let had = open(gate, context, context.now);
    let own = had.as_ref().is_some_and(|had| {
        had.owner == owner
            && Some(had.device) == context.device.known()
            && had.hosts.contains(&context.host(gate).bits())
            && !is_void(gate, context.prepared, had, context.now)
    });
    if own && had.as_ref().is_some_and(|had| context.now.since(had.given) < FRESH) {
        return;
    }
    let given = renewed(gate, context, headers, owner, own);
    if !given && context.pass.is_some() && !own {
        match had.is_some_and(|had| had.owner != owner) {
            true => take_away(gate, context, headers),
            false => clear(context, headers),
        }
    }
}

fn renewed(gate: &Gate, context: &Context<'_>, headers: &mut HeaderMap, owner: Owner, own: bool) -> bool {
    let rules = context.prepared.rules();
    let facts = match (context.facts, context.proof, &context.token) {
        (Some(facts), _, _) => Some(facts),
        (None, Reading::Known(proof), Some(token)) => {
            let visit = context.asking(gate).visit(None);
            let facts = SessionFacts::begin(Some(owner.account()), &visit, (rules, proof.level), false, context.now);
            Some(facts.began_at(token.began).proved_at(proof.at))
        }
        (None, _, _) => None,
    };
    let Some(facts) = facts.filter(|facts| facts.account() == Some(owner.account())) else { return false };
    let device = match context.device {
        // Where customers sign in at the application, a device on which the account never came in has a session from elsewhere.
        Reading::Known(device) if own || context.token.is_some() || is_known(gate, owner, device) => device,
        // Where others sign customers in, none comes by here at which a device would be told who it is.
        Reading::Unknown(Why::Missing) if context.token.is_some() => {
            let Some(minted) = gate.shared.identity.devices.mint(context.client.https, context.now) else {
                return false;
            };
            headers.append(SET_COOKIE, minted.cookie);
            minted.device
        }
        Reading::Known(_) | Reading::Unknown(_) => return false,
    };
    give(gate, context, headers, (owner, device), facts)
}

/// Whether the account has come in on the device.
fn is_known(gate: &Gate, owner: Owner, device: Device) -> bool {
    let history = gate.shared.memory.accounts.read(owner.account().bits());
    history.is_some_and(|history| history.standing(device) != Standing::New)
}

/// What a request's device was left is void, and its browser is told to forget it.
pub fn take_away(gate: &Gate, context: &Context<'_>, headers: &mut HeaderMap) {
    void(gate, context);
    clear(context, headers);
}

/// The browser is told to forget the pass that it brings.
pub fn clear(context: &Context<'_>, headers: &mut HeaderMap) {
    if context.pass.is_some() {
        headers.extend(pass::remove(context.client.https).map(|field| (SET_COOKIE, field)));
    }
}

/// Whatever the account of the pass that a request brings was left on its device is void: this one, and those before it.
pub fn void(gate: &Gate, context: &Context<'_>) {
    if let Some(pass) = open(gate, context, EVER) {
        let key = pass::on_device(&gate.shared.names, pass.owner.account(), pass.device);
        // A clock that was set back must not spare it.
        gate.shared.memory.void_pass(key, context.now.max(pass.given));
        context.prepared.meters().pass("void");
    }
}

/// Every pass of an account that was given until then is void.
pub fn void_all(gate: &Gate, account: Account, until: Moment) {
    gate.shared.memory.void_pass(pass::all_of(&gate.shared.names, account), until);
}

/// Whether what the application says to a session means that it ended it, in the midst of it: not that it ran out.
pub fn ended_midway(context: &Context<'_>) -> bool {
    /// Applications let go of a session that rests for so long.
    const RESTS: Duration = Duration::from_secs(15 * 60);
    match &context.token {
        Some(token) => context.now < token.expires,
        None => context.facts.is_none_or(|facts| facts.idle(context.now) < RESTS),
    }
}

/// How the session was that a pass comes from.
fn facts_of(pass: &Pass) -> Option<SessionFacts> {
    let facts: SessionFacts = postcard::from_bytes(&pass.began).ok()?;
    (facts.account() == Some(pass.owner.account()) && !facts.is_held()).then_some(facts)
}

/// The pass that a request brings, if it is good at this moment.
fn open(gate: &Gate, context: &Context<'_>, at: Moment) -> Option<Pass> {
    pass::open(&gate.shared.identity.keys, context.pass.as_deref()?, at)
}

fn snapshot_has_pass(context: &Context<'_>, journey: JourneyId) -> bool {
    context.prepared.rules().journey(journey).snapshot.as_ref().is_some_and(|law| law.pass)
}

/// Leaves a pass, where the device is somebody's own.
fn give(
    gate: &Gate,
    context: &Context<'_>,
    headers: &mut HeaderMap,
    (owner, device): (Owner, Device),
    facts: SessionFacts,
) -> bool {
    let memory = &gate.shared.memory;
    let many = memory.devices.read(device.bits()).is_some_and(|record| record.accounts() > OWNERS);
    let trusted = || memory.accounts.read(owner.account().bits()).is_some_and(|history| history.is_trusted(device));
    if many || (context.prepared.rules().continuity_pass.trusted_only && !trusted()) {
        return false;
    }
    let voided = memory.pass_voided_by_somebody(pass::all_of(&gate.shared.names, owner.account()));
    // A session from before a new password goes on here only where it made the change itself.
    let changed = facts.begun(&context.asking(gate).visit(None), context.now).changed;
    let stale = voided.is_some_and(|voided| voided >= facts.began()) && !changed;
    let reports = memory.reports(owner.account());
    if stale || reports.is_some_and(|reports| reports.voids(facts.began())) {
        return false;
    }
    let after = voided.map_or(context.now, |voided| context.now.max(voided.plus(Duration::from_secs(1))));
    let Ok(began) = postcard::to_stdvec(&facts) else { return false };
    let had = open(gate, context, context.now).filter(|had| !is_void(gate, context.prepared, had, context.now));
    let had = had.filter(|had| (had.owner, had.device) == (owner, device));
    let (hosts, providers) = (hosts(gate, context, had.as_ref()), providers(context, had));
    let session = context.session;
    let pass = Pass { owner, device, hosts, given: after, session, providers, bound: context.key, began };
    let law = context.prepared.rules().continuity_pass;
    let lasts = (law.lasts, law.oldest());
    let Some(field) = pass::leave(&gate.shared.identity.keys, &pass, lasts, context.client.https) else {
        return false;
    };
    if context.keeps_no_cookies
        && let Some(value) = pass::value(&field)
    {
        headers.insert(pass::HEADER, value);
    }
    headers.append(SET_COOKIE, field);
    context.prepared.meters().pass("given");
    true
}

/// The hosts at which whoever has a pass is known: where they are served now, and what the pass says that they bring.
fn hosts(gate: &Gate, context: &Context<'_>, had: Option<&Pass>) -> Vec<u32> {
    let here = context.host(gate).bits();
    let before = had.iter().flat_map(|had| had.hosts.iter().copied()).filter(|host| *host != here);
    std::iter::once(here).chain(before).take(HOSTS).collect()
}

/// The providers that a device was at lately: where it is now, and what the pass says that it brings, if that is its owner's own.
fn providers(context: &Context<'_>, had: Option<Pass>) -> Vec<u32> {
    let had = had.map_or(Vec::new(), |had| had.providers);
    let here = context.whereabouts.and_then(|at| at.provider.known());
    let mut all: Vec<u32> = here.into_iter().chain(had.into_iter().filter(|had| Some(*had) != here)).collect();
    all.truncate(PROVIDERS);
    all
}

/// Whether something has happened since a pass was given, or nobody remembers what may have.
fn is_void(gate: &Gate, prepared: &Prepared, pass: &Pass, now: Moment) -> bool {
    let (memory, names) = (&gate.shared.memory, &gate.shared.names);
    let law = prepared.rules().continuity_pass;
    if now.since(pass.given) >= law.oldest() || pass.given > now.plus(AHEAD) {
        return true;
    }
    let account = pass.owner.account();
    let Some(facts) = facts_of(pass) else { return true };
    let sessions = [pass.session, facts.began_as()].into_iter().flatten();
    let by = [pass::all_of(names, account), pass::on_device(names, account, pass.device)];
    let mut by = by.into_iter().chain(sessions.map(|session| pass::from_session(names, session)));
    if by.any(|key| memory.pass_voided(key).is_some_and(|voided| voided >= pass.given)) {
        return true;
    }
    // A sign-in at the application is remembered. Where others sign customers in, only what they report is.
    let remembered = prepared.tokens().is_none();
    let Some(history) = memory.accounts.read(account.bits()) else { return remembered };
    let reports = &history.reports;
    let reported = match law.outlives_revocation {
        true => reports.voids_though_revoked(facts.began()),
        false => reports.voids(facts.began()),
    };
    reported || (remembered && !history.is_known_since(pass.given))
}

/// Whether whoever asks is shown to be somebody else: by a session, or by a token that proves nothing but names somebody.
fn is_of_another(gate: &Gate, context: &Context<'_>, pass: &Pass) -> bool {
    let owner = context.session.and_then(|session| owner(gate, context, session)).map(|(owner, _)| owner);
    (context.vouched && context.account.known() != Some(pass.owner.account()))
        || owner.is_some_and(|owner| owner != pass.owner)
        || (context.unbelieved && context.owner != Some(pass.owner))
}

/// Whether a pass and its device's cookie were copied, as far as can be told: what brings them is another program than the one that
/// they were left to, or comes from a country or through a kind of exit that the account has never come from, where lists say which
/// that is; or from a provider, where the law asks for it. A session would be weighed for that and asked for a proof; here nobody can
/// give one.
fn is_copied(gate: &Gate, context: &Context<'_>, asking: &Asking, (pass, facts): (&Pass, &SessionFacts)) -> bool {
    let visit = asking.visit(None);
    let begun = facts.begun(&visit, context.now);
    let history = asking.account.known().and_then(|account| gate.shared.memory.accounts.read(account.bits()));
    let ties = history.map(|history| history.ties(&visit.at));
    let abroad = begun.other_country && ties.is_none_or(|ties| ties.country != Reading::Known(true));
    let moved_on = |here| !pass.providers.is_empty() && !pass.providers.contains(&here);
    let strange = context.prepared.rules().continuity_pass.known_providers_only
        && visit.at.provider.known().is_some_and(moved_on)
        && ties.is_none_or(|ties| ties.provider != Reading::Known(true));
    let exit = visit.at.listed.known().is_some_and(|listed| {
        let usual = ties.map_or(Listed::NOTHING, |ties| ties.listed);
        !usual.contains(listed)
    });
    !begun.moved.is_none() || facts.is_hidden(&visit) || abroad || strange || exit
}

/// What others have reported may have made a proof worth no more than a password.
fn lowered(gate: &Gate, context: &Context<'_>, account: Account, proof: Proof) -> Proof {
    let lowers = gate.shared.memory.reports(account).is_some_and(|reports| reports.lowers(proof.at));
    match context.prepared.rules().weakest_level() {
        Some(level) if lowers => Proof { level, ..proof },
        Some(_) | None => proof,
    }
}
