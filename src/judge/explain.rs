//! Why a described request comes out as it does: what the judge heard and said, laid out for people and machines.
//!
//! It only lays out. Every number and every demand in it comes from the functions that judge customers; it must never work one out
//! by itself.

use serde::Serialize;

use super::decision::{Lack, Outcome, short_of};
use super::demanded::{Demand, Demanded, Origin};
use super::registers::{Aloud, Reasons, Weighty, to_the_customer};
use super::rehearse::{Judged, NOW, Rehearsal, of};
use super::signals::authentication::Proof;
use super::stage::Stage;
use super::way::Stop;
use crate::rules::budgets::{Budget, Share};
use crate::rules::posture::Posture;
use crate::rules::ruleset::{Action, Case, Journey, JourneyId, RuleSet};

/// Everything about one request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Method and path.
    pub request: String,
    /// The host that it is for.
    pub host: String,
    /// The hosts of its site, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What serves its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The route on its path, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// What it tries to do; absent for a route that no journey names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journey: Option<String>,
    /// The refusals that were looked at.
    pub refusals: usize,
    /// The limits that count it, each with its rate.
    pub limits: Vec<String>,
    /// What its lines may cost, and how far they may float below what is written here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Why it goes no further, where nobody is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stopped>,
    /// Every judgement, in their order.
    pub judgements: Vec<Judgement>,
    /// The word that comes out.
    pub outcome: &'static str,
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stopped {
    /// A sentence.
    pub why: String,
    /// The status that it is answered with.
    pub status: u16,
    /// The `[[refuse]]` that holds, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// One judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// `attempt`, `claim` or `session`.
    pub stage: &'static str,
    /// Whether this one decides.
    pub decides: bool,
    /// Signal by signal. Their points and 50 are the confidence, kept between 0 and 100 and rounded down.
    pub signals: Vec<Line>,
    /// The reasons that weigh most, for operators.
    pub reasons: Weighty,
    /// What an agent may say of them.
    pub agent: Aloud,
    /// The one sentence for the customer.
    pub customer: &'static str,
    /// All points together.
    pub sum: f64,
    /// 0 to 100.
    pub confidence: u8,
    /// How likely it is the account's owner, by the outcomes of this journey, where it is calibrated and this is a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Likely>,
    /// Percent.
    pub coverage: u8,
    /// The first family with a source at fault, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<(&'static str, &'static str)>,
    /// Rung by rung, from the top; empty where no ladder applies.
    pub ladder: Vec<Step>,
    /// Everything that was asked, in the order in which it was.
    pub demanded: Vec<Asked>,
    /// What came out.
    pub outcome: &'static str,
    /// Whether a playbook keeps automation from it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// Whether the request goes on to the upstream (a throttled one does when it is its turn).
    pub goes_on: bool,
    /// What would come out if all that is in shadow were enforced, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<&'static str>,
}

/// A probability, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likely {
    /// 0 to 1, in thousandths.
    pub probability: f64,
    /// How many known outcomes.
    pub outcomes: u32,
    /// The day of the last of them.
    pub made: String,
}

/// One line of the arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The signal, `prior`, or the limit of a group.
    pub name: &'static str,
    /// What it adds.
    pub points: f64,
    /// Why, in one sentence.
    pub reason: &'static str,
    /// Why the value behind it was not known, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<&'static str>,
}

/// One rung.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Reached from here up.
    pub at: u8,
    /// What it does, in words.
    pub action: String,
    /// Whether it was reached.
    pub came: Came,
}

/// What became of a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// The confidence is below it.
    Missed,
    /// It is the one.
    Hit,
    /// One above it was reached.
    NotReached,
}

/// One thing that was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// By what: `require`, `ladder`, `when_unknown`, `contained` ...
    pub by: String,
    /// What, in words.
    pub what: String,
    /// Its word.
    pub action: &'static str,
    /// Whether the request meets it; only a proof can be met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<&'static str>,
}

