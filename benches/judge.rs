//! What judging one request costs: a full set of readings made from histories, scored and held against a ladder.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    reason = "a bench stops by panicking, uses part of the tests' law, and criterion writes undocumented items"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use weir::clock::Moment;
use weir::confidence::{Confidence, Reading};
use weir::judge::decision::{Outcome, Question, judge};
use weir::judge::history::{AccountHistory, BucketHistory, Observation, Shared};
use weir::judge::signals::authentication::Proof;
use weir::judge::signals::{Readings, Sighting};

use weir::memory::Table;
use weir::subject::{Device, Network};

#[path = "../tests/it/law.rs"]
mod law;

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

fn bench(c: &mut Criterion) {
    let rules = Arc::new(law::law());
    let (device, network) = (Device::from_bits(1), Network::from_bits(2));
    let mut history = AccountHistory::of_a_regular(device, network, NOW);
    let mut bucket = BucketHistory::default();
    for second in 0..20 {
        let failed = Observation::SignInFailed { device: Some(Device::from_bits(9)), network };
        let at = NOW.plus(Duration::from_secs(second));
        history.observe(failed, at);
        bucket.observe(Shared::Network, failed, at);
    }
    let session = Proof { level: rules.level_named("mfa").unwrap(), at: NOW, held: false, bound: false };
    let sighting = Sighting {
        account: Reading::Known(&history),
        device: Reading::Known(device),
        device_bucket: Some(&bucket),
        network: Reading::Known(network),
        network_bucket: Some(&bucket),
        session: Reading::Known(session),
        gap_at_sign_in: None,
    };
    let stranger = Sighting {
        device: Reading::Known(Device::from_bits(3)),
        network: Reading::Known(Network::from_bits(4)),
        ..sighting
    };
    let checkout = rules.journey_named("checkout");
    let later = NOW.plus(Duration::from_secs(3600));

    for (name, sighting) in [("judge a regular", sighting), ("judge a stranger", stranger)] {
        c.bench_function(name, |b| {
            b.iter(|| {
                let readings = Readings::of(black_box(&sighting), later);
                let verdict = judge(&Question {
                    journey: checkout,
                    safe_method: false,
                    ..Question::calm(&rules, &readings, later)
                });
                assert!(verdict.scored.confidence() >= Confidence::NONE);
                matches!(verdict.outcome, Outcome::Cleared(_))
            });
        });
    }

    let table = Table::new(1_000_000);
    for key in 0..500_000_u64 {
        table.put(key, NOW, bucket);
    }
    let mut key = 0_u64;
    c.bench_function("read a table of half a million", |b| {
        b.iter(|| {
            key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            table.read(black_box((key >> 20) % 500_000))
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
