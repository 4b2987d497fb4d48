//! Lines that float within bounds. Nobody says who was honest; but customers who have long been known, on their own devices and
//! networks, mostly are, and when more of them are held than the journey's budget allows, it is the score that has moved and not
//! they. Then the lines move with it, a point at a time, and say so.
//!
//! What is counted is by how much the lines would have to be lower for each customer not to be held: so what the lines should be does
//! not depend on what they are. It must never count a stranger, and never what strangers' guessing takes from a customer: then an
//! attack could loosen what holds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Question, short_of};
use super::score::{Scored, Source};
use super::signals::Readings;
use super::signals::device::Standing;
use super::signals::network::Place;
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::{Confidence, Points, Reading};
use crate::rules::budgets::{FURTHEST, Floats, Share};
use crate::rules::client::Class;
use crate::rules::ruleset::{Action, Ladder};
use crate::rules::signal::{Group, Signal};

/// What is told apart: not held, held by so many points, held however far the lines float.
pub const BINS: usize = FURTHEST as usize + 2;
/// Fewer customers than this have no share that means anything.
const LEAST: f32 = 50.0;
/// At least so many customers must be held before a line moves: one alone is chance.
const FEW: f32 = 1.5;
/// Lines move by a point at most this often.
const STEP: Duration = Duration::from_secs(300);
/// A line goes back only when even then so much of the budget is kept: otherwise it would go to and fro.
const BACK: f32 = 0.8;

/// How far one customer who has long been known falls short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Before the upstream's answer, or in a session.
    pub stage: Stage,
    /// By how many points the lines would have to be lower than written for the customer not to be held: 0 where they are not, and
    /// one more than [`FURTHEST`] where no floating helps.
    pub by: u8,
}

impl Short {
    /// Of this question; nothing for whoever is not counted.
    pub(super) fn of(question: &Question<'_>, ladder: &Ladder, readings: &Readings, scored: &Scored) -> Option<Self> {
        if question.class != Class::Customer || !counts(readings, question.stage) {
            return None;
        }
        let view_line = question.rules.journey(question.journey?).view_line;
        let proof = match question.stage {
            Stage::Attempt => None,
            Stage::Claim | Stage::Session => readings.session.known(),
        };
        let held = |action: &Action| match action {
            Action::Allow => false,
            Action::StepUp { level, max_age } => short_of(*level, *max_age, proof, question.now).is_some(),
            Action::ReadOnly => !question.safe_method,
            Action::Throttle { .. } | Action::Handoff { .. } | Action::Deny { .. } => true,
        };
        let confidence = without_guessing(scored, proof.is_some());
        let enough = |by: &u8| {
            let reached = ladder.reach_floated(confidence, *by, view_line);
            ladder.rungs().get(reached).is_some_and(|rung| !held(&rung.action))
        };
        Some(Self { stage: question.stage, by: (0..=FURTHEST).find(enough).unwrap_or(FURTHEST + 1) })
    }
}

/// Whether this is a customer who has long been known, where the account is at home: on a device that it trusts, whatever that looks
/// like today, or, in a session of its own, on a network that it knows.
fn counts(readings: &Readings, stage: Stage) -> bool {
    const AGE: Duration = Duration::from_secs(7 * 86_400);
    let mature = readings.past.known().is_some_and(|past| past.sign_ins >= 3 && past.age >= AGE);
    let own_device = readings.device.known().is_some_and(Standing::is_trusted);
    let at_home = stage == Stage::Session
        && readings.session.known().is_some()
        && readings.network == Reading::Known(Place::Known);
    mature && (own_device || at_home)
}

/// The confidence without what guessing says, on the account, from where it comes and on the whole site, now or at the sign-in.
fn without_guessing(scored: &Scored, password_right: bool) -> Confidence {
    let (mut others, mut session) = (Points::ZERO, Points::ZERO);
    for line in scored.lines() {
        match line.source {
            Source::Signal(Signal::SignInDoubt) | Source::Limit(Group::Pressure | Group::Session) | Source::Ceiling => {
            }
            Source::Signal(signal) if signal.about().group == Group::Pressure => {}
            Source::Signal(signal) if signal.about().group == Group::Session => session = session + line.points,
            Source::Prior | Source::Signal(_) | Source::Limit(_) => others = others + line.points,
        }
    }
    // What the sign-in left in doubt may have been beyond the group's limit already.
    let (floor, cap) = Group::Session.limits(password_right);
    Confidence::from_evidence(others + session.clip(floor, cap))
}

/// A line that stands lower than it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floated {
    /// Where full service begins now.
    pub line: Confidence,
    /// Where it is written.
    pub written: Confidence,
}

