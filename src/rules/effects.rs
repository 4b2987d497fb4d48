//! What the armed playbooks add to the law, worked out once when one of the two changes, so that a request finds it ready.
//!
//! Effects only ever add demands: arming more never gives a customer more. Each knows its own end, so that an armed playbook
//! ends on the request path even when nothing else in the process is well. On the way back (the ramp) what concerns single
//! customers (`at_most`, `contained`) is lifted from the surest down; everything else ends when the way back begins.

use super::client::{Channel, Channels};
use super::playbook::{Change, Families, Playbook};
use super::posture::{Armed, Posture, Ramp};
use super::ruleset::{Action, JourneyId, RuleSet, UpstreamId};
use crate::clock::Moment;
use crate::confidence::Confidence;

/// What a posture adds.
#[derive(Debug, Default)]
pub struct Effects {
    /// In the order of the law's playbooks, so that the order of arming cannot matter.
    entries: Vec<Entry>,
    /// By journey.
    journeys: Vec<Vec<Added>>,
    /// On routes that no journey names.
    unlisted: Vec<Added>,
    some_in_shadow: bool,
}

/// One armed playbook, as a request meets it.
#[derive(Debug)]
pub struct Entry {
    /// Its place in `Posture::armed`.
    pub place: usize,
    /// Its place in `RuleSet::playbooks`.
    pub playbook: usize,
    /// It is over from this moment on.
    pub ends: Moment,
    /// The way back, once it is being stood down.
    pub ramp: Option<Ramp>,
    /// Logged, not enforced.
    pub shadow: bool,
    channels: Channels,
    cut_streams: bool,
    /// It was armed for some journeys only.
    scoped: bool,
}

impl Entry {
    /// Whether it concerns a request of this channel now. Those in shadow hold only in the trial of what they would do.
    pub fn holds(&self, channel: Channel, now: Moment, trial: bool) -> bool {
        (trial || !self.shadow) && now < self.ends && self.channels.contain(channel)
    }

    /// Whether a customer of this confidence is served in full again although it has not ended.
    pub fn is_over_for(&self, confidence: Confidence, now: Moment) -> bool {
        self.ramp.is_some_and(|ramp| confidence.score() >= ramp.line(now))
    }
}

/// What one armed playbook adds in one place of the law.
#[derive(Debug, Default)]
pub struct Added {
    /// Which of the entries.
    pub entry: usize,
    /// Nobody gets a higher rung than this.
    pub at_most: Option<Action>,
    /// The same for an attempt to sign in.
    pub attempt_at_most: Option<Action>,
    /// What is left of the journey.
    pub contained: Option<Action>,
    /// These three concern only clients under attack.
    pub only_contaminated: bool,
    /// Automation may not.
    pub automation_barred: bool,
    /// No changes are taken.
    pub read_only: bool,
    /// These are not believed.
    pub distrust: Families,
    /// It is served from here instead.
    pub upstream: Option<UpstreamId>,
}

impl Added {
    fn is_nothing(&self) -> bool {
        self.at_most.is_none()
            && self.attempt_at_most.is_none()
            && self.contained.is_none()
            && !self.automation_barred
            && !self.read_only
            && self.distrust.is_empty()
            && self.upstream.is_none()
    }
}

impl Effects {
    /// Nothing.
    pub const NONE: Self =
        Self { entries: Vec::new(), journeys: Vec::new(), unlisted: Vec::new(), some_in_shadow: false };

