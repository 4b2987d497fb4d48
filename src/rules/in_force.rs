//! The law and the posture together: one value, swapped whole. One request sees one of these from head to answer.

use std::sync::Arc;

use super::effects::Effects;
use super::posture::Posture;
use super::ruleset::RuleSet;
use crate::clock::Moment;

/// What is in force.
#[derive(Debug)]
pub struct InForce {
    /// Counts installations in this process, from 1.
    pub generation: u64,
    /// The law.
    pub rules: Arc<RuleSet>,
    /// What is armed.
    pub posture: Arc<Posture>,
    /// What the posture adds to the law.
    pub effects: Effects,
    /// When it was installed.
    pub installed: Moment,
}

impl InForce {
    /// The law under this posture.
    ///
    /// # Errors
    /// The names of playbooks that are armed and that the law does not have.
    pub fn new(
        generation: u64,
        rules: Arc<RuleSet>,
        posture: Arc<Posture>,
        installed: Moment,
    ) -> Result<Self, Vec<Box<str>>> {
        let effects = Effects::of(&rules, &posture)?;
        Ok(Self { generation, rules, posture, effects, installed })
    }

    /// The law while nothing is armed.
    pub fn calm(generation: u64, rules: Arc<RuleSet>, installed: Moment) -> Self {
        Self { generation, rules, posture: Arc::default(), effects: Effects::NONE, installed }
    }
}
