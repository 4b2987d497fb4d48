//! The back edge against servers that break off, hang, reset and lie.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use weir::rules::ruleset::{Protocol, Upstream, UpstreamTimeout};

use crate::edge::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn impatient(servers: &[SocketAddr]) -> Plan {
    let plan = plan(servers);
    let timeout = UpstreamTimeout {
        answer: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        ..plan.upstream.timeout
    };
    Plan { upstream: Upstream { timeout, ..plan.upstream }, ..plan }
}

async fn asked_of(script: Vec<Step>, request: &str) -> (Option<Seen>, Fake) {
    asked_with(impatient, script, request).await
}

async fn asked_with(plan: fn(&[SocketAddr]) -> Plan, script: Vec<Step>, request: &str) -> (Option<Seen>, Fake) {
    let fake = scripted(vec![script]).await;
    let gate = start(plan(&[fake.address]));
    let mut client = gate.client().await;
    client.say(request).await;
    let seen = client.hear().await;
    gate.still_serves().await;
    (seen, fake)
}

#[test]
fn a_connection_is_used_again() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        for _ in 0..3 {
            assert_eq!(gate.client().await.ask(GET).await.text(), "GET /a");
        }
        assert_eq!((*fake.connections.borrow(), gate.pools.resting()), (1, 1));
    });
}

#[test]
fn answers_without_a_body_give_the_connection_back() {
    run(async {
        let fake = scripted(vec![vec![
            Step::Read,
            write("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
            Step::Read,
            write("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n"),
            Step::Read,
            write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            Step::Read,
            write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ]])
        .await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        for status in [204, 304, 200, 200, 200] {
            assert_eq!(client.ask(GET).await.status, status);
        }
        assert_eq!(*fake.connections.borrow(), 1);
    });
}

#[test]
fn head_is_answered_without_a_body_and_keeps_its_length() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        client.say("HEAD /a HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /b HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
        let mut all = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut all).await;
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(all.contains("content-length: 7\r\n") && all.ends_with("\r\n\r\nGET /b"), "{all}");
        assert_eq!(*fake.connections.borrow(), 1);
    });
}

#[test]
fn a_body_that_breaks_off_is_never_complete() {
    run(async {
        for (answer, end) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Step::Close),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Step::Reset),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Step::Hang),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", Step::Close),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Step::Close),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", Step::Close),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Step::Reset),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", Step::Hang),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\nabc\r\n0\r\n\r\n", Step::Hang),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", Step::Hang),
            ("HTTP/1.1 200 OK\r\n\r\nabc", Step::Reset),
        ] {
            let (seen, _) = asked_of(vec![Step::Read, write(answer), end.clone()], GET).await;
            if let Some(seen) = seen {
                let framed = seen.field("content-length").is_some() || seen.field("transfer-encoding").is_some();
                assert!(framed && !seen.whole || seen.status == 502, "{answer:?} {end:?}: {seen:?}");
            }
        }
    });
}

#[test]
fn an_answer_that_is_none_is_502_and_late_is_504() {
    run(async {
        let headers: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
        for (answer, end, status) in [
            (String::new(), Step::Close, 502),
            (String::new(), Step::Reset, 502),
            (String::new(), Step::Hang, 504),
            ("HTTP/1.1 200 OK\r\nContent-".to_owned(), Step::Close, 502),
            ("HTTP/1.1 200 OK\r\nContent-".to_owned(), Step::Reset, 502),
            ("HTTP/1.1 200 OK\r\nContent-".to_owned(), Step::Hang, 504),
            ("\u{16}\u{3}\u{1}garbage\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 abc OK\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 99 OK\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/9.1 200 OK\r\n\r\n".to_owned(), Step::Hang, 502),
            ("<html>hello</html>\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nab".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab".to_owned(), Step::Close, 502),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nX: a\u{0}b\r\nContent-Length: 0\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nbad name: a\r\nContent-Length: 0\r\n\r\n".to_owned(), Step::Hang, 502),
            ("HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n".to_owned(), Step::Hang, 502),
            (format!("HTTP/1.1 200 OK\r\n{headers}\r\n"), Step::Hang, 502),
            (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(400_000)), Step::Hang, 502),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(),
                Step::Hang,
                502,
            ),
            ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), Step::Hang, 504),
            ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50_000), Step::Hang, 502),
        ] {
            let short: String = answer.chars().take(60).collect();
            // Only what comes late may wait for the clock; the rest is seen for what it is, however busy the machine.
            let plan = if status == 504 { impatient } else { plan };
            let script = vec![Step::Read, Step::Write(answer.into_bytes()), end.clone()];
            let (seen, _) = asked_with(plan, script, GET).await;
            let seen = seen.expect("an answer");
            let text: String = seen.text().chars().take(60).collect();
            assert_eq!(seen.status, status, "{short:?} {end:?}: {text}");
        }
    });
}

