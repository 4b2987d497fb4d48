//! Memory as workers share it, and as a flood of strangers finds it.

use std::time::Duration;

use weir::clock::Moment;
use weir::confidence::{Reading, Why};
use weir::judge::history::{Observation, Visit};
use weir::judge::seen::{Client, Whereabouts};
use weir::memory::{Memory, Places, SessionFacts, Table, Worth};
use weir::subject::{Account, Device, Network};

use crate::law::law;

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);

fn small() -> Memory {
    Memory::new(&Places {
        accounts: 512,
        devices: 512,
        networks: 512,
        sessions: 512,
        handoffs: 64,
        clients: 64,
        limits: 64,
    })
}

fn visit(device: Option<Device>, network: u64) -> Visit {
    const NOT: Why = Why::NotAsked;
    let at = Whereabouts {
        network: Network::from_bits(network),
        range: Network::from_bits(network),
        provider: Reading::Unknown(NOT),
        country: Reading::Unknown(NOT),
        listed: Reading::Unknown(NOT),
    };
    Visit { device, at, client: Client::default() }
}

#[test]
fn a_flood_of_guesses_forgets_no_known_customer() {
    let memory = small();
    let proved = Observation::StepUpPassed(visit(Some(Device::from_bits(1)), 2));
    for customer in 0..128_u64 {
        memory.accounts.update(customer, NOW, |history| history.observe(&proved, NOW));
    }
    let failed = Observation::SignInFailed(visit(None, 2));
    for guess in 1000..50_000_u64 {
        memory.accounts.update(guess, NOW, |history| history.observe(&failed, NOW));
    }
    assert!(memory.accounts.len() <= memory.accounts.capacity());
    let kept = (0..128_u64).filter(|c| memory.accounts.read(*c).is_some_and(|history| history.has_trusted_device()));
    assert_eq!(kept.count(), 128);
}

#[test]
fn a_customer_gone_for_thirteen_months_is_a_stranger_again() {
    let memory = small();
    let proved = Observation::StepUpPassed(visit(Some(Device::from_bits(1)), 2));
    memory.accounts.update(1, NOW, |history| history.observe(&proved, NOW));
    let history = memory.accounts.read(1).unwrap();
    assert_eq!(history.worth(NOW), 2);
    assert_eq!(history.worth(NOW.plus(Duration::from_secs(400 * 86_400))), 0);
}

#[test]
fn workers_share_a_table_and_lose_no_update() {
    let memory = small();
    let failed = Observation::SignInFailed(visit(None, 1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    memory.accounts.update(7, NOW, |history| history.observe(&failed, NOW));
                }
            });
        }
    });
    let failures = memory.accounts.read(7).unwrap().failed_elsewhere(None, NOW);
    assert!((failures - 2000.0).abs() < 1.0, "{failures}");
}

#[test]
fn a_session_keeps_the_level_that_it_proved_by_name_over_a_reload() {
    let mut rules = law();
    let mfa = rules.level_named("mfa").unwrap();
    let pwd = rules.level_named("pwd").unwrap();
    let account = Account::from_bits(1);
    let mut session = SessionFacts::begin(Some(account), &visit(None, 2), (&rules, pwd), true, NOW);
    assert!(session.proof(&rules).unwrap().held);
    let later = NOW.plus(Duration::from_secs(60));
    session.prove(&rules, mfa, later);
    let proof = session.proof(&rules).unwrap();
    assert_eq!((proof.level, proof.at, proof.held), (mfa, later, false));

    // A level is put before the others: mfa is another index now, and still mfa.
    let before = rules.levels.remove(2);
    rules.levels.insert(0, before);
    assert_eq!(session.level(&rules), rules.level_named("mfa"));
    // The level is gone: the session proves the least that there is.
    rules.levels.retain(|level| &*level.name != "mfa");
    assert_eq!(session.proof(&rules).unwrap().level, rules.weakest_level().unwrap());
}

#[test]
fn a_weaker_proof_later_takes_nothing_away() {
    let rules = law();
    let (pwd, mfa) = (rules.level_named("pwd").unwrap(), rules.level_named("mfa").unwrap());
    let mut session = SessionFacts::begin(Some(Account::from_bits(1)), &visit(None, 2), (&rules, mfa), false, NOW);
    session.prove(&rules, pwd, NOW.plus(Duration::from_secs(60)));
    assert_eq!((session.level(&rules), session.proof(&rules).unwrap().at), (Some(mfa), NOW));
}

#[test]
fn no_number_of_places_is_refused() {
    for places in [0, 1, 7, 8, 9, 1000] {
        let table: Table<SessionFacts> = Table::new(places);
        assert!(table.capacity() >= places && table.is_empty());
    }
}

#[test]
fn a_table_full_of_sessions_does_not_open_a_held_one() {
    let rules = law();
    let pwd = rules.level_named("pwd").unwrap();
    let begin = |held| SessionFacts::begin(Some(Account::from_bits(1)), &visit(None, 2), (&rules, pwd), held, NOW);
    let table: Table<SessionFacts> = Table::new(64);
    for key in 0..10_000 {
        table.put(key, NOW, begin(false));
    }
    assert!(table.put(77_777, NOW, begin(true)));
    assert!(table.read(77_777).unwrap().is_held());
}

#[test]
fn a_proof_that_is_no_step_up_does_not_end_a_hold() {
    let rules = law();
    let (pwd, mfa) = (rules.level_named("pwd").unwrap(), rules.level_named("mfa").unwrap());
    let mut session = SessionFacts::begin(None, &visit(None, 2), (&rules, pwd), true, NOW);
    session.prove(&rules, pwd, NOW);
    assert_eq!(session.is_held(), rules.step_up.is_some());
    session.prove(&rules, mfa, NOW);
    assert!(!session.is_held());
}
