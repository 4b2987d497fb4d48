//! Judgement, as a customer, an operator and an attacker meet it.

use std::time::Duration;

use proptest::prelude::*;
use weir::clock::Moment;
use weir::confidence::{Confidence, Family, Points, Reading, Why};
use weir::judge::decision::{self, Hold, Lack, Outcome, Question, Verdict};
use weir::judge::history::{AccountHistory, Climate, Earned, Observation, Risk, Shared, Tried, Visit};
use weir::judge::rehearse::rehearse;
use weir::judge::score::score;
use weir::judge::seen::{Client, Listed, Whereabouts};
use weir::judge::signals::authentication::Proof;
use weir::judge::signals::client::Guise;
use weir::judge::signals::device::Standing;
use weir::judge::signals::exposure::Exposure;
use weir::judge::signals::journey::Pace;
use weir::judge::signals::network::{Marks, Place, Season};
use weir::judge::signals::pressure::Guessing;
use weir::judge::signals::session::Continuity;
use weir::judge::signals::{Buckets, Past, Readings, Sighting};
use weir::judge::stage::Stage;
use weir::rules::ruleset::{Action, JourneyId, RuleSet};
use weir::rules::signal::{Signal, Weights};
use weir::subject::{Device, Network};

use crate::law::{law, law_with, shared};

pub const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

pub fn proof(rules: &RuleSet, level: &str, minutes_ago: u64) -> Proof {
    let at = Moment::from_unix_seconds(NOW.unix_seconds() - minutes_ago * 60);
    Proof { level: rules.level_named(level).unwrap(), at, held: false, bound: false }
}

/// A regular customer on a known device and network.
pub fn regular() -> Readings {
    Readings {
        device: Reading::Known(Standing::Trusted { days: 30, proved: true }),
        network: Reading::Known(Place::Known),
        past: Reading::Known(Past {
            sign_ins: 30,
            since_last: Some(Duration::from_secs(80_000)),
            age: Duration::from_secs(40 * 86_400),
            ..Past::default()
        }),
        changed: Reading::Known(Points::ZERO),
        account_failures: Reading::Known(0.0),
        device_failures: Reading::Known(0.0),
        guessing: Reading::Known(Guessing::default()),
        session: Reading::Unknown(Why::Missing),
        ..Readings::default()
    }
}

/// Strangers' sign-ins from one address.
fn tried(failed: u32, worked: u32) -> Tried {
    let mut tried = Tried::default();
    (0..failed).for_each(|_| tried.count(false, Shared::Address.half_life(), NOW));
    (0..worked).for_each(|_| tried.count(true, Shared::Address.half_life(), NOW));
    tried
}

fn guessing(failed: u32, worked: u32) -> Guessing {
    Guessing::of(&[(Shared::Address, tried(failed, worked))], &Climate::default(), NOW)
}

/// The same account from a device and a network that it has never used.
pub fn elsewhere() -> Readings {
    Readings { device: Reading::Known(Standing::New), network: Reading::Known(Place::New), ..regular() }
}

pub fn with(readings: Readings, session: Proof) -> Readings {
    Readings { session: Reading::Known(session), ..readings }
}

fn judge(
    rules: &RuleSet,
    journey: Option<JourneyId>,
    stage: Stage,
    safe_method: bool,
    upstream_away: bool,
    readings: &Readings,
) -> Verdict {
    let calm = Question::calm(rules, readings, NOW);
    decision::judge(&Question { journey, stage, safe_method, upstream_away, ..calm })
}

fn on(rules: &RuleSet, journey: &str, safe: bool, readings: &Readings) -> Verdict {
    judge(rules, rules.journey_named(journey), Stage::Session, safe, false, readings)
}

/// How much is withheld: nothing, changing or speed, everything until a proof, everything.
pub fn strictness(verdict: &Verdict) -> u8 {
    match &verdict.outcome {
        Outcome::Cleared(clearance) => u8::from(clearance.is_for_looking()),
        Outcome::Held(Hold::Throttle(_)) => 2,
        Outcome::Held(Hold::StepUp { .. }) => 3,
        Outcome::Held(Hold::ReadOnly) => 4,
        Outcome::Held(Hold::Handoff { .. }) => 5,
        Outcome::Held(Hold::Deny { .. } | Hold::Narrowed) => 6,
    }
}

