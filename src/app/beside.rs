//! What runs on a thread beside the workers: control, watching files, health, keys, certificates and gauges. It goes on when
//! the data plane is in trouble.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::door::Door;
use crate::clock::Moment;
use crate::control::api::{self, Control};
use crate::control::audit::written;
use crate::control::beat::beat;
use crate::control::law::Law;
use crate::control::triggers::Tower;
use crate::control::watch::watch as watch_files;
use crate::gate::Shared;
use crate::gate::events::Tending;
use crate::judge::floating;
use crate::judge::guard::Change;
use crate::judge::stage::Stage;
use crate::listen::Doors;
use crate::listen::tls::Certificates;
use crate::memory::floating::STAGES;
use crate::memory::keeper::Keeper;
use crate::outcomes::Kept;
use crate::rules::guards::Guards;
use crate::rules::in_force::InForce;
use crate::rules::ruleset::{Journey, JourneyId, RuleSet, SubjectSource};
use crate::telemetry::floating::ShownLine;
use crate::telemetry::lines::Recent;
use crate::telemetry::lists::ListState;
use crate::upstream::{Reach, health};

/// How often certificate files are looked at.
const RENEW: Duration = Duration::from_secs(2);

/// What runs beside the workers.
pub(super) struct Beside {
    pub law: Arc<Law>,
    pub shared: Shared,
    pub reach: Arc<Reach>,
    pub doors: Doors,
    /// Where this process listens, for whoever asks.
    pub places: Value,
    pub certificates: Vec<Certificates>,
    pub stopping: watch::Receiver<bool>,
    pub control_stopping: watch::Receiver<bool>,
    pub showing_on: Option<std::net::TcpListener>,
    pub steering_on: std::os::unix::net::UnixListener,
    pub door: Option<Door>,
    pub recent: Recent,
    pub keeper: Arc<Keeper>,
    pub outcomes: Option<Kept>,
}

impl Beside {
    /// Runs until told to stop.
    pub fn run(self) {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                runtime.block_on(self.serve());
                runtime.shutdown_timeout(Duration::from_secs(5));
            }
            Err(error) => tracing::error!(%error, "control cannot start"),
        }
    }

    async fn serve(self) {
        let stop = self.control_stopping.clone();
        let rooms = rooms(&self.law, &self.shared, &self.reach, &self.doors);
        let tower = Arc::new(Mutex::new(Tower::knowing(&self.law.usual())));
        let control = Control {
            law: self.law.clone(),
            telemetry: self.shared.telemetry.clone(),
            stopping: self.stopping.clone(),
            places: self.places.clone(),
            rooms: rooms.clone(),
            tower: tower.clone(),
            memory: self.shared.memory.clone(),
            lists: self.shared.lists.clone(),
            names: self.shared.names.clone(),
            recent: self.recent,
            keeper: self.keeper,
            outcomes: self.outcomes,
            snapshots: self.shared.snapshots.clone(),
            tokens: self.door.as_ref().map(|door| door.tokens.clone()).unwrap_or_default(),
        };
        let beating = beat(self.law.clone(), self.shared.telemetry.clone(), tower, rooms, stop.clone());
        let watching = watch_files(self.law.clone(), stop.clone());
        let gauging =
            gauge((self.law.clone(), self.reach.clone()), self.shared.clone(), self.doors.clone(), stop.clone());
        let probing = health::watch(self.reach.clone(), self.law.in_force().clone(), stop.clone());
        let fetching =
            self.shared.identity.keep_keys(self.law.in_force().clone(), self.shared.clock.clone(), stop.clone());
        let comparing = self.shared.identity.breach.clone().keep(
            self.law.in_force().clone(),
            self.shared.clock.clone(),
            stop.clone(),
        );
        let keeping =
            self.shared.lists.clone().keep(self.law.in_force().clone(), self.shared.clock.clone(), stop.clone());
        let show = async {
            match self.showing_on {
                Some(listener) => api::show(listener, control.clone(), stop.clone()).await,
                None => Ok(()),
            }
        };
        let steer = api::steer(self.steering_on, control.clone(), stop.clone());
        let steer_tls = async {
            match self.door {
                Some(door) => api::steer_tls(door.listener, door.certificates, control.clone(), stop.clone()).await,
                None => Ok(()),
            }
        };
        let renewing = renew(self.certificates, stop.clone());
        let (shown, steered, steered_far, (), (), (), (), (), (), (), ()) = tokio::join!(
            show, steer, steer_tls, watching, gauging, probing, fetching, comparing, keeping, renewing, beating
        );
        for ended in [shown, steered, steered_far] {
            if let Err(error) = ended {
                tracing::error!(%error, "a control listener ended");
            }
        }
    }
}

