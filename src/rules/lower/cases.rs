//! Cases: what must hold before the law is installed. They are run by the judge; here they are only read.

use super::Lower;
use super::playbooks::channel;
use crate::rules::client::Class;
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::feeds::{Feed, Feeds};
use crate::rules::ruleset::{Case, Given};
use crate::rules::syntax::Tables;
use crate::rules::syntax::files::{ActionWord, CaseFile, DeviceWord, GivenFile, NetworkWord};
use crate::rules::syntax::playbooks::ClassWord;
use crate::rules::target;

/// Cases that a law may have.
const CASES: usize = 20_000;

impl Lower<'_> {
    /// Every case that could be read. Those of a playbook's file run with that playbook armed.
    pub(super) fn cases(&mut self, tables: &Tables) -> Vec<Case> {
        let rules = tables.rules.iter().flat_map(|file| file.case.items()).map(|case| (case, None));
        let playbooks = tables
            .playbooks
            .iter()
            .flat_map(|(name, file)| file.case.items().iter().map(move |case| (case, Some(&*name.value))));
        let files: Vec<_> = rules.chain(playbooks).collect();
        if !self.within(files.len(), CASES, "cases") {
            return Vec::new();
        }
        files.into_iter().filter_map(|(file, of)| self.case(file, of)).collect()
    }

    fn case(&mut self, file: &CaseFile, of: Option<&str>) -> Option<Case> {
        let named = file.armed.given().map_or(&[][..], |armed| &armed.all);
        let armed: Option<Vec<Box<str>>> = named
            .iter()
            .map(|name| self.playbooks.find(name, self.broken, self.report).map(|_| name.value.clone()))
            .collect();
        let mut armed = armed?;
        armed.extend(of.map(Box::from));
        armed.sort_unstable();
        armed.dedup();
        let request = file.request.given();
        if let Some(path) = request.and_then(|request| request.path.given()) {
            let bare = path.split('?').next().unwrap_or("");
            if let Err(refused) = target::read(bare) {
                let problem = Diagnostic::of(&codes::BAD_PATH, format!("no request has this path: {refused}"));
                self.error(
                    problem
                        .at(path.span, "not a path")
                        .help("write for example \"/checkout\", with a query if it matters"),
                );
            }
        }
        let expect = file.expect.given();
        if let Some(word) = expect.filter(|word| word.value == ActionWord::Queue) {
            let problem = Diagnostic::of(&codes::NOT_BUILT, "this build cannot queue").at(word.span, "not yet");
            self.error(problem.help("expect \"throttle\" until a later build queues"));
        }
        let given = file.given.given().and_then(|given| self.given(given));
        let request = request?;
        let headers = request.headers.given().map_or(&[][..], |headers| &headers.0);
        let name = file.name.given()?;
        Some(Case {
            name: name.value.clone(),
            span: name.span,
            method: request.method.given()?.0.clone(),
            path: request.path.given()?.value.clone(),
            host: request.host.given().map(|host| host.to_ascii_lowercase().into()),
            headers: headers.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
            given: given?,
            expect: expect?.value.word().into(),
            armed,
        })
    }

    fn given(&mut self, file: &GivenFile) -> Option<Given> {
        let authenticated = match file.authenticated.given() {
            Some(name) => Some(self.levels.find(name, self.broken, self.report)?),
            None => None,
        };
        let failures = |value: Option<u64>| value.and_then(|value| u16::try_from(value).ok()).unwrap_or(0);
        let mut down: Feeds =
            file.down.given().map_or(&[][..], |many| &many.all).iter().map(|word| word.value).collect();
        if file.upstream_down.given()?.value {
            down = down.with(Feed::Upstream);
        }
        if file.jwks_down.given()?.value {
            down = down.with(Feed::Jwks);
        }
        Some(Given {
            device_known: file.device.given().map(|word| word.value == DeviceWord::Known),
            network_known: file.network.given().map(|word| word.value == NetworkWord::Known),
            authenticated,
            proof_age: file.proof_age.given()?.value,
            account_failures: failures(file.account_failures.given().map(|many| many.value)),
            device_failures: failures(file.device_failures.given().map(|many| many.value)),
            network_failures: failures(file.network_failures.given().map(|many| many.value)),
            class: class(file.class.given()?.value),
            channel: channel(file.channel.given()?.value),
            contaminated: file.contaminated.given()?.value,
            down,
        })
    }
}

const fn class(word: ClassWord) -> Class {
    match word {
        ClassWord::Customer => Class::Customer,
        ClassWord::Agent => Class::Agent,
        ClassWord::Partner => Class::Partner,
        ClassWord::Automation => Class::Automation,
    }
}
