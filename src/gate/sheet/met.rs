//! Which notices can be met under a law, by whom and when: read off its journeys, limits, refusals, playbooks and help.
//!
//! It must never leave out what a request could come to. What several rules lead to alike is told once, with everybody whom it meets.

use std::time::Duration;

use http::StatusCode;

use crate::clock::Moment;
use crate::gate::fault::Fault;
use crate::gate::notice::{Contact, Exit, Notice, Reader};
use crate::gate::{handoff, narrowed, step_up};
use crate::judge::decision::Speaker;
use crate::judge::outlook::{Outlook, Standing};
use crate::listen::host::HostFault;
use crate::rules::client::{Channel, Channels};
use crate::rules::notices::Kind;
use crate::rules::playbook::Playbook;
use crate::rules::routes::Found;
use crate::rules::ruleset::{Action, Help, HelpId, JourneyId, Ladder, RuleSet, SubjectSource};
use crate::rules::target;
use crate::upstream::Failure;

/// What stands where a reference would.
const REFERENCE: &str = "123 456 789";

/// Bytes that are read whole when nothing else is set.
const WHOLE: u64 = 65_536;

/// What belongs together.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Journey(JourneyId),
    /// By its place in the law.
    Playbook(usize),
    Anywhere,
    Help,
}

/// A notice that can be met.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) kind: Kind,
    pub(super) journey: Option<JourneyId>,
    pub(super) who: Vec<String>,
    /// As a program is answered; none where what is asked for is served.
    pub(super) notice: Option<Notice>,
    /// How the journey then stands, for the feed and the banner.
    pub(super) outlook: Option<Outlook>,
    /// When.
    pub(super) now: Moment,
}

/// Everything, by what it belongs to.
pub(super) fn all(rules: &RuleSet, now: Moment) -> Vec<(About, Vec<Met>)> {
    let mut all = Vec::new();
    for journey in rules.journey_ids() {
        all.push((About::Journey(journey), of_journey(rules, journey, now)));
    }
    for (at, law) in rules.playbooks.iter().enumerate() {
        all.push((About::Playbook(at), of_playbook(rules, (at, law), now)));
    }
    all.push((About::Anywhere, anywhere(rules, now)));
    all.push((About::Help, without_help(rules, now)));
    all.retain(|(about, met)| !met.is_empty() || matches!(about, About::Playbook(_)));
    all
}

struct Gathered<'r> {
    rules: &'r RuleSet,
    now: Moment,
    journey: Option<JourneyId>,
    speaker: Option<Speaker>,
    met: Vec<Met>,
}

impl<'r> Gathered<'r> {
    const fn new(rules: &'r RuleSet, journey: Option<JourneyId>, now: Moment) -> Self {
        Self { rules, now, journey, speaker: None, met: Vec::new() }
    }

    fn add(&mut self, kind: Kind, notice: Option<Notice>, standing: Option<Standing>, who: String) {
        let outlook = standing.map(|standing| Outlook {
            standing,
            speaker: self.speaker,
            until: self.speaker.map(|speaker| speaker.until),
        });
        let words = self.speaker.and_then(|speaker| {
            self.rules.playbooks.get(speaker.playbook).map(|law| (law.words.clone(), speaker.until))
        });
        let notice = notice.map(|notice| Notice { playbook: words, ..notice }.with_a_person(self.rules, self.now));
        let alike = |met: &&mut Met| {
            met.kind == kind
                && met.journey == self.journey
                && met.notice.as_ref().map(told) == notice.as_ref().map(told)
        };
        match self.met.iter_mut().find(alike) {
            Some(met) if met.who.contains(&who) => {}
            Some(met) => met.who.push(who),
            None => {
                let (journey, now) = (self.journey, self.now);
                self.met.push(Met { kind, journey, who: vec![who], notice, outlook, now });
            }
        }
    }

    fn fault(&mut self, fault: &Fault, who: &str) {
        let notice = Notice::fault(fault);
        self.add(notice.kind, Some(notice), None, who.to_owned());
    }

    fn action(&mut self, action: &Action, who: String) {
        let rules = self.rules;
        match action {
            Action::Allow => {}
            Action::Throttle { every } => self.throttle(*every, who),
            Action::StepUp { level, max_age } => {
                // Who has proved less is asked for strength; freshness is asked of those who were strong enough once.
                let max_age = max_age.filter(|_| Some(*level) == rules.weakest_level()).map(|age| age.as_secs());
                let url = rules.step_up.as_ref().map(|step_up| step_up.page.to_string());
                let exit = Exit::proof(rules, *level, max_age, url);
                let status = step_up::status(rules, self.journey, false);
                let changes = self.journey.is_none_or(|journey| changes(rules, journey).next().is_some());
                let standing = Standing::Proof { level: *level, max_age };
                self.add(Kind::StepUp, Some(Notice::step_up(status, "", exit, changes)), Some(standing), who);
            }
            Action::ReadOnly => {
                let takes_changes = self.journey.is_none_or(|journey| changes(rules, journey).next().is_some());
                let notice = || Notice::read_only(self.journey.and_then(|journey| look_at(rules, journey)));
                let notice = takes_changes.then(notice);
                self.add(Kind::ReadOnly, notice, Some(Standing::ReadOnly), who);
            }
            Action::Handoff { to } => {
                let until = handoff::until(self.rules.help(*to).hours.as_ref(), self.now);
                let mut notice = Notice::handoff(Some(REFERENCE.to_owned()), Some(until));
                notice.exits.push(self.open(*to));
                self.add(Kind::Handoff, Some(notice), Some(Standing::ByPhone { to: *to }), who);
            }
            Action::Deny { to } => {
                let mut notice = Notice::denied();
                notice.exits.push(self.open(*to));
                self.add(Kind::Denied, Some(notice), Some(Standing::Closed { to: *to }), who);
            }
        }
    }

