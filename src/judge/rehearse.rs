//! Rehearsal: a rule set's own cases are judged before it is installed.
//!
//! What a case says is known of the client becomes histories, the histories become readings, and the judge that serves
//! customers judges them: nothing is imitated. It must never install anything or touch a memory table.

use super::decision::{Hold, Lack, Outcome, Question, Verdict, judge_heard};
use super::demanded::Heard;
use super::history::{AccountHistory, Climate, Observation, Shared, Tried, Visit};
use super::lost::without;
use super::seen::{Client, Listed, Whereabouts};
use super::signals::authentication::Proof;
use super::signals::exposure::Exposure;
use super::signals::{Buckets, Readings, Sighting};
use super::stage::Stage;
use super::way::Way;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::effects::Effects;
use crate::rules::feeds::Feed;
use crate::rules::playbook::LONGEST;
use crate::rules::posture::{Armed, Posture, Scope};
use crate::rules::ruleset::{Case, Given, JourneyId, RuleSet};
use crate::subject::{Device, Network};

/// When rehearsals take place. Everything in a case is relative to it, so any moment does.
pub(super) const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

/// Failed sign-ins of strangers, and nothing else, from a network that a case calls contaminated.
const CONTAMINATED: u16 = 20;

/// Judges every case, and says which did not come out as written.
pub fn rehearse(rules: &RuleSet) -> Vec<Diagnostic> {
    let failing = |case: &Case| {
        let (got, why) = outcome(rules, case);
        (*case.expect != *got).then(|| {
            Diagnostic::of(&codes::CASE_FAILS, format!("the case \"{}\" does not hold", case.name))
                .at(case.span, format!("expected {}, got {got}", case.expect))
                .help(format!("what came of it: {why}"))
        })
    };
    rules.cases.iter().filter_map(failing).collect()
}

/// One case, judged.
#[derive(Debug)]
pub struct Rehearsal<'r> {
    /// Where its request leads.
    pub way: Way<'r>,
    /// What is armed for it.
    pub posture: Posture,
    /// Every judgement, in their order: none where the way ends before, two for a sign-in whose password was right.
    pub judged: Vec<Judged>,
    /// Which of them decides.
    deciding: usize,
}

/// One judgement, with what was asked on the way.
#[derive(Debug)]
pub struct Judged {
    /// When.
    pub stage: Stage,
    /// What came out.
    pub verdict: Verdict,
    /// What was asked, and the proof that counted.
    pub heard: Heard,
}

impl Rehearsal<'_> {
    /// The place of the judgement that decides.
    pub const fn deciding_at(&self) -> usize {
        self.deciding
    }

    /// The judgement that decides.
    pub fn deciding(&self) -> Option<&Judged> {
        self.judged.get(self.deciding)
    }

    /// The word that comes out.
    pub fn action(&self) -> &'static str {
        self.deciding().map_or("deny", |judged| judged.verdict.action)
    }
}

/// Judges what a case describes, as the gate would.
pub fn of<'r>(rules: &'r RuleSet, case: &Case) -> Rehearsal<'r> {
    let way = Way::of(rules, case);
    let mut rehearsal = Rehearsal { way, posture: armed(case), judged: Vec::new(), deciding: 0 };
    if rehearsal.way.stop.is_some() {
        return rehearsal;
    }
    let (journey, listed) = (rehearsal.way.journey, rehearsal.way.route.is_some());
    // Lowering has found every name; a case made in another way meets a law without what is missing.
    let effects = Effects::of(rules, &rehearsal.posture).unwrap_or_default();
    let safe = matches!(&*case.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
    let asked = Asked { effects: &effects, journey, listed, safe, listings: false };
    (rehearsal.judged, rehearsal.deciding) = asked.judge(rules, &case.given);
    rehearsal
}

/// What a rehearsal asks of the judge.
struct Asked<'e> {
    effects: &'e Effects,
    journey: Option<JourneyId>,
    listed: bool,
    safe: bool,
    /// What lists say of the address is known; else it is not asked, so that a case means the same with lists and without.
    listings: bool,
}

