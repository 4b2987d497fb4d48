//! The keeper of the law in force: installs a new one, keeps the one before for a step back, and remembers what became of
//! the files on disk. A bad file changes nothing and is said loudly.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::load::{Loaded, load};
use crate::clock::Clock;
use crate::rules::in_force::InForce;
use crate::rules::ruleset::{Fingerprint, RuleSet, Server};
use crate::rules::source::Sources;
use crate::swap::Swap;
use crate::telemetry::Telemetry;

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
}

/// Changes made to every law of this process, whatever the files say: `weir demo --upstream URL`.
#[derive(Debug, Clone, Default)]
pub struct Adjust {
    /// Replaces the servers of every upstream.
    pub servers: Option<Vec<Server>>,
}

impl Adjust {
    fn apply(&self, mut rules: RuleSet) -> RuleSet {
        if let Some(servers) = &self.servers {
            for upstream in &mut rules.upstreams {
                upstream.servers.clone_from(servers);
            }
        }
        rules
    }
}

/// Keeps what is in force.
#[derive(Debug)]
pub struct Law {
    dir: PathBuf,
    adjust: Adjust,
    clock: Clock,
    telemetry: Telemetry,
    /// `gateway.toml` as the process was started with it.
    settings: Box<str>,
    in_force: Swap<InForce>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    before: Option<Arc<InForce>>,
    /// The files that were read last, whatever became of them.
    files: Fingerprint,
    /// `gateway.toml` as it was read last.
    settings: Box<str>,
    last: Outcome,
}

/// What is in force and what the files are, for people and machines.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Generation in force.
    pub generation: u64,
    /// Fingerprint in force.
    pub fingerprint: String,
    /// When it was installed, RFC 3339.
    pub installed: String,
    /// The directory.
    pub rules: PathBuf,
    /// Fingerprint of the files that were read last.
    pub files: String,
    /// Whether the files are what is in force.
    pub files_in_force: bool,
    /// The fingerprint that a rollback would bring back.
    pub before: Option<String>,
    /// What became of the last reading.
    pub last: Outcome,
    /// Whether `gateway.toml` is no longer what the process was started with.
    pub restart_needed: bool,
    /// How many journeys there are.
    pub journeys: usize,
}

impl Law {
    /// Installs the first law of the process.
    ///
    /// # Errors
    /// The reading, when it has errors: at start they are fatal.
    pub fn open(dir: &Path, adjust: Adjust, clock: Clock, telemetry: Telemetry) -> Result<(Self, Loaded), Box<Loaded>> {
        let mut loaded = load(dir);
        let Some(rules) = loaded.take_fit() else { return Err(Box::new(loaded)) };
        let files = rules.fingerprint;
        let installed = clock.now();
        let in_force = Arc::new(InForce::calm(1, Arc::new(adjust.apply(rules)), installed));
        let last = Outcome::Installed { generation: 1, fingerprint: files.to_string(), warnings: loaded.render(false) };
        telemetry.gauges.rules_generation.set(1);
        telemetry.gauges.rules_last_load_success.set(1);
        let settings: Box<str> = loaded.sources.settings().unwrap_or_default().into();
        let state = Mutex::new(State { before: None, files, settings: settings.clone(), last });
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let law = Self { dir, adjust, clock, telemetry, settings, in_force: Swap::new(in_force), state };
        Ok((law, loaded))
    }

    /// What workers read.
    pub const fn in_force(&self) -> &Swap<InForce> {
        &self.in_force
    }

