//! How each decision turned out, from everything that was kept: a report, a step-up, or time that went by without a complaint.
//!
//! It must never take an abandoned step-up for a thief: many owners cannot answer one at once. What is not known stays unknown.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;

use crate::outcomes::entry::{Decision, Entry, Outcome, Proof, Tag};

/// So long after it was asked for, a step-up can be answered.
const ANSWERED: u64 = 3600;

/// Why a decision is taken for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The stream says so.
    Recorded,
    /// Somebody reported it.
    Reported,
    /// The step-up was passed.
    StepUpPassed,
    /// The step-up was answered, and never rightly.
    StepUpFailed,
    /// Nobody has complained in time.
    Settled,
    /// The step-up was not answered: unknown.
    Abandoned,
    /// It is too young for a complaint to have come: unknown.
    TooYoung,
    /// It was held back, so nobody can tell: unknown.
    HeldBack,
}

impl Because {
    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Recorded => "as the stream says",
            Self::Reported => "as was reported",
            Self::StepUpPassed => "the step-up was passed",
            Self::StepUpFailed => "the step-up was answered wrongly",
            Self::Settled => "let through, and nobody has complained",
            Self::Abandoned => "the step-up was not answered",
            Self::TooYoung => "let through, and too young to tell",
            Self::HeldBack => "held back, so nobody can tell",
        }
    }
}

/// A decision and how it turned out, where that is known.
#[derive(Debug)]
pub struct Labelled {
    /// The decision.
    pub decision: Decision,
    /// What it was.
    pub outcome: Option<Outcome>,
    /// Why.
    pub because: Because,
}

/// Everything that was kept, as it comes.
#[derive(Debug, Default)]
pub struct Kept {
    decisions: Vec<Decision>,
    proofs: Vec<Proof>,
    /// By reference; the latest report counts.
    reports: HashMap<Tag, (u64, Outcome)>,
    newest: u64,
}

impl Kept {
    /// Takes one entry.
    pub fn take(&mut self, entry: Entry) {
        self.newest = self.newest.max(entry.at().unix_seconds());
        match entry {
            Entry::Decision(decision) => self.decisions.push(decision),
            Entry::Proof(proof) => self.proofs.push(proof),
            Entry::Report(report) => {
                let latest = self.reports.entry(report.reference).or_insert((report.at, report.outcome));
                if report.at >= latest.0 {
                    *latest = (report.at, report.outcome);
                }
            }
        }
    }

