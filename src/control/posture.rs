//! How the posture changes: arming, confirming, standing down, ends. Pure: a posture, what is asked and the moment give the next
//! posture or the reason why not.
//!
//! Nothing here may make something hold for ever, and arming again may never loosen what is armed.

use std::time::Duration;

use serde_json::{Value, json};

use super::audit::written;
use crate::clock::Moment;
use crate::rules::client::{Channel, Channels};
use crate::rules::playbook::Playbook;
use crate::rules::posture::{Armed, Posture, Ramp, Scope};
use crate::rules::ruleset::RuleSet;
use crate::rules::syntax::closest;

/// Playbooks armed at once.
pub const MOST: usize = 64;
/// An end this near begins the way back, so that there is no moment of full service between the two.
const LEAD: Duration = Duration::from_secs(1);

/// What is asked for when a playbook is armed.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// For how long; as the playbook says when absent.
    pub span: Option<Duration>,
    /// Why.
    pub reason: String,
    /// Whom it concerns; everybody, or whom it concerns already, when absent.
    pub scope: Option<Scope>,
    /// Log both outcomes, enforce nothing.
    pub shadow: bool,
    /// Ends by itself after this unless a person confirms it.
    pub confirm_within: Option<Duration>,
}

/// Why the posture stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such playbook.
    #[error("there is no playbook {name}{}", meant.as_ref().map_or_else(String::new, |meant| format!("; did you mean {meant}?")))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// It would hold longer than its playbook allows, or not at all.
    #[error("{0}")]
    Span(String),
    /// The scope names what is not there.
    #[error("{0}")]
    Scope(String),
    /// A reason is missing.
    #[error("say why: a reason is kept in the audit record")]
    NoReason,
    /// It would loosen what is armed.
    #[error("{0}; stand it down first if that is what you want")]
    Looser(String),
    /// It is not armed.
    #[error("{0} is not armed")]
    NotArmed(String),
    /// There is nothing to confirm.
    #[error("{0} is not waiting to be confirmed")]
    NothingToConfirm(String),
    /// Too many are armed.
    #[error("{MOST} playbooks are armed already")]
    Full,
    /// Somebody was quicker.
    #[error("someone changed it in the meantime: what is in force is now {now}; look again, then decide")]
    Moved {
        /// The tag of what is in force now.
        now: String,
    },
}

/// The playbook of this name.
///
/// # Errors
/// When there is none.
pub fn playbook<'r>(rules: &'r RuleSet, name: &str) -> Result<&'r Playbook, Refusal> {
    let found = rules.playbooks.iter().find(|playbook| &*playbook.name == name);
    found.ok_or_else(|| Refusal::Unknown {
        name: super::audit::clean(name),
        meant: closest(name, rules.playbooks.iter().map(|playbook| &*playbook.name)).map(str::to_owned),
    })
}

/// What is not armed may not be a playbook at all: then that is said, with the one that was probably meant.
pub fn or_unknown(refusal: Refusal, rules: &RuleSet, name: &str) -> Refusal {
    match refusal {
        Refusal::NotArmed(_) => playbook(rules, name).err().unwrap_or(refusal),
        other => other,
    }
}

/// Arms a playbook, or changes how it is armed.
///
/// # Errors
/// When the playbook or the scope does not exist, the time is wrong, or it would loosen what is armed.
pub fn arm(
    posture: &Posture,
    rules: &RuleSet,
    name: &str,
    ask: &Ask,
    by: &str,
    now: Moment,
) -> Result<Posture, Refusal> {
    let playbook = playbook(rules, name)?;
    let reason = super::audit::clean(&ask.reason);
    if reason.is_empty() {
        return Err(Refusal::NoReason);
    }
    if let Some(scope) = &ask.scope {
        fits(scope, playbook, rules)?;
    }
    if ask.span.is_some_and(|span| span.is_zero()) || ask.confirm_within.is_some_and(|span| span.is_zero()) {
        return Err(Refusal::Span("a time of nothing arms nothing".to_owned()));
    }
    let most = playbook.at_most_total;
    if ask.span.is_some_and(|span| span > most) {
        let said = format!("{name} may hold for {} at most; ask for less, or change at_most_total", say(most));
        return Err(Refusal::Span(said));
    }
    let mut next = posture.clone();
    // What is on its way back is armed anew; what merely has ended is as good as gone.
    let holding = next.armed.iter_mut().find(|armed| &*armed.playbook == name);
    match holding.filter(|armed| armed.ramp.is_none() && armed.ends() > now) {
        Some(armed) => again(armed, ask, playbook, now)?,
        None => {
            next.armed.retain(|armed| &*armed.playbook != name);
            if next.armed.len() >= MOST {
                return Err(Refusal::Full);
            }
            next.armed.push(Armed {
                playbook: name.into(),
                by: by.into(),
                reason: reason.into(),
                since: now,
                until: now.plus(ask.span.unwrap_or(playbook.expires).min(most)),
                latest: now.plus(most),
                confirm_by: ask.confirm_within.map(|span| now.plus(span)),
                scope: ask.scope.clone().unwrap_or_default(),
                shadow: ask.shadow || playbook.shadow,
                ramp: None,
            });
            return Ok(next);
        }
    }
    if let Some(armed) = next.armed.iter_mut().find(|armed| &*armed.playbook == name) {
        armed.by = by.into();
        armed.reason = reason.into();
    }
    Ok(next)
}

