//! Arming, confirming and standing down as somebody asks for it, and the beat that ends what has ended. Each change is in force
//! for the next request in every worker first, then made safe on the disk, then answered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::disk::Ticket;
use super::kept::Quiet;
use super::law::{Law, State};
use super::posture::{self, Ask, Refusal, shown};
use super::who::{Role, Who};
use crate::clock::Moment;
use crate::rules::in_force::InForce;
use crate::rules::posture::Posture;

/// What became of a change of the posture.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The generation in force now.
    pub generation: u64,
    /// The playbook's entry now; nothing when it is no longer armed.
    pub armed: Value,
    /// Whether the change is on the disk, posture and record both.
    pub safe: bool,
}

/// A change of the posture, as somebody asks for it.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub who: &'a Who,
    /// Only if this is still the tag of what is in force.
    pub expect: Option<&'a str>,
}

/// What is to be written of a change.
struct Note<'a> {
    what: &'static str,
    name: &'a str,
    why: &'a str,
}

impl Law {
    /// Arms a playbook, or arms it for longer, for more, or enforced instead of in shadow.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn arm(&self, name: &str, ask: &Ask, by: By<'_>) -> Result<Changed, Refusal> {
        let note = Note { what: "arm", name, why: &ask.reason };
        self.change(by, &note, |in_force, state, now| {
            let next = posture::arm(&in_force.posture, &in_force.rules, name, ask, &by.who.name, now)?;
            // A person who arms it wants it watched again.
            if by.who.role != Role::Weir {
                state.quiet.retain(|quiet| &*quiet.playbook != name);
            }
            Ok(next)
        })
    }

    /// A person says that an armed playbook is right to hold.
    ///
    /// # Errors
    /// When it is not armed or waits for nobody.
    pub fn confirm(&self, name: &str, by: By<'_>) -> Result<Changed, Refusal> {
        let note = Note { what: "confirm", name, why: "" };
        self.change(by, &note, |in_force, _, now| {
            posture::confirm(&in_force.posture, name, now)
                .map_err(|refusal| posture::or_unknown(refusal, &in_force.rules, name))
        })
    }

    /// Ends a playbook: on its way back, or at once. A person's word also silences its triggers for a while, so that the machine
    /// does not fight the person.
    ///
    /// # Errors
    /// When it is not armed.
    pub fn stand_down(&self, name: &str, reason: &str, at_once: bool, by: By<'_>) -> Result<Changed, Refusal> {
        let note = Note { what: if at_once { "stand_down_now" } else { "stand_down" }, name, why: reason };
        self.change(by, &note, |in_force, state, now| {
            let playbook = in_force.rules.playbooks.iter().find(|playbook| &*playbook.name == name);
            let ramp = playbook.filter(|_| !at_once).map_or(Duration::ZERO, |playbook| playbook.stand_down.ramp);
            let next = posture::stand_down(&in_force.posture, name, ramp, now)
                .map_err(|refusal| posture::or_unknown(refusal, &in_force.rules, name))?;
            if let Some(playbook) =
                playbook.filter(|playbook| by.who.role != Role::Weir && !playbook.triggers.is_empty())
            {
                state.quiet.retain(|quiet| &*quiet.playbook != name);
                state.quiet.push(Quiet { playbook: name.into(), until: now.plus(playbook.expires) });
            }
            Ok(next)
        })
    }

    /// Ends what has ended, begins the way back of what is about to. Called several times a second; does nothing else.
    pub fn beat(&self) {
        let now = self.clock.now();
        if self.in_force().load().posture.is_empty() {
            return;
        }
        let mut state = self.lock();
        let mut in_force = self.in_force().load();
        if let Some((next, playbooks)) = posture::bound(&in_force.posture, &in_force.rules, now)
            && self.install(in_force.rules.clone(), Arc::new(next), &in_force).is_ok()
        {
            self.save(&state);
            self.note_bounded(&playbooks);
            in_force = self.in_force().load();
        }
        let ramp_of = |name: &str| {
            let playbook = in_force.rules.playbooks.iter().find(|playbook| &*playbook.name == name);
            playbook.map_or(Duration::ZERO, |playbook| playbook.stand_down.ramp)
        };
        let Some((next, ended)) = posture::beat(&in_force.posture, ramp_of, now) else { return };
        let before = in_force.posture.clone();
        if let Err(missing) = self.install(in_force.rules.clone(), Arc::new(next), &in_force) {
            tracing::error!(?missing, "the posture cannot be changed: the rules in force lack what is armed");
            return;
        }
        state.quiet.retain(|quiet| quiet.until > now);
        self.save(&state);
        drop(state);
        let after = self.in_force().load();
        for ended in ended {
            let playbook = &ended.playbook;
            let words = match ended.how {
                "unconfirmed" => "nobody confirmed it in time: it ended by itself",
                "ramp_begins" => "its time is over: full service comes back gradually",
                "ramp_ended" => "everybody is served in full again",
                _ => "its time is over: it ended by itself",
            };
            tracing::warn!(%playbook, "{words}");
            let entry = |posture: &Posture| posture.of(playbook).map(|armed| shown(armed, now));
            let (before, after) = (json!(entry(&before)), json!(entry(&after.posture)));
            self.note(&Who::clock(), ended.how, playbook, words, before, after);
            self.events().tell("posture", json!({ "what": ended.how, "playbook": playbook, "tag": self.tag() }));
        }
    }

    /// Makes one change: under the lock what is decided and put in force, outside it what the disk takes its time for.
    fn change(
        &self,
        by: By<'_>,
        note: &Note<'_>,
        next: impl FnOnce(&InForce, &mut State, Moment) -> Result<Posture, Refusal>,
    ) -> Result<Changed, Refusal> {
        let now = self.clock.now();
        let mut state = self.lock();
        let in_force = self.in_force().load();
        let tag = self.tag_of(in_force.generation);
        if by.expect.is_some_and(|expect| *expect != *tag) {
            return Err(Refusal::Moved { now: tag });
        }
        let next = next(&in_force, &mut state, now)?;
        let before = in_force.posture.of(note.name).map(|armed| shown(armed, now));
        let generation = self
            .install(in_force.rules.clone(), Arc::new(next), &in_force)
            .map_err(|missing| Refusal::Unknown { name: missing.join(", "), meant: None })?;
        let saved = self.save(&state);
        let after = json!(self.in_force().load().posture.of(note.name).map(|armed| shown(armed, now)));
        drop(state);
        let noted: Ticket = self.note(by.who, note.what, note.name, note.why, json!(before), after.clone());
        let said = json!({
            "what": note.what, "playbook": note.name, "by": by.who.name, "tag": self.tag_of(generation), "armed": after,
        });
        self.events().tell("posture", said);
        let safe = self.disk.wait(&[saved, noted]);
        Ok(Changed { generation, armed: after, safe })
    }

    /// Keeps what is usual over a restart.
    pub fn keep_usual(&self, usual: Vec<super::kept::Usual>) {
        let mut state = self.lock();
        if state.usual != usual {
            state.usual = usual;
            self.save(&state);
        }
    }

    /// What was usual when it was kept last.
    pub fn usual(&self) -> Vec<super::kept::Usual> {
        self.lock().usual.clone()
    }

    /// What is armed and what a person silenced, for people and machines.
    pub fn posture_shown(&self) -> (Value, Value) {
        let now = self.clock.now();
        let in_force = self.in_force().load();
        let armed = in_force.posture.armed.iter().filter(|armed| armed.ends() > now).map(|armed| shown(armed, now));
        let state = self.lock();
        let quiet = state.quiet.iter().filter(|quiet| quiet.until > now);
        let quiet =
            quiet.map(|quiet| json!({ "playbook": quiet.playbook, "until": super::audit::written(quiet.until) }));
        (armed.collect(), quiet.collect())
    }

    /// Whether a person silenced the triggers of this playbook.
    pub fn is_quiet(&self, name: &str) -> bool {
        let now = self.clock.now();
        self.lock().quiet.iter().any(|quiet| &*quiet.playbook == name && quiet.until > now)
    }
}
