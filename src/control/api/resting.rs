//! Whose confidence rests on one family of signals: the sessions that would come to a lower rung if it were not believed, among the
//! latest decisions.
//!
//! It reads what was decided and decides nothing. It must never show more of anybody than a keyed reference.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Control, blocking};
use crate::confidence::{Confidence, Family, Points};
use crate::judge::registers::Told;
use crate::rules::playbook::Families;
use crate::rules::ruleset::RuleSet;
use crate::telemetry::lines::Recent;

/// Sessions that are named in one answer.
const MOST: usize = 1000;

/// One session that rests on the family.
#[derive(Debug, Serialize)]
pub(super) struct Rests {
    session: String,
    journey: String,
    /// The rung that it reached.
    rung: &'static str,
    /// The rung that it would reach.
    without: &'static str,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Resting {
    /// Sessions among the latest decisions.
    looked_at: usize,
    /// Those that rest on it.
    resting: usize,
    /// The first of them.
    sessions: Vec<Rests>,
}

impl Resting {
    /// How many, without naming any.
    pub(super) fn counts(&self) -> Value {
        json!({ "sessions": self.resting, "of": self.looked_at })
    }
}

/// The sessions of the latest decisions that would come lower without these families.
pub(super) fn resting(recent: &Recent, rules: &RuleSet, families: Families) -> Resting {
    let mut found = Resting::default();
    let mut seen = HashSet::new();
    recent.each("\"session\":\"", |line| {
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let Some(session) = line["session"].as_str() else { return };
        // Newest first: what was decided of it before does not count.
        if line["confidence"].is_null() || !seen.insert(session.to_owned()) {
            return;
        }
        found.looked_at += 1;
        let Some(rests) = rests(&line, session, rules, families) else { return };
        found.resting += 1;
        if found.sessions.len() < MOST {
            found.sessions.push(rests);
        }
    });
    found
}

fn rests(line: &Value, session: &str, rules: &RuleSet, families: Families) -> Option<Rests> {
    let lines = line["because"].as_array()?;
    let told = || lines.iter().filter_map(|line| Told::parse(line.as_str()?));
    let given = |families: Families| -> Points {
        let of = Family::ALL.into_iter().filter(|family| families.contain(*family)).map(|family| {
            let sum: Points = told().filter(|told| told.signal.family() == family).map(|told| told.points).sum();
            sum.max(Points::ZERO)
        });
        of.sum()
    };
    let lost = given(families).as_tenths().div_euclid(10) + i32::from(given(families).as_tenths() % 10 != 0);
    let confidence = u8::try_from(line["confidence"].as_u64()?).ok()?;
    let less = Confidence::line(u8::try_from(i32::from(confidence).saturating_sub(lost).max(0)).ok()?)?;
    let journey = rules.journey(rules.journey_named(line["journey"].as_str()?)?);
    let ((was, before), (is, after)) =
        (journey.ladder.reach(Confidence::line(confidence)?), journey.ladder.reach(less));
    (is > was).then(|| Rests {
        session: session.to_owned(),
        journey: journey.name.to_string(),
        rung: before.action.word(),
        without: after.action.word(),
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    resting_on: String,
}

/// The sessions that rest on one family.
pub(super) async fn sessions(State(control): State<Control>, Query(asked): Query<Asked>) -> Response {
    let Some(family) = Family::ALL.into_iter().find(|family| family.word() == asked.resting_on) else {
        let known = Family::ALL.map(Family::word).join(", ");
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no such family of signals")
            .help(format!("name one of {known}"))
            .into_response();
    };
    let (recent, rules) = (control.recent.clone(), control.law.in_force().load().rules.clone());
    match blocking(move || resting(&recent, &rules, Families::NONE.with(family))).await {
        Ok(found) => Json(json!(found)).into_response(),
        Err(problem) => problem.into_response(),
    }
}
