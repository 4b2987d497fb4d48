//! What is remembered, in bytes and nanoseconds by the number of accounts: `cargo bench --bench memory [-- MOST]`, with MOST
//! accounts at most (a million when left out; ten million take about 7 GB).
//!
//! Every size is measured in a process of its own, as resident memory before and after, the allocator's rounding included.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench stops by panicking, and starts itself"
)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use weir::clock::Moment;
use weir::confidence::{Reading, Why};
use weir::judge::history::{AccountHistory, DeviceRecord, Tried, Visit};
use weir::judge::seen::{Client, Whereabouts};
use weir::memory::{SessionFacts, Table, Worth};
use weir::subject::{Device, Network};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
const PROBES: u64 = 200_000;

fn key(number: u64) -> u64 {
    (number ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn measure<V: Copy + Default + Worth>(entries: u64, places: usize, value: impl Fn(u64) -> V) {
    let before = resident();
    let table = Table::new(places);
    let began = Instant::now();
    for number in 0..entries {
        table.put(key(number), NOW, value(number));
    }
    let filled = began.elapsed();
    let bytes = resident() - before;
    let kept = table.len() as u64;
    // Two passes: the first brings the pages and the processor's tables in.
    let probe = |change: bool| {
        let mut state = 7_u64;
        let mut all: Vec<u64> = Vec::with_capacity(PROBES as usize);
        for _ in 0..PROBES {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = key((state >> 16) % entries);
            let began = Instant::now();
            match change {
                true => drop(black_box(table.update_existing(key, |value| *value = black_box(*value)))),
                false => drop(black_box(table.read(key))),
            }
            all.push(u64::try_from(began.elapsed().as_nanos()).unwrap());
        }
        all.sort_unstable();
        [all[all.len() / 2], all[all.len() * 99 / 100]]
    };
    probe(false);
    let (read, update) = (probe(false), probe(true));
    println!(
        "{entries:>10} {kept:>10} {:>8.1} {:>7} {:>7} {:>7} {:>7} {:>7}",
        bytes as f64 / kept as f64,
        filled.as_nanos() as u64 / entries,
        read[0],
        read[1],
        update[0],
        update[1],
    );
}

fn one(what: &str, entries: u64, places: usize) {
    match what {
        "accounts" => measure(entries, places, |number| {
            let network = Network::from_bits(number / 3);
            let at = Whereabouts {
                network,
                range: network,
                provider: Reading::Unknown(Why::NotAsked),
                country: Reading::Unknown(Why::NotAsked),
                listed: Reading::Unknown(Why::NotAsked),
            };
            let visit = Visit { device: Some(Device::from_bits(number)), at, client: Client::default() };
            AccountHistory::of_a_regular(&visit, NOW)
        }),
        "buckets" => measure(entries, places, |_| Tried::default()),
        "cookies" => measure(entries, places, |_| DeviceRecord::default()),
        "sessions" => measure(entries, places, |_| SessionFacts::default()),
        other => panic!("{other}"),
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    if let (Some("one"), Some(what), Some(entries), Some(places)) =
        (first.as_deref(), arguments.next(), arguments.next(), arguments.next())
    {
        return one(&what, entries.parse().unwrap(), places.parse().unwrap());
    }
    let most: u64 = first.map_or(1_000_000, |most| most.parse().unwrap());
    let sizes = [
        ("accounts", size_of::<AccountHistory>()),
        ("buckets", size_of::<Tried>()),
        ("cookies", size_of::<DeviceRecord>()),
        ("sessions", size_of::<SessionFacts>()),
    ];
    for (what, value) in sizes {
        println!("{what}: a value of {value} bytes");
        println!("   entries       kept bytes/id  put ns    read  p99     update  p99");
        for entries in [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|entries| *entries <= most) {
            // Room to grow, and none.
            for places in [most.max(10_000) as usize, entries as usize] {
                let arguments = ["one", what, &entries.to_string(), &places.to_string()].map(str::to_owned);
                assert!(Command::new(std::env::current_exe().unwrap()).args(arguments).status().unwrap().success());
                if entries == most {
                    break;
                }
            }
        }
    }
}
