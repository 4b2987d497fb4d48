//! Budgets: a time that is of use, and lines that can float.

use std::time::Duration;

use super::Lower;
use crate::confidence::Confidence;
use crate::rules::budgets::Budget;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::Ladder;
use crate::rules::source::Span;
use crate::rules::syntax::budgets::BudgetFile;
use crate::rules::syntax::table::Field;

/// A shorter time sees one part of the day only; a longer one sees customers who have long gone.
const LEAST: Duration = Duration::from_secs(3600);
const MOST: Duration = Duration::from_secs(30 * 86_400);

impl Lower<'_> {
    /// The budget of a journey with these ladders; the inner `None` where it has none, the outer when something was reported.
    pub(super) fn budget(
        &mut self,
        field: &Field<BudgetFile>,
        ladder: Option<&Ladder>,
        attempt: Option<&Ladder>,
        view_line: Option<Confidence>,
    ) -> Option<Option<Budget>> {
        let file = match field {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(file) => file,
        };
        let over = file.over.given()?;
        if over.value < LEAST || over.value > MOST {
            let problem = Diagnostic::of(&codes::BUDGET_TIME, "`over` of this budget is no useful time");
            self.error(problem.at(over.span, "too short or too long").help("choose between \"1h\" and \"30d\""));
        }
        let range = u8::try_from(file.range.given()?.value).ok()?;
        let challenged = file.challenged.given()?;
        if let Some(ladder) = ladder {
            self.can_float(ladder, range, view_line, challenged.span, "ladder");
        }
        let attempts = match &file.attempts {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(share) => {
                match attempt {
                    Some(attempt) => self.can_float(attempt, range, None, share.span, "attempt"),
                    None => self.floats_nothing(share.span, "this journey has no `attempt` whose lines could float"),
                }
                Some(share.value)
            }
        };
        Some(Some(Budget { challenged: challenged.value, attempts, range, over: over.value }))
    }

    /// At least one line of the ladder must be able to move.
    fn can_float(&mut self, ladder: &Ladder, range: u8, view_line: Option<Confidence>, place: Span, name: &str) {
        let moves = |(at, rung): (usize, &crate::rules::ruleset::Rung)| ladder.line(at, range, view_line) < rung.at;
        if !ladder.rungs().iter().enumerate().any(moves) {
            self.floats_nothing(place, &format!("no line of this `{name}` can float down from where it is written"));
        }
    }

    fn floats_nothing(&mut self, place: Span, said: &str) {
        let problem = Diagnostic::of(&codes::BUDGET_MOVES_NOTHING, said).at(place, "no effect");
        self.error(problem.help(
            "write the upper rung above the view line and above a rung that may come next, or remove this share",
        ));
    }
}
