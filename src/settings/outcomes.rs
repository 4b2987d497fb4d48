//! `[outcomes]`: whether decisions and how they turned out are kept for `weir calibrate`, for how long, and in how many bytes.

use std::time::Duration;

use super::{Lift, number};
use crate::rules::diagnostic::{Code, Diagnostic, codes};
use crate::rules::syntax::forms::Whole;
use crate::rules::syntax::table::{Said, Written, Wrong, table};

/// How outcomes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomesKept {
    /// For how long.
    pub keep: Duration,
    /// In how many bytes; the oldest day goes.
    pub bytes: u64,
}

table! {
    /// Decisions and how they turned out, under keyed hashes in the data directory, for `weir calibrate`. Nothing is kept unless this says so.
    OutcomesFile("outcomes") {
        /// For how long, at most 180d; "off" keeps nothing.
        keep: Said<KeepText> = default("\"off\"");
        /// Bytes of all files together; the oldest goes.
        bytes: Whole<1_048_576, 1_099_511_627_776> = default("268435456");
    }
}

/// For how long, or not at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepText(pub(crate) Option<Duration>);

impl Written for KeepText {
    const WHAT: &'static str = "a duration, or \"off\"";
    const EXAMPLE: &'static str = "180d";
    const CODE: &'static Code = &codes::BAD_DURATION;

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "off" { Ok(Self(None)) } else { Duration::parse(text).map(|keep| Self(Some(keep))) }
    }
}

/// Outcomes are about people too: half a year.
const LONGEST: Duration = Duration::from_secs(180 * 24 * 3600);
/// Less than a day is not worth a file.
const SHORTEST: Duration = Duration::from_secs(24 * 3600);

impl Lift<'_> {
    /// The outer one is none after an error.
    pub(super) fn outcomes(&mut self, file: &OutcomesFile) -> Option<Option<OutcomesKept>> {
        let bytes = number(&file.bytes)?;
        let said = file.keep.given()?;
        let Some(keep) = said.value.0 else { return Some(None) };
        if !(SHORTEST..=LONGEST).contains(&keep) {
            let problem = Diagnostic::of(&codes::OUTCOMES_KEPT, "outcomes are kept for 1 day to 180 days");
            self.problems
                .push(problem.at(said.span, "not within these").help("write \"180d\", or \"off\" to keep nothing"));
        }
        Some(Some(OutcomesKept { keep, bytes }))
    }
}
