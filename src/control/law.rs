//! The keeper of what is in force: installs a new law or posture, keeps the law before for a step back, and remembers what became
//! of the files on disk. A bad file changes nothing and is said loudly.
//!
//! A law is swapped under the posture and a posture over the law; neither ever takes the other away.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use super::audit::{Change, written};
use super::disk::{Disk, Ticket};
use super::events::Events;
use super::kept::{Kept, Quiet, Usual};
use super::load::{Loaded, load};
pub use super::outcome::Outcome;
use super::posture;
use super::who::Who;
use crate::clock::{Clock, Moment};
use crate::identity::breach::Breach;
use crate::rules::in_force::InForce;
use crate::rules::posture::Posture;
use crate::rules::ruleset::{Fingerprint, RuleSet, Server};
use crate::rules::source::{Bounds, Sources};
use crate::swap::Swap;
use crate::telemetry::Telemetry;

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
    pub(super) clock: Clock,
    telemetry: Telemetry,
    /// `gateway.toml` as the process was started with it.
    settings: Box<str>,
    /// Tells this process's generations from those of others.
    mark: String,
    in_force: Swap<InForce>,
    pub(super) disk: Disk,
    /// Lists that a law names are in memory before it is in force.
    breach: Arc<Breach>,
    pub(super) events: Events,
    /// One reading of the files at a time, so that an older one is never installed after a newer.
    reading: Mutex<()>,
    state: Mutex<State>,
}

/// What changes with the law and the posture, under one lock. It is never held while the disk is waited for.
#[derive(Debug)]
pub(super) struct State {
    before: Option<Arc<RuleSet>>,
    /// The files that were read last, whatever became of them.
    files: Fingerprint,
    /// `gateway.toml` as it was read last.
    settings: Box<str>,
    last: Outcome,
    pub(super) quiet: Vec<Quiet>,
    pub(super) usual: Vec<Usual>,
    despite_cases: Option<Box<str>>,
}

/// What the first law of a process is opened with.
#[derive(Debug)]
pub struct Opening {
    /// The directory of the rule files.
    pub dir: PathBuf,
    /// Changes to every law.
    pub adjust: Adjust,
    /// Where moments come from.
    pub clock: Clock,
    /// Metrics.
    pub telemetry: Telemetry,
    /// What writes to the data directory.
    pub disk: Disk,
    /// What keeps the lists that laws name.
    pub breach: Arc<Breach>,
}

/// Why there is no first law.
#[derive(Debug)]
pub enum NoLaw {
    /// The files have errors, or cases that do not hold.
    Rules(Box<Loaded>),
    /// These playbooks are armed and the rules do not have them.
    LacksArmed(Vec<String>),
}

/// What is in force and what the files are, for people and machines.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Generation in force.
    pub generation: u64,
    /// The tag that a change may name, so that it does not undo another's.
    pub tag: String,
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
    /// The law in force was let in although its cases failed.
    pub despite_cases: bool,
}

/// A reload as somebody asked for it.
#[derive(Debug, Clone)]
pub struct Reload {
    /// Who.
    pub who: Who,
    /// Why.
    pub reason: String,
    /// Let it in although its cases do not hold.
    pub despite_cases: bool,
    /// Only if this is still the tag of what is in force.
    pub expect: Option<String>,
}

impl Reload {
    /// Because the files changed.
    fn of_files() -> Self {
        Self { who: Who::files(), reason: String::new(), despite_cases: false, expect: None }
    }
}