impl Floated {
    /// The upper line of a ladder; nothing where it stands as written.
    pub(super) fn of(ladder: &Ladder, by: u8, view_line: Option<Confidence>) -> Option<Self> {
        let written = ladder.rungs().first()?.at;
        let line = ladder.line(0, by, view_line);
        (line < written).then_some(Self { line, written })
    }
}

impl Floats {
    /// How far the lines float that hold at this stage.
    pub const fn at(self, stage: Stage) -> u8 {
        match stage {
            Stage::Attempt => self.attempt,
            Stage::Claim | Stage::Session => self.session,
        }
    }
}

/// What one ladder is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The share that may be held.
    pub share: Share,
    /// How far its lines may float.
    pub range: u8,
    /// How far back is looked.
    pub over: Duration,
    /// A playbook holds the journey: lines float no further down.
    pub armed: bool,
}

/// What changed at a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The lines floated from so far down to so far down.
    Moved(u8, u8),
    /// They are at the end of their range, and more than the budget are still held.
    AtTheEnd,
    /// They are no longer.
    BackInRange,
}

/// What keeps one ladder within its budget: decayed counts of customers by how far they fall short, and how far its lines float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Controller {
    counts: [f32; BINS],
    /// Seconds; when the counts were last decayed.
    counted: u32,
    /// Seconds; when a line last moved.
    moved: u32,
    shift: u8,
    at_the_end: bool,
}

impl Controller {
    /// How far the lines float down.
    pub const fn shift(&self) -> u8 {
        self.shift
    }

    /// Whether the range is at its end.
    pub const fn is_at_the_end(&self) -> bool {
        self.at_the_end
    }

    /// How many customers are counted, decayed.
    pub fn customers(&self) -> f32 {
        self.counts.iter().sum()
    }

    /// The share of them that is held when lines float so far down; nothing for too few.
    pub fn share(&self, by: u8) -> Option<f32> {
        let all = self.customers();
        let held: f32 = self.counts.iter().skip(usize::from(by) + 1).sum();
        (all >= LEAST).then(|| held / all)
    }

    /// Whether more than so much of the budget is held when lines float so far down.
    fn is_beyond(&self, by: u8, bounds: &Bounds, part: f32) -> bool {
        let held: f32 = self.counts.iter().skip(usize::from(by) + 1).sum();
        held >= FEW && self.share(by).is_some_and(|share| share > part * bounds.share.part())
    }

    /// Takes up what was counted since the last look, moves the lines by at most a point, and says what changed.
    pub fn look(&mut self, counted: [i32; BINS], bounds: &Bounds, now: Moment) -> Vec<Change> {
        self.count(counted, bounds, now);
        let mut changes = Vec::new();
        let before = self.shift;
        let second = seconds(now);
        // A law that allows less holds at once.
        self.shift = self.shift.min(bounds.range);
        let due = self.moved > second || u64::from(second - self.moved) >= STEP.as_secs();
        if self.shift == before && due {
            if self.is_beyond(self.shift, bounds, 1.0) {
                self.shift += u8::from(self.shift < bounds.range && !bounds.armed);
            } else if self.shift > 0 && !self.is_beyond(self.shift - 1, bounds, BACK) {
                self.shift -= 1;
            }
        }
        if self.shift != before {
            self.moved = second;
            changes.push(Change::Moved(before, self.shift));
        }
        let part = if self.at_the_end { BACK } else { 1.0 };
        let at_the_end = self.shift == bounds.range && self.is_beyond(bounds.range, bounds, part);
        if at_the_end != self.at_the_end {
            self.at_the_end = at_the_end;
            changes.push(if at_the_end { Change::AtTheEnd } else { Change::BackInRange });
        }
        changes
    }

    fn count(&mut self, counted: [i32; BINS], bounds: &Bounds, now: Moment) {
        let second = seconds(now);
        let passed = second.saturating_sub(self.counted) as f32;
        let half_life = (bounds.over.as_secs_f32() / 2.0).max(1.0);
        let left = if self.counted == 0 { 1.0 } else { (-passed / half_life).exp2() };
        for (sum, new) in self.counts.iter_mut().zip(counted) {
            // Somebody who was counted and fell further since is taken out of where they were.
            *sum = (*sum * left + new as f32).max(0.0);
        }
        self.counted = second;
    }
}

