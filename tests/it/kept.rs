//! The room that keeps customers' answers, by itself: over restarts, in its bounds, and with every fault that a disk or a key can have.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use weir::clock::{Clock, Hand};
use weir::snapshots::{About, Began, Bounds, FILE, Incoming, Kind, PageKey, Selectors, Snapshot, Snapshots};
use weir::subject::Names;
use weir::telemetry::Telemetry;

use crate::support::NOON;
use crate::support::program::{GATEWAY, Terminal};
use crate::support::upstream::Upstream;

const KEY: [u8; 32] = [7; 32];
const BOUNDS: Bounds = Bounds { memory: 1 << 20, disk: 1 << 24, largest: 64 * 1024 };
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A keeper at work in a directory.
struct Shelf {
    all: Snapshots,
    hand: Hand,
    names: Names,
    telemetry: Telemetry,
    thread: Option<JoinHandle<()>>,
}

impl Shelf {
    fn open(dir: &Path) -> Self {
        Self::with(dir, Ok(KEY), BOUNDS)
    }

    fn with(dir: &Path, key: Result<[u8; 32], String>, bounds: Bounds) -> Self {
        let (clock, hand) = Clock::manual(NOON);
        let telemetry = Telemetry::new();
        let (all, keeper) = Snapshots::open(dir, key, bounds, clock, telemetry.clone());
        let thread = std::thread::spawn(move || keeper.run());
        all.settle();
        Self { all, hand, names: Names::new([3; 16]), telemetry, thread: Some(thread) }
    }

    fn key(&self, name: &str, target: &str) -> PageKey {
        PageKey::new(self.names.owner(name), "shop.example", target)
    }

    fn incoming(&self, name: &str, target: &str, body: impl Into<Bytes>, began: Began) -> Incoming {
        let about = About {
            host: "shop.example".into(),
            target: target.into(),
            journey: "balance".into(),
            language: None,
            kind: None,
            others: Vec::new(),
            as_of: NOON,
            paused: Duration::ZERO,
            at_most: None,
            fields: vec![("content-type".into(), b"text/plain"[..].into())],
        };
        Incoming { key: self.key(name, target), about, body: body.into(), mask: Vec::new(), keep: 30 * DAY, began }
    }

    fn keep(&self, name: &str, target: &str, body: impl Into<Bytes>) -> Result<(), &'static str> {
        self.all.keep_safe(self.incoming(name, target, body, self.all.begin())).recv().unwrap()
    }

    async fn find(&self, name: &str, target: &str) -> Option<Arc<Snapshot>> {
        let page = self.all.page(&self.key(name, target)).await?;
        let asked = Selectors { language: "en".into(), kind: Kind::Html, others: Default::default() };
        page.choose("shop.example", target, &asked)
    }

    fn metric(&self, line: &str) -> bool {
        self.telemetry.text().lines().any(|known| known == line)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.all.close();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn body(found: &Option<Arc<Snapshot>>) -> Option<&[u8]> {
    found.as_ref().map(|found| &found.body[..])
}

#[tokio::test]
async fn what_was_kept_outlives_the_process_and_a_lost_key_makes_it_unreadable_and_never_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    shelf.keep("ada", "/balance", "twelve pounds").unwrap();
    shelf.keep("bob", "/balance", "thirteen pounds").unwrap();
    drop(shelf);
    let raw = fs::read(dir.path().join(FILE)).unwrap();
    for secret in [&b"twelve pounds"[..], b"/balance", b"shop.example"] {
        assert!(!raw.windows(secret.len()).any(|window| window == secret), "sealed");
    }
    let shelf = Shelf::open(dir.path());
    assert_eq!(shelf.all.standing().answers, 2);
    assert_eq!(body(&shelf.find("ada", "/balance").await), Some(&b"twelve pounds"[..]));
    assert_eq!(body(&shelf.find("Ada", "/balance").await), None);
    drop(shelf);
    let shelf = Shelf::with(dir.path(), Ok([8; 32]), BOUNDS);
    assert_eq!(body(&shelf.find("ada", "/balance").await), None);
    shelf.keep("ada", "/balance", "fourteen pounds").unwrap();
    assert_eq!(body(&shelf.find("ada", "/balance").await), Some(&b"fourteen pounds"[..]));
    drop(shelf);
    let shelf = Shelf::with(dir.path(), Err("snapshots.key can be read by others".to_owned()), BOUNDS);
    assert_eq!(body(&shelf.find("ada", "/balance").await), None);
    assert_eq!(shelf.keep("ada", "/x", "y"), Err("off"));
    let standing = shelf.all.standing();
    assert!(!standing.on && standing.trouble.is_some() && shelf.metric("weir_disk_ok{what=\"snapshots\"} 0"));
}

