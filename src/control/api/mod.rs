//! The doors of control: a loopback listener that shows (health, metrics), a Unix socket that steers, and, when it is asked for, a
//! TCP listener with TLS where every request carries a token.
//!
//! Every answer is JSON, every refusal says what to do, and everything has a bound. The API never edits a file.

mod door;
mod events;
mod lists;
mod look;
mod memory;
mod outcomes;
mod playbooks;
mod problem;
mod resting;
mod rules;
mod snapshots;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

pub use self::door::{show, steer, steer_tls};
use self::problem::Problem;
use self::tokens::Tokens;
use super::beat::Watched;
use super::law::Law;
use super::who::{Role, Who};
use crate::lists::Lists;
use crate::memory::Memory;
use crate::memory::keeper::Keeper;
use crate::outcomes::Kept;
use crate::snapshots::Snapshots;
use crate::subject::Names;
use crate::telemetry::Telemetry;
use crate::telemetry::lines::Recent;

/// How long one control request may take: compiling a very large rule set fits in it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a request's body, but for rules.
const SMALL: usize = 64 * 1024;
/// Bytes of a body that carries rules.
const LARGE: usize = 4 * 1024 * 1024;

/// What control shows and steers.
#[derive(Clone)]
pub struct Control {
    /// The law and the posture.
    pub law: Arc<Law>,
    /// The metrics.
    pub telemetry: Telemetry,
    /// True once draining has begun.
    pub stopping: watch::Receiver<bool>,
    /// Where this process is: its id, the addresses that it listens on, that of metrics and health.
    pub places: Value,
    /// What other rooms say of themselves: servers up and down, connections, tables.
    pub rooms: Arc<dyn Fn() -> Value + Send + Sync>,
    /// What looks out for playbooks.
    pub tower: Watched,
    /// Where handoffs are.
    pub memory: Arc<Memory>,
    /// What lists say of addresses.
    pub lists: Arc<Lists>,
    /// What made the hashes in them.
    pub names: Names,
    /// The latest decision lines.
    pub recent: Recent,
    /// What keeps the memory.
    pub keeper: Arc<Keeper>,
    /// Where outcomes are kept, if they are.
    pub outcomes: Option<Kept>,
    /// Customers' own last-known-good answers.
    pub snapshots: Snapshots,
    /// Who may come over TCP.
    pub tokens: Arc<Tokens>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

/// Which door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The file system guards it.
    Socket,
    /// A token opens it.
    Tcp,
}

/// The tag that a change must find in force.
#[derive(Debug, Clone)]
struct Expected(Option<String>);

/// `/livez`, `/readyz`, `/metrics`.
fn showing(control: Control) -> Router {
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(look::ready))
        .route("/metrics", get(look::metrics));
    bounded(router.with_state(control))
}

