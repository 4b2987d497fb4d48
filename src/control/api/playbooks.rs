//! Playbooks over the API: what there is, what each would change, arming, confirming, standing down, and what the desk says.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::look::etag;
use super::problem::Problem;
use super::resting::resting;
use super::rules::read;
use super::{Control, Expected, blocking};
use crate::control::arming::{By, Changed};
use crate::control::posture::{self, Ask, Refusal, say, scope};
use crate::control::who::Who;
use crate::rules::client::Channel;
use crate::rules::in_force::InForce;
use crate::rules::playbook::{Playbook, Then, Threshold};
use crate::rules::posture::Scope;

/// Every playbook, in one line each.
pub(super) async fn list(State(control): State<Control>) -> Response {
    let in_force = control.law.in_force().load();
    let now = control.law.clock().now();
    let each = in_force.rules.playbooks.iter().map(|playbook| {
        let armed = in_force.posture.of(&playbook.name).filter(|armed| armed.ends() > now);
        json!({
            "playbook": &*playbook.name,
            "summary": playbook.summary,
            "owner": playbook.owner,
            "expires": say(playbook.expires),
            "at_most_total": say(playbook.at_most_total),
            "armed": armed.map(|armed| posture::shown(armed, now)),
        })
    });
    ([etag(&control)], Json(each.collect::<Value>())).into_response()
}

/// One playbook: what it is, and what it changes.
pub(super) async fn one(State(control): State<Control>, Path(name): Path<String>) -> Result<Response, Problem> {
    let in_force = control.law.in_force().load();
    let now = control.law.clock().now();
    let playbook = posture::playbook(&in_force.rules, &name)?;
    let armed = in_force.posture.of(&name).filter(|armed| armed.ends() > now);
    let document = json!({
        "playbook": name,
        "summary": playbook.summary,
        "owner": playbook.owner,
        "expires": say(playbook.expires),
        "at_most_total": say(playbook.at_most_total),
        "ramp": say(playbook.stand_down.ramp),
        "channels": playbook.channels,
        "shadow": playbook.shadow,
        "armed": armed.map(|armed| posture::shown(armed, now)),
        "changes": changes(&in_force, playbook),
        "triggers": triggers(playbook),
        "stands_down": playbook.stand_down.when.as_ref().map(|calm| format!(
            "when {} is at most {} for {}", calm.watch.word(), threshold(calm.at_most), say(calm.during)
        )),
        "desk": desk_of(playbook),
        "resting": resting_on(&control, &in_force, playbook).await,
    });
    Ok(([etag(&control)], Json(document)).into_response())
}

/// How many sessions rest on what it distrusts; nothing where it distrusts nothing.
async fn resting_on(control: &Control, in_force: &InForce, playbook: &Playbook) -> Option<Value> {
    if playbook.distrust.is_empty() {
        return None;
    }
    let (recent, rules, families) = (control.recent.clone(), in_force.rules.clone(), playbook.distrust);
    let found = blocking(move || resting(&recent, &rules, families)).await.ok()?;
    Some(found.counts())
}

/// What it changes, journey by journey: the ladder as it is, and as it would be.
fn changes(in_force: &InForce, playbook: &Playbook) -> Value {
    let rules = &in_force.rules;
    let mut all: Vec<Value> = Vec::new();
    for change in &playbook.changes {
        let journey = rules.journey(change.journey);
        let rungs = || journey.ladder.rungs().iter();
        let before: Vec<String> =
            rungs().map(|rung| format!("{} from {}", rung.action.word(), rung.at.score())).collect();
        let after: Vec<String> = match &change.at_most {
            None => before.clone(),
            // What is stricter already stays as it is; everything above comes down to it.
            Some(most) => rungs()
                .map(|rung| {
                    let down = rung.action.strictness() < most.strictness();
                    let word = if down { most.word() } else { rung.action.word() };
                    format!("{word} from {}", rung.at.score())
                })
                .collect(),
        };
        all.push(json!({
            "journey": &*journey.name,
            "before": before,
            "after": after,
            "at_most": change.at_most.as_ref().map(|most| most.word()),
            "contained": change.contained,
            "only_contaminated": change.only_contaminated,
        }));
    }
    for (journey, upstream) in &playbook.routes {
        all.push(json!({ "journey": &*rules.journey(*journey).name, "served_from": &*rules.upstream(*upstream).name }));
    }
    if let Some(only) = &playbook.automation_only {
        let names: Vec<&str> = only.iter().map(|journey| &*rules.journey(*journey).name).collect();
        all.push(json!({ "automation_only": names }));
    }
    if playbook.unlisted_read_only {
        all.push(json!({ "unlisted": "read_only" }));
    }
    if !playbook.distrust.is_empty() {
        let families = crate::confidence::Family::ALL.iter().filter(|family| playbook.distrust.contain(**family));
        all.push(json!({ "distrust": families.map(|family| family.word()).collect::<Vec<_>>() }));
    }
    if playbook.cut_streams {
        all.push(json!({ "cut_streams": true }));
    }
    Value::from(all)
}

