//! A real application behind Weir: it records what it receives and answers as its handler says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync>;

pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Holds the port once it is gone, so that nobody else is given it and answers there.
    kept: Option<socket2::Socket>,
}

impl Upstream {
    /// A small shop: `POST /login` and `POST /verify` know one right word each, `/status/NNN` answers so, the rest is 200.
    pub fn shop() -> Self {
        Self::answering(|seen| {
            let body = std::str::from_utf8(&seen.body).unwrap_or("");
            let mut answer = Response::new(Full::new(Bytes::from(format!("{} {}", seen.method, seen.uri))));
            match (seen.method.as_str(), seen.uri.path()) {
                ("POST", "/login") if body.contains("right") => {
                    *answer.status_mut() = StatusCode::SEE_OTHER;
                    let sid = format!("sid=s-{}; Path=/; HttpOnly", seen.header("weir-request-id"));
                    answer.headers_mut().insert("set-cookie", sid.parse().unwrap());
                    answer.headers_mut().insert("location", "/account".parse().unwrap());
                }
                ("POST", "/login") => *answer.status_mut() = StatusCode::UNAUTHORIZED,
                ("POST", "/verify") if body.contains("right") => *answer.status_mut() = StatusCode::SEE_OTHER,
                ("POST", "/verify") => *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY,
                (_, path) if path.starts_with("/status/") => {
                    *answer.status_mut() = path[8..].parse().unwrap();
                }
                _ => {}
            }
            answer
        })
    }

    pub fn answering(handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let handler: Handler = Arc::new(handler);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    _ = accept(listener, handler, record) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread), kept: None }
    }

    /// Everything received so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request received.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream received a request")
    }

    /// Goes away: its port refuses connections from now on.
    pub fn go(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            self.kept = socket.bind(&self.address.into()).is_ok().then_some(socket);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.go();
    }
}

async fn accept(listener: tokio::net::TcpListener, handler: Handler, record: Arc<Mutex<Vec<Seen>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (handler, record) = (handler.clone(), record.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (handler, record) = (handler.clone(), record.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                    let seen = Seen { method: head.method, uri: head.uri, headers: head.headers, body };
                    let answer = handler(&seen);
                    record.lock().unwrap().push(seen);
                    Ok::<_, Infallible>(answer)
                }
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
