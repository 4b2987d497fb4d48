//! Transmitters of security events, made into law: each by an issuer of its own, none believed for longer than it is remembered.

use std::collections::HashMap;

use super::Lower;
use super::names::{Entry, Index};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::routes::{Found, Routes};
use crate::rules::shared_signals::{REMEMBERED, SubjectFormat, Transmitter, Transmitters};
use crate::rules::source::Span;
use crate::rules::syntax::shared_signals::{SubjectWord, TransmitterFile};
use crate::rules::target;

/// Transmitters that a law may have.
const MOST: usize = 16;

impl Lower<'_> {
    /// Every transmitter that could be made.
    pub(super) fn shared_signals(
        &mut self,
        files: &[Entry<'_, TransmitterFile>],
        routes: Option<&Routes>,
    ) -> Transmitters {
        Index::new("transmitter", files, self.report);
        if !self.within(files.len(), MOST, "transmitters of security events") {
            return Transmitters::default();
        }
        let mut issuers: HashMap<&str, Span> = HashMap::new();
        let mut all = Vec::new();
        for (name, file) in files {
            let Some(file) = file else { continue };
            if let Some(issuer) = file.issuer.given() {
                if let Some(first) = issuers.get(&*issuer.value) {
                    let said = "two transmitters have one issuer: whose an event is could not be told";
                    let problem = Diagnostic::of(&codes::ISSUER_TWICE, said).at(issuer.span, "the second");
                    self.error(problem.also(*first, "the first").help("join them; one may have several audiences"));
                }
                issuers.entry(&issuer.value).or_insert(issuer.span);
            }
            self.is_free(file, routes);
            all.extend(self.transmitter(&name.value, file));
        }
        Transmitters::new(all)
    }

    /// A journey on the same path would never be asked for.
    fn is_free(&mut self, file: &TransmitterFile, routes: Option<&Routes>) {
        let Some((path, routes)) = file.path.given().zip(routes) else { return };
        let Ok(target) = target::read(&path.0) else { return };
        if let Found::Listed { .. } | Found::Ambiguous = routes.find("POST", &target) {
            let problem =
                Diagnostic::of(&codes::EVENTS_PATH, format!("security events and a journey share `{}`", path.0));
            self.error(problem.at(path.span, "taken before any journey").help("choose a path that no journey names"));
        }
    }

    fn transmitter(&mut self, name: &str, file: &TransmitterFile) -> Option<Transmitter> {
        let max_age = file.max_age.given()?;
        if max_age.value > REMEMBERED {
            let problem = Diagnostic::of(&codes::EVENTS_AGE, "an event could be taken again after it was forgotten");
            self.error(problem.at(max_age.span, "longer than 7d").help("write at most \"7d\""));
        }
        let jwks = file.jwks.given().map(|jwks| self.keys_at(jwks));
        let accounts = file.accounts.given()?.all.iter().map(|word| match word.value {
            SubjectWord::Email => SubjectFormat::Email,
            SubjectWord::Account => SubjectFormat::Account,
            SubjectWord::IssuerAndSubject => SubjectFormat::IssuerAndSubject,
            SubjectWord::Opaque => SubjectFormat::Opaque,
            SubjectWord::Phone => SubjectFormat::Phone,
        });
        let host = |host: &str| host.strip_prefix('*').unwrap_or(host).into();
        Some(Transmitter {
            name: name.into(),
            issuer: file.issuer.given()?.value.clone(),
            jwks: jwks?,
            audience: file.audience.given()?.all.iter().map(|text| text.value.clone()).collect(),
            hosts: file.hosts.given().map_or_else(Vec::new, |hosts| hosts.all.iter().map(|one| host(&one.0)).collect()),
            path: file.path.given()?.0.clone(),
            token: file.token_sha256.given().map(|digest| digest.0),
            accounts: accounts.collect(),
            max_age: max_age.value,
            expected_every: file.expected_every.given().map(|every| every.value),
            may_take: file.may_take.given()?.value,
        })
    }
}
