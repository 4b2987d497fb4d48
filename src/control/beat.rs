//! The pulse of control: ends what has ended, looks out for what playbooks watch, and says what changed outside. It goes on when
//! the data plane, the upstream or the disk are in trouble.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::arming::By;
use super::law::Law;
use super::posture::{Ask, Refusal};
use super::triggers::{Act, Counts, Now, Tower};
use super::who::Who;
use crate::telemetry::Telemetry;

/// How often ends are looked at.
const BEAT: Duration = Duration::from_millis(200);
/// Beats between two looks at the counters: one second.
const LOOK: u32 = 5;
/// How near the end a trigger that still holds lets its playbook hold for longer.
const SOON: Duration = Duration::from_secs(60);
/// Looks between two times that what is usual is kept: an hour.
const KEEP: u32 = 3600;

/// What looks out, shared with whoever shows it.
pub type Watched = Arc<Mutex<Tower>>;

/// Beats until told to stop. `rooms` says how the other rooms do.
pub async fn beat(
    law: Arc<Law>,
    telemetry: Telemetry,
    tower: Watched,
    rooms: Arc<dyn Fn() -> Value + Send + Sync>,
    mut stop: watch::Receiver<bool>,
) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut count, mut down, mut disk_ok) = (0_u32, BTreeSet::new(), true);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = beats.tick() => {}
        }
        law.beat();
        count = count.wrapping_add(1);
        if count.is_multiple_of(LOOK) {
            let law_there = law.clone();
            let (telemetry, tower) = (telemetry.clone(), tower.clone());
            // Arming waits for the disk: not here, where ends are looked at.
            let looking = tokio::task::spawn_blocking(move || look(&law_there, &telemetry, &tower));
            if let Err(error) = looking.await {
                tracing::error!(%error, "looking out for what playbooks watch failed");
            }
            say_upstreams(&law, &rooms(), &mut down);
            let health = law.disk().health();
            let ok = health.posture_saved && health.audit_written;
            if ok != disk_ok {
                disk_ok = ok;
                law.events().tell("disk", json!(health));
            }
        }
        if count.is_multiple_of(KEEP * LOOK) {
            let usual = tower.lock().unwrap_or_else(PoisonError::into_inner).usual();
            law.keep_usual(usual);
        }
    }
}

/// One look at the counters, and what follows from it.
pub fn look(law: &Law, telemetry: &Telemetry, tower: &Mutex<Tower>) {
    let now = law.clock().now();
    let in_force = law.in_force().load();
    if in_force.rules.playbooks.is_empty() {
        return;
    }
    let state = |name: &str| {
        let armed = in_force.posture.of(name).filter(|armed| armed.ramp.is_none() && armed.ends() > now);
        Now {
            armed: armed.is_some(),
            ends_soon: armed.is_some_and(|armed| {
                armed.ends() < armed.latest && armed.confirm_by.is_none() && armed.ends() <= now.plus(SOON)
            }),
            quiet: law.is_quiet(name),
        }
    };
    let acts = tower.lock().unwrap_or_else(PoisonError::into_inner).tick(
        Counts::of(telemetry),
        now,
        &in_force.rules.playbooks,
        state,
    );
    for act in acts {
        follow(law, act);
    }
}

fn follow(law: &Law, act: Act) {
    let who = Who::trigger();
    let by = By { who: &who, expect: None };
    match act {
        Act::Arm { playbook, because } => {
            // Whether it is in shadow or scoped is a person's word, and stays.
            let standing = law.in_force().load();
            let shadow = standing.posture.of(&playbook).is_some_and(|armed| armed.shadow);
            let ask = Ask { reason: because.clone(), shadow, ..Ask::default() };
            match law.arm(&playbook, &ask, by) {
                Ok(_) => {
                    tracing::error!(playbook, because, "ARMED BY ITS TRIGGER: look at `weir status`");
                    law.events().tell("page", json!({ "playbook": playbook, "because": because }));
                }
                Err(refusal) => tracing::warn!(%refusal, playbook, "its trigger could not arm it"),
            }
        }
        Act::StandDown { playbook, because } => match law.stand_down(&playbook, &because, false, by) {
            Ok(_) => tracing::warn!(playbook, because, "stood down: it is calm"),
            Err(Refusal::NotArmed(_)) => {}
            Err(refusal) => tracing::warn!(%refusal, playbook, "it could not be stood down"),
        },
        Act::Propose(proposal) => {
            tracing::error!(
                playbook = proposal.playbook,
                because = proposal.because,
                "A PLAYBOOK IS PROPOSED: {}",
                proposal.command
            );
            law.events().tell("proposal", json!(proposal));
        }
    }
}

/// Tells of servers that went down or came back.
fn say_upstreams(law: &Law, rooms: &Value, down: &mut BTreeSet<String>) {
    let servers = rooms["upstreams"].as_array().into_iter().flatten().flat_map(|upstream| {
        let name = upstream["name"].as_str().unwrap_or_default();
        upstream["servers"].as_array().into_iter().flatten().map(move |server| (name, server))
    });
    let now: BTreeSet<String> = servers
        .filter(|(_, server)| server["up"] == false)
        .map(|(name, server)| format!("{name} {}", server["url"].as_str().unwrap_or_default()))
        .collect();
    for (server, up) in
        now.difference(down).map(|server| (server, false)).chain(down.difference(&now).map(|server| (server, true)))
    {
        let (upstream, url) = server.split_once(' ').unwrap_or((server, ""));
        law.events().tell("upstream", json!({ "upstream": upstream, "server": url, "up": up }));
    }
    *down = now;
}
