//! Limits: whose requests are counted, where, and that the numbers can be kept.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Lower;
use super::identity::statuses;
use super::names::{Entry, Index};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::limits::{Key, Limit, Limits};
use crate::rules::ruleset::{Identity, JourneyId};
use crate::rules::syntax::files::JourneyFile;
use crate::rules::syntax::limits::{LimitFile, LimitKeyWord};
use crate::rules::syntax::playbooks::ModeWord;
use crate::rules::syntax::table::{Field, Said};

/// Limits that a law may have.
const MOST: usize = 256;
/// The longest time in which what was used may come back. Beyond it a told time means nothing to anybody.
const REST: Duration = Duration::from_secs(31 * 86_400);

/// Accounts that are younger have hardly been seen; older ones are not new.
const YOUNGEST: Duration = Duration::from_secs(3600);
const OLDEST: Duration = Duration::from_secs(90 * 86_400);

impl Lower<'_> {
    /// Every limit that could be made.
    pub(super) fn limits(
        &mut self,
        files: &[Entry<'_, LimitFile>],
        journey_files: &[Entry<'_, JourneyFile>],
        identity: &Identity,
    ) -> Limits {
        Index::new("limit", files, self.report);
        if !self.within(files.len(), MOST, "limits") {
            return Limits::default();
        }
        let mut all = Vec::new();
        for (name, file) in files {
            let Some(file) = file else { continue };
            let Some(on) = self.put_on(file) else { continue };
            let by_account = file.key.given().is_some_and(|key| key.value == LimitKeyWord::Account);
            if by_account || !file.accounts_younger_than.is_absent() {
                self.knows_accounts((name, by_account), &on, journey_files, identity);
            }
            if let Some(limit) = self.limit(name, file) {
                all.push((limit, on));
            }
        }
        Limits::new(all, journey_files.len())
    }

    /// The journeys that a limit is put on; none for every request. `None` when something was reported.
    fn put_on(&mut self, file: &LimitFile) -> Option<Vec<JourneyId>> {
        match &file.journeys {
            Field::Absent => Some(Vec::new()),
            Field::Broken => None,
            Field::Given(names) => {
                let found =
                    names.all.iter().map(|name| self.journeys.find(name, self.broken, self.report).map(JourneyId));
                // Every name is looked for, so that each one unknown is reported.
                let found: Vec<_> = found.collect();
                found.into_iter().collect::<Option<Vec<_>>>().filter(|on| !on.is_empty())
            }
        }
    }

    /// Somewhere the account must be known: in the body of a sign-in, or in a session.
    fn knows_accounts(
        &mut self,
        (name, by_account): (&Said<Box<str>>, bool),
        on: &[JourneyId],
        journeys: &[Entry<'_, JourneyFile>],
        identity: &Identity,
    ) {
        if identity.subject.is_some() || self.broken {
            return;
        }
        let tells = |file: Option<&JourneyFile>| file.is_none_or(|file| !file.account.is_absent());
        let silent = on.iter().filter_map(|on| journeys.get(on.index())).find(|(_, file)| !tells(*file));
        let counts = if by_account { "counts by account" } else { "looks at the age of accounts" };
        let said = match (silent, on.is_empty()) {
            (Some((journey, _)), _) => {
                format!("limit `{}` {counts}, and journey `{}` does not say whose it is", name.value, journey.value)
            }
            (None, true) => {
                format!("limit `{}` {counts} on every request, and nothing says whose they are", name.value)
            }
            (None, false) => return,
        };
        let problem = Diagnostic::of(&codes::LIMIT_ACCOUNT, said).at(name.span, "no account is known");
        let help =
            "add account = { field = \"email\" } to the journey, or a `subject` to [identity]; or count by \"client\"";
        self.error(problem.help(help));
    }

    fn limit(&mut self, name: &Said<Box<str>>, file: &LimitFile) -> Option<Limit> {
        let key = self.limit_key(name, file);
        let rate = file.rate.given();
        let burst = match (&file.burst, rate) {
            (Field::Given(burst), _) => NonZeroU32::new(u32::try_from(burst.value).ok()?),
            (Field::Absent, Some(rate)) => Some(rate.value.count),
            (Field::Broken, _) | (Field::Absent, None) => None,
        };
        let limit = Limit {
            name: (*name.value).into(),
            key: key?,
            younger_than: self.younger_than(name, file)?,
            rate: rate?.value,
            burst: burst?,
            counts: match &file.counts {
                Field::Absent => None,
                Field::Broken => return None,
                Field::Given(outcome) => Some(statuses(outcome.status.given()?)),
            },
            shadow: file.mode.given()?.value == ModeWord::Shadow,
        };
        if limit.rest() > REST {
            let days = limit.rest().as_secs() / 86_400;
            let said = format!("what limit `{}` gives at once takes {days} days to come back", name.value);
            let place = file.burst.given().map_or(rate?.span, |burst| burst.span);
            let problem = Diagnostic::of(&codes::LIMIT_REST, said).at(place, "nobody can wait so long");
            self.error(problem.help("lower `burst`, or raise `rate`, so that it comes back within 31 days"));
            return None;
        }
        Some(limit)
    }

    /// The age below which accounts are counted; the inner `None` for all, the outer when something was reported.
    fn younger_than(&mut self, name: &str, file: &LimitFile) -> Option<Option<Duration>> {
        let said = match &file.accounts_younger_than {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(said) => said,
        };
        if said.value < YOUNGEST || said.value > OLDEST {
            let problem = Diagnostic::of(&codes::LIMIT_AGE, format!("limit `{name}` is for accounts of no useful age"));
            self.error(problem.at(said.span, "too young or too old").help("choose between \"1h\" and \"90d\""));
        }
        Some(Some(said.value))
    }

    fn limit_key(&mut self, name: &Said<Box<str>>, file: &LimitFile) -> Option<Key> {
        let word = file.key.given()?;
        let key = match (word.value, &file.header) {
            (_, Field::Broken) => return None,
            (LimitKeyWord::Header, Field::Given(header)) => return Some(Key::Header(header.0.clone())),
            (LimitKeyWord::Header, Field::Absent) => {
                let said = format!("limit `{}` counts by header, and does not say by which", name.value);
                let problem = Diagnostic::of(&codes::LIMIT_HEADER, said).at(word.span, "by which header?");
                self.error(problem.help("add for example header = \"x-client-id\""));
                return None;
            }
            (LimitKeyWord::Account, _) => Key::Account,
            (LimitKeyWord::Client, _) => Key::Client,
            (LimitKeyWord::Device, _) => Key::Device,
            (LimitKeyWord::Network, _) => Key::Network,
        };
        if let Field::Given(header) = &file.header {
            let said = format!("limit `{}` counts by {}, so its header has no effect", name.value, key.word());
            let problem = Diagnostic::of(&codes::LIMIT_HEADER, said).at(header.span, "no effect");
            self.error(problem.help("write key = \"header\", or remove the header"));
            return None;
        }
        Some(key)
    }
}
