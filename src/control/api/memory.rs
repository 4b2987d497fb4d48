//! One account, wherever something is held about it: shown, erased, or taken over from another system.
//!
//! Its name comes in a body, never in a path, is hashed at once and goes no further: the record has the hash.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;
use super::rules::read;
use super::{Control, blocking, noted};
use crate::clock::Moment;
use crate::control::audit::written;
use crate::control::who::Who;
use crate::judge::history::Imported;
use crate::judge::seen::Whereabouts;
use crate::memory::keeper::Beyond;
use crate::memory::limits::salt;
use crate::memory::stores::mentions;
use crate::outcomes::Tag;
use crate::snapshots::About;

/// Characters of the longest name.
const NAME: usize = 320;
/// After so long, lines that workers still held have reached the latest ones.
const LATE: Duration = Duration::from_millis(250);
/// Rows that come together.
const ROWS: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: String,
    #[serde(default)]
    reason: String,
}

impl Asked {
    fn from(body: &Bytes) -> Result<Self, Problem> {
        let asked: Self = read(body)?;
        named(&asked.account).map(|()| asked)
    }
}

/// Whether an account can have this name: wherever one is given, the same names are taken.
pub(super) fn is_name(account: &str) -> bool {
    !account.trim().is_empty() && account.len() <= NAME
}

/// Refuses more rows than are taken together.
pub(super) fn few(rows: usize, most: usize) -> Result<(), Problem> {
    if rows > most {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} rows come together"));
        return Err(problem.help("send the rest in another request"));
    }
    Ok(())
}

fn named(account: &str) -> Result<(), Problem> {
    if !is_name(account) {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is no account's name");
        return Err(problem.help("give it as its owner types it at sign-in, or as tokens carry it"));
    }
    Ok(())
}

/// What the keeper is told of other rooms.
fn beyond(control: &Control) -> Beyond {
    let in_force = control.law.in_force().load();
    let salts = in_force.rules.limits.all().iter().map(|limit| salt(&control.names, limit)).collect();
    Beyond { recent: control.recent.clone(), salts }
}

/// What is held about an account.
pub(super) async fn access(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked = Asked::from(&body)?;
    let account = control.names.account(&asked.account);
    let (keeper, beyond) = (control.keeper.clone(), beyond(&control));
    let mut held = blocking(move || keeper.access(account, &beyond)).await?;
    if let Some(kept) = control.outcomes.clone() {
        let count = blocking(move || kept.count(Tag(account.bits()))).await?;
        held["outcomes"] = count.map_or(Value::Null, |count| json!(count));
    }
    let snapshots = control.snapshots.clone();
    let answers = blocking(move || snapshots.access(account)).await?;
    held["snapshots"] = match answers {
        Ok(answers) => answers.iter().map(|(about, bytes)| shown(about, *bytes)).collect(),
        Err(why) => json!({ "unreadable": why }),
    };
    noted(&control, &who, "access", (&account.to_string(), &asked.reason), Value::Null).await?;
    Ok(Json(held).into_response())
}

/// Erases an account.
pub(super) async fn erase(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked = Asked::from(&body)?;
    if asked.reason.trim().is_empty() {
        return Err(
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "an erasure needs a reason").help("--reason \"...\"")
        );
    }
    let account = control.names.account(&asked.account);
    let (keeper, beyond) = (control.keeper.clone(), beyond(&control));
    let mut erased = blocking(move || keeper.erase(account, &beyond)).await?;
    tokio::time::sleep(LATE).await;
    erased.decisions += control.recent.forget(&mentions(account));
    // After the wait too: what workers still held is in the files by now.
    let outcomes = match control.outcomes.clone() {
        None => Ok(0),
        Some(kept) => blocking(move || kept.erase(Tag(account.bits()))).await?,
    };
    if let Err(error) = &outcomes {
        tracing::error!(%error, "the outcomes of an account cannot be erased from the disk");
        erased.on_disk = false;
    }
    let snapshots = control.snapshots.clone();
    let answers = blocking(move || snapshots.erase(account)).await?;
    if let Err(error) = &answers {
        tracing::error!(%error, "the kept answers of an account cannot be erased from the disk");
        erased.on_disk = false;
    }
    let mut erased = json!(erased);
    if let Ok(answers) = answers {
        erased["snapshots"] = json!(answers);
    }
    if let Ok(outcomes) = outcomes {
        erased["outcomes"] = json!(outcomes);
    }
    let document = json!({ "account": account, "erased": erased });
    noted(&control, &who, "erase", (&account.to_string(), &asked.reason), erased).await?;
    Ok(Json(document).into_response())
}

/// What is said of a kept answer; the answer itself is the application's.
fn shown(about: &About, bytes: usize) -> Value {
    let kind = about.fields.first().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    json!({
        "journey": about.journey, "host": about.host, "target": about.target, "language": about.language,
        "as_of": written(about.as_of), "content_type": kind, "bytes": bytes,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(default)]
    dry_run: bool,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    account: String,
    #[serde(default)]
    network: Option<std::net::IpAddr>,
    #[serde(default)]
    last_seen: Moment,
    #[serde(default = "once")]
    count: u16,
}

const fn once() -> u16 {
    1
}

/// Takes over a few accounts of another system: all of these rows, or none.
pub(super) async fn import(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Rows { dry_run, rows } = read(&body)?;
    few(rows.len(), ROWS)?;
    for row in &rows {
        named(&row.account)?;
    }
    let count = rows.len();
    let (memory, names, now) = (control.memory.clone(), control.names.clone(), control.law.clock().now());
    let (new, full) = blocking(move || {
        let (mut new, mut full) = (0, 0);
        for row in rows {
            let account = names.account(&row.account).bits();
            let imported = Imported {
                at: row.network.map(|address| Whereabouts::of(&names, address)),
                last: row.last_seen,
                visits: row.count,
            };
            new += usize::from(memory.accounts.look(account, |_| ()).is_none());
            if !dry_run {
                let taken = memory.accounts.update(account, now, |history| history.import(&imported, now));
                full += usize::from(taken.is_none());
            }
        }
        (new, full)
    })
    .await?;
    if !dry_run {
        noted(&control, &who, "import", ("accounts", ""), json!({ "rows": count, "new": new, "full": full })).await?;
    }
    Ok(Json(json!({ "rows": count, "new": new, "no_room": full, "dry_run": dry_run })).into_response())
}
