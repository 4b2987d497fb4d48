//! The front edge against clients that lie, dawdle, flood and leave.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use weir::listen::Bounds;

use crate::edge::*;

const HOST: &str = "Host: shop.example\r\n";

#[test]
fn requests_on_one_connection_are_answered_in_turn() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        for n in 0..3 {
            let answer = client.ask(format!("GET /{n}?a=b%2F HTTP/1.1\r\n{HOST}\r\n")).await;
            assert_eq!((answer.status, answer.text()), (200, format!("GET /{n}?a=b%2F")));
        }
        assert_eq!(*fake.connections.borrow(), 1);
        gate.still_serves().await;
        drop(client);
        assert_eq!(gate.stop().await.cut, 0);
    });
}

#[test]
fn pipelined_requests_get_their_own_answers_in_order() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        let asked: String = (0..50).map(|n| format!("GET /{n} HTTP/1.1\r\n{HOST}\r\n")).collect();
        client.say(asked).await;
        for n in 0..50 {
            assert_eq!(client.hear().await.expect("an answer").text(), format!("GET /{n}"));
        }
    });
}

/// Sends one head, with `smuggled` behind it, and looks at what became of both. `statuses` are the ones allowed for the first; the second
/// is either answered as itself or never seen.
async fn smuggle(head: &str, smuggled: &str, statuses: &[u16]) {
    let fake = echo().await;
    let gate = start(plan(&[fake.address]));
    let mut client = gate.client().await;
    client.say(format!("{head}{smuggled}")).await;
    let first = client.hear().await;
    let status = first.as_ref().map_or(0, |seen| seen.status);
    assert!(statuses.contains(&status), "{status} for {head:?}");
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest).await;
    for (one, received) in fake.received.borrow().iter().enumerate() {
        assert!(received.whole, "request {one} was cut short: {received:?}");
        let lengths = received.head.to_ascii_lowercase().matches("\r\ncontent-length:").count();
        let codings = received.head.to_ascii_lowercase().matches("\r\ntransfer-encoding:").count();
        assert!(lengths + codings <= 1, "two framings went on: {}", received.head);
        assert!(!received.head.contains("/smuggled"), "smuggled by {head:?}: {}", received.head);
    }
    gate.still_serves().await;
}

#[test]
fn no_spelling_of_a_length_smuggles_a_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let length = smuggled.len();
    let chunked = format!("0\r\n\r\n{smuggled}");
    let refused = &[400, 0][..];
    run(async {
        // Both framings: the chunks win, and the connection ends, so that what follows is never read.
        let both =
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n", length + 5);
        smuggle(&both, &chunked, &[200, 400]).await;
        let both = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n");
        smuggle(&both, &chunked, &[200, 400]).await;
        // The whole rest is the body.
        let fits = format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        smuggle(&fits, smuggled, &[200]).await;
        let twice = format!(
            "POST / HTTP/1.1\r\n{HOST}Content-Length: {length}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        smuggle(&twice, smuggled, &[200, 400]).await;
        for lengths in [
            format!("Content-Length: 0\r\nContent-Length: {length}"),
            format!("Content-Length: {length}\r\nContent-Length: 0"),
            format!("Content-Length: {length}, {length}"),
            format!("Content-Length: 0, {length}"),
            format!("Content-Length: +{length}"),
            format!("Content-Length: -{length}"),
            format!("Content-Length: 0x{length:x}"),
            format!("Content-Length: {length}a"),
            format!("Content-Length: {length} 0"),
            format!("Content-Length: \"{length}\""),
            format!("Content-Length: {length}.0"),
            "Content-Length: 99999999999999999999999".to_owned(),
            "Content-Length: ".to_owned(),
            format!("Content-Length : {length}"),
            format!(" Content-Length: {length}"),
            format!("Content-Length\t: {length}"),
            format!("Content-Length\n: {length}"),
            format!("X: a\r\n Content-Length: {length}"),
            format!("X: a\rContent-Length: {length}"),
            format!("X: a\0b\r\nContent-Length: {length}"),
            format!("Content\0-Length: {length}"),
            format!("Content-Length: {length}\0"),
            format!("Content-Length:\r\n {length}"),
        ] {
            smuggle(&format!("POST / HTTP/1.1\r\n{HOST}{lengths}\r\n\r\n"), smuggled, refused).await;
        }
    });
}

