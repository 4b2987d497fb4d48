//! A playbook as law: a prebuilt incident mode, compiled and ready before it is needed.
//!
//! What it says is only ever added to what the journeys ask already; nothing in it can loosen a rule or another playbook.

use std::sync::Arc;
use std::time::Duration;

use super::client::Channels;
use super::notices::PlaybookWords;
use super::ruleset::{Action, JourneyId, UpstreamId};
use crate::confidence::Family;

/// Playbooks that a law may have; as many as a set of them in one word.
pub const MOST: usize = 64;

/// The longest that any playbook may hold: a week.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// One playbook.
#[derive(Debug)]
pub struct Playbook {
    /// The name of its file, without `.toml`.
    pub name: Arc<str>,
    /// One sentence.
    pub summary: Box<str>,
    /// Who answers for it.
    pub owner: Box<str>,
    /// How long it holds when nobody says otherwise.
    pub expires: Duration,
    /// The longest that it can hold, extensions included.
    pub at_most_total: Duration,
    /// What arms it, or proposes to.
    pub triggers: Vec<Trigger>,
    /// What it changes, by journey.
    pub changes: Vec<Change>,
    /// Unsafe methods on routes that no journey names are not served.
    pub unlisted_read_only: bool,
    /// The journeys that automation may still use; all when absent.
    pub automation_only: Option<Vec<JourneyId>>,
    /// Journeys that are served from elsewhere.
    pub routes: Vec<(JourneyId, UpstreamId)>,
    /// Families of signals that are not believed while it holds.
    pub distrust: Families,
    /// Tunnels and event streams are ended.
    pub cut_streams: bool,
    /// Which channels it concerns.
    pub channels: Channels,
    /// How it ends.
    pub stand_down: StandDown,
    /// Logged and never enforced, whatever is said when it is armed.
    pub shadow: bool,
    /// What customers read who are held back by it; shared with the notices that say it.
    pub words: Arc<PlaybookWords>,
    /// What agents say and do.
    pub desk: Desk,
}

/// What a playbook changes on one journey.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which.
    pub journey: JourneyId,
    /// Nobody gets a higher rung than this one of the ladder; none where the ladder has no such rung.
    pub at_most: Option<Action>,
    /// The same before the upstream has answered a sign-in: a rung of `attempt`.
    pub attempt_at_most: Option<Action>,
    /// The journey is served as if its upstream were away.
    pub contained: bool,
    /// Only clients from buckets that are under attack.
    pub only_contaminated: bool,
}

/// What arms a playbook.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// What is watched.
    pub watch: Watch,
    /// Over how long.
    pub over: Duration,
    /// From which value on.
    pub at_least: Threshold,
    /// Armed at once, or proposed to a person.
    pub then: Then,
}

/// What can be watched. Each is a rate or a share that Weir measures itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watch {
    /// Failed sign-ins among all that the upstream answered, 0 to 1.
    LoginFailureRate,
    /// Sign-ins a second.
    LoginRate,
    /// Requests that an upstream failed, among all that reached one, 0 to 1.
    UpstreamFailureRate,
    /// Requests that were held back, among all of journeys, 0 to 1.
    HeldRate,
    /// Requests of automation a second.
    AutomationRate,
}

impl Watch {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::LoginFailureRate, Self::LoginRate, Self::UpstreamFailureRate, Self::HeldRate, Self::AutomationRate];

    /// The word in rules, logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LoginFailureRate => "login_failure_rate",
            Self::LoginRate => "login_rate",
            Self::UpstreamFailureRate => "upstream_failure_rate",
            Self::HeldRate => "held_rate",
            Self::AutomationRate => "automation_rate",
        }
    }
}

/// A value to compare with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// So much.
    Value(f64),
    /// So many times what is usual (`5x baseline`).
    Baseline(f64),
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It arms.
    Arm,
    /// It asks a person.
    Propose,
}

/// How a playbook ends before its time, and how the way back is.
#[derive(Debug, Clone, Default)]
pub struct StandDown {
    /// It stands down when this has held for so long.
    pub when: Option<Calm>,
    /// The way back to full service takes so long, the surest customers first.
    pub ramp: Duration,
}

/// When it is calm again.
#[derive(Debug, Clone)]
pub struct Calm {
    /// What is watched.
    pub watch: Watch,
    /// Up to which value.
    pub at_most: Threshold,
    /// For how long.
    pub during: Duration,
}

/// What agents say and do.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// How a caller is verified.
    pub verify: Vec<Box<str>>,
    /// What is said.
    pub script: Box<str>,
    /// What is never done on an incoming call.
    pub never: Vec<Box<str>>,
    /// Who is called.
    pub escalate: Vec<Box<str>>,
}

/// A set of families of signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Families(u8);

impl Families {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// With this family.
    #[must_use]
    pub const fn with(self, family: Family) -> Self {
        Self(self.0 | 1 << family as u8)
    }

    /// The families of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has this family.
    pub const fn contain(self, family: Family) -> bool {
        self.0 & (1 << family as u8) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its families.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contain(*family))
    }
}
