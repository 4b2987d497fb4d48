//! Guards on the sources of readings.

use std::time::Duration;

use super::Lower;
use crate::confidence::Points;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::guards::Guards;
use crate::rules::signal::Group;
use crate::rules::syntax::guards::{GroupWord, GuardsFile};

/// A shorter time holds too few customers to have a median; a longer one is no lurch.
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(24 * 3600);

impl Lower<'_> {
    /// When a group of signals is frozen.
    pub(super) fn guards(&mut self, file: Option<&GuardsFile>) -> Option<Guards> {
        let Some(file) = file else { return Some(Guards::default()) };
        let (over, thaw) = (file.over.given()?, file.thaw_after.given()?);
        for (name, said) in [("over", over), ("thaw_after", thaw)] {
            if said.value < LEAST || said.value > MOST {
                let problem = Diagnostic::of(&codes::GUARD_TIME, format!("`{name}` of [guards] is no useful time"));
                self.error(problem.at(said.span, "too short or too long").help("choose between \"1m\" and \"24h\""));
            }
        }
        let shift = i32::try_from(file.shift.given()?.value).unwrap_or(i32::MAX / 10);
        let trusted = file.trust.given().map_or(&[][..], |many| &many.all);
        Some(Guards {
            on: file.on.given()?.value,
            shift: Points::whole(shift),
            over: over.value,
            thaw_after: thaw.value,
            trusted: trusted.iter().map(|word| group(word.value)).collect(),
        })
    }
}

const fn group(word: GroupWord) -> Group {
    match word {
        GroupWord::Device => Group::Device,
        GroupWord::Client => Group::Client,
        GroupWord::Network => Group::Network,
        GroupWord::Pressure => Group::Pressure,
        GroupWord::Journey => Group::Journey,
        GroupWord::Session => Group::Session,
        GroupWord::Authentication => Group::Authentication,
        GroupWord::Exposure => Group::Exposure,
    }
}
