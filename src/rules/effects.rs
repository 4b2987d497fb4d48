//! What the armed playbooks add to the law, worked out once when one of the two changes, so that a request finds it ready.
//!
//! Effects only ever add demands: arming more never gives a customer more. Each knows its own end, so that an armed playbook
//! ends on the request path even when nothing else in the process is well.

use super::posture::Posture;
use super::ruleset::RuleSet;

/// What a posture adds.
#[derive(Debug, Default)]
pub struct Effects {}

impl Effects {
    /// Nothing.
    pub const NONE: Self = Self {};

    /// What this posture adds to this law.
    ///
    /// # Errors
    /// The names of playbooks that are armed and that the law does not have.
    pub fn of(rules: &RuleSet, posture: &Posture) -> Result<Self, Vec<Box<str>>> {
        let missing: Vec<_> = posture
            .armed
            .iter()
            .filter(|armed| !rules.playbooks.iter().any(|playbook| *playbook.name == *armed.playbook))
            .map(|armed| armed.playbook.clone())
            .collect();
        if missing.is_empty() { Ok(Self {}) } else { Err(missing) }
    }
}