#[test]
fn no_spelling_of_a_coding_smuggles_a_request() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    run(async {
        for coding in [
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity, chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked;a=b",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: 'chunked'",
            "Transfer-Encoding:\u{b}chunked",
            "Transfer-Encoding: chunked\u{b}",
            "Transfer-Encoding:\r\n chunked",
            "Transfer-Encoding\t: chunked",
            " Transfer-Encoding: chunked",
            "Transfer-Encoding: \r\nX: chunked",
            "Transfer\u{0}-Encoding: chunked",
        ] {
            let head = format!("POST / HTTP/1.1\r\n{HOST}{coding}\r\n\r\n");
            smuggle(&head, &chunked, &[400, 501, 0]).await;
        }
        // HTTP/1.0 knows no codings.
        let head = format!("POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
        smuggle(&head, &chunked, &[400, 0]).await;
        // A twin with an underscore is no framing for us, and must be none for the server.
        let head = format!(
            "POST / HTTP/1.1\r\n{HOST}Transfer_Encoding: chunked\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        smuggle(&head, "", &[200]).await;
    });
}

#[test]
fn chunks_are_read_strictly_and_written_afresh() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let head = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        let mut client = gate.client().await;
        let fine = client.ask(format!("{head}3;ext=\"a;b\"\r\nabc\r\n00002\r\nde\r\n0\r\n\r\n")).await;
        assert_eq!(fine.status, 200);
        {
            let received = fake.received.borrow();
            assert_eq!(received[0].body, b"abcde");
            assert!(!received[0].head.contains("ext"));
        }
        for broken in [
            "3\r\nabcd\r\n0\r\n\r\n",
            "g\r\nabc\r\n0\r\n\r\n",
            "-1\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
            "3 x\r\nabc\r\n0\r\n\r\n",
            "3\rabc\r\n0\r\n\r\n",
            "\r\nabc\r\n0\r\n\r\n",
        ] {
            let mut client = gate.client().await;
            client.say(format!("{head}{broken}GET /smuggled HTTP/1.1\r\n{HOST}\r\n")).await;
            let mut rest = Vec::new();
            let _ = client.stream.read_to_end(&mut rest).await;
            let rest = String::from_utf8_lossy(&rest).into_owned();
            assert!(!rest.contains("/smuggled"), "{broken:?}: {rest}");
            let whole = fake.received.borrow().iter().filter(|one| one.whole).count();
            assert!(rest.contains(" 400 ") || rest.is_empty() || whole == 1, "{broken:?}: {rest}");
        }
        assert!(fake.heads().iter().all(|head| !head.contains("/smuggled")));
        gate.still_serves().await;
    });
}

#[test]
fn what_is_no_http_is_refused_and_others_go_on() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        for garbage in [
            "\u{16}\u{3}\u{1}garbage\r\n\r\n",
            "GET / HTTP/3.0\r\n\r\n",
            "GET /\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
            "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame at all",
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n",
        ] {
            let mut client = gate.client().await;
            client.try_say(garbage).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await;
            let mut rest = Vec::new();
            let _ = client.stream.read_to_end(&mut rest).await;
            let rest = String::from_utf8_lossy(&rest).into_owned();
            let refused = rest.contains(" 400 ") || rest.contains(" 405 ") || !rest.starts_with("HTTP/1.1 2");
            assert!(refused, "{garbage:?}: {rest}");
        }
        assert!(fake.received.borrow().is_empty(), "{:?}", fake.heads());
        gate.still_serves().await;
    });
}

