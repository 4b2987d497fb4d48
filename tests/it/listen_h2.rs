//! The front edge over HTTP/2 and TLS: what both versions must do alike, and floods that only frames can make.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use weir::listen::Bounds;
use weir::listen::tls::{Certificates, Pair, WhenMissing};
use weir::rules::ruleset::Server;

use crate::edge::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Sender = http2::SendRequest<Full<Bytes>>;

async fn over<T>(stream: T) -> Sender
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("agreed");
    tokio::task::spawn_local(connection);
    sender
}

async fn prior_knowledge(gate: &Gate) -> Sender {
    over(TcpStream::connect(gate.address).await.expect("connects")).await
}

async fn ask(sender: &mut Sender, method: Method, path: &str, body: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(format!("http://shop.example{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn streams_of_one_connection_get_their_own_answers() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let sender = prior_knowledge(&gate).await;
        let mut asked = Vec::new();
        for n in 0..50 {
            let mut sender = sender.clone();
            asked.push(tokio::task::spawn_local(async move {
                let answer = ask(&mut sender, Method::GET, &format!("/{n}"), "", &[]).await;
                assert_eq!(answer, (200, format!("GET /{n}")));
            }));
        }
        for one in asked {
            one.await.expect("answered");
        }
        let mut sender = sender;
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("weir-subject", "root"), ("x-forwarded-for", "10.0.0.1")];
        assert_eq!(ask(&mut sender, Method::POST, "/body", "hello", &crumbs).await.1, "POST /body");
        let received = fake.received.borrow();
        let last = received.last().expect("received");
        assert_eq!(last.body, b"hello");
        assert!(last.head.contains("cookie: a=1; b=2\r\n"), "{}", last.head);
        assert!(
            last.head.contains("x-forwarded-for: 127.0.0.1\r\n") && !last.head.contains("weir-subject"),
            "{}",
            last.head
        );
        assert!(
            last.head.contains("via: 2.0 weir\r\n") && last.head.contains("host: shop.example\r\n"),
            "{}",
            last.head
        );
    });
}

#[test]
fn hosts_that_differ_are_refused_over_http2_too() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut sender = prior_knowledge(&gate).await;
        assert_eq!(ask(&mut sender, Method::GET, "/", "", &[("host", "evil.example")]).await.0, 400);
        assert_eq!(ask(&mut sender, Method::GET, "/", "", &[("host", "shop.example")]).await.0, 200);
        assert_eq!(fake.received.borrow().len(), 1);
    });
}

#[test]
fn draining_says_go_away_and_finishes_the_streams() {
    run(async {
        let fake =
            scripted(vec![vec![Step::Read, write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), Step::Hang]]).await;
        let gate = start(Plan {
            bounds: Bounds { drain: Duration::from_millis(200), ..Bounds::default() },
            ..plan(&[fake.address])
        });
        let mut idle = prior_knowledge(&gate).await;
        assert_eq!(ask(&mut idle, Method::GET, "/panic", "", &[]).await.0, 500);
        let mut busy = prior_knowledge(&gate).await;
        let hanging = tokio::task::spawn_local(async move {
            let request = Request::get("http://shop.example/").body(Full::new(Bytes::new())).expect("a request");
            let response = busy.send_request(request).await.expect("a head");
            response.into_body().collect().await.is_err()
        });
        while fake.received.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.stop().await.cut, 1);
        assert!(hanging.await.expect("joined"), "a body that was cut was complete");
        assert!(idle.ready().await.is_err());
    });
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// GET / on http://shop.example, without the dynamic table.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    block.push(0x04);
    block.push(u8::try_from(path.len()).expect("short"));
    block.extend_from_slice(path.as_bytes());
    block.push(0x01);
    block.push(12);
    block.extend_from_slice(b"shop.example");
    block
}