/// Arming what is armed: longer, wider, enforced instead of shadow; never the other way.
fn again(armed: &mut Armed, ask: &Ask, playbook: &Playbook, now: Moment) -> Result<(), Refusal> {
    let name = &playbook.name;
    if ask.shadow && !armed.shadow {
        return Err(Refusal::Looser(format!("{name} is armed and enforced")));
    }
    if let Some(scope) = &ask.scope {
        let wider = scope.journeys.is_empty()
            || (!armed.scope.journeys.is_empty()
                && armed.scope.journeys.iter().all(|journey| scope.journeys.contains(journey)));
        if !wider || armed.scope.channels.both(scope.channels) != armed.scope.channels {
            return Err(Refusal::Looser(format!("{name} is armed for more than that")));
        }
        armed.scope = scope.clone();
    }
    match (armed.confirm_by, ask.confirm_within) {
        (None, Some(_)) => return Err(Refusal::Looser(format!("{name} is armed and needs no confirmation"))),
        (Some(by), Some(span)) => armed.confirm_by = Some(by.max(now.plus(span))),
        (_, None) => armed.confirm_by = None,
    }
    let until = now.plus(ask.span.unwrap_or(playbook.expires));
    if ask.span.is_some() && until < armed.until {
        return Err(Refusal::Looser(format!("{name} is armed until {}, which is longer", written(armed.until))));
    }
    if ask.span.is_some() && until > armed.latest {
        let said = format!(
            "{name} was armed at {} and may hold until {} at most",
            written(armed.since),
            written(armed.latest)
        );
        return Err(Refusal::Span(said));
    }
    armed.until = until.max(armed.until).min(armed.latest);
    armed.shadow = ask.shadow || playbook.shadow;
    Ok(())
}

fn fits(scope: &Scope, playbook: &Playbook, rules: &RuleSet) -> Result<(), Refusal> {
    for journey in &scope.journeys {
        if !rules.journeys.iter().any(|known| *known.name == **journey) {
            let known = rules.journeys.iter().map(|known| &*known.name);
            let meant = closest(journey, known).map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            let said = super::audit::clean(journey);
            return Err(Refusal::Scope(format!("{said} is neither a journey nor a channel{meant}")));
        }
    }
    if scope.channels.both(playbook.channels).is_empty() {
        return Err(Refusal::Scope(format!("{} concerns none of these channels", playbook.name)));
    }
    Ok(())
}

/// A scope as it is typed: names of journeys and channels; `all` is everybody.
pub fn scope<'a>(words: impl Iterator<Item = &'a str>) -> Scope {
    let (mut journeys, mut channels) = (Vec::new(), Vec::new());
    for word in words.map(str::trim).filter(|word| !word.is_empty() && *word != "all").take(1000) {
        match Channel::of(word) {
            Some(channel) => channels.push(channel),
            None => journeys.push(Box::from(word)),
        }
    }
    let channels = if channels.is_empty() { Channels::ALL } else { channels.into_iter().collect() };
    Scope { journeys, channels }
}

/// A person says that it is right to hold.
///
/// # Errors
/// When it is not armed or waits for nobody.
pub fn confirm(posture: &Posture, name: &str, now: Moment) -> Result<Posture, Refusal> {
    let mut next = posture.clone();
    let armed = next.armed.iter_mut().find(|armed| &*armed.playbook == name && armed.ends() > now);
    let armed = armed.ok_or_else(|| Refusal::NotArmed(super::audit::clean(name)))?;
    if armed.confirm_by.take().is_none() {
        return Err(Refusal::NothingToConfirm(name.to_owned()));
    }
    Ok(next)
}

/// Ends a playbook: by its way back when it has one, or at once.
///
/// # Errors
/// When it is not armed.
pub fn stand_down(posture: &Posture, name: &str, ramp: Duration, now: Moment) -> Result<Posture, Refusal> {
    let mut next = posture.clone();
    let Some(at) = next.armed.iter().position(|armed| &*armed.playbook == name) else {
        return Err(Refusal::NotArmed(super::audit::clean(name)));
    };
    let armed = &mut next.armed[at];
    if armed.shadow || ramp.is_zero() || armed.ends() <= now {
        next.armed.remove(at);
    } else if armed.ramp.is_none() {
        armed.ramp = Some(Ramp { from: now, until: now.plus(ramp) });
    }
    Ok(next)
}

