//! The verdict: confidence held against the law of one journey.
//!
//! Every demand that applies (what the journey requires, the rung that was reached, what is done when something is unknown,
//! what is left when the upstream is away) is gathered, and all of them hold together; so no demand can loosen another.
//! It must never let confidence stand in for a proof, and it is the only place where a [`Clearance`] is made.

use std::time::Duration;

use super::armed::{self, Asked};
use super::demanded::{Demand, Heard, Origin};
use super::floating::{Floated, Short};
use super::guard::Toll;
use super::score::{Scored, score, score_without};
use super::signals::Readings;
use super::signals::authentication::Proof;
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::Confidence;
use crate::rules::budgets::Floats;
use crate::rules::client::{Channel, Class};
use crate::rules::effects::{Effects, Playbooks};
use crate::rules::guards::Groups;
use crate::rules::ruleset::{Action, HelpId, Journey, JourneyId, Ladder, Level, RuleSet};

/// What came out, and why.
#[derive(Debug)]
pub struct Verdict {
    /// The score with its explanation.
    pub scored: Scored,
    /// Which rung of the ladder was reached, from the top of the ladder as it is enforced; none where no ladder applies.
    pub reached: Option<usize>,
    /// The word of what is done, as in [`Action::word`].
    pub action: &'static str,
    /// Whether the request goes on.
    pub outcome: Outcome,
    /// What would be done if all that is in shadow were enforced, where that is something else.
    pub shadow: Option<&'static str>,
    /// The armed playbooks that asked something of it. None of them is in shadow.
    pub playbooks: Playbooks,
    /// Which of them speaks to the customer who is held back.
    pub speaker: Option<Speaker>,
    /// What the groups of signals say of a customer who has long been known, whether they are believed or not.
    pub toll: Option<Toll>,
    /// How far a customer who has long been known falls short, on a journey with a budget.
    pub short: Option<Short>,
    /// Where the upper line stands, when it has floated.
    pub floated: Option<Floated>,
}

/// The armed playbook whose words a customer reads: of those that have words, the one that asks for the most; of equals the one
/// that was armed first. One that asks for less than what is done does not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Its place in `RuleSet::playbooks`.
    pub playbook: usize,
    /// When it ends, as things stand.
    pub until: Moment,
}

/// Whether a request goes on.
#[derive(Debug)]
pub enum Outcome {
    /// It does.
    Cleared(Clearance),
    /// It does not, or not yet.
    Held(Hold),
}

/// Proof that the judge let a request through. Forwarding takes it, and nothing else makes one:
///
/// ```compile_fail,E0451
/// let forged = weir::judge::decision::Clearance { journey: None, looking: false };
/// ```
///
/// ```compile_fail,E0599
/// fn twice(clearance: weir::judge::decision::Clearance) -> [weir::judge::decision::Clearance; 2] {
///     [clearance.clone(), clearance]
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a clearance is what forwarding asks for"]
pub struct Clearance {
    journey: Option<JourneyId>,
    looking: bool,
}

impl Clearance {
    /// The journey that it was given for.
    pub const fn journey(&self) -> Option<JourneyId> {
        self.journey
    }

    /// Whether it is for looking only: a safe method while the journey is contained.
    pub const fn is_for_looking(&self) -> bool {
        self.looking
    }
}

/// How a request is held, and with that its way out.
#[derive(Debug)]
pub enum Hold {
    /// One more proof is asked for.
    StepUp {
        /// How strong.
        level: Level,
        /// How old it may be.
        max_age: Option<Duration>,
        /// What the session's own proof is short of.
        lacks: Lack,
    },
    /// Served only so often: memory knows whether it is this client's turn.
    Throttle(Throttle),
    /// Looking is served, changing is not.
    ReadOnly,
    /// The same thing through a person.
    Handoff {
        /// Where.
        to: HelpId,
    },
    /// Refused.
    Deny {
        /// Where a person is reached all the same.
        to: HelpId,
    },
    /// A playbook says what automation may still do, and this is not among it.
    Narrowed,
}

