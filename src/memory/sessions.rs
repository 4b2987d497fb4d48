//! What is remembered of one session: whose it is, how it began, how it goes on, and what it has proved.
//!
//! A level is remembered by a digest of its name, never by its place: after a reload the place may mean another level.

use std::time::Duration;

use crate::clock::Moment;
use crate::confidence::{Confidence, Points};
use crate::judge::history::Visit;
use crate::judge::seen::Stack;
use crate::judge::signals::authentication::Proof;
use crate::judge::signals::device::{Move, Moved};
use crate::judge::signals::{Begun, Gap};
use crate::rules::ruleset::{Level, RuleSet};
use crate::subject::{Account, Session};

use super::table::Worth;

/// One session, at most 54 bytes: packed, since what fills the gaps between fields would make it more.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[repr(C, packed(2))]
pub struct SessionFacts {
    /// No account when zero.
    account: u64,
    /// The session that it went on from when its cookie changed; none when zero.
    began_as: u64,
    level: u32,
    began: u32,
    proved: u32,
    /// In quarters of a second; they come round every 34 years.
    last: u32,
    /// The network that it began on, and the one that it was last on, as half of a hash.
    network: u32,
    last_network: u32,
    software: u16,
    stack: u16,
    country: u16,
    gap: u16,
    /// When something was last changed in it, in hours; they come round every seven years.
    changed: u16,
    doubt: i8,
    marks: u8,
    /// When it may be believed in full again, in steps of [`RISE`]; they come round every 273 days.
    whole: u16,
}

const _: () = assert!(size_of::<SessionFacts>() <= 54, "with its key and mark a session stays within 64 bytes");

/// No success before this session.
const NO_GAP: u16 = u16::MAX;
/// A gap is counted in half minutes up to ten days, and from there on in hours.
const HALF_MINUTES: u64 = 10 * 24 * 60 * 2;
/// What was changed in a session is of note for a day.
const CHANGED_FOR: u16 = 24;
/// Thirty days: what is idle for longer is forgotten first.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Back and forth between two networks within this, again and again, is two who share a session.
const BACK_AND_FORTH: Duration = Duration::from_secs(10 * 60);

/// Without a proof a session's confidence rises by a point in this time: ten in an hour.
const RISE: Duration = Duration::from_secs(360);

const HELD: u8 = 1;
const CHANGED: u8 = 2;
/// How often it came back to a network that it had left shortly before: two bits.
const RETURNS: u8 = 0b1100;
const RETURN: u8 = 0b0100;

fn rises(now: Moment) -> u16 {
    (now.unix_seconds() / RISE.as_secs()) as u16
}

fn second(now: Moment) -> u32 {
    u32::try_from(now.unix_seconds()).unwrap_or(u32::MAX)
}

fn quarters(now: Moment) -> u32 {
    (now.unix_millis() / 250) as u32
}

fn hour(now: Moment) -> u16 {
    (now.unix_seconds() / 3600) as u16
}

fn packed(gap: Duration) -> u16 {
    let halves = gap.as_secs() / 30;
    let packed = if halves < HALF_MINUTES { halves } else { HALF_MINUTES + (halves - HALF_MINUTES) / 120 };
    u16::try_from(packed).unwrap_or(NO_GAP - 1).min(NO_GAP - 1)
}

fn unpacked(gap: u16) -> Duration {
    let packed = u64::from(gap);
    let halves = if packed < HALF_MINUTES { packed } else { HALF_MINUTES + (packed - HALF_MINUTES) * 120 };
    Duration::from_secs(30 * halves)
}

fn country(visit: &Visit) -> u16 {
    visit.at.country.known().map_or(0, u16::from_be_bytes)
}

fn software(visit: &Visit) -> u16 {
    visit.client.software.known().map_or(0, |software| software.family)
}

fn stack(visit: &Visit) -> u16 {
    visit.client.stack.known().map_or(0, Stack::bits)
}

