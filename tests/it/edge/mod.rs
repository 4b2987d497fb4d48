//! A rig for the two edges: a gateway of `listen` and `upstream` without rules, upstreams that play a script over real sockets, and
//! clients that say exactly these bytes. Ports are the kernel's choice, and nothing waits for luck.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir::admission::{Admission, Slot};
use weir::alarm::Alarms;
use weir::clock::Moment;
use weir::judge::decision::{Clearance, Outcome, Question, judge};
use weir::judge::signals::Readings;
use weir::listen::tls::Certificates;
use weir::listen::{Bounds, Doors, Drained, Entrance, Inflow, InflowFault, Peer, Proxies, Scheme, Spoken, bind, serve};
use weir::rules::ruleset::{Protocol, Server, Upstream, UpstreamTimeout};
use weir::upstream::headers::{Proof, request_headers, response_headers};
use weir::upstream::{Answer, Failure, Outgoing, Pools, Reach, forward};

/// The one place that makes the proofs that forwarding asks for.
fn proofs() -> (Clearance, Slot) {
    let readings = Readings::default();
    let verdict = judge(&Question::calm(super::law::shared(), &readings, Moment::default()));
    let Outcome::Cleared(clearance) = verdict.outcome else { panic!("what no journey guards is cleared") };
    let slot = Admission::default().lane(&"test".into()).admit(usize::MAX, 0).expect("there is room");
    (clearance, slot)
}

/// Runs a test on one thread, as a worker does; a test that hangs fails.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs") })
}

/// Waits for something that is seen only by looking. Other tasks have their turn between looks; [`run`] bounds the whole.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

pub type Page = Either<Answer<Inflow>, Full<Bytes>>;

/// A running gateway.
pub struct Gate {
    pub address: SocketAddr,
    pub pools: Pools<Inflow>,
    pub doors: Doors,
    stop: watch::Sender<bool>,
    task: JoinHandle<Drained>,
}

impl Gate {
    /// Ends service and says how it went.
    pub async fn stop(self) -> Drained {
        self.begin_stop();
        self.task.await.expect("the gateway panicked")
    }

    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    pub async fn ended(self) -> Drained {
        self.task.await.expect("the gateway panicked")
    }

    pub async fn client(&self) -> Client {
        Client::over(TcpStream::connect(self.address).await.expect("connects"))
    }

