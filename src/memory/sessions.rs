//! What is remembered of one session: whose it is, how it began, and what it has proved.
//!
//! A level is remembered by a digest of its name, never by its place: after a reload the place may mean another level.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::judge::signals::Gap;
use crate::judge::signals::authentication::Proof;
use crate::rules::ruleset::{Level, RuleSet};
use crate::subject::{Account, Device, Network, Session};

use super::table::Worth;

/// One session, at most 72 bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SessionFacts {
    /// No account when zero.
    account: u64,
    /// No device when zero.
    device: u64,
    /// The network that it began on.
    pub network: Network,
    level: u64,
    gap: u32,
    /// When the proof was given.
    pub proof_at: Moment,
    last_seen: u32,
    /// The session that it went on from when its cookie changed, for what was signed for that one.
    pub began_as: Option<Session>,
    /// Opened only as far as its step-up.
    pub held: bool,
}

const _: () = assert!(size_of::<SessionFacts>() <= 72);

/// No success before this session.
const NO_GAP: u32 = u32::MAX;
/// Thirty days: what is idle for longer is forgotten first.
const IDLE: u32 = 30 * 24 * 3600;

fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

impl SessionFacts {
    /// A session that begins now with this proof.
    pub fn begin(
        account: Option<Account>,
        device: Option<Device>,
        network: Network,
        rules: &RuleSet,
        level: Level,
        held: bool,
        now: Moment,
    ) -> Self {
        Self {
            account: account.map_or(0, Account::bits),
            device: device.map_or(0, Device::bits),
            network,
            level: digest(&rules.level(level).name),
            gap: NO_GAP,
            proof_at: now,
            last_seen: second(now),
            began_as: None,
            held,
        }
    }

    /// The same session, with how long before it the account's last success was.
    pub fn after(self, gap: Gap) -> Self {
        let seconds = gap.0.map_or(NO_GAP, |gap| u32::try_from(gap.as_secs()).unwrap_or(NO_GAP - 1).min(NO_GAP - 1));
        Self { gap: seconds, ..self }
    }

    /// How long before it the account's last success was.
    pub fn gap(&self) -> Gap {
        Gap((self.gap != NO_GAP).then(|| Duration::from_secs(u64::from(self.gap))))
    }

    /// Takes up a proof that was given now. A weaker one does not lower what was proved; only one as strong as a step-up's ends the
    /// hold.
    pub fn prove(&mut self, rules: &RuleSet, level: Level, now: Moment) {
        if self.level(rules).is_none_or(|had| level >= had) {
            self.level = digest(&rules.level(level).name);
            self.proof_at = now;
            self.held = self.held && rules.step_up.as_ref().is_some_and(|step_up| level < step_up.level);
        }
    }

    /// Notes that it was used.
    pub fn seen(&mut self, now: Moment) {
        self.last_seen = self.last_seen.max(second(now));
    }

    /// Whose it is; unknown when it was met after a restart and nobody has said since.
    pub fn account(&self) -> Option<Account> {
        (self.account != 0).then_some(Account::from_bits(self.account))
    }

    /// The device that it began on, if it had a cookie.
    pub fn device(&self) -> Option<Device> {
        (self.device != 0).then_some(Device::from_bits(self.device))
    }

    /// When it was last used.
    pub fn last_seen(&self) -> Moment {
        Moment::from_unix_seconds(u64::from(self.last_seen))
    }

    /// The level that it has proved, in this rule set; none when the rule set no longer has it.
    pub fn level(&self, rules: &RuleSet) -> Option<Level> {
        rules.level_where(|name| digest(name) == self.level)
    }

    /// What it has proved, for the judge. A level that the law no longer knows counts as the weakest.
    pub fn proof(&self, rules: &RuleSet) -> Option<Proof> {
        let level = self.level(rules).or_else(|| rules.weakest_level())?;
        Some(Proof { level, at: self.proof_at, held: self.held, bound: false })
    }
}

impl Default for SessionFacts {
    /// What stands in an empty place: nobody's session, held.
    fn default() -> Self {
        Self {
            account: 0,
            device: 0,
            network: Network::from_bits(0),
            level: 0,
            gap: NO_GAP,
            proof_at: Moment::default(),
            last_seen: 0,
            began_as: None,
            held: true,
        }
    }
}

impl Worth for SessionFacts {
    /// A held session is worth as much as a whole one: forgetting that it is held would open it.
    fn worth(&self, now: Moment) -> u8 {
        u8::from(second(now).saturating_sub(self.last_seen) <= IDLE)
    }
}

/// A digest of a level's name (FNV-1a): names are the operator's own, so nobody chooses them to collide.
fn digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