#[test]
fn a_regular_customer_checks_out_and_a_stranger_with_the_password_is_asked_for_one_more_proof() {
    let rules = law();
    let at_home = on(&rules, "checkout", false, &with(regular(), proof(&rules, "pwd", 5)));
    assert_eq!((at_home.action, at_home.reached), ("allow", Some(0)));
    let away = on(&rules, "checkout", false, &with(elsewhere(), proof(&rules, "pwd", 5)));
    assert_eq!(away.action, "step_up", "{}", away.scored.because());
}

#[test]
fn who_steps_up_gets_through_and_an_old_proof_is_asked_for_again() {
    let rules = law();
    let mut worse = with(elsewhere(), proof(&rules, "mfa", 2));
    worse.account_failures = Reading::Known(2.0);
    worse.exposure = Reading::Known(Exposure::PasswordLeaked);
    worse.guessing = Reading::Known(guessing(100, 0));
    let fresh = on(&rules, "checkout", false, &worse);
    assert_eq!((fresh.action, fresh.reached), ("allow", Some(1)), "{}", fresh.scored.because());
    worse.session = Reading::Known(proof(&rules, "mfa", 11));
    let old = on(&rules, "checkout", false, &worse);
    assert!(matches!(old.outcome, Outcome::Held(Hold::StepUp { lacks: Lack::Freshness, max_age: Some(_), .. })));
    worse.exposure = Reading::Known(Exposure::Nothing);
    worse.session = Reading::Known(proof(&rules, "pwd", 0));
    let weak = on(&rules, "checkout", false, &worse);
    assert!(matches!(weak.outcome, Outcome::Held(Hold::StepUp { lacks: Lack::Strength, .. })));
}

#[test]
fn what_a_journey_requires_holds_whatever_the_score() {
    let rules = law();
    let anonymous = on(&rules, "checkout", false, &regular());
    assert!(anonymous.scored.confidence() >= Confidence::line(55).unwrap());
    let Outcome::Held(Hold::StepUp { level, .. }) = anonymous.outcome else { panic!("{anonymous:?}") };
    assert_eq!(Some(level), rules.level_named("pwd"));
}

#[test]
fn a_route_that_no_journey_names_is_served() {
    let verdict = judge(&law(), None, Stage::Session, false, true, &elsewhere());
    assert_eq!((verdict.action, verdict.reached), ("allow", None));
}

#[test]
fn when_a_source_is_down_the_journey_says_what_is_done() {
    let rules = law();
    let down = Readings { session: Reading::Unknown(Why::Down), ..regular() };
    let balance = on(&rules, "balance", true, &down);
    assert_eq!(balance.action, "step_up", "{}", balance.scored.because());
    assert_eq!(balance.scored.fault(), Some((Family::Authentication, Why::Down)));
    let missing = Readings { device: Reading::Unknown(Why::Missing), ..regular() };
    assert_eq!(on(&rules, "balance", true, &missing).action, "allow");
    assert_eq!(on(&rules, "browse", true, &down).action, "allow");
}

#[test]
fn short_coverage_is_answered_like_a_fault() {
    let mut rules = law();
    for journey in &mut rules.journeys {
        journey.min_coverage = 90;
    }
    let vague = Readings { device: Reading::Unknown(Why::Ambiguous), ..with(regular(), proof(&rules, "pwd", 0)) };
    let verdict = on(&rules, "balance", true, &vague);
    assert!(verdict.scored.coverage().percent() < 90);
    assert_eq!(verdict.action, "step_up");
    let whole = with(regular(), proof(&rules, "pwd", 0));
    assert_eq!(on(&rules, "balance", true, &whole).scored.coverage().percent(), 100);
}

