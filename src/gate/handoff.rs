//! A person continues: a short reference that a customer reads to an agent, and where help is open now.

use std::time::Duration;

use super::Gate;
use super::context::Context;
use super::notice::{Contact, Exit, Notice};
use super::record::Record;
use crate::clock::Moment;
use crate::memory::handoffs::Handoff;
use crate::rules::help::Hours;
use crate::rules::ruleset::HelpId;
use crate::subject::Account;

/// How long a reference holds at least.
const HOLDS: Duration = Duration::from_secs(24 * 3600);

/// How long it holds once help is open again, where that takes longer than a day.
const REACHED: Duration = Duration::from_secs(4 * 3600);

/// New references for strangers of one network in an hour. Strangers can be made up at will, and could otherwise use up everybody's
/// help.
const STRANGERS: u32 = 32;

/// Until when a reference of this moment holds: for a day, and where help is closed then, until it can be reached again. A reference
/// that ends before anybody can be called leads nowhere.
pub fn until(hours: Option<&Hours>, now: Moment) -> Moment {
    let day = now.plus(HOLDS);
    match hours.filter(|hours| !hours.open_at(day)).and_then(|hours| hours.opens_next(day)) {
        Some(opens) => opens.plus(REACHED),
        None => day,
    }
}

/// The notice of a handoff. One client has one open reference for a journey, however often it asks. A stranger beyond what a network
/// is given is told where people are all the same, without a reference.
pub fn notice(gate: &Gate, context: &Context<'_>, to: HelpId, record: &mut Record) -> Notice {
    let now = context.now;
    let rules = context.prepared.rules();
    let journey = context.journey.map_or("", |journey| &*rules.journey(journey).name);
    let (names, memory) = (&gate.shared.names, &gate.shared.memory);
    let known = context.known_client(gate);
    // Of two strangers on one network who name different accounts, each has a reference of their own.
    let named = record.account.map_or(0, Account::bits);
    let client = known.unwrap_or(context.network.bits());
    let client = names.key(&[&client.to_le_bytes(), &named.to_le_bytes(), journey.as_bytes()]);
    let help = rules.help(to);
    let help_key = names.key(&[help.name.as_bytes()]);
    let expires = until(help.hours.as_ref(), now);
    let entry = Handoff {
        journey: names.key(&[journey.as_bytes()]),
        // An account that was only named is nobody's: it must push out no reference of a customer.
        account: record.account.filter(|_| context.is_owner()),
        help: help_key,
        made: now,
        expires,
    };
    let has_room = || known.is_some() || memory.strangers.take(context.network.bits(), STRANGERS, now);
    let given = memory.handoffs.given(client, &entry, now);
    let opened =
        given.or_else(|| if has_room() { memory.handoffs.open(client, entry, expires.since(now), now) } else { None });
    let full = opened.is_some_and(|opened| opened.new)
        && help.per_hour.is_some_and(|most| !memory.help.take(help_key, most, now));
    match opened {
        Some(opened) if !opened.new => {}
        Some(_) => context.prepared.meters().handoff("given"),
        None => context.prepared.meters().handoff("no_room"),
    }
    let reference = opened.map(|opened| opened.reference.to_string());
    record.handoff.clone_from(&reference);
    let mut notice = Notice::handoff(reference, opened.map(|opened| opened.expires));
    notice.exits.push(Exit::Contact(Contact::at(help, full, now)));
    notice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_holds_for_a_day_and_where_help_is_closed_then_until_it_can_be_reached() {
        let moment = |text: &str| {
            let at: jiff::Timestamp = text.parse().unwrap();
            Moment::from_unix_millis(u64::try_from(at.as_millisecond()).unwrap())
        };
        let week = Hours::parse("Mo-Fr 08:00-20:00 UTC").unwrap();
        for (hours, made, holds) in [
            (None, "2026-11-06T19:55:00Z", "2026-11-07T19:55:00Z"),
            (Some(&week), "2026-11-02T12:00:00Z", "2026-11-03T12:00:00Z"),
            (Some(&week), "2026-11-02T23:00:00Z", "2026-11-04T12:00:00Z"),
            // A Friday evening: nobody is there before Monday.
            (Some(&week), "2026-11-06T19:55:00Z", "2026-11-09T12:00:00Z"),
            (Some(&week), "2026-11-08T09:00:00Z", "2026-11-09T09:00:00Z"),
        ] {
            assert_eq!(until(hours, moment(made)), moment(holds), "{made}");
        }
    }
}
