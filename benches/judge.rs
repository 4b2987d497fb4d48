//! What one whole judgement costs with the tables of a large site warm: what is remembered of everybody in the request is read, made
//! into readings, scored and held against a ladder. Every second customer has come for a month, the others came for the first time an
//! hour ago. Prints the median and the 99th percentile; the first argument that is a number says how many accounts there are (a
//! million). `MIMALLOC_ALLOW_LARGE_OS_PAGES=1` lets the tables lie on large pages, as the program may.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    dead_code,
    reason = "a bench stops by panicking, reads the clock, and uses part of the tests' law"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir::clock::Moment;
use weir::confidence::{Confidence, Reading, Why};
use weir::judge::decision::{Question, judge};
use weir::judge::history::{AccountHistory, Earned, Visit};
use weir::judge::seen::{Client, Listed, Software, Stack, Whereabouts};
use weir::judge::signals::authentication::Proof;
use weir::judge::stage::Stage;
use weir::memory::recall::Asking;
use weir::memory::{Memory, Places};
use weir::subject::{Account, Device, Network};

#[path = "../tests/it/law.rs"]
mod law;

/// As in the program: where the allocator puts a table is part of what it costs to read it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";

/// Spreads numbers over the whole word, as keyed hashes are.
const fn spread(number: u64) -> u64 {
    (number ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
}

fn visit(customer: u64, elsewhere: bool) -> Visit {
    let number = spread(if elsewhere { customer + (1 << 40) } else { customer });
    Visit {
        device: Some(Device::from_bits(number)),
        at: Whereabouts {
            network: Network::from_bits(number ^ 7),
            range: Network::from_bits(number ^ 9),
            provider: Reading::Known((number % 500) as u32),
            country: Reading::Known(*b"GB"),
            listed: Reading::Known(Listed::NOTHING),
        },
        client: Client {
            software: Reading::Known(Software::of(CHROME)),
            stack: Reading::Known(Stack::CHROMIUM),
            fingerprint: Reading::Known(number % 64),
        },
    }
}

fn main() {
    let accounts = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000_u64);
    let places = usize::try_from(accounts).unwrap() * 5 / 4;
    let memory = Memory::new(&Places {
        accounts: places,
        devices: places * 2,
        networks: places * 2,
        sessions: places,
        ..Places::default()
    });
    for customer in 0..accounts {
        let visit = visit(customer, false);
        memory.signed_in(Some(Account::from_bits(spread(customer))), &visit, false, Some(Earned::Assured), NOW);
        if customer % 2 == 1 {
            memory.accounts.put(spread(customer), NOW, AccountHistory::of_a_regular(&visit, NOW));
        }
    }
    let rules = law::law();
    let (checkout, login) = (rules.journey_named("checkout"), rules.journey_named("login"));
    let proof = Proof { level: rules.level_named("pwd").unwrap(), at: NOW, held: false, bound: false };
    let later = NOW.plus(Duration::from_secs(3600));
    println!("{accounts} accounts");
    for (name, stage, elsewhere, odd) in [
        ("a regular's request", Stage::Session, false, 1),
        ("a new customer's request", Stage::Session, false, 0),
        ("a stranger's request", Stage::Session, true, 0),
        ("a regular's attempt", Stage::Attempt, false, 1),
        ("a new customer's attempt", Stage::Attempt, false, 0),
        ("a stranger's attempt", Stage::Attempt, true, 0),
    ] {
        let mut taken = Vec::with_capacity(400_000);
        for step in 0..400_000_u64 {
            let customer = (spread(step) % accounts) & !1 | odd;
            let visit = visit(customer, elsewhere);
            let asking = Asking {
                account: Reading::Known(Account::from_bits(spread(customer))),
                device: visit.device.map_or(Reading::Unknown(Why::Missing), Reading::Known),
                at: visit.at,
                client: visit.client,
                signs_in: stage == Stage::Attempt,
                changes: true,
                proof: Reading::Known(proof),
                facts: None,
                exposure: Reading::Unknown(Why::NotAsked),
                account_breached: Reading::Unknown(Why::NotAsked),
            };
            let began = Instant::now();
            let readings = memory.readings(black_box(&asking), later);
            let journey = if stage == Stage::Attempt { login } else { checkout };
            let calm = Question::calm(&rules, &readings, later);
            let verdict = judge(&Question { journey, stage, safe_method: false, ..calm });
            assert!(black_box(verdict.scored.confidence()) >= Confidence::NONE);
            taken.push(u64::try_from(began.elapsed().as_nanos()).unwrap());
        }
        taken.sort_unstable();
        let at = |share: usize| taken[taken.len() * share / 1000] as f64 / 1000.0;
        println!("  {name}: median {:.2} us, p99 {:.2} us, p99.9 {:.2} us", at(500), at(990), at(999));
    }
}