#[test]
fn while_the_upstream_is_away_a_contained_journey_is_for_looking() {
    let rules = law();
    let readings = with(regular(), proof(&rules, "pwd", 0));
    let away = |safe| judge(&rules, rules.journey_named("balance"), Stage::Session, safe, true, &readings);
    let looking = away(true);
    assert!(matches!(&looking.outcome, Outcome::Cleared(clearance) if clearance.is_for_looking()));
    assert_eq!(looking.action, "read_only");
    assert!(matches!(away(false).outcome, Outcome::Held(Hold::ReadOnly)));
    let checkout = judge(&rules, rules.journey_named("checkout"), Stage::Session, false, true, &readings);
    assert_eq!(checkout.action, "allow");
}

#[test]
fn containment_never_shows_what_the_ladder_holds_back() {
    let mut rules = law();
    rules.journeys[1].when_unknown = Some(Action::ReadOnly);
    let mut poor = with(elsewhere(), proof(&rules, "pwd", 0));
    poor.exposure = Reading::Known(Exposure::PairLeaked);
    poor.account_failures = Reading::Known(5.0);
    poor.past = Reading::Unknown(Why::Down);
    let away = judge(&rules, rules.journey_named("balance"), Stage::Session, true, true, &poor);
    assert_eq!((away.action, away.reached), ("step_up", Some(1)), "{}", away.scored.because());
}

#[test]
fn a_held_session_gets_nowhere_on_a_journey_before_its_proof() {
    let mut rules = law();
    let held = |rules: &RuleSet, level, held| with(regular(), Proof { held, ..proof(rules, level, 0) });
    for journey in ["login", "balance", "checkout", "browse"] {
        let verdict = on(&rules, journey, true, &held(&rules, "pwd", true));
        assert_eq!(verdict.action, "step_up", "{journey}");
        assert_eq!(on(&rules, journey, true, &held(&rules, "mfa", true)).action, "allow", "{journey}");
    }
    assert_eq!(judge(&rules, None, Stage::Session, true, false, &held(&rules, "pwd", true)).action, "allow");
    // Even when a reload has taken the step-up away.
    rules.step_up = None;
    assert_eq!(on(&rules, "browse", true, &held(&rules, "phr", true)).action, "step_up");
}

#[test]
fn an_attempt_from_a_guessing_network_is_slowed_down_and_a_trusted_device_there_is_not() {
    let rules = law();
    let guessing = guessing(60, 0);
    let attempt =
        |readings: &Readings| judge(&rules, rules.journey_named("login"), Stage::Attempt, false, false, readings);
    let stranger = Readings { guessing: Reading::Known(guessing), ..elsewhere() };
    let verdict = attempt(&stranger);
    assert_eq!(verdict.action, "throttle", "{}", verdict.scored.because());
    let Outcome::Held(Hold::Throttle(throttle)) = verdict.outcome else { panic!() };
    assert_eq!(throttle.every, Duration::from_secs(10));
    assert_eq!(throttle.in_turn().journey(), rules.journey_named("login"));
    assert_eq!(attempt(&Readings { guessing: Reading::Known(guessing), ..regular() }).action, "allow");
}

#[test]
fn guessing_alone_never_locks_a_right_password_out() {
    let rules = law();
    let mut worst = with(Readings { past: Reading::Known(Past::default()), ..elsewhere() }, proof(&rules, "pwd", 0));
    worst.account_failures = Reading::Known(1000.0);
    worst.device_failures = Reading::Known(1000.0);
    worst.guessing = Reading::Known(guessing(10_000, 0));
    worst.attack = Reading::Known(Points::whole(-10));
    assert!(score(&worst, &Weights::AS_DECLARED, Stage::Session, NOW).confidence() >= Confidence::line(40).unwrap());
}

#[test]
fn an_explanation_names_every_contribution_and_no_identifier() {
    let rules = law();
    let scored = score(&with(elsewhere(), proof(&rules, "mfa", 1)), &Weights::AS_DECLARED, Stage::Session, NOW);
    let text = scored.because().to_string();
    assert_eq!(
        text,
        "prior +6, device_unknown -14, network_new -9.6, account_failures +0, device_failures +0, network_guessing +0, \
         password_right +12, second_factor +3, recent_proof +2"
    );
    assert_eq!(scored.confidence().score(), 49);
}

