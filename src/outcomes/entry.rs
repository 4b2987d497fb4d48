//! One line of the kept outcomes: a decision, what a step-up came to, or what was learned of a decision later.
//!
//! Times are whole seconds, points are tenths. It must never have a field that a person could be told by.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Moment;
use crate::judge::score::{Scored, Source};
use crate::judge::seen::Listed;
use crate::judge::signals::device::Standing;
use crate::judge::signals::network::Place;
use crate::rules::signal::Group;

/// A keyed hash: of a request's id, an account or a session. Written as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Tag {
    type Err = ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'d> Deserialize<'d> for Tag {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'d, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A closed set of words, with all of them in order.
macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $word:literal => $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$each])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in files and reports.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

closed! {
    /// What kind of decision: each has a budget of its own.
    Sort {
        /// A sign-in before its answer.
        "attempt" => Attempt,
        /// The session that a right password opens.
        "session" => Session,
        /// A reset of a password.
        "reset" => Reset,
        /// A step in a session that changes something or costs money.
        "step" => Step,
    }
}

closed! {
    /// How a decision turned out.
    Outcome {
        /// It was the account's owner.
        "genuine" => Genuine,
        /// It was somebody else.
        "fraud" => Fraud,
    }
}

closed! {
    /// What kind of network a request came from, by the lists.
    Network {
        /// On no list.
        "unlisted" => Unlisted,
        /// A commercial VPN.
        "vpn" => Vpn,
        /// A datacentre.
        "datacentre" => Datacentre,
        /// An open or a residential proxy.
        "proxy" => Proxy,
        /// An exit of Tor.
        "tor" => Tor,
        /// No list says, or none could be read.
        "not_known" => NotKnown,
    }
}

closed! {
    /// How the network stands to the account's own past.
    Seen {
        /// The same network, or one beside it.
        "known" => Known,
        /// Another network of a provider that the account knows.
        "known_provider" => Provider,
        /// Nothing of it is known.
        "new" => New,
        /// No account, or nothing to compare with.
        "not_known" => NotKnown,
    }
}

closed! {
    /// What the client runs on, by what it says.
    System {
        /// Windows.
        "windows" => Windows,
        /// A Mac.
        "mac" => Mac,
        /// An iPhone or iPad.
        "ios" => Ios,
        /// Android.
        "android" => Android,
        /// A Chromebook.
        "chromeos" => ChromeOs,
        /// Another Linux.
        "linux" => Linux,
        /// Something else, or it does not say.
        "other" => Other,
    }
}

closed! {
    /// What the client does with the device cookie.
    Cookie {
        /// It brings one that the account trusts.
        "trusted" => Trusted,
        /// It brings one that the account has seen.
        "seen" => Seen,
        /// It brings one that the account has never seen.
        "strange" => Strange,
        /// It brings none.
        "none" => None,
    }
}

closed! {
    /// How long the account has been known.
    Age {
        /// Less than a day, or never seen.
        "under 1 day" => Day,
        /// Less than thirty days.
        "under 30 days" => Month,
        /// Less than a year.
        "under 1 year" => Year,
        /// A year or more.
        "1 year or more" => Longer,
        /// No account is named.
        "not_known" => NotKnown,
    }
}

impl Network {
    /// The kind by what lists say; the rarest kind counts.
    pub const fn of(listed: Option<Listed>) -> Self {
        let Some(listed) = listed else { return Self::NotKnown };
        if listed.contains(Listed::TOR) {
            Self::Tor
        } else if listed.contains(Listed::PROXY) {
            Self::Proxy
        } else if listed.contains(Listed::VPN) {
            Self::Vpn
        } else if listed.contains(Listed::DATACENTRE) {
            Self::Datacentre
        } else {
            Self::Unlisted
        }
    }
}

impl Seen {
    /// How this place stands to the account's past.
    pub const fn of(place: Option<Place>) -> Self {
        match place {
            Some(Place::Known | Place::Near) => Self::Known,
            Some(Place::SameProvider) => Self::Provider,
            Some(Place::New) => Self::New,
            None => Self::NotKnown,
        }
    }
}

impl System {
    /// The system that a `User-Agent` names. The first that fits counts: phones name computers for the sake of old servers.
    pub fn of(user_agent: &str) -> Self {
        const SIGNS: &[(&str, System)] = &[
            ("Windows", System::Windows),
            ("iPhone", System::Ios),
            ("iPad", System::Ios),
            ("iOS", System::Ios),
            ("CFNetwork", System::Ios),
            ("Android", System::Android),
            ("okhttp", System::Android),
            ("Macintosh", System::Mac),
            ("Mac OS X", System::Mac),
            ("CrOS", System::ChromeOs),
            ("Linux", System::Linux),
        ];
        SIGNS.iter().find(|(sign, _)| user_agent.contains(sign)).map_or(Self::Other, |(_, system)| *system)
    }
}

impl Cookie {
    /// By the device's standing; none without a device.
    pub const fn of(standing: Option<Standing>) -> Self {
        match standing {
            Some(Standing::Trusted { .. }) => Self::Trusted,
            Some(Standing::Probation) => Self::Seen,
            Some(Standing::New) => Self::Strange,
            None => Self::None,
        }
    }
}