/// Longer than a playbook may hold, by this much, is what a clock does that is corrected a little.
const SLACK: Duration = Duration::from_secs(60);

/// Takes back what would hold longer than its playbook may from this moment on: what a clock that was set back leaves behind,
/// or a file that somebody wrote. Of two entries of one playbook the first stays, and of too many the first [`MOST`].
/// Nothing when all is in its bounds; else what is left, and the names of those that were changed or dropped.
pub fn bound(posture: &Posture, rules: &RuleSet, now: Moment) -> Option<(Posture, Vec<Box<str>>)> {
    let mut next = Posture::default();
    let mut changed = Vec::new();
    for armed in &posture.armed {
        let mut armed = armed.clone();
        if next.of(&armed.playbook).is_some() || next.armed.len() >= MOST {
            changed.push(armed.playbook);
            continue;
        }
        if let Ok(playbook) = playbook(rules, &armed.playbook) {
            let most = now.plus(playbook.at_most_total);
            let back = now.plus(playbook.stand_down.ramp);
            let long = armed.latest > most.plus(SLACK);
            if long {
                armed.since = armed.since.min(now);
                armed.latest = most;
                armed.until = armed.until.min(most);
            }
            let slow = armed.ramp.filter(|ramp| ramp.until > back.plus(SLACK));
            if slow.is_some() {
                armed.ramp = Some(Ramp { from: now, until: back });
            }
            if long || slow.is_some() {
                changed.push(armed.playbook.clone());
            }
        }
        next.armed.push(armed);
    }
    (!changed.is_empty()).then_some((next, changed))
}

/// The armed playbooks that would silently hold nobody under this law: a journey of their scope is gone, or none of their channels
/// is left. What is armed must not end by a name that changed.
pub fn lost(posture: &Posture, rules: &RuleSet) -> Vec<String> {
    let holds = |armed: &Armed| {
        let known = |name: &str| rules.journeys.iter().any(|journey| &*journey.name == name);
        let reaches = playbook(rules, &armed.playbook)
            .map_or(true, |playbook| !armed.scope.channels.both(playbook.channels).is_empty());
        reaches && armed.scope.journeys.iter().all(|name| known(name))
    };
    posture.armed.iter().filter(|armed| !holds(armed)).map(|armed| armed.playbook.to_string()).collect()
}

/// What the clock ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The playbook.
    pub playbook: Box<str>,
    /// `expired`, `unconfirmed`, `ramp_begins` or `ramp_ended`.
    pub how: &'static str,
}

/// Ends what has ended. What is about to expire begins its way back; what was never confirmed ends at once.
pub fn beat(posture: &Posture, ramp_of: impl Fn(&str) -> Duration, now: Moment) -> Option<(Posture, Vec<Ended>)> {
    let mut next = Posture::default();
    let mut ended = Vec::new();
    for armed in &posture.armed {
        let mut armed = armed.clone();
        let mut over = |how| ended.push(Ended { playbook: armed.playbook.clone(), how });
        if armed.ends() <= now {
            let unconfirmed = armed.confirm_by.is_some_and(|by| by <= now) && armed.ramp.is_none();
            over(if armed.ramp.is_some() {
                "ramp_ended"
            } else if unconfirmed {
                "unconfirmed"
            } else {
                "expired"
            });
            continue;
        }
        let ramp = ramp_of(&armed.playbook);
        let unconfirmed = armed.confirm_by.is_some_and(|by| by <= armed.until.min(armed.latest));
        if armed.ramp.is_none() && !armed.shadow && !unconfirmed && !ramp.is_zero() && armed.ends() <= now.plus(LEAD) {
            over("ramp_begins");
            armed.ramp = Some(Ramp { from: now, until: now.plus(ramp) });
        }
        next.armed.push(armed);
    }
    (!ended.is_empty()).then_some((next, ended))
}

/// An armed playbook, for people and machines.
pub fn shown(armed: &Armed, now: Moment) -> Value {
    json!({
        "playbook": armed.playbook,
        "by": armed.by,
        "reason": armed.reason,
        "since": written(armed.since),
        "until": written(armed.ends()),
        "seconds_left": armed.ends().since(now).as_secs(),
        "latest": written(armed.latest),
        "confirm_by": armed.confirm_by.filter(|_| armed.ramp.is_none()).map(written),
        "journeys": armed.scope.journeys,
        "channels": armed.scope.channels,
        "shadow": armed.shadow,
        "standing_down": armed.ramp.map(|ramp| json!({ "since": written(ramp.from), "in_full_from": ramp.line(now) })),
    })
}

/// A time as it is written in rules.
pub fn say(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds % 86_400, seconds % 3600, seconds % 60) {
        (0, ..) if seconds > 0 => format!("{}d", seconds / 86_400),
        (_, 0, _) if seconds > 0 => format!("{}h", seconds / 3600),
        (_, _, 0) if seconds > 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
