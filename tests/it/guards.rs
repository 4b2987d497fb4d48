//! Guards on the sources of readings, and what is left of each journey when one is gone.

use proptest::prelude::*;
use weir::confidence::{Confidence, Points, Reading, Why};
use weir::judge::decision::{self, Hold, Outcome, Question, Verdict};
use weir::judge::matrix::{matrix, problems};
use weir::judge::score::{Source, score, score_without};
use weir::judge::signals::Readings;
use weir::judge::signals::network::Place;
use weir::judge::signals::session::Continuity;
use weir::judge::stage::Stage;
use weir::memory::Guards;
use weir::rules::guards::Groups;
use weir::rules::ruleset::RuleSet;
use weir::rules::signal::{Group, Weights};

use crate::judge::{NOW, any_readings, any_stage, elsewhere, proof, regular, strictness, with};
use crate::law::{law, shared};

fn frozen(rules: &RuleSet, journey: &str, stage: Stage, readings: &Readings, frozen: Groups) -> Verdict {
    let journey = rules.journey_named(journey);
    let calm = Question::calm(rules, readings, NOW);
    decision::judge(&Question { journey, stage, safe_method: false, frozen, ..calm })
}

fn groups(bits: u8) -> Groups {
    Groups::from_bits(bits)
}

#[test]
fn a_frozen_group_says_nothing_and_a_known_customer_gets_by_with_one_more_proof() {
    let rules = law();
    // A list gone wrong: everybody comes from somewhere else, and goes back and forth.
    let mut hit = with(regular(), proof(&rules, "pwd", 5));
    hit.network = Reading::Known(Place::New);
    hit.country = Reading::Known(false);
    hit.continuity = Reading::Known(Continuity { country: true, alternates: true, ..Continuity::default() });
    let (both, none) = (Groups::NONE.with(Group::Network).with(Group::Session), Groups::NONE);
    let before = frozen(&rules, "checkout", Stage::Session, &hit, none);
    let after = frozen(&rules, "checkout", Stage::Session, &hit, both);
    assert!(after.scored.confidence() > before.scored.confidence());
    assert!(after.scored.coverage() < before.scored.coverage());
    assert_eq!(after.action, "step_up", "{}", after.scored.because());
    let silent = after.scored.lines().iter().filter(|line| match line.source {
        Source::Signal(signal) => both.contain(signal.about().group),
        Source::Prior | Source::Limit(_) | Source::Ceiling => false,
    });
    let silent: Vec<_> = silent.collect();
    assert!(!silent.is_empty());
    assert!(silent.iter().all(|line| line.points == Points::ZERO && line.unknown == Some(Why::Distrusted)));
    // A customer whom it did not hit loses what it gave, and is asked as well.
    let fine = with(regular(), proof(&rules, "pwd", 5));
    assert_eq!(frozen(&rules, "checkout", Stage::Session, &fine, none).action, "allow");
    assert_eq!(frozen(&rules, "checkout", Stage::Session, &fine, both).action, "step_up");
    // The proof is enough; it is not that nothing helps.
    let proved = with(regular(), proof(&rules, "mfa", 1));
    assert_eq!(frozen(&rules, "checkout", Stage::Session, &proved, both).action, "allow");
}