/// Cases of one line each: name, request, given, expectation.
fn rehearsed(cases: &[(&str, &str, &str, &str)]) -> Vec<weir::rules::diagnostic::Diagnostic> {
    let text: String = cases
        .iter()
        .map(|(method, path, given, expect)| {
            format!(
                "[[case]]\nname = \"{path} {given}\"\nrequest = {{ method = \"{method}\", path = \"{path}\" }}\n\
                 given = {{ {} }}\nexpect = \"{expect}\"\n",
                given.replace('\'', "\"")
            )
        })
        .collect();
    rehearse(&law_with(&text))
}

#[test]
fn cases_are_judged_as_customers_are() {
    let new = "device = 'unknown', network = 'new', authenticated = 'pwd'";
    let new_proved = "device = 'unknown', network = 'new', authenticated = 'mfa'";
    let new_proved_long_ago = "device = 'unknown', network = 'new', authenticated = 'mfa', proof_age = '24h'";
    let known = "device = 'known', network = 'known', authenticated = 'pwd'";
    let guessed = "device = 'known', network = 'known', authenticated = 'pwd', network_failures = 50";
    let failures = rehearsed(&[
        ("POST", "/checkout", new, "step_up"),
        ("POST", "/checkout", new_proved, "allow"),
        ("POST", "/checkout", new_proved_long_ago, "step_up"),
        ("POST", "/checkout", known, "allow"),
        ("POST", "/checkout", "device = 'known', network = 'known', jwks_down = true", "step_up"),
        ("POST", "/checkout", "", "step_up"),
        ("POST", "/login", "", "allow"),
        ("POST", "/login", "network_failures = 50", "throttle"),
        ("POST", "/login", guessed, "allow"),
        ("POST", "/login", new, "step_up"),
        ("POST", "/login", "authenticated = 'pwd'", "allow"),
        (
            "GET",
            "/balance",
            "device = 'known', network = 'known', authenticated = 'pwd', upstream_down = true",
            "read_only",
        ),
        ("DELETE", "/balance", known, "deny"),
        ("GET", "/x/.env", known, "deny"),
        ("GET", "/nothing", "", "allow"),
    ]);
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_case_that_does_not_hold_says_what_came_of_it() {
    let new = "device = 'unknown', network = 'new', authenticated = 'pwd'";
    let failures = rehearsed(&[("POST", "/checkout", new, "allow")]);
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert!(failure.is_error());
    assert_eq!(failure.primary.as_ref().map(|(_, label)| label.as_str()), Some("expected allow, got step_up"));
    let help = failure.help.as_deref().unwrap();
    assert!(help.starts_with("what came of it: journey checkout, confidence 44 (prior +6,"), "{help}");
    assert!(help.ends_with("the proof lacks strength for mfa"), "{help}");
}

fn place(number: u64) -> Whereabouts {
    const NOT: Why = Why::NotAsked;
    Whereabouts {
        network: Network::from_bits(number),
        range: Network::from_bits(number + 1000),
        provider: Reading::Known(number as u32),
        country: Reading::Known(*b"GB"),
        listed: Reading::Unknown(NOT),
    }
}

fn visit(device: Option<Device>, number: u64) -> Visit {
    Visit { device, at: place(number), client: Client::default() }
}

fn seen<'a>(account: Reading<&'a AccountHistory>, buckets: &'a Buckets, climate: &'a Climate) -> Sighting<'a> {
    Sighting {
        account,
        device: Reading::Known(Device::from_bits(77)),
        buckets: Reading::Known(buckets),
        ..Sighting::nobody(place(88), climate)
    }
}

fn any_why() -> impl Strategy<Value = Why> {
    prop::sample::select(vec![
        Why::Missing,
        Why::NotAsked,
        Why::Ambiguous,
        Why::Stale,
        Why::Down,
        Why::Distrusted,
        Why::Proxied,
    ])
}

