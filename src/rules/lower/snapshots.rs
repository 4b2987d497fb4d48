//! Snapshots: that what is kept of a customer can be shown to nobody else, and that there is a moment at which it is shown.

use std::time::Duration;

use super::Lower;
use super::identity::statuses;
use crate::rules::diagnostic::{Code, Diagnostic, codes};
use crate::rules::ruleset::Action;
use crate::rules::snapshots::{EvenIf, SnapshotLaw};
use crate::rules::source::Span;
use crate::rules::syntax::files::{ActionWord, JourneyFile, Text};
use crate::rules::syntax::snapshots::{EvenIfWord, SnapshotFile};
use crate::rules::syntax::table::{Field, Said};

/// Less is gone before anybody needs it; more is a store of personal data.
const KEEP: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(90 * 24 * 3600));
/// Shorter than this no upstream answers; longer than this nobody waits.
const SLOW: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Headers by which answers may differ.
const VARY: usize = 8;
/// Members that are taken out.
const MASK: usize = 64;
/// Bytes of a member's name.
const MEMBER: usize = 64;

impl Lower<'_> {
    /// How a journey keeps snapshots; the outer one is none when something was reported.
    pub(super) fn snapshot(&mut self, name: &Said<Box<str>>, journey: &JourneyFile) -> Option<Option<SnapshotLaw>> {
        let file = match &journey.snapshot {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(file) => file,
        };
        self.fits(name, journey, file.span);
        let keep = self.between(&file.keep, KEEP, "keep", "between \"1m\" and \"90d\"");
        let slow = match file.slow {
            Field::Absent => Some(None),
            Field::Given(_) | Field::Broken => {
                self.between(&file.slow, SLOW, "slow", "between \"10ms\" and \"60s\"").map(Some)
            }
        };
        let mask = file.mask.given().map_or(&[][..], |many| &many.all);
        let vary = file.vary.given().map_or(&[][..], |many| &many.all);
        let fits = self.within(mask.len(), MASK, "members to take out of one answer")
            && self.within(vary.len(), VARY, "headers by which the answers of one journey differ");
        for header in vary {
            self.tells_answers_apart(header.value.0.as_str(), header.span);
        }
        self.members(file);
        let mut even_if = EvenIf::default();
        for word in file.even_if.given().map_or(&[][..], |many| &many.all) {
            match word.value {
                EvenIfWord::NoStore => even_if.no_store = true,
                EvenIfWord::NoCache => even_if.no_cache = true,
                EvenIfWord::MustRevalidate => even_if.must_revalidate = true,
            }
        }
        if let Some(status) =
            file.instead_of.given().and_then(|many| many.all.iter().find(|status| !(500..600).contains(&status.value)))
        {
            let said = format!("{} is no failure of the upstream", status.value);
            let problem = Diagnostic::of(&codes::OUT_OF_RANGE, said).at(status.span, "not from 500 to 599");
            self.error(problem.help("name statuses from 500 to 599: what the upstream says otherwise is its answer"));
        }
        let text = |field: &Field<Text>| field.given().map(|text| text.value.clone());
        fits.then_some(Some(SnapshotLaw {
            keep: keep?,
            mask: mask.iter().map(|pointer| pointer.value.0.clone().into()).collect(),
            even_if,
            slow: slow?,
            instead_of: statuses(file.instead_of.given()?),
            vary: vary.iter().map(|header| header.value.0.clone()).collect(),
            as_of: text(&file.as_of),
            blocked_actions: text(&file.blocked_actions),
            pass: file.pass.given()?.value,
        }))
    }

    /// What the journey must say beside it.
    fn fits(&mut self, name: &Said<Box<str>>, journey: &JourneyFile, at: Span) {
        let mut wrong = |code: &'static Code, said: String, label: &str, help: &str| {
            self.error(Diagnostic::of(code, said).at(at, label).help(help));
        };
        let name = &name.value;
        let unlined = match &journey.view_line {
            Field::Absent => true,
            Field::Given(line) => line.value == 0,
            Field::Broken => false,
        };
        if unlined {
            let said = format!("journey `{name}` keeps snapshots, and nothing says who is too unsure to be shown them");
            let help = "add view_line = 40 or what is right: below it no personal data is shown, live or stored";
            wrong(&codes::SNAPSHOT_WITHOUT_LINE, said, "kept without a view line", help);
        }
        let contained = match &journey.contained {
            Field::Absent => false,
            Field::Given(action) => action.0.r#do.given().is_none_or(|word| word.value == ActionWord::ReadOnly),
            Field::Broken => true,
        };
        if !contained {
            let word = Action::ReadOnly.word();
            let said = format!("journey `{name}` keeps snapshots, but is not {word} when the upstream is away");
            let help = "add contained = \"read_only\": then looking is served, and from the snapshot";
            wrong(&codes::SNAPSHOT_NOT_CONTAINED, said, "would never be shown", help);
        }
        if let Some(routes) = journey.routes.given()
            && !routes.all.is_empty()
            && !routes.all.iter().any(|route| &*route.value.method == "GET")
        {
            let said = format!("journey `{name}` keeps snapshots, but nothing on it is looked at");
            wrong(&codes::SNAPSHOT_OF_NOTHING, said, "no GET route", "name a GET route, or leave `snapshot` out");
        }
        if !journey.succeeds_on.is_absent() {
            let said =
                format!("journey `{name}` is a sign-in: its answers are for whoever signs in, not for a subject");
            wrong(&codes::SNAPSHOT_OF_NOTHING, said, "on a sign-in", "leave `snapshot` out here");
        }
        if self.means.nobody && !self.broken {
            let said = format!("journey `{name}` keeps snapshots, but no rule says where a subject comes from");
            let help = "add subject = { session_cookie = \"sid\" } or { jwt = { ... } } to [identity]";
            let problem = Diagnostic::of(&codes::SNAPSHOT_OF_NOBODY, said).at(at, "kept of nobody").help(help);
            self.error(problem);
        }
    }

    fn between(
        &mut self,
        field: &Field<Said<Duration>>,
        (least, most): (Duration, Duration),
        name: &str,
        help: &str,
    ) -> Option<Duration> {
        let said = field.given()?;
        if said.value < least || said.value > most {
            let problem = Diagnostic::of(&codes::SNAPSHOT_TIME, format!("`{name}` of a snapshot is no useful time"));
            self.error(problem.at(said.span, "too short or too long").help(format!("choose {help}")));
        }
        Some(said.value)
    }

    /// Who asks is in the key of every snapshot already, and what is for one hop or one connection is another one each time.
    fn tells_answers_apart(&mut self, header: &str, span: Span) {
        if matches!(header, "cookie" | "authorization" | "accept" | "accept-language" | "accept-encoding" | "host") {
            let said = format!("`{header}` is looked at already");
            let problem = Diagnostic::of(&codes::SNAPSHOT_VARY, said).at(span, "idle");
            self.error(problem.help("remove it: a snapshot is kept for one subject, host and language"));
        }
    }

    fn members(&mut self, file: &SnapshotFile) {
        let given = [&file.as_of, &file.blocked_actions].map(Field::given);
        for said in given.iter().flatten() {
            if said.value.is_empty() || said.value.len() > MEMBER || said.value.chars().any(char::is_control) {
                let problem = Diagnostic::of(&codes::SNAPSHOT_MEMBER, "this is no name of a member");
                self.error(problem.at(said.span, "not a name").help("write for example \"as_of\""));
            }
        }
        if let [Some(one), Some(two)] = given
            && one.value == two.value
        {
            let said = format!("`as_of` and `blocked_actions` are both written to the member `{}`", one.value);
            let problem = Diagnostic::of(&codes::SNAPSHOT_MEMBER, said).at(two.span, "the same member");
            self.error(problem.help("give each a name of its own"));
        }
    }
}
