//! Forwards one request: which server, over which connection, and whether it may be sent a second time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2;

use super::answer::{Answer, UntilClose};
use super::failure::Failure;
use super::line::Unanswered;
use super::outgoing::{Outgoing, Sending, Streamed};
use super::pool::{Pools, Target, Way};
use super::tap::Desk;
use crate::admission::Slot;
use crate::judge::decision::Clearance;
use crate::rules::ruleset::{Server, Upstream};

/// Connections at rest that one request may find dead before it makes a new one.
const STALE: usize = 8;

/// Sends `request` to a server of `upstream` and gives its answer's head, with the body still to come. The request's target is a
/// path; its `Host` is what the server is to see. The slot ends when this returns: at the answer's head.
pub async fn forward<S: Streamed>(
    pools: &Pools<S>,
    clearance: Clearance,
    slot: Slot,
    upstream: &Upstream,
    mut request: Request<Outgoing<S>>,
) -> Result<Response<Answer<S>>, Failure> {
    let _proofs = (clearance, slot);
    *request.version_mut() = Version::HTTP_11;
    request.extensions_mut().clear();
    let mut head = std::mem::take(request.headers_mut());
    request.body().frame(&mut head);
    *request.headers_mut() = head;

    let servers = &upstream.servers;
    let Some(first) = servers.first() else { return Err(Failure::Full) };
    let leader = pools.target(upstream, first);
    if servers.len() == 1 {
        return exchange(pools, &leader, upstream, first, request).await.map_err(|lost| lost.failure);
    }
    let turn = leader.turn.get();
    leader.turn.set(turn.wrapping_add(1));
    // When every server is marked as down, trying one is better than failing unseen.
    let none_up = servers.iter().all(|server| pools.target(upstream, server).mark.is_down());
    let mut last = Failure::Full;
    for step in 0..servers.len() {
        let server = &servers[turn.wrapping_add(step) % servers.len()];
        let target = pools.target(upstream, server);
        if !none_up && target.mark.is_down() {
            continue;
        }
        match exchange(pools, &target, upstream, server, request).await {
            Ok(response) => return Ok(response),
            Err(Lost { failure, unsent: Some(unsent) }) => {
                tracing::debug!(%server, %failure, "a server was passed over");
                (last, request) = (failure, *unsent);
            }
            Err(Lost { failure, unsent: None }) => return Err(failure),
        }
    }
    Err(last)
}

/// A request that got no answer; and the request, if nothing of it was sent.
struct Lost<S> {
    failure: Failure,
    unsent: Option<Box<Request<Outgoing<S>>>>,
}

impl<S> From<Failure> for Lost<S> {
    fn from(failure: Failure) -> Self {
        Self { failure, unsent: None }
    }
}

/// One request to one server. It is sent a second time only if the connection had been used before, was gone before the server said a
/// byte, the method is idempotent (RFC 9110 section 9.2.2), and the body is still here; and then over a new connection.
async fn exchange<S: Streamed>(
    pools: &Pools<S>,
    target: &Rc<Target<S>>,
    upstream: &Upstream,
    server: &Server,
    mut request: Request<Outgoing<S>>,
) -> Result<Response<Answer<S>>, Lost<S>> {
    let mut stale = 0;
    loop {
        let rested = if stale < STALE { pools.rested(target) } else { None };
        let way = match rested {
            Some(way) => way,
            // Boxed, so that requests which find a connection do not carry what making one needs.
            None => match Box::pin(pools.connect(target, upstream)).await {
                Ok(way) => way,
                Err(failure) => {
                    if upstream.health.is_some() && failure.marks() && pools.reach().bad(&target.mark) {
                        tracing::warn!(upstream = %upstream.name, %server, %failure, "a server is marked as down");
                    }
                    return Err(Lost { failure, unsent: Some(Box::new(request)) });
                }
            },
        };
        let reused = way.reused();
        // Only the body is put aside: the head can be read back.
        let body = if reused && is_idempotent(request.method()) { request.body().again() } else { None };
        let mut spare = None;
        let failed = match way {
            Way::One(mut line) => match line.ask(request, upstream.timeout.answer, body.is_some()).await {
                Ok(response) => {
                    let (head, body) = check(response)?;
                    let body = Answer::over_line(body, line, pools, target.clone(), upstream.timeout, &head.headers);
                    return Ok(Response::from_parts(head, body));
                }
                Err(failed) => {
                    if let (Unanswered::Failed { silent: true, .. }, Some(body)) = (&failed, body) {
                        spare = line.recall().map(|head| head.map(|()| body));
                    }
                    failed
                }
            },
            Way::Many { mut sender, busy, .. } => {
                spare = body.map(|body| again(&request, body));
                match ask_shared(pools, &mut sender, request, upstream, server).await {
                    Ok(response) => {
                        let (head, body) = check(response)?;
                        let alarm = pools.alarms().alarm();
                        let body = Answer::over_stream(body, alarm, busy, upstream.timeout, &head.headers);
                        return Ok(Response::from_parts(head, body));
                    }
                    Err(failed) => failed,
                }
            }
        };
        request = match (failed, spare) {
            (Unanswered::Unsent(unsent), _) if reused => {
                stale += 1;
                *unsent
            }
            (Unanswered::Unsent(unsent), _) => {
                return Err(Lost { failure: Failure::Closed(None), unsent: Some(unsent) });
            }
            (Unanswered::Failed { silent: true, .. }, Some(spare)) => {
                stale = STALE;
                spare
            }
            (Unanswered::Failed { failure, .. }, _) => return Err(failure.into()),
        };
    }
}

