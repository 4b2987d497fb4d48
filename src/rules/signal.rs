//! The signals: each declared once, in one table, from which scores, explanations, rules, metrics and the data map are made.
//!
//! What a signal is called and how much it may weigh is law; how a reading becomes points is the judge's. It must never say how a
//! request is to be judged.

use std::time::Duration;

use crate::confidence::{Family, Points};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// What is said once about a signal.
#[derive(Debug)]
pub struct About {
    /// The word in rules, logs, metrics and `explain`.
    pub name: &'static str,
    /// The group whose floor and cap hold it.
    pub group: Group,
    /// The points that it gives at its strongest, by default.
    pub points: Points,
    /// How fast what it counts is forgotten.
    pub half_life: Option<Duration>,
    /// One line for operators.
    pub operators: &'static str,
    /// One line that an agent may read aloud: true, safe, and no help to an attacker.
    pub agents: &'static str,
}

macro_rules! signals {
    ($($signal:ident $name:literal $group:ident $tenths:literal $half_life:expr, $operators:literal, $agents:literal;)*) => {
        /// One kind of observation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Signal {
            $(#[doc = $operators] $signal,)*
        }

        impl Signal {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$signal,)*];

            /// What is said of this one.
            #[inline]
            pub const fn about(self) -> &'static About {
                match self {
                    $(Self::$signal => const { &About {
                        name: $name,
                        group: Group::$group,
                        points: Points::tenths($tenths),
                        half_life: $half_life,
                        operators: $operators,
                        agents: $agents,
                    } },)*
                }
            }
        }
    };
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