#[test]
fn a_stranger_gains_nothing_by_a_source_that_is_frozen() {
    let rules = law();
    let mut thief = with(elsewhere(), proof(&rules, "pwd", 5));
    thief.country = Reading::Known(false);
    thief.account_failures = Reading::Known(5.0);
    thief.exposure = Reading::Known(weir::judge::signals::exposure::Exposure::PairLeaked);
    let before = frozen(&rules, "checkout", Stage::Session, &thief, Groups::NONE);
    let all: Groups = Group::ALL.into_iter().collect();
    let after = frozen(&rules, "checkout", Stage::Session, &thief, all);
    assert!(strictness(&after) >= strictness(&before), "{} then {}", before.action, after.action);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_frozen_never_gives_a_better_rung_than_one_more_proof_would(
        readings in any_readings(),
        stage in any_stage(),
        bits in any::<u8>(),
        journey in prop::sample::select(vec!["login", "balance", "checkout", "browse"]),
    ) {
        let rules = shared();
        let before = frozen(rules, journey, stage, &readings, Groups::NONE);
        let after = frozen(rules, journey, stage, &readings, groups(bits));
        let proof = readings.session.known().map(|proof| proof.level);
        let spared = stage == Stage::Session
            && readings.of_a_mature_customer()
            && (matches!(after.outcome, Outcome::Held(Hold::StepUp { .. })) || proof >= rules.step_up.as_ref().map(|s| s.level));
        prop_assert!(
            strictness(&after) >= strictness(&before) || spared,
            "{} then {}", before.scored.because(), after.scored.because()
        );
    }

    #[test]
    fn fifty_and_the_points_shown_are_the_score_whatever_is_frozen(
        readings in any_readings(),
        stage in any_stage(),
        bits in any::<u8>(),
    ) {
        let scored = score_without(&readings, &Weights::AS_DECLARED, stage, NOW, groups(bits));
        let shown: Points = scored.lines().iter().map(|line| line.points).sum();
        prop_assert_eq!(shown, scored.sum());
        prop_assert_eq!(Confidence::from_evidence(shown), scored.confidence());
        let whole = score(&readings, &Weights::AS_DECLARED, stage, NOW);
        prop_assert!(scored.coverage() <= whole.coverage());
    }

    #[test]
    fn only_customers_who_have_long_been_known_are_counted(readings in any_readings(), stage in any_stage()) {
        let verdict = frozen(shared(), "checkout", stage, &readings, Groups::NONE);
        prop_assert_eq!(verdict.toll.is_some(), readings.of_a_mature_customer());
        // A guess is nobody's whom it could be counted of.
        if let Some(toll) = verdict.toll {
            prop_assert!(toll.points[Group::Pressure as usize] >= 0);
        }
    }
}

#[test]
fn what_workers_count_freezes_the_next_request_and_strangers_count_for_nothing() {
    let rules = law();
    let guards = Guards::default();
    let law = rules.guards;
    let mut now = NOW;
    let mut minutes = |count: u32, readings: &Readings| {
        let mut changes = Vec::new();
        for _ in 0..count {
            for worker in 0..40 {
                let verdict = frozen(&rules, "checkout", Stage::Session, readings, guards.frozen());
                verdict.toll.iter().for_each(|toll| guards.count(worker, toll));
            }
            now = now.plus(std::time::Duration::from_secs(60));
            changes.extend(guards.look(&law, now));
        }
        changes
    };
    let usual = with(regular(), proof(&rules, "pwd", 5));
    let mut abroad = usual;
    abroad.network = Reading::Known(Place::New);
    abroad.country = Reading::Known(false);
    assert_eq!(minutes(20, &usual), []);
    assert_eq!(minutes(20, &with(elsewhere(), proof(&rules, "pwd", 5))), [], "strangers cannot freeze anything");
    minutes(20, &usual);
    let changes = minutes(20, &abroad);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(guards.frozen().iter().collect::<Vec<_>>(), [Group::Network]);
    // It is watched while it is not believed, and comes back by itself.
    assert_eq!(minutes(40, &usual).len(), 1);
    assert!(guards.frozen().is_empty());
}

#[test]
fn the_loss_of_a_source_gives_nobody_more_on_any_journey() {
    let rules = law();
    let rows = matrix(&rules);
    assert_eq!(rows.len(), 2 * rules.journeys.len());
    assert!(problems(&rows).is_empty());
    let checkout = rows.iter().find(|row| row.journey == "checkout" && row.who == "regular").unwrap();
    assert_eq!(checkout.as_it_is, "allow");
    let without = |name: &str| checkout.without.iter().find(|cell| cell.source == name).unwrap();
    assert_eq!((without("device").comes_out, without("device").used), ("step_up", true));
    assert!(!without("redis").used, "every process keeps its own state");
}
