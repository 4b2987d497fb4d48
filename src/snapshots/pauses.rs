//! How long each journey has been contained, in all: while it is, what is kept of it does not grow too old to be kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;

/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    total: Duration,
    since: Option<Moment>,
}

impl Pause {
    fn total(&self, now: Moment) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.since(since))
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

    /// Since when it is, if it is now.
    pub fn since(&self, journey: &str) -> Option<Moment> {
        self.0.get(journey)?.since
    }
}

/// The same, as it is written.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    all: Paused,
    swept: Moment,
}

impl Pauses {
    /// Takes up what the disk has. A journey that was contained when the process ended is taken to have been so since.
    pub fn load(&mut self, kept: BTreeMap<Box<str>, (u64, u64)>) {
        for (journey, (total, since)) in kept {
            let since = (since > 0).then_some(Moment::from_unix_millis(since));
            self.all.0.insert(journey, Pause { total: Duration::from_millis(total), since });
        }
    }

    /// What the disk is to have.
    pub fn to_keep(&self) -> BTreeMap<Box<str>, (u64, u64)> {
        let kept = |pause: &Pause| {
            let total = u64::try_from(pause.total.as_millis()).unwrap_or(u64::MAX);
            (total, pause.since.map_or(0, |since| since.unix_millis().max(1)))
        };
        self.all.0.iter().map(|(journey, pause)| (journey.clone(), kept(pause))).collect()
    }

    /// Notes whether a journey is contained; whether that is news.
    pub fn look(&mut self, journey: &str, contained: bool, now: Moment) -> bool {
        match self.all.0.get_mut(journey) {
            None if !contained => false,
            None => {
                self.all.0.insert(journey.into(), Pause { total: Duration::ZERO, since: Some(now) });
                true
            }
            Some(pause) if pause.since.is_some() == contained => false,
            Some(pause) => {
                pause.total = pause.total(now);
                pause.since = contained.then_some(now);
                true
            }
        }
    }

    /// What readers are to have.
    pub const fn all(&self) -> &Paused {
        &self.all
    }

    /// Whether it is time to look for what is too old; then it is not again for a while.
    pub fn sweep_is_due(&mut self, now: Moment) -> bool {
        let due = now < self.swept || now.since(self.swept) >= SWEEP;
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
}