impl Hold {
    /// How strict it is for a customer, as [`Action::strictness`] says; none for automation that is narrowed.
    pub(super) const fn strictness(&self) -> Option<u8> {
        match self {
            Self::Throttle(_) => Some(1),
            Self::StepUp { .. } => Some(3),
            Self::ReadOnly => Some(Action::ReadOnly.strictness()),
            Self::Handoff { .. } => Some(5),
            Self::Deny { .. } => Some(6),
            Self::Narrowed => None,
        }
    }
}

/// What a proof is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There is none that is strong enough.
    Strength,
    /// It was strong enough, and is too old.
    Freshness,
}

/// A clearance that waits for the client's turn.
#[derive(Debug)]
pub struct Throttle {
    /// The shortest time between two requests of one client.
    pub every: Duration,
    clearance: Clearance,
}

impl Throttle {
    /// The clearance, once memory has said that it is this client's turn.
    pub fn in_turn(self) -> Clearance {
        self.clearance
    }
}

/// What is asked of the judge.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The law.
    pub rules: &'a RuleSet,
    /// What the posture adds to it.
    pub effects: &'a Effects,
    /// What the request tries to do; `None` for a route that no journey names.
    pub journey: Option<JourneyId>,
    /// The rules name its route: for a journey, or as one that takes a proof or ends a session.
    pub listed: bool,
    /// When it is judged.
    pub stage: Stage,
    /// Whether its method only looks (RFC 9110, section 9.2.1).
    pub safe_method: bool,
    /// Whether what serves it is out of reach.
    pub upstream_away: bool,
    /// Its readings at `now`.
    pub readings: &'a Readings,
    /// The groups of signals that a guard has frozen.
    pub frozen: Groups,
    /// How far the journey's lines have floated down.
    pub floats: Floats,
    /// What kind of client asks.
    pub class: Class,
    /// Where it comes from.
    pub channel: Channel,
    /// The moment.
    pub now: Moment,
}

impl<'a> Question<'a> {
    /// A customer on the site, while nothing is armed and the upstream is there, looks at something that no journey names.
    pub fn calm(rules: &'a RuleSet, readings: &'a Readings, now: Moment) -> Self {
        static CALM: Effects = Effects::NONE;
        Self {
            rules,
            effects: &CALM,
            journey: None,
            listed: false,
            stage: Stage::Session,
            safe_method: true,
            upstream_away: false,
            readings,
            frozen: Groups::NONE,
            floats: Floats::NONE,
            class: Class::Customer,
            channel: Channel::Web,
            now,
        }
    }
}

/// Judges one request.
pub fn judge(question: &Question<'_>) -> Verdict {
    judge_heard(question, None)
}

/// The same, while somebody listens to what is asked, and by what.
pub fn judge_heard(question: &Question<'_>, heard: Option<&mut Heard>) -> Verdict {
    let Weighed { scored, reached, demands, proof, asked, toll, short } = weigh(question, false, heard);
    let (action, outcome) = demands.settle(question, proof);
    let speaker = match &outcome {
        Outcome::Held(hold) => asked.speaker(hold),
        Outcome::Cleared(_) => None,
    };
    let trial = question.effects.some_in_shadow()
        || question.journey.is_some_and(|id| question.rules.journey(id).in_shadow.is_some());
    let shadow = if trial { would_be(question).filter(|word| *word != action) } else { None };
    let floated = floated(question);
    Verdict { scored, reached, action, outcome, shadow, playbooks: asked.playbooks, speaker, toll, short, floated }
}

/// What would be done if all that is in shadow were enforced.
fn would_be(question: &Question<'_>) -> Option<&'static str> {
    let Weighed { demands, proof, .. } = weigh(question, true, None);
    let (word, _never_used) = demands.settle(question, proof);
    Some(word)
}

/// A question weighed: the score, and everything that is demanded.
struct Weighed<'h> {
    scored: Scored,
    reached: Option<usize>,
    demands: Demands<'h>,
    proof: Option<Proof>,
    asked: Asked,
    toll: Option<Toll>,
    short: Option<Short>,
}

