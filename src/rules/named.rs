//! Finding things of a rule set by the names that operators gave them. An index made here is always good for its rule set.
//!
//! What outlives a rule set (a session, a handoff) remembers names, never indices: after a reload an index may mean another
//! thing. It must never make an index that its rule set does not have.

use smallvec::SmallVec;

use super::playbook::Playbook;
use super::ruleset::{HelpId, JourneyId, Ladder, Level, RuleSet, Rung};
use crate::confidence::Confidence;

impl RuleSet {
    /// The journey of this name.
    pub fn journey_named(&self, name: &str) -> Option<JourneyId> {
        let at = self.journeys.iter().position(|journey| &*journey.name == name)?;
        u16::try_from(at).ok().map(JourneyId)
    }

    /// Every journey's index, in order.
    pub fn journey_ids(&self) -> impl Iterator<Item = JourneyId> {
        (0..self.journeys.len()).map_while(|at| u16::try_from(at).ok()).map(JourneyId)
    }

    /// The playbook of this name, with its place.
    pub fn playbook_named(&self, name: &str) -> Option<(usize, &Playbook)> {
        self.playbooks.iter().enumerate().find(|(_, playbook)| &*playbook.name == name)
    }

    /// The help of this name.
    pub fn help_named(&self, name: &str) -> Option<HelpId> {
        let at = self.help.iter().position(|help| &*help.name == name)?;
        u16::try_from(at).ok().map(HelpId)
    }

    /// Every place of help, in order.
    pub fn help_ids(&self) -> impl Iterator<Item = HelpId> {
        (0..self.help.len()).map_while(|at| u16::try_from(at).ok()).map(HelpId)
    }

    /// The level of this name.
    pub fn level_named(&self, name: &str) -> Option<Level> {
        self.level_where(|law| law == name)
    }

    /// The strongest level whose name is the one looked for.
    pub fn level_where(&self, wanted: impl Fn(&str) -> bool) -> Option<Level> {
        let at = self.levels.iter().rposition(|law| wanted(&law.name))?;
        u8::try_from(at).ok().map(Level)
    }

    /// The weakest level: what a verified subject has proved when nothing more is said.
    pub fn weakest_level(&self) -> Option<Level> {
        (!self.levels.is_empty()).then_some(Level(0))
    }
}

impl Ladder {
    /// A ladder of these rungs. `None` unless they descend strictly and end at 0.
    pub fn descending(rungs: impl IntoIterator<Item = Rung>) -> Option<Self> {
        let rungs: SmallVec<[Rung; 4]> = rungs.into_iter().collect();
        let descends = rungs.windows(2).all(|pair| pair[0].at > pair[1].at);
        let ends = rungs.last().is_some_and(|rung| rung.at == Confidence::NONE);
        (descends && ends).then_some(Self { rungs })
    }
}