    fn throttle(&mut self, every: Duration, who: String) {
        let seconds = u32::try_from(every.as_secs()).unwrap_or(u32::MAX);
        self.add(Kind::Throttle, Some(Notice::throttle(seconds)), None, who);
    }

    /// This help while it is open.
    fn open(&self, to: HelpId) -> Exit {
        let help = self.rules.help(to);
        let opens = help.hours.as_ref().and_then(|hours| hours.opens_next(self.now));
        Exit::Contact(Contact::at(help, false, opens.unwrap_or(self.now)))
    }

    fn ladder(&mut self, ladder: &Ladder, when: &str) {
        let mut above = None;
        for rung in ladder.rungs() {
            let who = match above {
                None => "everybody".to_owned(),
                Some(line) => format!("customers whose confidence is below {line}"),
            };
            self.action(&rung.action, format!("{who}{when}"));
            above = Some(rung.at);
        }
    }
}

/// What tells two notices of a kind apart for those who read them: not which proof of several is asked for, nor how long the wait is.
fn told(notice: &Notice) -> (StatusCode, Vec<&Exit>) {
    let person = |exit: &&Exit| matches!(exit, Exit::Read { .. } | Exit::Contact(_));
    (notice.status, notice.exits.iter().filter(person).collect())
}

/// The routes of a journey that change something.
fn changes(rules: &RuleSet, journey: JourneyId) -> impl Iterator<Item = &str> {
    rules.routes.of(journey).filter(|(method, _)| !matches!(*method, "GET" | "HEAD")).map(|(_, path)| path)
}

/// A page of a change that can still be looked at.
fn look_at(rules: &RuleSet, journey: JourneyId) -> Option<String> {
    let is_listed = |path: &&str| {
        let target = target::read(path).ok();
        target.is_some_and(|target| matches!(rules.routes.find("GET", &target), Found::Listed { .. }))
    };
    changes(rules, journey).filter(|path| !path.contains('{')).find(is_listed).map(str::to_owned)
}

fn of_journey(rules: &RuleSet, id: JourneyId, now: Moment) -> Vec<Met> {
    let journey = rules.journey(id);
    let mut met = Gathered::new(rules, Some(id), now);
    if let Some(attempt) = &journey.attempt {
        met.ladder(attempt, ", before the application has looked");
        met.ladder(&journey.ladder, ", once the application has said yes");
    } else {
        met.ladder(&journey.ladder, "");
    }
    if let Some(level) = journey.require {
        let who = format!("whoever has not proved {}", rules.level(level).name);
        met.action(&Action::StepUp { level, max_age: None }, who);
    }
    if let Some(action) = &journey.when_unknown {
        met.action(action, "everybody of whom too little is known, because a source of evidence is silent".to_owned());
    }
    if let Some(action) = &journey.contained {
        met.action(action, "everybody, while the application is away".to_owned());
    }
    for limit in rules.limits.of(Some(id)).iter().filter_map(|at| rules.limits.all().get(usize::from(*at))) {
        if !limit.shadow {
            let who = format!("whoever goes beyond the limit {}", limit.name);
            met.throttle(limit.rate.interval(), who);
        }
    }
    met.met
}

fn of_playbook(rules: &RuleSet, (at, law): (usize, &Playbook), now: Moment) -> Vec<Met> {
    let mut all = Vec::new();
    let speaker = Some(Speaker { playbook: at, until: now.plus(law.expires) });
    let gather = |journey| Gathered { speaker, ..Gathered::new(rules, journey, now) };
    let scope = scope(law);
    for change in &law.changes {
        let mut met = gather(Some(change.journey));
        let who = match change.only_contaminated {
            true => "customers who come from devices and networks under attack",
            false => "everybody",
        };
        for action in change.attempt_at_most.iter().chain(&change.at_most) {
            met.action(action, format!("{who}{scope}"));
        }
        if let Some(action) = rules.journey(change.journey).contained.as_ref().filter(|_| change.contained) {
            met.action(action, format!("{who}{scope}"));
        }
        all.append(&mut met.met);
    }
    if law.unlisted_read_only {
        let mut met = gather(None);
        let who = "whoever changes something on a page that no journey names";
        met.action(&Action::ReadOnly, format!("{who}{scope}"));
        all.append(&mut met.met);
    }
    if let Some(only) = &law.automation_only {
        let mut met = Gathered::new(rules, None, now);
        let names: Vec<&str> = only.iter().map(|journey| &*rules.journey(*journey).name).collect();
        let who = match names.is_empty() {
            true => format!("automation, everywhere{scope}"),
            false => format!("automation, everywhere but on {}{scope}", names.join(", ")),
        };
        let notice = narrowed::told(rules, Some((only.clone(), now.plus(law.expires))), Reader::Program);
        met.add(Kind::AutomationNarrowed, Some(notice), Some(Standing::Narrowed), who);
        all.append(&mut met.met);
    }
    all
}

