//! Proofs of classes and what tells channels, made into law.

use std::collections::HashMap;
use std::sync::Arc;

use super::Lower;
use super::refusals::Making;
use crate::rules::client::{Channel, Class};
use crate::rules::clients::{ChannelLaw, ClassProof, Clients};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::source::Span;
use crate::rules::syntax::clients::{ChannelsFile, KeyFile, ProofFile};
use crate::rules::syntax::files::{IdentityFile, Text};
use crate::rules::syntax::playbooks::ClassWord;
use crate::rules::syntax::table::Field;

/// Proofs that all classes may have together, and keys.
const PROOFS: usize = 256;
const KEYS: usize = 100_000;

impl Lower<'_> {
    /// Everything that is said of clients.
    pub(super) fn clients(
        &mut self,
        identity: Option<&IdentityFile>,
        keys: &[&KeyFile],
        channels: Option<&ChannelsFile>,
    ) -> Clients {
        let mut proofs = Vec::new();
        let mut files: Vec<(u16, Class)> = Vec::new();
        if let Some(identity) = identity {
            let classes = [
                (Class::Partner, &identity.partner),
                (Class::Agent, &identity.agent),
                (Class::Automation, &identity.automation),
            ];
            let all: Vec<_> =
                classes.iter().flat_map(|(class, list)| list.items().iter().map(|file| (*class, file))).collect();
            if self.within(all.len(), PROOFS, "proofs of classes") && self.within(keys.len(), KEYS, "keys") {
                let tokens = identity.subject.given().is_none_or(|subject| !subject.jwt.is_absent());
                for (class, file) in all {
                    let proof = self.proof(file, keys, tokens, class, &mut files);
                    proofs.extend(proof.map(|proof| (class, proof)));
                }
            }
        }
        self.keys_that_prove_nothing(keys, &files);
        self.keys_of_two(keys, &files);
        Clients { proofs, channels: channels.map_or_else(Vec::new, |channels| self.channels(channels)) }
    }

    fn proof(
        &mut self,
        file: &ProofFile,
        keys: &[&KeyFile],
        tokens: bool,
        class: Class,
        files: &mut Vec<(u16, Class)>,
    ) -> Option<ClassProof> {
        let given = [file.client_certificate.is_absent(), file.keys.is_absent(), file.jwt_claim.is_absent()];
        if given.iter().filter(|absent| !**absent).count() != 1 {
            let problem = Diagnostic::of(&codes::EXACTLY_ONE, "a class is proved in exactly one way here");
            self.error(
                problem.at(file.span, "here").help("give exactly one of client_certificate, keys and jwt_claim"),
            );
            return None;
        }
        if let Field::Given(subject) = &file.client_certificate {
            let issuer = file.issuer.given().map(|issuer| issuer.0.clone()).unwrap_or_default();
            return Some(ClassProof::Certificate { subject: subject.0.clone(), issuer });
        }
        if let Field::Given(claim) = &file.jwt_claim {
            if !tokens && !self.broken {
                let problem = Diagnostic::of(&codes::NO_TOKENS, "a claim proves this, but no tokens are verified");
                self.error(problem.at(claim.span, "of which token").help("give `subject = { jwt = { ... } }` too"));
            }
            let (name, equals) = claim.name.given().zip(claim.equals.given())?;
            return Some(ClassProof::Claim { name: name.value.clone(), equals: equals.value.clone() });
        }
        let named = file.keys.given()?;
        let source = self.source_of(named)?;
        let known: HashMap<[u8; 32], Box<str>> = keys
            .iter()
            .filter(|key| key.span.source == source)
            .filter_map(|key| Some((key.sha256.given()?.0, key.name.given()?.value.clone())))
            .collect();
        let some = keys.iter().any(|key| key.span.source == source);
        if !some && !self.broken {
            let problem = Diagnostic::of(&codes::NO_KEYS, format!("`{}` holds no key", named.value));
            self.error(problem.at(named.span, "named here").help("add [[key]] with a name and sha256 to it"));
        }
        files.push((source, class));
        Some(ClassProof::Key { header: file.header.given()?.0.clone(), keys: Arc::new(known) })
    }

    /// The rule file of this name.
    fn source_of(&mut self, named: &Text) -> Option<u16> {
        let found = self.sources.iter().find(|(_, source)| *source.name == *named.value);
        if found.is_none() && !self.broken {
            let problem = Diagnostic::of(&codes::NO_KEYS, format!("there is no rule file `{}`", named.value));
            self.error(
                problem.at(named.span, "named here").help("put it beside the other rule files, with [[key]] tables"),
            );
        }
        found.map(|(number, _)| number)
    }

    fn keys_that_prove_nothing(&mut self, keys: &[&KeyFile], files: &[(u16, Class)]) {
        let idle = keys.iter().find(|key| files.iter().all(|(source, _)| *source != key.span.source));
        if let Some(key) = idle.filter(|_| !self.broken) {
            let problem = Diagnostic::of(&codes::UNUSED_KEYS, "keys stand here, and no class is proved by them");
            self.error(
                problem
                    .at(key.span, "the first")
                    .help("name this file in [identity], for example automation = [{ keys = \"api_keys.toml\" }]"),
            );
        }
    }

    fn keys_of_two(&mut self, keys: &[&KeyFile], files: &[(u16, Class)]) {
        let mut seen: HashMap<[u8; 32], (Span, Vec<Class>)> = HashMap::new();
        for key in keys {
            let Some(digest) = key.sha256.given() else { continue };
            let classes = files.iter().filter(|(source, _)| *source == key.span.source).map(|(_, class)| *class);
            let (first, known) = seen.entry(digest.0).or_insert_with(|| (digest.span, Vec::new()));
            let first = *first;
            known.extend(classes);
            known.dedup();
            if known.len() > 1 {
                let problem = Diagnostic::of(&codes::TWO_CLASSES, "one key stands for two classes")
                    .at(digest.span, "this key")
                    .help("the first of partner, agent and automation counts; give each client a key of its own");
                let problem = if first == digest.span { problem } else { problem.also(first, "the same key") };
                known.truncate(1);
                self.error(problem);
            }
        }
    }

    fn channels(&mut self, file: &ChannelsFile) -> Vec<ChannelLaw> {
        let mut making = Making::default();
        let mut laws = Vec::new();
        for (channel, file) in [(Channel::App, &file.app), (Channel::Store, &file.store), (Channel::Desk, &file.desk)] {
            let Some(file) = file.given() else { continue };
            if file.class.is_absent() && file.when.is_absent() {
                let problem = Diagnostic::of(&codes::EMPTY, "nothing tells this channel, so everybody would be in it");
                self.error(problem.at(file.span, "empty").help("give `class`, `when`, or both"));
                continue;
            }
            let class = file.class.given().map(|word| match word.value {
                ClassWord::Customer => Class::Customer,
                ClassWord::Agent => Class::Agent,
                ClassWord::Partner => Class::Partner,
                ClassWord::Automation => Class::Automation,
            });
            let when = match file.when.given() {
                Some(when) => match self.condition(when, 0, &mut making) {
                    Some(when) => Some(when),
                    None => continue,
                },
                None => None,
            };
            laws.push(ChannelLaw { channel, class, when });
        }
        if making.finish().is_err() {
            let problem =
                Diagnostic::of(&codes::TOO_MUCH, "the regular expressions of [channels] are too large together");
            self.error(problem.at(file.span, "here").help("use fewer, or smaller repetitions"));
            return Vec::new();
        }
        laws
    }
}