#[tokio::test]
async fn a_file_that_is_damaged_is_refused_or_shows_what_is_right_and_never_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    for n in 0..20 {
        shelf.keep(&format!("c{n}"), "/balance", format!("own {n} {}", "x".repeat(500))).unwrap();
    }
    drop(shelf);
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    for at in (0..60).map(|n| n * whole.len() / 60 + n * 7 % 61) {
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(at).take(9) {
            *byte = byte.wrapping_add(0x55);
        }
        fs::write(&path, &damaged).unwrap();
        let shelf = Shelf::open(dir.path());
        for n in 0..20 {
            let own = format!("own {n} ");
            let found = shelf.find(&format!("c{n}"), "/balance").await;
            assert!(found.is_none_or(|found| found.body.starts_with(own.as_bytes())), "{at}");
        }
    }
    fs::write(&path, b"this is no database, whatever it is called").unwrap();
    let shelf = Shelf::open(dir.path());
    assert!(!shelf.all.on() && shelf.all.standing().trouble.unwrap().contains("snapshots.redb"));
    assert_eq!(shelf.keep("ada", "/balance", "x"), Err("off"));
    assert_eq!(fs::read(&path).unwrap().len(), 42, "it stays as it is, for whoever looks into it");
}

#[tokio::test]
async fn a_full_disk_takes_no_more_and_says_so_and_what_is_void_stays_void() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join(FILE)).unwrap();
    let shelf = Shelf::open(dir.path());
    assert_eq!(shelf.keep("ada", "/balance", "x"), Err("disk"));
    let standing = shelf.all.standing();
    assert!(standing.on && standing.trouble.is_some(), "{standing:?}");
    assert!(shelf.metric("weir_disk_ok{what=\"snapshots\"} 0"));
    assert!(shelf.all.erase(shelf.names.account("ada")).is_err(), "nobody is told that it is erased");
}

#[tokio::test]
async fn an_account_that_is_erased_or_voided_leaves_nothing_and_the_others_everything() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    for name in ["ada", "Ada", "bob"] {
        for target in ["/balance", "/orders/1"] {
            shelf.keep(name, target, format!("{name} {target}")).unwrap();
        }
    }
    assert_eq!(shelf.all.access(shelf.names.account("ADA")).unwrap().len(), 4);
    // Asked for before it was void, and answered after.
    let began = shelf.all.begin();
    assert_eq!(shelf.all.erase(shelf.names.account("ada")).unwrap(), 4, "every spelling of the name");
    let late = shelf.incoming("ada", "/balance", "old", began);
    assert_eq!(shelf.all.keep_safe(late).recv().unwrap(), Err("revoked"));
    shelf.all.void_page(&shelf.key("bob", "/orders/1"));
    for _ in 0..2 {
        assert_eq!(body(&shelf.find("ada", "/balance").await), None);
        assert_eq!(body(&shelf.find("bob", "/orders/1").await), None);
        assert_eq!(body(&shelf.find("bob", "/balance").await), Some(&b"bob /balance"[..]));
        shelf.all.settle();
    }
    drop(shelf);
    let shelf = Shelf::open(dir.path());
    assert_eq!(shelf.all.standing().answers, 1);
    assert_eq!(body(&shelf.find("ada", "/balance").await), None);
    shelf.keep("ada", "/balance", "new").unwrap();
    assert_eq!(body(&shelf.find("ada", "/balance").await), Some(&b"new"[..]));
}

#[tokio::test]
async fn bytes_are_bounded_what_was_kept_first_goes_and_nobody_takes_more_than_a_share() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::with(dir.path(), Ok(KEY), Bounds { memory: 65_536, disk: 65_536, largest: 8_192 });
    let all: Vec<_> = (0..200)
        .map(|n| {
            let own = shelf.incoming(&format!("c{n}"), "/balance", vec![b'x'; 1_000], shelf.all.begin());
            shelf.all.keep_safe(own)
        })
        .collect();
    assert!(all.iter().all(|safe| safe.recv().unwrap().is_ok()));
    let standing = shelf.all.standing();
    assert!(standing.bytes <= 65_536 && standing.answers > 40 && standing.memory <= 65_536, "{standing:?}");
    assert_eq!(shelf.keep("ada", "/x", vec![b'x'; 8_193]), Err("large"));
    drop(shelf);
    let shelf = Shelf::open(dir.path());
    assert!(shelf.find("c0", "/balance").await.is_none() && shelf.find("c199", "/balance").await.is_some());

    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    shelf.keep("bob", "/balance", "his").unwrap();
    for n in 0..100 {
        shelf.keep("eve", &format!("/balance?n={n}"), "hers").unwrap();
    }
    assert_eq!(shelf.all.standing().answers, 65);
    drop(shelf);
    let shelf = Shelf::open(dir.path());
    assert!(shelf.find("bob", "/balance").await.is_some() && shelf.find("eve", "/balance?n=99").await.is_some());
    assert!(shelf.find("eve", "/balance?n=0").await.is_none());
}

