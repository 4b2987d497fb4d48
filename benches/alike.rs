//! Whether the time of an answer tells that an account exists: wrong passwords and forgotten passwords for customers of some days, and
//! for accounts that nobody has, one after the other through the whole of Weir with the shipped rules. The application behind it
//! answers both alike, so that what is left is Weir's own.
//!
//! For each it prints the medians, and the share of pairs in which the answer for the existing account took longer (0.5: nobody can
//! tell). Answers that Weir makes itself are told apart from those of the application.
//!
//! Usage: `cargo bench --bench alike`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a bench stops by panicking")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use weir::app::{Options, Weir};
use weir::clock::{Clock, Moment};
use weir::demo::rules::SHIPPED;
use weir::rules::ruleset::Server;
use weir::settings::Listener;
use weir::telemetry::lines::Destination;

/// Accounts of each kind.
const ACCOUNTS: u32 = 2_000;
/// Days on which the customers have signed in.
const DAYS: u32 = 4;

/// An application that knows `password=right` and says the same to everything else. Ends with the process.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut next = 0_u64;
                while let Some(request) = message(&mut stream) {
                    next += 1;
                    let answer = match () {
                        () if request.starts_with("GET") => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
                        () if request.contains("password=right") => format!(
                            "HTTP/1.1 303 See Other\r\nset-cookie: sid={next}; Path=/\r\ncontent-length: 0\r\n\r\n"
                        ),
                        () if request.starts_with("POST /login") => {
                            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 6\r\n\r\nWrong.".to_owned()
                        }
                        () => "HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\n\r\nMaybe.".to_owned(),
                    };
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    address
}

/// One whole message with a content length, or nothing at the end of the connection.
fn message(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let more = stream.read(&mut piece).ok().filter(|more| *more > 0)?;
        all.extend_from_slice(&piece[..more]);
        let Some(head) = all.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&all).into_owned();
        let length = text[..head].lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        if all.len() >= head + 4 + length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// Sends one form and gives the status and how long its answer took.
fn post(stream: &mut TcpStream, path: &str, from: u32, body: &str) -> (String, Duration) {
    let [a, b, c, d] = (0x0b00_0000 + from * 259).to_be_bytes();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-for: {a}.{b}.{c}.{d}\r\naccept: application/json\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let answer = message(stream).unwrap();
    (answer[9..12].to_owned(), begun.elapsed())
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// The share of all pairs in which the first took longer.
fn longer(first: &[Duration], second: &[Duration]) -> f64 {
    let mut second = second.to_vec();
    second.sort_unstable();
    let below = |one: &Duration| {
        let (less, up_to) = (second.partition_point(|other| other < one), second.partition_point(|other| other <= one));
        (less + up_to) as f64 / 2.0
    };
    first.iter().map(below).sum::<f64>() / (first.len() * second.len()) as f64
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    let rules = home.path().join("rules");
    weir::demo::rules::write(&rules).unwrap();
    std::fs::remove_file(rules.join("gateway.toml")).unwrap();
    // What arms itself in the middle would make two measurements of one.
    std::fs::remove_dir_all(rules.join("playbooks")).unwrap();
    let (_, identity) = SHIPPED.iter().find(|(name, _)| *name == "identity.toml").unwrap();
    let identity = identity.replace("trusted_proxies = []", "trusted_proxies = [\"127.0.0.0/8\"]");
    std::fs::write(rules.join("identity.toml"), identity).unwrap();
    let (clock, hand) = Clock::manual(Moment::from_unix_seconds(1_793_620_800));
    let weir = Weir::start(Options {
        rules,
        listeners: Some(vec![Listener {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            proxy_protocol: Vec::new(),
        }]),
        admin: None,
        data: Some(home.path().join("data")),
        workers: Some(1),
        servers: Some(vec![Server { tls: false, host: "127.0.0.1".into(), port: upstream().port() }]),
        decisions: Some(Destination::File(home.path().join("lines"))),
        clock,
        unlisted: true,
    })
    .unwrap_or_else(|error| panic!("{error}"));
    let mut stream = TcpStream::connect(weir.addresses[0]).unwrap();
    stream.set_nodelay(true).unwrap();
    for _ in 0..DAYS {
        for n in 0..ACCOUNTS {
            let (status, _) = post(&mut stream, "/login", n, &format!("email=customer{n}@example.test&password=right"));
            assert_eq!(status, "303");
        }
        hand.advance(Duration::from_secs(86_400));
    }
    type Times = BTreeMap<(&'static str, String), Vec<Duration>>;
    let mut taken: [Times; 2] = Default::default();
    for n in 0..ACCOUNTS {
        // The order of the two changes, so that neither always comes first.
        for which in if n % 2 == 0 { [0, 1] } else { [1, 0] } {
            let account = ["customer", "nobodies"][which];
            let from = 100_000 + 2 * n + which as u32;
            for (path, more) in [("/login", "&password=wrong"), ("/password/reset", "")] {
                let (status, time) = post(&mut stream, path, from, &format!("email={account}{n}@example.test{more}"));
                taken[which].entry((path, status)).or_default().push(time);
            }
        }
        hand.advance(Duration::from_secs(20));
    }
    println!("{:<18} {:>6} {:>8} {:>10} {:>10} {:>8}", "request", "status", "answers", "exists", "does not", "longer");
    let [exists, does_not] = &mut taken;
    for ((path, status), known) in exists {
        let Some(unknown) = does_not.get_mut(&(*path, status.clone())) else {
            println!("{path:<18} {status:>6} only for accounts that exist: {}", known.len());
            continue;
        };
        let share = longer(known, unknown);
        let micros = |all: &mut [Duration]| median(all).as_nanos() as f64 / 1000.0;
        let count = known.len() + unknown.len();
        println!(
            "{path:<18} {status:>6} {count:>8} {:>7.1} us {:>7.1} us {share:>8.3}",
            micros(known),
            micros(unknown)
        );
    }
    drop(stream);
    weir.stop();
}
