//! What apps are told of what works now, as law: whether at all, and of which journeys.

use super::ruleset::JourneyId;

/// Journeys that the feed shows. Those that are written after so many are not told of.
pub const MOST: usize = 256;

/// The law of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JourneysFeed {
    /// Whether it is answered.
    pub on: bool,
    /// The journeys that it shows, in the order written; at most [`MOST`].
    pub listed: Vec<JourneyId>,
}