#[tokio::test]
async fn what_is_too_old_is_swept_and_not_while_its_journey_is_contained() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    shelf.keep("ada", "/balance", "x").unwrap();
    let look = |days: u32, contained| {
        let look = || shelf.all.look(&[("balance", 30 * DAY, contained)], Clock::Manual(shelf.hand.clone()).now());
        shelf.hand.advance(DAY * days);
        look();
        // Nothing is removed by a clock that has just leapt.
        shelf.all.settle();
        let before = shelf.all.standing().answers;
        assert_eq!(before, 1, "after {days} days");
        shelf.hand.advance(Duration::from_secs(600));
        look();
        shelf.all.settle();
        shelf.all.standing().answers
    };
    assert_eq!(look(0, true), 1);
    assert_eq!((look(40, true), look(0, false)), (1, 1), "forty days, all of them contained");
    assert_eq!((look(29, false), look(0, false)), (1, 1));
    assert_eq!(look(2, false), 0);
}

#[tokio::test]
async fn an_older_answer_never_takes_the_place_of_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    shelf.keep("ada", "/balance", "new").unwrap();
    let mut old = shelf.incoming("ada", "/balance", "old", shelf.all.begin());
    old.about.as_of = weir::clock::Moment::from_unix_seconds(NOON.unix_seconds() - 60);
    assert_eq!(shelf.all.keep_safe(old).recv().unwrap(), Err("older"));
    assert_eq!(body(&shelf.find("ada", "/balance").await), Some(&b"new"[..]));
}

#[tokio::test]
async fn what_was_kept_while_the_clock_was_ahead_gives_way_to_what_is_true_now() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { disk: 10_000, ..BOUNDS };
    let keep = |shelf: &Shelf, name: &str, ahead: Duration| {
        let mut incoming =
            shelf.incoming(name, "/balance", format!("{ahead:?}{}", "x".repeat(1_000)), shelf.all.begin());
        incoming.about.as_of = NOON.plus(ahead);
        shelf.all.keep_safe(incoming).recv().unwrap()
    };
    let shelf = Shelf::with(dir.path(), Ok(KEY), bounds);
    shelf.hand.advance(DAY);
    for n in 0..5 {
        keep(&shelf, &format!("c{n}"), DAY).unwrap();
    }
    drop(shelf);
    let shelf = Shelf::with(dir.path(), Ok(KEY), bounds);
    assert_eq!(keep(&shelf, "c0", Duration::ZERO), Ok(()), "a moment that has not come is newer than nothing");
    assert!(body(&shelf.find("c0", "/balance").await).unwrap().starts_with(b"0ns"));
    for n in 10..16 {
        keep(&shelf, &format!("c{n}"), Duration::ZERO).unwrap();
    }
    assert!(shelf.all.standing().bytes < bounds.disk);
    drop(shelf);
    let shelf = Shelf::with(dir.path(), Ok(KEY), bounds);
    for name in ["c13", "c14", "c15"] {
        assert!(shelf.find(name, "/balance").await.is_some(), "what comes after is not the first to go: {name}");
    }
}

#[tokio::test]
async fn what_is_voided_together_with_what_is_kept_next_does_not_come_back_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path());
    let incoming = |shelf: &Shelf, language: &str| {
        let mut incoming = shelf.incoming("ada", "/balance", language.to_owned(), shelf.all.begin());
        incoming.about.language = Some(language.into());
        incoming
    };
    shelf.all.keep_safe(incoming(&shelf, "en")).recv().unwrap().unwrap();
    shelf.all.keep_safe(incoming(&shelf, "de")).recv().unwrap().unwrap();
    let clock = Clock::Manual(shelf.hand.clone());
    drop(shelf);
    // Both wait before the thread takes them up, and are done in one batch.
    let (all, keeper) = Snapshots::open(dir.path(), Ok(KEY), BOUNDS, clock.clone(), Telemetry::new());
    let (_, hand) = Clock::manual(NOON);
    let mut shelf = Shelf { all, hand, names: Names::new([3; 16]), telemetry: Telemetry::new(), thread: None };
    shelf.all.void_page(&shelf.key("ada", "/balance"));
    let safe = shelf.all.keep_safe(incoming(&shelf, "de"));
    shelf.thread = Some(std::thread::spawn(move || keeper.run()));
    safe.recv().unwrap().unwrap();
    assert!(shelf.find("ada", "/balance").await.is_none(), "the one in English is void");
}