    /// The directory of the rule files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether these files differ from those that were read last.
    pub fn differs(&self, sources: &Sources) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        sources.fingerprint() != state.files || sources.settings().is_some_and(|settings| settings != &*state.settings)
    }

    /// Reads the files and installs them when they are good and new. Blocks: call it off the request path.
    pub fn reload(&self) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut loaded = load(&self.dir);
        let files = loaded.sources.fingerprint();
        let now = self.in_force.load();
        let warnings = loaded.render(false);
        let errors = loaded.errors();
        let outcome = match loaded.take_fit() {
            None => Outcome::Refused { generation: now.generation, errors, problems: warnings },
            Some(rules) if rules.fingerprint == now.rules.fingerprint => {
                Outcome::Unchanged { generation: now.generation }
            }
            Some(rules) => {
                let fingerprint = rules.fingerprint.to_string();
                let generation = self.install(&mut state, Arc::new(self.adjust.apply(rules)), now);
                Outcome::Installed { generation, fingerprint, warnings }
            }
        };
        let good = !matches!(outcome, Outcome::Refused { .. });
        self.telemetry.gauges.rules_last_load_success.set(i64::from(good));
        tell(&outcome, &self.dir);
        state.files = files;
        state.last = outcome.clone();
        if let Some(settings) = loaded.sources.settings()
            && *settings != *state.settings
        {
            self.tell_settings(settings, loaded.settings.is_some());
            state.settings = settings.into();
        }
        outcome
    }

    /// Settings are fixed at the start: a change is said, and waits.
    fn tell_settings(&self, settings: &str, good: bool) {
        if *settings == *self.settings {
            tracing::info!("gateway.toml is again what this process was started with");
        } else if good {
            tracing::warn!("gateway.toml has changed; its settings are taken up at the next restart");
        } else {
            tracing::error!(
                "gateway.toml has errors: this process goes on, but a restart would fail; run `weir check`"
            );
        }
    }

    /// Brings back the law before this one. The files stay as they are and are read again when they change.
    pub fn roll_back(&self) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.in_force.load();
        let outcome = match state.before.clone() {
            None => Outcome::NothingBefore { generation: now.generation },
            Some(before) => {
                let fingerprint = before.rules.fingerprint.to_string();
                let generation = self.install(&mut state, before.rules.clone(), now);
                self.telemetry.gauges.rules_last_load_success.set(0);
                Outcome::RolledBack { generation, fingerprint }
            }
        };
        tell(&outcome, &self.dir);
        state.last = outcome.clone();
        outcome
    }

    fn install(&self, state: &mut State, rules: Arc<RuleSet>, now: Arc<InForce>) -> u64 {
        let generation = now.generation + 1;
        self.in_force.store(Arc::new(InForce::calm(generation, rules, self.clock.now())));
        self.telemetry.gauges.rules_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        state.before = Some(now);
        generation
    }

    /// What is in force, and what became of the files.
    pub fn standing(&self) -> Standing {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.in_force.load();
        let seconds = i64::try_from(now.installed.unix_seconds()).unwrap_or(i64::MAX);
        Standing {
            generation: now.generation,
            fingerprint: now.rules.fingerprint.to_string(),
            installed: jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string(),
            rules: self.dir.clone(),
            files: state.files.to_string(),
            files_in_force: state.files == now.rules.fingerprint,
            before: state.before.as_ref().map(|before| before.rules.fingerprint.to_string()),
            last: state.last.clone(),
            restart_needed: state.settings != self.settings,
            journeys: now.rules.journeys.len(),
        }
    }
}

fn tell(outcome: &Outcome, dir: &Path) {
    match outcome {
        Outcome::Installed { generation, fingerprint, warnings } => {
            tracing::info!(generation, fingerprint, rules = %dir.display(), "new rules are in force");
            if !warnings.is_empty() {
                tracing::warn!("the rules have warnings:\n{warnings}");
            }
        }
        Outcome::Unchanged { generation } => tracing::info!(generation, "the rule files are in force already"),
        Outcome::Refused { generation, errors, problems } => {
            tracing::error!(
                generation,
                errors,
                "the rule files have errors; the last good rules stay in force:\n{problems}"
            );
        }
        Outcome::RolledBack { generation, fingerprint } => {
            tracing::warn!(generation, fingerprint, "the rules before are in force again; the files are not");
        }
        Outcome::NothingBefore { generation } => tracing::warn!(generation, "there are no rules before these"),
    }
}