fn maybe<T: std::fmt::Debug + Clone>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Reading<T>> {
    prop_oneof![4 => known.prop_map(Reading::Known), 1 => any_why().prop_map(Reading::Unknown)]
}

fn any_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        (1_u16..60, any::<bool>()).prop_map(|(days, proved)| Standing::Trusted { days, proved }),
        Just(Standing::Probation),
        Just(Standing::New),
    ]
}

pub fn any_readings() -> impl Strategy<Value = Readings> {
    let rules = shared();
    let levels = ["pwd", "mfa", "phr"].map(|name| rules.level_named(name).unwrap());
    let past =
        (0_u16..60, 0_u16..60, 0_u16..60, prop::option::of(0_u64..8_000_000)).prop_map(|(one, two, three, since)| {
            Past {
                sign_ins: one.max(two).max(three),
                on_unknown_devices: two,
                on_new_networks: three,
                since_last: since.map(Duration::from_secs),
                age: Duration::from_secs(90 * 86_400),
            }
        });
    let session = (prop::sample::select(levels.to_vec()), 0_u64..100_000, prop::bool::weighted(0.1), any::<bool>())
        .prop_map(|(level, ago, held, bound)| Proof {
            level,
            at: Moment::from_unix_seconds(NOW.unix_seconds() - ago),
            held,
            bound,
        });
    let guessing = (0_u32..100, 0_u32..100).prop_map(|(failed, worked)| guessing(failed, worked));
    let exposure = prop::sample::select(vec![Exposure::Nothing, Exposure::PasswordLeaked, Exposure::PairLeaked]);
    // Nothing says more against somebody than its signal can.
    let points = |signal: Signal| (signal.about().points.as_tenths()..=0).prop_map(Points::tenths);
    let places = prop::sample::select(vec![Place::Known, Place::Near, Place::SameProvider, Place::New]);
    let guise = prop::sample::select(vec![Guise::Plain, Guise::Mismatch, Guise::Script]);
    let pace = || prop::sample::select(vec![Pace::Calm, Pace::Quick, Pace::Fast]);
    let listed = (0_u8..16, 0_u8..16)
        .prop_map(|(listed, own)| Marks { listed: Listed::from_bits(listed), own: Listed::from_bits(own) });
    let continuity = (points(Signal::SessionChanged), any::<bool>(), any::<bool>())
        .prop_map(|(changed, country, alternates)| Continuity { changed, country, alternates });
    let risk = prop::option::of((prop::sample::select(vec![Risk::Low, Risk::Medium, Risk::High]), 0_u64..1_000_000))
        .prop_map(|risk| risk.map(|(risk, ago)| (risk, Duration::from_secs(ago))));
    let compromised = prop::option::of(0_u64..5_000_000).prop_map(|ago| ago.map(Duration::from_secs));
    let device = (
        maybe(any_standing()),
        maybe(points(Signal::DeviceChanged)),
        maybe(0_u8..9),
        maybe(any::<bool>()),
        maybe(guise),
    );
    let network = (maybe(places), maybe(any::<bool>()), maybe(listed), maybe(past));
    let pressure = (maybe(0.0_f32..10.0), maybe(0.0_f32..10.0), maybe(guessing), maybe(points(Signal::AttackLevel)));
    let journey = (
        maybe(pace()),
        maybe(pace()),
        maybe(any::<bool>()),
        maybe(any::<bool>()),
        maybe(continuity),
        maybe(points(Signal::SignInDoubt)),
    );
    let ceiling = prop::option::weighted(0.2, (0_u8..100).prop_map(|at| Confidence::line(at).unwrap()));
    let rest = (maybe(session), maybe(exposure), maybe(any::<bool>()), maybe(compromised), maybe(risk), ceiling);
    (device, network, pressure, journey, rest).prop_map(|(device, network, pressure, journey, rest)| Readings {
        device: device.0,
        changed: device.1,
        accounts: device.2,
        vouched: device.3,
        guise: device.4,
        network: network.0,
        country: network.1,
        listed: network.2,
        past: network.3,
        account_failures: pressure.0,
        device_failures: pressure.1,
        guessing: pressure.2,
        attack: pressure.3,
        page: journey.0,
        pace: journey.1,
        after_change: journey.2,
        after_reset: journey.3,
        continuity: journey.4,
        doubt: journey.5,
        session: rest.0,
        exposure: rest.1,
        account_breached: rest.2,
        compromised: rest.3,
        risk: rest.4,
        season: Season::default(),
        ceiling: rest.5,
    })
}