    /// Says of each decision how it turned out. `settled`: so long without a complaint makes one genuine. Decisions of the first
    /// `skip` are left out: a gateway that knows nobody yet scores everybody alike.
    pub fn label(mut self, settled: Duration, skip: Duration) -> Vec<Labelled> {
        self.decisions.sort_by_key(|decision| decision.at);
        self.proofs.sort_by_key(|proof| proof.at);
        let from = self.decisions.first().map_or(0, |first| first.at.saturating_add(skip.as_secs()));
        let mut answers: Answers<'_> = BTreeMap::new();
        for proof in &self.proofs {
            let (session, account) = (proof.session.map(Who::Session), proof.account.map(Who::Account));
            session.into_iter().chain(account).for_each(|who| answers.entry(who).or_default().push(proof));
        }
        let judged: Vec<(Option<Outcome>, Because)> = self
            .decisions
            .iter()
            .map(|decision| outcome(decision, &self.reports, &answers, (self.newest, settled.as_secs())))
            .collect();
        let decisions = self.decisions.into_iter().zip(judged).filter(|(decision, _)| decision.at >= from);
        decisions.map(|(decision, (outcome, because))| Labelled { decision, outcome, because }).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Session(Tag),
    Account(Tag),
}

/// Answers to step-ups, in order of time.
type Answers<'p> = BTreeMap<Who, Vec<&'p Proof>>;

fn outcome(
    decision: &Decision,
    reports: &HashMap<Tag, (u64, Outcome)>,
    answers: &Answers<'_>,
    (newest, settled): (u64, u64),
) -> (Option<Outcome>, Because) {
    if let Some(outcome) = decision.outcome {
        return (Some(outcome), Because::Recorded);
    }
    if let Some((_, outcome)) = reports.get(&decision.reference) {
        return (Some(*outcome), Because::Reported);
    }
    match &*decision.action {
        "step_up" => {
            let until = decision.at.saturating_add(ANSWERED);
            let of = |who| answers.get(&who).map_or(&[][..], Vec::as_slice);
            // Of the session where one is known: another device of the account may be somebody else's.
            let given = match (decision.session, decision.account) {
                (Some(session), _) => of(Who::Session(session)),
                (None, Some(account)) => of(Who::Account(account)),
                (None, None) => &[],
            };
            let given = given.iter().filter(|proof| proof.at >= decision.at && proof.at <= until);
            match given.map(|proof| proof.passed).max() {
                Some(true) => (Some(Outcome::Genuine), Because::StepUpPassed),
                Some(false) => (Some(Outcome::Fraud), Because::StepUpFailed),
                None => (None, Because::Abandoned),
            }
        }
        "allow" | "throttle" => match decision.at.saturating_add(settled) <= newest {
            true => (Some(Outcome::Genuine), Because::Settled),
            false => (None, Because::TooYoung),
        },
        _ => (None, Because::HeldBack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::entry::{Age, Cookie, Groups, Network, Report, Seen, Sort, System};

    const DAY: u64 = 86_400;

    fn decision(at: u64, action: &str) -> Decision {
        Decision {
            at,
            journey: "login".to_owned(),
            sort: Sort::Session,
            evidence: 0,
            points: [0; 8],
            action: action.to_owned(),
            reference: Tag(at),
            account: Some(Tag(1)),
            session: Some(Tag(at)),
            groups: Groups {
                network: Network::Unlisted,
                seen: Seen::Known,
                country: None,
                system: System::Mac,
                cookie: Cookie::Trusted,
                age: Age::Year,
                named: None,
            },
            outcome: None,
        }
    }

    fn proof(at: u64, session: u64, passed: bool) -> Entry {
        Entry::Proof(Proof { at, passed, account: Some(Tag(1)), session: Some(Tag(session)) })
    }

    fn came(entries: impl IntoIterator<Item = Entry>) -> Vec<(Option<Outcome>, Because)> {
        let mut kept = Kept::default();
        entries.into_iter().for_each(|entry| kept.take(entry));
        let labelled = kept.label(Duration::from_secs(30 * DAY), Duration::ZERO);
        labelled.into_iter().map(|labelled| (labelled.outcome, labelled.because)).collect()
    }

    #[test]
    fn an_abandoned_step_up_is_unknown_and_never_a_thief() {
        let entries = [100, 200, 300, 400].map(|at| Entry::Decision(decision(at, "step_up")));
        let answers = [
            proof(110, 100, false),
            proof(120, 100, true),
            proof(210, 200, false),
            // Too late, and before it was asked for.
            proof(300 + ANSWERED + 1, 300, true),
            proof(399, 400, true),
        ];
        assert_eq!(
            came(entries.into_iter().chain(answers)),
            [
                (Some(Outcome::Genuine), Because::StepUpPassed),
                (Some(Outcome::Fraud), Because::StepUpFailed),
                (None, Because::Abandoned),
                (None, Because::Abandoned),
            ]
        );
    }

    #[test]
    fn what_was_let_through_is_genuine_when_nobody_has_complained_in_time() {
        let entries = [
            Entry::Decision(decision(0, "allow")),
            Entry::Decision(decision(1, "allow")),
            Entry::Decision(decision(29 * DAY, "allow")),
            Entry::Decision(decision(30 * DAY, "handoff")),
            Entry::Report(Report { at: 5, reference: Tag(1), outcome: Outcome::Genuine, account: None }),
            Entry::Report(Report { at: 20 * DAY, reference: Tag(1), outcome: Outcome::Fraud, account: None }),
        ];
        assert_eq!(
            came(entries),
            [
                (Some(Outcome::Genuine), Because::Settled),
                (Some(Outcome::Fraud), Because::Reported),
                (None, Because::TooYoung),
                (None, Because::HeldBack),
            ]
        );
    }

    #[test]
    fn the_beginning_can_be_left_out() {
        let mut kept = Kept::default();
        [5, 5 + DAY, 5 + 2 * DAY].into_iter().for_each(|at| kept.take(Entry::Decision(decision(at, "allow"))));
        let labelled = kept.label(Duration::ZERO, Duration::from_secs(DAY));
        assert_eq!(labelled.iter().map(|labelled| labelled.decision.at).collect::<Vec<_>>(), [5 + DAY, 5 + 2 * DAY]);
    }
}
