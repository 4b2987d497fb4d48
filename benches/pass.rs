//! What a request through the whole of Weir takes, over real loopback connections in one process: accept, HTTP/1.1, the gate,
//! the judge, the upstream's connection, and back. One connection, one request at a time.
//!
//! `direct` is the same client asking the same upstream without Weir: the difference is what Weir adds, two more passes
//! through the kernel and two changes of thread included. That is latency, not cost. To measure cost beside nginx and the
//! bare hyper forwarder of `floor.rs`, with one worker on a CPU of its own and the others elsewhere:
//!
//! ```text
//! cargo build --release && cargo build --release --bench floor
//! benches/peers.py            # CPU a request as ratios to nginx and floor, in duels
//! benches/peers.py --count    # instructions a request
//! ```
//!
//! Usage: `cargo bench --bench pass`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench stops by panicking, and criterion writes undocumented items"
)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use criterion::{Criterion, criterion_group, criterion_main};
use weir::app::{Options, Weir};
use weir::clock::Clock;
use weir::rules::ruleset::Server;
use weir::settings::Listener;
use weir::telemetry::lines::Destination;

/// An upstream that answers every head with 1 KiB, a thread for each connection. Ends with the process.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n{:1024}", "");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(more @ 1..) = stream.read(&mut piece) {
                    head.extend_from_slice(&piece[..more]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
    address
}

/// A client with one connection.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0\r\n\
             accept: application/json\r\naccept-language: en-GB,en;q=0.7\r\naccept-encoding: gzip, deflate, br\r\n\
             cookie: session=6f1d0a4be2c94d0d8f6e5a4b3c2d1e0f; theme=dark\r\nx-client-id: c0001\r\n\r\n"
        );
        Self { stream, request: request.into_bytes(), answer: vec![0; 16 * 1024] }
    }

    /// One request and its whole answer, which must be a good one.
    fn ask(&mut self) {
        self.stream.write_all(&self.request).unwrap();
        let mut have = 0;
        loop {
            let more = self.stream.read(&mut self.answer[have..]).unwrap();
            assert_ne!(more, 0, "the connection ended");
            have += more;
            if let Some(head) = self.answer[..have].windows(4).position(|window| window == b"\r\n\r\n")
                && have == head + 4 + 1024
            {
                break;
            }
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200"));
    }
}

const SITE: &str = r#"
[[site]]
hosts = ["127.0.0.1"]
upstream = "up"
[upstreams.up]
servers = ["http://127.0.0.1:1"]
"#;

const GUARD: &str = r#"
[[refuse]]
when = { header = { name = "user-agent", matches = '(?i)(sqlmap|nikto|masscan|zgrab|nuclei)' } }
[[refuse]]
when = { query_matches = '(?i)(union\s+select|<script|\.\./)' }
[[refuse]]
when = { any = [{ path_matches = '\.(php|asp|cgi)$' }, { path = "/.env" }, { path_prefix = ["/.git/", "/admin/"] }] }
[[refuse]]
when = { not = { method = ["GET", "HEAD", "POST", "PUT", "DELETE"] } }
status = 405
[limits.clients]
key = "header"
header = "x-client-id"
rate = "1000000/s"
"#;

/// A journey with so many routes.
fn routes(many: usize) -> String {
    let mut law = String::from("[journeys.look]\nladder = [{ at = 0, do = \"allow\" }]\nroutes = [\n");
    for n in 0..many {
        writeln!(law, "\"GET /r/{n:05}/items/{{id}}\",").unwrap();
    }
    law + "]\n"
}

fn bench(c: &mut Criterion) {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let upstream = upstream();
    let mut group = c.benchmark_group("a request");
    let mut direct = Client::new(upstream, "/r/00007/items/1?id=7");
    group.bench_function("direct", |b| b.iter(|| direct.ask()));
    for (name, law) in [
        ("plain", String::new()),
        ("guard", GUARD.to_owned()),
        ("10 routes", routes(10)),
        ("10,000 routes", routes(10_000)),
    ] {
        let home = tempfile::tempdir().unwrap();
        let rules = home.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("law.toml"), format!("{law}{SITE}")).unwrap();
        let options = Options {
            rules,
            listeners: Some(vec![Listener { address: free, tls: None, proxy_protocol: Vec::new() }]),
            admin: Some(free),
            data: Some(home.path().join("data")),
            workers: Some(1),
            servers: Some(vec![Server { tls: false, host: "127.0.0.1".into(), port: upstream.port() }]),
            decisions: Some(Destination::File(home.path().join("lines"))),
            clock: Clock::System,
            unlisted: true,
        };
        let weir = Weir::start(options).unwrap();
        let mut client = Client::new(weir.addresses[0], "/r/00007/items/1?id=7");
        group.bench_function(name, |b| b.iter(|| client.ask()));
        drop(client);
        weir.stop();
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