pub fn any_stage() -> impl Strategy<Value = Stage> {
    prop_oneof![Just(Stage::Attempt), Just(Stage::Session)]
}

/// What happened to an account, and to a name that nobody owns and that was tried just as often.
fn any_history() -> impl Strategy<Value = (AccountHistory, AccountHistory)> {
    let event = (0_u8..7, 0_u64..6, 0_u64..6, 0_u64..200_000);
    // What happened within the last minutes counts most, and is what an attacker would look for.
    (prop::collection::vec(event, 0..60), 0_u64..10).prop_map(|(events, just_now)| {
        let (mut history, mut nobody) = (AccountHistory::default(), AccountHistory::default());
        let mut now = NOW.unix_seconds() - 60 * 200_000;
        for (kind, device, network, pause) in events {
            now += pause;
            let (visit, at) = (visit(Some(Device::from_bits(device)), network), Moment::from_unix_seconds(now));
            let observation = match kind {
                0 => Observation::SignInFailed(visit),
                1 => Observation::SignInSucceeded { visit, earned: Earned::Nothing },
                2 => Observation::SignInSucceeded { visit, earned: Earned::Seen },
                3 => Observation::SignInSucceeded { visit, earned: Earned::Assured },
                4 => Observation::Visited { visit, moved_with_others: false },
                5 => Observation::PasswordReset(visit),
                _ => Observation::StepUpPassed { visit, strong: kind % 2 == 0 },
            };
            history.observe(&observation, at);
            if kind == 0 {
                nobody.observe(&observation, at);
            }
        }
        for minutes in 0..just_now {
            let at = Moment::from_unix_seconds(NOW.unix_seconds() - (10 - minutes) * 60);
            for history in [&mut history, &mut nobody] {
                history.observe(&Observation::SignInFailed(visit(None, 9)), at);
            }
        }
        (history, nobody)
    })
}

/// Silences one of the readings.
fn silenced(readings: &Readings, which: usize, why: Why) -> Readings {
    macro_rules! silence {
        ($($name:ident)*) => {{
            let mut silenced = *readings;
            let mut at = 0;
            $(if at == which { silenced.$name = Reading::Unknown(why); }
            at += 1;)*
            assert_eq!(at, Readings::COUNT);
            silenced
        }};
    }
    silence!(device changed accounts vouched guise network country listed past account_failures device_failures guessing
        attack page pace after_change after_reset continuity doubt session exposure account_breached compromised risk)
}