    /// A control request on a connection of its own gets its own answer.
    pub async fn still_serves(&self) {
        let mut client = self.client().await;
        let answer = client.ask("GET /control HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "GET /control"));
    }
}

/// What a gateway is made of.
pub struct Plan {
    pub bounds: Bounds,
    pub tls: Option<Certificates>,
    pub upstream: Upstream,
}

pub fn plan(servers: &[SocketAddr]) -> Plan {
    Plan { bounds: Bounds::default(), tls: None, upstream: upstream(servers) }
}

pub fn upstream(servers: &[SocketAddr]) -> Upstream {
    let server =
        |address: &SocketAddr| Server { tls: false, host: address.ip().to_string().into(), port: address.port() };
    Upstream {
        name: "shop".into(),
        servers: servers.iter().map(server).collect(),
        protocol: Protocol::Auto,
        timeout: UpstreamTimeout {
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            stream: Duration::from_secs(5),
            keep: Duration::from_secs(4),
        },
        health: None,
        max_in_flight: 64,
        max_streams: 64,
        upgrades: Vec::new(),
        ca: None,
    }
}

/// Starts a gateway on this thread.
pub fn start(plan: Plan) -> Gate {
    let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("binds").remove(0);
    let address = socket.local_addr().expect("bound");
    let alarms = Alarms::new(Instant::now(), Duration::from_millis(20));
    let doors = Doors::new(plan.bounds.connections, plan.bounds.connections_per_address);
    let reach = Reach::new();
    let pools = Pools::new(reach.clone(), alarms.clone());
    let (stop, stopped) = watch::channel(false);
    let upstream = Rc::new(plan.upstream);
    let answering = pools.clone();
    let answer =
        move |peer: Rc<Peer>, request: Request<Inflow>| answer(peer, request, answering.clone(), upstream.clone());
    let entrances = vec![Entrance { socket, tls: plan.tls, proxies: Proxies::default() }];
    let serving = serve(entrances, plan.bounds, doors.clone(), alarms, stopped, answer);
    let task = tokio::task::spawn_local(async move { serving.await.expect("serves") });
    Gate { address, pools, doors, stop, task }
}

async fn answer(
    peer: Rc<Peer>,
    request: Request<Inflow>,
    pools: Pools<Inflow>,
    upstream: Rc<Upstream>,
) -> Response<Page> {
    let (mut head, body) = request.into_parts();
    let authority = match peer.host(&head) {
        Ok(authority) => authority,
        Err(fault) => {
            let mut response = refuse(fault.status(), &fault.to_string());
            response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
    };
    assert!(head.uri.path() != "/panic", "asked to panic");
    let proof = peer.keep(|| Proof::new(peer.remote.ip(), peer.scheme == Scheme::Https, peer.spoken == Spoken::H2));
    request_headers(&mut head.headers, proof.expect("one kind"), &authority.field, false);
    head.uri = head.uri.path_and_query().expect("a path").as_str().parse().expect("a target");
    let body = match body.announced() {
        Some(0) => Outgoing::Empty,
        _ => Outgoing::Stream(body),
    };
    let (clearance, slot) = proofs();
    match forward(&pools, clearance, slot, &upstream, Request::from_parts(head, body)).await {
        Ok(mut response) => {
            response_headers(response.headers_mut());
            response.map(Either::Left)
        }
        Err(failure) => refuse(status(&failure), failure.token()),
    }
}

fn status(failure: &Failure) -> StatusCode {
    match failure.request_body().and_then(|cause| cause.downcast_ref::<InflowFault>()) {
        Some(InflowFault::TooSlow) => StatusCode::REQUEST_TIMEOUT,
        Some(InflowFault::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(InflowFault::Broken(_)) | None => failure.status(),
    }
}

fn refuse(status: StatusCode, why: &str) -> Response<Page> {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(why.to_owned()))));
    *response.status_mut() = status;
    response
}

/// A client that says exactly what it is told.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as the client saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The body came to its proper end.
    pub whole: bool,
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

impl Client {
    pub fn over(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("written");
    }

    /// Says it even if the other end has gone.
    pub async fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Seen {
        self.say(request).await;
        self.hear().await.expect("an answer")
    }

    /// The next answer to a request that is not HEAD, or `None` when the connection is closed.
    pub async fn hear(&mut self) -> Option<Seen> {
        let head = loop {
            let head = read_head(&mut self.stream, &mut self.buffer).await?;
            if !head.starts_with("HTTP/1.1 100") {
                break head;
            }
        };
        let status = head.get(9..12)?.parse().expect("a status");
        let (body, whole) = read_body(&mut self.stream, &mut self.buffer, &head, true).await;
        Some(Seen { status, head, body, whole })
    }

    /// Whether the other end closes without another byte.
    pub async fn closed(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(n) if n > 0)
}

async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = buffer.drain(..end + 4).collect::<Vec<u8>>();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if !more(stream, buffer).await {
            return None;
        }
    }
}

/// Strict: a length, chunks, or (for answers) everything until the end.
async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, head: &str, answer: bool) -> (Vec<u8>, bool) {
    let status = head.get(9..12).unwrap_or_default();
    if let Some(coding) = field(head, "transfer-encoding") {
        assert_eq!(coding, "chunked");
        assert!(field(head, "content-length").is_none(), "two framings: {head}");
        return read_chunks(stream, buffer).await;
    }
    let length = match field(head, "content-length") {
        Some(length) => length.parse().expect("a length"),
        None if answer && !matches!(status, "204" | "304") => usize::MAX,
        None => 0,
    };
    while buffer.len() < length {
        if !more(stream, buffer).await {
            let whole = length == usize::MAX;
            return (std::mem::take(buffer), whole);
        }
    }
    (buffer.drain(..length).collect(), true)
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") else {
            if more(stream, buffer).await {
                continue;
            }
            return (body, false);
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).expect("a size"), 16).expect("a size");
        if size == 0 {
            // Trailers are kept, so that tests can look for them.
            while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
                if !more(stream, buffer).await {
                    return (body, false);
                }
            }
            let end = buffer.windows(4).position(|window| window == b"\r\n\r\n").expect("found") + 4;
            let trailers: Vec<u8> = buffer.drain(..end).collect();
            body.extend_from_slice(&trailers[3..trailers.len() - 4.min(trailers.len() - 3)]);
            return (body, true);
        }
        while buffer.len() < end + 2 + size + 2 {
            if !more(stream, buffer).await {
                body.extend_from_slice(&buffer[(end + 2).min(buffer.len())..]);
                return (body, false);
            }
        }
        body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
        buffer.drain(..end + 2 + size + 2);
    }
}