impl Asked<'_> {
    /// Every judgement in its order, and the place of the one that decides.
    fn judge(&self, rules: &RuleSet, given: &Given) -> (Vec<Judged>, usize) {
        let journey = self.journey.map(|id| rules.journey(id));
        let names_account = journey.is_some_and(|journey| journey.account.is_some());
        let mut readings = readings(given, names_account, self.listings);
        if self.listings && journey.is_some_and(|journey| journey.credential.is_some()) && rules.breach.is_some() {
            readings.exposure = Reading::Known(Exposure::Nothing);
        }
        let readings = without(&readings, given.down, rules);
        let judged = |stage| {
            let question = Question {
                effects: self.effects,
                journey: self.journey,
                listed: self.listed,
                stage,
                safe_method: self.safe,
                upstream_away: given.down.contain(Feed::Upstream),
                class: given.class,
                channel: given.channel,
                ..Question::calm(rules, &readings, NOW)
            };
            let mut heard = Heard::default();
            let verdict = judge_heard(&question, Some(&mut heard));
            Judged { stage, verdict, heard }
        };
        if journey.is_none_or(|journey| journey.attempt.is_none()) {
            let stage = match names_account {
                true => Stage::of_named(false, given.authenticated.is_some()),
                false => Stage::Session,
            };
            return (vec![judged(stage)], 0);
        }
        let attempt = judged(Stage::Attempt);
        let goes_on = matches!(attempt.verdict.outcome, Outcome::Cleared(_) | Outcome::Held(Hold::Throttle(_)));
        // Only a case that says that the password was right goes on to the session that it opens.
        if goes_on && given.authenticated.is_some() {
            let session = judged(Stage::Session);
            // A throttled attempt whose session is simply allowed is still a throttled one.
            let deciding = usize::from(matches!(session.verdict.outcome, Outcome::Held(_)));
            return (vec![attempt, session], deciding);
        }
        (vec![attempt], 0)
    }
}

/// The word that comes out on a journey while nothing is armed, for a client of whom lists and corpus know nothing bad; and how much
/// is withheld: more is less of a service.
pub(super) fn word_on(rules: &RuleSet, journey: JourneyId, given: &Given) -> (&'static str, u8) {
    // A journey that shows personal data is looked at; every other changes something.
    let safe = rules.journey(journey).view_line.is_some();
    let asked = Asked { effects: &Effects::NONE, journey: Some(journey), listed: true, safe, listings: true };
    let (judged, deciding) = asked.judge(rules, given);
    judged.get(deciding).map_or(("deny", 6), |judged| (judged.verdict.action, withheld(&judged.verdict.outcome)))
}

fn withheld(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Cleared(clearance) => u8::from(clearance.is_for_looking()),
        Outcome::Held(Hold::Throttle(_)) => 2,
        Outcome::Held(Hold::StepUp { .. }) => 3,
        Outcome::Held(Hold::ReadOnly) => 4,
        Outcome::Held(Hold::Handoff { .. }) => 5,
        Outcome::Held(Hold::Deny { .. } | Hold::Narrowed) => 6,
    }
}

/// The word that comes out of one case, and why.
pub fn outcome(rules: &RuleSet, case: &Case) -> (&'static str, String) {
    let rehearsal = of(rules, case);
    let why = match (&rehearsal.way.stop, rehearsal.deciding()) {
        (Some(stop), _) => stop.to_string(),
        (None, Some(judged)) => explain(rules, &rehearsal.posture, rehearsal.way.journey, &judged.verdict),
        (None, None) => String::new(),
    };
    (rehearsal.action(), why)
}

/// The playbooks of a case, armed as widely as they can be.
fn armed(case: &Case) -> Posture {
    let latest = NOW.plus(LONGEST);
    let armed = |name: &str| Armed {
        playbook: name.into(),
        by: "a case".into(),
        reason: case.name.clone(),
        since: NOW,
        until: latest,
        latest,
        confirm_by: None,
        scope: Scope::default(),
        shadow: false,
        ramp: None,
    };
    Posture { armed: case.armed.iter().map(|name| armed(name)).collect() }
}

