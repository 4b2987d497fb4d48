//! What becomes of an attempt to change the law, in a form that machines read and in the log's words.

use std::path::Path;

use serde::Serialize;

/// What became of one reading of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// A new law is in force.
    Installed {
        /// Its generation.
        generation: u64,
        /// Its fingerprint.
        fingerprint: String,
        /// Warnings, rendered; empty when there are none.
        warnings: String,
    },
    /// The files are what is in force already.
    Unchanged {
        /// The generation in force.
        generation: u64,
    },
    /// The files have errors; the last good law stands.
    Refused {
        /// The generation that stays in force.
        generation: u64,
        /// How many errors.
        errors: usize,
        /// The problems, rendered.
        problems: String,
    },
    /// The files are a law, but its own cases do not hold; the last good law stands.
    CasesFailed {
        /// The generation that stays in force.
        generation: u64,
        /// How many cases.
        failed: usize,
        /// The cases and why, rendered.
        problems: String,
    },
    /// The law does not have a playbook that is armed; the one in force stands.
    LacksArmed {
        /// The generation that stays in force.
        generation: u64,
        /// The playbooks.
        playbooks: Vec<String>,
    },
    /// The law before is in force again.
    RolledBack {
        /// The new generation.
        generation: u64,
        /// The fingerprint that is in force again.
        fingerprint: String,
    },
    /// There is no law before this one.
    NothingBefore {
        /// The generation in force.
        generation: u64,
    },
    /// Somebody was quicker: nothing was changed.
    Moved {
        /// The generation in force.
        generation: u64,
    },
}

impl Outcome {
    /// The word that machines read.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "installed",
            Self::Unchanged { .. } => "unchanged",
            Self::Refused { .. } => "refused",
            Self::CasesFailed { .. } => "cases_failed",
            Self::LacksArmed { .. } => "lacks_armed",
            Self::RolledBack { .. } => "rolled_back",
            Self::NothingBefore { .. } => "nothing_before",
            Self::Moved { .. } => "moved",
        }
    }

    /// Whether the files that were read are what is in force now.
    pub const fn good(&self) -> bool {
        matches!(self, Self::Installed { .. } | Self::Unchanged { .. })
    }

    /// Says it in the log.
    pub fn tell(&self, dir: &Path) {
        match self {
            Self::Installed { generation, fingerprint, warnings } => {
                tracing::info!(generation, fingerprint, rules = %dir.display(), "new rules are in force");
                if !warnings.is_empty() {
                    tracing::warn!("the rules have warnings:\n{warnings}");
                }
            }
            Self::Unchanged { generation } => tracing::info!(generation, "the rule files are in force already"),
            Self::Refused { generation, errors, problems } => {
                tracing::error!(
                    generation,
                    errors,
                    "the rule files have errors; the last good rules stay in force:\n{problems}"
                );
            }
            Self::CasesFailed { generation, failed, problems } => {
                tracing::error!(
                    generation,
                    failed,
                    "cases of the rule files do not hold; the last good rules stay in force \
                     (weir reload --despite-cases --reason \"...\" lets them in):\n{problems}"
                );
            }
            Self::LacksArmed { generation, playbooks } => {
                let names = playbooks.join(", ");
                tracing::error!(
                    generation,
                    "the rules do not have what is armed, or a journey that it was armed for ({names}); the rules in force stay. Stand it down first: \
                     weir stand-down {names}"
                );
            }
            Self::RolledBack { generation, fingerprint } => {
                tracing::warn!(generation, fingerprint, "the rules before are in force again; the files are not");
            }
            Self::NothingBefore { generation } => tracing::warn!(generation, "there are no rules before these"),
            Self::Moved { generation } => {
                tracing::warn!(generation, "nothing was changed: someone was quicker");
            }
        }
    }
}
