//! Asks a server to switch to another protocol, over a connection of its own, and gives that connection's bytes when it has.
//!
//! A 101 is believed only when it was asked for and checks out (RFC 9110 section 7.8, RFC 6455 section 4.1). Any other answer is
//! passed on as an answer. Nothing is sent twice: a handshake may have an effect.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answer::Answer;
use super::dial::dial;
use super::failure::Failure;
use super::forward::check;
use super::line::{Line, Unanswered};
use super::outgoing::{Outgoing, Streamed};
use super::pool::{Pools, Target};
use super::tap::Stream;
use crate::admission::Slot;
use crate::judge::decision::Clearance;
use crate::rules::ruleset::{Protocol, Server, Upstream};

/// What a server appends to the key before it digests it (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What came of asking.
#[derive(Debug)]
pub enum Opened<S: Streamed> {
    /// The server has switched. The head is its 101, with what it said of the handshake.
    Switched(Response<()>, Tunnel),
    /// It has not; this is its answer.
    Answered(Response<Answer<S>>),
}

/// A server's bytes after the switch.
pub struct Tunnel {
    stream: Stream,
    sent: Bytes,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// Whether a server of this upstream can be asked to switch at all: HTTP/2 with prior knowledge knows no `Upgrade`.
pub fn can_switch(upstream: &Upstream) -> bool {
    upstream.protocol != Protocol::H2c
}

/// Asks a server of `upstream` to go on as `protocol`. The head is fit to be forwarded; what the handshake needs is added here. The
/// slot ends when this returns.
pub async fn open<S: Streamed>(
    pools: &Pools<S>,
    clearance: Clearance,
    slot: Slot,
    upstream: &Upstream,
    mut request: Request<Outgoing<S>>,
    protocol: &HeaderValue,
) -> Result<Opened<S>, Failure> {
    let _proofs = (clearance, slot);
    *request.version_mut() = Version::HTTP_11;
    request.extensions_mut().clear();
    let expected = handshake(request.headers_mut(), protocol)?;
    let mut head = std::mem::take(request.headers_mut());
    request.body().frame(&mut head);
    *request.headers_mut() = head;

    let servers = &upstream.servers;
    let Some(first) = servers.first() else { return Err(Failure::Full) };
    let leader = pools.target(upstream, first);
    let turn = leader.turn.get();
    leader.turn.set(turn.wrapping_add(1));
    let none_up = servers.iter().all(|server| pools.target(upstream, server).mark.is_down());
    let mut last = Failure::Full;
    for step in 0..servers.len() {
        let server = &servers[turn.wrapping_add(step) % servers.len()];
        let target = pools.target(upstream, server);
        if !none_up && target.mark.is_down() {
            continue;
        }
        match connect(pools, &target, upstream, server).await {
            Ok(line) => return ask(pools, target, upstream, line, request, protocol, expected).await,
            Err(failure) => {
                if upstream.health.is_some() && failure.marks() && pools.reach().bad(&target.mark) {
                    tracing::warn!(upstream = %upstream.name, %server, %failure, "a server is marked as down");
                }
                last = failure;
            }
        }
    }
    Err(last)
}

/// A connection of its own, over HTTP/1.1 whatever the upstream speaks otherwise.
async fn connect<S: Streamed>(
    pools: &Pools<S>,
    target: &Target<S>,
    upstream: &Upstream,
    server: &Server,
) -> Result<Box<Line<S>>, Failure> {
    let place = target.mark.place(upstream.max_in_flight).ok_or(Failure::Full)?;
    let (ca, limit) = (upstream.ca.as_deref(), upstream.timeout.connect);
    let dialled = dial(pools.reach(), server, Protocol::Http1, ca, limit).await?;
    Line::open(dialled.stream, pools.alarms().alarm(), place).await
}

async fn ask<S: Streamed>(
    pools: &Pools<S>,
    target: Rc<Target<S>>,
    upstream: &Upstream,
    mut line: Box<Line<S>>,
    request: Request<Outgoing<S>>,
    protocol: &HeaderValue,
    expected: Option<HeaderValue>,
) -> Result<Opened<S>, Failure> {
    let response = match line.ask(request, upstream.timeout.answer, false).await {
        Ok(response) => response,
        Err(Unanswered::Unsent(_)) => return Err(Failure::Closed(None)),
        Err(Unanswered::Failed { failure, .. }) => return Err(failure),
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = check(response)?;
        let body = Answer::over_line(body, line, pools, target, upstream.timeout, &head.headers);
        return Ok(Opened::Answered(Response::from_parts(head, body)));
    }
    if !checks_out(response.headers(), protocol, expected.as_ref()) {
        return Err(Failure::Switched);
    }
    let (mut head, _) = response.into_parts();
    head.extensions.clear();
    let (stream, sent) = line.into_stream().ok_or(Failure::Switched)?;
    Ok(Opened::Switched(Response::from_parts(head, ()), Tunnel { stream, sent }))
}

/// Adds the fields of the handshake, and gives what `Sec-WebSocket-Accept` must say.
fn handshake(headers: &mut HeaderMap, protocol: &HeaderValue) -> Result<Option<HeaderValue>, Failure> {
    headers.remove(TE);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol.clone());
    if protocol != "websocket" {
        return Ok(None);
    }
    let key = match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) => key.clone(),
        None => {
            // Over HTTP/2 the client sends none (RFC 8441 section 5.1).
            let mut random = [0; 16];
            aws_lc_rs::rand::fill(&mut random).map_err(|_| Failure::Switched)?;
            let key = HeaderValue::from_str(&STANDARD.encode(random)).map_err(|_| Failure::Switched)?;
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            key
        }
    };
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    HeaderValue::from_str(&STANDARD.encode(digest)).map(Some).map_err(|_| Failure::Switched)
}

