//! Readings become evidence, and evidence becomes confidence. The explanation is the arithmetic: 50 and the points of all
//! lines is the score before it is kept between 0 and 100.
//!
//! It must never allocate on the way, never drop a line, and never count what a fault hides as good: such a reading counts
//! as the worst that its signal could have said, so that silencing a source helps nobody.

use std::fmt;

use super::signals::device::Standing;
use super::signals::{
    PRIOR, Readings, Says, Tally, authentication, client, device, exposure, journey, network, pressure, session,
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

    #[inline]
    fn add(&mut self, source: Source, points: Points, unknown: Option<Why>) {
        if let Some(line) = self.lines.get_mut(self.used) {
            *line = Evidence { source, points, unknown };
            self.used += 1;
            self.sum = self.sum + points;
        }
    }
}

#[inline]
fn why<T>(reading: &Reading<T>) -> Option<Why> {
    match reading {
        Reading::Known(_) => None,
        Reading::Unknown(why) => Some(*why),
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
    let claimed = stage.only_helps();
    // Who only names an account has proved nothing of it yet, whatever session came along.
    let session = if claimed { Reading::Unknown(Why::NotAsked) } else { r.session };
    let password_right = session.known().is_some();
    let own = r.of_device();
    let trusted = own.is_trusted();
    let just_reset = !trusted && journey::may_be(r.after_reset);
    let eased = |says: Says| match password_right {
        true => says.map(|(signal, points)| (signal, pressure::after_a_right_password(points))),
        false => says,
    };
    // Before the answer, nothing that is known of the account may weigh against it: it would tell that there is one.
    let after = |says: Says| if claimed { None } else { says };

    scored.add(Source::Prior, PRIOR, None);
    let mut sheet = Sheet { scored: &mut scored, weights, frozen, password_right };
    sheet.group(Group::Device, |lines| {
        let [standing, second, change] = device::weigh(&own, stage);
        lines.add(standing, why(&r.device));
        lines.add(second, None);
        lines.add(change, why(&r.changed));
    });
    sheet.group(Group::Client, |lines| lines.add(client::weigh(r.guise, trusted), why(&r.guise)));
    sheet.group(Group::Network, |lines| {
        let [place, country, listed] = network::weigh(&r.of_network(), trusted, stage);
        lines.add(place, why(&r.network));
        lines.add(country, why(&r.country));
        lines.add(listed, why(&r.listed));
    });
    sheet.group(Group::Pressure, |lines| {
        let on_account = pressure::weigh_account_failures(r.account_failures, r.network, trusted, stage);
        lines.add(eased(on_account), why(&r.account_failures));
        lines.add(eased(pressure::weigh_device_failures(r.device_failures, trusted)), why(&r.device_failures));
        lines.add(eased(pressure::weigh_guessing(r.guessing, trusted)), why(&r.guessing));
        lines.add(eased(pressure::weigh_attack(r.attack, trusted)), why(&r.attack));
    });
    sheet.group(Group::Journey, |lines| {
        lines.add(eased(journey::weigh_pace(Signal::NoPage, r.page)), why(&r.page));
        lines.add(journey::weigh_pace(Signal::Hurried, r.pace), why(&r.pace));
        let change = journey::weigh_shortly_before(Signal::AfterChange, r.after_change, trusted);
        lines.add(after(change), why(&r.after_change));
        let reset = journey::weigh_shortly_before(Signal::AfterReset, r.after_reset, trusted);
        lines.add(after(reset), why(&r.after_reset));
    });
    if !claimed {
        sheet.group(Group::Session, |lines| {
            let device_known = r.device.known().is_some_and(Standing::is_trusted);
            let [changed, moved, alternates] = session::weigh(r.continuity, device_known);
            lines.add(changed, why(&r.continuity));
            lines.add(moved, why(&r.continuity));
            lines.add(alternates, why(&r.continuity));
            lines.add(session::weigh_doubt(r.doubt, trusted), why(&r.doubt));
        });
    }
    sheet.group(Group::Authentication, |lines| {
        for says in authentication::weigh(session, just_reset, now) {
            lines.add(says, why(&session));
        }
    });
    sheet.group(Group::Exposure, |lines| {
        lines.add(exposure::weigh(r.exposure, trusted, password_right), why(&r.exposure));
        lines.add(after(exposure::weigh_account(r.account_breached, trusted)), why(&r.account_breached));
        lines.add(after(exposure::weigh_compromise(r.compromised, trusted)), why(&r.compromised));
        lines.add(after(exposure::weigh_risk(r.risk)), why(&r.risk));
    });
    if !claimed {
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

/// Where the groups are written down one after the other, weighed as the rules say.
struct Sheet<'s> {
    scored: &'s mut Scored,
    weights: &'s Weights,
    frozen: Groups,
    password_right: bool,
}

impl Sheet<'_> {
    /// The lines of one group, and what its limits give back.
    #[inline]
    fn group(&mut self, group: Group, write: impl FnOnce(&mut Lines<'_>)) {
        let frozen = self.frozen.contain(group);
        let mut lines = Lines { scored: self.scored, weights: self.weights, frozen, sum: Points::ZERO };
        write(&mut lines);
        let sum = lines.sum;
        let (floor, cap) = group.limits(self.password_right);
        let beyond = sum.clip(floor, cap).as_tenths() - sum.as_tenths();
        if beyond != 0 {
            self.scored.add(Source::Limit(group), Points::tenths(beyond), None);
        }
    }
}

/// The lines of one group.
struct Lines<'s> {
    scored: &'s mut Scored,
    weights: &'s Weights,
    /// They say nothing, and why.
    frozen: bool,
    sum: Points,
}

impl Lines<'_> {
    #[inline]
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
}

/// Which share of what was asked for could be read, and the first source at fault. What the client did not send is no gap.
fn coverage(readings: &Readings, frozen: Groups) -> (Coverage, Option<(Family, Why)>) {
    let tally = if frozen.is_empty() { readings.tally() } else { tally_without(readings, frozen) };
    if tally.is_whole() {
        return (Coverage::of(1, u32::from(!tally.is_nothing())), None);
    }
    let (mut read, mut possible) = (0, 0);
    for family in Family::ALL {
        let (asked, known) = tally.of(family);
        // Divides nearly evenly by as many readings as a family can ask for.
        if let Some(share) = u32::checked_div(weight(family) * 27_720 * known, asked) {
            possible += weight(family) * 27_720;
            read += share;
        }
    }
    let fault = if tally.has_fault() { first_fault(readings, frozen) } else { None };
    (Coverage::of(read, possible), fault)
}

/// What became of a reading, where these groups are frozen.
fn without(state: Reading<()>, group: Group, frozen: Groups) -> Reading<()> {
    match state {
        Reading::Known(()) | Reading::Unknown(Why::Missing) if frozen.contain(group) => {
            Reading::Unknown(Why::Distrusted)
        }
        Reading::Known(()) | Reading::Unknown(_) => state,
    }
}

fn tally_without(readings: &Readings, frozen: Groups) -> Tally {
    let mut tally = Tally::default();
    readings
        .states()
        .into_iter()
        .for_each(|(group, state)| tally.count(group.family(), &without(state, group, frozen)));
    tally
}

/// The first source at fault, in the order in which readings are declared.
fn first_fault(readings: &Readings, frozen: Groups) -> Option<(Family, Why)> {
    readings.states().into_iter().find_map(|(group, state)| match without(state, group, frozen) {
        Reading::Unknown(why) if why.is_fault() => Some((group.family(), why)),
        Reading::Known(()) | Reading::Unknown(_) => None,
    })
}
