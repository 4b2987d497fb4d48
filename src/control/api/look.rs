//! What control shows: health, metrics, status, and what became of one customer, by reference.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, http::HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::{Control, blocking};
use crate::control::audit::{FILE, written};
use crate::control::who::{Role, Who};
use crate::judge::registers::{Reasons, Told, to_the_customer};
use crate::memory::handoffs::Reference;

pub(super) async fn ready(State(control): State<Control>) -> Response {
    if *control.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining: no new connections are taken\n").into_response();
    }
    let standing = control.law.standing();
    let files = if standing.files_in_force { "the rule files are in force" } else { "the rule files are NOT in force" };
    (StatusCode::OK, format!("ready: generation {}, {}; {files}\n", standing.generation, standing.fingerprint))
        .into_response()
}

pub(super) async fn metrics(State(control): State<Control>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], control.telemetry.text()).into_response()
}

/// The tag of what is in force, as a header.
pub(super) fn etag(control: &Control) -> (header::HeaderName, HeaderValue) {
    let tag = format!("\"{}\"", control.law.tag());
    (header::ETAG, HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")))
}

pub(super) async fn status(State(control): State<Control>, Extension(who): Extension<Who>) -> Response {
    let tag = etag(&control);
    let (posture, quiet) = control.law.posture_shown();
    let tower = control.tower.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let proposals: Vec<Value> = tower.proposals().map(|proposal| json!(proposal)).collect();
    let watched: Map<String, Value> = tower
        .watched()
        .into_iter()
        .map(|(word, now, usual, minutes)| (word.to_owned(), json!({ "now": now, "usual": usual, "minutes": minutes })))
        .collect();
    drop(tower);
    let document = json!({
        "weir": env!("CARGO_PKG_VERSION"),
        "draining": *control.stopping.borrow(),
        "you": { "name": who.name, "role": who.role.word() },
        "places": control.places,
        "law": control.law.standing(),
        "posture": posture,
        "proposals": proposals,
        "silenced": quiet,
        "watched": watched,
        "disk": control.law.disk().health(),
        "rooms": (control.rooms)(),
    });
    ([tag], Json(document)).into_response()
}

/// What customers can do here, and what holds it now.
pub(super) async fn journeys(State(control): State<Control>) -> Response {
    let in_force = control.law.in_force().load();
    let now = control.law.clock().now();
    let each = in_force.rules.journeys.iter().enumerate().map(|(at, journey)| {
        let held = in_force.posture.armed.iter().filter(|armed| armed.ends() > now && !armed.shadow).filter(|armed| {
            let playbook = in_force.rules.playbooks.iter().find(|playbook| *playbook.name == *armed.playbook);
            let scoped =
                armed.scope.journeys.is_empty() || armed.scope.journeys.iter().any(|name| **name == *journey.name);
            scoped
                && playbook.is_some_and(|playbook| playbook.changes.iter().any(|change| change.journey.index() == at))
        });
        json!({ "journey": &*journey.name, "held_by": held.map(|armed| &*armed.playbook).collect::<Vec<_>>() })
    });
    Json(each.collect::<Value>()).into_response()
}

/// Why one request came out as it did: by its id, the first digits of it, or the reference that the customer was given.
pub(super) async fn decision(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Path(reference): Path<String>,
) -> Response {
    let part = match Reference::parse(&reference) {
        Ok(reference) => format!("\"handoff\":\"{reference}\""),
        Err(_) => {
            let id = reference.trim().to_ascii_lowercase();
            let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !hex || !(8..=32).contains(&id.len()) {
                return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is no reference")
                    .help("give a request's id, at least its first 8 digits, or the nine digits that a customer reads out")
                    .into_response();
            }
            format!("\"id\":\"{id}")
        }
    };
    let recent = control.recent.clone();
    let found = blocking(move || recent.find(&part, |line| line.contains("\"event\":\"decision\""))).await;
    let line = match found {
        Ok(Some(line)) => line,
        Ok(None) => {
            return Problem::new(StatusCode::NOT_FOUND, "no decision with this reference is among the latest")
                .help("older ones are in the decision log; with decisions.to = \"off\" there are none")
                .into_response();
        }
        Err(problem) => return problem.into_response(),
    };
    let Ok(mut document) = serde_json::from_str::<Value>(&line) else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this line is not JSON").into_response();
    };
    if who.role == Role::Viewer
        && let Some(fields) = document.as_object_mut()
    {
        fields.retain(|name, _| !matches!(&**name, "account" | "device" | "network" | "session" | "handoff"));
    }
    Json(document).into_response()
}

/// What stands behind the reference that a customer reads out: where they were stopped, never who they are.
pub(super) async fn handoff(State(control): State<Control>, Path(reference): Path<String>) -> Response {
    let reference = match Reference::parse(&reference) {
        Ok(reference) => reference,
        Err(misread) => {
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, misread.to_string())
                .help("ask the customer to read it again, three digits at a time")
                .into_response();
        }
    };
    let Some(entry) = control.memory.handoffs.find(reference, control.law.clock().now()) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such reference, or its time is over")
            .help("go on without it, and verify the caller as the desk page says")
            .into_response();
    };
    let recent = control.recent.clone();
    let part = format!("\"handoff\":\"{reference}\"");
    let line = blocking(move || recent.find(&part, |line| line.contains("\"event\":\"decision\""))).await;
    let line = line.ok().flatten().and_then(|line| serde_json::from_str::<Value>(&line).ok());
    let because = line.as_ref().and_then(|line| line["session_because"].as_array().or(line["because"].as_array()));
    let told = because.into_iter().flatten().filter_map(|line| Told::parse(line.as_str()?));
    let in_force = control.law.in_force().load();
    let named = |key: u64, name: &str| control.names.key(&[name.as_bytes()]) == key;
    let journey = in_force.rules.journeys.iter().map(|journey| &*journey.name).find(|name| named(entry.journey, name));
    let help = in_force.rules.help.iter().map(|help| &*help.name).find(|name| named(entry.help, name));
    Json(json!({
        "reference": reference.to_string(),
        "journey": journey,
        "help": help,
        "signed_in": entry.account.is_some(),
        "given": written(entry.made),
        "good_until": written(entry.expires),
        "reasons": because.map(|_| Reasons::among(told).aloud()),
        "say": to_the_customer("handoff"),
        "proves": "where they were stopped; not who they are",
    }))
    .into_response()
}

#[derive(Debug, Deserialize)]
pub(super) struct After {
    /// The number of the last line that is known.
    after: Option<u64>,
}

/// The record after a line, at most a thousand lines.
pub(super) async fn audit(State(control): State<Control>, Query(query): Query<After>) -> Response {
    let path = control.law.disk().dir().join(FILE);
    let after = query.after.unwrap_or(0);
    let read = blocking(move || read_after(&path, after)).await;
    match read {
        Ok(Ok(lines)) => Json(Value::from(lines)).into_response(),
        Ok(Err(error)) => {
            let said = format!("the audit record cannot be read: {error}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, said).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

fn read_after(path: &std::path::Path, after: u64) -> std::io::Result<Vec<Value>> {
    use std::io::BufRead as _;
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let lines = std::io::BufReader::new(file).lines();
    let documents = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    Ok(documents.filter(|line| line["seq"].as_u64().is_some_and(|seq| seq > after)).take(1000).collect())
}
