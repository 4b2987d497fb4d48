//! Guards on the sources of readings: what each group of signals says of customers who have long been known, and whether that moved
//! further and faster than it can when the source is right. Nobody says who was honest: a customer who is known, on a device that
//! the account trusts, is known without it.
//!
//! What is frozen never serves anybody better than one more proof would. It must never count what strangers can bring about: then
//! an attack could switch off what holds it.

use std::time::Duration;

use super::score::{Scored, Source};
use super::signals::{Readings, exposure, network};
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::Points;
use crate::rules::guards::{Groups, Guards};
use crate::rules::signal::Group;

const GROUPS: usize = Group::ALL.len();

/// What each group says of one customer who has long been known, in whole points. Where a trusted device would hide what a source
/// says, it is counted as it would weigh without one: the customers whom it hits are not those who are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toll {
    /// Before the upstream's answer, or in a session.
    pub stage: Stage,
    /// By group.
    pub points: [i8; GROUPS],
}

impl Toll {
    /// What is counted of these readings; nothing for everybody else.
    pub(super) fn of(readings: &Readings, scored: &Scored, stage: Stage) -> Option<Self> {
        // Who only names an account is not known to be its owner.
        if stage == Stage::Claim || !readings.of_a_mature_customer() {
            return None;
        }
        let mut tenths = [0_i32; GROUPS];
        for line in scored.lines() {
            let group = match line.source {
                Source::Prior | Source::Ceiling => continue,
                Source::Signal(signal) => signal.about().group,
                Source::Limit(group) => group,
            };
            tenths[group as usize] += line.points.as_tenths();
        }
        let clipped = |group: Group, sum: Points| {
            let (floor, cap) = group.limits(stage == Stage::Session);
            sum.clip(floor, cap).as_tenths()
        };
        let said = network::weigh(&readings.of_network(), false, stage);
        tenths[Group::Network as usize] =
            clipped(Group::Network, said.iter().flatten().map(|(_, points)| *points).sum());
        let after = |says| if stage == Stage::Session { says } else { None };
        let said = [
            exposure::weigh(readings.exposure, false, stage == Stage::Session),
            after(exposure::weigh_account(readings.account_breached, false)),
            after(exposure::weigh_compromise(readings.compromised, false)),
            after(exposure::weigh_risk(readings.risk)),
        ];
        tenths[Group::Exposure as usize] =
            clipped(Group::Exposure, said.iter().flatten().map(|(_, points)| *points).sum());
        let whole =
            |tenths: i32| i8::try_from(tenths.div_euclid(10)).unwrap_or(if tenths < 0 { i8::MIN } else { i8::MAX });
        let mut points = [0; GROUPS];
        for (points, tenths) in points.iter_mut().zip(tenths) {
            *points = whole(tenths);
        }
        Some(Self { stage, points })
    }
}

/// Whole points that are told apart: everything below the first and above the last counts as those.
const LOWEST: i8 = -56;
/// How many there are.
pub const SPAN: usize = 96;

/// Where points are counted.
pub fn bin(points: i8) -> usize {
    usize::try_from(i32::from(points.max(LOWEST)) - i32::from(LOWEST)).unwrap_or(0).min(SPAN - 1)
}

/// How often each number of points was seen.
pub type Counts = [u32; SPAN];

/// Those of every group, before the answer and in a session.
pub type Slice = [[Counts; GROUPS]; 2];

/// Slices in the time that a guard looks back.
const SLICES: usize = 10;
/// Fewer customers than this have no median that means anything.
const LEAST: u32 = 50;
/// What is usual follows a slow change within hours: over so many slices it goes half the way.
const HALF_WAY: f32 = 30.0;

/// The points that half of them are at or below; nothing for too few.
fn median(counts: &[u32; SPAN]) -> Option<f32> {
    let all: u32 = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    if all < LEAST {
        return None;
    }
    let mut seen = 0;
    let at = counts.iter().position(|count| {
        seen += count;
        seen >= all.div_ceil(2)
    })?;
    Some(at as f32 + f32::from(LOWEST))
}

/// How one group does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Frozen since then.
    pub frozen: Option<Moment>,
    /// By how many points its median is off, where it is furthest; nothing while there are too few customers.
    pub shift: Option<f32>,
    /// Back where it was since then, while it is frozen.
    calm: Option<Moment>,
}

