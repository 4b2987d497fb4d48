//! The law and the posture together: one value, swapped whole. One request sees one of these from head to answer.

use std::sync::Arc;

use super::ruleset::RuleSet;
use crate::clock::Moment;

/// What is in force.
#[derive(Debug)]
pub struct InForce {
    /// Counts installations in this process, from 1.
    pub generation: u64,
    /// The law.
    pub rules: Arc<RuleSet>,
    /// When it was installed.
    pub installed: Moment,
}