/// Gathers what is demanded; in a trial as if everything in shadow were enforced.
fn weigh<'h>(question: &Question<'_>, trial: bool, heard: Option<&'h mut Heard>) -> Weighed<'h> {
    let mut asked = Asked::default();
    let armed = !question.effects.is_empty();
    let doubtful;
    let mut frozen = question.frozen;
    let readings = match armed.then(|| armed::distrusted(question, trial, &mut asked)) {
        Some(families) if !families.is_empty() => {
            doubtful = question.readings.doubting(families);
            // By hand goes before by guard: it weighs as the worst.
            frozen = families.iter().fold(frozen, Groups::without_family);
            &doubtful
        }
        Some(_) | None => question.readings,
    };
    let (weights, stage, now) = (&question.rules.weights, question.stage, question.now);
    let believed = score(readings, weights, stage, now);
    let mut others = Others::default();
    if !std::ptr::eq(readings, question.readings) {
        others.undoubted = Some(score(question.readings, weights, stage, now).confidence());
    }
    let toll = if trial { None } else { Toll::of(question.readings, &believed, stage) };
    let scored = if frozen.is_empty() {
        believed
    } else {
        others.unfrozen = Some(believed.confidence());
        score_without(readings, weights, stage, now, frozen)
    };
    let mut demands = Demands { heard, ..Demands::default() };
    let reached = ask(question, &scored, others, trial, &mut demands);
    if armed {
        armed::add(question, trial, &scored, readings, &mut demands, &mut asked);
    }
    let proof = match question.stage {
        Stage::Attempt => None,
        Stage::Claim | Stage::Session => readings.session.known(),
    };
    if let Some(heard) = &mut demands.heard {
        heard.proof = proof;
    }
    let short = if trial || others.is_otherwise() { None } else { short(question, &scored) };
    Weighed { scored, reached, demands, proof, asked, toll, short }
}

/// How far the customer falls short on a journey with a budget, where nothing is doubted or frozen.
fn short(question: &Question<'_>, scored: &Scored) -> Option<Short> {
    let journey = question.rules.journey(question.journey?);
    journey.budget.as_ref()?;
    Short::of(question, staged(journey, question.stage)?, question.readings, scored)
}

/// Where the upper line stands, when it has floated.
fn floated(question: &Question<'_>) -> Option<Floated> {
    let by = question.floats.at(question.stage);
    if by == 0 {
        return None;
    }
    let journey = question.rules.journey(question.journey?);
    Floated::of(staged(journey, question.stage)?, by, journey.view_line)
}

/// The ladder that is enforced at this stage.
fn staged(journey: &Journey, stage: Stage) -> Option<&Ladder> {
    match (stage, ladders(journey, false)) {
        (Stage::Attempt, (attempt, _)) => attempt,
        (Stage::Claim | Stage::Session, (_, ladder)) => Some(ladder),
    }
}

/// What the confidence would be otherwise, where it would be another.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    /// Before anything was doubted by hand.
    undoubted: Option<Confidence>,
    /// Before anything was frozen by a guard.
    unfrozen: Option<Confidence>,
}

impl Others {
    const fn is_otherwise(self) -> bool {
        self.undoubted.is_some() || self.unfrozen.is_some()
    }
}

/// What the journey itself demands, and which rung was reached.
fn ask(
    question: &Question<'_>,
    scored: &Scored,
    others: Others,
    trial: bool,
    demands: &mut Demands<'_>,
) -> Option<usize> {
    let journey = question.rules.journey(question.journey?);
    match question.stage {
        Stage::Attempt => attempt(question, journey, scored, others, trial, demands),
        Stage::Claim | Stage::Session => session(question, journey, scored, others, trial, demands),
    }
}

