//! What is remembered of everybody who is in one request, as the judge's readings; and what one answer teaches all of them.
//!
//! The gateway and `weir eval` both go through here, so that what is measured is what runs. It must never wait, and never let a
//! stranger's sign-in teach what a trusted device is.

use std::sync::PoisonError;
use std::time::Duration;

use super::{Memory, SessionFacts};
use crate::clock::Moment;
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::{AccountHistory, Changes, Climate, Earned, Observation, Shared, Visit};
use crate::judge::score::{Scored, Source};
use crate::judge::seen::{Client, Kind, Whereabouts};
use crate::judge::signals::authentication::{Proof, resists_phishing};
use crate::judge::signals::exposure::Exposure;
use crate::judge::signals::network::Place;
use crate::judge::signals::{Buckets, Readings, Sighting};
use crate::rules::ruleset::Level;
use crate::rules::signal::{Group, Signal};
use crate::subject::{Account, Device};

/// How often everybody together is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// From this score a sign-in is believed: its device is trusted, its network known.
const TRUST_LINE: Points = Points::whole(16);

/// Who asks, as far as one request shows.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Whose account: verified in a session, claimed at a sign-in.
    pub account: Reading<Account>,
    /// The device, by its cookie.
    pub device: Reading<Device>,
    /// Where it comes from.
    pub at: Whereabouts,
    /// With which program.
    pub client: Client,
    /// It is a sign-in: what it shares with others is looked at.
    pub signs_in: bool,
    /// It changes something of the account, or costs money.
    pub changes: bool,
    /// What the session has proved.
    pub proof: Reading<Proof>,
    /// What is remembered of its session.
    pub facts: Option<SessionFacts>,
    /// What the breach corpus says.
    pub exposure: Reading<Exposure>,
    /// Whether the account is on the list of our own breach.
    pub account_breached: Reading<bool>,
}

impl Asking {
    /// The same, as it is learned from. `given` is the device that the answer hands out.
    pub fn visit(&self, given: Option<Device>) -> Visit {
        Visit { device: self.device.known().or(given), at: self.at, client: self.client }
    }
}

