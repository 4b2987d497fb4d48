//! The signals: each declared once, in one table, from which scores, explanations and reference pages are made.
//!
//! One file per family says how a reading becomes points. It must never let a shared thing (an address, a device used by
//! many) weigh on a device that the account trusts, and never let an unknown reading count as good.

pub mod authentication;
pub mod behaviour;
pub mod device;
pub mod exposure;
mod readings;

use std::time::Duration;

use crate::confidence::{Family, Points};

pub use readings::{Gap, Past, Readings, Sighting};

/// Evidence before anything is read: four of five requests that are scored are honest (`CONFIDENCE.md`, section 3).
pub const PRIOR: Points = Points::whole(6);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What is said once about a signal.
#[derive(Debug)]
pub struct About {
    /// The word in logs, metrics and `explain`.
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
        "The account has passed a proof on this device.",
        "This device has been confirmed before.";
    DeviceFamiliar "device_familiar" Device 140 None,
        "The account has used this device on more than one day, but never proved it: 10 points, one more for each further day, 14 at most.",
        "This device has been used before.";
    DeviceProbation "device_probation" Device 10 None,
        "The account has used this device, but not for long enough to trust it.",
        "This device is new.";
    DeviceUnknown "device_unknown" Device -140 None,
        "The account has never used this device, weighed by how often it uses a new one: from -0.5 to -14.",
        "We do not recognise this device.";
    NetworkKnown "network_known" Network 120 None,
        "The account has used this network; worth more the sooner after its last visit.",
        "The network has been used before.";
    NetworkNew "network_new" Network -106 None,
        "The account has never used this network; weighs more the sooner after its last visit.",
        "The network is new.";
    AccountFailures "account_failures" Pressure -150 seconds(HOUR),
        "Failed sign-ins of this account from other devices: -3 each, at most five.",
        "Others may have tried this account.";
    DeviceFailures "device_failures" Pressure -100 seconds(HOUR),
        "Failed sign-ins of this device: -2 each, at most five.",
        "There were failed tries before this one.";
    NetworkGuessing "network_guessing" Pressure -200 seconds(DAY),
        "Sign-ins of strangers from this network fail more often than they should.",
        "There have been many failed tries from the same network.";
    PasswordRight "password_right" Authentication 120 None,
        "The subject is signed in: at least a right password.",
        "The password was right.";
    SecondFactor "second_factor" Authentication 50 None,
        "The session has proved a second factor.",
        "A second proof was given.";
    PhishingResistant "phishing_resistant" Authentication 140 None,
        "The session has proved a factor that cannot be relayed.",
        "A strong second proof was given.";
    RecentProof "recent_proof" Authentication 80 seconds(2 * HOUR),
        "A second proof was given a short while ago; full for 15 minutes.",
        "A second proof was given a short while ago.";
    PairLeaked "pair_leaked" Exposure -140 None,
        "This name and password are in a breach together.",
        "The password should be changed.";
    PasswordLeaked "password_leaked" Exposure -15 None,
        "This password is in a breach, with whatever name.",
        "The password should be changed.";
}

impl Signal {
    /// The family that it belongs to.
    pub const fn family(self) -> Family {
        self.about().group.family()
    }
}

/// Signals that say much the same thing, held together between one floor and one cap, so that neither a forged source nor
/// correlated terms can move the score further than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The device cookie against the account's own past.
    Device,
    /// The network against the account's own past.
    Network,
    /// Guessing: on the account, by the device, from the network.
    Pressure,
    /// How, how strongly and how recently the subject proved itself.
    Authentication,
    /// What is known to have leaked.
    Exposure,
}

impl Group {
    /// All of them, in the order in which they are summed.
    pub const ALL: [Self; 5] = [Self::Device, Self::Network, Self::Pressure, Self::Authentication, Self::Exposure];

    /// The family that it belongs to.
    pub const fn family(self) -> Family {
        match self {
            Self::Device => Family::Device,
            Self::Network | Self::Pressure => Family::Behaviour,
            Self::Authentication => Family::Authentication,
            Self::Exposure => Family::Exposure,
        }
    }

    /// The word in `explain`, for the line that gives back what lies beyond a floor or a cap.
    pub const fn limit_word(self) -> &'static str {
        match self {
            Self::Device => "device_limit",
            Self::Network => "network_limit",
            Self::Pressure => "pressure_limit",
            Self::Authentication => "authentication_limit",
            Self::Exposure => "exposure_limit",
        }
    }

    /// The least and the most that it may add (`CONFIDENCE.md`, section 4). Guessing weighs less once the password was right.
    pub const fn limits(self, password_right: bool) -> (Points, Points) {
        let (floor, cap) = match self {
            Self::Device => (-20, 24),
            Self::Network => (-22, 12),
            Self::Pressure if password_right => (-24, 2),
            Self::Pressure => (-45, 2),
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

/// Ten times the logarithm of a ratio, in tenths of a point; 0 for what is no ratio.
fn decibans(ratio: f32) -> Points {
    let tenths = (100.0 * ratio.log10()).round();
    // `as` saturates and reads NaN as 0: no ratio can panic or wrap.
    Points::tenths(if ratio > 0.0 { tenths as i32 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_stands_within_the_limits_of_its_group_and_has_its_own_name() {
        for (at, signal) in Signal::ALL.iter().enumerate() {
            let about = signal.about();
            let (floor, cap) = about.group.limits(false);
            assert!(about.points >= floor && about.points <= cap, "{}", about.name);
            assert!(Signal::ALL[..at].iter().all(|other| other.about().name != about.name), "{}", about.name);
            assert!(!about.operators.is_empty() && !about.agents.is_empty());
        }
    }

    #[test]
    fn a_ratio_of_ten_is_ten_points_and_nonsense_is_none() {
        assert_eq!(decibans(10.0), Points::whole(10));
        assert_eq!(decibans(0.1), Points::whole(-10));
        for nonsense in [0.0, -1.0, f32::NAN] {
            assert_eq!(decibans(nonsense), Points::ZERO);
        }
    }
}
