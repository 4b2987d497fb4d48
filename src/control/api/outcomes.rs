//! How a decision turned out, said by an operator: a chargeback, a customer who says that it was not them, a verdict of support.
//!
//! Why goes into the record of changes; the kept outcomes have the decision's hash and one word.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::problem::Problem;
use super::rules::read;
use super::{Control, blocking, noted};
use crate::control::who::Who;
use crate::outcomes::{Entry, Outcome, Report, reference};

/// After so long, what workers still held has reached the files.
const LATE: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    reference: String,
    outcome: Outcome,
    #[serde(default)]
    reason: String,
}

/// Keeps what was learned of a decision.
pub(super) async fn report(
    State(control): State<Control>,
    Extension(who): Extension<Who>,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked: Asked = read(&body)?;
    let id = asked.reference.trim().to_ascii_lowercase();
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "this is no request's id");
        return Err(problem.help("give its 32 digits, as the decision log has them"));
    }
    if asked.reason.trim().is_empty() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "an outcome needs a reason");
        return Err(problem.help("--reason \"...\""));
    }
    let Some(kept) = control.outcomes.clone() else {
        let problem = Problem::new(StatusCode::CONFLICT, "no outcomes are kept");
        return Err(problem.help("[outcomes] keep = \"180d\" in gateway.toml, and a restart"));
    };
    let (tag, at) = (reference(&control.names, &id), control.law.clock().now().unix_seconds());
    let outcome = asked.outcome;
    let add = move || {
        let Some(account) = kept.find(tag)? else { return Ok(false) };
        kept.add(&Entry::Report(Report { at, reference: tag, outcome, account })).map(|()| true)
    };
    let mut added = blocking(add.clone()).await?;
    if let Ok(false) = added {
        tokio::time::sleep(LATE).await;
        added = blocking(add).await?;
    }
    match added {
        Ok(true) => {
            noted(&control, &who, "outcome", (&id, &asked.reason), json!(outcome)).await?;
            Ok(Json(json!({ "reference": id, "outcome": outcome })).into_response())
        }
        Ok(false) => {
            let problem = Problem::new(StatusCode::NOT_FOUND, "no decision with this reference is kept");
            Err(problem.help("only sign-ins with the right password, resets and sensitive steps are, for as long as [outcomes] keep says"))
        }
        Err::<_, std::io::Error>(error) => {
            tracing::error!(%error, "an outcome cannot be kept");
            Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "the data directory refused it")
                .help("see to the disk, then say it again"))
        }
    }
}