fn threshold(threshold: Threshold) -> String {
    match threshold {
        Threshold::Value(value) => value.to_string(),
        Threshold::Baseline(times) => format!("{times}x baseline"),
    }
}

fn triggers(playbook: &Playbook) -> Value {
    let each = playbook.triggers.iter().map(|trigger| {
        let does = if trigger.then == Then::Arm { "arms itself" } else { "asks a person" };
        let least = threshold(trigger.at_least);
        format!("{does} when {} is at least {least} over {}", trigger.watch.word(), say(trigger.over))
    });
    Value::from(each.collect::<Vec<_>>())
}

fn desk_of(playbook: &Playbook) -> Value {
    let desk = &playbook.desk;
    json!({ "verify": desk.verify, "script": desk.script, "never": desk.never, "escalate": desk.escalate })
}

/// What agents say and do now: of every playbook that is armed and enforced.
pub(super) async fn desk(State(control): State<Control>) -> Response {
    let in_force = control.law.in_force().load();
    let now = control.law.clock().now();
    let armed = in_force.posture.armed.iter().filter(|armed| armed.ends() > now && !armed.shadow);
    let each = armed.filter_map(|armed| {
        let playbook = in_force.rules.playbooks.iter().find(|playbook| *playbook.name == *armed.playbook)?;
        let reaches = playbook.channels.both(armed.scope.channels).contain(Channel::Desk);
        Some(json!({
            "playbook": &*playbook.name, "summary": playbook.summary, "covers_desk": reaches, "desk": desk_of(playbook),
        }))
    });
    Json(each.collect::<Value>()).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ArmBody {
    /// Seconds; as the playbook says when absent.
    for_seconds: Option<u64>,
    reason: String,
    /// Names of journeys and channels, or `all`.
    scope: Option<Vec<String>>,
    shadow: bool,
    confirm_within_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StandDownBody {
    reason: String,
    now: bool,
}

pub(super) async fn arm(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Extension(expected): Extension<Expected>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: ArmBody = read(&body)?;
    let scope: Option<Scope> = asked.scope.map(|words| scope(words.iter().map(String::as_str)));
    let ask = Ask {
        span: asked.for_seconds.map(Duration::from_secs),
        reason: asked.reason,
        scope,
        shadow: asked.shadow,
        confirm_within: asked.confirm_within_seconds.map(Duration::from_secs),
    };
    let law = control.law.clone();
    let named = name.clone();
    let changed = blocking(move || law.arm(&name, &ask, By { who: &who, expect: expected.0.as_deref() })).await?;
    let in_force = control.law.in_force().load();
    let resting = match posture::playbook(&in_force.rules, &named) {
        Ok(playbook) => resting_on(&control, &in_force, playbook).await,
        Err(_) => None,
    };
    answer(&control, changed, resting)
}

pub(super) async fn confirm(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Extension(expected): Extension<Expected>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let law = control.law.clone();
    let changed = blocking(move || law.confirm(&name, By { who: &who, expect: expected.0.as_deref() })).await?;
    answer(&control, changed, None)
}

pub(super) async fn stand_down(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Extension(expected): Extension<Expected>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: StandDownBody = read(&body)?;
    if asked.reason.trim().is_empty() {
        return Err(Refusal::NoReason.into());
    }
    let law = control.law.clone();
    let changed = blocking(move || {
        law.stand_down(&name, &asked.reason, asked.now, By { who: &who, expect: expected.0.as_deref() })
    })
    .await?;
    answer(&control, changed, None)
}

fn answer(control: &Control, changed: Result<Changed, Refusal>, resting: Option<Value>) -> Result<Response, Problem> {
    let changed = changed?;
    let health = control.law.disk().health();
    let mut document = json!({
        "generation": changed.generation,
        "tag": control.law.tag(),
        "armed": changed.armed,
        "posture_saved": health.posture_saved,
        "audit_written": health.audit_written,
        "disk_fault": if changed.safe { None } else { health.posture_fault.or(health.audit_fault) },
    });
    if let Some(resting) = resting {
        document["resting"] = resting;
    }
    Ok((StatusCode::OK, [etag(control)], Json(document)).into_response())
}