/// Whom a playbook leaves out, where it does.
fn scope(law: &Playbook) -> String {
    let channels: Vec<&str> = law.channels.iter().map(Channel::word).collect();
    let mut scope = match law.channels == Channels::ALL {
        true => String::new(),
        false => format!(", through {} alone", channels.join(" and ")),
    };
    if law.shadow {
        scope.push_str(", once it is no longer in shadow");
    }
    scope
}

/// What can come on any page.
fn anywhere(rules: &RuleSet, now: Moment) -> Vec<Met> {
    let mut met = Gathered::new(rules, None, now);
    for refusal in &rules.refusals {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
        met.add(Kind::Refused, Some(Notice::refused(status)), None, format!("who is refused: {}", refusal.name));
    }
    for limit in rules.limits.of(None).iter().filter_map(|at| rules.limits.all().get(usize::from(*at))) {
        if !limit.shadow {
            met.throttle(limit.rate.interval(), format!("whoever goes beyond the limit {}", limit.name));
        }
    }
    met.fault(&Fault::Upstream(Failure::ConnectTimeout), "everybody whom the application does not answer in time");
    met.fault(&Fault::Upstream(Failure::Full), "everybody whom the application does not answer as it should");
    met.fault(&Fault::Busy { upstream: "".into(), come_back: 2 }, "whoever comes while there is no room");
    if matches!(rules.identity.subject, Some(SubjectSource::Jwt(_))) {
        met.fault(&Fault::InvalidToken(""), "whoever shows a token that has expired or is not valid");
    }
    if rules.step_up.is_some() {
        met.fault(&Fault::ReturnTarget, "whoever follows an old link back from the page that asks for one more proof");
    }
    met.fault(&Fault::BodyTooLarge(WHOLE), "whoever sends more than is taken");
    met.fault(&Fault::BodyTooSlow, "whoever sends too slowly");
    met.fault(&Fault::BodyBroken("".into()), "whoever's connection breaks while they send");
    if !rules.routes.is_empty() {
        let allow = "GET, HEAD".to_owned();
        met.fault(&Fault::MethodNotAllowed { allow }, "programs that use a method which the journey does not have");
        met.fault(&Fault::MethodOverride, "programs that ask to be read as another method");
        met.fault(&Fault::AmbiguousTarget, "programs that write an address in more than one way at once");
    }
    met.fault(&Fault::UnknownSite("".into()), "whoever asks for a host that no site has");
    met.fault(&Fault::Host(HostFault::Several), "programs that do not name one host");
    met.fault(&Fault::Host(HostFault::Tunnel), "programs that ask for what is not served");
    met.add(Kind::Internal, Some(Notice::broken()), None, "whoever is there when Weir itself fails".to_owned());
    met.met
}

/// A handoff while nobody can be reached.
fn without_help(rules: &RuleSet, now: Moment) -> Vec<Met> {
    let mut all = Vec::new();
    for help in &rules.help {
        let mut one = |full, now: Moment, who: String| {
            let mut met = Gathered::new(rules, None, now);
            let mut notice =
                Notice::handoff(Some(REFERENCE.to_owned()), Some(handoff::until(help.hours.as_ref(), now)));
            notice.exits.push(Exit::Contact(Contact::at(help, full, now)));
            met.add(Kind::Handoff, Some(notice), None, who);
            all.append(&mut met.met);
        };
        if let Some(closed) = closed(help, now) {
            one(false, closed, format!("whoever is led to {} while it is closed", help.name));
        }
        if help.per_hour.is_some() {
            let opens = help.hours.as_ref().and_then(|hours| hours.opens_next(now)).unwrap_or(now);
            one(true, opens, format!("whoever is led to {} while it is full", help.name));
        }
    }
    all
}

/// A moment at which a help is closed, to the quarter of an hour; none for one that is always open.
fn closed(help: &Help, now: Moment) -> Option<Moment> {
    let hours = help.hours.as_ref()?;
    let quarter = Duration::from_secs(900);
    (0..8 * 24 * 4).map(|ahead| now.plus(quarter * ahead)).find(|at| !hours.open_at(*at))
}