/// Sends the preface, then what `next` makes until the other end has enough or `most` pieces are sent. How many were taken.
async fn flood(gate: &Gate, most: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> u32 {
    let stream = TcpStream::connect(gate.address).await.expect("connects");
    let (mut read, mut write) = stream.into_split();
    let ended = tokio::task::spawn_local(async move {
        let mut sink = vec![0; 1 << 16];
        while matches!(read.read(&mut sink).await, Ok(n) if n > 0) {}
    });
    write.write_all(PREFACE).await.expect("written");
    write.write_all(&frame(4, 0, 0, &[])).await.expect("written");
    for n in 0..most {
        if ended.is_finished() || write.write_all(&next(n)).await.is_err() {
            return n;
        }
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(write);
    ended.await.expect("joined");
    most
}

/// A frame that came: kind, flags, stream, payload.
async fn heard(stream: &mut TcpStream) -> (u8, u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.expect("a payload");
    (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
}

#[test]
fn a_stream_that_nobody_reads_is_reset_and_its_connection_goes_on() {
    run(async {
        let big = 16 << 20;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {big}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + big, b'a');
        let bounds = Bounds {
            body_idle: Duration::from_millis(200),
            body_grace: Duration::from_millis(400),
            ..Bounds::default()
        };
        // A window that is shut, and one that takes a byte and no more.
        for window in [0, 1_u32] {
            let fake = scripted(vec![vec![Step::Read, Step::Write(answer.clone())]]).await;
            let gate = start(Plan { bounds, ..plan(&[fake.address]) });
            let mut stream = TcpStream::connect(gate.address).await.expect("connects");
            let mut settings = vec![0, 4];
            settings.extend(window.to_be_bytes());
            stream.write_all(PREFACE).await.expect("written");
            stream.write_all(&frame(4, 0, 0, &settings)).await.expect("written");
            stream.write_all(&frame(1, 5, 1, &get("/big"))).await.expect("written");
            loop {
                match heard(&mut stream).await {
                    (3, _, 1, _) => break,
                    // Bytes flow: whatever comes is answered with a ping.
                    (4, 0, 0, _) => stream.write_all(&frame(4, 1, 0, &[])).await.expect("written"),
                    (7, ..) => panic!("the connection ends instead of the stream"),
                    _ => stream.write_all(&frame(6, 1, 0, &[0; 8])).await.expect("written"),
                }
            }
            until(|| *fake.ended.borrow() == 1).await;
            stream.write_all(&frame(1, 5, 3, &get("/two"))).await.expect("written");
            stream.write_all(&frame(8, 0, 3, &1000_u32.to_be_bytes())).await.expect("written");
            let mut body = Vec::new();
            while body.len() < 8 {
                match heard(&mut stream).await {
                    (0, _, 3, payload) => body.extend(payload),
                    (3, ..) | (7, ..) => panic!("the next stream was ended"),
                    _ => {}
                }
            }
            assert_eq!(body, b"GET /two");
        }
    });
}

#[test]
fn a_reset_flood_ends_and_costs_the_upstream_little() {
    run(async {
        let fake = scripted(vec![vec![Step::Read, Step::Hang]; 2000]).await;
        let gate = start(plan(&[fake.address]));
        let taken = flood(&gate, 20_000, |n| {
            let stream = n * 2 + 1;
            let mut bytes = frame(1, 5, stream, &get("/"));
            bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
            bytes
        })
        .await;
        assert!(taken < 20_000, "{taken}");
        assert!(*fake.connections.borrow() <= 300, "{}", fake.connections.borrow());
        while gate.doors.inside() > 0 {
            tokio::task::yield_now().await;
        }
        let sane = echo().await;
        start(plan(&[sane.address])).still_serves().await;
    });
}

#[test]
fn resets_that_the_server_is_made_to_send_end_too() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        // A window update of zero is an error of the stream.
        let taken = flood(&gate, 20_000, |n| {
            let stream = n * 2 + 1;
            let mut bytes = frame(1, 5, stream, &get("/"));
            bytes.extend(frame(8, 0, stream, &0_u32.to_be_bytes()));
            bytes
        })
        .await;
        assert!(taken < 20_000, "{taken}");
        gate.still_serves().await;
    });
}

#[test]
fn floods_of_frames_leave_the_others_alone() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let began = Instant::now();
        // CONTINUATION without end (CVE-2024-27316), with and without content.
        for piece in [&b""[..], &[0x40, 1, b'x', 1, b'y'].repeat(2000)[..]] {
            let taken = flood(&gate, 20_000, |n| match n {
                0 => frame(1, 1, 1, &get("/")),
                _ => frame(9, 0, 1, piece),
            })
            .await;
            assert!(taken < 20_000, "{taken} CONTINUATION frames of {} bytes", piece.len());
        }
        // PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown frames, empty DATA.
        flood(&gate, 5_000, |_| frame(6, 0, 0, &[0; 8])).await;
        flood(&gate, 5_000, |_| frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])).await;
        flood(&gate, 5_000, |n| frame(2, 0, n * 2 + 1, &[0, 0, 0, 0, 1])).await;
        flood(&gate, 5_000, |_| frame(8, 0, 0, &1_u32.to_be_bytes())).await;
        flood(&gate, 5_000, |_| frame(99, 0, 0, &[0; 8])).await;
        let mut post = get("/");
        post[0] = 0x83;
        flood(&gate, 5_000, |n| if n == 0 { frame(1, 4, 1, &post) } else { frame(0, 0, 1, &[]) }).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        gate.still_serves().await;
    });
}

#[test]
fn a_header_list_past_its_bound_is_refused() {
    run(async {
        let fake = echo().await;
        let bounds = Bounds { head_bytes: 8 * 1024, ..Bounds::default() };
        let gate = start(Plan { bounds, ..plan(&[fake.address]) });
        // One entry in the dynamic table, named again and again: a few bytes that become many.
        let taken = flood(&gate, 200, |n| {
            let mut block = get("/");
            block.extend([0x40, 1, b'x', 0x7f, 0x80 | 53, 30]);
            block.extend(vec![b'a'; 127 + 53 + (30 << 7)]);
            block.extend(vec![0x80 | 62; 3000]);
            frame(1, 5, n * 2 + 1, &block)
        })
        .await;
        let _ = taken;
        assert!(fake.received.borrow().is_empty(), "{}", fake.received.borrow().len());
        gate.still_serves().await;
    });
}

