//! `snapshot` of a journey as law: what is kept as a customer's own last-known-good answer, for how long, and when it is shown.
//!
//! Plain data. Who may see what is never said here: it is always and only the customer whose answer it was.

use std::time::Duration;

use http::HeaderName;

use super::ruleset::{RuleSet, StatusSet};

/// How a journey keeps and shows snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotLaw {
    /// For how long, while the journey is served.
    pub keep: Duration,
    /// Members of a JSON answer that are taken out before it is kept: each a way down, member by member. Where there is one, only
    /// JSON is kept.
    pub mask: Vec<Box<[Box<str>]>>,
    /// What of `Cache-Control` is overruled.
    pub even_if: EvenIf,
    /// Shown when the upstream has not begun to answer after so long.
    pub slow: Option<Duration>,
    /// Statuses of the upstream in place of which it is shown.
    pub instead_of: StatusSet,
    /// Request headers, beside `Accept` and `Accept-Language`, by which answers differ.
    pub vary: Vec<HeaderName>,
    /// The member of a JSON object that says as of when it is true.
    pub as_of: Option<Box<str>>,
    /// The member of a JSON object that lists the journeys which cannot be done now.
    pub blocked_actions: Option<Box<str>>,
    /// Shown to whoever has a continuity pass, too.
    pub pass: bool,
}

/// What an answer says against being kept, and is kept all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvenIf {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`.
    pub no_cache: bool,
    /// `must-revalidate`.
    pub must_revalidate: bool,
}

impl RuleSet {
    /// Whether any journey keeps snapshots.
    pub fn keeps_snapshots(&self) -> bool {
        self.journeys.iter().any(|journey| journey.snapshot.is_some())
    }
}