/// Demands the rung that was reached. Where something is doubted, so do all from the rung that was reached without the doubt
/// down to it: a ladder may allow further down what it does not allow in between, and to doubt more must not give more. The same
/// where something is frozen, to whichever side that moved the confidence.
fn climb(
    question: &Question<'_>,
    ladder: &Ladder,
    scored: &Scored,
    others: Others,
    demands: &mut Demands<'_>,
) -> usize {
    let (by, view_line) = (question.floats.at(question.stage), view_line(question));
    let reach = |confidence: Confidence| ladder.reach_floated(confidence, by, view_line);
    let reached = reach(scored.confidence());
    let place = |confidence: Option<Confidence>| confidence.map_or(reached, reach);
    let (undoubted, unfrozen) = (place(others.undoubted), place(others.unfrozen));
    let from = reached.min(undoubted).min(unfrozen);
    let to = match spared(question, others) {
        Some(proof) if unfrozen > reached => {
            demands.add(Origin::Frozen, &proof);
            reached
        }
        Some(_) | None => reached.max(unfrozen),
    };
    for (at, rung) in ladder.rungs().iter().enumerate().take(to + 1).skip(from) {
        demands.add(Origin::Rung(at), &rung.action);
    }
    reached
}

/// Below it the journey shows no personal data, however far lines float.
fn view_line(question: &Question<'_>) -> Option<Confidence> {
    question.rules.journey(question.journey?).view_line
}

/// The proof with which a customer who has long been known, in a session on a trusted device, gets by while a source that took from
/// everybody is frozen. Nobody else gets a better rung than that source would have left them.
fn spared(question: &Question<'_>, others: Others) -> Option<Action> {
    others.unfrozen?;
    if question.stage.only_helps() || others.undoubted.is_some() || !question.readings.of_a_mature_customer() {
        return None;
    }
    let level = question.rules.step_up.as_ref()?.level;
    Some(Action::StepUp { level, max_age: None })
}

/// The ladders of a journey, for an attempt and for a session; in a trial with the rungs in shadow.
fn ladders(journey: &Journey, trial: bool) -> (Option<&Ladder>, &Ladder) {
    match journey.in_shadow.as_ref().filter(|_| trial) {
        Some(full) => (full.attempt.as_ref(), &full.ladder),
        None => (journey.attempt.as_ref(), &journey.ladder),
    }
}

fn attempt(
    question: &Question<'_>,
    journey: &Journey,
    scored: &Scored,
    others: Others,
    trial: bool,
    demands: &mut Demands<'_>,
) -> Option<usize> {
    let (ladder, _) = ladders(journey, trial);
    let reached = ladder.map(|ladder| climb(question, ladder, scored, others, demands));
    if let Some(action) = journey.contained.as_ref().filter(|_| question.upstream_away) {
        demands.add(Origin::Contained, action);
    }
    reached
}

fn session(
    question: &Question<'_>,
    journey: &Journey,
    scored: &Scored,
    others: Others,
    trial: bool,
    demands: &mut Demands<'_>,
) -> Option<usize> {
    if let Some(level) = journey.require {
        demands.add(Origin::Require, &Action::StepUp { level, max_age: None });
    }
    let (_, ladder) = ladders(journey, trial);
    let reached = climb(question, ladder, scored, others, demands);
    let unsure = scored.fault().is_some() || scored.coverage().percent() < journey.min_coverage;
    if let Some(action) = journey.when_unknown.as_ref().filter(|_| unsure) {
        demands.add(Origin::WhenUnknown, action);
    }
    if let Some(action) = journey.contained.as_ref().filter(|_| question.upstream_away) {
        demands.add(Origin::Contained, action);
    }
    // Read from what was there before anything was doubted: to doubt a session must not open one that is held.
    if let Some(proof) = question.readings.session.known().filter(|proof| proof.held) {
        match &question.rules.step_up {
            Some(step_up) => {
                demands.add(Origin::HeldSession, &Action::StepUp { level: step_up.level, max_age: None });
            }
            // The law that held it has gone; nothing can be proved until another sign-in.
            None => {
                demands.hear(Origin::HeldSession, || Demand::Unprovable);
                demands.unprovable = Some(proof.level);
            }
        }
    }
    Some(reached)
}

