//! The two doors of control: a loopback listener that shows (health, metrics), and a Unix socket that steers.

use std::io;
use std::os::unix::net::UnixListener as UnixSocket;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::law::{Law, Outcome};
use crate::telemetry::Telemetry;

/// How long one control request may take: compiling a very large rule set fits in it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What control shows and steers.
#[derive(Clone)]
pub struct Control {
    /// The law.
    pub law: Arc<Law>,
    /// The metrics.
    pub telemetry: Telemetry,
    /// True once draining has begun.
    pub stopping: watch::Receiver<bool>,
    /// Where this process is: its id, the addresses that it listens on, that of metrics and health.
    pub places: Value,
    /// What other rooms say of themselves: servers up and down, connections, tables.
    pub rooms: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

/// Serves what shows and never steers, until `stop` becomes true.
///
/// # Errors
/// When the listener fails.
pub async fn show(listener: std::net::TcpListener, control: Control, stop: watch::Receiver<bool>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    axum::serve(listener, showing(control)).with_graceful_shutdown(stopped(stop)).await
}

/// Serves what steers, until `stop` becomes true. Only for a socket that the file system guards.
///
/// # Errors
/// When the listener fails.
pub async fn steer(listener: UnixSocket, control: Control, stop: watch::Receiver<bool>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    axum::serve(listener, steering(control)).with_graceful_shutdown(stopped(stop)).await
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// `/livez`, `/readyz`, `/metrics`.
fn showing(control: Control) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(layers())
        .with_state(control)
}

/// Status, reload, roll back.
fn steering(control: Control) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/rules/reload", post(reload))
        .route("/v1/rules/rollback", post(roll_back))
        .layer(layers())
        .with_state(control)
}

fn layers() -> tower::layer::util::Stack<
    TimeoutLayer,
    tower::layer::util::Stack<
        CatchPanicLayer<tower_http::catch_panic::DefaultResponseForPanic>,
        tower::layer::util::Identity,
    >,
> {
    tower::layer::util::Stack::new(
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, PATIENCE),
        tower::layer::util::Stack::new(CatchPanicLayer::new(), tower::layer::util::Identity::new()),
    )
}

async fn ready(State(control): State<Control>) -> Response {
    if *control.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining: no new connections are taken\n").into_response();
    }
    let standing = control.law.standing();
    let files = if standing.files_in_force { "the rule files are in force" } else { "the rule files are NOT in force" };
    (StatusCode::OK, format!("ready: generation {}, {}; {files}\n", standing.generation, standing.fingerprint))
        .into_response()
}

async fn metrics(State(control): State<Control>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], control.telemetry.text()).into_response()
}

async fn status(State(control): State<Control>) -> Json<Value> {
    Json(json!({
        "weir": env!("CARGO_PKG_VERSION"),
        "draining": *control.stopping.borrow(),
        "places": control.places,
        "law": control.law.standing(),
        "rooms": (control.rooms)(),
    }))
}

async fn reload(State(control): State<Control>) -> Response {
    let law = control.law.clone();
    answer(tokio::task::spawn_blocking(move || law.reload()).await)
}

async fn roll_back(State(control): State<Control>) -> Response {
    let law = control.law.clone();
    answer(tokio::task::spawn_blocking(move || law.roll_back()).await)
}

fn answer(outcome: Result<Outcome, tokio::task::JoinError>) -> Response {
    match outcome {
        Ok(outcome) => {
            let status = match outcome {
                Outcome::Installed { .. } | Outcome::Unchanged { .. } | Outcome::RolledBack { .. } => StatusCode::OK,
                Outcome::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                Outcome::NothingBefore { .. } => StatusCode::CONFLICT,
            };
            (status, Json(outcome)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a control request failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
