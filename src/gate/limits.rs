//! Limits on the path: a request that the judge has cleared is counted before it takes a slot.
//!
//! It is counted at once and given back when its answer turns out not to count: so guesses sent side by side, or by clients that
//! hang up before the answer, count like any others. A request that is refused, here or for want of room, is not counted at
//! all, so asking again moves no told time. A limit in shadow goes the same way over cells of its own and refuses nothing.

use std::time::Duration;

use http::{StatusCode, request};
use smallvec::SmallVec;

use super::Gate;
use super::context::Context;
use super::cors::is_preflight;
use super::notice::Notice;
use super::own::Own;
use super::prepared::Prepared;
use super::ratelimit::{self, Policy};
use super::record::Record;
use crate::clock::Moment;
use crate::judge::history::DeviceRecord;
use crate::judge::signals::device::Standing;
use crate::memory::limits::account_on;
use crate::rules::limits::{Key, Limit};
use crate::subject::Account;

/// What one request was counted for. Dropped without a word, it stays counted.
#[derive(Debug, Default)]
#[must_use = "the answer decides what stays counted"]
pub struct Charged(SmallVec<[(u16, u64); 2]>);

/// Counts a request for every limit that it meets.
///
/// # Errors
/// The notice with the time to come back, when one of them is used up. Of several, the longest wait is told, so that the
/// promise is kept.
pub fn charge(gate: &Gate, context: &Context<'_>, head: &request::Parts, record: &mut Record) -> Result<Charged, Own> {
    let prepared = context.prepared;
    let limits = &prepared.rules().limits;
    let mut charged = Charged::default();
    if is_preflight(&head.method, &head.headers) {
        return Ok(charged);
    }
    let mut held: Option<(Moment, u16)> = None;
    for &at in limits.of(context.journey) {
        let (Some(limit), Some(limiter)) = (limits.all().get(usize::from(at)), prepared.limiter(at)) else { continue };
        if !limit.younger_than.is_none_or(|age| is_younger(gate, context, age)) {
            continue;
        }
        let key = limiter.salt ^ who(gate, context, head, limit);
        match limiter.limiter.charge(key, context.now) {
            Ok(()) => charged.0.push((at, key)),
            Err(_) if limit.shadow => {
                limiter.shadow.add(1);
                record.would_limit(at);
            }
            Err(earliest) => {
                let told = earliest.plus(spread(limit, key));
                held = held.max(Some((told, at)));
            }
        }
    }
    let Some((told, at)) = held else {
        for (at, _) in &charged.0 {
            prepared.limiter(*at).into_iter().for_each(|limiter| limiter.passed.add(1));
        }
        return Ok(charged);
    };
    charged.give_back(prepared);
    prepared.limiter(at).into_iter().for_each(|limiter| limiter.limited.add(1));
    record.limited(at);
    let mut notice = Notice::throttle(seconds_until(told, context.now));
    if let Some(limit) = limits.all().get(usize::from(at)) {
        let policy = Policy { name: &limit.name, quota: limit.rate.count.get(), window: limit.rate.per };
        notice.fields.extend(ratelimit::fields(policy, seconds_until(told, context.now)));
    }
    Err(Own::Held(Box::new(notice)))
}

impl Charged {
    /// The request was not sent on: it is not counted.
    pub fn give_back(self, prepared: &Prepared) {
        for (at, key) in self.0 {
            prepared.limiter(at).into_iter().for_each(|limiter| limiter.limiter.give_back(key));
        }
    }

    /// The upstream's answer, or that there is none: limits that count by outcome keep what they name.
    pub fn answered(self, prepared: &Prepared, status: Option<StatusCode>) {
        for (at, key) in self.0 {
            let Some(counts) = prepared.rules().limits.all().get(usize::from(at)).and_then(|limit| limit.counts) else {
                continue;
            };
            if !status.is_some_and(|status| counts.contains(status.as_u16())) {
                prepared.limiter(at).into_iter().for_each(|limiter| limiter.limiter.give_back(key));
            }
        }
    }
}

/// Whole seconds until a told time, rounded up; at least one, because 0 makes some clients resend at once.
pub fn seconds_until(told: Moment, now: Moment) -> u32 {
    u32::try_from(told.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// Up to a tenth of the limit's interval, the same for one client however often it asks: those who were told at once do not
/// come back at once.
fn spread(limit: &Limit, key: u64) -> Duration {
    let share = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    let most = u64::try_from(limit.rate.interval().as_millis() / 10).unwrap_or(u64::MAX);
    Duration::from_millis(most.saturating_mul(share) / 1024)
}

/// Whether the request is for an account that has been known for less than this. One that was never seen is as young as can be; a
/// request for no account is not for a young one.
fn is_younger(gate: &Gate, context: &Context<'_>, than: Duration) -> bool {
    let Some(account) = context.account.known() else { return false };
    let history = gate.shared.memory.accounts.read(account.bits());
    history.is_none_or(|history| history.past(context.now).age < than)
}

/// Whose request this is, for this limit. Where a request does not have it, its client stands in: leaving it out buys nothing.
fn who(gate: &Gate, context: &Context<'_>, head: &request::Parts, limit: &Limit) -> u64 {
    let found = match &limit.key {
        Key::Account => context.account.known().map(|account| account_or_own_device(gate, context, account)),
        Key::Client => None,
        Key::Device => return device(gate, context).unwrap_or(context.network.bits()),
        // New accounts are counted together: a cookie that one of them has kept for a day makes it no customer.
        Key::Network if limit.younger_than.is_some() => return context.network.bits(),
        // A network is shared: whoever uses up its allowance by guessing does not lock out those on devices of their own.
        Key::Network => return own_device(gate, context).unwrap_or(context.network.bits()),
        Key::Header(name) => {
            let mut values = head.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => None,
                (Some(only), None) => Some(gate.shared.names.key(&[only.as_bytes()])),
                (Some(_), Some(_)) => {
                    let all: SmallVec<[&[u8]; 8]> =
                        head.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
                    Some(gate.shared.names.key(&all))
                }
            }
        }
    };
    found.unwrap_or_else(|| context.client_key(gate))
}

/// A device on which somebody has come in. Others are handed out to whoever asks.
fn device(gate: &Gate, context: &Context<'_>) -> Option<u64> {
    let device = context.device.known()?.bits();
    gate.shared.memory.devices.read(device).filter(DeviceRecord::has_worked).map(|_| device)
}

/// The account; on a device that it trusts, the account there. So a stranger who uses up an account's allowance does not
/// lock its owner out.
fn account_or_own_device(gate: &Gate, context: &Context<'_>, account: Account) -> u64 {
    own_device(gate, context).unwrap_or(account_on(account, None))
}

/// The account on a device that it trusts.
fn own_device(gate: &Gate, context: &Context<'_>) -> Option<u64> {
    let (account, device) = (context.account.known()?, context.device.known()?);
    let history = gate.shared.memory.accounts.read(account.bits())?;
    matches!(history.standing(device), Standing::Trusted { .. }).then(|| account_on(account, Some(device)))
}
