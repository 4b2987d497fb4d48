//! Where the request comes from, against the account's own past: its address, its neighbourhood, its provider, its country, and what
//! lists say of it. A change that many known customers make at once (a renumbered city, a holiday) weighs less.
//!
//! It must never let the account's past weigh against an attempt.

use std::time::Duration;

use super::{DAY, HOUR, MINUTE, Past, Says, db, points};
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::Climate;
use crate::judge::seen::Listed;
use crate::judge::stage::Stage;
use crate::rules::signal::Signal;

/// Whether the account knows the network of this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It knows the address.
    Known,
    /// It knows a neighbour: the same /24 or /48.
    Near,
    /// It knows the provider.
    SameProvider,
    /// It knows nothing of it.
    New,
}

/// What else ties an account to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties {
    /// Whether it knows the country.
    pub country: Reading<bool>,
    /// Whether it knows the provider.
    pub provider: Reading<bool>,
    /// With which of the lists' marks its owner has come before.
    pub listed: Listed,
}

/// What everybody's moves make of one account's: how many times more often than usual the same is seen of others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Season {
    /// A network that is new to them.
    pub networks: f32,
    /// A provider that is new to them.
    pub providers: f32,
    /// A country that is new to them.
    pub countries: f32,
}

impl Default for Season {
    fn default() -> Self {
        Self { networks: 1.0, providers: 1.0, countries: 1.0 }
    }
}

impl From<&Climate> for Season {
    fn from(climate: &Climate) -> Self {
        Self { networks: climate.networks, providers: climate.providers, countries: climate.countries }
    }
}

/// The published share of addresses that are new to the account, by the time since its last success (`CONFIDENCE.md`, section 2).
const NEW_ADDRESS: [(u64, f32); 7] = [
    (MINUTE, 0.023),
    (10 * MINUTE, 0.06),
    (HOUR, 0.106),
    (DAY, 0.30),
    (7 * DAY, 0.42),
    (30 * DAY, 0.62),
    (u64::MAX, 0.74),
];

/// How likely its owner comes from a new address after this long, by how often they do.
fn new_address(since: Duration, past: &Past, season: &Season) -> f32 {
    let [.., (_, last)] = NEW_ADDRESS;
    let usual = NEW_ADDRESS.iter().find(|(up_to, _)| since.as_secs() < *up_to).map_or(last, |(_, share)| *share);
    (usual * habit(past) * season.networks).clamp(0.01, 0.95)
}

/// All accounts together come from a new address in 41 of 100 sign-ins.
const USUALLY_NEW: f32 = 0.41;

/// How many times more often than others its owner comes from a new address.
fn habit(past: &Past) -> f32 {
    let habit = (f32::from(past.on_new_networks) + 2.0) / (USUALLY_NEW * f32::from(past.sign_ins) + 2.0);
    habit.clamp(0.3, 2.0)
}

/// What a new address weighs by itself. The time since the last visit hardly counts here: who has just been there is the owner, and
/// an owner with two lines moves fast.
fn moved(past: &Past, season: &Season) -> f32 {
    db((USUALLY_NEW * habit(past) * season.networks).clamp(0.01, 0.95) / 0.97)
}

/// The most that a new network weighs in a country that is new as well.
const ABROAD: f32 = -3.0;

/// What was read of the network.
#[derive(Clone, Copy, Debug)]
pub(in crate::judge) struct Read {
    pub(in crate::judge) network: Reading<Place>,
    pub(in crate::judge) country: Reading<bool>,
    pub(in crate::judge) listed: Reading<Marks>,
    pub(in crate::judge) past: Reading<Past>,
    pub(in crate::judge) season: Season,
}

/// What the network says: whether it is known, whether the country is, and what lists say.
pub(in crate::judge) fn weigh(read: &Read, trusted: bool, stage: Stage) -> [Says; 3] {
    let helps = |points: Points| if stage.only_helps() { points.max(Points::ZERO) } else { points };
    let [place, country] =
        against_own_past(read, stage).map(|says| says.map(|(signal, points)| (signal, helps(points))));
    [place, country, listed(read.listed, trusted)]
}