/// Explains what a case describes.
pub fn explain(rules: &RuleSet, case: &Case) -> Explanation {
    let rehearsal = of(rules, case);
    let way = &rehearsal.way;
    let journey = way.journey.map(|id| rules.journey(id));
    let stop = way.stop.as_ref().map(|stop| Stopped {
        why: stop.to_string(),
        status: stop.status(),
        refusal: match stop {
            Stop::Refused(refusal) => Some(refusal.name.to_string()),
            Stop::NoSite(_) | Stop::Path | Stop::TwoWays | Stop::Method { .. } => None,
        },
    });
    Explanation {
        request: format!("{} {}", case.method, case.path),
        host: way.host.clone(),
        site: way.site.map(|site| site.hosts.join(", ")),
        upstream: way.upstream.map(|id| rules.upstream(id).name.to_string()),
        route: way.route.map(|id| rules.routes.template(id).to_owned()),
        journey: journey.map(|journey| journey.name.to_string()),
        refusals: rules.refusals.len(),
        limits: match stop {
            Some(_) => Vec::new(),
            None => limits(rules, way.journey),
        },
        stop,
        budget: journey.and_then(|journey| journey.budget.as_ref()).map(budget),
        judgements: judgements(rules, journey, &rehearsal),
        outcome: rehearsal.action(),
    }
}

/// A budget in words.
fn budget(budget: &Budget) -> String {
    let percent = |share: Share| f64::from(share.0) / 100.0;
    let attempts =
        budget.attempts.map_or_else(String::new, |share| format!(", {} % of their attempts", percent(share)));
    let (held, range) = (percent(budget.challenged), budget.range);
    format!("{held} % of customers long known{attempts}; lines may float {range} below what is written")
}

/// The limits that a request on this journey meets, in words.
fn limits(rules: &RuleSet, journey: Option<JourneyId>) -> Vec<String> {
    let met = rules.limits.of(journey).iter().filter_map(|at| rules.limits.all().get(usize::from(*at)));
    met.map(|limit| {
        let shadow = if limit.shadow { ", in shadow" } else { "" };
        let counts = if limit.counts.is_some() { ", by the answer" } else { "" };
        let young = limit.younger_than.map_or_else(String::new, |age| format!(", accounts younger than {}", span(age)));
        let (rate, key) = (limit.rate, limit.key.word());
        format!("{} ({} in {} for each {key}{young}{counts}{shadow})", limit.name, rate.count, span(rate.per))
    })
    .collect()
}

fn judgements(rules: &RuleSet, journey: Option<&Journey>, rehearsal: &Rehearsal<'_>) -> Vec<Judgement> {
    let all = rehearsal.judged.iter().enumerate();
    all.map(|(at, judged)| judgement(rules, journey, &rehearsal.posture, judged, at == rehearsal.deciding_at()))
        .collect()
}