fn certificates(directory: &std::path::Path, name: &str, host: &str) -> Pair {
    let pair = Pair { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
    let missing = WhenMissing::SelfSigned(vec![host.to_owned()]);
    Certificates::open(vec![pair.clone()], &missing).expect("made");
    pair
}

async fn tls(gate: &Gate, trusted: &[&Pair], name: &str, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        let certificate = CertificateDer::from_pem_file(&pair.certificate).expect("a certificate");
        roots.add(certificate).expect("added");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
    let stream = TcpStream::connect(gate.address).await.expect("connects");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("agreed")
}

#[test]
fn tls_chooses_the_protocol_by_alpn_and_the_certificate_by_name() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, two) = (
            certificates(directory.path(), "one", "one.example"),
            certificates(directory.path(), "two", "two.example"),
        );
        let served = Certificates::open(vec![one.clone(), two.clone()], &WhenMissing::Fail).expect("opens");
        let fake = echo().await;
        let gate = start(Plan { tls: Some(served.clone()), ..plan(&[fake.address]) });
        for (pair, name) in [(&one, "one.example"), (&two, "two.example"), (&one, "localhost")] {
            let stream = tls(&gate, &[pair], name, &[b"h2", b"http/1.1"]).await;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let mut sender = over(stream).await;
            assert_eq!(ask(&mut sender, Method::GET, "/a", "", &[]).await, (200, "GET /a".to_owned()));
        }
        let mut stream = tls(&gate, &[&one], "one.example", &[b"http/1.1"]).await;
        stream.write_all(b"GET /b HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n").await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read, with a proper end");
        assert!(answer.ends_with("\r\n\r\nGET /b"), "{answer}");
        assert!(fake.heads().last().expect("one").contains("x-forwarded-proto: https"));
        // New files are served to new connections; the old ones go on.
        let mut old = over(tls(&gate, &[&one], "one.example", &[b"h2"]).await).await;
        for file in [&one.certificate, &one.key] {
            std::fs::remove_file(file).expect("removed");
        }
        let renewed = certificates(directory.path(), "one", "one.example");
        served.reload().expect("reloads");
        let mut new = over(tls(&gate, &[&renewed], "one.example", &[b"h2"]).await).await;
        assert_eq!(ask(&mut old, Method::GET, "/old", "", &[]).await.1, "GET /old");
        assert_eq!(ask(&mut new, Method::GET, "/new", "", &[]).await.1, "GET /new");
    });
}

#[test]
fn a_handshake_that_stalls_is_over_in_time_and_blocks_nobody() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let pair = certificates(directory.path(), "one", "one.example");
        let served = Certificates::open(vec![pair.clone()], &WhenMissing::Fail).expect("opens");
        let fake = echo().await;
        let bounds = Bounds { handshake: Duration::from_millis(300), ..Bounds::default() };
        let gate = start(Plan { tls: Some(served), bounds, ..plan(&[fake.address]) });
        let mut stalled = Vec::new();
        for said in [&b""[..], &[22, 3, 1, 2, 0, 1], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut client = gate.client().await;
            client.say(said).await;
            stalled.push(client);
        }
        let mut sender = over(tls(&gate, &[&pair], "one.example", &[b"h2"]).await).await;
        assert_eq!(ask(&mut sender, Method::GET, "/a", "", &[]).await.0, 200);
        for client in &mut stalled {
            let mut rest = Vec::new();
            let _ = client.stream.read_to_end(&mut rest).await;
        }
    });
}

#[test]
fn a_server_behind_tls_is_reached_by_alpn_and_only_if_it_is_trusted() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let (pair, other) = (
            certificates(directory.path(), "one", "one.example"),
            certificates(directory.path(), "two", "two.example"),
        );
        let served = Certificates::open(vec![pair.clone()], &WhenMissing::Fail).expect("opens");
        let fake = echo().await;
        let behind = start(Plan { tls: Some(served), ..plan(&[fake.address]) });
        for (host, ca, status, text) in [
            ("127.0.0.1", &pair.certificate, 200, "GET /a"),
            ("localhost", &pair.certificate, 200, "GET /a"),
            ("127.0.0.1", &other.certificate, 502, "tls_certificate_error"),
        ] {
            let mut plan = plan(&[behind.address]);
            plan.upstream.servers = vec![Server { tls: true, host: host.into(), port: behind.address.port() }];
            plan.upstream.ca = Some(ca.clone());
            let gate = start(plan);
            for _ in 0..3 {
                let answer = gate.client().await.ask("GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
                assert_eq!((answer.status, answer.text().as_str()), (status, text), "{host}");
            }
            assert_eq!(gate.pools.resting(), usize::from(status == 200));
        }
        assert!(
            fake.heads().iter().all(|head| head.contains("via: 1.1 weir\r\nvia: 2.0 weir")),
            "{:?}",
            fake.heads()[0]
        );
    });
}
