//! What was read for one request: every value, or why there is none. Made from histories, which are arguments.
//!
//! It must never fill a gap with a default: a reading that is not there says why.

use std::time::Duration;

use super::Past;
use super::authentication::Proof;
use super::client::Guise;
use super::device::{self, Moved, Standing};
use super::exposure::Exposure;
use super::journey::Pace;
use super::network::{self, Marks, Place, Season};
use super::pressure::{self, Guessing};
use super::session::Continuity;
use crate::clock::Moment;
use crate::confidence::{Confidence, Family, Points, Reading, Why};
use crate::judge::history::{AccountHistory, Climate, DeviceRecord, Risk, Shared, Tried};
use crate::judge::seen::{Client, Whereabouts};
use crate::rules::playbook::Families;
use crate::rules::signal::Group;
use crate::subject::Device;

/// What is remembered of what this request shares with others. Up to six buckets, in no order.
pub type Buckets = [Option<(Shared, Tried)>; 5];

/// How the session of a request began, and how it went on until now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begun {
    /// What its program and TLS stack became.
    pub moved: Moved,
    /// The country is another.
    pub other_country: bool,
    /// It goes back and forth between networks.
    pub alternates: bool,
    /// It began on this very network: how long before it the account's last success was. The sign-in that opened the session must
    /// not make its own network look like a sudden move.
    pub gap_before: Option<Gap>,
    /// How long ago its last request was.
    pub since_last: Duration,
    /// Something of the account was changed in it.
    pub changed: bool,
    /// What its sign-in left in doubt.
    pub doubt: Points,
    /// How high its confidence may be now, after a fall.
    pub ceiling: Option<Confidence>,
}

/// How long before a sign-in the account's last success was; none when there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap(pub Option<Duration>);

/// Who was seen on this request, with what is remembered of them.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The account's history. `Missing` when one is named that was never seen, `NotAsked` when none is named.
    pub account: Reading<&'a AccountHistory>,
    /// The device, by its cookie.
    pub device: Reading<Device>,
    /// What is remembered of the device beside its accounts.
    pub record: Option<&'a DeviceRecord>,
    /// Sign-ins of strangers on the device.
    pub device_tried: Option<Tried>,
    /// Where it comes from.
    pub at: Whereabouts,
    /// With which program.
    pub client: Client,
    /// What it shares with others, where a sign-in is judged.
    pub buckets: Reading<&'a Buckets>,
    /// Everybody together.
    pub climate: &'a Climate,
    /// How long ago a browser that signs in has fetched a page; `NotAsked` for what is no browser or no sign-in.
    pub since_page: Reading<Option<Duration>>,
    /// Whether the journey changes something.
    pub changes: bool,
    /// What the session has proved. `Missing` when there is none.
    pub session: Reading<Proof>,
    /// How the session began. `NotAsked` where there is none.
    pub begun: Reading<Begun>,
    /// What the breach corpus says.
    pub exposure: Reading<Exposure>,
    /// Whether the account is on the list of our own breach.
    pub account_breached: Reading<bool>,
}

impl<'a> Sighting<'a> {
    /// Somebody of whom nothing is known but where they are.
    pub const fn nobody(at: Whereabouts, climate: &'a Climate) -> Self {
        const NOT: Why = Why::NotAsked;
        Self {
            account: Reading::Unknown(NOT),
            device: Reading::Unknown(Why::Missing),
            record: None,
            device_tried: None,
            at,
            client: Client {
                software: Reading::Unknown(NOT),
                stack: Reading::Unknown(NOT),
                fingerprint: Reading::Unknown(NOT),
            },
            buckets: Reading::Unknown(NOT),
            climate,
            since_page: Reading::Unknown(NOT),
            changes: false,
            session: Reading::Unknown(Why::Missing),
            begun: Reading::Unknown(NOT),
            exposure: Reading::Unknown(NOT),
            account_breached: Reading::Unknown(NOT),
        }
    }
}

