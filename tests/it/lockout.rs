//! A guesser behind the exits that customers share must not lock them out: measured through the whole gateway with the shipped rules.

use crate::support::exits::{Size, World};

const SMALL: Size = Size { exits: 4, customers: 40, visits: 7, guesses: 400, loud: false };

#[tokio::test]
async fn a_guesser_behind_shared_exits_slows_hardly_anybody_and_nobody_on_their_own_device() {
    let outcome = World::new(SMALL).await.run().await;
    assert!(outcome.honest > 150 && outcome.own > 80, "{outcome:?}");
    assert_eq!(outcome.own_slowed, 0, "{outcome:#?}");
    assert!(outcome.slowed * 50 <= outcome.honest, "{outcome:#?}");
    assert_eq!(outcome.before_slowed, 0, "{outcome:#?}");
}

#[tokio::test]
async fn a_loud_guesser_who_uses_up_a_networks_limit_locks_nobody_out_of_their_own_device() {
    let outcome = World::new(Size { exits: 1, customers: 100, visits: 5, guesses: 1500, loud: true }).await.run().await;
    assert!(outcome.own > 50, "{outcome:#?}");
    assert!(outcome.guesses.get("429").is_some_and(|refused| *refused > 100), "the limit is used up: {outcome:#?}");
    assert_eq!(outcome.own_slowed, 0, "{outcome:#?}");
}
