//! A person continues: a short reference that a customer reads to an agent, and where help is open now.

use std::time::Duration;

use super::Gate;
use super::context::Context;
use super::notice::{Contact, Exit, Notice};
use super::record::Record;
use crate::memory::handoffs::Handoff;
use crate::rules::ruleset::HelpId;

/// How long a reference holds.
pub const HOLDS: Duration = Duration::from_secs(24 * 3600);

/// The notice of a handoff. One client has one open reference for a journey, however often it asks.
pub fn notice(gate: &Gate, context: &Context<'_>, to: HelpId, record: &mut Record) -> Notice {
    let now = context.now;
    let rules = context.prepared.rules();
    let journey = context.journey.map_or("", |journey| &*rules.journey(journey).name);
    let names = &gate.shared.names;
    let client = names.key(&[&context.client_key().to_le_bytes(), journey.as_bytes()]);
    let help = rules.help(to);
    let help_key = names.key(&[help.name.as_bytes()]);
    let entry = Handoff {
        journey: names.key(&[journey.as_bytes()]),
        account: record.account,
        help: help_key,
        made: now,
        expires: now.plus(HOLDS),
    };
    let opened = gate.shared.memory.handoffs.open(client, entry, HOLDS, now);
    let is_new = opened.is_none_or(|opened| opened.new);
    let full = is_new && help.per_hour.is_some_and(|most| !gate.shared.memory.help.take(help_key, most, now));
    if is_new {
        context.prepared.meters().handoff(if opened.is_some() { "given" } else { "no_room" });
    }
    let reference = opened.map(|opened| opened.reference.to_string());
    record.handoff.clone_from(&reference);
    let mut notice = Notice::handoff(reference, opened.map(|opened| opened.expires));
    notice.exits.push(Exit::Contact(Contact::at(help, full, now)));
    notice
}