fn network(visit: &Visit) -> u32 {
    visit.at.network.bits() as u32
}

impl SessionFacts {
    /// A session that begins now with this proof.
    pub fn begin(
        account: Option<Account>,
        visit: &Visit,
        (rules, level): (&RuleSet, Level),
        held: bool,
        now: Moment,
    ) -> Self {
        Self {
            account: account.map_or(0, Account::bits),
            began_as: 0,
            level: digest(&rules.level(level).name),
            began: second(now),
            proved: second(now),
            last: quarters(now),
            network: network(visit),
            last_network: network(visit),
            software: software(visit),
            stack: stack(visit),
            country: country(visit),
            gap: NO_GAP,
            changed: 0,
            doubt: 0,
            marks: if held { HELD } else { 0 },
            whole: rises(now),
        }
    }

    /// The same session, with how long before it the account's last success was, and what its sign-in left in doubt.
    #[must_use]
    pub fn after(self, gap: Gap, doubt: Points) -> Self {
        let gap = gap.0.map_or(NO_GAP, packed);
        let doubt = i8::try_from(doubt.as_tenths().div_euclid(10).clamp(-100, 0)).unwrap_or(0);
        Self { gap, doubt, ..self }
    }

    /// How it began and goes on, seen from this request.
    pub fn begun(&self, visit: &Visit, now: Moment) -> Begun {
        let moved = |from: u16, to: u16| (from != 0 && to != 0 && from != to).then_some(Move { from, to });
        let other = |was: u16, is: u16| was != 0 && is != 0 && was != is;
        let moved = Moved { software: moved(self.software, software(visit)), stack: moved(self.stack, stack(visit)) };
        let gap = (self.gap != NO_GAP).then(|| unpacked(self.gap));
        Begun {
            moved,
            other_country: other(self.country, country(visit)),
            alternates: self.marks & RETURNS == RETURNS,
            gap_before: (self.network == network(visit)).then_some(Gap(gap)),
            since_last: self.since_last(now),
            changed: self.marks & CHANGED != 0 && hour(now).wrapping_sub(self.changed) <= CHANGED_FOR,
            doubt: Points::whole(i32::from(self.doubt)),
            // While it looks other than it began, that is weighed as it is: what many move to is no theft.
            ceiling: if moved.is_none() { self.ceiling(now) } else { None },
        }
    }

    /// How high its confidence may be now, after a fall; nothing once that has passed.
    fn ceiling(&self, now: Moment) -> Option<Confidence> {
        let steps = u8::try_from(self.whole.wrapping_sub(rises(now))).ok().filter(|steps| (1..=100).contains(steps))?;
        Confidence::line(100 - steps)
    }

    /// Whether this confidence is a fall: below what it may rise to from an earlier one.
    pub fn falls(&self, to: Confidence, now: Moment) -> bool {
        to.score() < self.ceiling(now).map_or(100, Confidence::score)
    }

    /// It fell to this, and rises from there.
    pub fn fell(&mut self, to: Confidence, now: Moment) {
        if self.falls(to, now) {
            self.whole = rises(now).wrapping_add(u16::from(100 - to.score()));
        }
    }

    fn since_last(&self, now: Moment) -> Duration {
        let passed = quarters(now).wrapping_sub(self.last);
        // A clock that stepped back reads as nothing.
        if passed > u32::MAX / 2 { Duration::ZERO } else { Duration::from_millis(250 * u64::from(passed)) }
    }

    /// Notes a request.
    pub fn went_on(&mut self, visit: &Visit, now: Moment) {
        let here = network(visit);
        if here != self.last_network {
            // Back where it began, shortly after it was elsewhere.
            if here == self.network && self.since_last(now) < BACK_AND_FORTH {
                self.marks = self.marks & !RETURNS | (self.marks & RETURNS).saturating_add(RETURN).min(RETURNS);
            }
            self.last_network = here;
        }
        self.last = quarters(now);
    }

