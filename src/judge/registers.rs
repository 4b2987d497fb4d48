//! Why a score is what it is, in three registers: for operators the reasons that weigh most with their points, for agents what they
//! may say aloud, for the customer one sentence.
//!
//! Agents and customers must never be told a point, a score, a line of a ladder or what exactly was looked at: an attacker on the
//! phone would learn from it.

use serde::Serialize;

use super::score::{Evidence, Scored, Source};
use crate::confidence::{Points, Why};
use crate::rules::signal::Signal;

/// Reasons each way.
const MOST: usize = 3;

/// One signal's word in a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub signal: Signal,
    /// What it added.
    pub points: Points,
    /// A source was at fault: the points are the worst that it could have said, or none.
    pub faulty: bool,
}

impl Told {
    /// A line of a score; nothing for what is no signal.
    pub fn of(line: &Evidence) -> Option<Self> {
        let Source::Signal(signal) = line.source else { return None };
        Some(Self { signal, points: line.points, faulty: line.unknown.is_some_and(Why::is_fault) })
    }

    /// The same, from a line as logs have it: a name, its points, and perhaps why it was unknown. Nothing for what is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let signal = Signal::named(parts.next()?)?;
        let points: f64 = parts.next()?.parse().ok()?;
        let why = parts.next().unwrap_or_default().trim_matches(['(', ')']);
        // `as` saturates and reads NaN as 0.
        let points = Points::tenths((points * 10.0).round() as i32);
        Some(Self { signal, points, faulty: [Why::Stale, Why::Down, Why::Distrusted].iter().any(|w| w.word() == why) })
    }

    /// What an agent may say of it.
    const fn aloud(&self) -> &'static str {
        if self.faulty { "Something could not be checked just now." } else { self.signal.about().agents }
    }
}

/// The reasons that weigh most, the heaviest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// What speaks for the account's owner.
    pub raises: Vec<Told>,
    /// What speaks against.
    pub lowers: Vec<Told>,
}

impl Reasons {
    /// Of a score.
    pub fn of(scored: &Scored) -> Self {
        Self::among(scored.lines().iter().filter_map(Told::of))
    }

    /// The heaviest of these, each way.
    pub fn among(told: impl Iterator<Item = Told>) -> Self {
        let (mut raises, mut lowers): (Vec<Told>, Vec<Told>) =
            told.filter(|told| told.points != Points::ZERO).partition(|told| told.points > Points::ZERO);
        raises.sort_by_key(|told| std::cmp::Reverse(told.points));
        lowers.sort_by_key(|told| told.points);
        raises.truncate(MOST);
        lowers.truncate(MOST);
        Self { raises, lowers }
    }

    /// For agents.
    pub fn aloud(&self) -> Aloud {
        let say = |told: &[Told]| {
            let mut said: Vec<&'static str> = Vec::with_capacity(told.len());
            for line in told.iter().map(Told::aloud) {
                if !said.contains(&line) {
                    said.push(line);
                }
            }
            said
        };
        Aloud { speaks_for: say(&self.raises), speaks_against: say(&self.lowers) }
    }

    /// For operators.
    pub fn with_points(&self) -> Weighty {
        let all = |told: &[Told]| told.iter().map(Reason::of).collect();
        Weighty { raises: all(&self.raises), lowers: all(&self.lowers) }
    }
}

/// What agents read, and may read aloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Aloud {
    /// What speaks for the customer.
    pub speaks_for: Vec<&'static str>,
    /// What is unusual.
    pub speaks_against: Vec<&'static str>,
}

/// What operators read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighty {
    /// The heaviest that speak for the account's owner.
    pub raises: Vec<Reason>,
    /// The heaviest that speak against.
    pub lowers: Vec<Reason>,
}

/// One reason for operators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The signal.
    pub name: &'static str,
    /// What it added.
    pub points: f64,
    /// Its sentence.
    pub reason: &'static str,
}

impl Reason {
    fn of(told: &Told) -> Self {
        let about = told.signal.about();
        Self { name: about.name, points: f64::from(told.points.as_tenths()) / 10.0, reason: about.operators }
    }
}

/// The one sentence for a customer, by the word of what is done. It is the same whatever was looked at.
pub fn to_the_customer(action: &str) -> &'static str {
    match action {
        "step_up" => "Please confirm that it is you, and you can go on.",
        "throttle" | "queue" => "Please wait a moment, then try once more.",
        "read_only" => "You can look, but not change anything right now.",
        "handoff" => "To keep your account safe, a person will help you with this step.",
        "deny" => "This cannot be done here right now; a person can help you.",
        _ => "Everything is as usual.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::signal::Group;

    fn told(signal: Signal, points: i32) -> Told {
        Told { signal, points: Points::whole(points), faulty: false }
    }

    #[test]
    fn the_three_heaviest_each_way_are_told_and_the_heaviest_first() {
        let all = [
            told(Signal::PasswordRight, 12),
            told(Signal::DeviceUnknown, -14),
            told(Signal::NoPage, -3),
            told(Signal::NetworkNew, -9),
            told(Signal::PairLeaked, -14),
            told(Signal::Hurried, 0),
            told(Signal::CountryNew, -5),
        ];
        let reasons = Reasons::among(all.into_iter());
        assert_eq!(reasons.raises, [told(Signal::PasswordRight, 12)]);
        let lowers: Vec<Signal> = reasons.lowers.iter().map(|told| told.signal).collect();
        assert_eq!(lowers, [Signal::DeviceUnknown, Signal::PairLeaked, Signal::NetworkNew]);
        let weighty = reasons.with_points();
        assert_eq!((weighty.lowers[0].name, weighty.lowers[0].points), ("device_unknown", -14.0));
    }

    #[test]
    fn neither_agents_nor_customers_are_told_a_number_a_signal_or_a_source() {
        let mut texts: Vec<&str> = Vec::new();
        for signal in Signal::ALL {
            for (points, faulty) in [(7, false), (-7, false), (-7, true)] {
                let one = Told { faulty, ..told(*signal, points) };
                let aloud = Reasons::among([one].into_iter()).aloud();
                texts.extend(aloud.speaks_for.iter().chain(&aloud.speaks_against));
            }
        }
        assert_eq!(texts.len(), 3 * Signal::ALL.len());
        texts.extend(["allow", "throttle", "queue", "step_up", "read_only", "handoff", "deny"].map(to_the_customer));
        let names = Signal::ALL.iter().map(|signal| signal.about().name).chain(Group::ALL.map(Group::limit_word));
        let banned: Vec<&str> =
            names.chain(["score", "confidence", "threshold", "points", "coverage", "signal"]).collect();
        for text in texts {
            assert!(text.ends_with('.') && !text.chars().any(char::is_numeric), "{text}");
            assert!(!banned.iter().any(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_line_of_a_log_says_what_the_score_said() {
        for (points, unknown) in [(-145, None), (120, Some(Why::Missing)), (-35, Some(Why::Stale))] {
            let line = Evidence { source: Source::Signal(Signal::PairLeaked), points: Points::tenths(points), unknown };
            assert_eq!(Told::parse(&line.to_string()), Told::of(&line), "{line}");
        }
        for nothing in ["", "prior +6", "device_limit -3", "pair_leaked", "pair_leaked many", "nonsense +1"] {
            assert_eq!(Told::parse(nothing), None, "{nothing}");
        }
    }
}
