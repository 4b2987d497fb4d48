//! An application that keeps things open: web sockets that echo, flood or refuse, and events that come when a test says so.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Lives on the test's own runtime.
#[derive(Clone)]
pub struct Live {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    /// An event for everybody who listens at `/events`.
    pub events: broadcast::Sender<&'static str>,
    /// Tunnels that have ended, as this side sees it.
    ended: watch::Sender<usize>,
    /// Bytes that were sent at `/flood`.
    pub flooded: Arc<AtomicUsize>,
}

impl Live {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            events: broadcast::channel(64).0,
            ended: watch::channel(0).0,
            flooded: Arc::default(),
        };
        let here = live.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let live = here.clone();
                let service = service_fn(move |request| {
                    let answer = live.answer(request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                tokio::spawn(serving);
            }
        });
        live
    }

    /// Targets and heads of all requests so far.
    pub fn seen(&self) -> Vec<(String, HeaderMap)> {
        self.seen.lock().unwrap().clone()
    }

    /// How many tunnels have ended.
    pub fn has_ended(&self) -> usize {
        *self.ended.borrow()
    }

    /// Waits until so many tunnels have ended.
    pub async fn ended(&self, count: usize) {
        self.ended.subscribe().wait_for(|ended| *ended >= count).await.unwrap();
    }

    fn answer(&self, mut request: Request<Incoming>) -> Answer {
        self.seen.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
        let mut answer = Response::new(Empty::new().boxed_unsync());
        let path = request.uri().path().to_owned();
        let key = request.headers().get("sec-websocket-key").cloned();
        match (path.as_str(), key) {
            ("/no", _) => {
                *answer.status_mut() = StatusCode::FORBIDDEN;
                answer = answer.map(|_| Full::new(Bytes::from("members only")).boxed_unsync());
            }
            ("/login", _) => {
                answer.headers_mut().insert("set-cookie", "sid=s-1; Path=/".parse().unwrap());
                *answer.status_mut() = StatusCode::SEE_OTHER;
                answer.headers_mut().insert("location", "/".parse().unwrap());
            }
            ("/events", _) => {
                answer.headers_mut().insert("content-type", "text/event-stream; charset=utf-8".parse().unwrap());
                let events = self.events.subscribe();
                let events = futures_util::stream::unfold(events, |mut events| async {
                    let event = events.recv().await.ok()?;
                    Some((Ok(Frame::data(Bytes::from(format!("data: {event}\n\n")))), events))
                });
                answer = answer.map(|_| StreamBody::new(events).boxed_unsync());
            }
            ("/stall", _) => {
                let first = futures_util::stream::once(async { Ok(Frame::data(Bytes::from("begun"))) });
                answer = answer.map(|_| StreamBody::new(first.chain(futures_util::stream::pending())).boxed_unsync());
            }
            ("/chat" | "/flood" | "/lie", Some(key)) => {
                let accept = match path.as_str() {
                    "/lie" => "bm90IHdoYXQgd2FzIGFza2Vk".to_owned(),
                    _ => derive_accept_key(key.as_bytes()),
                };
                *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                let headers = answer.headers_mut();
                headers.insert("connection", "Upgrade".parse().unwrap());
                headers.insert("upgrade", "websocket".parse().unwrap());
                headers.insert("sec-websocket-accept", accept.parse().unwrap());
                headers.insert("sec-websocket-protocol", "talk".parse().unwrap());
                let live = self.clone();
                tokio::spawn(async move {
                    if let Ok(switched) = hyper::upgrade::on(&mut request).await {
                        let socket = WebSocketStream::from_raw_socket(TokioIo::new(switched), Role::Server, None);
                        live.talk(socket.await, &path).await;
                    }
                    live.ended.send_modify(|ended| *ended += 1);
                });
            }
            _ => answer = answer.map(|_| Full::new(Bytes::from(path)).boxed_unsync()),
        }
        answer
    }

    async fn talk(&self, mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, path: &str) {
        if path == "/flood" {
            let piece = Bytes::from(vec![7; 64 * 1024]);
            while socket.send(Message::Binary(piece.clone())).await.is_ok() {
                self.flooded.fetch_add(piece.len(), Ordering::SeqCst);
            }
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            if message.to_text().is_ok_and(|text| text == "leave") {
                return;
            }
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    }
}
