//! `budget` of a journey as law: which share of customers who have long been known its lines may hold, and how far the lines may
//! float down to keep it. And what a ladder is when its lines have floated.
//!
//! Plain data; the judge counts and decides. Lines never float above what is written, never below a view line, and the line below
//! which somebody is refused does not float at all.

use std::time::Duration;

use super::ruleset::{Action, Ladder, Rung};
use crate::confidence::Confidence;

/// The furthest that any line may float.
pub const FURTHEST: u8 = 20;

/// What a journey's lines may cost those who are most likely its customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The share of them that the ladder may hold in a day.
    pub challenged: Share,
    /// The same for attempts to sign in; their lines do not float without it.
    pub attempts: Option<Share>,
    /// How many points lines may float down, at most [`FURTHEST`].
    pub range: u8,
    /// How far back is looked: after half of it a customer counts half.
    pub over: Duration,
}

/// A share, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u16);

impl Share {
    /// The share, 0 to 1.
    pub fn part(self) -> f32 {
        f32::from(self.0) / 10_000.0
    }
}

/// How far the lines of one journey have floated down now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floats {
    /// Those of an attempt to sign in.
    pub attempt: u8,
    /// Those of the session.
    pub session: u8,
}

impl Floats {
    /// Not at all.
    pub const NONE: Self = Self { attempt: 0, session: 0 };
}

impl Ladder {
    /// From where the rung at this place is reached when lines have floated down so far.
    pub fn line(&self, place: usize, by: u8, view_line: Option<Confidence>) -> Confidence {
        let mut line = Confidence::NONE;
        for (at, rung) in self.rungs.iter().enumerate().skip(place).rev() {
            line = self.floated(at, rung, by, view_line, line);
        }
        line
    }

    /// The place of the rung that this confidence reaches when lines have floated down so far.
    pub fn reach_floated(&self, confidence: Confidence, by: u8, view_line: Option<Confidence>) -> usize {
        if by == 0 {
            return self.reach(confidence).0;
        }
        let mut reached = self.rungs.len() - 1;
        let mut line = Confidence::NONE;
        for (at, rung) in self.rungs.iter().enumerate().rev() {
            line = self.floated(at, rung, by, view_line, line);
            if confidence >= line {
                reached = at;
            }
        }
        reached
    }

    /// The line of one rung, above that of the rung below.
    fn floated(&self, at: usize, rung: &Rung, by: u8, view_line: Option<Confidence>, below: Confidence) -> Confidence {
        let refused_below = self.rungs.get(at + 1).is_some_and(|below| matches!(below.action, Action::Deny { .. }));
        if refused_below {
            return rung.at;
        }
        let shows = matches!(rung.action, Action::Allow | Action::Throttle { .. } | Action::ReadOnly);
        let view_line = view_line.filter(|_| shows).unwrap_or(Confidence::NONE);
        rung.at.lowered(by).max(view_line).max(below).min(rung.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smallvec::SmallVec;

    use super::*;
    use crate::rules::ruleset::HelpId;

    fn line(at: u8) -> Confidence {
        Confidence::line(at).unwrap()
    }

    fn ladder(rungs: &[(u8, Action)]) -> Ladder {
        Ladder { rungs: rungs.iter().map(|(at, action)| Rung { at: line(*at), action: action.clone() }).collect() }
    }

    const PERSON: Action = Action::Handoff { to: HelpId(0) };
    const NO: Action = Action::Deny { to: HelpId(0) };

    #[test]
    fn lines_float_down_together_and_stop_where_they_must() {
        let shown = ladder(&[(55, Action::Allow), (30, PERSON), (0, NO)]);
        let lines = |by, view| [0, 1, 2].map(|at| shown.line(at, by, view).score());
        assert_eq!(lines(0, None), [55, 30, 0]);
        assert_eq!(lines(6, None), [49, 30, 0], "the line below which somebody is refused stays");
        assert_eq!(lines(20, Some(line(50))), [50, 30, 0], "nothing is shown below the view line");
        let close = ladder(&[(35, Action::Allow), (30, PERSON), (0, NO)]);
        assert_eq!(close.line(0, 20, None).score(), 30, "never below the line beneath");
    }

    proptest! {
        #[test]
        fn the_rung_that_is_reached_is_the_highest_whose_line_is(
            mut ats in prop::collection::btree_set(1_u8..=100, 0..5),
            by in 0..=FURTHEST, score in 0_u8..=100, view in prop::option::of(0_u8..=100), deny: bool,
        ) {
            ats.insert(0);
            let mut rungs: SmallVec<[Rung; 4]> =
                ats.iter().rev().map(|at| Rung { at: line(*at), action: Action::Allow }).collect();
            if deny && let Some(last) = rungs.last_mut() {
                last.action = NO;
            }
            let (ladder, view) = (Ladder { rungs }, view.map(line));
            let lines: Vec<Confidence> = (0..ladder.rungs().len()).map(|at| ladder.line(at, by, view)).collect();
            prop_assert!(lines.is_sorted_by(|a, b| a >= b));
            prop_assert!(lines.iter().zip(ladder.rungs()).all(|(line, rung)| *line <= rung.at));
            let highest = lines.iter().position(|line| Confidence::line(score).unwrap() >= *line);
            prop_assert_eq!(ladder.reach_floated(Confidence::line(score).unwrap(), by, view), highest.unwrap());
            let written = ladder.reach(Confidence::line(score).unwrap()).0;
            prop_assert_eq!(ladder.reach_floated(Confidence::line(score).unwrap(), 0, view), written);
        }
    }
}
