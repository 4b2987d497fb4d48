//! Automation that a playbook keeps to some journeys: which those are, until when, and where a person goes on.
//!
//! It names journeys and routes as the law writes them, and nothing of why: not who is under attack, nor what was noticed.

use super::context::Context;
use super::continuity::feed;
use super::notice::{Exit, May, Notice, Reader};
use crate::clock::Moment;
use crate::rules::ruleset::{JourneyId, RuleSet};

/// Bytes of routes that one answer names. Journeys that come after them are left off; the feed of what works tells of those.
const MOST: usize = 2048;

/// The notice: a program reads what it may still use, and where it hears when that changes.
pub fn notice(context: &Context<'_>, reader: Reader) -> Notice {
    let (prepared, rules) = (context.prepared, context.prepared.rules());
    let may = prepared.law.effects.automation_may(rules, context.journey, context.channel, context.now);
    told(rules, may, reader)
}

/// The same of a law alone: the journeys that may still be used, and until when.
pub fn told(rules: &RuleSet, may: Option<(Vec<JourneyId>, Moment)>, reader: Reader) -> Notice {
    let mut notice = Notice::automation_narrowed();
    if let Some((journeys, until)) = may {
        notice.until = Some(until);
        let mut room = MOST;
        for id in journeys {
            let routes: Vec<String> = rules.routes.of(id).map(|(method, path)| format!("{method} {path}")).collect();
            match room.checked_sub(routes.iter().map(String::len).sum()) {
                Some(left) => room = left,
                None => break,
            }
            notice.only.push(May { journey: rules.journey(id).name.as_ref().into(), routes });
        }
    }
    // A page of a person who was taken for a program leads to people, not to a document.
    if reader == Reader::Program && rules.journeys_feed.on {
        notice.exits.push(Exit::Read { url: feed::JOURNEYS.to_owned() });
    }
    notice
}