macro_rules! readings {
    ($($(#[$doc:meta])* $name:ident: $value:ty, $group:ident;)*) => {
        /// Everything that is judged.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Readings {
            $($(#[$doc])* pub $name: Reading<$value>,)*
            /// What everybody's moves make of one account's.
            pub season: Season,
            /// How high the session's confidence may be, after a fall.
            pub ceiling: Option<Confidence>,
        }

        impl Default for Readings {
            /// Nothing asked for.
            fn default() -> Self {
                Self { $($name: Reading::Unknown(Why::NotAsked),)* season: Season::default(), ceiling: None }
            }
        }

        impl Readings {
            /// How many readings there are.
            pub const COUNT: usize = [$(stringify!($name),)*].len();

            /// The same, where these families are not believed. What was not asked for stays so; what a client did not send is
            /// doubted like what it sent, so that nothing is gained by sending nothing.
            #[must_use]
            pub fn doubting(&self, families: Families) -> Self {
                Self { $($name: doubt(self.$name, Group::$group.family(), families),)* season: self.season, ceiling: self.ceiling }
            }

            /// Every reading by its group: nothing where there is a value, the reason where there is none.
            pub fn states(&self) -> [(Group, Reading<()>); Self::COUNT] {
                [$((Group::$group, self.$name.map(drop)),)*]
            }

            /// How many of each family were asked for, how many are known, how many a fault hides.
            pub(in crate::judge) fn tally(&self) -> Tally {
                let mut tally = Tally::default();
                $(tally.count(const { Group::$group.family() }, &self.$name);)*
                tally
            }
        }
    };
}

readings! {
    /// The device against the account's own past.
    device: Standing, Device;
    /// What its change of look weighs, if it changed.
    changed: Points, Device;
    /// About how many accounts use the device.
    accounts: u8, Device;
    /// Whether others have used it well.
    vouched: bool, Device;
    /// The client's software against itself.
    guise: Guise, Client;
    /// The network against the account's own past.
    network: Place, Network;
    /// Whether the account knows the country.
    country: bool, Network;
    /// What lists say of the address.
    listed: Marks, Network;
    /// The account's own past.
    past: Past, Network;
    /// Failed sign-ins of the account from other devices, decayed.
    account_failures: f32, Pressure;
    /// Failed sign-ins of the device, decayed.
    device_failures: f32, Pressure;
    /// Guessing where the request comes from.
    guessing: Guessing, Pressure;
    /// Guessing on the whole site.
    attack: Points, Pressure;
    /// How quickly a sign-in followed its page.
    page: Pace, Journey;
    /// How quickly a change followed the request before.
    pace: Pace, Journey;
    /// Whether something of the account was changed in this session.
    after_change: bool, Journey;
    /// Whether the password was reset within a day.
    after_reset: bool, Journey;
    /// The session against its beginning.
    continuity: Continuity, Session;
    /// What its sign-in left in doubt.
    doubt: Points, Session;
    /// What the session has proved.
    session: Proof, Authentication;
    /// What is known to have leaked.
    exposure: Exposure, Exposure;
    /// Whether the account is on the list of our own breach.
    account_breached: bool, Exposure;
    /// How long ago the account's credentials were reported as compromised, if they were.
    compromised: Option<Duration>, Exposure;
    /// How risky another system holds the account, and since when.
    risk: Option<(Risk, Duration)>, Exposure;
}

/// Readings of each family: five bits for those that were asked for, for those that are known, for those that a fault hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::judge) struct Tally(u64);

const _: () = assert!(Readings::COUNT < 1 << Tally::BITS && 3 * Tally::FAMILIES * Tally::BITS <= u64::BITS);

impl Tally {
    const BITS: u32 = 5;
    const FAMILIES: u32 = Family::ALL.len() as u32;
    const KNOWN: u32 = Self::FAMILIES * Self::BITS;
    const FAULT: u32 = 2 * Self::KNOWN;

    /// Counts one reading. What the client did not send is no gap.
    #[inline]
    pub(in crate::judge) fn count<T>(&mut self, family: Family, reading: &Reading<T>) {
        const ASKED: u64 = 1;
        let one = match reading {
            Reading::Known(_) | Reading::Unknown(Why::Missing) => ASKED | 1 << Self::KNOWN,
            Reading::Unknown(Why::NotAsked) => 0,
            Reading::Unknown(Why::Stale | Why::Down | Why::Distrusted) => ASKED | 1 << Self::FAULT,
            Reading::Unknown(Why::Ambiguous | Why::Proxied) => ASKED,
        };
        self.0 += one << (family as u32 * Self::BITS);
    }

    /// Whether nothing was asked for.
    pub(in crate::judge) const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether all that was asked for is known.
    pub(in crate::judge) const fn is_whole(self) -> bool {
        self.0 >> Self::KNOWN == self.0 & ((1 << Self::KNOWN) - 1)
    }

    /// Whether a fault hides any.
    pub(in crate::judge) const fn has_fault(self) -> bool {
        self.0 >> Self::FAULT != 0
    }

    /// How many of a family were asked for, and how many of them are known.
    pub(in crate::judge) fn of(self, family: Family) -> (u32, u32) {
        let lane = |from: u32| (self.0 >> (from + family as u32 * Self::BITS) & ((1 << Self::BITS) - 1)) as u32;
        (lane(0), lane(Self::KNOWN))
    }
}

fn doubt<T>(reading: Reading<T>, family: Family, families: Families) -> Reading<T> {
    match reading {
        Reading::Unknown(Why::NotAsked) => reading,
        Reading::Known(_) | Reading::Unknown(_) if families.contain(family) => Reading::Unknown(Why::Distrusted),
        Reading::Known(_) | Reading::Unknown(_) => reading,
    }
}

/// `value` against the account's past: of a stranger to Weir everything is new, and without an account nothing is asked.
#[inline]
fn against<T, U>(
    account: Reading<&AccountHistory>,
    value: Reading<T>,
    stranger: U,
    known: impl FnOnce(&AccountHistory, T) -> U,
) -> Reading<U> {
    match (account, value) {
        (Reading::Known(history), Reading::Known(value)) => Reading::Known(known(history, value)),
        (Reading::Unknown(Why::Missing), Reading::Known(_)) => Reading::Known(stranger),
        (Reading::Unknown(Why::Missing) | Reading::Known(_), Reading::Unknown(why)) => Reading::Unknown(why),
        (Reading::Unknown(why), _) => Reading::Unknown(why),
    }
}

impl Readings {
    /// The readings of this request.
    pub fn of(seen: &Sighting<'_>, now: Moment) -> Self {
        let account = seen.account.known();
        let ties = account.map(|history| history.ties(&seen.at));
        let begun = seen.begun.known();
        let moved = match (account, seen.device.known()) {
            (Some(history), Some(device)) => history.moved(device, &seen.client),
            (Some(_), None) | (None, _) => Moved::default(),
        };
        let within_a_day = Duration::from_secs(super::DAY);
        Self {
            device: against(seen.account, seen.device, Standing::New, |history, device| history.standing(device)),
            changed: seen.device.map(|_| moved.weigh(seen.climate)),
            accounts: seen.device.map(|_| seen.record.map_or(0, DeviceRecord::accounts)),
            vouched: seen.device.map(|_| seen.record.is_some_and(|record| record.is_vouched_for(now))),
            guise: Guise::of(&seen.client),
            network: against(seen.account, Reading::Known(()), Place::New, |history, ()| history.place(&seen.at)),
            country: match ties {
                Some(ties) => ties.country,
                None => against(seen.account, seen.at.country, false, |_, _| false),
            },
            listed: seen
                .at
                .listed
                .map(|listed| Marks { listed, own: ties.map_or_else(Default::default, |t| t.listed) }),
            past: seen.account.map(|history| past(history, begun.as_ref(), now)),
            account_failures: seen.account.map(|history| history.failed_elsewhere(seen.device.known(), now)),
            device_failures: seen.device.map(|_| {
                let (tries, worked) = seen.device_tried.map_or((0.0, 0.0), |t| t.now(Shared::Device.half_life(), now));
                (tries - worked).max(0.0)
            }),
            guessing: seen.buckets.map(|buckets| Guessing::of(buckets.iter().flatten(), seen.climate, now)),
            attack: seen.buckets.map(|_| pressure::attack(seen.climate)),
            page: seen.since_page.map(Pace::of_sign_in),
            pace: match seen.changes {
                true => seen.begun.map(|begun| Pace::of_change(begun.since_last)),
                false => Reading::Unknown(Why::NotAsked),
            },
            after_change: match seen.changes {
                true => seen.begun.map(|begun| begun.changed),
                false => Reading::Unknown(Why::NotAsked),
            },
            after_reset: seen.account.map(|history| history.since_reset(now).is_some_and(|since| since < within_a_day)),
            continuity: seen.begun.map(|begun| Continuity {
                changed: begun.moved.weigh(seen.climate),
                country: begun.other_country && ties.is_none_or(|ties| ties.country.known() != Some(true)),
                alternates: begun.alternates,
            }),
            doubt: seen.begun.map(|begun| begun.doubt),
            session: seen.session,
            exposure: seen.exposure,
            account_breached: seen.account_breached,
            compromised: seen.account.map(|history| history.reports.compromised(now)),
            risk: seen.account.map(|history| history.reports.risk(now)),
            season: Season::from(seen.climate),
            ceiling: begun.and_then(|begun| begun.ceiling),
        }
    }

    /// What was read of the device.
    #[inline]
    pub(in crate::judge) const fn of_device(&self) -> device::Read {
        device::Read {
            device: self.device,
            changed: self.changed,
            accounts: self.accounts,
            vouched: self.vouched,
            past: self.past,
        }
    }

    /// What was read of the network.
    #[inline]
    pub(in crate::judge) const fn of_network(&self) -> network::Read {
        network::Read {
            network: self.network,
            country: self.country,
            listed: self.listed,
            past: self.past,
            season: self.season,
        }
    }

    /// Whether the account trusts the device of this request, and it looks as it should.
    pub fn on_trusted_device(&self) -> bool {
        self.of_device().is_trusted()
    }

    /// Those who report have been silent for longer than they may: what they have said stands, and that they said nothing says nothing.
    pub fn silenced_reports(&mut self) {
        if self.compromised == Reading::Known(None) {
            self.compromised = Reading::Unknown(Why::Stale);
        }
        if self.risk == Reading::Known(None) {
            self.risk = Reading::Unknown(Why::Stale);
        }
    }

    /// Whether this is a customer who has long been known, on a device that the account trusts: whose scores tell whether a source
    /// of readings can be right, and who gets by with one more proof while it is not believed.
    pub fn of_a_mature_customer(&self) -> bool {
        const AGE: Duration = Duration::from_secs(7 * super::DAY);
        self.past.known().is_some_and(|past| past.sign_ins >= 3 && past.age >= AGE) && self.on_trusted_device()
    }

    /// Whether the session goes on with a program or stack that hardly anybody moves to: somebody else may have it. After such a fall
    /// its confidence rises slowly. What goes to and fro between networks does not rise at all.
    pub fn session_changed(&self) -> bool {
        self.continuity.known().is_some_and(|now| now.changed <= device::SURPRISE)
    }

    /// The same, where it is hidden whose account it is: what its past says is not to be trusted, and so not to be gained by hiding.
    #[must_use]
    pub fn hidden_account(self) -> Self {
        const HIDDEN: Why = Why::Distrusted;
        Self {
            device: Reading::Unknown(HIDDEN),
            network: Reading::Unknown(HIDDEN),
            past: Reading::Unknown(HIDDEN),
            account_failures: Reading::Unknown(HIDDEN),
            ..self
        }
    }

    /// Whether the client comes from where strangers are guessing: from its address's success it is as likely as not that a
    /// sign-in there is a guess (three and a half failures more than successes explain), or its device has failed that often
    /// itself. Never on a device that the account trusts; what a fault hides counts as guessing; what was never seen does not.
    pub fn contaminated(&self) -> bool {
        if self.device.known().is_some_and(Standing::is_trusted) {
            return false;
        }
        let network = match self.guessing {
            Reading::Known(guessing) => guessing.share >= pressure::CONTAMINATED,
            Reading::Unknown(why) => why.is_fault(),
        };
        let device = match self.device_failures {
            Reading::Known(failures) => failures >= pressure::GUESSES,
            Reading::Unknown(why) => why.is_fault(),
        };
        network || device
    }
}

/// How the owner usually comes, and how long ago they last did. Within a session that is its last request, and on the network that
/// it began on, what it was before its sign-in.
fn past(history: &AccountHistory, begun: Option<&Begun>, now: Moment) -> Past {
    let past = history.past(now);
    let Some(begun) = begun else { return past };
    let since_last = match begun.gap_before {
        Some(gap) => gap.0,
        None => past.since_last.map(|since| since.min(begun.since_last)),
    };
    Past { since_last, ..past }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_of_readings_is_what_their_states_say() {
        let whys = [Why::Missing, Why::NotAsked, Why::Ambiguous, Why::Stale, Why::Down, Why::Distrusted, Why::Proxied];
        for (one, other) in whys.into_iter().flat_map(|one| whys.map(|other| (one, other))) {
            let readings = Readings {
                device: Reading::Unknown(one),
                vouched: Reading::Known(false),
                network: Reading::Unknown(other),
                risk: Reading::Known(None),
                ..Readings::default()
            };
            let mut counted = Tally::default();
            readings.states().iter().for_each(|(group, state)| counted.count(group.family(), state));
            assert_eq!(readings.tally(), counted);
            assert_eq!(counted.has_fault(), one.is_fault() || other.is_fault());
            let known = |why| u32::from(why == Why::Missing);
            let asked = |why| u32::from(why != Why::NotAsked);
            assert_eq!(counted.of(Family::Device), (1 + asked(one), 1 + known(one)));
            assert_eq!(counted.of(Family::Behaviour), (asked(other), known(other)));
            assert_eq!(counted.of(Family::Exposure), (1, 1));
            assert_eq!(counted.is_whole(), asked(one) == known(one) && asked(other) == known(other));
        }
        assert!(Readings::default().tally().is_nothing());
    }
}
