//! What is remembered of everybody who is in one request, as the judge's readings; and what one answer teaches all of them.
//!
//! The gateway and `weir eval` both go through here, so that what is measured is what runs. It must never wait, and never let a
//! stranger's sign-in teach what a trusted device is.

use std::hint::black_box;
use std::sync::PoisonError;
use std::time::Duration;

use super::table::{Door, Doors};
use super::{Memory, SessionFacts};
use crate::clock::Moment;
use crate::confidence::{Points, Reading, Why};
use crate::judge::history::{AccountHistory, Changes, Climate, Earned, Observation, Shared, Tried, Visit};
use crate::judge::score::{Scored, Source};
use crate::judge::seen::{Client, Kind, Whereabouts};
use crate::judge::signals::authentication::{Proof, resists_phishing};
use crate::judge::signals::exposure::Exposure;
use crate::judge::signals::network::Place;
use crate::judge::signals::{Buckets, Readings, Sighting};
use crate::rules::ruleset::Level;
use crate::rules::signal::{Group, Signal};
use crate::subject::{Account, Device};
use crate::swap::Reader;

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

/// Each bucket that is there with what it is about.
fn together(keys: [Option<(Shared, u64)>; 5], found: [Option<Tried>; 5]) -> Buckets {
    let mut buckets = Buckets::default();
    for ((bucket, key), tried) in buckets.iter_mut().zip(keys).zip(found) {
        if let (Some((shared, _)), Some(tried)) = (key, tried) {
            *bucket = Some((shared, tried));
        }
    }
    buckets
}

impl Memory {
    /// The readings of one request.
    pub fn readings(&self, asking: &Asking, now: Moment) -> Readings {
        self.readings_in(asking, &self.climate.load(), now)
    }

    /// The same, by a worker that has its own reader of what is known of everybody ([`Self::weather`]).
    pub fn readings_in(&self, asking: &Asking, climate: &Climate, now: Moment) -> Readings {
        let (account, device) = (asking.account.known(), asking.device.known());
        // What is read lies far apart: all of it is fetched at the same time.
        let mut history = account.and_then(|account| self.accounts.door(account.bits()));
        let mut record = Doors::of(&self.devices, [device.map(Device::bits)]);
        let own = device.map(|device| key(Shared::Device, device.bits()));
        let mut device_tried = Doors::of(&self.shared, [own]);
        let mut buckets = asking.signs_in.then(|| {
            let keys = keys(&asking.at, &asking.client);
            let [a, b, c, d, e] = keys;
            let only = |key: Option<(Shared, u64)>| key.map(|(_, key)| key);
            (keys, Doors::of(&self.shared, [only(a), only(b), only(c), only(d), only(e)]))
        });
        let knocked = history.as_ref().map_or(0, Door::knock) ^ record.knock() ^ device_tried.knock();
        black_box(buckets.as_ref().map_or(knocked, |(_, doors)| doors.knock() ^ knocked));
        black_box(history.as_mut().and_then(Door::find).map_or(0, AccountHistory::fetch));
        record.copy();
        device_tried.copy();
        if let Some((_, doors)) = &mut buckets {
            doors.copy();
            doors.leave();
        }
        record.leave();
        device_tried.leave();
        let ([record], [device_tried]) = (record.found(), device_tried.found());
        let buckets = buckets.map(|(keys, doors)| together(keys, doors.found()));

        let mut history = match account {
            Some(account) => history.or_else(|| Some(self.accounts.enter(account.bits()))),
            None => None,
        };
        // Where it stands, without a copy, unless time brings something in that has waited.
        let mut settled;
        let history = match history.as_mut().and_then(Door::find) {
            Some(history) if history.is_to_settle(now) => {
                settled = *history;
                settled.settle(now);
                Some(&settled)
            }
            history => history,
        };
        let browser = asking.client.software.known().is_some_and(|software| software.kind == Kind::Browser);
        let since_page = match asking.signs_in && browser {
            true => Reading::Known(device.and_then(|device| self.pages.since(device, now))),
            false => Reading::Unknown(Why::NotAsked),
        };
        let visit = asking.visit(None);
        let mut readings = Readings::of(
            &Sighting {
                account: match (history, asking.account) {
                    (Some(history), _) => Reading::Known(history),
                    (None, Reading::Known(_)) => Reading::Unknown(Why::Missing),
                    (None, Reading::Unknown(why)) => Reading::Unknown(why),
                },
                device: asking.device,
                record: record.as_ref(),
                device_tried,
                at: asking.at,
                client: asking.client,
                buckets: buckets.as_ref().map_or(Reading::Unknown(Why::NotAsked), Reading::Known),
                climate,
                since_page,
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
        // Nearly every request teaches nothing, and so nothing is copied for it.
        let teaches = |before: &AccountHistory| {
            let changes = || !before.moved(device, &visit.client).is_none() || before.is_first_today(device, now);
            before.is_trusted(device) && (changes() || before.place(&visit.at) != Place::Known)
        };
        let before = self.accounts.look(account.bits(), |before| teaches(before).then_some(*before));
        let Some(before) = before.flatten() else { return false };
        let moved = before.moved(device, &visit.client);
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

    /// The same for one worker, whose every request reads it.
    pub fn weather(&self) -> Reader<Climate> {
        self.climate.reader()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Places;
    use crate::subject::Network;

    const NOON: Moment = Moment::from_unix_seconds(1_793_620_800);

    fn asking(customer: u64, signs_in: bool) -> Asking {
        const NOT: Why = Why::NotAsked;
        let bits = customer.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let network = Network::from_bits(bits);
        let provider = Reading::Known(7);
        Asking {
            account: Reading::Known(Account::from_bits(bits)),
            device: Reading::Known(Device::from_bits(bits)),
            at: Whereabouts {
                network,
                range: network,
                provider,
                country: Reading::Known(*b"GB"),
                listed: Reading::Unknown(NOT),
            },
            client: Client::default(),
            signs_in,
            changes: false,
            proof: Reading::Unknown(Why::Missing),
            facts: None,
            exposure: Reading::Unknown(NOT),
            account_breached: Reading::Unknown(NOT),
        }
    }

    #[test]
    fn workers_who_read_and_teach_of_the_same_customers_at_once_all_come_through() {
        let memory = Memory::new(&Places::default());
        std::thread::scope(|workers| {
            for worker in 0..4_u64 {
                let memory = &memory;
                workers.spawn(move || {
                    for step in 0..2_000 {
                        let asking = asking((step + worker) % 7, step % 3 == 0);
                        let readings = memory.readings(&asking, NOON);
                        assert!(readings.device.known().is_some());
                        let earned = (step % 2 == 0).then_some(Earned::Assured);
                        memory.signed_in(asking.account.known(), &asking.visit(None), false, earned, NOON);
                    }
                });
            }
        });
        let readings = memory.readings(&asking(1, true), NOON);
        assert!(readings.guessing.known().is_some_and(|guessing| guessing.share > 0.2), "half of them failed");
    }
}
