//! The law over the API: what is in force, checking texts without installing them, rehearsing, reloading, stepping back.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::look::etag;
use super::problem::Problem;
use super::{Control, Expected, blocking};
use crate::control::law::{Outcome, Reload};
use crate::control::load::load_sources;
use crate::control::who::Who;
use crate::judge::rehearse;
use crate::rules::diagnostic;
use crate::rules::source::Sources;

/// Files in one check.
const FILES: usize = 1000;

/// A body as JSON; an empty one is the same as `{}`.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is not what is expected here: {error}"))
    })
}

/// What is in force.
pub(super) async fn shown(State(control): State<Control>, headers: HeaderMap) -> Response {
    let tag = etag(&control);
    if headers.get(header::IF_NONE_MATCH) == Some(&tag.1) {
        return (StatusCode::NOT_MODIFIED, [tag]).into_response();
    }
    let rules = control.law.in_force().load().rules.clone();
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let document = json!({
        "law": control.law.standing(),
        "journeys": names(rules.journeys.iter().map(|journey| &*journey.name).collect()),
        "upstreams": names(rules.upstreams.iter().map(|upstream| &*upstream.name).collect()),
        "playbooks": names(rules.playbooks.iter().map(|playbook| &*playbook.name).collect()),
        "routes": rules.routes.len(),
        "cases": rules.cases.len(),
    });
    ([tag], Json(document)).into_response()
}

/// Compiles and rehearses texts; nothing is installed and nothing is written.
pub(super) async fn check(body: Bytes) -> Result<Response, Problem> {
    let files: BTreeMap<String, String> = read(&body)?;
    if files.is_empty() || files.len() > FILES {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("give 1 to {FILES} files"))
            .help("{\"sites.toml\": \"...\", \"journeys.toml\": \"...\"}"));
    }
    let document = blocking(move || {
        let sources = Sources::from_texts(files.into_iter().collect());
        let loaded = load_sources(sources);
        json!({
            "good": loaded.errors() == 0,
            "errors": loaded.errors(),
            "warnings": loaded.warnings(),
            "failed_cases": loaded.failed_cases,
            "fingerprint": loaded.compiled().map(|rules| rules.fingerprint.to_string()),
            "problems": diagnostic::to_json(&loaded.diagnostics, &loaded.sources),
        })
    })
    .await?;
    Ok(Json(document).into_response())
}

/// Judges every case of the law in force.
pub(super) async fn rehearse(State(control): State<Control>) -> Result<Response, Problem> {
    let rules = control.law.in_force().load().rules.clone();
    let document = blocking(move || {
        let each = rules.cases.iter().map(|case| {
            let (got, why) = rehearse::outcome(&rules, case);
            json!({ "case": case.name, "expect": case.expect, "got": got, "holds": *case.expect == *got, "why": why })
        });
        each.collect::<Value>()
    })
    .await?;
    Ok(Json(document).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReloadBody {
    despite_cases: bool,
    reason: String,
}

pub(super) async fn reload(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Extension(expected): Extension<Expected>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: ReloadBody = read(&body)?;
    if asked.despite_cases && asked.reason.trim().is_empty() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "say why these rules are let in although cases fail",
        )
        .help("the reason is kept in the audit record"));
    }
    let law = control.law.clone();
    let reload = Reload { who, reason: asked.reason, despite_cases: asked.despite_cases, expect: expected.0 };
    let outcome = blocking(move || law.reload_by(&reload)).await?;
    Ok(answer(&control, &outcome))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RollBackBody {
    reason: String,
}

pub(super) async fn roll_back(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    Extension(expected): Extension<Expected>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: RollBackBody = read(&body)?;
    let law = control.law.clone();
    let outcome = blocking(move || law.roll_back_by(&who, &asked.reason, expected.0.as_deref())).await?;
    Ok(answer(&control, &outcome))
}

fn answer(control: &Control, outcome: &Outcome) -> Response {
    let status = match outcome {
        Outcome::Installed { .. } | Outcome::Unchanged { .. } | Outcome::RolledBack { .. } => StatusCode::OK,
        Outcome::Refused { .. } | Outcome::CasesFailed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome::NothingBefore { .. } | Outcome::LacksArmed { .. } => StatusCode::CONFLICT,
        Outcome::Moved { .. } => StatusCode::PRECONDITION_FAILED,
    };
    (status, [etag(control)], Json(json!(outcome))).into_response()
}
