//! Readings become evidence, and evidence becomes confidence. The explanation is the arithmetic: 50 and the points of all
//! lines is the score before it is kept between 0 and 100.
//!
//! It must never allocate on the way, never drop a line, and never count what a fault hides as good: such a reading counts
//! as the worst that its signal could have said, so that silencing a source helps nobody.

use std::fmt;

use super::signals::device::Standing;
use super::signals::{
    PRIOR, Readings, Says, authentication, client, device, exposure, journey, network, pressure, session,
};
use super::stage::Stage;
use crate::clock::Moment;
use crate::confidence::{Confidence, Coverage, Family, Points, Reading, Why};
use crate::rules::guards::Groups;
use crate::rules::signal::{Group, Signal, Weights, weight};

/// More lines than there can be: the prior, at most 27 signals, a limit for each of the eight groups, and the session's ceiling.
const LINES: usize = 37;

/// What a line of the explanation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What is assumed before anything is read.
    Prior,
    /// A signal.
    Signal(Signal),
    /// What lies beyond a group's floor or cap, given back.
    Limit(Group),
    /// What lies above the session's ceiling, taken away: it fell, and rises slowly.
    Ceiling,
}

/// The word of the line that holds a session below its ceiling.
pub const CEILING: &str = "session_ceiling";
/// Its sentence for operators.
pub const RISES_SLOWLY: &str =
    "The session changed its device or place shortly before: without a proof it rises by ten points an hour.";

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
            Source::Ceiling => CEILING,
        }
    }

    /// The reason, for operators: fixed words, never an identifier.
    pub const fn reason(&self) -> &'static str {
        match (self.source, self.unknown) {
            (_, Some(why)) => why.word(),
            (Source::Prior, None) => "Before anything is read.",
            (Source::Signal(signal), None) => signal.about().operators,
            (Source::Limit(_), None) => "The signals of one group count together only so far.",
            (Source::Ceiling, None) => RISES_SLOWLY,
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
}

fn why<T>(reading: Reading<T>) -> Option<Why> {
    match reading {
        Reading::Known(_) => None,
        Reading::Unknown(why) => Some(why),
    }
}

/// The score of these readings at this stage.
pub fn score(readings: &Readings, weights: &Weights, stage: Stage, now: Moment) -> Scored {
    score_without(readings, weights, stage, now, Groups::NONE)
}

/// The same, while these groups are frozen: their lines say nothing, and stand there with the reason.
pub fn score_without(readings: &Readings, weights: &Weights, stage: Stage, now: Moment, frozen: Groups) -> Scored {
    let (coverage, fault) = coverage(readings, frozen);
    let nothing = Evidence { source: Source::Prior, points: Points::ZERO, unknown: None };
    let mut scored =
        Scored { confidence: Confidence::NONE, coverage, sum: Points::ZERO, fault, lines: [nothing; LINES], used: 0 };
    let r = readings;
    let attempt = stage == Stage::Attempt;
    // An attempt has proved nothing yet, whatever session came along with it.
    let session = if attempt { Reading::Unknown(Why::NotAsked) } else { r.session };
    let password_right = session.known().is_some();
    let own = r.of_device();
    let trusted = own.is_trusted();
    let just_reset = !trusted && journey::may_be(r.after_reset);
    let eased = |says: Says| match password_right {
        true => says.map(|(signal, points)| (signal, pressure::after_a_right_password(points))),
        false => says,
    };
    // Before the answer, nothing that is known of the account may weigh against it: it would tell that there is one.
    let after = |says: Says| if attempt { None } else { says };

    scored.add(Source::Prior, PRIOR, None);
    for group in Group::ALL {
        let mut lines = Lines { scored: &mut scored, weights, frozen: frozen.contain(group), sum: Points::ZERO };
        match group {
            Group::Device => {
                let [standing, second, change] = device::weigh(&own, stage);
                lines.add(standing, why(r.device));
                lines.add(second, None);
                lines.add(change, why(r.changed));
            }
            Group::Client => lines.add(client::weigh(r.guise, trusted), why(r.guise)),
            Group::Network => {
                let read = network::Read {
                    network: r.network,
                    country: r.country,
                    listed: r.listed,
                    past: r.past,
                    season: r.season,
                };
                let [place, country, listed] = network::weigh(&read, trusted, stage);
                lines.add(place, why(r.network));
                lines.add(country, why(r.country));
                lines.add(listed, why(r.listed));
            }
            Group::Pressure => {
                lines.add(
                    eased(pressure::weigh_account_failures(r.account_failures, r.network, trusted, stage)),
                    why(r.account_failures),
                );
                lines.add(eased(pressure::weigh_device_failures(r.device_failures, trusted)), why(r.device_failures));
                lines.add(eased(pressure::weigh_guessing(r.guessing, trusted)), why(r.guessing));
                lines.add(eased(pressure::weigh_attack(r.attack, trusted)), why(r.attack));
            }
            Group::Journey => {
                lines.add(eased(journey::weigh_pace(Signal::NoPage, r.page)), why(r.page));
                lines.add(journey::weigh_pace(Signal::Hurried, r.pace), why(r.pace));
                let change = journey::weigh_shortly_before(Signal::AfterChange, r.after_change, trusted);
                lines.add(after(change), why(r.after_change));
                let reset = journey::weigh_shortly_before(Signal::AfterReset, r.after_reset, trusted);
                lines.add(after(reset), why(r.after_reset));
            }
            Group::Session if attempt => {}
            Group::Session => {
                let device_known = r.device.known().is_some_and(Standing::is_trusted);
                for says in session::weigh(r.continuity, device_known) {
                    lines.add(says, why(r.continuity));
                }
                lines.add(session::weigh_doubt(r.doubt, trusted), why(r.doubt));
            }
            Group::Authentication => {
                for says in authentication::weigh(session, just_reset, now) {
                    lines.add(says, why(session));
                }
            }
            Group::Exposure => {
                lines.add(exposure::weigh(r.exposure, trusted, password_right), why(r.exposure));
                lines.add(after(exposure::weigh_account(r.account_breached, trusted)), why(r.account_breached));
                lines.add(after(exposure::weigh_compromise(r.compromised, trusted)), why(r.compromised));
                lines.add(after(exposure::weigh_risk(r.risk)), why(r.risk));
            }
        }
        lines.close(group, group.limits(password_right));
    }
    if !attempt {
        keep_below(&mut scored, r.ceiling);
    }
    scored.confidence = Confidence::from_evidence(scored.sum);
    scored
}