    /// Takes its program and TLS stack as they are now: enough others made the same move, or its device is trusted with it.
    pub fn looks_like(&mut self, visit: &Visit, now: Moment) {
        self.whole = rises(now);
        (self.software, self.stack) = (software(visit), stack(visit));
    }

    /// Something of the account was changed in it.
    pub fn changed_something(&mut self, now: Moment) {
        self.marks |= CHANGED;
        self.changed = hour(now);
    }

    /// Takes up a proof that was given now. A weaker one does not lower what was proved; only one as strong as a step-up's ends the
    /// hold.
    pub fn prove(&mut self, rules: &RuleSet, level: Level, now: Moment) {
        if self.level(rules).is_none_or(|had| level >= had) {
            self.level = digest(&rules.level(level).name);
            self.proved = second(now);
            self.doubt = 0;
            self.whole = rises(now);
            if rules.step_up.as_ref().is_none_or(|step_up| level >= step_up.level) {
                self.marks &= !HELD;
            }
        }
    }

    /// Opened only as far as its step-up.
    pub const fn is_held(&self) -> bool {
        self.marks & HELD != 0
    }

    /// Whether its last request is so long ago that it is worth noting another.
    pub fn is_due(&self, visit: &Visit, now: Moment) -> bool {
        self.last_network != network(visit) || self.since_last(now) >= Duration::from_millis(250)
    }

    /// The same, begun then.
    #[must_use]
    pub fn began_at(self, at: Moment) -> Self {
        Self { began: second(at), ..self }
    }

    /// Whether its program was known when it began, and is not now.
    pub fn is_hidden(&self, visit: &Visit) -> bool {
        self.software != 0 && software(visit) == 0
    }

    /// The same, with a proof that was given then.
    #[must_use]
    pub fn proved_at(self, at: Moment) -> Self {
        Self { proved: second(at), ..self }
    }

    /// Whose it is; unknown when it was met after a restart and nobody has said since.
    pub fn account(&self) -> Option<Account> {
        (self.account != 0).then_some(Account::from_bits(self.account))
    }

    /// The session that it went on from when its cookie changed, for what was signed for that one.
    pub fn began_as(&self) -> Option<Session> {
        (self.began_as != 0).then_some(Session::from_bits(self.began_as))
    }

    /// Notes the session that it goes on from, if none was noted.
    pub fn goes_on_from(&mut self, session: Option<Session>) {
        if self.began_as == 0 {
            self.began_as = session.map_or(0, Session::bits);
        }
    }

    /// When it began.
    pub fn began(&self) -> Moment {
        Moment::from_unix_seconds(u64::from(self.began))
    }

    /// The level that it has proved, in this rule set; none when the rule set no longer has it.
    pub fn level(&self, rules: &RuleSet) -> Option<Level> {
        rules.level_where(|name| digest(name) == self.level)
    }

    /// What it has proved, for the judge. A level that the law no longer knows counts as the weakest.
    pub fn proof(&self, rules: &RuleSet) -> Option<Proof> {
        let level = self.level(rules).or_else(|| rules.weakest_level())?;
        let at = Moment::from_unix_seconds(u64::from(self.proved));
        Some(Proof { level, at, held: self.is_held(), bound: false })
    }

    /// How long it has been idle.
    pub fn idle(&self, now: Moment) -> Duration {
        self.since_last(now)
    }
}

impl Worth for SessionFacts {
    /// A held session is worth as much as a whole one: forgetting that it is held would open it.
    fn worth(&self, now: Moment) -> u8 {
        u8::from(self.idle(now) <= IDLE)
    }
}

/// A digest of a level's name (FNV-1a): names are the operator's own, so nobody chooses them to collide.
fn digest(name: &str) -> u32 {
    let wide = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (wide ^ wide >> 32) as u32
}
