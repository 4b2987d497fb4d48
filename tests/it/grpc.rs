//! gRPC over HTTP/2 from end to end: messages pass as they come, in both directions, with their trailers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::support::client::Protocol;
use crate::support::upstream::Upstream;
use crate::support::{Rig, server};
use crate::upgrades::JOURNEYS;

const SITES: &str = "[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\nprotocol = \"h2c\"\n";

type Out = UnsyncBoxBody<Bytes, Infallible>;

/// A length-prefixed message, not compressed.
fn message(text: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(text.len()).unwrap());
    bytes.put_slice(text.as_bytes());
    bytes.freeze()
}

fn trailers(status: &'static str, says: &'static str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("grpc-status", HeaderValue::from_static(status));
    map.insert("grpc-message", HeaderValue::from_static(says));
    map
}

/// A body that says what is sent to it.
fn speaking() -> (mpsc::Sender<Frame<Bytes>>, Out) {
    let (say, said) = mpsc::channel(8);
    let frames = futures_util::stream::unfold(said, |mut said| async {
        said.recv().await.map(|frame| (Ok::<_, Infallible>(frame), said))
    });
    (say, StreamBody::new(frames).boxed_unsync())
}

#[derive(Clone)]
struct Service {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
    /// Calls whose client went away.
    gone: watch::Sender<usize>,
}

impl Service {
    /// `/shop.Stock/Echo` gives every message back as it comes; `/shop.Stock/Late` waits until its client is gone.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Self { address, heads: Arc::default(), gone: watch::channel(0).0 };
        let here = service.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let here = here.clone();
                let service = service_fn(move |request| {
                    let here = here.clone();
                    async move { Ok::<_, Infallible>(here.call(request).await) }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        service
    }

    async fn call(&self, request: Request<Incoming>) -> Response<Out> {
        let (head, mut body) = request.into_parts();
        self.heads.lock().unwrap().push(head.headers);
        let (say, said) = speaking();
        let mut answer = Response::new(said);
        answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
        match head.uri.path() {
            "/shop.Stock/Echo" => {
                tokio::spawn(async move {
                    while let Some(Ok(frame)) = body.frame().await {
                        if let Ok(data) = frame.into_data()
                            && say.send(Frame::data(data)).await.is_err()
                        {
                            return;
                        }
                    }
                    let _ = say.send(Frame::trailers(trailers("0", "done"))).await;
                });
            }
            "/shop.Stock/Late" => {
                let gone = self.gone.clone();
                tokio::spawn(async move {
                    say.closed().await;
                    gone.send_modify(|gone| *gone += 1);
                });
            }
            _ => {
                answer.headers_mut().extend(trailers("5", "no such item"));
                answer = answer.map(|_| Empty::new().boxed_unsync());
            }
        }
        answer
    }
}

async fn rig(files: &[(&str, &str)]) -> (Rig, Service) {
    let service = Service::start().await;
    let files: Vec<_> = [("sites.toml", SITES)].iter().chain(files).copied().collect();
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |options| {
        options.servers = Some(vec![server(service.address)]);
    });
    (rig, service)
}

type Sender = hyper::client::conn::http2::SendRequest<Out>;