#[test]
fn informational_answers_are_skipped_and_the_real_one_comes() {
    run(async {
        let answer = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK}");
        let (seen, _) = asked_of(vec![Step::Read, write(answer)], GET).await;
        assert_eq!(seen.expect("an answer").text(), "ok");
    });
}

#[test]
fn two_framings_in_an_answer_become_one() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        ] {
            let (seen, _) = asked_of(vec![Step::Read, write(answer)], GET).await;
            let seen = seen.expect("an answer");
            assert_eq!((seen.status, seen.text().as_str(), seen.whole), (200, "ok", true), "{seen:?}");
            assert_eq!(
                seen.head.to_ascii_lowercase().matches("content-length").count(),
                usize::from(answer.contains("2\r\nContent"))
            );
        }
    });
}

#[test]
fn bytes_after_an_answer_are_nobodys_answer() {
    run(async {
        let fake =
            scripted(vec![vec![Step::Read, write(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))]])
                .await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        assert_eq!(client.ask(GET).await.text(), "ok");
        for _ in 0..3 {
            assert_eq!(client.ask(GET).await.text(), "GET /a");
        }
        assert_eq!(*fake.connections.borrow(), 2);
    });
}

/// One good answer, so that the connection rests; then it reads the next request and is gone.
fn used_then_gone(end: Step) -> Vec<Step> {
    vec![Step::Read, write(OK), Step::Read, end]
}

#[test]
fn a_request_on_a_dead_connection_is_sent_again_once_if_that_is_safe() {
    run(async {
        for end in [Step::Close, Step::Reset] {
            let fake = scripted(vec![used_then_gone(end.clone()), vec![Step::Read, end.clone()]]).await;
            let gate = start(plan(&[fake.address]));
            let mut client = gate.client().await;
            assert_eq!(client.ask(GET).await.text(), "ok");
            // Sent again over a new connection; that one fails too, and there is no third time.
            assert_eq!(client.ask(GET).await.status, 502);
            assert_eq!(fake.received.borrow().len(), 3);
            assert_eq!(client.ask(GET).await.text(), "GET /a");
            let fake = scripted(vec![used_then_gone(end.clone())]).await;
            let gate = start(plan(&[fake.address]));
            let mut client = gate.client().await;
            assert_eq!(client.ask(GET).await.text(), "ok");
            assert_eq!(client.ask(GET).await.text(), "GET /a");
            // A POST may have had its effect.
            let fake = scripted(vec![used_then_gone(end)]).await;
            let gate = start(plan(&[fake.address]));
            let mut client = gate.client().await;
            assert_eq!(client.ask(GET).await.text(), "ok");
            assert_eq!(client.ask(POST).await.status, 502);
            assert_eq!(fake.received.borrow().len(), 2);
        }
    });
}

#[test]
fn a_request_is_not_sent_again_once_the_server_has_said_a_byte_or_kept_silent() {
    run(async {
        for (partial, end, status) in [("H", Step::Close, 502), ("HTTP/1.1 2", Step::Reset, 502), ("", Step::Hang, 504)]
        {
            let script = vec![Step::Read, write(OK), Step::Read, write(partial), end];
            let fake = scripted(vec![script]).await;
            let gate = start(impatient(&[fake.address]));
            let mut client = gate.client().await;
            assert_eq!(client.ask(GET).await.text(), "ok");
            assert_eq!(client.ask(GET).await.status, status, "{partial:?}");
            assert_eq!(fake.received.borrow().len(), 2);
        }
    });
}