/// Everything else, by what a role may.
fn steering(control: Control, door: Door) -> Router {
    let anyone = Router::new()
        .route("/v1/status", get(look::status))
        .route("/v1/journeys", get(look::journeys))
        .route("/v1/desk", get(playbooks::desk));
    let agents = Router::new()
        .route("/v1/handoffs/{reference}", get(look::handoff))
        .route_layer(from_fn(|request, next| only(&[Role::Operator, Role::Agent], request, next)));
    let applications = Router::new()
        .route("/v1/snapshots", put(snapshots::put).post(snapshots::put).layer(DefaultBodyLimit::max(LARGE)))
        .route_layer(from_fn(|request, next| only(&[Role::Operator, Role::Application], request, next)));
    let viewers = Router::new()
        .route("/v1/rules", get(rules::shown))
        .route("/v1/playbooks", get(playbooks::list))
        .route("/v1/playbooks/{name}", get(playbooks::one))
        .route("/v1/decisions/{reference}", get(look::decision))
        .route("/v1/lists", get(lists::lists))
        .route("/v1/events", get(events::stream))
        .route("/metrics", get(look::metrics))
        .route_layer(from_fn(|request, next| only(&[Role::Operator, Role::Viewer], request, next)));
    let operators = Router::new()
        .route("/v1/audit", get(look::audit))
        .route("/v1/sessions", get(resting::sessions))
        .route("/v1/accounts/access", post(memory::access))
        .route("/v1/accounts/erase", post(memory::erase))
        .route("/v1/accounts/import", post(memory::import).layer(DefaultBodyLimit::max(LARGE)))
        .route("/v1/outcomes", post(outcomes::report))
        .route("/v1/rules/check", post(rules::check).layer(DefaultBodyLimit::max(LARGE)))
        .route("/v1/rules/rehearse", post(rules::rehearse))
        .route_layer(from_fn(|request, next| only(&[Role::Operator], request, next)));
    let changes = Router::new()
        .route("/v1/rules/reload", post(rules::reload))
        .route("/v1/rules/rollback", post(rules::roll_back))
        .route("/v1/playbooks/{name}/arm", post(playbooks::arm))
        .route("/v1/playbooks/{name}/confirm", post(playbooks::confirm))
        .route("/v1/playbooks/{name}/stand-down", post(playbooks::stand_down))
        .route_layer(from_fn(expecting))
        .route_layer(from_fn(|request, next| only(&[Role::Operator], request, next)));
    let all = anyone.merge(agents).merge(applications).merge(viewers).merge(operators).merge(changes);
    let all = all
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here").help("GET /v1/status is a beginning")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is asked for with another method")
        })
        .layer(DefaultBodyLimit::max(SMALL))
        .layer(from_fn_with_state(control.clone(), refused))
        .layer(from_fn_with_state(control.clone(), tokens::who))
        .layer(Extension(door))
        .with_state(control);
    bounded(all)
}

/// Bounds in time, and a panic that ends one request and nothing else.
fn bounded(router: Router) -> Router {
    let time = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, PATIENCE);
    router.layer(ServiceBuilder::new().layer(time).layer(CatchPanicLayer::new()))
}

/// Lets these roles pass.
async fn only(roles: &'static [Role], request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Who>();
    match who {
        Some(who) if roles.contains(&who.role) => next.run(request).await,
        Some(who) => {
            let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
            let said = format!("{} has the role {}, and this is for {}", who.name, who.role.word(), words.join(" or "));
            Problem::new(StatusCode::FORBIDDEN, said).help("ask somebody who has that role").into_response()
        }
        None => Problem::new(StatusCode::UNAUTHORIZED, "nobody is known to ask this").into_response(),
    }
}

/// A lower role that tried more leaves a line in the record.
async fn refused(State(control): State<Control>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let who = request.extensions().get::<Who>().cloned();
    let answer = next.run(request).await;
    if answer.status() == StatusCode::FORBIDDEN
        && let Some(who) = who
        && let Some(more) = control.tokens.may_tell(control.law.clock().now())
    {
        let why = format!("{method} {path} is not for the role {}{more}", who.role.word());
        control.law.note(&who, "refused", &path, &why, Value::Null, Value::Null);
    }
    answer
}

/// Takes up `If-Match`. Over TCP a change must say what it expects to find.
async fn expecting(mut request: Request, next: Next) -> Response {
    let door = request.extensions().get::<Door>().copied().unwrap_or(Door::Tcp);
    let said = request.headers().get(header::IF_MATCH).and_then(|value| value.to_str().ok()).map(str::trim);
    let tag = said.filter(|said| *said != "*").map(|said| said.trim_start_matches("W/").trim_matches('"').to_owned());
    if tag.is_none() && door == Door::Tcp && request.method() != Method::GET {
        return Problem::new(StatusCode::PRECONDITION_REQUIRED, "say which state of things you are changing")
            .help("send If-Match with the ETag of GET /v1/status")
            .into_response();
    }
    request.extensions_mut().insert(Expected(tag));
    next.run(request).await
}

/// Leaves a line in the audit record, and waits for it to be safe: what is answered with success has left its trace.
async fn noted(
    control: &Control,
    who: &Who,
    what: &'static str,
    (target, why): (&str, &str),
    after: Value,
) -> Result<(), Problem> {
    let law = control.law.clone();
    let ticket = law.note(who, what, target, why, Value::Null, after);
    blocking(move || law.disk().wait(&[ticket])).await.map(|_said_where_it_fails| ())
}

/// Runs what blocks off the control thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a control request failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this went wrong inside Weir; its log says how")
    })
}
