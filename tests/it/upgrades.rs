//! Web sockets through Weir with a real client and a real server: judged at the handshake, joined only when the server agreed in the
//! right way, and from then on untouched by anything but what ends them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::ext::Protocol as Spoken;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::client::{Both, Client, Protocol};
use crate::support::live::Live;
use crate::support::upstream::Upstream;
use crate::support::{Rig, server};

pub const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 0, do = "allow" }]
ladder = [{ at = 0, do = "allow" }]
when_unknown = "allow"
[journeys.guarded]
routes = ["GET /guarded"]
ladder = [{ at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
"#;

pub type Socket = WebSocketStream<Box<dyn Both>>;

pub async fn rig(files: &[(&str, &str)]) -> (Rig, Live) {
    let live = Live::start().await;
    // A client of HTTP/2 here lives as long as its test: nothing is gained by waiting for it at the end.
    let brief = [("gateway.toml", "[times]\ndrain = \"1s\"\n")];
    let own = files.iter().any(|(name, _)| *name == "gateway.toml");
    let files: Vec<_> = files.iter().chain(brief.iter().filter(|_| !own)).copied().collect();
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |options| {
        options.servers = Some(vec![server(live.address)]);
    });
    (rig, live)
}

pub fn ways(rig: &Rig) -> [Client; 3] {
    [rig.clear_client(), rig.client(Protocol::H1), rig.client(Protocol::H2)]
}

/// Opens a web socket; or gives the status, head and body of the answer that it got instead.
pub async fn open(
    client: &Client,
    path: &str,
    cookie: &str,
) -> Result<(HeaderMap, Socket), (StatusCode, HeaderMap, Bytes)> {
    let stream = client.stream().await;
    if client.speaks() == Protocol::H2 {
        return extended(stream, path, cookie, "websocket").await;
    }
    let mut request = format!("ws://127.0.0.1{path}").into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("sec-websocket-protocol", "talk".parse().unwrap());
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, answer)) => Ok((answer.headers().clone(), socket)),
        Err(Error::Http(answer)) => {
            let (head, body) = answer.into_parts();
            Err((head.status, head.headers, body.unwrap_or_default().into()))
        }
        Err(other) => panic!("{other}"),
    }
}

/// RFC 8441, as a browser does it.
async fn extended(
    stream: Box<dyn Both>,
    path: &str,
    cookie: &str,
    protocol: &'static str,
) -> Result<(HeaderMap, Socket), (StatusCode, HeaderMap, Bytes)> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    // The server's settings have come once it has answered anything.
    let first = Request::builder().uri("https://127.0.0.1/first").body(Empty::new()).unwrap();
    sender.send_request(first).await.unwrap().collect().await.unwrap();
    let mut request = Request::builder()
        .method("CONNECT")
        .uri(format!("https://127.0.0.1{path}"))
        .header("cookie", cookie)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "talk")
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(Spoken::from_static(protocol));
    let answer = sender.send_request(request).await.unwrap();
    if answer.status() != StatusCode::OK {
        let (head, body) = answer.into_parts();
        return Err((head.status, head.headers, body.collect().await.unwrap().to_bytes()));
    }
    let headers = answer.headers().clone();
    let io: Box<dyn Both> = Box::new(TokioIo::new(hyper::upgrade::on(answer).await.unwrap()));
    // The connection lives as long as somebody may ask.
    tokio::spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    Ok((headers, WebSocketStream::from_raw_socket(io, Role::Client, None).await))
}

pub async fn echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), text);
}

