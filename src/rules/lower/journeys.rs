//! Journeys: what a customer is trying to do, and everything that must be said about it.

use super::Lower;
use super::identity::statuses;
use super::ladder::Ladders;
use super::names::Entry;
use crate::confidence::Confidence;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::ruleset::{Action, HelpId, InShadow, Journey, Ladder, StepUpStatus};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ActionFile, JourneyFile};
use crate::rules::syntax::signals::CountsWord;
use crate::rules::syntax::table::{Field, Said};

/// Journeys that a law may have.
const JOURNEYS: usize = 20_000;

impl Lower<'_> {
    /// Every journey; `None` when one could not be made.
    pub(super) fn journeys(&mut self, files: &[Entry<'_, JourneyFile>]) -> Option<Vec<Journey>> {
        if !self.within(files.len(), JOURNEYS, "journeys") {
            return None;
        }
        let all: Vec<_> = files.iter().map(|(name, file)| file.and_then(|file| self.journey(name, file))).collect();
        all.into_iter().collect()
    }

    fn journey(&mut self, name: &Said<Box<str>>, file: &JourneyFile) -> Option<Journey> {
        let view_line =
            file.view_line.given().and_then(|line| u8::try_from(line.value).ok()).and_then(Confidence::line);
        let place = |rungs: &Field<Vec<_>>| if rungs.is_absent() { file.span } else { name.span };
        let ladder = file.ladder.given().and_then(|rungs| self.ladder(rungs, place(&file.ladder), view_line));
        let attempt = file.attempt.given().map(|rungs| {
            self.asks_no_proof(rungs);
            self.ladder(rungs, place(&file.attempt), None)
        });
        if attempt.is_some() && file.succeeds_on.is_absent() {
            let said = format!("`attempt` of {} is judged, but nothing tells whether it succeeded", name.value);
            let problem = Diagnostic::of(&codes::ATTEMPT_WITHOUT_OUTCOME, said).at(name.span, "no `succeeds_on`");
            self.error(
                problem.help("add succeeds_on = { status = [200, 303] }: what the upstream answers when it worked"),
            );
        }
        let require = match &file.require {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(require) => {
                self.needs_proof(require.span, "`require`");
                self.proof_is_not_the_only_way(require.span, "`require`");
                require.level.given().and_then(|level| self.levels.find(level, self.broken, self.report)).map(Some)
            }
        };
        self.says_what_unknown_means(name, file);
        // A ladder that was reported may lead anywhere; what leans on it is not a second problem.
        let fallback = match &ladder {
            Some(ladder) => leads_to(&ladder.enforced).or_else(|| self.only_help()),
            None => Some(HelpId(0)),
        };
        let contained = self.contained(&file.contained, fallback);
        let when_unknown = self.when_unknown(&file.when_unknown, fallback, view_line);
        let status = self.step_up_status(file);
        let words = self.journey_words(&file.notice);
        let tried = attempt.as_ref().and_then(Option::as_ref).map(|attempt| &attempt.enforced);
        let budget = self.budget(&file.budget, ladder.as_ref().map(|ladder| &ladder.enforced), tried, view_line);
        let snapshot = self.snapshot(name, file);
        let text = |field: &Field<crate::rules::syntax::files::BodyField>| {
            field.given().and_then(|body| body.field.given()).map(|name| name.value.clone())
        };
        let (ladder, attempt) = (ladder?, attempt.map_or(Some(None), |attempt| attempt.map(Some))?);
        let some_in_shadow = ladder.full.is_some() || attempt.as_ref().is_some_and(|attempt| attempt.full.is_some());
        let full = |ladders: &Ladders| ladders.full.as_ref().unwrap_or(&ladders.enforced).clone();
        let in_shadow = some_in_shadow.then(|| InShadow { attempt: attempt.as_ref().map(full), ladder: full(&ladder) });
        let counts = file.counts_as.given().map(|counts| counts.value);
        let counts_as = |word: CountsWord, by_name: &str| counts.map_or(&*name.value == by_name, |said| said == word);
        Some(Journey {
            changes_account: counts_as(CountsWord::AccountChange, "account_change"),
            resets_password: counts_as(CountsWord::PasswordReset, "password_reset"),
            name: (*name.value).into(),
            account: text(&file.account),
            credential: text(&file.credential),
            succeeds_on: file.succeeds_on.given().and_then(|outcome| outcome.status.given()).map(statuses),
            attempt: attempt.map(|attempt| attempt.enforced),
            ladder: ladder.enforced,
            in_shadow,
            view_line,
            require: require?,
            contained: contained?,
            when_unknown: when_unknown?,
            min_coverage: file.min_coverage.given().and_then(|percent| u8::try_from(percent.value).ok())?,
            step_up_status: status?,
            budget: budget?,
            calibration: None,
            words,
            snapshot: snapshot?,
        })
    }

    /// A journey that ever asks for more than nothing must say what is done when a source is silent.
    fn says_what_unknown_means(&mut self, name: &Said<Box<str>>, file: &JourneyFile) {
        use crate::rules::syntax::files::ActionWord;
        let rungs = file.ladder.items().iter().chain(file.attempt.items());
        let strict = rungs.filter_map(|rung| rung.r#do.given()).any(|word| word.value != ActionWord::Allow);
        if (strict || !file.require.is_absent()) && file.when_unknown.is_absent() && !self.broken {
            let said = format!(
                "journey `{}` is sensitive, but does not say what is done when a source is unknown",
                name.value
            );
            let problem = Diagnostic::of(&codes::NO_WHEN_UNKNOWN, said).at(name.span, "no `when_unknown`");
            self.error(
                problem
                    .help("add when_unknown = \"step_up\", \"handoff\" or what else is right when evidence is missing"),
            );
        }
    }

    /// Whoever cannot give the proof that is asked for can reach a person.
    fn proof_is_not_the_only_way(&mut self, place: Span, what: &str) {
        if self.means.text {
            return;
        }
        let said = format!("who cannot give the proof that {what} asks for has no way forward");
        let problem = Diagnostic::of(&codes::DEAD_END, said).at(place, "a dead end");
        let help = "define a [help.NAME] with `text`, so that everybody can reach a person without a voice call";
        self.error(problem.help(help));
    }

    fn only_help(&self) -> Option<HelpId> {
        (self.help_files.len() == 1).then_some(HelpId(0))
    }

    /// What allow becomes when the upstream is away. `None` when something was reported.
    fn contained(&mut self, field: &Field<ActionFile>, fallback: Option<HelpId>) -> Option<Option<Action>> {
        let file = match field {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(ActionFile(file)) => file,
        };
        let action = self.action(file.into(), fallback)?;
        let word = action.word();
        if matches!(action, Action::Allow | Action::Throttle { .. } | Action::StepUp { .. }) {
            let said = format!("{word} needs the upstream, which is away when `contained` holds");
            let problem = Diagnostic::of(&codes::DOES_NOT_APPLY, said).at(file.span, "cannot be done then");
            self.error(problem.help("use \"read_only\", \"handoff\" or \"deny\""));
        }
        Some(Some(action))
    }

    fn when_unknown(
        &mut self,
        field: &Field<ActionFile>,
        fallback: Option<HelpId>,
        view_line: Option<Confidence>,
    ) -> Option<Option<Action>> {
        let file = match field {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(ActionFile(file)) => file,
        };
        let action = self.action(file.into(), fallback)?;
        if matches!(action, Action::StepUp { .. }) {
            self.proof_is_not_the_only_way(file.span, "`when_unknown`");
        }
        let shows = matches!(action, Action::Allow | Action::Throttle { .. } | Action::ReadOnly);
        if shows && view_line.is_some_and(|line| line > Confidence::NONE) {
            let said = format!("{} would show personal data while it is not known who is asking", action.word());
            let problem = Diagnostic::of(&codes::BELOW_VIEW_LINE, said).at(file.span, "on any doubt nothing is shown");
            self.error(problem.help("use \"step_up\" or \"handoff\" in a journey with a view line"));
        }
        Some(Some(action))
    }

    fn step_up_status(&mut self, file: &JourneyFile) -> Option<StepUpStatus> {
        let status = file.step_up_status.given()?;
        match status.value {
            401 => Some(StepUpStatus::Unauthorized),
            403 => Some(StepUpStatus::Forbidden),
            _ => {
                let problem = Diagnostic::of(&codes::OUT_OF_RANGE, "one more proof is asked for with 401 or 403");
                self.error(
                    problem
                        .at(status.span, "neither")
                        .help("401 for clients that sign in again, 403 for those that loop"),
                );
                None
            }
        }
    }
}

/// Where the strictest rung of a ladder leads.
fn leads_to(ladder: &Ladder) -> Option<HelpId> {
    ladder.rungs().iter().rev().find_map(|rung| match rung.action {
        Action::Handoff { to } | Action::Deny { to } => Some(to),
        Action::Allow | Action::Throttle { .. } | Action::StepUp { .. } | Action::ReadOnly => None,
    })
}
