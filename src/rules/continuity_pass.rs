//! `[continuity_pass]` as law: whether a sign-in leaves a pass on its device, and for how long.
//!
//! Plain data. What a pass may show is said by the journeys, in `snapshot`; whom it may be shown to is never said here.

use std::time::Duration;

use super::ruleset::RuleSet;
use crate::confidence::Confidence;

/// Time in which what a pass shows is contained does not count towards its end, up to this.
const OUTAGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a pass lasts at most, where nothing is contained.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// No pass is older than this.
pub const OLDEST: Duration = Duration::from_secs(LONGEST.as_secs() + OUTAGE.as_secs());

/// The law of the pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContinuityPass {
    /// Whether passes are given and taken.
    pub on: bool,
    /// For how long after its owner was last seen.
    pub lasts: Duration,
    /// Given only on devices that the account has long used.
    pub trusted_only: bool,
    /// Shown only where the account, or the device, has been before.
    pub known_providers_only: bool,
    /// Still good when all sessions of an account were revoked and nothing else was reported.
    pub outlives_revocation: bool,
}

impl ContinuityPass {
    /// What holds when nothing is written.
    pub const USUAL: Self =
        Self { on: true, lasts: LONGEST, trusted_only: false, known_providers_only: false, outlives_revocation: false };

    /// How old a pass may be at most, however long the outage.
    pub const fn oldest(&self) -> Duration {
        self.lasts.saturating_add(OUTAGE)
    }
}

impl RuleSet {
    /// Whether any journey shows something to whoever has a pass.
    pub fn gives_passes(&self) -> bool {
        self.continuity_pass.on && self.shown_by_pass().next().is_some()
    }

    /// The lowest view line of what a pass may show: whoever signs in above it is left one.
    pub fn pass_line(&self) -> Option<Confidence> {
        self.shown_by_pass().min()
    }

    fn shown_by_pass(&self) -> impl Iterator<Item = Confidence> {
        let shown = |journey: &&super::ruleset::Journey| journey.snapshot.as_ref().is_some_and(|law| law.pass);
        self.journeys.iter().filter(shown).filter_map(|journey| journey.view_line)
    }
}