/// Whether a 101 is the answer to what was asked.
fn checks_out(headers: &HeaderMap, protocol: &HeaderValue, expected: Option<&HeaderValue>) -> bool {
    let one = |name: HeaderName| {
        let mut all = headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none())
    };
    let says = one(UPGRADE).is_some_and(|said| said.as_bytes().trim_ascii().eq_ignore_ascii_case(protocol.as_bytes()));
    let mut options = headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    says && options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        && expected.is_none_or(|expected| one(SEC_WEBSOCKET_ACCEPT) == Some(expected))
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.sent.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.sent.len().min(buf.remaining());
        buf.put_slice(&self.sent[..n]);
        self.sent.advance(n);
        if self.sent.is_empty() {
            self.sent = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_switch_is_believed_only_when_the_key_was_read() {
        // The example of RFC 6455 section 1.3.
        let mut asked = head(&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]);
        let websocket = HeaderValue::from_static("websocket");
        let expected = handshake(&mut asked, &websocket).unwrap().unwrap();
        assert_eq!(expected, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        assert!(checks_out(&head(&good), &websocket, Some(&expected)));
        for missing in 0..3 {
            let mut fields = good.to_vec();
            fields.remove(missing);
            assert!(!checks_out(&head(&fields), &websocket, Some(&expected)), "without {:?}", good[missing]);
        }
        let mut twice = good.to_vec();
        twice.push(("upgrade", "h2c"));
        assert!(!checks_out(&head(&twice), &websocket, Some(&expected)));
    }

    #[test]
    fn a_client_without_a_key_is_given_one_that_nobody_can_guess() {
        let websocket = HeaderValue::from_static("websocket");
        let key = || {
            let mut asked = HeaderMap::new();
            handshake(&mut asked, &websocket).unwrap();
            asked[SEC_WEBSOCKET_KEY].clone()
        };
        let (one, other) = (key(), key());
        assert_ne!(one, other);
        assert_eq!(STANDARD.decode(one.as_bytes()).unwrap().len(), 16);
    }
}
