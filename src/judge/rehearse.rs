//! Rehearsal: a rule set's own cases are judged before it is installed.
//!
//! What a case says is known of the client becomes histories, the histories become readings, and the judge that serves
//! customers judges them: nothing is imitated. It must never install anything or touch a memory table.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::decision::{Hold, Lack, Outcome, Question, Verdict, judge};
use super::history::{AccountHistory, BucketHistory, Observation, Shared};
use super::signals::authentication::Proof;
use super::signals::{Readings, Sighting};
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::{Reading, Why};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::effects::Effects;
use crate::rules::facts::Facts;
use crate::rules::playbook::LONGEST;
use crate::rules::posture::{Armed, Posture, Scope};
use crate::rules::routes::Found;
use crate::rules::ruleset::{Case, Given, JourneyId, RuleSet};
use crate::rules::target;
use crate::subject::{Device, Network};

/// When rehearsals take place. Everything in a case is relative to it, so any moment does.
const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
/// Where a case's client comes from: an address of nobody (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Failed sign-ins of strangers, and nothing else, from a network that a case calls contaminated.
const CONTAMINATED: u16 = 20;

/// Judges every case, and says which did not come out as written.
pub fn rehearse(rules: &RuleSet) -> Vec<Diagnostic> {
    let failing = |case: &Case| {
        let (got, why) = outcome(rules, case);
        (*case.expect != *got).then(|| {
            Diagnostic::of(&codes::CASE_FAILS, format!("the case \"{}\" does not hold", case.name))
                .at(case.span, format!("expected {}, got {got}", case.expect))
                .help(format!("what came of it: {why}"))
        })
    };
    rules.cases.iter().filter_map(failing).collect()
}

/// Where a case's request leads, before anybody is judged.
enum Place {
    /// To a journey, or to a route that none names.
    Journey(Option<JourneyId>),
    /// To a route that takes a proof or ends a session.
    Marked,
    /// Nowhere, and why.
    Refused(String),
}