fn judgement(
    rules: &RuleSet,
    journey: Option<&Journey>,
    posture: &Posture,
    judged: &Judged,
    decides: bool,
) -> Judgement {
    let Judged { stage, verdict, heard } = judged;
    let scored = &verdict.scored;
    let points = |points: crate::confidence::Points| f64::from(points.as_tenths()) / 10.0;
    let ladder = journey.and_then(|journey| match stage {
        Stage::Attempt => journey.attempt.as_ref(),
        Stage::Claim | Stage::Session => Some(&journey.ladder),
    });
    let reached = verdict.reached.unwrap_or(usize::MAX);
    let reasons = Reasons::of(scored);
    let goes_on = matches!(verdict.outcome, Outcome::Cleared(_) | Outcome::Held(super::decision::Hold::Throttle(_)));
    let step = |(at, rung): (usize, &crate::rules::ruleset::Rung)| Step {
        at: rung.at.score(),
        action: words(rules, &rung.action),
        came: match at.cmp(&reached) {
            std::cmp::Ordering::Less => Came::Missed,
            std::cmp::Ordering::Equal => Came::Hit,
            std::cmp::Ordering::Greater => Came::NotReached,
        },
    };
    Judgement {
        stage: match stage {
            Stage::Attempt => "attempt",
            Stage::Claim => "claim",
            Stage::Session => "session",
        },
        decides,
        signals: scored
            .lines()
            .iter()
            .map(|line| Line {
                name: line.name(),
                points: points(line.points),
                reason: line.reason(),
                unknown: line.unknown.map(crate::confidence::Why::word),
            })
            .collect(),
        reasons: reasons.with_points(),
        agent: reasons.aloud(),
        customer: to_the_customer(if goes_on && verdict.action == "read_only" { "allow" } else { verdict.action }),
        sum: points(scored.sum()),
        confidence: scored.confidence().score(),
        calibrated: journey.and_then(|journey| journey.calibration.as_ref()).filter(|_| *stage == Stage::Session).map(
            |calibration| Likely {
                probability: (calibration.probability(scored.sum()) * 1000.0).round() / 1000.0,
                outcomes: calibration.outcomes,
                made: calibration.made.to_string(),
            },
        ),
        coverage: scored.coverage().percent(),
        fault: scored.fault().map(|(family, why)| (family.word(), why.word())),
        ladder: ladder.map(|ladder| ladder.rungs().iter().enumerate().map(step).collect()).unwrap_or_default(),
        demanded: heard.demanded.iter().map(|demanded| asked(rules, posture, demanded, heard.proof)).collect(),
        outcome: verdict.action,
        narrowed: matches!(verdict.outcome, Outcome::Held(super::decision::Hold::Narrowed)),
        goes_on,
        shadow: verdict.shadow,
    }
}

fn asked(rules: &RuleSet, posture: &Posture, demanded: &Demanded, proof: Option<Proof>) -> Asked {
    let by = match demanded.origin {
        Origin::Require => "require".to_owned(),
        Origin::Rung(_) => "the ladder".to_owned(),
        Origin::WhenUnknown => "when_unknown".to_owned(),
        Origin::Frozen => "a guard".to_owned(),
        Origin::Contained => "contained".to_owned(),
        Origin::HeldSession => "its sign-in".to_owned(),
        Origin::Playbook(place) => {
            posture.armed.get(place).map_or_else(String::new, |armed| format!("playbook {}", armed.playbook))
        }
    };
    let (what, action, lacks) = match &demanded.demand {
        Demand::Action(action) => {
            let lacks = match action {
                Action::StepUp { level, max_age } => short_of(*level, *max_age, proof, NOW),
                _ => None,
            };
            (words(rules, action), action.word(), lacks)
        }
        Demand::Unprovable => ("a proof that nothing here takes".to_owned(), "step_up", Some(Lack::Freshness)),
        Demand::Narrowed => ("automation may not do this now".to_owned(), "deny", None),
    };
    let lacks = lacks.map(|lack| match lack {
        Lack::Strength => "strength",
        Lack::Freshness => "freshness",
    });
    Asked { by, what, action, lacks }
}

/// An action with what it asks, in words.
pub fn words(rules: &RuleSet, action: &Action) -> String {
    match action {
        Action::Allow | Action::ReadOnly => action.word().to_owned(),
        Action::Throttle { every } => format!("throttle, once in {}", span(*every)),
        Action::StepUp { level, max_age: None } => format!("step_up to {}", rules.level(*level).name),
        Action::StepUp { level, max_age: Some(age) } => {
            format!("step_up to {}, at most {} old", rules.level(*level).name, span(*age))
        }
        Action::Handoff { to } => format!("handoff to {}", rules.help(*to).name),
        Action::Deny { to } => format!("deny, help at {}", rules.help(*to).name),
    }
}

/// A duration in the units of a rule file.
fn span(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if time.subsec_millis() > 0 => format!("{}ms", time.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