#[test]
fn a_head_that_is_too_large_is_431() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        let many: String = (0..101).map(|n| format!("X-{n}: a\r\n")).collect();
        assert_eq!(client.ask(format!("GET / HTTP/1.1\r\n{HOST}{many}\r\n")).await.status, 431);
        let mut client = gate.client().await;
        client.try_say(format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "a".repeat(70_000))).await;
        assert!(client.hear().await.is_none_or(|answer| answer.status == 431));
        gate.still_serves().await;
    });
}

fn brief() -> Bounds {
    Bounds {
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        body_idle: Duration::from_millis(200),
        body_grace: Duration::from_millis(400),
        ..Bounds::default()
    }
}

/// Says `piece` over and over until the other end closes; how long that took.
async fn drip(gate: &Gate, start: &str, piece: &str) -> (Duration, String) {
    let began = Instant::now();
    let (mut read, mut write) = {
        let mut client = gate.client().await;
        client.say(start).await;
        client.stream.into_split()
    };
    let piece = piece.to_owned();
    let dripping = tokio::task::spawn_local(async move {
        use tokio::io::AsyncWriteExt;
        let mut pause = tokio::time::interval(Duration::from_millis(25));
        loop {
            pause.tick().await;
            if write.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut rest = Vec::new();
    let _ = read.read_to_end(&mut rest).await;
    dripping.abort();
    (began.elapsed(), String::from_utf8_lossy(&rest).into_owned())
}

#[test]
fn a_client_that_drips_is_over_in_time_at_every_stage() {
    run(async {
        let fake = echo().await;
        let gate = start(Plan { bounds: brief(), ..plan(&[fake.address]) });
        let served = format!("GET / HTTP/1.1\r\n{HOST}\r\n");
        let body = format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 100000\r\n\r\n");
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
        for (stage, start, piece) in [
            ("nothing", "", ""),
            ("the request line", "G", "E"),
            ("the preface", "PRI * HT", ""),
            ("the head", "GET / HTTP/1.1\r\n", "X: a\r\n"),
            ("rest", served.as_str(), ""),
            ("the next head", served.as_str(), "\r\n"),
            ("the body", body.as_str(), "a"),
            ("http2 at rest", preface, ""),
        ] {
            let (took, seen) = drip(&gate, start, piece).await;
            assert!(took < Duration::from_secs(3), "{stage}: {took:?}");
            if stage == "the body" {
                assert!(seen.starts_with("HTTP/1.1 408"), "{seen}");
            }
        }
        gate.still_serves().await;
    });
}

#[test]
fn an_answer_that_nobody_reads_is_over_in_time() {
    run(async {
        let big = 64 << 20;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {big}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + big, b'a');
        let fake = scripted(vec![vec![Step::Read, Step::Write(answer)]]).await;
        let gate = start(Plan { bounds: brief(), ..plan(&[fake.address]) });
        let mut client = gate.client().await;
        client.say(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
        let began = Instant::now();
        until(|| gate.doors.inside() > 0 && !fake.received.borrow().is_empty()).await;
        until(|| gate.doors.inside() == 0).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(client);
        gate.still_serves().await;
    });
}

#[test]
fn slow_clients_leave_the_others_alone() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut slow = Vec::new();
        for _ in 0..300 {
            let mut client = gate.client().await;
            client.say("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
            slow.push(client);
        }
        let began = Instant::now();
        for _ in 0..20 {
            gate.still_serves().await;
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(gate.doors.inside() >= 300);
    });
}

#[test]
fn the_newest_connection_past_the_bound_is_closed_at_once() {
    run(async {
        let fake = echo().await;
        let bounds = Bounds { connections_per_address: 3, ..Bounds::default() };
        let gate = start(Plan { bounds, ..plan(&[fake.address]) });
        let mut inside = Vec::new();
        for _ in 0..3 {
            let mut client = gate.client().await;
            assert_eq!(client.ask(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await.status, 200);
            inside.push(client);
        }
        assert!(gate.client().await.closed().await);
        for client in &mut inside {
            assert_eq!(client.ask(format!("GET /again HTTP/1.1\r\n{HOST}\r\n")).await.status, 200);
        }
        assert_eq!(gate.doors.turned(), 1);
    });
}

#[test]
fn a_body_past_its_bound_is_413() {
    run(async {
        let fake = echo().await;
        let bounds = Bounds { body_bytes: 1000, ..Bounds::default() };
        let gate = start(Plan { bounds, ..plan(&[fake.address]) });
        let mut client = gate.client().await;
        let chunk = format!("400\r\n{}\r\n", "a".repeat(0x400));
        let head = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n");
        assert_eq!(client.ask(format!("{head}{chunk}")).await.status, 413);
        gate.still_serves().await;
    });
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let body = vec![b'a'; 100_000];
        for head in [
            // Refused for its host, its length or its syntax; the answer comes before the body.
            format!("POST / HTTP/1.1\r\n{HOST}{HOST}Content-Length: 100000\r\n\r\n"),
            format!("POST / HTTP/1.1\r\n{HOST}{HOST}Transfer-Encoding: chunked\r\n\r\n"),
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 1x\r\n\r\n"),
        ] {
            let mut client = gate.client().await;
            client.say(&head).await;
            // The answer is there, unread, and the gateway has shut its side.
            client.stream.peek(&mut [0; 1]).await.expect("an answer");
            for part in body.chunks(10_000) {
                tokio::task::yield_now().await;
                assert!(client.try_say(part).await, "reset while sending after {head:?}");
            }
            assert_eq!(client.hear().await.expect("an answer").status, 400, "{head:?}");
            let end = client.stream.read(&mut [0; 1]).await;
            assert_eq!(end.expect("an orderly end"), 0, "{head:?}");
        }
        gate.still_serves().await;
    });
}

#[test]
fn a_client_that_never_stops_sending_is_heard_out_for_a_little_while_only() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let head = format!("POST / HTTP/1.1\r\n{HOST}{HOST}Content-Length: 100000000\r\n\r\n");
        let mut client = gate.client().await;
        client.say(&head).await;
        let mut sent = 0;
        while client.try_say([b'a'; 10_000]).await {
            sent += 10_000;
            assert!(sent < 50_000_000, "heard out for ever");
        }
        // And one that neither sends nor leaves.
        let mut client = gate.client().await;
        assert_eq!(client.ask(&head).await.status, 400);
        assert!(client.closed().await);
        until(|| gate.doors.inside() == 0).await;
        gate.still_serves().await;
    });
}