/// The place of the session among the readings.
const SESSION: usize = 19;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn fifty_and_the_points_shown_are_the_score(readings in any_readings(), stage in any_stage()) {
        let scored = score(&readings, &Weights::AS_DECLARED, stage, NOW);
        let shown: Points = scored.lines().iter().map(|line| line.points).sum();
        prop_assert_eq!(shown, scored.sum());
        prop_assert_eq!(Confidence::from_evidence(shown), scored.confidence());
    }

    #[test]
    fn a_reading_that_a_fault_hides_never_gives_a_better_rung(
        readings in any_readings(),
        stage in any_stage(),
        safe in any::<bool>(),
        away in any::<bool>(),
        which in 0_usize..Readings::COUNT,
        why in prop::sample::select(vec![Why::Stale, Why::Down, Why::Distrusted]),
        journey in prop::sample::select(vec!["login", "balance", "checkout", "browse"]),
    ) {
        let rules = shared();
        let id = rules.journey_named(journey);
        // What is not asked for is no reading that could become unknown; a hidden hold is still known to memory.
        let asked = readings.states()[which].1 != Reading::Unknown(Why::NotAsked);
        let held = which == SESSION && readings.session.known().is_some_and(|proof| proof.held);
        prop_assume!(asked && !held);
        let before = judge(rules, id, stage, safe, away, &readings);
        let after = judge(rules, id, stage, safe, away, &silenced(&readings, which, why));
        prop_assert!(
            strictness(&after) >= strictness(&before),
            "{} then {}", before.scored.because(), after.scored.because()
        );
    }

    #[test]
    fn better_evidence_never_lowers_confidence(readings in any_readings(), stage in any_stage(), which in 0_usize..7) {
        // Of what was not asked for there is nothing to be better: the whole group says nothing.
        prop_assume!(which != 1 || readings.network != Reading::Unknown(Why::NotAsked));
        let mut better = readings;
        match which {
            0 => {
                better.device = Reading::Known(Standing::Trusted { days: 30, proved: true });
                (better.changed, better.accounts) = (Reading::Known(Points::ZERO), Reading::Known(1));
            }
            1 => better.network = Reading::Known(Place::Known),
            2 => better.account_failures = better.account_failures.map(|count| count / 2.0),
            3 => better.device_failures = better.device_failures.map(|count| count / 2.0),
            4 => better.guessing = better.guessing.map(|was| if was.points < Points::ZERO { guessing(0, 0) } else { was }),
            5 => better.session = Reading::Known(Proof { bound: true, ..proof(shared(), "phr", 0) }),
            _ => better.exposure = Reading::Known(Exposure::Nothing),
        }
        let (was, is) = (score(&readings, &Weights::AS_DECLARED, stage, NOW), score(&better, &Weights::AS_DECLARED, stage, NOW));
        prop_assert!(is.sum() >= was.sum(), "{} then {}", was.because(), is.because());
    }

    #[test]
    fn an_attempt_or_a_claim_by_a_stranger_looks_the_same_whether_the_account_exists_or_not(
        histories in any_history(),
        failures in 0_u32..30,
        stage in prop::sample::select(vec![Stage::Attempt, Stage::Claim]),
    ) {
        let rules = shared();
        let (exists, nobody) = histories;
        let buckets = [Some((Shared::Address, tried(failures, 0))), None, None, None, None];
        let climate = Climate::default();
        let readings = |history| Readings::of(&seen(Reading::Known(history), &buckets, &climate), NOW);
        let (exists, does_not) = (readings(&exists), readings(&nobody));
        let judged = |readings| judge(rules, rules.journey_named("login"), stage, false, false, readings);
        let (one, other) = (judged(&exists), judged(&does_not));
        prop_assert_eq!(one.scored.sum(), other.scored.sum(), "{} and {}", one.scored.because(), other.scored.because());
        prop_assert_eq!((one.action, one.reached), (other.action, other.reached));
    }

    #[test]
    fn before_anything_is_proved_an_accounts_own_history_only_helps(
        histories in any_history(),
        stage in prop::sample::select(vec![Stage::Attempt, Stage::Claim]),
        device in 0_u64..8,
        network in 0_u64..8,
    ) {
        let buckets = [None; 5];
        let climate = Climate::default();
        let of = |history| {
            let sighting = Sighting {
                device: Reading::Known(Device::from_bits(device)),
                at: place(network),
                ..seen(Reading::Known(history), &buckets, &climate)
            };
            score(&Readings::of(&sighting, NOW), &Weights::AS_DECLARED, stage, NOW).sum()
        };
        prop_assert!(of(&histories.0) >= of(&histories.1));
    }

    #[test]
    fn confidence_alone_never_satisfies_a_step_up(readings in any_readings(), journey in prop::sample::select(vec!["balance", "checkout"])) {
        let rules = shared();
        let verdict = on(rules, journey, true, &readings);
        let asked = verdict.reached == Some(1) || verdict.scored.fault().is_some();
        let proved = readings.session.known().is_some_and(|p| p.level >= rules.level_named("mfa").unwrap());
        prop_assert!(!(asked && !proved && matches!(verdict.outcome, Outcome::Cleared(_))));
    }
}