const LAW: &str = r#"
[journeys.balance]
routes = ["GET /balance", "GET /orders/{id}"]
ladder = [{ at = 40, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "handoff"
snapshot = { mask = ["/card"] }
"#;

/// A shop's rules, and answers to import: from one number up to another.
fn ready(terminal: &Terminal, upstream: &Upstream) {
    terminal.ground(upstream, &[("journeys.toml", LAW)], GATEWAY);
}

fn lines(from: usize, to: usize) -> String {
    let line = |n| {
        format!(
            "{{\"subject\":\"c{n}\",\"host\":\"shop.example\",\"target\":\"/orders/{n}?a=b\",\"content_type\":\"application/json\",\
             \"as_of\":\"2026-11-20T12:00:00Z\",\"body\":{{\"card\":\"4111\",\"n\":{n},\"rest\":\"{}\"}}}}\n",
            "x".repeat(900)
        )
    };
    (from..to).map(line).collect()
}

#[test]
fn a_disk_that_fills_up_in_the_middle_is_said_loudly_and_touches_nothing_else_and_what_was_acknowledged_outlives_it() {
    let upstream = Upstream::shop();
    let terminal = Terminal::new();
    ready(&terminal, &upstream);
    terminal.write("first.jsonl", &lines(0, 300));
    terminal.write("more.jsonl", &lines(300, 2_000));
    let standing = || -> serde_json::Value {
        let said = terminal.run(&["snapshots", "--json"]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
    };
    let mut weir = terminal.start_limited(&["run", "--log", "info"]);
    let address = weir.hear("listening").rsplit_once("address=").unwrap().1.trim().to_owned();
    weir.hear("in force");
    assert_eq!(terminal.run(&["snapshots", "import", "first.jsonl"]).out, "300 of 300 answers are kept.\n");
    let size = fs::metadata(terminal.path("data").join(FILE)).unwrap().len();
    weir.limit(size + 3 * 1024 * 1024);
    let said = terminal.run(&["snapshots", "import", "more.jsonl", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    let more = told["kept"].as_u64().unwrap();
    assert!(more < 1_700 && told["because"].to_string().contains("the data directory refuses"), "{told}");
    weir.hear("the data directory refuses");
    let trouble = standing()["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("File too large"), "{trouble}");
    // Nothing else is any different: requests, the control socket, the law, and arming.
    assert_eq!(terminal.get(&format!("http://{address}/anything")), (200, "GET /anything".to_owned()));
    assert!(terminal.run(&["status"]).out.contains("NOT KEPT"));
    terminal
        .write("rules/more.toml", "[journeys.faq]\nroutes = [\"GET /faq\"]\nladder = [{ at = 0, do = \"allow\" }]\n");
    weir.hear("in force");
    assert_eq!(terminal.get(&format!("http://{address}/faq")).0, 200);
    weir.signal("KILL");
    weir.end();

    let mut weir = terminal.start(&["run", "--log", "info"]);
    weir.hear("in force");
    let (mut kept, mut looks) = (0, 0);
    while kept < 300 + more && looks < 1_000 {
        (kept, looks) = (standing()["answers"].as_u64().unwrap(), looks + 1);
    }
    assert!(kept >= 300 + more, "{kept} of {more} and 300");
    assert!(standing()["trouble"].is_null(), "{}", standing());
    for n in [0, 299] {
        assert!(terminal.run(&["access", &format!("c{n}"), "--json"]).out.contains(&format!("/orders/{n}?a=b")));
    }
    let said = terminal.run(&["snapshots", "import", "more.jsonl"]);
    assert_eq!(said.out, "1700 of 1700 answers are kept.\n", "{said:?}");
    assert_eq!(standing()["answers"], 2_000);
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_in_the_middle_of_more() {
    let upstream = Upstream::shop();
    let terminal = Terminal::new();
    ready(&terminal, &upstream);
    terminal.write("first.jsonl", &lines(0, 300));
    terminal.write("more.jsonl", &lines(300, 4_000));
    let start = || {
        let mut weir = terminal.start(&["run", "--log", "info"]);
        weir.hear("in force");
        weir
    };
    let kept = || -> u64 {
        let said = terminal.run(&["snapshots", "--json"]);
        let document: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        assert!(document["on"] == true && document["trouble"].is_null(), "{document}");
        document["answers"].as_u64().unwrap()
    };
    let weir = start();
    let said = terminal.run(&["snapshots", "import", "first.jsonl"]);
    assert_eq!(said.out, "300 of 300 answers are kept.\n", "{said:?}");
    let import = std::thread::scope(|scope| {
        let import = scope.spawn(|| terminal.run(&["snapshots", "import", "more.jsonl"]));
        while kept() < 500 {}
        weir.signal("KILL");
        import.join().unwrap()
    });
    weir.end();
    assert_ne!(import.code, Some(0), "{import:?}");
    let weir = start();
    // The file is opened beside whatever is served.
    assert!((0..1_000).any(|_| kept() >= 500), "{}", kept());
    let said = terminal.run(&["snapshots", "import", "more.jsonl"]);
    assert_eq!(said.out, "3700 of 3700 answers are kept.\n", "to import again is right: {said:?}");
    assert_eq!(kept(), 4_000);
    terminal.write("bad.jsonl", "{\"subject\":\"c1\"}\nnone\n");
    let said = terminal.run(&["snapshots", "import", "bad.jsonl", "--dry-run"]);
    assert_ne!(said.code, Some(0), "{said:?}");
    let odd = [
        lines(0, 1).replace("/orders/0", "/nothing/of/it"),
        lines(1, 2).replace("2026-11-20", "2099-01-01"),
        lines(2, 3).replace("\"subject\"", "\"who\""),
        lines(3, 4).replace("\"subject\":\"c3\"", "\"subject\":3"),
        lines(4, 5).replace("2026-11-20", "2026-11-21").replace("\"n\":4", "\"n\":1.10,\"id\":12345678901234567890123"),
    ];
    terminal.write("odd.jsonl", &odd.concat());
    let said = terminal.run(&["snapshots", "import", "odd.jsonl"]);
    for (line, why) in [
        (1, "no journey has this target"),
        (2, "as_of is in the future"),
        (3, "it is not what is expected here: unknown field `who`"),
        (4, "it is not what is expected here: invalid type: integer `3`"),
    ] {
        assert!(said.out.contains(&format!("odd.jsonl:{line}: {why}")), "{said:?}");
    }
    assert!(said.out.ends_with("1 of 5 answers are kept.\n"), "{said:?}");
    let shown = terminal.run(&["access", "c4"]).out;
    let length = r#"{"n":1.10,"id":12345678901234567890123,"rest":""}"#.len() + 900;
    let line = format!("balance: shop.example/orders/4?a=b, as of 2026-11-21T12:00:00.000Z, {length} bytes");
    assert!(shown.contains(&line), "not a digit is lost: {shown}");
    assert!(terminal.run(&["status"]).out.contains("snapshots    4000 answers"));
    assert!(terminal.run(&["erase", "c4", "--reason", "a test"]).out.contains("\n  kept answers       1\n"));
    let shown = terminal.run(&["access", "c7", "--json"]).out;
    assert!(shown.contains("\"target\": \"/orders/7?a=b\"") && !shown.contains("4111"), "{shown}");
    assert!(terminal.run(&["erase", "c7", "--reason", "a test", "--json"]).out.contains("\"snapshots\": 1"));
    assert_eq!(kept(), 3_998);
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_in_whatever_order_everybody_finds_their_own_last_answer_or_none(
        steps in prop::collection::vec((0_u8..5, 0_usize..4, 0_usize..3, any::<u16>()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(dir.path());
        let (names, targets) = (["ada", "Ada", "ada ", "bob"], ["/balance", "/balance?", "/Balance"]);
        let mut own = std::collections::HashMap::new();
        for (step, who, at, serial) in steps {
            let (name, target) = (names[who], targets[at]);
            match step {
                0 | 1 => {
                    let body = format!("{name}|{target}|{serial}");
                    shelf.keep(name, target, body.clone()).unwrap();
                    own.insert((who, at), body);
                }
                2 => {
                    let found = runtime.block_on(shelf.find(name, target));
                    prop_assert_eq!(body(&found), own.get(&(who, at)).map(String::as_bytes));
                }
                3 => {
                    shelf.all.void_account(shelf.names.account(name));
                    let same = |other: &str| other.trim().eq_ignore_ascii_case(name.trim());
                    own.retain(|(other, _), _| !same(names[*other]));
                }
                _ => {
                    drop(shelf);
                    shelf = Shelf::open(dir.path());
                }
            }
        }
    }
}
