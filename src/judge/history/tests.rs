//! Tests of [`super`]: what is learned, what is not, and what fits.

use super::*;

const START: Moment = Moment::from_unix_seconds(1_800_000_000);
const HOME: Network = Network::from_bits(100);
const AWAY: Network = Network::from_bits(200);
const LAPTOP: Device = Device::from_bits(1);
const THIEF: Device = Device::from_bits(2);

fn after(days: u64) -> Moment {
    START.plus(Duration::from_secs(days * 86_400))
}

fn sign_in(device: Device, network: Network) -> Observation {
    Observation::SignInSucceeded { device: Some(device), network, challenged: false }
}

fn settled() -> AccountHistory {
    let mut history = AccountHistory::default();
    for days in 0..5 {
        history.observe(sign_in(LAPTOP, HOME), after(days));
    }
    history
}

#[test]
fn a_first_device_and_a_first_network_mature_in_a_day() {
    let mut history = AccountHistory::default();
    history.observe(sign_in(LAPTOP, HOME), START);
    assert_eq!((history.standing(LAPTOP), history.place(HOME)), (Standing::Probation, Place::New));
    history.observe(sign_in(LAPTOP, HOME), START.plus(Duration::from_secs(23 * 3600)));
    assert_eq!(history.standing(LAPTOP), Standing::Probation);
    history.observe(sign_in(LAPTOP, HOME), after(1));
    assert_eq!(history.standing(LAPTOP), Standing::Trusted { days: 1, proved: false });
    assert_eq!(history.place(HOME), Place::Known);
}

#[test]
fn time_never_matures_a_further_device_but_a_proof_does() {
    let mut history = settled();
    for days in 10..400 {
        history.observe(sign_in(THIEF, AWAY), after(days));
        assert_eq!(history.standing(THIEF), Standing::Probation);
    }
    let proof = Observation::StepUpPassed { device: Some(THIEF), network: AWAY };
    history.observe(proof, after(401));
    assert_eq!(history.standing(THIEF), Standing::Trusted { days: 1, proved: true });
}

#[test]
fn time_matures_a_further_network_after_three_days() {
    let mut history = settled();
    history.observe(sign_in(LAPTOP, AWAY), after(10));
    history.observe(sign_in(LAPTOP, AWAY), after(12));
    assert_eq!(history.place(AWAY), Place::New);
    history.observe(sign_in(LAPTOP, AWAY), after(13));
    assert_eq!(history.place(AWAY), Place::Known);
}

#[test]
fn a_challenged_sign_in_teaches_nothing() {
    let mut history = settled();
    let before = format!("{:?}", AccountHistory { touched: 0, ..history });
    for days in 10..20 {
        let observation = Observation::SignInSucceeded { device: Some(THIEF), network: AWAY, challenged: true };
        history.observe(observation, after(days));
    }
    assert_eq!(format!("{:?}", AccountHistory { touched: 0, ..history }), before);
}

#[test]
fn one_device_and_one_network_enter_in_a_day() {
    let mut history = settled();
    for n in 10..15 {
        let proof = Observation::StepUpPassed { device: Some(Device::from_bits(n)), network: Network::from_bits(n) };
        history.observe(proof, after(30));
    }
    let trusted = (10..15).filter(|n| history.standing(Device::from_bits(*n)).is_trusted()).count();
    let known = (10..15).filter(|n| history.place(Network::from_bits(*n)) == Place::Known).count();
    assert_eq!((trusted, known), (1, 1));
}

#[test]
fn full_slots_keep_the_longest_lived() {
    let mut history = settled();
    for n in 0..50 {
        let proof =
            Observation::StepUpPassed { device: Some(Device::from_bits(1000 + n)), network: Network::from_bits(n) };
        history.observe(proof, after(10 + n));
        history.observe(Observation::StepUpPassed { device: Some(LAPTOP), network: HOME }, after(10 + n));
    }
    assert!(history.standing(LAPTOP).is_trusted());
    assert_eq!(history.place(HOME), Place::Known);
}

#[test]
fn ones_own_failures_are_not_held_against_oneself() {
    let mut history = settled();
    let failed = |device| Observation::SignInFailed { device, network: AWAY };
    for _ in 0..3 {
        history.observe(failed(Some(LAPTOP)), START);
    }
    assert_eq!(history.failed_elsewhere(Some(LAPTOP), START), 0.0);
    assert!(history.failed_elsewhere(Some(THIEF), START) > 2.9);
    history.observe(failed(None), START);
    assert!((history.failed_elsewhere(Some(LAPTOP), START) - 1.0).abs() < 0.01);
    let hour_later = START.plus(Duration::from_secs(3600));
    assert!((history.failed_elsewhere(Some(LAPTOP), hour_later) - 0.5).abs() < 0.01);
}

#[test]
fn a_clock_that_steps_back_or_stands_at_the_end_of_time_does_no_harm() {
    let mut history = settled();
    for now in [Moment::default(), Moment::from_unix_millis(u64::MAX), START] {
        history.observe(sign_in(THIEF, AWAY), now);
        history.observe(Observation::SignInFailed { device: Some(THIEF), network: AWAY }, now);
        history.observe(Observation::StepUpPassed { device: Some(THIEF), network: AWAY }, now);
        assert!(history.failed_elsewhere(None, now).is_finite());
        let _ = (history.past(now), history.idle(now));
    }
}

#[test]
fn a_bucket_counts_strangers_and_forgets_them() {
    let mut bucket = BucketHistory::default();
    for _ in 0..10 {
        bucket.observe(Shared::Network, Observation::SignInFailed { device: None, network: HOME }, START);
    }
    bucket.observe(Shared::Network, sign_in(LAPTOP, HOME), START);
    assert_eq!(bucket.first_seen(), START);
    assert!(bucket.has_succeeded());
    assert!((bucket.failed(Shared::Network, START) - 10.0).abs() < 0.01);
    assert!((bucket.failed(Shared::Network, after(1)) - 5.0).abs() < 0.01);
}
