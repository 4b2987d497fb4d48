//! Answers that the application hands over for customers who did not look lately: each is kept as if its owner had looked.
//!
//! Only what a rule keeps is taken, masked as the rule says; what is newer stands. It is said to be kept when it is safe on the disk.
//! The name goes no further than its hash.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::memory::{few, is_name};
use super::problem::Problem;
use super::rules::read;
use super::{Control, blocking, noted};
use crate::clock::Moment;
use crate::control::who::Who;
use crate::rules::in_force::InForce;
use crate::rules::routes::Found;
use crate::rules::snapshots::SnapshotLaw;
use crate::rules::target;
use crate::snapshots::{About, Incoming, PageKey, Pointer};

/// Bytes of the longest target.
const TARGET: usize = 8 * 1024;
/// Rows that come together.
const ROWS: usize = 1_000;
/// Refused rows that are shown; all are counted.
const SHOWN: usize = 20;
/// A clock of the application's may be ahead by so much.
const AHEAD: Duration = Duration::from_secs(120);
/// How long rows wait for the disk.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(default)]
    dry_run: bool,
    /// Each is read by itself: one that is not what is expected is refused, and the others are kept.
    rows: Vec<Box<RawValue>>,
}

/// One answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The account's name, to the letter.
    subject: String,
    /// The host; where the rules name one alone, that.
    #[serde(default)]
    host: Option<String>,
    /// Path and query.
    target: String,
    content_type: String,
    /// RFC 3339.
    as_of: String,
    /// Text; or a JSON value, which is kept as it is written.
    body: Box<RawValue>,
}