fn seconds(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Moment = Moment::from_unix_seconds(1_800_000_000);
    const BOUNDS: Bounds = Bounds { share: Share(100), range: 12, over: Duration::from_secs(86_400), armed: false };

    fn minute(number: u64) -> Moment {
        START.plus(Duration::from_secs(60 * number))
    }

    /// So many customers, of whom every so-manieth falls short by this.
    fn customers(all: i32, short: i32, by: usize) -> [i32; BINS] {
        let mut counted = [0; BINS];
        counted[0] = all - short;
        counted[by] += short;
        counted
    }

    fn run(
        controller: &mut Controller,
        minutes: std::ops::Range<u64>,
        each: [i32; BINS],
        bounds: &Bounds,
    ) -> Vec<Change> {
        minutes.flat_map(|at| controller.look(each, bounds, minute(at))).collect()
    }

    #[test]
    fn lines_float_just_far_enough_a_point_every_five_minutes_and_come_back() {
        let mut controller = Controller::default();
        assert_eq!(run(&mut controller, 0..60, customers(100, 0, 0), &BOUNDS), []);
        // From now on one in ten falls short by three points.
        let changes = run(&mut controller, 60..180, customers(100, 10, 3), &BOUNDS);
        assert_eq!(changes, [Change::Moved(0, 1), Change::Moved(1, 2), Change::Moved(2, 3)]);
        assert!(controller.share(2).unwrap() > 0.01 && controller.share(3).unwrap() == 0.0);
        let calm = run(&mut controller, 180..8000, customers(100, 0, 0), &BOUNDS);
        assert_eq!(calm, [Change::Moved(3, 2), Change::Moved(2, 1), Change::Moved(1, 0)]);
    }

    #[test]
    fn the_end_of_the_range_is_said_once_and_so_is_the_way_back() {
        let mut controller = Controller::default();
        let bounds = Bounds { range: 2, ..BOUNDS };
        let changes = run(&mut controller, 0..60, customers(100, 10, 9), &bounds);
        assert_eq!(changes, [Change::Moved(0, 1), Change::Moved(1, 2), Change::AtTheEnd]);
        assert!(controller.is_at_the_end());
        let calm = run(&mut controller, 60..9000, customers(100, 0, 0), &bounds);
        assert_eq!(calm, [Change::Moved(2, 1), Change::BackInRange, Change::Moved(1, 0)]);
    }

    #[test]
    fn while_a_playbook_holds_the_journey_lines_float_no_further_down() {
        let mut controller = Controller::default();
        let armed = Bounds { armed: true, ..BOUNDS };
        run(&mut controller, 0..8, customers(100, 10, 9), &BOUNDS);
        let before = controller.shift();
        assert!(before > 0);
        assert_eq!(run(&mut controller, 8..200, customers(100, 10, 9), &armed), []);
        assert_eq!(controller.shift(), before);
        // Back up they may.
        run(&mut controller, 200..9000, customers(100, 0, 0), &armed);
        assert_eq!(controller.shift(), 0);
    }

    #[test]
    fn a_handful_of_customers_moves_nothing() {
        let mut controller = Controller::default();
        assert_eq!(controller.look(customers(49, 49, 3), &BOUNDS, minute(0)), []);
        let mut controller = Controller::default();
        assert_eq!(controller.look(customers(60, 1, 3), &BOUNDS, minute(0)), [], "one in sixty is one");
        assert_ne!(controller.look(customers(0, 1, 3), &BOUNDS, minute(6)), []);
    }

    #[test]
    fn a_law_that_allows_less_holds_at_once() {
        let mut controller = Controller::default();
        run(&mut controller, 0..80, customers(100, 10, 9), &BOUNDS);
        assert_eq!(controller.shift(), 9);
        assert_eq!(controller.look([0; BINS], &Bounds { range: 2, ..BOUNDS }, minute(80))[0], Change::Moved(9, 2));
    }

    proptest! {
        #[test]
        fn a_line_stays_within_its_range_moves_by_a_point_and_not_more_often_than_it_may(
            looks in prop::collection::vec((prop::array::uniform22(-5_i32..40), 1_u64..2000, 1_u8..=20, any::<bool>()), 1..60),
            share in 1_u16..5_000,
        ) {
            let mut controller = Controller::default();
            let (mut now, mut moved) = (START, None);
            for (counted, passed, range, armed) in looks {
                now = now.plus(Duration::from_secs(passed));
                let before = controller.shift();
                let bounds = Bounds { share: Share(share), range, armed, ..BOUNDS };
                controller.look(counted, &bounds, now);
                prop_assert!(controller.shift() <= range);
                prop_assert!(!armed || controller.shift() <= before);
                if controller.shift() > before {
                    prop_assert_eq!(controller.shift(), before + 1);
                    prop_assert!(moved.is_none_or(|moved| now.since(moved) >= STEP));
                }
                if controller.shift() != before {
                    moved = Some(now);
                }
                prop_assert!(controller.counts.iter().all(|count| count.is_finite() && *count >= 0.0));
            }
        }
    }
}
