//! The report: for each kind of decision and each journey what the outcomes say of the score. Text, JSON and HTML are made of it
//! alone.

use std::collections::BTreeMap;

use serde::Serialize;

use super::budget::{Line, line};
use super::fit::{Case, Fit};
use super::groups::{Group, table};
use super::label::{Because, Labelled};
use super::measure::{Measure, measure};
use crate::outcomes::entry::{Groups, Outcome, Sort};

/// The share of genuine customers that may be challenged, for each kind of decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budgets([f64; Sort::ALL.len()]);

impl Budgets {
    /// The same for every kind.
    pub const fn all(share: f64) -> Self {
        Self([share; Sort::ALL.len()])
    }

    /// Another one for one kind.
    pub const fn set(&mut self, sort: Sort, share: f64) {
        self.0[sort as usize] = share;
    }

    const fn of(&self, sort: Sort) -> f64 {
        self.0[sort as usize]
    }
}

/// The budgets that are shown beside the one that was asked for.
const OTHERS: [f64; 5] = [0.001, 0.005, 0.01, 0.02, 0.05];
/// Ten points of score each.
const BANDS: usize = 10;

/// Everything that the outcomes say.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Decisions that were read.
    pub decisions: usize,
    /// How they were told, each with its number.
    pub told: BTreeMap<&'static str, usize>,
    /// Lines that were none.
    pub unreadable: u64,
    /// One part for each kind of decision, then one for each of its journeys where there are several.
    pub parts: Vec<Part>,
}

/// Of one kind of decision, or of one journey.
#[derive(Debug, Serialize)]
pub struct Part {
    /// The kind.
    pub sort: &'static str,
    /// The journeys in it.
    pub journeys: Vec<String>,
    /// Decisions by the owner.
    pub genuine: usize,
    /// Decisions by somebody else.
    pub fraud: usize,
    /// Decisions of which it is not known.
    pub unknown: usize,
    /// The constants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Fit>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The score as it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Measure>,
    /// With the constants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Measure>,
    /// Fitted to one half, measured on the other: what to expect of new decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Measure>,
    /// The line of the budget.
    pub line: Line,
    /// Those of other budgets.
    pub other_lines: Vec<Line>,
    /// How many there are at each score.
    pub bands: Vec<Band>,
    /// Who is challenged at the line. Of kinds, not of single journeys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// Decisions of about the same score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Band {
    /// The least score in it.
    pub from: u8,
    /// Genuine decisions.
    pub genuine: usize,
    /// Fraud.
    pub fraud: usize,
    /// Which share should be genuine, by the constants or else as the score comes.
    pub said: f64,
}

impl Part {
    /// Its name: the journey, or the kind of decision.
    pub fn name(&self) -> String {
        match (&*self.journeys, self.groups.is_empty()) {
            ([one], true) => format!("{one} ({})", self.sort),
            ([one], false) => format!("{}: {one}", heading(self.sort)),
            (many, _) => format!("{}: {}", heading(self.sort), many.join(", ")),
        }
    }
}

/// A kind of decision, as people read it.
fn heading(sort: &str) -> &str {
    match sort {
        "attempt" => "Sign-ins before the answer",
        "session" => "Sign-ins with the right password",
        "reset" => "Password resets",
        "step" => "Sensitive steps",
        other => other,
    }
}

impl Report {
    /// The report of these decisions.
    pub fn of(labelled: &[Labelled], unreadable: u64, budgets: &Budgets) -> Self {
        let mut told: BTreeMap<Because, usize> = BTreeMap::new();
        for labelled in labelled {
            *told.entry(labelled.because).or_default() += 1;
        }
        let mut parts = Vec::new();
        for sort in Sort::ALL.iter().copied() {
            let of_sort: Vec<&Labelled> = labelled.iter().filter(|labelled| labelled.decision.sort == sort).collect();
            if of_sort.is_empty() {
                continue;
            }
            let mut journeys: BTreeMap<&str, Vec<&Labelled>> = BTreeMap::new();
            for labelled in &of_sort {
                journeys.entry(&labelled.decision.journey).or_default().push(labelled);
            }
            parts.push(part(sort, &of_sort, budgets, true));
            if journeys.len() > 1 {
                parts.extend(journeys.values().map(|of_journey| part(sort, of_journey, budgets, false)));
            }
        }
        let told = told.into_iter().map(|(because, n)| (because.words(), n)).collect();
        Self { decisions: labelled.len(), told, unreadable, parts }
    }

    /// Groups that are challenged too often.
    pub fn flagged(&self) -> impl Iterator<Item = (&Part, &Group)> {
        self.parts
            .iter()
            .flat_map(|part| part.groups.iter().filter(|group| group.flagged).map(move |group| (part, group)))
    }
}

fn part(sort: Sort, labelled: &[&Labelled], budgets: &Budgets, whole: bool) -> Part {
    let mut cases = Vec::new();
    let mut genuine: Vec<(f64, &Groups)> = Vec::new();
    for labelled in labelled {
        let Some(outcome) = labelled.outcome else { continue };
        let decision = &labelled.decision;
        let evidence = f64::from(decision.evidence) / 10.0;
        // All decisions of an account are in one half, so that the other tells something new.
        let half = decision.account.unwrap_or(decision.reference).0;
        cases.push(Case { evidence, genuine: outcome == Outcome::Genuine, held_out: half.count_ones() % 2 == 1 });
        if outcome == Outcome::Genuine {
            genuine.push((evidence, &decision.groups));
        }
    }
    let fitted = Fit::of(&cases);
    let fit = fitted.as_ref().ok().copied();
    let line_at = line(&cases, budgets.of(sort));
    let mut journeys: Vec<String> = labelled.iter().map(|labelled| labelled.decision.journey.clone()).collect();
    journeys.sort_unstable();
    journeys.dedup();
    Part {
        sort: sort.word(),
        journeys,
        genuine: genuine.len(),
        fraud: cases.len() - genuine.len(),
        unknown: labelled.len() - cases.len(),
        calibration: fit,
        refused: fitted.err().map(|refused| refused.to_string()),
        before: measure(&cases, &Fit::AS_IT_COMES),
        after: fit.and_then(|fit| measure(&cases, &fit)),
        held_out: fit.and_then(|_| held_out(&cases)),
        line: line_at,
        other_lines: OTHERS.iter().map(|budget| line(&cases, *budget)).collect(),
        bands: bands(&cases, &fit.unwrap_or(Fit::AS_IT_COMES)),
        groups: if whole { table(&genuine, line_at.at) } else { Vec::new() },
    }
}

/// Fitted to one half, measured on the other.
fn held_out(cases: &[Case]) -> Option<Measure> {
    let (there, here): (Vec<Case>, Vec<Case>) = cases.iter().partition(|case| case.held_out);
    measure(&there, &Fit::best(&here).ok()?)
}

fn bands(cases: &[Case], fit: &Fit) -> Vec<Band> {
    let mut bands: Vec<Band> =
        (0..BANDS).map(|at| Band { from: u8::try_from(at * 10).unwrap_or(0), ..Band::default() }).collect();
    for case in cases {
        let score = (50.0 + case.evidence).clamp(0.0, 99.0);
        if let Some(band) = bands.get_mut((score / 10.0) as usize) {
            *(if case.genuine { &mut band.genuine } else { &mut band.fraud }) += 1;
            band.said += fit.probability(case.evidence);
        }
    }
    for band in &mut bands {
        let n = band.genuine + band.fraud;
        band.said = if n > 0 { band.said / n as f64 } else { 0.0 };
    }
    bands
}