impl Age {
    /// The band of an age.
    pub const fn of(age: Option<Duration>) -> Self {
        const DAY: u64 = 86_400;
        match age {
            None => Self::NotKnown,
            Some(age) if age.as_secs() < DAY => Self::Day,
            Some(age) if age.as_secs() < 30 * DAY => Self::Month,
            Some(age) if age.as_secs() < 365 * DAY => Self::Year,
            Some(_) => Self::Longer,
        }
    }
}

/// To which groups of people a request belongs: what the table of groups is made of. Bands and kinds, nothing finer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// The kind of network.
    pub network: Network,
    /// The network against the account's past.
    pub seen: Seen,
    /// Its country, as two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The client's system.
    pub system: System,
    /// What it does with the device cookie.
    pub cookie: Cookie,
    /// How long the account has been known.
    pub age: Age,
    /// The group that a recorded stream names; never written by a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
}

/// A judged decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// The journey.
    pub journey: String,
    /// What kind of decision.
    pub sort: Sort,
    /// All evidence together, not cut at 0 and 100, in tenths of a point.
    pub evidence: i32,
    /// The same by group, in the order of [`Group::ALL`]; with the prior they sum to it.
    pub points: [i32; 8],
    /// What was done: allow, step_up, throttle ...
    pub action: String,
    /// The hash of the request's id.
    pub reference: Tag,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Tag>,
    /// The session, or the one that was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Tag>,
    /// Who it may have been.
    pub groups: Groups,
    /// How it turned out, where that is known at once: in recorded streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What a step-up came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When.
    pub at: u64,
    /// Whether it was passed; otherwise an answer to it was wrong.
    pub passed: bool,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Tag>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Tag>,
}

/// What was learned of a decision later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was learned.
    pub at: u64,
    /// The decision's reference.
    pub reference: Tag,
    /// What it was.
    pub outcome: Outcome,
    /// The decision's account, so that erasing an account reaches this too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Tag>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A decision.
    Decision(Decision),
    /// What a step-up came to.
    Proof(Proof),
    /// What was learned later.
    Report(Report),
}

impl Entry {
    /// When it was written.
    pub const fn at(&self) -> Moment {
        Moment::from_unix_seconds(match self {
            Self::Decision(Decision { at, .. }) | Self::Proof(Proof { at, .. }) | Self::Report(Report { at, .. }) => {
                *at
            }
        })
    }

    /// Writes it as one line of JSON, without its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        // A tree of numbers and texts always becomes JSON; if it ever does not, half a line is worse than none.
        if serde_json::to_writer(&mut *out, self).is_err() {
            out.truncate(before);
        }
    }
}

/// The points of each group, in tenths: its signals and what its limits gave back. Without the prior.
pub fn by_group(scored: &Scored) -> [i32; 8] {
    let mut points = [0; 8];
    for line in scored.lines() {
        let group = match line.source {
            Source::Prior => continue,
            Source::Signal(signal) => signal.about().group,
            Source::Limit(group) => group,
            Source::Ceiling => Group::Session,
        };
        if let Some(at) = Group::ALL.iter().position(|known| *known == group)
            && let Some(sum) = points.get_mut(at)
        {
            *sum += line.points.as_tenths();
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::score::score;
    use crate::judge::signals::{PRIOR, Readings};
    use crate::judge::stage::Stage;
    use crate::rules::signal::Weights;

    #[test]
    fn the_points_of_all_groups_and_the_prior_are_the_evidence() {
        let readings = Readings::default().hidden_account();
        let scored = score(&readings, &Weights::AS_DECLARED, Stage::Session, Moment::default());
        let points = by_group(&scored);
        assert!(points.iter().any(|points| *points != 0));
        assert_eq!(PRIOR.as_tenths() + points.iter().sum::<i32>(), scored.sum().as_tenths());
    }

    #[test]
    fn a_line_comes_back_as_it_was_and_a_hash_is_sixteen_digits() {
        let report = Entry::Report(Report { at: 7, reference: Tag(0xab), outcome: Outcome::Fraud, account: None });
        let mut out = Vec::new();
        report.write(&mut out);
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            r#"{"entry":"report","at":7,"reference":"00000000000000ab","outcome":"fraud"}"#
        );
        assert_eq!(serde_json::from_slice::<Entry>(&out).unwrap(), report);
        assert!(
            serde_json::from_str::<Entry>(r#"{"entry":"report","at":7,"reference":"zz","outcome":"fraud"}"#).is_err()
        );
    }

    #[test]
    fn a_phone_is_no_computer_and_the_rarest_list_counts() {
        assert_eq!(System::of("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"), System::Ios);
        assert_eq!(System::of("Mozilla/5.0 (Linux; Android 15; Pixel 9)"), System::Android);
        assert_eq!(System::of(""), System::Other);
        assert_eq!(Network::of(Some(Listed::TOR.with(Listed::VPN))), Network::Tor);
        assert_eq!(Network::of(Some(Listed::NOTHING)), Network::Unlisted);
        assert_eq!(Age::of(Some(Duration::from_secs(86_400))), Age::Month);
    }
}
