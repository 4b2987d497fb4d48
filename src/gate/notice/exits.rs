//! The ways forward that a customer is given, and which help is open now.

use crate::clock::Moment;
use crate::rules::ruleset::{Help, Level, Otherwise, RuleSet};

/// One way forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Give one more proof.
    StepUp {
        /// Where, for a browser.
        url: Option<String>,
        /// RFC 9470: most wanted first.
        acr_values: String,
        /// Seconds, when freshness is what is missing.
        max_age: Option<u64>,
    },
    /// Come back.
    Wait {
        /// Seconds from now.
        seconds: u32,
    },
    /// Look at this instead.
    Read {
        /// A path on the same site.
        url: String,
    },
    /// Reach a person.
    Contact(Contact),
}

impl Exit {
    /// One more proof of this level; `max_age` in seconds where it must be fresher.
    pub fn proof(rules: &RuleSet, level: Level, max_age: Option<u64>, url: Option<String>) -> Self {
        Self::StepUp { url, acr_values: wanted(rules, level), max_age }
    }
}

/// What is asked for when this level is (`acr_values`, RFC 9470): the first is wanted most.
pub fn wanted(rules: &RuleSet, level: Level) -> String {
    let law = rules.level(level);
    if law.acr.is_empty() { law.name.to_string() } else { law.acr.join(" ") }
}

/// Where a person is reached, and whether that is possible now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// A voice line.
    pub phone: Option<Box<str>>,
    /// A text relay.
    pub relay: Option<Box<str>>,
    /// A chat.
    pub chat: Option<Box<str>>,
    /// Opening hours as written in the rules.
    pub hours: Option<String>,
    /// Open now, and with room.
    pub open: bool,
    /// When it opens next, when it is closed.
    pub opens: Option<Moment>,
    /// What there is until then.
    pub otherwise: Option<Otherwise>,
}

/// A journey that automation may still use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct May {
    /// Its name.
    pub journey: Box<str>,
    /// Its routes, each a method and a path as the rules write it: `GET /api/v1/orders/{id}`.
    pub routes: Vec<String>,
}

impl Contact {
    /// What this help offers at this moment. `full` when its capacity is taken.
    pub fn at(help: &Help, full: bool, now: Moment) -> Self {
        let in_hours = help.hours.as_ref().is_none_or(|hours| hours.open_at(now));
        let open = in_hours && !full;
        Self {
            phone: help.phone.clone(),
            relay: help.relay.clone(),
            chat: help.chat.clone(),
            hours: help.hours.as_ref().map(|hours| hours.written().to_owned()),
            open,
            opens: if in_hours { None } else { help.hours.as_ref().and_then(|hours| hours.opens_next(now)) },
            otherwise: (!open).then(|| help.otherwise.clone()),
        }
    }

    /// The first help of the law, for answers that no journey decided.
    pub fn first(rules: &RuleSet, now: Moment) -> Option<Self> {
        rules.help.first().map(|help| Self::at(help, false, now))
    }
}
