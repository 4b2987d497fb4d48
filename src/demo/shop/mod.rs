//! A small shop, for putting Weir in front of: pages for people, a JSON API for programs, everything in memory.
//!
//! It does what the gateway in front of it must never rely on: it trusts the `Weir-` headers enough to print them. It is
//! reachable only from `weir demo`, listens on loopback, and must never be given a real customer's data.

mod api;
mod books;
mod customer;
mod latency;
mod pages;
mod seeds;
mod shopping;
mod visit;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

pub use seeds::{CATALOGUE, CUSTOMERS, PHONE_CODE, PastOrder, Product, Seed};

use books::Books;
use latency::Latency;
use pages::Pages;

/// A request body longer than this is refused with 413.
const BODY: usize = 64 * 1024;
/// The longest that the shop can be told to be away.
const AWAY: Duration = Duration::from_secs(3600);

/// How the shop is run.
#[derive(Debug, Clone, Copy)]
pub struct Shop {
    /// Whether answers take a believable time. Off in tests and measurements.
    pub latency: bool,
}

impl Default for Shop {
    fn default() -> Self {
        Self { latency: true }
    }
}

/// Runs a shop with believable waits until `stop` is done, then finishes the requests at hand.
///
/// # Errors
/// When the shop cannot open, or its listener fails.
pub async fn serve(listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    Shop::default().serve(listener, stop).await
}

impl Shop {
    /// Runs this shop until `stop` is done, then finishes the requests at hand.
    ///
    /// # Errors
    /// When the shop cannot open, or its listener fails.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let service = self.router()?.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(stop).await
    }

    fn router(self) -> io::Result<Router> {
        let floor = Arc::new(Floor {
            books: Mutex::new(Books::open()?),
            pages: Pages::open().map_err(io::Error::other)?,
            latency: self.latency.then(Latency::default),
            away_until: Mutex::new(None),
        });
        Ok(Router::new()
            .route("/healthz", get(healthz))
            .route("/demo/away", post(go_away))
            .merge(shopping::routes())
            .merge(customer::routes())
            .merge(api::routes())
            .fallback(shopping::not_found)
            .layer(middleware::from_fn_with_state(floor.clone(), at_the_door))
            .layer(DefaultBodyLimit::max(BODY))
            .layer(CatchPanicLayer::new())
            .with_state(floor))
    }
}

/// What every handler shares.
struct Floor {
    books: Mutex<Books>,
    pages: Pages,
    latency: Option<Latency>,
    away_until: Mutex<Option<Instant>>,
}

impl Floor {
    /// The books, for a short look. Never held over an await.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away_for(&self) -> Option<Duration> {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

type Shared = State<Arc<Floor>>;

/// Before every handler: being away, posts from other sites, and the wait.
async fn at_the_door(State(floor): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/demo/away"
        && let Some(left) = floor.away_for()
    {
        let wait = HeaderValue::from(left.as_secs() + 1);
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, wait)], "The shop is away.\n").into_response();
    }
    let elsewhere = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if elsewhere && !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return (StatusCode::FORBIDDEN, "This form was sent from another site.\n").into_response();
    }
    if let Some(latency) = &floor.latency {
        tokio::time::sleep(latency.next(path)).await;
    }
    next.run(request).await
}

async fn healthz() -> &'static str {
    "open\n"
}

#[derive(Deserialize)]
struct Away {
    #[serde(default, rename = "for")]
    span: String,
}

/// `POST /demo/away?for=30s` makes everything answer 503 for that long; `for=0s` ends it. Loopback only.
async fn go_away(
    State(floor): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    away: Query<Away>,
) -> Response {
    if !is_local(peer, &headers) {
        return (StatusCode::FORBIDDEN, "Only from this machine.\n").into_response();
    }
    let Some(span) = seconds(&away.span) else {
        return (StatusCode::BAD_REQUEST, "Say for how long: /demo/away?for=30s, or 0s to come back.\n")
            .into_response();
    };
    let span = span.min(AWAY);
    *floor.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + span);
    format!("The shop is away for {} s.\n", span.as_secs()).into_response()
}

/// `30s` or `5m`.
fn seconds(text: &str) -> Option<Duration> {
    let (digits, unit) = text.strip_suffix('s').map(|t| (t, 1)).or_else(|| text.strip_suffix('m').map(|t| (t, 60)))?;
    Some(Duration::from_secs(digits.parse::<u32>().ok()?.saturating_mul(unit).into()))
}

/// Whether a request began on this machine: the peer, and every address that a proxy on this machine named before it.
fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let named = headers.get_all("x-forwarded-for").iter().flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let local =
        |address: &str| address.trim().parse::<std::net::IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback());
    peer.ip().to_canonical().is_loopback() && { named }.all(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_seconds_or_minutes() {
        assert_eq!(seconds("30s"), Some(Duration::from_secs(30)));
        assert_eq!(seconds("5m"), Some(Duration::from_secs(300)));
        for wrong in ["", "30", "s", "-1s", "1h", "99999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut headers = HeaderMap::new();
        assert!(is_local(here, &headers));
        assert!(!is_local(SocketAddr::from(([192, 0, 2, 1], 1)), &headers));
        headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
        assert!(is_local(here, &headers));
        headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9, 127.0.0.1"));
        assert!(!is_local(here, &headers));
    }
}
