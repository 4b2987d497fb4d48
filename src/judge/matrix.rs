//! What happens on each journey when each source of readings is gone, for a customer who is known and for a stranger: judged by the
//! judge that serves customers, not worked out.
//!
//! It proves that the loss of a source serves nobody better than having it. It must never leave out a journey or a source.

use serde::Serialize;

use super::lost::leans_on;
use super::rehearse::word_on;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::feeds::{Feed, Feeds};
use crate::rules::ruleset::{Given, JourneyId, RuleSet};

/// One journey for one kind of customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which.
    pub journey: String,
    /// `regular` or `stranger`.
    pub who: &'static str,
    /// What comes out while everything is there.
    pub as_it_is: &'static str,
    /// What comes out without each source, in the order of their names' declaration.
    pub without: Vec<Cell>,
}

/// The loss of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Which.
    pub source: &'static str,
    /// Whether the law leans on it at all.
    pub used: bool,
    /// What comes out.
    pub comes_out: &'static str,
    /// It is more than with the source: never, or the law is wrong.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub better: bool,
}

/// Every journey.
pub fn matrix(rules: &RuleSet) -> Vec<Row> {
    let journeys = 0..rules.journeys.len();
    let ids = journeys.filter_map(|at| rules.journey_named(&rules.journeys[at].name));
    ids.flat_map(|id| WHO.map(|who| row(rules, id, who))).collect()
}

/// Losses that would serve somebody better, as problems of the law.
pub fn problems(rows: &[Row]) -> Vec<Diagnostic> {
    let better = rows.iter().flat_map(|row| row.without.iter().filter(|cell| cell.better).map(move |cell| (row, cell)));
    better
        .map(|(row, cell)| {
            let said = format!(
                "without {}, a {} customer of {} comes to {} instead of {}",
                cell.source, row.who, row.journey, cell.comes_out, row.as_it_is
            );
            let help =
                format!("weir explain --down {} on a route of {} shows it line by line", cell.source, row.journey);
            Diagnostic::of(&codes::LOSS_HELPS, said).help(help)
        })
        .collect()
}

const WHO: [(&str, bool); 2] = [("regular", true), ("stranger", false)];

fn row(rules: &RuleSet, journey: JourneyId, (who, regular): (&'static str, bool)) -> Row {
    // Whoever comes has signed in as weakly as one can, a moment ago: the rest is the ladder's.
    let level = rules.weakest_level();
    let given = |down: Feeds| Given {
        device_known: Some(regular),
        network_known: Some(regular),
        authenticated: level,
        down,
        ..Given::default()
    };
    let (as_it_is, was) = word_on(rules, journey, &given(Feeds::NONE));
    let cell = |feed: Feed| {
        let used = leans_on(rules, feed);
        let (comes_out, is) =
            if used { word_on(rules, journey, &given(Feeds::NONE.with(feed))) } else { (as_it_is, was) };
        Cell { source: feed.word(), used, comes_out, better: is < was }
    };
    Row { journey: rules.journey(journey).name.to_string(), who, as_it_is, without: Feed::ALL.map(cell).into() }
}