#[test]
fn a_resting_connection_that_was_closed_costs_nothing() {
    run(async {
        let fake = scripted(vec![vec![Step::Read, write(OK), Step::Close]]).await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        assert_eq!(client.ask(GET).await.text(), "ok");
        // Even a POST is safe: the end of the connection is seen before anything is sent.
        while *fake.ended.borrow() < 1 {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.ask(POST).await.text(), "POST /a");
    });
}

#[test]
fn a_server_that_refuses_is_passed_over() {
    run(async {
        let fake = echo().await;
        let dead = TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("bound");
        let gate = start(plan(&[dead, fake.address]));
        for _ in 0..6 {
            assert_eq!(gate.client().await.ask(POST).await.text(), "POST /a");
        }
        let gate = start(plan(&[dead]));
        let answer = gate.client().await.ask(GET).await;
        assert_eq!((answer.status, answer.text().as_str()), (502, "connection_refused"));
    });
}

#[test]
fn servers_take_turns() {
    run(async {
        let (one, two) = (echo().await, echo().await);
        let gate = start(plan(&[one.address, two.address]));
        for _ in 0..6 {
            assert_eq!(gate.client().await.ask(GET).await.status, 200);
        }
        assert_eq!((one.received.borrow().len(), two.received.borrow().len()), (3, 3));
    });
}

#[test]
fn no_more_connections_than_the_rules_allow() {
    run(async {
        let fake = scripted(vec![vec![Step::Read, Step::Hang]]).await;
        let mut plan = plan(&[fake.address]);
        plan.upstream.max_in_flight = 1;
        let gate = start(plan);
        let mut first = gate.client().await;
        first.say(GET).await;
        while fake.received.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        let answer = gate.client().await.ask(GET).await;
        assert_eq!((answer.status, answer.text().as_str()), (503, "connection_limit_reached"));
        // A client that leaves gives its place back.
        drop(first);
        loop {
            if gate.client().await.ask(GET).await.status == 200 {
                break;
            }
        }
    });
}

#[test]
fn an_early_answer_reaches_the_client_while_it_still_sends() {
    run(async {
        let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
        let fake = scripted(vec![vec![Step::ReadHead, write(answer), Step::Hang]]).await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        client.say("POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000000\r\n\r\nabc").await;
        let seen = client.hear().await.expect("an answer");
        assert_eq!((seen.status, seen.text().as_str()), (413, "big"));
        gate.still_serves().await;
    });
}

#[test]
fn trailers_go_both_ways_without_what_they_must_not_carry() {
    run(async {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Weir-Outcome\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nWeir-Outcome: success\r\n\r\n";
        let fake = scripted(vec![vec![Step::Read, write(answer)]]).await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        let request = "POST /a HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nTrailer: X-Check, Weir-Subject\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: 9\r\nWeir-Subject: root\r\n\r\n";
        let seen = client.ask(request).await;
        assert!(seen.text().to_ascii_lowercase().contains("x-sum: 7"), "{seen:?}");
        assert!(!seen.text().to_ascii_lowercase().contains("weir-outcome"), "{seen:?}");
        let received = String::from_utf8_lossy(&fake.received.borrow()[0].body).to_ascii_lowercase();
        assert!(received.contains("x-check: 9") && !received.contains("weir-subject"), "{received}");
        // The connection is good for another.
        assert_eq!(client.ask(GET).await.text(), "GET /a");
        assert_eq!(*fake.connections.borrow(), 1);
    });
}

#[test]
fn a_get_with_a_chunked_body_keeps_its_body() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        let request =
            "GET /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(client.ask(request).await.status, 200);
        assert_eq!(fake.received.borrow()[0].body, b"abc");
    });
}

#[test]
fn a_client_that_leaves_takes_its_connection_with_it() {
    run(async {
        let fake =
            scripted(vec![vec![Step::Read, write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), Step::Hang]])
                .await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        client.say(GET).await;
        while fake.received.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(client);
        while gate.doors.inside() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.pools.resting(), 0);
        gate.still_serves().await;
    });
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}

/// An upstream over hyper: streams `/big`, echoes bodies, answers trailers. `h2` with prior knowledge.
async fn modern(h2: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accepts");
            let service = service_fn(serve_modern);
            let io = TokioIo::new(stream);
            if h2 {
                let connection =
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
                tokio::task::spawn_local(connection);
            } else {
                tokio::task::spawn_local(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        }
    });
    address
}