/// Whether sending it twice is the same as once (RFC 9110 section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    method.is_safe() || *method == Method::PUT || *method == Method::DELETE
}

fn again<S: Streamed>(request: &Request<Outgoing<S>>, body: Outgoing<S>) -> Request<Outgoing<S>> {
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Asks over an HTTP/2 connection that others use too.
async fn ask_shared<S: Streamed>(
    pools: &Pools<S>,
    sender: &mut http2::SendRequest<Sending<S>>,
    request: Request<Outgoing<S>>,
    upstream: &Upstream,
    server: &Server,
) -> Result<Response<Incoming>, Unanswered<S>> {
    let plain = (request.uri().clone(), request.headers().get(HOST).cloned());
    let (mut head, body) = request.into_parts();
    head.version = Version::HTTP_2;
    if let Some(whole) = whole(&head.uri, plain.1.as_ref(), server) {
        head.uri = whole;
    }
    for name in [HOST, TRANSFER_ENCODING, CONNECTION] {
        head.headers.remove(name);
    }
    let desk = Desk::new();
    let mut reply = pin!(sender.try_send_request(Request::from_parts(head, Sending::new(body, desk.clone(), false))));
    let alarm = pools.alarms().alarm();
    alarm.set(upstream.timeout.answer);
    let mut written = 0;
    poll_fn(|cx| {
        match reply.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
            Poll::Ready(Err(mut error)) => {
                if let Some(unsent) = error.take_message() {
                    let mut unsent = unsent.map(Sending::into_body);
                    *unsent.uri_mut() = plain.0.clone();
                    *unsent.version_mut() = Version::HTTP_11;
                    if let Some(host) = &plain.1 {
                        unsent.headers_mut().insert(HOST, host.clone());
                    }
                    return Poll::Ready(Err(Unanswered::Unsent(Box::new(unsent))));
                }
                let failure = desk.fault().map_or_else(|| Failure::of(error.into_error()), Failure::RequestBody);
                let silent = matches!(failure, Failure::Closed(_));
                return Poll::Ready(Err(Unanswered::Failed { failure, silent }));
            }
            Poll::Pending => {}
        }
        if desk.waits_for_client() {
            alarm.lift();
        } else if desk.written() != written || !alarm.is_set() {
            written = desk.written();
            alarm.set(upstream.timeout.answer);
        } else if alarm.is_due() {
            return Poll::Ready(Err(Unanswered::Failed { failure: Failure::AnswerTimeout, silent: false }));
        }
        alarm.watch(cx.waker());
        Poll::Pending
    })
    .await
}

/// HTTP/2 carries scheme and host in the target.
fn whole(uri: &Uri, host: Option<&HeaderValue>, server: &Server) -> Option<Uri> {
    let mut parts = Parts::default();
    parts.scheme = Some(if server.tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = match host {
        Some(host) => Authority::try_from(host.as_bytes()).ok(),
        None => Authority::try_from(format!("{}:{}", server.host, server.port)).ok(),
    };
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

/// Refuses what must not be passed on, and makes the framing say one thing.
pub(super) fn check(response: Response<Incoming>) -> Result<(http::response::Parts, Incoming), Failure> {
    let (mut head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Switched);
    }
    let until_close = head.version <= Version::HTTP_11
        && !http_body::Body::is_end_stream(&body)
        && !head.headers.contains_key(TRANSFER_ENCODING)
        && !head.headers.contains_key(CONTENT_LENGTH);
    framing(head.status, &mut head.headers)?;
    head.version = Version::HTTP_11;
    head.extensions.clear();
    if until_close {
        head.extensions.insert(UntilClose);
    }
    Ok((head, body))
}

fn framing(status: StatusCode, headers: &mut HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(TRANSFER_ENCODING) {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if !codings.next().is_some_and(chunked) || codings.next().is_some() {
            return Err(Failure::Coding);
        }
        headers.remove(TRANSFER_ENCODING);
        // Both at once: the chunks were believed, so the length goes (RFC 9112 section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else {
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        if let (Some(first), true) = (lengths.next(), lengths.next().is_some()) {
            // hyper has made sure that they are equal.
            let first = first.clone();
            headers.insert(CONTENT_LENGTH, first);
        }
    }
    Ok(())
}

impl<S: Streamed> Way<S> {
    fn reused(&self) -> bool {
        match self {
            Self::One(line) => line.reused,
            Self::Many { reused, .. } => *reused,
        }
    }
}
