//! Who a client is to the business, and where it comes from: two closed sets that rules, playbooks and records share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of client asks. Only a proof makes a client anything but a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A person.
    #[default]
    Customer,
    /// A contact-centre employee who acts for one.
    Agent,
    /// A known machine that the business needs: tills, payment call-backs, couriers.
    Partner,
    /// A bot, script or assistant.
    Automation,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Agent, Self::Partner, Self::Automation];

    /// The word in rules, logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Partner => "partner",
            Self::Automation => "automation",
        }
    }
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A browser on the site.
    #[default]
    Web,
    /// The company's own app.
    App,
    /// A shop: tills, kiosks.
    Store,
    /// The contact centre.
    Desk,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Web, Self::App, Self::Store, Self::Desk];

    /// The word in rules, logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::App => "app",
            Self::Store => "store",
            Self::Desk => "desk",
        }
    }

    /// The channel of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word() == word)
    }
}

/// A set of channels; all of them by default.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channels(u8);

impl Channels {
    /// Every channel.
    pub const ALL: Self = Self(0b1111);

    /// Whether the set has this channel.
    pub const fn contain(self, channel: Channel) -> bool {
        self.0 & (1 << channel as u8) != 0
    }

    /// The channels of both sets.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its channels.
    pub fn iter(self) -> impl Iterator<Item = Channel> {
        Channel::ALL.into_iter().filter(move |channel| self.contain(*channel))
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Channel> for Channels {
    fn from_iter<I: IntoIterator<Item = Channel>>(channels: I) -> Self {
        Self(channels.into_iter().fold(0, |set, channel| set | 1 << channel as u8))
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Channel::word)).finish()
    }
}

impl Serialize for Channels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Channel>::deserialize(deserializer).map(Self::from_iter)
    }
}
