//! Calibrations: of journeys that there are, from enough outcomes, and with slopes that can be believed.

use super::Lower;
use super::names::{Entry, Index};
use crate::rules::calibration::{Calibration, ENOUGH, FURTHEST, SLOPES};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::Journey;
use crate::rules::syntax::calibration::CalibrationFile;

impl Lower<'_> {
    /// Gives each journey what its score has meant.
    pub(super) fn calibrations(&mut self, files: &[Entry<'_, CalibrationFile>], journeys: Option<&mut Vec<Journey>>) {
        Index::new("calibration", files, self.report);
        let mut none = Vec::new();
        let journeys = journeys.unwrap_or(&mut none);
        for (name, file) in files {
            let at = self.journeys.find(name, self.broken, self.report);
            let calibration = file.and_then(|file| self.calibration(name, file));
            if let Some(journey) = at.and_then(|at| journeys.get_mut(usize::from(at))) {
                journey.calibration = calibration;
            }
        }
    }

    fn calibration(&mut self, name: &str, file: &CalibrationFile) -> Option<Calibration> {
        let (offset, slope) = (file.offset.given(), file.slope.given());
        let outcomes = file.outcomes.given();
        if let Some(slope) = slope.filter(|slope| slope.value < SLOPES.0 || slope.value > SLOPES.1) {
            let said = format!(
                "a point on `{name}` would be worth {:.2} points, outside {} to {}",
                slope.value, SLOPES.0, SLOPES.1
            );
            let problem = Diagnostic::of(&codes::CALIBRATION_SLOPE, said).at(slope.span, "not believed");
            self.error(problem.help(
                "look at the outcomes with `weir calibrate` before you believe them; remove the table until then",
            ));
        }
        if let Some(offset) = offset.filter(|offset| offset.value.abs() > FURTHEST) {
            let said = format!("the score of `{name}` would be off by {:.0} points", offset.value);
            let problem = Diagnostic::of(&codes::CALIBRATION_SLOPE, said).at(offset.span, "not believed");
            self.error(problem.help("an offset lies between -100 and 100; `weir calibrate --write` makes this table"));
        }
        if let Some(outcomes) = outcomes.filter(|outcomes| outcomes.value < u64::from(ENOUGH)) {
            let said =
                format!("`{name}` would be calibrated by {} outcomes; fewer than {ENOUGH} say nothing", outcomes.value);
            let problem = Diagnostic::of(&codes::CALIBRATION_OUTCOMES, said).at(outcomes.span, "too few");
            self.error(problem.help(
                "keep outcomes for longer ([outcomes] keep in gateway.toml), then run `weir calibrate --write` again",
            ));
        }
        Some(Calibration {
            offset: offset?.value,
            slope: slope?.value,
            outcomes: u32::try_from(outcomes?.value).ok()?,
            made: file.made.given()?.0.clone(),
        })
    }
}