signals! {
    DeviceProved "device_proved" Device 160 None,
        "The account has passed a proof on this device: 4 points on that day, 12 from the next on, 16 after some days of use.",
        "This device has been confirmed before.";
    DeviceFamiliar "device_familiar" Device 140 None,
        "The account has used this device on more than one day, but never proved it: 10 points, one more for each further day, 14 at most.",
        "This device has been used before.";
    DeviceProbation "device_probation" Device -105 None,
        "The account has used this device, but not in a way that lets it be trusted: three quarters of what an unknown one weighs.",
        "This device is new.";
    DeviceUnknown "device_unknown" Device -140 None,
        "The account has never used this device, weighed by how often it uses a new one: from -0.5 to -14.",
        "We do not recognise this device.";
    DeviceVouched "device_vouched" Device 80 None,
        "Other accounts, long known and independent, have used this device well.",
        "This device is new.";
    DeviceCrowded "device_crowded" Device -80 None,
        "More than three accounts use this device, so that it says little about one of them.",
        "Several people use this device.";
    DeviceChanged "device_changed" Device -140 seconds(DAY),
        "The device shows another program or TLS stack than before, weighed by how many others make the same move these hours.",
        "The device looks different from before.";
    ScriptedClient "scripted_client" Client -140 None,
        "The TLS stack is that of a script.",
        "The browser or app could not be confirmed.";
    ClientMismatch "client_mismatch" Client -20 None,
        "The client says that it is one program, and its TLS stack is that of another.",
        "The browser or app could not be confirmed.";
    NetworkKnown "network_known" Network 180 None,
        "The account has used this network: 18 before the answer; after it up to 12, more the sooner after its last visit.",
        "The network has been used before.";
    RangeKnown "range_known" Network 90 None,
        "The account has used a network close to this one: 9 before the answer, 4 after it.",
        "The network has been used before.";
    ProviderKnown "provider_known" Network 60 None,
        "The account has used this provider, but not this network; weighs more where its owner seldom moves.",
        "The network is new.";
    NetworkNew "network_new" Network -100 None,
        "The account has never used this network nor, where that is known, its provider; weighs more where its owner seldom moves.",
        "The network is new.";
    CountryNew "country_new" Network -90 seconds(DAY),
        "The account has never been in this country, weighed by how many others travel these days.",
        "The request comes from another country than usual.";
    NetworkListed "network_listed" Network -120 None,
        "Lists say that the address belongs to Tor, a VPN, a datacentre or a proxy.",
        "The network is one that hides where people are.";
    AccountFailures "account_failures" Pressure -150 seconds(HOUR),
        "Failed sign-ins of this account from other devices: -3 each, at most five.",
        "Others may have tried this account.";
    DeviceFailures "device_failures" Pressure -100 seconds(HOUR),
        "Failed sign-ins of this device: -2 each, at most five.",
        "There were failed tries before this one.";
    NetworkGuessing "network_guessing" Pressure -200 seconds(DAY),
        "Sign-ins of strangers fail more often than they should where this one comes from: its network, provider, program or fingerprint.",
        "There have been many failed tries from the same network.";
    AttackLevel "attack_level" Pressure -100 seconds(3 * HOUR),
        "Sign-ins of strangers fail more often than usual on the whole site.",
        "There have been many failed tries lately.";
    NoPage "no_page" Journey -30 None,
        "A browser signs in without having fetched a page, or faster than a person.",
        "The sign-in was unusually quick.";
    Hurried "hurried" Journey -20 None,
        "A change follows the last request faster than a person reads.",
        "The change was unusually quick.";
    AfterChange "after_change" Journey -90 None,
        "An e-mail address, a password or an address was changed in this session, on a device that is not trusted.",
        "Details of the account were changed shortly before.";
    AfterReset "after_reset" Journey -120 seconds(DAY),
        "The password was reset within the last day, on a device that is not trusted.",
        "The password was reset shortly before.";
    SessionChanged "session_changed" Session -140 seconds(DAY),
        "The session began with another program or TLS stack, weighed by how many others make the same move these hours.",
        "The device looks different from before.";
    SessionMoved "session_moved" Session -80 None,
        "The session went on in another country, one that the account has never used.",
        "The network changed during the visit.";
    SessionAlternates "session_alternates" Session -80 None,
        "The session goes back and forth between networks faster than a person can.",
        "The visit comes from two places at once.";
    SignInDoubt "sign_in_doubt" Session -200 None,
        "What the sign-in that opened this session left in doubt, on a device that is not trusted.",
        "The sign-in was unusual.";
    PasswordRight "password_right" Authentication 120 None,
        "The subject is signed in: at least a right password.",
        "The password was right.";
    SecondFactor "second_factor" Authentication 30 None,
        "The session has proved a second factor.",
        "A second proof was given.";
    PhishingResistant "phishing_resistant" Authentication 140 None,
        "The session has proved a factor that cannot be relayed.",
        "A strong second proof was given.";
    BoundToken "bound_token" Authentication 60 None,
        "The token is bound to a key that was shown on this request.",
        "The app has shown its key.";
    RecentProof "recent_proof" Authentication 20 seconds(2 * HOUR),
        "A second proof was given a short while ago; full for 15 minutes.",
        "A second proof was given a short while ago.";
    OldProof "old_proof" Authentication -20 None,
        "The sign-in is older than 30 days.",
        "The sign-in was a long time ago.";
    PairLeaked "pair_leaked" Exposure -140 None,
        "This name and password are in a breach together.",
        "The password should be changed.";
    PasswordLeaked "password_leaked" Exposure -35 None,
        "This password is in a breach, with whatever name: -3.5 before the answer, -1 once it was right.",
        "The password should be changed.";
    AccountBreached "account_breached" Exposure -60 None,
        "The account is on the list of our own breach.",
        "The password should be changed.";
    Compromised "compromised" Exposure -140 seconds(7 * DAY),
        "Somebody who is believed reports that the account's credentials are in the wrong hands.",
        "The account was reported as at risk.";
    RiskReported "risk_reported" Exposure -100 seconds(DAY),
        "Another system holds the account for risky.",
        "The account was reported as at risk.";
}

impl Signal {
    /// The family that it belongs to.
    pub const fn family(self) -> Family {
        self.about().group.family()
    }

    /// The signal of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|signal| signal.about().name == name)
    }
}

/// How much each signal weighs, in percent of its points: 100 unless the rules say otherwise, 0 where they switch it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights([u8; Signal::ALL.len()]);

impl Default for Weights {
    fn default() -> Self {
        Self::AS_DECLARED
    }
}

impl Weights {
    /// Everything as it is declared.
    pub const AS_DECLARED: Self = Self([100; Signal::ALL.len()]);
    /// No signal weighs more than twice what it is declared with.
    pub const MOST: u8 = 200;

    /// With this signal at so many percent, at most [`Self::MOST`].
    pub fn set(&mut self, signal: Signal, percent: u8) {
        if let Some(weight) = self.0.get_mut(signal as usize) {
            *weight = percent.min(Self::MOST);
        }
    }

    /// How much a signal weighs, in percent.
    #[inline]
    pub fn percent(&self, signal: Signal) -> u8 {
        self.0.get(signal as usize).copied().unwrap_or(100)
    }