#[test]
fn a_panic_costs_its_own_request_only() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut other = gate.client().await;
        other.say("GET /other HTTP/1.1\r\n").await;
        let mut client = gate.client().await;
        assert_eq!(client.ask(format!("GET /panic HTTP/1.1\r\n{HOST}\r\n")).await.status, 500);
        assert_eq!(client.ask(format!("GET /next HTTP/1.1\r\n{HOST}\r\n")).await.text(), "GET /next");
        other.say(format!("{HOST}\r\n")).await;
        assert_eq!(other.hear().await.expect("an answer").text(), "GET /other");
    });
}

#[test]
fn draining_finishes_what_was_asked_and_takes_what_was_queued() {
    run(async {
        let late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        let fake = scripted(vec![vec![Step::Read, write(late), Step::Hang]]).await;
        let bounds = Bounds { drain: Duration::from_millis(300), ..Bounds::default() };
        let gate = start(Plan { bounds, ..plan(&[fake.address]) });
        let mut idle = gate.client().await;
        let mut busy = gate.client().await;
        busy.say(format!("GET /busy HTTP/1.1\r\n{HOST}\r\n")).await;
        while fake.received.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(idle.ask(format!("GET /idle HTTP/1.1\r\n{HOST}\r\n")).await.status, 200);
        // Queued by the kernel: connected and asked, while the gateway has had no turn to accept.
        let address = gate.address;
        let queued = std::thread::scope(|threads| {
            let connect = || {
                use std::io::Write;
                let mut stream = std::net::TcpStream::connect(address).expect("connects");
                stream.write_all(format!("GET /queued HTTP/1.1\r\n{HOST}\r\n").as_bytes()).expect("written");
                stream
            };
            #[allow(clippy::disallowed_methods)]
            threads.spawn(connect).join().expect("joined")
        });
        gate.begin_stop();
        queued.set_nonblocking(true).expect("set");
        let mut queued = Client::over(TcpStream::from_std(queued).expect("a stream"));
        let answer = queued.hear().await.expect("an answer");
        assert_eq!(answer.text(), "GET /queued");
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(queued.closed().await);
        assert!(idle.closed().await);
        let drained = gate.ended().await;
        assert_eq!(drained.cut, 1);
        assert!(busy.hear().await.is_none_or(|answer| !answer.whole));
    });
}