fn explain(rules: &RuleSet, posture: &Posture, journey: Option<JourneyId>, verdict: &Verdict) -> String {
    let scored = &verdict.scored;
    let mut text = match journey {
        Some(id) => format!("journey {}, ", rules.journey(id).name),
        None => "no journey, ".to_owned(),
    };
    text += &format!("confidence {} ({})", scored.confidence(), scored.because());
    if let Some((family, why)) = scored.fault() {
        text += &format!(", {} is {}", family.word(), why.word());
    }
    if let Outcome::Held(Hold::StepUp { level, lacks, .. }) = &verdict.outcome {
        let lacks = match lacks {
            Lack::Strength => "strength",
            Lack::Freshness => "freshness",
        };
        text += &format!(", the proof lacks {lacks} for {}", rules.level(*level).name);
    }
    if let Outcome::Held(Hold::Narrowed) = &verdict.outcome {
        text += ", automation may not do this now";
    }
    for name in verdict.playbooks.names(posture) {
        text += &format!(", playbook {name} asked something of it");
    }
    if let Some(word) = verdict.shadow {
        text += &format!(", with everything in shadow enforced it would be {word}");
    }
    text
}

/// The client that a case describes: a regular customer where it says something of device or network, a newcomer else.
fn readings(given: &Given, names_account: bool, listings: bool) -> Readings {
    let (device, stranger) = (Device::from_bits(1), Device::from_bits(4));
    let (own, elsewhere) = (at(2, listings), at(3, listings));
    let described = given.device_known.is_some() || given.network_known.is_some();
    let named = described || names_account || given.authenticated.is_some() || given.account_failures > 0;
    let visit = |device, at| Visit { device, at, client: Client::default() };

    let mut history = match described {
        true => AccountHistory::of_a_regular(&visit(Some(device), own), NOW),
        false => AccountHistory::default(),
    };
    for _ in 0..given.account_failures {
        history.observe(&Observation::SignInFailed(visit(None, elsewhere)), NOW);
    }
    let failed = |shared: Shared, count: u16| {
        let mut tried = Tried::default();
        (0..count).for_each(|_| tried.count(false, shared.half_life(), NOW));
        tried
    };
    let guesses = if given.contaminated { given.network_failures.max(CONTAMINATED) } else { given.network_failures };
    let here = if given.network_known == Some(true) { own } else { elsewhere };
    let buckets: Buckets = [Some((Shared::Address, failed(Shared::Address, guesses))), None, None, None, None];
    let climate = Climate::default();

    Readings::of(
        &Sighting {
            account: match (named, described || given.account_failures > 0) {
                (true, true) => Reading::Known(&history),
                (true, false) => Reading::Unknown(Why::Missing),
                (false, _) => Reading::Unknown(Why::NotAsked),
            },
            device: match given.device_known {
                Some(true) => Reading::Known(device),
                Some(false) => Reading::Known(stranger),
                None if given.device_failures > 0 => Reading::Known(stranger),
                None => Reading::Unknown(Why::Missing),
            },
            device_tried: Some(failed(Shared::Device, given.device_failures)),
            buckets: Reading::Known(&buckets),
            session: match given.authenticated {
                Some(level) => {
                    let age = u64::try_from(given.proof_age.as_millis()).unwrap_or(u64::MAX);
                    let at = Moment::from_unix_millis(NOW.unix_millis().saturating_sub(age));
                    Reading::Known(Proof { level, at, held: false, bound: false })
                }
                None => Reading::Unknown(Why::Missing),
            },
            ..Sighting::nobody(here, &climate)
        },
        NOW,
    )
}

/// A place of which no list says anything, or nothing but whose it is and where.
fn at(number: u64, listings: bool) -> Whereabouts {
    const NOT: Why = Why::NotAsked;
    let (provider, country, listed) = match (listings, u16::try_from(number)) {
        (true, Ok(number)) => {
            (Reading::Known(number.into()), Reading::Known(number.to_be_bytes()), Reading::Known(Listed::NOTHING))
        }
        _ => (Reading::Unknown(NOT), Reading::Unknown(NOT), Reading::Unknown(NOT)),
    };
    Whereabouts {
        network: Network::from_bits(number),
        range: Network::from_bits(number + 1000),
        provider,
        country,
        listed,
    }
}