/// What changed at a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// This group is not believed any more: its median moved by so many points.
    Frozen(Group, f32),
    /// It is believed again.
    Thawed(Group),
}

/// What is watched of all groups.
#[derive(Debug)]
pub struct Watch {
    slices: Vec<Box<Slice>>,
    next: usize,
    usual: [[Option<f32>; GROUPS]; 2],
    standing: [Standing; GROUPS],
    last: Option<Moment>,
}

impl Default for Watch {
    fn default() -> Self {
        let empty = || Box::new([[[0; SPAN]; GROUPS]; 2]);
        Self {
            slices: std::iter::repeat_with(empty).take(SLICES).collect(),
            next: 0,
            usual: [[None; GROUPS]; 2],
            standing: [Standing::default(); GROUPS],
            last: None,
        }
    }
}

impl Watch {
    /// Whether it is time to look again.
    pub fn is_due(&self, law: &Guards, now: Moment) -> bool {
        let slice = law.over / SLICES as u32;
        self.last.is_none_or(|last| last > now || now.since(last) >= slice)
    }

    /// How a group does.
    pub fn standing(&self, group: Group) -> Standing {
        self.standing[group as usize]
    }

    /// The groups that are not believed.
    pub fn frozen(&self) -> Groups {
        Group::ALL.into_iter().filter(|group| self.standing(*group).frozen.is_some()).collect()
    }

    /// Takes up what was counted since the last look, and says what changed.
    pub fn look(&mut self, counted: Slice, law: &Guards, now: Moment) -> Vec<Change> {
        let slice = (law.over / SLICES as u32).max(Duration::from_millis(1));
        // Time in which nobody looked is time in which nothing was seen.
        let passed = self.last.map_or(1, |last| now.since(last).as_nanos() / slice.as_nanos());
        for _ in 1..passed.min(SLICES as u128) {
            self.put([[[0; SPAN]; GROUPS]; 2]);
        }
        self.put(counted);
        self.last = Some(now);
        Group::ALL.into_iter().filter_map(|group| self.judge(group, law, now)).collect()
    }

    fn put(&mut self, slice: Slice) {
        if let Some(place) = self.slices.get_mut(self.next) {
            **place = slice;
        }
        self.next = (self.next + 1) % SLICES;
    }

    fn judge(&mut self, group: Group, law: &Guards, now: Moment) -> Option<Change> {
        let at = group as usize;
        let most = law.shift.as_tenths() as f32 / 10.0;
        let mut shift: Option<f32> = None;
        for stage in 0..2 {
            let mut seen = [0; SPAN];
            for slice in &self.slices {
                for (sum, count) in seen.iter_mut().zip(&slice[stage][at]) {
                    *sum += count;
                }
            }
            let Some(found) = median(&seen) else { continue };
            let usual = self.usual[stage][at].get_or_insert(found);
            let off = found - *usual;
            if off.abs() <= most {
                *usual += off * (1.0 - (-1.0 / HALF_WAY).exp2());
            }
            if shift.is_none_or(|other| off.abs() > other.abs()) {
                shift = Some(off);
            }
        }
        let believed = !law.on || law.trusted.contain(group);
        let standing = &mut self.standing[at];
        standing.shift = shift;
        let lurches = shift.is_some_and(|shift| shift.abs() > most) && !believed;
        match standing.frozen {
            None if lurches => {
                standing.frozen = Some(now);
                standing.calm = None;
                Some(Change::Frozen(group, shift.unwrap_or_default()))
            }
            None => None,
            Some(_) if believed => {
                // Somebody has looked: what is now is what is usual.
                for stage in &mut self.usual {
                    stage[at] = None;
                }
                self.thaw(group)
            }
            // Too few to tell are no calm.
            Some(_) if lurches || shift.is_none() => {
                standing.calm = None;
                None
            }
            Some(_) => {
                let calm = *standing.calm.get_or_insert(now);
                if now.since(calm) >= law.thaw_after { self.thaw(group) } else { None }
            }
        }
    }