/// The key of a bucket.
fn key(shared: Shared, bits: u64) -> u64 {
    (bits ^ (shared as u64 + 1) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The keys of what a request shares with others.
fn keys(at: &Whereabouts, client: &Client) -> [Option<(Shared, u64)>; 5] {
    let of = |shared, bits: Option<u64>| bits.map(|bits| (shared, key(shared, bits)));
    [
        of(Shared::Address, Some(at.network.bits())),
        of(Shared::Range, Some(at.range.bits())),
        of(Shared::Provider, at.provider.known().map(u64::from)),
        of(Shared::Program, client.software.known().map(|software| software.agent)),
        of(Shared::Fingerprint, client.fingerprint.known()),
    ]
}

impl Memory {
    /// The readings of one request.
    pub fn readings(&self, asking: &Asking, now: Moment) -> Readings {
        let history = asking.account.known().map(|account| {
            let mut history = self.accounts.read(account.bits());
            if let Some(history) = &mut history {
                history.settle(now);
            }
            history
        });
        let account = match (&history, asking.account) {
            (Some(Some(history)), _) => Reading::Known(history),
            (Some(None), _) => Reading::Unknown(Why::Missing),
            (None, Reading::Unknown(why)) => Reading::Unknown(why),
            (None, Reading::Known(_)) => Reading::Unknown(Why::Missing),
        };
        let device = asking.device.known();
        let record = device.and_then(|device| self.devices.read(device.bits()));
        let device_tried = device.and_then(|device| self.shared.read(key(Shared::Device, device.bits())));
        let buckets = asking.signs_in.then(|| self.buckets(&asking.at, &asking.client));
        let browser = asking.client.software.known().is_some_and(|software| software.kind == Kind::Browser);
        let climate = self.climate.load();
        let visit = asking.visit(None);
        let mut readings = Readings::of(
            &Sighting {
                account,
                device: asking.device,
                record: record.as_ref(),
                device_tried,
                at: asking.at,
                client: asking.client,
                buckets: buckets.as_ref().map_or(Reading::Unknown(Why::NotAsked), Reading::Known),
                climate: &climate,
                since_page: match asking.signs_in && browser {
                    true => Reading::Known(device.and_then(|device| self.pages.since(device, now))),
                    false => Reading::Unknown(Why::NotAsked),
                },
                changes: asking.changes,
                session: asking.proof,
                begun: asking
                    .facts
                    .map_or(Reading::Unknown(Why::NotAsked), |facts| Reading::Known(facts.begun(&visit, now))),
                exposure: asking.exposure,
                account_breached: asking.account_breached,
            },
            now,
        );
        if self.transmitters.is_stale() {
            readings.silenced_reports();
        }
        readings
    }

    fn buckets(&self, at: &Whereabouts, client: &Client) -> Buckets {
        keys(at, client).map(|key| key.and_then(|(shared, key)| Some((shared, self.shared.read(key)?))))
    }

    /// Learns from a sign-in that the upstream has answered. `trusted`: it came from a device that the account trusts, as
    /// [`Readings::on_trusted_device`] said before the answer.
    pub fn signed_in(
        &self,
        account: Option<Account>,
        visit: &Visit,
        trusted: bool,
        earned: Option<Earned>,
        now: Moment,
    ) {
        let worked = earned.is_some();
        self.population(now, |population| population.signed_in(trusted, worked, now));
        if !trusted {
            for (shared, key) in keys(&visit.at, &visit.client).into_iter().flatten() {
                self.shared.update(key, now, |tried| tried.count(worked, shared.half_life(), now));
            }
            if let Some(device) = visit.device {
                let key = key(Shared::Device, device.bits());
                self.shared.update(key, now, |tried| tried.count(worked, Shared::Device.half_life(), now));
            }
        }
        let Some(account) = account else { return };
        let before = self.accounts.read(account.bits()).unwrap_or_default();
        if let Some(device) = visit.device {
            let mature = before.is_mature(now) && before.has_another_device(device);
            self.devices.update(device.bits(), now, |record| record.count(device, account, worked, mature, now));
        }
        let observation = match earned {
            Some(earned) => Observation::SignInSucceeded { visit: *visit, earned },
            None => Observation::SignInFailed(*visit),
        };
        if worked && trusted {
            self.vouched(&before, visit, now);
        }
        self.accounts.update(account.bits(), now, |history| history.observe(&observation, now));
    }

    /// Learns from a proof that was passed.
    pub fn proved(&self, account: Account, visit: &Visit, level: Level, now: Moment) {
        let passed = Observation::StepUpPassed { visit: *visit, strong: resists_phishing(level) };
        self.accounts.update(account.bits(), now, |history| history.observe(&passed, now));
    }

    /// Learns from a password that was reset.
    pub fn reset(&self, account: Account, visit: &Visit, now: Moment) {
        self.accounts.update(account.bits(), now, |history| history.observe(&Observation::PasswordReset(*visit), now));
    }

    /// Learns from a request in a session on a trusted device, where there is something to learn. Says whether its look may be taken
    /// for what it is now.
    pub fn visited(&self, account: Account, visit: &Visit, now: Moment) -> bool {
        let Some(device) = visit.device else { return false };
        let Some(before) = self.accounts.read(account.bits()) else { return false };
        if !before.standing(device).is_trusted() {
            return false;
        }
        let moved = before.moved(device, &visit.client);
        if moved.is_none() && !before.is_first_today(device, now) && before.place(&visit.at) == Place::Known {
            return false;
        }
        self.vouched(&before, visit, now);
        let moved_with_others = moved.weigh(&self.climate.load()) > MOVES_ON;
        let observation = Observation::Visited { visit: *visit, moved_with_others };
        self.accounts.update_existing(account.bits(), |history| history.observe(&observation, now));
        moved_with_others
    }

    /// A customer on a trusted device tells what is usual. Only one who has long been known does, and a move of the device counts
    /// only where the customer is known to be.
    fn vouched(&self, before: &AccountHistory, visit: &Visit, now: Moment) {
        let Some(device) = visit.device else { return };
        if !before.is_mature(now) {
            return;
        }
        let moved = before.moved(device, &visit.client);
        let place = before.place(&visit.at);
        let counts_move = !moved.is_none() && place != Place::New && !before.has_noted(device, &moved);
        let counts_visit = before.is_first_today(device, now);
        if !counts_move && !counts_visit {
            return;
        }
        let ties = before.ties(&visit.at);
        let changes = Changes {
            network: !matches!(place, Place::Known | Place::Near),
            provider: place == Place::New,
            country: ties.country.known() == Some(false),
        };
        let looks =
            [visit.client.software.known().map(|s| s.family), visit.client.stack.known().map(|stack| stack.bits())];
        self.population(now, |population| {
            if counts_move {
                population.moved(&moved, now);
            }
            if counts_visit {
                population.visited(looks, changes, now);
            }
        });
    }

    /// Changes what is known of everybody, and publishes it once a second.
    fn population(&self, now: Moment, change: impl FnOnce(&mut crate::judge::history::Population)) {
        let mut everybody = self.population.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut everybody.population);
        everybody.changes += 1;
        if now.since(everybody.published) >= LOOK || everybody.published > now {
            everybody.published = now;
            self.climate.store(std::sync::Arc::new(everybody.population.climate(now)));
        }
    }

    /// What is known of everybody now.
    pub fn climate(&self) -> std::sync::Arc<Climate> {
        self.climate.load()
    }
}

/// Above this a device's move is one that enough others make.
const MOVES_ON: Points = Points::whole(-6);

/// What a sign-in of this score has earned. `challenged`: it was let in only as far as its step-up.
pub fn earned(scored: &Scored, challenged: bool) -> Earned {
    match scored.sum() {
        _ if challenged => Earned::Nothing,
        sum if sum >= TRUST_LINE => Earned::Assured,
        _ => Earned::Seen,
    }
}

/// What a sign-in leaves in doubt for its session: what spoke of guessing, of haste and of a leak.
pub fn doubt(scored: &Scored) -> Points {
    scored
        .lines()
        .iter()
        .filter(|line| match line.source {
            Source::Signal(Signal::NoPage | Signal::PairLeaked | Signal::PasswordLeaked) => true,
            Source::Signal(signal) => signal.about().group == Group::Pressure,
            Source::Prior | Source::Limit(_) | Source::Ceiling => false,
        })
        .map(|line| line.points)
        .sum::<Points>()
        .min(Points::ZERO)
        .half()
}