/// The network and the country. Silent for an account without a past.
fn against_own_past(read: &Read, stage: Stage) -> [Says; 2] {
    if matches!(read.network, Reading::Unknown(Why::NotAsked)) {
        return [None; 2];
    }
    let (past, since) = match read.past {
        Reading::Known(past) => match past.since_last {
            Some(since) => (past, since),
            None => return [Some((Signal::NetworkNew, Points::ZERO)), None],
        },
        // A fault hides the past: a new network weighs the most that it can, a known one gives nothing.
        Reading::Unknown(why) if why.is_fault() => {
            return match read.network {
                Reading::Known(Place::Known) => {
                    let country =
                        if read.country == Reading::Known(true) { None } else { country_hidden(read.country) };
                    [Some((Signal::NetworkKnown, Points::ZERO)), country]
                }
                Reading::Known(_) | Reading::Unknown(_) => {
                    [Some((Signal::NetworkNew, Signal::NetworkNew.about().points)), country_hidden(read.country)]
                }
            };
        }
        Reading::Unknown(_) => return [Some((Signal::NetworkNew, Points::ZERO)), None],
    };
    let place = match read.network {
        Reading::Known(place) => place,
        Reading::Unknown(why) if why.is_fault() => {
            return [Some((Signal::NetworkNew, Signal::NetworkNew.about().points)), country_hidden(read.country)];
        }
        Reading::Unknown(_) => Place::New,
    };
    let new = new_address(since, &past, &read.season);
    let exit = Exit::of(read.listed);
    let place = match place {
        // Who guesses is nowhere near; who has the password often is.
        Place::Known if stage == Stage::Attempt => (Signal::NetworkKnown, 18.0),
        Place::Known => (Signal::NetworkKnown, db((1.0 - new) / 0.04).clamp(4.0, 12.0)),
        Place::Near if stage == Stage::Attempt => (Signal::RangeKnown, 12.0),
        Place::Near => (Signal::RangeKnown, 4.0),
        Place::SameProvider if stage == Stage::Attempt => (Signal::ProviderKnown, 3.0),
        Place::SameProvider => (Signal::ProviderKnown, (1.0 + 0.6 * moved(&past, &read.season)).min(6.0)),
        Place::New => {
            let season = 0.7 * db(read.season.providers);
            let new = (-6.0 + 0.4 * moved(&past, &read.season) + season).clamp(-10.0, 0.0);
            // Another country is always another network: the two are one fact.
            let new = if read.country.known() == Some(false) { new.max(ABROAD) } else { new };
            (Signal::NetworkNew, new * exit.network)
        }
    };
    let country = match read.country {
        Reading::Known(false) => {
            Some((Signal::CountryNew, points((-9.0 + db(read.season.countries)).clamp(-9.0, 0.0) * exit.country)))
        }
        Reading::Unknown(why) if why.is_fault() => country_hidden(read.country),
        Reading::Known(true) | Reading::Unknown(_) => None,
    };
    [Some((place.0, points(place.1))), country]
}

/// The most that the country can weigh, where one was asked for at all.
fn country_hidden(country: Reading<bool>) -> Says {
    let asked = !matches!(country, Reading::Unknown(Why::NotAsked));
    asked.then(|| (Signal::CountryNew, Signal::CountryNew.about().points))
}

/// What lists say of the address, and which of it the account has come with before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// What lists say.
    pub listed: Listed,
    /// What is usual for the account.
    pub own: Listed,
}

/// How much of what a place says is left where lists say that it is an exit: its country is chosen, not travelled to, and who
/// usually comes through one comes from ever new ones.
struct Exit {
    network: f32,
    country: f32,
}

impl Exit {
    fn of(marks: Reading<Marks>) -> Self {
        const EXITS: [Listed; 3] = [Listed::TOR, Listed::VPN, Listed::DATACENTRE];
        let Reading::Known(marks) = marks else { return Self { network: 1.0, country: 1.0 } };
        let exits = |listed: Listed| EXITS.into_iter().filter(move |mark| listed.contains(*mark));
        match exits(marks.listed).next() {
            None => Self { network: 1.0, country: 1.0 },
            Some(_) if exits(marks.listed).any(|mark| marks.own.contains(mark)) => Self { network: 0.3, country: 0.2 },
            Some(_) => Self { network: 1.0, country: 0.5 },
        }
    }
}

/// Lists are small, personal, and weigh less on a trusted device: raw lists hurt more than they help.
fn listed(marks: Reading<Marks>, trusted: bool) -> Says {
    let worst = Signal::NetworkListed.about().points;
    let marks = match marks {
        Reading::Known(marks) => marks,
        Reading::Unknown(why) if why.is_fault() => return Some((Signal::NetworkListed, worst)),
        Reading::Unknown(_) => return None,
    };
    let each = [(Listed::TOR, 120), (Listed::VPN, 50), (Listed::DATACENTRE, 50), (Listed::PROXY, 60)];
    // One address on several lists is one fact.
    let most = each
        .into_iter()
        .filter(|(mark, _)| marks.listed.contains(*mark))
        .map(|(mark, tenths)| if marks.own.contains(mark) { 5 } else { tenths })
        .max();
    let sum = Points::tenths(-most.unwrap_or(0)).max(worst);
    (sum < Points::ZERO)
        .then(|| (Signal::NetworkListed, if trusted { Points::tenths(sum.as_tenths() * 4 / 10) } else { sum }))
}
