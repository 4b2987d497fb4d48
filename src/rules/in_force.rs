//! The law and the posture together: one value, swapped whole. One request sees one of these from head to answer.

use std::sync::Arc;

use super::client::Channel;
use super::effects::{Effects, Playbooks};
use super::playbook::Playbook;
use super::posture::Posture;
use super::ruleset::{JourneyId, RuleSet};
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

    /// The laws of some of the armed playbooks, in the order in which they were armed.
    pub fn playbooks(&self, some: Playbooks) -> impl Iterator<Item = &Playbook> {
        some.names(&self.posture).filter_map(|name| self.rules.playbook_named(name)).map(|(_, playbook)| playbook)
    }

    /// Whether tunnels and event streams of this journey (or of none) are ended now.
    pub fn cuts_streams(&self, journey: Option<JourneyId>, channel: Channel, now: Moment) -> bool {
        !self.effects.is_empty() && self.effects.cuts_streams(&self.rules, journey, &self.posture, channel, now)
    }

    /// The law while nothing is armed.
    pub fn calm(generation: u64, rules: Arc<RuleSet>, installed: Moment) -> Self {
        Self { generation, rules, posture: Arc::default(), effects: Effects::NONE, installed }
    }
}