fn rooms(law: &Arc<Law>, shared: &Shared, reach: &Arc<Reach>, doors: &Doors) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let (law, shared, reach, doors) = (law.clone(), shared.clone(), reach.clone(), doors.clone());
    Arc::new(move || {
        let in_force = law.in_force().load();
        let upstreams = in_force.rules.upstreams.iter().map(|upstream| {
            let servers = upstream
                .servers
                .iter()
                .map(|server| json!({ "url": server.to_string(), "up": !reach.is_down(server) }));
            json!({
                "name": &*upstream.name,
                "in_flight": shared.admission.lane(&upstream.name).in_flight(),
                "servers": servers.collect::<Vec<_>>(),
            })
        });
        json!({
            "connections": doors.inside(),
            "turned_away": doors.turned(),
            "accounts": shared.memory.accounts.len(),
            "sessions": shared.memory.sessions.len(),
            "upstreams": upstreams.collect::<Vec<_>>(),
            "breach": leaked(&shared, &in_force.rules),
            "guards": guarded(&shared),
            "lines": floated(&shared, &in_force.rules),
            "snapshots": kept(&shared),
        })
    })
}

/// How what is kept of customers' own answers stands.
fn kept(shared: &Shared) -> Value {
    let standing = shared.snapshots.standing();
    let mut shown = json!(standing);
    shown["oldest"] = standing.oldest.map_or(Value::Null, |oldest| json!(written(oldest)));
    shown
}

/// Which journeys that keep answers are contained now: their time to be kept does not run on.
fn look_at_journeys(law: &Law, shared: &Shared, reach: &Reach, now: Moment) {
    let in_force = law.in_force().load();
    let rules = &in_force.rules;
    if !rules.keeps_snapshots() {
        return;
    }
    let fails = |name: &Arc<str>| shared.circuits.at(name).is_failing(now);
    let away = rules.upstreams.iter().map(|upstream| reach.away(upstream) || fails(&upstream.name)).collect::<Vec<_>>();
    let out_of_reach = |id: JourneyId| {
        let served = rules.routes.paths_of(id).flat_map(|path| rules.sites.iter().map(|site| site.upstream_of(path)));
        served.into_iter().any(|upstream| away.get(upstream.index()) == Some(&true))
    };
    // Who cannot sign in cannot look anew.
    let issuer_away = match &rules.identity.subject {
        Some(SubjectSource::Jwt(source)) => shared.identity.keys_of(&source.jwks).is_failing(),
        Some(SubjectSource::SessionCookie { .. }) | None => false,
    };
    let mut sign_ins = rules.journey_ids().filter(|id| rules.journey(*id).succeeds_on.is_some()).peekable();
    let nobody_signs_in = issuer_away || (sign_ins.peek().is_some() && sign_ins.all(out_of_reach));
    let contained = |id: JourneyId| {
        let mut effects = in_force.effects.on(Some(id));
        nobody_signs_in
            || out_of_reach(id)
            || effects.any(|(entry, added)| !entry.shadow && now < entry.ends && added.contained.is_some())
    };
    let all = rules.journey_ids().zip(&rules.journeys);
    let kept = all.filter_map(|(id, journey)| Some((&*journey.name, journey.snapshot.as_ref()?.keep, contained(id))));
    shared.snapshots.look(&kept.collect::<Vec<_>>(), now);
}

