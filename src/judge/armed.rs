//! What armed playbooks ask of one request, beyond the law: readings that are not believed, rungs that nobody gets above,
//! containment, and what automation and unlisted routes may not do.
//!
//! It only ever adds demands and only ever silences readings, so that an armed playbook never gives anybody more.

use super::decision::{Demands, Hold, Question, Speaker};
use super::demanded::Origin;
use super::score::Scored;
use super::signals::Readings;
use super::stage::Stage;
use crate::rules::client::Class;
use crate::rules::effects::{Entry, Playbooks};
use crate::rules::playbook::Families;
use crate::rules::ruleset::Action;

/// Which armed playbooks asked something, and whose words say the most.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) playbooks: Playbooks,
    /// The strictest that has words: how strict, its place in the posture, and itself.
    loudest: Option<(u8, usize, Speaker)>,
}

impl Asked {
    /// This one asked for something so strict.
    pub(super) fn note(&mut self, question: &Question<'_>, entry: &Entry, strictness: u8) {
        self.playbooks.insert(entry.place);
        if question.rules.playbooks.get(entry.playbook).is_none_or(|law| law.words.is_empty()) {
            return;
        }
        let quieter = |&(other, place, _): &(u8, usize, Speaker)| {
            other < strictness || (other == strictness && place > entry.place)
        };
        if self.loudest.as_ref().is_none_or(quieter) {
            let speaker = Speaker { playbook: entry.playbook, until: entry.ends };
            self.loudest = Some((strictness, entry.place, speaker));
        }
    }

    /// Who speaks to a customer who is held like this. What a machine is told is the same whichever playbook narrows it.
    pub(super) fn speaker(&self, hold: &Hold) -> Option<Speaker> {
        let held = hold.strictness()?;
        self.loudest.filter(|(strictness, ..)| *strictness >= held).map(|(.., speaker)| speaker)
    }
}

/// The families that are not believed for this question. `trial` counts playbooks in shadow as if they were enforced.
pub(super) fn distrusted(question: &Question<'_>, trial: bool, asked: &mut Asked) -> Families {
    let mut families = Families::NONE;
    let unknown = question.journey.and_then(|id| question.rules.journey(id).when_unknown.as_ref());
    let unknown = unknown.map_or(0, Action::strictness);
    for (entry, added) in question.effects.on(question.journey) {
        if !added.distrust.is_empty() && entry.holds(question.channel, question.now, trial) {
            families = families.or(added.distrust);
            asked.note(question, entry, unknown);
        }
    }
    families
}

/// Adds what armed playbooks demand, and notes which of them did.
pub(super) fn add(
    question: &Question<'_>,
    trial: bool,
    scored: &Scored,
    readings: &Readings,
    demands: &mut Demands<'_>,
    asked: &mut Asked,
) {
    let automation = question.class == Class::Automation;
    // Routes that prove something or end a session stay open, also where no journey names them.
    let unlisted = question.journey.is_none() && !question.listed;
    let unlisted_change = unlisted && !question.safe_method;
    for (entry, added) in question.effects.on(question.journey) {
        if !entry.holds(question.channel, question.now, trial) {
            continue;
        }
        if automation && added.automation_barred && (question.journey.is_some() || unlisted) {
            demands.narrow(Origin::Playbook(entry.place));
            asked.note(question, entry, 0);
        }
        if added.read_only && unlisted_change {
            demands.add(Origin::Playbook(entry.place), &Action::ReadOnly);
            asked.note(question, entry, Action::ReadOnly.strictness());
        }
        if entry.is_over_for(scored.confidence(), question.now) || (added.only_contaminated && !readings.contaminated())
        {
            continue;
        }
        let at_most = match question.stage {
            Stage::Attempt => &added.attempt_at_most,
            Stage::Claim | Stage::Session => &added.at_most,
        };
        for action in at_most.iter().chain(&added.contained) {
            demands.add(Origin::Playbook(entry.place), action);
            asked.note(question, entry, action.strictness());
        }
    }
}