/// What an upstream received, in order.
#[derive(Debug, Clone)]
pub struct Received {
    #[allow(dead_code, reason = "seen in failures")]
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
    pub whole: bool,
}

/// What a scripted upstream does on one connection, step by step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads one whole request.
    Read,
    /// Reads a request's head only.
    ReadHead,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes this answer with the request's line as its body.
    Echo,
    /// Closes in good order.
    Close,
    /// Resets the connection.
    Reset,
    /// Does nothing until the other end leaves.
    Hang,
}

/// An upstream that records what it receives.
pub struct Fake {
    pub address: SocketAddr,
    pub received: Rc<RefCell<Vec<Received>>>,
    pub connections: Rc<RefCell<usize>>,
    /// Connections that this end has closed.
    pub ended: Rc<RefCell<usize>>,
}

impl Fake {
    pub fn heads(&self) -> Vec<String> {
        self.received.borrow().iter().map(|one| one.head.clone()).collect()
    }
}

/// Answers every request with its method and path.
pub async fn echo() -> Fake {
    scripted(Vec::new()).await
}

/// The first connections play these scripts; every later one, and every script that has ended without closing, echoes.
pub async fn scripted(scripts: Vec<Vec<Step>>) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let fake = Fake { address, received: Rc::default(), connections: Rc::default(), ended: Rc::default() };
    let (received, connections, ended) = (fake.received.clone(), fake.connections.clone(), fake.ended.clone());
    tokio::task::spawn_local(async move {
        let mut scripts = scripts.into_iter();
        loop {
            let (stream, _) = listener.accept().await.expect("accepts");
            let number = *connections.borrow();
            *connections.borrow_mut() += 1;
            let script = scripts.next().unwrap_or_default();
            let (received, ended) = (received.clone(), ended.clone());
            tokio::task::spawn_local(async move {
                play(stream, number, script, received).await;
                *ended.borrow_mut() += 1;
            });
        }
    });
    fake
}

async fn play(
    mut stream: TcpStream,
    connection: usize,
    script: Vec<Step>,
    received: Rc<RefCell<Vec<Received>>>,
) -> Option<Infallible> {
    let mut buffer = Vec::new();
    let mut line = String::new();
    let mut steps = script.into_iter();
    let mut after = [Step::Read, Step::Echo].into_iter().cycle();
    loop {
        match steps.next().or_else(|| after.next())? {
            Step::Read => {
                let head = read_head(&mut stream, &mut buffer).await?;
                line = head.split(" HTTP/").next().unwrap_or_default().to_owned();
                let (body, whole) = read_body(&mut stream, &mut buffer, &head, false).await;
                received.borrow_mut().push(Received { connection, head, body, whole });
            }
            Step::ReadHead => {
                let head = read_head(&mut stream, &mut buffer).await?;
                line = head.split(" HTTP/").next().unwrap_or_default().to_owned();
                received.borrow_mut().push(Received { connection, head, body: Vec::new(), whole: false });
            }
            Step::Write(bytes) => stream.write_all(&bytes).await.ok()?,
            Step::Echo => {
                let body = if line.starts_with("HEAD") { "" } else { &line };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", line.len());
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            Step::Close => return None,
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
                return None;
            }
            Step::Hang => {
                while more(&mut stream, &mut buffer).await {}
                return None;
            }
        }
    }
}

pub fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_vec())
}