/// What a proof is short of when this one is asked for; nothing when it is enough.
pub(super) fn short_of(level: Level, max_age: Option<Duration>, proof: Option<Proof>, now: Moment) -> Option<Lack> {
    match proof {
        Some(proof) if proof.level >= level => match max_age {
            Some(most) if proof.age(now) > most => Some(Lack::Freshness),
            _ => None,
        },
        Some(_) | None => Some(Lack::Strength),
    }
}

/// Everything that is asked of one request. All of it holds together.
#[derive(Debug, Default)]
pub(super) struct Demands<'h> {
    heard: Option<&'h mut Heard>,
    proof: Option<(Level, Option<Duration>)>,
    unprovable: Option<Level>,
    every: Option<Duration>,
    looking: bool,
    handoff: Option<HelpId>,
    deny: Option<HelpId>,
    narrowed: bool,
}

impl<'h> Demands<'h> {
    /// Nothing is asked yet, and somebody listens.
    pub(super) fn heard_by(heard: &'h mut Heard) -> Self {
        Self { heard: Some(heard), ..Self::default() }
    }

    fn hear(&mut self, origin: Origin, demand: impl FnOnce() -> Demand) {
        if let Some(heard) = &mut self.heard {
            heard.note(origin, demand());
        }
    }

    /// This must be done too.
    pub(super) fn add(&mut self, origin: Origin, action: &Action) {
        self.hear(origin, || Demand::Action(action.clone()));
        match action {
            Action::Allow => {}
            Action::Throttle { every } => self.every = self.every.max(Some(*every)),
            Action::StepUp { level, max_age } => self.add_proof(*level, *max_age),
            Action::ReadOnly => self.looking = true,
            Action::Handoff { to } => self.handoff = self.handoff.or(Some(*to)),
            Action::Deny { to } => self.deny = self.deny.or(Some(*to)),
        }
    }

    /// Automation may not do this now.
    pub(super) fn narrow(&mut self, origin: Origin) {
        self.hear(origin, || Demand::Narrowed);
        self.narrowed = true;
    }

    /// Two proofs asked for are one: the stronger level, the shorter age.
    fn add_proof(&mut self, level: Level, max_age: Option<Duration>) {
        self.proof = Some(match self.proof {
            None => (level, max_age),
            Some((other, age)) => {
                let shorter = match (age, max_age) {
                    (Some(one), Some(two)) => Some(one.min(two)),
                    (one, two) => one.or(two),
                };
                (level.max(other), shorter)
            }
        });
    }

    /// The proof that is asked for and not given.
    fn unproved(&self, proof: Option<Proof>, now: Moment) -> Option<Hold> {
        if let Some(level) = self.unprovable {
            return Some(Hold::StepUp { level, max_age: None, lacks: Lack::Freshness });
        }
        let (level, max_age) = self.proof?;
        let lacks = short_of(level, max_age, proof, now)?;
        Some(Hold::StepUp { level, max_age, lacks })
    }

    /// What all demands come to: the strictest that is not met, or the clearance that is left.
    pub(super) fn settle(self, question: &Question<'_>, proof: Option<Proof>) -> (&'static str, Outcome) {
        let Question { journey, safe_method, now, .. } = *question;
        if self.narrowed {
            return ("deny", Outcome::Held(Hold::Narrowed));
        }
        if let Some(to) = self.deny {
            return ("deny", Outcome::Held(Hold::Deny { to }));
        }
        if let Some(to) = self.handoff {
            return ("handoff", Outcome::Held(Hold::Handoff { to }));
        }
        if self.looking && !safe_method {
            return ("read_only", Outcome::Held(Hold::ReadOnly));
        }
        if let Some(hold) = self.unproved(proof, now) {
            return ("step_up", Outcome::Held(hold));
        }
        let clearance = Clearance { journey, looking: self.looking };
        match (self.every, self.looking) {
            (Some(every), _) => ("throttle", Outcome::Held(Hold::Throttle(Throttle { every, clearance }))),
            (None, true) => ("read_only", Outcome::Cleared(clearance)),
            (None, false) => ("allow", Outcome::Cleared(clearance)),
        }
    }
}