async fn client(rig: &Rig) -> Sender {
    let stream = rig.client(Protocol::H2).stream().await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn call(method: &str, body: Out) -> Request<Out> {
    Request::builder()
        .method("POST")
        .uri(format!("https://127.0.0.1/shop.Stock/{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("grpc-timeout", "5S")
        .body(body)
        .unwrap()
}

async fn next(body: &mut Incoming) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn a_call_with_one_message_has_its_answer_and_its_trailers() {
    let (rig, service) = rig(&[]).await;
    let mut sender = client(&rig).await;
    for _ in 0..3 {
        let (say, body) = speaking();
        say.send(Frame::data(message("apples"))).await.unwrap();
        drop(say);
        let answer = sender.send_request(call("Echo", body)).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["content-type"]),
            (StatusCode::OK, &"application/grpc+proto".parse::<HeaderValue>().unwrap())
        );
        let whole = answer.into_body().collect().await.unwrap();
        let last = whole.trailers().cloned().unwrap();
        assert_eq!(
            (&last["grpc-status"], &last["grpc-message"]),
            (&HeaderValue::from_static("0"), &HeaderValue::from_static("done"))
        );
        assert_eq!(whole.to_bytes(), message("apples"));
    }
    let head = service.heads.lock().unwrap().pop().unwrap();
    assert_eq!(
        (&head["te"], &head["grpc-timeout"]),
        (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("5S"))
    );
    assert!(!head.contains_key("connection"));
}

#[tokio::test]
async fn messages_pass_both_ways_as_they_come_across_swaps() {
    let (rig, _service) = rig(&[]).await;
    let mut sender = client(&rig).await;
    let (say, body) = speaking();
    let asked = tokio::spawn(async move { sender.send_request(call("Echo", body)).await.unwrap() });
    say.send(Frame::data(message("first"))).await.unwrap();
    let mut answer = asked.await.unwrap().into_body();
    assert_eq!(next(&mut answer).await, message("first"));
    for turn in 0..20 {
        let text = format!(
            "{JOURNEYS}\n[journeys.swap{turn}]\nroutes = [\"POST /shop.Stock/Echo\"]\nladder = [{{ at = 0, do = \"deny\", to = \"main\" }}]\nwhen_unknown = \"deny\"\n"
        );
        std::fs::write(rig.rules().join("journeys.toml"), text).unwrap();
        let law = rig.weir().law.clone();
        tokio::task::spawn_blocking(move || law.reload()).await.unwrap();
        // The answer to each comes before the next is said, so nothing is gathered on the way.
        let said = format!("turn {turn}");
        say.send(Frame::data(message(&said))).await.unwrap();
        assert_eq!(next(&mut answer).await, message(&said));
    }
    drop(say);
    let last = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(last["grpc-status"], "0");
}

#[tokio::test]
async fn an_error_without_a_message_is_a_head_alone() {
    let (rig, _service) = rig(&[]).await;
    let (_say, body) = speaking();
    let answer = client(&rig).await.send_request(call("Nothing", body)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        (&answer.headers()["grpc-status"], &answer.headers()["grpc-message"]),
        (&HeaderValue::from_static("5"), &HeaderValue::from_static("no such item"))
    );
    assert!(hyper::body::Body::is_end_stream(answer.body()), "the head ended the stream");
}

#[tokio::test]
async fn a_client_whose_deadline_has_passed_ends_the_call_at_the_server_too() {
    let (rig, service) = rig(&[]).await;
    let mut sender = client(&rig).await;
    for calls in 1..=3 {
        let (say, body) = speaking();
        say.send(Frame::data(message("slow"))).await.unwrap();
        let answer = sender.send_request(call("Late", body)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        drop((answer, say));
        service.gone.subscribe().wait_for(|gone| *gone >= calls).await.unwrap();
    }
    // The connection goes on for the calls after it.
    let (say, body) = speaking();
    say.send(Frame::data(message("next"))).await.unwrap();
    drop(say);
    let answer = sender.send_request(call("Echo", body)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), message("next"));
}

#[tokio::test]
async fn a_conversation_may_pause_longer_than_an_upload() {
    let (rig, _service) = rig(&[("gateway.toml", "[times]\nbody_idle = \"200ms\"\nbody_grace = \"200ms\"\n")]).await;
    let mut sender = client(&rig).await;
    let (say, body) = speaking();
    say.send(Frame::data(message("hello"))).await.unwrap();
    let mut answer = sender.send_request(call("Echo", body)).await.unwrap().into_body();
    assert_eq!(next(&mut answer).await, message("hello"));
    // An upload that pauses for as long is given up: the time has passed.
    let (upload, body) = speaking();
    upload.send(Frame::data(message("part"))).await.unwrap();
    let mut request = call("Upload", body);
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/octet-stream"));
    *request.uri_mut() = "https://127.0.0.1/shop.Stock/Late".parse().unwrap();
    let stalled = sender.send_request(request).await;
    if let Ok(stalled) = stalled {
        assert!(stalled.status() == StatusCode::REQUEST_TIMEOUT || stalled.into_body().collect().await.is_err());
    }
    say.send(Frame::data(message("are you there"))).await.unwrap();
    assert_eq!(next(&mut answer).await, message("are you there"));
}

#[tokio::test]
async fn a_call_that_is_ended_is_told_so_in_its_own_words() {
    let (rig, _service) = rig(&[("gateway.toml", "[times]\nstream_age = \"1h\"\n")]).await;
    let mut sender = client(&rig).await;
    let (say, body) = speaking();
    say.send(Frame::data(message("hello"))).await.unwrap();
    let mut answer = sender.send_request(call("Echo", body)).await.unwrap().into_body();
    assert_eq!(next(&mut answer).await, message("hello"));
    rig.advance(std::time::Duration::from_secs(3600));
    let last = answer.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(last["grpc-status"], "14");
    drop(say);
}
