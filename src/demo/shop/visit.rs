//! Who is asking, as the shop sees it: the session cookie, and what Weir wrote on the request.
//!
//! Two different session cookies are none. What Weir wrote is for showing only; the shop decides nothing by it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use tokio::time::Instant;

use super::Floor;
use super::books::AccountAt;

/// The session cookie's name.
const COOKIE: &str = "sid";

/// One request's visitor.
#[derive(Debug)]
pub struct Visit {
    /// The session cookie's value.
    pub sid: Option<String>,
    /// Who is signed in.
    pub account: Option<AccountAt>,
    /// Their name.
    pub name: Option<String>,
    /// What Weir wrote.
    pub weir: Told,
    /// When the request came.
    pub now: Instant,
}

/// What Weir wrote on a request.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// `Weir-Confidence`, 0 to 100.
    pub confidence: Option<u8>,
    /// `Weir-Journey`.
    pub journey: Option<String>,
}

impl Told {
    fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let word =
            |w: &&str| w.len() <= 64 && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        Self {
            confidence: text("weir-confidence").and_then(|score| score.parse().ok()).filter(|score| *score <= 100),
            journey: text("weir-journey").filter(|w| !w.is_empty()).filter(word).map(str::to_owned),
        }
    }

    /// The line at the foot of every page.
    pub fn sentence(&self) -> String {
        match (self.confidence, &self.journey) {
            (Some(score), Some(journey)) => format!("Weir: confidence {score}, journey {journey}"),
            (Some(score), None) => format!("Weir: confidence {score}, no journey"),
            (None, Some(journey)) => format!("Weir: journey {journey}"),
            (None, None) => "Weir: nothing said about this page".to_owned(),
        }
    }
}

impl FromRequestParts<Arc<Floor>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, floor: &Arc<Floor>) -> Result<Self, Infallible> {
        let now = Instant::now();
        let sid = cookie(&parts.headers);
        let mut books = floor.books();
        let account = books.signed_in(sid.as_deref(), now);
        let name = account.and_then(|at| books.account(at)).map(|account| account.name.clone());
        Ok(Self { sid, account, name, weir: Told::read(&parts.headers), now })
    }
}

/// The one value of the session cookie; none when there are several.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut found = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, value)| *name == COOKIE && value.len() <= 64)
        .map(|(_, value)| value);
    let first = found.next()?;
    found.all(|other| other == first).then(|| first.to_owned())
}

/// The header line that keeps this session in a browser.
pub fn keep(sid: &str) -> (header::HeaderName, HeaderValue) {
    let line = format!("{COOKIE}={sid}; Path=/; HttpOnly; Secure; SameSite=Lax");
    (header::SET_COOKIE, HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("")))
}

/// The header line that removes it.
pub const fn forget() -> (header::HeaderName, HeaderValue) {
    (header::SET_COOKIE, HeaderValue::from_static("sid=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_session_cookies_are_none() {
        let read =
            |line: &'static str| cookie(&HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]));
        assert_eq!(read("a=1; sid=x; b=2").as_deref(), Some("x"));
        assert_eq!(read("sid=x; sid=x").as_deref(), Some("x"));
        assert_eq!(read("sid=x; sid=y"), None);
        assert_eq!(read("xsid=x"), None);
    }

    #[test]
    fn only_a_plain_word_and_a_score_are_shown() {
        let told = |score: &'static str, journey: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("weir-confidence", HeaderValue::from_static(score));
            headers.insert("weir-journey", HeaderValue::from_static(journey));
            Told::read(&headers).sentence()
        };
        assert_eq!(told("67", "balance"), "Weir: confidence 67, journey balance");
        assert_eq!(told("101", "<b>"), "Weir: nothing said about this page");
    }
}
