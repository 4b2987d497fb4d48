//! How many honest customers a guesser slows who works through the exits that they share: forty of a carrier's and three offices,
//! four hundred guesses each within nine hours, through a whole Weir with the shipped rules. Prints who met what.
//!
//! `cargo bench --bench lockout [-- EXITS CUSTOMERS GUESSES]`: 43 exits, 60 customers behind each and 400 guesses when left out.
//! What `benches/confidence/lockout.py` asks of the score alone, this asks of scores, ladders and limits together, and after the
//! answer too. It ends with 1 when more than one in fifty is slowed, or anybody on a browser of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench stops by panicking, and starts its own threads"
)]

use std::process::ExitCode;
use std::time::Instant;

#[path = "../tests/it/support/mod.rs"]
mod support;

use support::exits::{Size, World};

fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, usual| numbers.get(at).copied().unwrap_or(usual);
    let size = Size { exits: number(0, 43), customers: number(1, 60), visits: 7, guesses: number(2, 400), loud: false };
    let mut held = true;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, size) in [
        ("nobody guesses", Size { guesses: 0, ..size }),
        ("guesses for nine hours", size),
        (
            "as many within one hour, through a tenth of the exits",
            Size { exits: size.exits.div_ceil(10), guesses: size.guesses * 10, loud: true, ..size },
        ),
    ] {
        let began = Instant::now();
        let outcome = runtime.block_on(async { World::new(size).await.run().await });
        let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        println!("{name} ({} exits, {:.0} s)", size.exits, began.elapsed().as_secs_f64());
        println!("  honest visits {}, slowed {:.2} %", outcome.honest, share(outcome.slowed, outcome.honest));
        println!("  on browsers of their own {}, slowed {}", outcome.own, outcome.own_slowed);
        println!(
            "  in the weeks before {}, slowed {:.2} %",
            outcome.before,
            share(outcome.before_slowed, outcome.before)
        );
        println!("  honest visits by habit: {:?}", outcome.habits);
        println!("  what those who were slowed met: {:?}", outcome.met);
        println!("  what guesses met: {:?}", outcome.guesses);
        for line in outcome.lines.iter().take(12) {
            println!("    {line}");
        }
        held &= outcome.own_slowed == 0 && (size.loud || outcome.slowed * 50 <= outcome.honest);
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
