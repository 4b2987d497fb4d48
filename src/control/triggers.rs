//! What playbooks watch: counters sampled once a second, compared with a value or with what is usual. [`Tower::tick`] is pure: what
//! was counted and the moment give what is to be done.
//!
//! An attack must not become what is usual: while a value is far above it, or a playbook that watches it is armed, nothing is
//! learned. And nothing is armed on a handful of events or without a past.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::kept::Usual;
use crate::clock::Moment;
use crate::rules::playbook::{Playbook, Then, Threshold, Watch};
use crate::telemetry::Telemetry;

/// Samples that are kept: an hour. What looks further back sees an hour.
const KEPT: usize = 3600;
/// Events that a window must hold before anything is done or learned.
const EVENTS: u64 = 20;
/// Minutes of a past that a comparison with what is usual needs.
const PAST: u32 = 10;
/// Minutes over which what is usual is the mean: a day.
const DAY: u32 = 1440;
/// From so many times what is usual on, a value is not learned from.
const FAR: f64 = 3.0;
/// How often what is usual is learned from.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sign-ins that worked.
    pub signed_in: u64,
    /// Sign-ins that failed.
    pub sign_in_failed: u64,
    /// Requests that reached an upstream.
    pub upstream: u64,
    /// Those that it failed.
    pub upstream_failed: u64,
    /// Decisions on journeys.
    pub decided: u64,
    /// Those that held something back.
    pub held: u64,
    /// Requests of automation.
    pub automation: u64,
}

impl Counts {
    /// What has been counted so far.
    pub fn of(telemetry: &Telemetry) -> Self {
        let enforced = |mode: &str, journey: &str| mode == "enforced" && journey != "(unlisted)";
        Self {
            signed_in: telemetry.sign_ins.total(|[outcome]| outcome == "worked"),
            sign_in_failed: telemetry.sign_ins.total(|[outcome]| outcome == "failed"),
            upstream: telemetry.upstream.total(|[_]| true),
            upstream_failed: telemetry.upstream_failures.total(|[_]| true),
            decided: telemetry.decisions.total(|[journey, _, mode]| enforced(mode, journey)),
            held: telemetry.decisions.total(|[journey, action, mode]| enforced(mode, journey) && action != "allow"),
            automation: telemetry.classes.total(|[class]| class == "automation"),
        }
    }
}

/// A value over a window, and how many events stood behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    value: f64,
    events: u64,
}

/// A playbook that its trigger would arm, were it allowed to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// The playbook.
    pub playbook: String,
    /// What was seen, in words.
    pub because: String,
    /// The command that follows it.
    pub command: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Arm it, or let it hold for longer.
    Arm {
        /// The playbook.
        playbook: String,
        /// What was seen, in words.
        because: String,
    },
    /// Stand it down.
    StandDown {
        /// The playbook.
        playbook: String,
        /// What was seen, in words.
        because: String,
    },
    /// Tell people of a new proposal.
    Propose(Proposal),
}

/// What a playbook is at the moment, as far as its triggers care.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Armed, and not on its way back.
    pub armed: bool,
    /// It will end by itself soon: what still holds is to say so.
    pub ends_soon: bool,
    /// A person silenced its triggers.
    pub quiet: bool,
}

/// Looks out.
#[derive(Debug, Default)]
pub struct Tower {
    samples: VecDeque<(Moment, Counts)>,
    usual: BTreeMap<&'static str, (f64, u32)>,
    learned: Moment,
    calm_since: BTreeMap<Box<str>, Moment>,
    proposals: BTreeMap<String, Proposal>,
}

impl Tower {
    /// With what was usual before the restart.
    pub fn knowing(usual: &[Usual]) -> Self {
        let known = usual.iter().filter_map(|usual| {
            let watch = Watch::ALL.into_iter().find(|watch| *watch.word() == *usual.watch)?;
            (usual.value.is_finite() && usual.value >= 0.0).then_some((watch.word(), (usual.value, usual.minutes)))
        });
        Self { usual: known.collect(), ..Self::default() }
    }

