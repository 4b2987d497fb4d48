//! How a journey would be met now, without a request: for one customer, or for everybody alike.
//!
//! It says the class of what would be done and until when, and nothing of why: no score, no rung, no signal. For everybody it
//! looks at the law, the posture and the upstream alone, never at who asks or from where. For one customer it is the judge's own
//! verdict: nothing is imitated.

use super::armed::Asked;
use super::decision::{Demands, Hold, Lack, Outcome, Question, Speaker, judge, judge_heard, short_of};
use super::demanded::{Demand, Demanded, Heard, Origin};
use super::signals::Readings;
use super::signals::authentication::Proof;
use crate::clock::Moment;
use crate::rules::client::{Channel, Class};
use crate::rules::effects::Effects;
use crate::rules::ruleset::{Action, HelpId, JourneyId, Level, RuleSet};

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is served.
    Open,
    /// One more proof is asked for.
    Proof {
        /// How strong.
        level: Level,
        /// How old it may be, in seconds; none where strength is what is missing.
        max_age: Option<u64>,
    },
    /// Looking is served, changing is not.
    ReadOnly,
    /// A person continues.
    ByPhone {
        /// Where.
        to: HelpId,
    },
    /// It is refused.
    Closed {
        /// Where a person is reached all the same.
        to: HelpId,
    },
    /// Automation is kept from it.
    Narrowed,
    /// What serves it does not answer.
    Away,
}

impl Standing {
    /// The word for apps. It never changes.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Proof { .. } => "proof",
            Self::ReadOnly => "read_only",
            Self::ByPhone { .. } => "by_phone",
            Self::Closed { .. } | Self::Narrowed | Self::Away => "closed",
        }
    }
}

/// How a journey would be met now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What would be done.
    pub standing: Standing,
    /// The armed playbook that speaks to whoever is held back.
    pub speaker: Option<Speaker>,
    /// When it ends, as things stand; none where nobody knows.
    pub until: Option<Moment>,
}

impl Outlook {
    /// Nothing is in the way.
    pub const OPEN: Self = Self { standing: Standing::Open, speaker: None, until: None };

    /// The same while what serves the journey does not answer: what needs it cannot be done. `shown` when customers see their own
    /// last-known-good instead.
    #[must_use]
    pub const fn while_away(self, shown: bool) -> Self {
        match self.standing {
            Standing::ReadOnly if shown => self,
            Standing::Open | Standing::Proof { .. } | Standing::ReadOnly => {
                Self { standing: Standing::Away, speaker: None, until: None }
            }
            Standing::ByPhone { .. } | Standing::Closed { .. } | Standing::Narrowed | Standing::Away => self,
        }
    }
}

/// For the customer of whom is asked.
pub fn of_customer(question: &Question<'_>) -> Outlook {
    let mut heard = Heard::default();
    let verdict = judge_heard(question, Some(&mut heard));
    let speaker = match &verdict.outcome {
        // Who looks is served, and nobody speaks; a change would be told why it is not taken.
        Outcome::Cleared(clearance) if clearance.is_for_looking() => {
            judge(&Question { safe_method: false, ..*question }).speaker
        }
        Outcome::Cleared(_) | Outcome::Held(_) => verdict.speaker,
    };
    of_outcome(question, &verdict.outcome, speaker, &heard)
}

/// What is asked of a journey for everybody alike.
#[derive(Clone, Copy, Debug)]
pub struct Everybody<'a> {
    /// The law.
    pub rules: &'a RuleSet,
    /// What the posture adds to it.
    pub effects: &'a Effects,
    /// Which journey.
    pub journey: JourneyId,
    /// Whether it only looks.
    pub safe_method: bool,
    /// Whether what serves it is out of reach.
    pub upstream_away: bool,
    /// What kind of client.
    pub class: Class,
    /// Through which channel.
    pub channel: Channel,
    /// The moment.
    pub now: Moment,
}