/// Keeps some answers.
pub(super) async fn put(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Rows { dry_run, rows } = read(&body)?;
    few(rows.len(), ROWS)?;
    if !control.snapshots.on() {
        let trouble = control.snapshots.standing().trouble;
        let why = trouble.map_or_else(|| "no snapshots are kept".to_owned(), |why| format!("snapshots are off: {why}"));
        return Err(
            Problem::new(StatusCode::CONFLICT, why).help("[snapshots] on = true in gateway.toml, and a restart")
        );
    }
    let count = rows.len();
    let (asked, law, now) = (control.clone(), control.law.in_force().load(), control.law.clock().now());
    let (kept, refused) = blocking(move || {
        let mut waiting: Vec<(usize, Receiver<Result<(), &'static str>>)> = Vec::new();
        let (mut kept, mut refused) = (0_usize, BTreeMap::new());
        for (at, row) in rows.into_iter().enumerate() {
            match answer(&asked, &law, &row, now) {
                Ok(_) if dry_run => kept += 1,
                Ok(incoming) => waiting.push((at, asked.snapshots.keep_safe(incoming))),
                Err(why) => drop(refused.insert(at, why)),
            }
        }
        for (at, safe) in waiting {
            match safe.recv_timeout(PATIENCE) {
                Ok(Ok(())) => kept += 1,
                Ok(Err(why)) => drop(refused.insert(at, said(why).to_owned())),
                Err(_) => drop(refused.insert(at, "the disk takes too long".to_owned())),
            }
        }
        (kept, refused)
    })
    .await?;
    if !dry_run {
        let sums = json!({ "rows": count, "kept": kept });
        noted(&control, &who, "snapshots", ("accounts", ""), sums).await?;
    }
    let shown: Vec<Value> = refused.iter().take(SHOWN).map(|(at, why)| json!({ "row": at, "why": why })).collect();
    let document =
        json!({ "rows": count, "kept": kept, "refused": refused.len(), "because": shown, "dry_run": dry_run });
    Ok(Json(document).into_response())
}

/// What a word of the keeper's means.
fn said(why: &'static str) -> &'static str {
    match why {
        "older" => "what is kept is newer",
        "large" => "it is larger than [snapshots] largest",
        "not_json" => "it is to be masked and is no JSON",
        "revoked" => "what is kept of this account was voided meanwhile",
        "busy" => "too much waits for the disk; send it again",
        "disk" => "the data directory refuses",
        other => other,
    }
}

fn answer(control: &Control, law: &InForce, row: &RawValue, now: Moment) -> Result<Incoming, String> {
    let row: Row = serde_json::from_str(row.get()).map_err(|error| {
        let said = error.to_string();
        let what = said.rsplit_once(" at line ").map_or(&*said, |(what, _)| what);
        format!("it is not what is expected here: {what}")
    })?;
    let Row { subject, host, target, content_type, as_of, body } = row;
    if !is_name(&subject) {
        return Err("the subject is no account's name".to_owned());
    }
    let rules = &law.rules;
    let host = match host {
        Some(host) => host.to_ascii_lowercase(),
        None => {
            let all: Vec<&str> = rules.sites.iter().flat_map(|site| site.hosts.iter().map(|host| &**host)).collect();
            match all[..] {
                [only] if !only.starts_with('*') => only.to_owned(),
                _ => return Err("the rules name several hosts: say which".to_owned()),
            }
        }
    };
    if rules.sites.find(&host).is_none() {
        return Err("no site answers for this host".to_owned());
    }
    let (target, journey, snapshot) = place(law, &target)?;
    let as_of: jiff::Timestamp = as_of.parse().map_err(|_| "as_of is no time like 2026-11-02T12:00:00Z".to_owned())?;
    let as_of = Moment::from_unix_millis(u64::try_from(as_of.as_millisecond()).unwrap_or(0));
    if as_of > now.plus(AHEAD) {
        return Err("as_of is in the future".to_owned());
    }
    if now.since(as_of) > snapshot.keep {
        return Err("it is older than its journey keeps answers".to_owned());
    }
    if content_type.trim().is_empty() || HeaderValue::from_str(&content_type).is_err() {
        return Err("the content type cannot be read".to_owned());
    }
    let body = match body.get() {
        "null" => return Err("there is no body".to_owned()),
        text if text.starts_with('"') => {
            serde_json::from_str::<String>(text).map_err(|_| "the body cannot be read".to_owned())?.into_bytes()
        }
        document => document.as_bytes().to_vec(),
    };
    if body.is_empty() {
        return Err("there is no body".to_owned());
    }
    let about = About {
        host: host.as_str().into(),
        target: target.as_str().into(),
        journey: journey.into(),
        language: None,
        kind: None,
        others: Vec::new(),
        as_of: as_of.min(now),
        paused: control.snapshots.paused(journey, now),
        at_most: None,
        fields: vec![("content-type".into(), content_type.into_bytes().into())],
    };
    let mask: Vec<Pointer> = snapshot.mask.clone();
    let key = PageKey::new(control.names.owner(&subject), &host, &target);
    Ok(Incoming { key, about, body: body.into(), mask, keep: snapshot.keep, began: control.snapshots.begin() })
}

/// The target as it is forwarded, and the journey that keeps its answers.
fn place<'l>(law: &'l InForce, asked: &str) -> Result<(String, &'l str, &'l SnapshotLaw), String> {
    let uri = Some(asked).filter(|asked| asked.starts_with('/') && asked.len() <= TARGET);
    let uri: http::Uri = uri.and_then(|asked| asked.parse().ok()).ok_or("the target is no path of a site")?;
    let read = target::read(uri.path()).map_err(|_| "the target can be read in more than one way")?;
    let Found::Listed { journey: Some(id), canonical, .. } = law.rules.routes.find("GET", &read) else {
        return Err("no journey has this target to be looked at".to_owned());
    };
    let journey = law.rules.journey(id);
    let snapshot = journey.snapshot.as_ref().ok_or_else(|| format!("the journey {} keeps none", journey.name))?;
    let path = canonical.unwrap_or_else(|| uri.path().to_owned());
    let target = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    Ok((target, &journey.name, snapshot))
}
