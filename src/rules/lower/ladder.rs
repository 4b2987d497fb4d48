//! Ladders: falling, never more generous further down, ending at 0, and with a way forward for everybody.

use smallvec::SmallVec;

use super::Lower;
use crate::confidence::Confidence;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::{Action, Ladder, Rung};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ActionWord, RungFile};
use crate::rules::syntax::playbooks::ModeWord;

/// Rungs that a ladder may have.
const RUNGS: usize = 16;

/// A ladder as it is enforced, and, when some of its rungs are in shadow, as it would be with them.
#[derive(Debug)]
pub(super) struct Ladders {
    pub(super) enforced: Ladder,
    pub(super) full: Option<Ladder>,
}

fn in_shadow(file: &RungFile) -> bool {
    file.mode.given().is_some_and(|mode| mode.value == ModeWord::Shadow)
}

impl Lower<'_> {
    /// The ladder of these rungs; `None` when something was reported.
    pub(super) fn ladder(&mut self, files: &[RungFile], place: Span, view_line: Option<Confidence>) -> Option<Ladders> {
        if files.is_empty() {
            let problem = Diagnostic::of(&codes::EMPTY, "this ladder has no rung").at(place, "empty");
            self.error(problem.help("a ladder ends at 0: { at = 0, do = \"allow\" }"));
            return None;
        }
        if !self.within(files.len(), RUNGS, "rungs in one ladder") {
            return None;
        }
        let rungs: Vec<_> = files.iter().map(|file| (file, self.rung(file))).collect();
        self.falls(files);
        self.ends_at_zero(files);
        for pair in rungs.windows(2) {
            if let [(_, Some(upper)), (file, Some(lower))] = pair {
                self.never_more_generous(upper, lower, file);
            }
        }
        for (file, rung) in &rungs {
            if let (Some(line), Some(rung)) = (view_line, rung) {
                self.shows_nothing_below(line, rung, file);
            }
        }
        if let Some((file, Some(last))) = rungs.last() {
            self.has_an_exit(last, file);
        }
        let rungs: Option<Vec<(&RungFile, Rung)>> = rungs.into_iter().map(|(file, rung)| Some((file, rung?))).collect();
        let rungs = rungs?;
        let full = Ladder { rungs: rungs.iter().map(|(_, rung)| rung.clone()).collect() };
        if !files.iter().any(in_shadow) {
            return Some(Ladders { enforced: full, full: None });
        }
        let enforced = self.without_shadow(&rungs, place, view_line)?;
        Some(Ladders { enforced, full: Some(full) })
    }

    /// What is left when rungs in shadow are passed over: the rung above reaches down over each. What must hold for every ladder
    /// must hold for this one.
    fn without_shadow(
        &mut self,
        rungs: &[(&RungFile, Rung)],
        place: Span,
        view_line: Option<Confidence>,
    ) -> Option<Ladder> {
        let mut left: Vec<(&RungFile, Rung)> = Vec::new();
        for (file, rung) in rungs {
            if !in_shadow(file) {
                left.push((file, rung.clone()));
            } else if let Some((_, above)) = left.last_mut() {
                above.at = rung.at;
            }
        }
        let Some((file, last)) = left.last() else {
            let problem =
                Diagnostic::of(&codes::EMPTY, "every rung of this ladder is in shadow, so nothing is enforced");
            self.error(problem.at(place, "nothing left").help("leave one rung enforced: { at = 0, do = \"allow\" }"));
            return None;
        };
        self.has_an_exit(last, file);
        for (file, rung) in &left {
            if let Some(line) = view_line {
                self.shows_nothing_below(line, rung, file);
            }
        }
        let rungs: SmallVec<[Rung; 4]> = left.into_iter().map(|(_, rung)| rung).collect();
        Some(Ladder { rungs })
    }

    fn rung(&mut self, file: &RungFile) -> Option<Rung> {
        let action = self.action(file.into(), None);
        let at = file.at.given().and_then(|at| u8::try_from(at.value).ok()).and_then(Confidence::line);
        Some(Rung { at: at?, action: action? })
    }

    fn falls(&mut self, files: &[RungFile]) {
        for pair in files.windows(2) {
            let [upper, lower] = pair else { continue };
            if let (Some(above), Some(below)) = (upper.at.given(), lower.at.given())
                && below.value >= above.value
            {
                let said = format!("a rung at {} stands below one at {}", below.value, above.value);
                let problem = Diagnostic::of(&codes::LADDER_ORDER, said).at(below.span, "not lower than the one above");
                self.error(
                    problem.help("write rungs from the highest confidence down, each lower than the one before"),
                );
            }
        }
    }

    fn ends_at_zero(&mut self, files: &[RungFile]) {
        if let Some(last) = files.last().and_then(|file| file.at.given()).filter(|at| at.value != 0) {
            let said = format!("nothing is said for confidence below {}", last.value);
            let problem = Diagnostic::of(&codes::LADDER_END, said).at(last.span, "the last rung");
            self.error(
                problem.help("end the ladder with a rung at 0, such as { at = 0, do = \"handoff\", to = \"main\" }"),
            );
        }
    }

    fn never_more_generous(&mut self, upper: &Rung, lower: &Rung, file: &RungFile) {
        let (above, below) = (&upper.action, &lower.action);
        let generous = match (above, below) {
            (Action::StepUp { level, max_age }, Action::StepUp { level: lower, max_age: older }) => {
                let looser = match (max_age, older) {
                    (Some(_), None) => true,
                    (Some(age), Some(older)) => older > age,
                    (None, _) => false,
                };
                lower < level || looser
            }
            (Action::Throttle { every }, Action::Throttle { every: lower }) => lower < every,
            _ => below.strictness() < above.strictness(),
        };
        if generous && let Some(word) = file.r#do.given() {
            let said = format!("less confidence would be given more: {} stands below {}", below.word(), above.word());
            let problem =
                Diagnostic::of(&codes::LADDER_STRICTNESS, said).at(word.span, "more generous than the rung above");
            self.error(problem.help("order the rungs: allow, throttle, step_up, read_only, handoff, deny"));
        }
    }

    fn shows_nothing_below(&mut self, line: Confidence, rung: &Rung, file: &RungFile) {
        let shows = matches!(rung.action, Action::Allow | Action::Throttle { .. } | Action::ReadOnly);
        if shows
            && rung.at < line
            && let Some(word) = file.r#do.given()
        {
            let said =
                format!("{} at {} shows personal data below the view line of {line}", rung.action.word(), rung.at);
            let problem = Diagnostic::of(&codes::BELOW_VIEW_LINE, said).at(word.span, "shows what must stay hidden");
            self.error(problem.help("use step_up or handoff there, or raise the rung to the view line"));
        }
    }

    /// A rung that holds people back must leave them a way that needs no voice call.
    fn has_an_exit(&mut self, last: &Rung, file: &RungFile) {
        let stuck = match last.action {
            Action::StepUp { .. } | Action::ReadOnly => !self.means.text,
            // Serving is its own way out, and a throttled client waits.
            Action::Allow | Action::Throttle { .. } => false,
            // Where these lead is checked with the action.
            Action::Handoff { .. } | Action::Deny { .. } => false,
        };
        if stuck && let Some(word) = file.r#do.given() {
            let said = format!("who cannot pass the last rung, {}, has no way forward", last.action.word());
            let problem = Diagnostic::of(&codes::DEAD_END, said).at(word.span, "a dead end");
            self.error(
                problem.help(
                    "define a [help.NAME] with `text`, so that everybody can reach a person without a voice call",
                ),
            );
        }
    }

    /// An attempt has no session yet, so nothing could remember a proof.
    pub(super) fn asks_no_proof(&mut self, files: &[RungFile]) {
        for word in files.iter().filter_map(|file| file.r#do.given()).filter(|word| word.value == ActionWord::StepUp) {
            let said = "an attempt cannot be asked for one more proof: there is no session yet that could remember it";
            let problem = Diagnostic::of(&codes::ATTEMPT_STEP_UP, said).at(word.span, "nobody could pass this");
            self.error(
                problem.help(
                    "use throttle or handoff here, and step_up in `ladder`, which judges the session that it opens",
                ),
            );
        }
    }
}
