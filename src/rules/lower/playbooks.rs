//! Playbooks: names become indices, and a playbook that would not end, would change nothing, or would leave customers or agents
//! without a way is refused before anybody needs it.

use std::time::Duration;

use super::Lower;
use crate::confidence::Family;
use crate::rules::client::{Channel, Channels};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::playbook::{
    Calm, Change, Desk, Families, LONGEST, MOST, Playbook, StandDown, Then, Threshold, Trigger, Watch,
};
use crate::rules::ruleset::{Action, Journey, JourneyId, Ladder, UpstreamId};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ActionWord, Text};
use crate::rules::syntax::playbooks::{
    CalmFile, ChangeFile, ChannelWord, DeskFile, FamilyWord, ModeWord, PlaybookFile, StandDownFile, ThenWord,
    TriggerFile, WatchWord,
};
use crate::rules::syntax::table::{Field, Said, Written as _, listed};
use crate::rules::syntax::written::Name;

/// Journeys that one playbook may change.
const CHANGES: usize = 1_000;
/// Texts of one list for the desk, and triggers of one playbook.
const LINES: usize = 64;

impl Lower<'_> {
    /// Every playbook; `None` when one could not be made. Without `journeys` (one was reported) what leans on them is not checked.
    pub(super) fn playbooks(
        &mut self,
        files: &[(Said<Box<str>>, PlaybookFile)],
        journeys: Option<&[Journey]>,
    ) -> Option<Vec<Playbook>> {
        if !self.within(files.len(), MOST, "playbooks") {
            return None;
        }
        let all: Vec<_> = files.iter().map(|(name, file)| self.playbook(name, file, journeys)).collect();
        all.into_iter().collect()
    }

    fn playbook(
        &mut self,
        name: &Said<Box<str>>,
        file: &PlaybookFile,
        journeys: Option<&[Journey]>,
    ) -> Option<Playbook> {
        if let Err(wrong) = Name::parse(&name.value) {
            let problem = Diagnostic::of(&codes::BAD_NAME, wrong.says).at(name.span, "the name of this file");
            self.error(problem.help(wrong.help.unwrap_or_default()));
        }
        let (expires, at_most_total) = self.ends(file)?;
        let changes: Vec<_> = file.changes.given().map_or(&[][..], |named| &named.all).iter().collect();
        if !self.within(changes.len(), CHANGES, "changes in one playbook")
            || !self.within(file.trigger.items().len(), LINES, "triggers in one playbook")
        {
            return None;
        }
        let changes: Vec<_> = changes
            .into_iter()
            .map(|(journey, change)| {
                let id = self.journey_of(journey);
                let change = change.as_ref()?;
                self.change(journey, id?, change, journeys)
            })
            .collect();
        let automation_only = match &file.automation {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(automation) => {
                let only: Vec<_> = automation.only.items().iter().map(|journey| self.journey_of(journey)).collect();
                only.into_iter().collect::<Option<Vec<_>>>().map(Some)
            }
        };
        let routes: Vec<_> = file
            .route
            .given()
            .map_or(&[][..], |named| &named.all)
            .iter()
            .map(|(journey, to)| {
                let id = self.journey_of(journey);
                let upstream = to.as_ref().and_then(|to| to.upstream.given())?;
                let upstream = self.upstreams.find(upstream, self.broken, self.report)?;
                Some((id?, UpstreamId(upstream)))
            })
            .collect();
        let triggers: Vec<_> = file.trigger.items().iter().map(|file| self.trigger(file)).collect();
        let stand_down = self.stand_down(file.stand_down.given());
        let playbook = Playbook {
            name: (*name.value).into(),
            summary: file.summary.given()?.value.clone(),
            owner: file.owner.given()?.value.clone(),
            expires,
            at_most_total,
            triggers: triggers.into_iter().collect::<Option<_>>()?,
            changes: changes.into_iter().collect::<Option<_>>()?,
            unlisted_read_only: file.unlisted.given().is_some(),
            automation_only: automation_only?,
            routes: routes.into_iter().collect::<Option<_>>()?,
            distrust: file.signals.given().map_or(Families::NONE, |signals| {
                signals.distrust.items().iter().fold(Families::NONE, |all, word| all.with(family(word.value)))
            }),
            cut_streams: file.cut_streams.given()?.value,
            channels: match &file.channels {
                Field::Absent => Channels::ALL,
                Field::Broken => return None,
                Field::Given(words) => words.all.iter().map(|word| channel(word.value)).collect(),
            },
            stand_down: stand_down?,
            shadow: file.mode.given()?.value == ModeWord::Shadow,
            words: self.playbook_words(&file.notice).into(),
            desk: self.desk(file.desk.given())?,
        };
        self.changes_something(&playbook, name.span);
        self.verifies_callers(&playbook, file, journeys, name.span);
        self.a_person_decides(&playbook, file);
        Some(playbook)
    }

    fn journey_of(&mut self, name: &Text) -> Option<JourneyId> {
        self.journeys.find(name, self.broken, self.report).map(JourneyId)
    }

    /// A playbook always ends, and soon.
    fn ends(&mut self, file: &PlaybookFile) -> Option<(Duration, Duration)> {
        let expires = file.expires.given()?;
        let total = match &file.at_most_total {
            Field::Absent => expires,
            Field::Broken => return None,
            Field::Given(total) => total,
        };
        let mut wrong = |span: Span, said: &str, help: &str| {
            let problem = Diagnostic::of(&codes::PLAYBOOK_ENDS, said).at(span, "a playbook ends by itself");
            self.report.push(problem.help(help));
        };
        if expires.value.is_zero() {
            wrong(expires.span, "this playbook would end before it began", "write for example expires = \"2h\"");
        }
        if expires.value > total.value {
            let help = "make `at_most_total` at least as long as `expires`, or leave it out";
            wrong(total.span, "`expires` is longer than the longest that it may hold", help);
        }
        if total.value > LONGEST {
            let help = "write at most \"7d\"; what must hold longer is a rule of its journey";
            wrong(total.span, "a playbook holds for a week at most", help);
        }
        Some((expires.value, total.value))
    }

    fn change(
        &mut self,
        name: &Text,
        id: JourneyId,
        file: &ChangeFile,
        journeys: Option<&[Journey]>,
    ) -> Option<Change> {
        let contained = file.contained.given()?.value;
        let only_contaminated = match &file.r#where {
            Field::Absent => false,
            Field::Broken => return None,
            Field::Given(only) => only.contaminated.given()?.value,
        };
        let word = match &file.at_most {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(word) => Some(word),
        };
        let mut change = Change { journey: id, at_most: None, attempt_at_most: None, contained, only_contaminated };
        if word.is_none() && !contained {
            let said = format!("nothing is changed on journey `{}`", name.value);
            let problem = Diagnostic::of(&codes::CHANGES_NOTHING, said).at(name.span, "no effect");
            self.error(problem.help("give `at_most` or `contained = true`, or remove it"));
        }
        let Some(journey) = journeys.and_then(|all| all.get(id.index())) else { return Some(change) };
        if contained && journey.contained.is_none() {
            let said = format!("journey `{}` does not say what is left of it when it is contained", journey.name);
            let place = file.contained.given().map_or(name.span, |flag| flag.span);
            let problem = Diagnostic::of(&codes::NOT_CONTAINED, said).at(place, "nothing would happen");
            let help = format!("give [journeys.{}] contained = \"read_only\", or use `at_most` here", journey.name);
            self.error(problem.help(help));
        }
        if let Some(word) = word {
            self.cap(&mut change, journey, word);
        }
        Some(change)
    }

    /// The rung of the journey that nobody gets higher than.
    fn cap(&mut self, change: &mut Change, journey: &Journey, word: &Said<ActionWord>) {
        if word.value == ActionWord::Queue {
            let problem = Diagnostic::of(&codes::NOT_BUILT, "this build cannot queue").at(word.span, "not yet");
            self.error(problem.help("use \"throttle\" until a later build queues"));
            return;
        }
        let meant = word.value.word();
        let rung = |ladder: &Ladder| {
            ladder.rungs().iter().map(|rung| &rung.action).find(|action| action.word() == meant).cloned()
        };
        let contained = journey.contained.as_ref().filter(|action| action.word() == meant).cloned();
        change.at_most = rung(&journey.ladder).or(contained);
        change.attempt_at_most = journey.attempt.as_ref().and_then(rung);
        if change.at_most.is_none() && change.attempt_at_most.is_none() {
            let ladders = std::iter::once(&journey.ladder).chain(&journey.attempt);
            let mut known: Vec<&str> = ladders
                .flat_map(|ladder| ladder.rungs().iter().map(|rung| rung.action.word()))
                .chain(journey.contained.as_ref().map(Action::word))
                .filter(|word| *word != "allow")
                .collect();
            known.sort_unstable();
            known.dedup();
            let said = format!("journey `{}` has no rung that does {meant}", journey.name);
            let problem = Diagnostic::of(&codes::NO_SUCH_RUNG, said).at(word.span, "no such rung");
            self.error(problem.help(match known.is_empty() {
                true => format!("give [journeys.{}] such a rung: it serves everybody in full now", journey.name),
                false => format!("use {}, or give [journeys.{}] such a rung", listed(&known), journey.name),
            }));
            return;
        }
        let first = |ladder: &Ladder| ladder.rungs().first().map_or(0, |rung| rung.action.strictness());
        let stricter = |cap: &Option<Action>, top: u8| cap.as_ref().is_some_and(|action| action.strictness() > top);
        let attempt = journey.attempt.as_ref().map_or(0, first);
        if !stricter(&change.at_most, first(&journey.ladder)) && !stricter(&change.attempt_at_most, attempt) {
            let said = format!("nobody gets more than {meant} on journey `{}` anyway", journey.name);
            let problem = Diagnostic::of(&codes::CHANGES_NOTHING, said).at(word.span, "no effect");
            self.error(problem.help("name a rung further down the ladder, or remove it"));
        }
    }

    fn trigger(&mut self, file: &TriggerFile) -> Option<Trigger> {
        let over = file.over.given()?;
        if over.value < Duration::from_secs(10) || over.value > Duration::from_secs(24 * 3600) {
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, "a trigger watches for between 10s and 24h");
            self.error(problem.at(over.span, "out of range").help("write for example over = \"2m\""));
        }
        let watch = watch(file.watch.given()?.value);
        let at_least = file.at_least.given()?;
        self.can_be(watch, at_least);
        Some(Trigger {
            watch,
            over: over.value,
            at_least: at_least.value,
            then: match file.then.given()?.value {
                ThenWord::Arm => Then::Arm,
                ThenWord::Propose => Then::Propose,
            },
        })
    }

    /// A share is never above 1.
    fn can_be(&mut self, watch: Watch, value: &Said<Threshold>) {
        let share = match watch {
            Watch::LoginFailureRate | Watch::UpstreamFailureRate | Watch::HeldRate => true,
            Watch::LoginRate | Watch::AutomationRate => false,
        };
        if let Threshold::Value(number) = value.value
            && share
            && number > 1.0
        {
            let said = format!("{} is a share: it is never above 1", watch.word());
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, said).at(value.span, "never reached");
            self.error(problem.help("write 0.3 for 30 in 100, or \"5x baseline\""));
        }
    }

    fn stand_down(&mut self, file: Option<&StandDownFile>) -> Option<StandDown> {
        let Some(file) = file else { return Some(StandDown::default()) };
        let ramp = file.ramp.given()?;
        if ramp.value > LONGEST {
            let problem = Diagnostic::of(&codes::PLAYBOOK_ENDS, "the way back takes a week at most");
            self.error(problem.at(ramp.span, "too long").help("write for example ramp = \"15m\""));
        }
        let when = match &file.when {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(calm) => Some(self.calm(calm)?),
        };
        Some(StandDown { when, ramp: ramp.value })
    }

    fn calm(&mut self, file: &CalmFile) -> Option<Calm> {
        let watch = watch(file.watch.given()?.value);
        let at_most = file.at_most.given()?;
        self.can_be(watch, at_most);
        Some(Calm { watch, at_most: at_most.value, during: file.during.given()?.value })
    }

    fn desk(&mut self, file: Option<&DeskFile>) -> Option<Desk> {
        let Some(file) = file else { return Some(Desk::default()) };
        let lists = [&file.verify, &file.never, &file.escalate];
        if lists.iter().any(|list| !self.within(list.items().len(), LINES, "lines in one list for the desk")) {
            return None;
        }
        let texts = |list: &Field<Vec<Text>>| list.items().iter().map(|text| text.value.clone()).collect();
        Some(Desk {
            verify: texts(&file.verify),
            script: file.script.given().map(|text| text.value.clone()).unwrap_or_default(),
            never: texts(&file.never),
            escalate: texts(&file.escalate),
        })
    }

    fn changes_something(&mut self, playbook: &Playbook, place: Span) {
        let nothing = playbook.changes.is_empty()
            && playbook.automation_only.is_none()
            && playbook.routes.is_empty()
            && playbook.distrust.is_empty()
            && !playbook.unlisted_read_only
            && !playbook.cut_streams;
        if nothing {
            let said = format!("playbook `{}` changes nothing when it is armed", playbook.name);
            let problem = Diagnostic::of(&codes::CHANGES_NOTHING, said).at(place, "this file");
            self.error(problem.help(
                "give it [changes.JOURNEY], [automation], [route], [signals], unlisted or cut_streams, or remove the file",
            ));
        }
    }

    /// Who is sent to a person must be verified there: a contact centre without a procedure is the way in for a thief.
    fn verifies_callers(
        &mut self,
        playbook: &Playbook,
        file: &PlaybookFile,
        journeys: Option<&[Journey]>,
        place: Span,
    ) {
        let to_a_person = |action: &Action| matches!(action, Action::Handoff { .. } | Action::Deny { .. });
        let leads = |change: &Change| {
            let contained = journeys.and_then(|all| all.get(change.journey.index()));
            let contained = contained.and_then(|journey| journey.contained.as_ref()).filter(|_| change.contained);
            change.at_most.iter().chain(&change.attempt_at_most).chain(contained).any(to_a_person)
        };
        let unread = matches!(&file.desk, Field::Broken)
            || file.desk.given().is_some_and(|desk| matches!(desk.verify, Field::Broken));
        if playbook.changes.iter().any(leads) && playbook.desk.verify.is_empty() && !unread {
            let said =
                format!("playbook `{}` leads customers to people who are not told how to verify them", playbook.name);
            let place = file.desk.given().map_or(place, |desk| desk.span);
            let problem = Diagnostic::of(&codes::DESK_UNPREPARED, said).at(place, "no `verify` here");
            self.error(problem.help(
                "add [desk] verify = [...]: how a caller proves who they are, beyond the reference; never by knowledge questions",
            ));
        }
    }

    /// What concerns everybody needs a person; a trigger alone may only change things for clients under attack.
    fn a_person_decides(&mut self, playbook: &Playbook, file: &PlaybookFile) {
        let site_wide = playbook.changes.iter().any(|change| !change.only_contaminated)
            || !playbook.routes.is_empty()
            || !playbook.distrust.is_empty()
            || playbook.unlisted_read_only
            || playbook.cut_streams;
        let arms = file.trigger.items().iter().filter_map(|trigger| trigger.then.given());
        for then in arms.filter(|then| site_wide && !playbook.shadow && then.value == ThenWord::Arm) {
            let said = format!("a trigger would change things for everybody with playbook `{}`", playbook.name);
            let help = "write then = \"propose\", or narrow every change with where = { contaminated = true }";
            let problem = match playbook.stand_down.when {
                None => Diagnostic::of(&codes::NEEDS_A_PERSON, said).at(then.span, "nobody is asked"),
                Some(_) => {
                    let said = format!("{said}; only `stand_down` keeps it short");
                    Diagnostic::of(&codes::ARMS_SITE_WIDE, said).at(then.span, "nobody is asked")
                }
            };
            self.error(problem.help(help));
        }
    }
}

/// The channel of a word.
pub(super) const fn channel(word: ChannelWord) -> Channel {
    match word {
        ChannelWord::Web => Channel::Web,
        ChannelWord::App => Channel::App,
        ChannelWord::Store => Channel::Store,
        ChannelWord::Desk => Channel::Desk,
    }
}

const fn family(word: FamilyWord) -> Family {
    match word {
        FamilyWord::Device => Family::Device,
        FamilyWord::Behaviour => Family::Behaviour,
        FamilyWord::Authentication => Family::Authentication,
        FamilyWord::Exposure => Family::Exposure,
    }
}

const fn watch(word: WatchWord) -> Watch {
    match word {
        WatchWord::LoginFailures => Watch::LoginFailureRate,
        WatchWord::Logins => Watch::LoginRate,
        WatchWord::UpstreamFailures => Watch::UpstreamFailureRate,
        WatchWord::Held => Watch::HeldRate,
        WatchWord::Automation => Watch::AutomationRate,
    }
}