/// For somebody of whom we are as sure as can be, who has just signed in: what is asked of them is asked of everybody. A playbook that
/// concerns only clients under attack says nothing of everybody; one on its way back holds until it has ended.
pub fn of_everybody(asked: &Everybody<'_>) -> Outlook {
    let Everybody { rules, effects, journey: id, safe_method, upstream_away, class, channel, now } = *asked;
    let readings = Readings::default();
    let question = Question {
        effects,
        journey: Some(id),
        listed: true,
        safe_method,
        upstream_away,
        class,
        channel,
        ..Question::calm(rules, &readings, now)
    };
    let journey = rules.journey(id);
    let mut heard = Heard::default();
    let mut speaking = Asked::default();
    let mut demands = Demands::heard_by(&mut heard);
    let top = journey.attempt.iter().chain([&journey.ladder]).filter_map(|ladder| ladder.rungs().first());
    top.for_each(|rung| demands.add(Origin::Rung(0), &rung.action));
    if let Some(level) = journey.require {
        demands.add(Origin::Require, &Action::StepUp { level, max_age: None });
    }
    if let Some(action) = journey.contained.as_ref().filter(|_| upstream_away) {
        demands.add(Origin::Contained, action);
    }
    for (entry, added) in effects.on(Some(id)).filter(|(entry, _)| entry.holds(channel, now, false)) {
        if class == Class::Automation && added.automation_barred {
            demands.narrow(Origin::Playbook(entry.place));
            speaking.note(&question, entry, 0);
        }
        let changes = added.at_most.iter().chain(&added.attempt_at_most).chain(&added.contained);
        for action in changes.filter(|_| !added.only_contaminated) {
            demands.add(Origin::Playbook(entry.place), action);
            speaking.note(&question, entry, action.strictness());
        }
    }
    let signed_in = rules.weakest_level().map(|level| Proof { level, at: now, held: false, bound: false });
    let (_, outcome) = demands.settle(&question, signed_in);
    heard.proof = signed_in;
    let speaker = match &outcome {
        Outcome::Held(hold) => speaking.speaker(hold),
        Outcome::Cleared(clearance) if clearance.is_for_looking() => speaking.speaker(&Hold::ReadOnly),
        Outcome::Cleared(_) => None,
    };
    of_outcome(&question, &outcome, speaker, &heard)
}

fn of_outcome(question: &Question<'_>, outcome: &Outcome, speaker: Option<Speaker>, heard: &Heard) -> Outlook {
    let standing = match outcome {
        Outcome::Cleared(clearance) if clearance.is_for_looking() => Standing::ReadOnly,
        // Served, only not as often as one likes.
        Outcome::Cleared(_) | Outcome::Held(Hold::Throttle(_)) => Standing::Open,
        Outcome::Held(Hold::StepUp { level, max_age, lacks }) => Standing::Proof {
            level: *level,
            max_age: match lacks {
                Lack::Strength => None,
                Lack::Freshness => max_age.map(|age| age.as_secs()),
            },
        },
        Outcome::Held(Hold::ReadOnly) => Standing::ReadOnly,
        Outcome::Held(Hold::Handoff { to }) => Standing::ByPhone { to: *to },
        Outcome::Held(Hold::Deny { to }) => Standing::Closed { to: *to },
        Outcome::Held(Hold::Narrowed) => Standing::Narrowed,
    };
    Outlook { standing, speaker, until: until(question, &standing, heard) }
}

/// When this ends: known where nothing but armed playbooks asks for it, and then the last of their ends.
fn until(question: &Question<'_>, standing: &Standing, heard: &Heard) -> Option<Moment> {
    let asks_for_it = |demanded: &&Demanded| match (standing, &demanded.demand) {
        (Standing::Proof { .. }, Demand::Action(Action::StepUp { level, max_age })) => {
            short_of(*level, *max_age, heard.proof, question.now).is_some()
        }
        (Standing::Proof { .. }, Demand::Unprovable)
        | (Standing::ReadOnly, Demand::Action(Action::ReadOnly))
        | (Standing::ByPhone { .. }, Demand::Action(Action::Handoff { .. }))
        | (Standing::Closed { .. }, Demand::Action(Action::Deny { .. }))
        | (Standing::Narrowed, Demand::Narrowed) => true,
        _ => false,
    };
    let ends = |place: usize| {
        question.effects.on(question.journey).find(|(entry, _)| entry.place == place).map(|(entry, _)| entry.ends)
    };
    let mut last = None;
    for demanded in heard.demanded.iter().filter(asks_for_it) {
        let Origin::Playbook(place) = demanded.origin else { return None };
        last = last.max(Some(ends(place)?));
    }
    last
}