    /// What these points of a signal come to, cut towards zero to whole tenths.
    #[inline]
    pub fn weigh(&self, signal: Signal, points: Points) -> Points {
        match self.percent(signal) {
            100 => points,
            percent => Points::tenths(points.as_tenths().saturating_mul(i32::from(percent)) / 100),
        }
    }
}

/// Signals that say much the same thing, held together between one floor and one cap, so that neither a forged source nor
/// correlated terms can move the score further than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The device cookie against the account's own past.
    Device,
    /// The client's software against itself.
    Client,
    /// The network against the account's own past.
    Network,
    /// Guessing: on the account, by the device, from where it comes, on the whole site.
    Pressure,
    /// How the customer goes about it.
    Journey,
    /// The session against its own beginning.
    Session,
    /// How, how strongly and how recently the subject proved itself.
    Authentication,
    /// What is known to have leaked.
    Exposure,
}

impl Group {
    /// All of them, in the order in which they are summed.
    pub const ALL: [Self; 8] = [
        Self::Device,
        Self::Client,
        Self::Network,
        Self::Pressure,
        Self::Journey,
        Self::Session,
        Self::Authentication,
        Self::Exposure,
    ];

    /// The family that it belongs to.
    #[inline]
    pub const fn family(self) -> Family {
        match self {
            Self::Device | Self::Client => Family::Device,
            Self::Network | Self::Pressure | Self::Journey | Self::Session => Family::Behaviour,
            Self::Authentication => Family::Authentication,
            Self::Exposure => Family::Exposure,
        }
    }

    /// The word in rules, metrics and `weir status`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Client => "client",
            Self::Network => "network",
            Self::Pressure => "pressure",
            Self::Journey => "journey",
            Self::Session => "session",
            Self::Authentication => "authentication",
            Self::Exposure => "exposure",
        }
    }

    /// The word in `explain`, for the line that gives back what lies beyond a floor or a cap.
    pub const fn limit_word(self) -> &'static str {
        match self {
            Self::Device => "device_limit",
            Self::Client => "client_limit",
            Self::Network => "network_limit",
            Self::Pressure => "pressure_limit",
            Self::Journey => "journey_limit",
            Self::Session => "session_limit",
            Self::Authentication => "authentication_limit",
            Self::Exposure => "exposure_limit",
        }
    }

    /// The least and the most that it may add (`CONFIDENCE.md`, section 4). Guessing weighs less once the password was right.
    #[inline]
    pub const fn limits(self, password_right: bool) -> (Points, Points) {
        let (floor, cap) = match self {
            Self::Device => (-20, 24),
            Self::Client => (-16, 2),
            Self::Network if password_right => (-38, 12),
            Self::Network => (-38, 18),
            Self::Pressure if password_right => (-24, 2),
            Self::Pressure => (-45, 2),
            Self::Journey => (-22, 0),
            Self::Session => (-24, 0),
            Self::Authentication => (0, 32),
            Self::Exposure => (-28, 0),
        };
        (Points::whole(floor), Points::whole(cap))
    }
}

/// The share of a family in coverage, in percent of them all.
pub const fn weight(family: Family) -> u32 {
    match family {
        Family::Device | Family::Behaviour => 30,
        Family::Authentication => 25,
        Family::Exposure => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_stands_within_the_limits_of_its_group_and_has_its_own_name() {
        for (at, signal) in Signal::ALL.iter().enumerate() {
            let about = signal.about();
            let (floor, cap) = about.group.limits(false);
            // What weighs against within authentication only takes back what authentication gave.
            let floor = if about.group == Group::Authentication { Points::whole(-2) } else { floor };
            assert!(about.points >= floor && about.points <= cap, "{}", about.name);
            assert!(Signal::ALL[..at].iter().all(|other| other.about().name != about.name), "{}", about.name);
            assert!(!about.operators.is_empty() && !about.agents.is_empty());
            assert_eq!(Signal::named(about.name), Some(*signal));
        }
    }

    #[test]
    fn a_weight_of_nothing_switches_a_signal_off() {
        let mut weights = Weights::default();
        weights.set(Signal::NoPage, 0);
        weights.set(Signal::PairLeaked, 50);
        assert_eq!(weights.weigh(Signal::NoPage, Points::whole(-3)), Points::ZERO);
        assert_eq!(weights.weigh(Signal::PairLeaked, Points::whole(-14)), Points::whole(-7));
        assert_eq!(weights.weigh(Signal::Hurried, Points::whole(-3)), Points::whole(-3));
    }
}
