//! What went wrong, as a problem document (RFC 9457): what is the matter, and what to do.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::control::posture::Refusal;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    help: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = json!({
            "title": self.status.canonical_reason().unwrap_or("Refused"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "help": self.help,
        });
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], Json(document).into_response().into_body())
            .into_response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, help) = match &refusal {
            Refusal::Unknown { .. } => (StatusCode::NOT_FOUND, Some("weir playbooks lists what there is")),
            Refusal::Span(_) | Refusal::NoReason => (StatusCode::UNPROCESSABLE_ENTITY, None),
            Refusal::Scope(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Some("name journeys of the rules, or web, app, store, desk"))
            }
            Refusal::Looser(_) | Refusal::Full => (StatusCode::CONFLICT, None),
            Refusal::NotArmed(_) | Refusal::NothingToConfirm(_) => {
                (StatusCode::CONFLICT, Some("weir status shows what is armed"))
            }
            Refusal::Moved { .. } => (StatusCode::PRECONDITION_FAILED, Some("weir status shows what is in force now")),
        };
        Self { status, detail: refusal.to_string(), help: help.map(str::to_owned) }
    }
}
