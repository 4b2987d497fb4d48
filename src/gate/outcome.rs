//! What is kept of a decision for calibration: its evidence and to which groups of people it belongs, never who it was.
//!
//! Only where outcomes are kept; otherwise it costs one look at a flag. It must never write more than hashes, bands and kinds.

use std::cell::RefCell;

use http::header::USER_AGENT;
use http::request::Parts;

use super::Gate;
use super::context::Context;
use super::record::Record;
use crate::confidence::Reading;
use crate::judge::signals::Readings;
use crate::judge::stage::Stage;
use crate::outcomes;
use crate::outcomes::entry::{Age, Cookie, Decision, Entry, Groups, Network, Proof, Seen, Sort, System, Tag, by_group};
use crate::rules::client::Class;
use crate::rules::ruleset::RuleSet;
use crate::subject::{Account, Names, Session};
use crate::telemetry::lines::Lines;

/// What a request is kept as.
#[derive(Debug)]
pub struct Noted {
    groups: Groups,
    /// Sign-ins are kept when the password was right; steps always; what only looks, when it was asked for a proof.
    sort: Sort,
    only_looks: bool,
}

/// One worker's way to the kept outcomes.
#[derive(Debug)]
pub struct Ledger {
    lines: RefCell<Lines>,
    names: Names,
}

/// Notes to whom a request belongs, where outcomes are kept.
pub fn note(gate: &Gate, context: &Context<'_>, head: &Parts, readings: &Readings, record: &mut Record) {
    if !gate.lines.ledger.lines.borrow().wanted() || context.class != Class::Customer {
        return;
    }
    let Some(journey) = context.journey else { return };
    let sort = match context.stage {
        Stage::Attempt => Sort::Session,
        Stage::Claim | Stage::Session if context.prepared.rules().journey(journey).resets_password && !context.safe => {
            Sort::Reset
        }
        Stage::Claim | Stage::Session => Sort::Step,
    };
    let whereabouts = context.whereabouts;
    let user_agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let country = whereabouts.and_then(|at| at.country.known());
    let groups = Groups {
        network: Network::of(whereabouts.and_then(|at| at.listed.known())),
        seen: Seen::of(readings.network.known()),
        country: country.and_then(|letters| String::from_utf8(letters.to_vec()).ok()),
        system: System::of(user_agent),
        cookie: Cookie::of(context.device.known().and(readings.device.known())),
        age: Age::of(match (readings.past, context.account) {
            (Reading::Known(past), _) => Some(past.age),
            (Reading::Unknown(_), Reading::Known(_)) => Some(std::time::Duration::ZERO),
            (Reading::Unknown(_), Reading::Unknown(_)) => None,
        }),
        named: None,
    };
    record.noted = Some(Box::new(Noted { groups, sort, only_looks: context.safe }));
}

impl Ledger {
    /// Writes to these lines, under these hashes.
    pub const fn new(lines: Lines, names: Names) -> Self {
        Self { lines: RefCell::new(lines), names }
    }

    /// Hands what is held to its writer.
    pub fn hand_over(&self) {
        self.lines.borrow_mut().hand_over();
    }

    /// Keeps what is worth keeping of a request that is over.
    pub fn keep(&self, record: &Record, rules: &RuleSet) {
        let mut lines = self.lines.borrow_mut();
        if !lines.wanted() {
            return;
        }
        let at = record.moment.unix_seconds();
        let account = record.account.map(Account::bits).map(Tag);
        let session = record.session.map(Session::bits).map(Tag);
        if let Some(decision) = self.decision(record, rules) {
            lines.line(|out| Entry::Decision(decision).write(out));
        }
        let passed = record.learned.contains(&"step_up_passed");
        if passed || record.learned.contains(&"step_up_failed") {
            lines.line(|out| Entry::Proof(Proof { at, passed, account, session }).write(out));
        }
    }

    fn decision(&self, record: &Record, rules: &RuleSet) -> Option<Decision> {
        let (noted, journey) = (record.noted.as_ref()?, record.journey?);
        let (scored, action) = match (noted.sort, &record.session_scored) {
            (_, Some((scored, action))) => (scored, *action),
            // A sign-in that did not work is counted elsewhere: nobody can tell who guessed.
            (Sort::Attempt | Sort::Session, None) => return None,
            (Sort::Reset | Sort::Step, None) if noted.only_looks && record.action != "step_up" => return None,
            (Sort::Reset | Sort::Step, None) => (record.scored.as_ref()?, record.action),
        };
        Some(Decision {
            at: record.moment.unix_seconds(),
            journey: rules.journey(journey).name.to_string(),
            sort: noted.sort,
            evidence: scored.sum().as_tenths(),
            points: by_group(scored),
            action: action.to_owned(),
            reference: outcomes::reference(&self.names, record.id()),
            account: record.account.map(Account::bits).map(Tag),
            session: record.session.map(Session::bits).map(Tag),
            groups: noted.groups.clone(),
            outcome: None,
        })
    }
}
