//! Memory as workers share it, and as a flood of strangers finds it.

use std::time::Duration;

use weir::clock::Moment;
use weir::confidence::{Points, Reading, Why};
use weir::judge::history::{AccountHistory, Earned, Observation, Visit};
use weir::judge::seen::{Client, Whereabouts};
use weir::judge::signals::Gap;
use weir::judge::signals::device::Standing;
use weir::judge::signals::network::Place;
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
    let proved = Observation::StepUpPassed { visit: visit(Some(Device::from_bits(1)), 2), strong: false };
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
    let proved = Observation::StepUpPassed { visit: visit(Some(Device::from_bits(1)), 2), strong: false };
    memory.accounts.update(1, NOW, |history| history.observe(&proved, NOW));
    let history = memory.accounts.read(1).unwrap();
    assert_eq!(history.worth(NOW), 2);
    assert_eq!(history.worth(NOW.plus(Duration::from_secs(400 * 86_400))), 0);
}

#[test]
fn a_code_shortly_after_a_reset_makes_no_device_the_owners_and_a_key_does() {
    let (owner, thief) = (Device::from_bits(1), Device::from_bits(2));
    let hours = |hours: u64| NOW.plus(Duration::from_secs(hours * 3600));
    let proved = |device, strong| Observation::StepUpPassed { visit: visit(Some(device), device.bits()), strong };
    let mut history = AccountHistory::default();
    history.observe(&proved(owner, false), NOW);
    history.observe(&Observation::PasswordReset(visit(Some(thief), 2)), hours(30));
    let reset = history;

    // Who took over the number gets the code as well: neither the device nor its network is the owner's.
    history.observe(&proved(thief, false), hours(31));
    let assured = Observation::SignInSucceeded { visit: visit(Some(thief), 2), earned: Earned::Assured };
    history.observe(&assured, hours(32));
    assert_eq!(history.standing(thief), Standing::Probation);
    assert_eq!(history.place(&visit(None, 2).at), Place::New);
    // The owner's own device is what it was.
    history.observe(&proved(owner, false), hours(33));
    assert!(history.standing(owner).is_trusted());
    // A day later a code says what it always says.
    history.observe(&proved(thief, false), hours(55));
    assert!(history.standing(thief).is_trusted());

    let mut keyed = reset;
    keyed.observe(&proved(thief, true), hours(31));
    assert!(keyed.standing(thief).is_trusted());
}

#[test]
fn a_change_in_a_long_session_is_of_note_for_a_day() {
    let rules = law();
    let pwd = rules.level_named("pwd").unwrap();
    let here = visit(None, 2);
    let mut session = SessionFacts::begin(Some(Account::from_bits(1)), &here, (&rules, pwd), false, NOW);
    assert!(!session.begun(&here, NOW).changed);
    session.changed_something(NOW);
    let after = |hours: u64| session.begun(&here, NOW.plus(Duration::from_secs(hours * 3600))).changed;
    assert_eq!([after(0), after(23), after(26), after(24 * 29)], [true, true, false, false]);
}

#[test]
fn how_long_before_its_session_the_owner_was_there_is_kept_to_the_half_minute_and_later_to_the_hour() {
    let rules = law();
    let pwd = rules.level_named("pwd").unwrap();
    let here = visit(None, 2);
    let begun = SessionFacts::begin(Some(Account::from_bits(1)), &here, (&rules, pwd), false, NOW);
    let kept = |gap: Option<u64>| {
        let session = begun.after(Gap(gap.map(Duration::from_secs)), Points::ZERO);
        session.begun(&here, NOW).gap_before.unwrap().0.map(|gap| gap.as_secs())
    };
    assert_eq!(kept(None), None);
    for (gap, to) in
        [(0, 30), (59, 30), (61, 30), (599, 30), (9 * 86_400, 30), (11 * 86_400, 3600), (400 * 86_400, 3600)]
    {
        let kept = kept(Some(gap)).unwrap();
        assert!(kept <= gap && gap - kept < to, "{gap} {kept}");
    }
    assert!(kept(Some(u64::MAX)).is_some());
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