fn place(rules: &RuleSet, case: &Case) -> Place {
    let first = || rules.sites.iter().next()?.hosts.first().map(|host| host.replacen('*', "www", 1));
    let host = case.host.as_deref().map(str::to_owned).or_else(first).unwrap_or_default();
    if rules.sites.find(&host).is_none() {
        return Place::Refused(format!("no site has the host {host} (421)"));
    }
    let (path, query) = case.path.split_once('?').unwrap_or((&case.path, ""));
    let Ok(target) = target::read(path) else {
        return Place::Refused("the path cannot be read (400)".to_owned());
    };
    let headers: HeaderMap = case.headers.iter().filter_map(|(name, value)| header(name, value)).collect();
    let facts = Facts { method: &case.method, target: &target, query, headers: &headers, host: &host, address: CLIENT };
    if let Some(refusal) = rules.refused(&facts) {
        return Place::Refused(format!("{} refuses it ({})", refusal.name, refusal.status));
    }
    match rules.routes.find(&case.method, &target) {
        Found::Unlisted => Place::Journey(None),
        Found::Listed { journey: None, .. } => Place::Marked,
        Found::Listed { journey, .. } => Place::Journey(journey),
        Found::MethodNotAllowed { allow } => Place::Refused(format!("a journey has this path, for {allow} only (405)")),
        Found::Ambiguous => Place::Refused("the path can be read in two ways (400)".to_owned()),
    }
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// The word that comes out of one case, and why.
pub fn outcome(rules: &RuleSet, case: &Case) -> (&'static str, String) {
    let (journey, listed) = match place(rules, case) {
        Place::Journey(journey) => (journey, journey.is_some()),
        Place::Marked => (None, true),
        Place::Refused(why) => return ("deny", why),
    };
    let posture = armed(case);
    // Lowering has found every name; a case made in another way meets a law without what is missing.
    let effects = Effects::of(rules, &posture).unwrap_or_default();
    let readings = readings(&case.given, journey.is_some_and(|id| rules.journey(id).account.is_some()));
    let judged = |stage| {
        let safe = matches!(&*case.method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        judge(&Question {
            effects: &effects,
            journey,
            listed,
            stage,
            safe_method: safe,
            upstream_away: case.given.upstream_down,
            class: case.given.class,
            channel: case.given.channel,
            ..Question::calm(rules, &readings, NOW)
        })
    };
    let signs_in = journey.is_some_and(|id| rules.journey(id).attempt.is_some());
    let verdict = match signs_in {
        true => {
            let attempt = judged(Stage::Attempt);
            let goes_on = matches!(attempt.outcome, Outcome::Cleared(_) | Outcome::Held(Hold::Throttle(_)));
            // Only a case that says that the password was right goes on to the session that it opens.
            if goes_on && case.given.authenticated.is_some() {
                stricter(attempt, judged(Stage::Session))
            } else {
                attempt
            }
        }
        false => judged(Stage::Session),
    };
    (verdict.action, explain(rules, &posture, journey, &verdict))
}

/// The playbooks of a case, armed as widely as they can be.
fn armed(case: &Case) -> Posture {
    let latest = NOW.plus(LONGEST);
    let armed = |name: &str| Armed {
        playbook: name.into(),
        by: "a case".into(),
        reason: case.name.clone(),
        since: NOW,
        until: latest,
        latest,
        confirm_by: None,
        scope: Scope::default(),
        shadow: false,
        ramp: None,
    };
    Posture { armed: case.armed.iter().map(|name| armed(name)).collect() }
}

/// A throttled attempt whose session is simply allowed is still a throttled one.
fn stricter(attempt: Verdict, session: Verdict) -> Verdict {
    match session.outcome {
        Outcome::Cleared(_) => attempt,
        Outcome::Held(_) => session,
    }
}

fn explain(rules: &RuleSet, posture: &Posture, journey: Option<JourneyId>, verdict: &Verdict) -> String {
    let scored = &verdict.scored;
    let mut text = match journey {
        Some(id) => format!("journey {}, ", rules.journey(id).name),
        None => "no journey, ".to_owned(),
    };
    text += &format!("confidence {} ({})", scored.confidence(), scored.because());
    if let Some((family, why)) = scored.fault() {
        text += &format!(", {} is {}", family.word(), why.word());
    }
    if let Outcome::Held(Hold::StepUp { level, lacks, .. }) = &verdict.outcome {
        let lacks = match lacks {
            Lack::Strength => "strength",
            Lack::Freshness => "freshness",
        };
        text += &format!(", the proof lacks {lacks} for {}", rules.level(*level).name);
    }
    if let Outcome::Held(Hold::Narrowed) = &verdict.outcome {
        text += ", automation may not do this now";
    }
    for name in verdict.playbooks.names(posture) {
        text += &format!(", playbook {name} asked something of it");
    }
    if let Some(word) = verdict.shadow {
        text += &format!(", with everything in shadow enforced it would be {word}");
    }
    text
}

/// The client that a case describes: a regular customer where it says something of device or network, a newcomer else.
fn readings(given: &Given, names_account: bool) -> Readings {
    let (device, network) = (Device::from_bits(1), Network::from_bits(2));
    let elsewhere = Network::from_bits(3);
    let stranger = Device::from_bits(4);
    let described = given.device_known.is_some() || given.network_known.is_some();
    let named = described || names_account || given.authenticated.is_some() || given.account_failures > 0;

    let failures = |count: u16| Observation::SignInFailed { device: None, network: elsewhere }.repeated(count);
    let mut history = match described {
        true => AccountHistory::of_a_regular(device, network, NOW),
        false => AccountHistory::default(),
    };
    failures(given.account_failures).for_each(|failure| history.observe(failure, NOW));
    let bucket = |shared, count| {
        let mut bucket = BucketHistory::default();
        failures(count).for_each(|failure| bucket.observe(shared, failure, NOW));
        bucket
    };
    let device_bucket = bucket(Shared::Device, given.device_failures);
    let guesses = if given.contaminated { given.network_failures.max(CONTAMINATED) } else { given.network_failures };
    let network_bucket = bucket(Shared::Network, guesses);

    Readings::of(
        &Sighting {
            gap_at_sign_in: None,
            account: match (named, described || given.account_failures > 0) {
                (true, true) => Reading::Known(&history),
                (true, false) => Reading::Unknown(Why::Missing),
                (false, _) => Reading::Unknown(Why::NotAsked),
            },
            device: match given.device_known {
                Some(true) => Reading::Known(device),
                Some(false) => Reading::Known(stranger),
                None if given.device_failures > 0 => Reading::Known(stranger),
                None => Reading::Unknown(Why::Missing),
            },
            device_bucket: Some(&device_bucket),
            network: Reading::Known(if given.network_known == Some(true) { network } else { elsewhere }),
            network_bucket: Some(&network_bucket),
            session: match given.authenticated {
                _ if given.jwks_down => Reading::Unknown(Why::Down),
                Some(level) => {
                    let age = u64::try_from(given.proof_age.as_millis()).unwrap_or(u64::MAX);
                    let at = Moment::from_unix_millis(NOW.unix_millis().saturating_sub(age));
                    Reading::Known(Proof { level, at, held: false })
                }
                None => Reading::Unknown(Why::Missing),
            },
        },
        NOW,
    )
}

impl Observation {
    fn repeated(self, count: u16) -> impl Iterator<Item = Self> {
        std::iter::repeat_n(self, usize::from(count))
    }
}