/// The lists of what has leaked, with their state.
fn leaked(shared: &Shared, rules: &RuleSet) -> Vec<Value> {
    let lists = shared.identity.breach.show(rules.breach.as_ref(), shared.clock.now());
    let shown = lists.into_iter().map(|list| {
        json!({
            "list": list.kind.word(),
            "up": list.up(),
            "stale": list.stale,
            "entries": list.header.map(|header| header.entries),
            "created": list.header.map(|header| written(header.created)),
            "trouble": list.trouble,
        })
    });
    shown.collect()
}

/// Takes up certificate files that were replaced. What is in use stays while the new ones are not good.
async fn renew(certificates: Vec<Certificates>, mut stop: watch::Receiver<bool>) {
    let mut beats = tokio::time::interval(RENEW);
    let mut known: Vec<_> = certificates.iter().map(stamps).collect();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = beats.tick() => {}
        }
        for (certificates, known) in certificates.iter().zip(&mut known) {
            let now = stamps(certificates);
            if now == *known {
                continue;
            }
            *known = now;
            match certificates.reload() {
                Ok(()) => tracing::info!("new certificates are in use"),
                Err(fault) => tracing::error!(%fault, "the certificates in use stay"),
            }
        }
    }
}

/// What tells that a certificate's files were replaced: their times and sizes.
fn stamps(certificates: &Certificates) -> Vec<Option<(std::time::SystemTime, u64)>> {
    let files = certificates.pairs().iter().flat_map(|pair| [&pair.certificate, &pair.key]);
    files.map(|file| fs::metadata(file).ok().and_then(|found| Some((found.modified().ok()?, found.len())))).collect()
}

/// Looks whether a group of signals lurches, and says so.
fn guard(law: &Law, shared: &Shared, guards: &Guards, now: Moment) {
    for change in shared.memory.guards.look(guards, now) {
        let (group, shift) = match change {
            Change::Frozen(group, shift) => (group, Some(shift)),
            Change::Thawed(group) => (group, None),
        };
        let name = group.word();
        match shift {
            Some(shift) => tracing::error!(
                group = name,
                shift,
                "FROZEN: what this group of signals says of customers who have long been known moved too far and too fast; \
                 it gives no points until it is calm. When it is right, name it in trust of [guards]"
            ),
            None => tracing::warn!(group = name, "this group of signals is believed again"),
        }
        law.events().tell("guard", json!({ "group": name, "frozen": shift.is_some(), "shift": shift }));
    }
    let shown = shared.memory.guards.show();
    shared.telemetry.guards.show(shown.iter().map(|(group, standing)| (group.word(), standing.frozen.is_none())));
}

/// Looks whether the lines of journeys with a budget should float, and says so.
fn float(law: &Law, shared: &Shared, in_force: &InForce, now: Moment) {
    let mut shown = Vec::new();
    for (id, journey) in in_force.rules.journey_ids().zip(&in_force.rules.journeys) {
        let Some((budget, lane)) =
            journey.budget.as_ref().and_then(|budget| Some((budget, shared.memory.floating.lane(&journey.name)?)))
        else {
            continue;
        };
        let armed = in_force.effects.on(Some(id)).any(|(entry, _)| !entry.shadow && now < entry.ends);
        for (stage, change) in lane.look(budget, armed, now) {
            tell_of_lines(law, journey, stage, change);
        }
        for stage in STAGES.into_iter().filter(|stage| *stage == Stage::Session || budget.attempts.is_some()) {
            let controller = lane.show(stage);
            shown.push(ShownLine {
                journey: journey.name.clone(),
                ladder: ladder_word(stage),
                shift: -i64::from(controller.shift()),
                share: controller.share(controller.shift()).map(f64::from),
            });
        }
    }
    shared.telemetry.floating.show(shown);
}

