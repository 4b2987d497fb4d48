//! `[control]`: a door for operators over TCP, beside the socket that is always there. Without it there is none.
//!
//! Nobody comes in without a token, and no token stands here: only its SHA-256.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Lift, Tls, TlsFile};
use crate::rules::diagnostic::{Diagnostic, codes};
use crate::rules::source::Span;
use crate::rules::syntax::files::Text;
use crate::rules::syntax::forms::Many;
use crate::rules::syntax::table::{Field, Said, table, words};

/// A door over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDoor {
    /// Where.
    pub address: SocketAddr,
    /// With which certificates; in clear text, on this machine alone, when absent.
    pub tls: Option<Tls>,
    /// Who may come in; never empty.
    pub tokens: Vec<TokenSetting>,
}

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSetting {
    /// Their name, as the audit record has it.
    pub name: Box<str>,
    /// What they may.
    pub role: TokenRole,
    /// SHA-256 of their token.
    pub sha256: Digest,
}

/// What somebody with a token may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRole {
    /// Everything.
    Operator,
    /// What a contact centre needs.
    Agent,
    /// What the application itself needs: handing over answers to keep.
    Application,
    /// Looking.
    Viewer,
}

/// Where a token's SHA-256 is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digest {
    /// Here.
    Here([u8; 32]),
    /// In a file, as 64 hexadecimal digits.
    File(PathBuf),
}

table! {
    /// A door for operators over TCP. The socket in the data directory is always there.
    ControlFile("control") {
        /// An address and port; no door over TCP when absent.
        listen: Said<SocketAddr> = optional;
        /// Its certificates. Needed unless the address is one of this machine alone.
        tls: Many<TlsFile> = optional;
        /// Who may come in.
        tokens: Vec<TokenFile> = default("[]");
    }
}

table! {
    /// Somebody who may come in. `weir token NAME --role ROLE` makes one.
    TokenFile("tokens") {
        /// Whose it is, as the audit record has it.
        name: Text = required;
        /// What they may.
        role: Said<RoleWord> = required;
        /// SHA-256 of the token, as 64 hexadecimal digits.
        sha256: Text = optional;
        /// A file that holds it instead, relative to the rules.
        sha256_file: Text = optional;
    }
}

words! {
    /// What somebody may.
    RoleWord {
        /// Everything.
        "operator" => Operator,
        /// What a contact centre needs: status, journeys, handoffs by reference, what to say and do.
        "agent" => Agent,
        /// What the application itself needs: handing over answers to keep for its customers.
        "application" => Application,
        /// Looking, without anything about a person.
        "viewer" => Viewer,
    }
}

/// SHA-256 from its 64 hexadecimal digits.
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl Lift<'_> {
    /// `None` when something is wrong, `Some(None)` when there is no such door.
    pub(super) fn control(&mut self, file: &ControlFile) -> Option<Option<ControlDoor>> {
        let address = match &file.listen {
            Field::Given(address) => address,
            Field::Broken => return None,
            Field::Absent => {
                return Some(None);
            }
        };
        let tls = match &file.tls {
            Field::Absent => None,
            Field::Broken => return None,
            Field::Given(many) => Some(self.tls(many)?),
        };
        if tls.is_none() && !address.value.ip().is_loopback() {
            let problem = Diagnostic::of(
                &codes::NEEDS_CARE,
                format!("tokens would cross the network to {} in clear text", address.value),
            )
            .at(address.span, "not an address of this machine alone");
            self.problems
                .push(problem.help("add tls = { certificate = \"...\", key = \"...\" }, or listen on 127.0.0.1"));
        }
        let mut tokens: Vec<TokenSetting> = Vec::new();
        for file in file.tokens.given()? {
            let name = file.name.given()?;
            if tokens.iter().any(|known| *known.name == *name.value) {
                let problem = Diagnostic::of(&codes::TWICE, format!("{} has two tokens", name.value));
                self.problems.push(
                    problem.at(name.span, "the second").help("give each token a name of its own: the record shows it"),
                );
            }
            let role = match file.role.given()?.value {
                RoleWord::Operator => TokenRole::Operator,
                RoleWord::Agent => TokenRole::Agent,
                RoleWord::Application => TokenRole::Application,
                RoleWord::Viewer => TokenRole::Viewer,
            };
            let sha256 = self.digest(file, name.span)?;
            tokens.push(TokenSetting { name: name.value.clone(), role, sha256 });
        }
        if tokens.is_empty() {
            let problem = Diagnostic::of(&codes::EMPTY, "nobody may come in through this door");
            self.problems.push(
                problem
                    .at(address.span, "a door")
                    .help("weir token NAME --role operator makes a token and its line for here"),
            );
        }
        Some(Some(ControlDoor { address: address.value, tls, tokens }))
    }

    fn digest(&mut self, file: &TokenFile, place: Span) -> Option<Digest> {
        match (&file.sha256, &file.sha256_file) {
            (Field::Given(text), Field::Absent) => match digest(&text.value) {
                Some(bytes) => Some(Digest::Here(bytes)),
                None => {
                    let problem = Diagnostic::of(&codes::OUT_OF_RANGE, "this is not a SHA-256")
                        .at(text.span, "64 hexadecimal digits belong here");
                    self.problems.push(
                        problem.help("weir token NAME --role ROLE prints a token once, and its SHA-256 for here"),
                    );
                    None
                }
            },
            (Field::Absent, Field::Given(path)) => Some(Digest::File(self.sources.resolve(&path.value))),
            (Field::Broken, _) | (_, Field::Broken) => None,
            (Field::Absent, Field::Absent) | (Field::Given(_), Field::Given(_)) => {
                let problem = Diagnostic::of(&codes::EMPTY, "a token has one SHA-256")
                    .at(place, "whose is not said, or said twice");
                self.problems.push(problem.help("give either sha256 = \"...\" or sha256_file = \"...\""));
                None
            }
        }
    }
}