/// Reads until the other end is gone, however it goes.
pub async fn is_over(socket: &mut Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn a_web_socket_goes_through_over_clear_text_tls_and_http2() {
    let (rig, live) = rig(&[]).await;
    for client in ways(&rig) {
        let (headers, mut socket) = open(&client, "/chat?room=1", "a=b").await.unwrap();
        assert_eq!(headers["sec-websocket-protocol"], "talk");
        assert!(headers.contains_key("weir-request-id"));
        assert_eq!(headers.contains_key("sec-websocket-accept"), client.speaks() == Protocol::H1);
        for size in [1, 125, 70_000, 300_000] {
            echoes(&mut socket, &"x".repeat(size)).await;
        }
        let (target, head) = live.seen().pop().unwrap();
        assert_eq!(target, "/chat?room=1");
        assert_eq!(
            (&head["upgrade"], &head["connection"]),
            (&"websocket".parse().unwrap(), &"upgrade".parse().unwrap())
        );
        assert_eq!((&head["host"], &head["cookie"]), (&"127.0.0.1".parse().unwrap(), &"a=b".parse().unwrap()));
        assert!(head.contains_key("x-forwarded-for") && head.contains_key("traceparent"));
        socket.close(None).await.unwrap();
        is_over(&mut socket).await;
    }
    live.ended(3).await;
    let lines = rig.stop();
    let handshakes: Vec<_> = lines.iter().filter(|line| line["status"] == 101 || line["method"] == "GET").collect();
    assert!(handshakes.len() >= 3, "{lines:?}");
}

#[tokio::test]
async fn the_verdict_is_given_at_the_handshake() {
    let (rig, live) = rig(&[]).await;
    for client in ways(&rig) {
        let (status, _, body) = open(&client, "/guarded", "").await.unwrap_err();
        assert_eq!(status, StatusCode::FORBIDDEN, "{body:?}");
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(problem["exits"].as_array().is_some_and(|exits| !exits.is_empty()), "{problem}");
    }
    assert!(live.seen().iter().all(|(target, _)| target != "/guarded"), "nothing of it reached the upstream");
}

#[tokio::test]
async fn what_the_server_says_instead_is_passed_on() {
    let (rig, _live) = rig(&[]).await;
    for client in ways(&rig) {
        let (status, _, body) = open(&client, "/no", "").await.unwrap_err();
        assert_eq!((status, &body[..]), (StatusCode::FORBIDDEN, &b"members only"[..]));
        let (status, ..) = open(&client, "/lie", "").await.unwrap_err();
        assert_eq!(status, StatusCode::BAD_GATEWAY, "a switch that does not check out is none");
        let (_, mut socket) = open(&client, "/chat", "").await.unwrap();
        echoes(&mut socket, "still here").await;
    }
}

/// Sends one request as it stands and gives all that comes back.
async fn raw(client: &Client, request: &str) -> String {
    let mut stream = client.stream().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_wish_that_is_not_granted_is_left_out_and_the_request_served() {
    let (rig, live) = rig(&[]).await;
    let handshake = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let short = "Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n";
    let old = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n";
    let cases = [
        ("Connection: upgrade, close", "h2c", "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        ("Connection: upgrade, close", "TLS/1.3", ""),
        ("Connection: upgrade, close", "other", ""),
        ("Connection: upgrade, close", "websocket, h2c", handshake),
        ("Connection: upgrade, close", "websocket", short),
        ("Connection: upgrade, close", "websocket", old),
        ("Connection: upgrade, close", "websocket", ""),
        ("Connection: close", "websocket", handshake),
    ];
    for (connection, protocol, more) in cases {
        let request =
            format!("GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n{connection}\r\nUpgrade: {protocol}\r\n{more}\r\n");
        let answer = raw(&rig.clear_client(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("/page"), "{request}{answer}");
        let (_, head) = live.seen().pop().unwrap();
        assert!(!head.contains_key("upgrade") && !head.contains_key("http2-settings"), "{request}{head:?}");
    }
    let sent = live.seen().len();
    let stream = rig.client(Protocol::H2).stream().await;
    let (status, ..) = extended(stream, "/page", "", "other").await.unwrap_err();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(live.seen().len(), sent + 1, "only the request before it");
}

#[tokio::test]
async fn an_upstream_whose_rules_name_no_upgrade_has_none() {
    let sites = "[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\nupgrades = []\n";
    let (rig, live) = rig(&[("sites.toml", sites)]).await;
    for client in ways(&rig) {
        let (status, ..) = open(&client, "/plain", "").await.unwrap_err();
        let expected = if client.speaks() == Protocol::H2 { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::OK };
        assert_eq!(status, expected);
    }
    assert!(live.seen().iter().all(|(_, head)| !head.contains_key("upgrade")));
}

#[tokio::test]
async fn a_tunnel_survives_twenty_swaps_with_data_flowing() {
    let (rig, _live) = rig(&[]).await;
    let mut sockets = Vec::new();
    for client in ways(&rig) {
        sockets.push(open(&client, "/chat", "").await.unwrap().1);
    }
    for swap in 0..20 {
        for socket in &mut sockets {
            socket.send(Message::text(format!("before {swap}"))).await.unwrap();
        }
        let text = format!(
            "{JOURNEYS}\n[journeys.swap{swap}]\nroutes = [\"GET /chat\"]\nladder = [{{ at = 0, do = \"deny\", to = \"main\" }}]\nwhen_unknown = \"deny\"\n"
        );
        rig.write("journeys.toml", &text);
        let law = rig.weir().law.clone();
        let outcome = tokio::task::spawn_blocking(move || law.reload()).await.unwrap();
        // The watcher may have been quicker.
        use weir::control::law::Outcome::{Installed, Unchanged};
        assert!(matches!(outcome, Installed { .. } | Unchanged { .. }), "{outcome:?}");
        for socket in &mut sockets {
            assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), format!("before {swap}"));
            echoes(socket, &format!("after {swap}")).await;
        }
    }
    let (status, ..) = open(&rig.clear_client(), "/chat", "").await.unwrap_err();
    assert_eq!(status, StatusCode::FORBIDDEN, "a new one is judged by the new law");
}

#[tokio::test]
async fn a_tunnel_ends_when_its_session_signs_out_and_no_other_does() {
    let (rig, live) = rig(&[]).await;
    let mut customer = rig.client(Protocol::H1);
    customer.post("/login", "email=ann%40example.com&password=right").await;
    let mut sockets = Vec::new();
    for client in ways(&rig) {
        sockets.push(open(&client, "/chat", "sid=s-1").await.unwrap().1);
    }
    let mut other = open(&rig.clear_client(), "/chat", "sid=another").await.unwrap().1;
    for socket in sockets.iter_mut().chain([&mut other]) {
        echoes(socket, "hello").await;
    }
    customer.post("/logout", "").await;
    for socket in &mut sockets {
        is_over(socket).await;
    }
    live.ended(3).await;
    echoes(&mut other, "still here").await;
}

#[tokio::test]
async fn a_tunnel_is_not_older_than_it_may_be_nor_silent_for_too_long() {
    let (rig, live) = rig(&[("gateway.toml", "[times]\nstream_age = \"20m\"\n")]).await;
    let mut quiet = open(&rig.clear_client(), "/chat", "").await.unwrap().1;
    let mut busy = open(&rig.client(Protocol::H2), "/chat", "").await.unwrap().1;
    for socket in [&mut quiet, &mut busy] {
        echoes(socket, "hello").await;
    }
    // Looks come once a second by the worker's own time; each takes up what was said since the last.
    let talking_to = live.clone();
    let talking = tokio::spawn(async move {
        loop {
            echoes(&mut busy, "not silent").await;
            if talking_to.has_ended() > 0 {
                return busy;
            }
            tokio::task::yield_now().await;
        }
    });
    // At most three times: after that it would be too old.
    for _ in 0..3 {
        rig.advance(Duration::from_secs(301));
        if tokio::time::timeout(Duration::from_secs(4), is_over(&mut quiet)).await.is_ok() {
            break;
        }
    }
    live.ended(1).await;
    let mut busy = talking.await.unwrap();
    echoes(&mut busy, "not silent").await;
    rig.advance(Duration::from_secs(1200));
    is_over(&mut busy).await;
    live.ended(2).await;
}

#[tokio::test]
async fn a_tunnel_is_closed_when_the_drain_time_is_over() {
    let (mut rig, live) = rig(&[("gateway.toml", "[times]\ndrain = \"300ms\"\n")]).await;
    let mut sockets = Vec::new();
    for client in ways(&rig) {
        let mut socket = open(&client, "/chat", "").await.unwrap().1;
        echoes(&mut socket, "hello").await;
        sockets.push(socket);
    }
    let weir = rig.weir.take().unwrap();
    let stopping = tokio::task::spawn_blocking(move || weir.stop());
    // While it drains it still carries: the last word of a conversation may be the important one.
    echoes(&mut sockets[0], "a last word").await;
    assert_eq!(stopping.await.unwrap().cut, 3);
    for socket in &mut sockets {
        is_over(socket).await;
    }
    live.ended(3).await;
}

#[tokio::test]
async fn when_one_end_vanishes_the_other_is_told() {
    let (rig, live) = rig(&[]).await;
    for (at, client) in ways(&rig).into_iter().enumerate() {
        let (_, mut socket) = open(&client, "/chat", "").await.unwrap();
        echoes(&mut socket, "hello").await;
        drop(socket);
        live.ended(2 * at + 1).await;
        let (_, mut socket) = open(&client, "/chat", "").await.unwrap();
        socket.send(Message::text("leave")).await.unwrap();
        is_over(&mut socket).await;
        live.ended(2 * at + 2).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_little_and_not_for_long() {
    let (rig, live) = rig(&[]).await;
    for (at, client) in [rig.clear_client(), rig.client(Protocol::H2)].into_iter().enumerate() {
        let (_, socket) = open(&client, "/flood", "").await.unwrap();
        let ended = tokio::spawn({
            let live = live.clone();
            async move { live.ended(at + 1).await }
        });
        while !ended.is_finished() {
            rig.advance(Duration::from_secs(11));
            tokio::time::timeout(Duration::from_millis(300), std::future::pending::<()>()).await.unwrap_err();
        }
        let held = live.flooded.swap(0, Ordering::SeqCst);
        assert!(held < 24 << 20, "{held} bytes were taken from the server");
        drop(socket);
    }
}

#[tokio::test]
async fn there_are_no_more_tunnels_than_there_may_be() {
    let (rig, live) = rig(&[("gateway.toml", "[bounds]\nstreams = 2\n[times]\ndrain = \"1s\"\n")]).await;
    let mut one = open(&rig.clear_client(), "/chat", "").await.unwrap().1;
    let _other = open(&rig.client(Protocol::H2), "/chat", "").await.unwrap().1;
    for client in ways(&rig) {
        let (status, headers, _) = open(&client, "/chat", "").await.unwrap_err();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(headers.contains_key("retry-after"));
    }
    one.close(None).await.unwrap();
    is_over(&mut one).await;
    drop(one);
    live.ended(1).await;
    let mut next = loop {
        match open(&rig.clear_client(), "/chat", "").await {
            Ok((_, socket)) => break socket,
            Err((status, ..)) => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
        }
    };
    echoes(&mut next, "there is room again").await;
}