/// Takes away what lies above the session's ceiling.
fn keep_below(scored: &mut Scored, ceiling: Option<Confidence>) {
    let Some(ceiling) = ceiling else { return };
    // The most evidence that still comes to that number.
    let most = (i32::from(ceiling.score()) - 50) * 10 + 9;
    let above = scored.sum.as_tenths() - most;
    if above > 0 {
        scored.add(Source::Ceiling, Points::tenths(-above), None);
    }
}

/// The lines of one group on their way into the score, weighed as the rules say.
struct Lines<'s> {
    scored: &'s mut Scored,
    weights: &'s Weights,
    /// They say nothing, and why.
    frozen: bool,
    sum: Points,
}

impl Lines<'_> {
    fn add(&mut self, says: Says, unknown: Option<Why>) {
        let Some((signal, points)) = says else { return };
        if self.weights.percent(signal) == 0 {
            return;
        }
        let (points, unknown) = match self.frozen {
            true => (Points::ZERO, Some(Why::Distrusted)),
            false => (self.weights.weigh(signal, points), unknown),
        };
        self.scored.add(Source::Signal(signal), points, unknown);
        self.sum = self.sum + points;
    }

    /// Adds what the group's limits give back.
    fn close(self, group: Group, (floor, cap): (Points, Points)) {
        let beyond = self.sum.clip(floor, cap).as_tenths() - self.sum.as_tenths();
        if beyond != 0 {
            self.scored.add(Source::Limit(group), Points::tenths(beyond), None);
        }
    }
}

/// Which share of what was asked for could be read, and the first source at fault. What the client did not send is no gap.
fn coverage(readings: &Readings, frozen: Groups) -> (Coverage, Option<(Family, Why)>) {
    let mut fault = None;
    let mut counts = [(0, 0); Family::ALL.len()];
    for (group, state) in readings.states() {
        let family = group.family();
        let state = match state {
            Reading::Known(()) | Reading::Unknown(Why::Missing) if frozen.contain(group) => {
                Reading::Unknown(Why::Distrusted)
            }
            Reading::Known(()) | Reading::Unknown(_) => state,
        };
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
        // Divides nearly evenly by as many readings as a family can ask for.
        if let Some(share) = u32::checked_div(weight(family) * 27_720 * known, asked) {
            possible += weight(family) * 27_720;
            read += share;
        }
    }
    (Coverage::of(read, possible), fault)
}