    fn thaw(&mut self, group: Group) -> Option<Change> {
        let shift = self.standing[group as usize].shift;
        self.standing[group as usize] = Standing { shift, ..Standing::default() };
        Some(Change::Thawed(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::from_unix_seconds(1_800_000_000);

    fn minute(number: u64) -> Moment {
        START.plus(Duration::from_secs(60 * number))
    }

    /// A minute in which so many customers were counted, and the network said this of each.
    fn counted(customers: u32, network: i8) -> Slice {
        let mut slice = [[[0; SPAN]; GROUPS]; 2];
        for group in Group::ALL {
            let points = if group == Group::Network { network } else { 4 };
            slice[1][group as usize][bin(points)] = customers;
        }
        slice
    }

    /// Looks once a minute, and says in which minutes something changed.
    fn run(watch: &mut Watch, law: &Guards, minutes: std::ops::Range<u64>, network: i8) -> Vec<(u64, Change)> {
        let mut changes = Vec::new();
        for number in minutes {
            assert!(watch.is_due(law, minute(number)));
            changes.extend(watch.look(counted(40, network), law, minute(number)).into_iter().map(|c| (number, c)));
        }
        changes
    }

    #[test]
    fn a_group_that_lurches_is_frozen_within_its_time_and_thaws_by_itself_once_it_is_calm() {
        let (mut watch, law) = (Watch::default(), Guards::default());
        assert_eq!(run(&mut watch, &law, 0..30, 8), []);
        let changes = run(&mut watch, &law, 30..60, -9);
        let [(at, Change::Frozen(Group::Network, shift))] = changes[..] else { panic!("{changes:?}") };
        assert!((30..40).contains(&at) && (-17.5..-16.5).contains(&shift), "{changes:?}");
        assert_eq!(watch.frozen().iter().collect::<Vec<_>>(), [Group::Network]);
        // Half of the window is calm again after five minutes, and it must stay so for ten.
        let changes = run(&mut watch, &law, 60..90, 8);
        let [(at, Change::Thawed(Group::Network))] = changes[..] else { panic!("{changes:?}") };
        assert!((70..=80).contains(&at), "{changes:?}");
        assert!(watch.frozen().is_empty());
    }

    #[test]
    fn a_gain_is_a_lurch_too_and_a_slow_change_is_none() {
        let (mut watch, law) = (Watch::default(), Guards::default());
        run(&mut watch, &law, 0..30, 0);
        assert!(
            matches!(run(&mut watch, &law, 30..50, 7)[..], [(_, Change::Frozen(Group::Network, shift))] if shift > 5.0)
        );
        let mut watch = Watch::default();
        let mut at = 0;
        for points in 0..12 {
            assert_eq!(run(&mut watch, &law, at..at + 60, -points), []);
            at += 60;
        }
    }

    #[test]
    fn too_few_customers_freeze_nothing_and_thaw_nothing() {
        let (mut watch, law) = (Watch::default(), Guards::default());
        run(&mut watch, &law, 0..30, 8);
        for number in 30..60 {
            let few = watch.look(counted(4, -20), &law, minute(number));
            // While customers of before are still counted they outweigh the few.
            assert_eq!(few, [], "minute {number}");
        }
        run(&mut watch, &law, 60..70, 8);
        run(&mut watch, &law, 70..80, -9);
        assert!(!watch.frozen().is_empty());
        for number in 80..200 {
            watch.look(counted(1, 8), &law, minute(number));
        }
        assert!(!watch.frozen().is_empty(), "nobody has shown that it is calm");
    }

    #[test]
    fn what_a_person_trusts_is_never_frozen_and_thaws_at_once() {
        let (mut watch, law) = (Watch::default(), Guards::default());
        run(&mut watch, &law, 0..30, 8);
        run(&mut watch, &law, 30..45, -9);
        let looked = Guards { trusted: Groups::NONE.with(Group::Network), ..law };
        assert_eq!(run(&mut watch, &looked, 45..46, -9), [(45, Change::Thawed(Group::Network))]);
        // What it is now is what is usual, also when it is watched again.
        assert_eq!(run(&mut watch, &law, 46..90, -9), []);
        let off = Guards { on: false, ..law };
        assert_eq!(run(&mut watch, &off, 90..120, 8), []);
    }

    #[test]
    fn points_have_a_place_however_many_they_are() {
        assert_eq!((bin(i8::MIN), bin(LOWEST), bin(0), bin(i8::MAX)), (0, 0, 56, SPAN - 1));
    }
}