#[test]
fn continue_is_said_only_when_the_body_is_wanted() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        let mut client = gate.client().await;
        client.say(format!("POST / HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")).await;
        let mut said = [0; 25];
        client.stream.read_exact(&mut said).await.expect("a word");
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.say("abc").await;
        assert_eq!(client.hear().await.expect("an answer").status, 200);
        assert_eq!(fake.received.borrow()[0].body, b"abc");
        assert!(!fake.heads()[0].to_ascii_lowercase().contains("expect"));
        // Refused without a word, the body is not read.
        let mut client = gate.client().await;
        let refused = client
            .ask(format!("POST / HTTP/1.1\r\n{HOST}{HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"))
            .await;
        assert_eq!(refused.status, 400);
        assert!(client.closed().await);
    });
}

/// Runs in a process of its own, with few descriptors: see the next test.
#[test]
#[ignore = "started by at_the_descriptor_limit_nothing_spins"]
fn with_few_descriptors() {
    run(async {
        let fake = echo().await;
        let gate = start(plan(&[fake.address]));
        gate.still_serves().await;
        // Clients take descriptors too: as many as there are.
        let mut clients = Vec::new();
        while let Ok(stream) = TcpStream::connect(gate.address).await {
            clients.push(stream);
        }
        // One more waits in the kernel's queue. Looking again and again would see this many failures within microseconds.
        let (began, before) = (Instant::now(), gate.doors.starved());
        until(|| gate.doors.starved() >= before + 4).await;
        assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
        drop(clients);
        while TcpStream::connect(gate.address).await.is_err() || gate.doors.inside() > 1 {
            tokio::task::yield_now().await;
        }
        gate.still_serves().await;
    });
}

#[test]
fn at_the_descriptor_limit_nothing_spins_and_service_comes_back() {
    let own = std::env::current_exe().expect("a path");
    // The shell's own limit: every system has one, so that this test never passes by doing nothing.
    let child = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" --exact listen::with_few_descriptors --ignored"])
        .arg(own)
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn a_connection_that_rested_goes_on_where_it_was() {
    run(async {
        let fake = echo().await;
        let bounds = Bounds { rest: Duration::from_millis(20), ..Bounds::default() };
        let gate = start(Plan { bounds, ..plan(&[fake.address]) });
        let mut client = gate.client().await;
        for n in 0..2 {
            assert_eq!(client.ask(format!("GET /{n} HTTP/1.1\r\n{HOST}\r\n")).await.text(), format!("GET /{n}"));
            until(|| gate.doors.resting() == 1).await;
        }
        // Half a head that came with the request before it is not lost.
        client.say(format!("GET /2 HTTP/1.1\r\n{HOST}\r\nGET /3 HT")).await;
        assert_eq!(client.hear().await.expect("an answer").text(), "GET /2");
        client.say(format!("TP/1.1\r\n{HOST}\r\n")).await;
        assert_eq!(client.hear().await.expect("an answer").text(), "GET /3");
        until(|| gate.doors.resting() == 1).await;
        assert_eq!(gate.stop().await.cut, 0);
        assert!(client.closed().await);
    });
}
