//! Who asks: over the socket whoever the system says, over TCP whoever a token belongs to. A token is kept as its SHA-256 and
//! compared in constant time; a wrong one costs its sender time and the connection, and leaves at most one line a second in the
//! record.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::problem::Problem;
use super::{Control, Door};
use crate::clock::Moment;
use crate::control::who::{Role, Who};

/// How long somebody with a wrong token waits for the answer.
const PENANCE: Duration = Duration::from_millis(500);
/// Least time between two lines about refusals.
const EVERY: Duration = Duration::from_secs(1);

/// Somebody's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose.
    pub name: Box<str>,
    /// What they may.
    pub role: Role,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
}

/// The tokens of this process.
#[derive(Debug, Default)]
pub struct Tokens {
    known: Vec<Token>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<Moment>,
    kept_back: u64,
}

impl Tokens {
    /// These.
    pub fn new(known: Vec<Token>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Whose this is. Every known token is compared, whichever it is.
    fn owner(&self, said: &str) -> Option<&Token> {
        let digest = digest::digest(&digest::SHA256, said.as_bytes());
        let same = |token: &&Token| verify_slices_are_equal(&token.sha256, digest.as_ref()).is_ok();
        self.known.iter().filter(same).collect::<Vec<_>>().first().copied()
    }

    /// Whether a refusal may be written now, and how many were not since the last, in words.
    pub(super) fn may_tell(&self, now: Moment) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now.since(last) < EVERY && last <= now) {
            told.kept_back += 1;
            return None;
        }
        told.last = Some(now);
        Some(match std::mem::take(&mut told.kept_back) {
            0 => String::new(),
            1 => " (1 more refusal since the last that was written)".to_owned(),
            count => format!(" ({count} more refusals since the last that was written)"),
        })
    }
}

/// A new token, and its SHA-256 in hexadecimal digits.
///
/// # Errors
/// When the system has no randomness.
pub fn mint() -> Result<(String, String), aws_lc_rs::error::Unspecified> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    let token = format!("weir_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
    let hash = crate::control::audit::hash_of(&token);
    Ok((token, hash))
}

/// Finds out who asks. Over the socket the door has said so already.
pub(super) async fn who(State(control): State<Control>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Door>() != Some(&Door::Tcp) {
        return next.run(request).await;
    }
    let said = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = said.and_then(|said| said.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "a token is needed here");
        return challenge(problem.help("send Authorization: Bearer TOKEN; weir token makes one"));
    };
    match control.tokens.owner(token.trim()) {
        Some(owner) => {
            let who = Who { name: owner.name.clone(), role: owner.role, how: "token".into() };
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        None => {
            let from = request.extensions().get::<SocketAddr>().map_or_else(String::new, ToString::to_string);
            let path = request.uri().path().to_owned();
            drop(request);
            wrong(&control, &from, &path).await
        }
    }
}

async fn wrong(control: &Control, from: &str, path: &str) -> Response {
    if let Some(more) = control.tokens.may_tell(control.law.clock().now()) {
        let who = Who { name: "unknown".into(), role: Role::Viewer, how: format!("tcp {from}").into() };
        let why = format!("a token that nobody has{more}");
        control.law.note(&who, "refused", path, &why, Value::Null, Value::Null);
    }
    // Every one of them waits: the door bounds how many there are at once.
    tokio::time::sleep(PENANCE).await;
    challenge(Problem::new(StatusCode::UNAUTHORIZED, "nobody has this token"))
}

fn challenge(problem: Problem) -> Response {
    let mut answer = problem.into_response();
    // The next guess begins with a handshake.
    answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"weir\""));
    answer
}
