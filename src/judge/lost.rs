//! What is read when sources are gone: the readings that each of them gives say so.
//!
//! A source that the law does not use cannot be missed. It must never make a reading known.

use super::signals::Readings;
use crate::confidence::{Reading, Why};
use crate::rules::breach::Kind;
use crate::rules::feeds::{Feed, Feeds};
use crate::rules::lists::ListKind;
use crate::rules::ruleset::{RuleSet, SubjectSource};

/// Whether anything in this law leans on a source.
pub(crate) fn leans_on(rules: &RuleSet, feed: Feed) -> bool {
    let lists = |kinds: &[ListKind]| rules.lists.iter().any(|list| kinds.contains(&list.kind));
    match feed {
        Feed::Device | Feed::Upstream => true,
        Feed::Geo => lists(&[ListKind::Provider, ListKind::Country]),
        Feed::Exits => lists(&[ListKind::Tor, ListKind::Vpn, ListKind::Datacentre, ListKind::Proxy]),
        Feed::Breach => rules.breach.is_some(),
        Feed::Events => !rules.transmitters.all().is_empty(),
        Feed::Jwks => matches!(rules.identity.subject, Some(SubjectSource::Jwt(_))),
        // Every process keeps its own state.
        Feed::Redis => false,
    }
}

/// These readings without what the sources say.
pub(super) fn without(readings: &Readings, down: Feeds, rules: &RuleSet) -> Readings {
    let mut left = *readings;
    let lost = |feed| down.contain(feed) && leans_on(rules, feed);
    if lost(Feed::Device) {
        left.device = gone(left.device);
        left.changed = gone(left.changed);
        left.accounts = gone(left.accounts);
        left.vouched = gone(left.vouched);
        left.device_failures = gone(left.device_failures);
    }
    if lost(Feed::Geo) {
        left.country = Reading::Unknown(Why::Down);
    }
    if lost(Feed::Exits) {
        left.listed = Reading::Unknown(Why::Down);
    }
    if let Some(law) = rules.breach.as_ref().filter(|_| lost(Feed::Breach)) {
        if law.list(Kind::Passwords).is_some() || law.list(Kind::Pairs).is_some() {
            left.exposure = gone(left.exposure);
        }
        if law.list(Kind::Accounts).is_some() {
            left.account_breached = gone(left.account_breached);
        }
    }
    if lost(Feed::Events) {
        left.compromised = gone(left.compromised);
        left.risk = gone(left.risk);
    }
    // A case may say so of a law that verifies no tokens.
    if down.contain(Feed::Jwks) {
        left.session = Reading::Unknown(Why::Down);
    }
    left
}

/// What was asked for cannot be had.
fn gone<T>(reading: Reading<T>) -> Reading<T> {
    match reading {
        Reading::Unknown(Why::NotAsked) => reading,
        Reading::Known(_) | Reading::Unknown(_) => Reading::Unknown(Why::Down),
    }
}