    /// What this posture adds to this law. A scope that names journeys which the law does not have concerns nothing there.
    ///
    /// # Errors
    /// The names of playbooks that are armed and that the law does not have.
    pub fn of(rules: &RuleSet, posture: &Posture) -> Result<Self, Vec<Box<str>>> {
        let mut missing = Vec::new();
        let mut armed: Vec<(usize, usize, &Armed, &Playbook)> = Vec::new();
        for (place, entry) in posture.armed.iter().enumerate() {
            match rules.playbook_named(&entry.playbook) {
                Some((at, playbook)) => armed.push((at, place, entry, playbook)),
                None => missing.push(entry.playbook.clone()),
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        armed.sort_by_key(|(at, ..)| *at);
        let mut effects = Self::default();
        if armed.is_empty() {
            return Ok(effects);
        }
        effects.journeys.resize_with(rules.journeys.len(), Vec::new);
        for (playbook, place, armed, law) in armed {
            effects.add(
                rules,
                Entry {
                    place,
                    playbook,
                    ends: armed.ends(),
                    ramp: armed.ramp,
                    shadow: armed.shadow || law.shadow,
                    channels: law.channels.both(armed.scope.channels),
                    cut_streams: law.cut_streams,
                    scoped: !armed.scope.journeys.is_empty(),
                },
                armed,
                law,
            );
        }
        Ok(effects)
    }

    fn add(&mut self, rules: &RuleSet, entry: Entry, armed: &Armed, law: &Playbook) {
        let at = self.entries.len();
        self.some_in_shadow |= entry.shadow;
        let ramping = entry.ramp.is_some();
        let scope = &armed.scope.journeys;
        for ((id, journey), place) in rules.journey_ids().zip(&rules.journeys).zip(&mut self.journeys) {
            if !scope.is_empty() && !scope.iter().any(|name| **name == *journey.name) {
                continue;
            }
            let change = law.changes.iter().find(|change| change.journey == id);
            let contained = change.filter(|change| change.contained).and(journey.contained.clone());
            let mut added = Added {
                entry: at,
                at_most: change.and_then(|change: &Change| change.at_most.clone()),
                attempt_at_most: change.and_then(|change| change.attempt_at_most.clone()),
                contained,
                only_contaminated: change.is_some_and(|change| change.only_contaminated),
                ..Added::default()
            };
            if !ramping {
                added.automation_barred = law.automation_only.as_ref().is_some_and(|only| !only.contains(&id));
                added.distrust = law.distrust;
                added.upstream = law.routes.iter().find(|(journey, _)| *journey == id).map(|(_, upstream)| *upstream);
            }
            if !added.is_nothing() {
                place.push(added);
            }
        }
        if !entry.scoped && !ramping {
            let added = Added {
                entry: at,
                read_only: law.unlisted_read_only,
                automation_barred: law.automation_only.is_some(),
                ..Added::default()
            };
            if !added.is_nothing() {
                self.unlisted.push(added);
            }
        }
        self.entries.push(entry);
    }

    /// Whether nothing is armed.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether something armed is in shadow.
    pub const fn some_in_shadow(&self) -> bool {
        self.some_in_shadow
    }

    /// What is added on this journey, or on routes that none names, each with the armed playbook that adds it.
    pub fn on(&self, journey: Option<JourneyId>) -> impl Iterator<Item = (&Entry, &Added)> {
        let all = match journey {
            Some(id) => self.journeys.get(id.index()).map_or(&[][..], |all| all),
            None => &self.unlisted,
        };
        all.iter().filter_map(|added| Some((self.entries.get(added.entry)?, added)))
    }

    /// Where this journey is served from instead, for this channel now. Of several playbooks the first by name decides.
    pub fn upstream(&self, journey: JourneyId, channel: Channel, now: Moment) -> Option<UpstreamId> {
        if self.is_empty() {
            return None;
        }
        self.on(Some(journey))
            .filter(|(entry, _)| entry.holds(channel, now, false))
            .find_map(|(_, added)| added.upstream)
    }

    /// Whether tunnels and event streams of this journey (or of none) are ended now.
    pub(super) fn cuts_streams(
        &self,
        rules: &RuleSet,
        journey: Option<JourneyId>,
        posture: &Posture,
        channel: Channel,
        now: Moment,
    ) -> bool {
        let concerns = |entry: &Entry| {
            let scope = posture.armed.get(entry.place).map_or(&[][..], |armed| &armed.scope.journeys);
            let named = |id: JourneyId| scope.iter().any(|name| **name == *rules.journey(id).name);
            !entry.scoped || journey.is_some_and(named)
        };
        self.entries
            .iter()
            .filter(|entry| entry.cut_streams && entry.ramp.is_none() && entry.holds(channel, now, false))
            .any(concerns)
    }

    /// The armed playbooks that are enforced now, by name.
    pub fn enforced<'a>(&'a self, rules: &'a RuleSet, now: Moment) -> impl Iterator<Item = &'a str> {
        let holds = move |entry: &&Entry| !entry.shadow && now < entry.ends;
        self.entries.iter().filter(holds).filter_map(|entry| rules.playbooks.get(entry.playbook)).map(|law| &*law.name)
    }

    /// What automation that comes through this channel may still do, and until when; `None` where nothing keeps it from this journey.
    /// Where every playbook that does was armed for some journeys only, it is whatever else the feed shows.
    pub fn automation_may(
        &self,
        rules: &RuleSet,
        journey: Option<JourneyId>,
        channel: Channel,
        now: Moment,
    ) -> Option<(Vec<JourneyId>, Moment)> {
        let bars = |journey| {
            let holding = self.on(journey).filter(|(entry, _)| entry.holds(channel, now, false));
            holding.filter(|(_, added)| added.automation_barred).map(|(entry, _)| entry)
        };
        let until = bars(journey).map(|entry| entry.ends).max()?;
        let named = bars(journey).filter(|entry| !entry.scoped);
        let mut named = named.filter_map(|entry| rules.playbooks.get(entry.playbook)?.automation_only.as_deref());
        let listed = || rules.journeys_feed.listed.as_slice();
        let mut may: Vec<JourneyId> = named.next().unwrap_or_else(listed).to_vec();
        may.retain(|id| bars(Some(*id)).next().is_none());
        Some((may, until))
    }

    /// The next moment at which something that is armed ends.
    pub fn next_end(&self, now: Moment) -> Option<Moment> {
        self.entries.iter().map(|entry| entry.ends).filter(|ends| *ends > now).min()
    }
}

/// Some of the armed playbooks, by their places in the posture. A place beyond the 64th is counted as the 64th.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playbooks(u64);

impl Playbooks {
    /// With the one at this place.
    pub fn insert(&mut self, place: usize) {
        self.0 |= 1 << place.min(63);
    }

    /// Those of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names.
    pub fn names(self, posture: &Posture) -> impl Iterator<Item = &str> {
        let has = move |place: usize| self.0 & 1 << place != 0;
        posture
            .armed
            .iter()
            .take(64)
            .enumerate()
            .filter(move |(place, _)| has(*place))
            .map(|(_, armed)| &*armed.playbook)
    }
}