fn tell_of_lines(law: &Law, journey: &Journey, stage: Stage, change: floating::Change) {
    let (name, ladder) = (&*journey.name, ladder_word(stage));
    match change {
        floating::Change::Moved(from, to) => {
            tracing::warn!(journey = name, ladder, from, to, "the lines float: so many points below what is written");
            law.events().tell("line", json!({ "journey": name, "ladder": ladder, "floats": -i64::from(to) }));
        }
        floating::Change::AtTheEnd => {
            tracing::error!(
                journey = name,
                ladder,
                "THE LINES ARE AT THE END OF THEIR RANGE, and more customers who have long been known are held than the \
                 budget allows. Look for what has changed: `weir status`, `weir explain` on one of them, a release, a list"
            );
            law.events().tell("line", json!({ "journey": name, "ladder": ladder, "at_the_end": true }));
        }
        floating::Change::BackInRange => {
            tracing::warn!(journey = name, ladder, "the lines keep their budget again");
            law.events().tell("line", json!({ "journey": name, "ladder": ladder, "at_the_end": false }));
        }
    }
}

const fn ladder_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Attempt => "attempt",
        Stage::Claim | Stage::Session => "session",
    }
}

/// The ladders whose lines float, with what they hold.
fn floated(shared: &Shared, rules: &RuleSet) -> Vec<Value> {
    let mut all = Vec::new();
    for journey in &rules.journeys {
        let Some((budget, lane)) =
            journey.budget.as_ref().and_then(|budget| Some((budget, shared.memory.floating.lane(&journey.name)?)))
        else {
            continue;
        };
        for (stage, share) in [(Stage::Attempt, budget.attempts), (Stage::Session, Some(budget.challenged))] {
            let Some(share) = share else { continue };
            let controller = lane.show(stage);
            all.push(json!({
                "journey": &*journey.name,
                "ladder": ladder_word(stage),
                "floats": -i64::from(controller.shift()),
                "range": budget.range,
                "at_the_end": controller.is_at_the_end(),
                "budget": f64::from(share.0) / 100.0,
                "held": controller.share(controller.shift()).map(|share| (f64::from(share) * 1e4).round() / 100.0),
                "held_as_written": controller.share(0).map(|share| (f64::from(share) * 1e4).round() / 100.0),
                "customers": controller.customers().round(),
            }));
        }
    }
    all
}

/// The groups of signals that a guard watches, with how far their medians are off.
fn guarded(shared: &Shared) -> Vec<Value> {
    let shown = shared.memory.guards.show();
    let each = shown.into_iter().map(|(group, standing)| {
        json!({ "group": group.word(), "frozen_since": standing.frozen.map(written), "shift": standing.shift })
    });
    each.collect()
}

/// Keeps the gauges that nobody's own code path sets, and looks after those who report from outside.
async fn gauge((law, reach): (Arc<Law>, Arc<Reach>), shared: Shared, doors: Doors, mut stop: watch::Receiver<bool>) {
    let mut beats = tokio::time::interval(Duration::from_secs(1));
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut transmitters = Tending::default();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = beats.tick() => {}
        }
        let gauges = &shared.telemetry.gauges;
        gauges.connections.set(count(doors.inside()));
        gauges.streams.set(count(shared.streams.open()));
        gauges.refused_connections.set(count(doors.turned()));
        gauges.identities.set(count(shared.memory.accounts.len()));
        gauges.sessions.set(count(shared.memory.sessions.len()));
        let (in_force, now) = (law.in_force().load(), shared.clock.now());
        let rules = in_force.rules.clone();
        gauges.jwks_up.set(shared.identity.keys_up(&rules, now).map_or(-1, i64::from));
        transmitters.look(&shared, &rules, now);
        guard(&law, &shared, &rules.guards, now);
        float(&law, &shared, &in_force, now);
        look_at_journeys(&law, &shared, &reach, now);
        shared.telemetry.lists.show(shared.identity.breach.show(rules.breach.as_ref(), now).iter().map(|list| {
            ListState {
                list: list.kind.word(),
                signal: list.kind.signal(),
                up: list.up(),
                created: list.header.map(|header| header.created.unix_seconds()),
                entries: list.header.map_or(0, |header| header.entries),
            }
        }));
    }
}
