//! Readings become evidence, and evidence becomes confidence. The explanation is the arithmetic: 50 and the points of all
//! lines is the score before it is kept between 0 and 100.
//!
//! It must never allocate on the way, never drop a line, and never count what a fault hides as good: such a reading counts
//! as the worst that its signal could have said, so that silencing a source helps nobody.

use std::fmt;

use super::signals::{Group, PRIOR, Readings, Signal, authentication, behaviour, device, exposure, weight};
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::{Confidence, Coverage, Family, Points, Reading, Why};

/// More lines than there can be: the prior, at most ten signals, a limit for each of the five groups.
const LINES: usize = 16;

/// What a signal says, if anything, and why its reading was not known, if it was not.
type Weighed = (Option<(Signal, Points)>, Option<Why>);

/// What a line of the explanation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What is assumed before anything is read.
    Prior,
    /// A signal.
    Signal(Signal),
    /// What lies beyond a group's floor or cap, given back.
    Limit(Group),
}

/// One line of the explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is about.
    pub source: Source,
    /// What it adds.
    pub points: Points,
    /// Why the value behind it was not known, if it was not.
    pub unknown: Option<Why>,
}

impl Evidence {
    /// The word of what it is about: fixed, never an identifier.
    pub const fn name(&self) -> &'static str {
        match self.source {
            Source::Prior => "prior",
            Source::Signal(signal) => signal.about().name,
            Source::Limit(group) => group.limit_word(),
        }
    }

    /// The reason, for operators: fixed words, never an identifier.
    pub const fn reason(&self) -> &'static str {
        match (self.source, self.unknown) {
            (_, Some(why)) => why.word(),
            (Source::Prior, None) => "Before anything is read.",
            (Source::Signal(signal), None) => signal.about().operators,
            (Source::Limit(_), None) => "The signals of one group count together only so far.",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.points)?;
        self.unknown.map_or(Ok(()), |why| write!(f, " ({})", why.word()))
    }
}

/// A score with everything that made it.
#[derive(Clone, Copy, Debug)]
pub struct Scored {
    confidence: Confidence,
    coverage: Coverage,
    sum: Points,
    fault: Option<(Family, Why)>,
    lines: [Evidence; LINES],
    used: usize,
}

impl Scored {
    /// The score.
    pub const fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// How much stood behind it.
    pub const fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// All evidence together, before the score is kept between 0 and 100.
    pub const fn sum(&self) -> Points {
        self.sum
    }

    /// The first family of which a source is at fault, and how.
    pub const fn fault(&self) -> Option<(Family, Why)> {
        self.fault
    }

    /// The explanation: every contribution, in the order in which it was added.
    pub fn lines(&self) -> &[Evidence] {
        self.lines.get(..self.used).unwrap_or_default()
    }

    /// The whole explanation in one line, for logs.
    pub fn because(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| {
            self.lines().iter().enumerate().try_for_each(|(at, line)| match at {
                0 => write!(f, "{line}"),
                _ => write!(f, ", {line}"),
            })
        })
    }

    fn add(&mut self, source: Source, points: Points, unknown: Option<Why>) {
        if let Some(line) = self.lines.get_mut(self.used) {
            *line = Evidence { source, points, unknown };
            self.used += 1;
            self.sum = self.sum + points;
        }
    }

    /// Adds the lines of one group, and what its limits give back.
    fn add_group(&mut self, group: Group, limits: (Points, Points), weighed: &[Weighed]) {
        let mut sum = Points::ZERO;
        for (line, unknown) in weighed {
            if let Some((signal, points)) = line {
                self.add(Source::Signal(*signal), *points, *unknown);
                sum = sum + *points;
            }
        }
        let (floor, cap) = limits;
        let beyond = sum.clip(floor, cap).as_tenths() - sum.as_tenths();
        if beyond != 0 {
            self.add(Source::Limit(group), Points::tenths(beyond), None);
        }
    }
}

fn why<T>(reading: Reading<T>) -> Option<Why> {
    match reading {
        Reading::Known(_) => None,
        Reading::Unknown(why) => Some(why),
    }
}

/// The score of these readings at this stage.
pub fn score(readings: &Readings, stage: Stage, now: Moment) -> Scored {
    let (coverage, fault) = coverage(readings);
    let nothing = Evidence { source: Source::Prior, points: Points::ZERO, unknown: None };
    let mut scored =
        Scored { confidence: Confidence::NONE, coverage, sum: Points::ZERO, fault, lines: [nothing; LINES], used: 0 };
    let r = readings;
    // An attempt has proved nothing yet, whatever session came along with it.
    let session = match stage {
        Stage::Attempt => Reading::Unknown(Why::NotAsked),
        Stage::Session => r.session,
    };
    let password_right = session.known().is_some();

    scored.add(Source::Prior, PRIOR, None);
    for group in Group::ALL {
        let limits = group.limits(password_right);
        match group {
            Group::Device => {
                scored.add_group(group, limits, &[(device::weigh(r.device, r.past, stage), why(r.device))]);
            }
            Group::Network => {
                scored.add_group(
                    group,
                    limits,
                    &[(behaviour::weigh_network(r.network, r.past, stage), why(r.network))],
                );
            }
            Group::Pressure => {
                let eased = |weighed: Option<(Signal, Points)>| {
                    weighed.map(|(signal, points)| match password_right {
                        true => (signal, behaviour::after_a_right_password(points)),
                        false => (signal, points),
                    })
                };
                let account = behaviour::weigh_account_failures(r.account_failures, r.device, r.network, stage);
                let device = behaviour::weigh_device_failures(r.device_failures, r.device);
                let network = behaviour::weigh_traffic(r.traffic, r.device);
                scored.add_group(
                    group,
                    limits,
                    &[
                        (eased(account), why(r.account_failures)),
                        (eased(device), why(r.device_failures)),
                        (eased(network), why(r.traffic)),
                    ],
                );
            }
            Group::Authentication => {
                let unknown = why(session);
                let [password, factor, recent] = authentication::weigh(session, now);
                scored.add_group(group, limits, &[(password, unknown), (factor, unknown), (recent, unknown)]);
            }
            Group::Exposure => {
                scored.add_group(group, limits, &[(exposure::weigh(r.exposure, r.device), why(r.exposure))]);
            }
        }
    }
    scored.confidence = Confidence::from_evidence(scored.sum);
    scored
}

/// Which share of what was asked for could be read, and the first source at fault. What the client did not send is no gap.
fn coverage(readings: &Readings) -> (Coverage, Option<(Family, Why)>) {
    let mut fault = None;
    let mut counts = [(0, 0); Family::ALL.len()];
    for (family, state) in readings.states() {
        let (asked, known) = &mut counts[family as usize];
        match state {
            Reading::Unknown(Why::NotAsked) => continue,
            Reading::Known(()) | Reading::Unknown(Why::Missing) => *known += 1,
            Reading::Unknown(why @ (Why::Stale | Why::Down | Why::Distrusted)) => {
                fault = fault.or(Some((family, why)));
            }
            Reading::Unknown(Why::Ambiguous | Why::Proxied) => {}
        }
        *asked += 1;
    }
    let (mut read, mut possible) = (0, 0);
    for (family, (asked, known)) in Family::ALL.into_iter().zip(counts) {
        // Sixty divides evenly by as many readings as a family can ask for.
        if let Some(share) = u32::checked_div(weight(family) * 60 * known, asked) {
            possible += weight(family) * 60;
            read += share;
        }
    }
    (Coverage::of(read, possible), fault)
}