type Boxed = http_body_util::combinators::BoxBody<Bytes, hyper::Error>;

async fn serve_modern(request: Request<Incoming>) -> Result<Response<Boxed>, Infallible> {
    static PIECE: [u8; 64 * 1024] = [b'a'; 64 * 1024];
    let response = match request.uri().path() {
        "/big" => {
            let pieces = (0..3200).map(|_| Ok::<_, hyper::Error>(http_body::Frame::data(Bytes::from_static(&PIECE))));
            let body = StreamBody::new(futures_util::stream::iter(pieces));
            Response::new(BodyExt::boxed(body))
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            trailers.insert("weir-subject", http::HeaderValue::from_static("root"));
            let frames =
                [Ok(http_body::Frame::data(Bytes::from_static(b"ok"))), Ok(http_body::Frame::trailers(trailers))];
            let mut response = Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))));
            response.headers_mut().insert("trailer", http::HeaderValue::from_static("grpc-status"));
            response
        }
        "/echo" => Response::new(request.into_body().boxed()),
        "/count" => {
            let mut body = request.into_body();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
                    Err(_) => return Ok(Response::new(full("broken"))),
                }
            }
            Response::new(full(&bytes.to_string()))
        }
        path => {
            let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            Response::new(full(&format!("{} {path} {host}", request.method())))
        }
    };
    Ok(response)
}

fn full(text: &str) -> Boxed {
    Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed()
}

#[test]
fn a_long_answer_streams_in_little_memory() {
    run(async {
        for h2 in [false, true] {
            let address = modern(h2).await;
            let mut plan = plan(&[address]);
            plan.upstream.protocol = if h2 { Protocol::H2c } else { Protocol::Http1 };
            let gate = start(plan);
            let mut client = gate.client().await;
            client.say("GET /big HTTP/1.0\r\nHost: shop.example\r\n\r\n").await;
            let before = resident();
            let mut buffer = vec![0; 1 << 16];
            let (mut bytes, mut most) = (0, 0);
            loop {
                match tokio::io::AsyncReadExt::read(&mut client.stream, &mut buffer).await.expect("reads") {
                    0 => break,
                    n => bytes += n,
                }
                most = most.max(resident());
            }
            assert!(bytes > 200 << 20, "{bytes}");
            assert!(most.saturating_sub(before) < 24 << 20, "{} MiB", most.saturating_sub(before) >> 20);
        }
    });
}

#[test]
fn a_long_upload_streams_both_to_old_and_new_servers() {
    run(async {
        for h2 in [false, true] {
            let address = modern(h2).await;
            let mut plan = plan(&[address]);
            plan.upstream.protocol = if h2 { Protocol::H2c } else { Protocol::Http1 };
            let gate = start(plan);
            let mut client = gate.client().await;
            let (piece, pieces) = (vec![b'a'; 1 << 16], 320);
            client
                .say(format!("POST /count HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n", pieces << 16))
                .await;
            for _ in 0..pieces {
                client.say(&piece).await;
            }
            assert_eq!(client.hear().await.expect("an answer").text(), (pieces << 16).to_string());
        }
    });
}

#[test]
fn a_server_of_http2_is_spoken_to_over_one_connection() {
    run(async {
        let address = modern(true).await;
        let mut plan = plan(&[address]);
        plan.upstream.protocol = Protocol::H2c;
        let gate = start(plan);
        let mut clients = Vec::new();
        for n in 0..20 {
            let mut client = gate.client().await;
            client.say(format!("GET /{n} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).await;
            clients.push(client);
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.hear().await.expect("an answer").text(), format!("GET /{n} shop.example"));
        }
        assert_eq!(gate.pools.resting(), 1);
        let mut client = gate.client().await;
        let seen = client.ask("GET /trailers HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\n\r\n").await;
        assert!(seen.text().contains("grpc-status: 0") && !seen.text().contains("weir"), "{seen:?}");
        let echoed = client.ask("POST /echo HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc").await;
        assert_eq!(echoed.text(), "abc");
    });
}