impl Law {
    /// Installs the first law of the process, under the posture that was kept.
    ///
    /// # Errors
    /// When the files have errors, or lack what is armed: at start both are fatal.
    pub fn open(opening: Opening, mut loaded: Loaded) -> Result<(Self, Loaded), NoLaw> {
        let read = Kept::read(opening.disk.dir());
        let mut kept = read.kept;
        let mut despite_cases = None;
        if loaded.failed_cases > 0 {
            let known = loaded.compiled().map(|rules| rules.fingerprint.to_string());
            if known.is_none() || known.as_deref() != kept.despite_cases.as_deref() {
                return Err(NoLaw::Rules(Box::new(loaded)));
            }
            tracing::warn!("these rules start although their cases do not hold: a person let them in before");
            despite_cases.clone_from(&kept.despite_cases);
        }
        let Some(rules) = loaded.take_despite_cases() else { return Err(NoLaw::Rules(Box::new(loaded))) };
        let Opening { dir, adjust, clock, telemetry, disk, breach } = opening;
        let now = clock.now();
        breach.settle(rules.breach.as_ref(), now);
        let ended = kept.drop_ended(now);
        let bounded = posture::bound(&kept.posture, &rules, now);
        if let Some((posture, _)) = &bounded {
            kept.posture.clone_from(posture);
        }
        for quiet in &mut kept.quiet {
            let most = posture::playbook(&rules, &quiet.playbook).map_or(now, |law| now.plus(law.expires));
            quiet.until = quiet.until.min(most);
        }
        let lost = posture::lost(&kept.posture, &rules);
        if !lost.is_empty() {
            return Err(NoLaw::LacksArmed(lost));
        }
        let files = rules.fingerprint;
        let posture = Arc::new(std::mem::take(&mut kept.posture));
        let in_force = InForce::new(1, Arc::new(adjust.apply(rules)), posture.clone(), now)
            .map_err(|missing| NoLaw::LacksArmed(missing.into_iter().map(String::from).collect()))?;
        let last = Outcome::Installed { generation: 1, fingerprint: files.to_string(), warnings: loaded.render(false) };
        telemetry.gauges.rules_generation.set(1);
        telemetry.gauges.rules_last_load_success.set(1);
        let settings: Box<str> = loaded.sources.settings().unwrap_or_default().into();
        let state = State {
            before: None,
            files,
            settings: settings.clone(),
            last,
            quiet: kept.quiet,
            usual: kept.usual,
            despite_cases,
        };
        let law = Self {
            dir: std::path::absolute(&dir).unwrap_or(dir),
            adjust,
            clock,
            telemetry,
            settings,
            mark: mark(),
            in_force: Swap::new(Arc::new(in_force)),
            disk,
            breach,
            events: Events::default(),
            reading: Mutex::new(()),
            state: Mutex::new(state),
        };
        show(&law.telemetry, &posture);
        if let Some(fault) = read.fault {
            tracing::error!("{fault}");
            law.note(&Who::clock(), "posture_lost", "posture", &fault, json!(null), json!(null));
        }
        for playbook in ended {
            tracing::warn!(%playbook, "ended while Weir was not running");
            law.note(
                &Who::clock(),
                "expired",
                &playbook,
                "ended while Weir was not running",
                json!("armed"),
                json!(null),
            );
        }
        if let Some((_, playbooks)) = &bounded {
            law.note_bounded(playbooks);
        }
        for armed in &posture.armed {
            let (playbook, reason) = (&armed.playbook, &armed.reason);
            tracing::warn!(%playbook, until = written(armed.ends()), reason, "still armed");
        }
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

    /// What happens, as it happens.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// What writes to the data directory.
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Where moments come from.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The tag of what is in force: another whenever the law or the posture is.
    pub fn tag(&self) -> String {
        self.tag_of(self.in_force.load().generation)
    }

    pub(super) fn tag_of(&self, generation: u64) -> String {
        format!("{}-{generation}", self.mark)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the files are others than were read last. Blocks: call it off the request path.
    pub fn files_changed(&self) -> bool {
        let sources = Sources::read(&self.dir, &Bounds::default()).unwrap_or_default();
        let state = self.lock();
        sources.fingerprint() != state.files || sources.settings().is_some_and(|settings| settings != &*state.settings)
    }

    /// Reads the files if they are others than were read last. Blocks: call it off the request path.
    ///
    /// They are compared where nobody else reads them: what somebody has taken back meanwhile is not installed once more.
    pub fn reload_if_changed(&self) {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.files_changed() {
            self.read(&Reload::of_files(), &reading);
        }
    }

    /// Reads the files because they changed. Blocks: call it off the request path.
    pub fn reload(&self) -> Outcome {
        self.reload_by(&Reload::of_files())
    }

    /// Reads the files and installs them when they are good and new. Blocks: call it off the request path.
    pub fn reload_by(&self, asked: &Reload) -> Outcome {
        // Reading may take long, and arming must not wait for it: only what is read is installed under the lock.
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.read(asked, &reading)
    }

    fn read(&self, asked: &Reload, _alone: &MutexGuard<'_, ()>) -> Outcome {
        let mut loaded = load(&self.dir);
        self.breach.prepare(loaded.compiled().and_then(|rules| rules.breach.as_ref()), self.clock.now());
        let mut state = self.lock();
        let now = self.in_force.load();
        if asked.expect.as_ref().is_some_and(|expect| *expect != self.tag_of(now.generation)) {
            return Outcome::Moved { generation: now.generation };
        }
        let files = loaded.sources.fingerprint();
        let settings = loaded.sources.settings().map(|settings| (settings.to_owned(), loaded.settings.is_some()));
        let outcome = self.take_up(&mut state, &mut loaded, asked, &now);
        self.telemetry.gauges.rules_last_load_success.set(i64::from(outcome.good()));
        outcome.tell(&self.dir);
        state.files = files;
        state.last = outcome.clone();
        if let Outcome::Installed { fingerprint, .. } = &outcome {
            let before = state.despite_cases.take();
            state.despite_cases = (loaded.failed_cases > 0).then(|| fingerprint.as_str().into());
            if before != state.despite_cases {
                self.save(&state);
            }
        }
        if let Some((settings, good)) = settings.filter(|(settings, _)| **settings != *state.settings) {
            self.tell_settings(&settings, good);
            state.settings = settings.into();
        }
        let generation = self.in_force.load().generation;
        drop(state);
        self.events.tell("law", json!({ "generation": generation, "what": outcome.word(), "by": asked.who.name }));
        // A file that is only looked at again is no change.
        if !matches!(outcome, Outcome::Unchanged { .. }) {
            let (before, after) = (law_shown(&now), law_shown(&self.in_force.load()));
            let what =
                if loaded.failed_cases == 0 || !outcome.good() { outcome.word() } else { "installed_despite_cases" };
            let ticket = self.note(&asked.who, what, "rules", &asked.reason, before, after);
            self.disk.wait(&[ticket]);
        }
        outcome
    }

    /// Installs what was read, if it may be.
    fn take_up(&self, state: &mut State, loaded: &mut Loaded, asked: &Reload, now: &InForce) -> Outcome {
        let generation = now.generation;
        let problems = loaded.render(false);
        let failed = loaded.failed_cases;
        match loaded.take_despite_cases() {
            None => Outcome::Refused { generation, errors: loaded.errors(), problems },
            Some(rules) if rules.fingerprint == now.rules.fingerprint => Outcome::Unchanged { generation },
            Some(_) if failed > 0 && !asked.despite_cases => Outcome::CasesFailed { generation, failed, problems },
            Some(rules) => {
                let fingerprint = rules.fingerprint.to_string();
                match self.install(Arc::new(self.adjust.apply(rules)), now.posture.clone(), now) {
                    Ok(generation) => {
                        state.before = Some(now.rules.clone());
                        Outcome::Installed { generation, fingerprint, warnings: problems }
                    }
                    Err(playbooks) => Outcome::LacksArmed { generation, playbooks },
                }
            }
        }
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
        self.roll_back_by(&Who::process(), "", None)
    }

    /// The same, as somebody asked for it. The posture stays as it is.
    pub fn roll_back_by(&self, who: &Who, reason: &str, expect: Option<&str>) -> Outcome {
        let before = self.lock().before.clone();
        self.breach.prepare(before.as_ref().and_then(|rules| rules.breach.as_ref()), self.clock.now());
        let mut state = self.lock();
        let now = self.in_force.load();
        let generation = now.generation;
        if expect.is_some_and(|expect| expect != self.tag_of(generation)) {
            return Outcome::Moved { generation };
        }
        let outcome = match state.before.clone() {
            None => Outcome::NothingBefore { generation },
            Some(before) => match self.install(before.clone(), now.posture.clone(), &now) {
                Ok(generation) => {
                    state.before = Some(now.rules.clone());
                    self.telemetry.gauges.rules_last_load_success.set(0);
                    Outcome::RolledBack { generation, fingerprint: before.fingerprint.to_string() }
                }
                Err(playbooks) => Outcome::LacksArmed { generation, playbooks },
            },
        };
        outcome.tell(&self.dir);
        state.last = outcome.clone();
        drop(state);
        let after = self.in_force.load();
        self.events.tell("law", json!({ "generation": after.generation, "what": outcome.word(), "by": who.name }));
        let ticket = self.note(who, outcome.word(), "rules", reason, law_shown(&now), law_shown(&after));
        self.disk.wait(&[ticket]);
        outcome
    }

    /// Puts a law under a posture in force, for the next request in every worker. Called under the lock.
    pub(super) fn install(
        &self,
        rules: Arc<RuleSet>,
        posture: Arc<Posture>,
        now: &InForce,
    ) -> Result<u64, Vec<String>> {
        let generation = now.generation + 1;
        let lost = posture::lost(&posture, &rules);
        if !lost.is_empty() {
            return Err(lost);
        }
        let next = InForce::new(generation, rules, posture.clone(), self.clock.now())
            .map_err(|missing| missing.into_iter().map(String::from).collect::<Vec<_>>())?;
        self.in_force.store(Arc::new(next));
        self.telemetry.gauges.rules_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        show(&self.telemetry, &posture);
        Ok(generation)
    }

    /// Wants everything that is kept over a restart on the disk. Called under the lock, so that the newest is written last.
    pub(super) fn save(&self, state: &State) -> Ticket {
        let kept = Kept {
            posture: Posture::clone(&self.in_force.load().posture),
            quiet: state.quiet.clone(),
            despite_cases: state.despite_cases.clone(),
            usual: state.usual.clone(),
        };
        self.disk.save(kept.text().into())
    }

    /// Says that playbooks would have held for longer than they may.
    pub(super) fn note_bounded(&self, playbooks: &[Box<str>]) {
        let words = "it would have held longer than its playbook allows (the clock was set back, or its file was changed): \
                     brought back to that";
        for playbook in playbooks {
            tracing::error!(%playbook, "{words}");
            self.note(&Who::clock(), "bounded", playbook, words, Value::Null, Value::Null);
        }
    }

    /// Leaves a line in the audit record.
    pub fn note(&self, who: &Who, what: &'static str, target: &str, why: &str, before: Value, after: Value) -> Ticket {
        let time: Moment = self.clock.now();
        let (target, why) = (super::audit::clean(target), super::audit::clean(why));
        self.disk.record(Change { time, who: who.clone(), what, target, why, before, after })
    }

    /// What is in force, and what became of the files.
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        let now = self.in_force.load();
        let seconds = i64::try_from(now.installed.unix_seconds()).unwrap_or(i64::MAX);
        let fingerprint = now.rules.fingerprint.to_string();
        Standing {
            generation: now.generation,
            tag: self.tag_of(now.generation),
            installed: jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string(),
            rules: self.dir.clone(),
            files: state.files.to_string(),
            files_in_force: state.files == now.rules.fingerprint,
            before: state.before.as_ref().map(|before| before.fingerprint.to_string()),
            last: state.last.clone(),
            restart_needed: state.settings != self.settings,
            journeys: now.rules.journeys.len(),
            despite_cases: state.despite_cases.as_deref() == Some(&*fingerprint),
            fingerprint,
        }
    }
}

/// The law as the audit record names it.
fn law_shown(in_force: &InForce) -> Value {
    json!({ "generation": in_force.generation, "fingerprint": in_force.rules.fingerprint.to_string() })
}

/// What is armed, as metrics.
fn show(telemetry: &Telemetry, posture: &Posture) {
    let armed = posture.armed.iter();
    telemetry.armed.show(armed.map(|armed| (armed.playbook.clone(), armed.ends().unix_seconds(), armed.shadow)));
}

/// Eight digits that tell one process from another.
fn mark() -> String {
    let mut bytes = [0; 4];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        bytes = std::process::id().to_le_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
