//! What armed playbooks ask of one request, beyond the law: readings that are not believed, rungs that nobody gets above,
//! containment, and what automation and unlisted routes may not do.
//!
//! It only ever adds demands and only ever silences readings, so that an armed playbook never gives anybody more.

use super::decision::{Demands, Question};
use super::demanded::Origin;
use super::score::Scored;
use super::signals::Readings;
use super::stage::Stage;
use crate::rules::client::Class;
use crate::rules::effects::Playbooks;
use crate::rules::playbook::Families;
use crate::rules::ruleset::Action;

/// The families that are not believed for this question. `trial` counts playbooks in shadow as if they were enforced.
pub(super) fn distrusted(question: &Question<'_>, trial: bool, asked: &mut Playbooks) -> Families {
    let mut families = Families::NONE;
    for (entry, added) in question.effects.on(question.journey) {
        if !added.distrust.is_empty() && entry.holds(question.channel, question.now, trial) {
            families = families.or(added.distrust);
            asked.insert(entry.place);
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
    asked: &mut Playbooks,
) {
    let automation = question.class == Class::Automation;
    // Routes that prove something or end a session stay open, also where no journey names them.
    let unlisted_change = question.journey.is_none() && !question.listed && !question.safe_method;
    for (entry, added) in question.effects.on(question.journey) {
        if !entry.holds(question.channel, question.now, trial) {
            continue;
        }
        if automation && added.automation_barred && (question.journey.is_some() || unlisted_change) {
            demands.narrow(Origin::Playbook(entry.place));
            asked.insert(entry.place);
        }
        if added.read_only && unlisted_change {
            demands.add(Origin::Playbook(entry.place), &Action::ReadOnly);
            asked.insert(entry.place);
        }
        if entry.is_over_for(scored.confidence(), question.now) || (added.only_contaminated && !readings.contaminated())
        {
            continue;
        }
        let at_most = match question.stage {
            Stage::Attempt => &added.attempt_at_most,
            Stage::Session => &added.at_most,
        };
        for action in at_most.iter().chain(&added.contained) {
            demands.add(Origin::Playbook(entry.place), action);
            asked.insert(entry.place);
        }
    }
}