    /// What is usual, to be kept over a restart.
    pub fn usual(&self) -> Vec<Usual> {
        let each = self.usual.iter();
        each.map(|(watch, (value, minutes))| Usual { watch: (*watch).into(), value: *value, minutes: *minutes })
            .collect()
    }

    /// What is proposed now.
    pub fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals.values()
    }

    /// What is seen now, by word: the value over the last minute, what is usual, and the minutes behind it.
    pub fn watched(&self) -> Vec<(&'static str, Option<f64>, Option<f64>, u32)> {
        let each = Watch::ALL.into_iter().map(|watch| {
            let (usual, minutes) = self.usual.get(watch.word()).copied().unwrap_or_default();
            (watch.word(), self.seen(watch, MINUTE).map(|seen| seen.value), (minutes > 0).then_some(usual), minutes)
        });
        each.collect()
    }

    /// One look: what was counted, when, and what each playbook is now.
    pub fn tick(
        &mut self,
        counts: Counts,
        now: Moment,
        playbooks: &[Playbook],
        state: impl Fn(&str) -> Now,
    ) -> Vec<Act> {
        // A clock that was set back makes the past worthless.
        if self.samples.back().is_some_and(|(last, _)| *last > now) {
            self.samples.clear();
        }
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((now, counts));
        self.proposals.retain(|name, _| playbooks.iter().any(|playbook| *playbook.name == **name));
        self.calm_since.retain(|name, _| playbooks.iter().any(|playbook| playbook.name == (**name).into()));
        let mut acts = Vec::new();
        let mut frozen = Vec::new();
        for playbook in playbooks {
            let is = state(&playbook.name);
            if is.armed {
                frozen.extend(playbook.triggers.iter().map(|trigger| trigger.watch));
                frozen.extend(playbook.stand_down.when.iter().map(|calm| calm.watch));
            }
            self.look(playbook, is, now, &mut acts);
        }
        self.learn(now, &frozen);
        acts
    }

    fn look(&mut self, playbook: &Playbook, is: Now, now: Moment, acts: &mut Vec<Act>) {
        let name = playbook.name.to_string();
        let rung = playbook.triggers.iter().filter_map(|trigger| {
            let seen = self.seen(trigger.watch, trigger.over)?;
            let line = self.line(trigger.watch, trigger.at_least)?;
            (seen.events >= EVENTS && seen.value >= line).then(|| {
                let because = format!(
                    "{} was {:.3} over the last {}, {}",
                    trigger.watch.word(),
                    seen.value,
                    super::posture::say(trigger.over),
                    match trigger.at_least {
                        Threshold::Value(least) => format!("at least {least}"),
                        Threshold::Baseline(times) =>
                            format!("at least {times} times what is usual ({:.3})", line / times),
                    }
                );
                (trigger.then, because)
            })
        });
        // Arming goes before asking, when both have reason to.
        let rung = rung.min_by_key(|(then, _)| u8::from(*then != Then::Arm));
        match rung {
            Some((Then::Arm, because)) if !is.quiet && (!is.armed || is.ends_soon) => {
                self.proposals.remove(&name);
                acts.push(Act::Arm { playbook: name.clone(), because });
            }
            Some((Then::Propose, because)) if !is.quiet && !is.armed => {
                let command = format!("weir arm {name} --reason \"{because}\"");
                let proposal = Proposal { playbook: name.clone(), because, command };
                if self.proposals.insert(name.clone(), proposal.clone()).is_none() {
                    acts.push(Act::Propose(proposal));
                }
            }
            Some(_) => {}
            None => {
                self.proposals.remove(&name);
            }
        }
        if is.armed {
            self.proposals.remove(&name);
        }
        let calm = playbook.stand_down.when.as_ref().filter(|_| is.armed).and_then(|calm| {
            let value = self.seen(calm.watch, MINUTE).map_or(0.0, |seen| seen.value);
            (value <= self.line(calm.watch, calm.at_most)?).then_some((calm, value))
        });
        match calm {
            None => {
                self.calm_since.remove(&*name);
            }
            Some((calm, value)) => {
                let since = *self.calm_since.entry(name.as_str().into()).or_insert(now);
                if now.since(since) >= calm.during {
                    self.calm_since.remove(&*name);
                    let during = super::posture::say(calm.during);
                    let because = format!("{} has been calm for {during} ({value:.3} now)", calm.watch.word());
                    acts.push(Act::StandDown { playbook: name, because });
                }
            }
        }
    }

    /// The value over the last `over`; nothing while there are no samples from so far back.
    fn seen(&self, watch: Watch, over: Duration) -> Option<Seen> {
        let (last, now) = self.samples.back()?;
        let over = over.clamp(Duration::from_secs(1), Duration::from_secs(KEPT as u64 - 1));
        let from = last.unix_millis().checked_sub(u64::try_from(over.as_millis()).ok()?)?;
        // The newest sample that is old enough; a window that a pause in sampling made longer is still a window.
        let at = self.samples.partition_point(|(moment, _)| moment.unix_millis() <= from).checked_sub(1)?;
        let (since, then) = &self.samples[at];
        let seconds = last.since(*since).as_secs_f64().max(0.001);
        let more = |count: fn(&Counts) -> u64| count(now).saturating_sub(count(then));
        let share = |part: u64, whole: u64| Seen { value: part as f64 / whole.max(1) as f64, events: whole };
        let rate = |events: u64| Seen { value: events as f64 / seconds, events };
        let failed = more(|counts| counts.sign_in_failed);
        let sign_ins = failed + more(|counts| counts.signed_in);
        Some(match watch {
            Watch::LoginFailureRate => share(failed, sign_ins),
            Watch::LoginRate => rate(sign_ins),
            Watch::UpstreamFailureRate => {
                let failed = more(|counts| counts.upstream_failed);
                share(failed, more(|counts| counts.upstream).max(failed))
            }
            Watch::HeldRate => share(more(|counts| counts.held), more(|counts| counts.decided)),
            Watch::AutomationRate => rate(more(|counts| counts.automation)),
        })
    }

    /// The value that a threshold means now; nothing while what is usual is not known.
    fn line(&self, watch: Watch, threshold: Threshold) -> Option<f64> {
        match threshold {
            Threshold::Value(value) => Some(value),
            Threshold::Baseline(times) => {
                let (usual, minutes) = self.usual.get(watch.word())?;
                (*minutes >= PAST).then(|| times * usual.max(least(watch)))
            }
        }
    }

    fn learn(&mut self, now: Moment, frozen: &[Watch]) {
        if now.since(self.learned) < MINUTE {
            return;
        }
        self.learned = now;
        for watch in Watch::ALL.into_iter().filter(|watch| !frozen.contains(watch)) {
            let Some(seen) = self.seen(watch, MINUTE) else { continue };
            // A share of a handful of events says nothing; a low rate does.
            let share = matches!(watch, Watch::LoginFailureRate | Watch::UpstreamFailureRate | Watch::HeldRate);
            let (usual, minutes) = self.usual.entry(watch.word()).or_default();
            let far = *minutes >= PAST && seen.value > FAR * usual.max(least(watch));
            if far || (share && seen.events < EVENTS) {
                continue;
            }
            *minutes = minutes.saturating_add(1).min(DAY);
            *usual += (seen.value - *usual) / f64::from(*minutes);
        }
    }
}

/// What counts as usual at least: many times nothing is still nothing.
const fn least(watch: Watch) -> f64 {
    match watch {
        Watch::LoginFailureRate | Watch::UpstreamFailureRate | Watch::HeldRate => 0.02,
        Watch::LoginRate | Watch::AutomationRate => 0.2,
    }
}
