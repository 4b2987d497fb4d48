//! How long each journey has been contained, in all: while it is, what is kept of it does not grow too old to be kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;

/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// A clock that moves by more than this between two looks has leapt.
const LEAP: Duration = Duration::from_secs(3600);
/// For how long a clock must have gone on evenly before anything is removed by it.
const STEADY: Duration = Duration::from_secs(600);

/// A journey that works for less than this in between has gone through one outage, not through two.
const ONE_OUTAGE: Duration = Duration::from_secs(24 * 3600);

/// A pause on the disk, in milliseconds: how long in all, since when, when its outage began, when it last ended; 0 for none.
pub(super) type Written = (u64, u64, u64, u64);

#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    total: Duration,
    since: Option<Moment>,
    began: Option<Moment>,
    ended: Option<Moment>,
}

impl Pause {
    fn total(&self, now: Moment) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn begin(&mut self, now: Moment) {
        let goes_on = self.ended.is_some_and(|ended| now.since(ended) < ONE_OUTAGE);
        self.began = self.began.filter(|_| goes_on).or(Some(now));
        self.since = Some(now);
    }

    fn end(&mut self, now: Moment) {
        self.total = self.total(now);
        (self.since, self.ended) = (None, Some(now));
    }
}

/// Of every journey that keeps answers, as it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Paused(BTreeMap<Box<str>, Pause>);

impl Paused {
    /// How long, until now.
    pub fn paused(&self, journey: &str, now: Moment) -> Duration {
        self.0.get(journey).map_or(Duration::ZERO, |pause| pause.total(now))
    }

    /// When the outage began that it is in now, if it is in one. Short times in between in which it worked do not end one.
    pub fn outage_since(&self, journey: &str) -> Option<Moment> {
        let pause = self.0.get(journey)?;
        pause.since.and(pause.began)
    }
}

/// The same, as it is written.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    all: Paused,
    swept: Moment,
    looked: Moment,
    steady: Moment,
}

impl Pauses {
    /// Takes up what the disk has. A journey that was contained when the process ended is taken to have been so since.
    pub fn load(&mut self, kept: BTreeMap<Box<str>, Written>) {
        let moment = |millis| (millis > 0).then_some(Moment::from_unix_millis(millis));
        for (journey, (total, since, began, ended)) in kept {
            let (since, began, ended) = (moment(since), moment(began), moment(ended));
            self.all.0.insert(journey, Pause { total: Duration::from_millis(total), since, began, ended });
        }
    }

    /// What the disk is to have.
    pub fn to_keep(&self) -> BTreeMap<Box<str>, Written> {
        let millis = |at: Option<Moment>| at.map_or(0, |at| at.unix_millis().max(1));
        let kept = |pause: &Pause| {
            let total = u64::try_from(pause.total.as_millis()).unwrap_or(u64::MAX);
            (total, millis(pause.since), millis(pause.began), millis(pause.ended))
        };
        self.all.0.iter().map(|(journey, pause)| (journey.clone(), kept(pause))).collect()
    }

    /// Notes whether a journey is contained; whether that is news.
    pub fn look(&mut self, journey: &str, contained: bool, now: Moment) -> bool {
        if self.all.0.get(journey).map_or(!contained, |pause| pause.since.is_some() == contained) {
            return false;
        }
        let pause = self.all.0.entry(journey.into()).or_default();
        match contained {
            true => pause.begin(now),
            false => pause.end(now),
        }
        true
    }

    /// What readers are to have.
    pub const fn all(&self) -> &Paused {
        &self.all
    }

    /// Whether it is time to look for what is too old; then it is not again for a while. By a clock that has just leapt, or begun,
    /// nothing is removed: it may be wrong, and be set right. What it makes too old is not shown meanwhile.
    pub fn sweep_is_due(&mut self, now: Moment) -> bool {
        if now.since(self.looked).max(self.looked.since(now)) > LEAP {
            self.steady = now;
        }
        self.looked = now;
        let due = now.since(self.steady) >= STEADY && (now < self.swept || now.since(self.swept) >= SWEEP);
        if due {
            self.swept = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn a_clock_that_leaps_removes_nothing_until_it_has_gone_on_evenly() {
        let mut pauses = Pauses::default();
        let mut due = |seconds: std::ops::Range<u64>| seconds.filter(|second| pauses.sweep_is_due(at(*second))).count();
        assert_eq!(due(0..600), 0, "it has just begun");
        assert_eq!(due(600..700), 10);
        let ahead = 100 * 24 * 3600;
        assert_eq!(due(ahead..ahead + 500), 0, "it is ahead, and perhaps wrong");
        assert_eq!(due(1_200..1_800), 0, "it was set right");
        assert!(due(1_800..1_900) >= 10);
        assert!(due(1_880..1_990) >= 9, "a clock that is corrected a little goes on evenly");
    }

    #[test]
    fn only_contained_time_counts_and_it_outlives_the_process() {
        let mut pauses = Pauses::default();
        assert!(!pauses.look("balance", false, at(0)) && pauses.look("balance", true, at(10)));
        assert!(!pauses.look("balance", true, at(20)));
        assert_eq!(pauses.all.paused("balance", at(30)), Duration::from_secs(20));
        assert!(pauses.look("balance", false, at(40)));
        assert_eq!(pauses.all.paused("balance", at(1_000)), Duration::from_secs(30));
        assert!(pauses.look("balance", true, at(1_000)));
        let mut again = Pauses::default();
        again.load(pauses.to_keep());
        assert_eq!(again.all.paused("balance", at(1_100)), Duration::from_secs(130));
        assert_eq!(
            again.all.paused("balance", at(900)),
            Duration::from_secs(30),
            "a clock that went back takes nothing"
        );
        assert_eq!(again.all.paused("orders", at(0)), Duration::ZERO);
    }

    #[test]
    fn an_hour_in_which_it_worked_does_not_end_an_outage_and_a_day_does() {
        const DAY: u64 = 24 * 3600;
        let mut pauses = Pauses::default();
        let since = |pauses: &Pauses| pauses.all.outage_since("balance");
        pauses.look("balance", true, at(0));
        pauses.look("balance", false, at(40 * DAY));
        assert_eq!(since(&pauses), None, "it works");
        let mut again = Pauses::default();
        again.load(pauses.to_keep());
        again.look("balance", true, at(40 * DAY + 3600));
        assert_eq!(since(&again), Some(at(0)));
        again.look("balance", false, at(41 * DAY));
        again.look("balance", true, at(42 * DAY));
        assert_eq!(since(&again), Some(at(42 * DAY)));
        assert_eq!(again.all.paused("balance", at(42 * DAY)), Duration::from_secs(41 * DAY - 3600));
    }
}
