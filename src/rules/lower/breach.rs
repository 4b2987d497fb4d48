//! Leaked lists: that what they need to be asked is there.

use super::Lower;
use super::names::Entry;
use crate::rules::breach::{Breach, Kind, ListAt};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::syntax::breach::BreachFile;
use crate::rules::syntax::files::JourneyFile;

impl Lower<'_> {
    /// The lists that sign-ins are compared with; none when something was reported.
    pub(super) fn breach(&mut self, file: Option<&BreachFile>, journeys: &[Entry<'_, JourneyFile>]) -> Option<Breach> {
        let file = file?;
        let key = file.key.given().and_then(|key| key.file.given()).map(|name| self.sources.resolve(&name.value));
        let fields = [&file.passwords, &file.pairs, &file.accounts];
        if fields.iter().all(|field| field.is_absent()) {
            let problem = Diagnostic::of(&codes::BREACH_EMPTY, "[breach] names no list").at(file.span, "nothing here");
            self.error(problem.help("name at least one of `passwords`, `pairs` and `accounts`, or remove it"));
        }
        let mut lists = Vec::new();
        for (kind, field) in Kind::ALL.into_iter().zip(fields) {
            let Some(said) = field.given() else { continue };
            let word = kind.word();
            if kind.is_keyed() && file.key.is_absent() {
                let said_is = format!("`{word}` is named, but not the key that it was made with");
                let problem = Diagnostic::of(&codes::BREACH_WITHOUT_KEY, said_is).at(said.span, "needs a key");
                self.error(problem.help("add key = { file = \"...\" }: the file that --key named when it was made"));
            }
            self.is_asked(kind, said.span, journeys);
            let path = self.sources.resolve(&said.value);
            lists.push(ListAt { kind, path, key: key.clone().filter(|_| kind.is_keyed()), span: said.span });
        }
        if let Some(key) = file.key.given().filter(|_| file.pairs.is_absent() && file.accounts.is_absent()) {
            let problem = Diagnostic::of(&codes::BREACH_IDLE, "a key is named that no list needs");
            self.error(problem.at(key.span, "idle").help("remove it; a list of passwords has no key"));
        }
        Some(Breach { lists, stale_after: file.stale_after.given()?.value })
    }

    /// Some journey must read what the list is asked with.
    fn is_asked(&mut self, kind: Kind, span: crate::rules::source::Span, journeys: &[Entry<'_, JourneyFile>]) {
        let (needs, asks): (&str, fn(&JourneyFile) -> bool) = match kind {
            Kind::Passwords => ("`credential`", |file| !file.credential.is_absent()),
            Kind::Pairs => {
                ("`account` and `credential`", |file| !file.account.is_absent() && !file.credential.is_absent())
            }
            Kind::Accounts => ("`account`", |file| !file.account.is_absent()),
        };
        if self.broken || journeys.iter().any(|(_, file)| file.is_none_or(asks)) {
            return;
        }
        let said = format!("nothing is compared with `{}`: no journey has {needs}", kind.word());
        let problem = Diagnostic::of(&codes::BREACH_IDLE, said).at(span, "never asked");
        self.error(
            problem
                .help("say on the journey where they stand in the body, as in credential = { field = \"password\" }"),
        );
    }
}
