//! What customers' kept answers cost: handing one over on the request path, keeping it on the thread beside, finding it in memory and
//! on the disk. `cargo bench --bench snapshots`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench stops by panicking, and starts its own thread"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir::clock::Clock;
use weir::snapshots::{About, Bounds, Incoming, Kind, PageKey, Selectors, Snapshots};
use weir::subject::Names;
use weir::telemetry::Telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CUSTOMERS: usize = 10_000;
const TARGET: &str = "/account/balance";

fn incoming(all: &Snapshots, key: PageKey, clock: &Clock, body: &Bytes) -> Incoming {
    let about = About {
        host: "shop.example".into(),
        target: TARGET.into(),
        journey: "balance".into(),
        language: None,
        kind: None,
        others: Vec::new(),
        as_of: clock.now(),
        paused: Duration::ZERO,
        at_most: None,
        fields: vec![("content-type".into(), b"text/html; charset=utf-8"[..].into())],
    };
    let keep = Duration::from_secs(30 * 24 * 3600);
    Incoming { key, about, body: body.clone(), mask: Vec::new(), keep, began: all.begin() }
}

/// Median and 99th percentile.
fn show(what: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    println!("{what:<46} median {:>9.2?}   p99 {:>9.2?}", all[all.len() / 2], all[all.len() * 99 / 100]);
}

fn main() {
    let names = Names::new([7; 16]);
    let keys: Vec<PageKey> =
        (0..CUSTOMERS).map(|n| PageKey::new(names.owner(&format!("c{n}")), "shop.example", TARGET)).collect();
    let asked = Selectors { language: "en".into(), kind: Kind::Html, others: smallvec::SmallVec::new() };
    for size in [1_024, 16 * 1_024] {
        println!("{CUSTOMERS} customers, answers of {size} bytes");
        let dir = std::env::temp_dir().join(format!("weir-bench-{}-{size}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let bounds = Bounds { memory: 1 << 30, disk: 1 << 33, largest: 1 << 18 };
        let open = || {
            let (all, keeper) = Snapshots::open(&dir, Ok([7; 32]), bounds, Clock::System, Telemetry::new());
            (all, std::thread::spawn(move || keeper.run()))
        };
        let (all, thread) = open();
        let body = Bytes::from(vec![b'x'; size]);
        let (mut handed, began) = (Vec::new(), Instant::now());
        for some in keys.chunks(512) {
            for key in some {
                let one = incoming(&all, *key, &Clock::System, &body);
                let began = Instant::now();
                all.keep(black_box(one));
                handed.push(began.elapsed());
            }
            all.settle();
        }
        show("handed over, on the request path", handed);
        println!(
            "{:<46} {:>9.2?} each",
            "kept, sealed and safe, on the thread beside",
            began.elapsed() / CUSTOMERS as u32
        );
        all.settle();
        assert_eq!(all.standing().answers, CUSTOMERS as u64);
        let mut found = Vec::new();
        for n in 0..200_000 {
            let began = Instant::now();
            let key = PageKey::new(names.owner("c5"), "shop.example", TARGET);
            black_box(key);
            let page = all.remembered(&keys[n * 7919 % CUSTOMERS]).unwrap();
            black_box(page.choose("shop.example", TARGET, &asked).unwrap());
            found.push(began.elapsed());
        }
        show("found in memory, its key made", found);
        all.close();
        thread.join().unwrap();
        let (all, thread) = open();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The file is opened beside whatever is served.
        all.settle();
        let mut read = Vec::new();
        for n in 0..CUSTOMERS {
            let began = Instant::now();
            black_box(runtime.block_on(all.page(&keys[n * 7919 % CUSTOMERS])).unwrap());
            read.push(began.elapsed());
        }
        show("read from the disk after a restart", read);
        all.close();
        thread.join().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
