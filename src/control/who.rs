//! Who changes something or asks for it: a person by the system's word or by a token, or Weir itself. A role says what they may.

use std::fs;

use serde::{Deserialize, Serialize};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Operator,
    /// What a contact centre needs: status, journeys, handoffs by reference, what to say and do.
    Agent,
    /// The application itself: it hands over answers to keep for its customers, and nothing else.
    Application,
    /// Looking, without anything about a person.
    Viewer,
    /// The machine itself: an end, a trigger, a file that was saved.
    Weir,
}

impl Role {
    /// The word in settings, records and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Application => "application",
            Self::Viewer => "viewer",
            Self::Weir => "weir",
        }
    }
}

/// Somebody, as the record names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// A person's or a machine's name.
    pub name: Box<str>,
    /// What they may.
    pub role: Role,
    /// How that is known: `unix uid 1000`, `token`, or what happened.
    pub how: Box<str>,
}

impl Who {
    /// Weir itself, because of something.
    pub fn weir(name: &str, how: &str) -> Self {
        Self { name: name.into(), role: Role::Weir, how: how.into() }
    }

    /// Whoever saved a rule file: the file system does not say who.
    pub fn files() -> Self {
        Self::weir("files", "the rule files changed")
    }

    /// Whoever may signal this process, or the program that runs it.
    pub fn process() -> Self {
        Self::weir("process", "asked by the process itself")
    }

    /// A trigger of a playbook.
    pub fn trigger() -> Self {
        Self::weir("trigger", "what a playbook watches")
    }

    /// The clock: an end that was said before.
    pub fn clock() -> Self {
        Self::weir("clock", "an end that was said when it was armed")
    }

    /// Whoever the system says is at the other end of a Unix socket. The file system let them in, so they are an operator.
    pub fn user(uid: u32) -> Self {
        let name = user_name(uid).unwrap_or_else(|| format!("uid {uid}"));
        Self { name: name.into(), role: Role::Operator, how: format!("unix uid {uid}").into() }
    }
}

/// The name of a user of this machine.
fn user_name(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.into_iter().find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    found.first().filter(|name| !name.is_empty()).map(|name| super::audit::clean(name))
}
