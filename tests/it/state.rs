//! What is remembered: kept over a kill, refused whole when damaged, shown, erased everywhere, forgotten in time, and taken over from
//! elsewhere.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde_json::{Value, json};
use weir::clock::{Clock, Moment};
use weir::confidence::{Reading, Why};
use weir::judge::history::{AccountHistory, Earned, Observation, Report, Reported, Visit};
use weir::judge::seen::{Client, Software, Whereabouts};
use weir::judge::signals::device::Move;
use weir::memory::handoffs::Handoff;
use weir::memory::keeper::{Beyond, Keeper};
use weir::memory::limits::account_on;
use weir::memory::retention::Retention;
use weir::memory::transmitters::Admitted;
use weir::memory::{Limiter, Memory, Places, SessionFacts};
use weir::rules::limits::{Key, Limit, Rate};
use weir::rules::ruleset::JwksSource;
use weir::rules::shared_signals::Transmitter;
use weir::subject::{Account, Device, Names, Network, Owner, Session};
use weir::telemetry::Telemetry;

use crate::control::{ask, audit, far, over};
use crate::support::client::Protocol;
use crate::support::program::{GATEWAY, Said, Terminal};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig, golden};

const JOURNEYS: &str = concat!(
    r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 20, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 53, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

"#,
    include_str!("support/journeys/own_balance.toml")
);

/// Every sign-in from anywhere new falls short.
fn careful() -> String {
    JOURNEYS.replace("{ at = 53, do = \"allow\" }", "{ at = 97, do = \"allow\" }")
}

/// A terminal with these journeys, that writes what it remembers every moment.
fn terminal(journeys: &str, upstream: &Upstream) -> Terminal {
    let terminal = Terminal::new();
    terminal.ground(upstream, &[("journeys.toml", journeys)], &format!("{GATEWAY}[memory]\ncheckpoint = \"1s\"\n"));
    terminal
}

pub fn start(terminal: &Terminal) -> (crate::support::program::Running, String) {
    let mut weir = terminal.start(&["run", "--log", "debug"]);
    let line = weir.hear("listening");
    let address = line.rsplit_once("address=").unwrap().1.trim().to_owned();
    weir.hear("in force");
    (weir, format!("http://{address}"))
}

fn curl(terminal: &Terminal, rest: &str) -> String {
    let said = terminal.shell(&format!("curl -s -m 20 -o /dev/null -w '%{{http_code}}' -b jar -c jar {rest}"));
    said.out.trim().to_owned()
}

fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
}

#[test]
fn sessions_open_and_held_are_what_they_were_after_a_kill() {
    for (journeys, expected) in [(JOURNEYS.to_owned(), "200"), (careful(), "303")] {
        let upstream = Upstream::shop();
        let terminal = terminal(&journeys, &upstream);
        let (mut weir, url) = start(&terminal);
        assert_eq!(curl(&terminal, &format!("-d 'email=ada&password=right' {url}/login")), "303");
        let before = curl(&terminal, &format!("-H 'accept: text/html' {url}/account/balance"));
        weir.hear("checkpoint of 1 sessions");
        weir.signal("KILL");
        weir.end();
        let (weir, url) = start(&terminal);
        let after = curl(&terminal, &format!("-H 'accept: text/html' {url}/account/balance"));
        assert_eq!((before.as_str(), after.as_str()), (expected, expected), "{}", terminal.run(&["status"]).out);

        // Without what was remembered nobody would know whose session it is.
        weir.signal("KILL");
        weir.end();
        std::fs::remove_file(terminal.path("data/sessions.kept")).unwrap();
        let (weir, url) = start(&terminal);
        assert_ne!(curl(&terminal, &format!("-H 'accept: text/html' {url}/account/balance")), "200");
        weir.signal("TERM");
        assert_eq!(weir.end().code, Some(0));
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_key_is_put_aside_whole_and_the_site_starts() {
    let upstream = Upstream::shop();
    let terminal = terminal(JOURNEYS, &upstream);
    let (weir, url) = start(&terminal);
    assert_eq!(curl(&terminal, &format!("-d 'email=ada&password=right' {url}/login")), "303");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
    let file = terminal.path("data/sessions.kept");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();

    let mut weir = terminal.start(&["run"]);
    let line = weir.hear("a checkpoint is refused whole");
    assert!(line.contains("sessions") && line.contains("sessions.kept.bad"), "{line}");
    weir.hear("in force");
    assert_eq!(document(&terminal.run(&["status", "--json"]))["rooms"]["sessions"], 0);
    assert!(terminal.path("data/sessions.kept.bad").exists());
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));

    std::fs::remove_file(terminal.path("data/names.key")).unwrap();
    let mut weir = terminal.start(&["run"]);
    let line = weir.hear("a checkpoint is refused whole");
    assert!(line.contains("another key"), "{line}");
    weir.hear("in force");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[tokio::test]
async fn an_account_is_shown_wherever_it_is_and_erased_from_everywhere_at_once() {
    let limits = "[limits.tries]\njourneys = [\"login\"]\nkey = \"account\"\nrate = \"50/h\"\n";
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("limits.toml", limits)], |_| {});
    let mut ada = rig.client(Protocol::H1);
    assert_eq!(ada.post("/login", "email=Ada@Example.com&password=right").await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.get("/account/balance").await.status, StatusCode::OK);
    let mut bob = rig.client(Protocol::H1);
    assert_eq!(bob.post("/login", "email=bob&password=right").await.status, StatusCode::SEE_OTHER);

    let body = json!({ "account": "ada@example.com" });
    let (status, held) = ask(&rig, "POST", "/v1/accounts/access", None, &body).await;
    assert_eq!(status, StatusCode::OK, "{held}");
    let stores = |held: &Value| -> Vec<String> {
        let all = held["held"].as_array().unwrap().iter();
        all.map(|held| held["store"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stores(&held), ["accounts", "sessions"], "{held:#}");
    assert_eq!(held["limits"], 1);
    assert!(!held.to_string().contains("example.com") && !held.to_string().contains("127.0.0.1"));

    let nothing = ask(&rig, "POST", "/v1/accounts/erase", None, &body).await;
    assert_eq!(nothing.0, StatusCode::UNPROCESSABLE_ENTITY, "an erasure has a reason");
    let why = json!({ "account": " ADA@example.com", "reason": "request 2214" });
    let (status, erased) = ask(&rig, "POST", "/v1/accounts/erase", None, &why).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(erased["erased"]["stores"]["accounts"], 1, "{erased}");
    assert_eq!(erased["erased"]["on_disk"], true);
    let (_, held) = ask(&rig, "POST", "/v1/accounts/access", None, &body).await;
    assert_eq!(
        (stores(&held).len(), &held["limits"], &held["latest_decisions"]),
        (0, &json!(0), &json!(0)),
        "{held:#}"
    );
    // Nothing of it is in the data directory; of bob there is.
    let names = weir::identity::naming::open(&rig.dir().join("data")).unwrap();
    let holds = |file: &str, account: Account| {
        let bytes = std::fs::read(rig.dir().join("data").join(file)).unwrap();
        bytes.windows(8).any(|window| window == account.bits().to_le_bytes())
    };
    assert!(!holds("accounts.kept", names.account("ada@example.com")));
    assert!(holds("accounts.kept", names.account("bob")));
    assert_ne!(ada.get("/account/balance").await.status, StatusCode::OK, "her session is a stranger's");
    assert_eq!(bob.get("/account/balance").await.status, StatusCode::OK);

    let lines = audit(&rig);
    let line = lines.iter().find(|line| line["what"] == "erase").unwrap();
    assert_eq!((&line["target"], &line["why"]), (&held["account"], &json!("request 2214")));
    assert!(!lines.iter().any(|line| line.to_string().contains("example.com")), "{lines:?}");
}

#[tokio::test]
async fn only_an_operator_may_look_at_erase_or_take_over_an_account() {
    let (_rig, client, [operator, agent, viewer]) = far();
    // The body is not what any of them takes: an operator is told so, the others not even that.
    for path in ["access", "erase", "import"] {
        for (token, expected) in [(&operator, 400), (&agent, 403), (&viewer, 403)] {
            let (status, said) = over(&client, token, "POST", &format!("/v1/accounts/{path}"), None).await;
            assert_eq!(status.as_u16(), expected, "{path}: {said}");
        }
    }
}

fn transmitter() -> Transmitter {
    Transmitter {
        name: "idp".into(),
        issuer: "https://id.example".into(),
        jwks: JwksSource::Url("unused".into()),
        audience: vec!["shop".into()],
        hosts: Vec::new(),
        path: "/events".into(),
        token: None,
        accounts: Vec::new(),
        max_age: Duration::from_secs(86_400),
        expected_every: None,
        may_take: Rate { count: std::num::NonZeroU32::MIN, per: Duration::from_secs(60) },
    }
}

/// Something in every store, all of it at noon, and the account that it is about.
fn filled(memory: &Memory) -> Account {
    let (account, device, network) = (Account::from_bits(1), Device::from_bits(2), Network::from_bits(3));
    let rules = crate::law::law();
    let at = Whereabouts {
        network,
        range: network,
        provider: Reading::Unknown(Why::NotAsked),
        country: Reading::Unknown(Why::NotAsked),
        listed: Reading::Unknown(Why::NotAsked),
    };
    let visit = Visit { device: Some(device), at, client: Client::default() };
    let came = Observation::StepUpPassed { visit, strong: false };
    for account in [account, Account::from_bits(99)] {
        memory.accounts.update(account.bits(), NOON, |history| history.observe(&came, NOON));
        memory.devices.update(device.bits(), NOON, |record| record.count(device, account, true, true, NOON));
    }
    memory.shared.update(network.bits(), NOON, |tried| tried.count(false, Duration::from_secs(86_400), NOON));
    let level = rules.level_named("pwd").unwrap();
    let session = SessionFacts::begin(Some(account), &visit, (&rules, level), true, NOON);
    memory.sessions.put(4, NOON, session);
    memory.owned(
        Session::from_bits(4),
        Some(Owner::from_parts(account, [7, 8])),
        Names::new([1; 16]).host("shop.example"),
        NOON,
    );
    let entry = Handoff { journey: 1, account: Some(account), help: 2, made: NOON, expires: NOON };
    memory.handoffs.open(5, entry, Duration::from_secs(3600), NOON).unwrap();
    memory.loops.is_looping(6, NOON);
    memory.throttles.ask(7, Duration::from_secs(10), NOON).unwrap();
    memory.help.take(8, 5, NOON);
    memory.strangers.take(9, 5, NOON);
    memory.pages.fetched(device, NOON);
    memory.ended.end(Session::from_bits(10), NOON, NOON);
    memory.void_pass(Session::from_bits(11), NOON);
    assert!(memory.transmitters.take(&transmitter(), 11, NOON, NOON));
    let rate = Rate { count: std::num::NonZeroU32::MIN, per: Duration::from_secs(60) };
    let keys = [Key::Account, Key::Client, Key::Device, Key::Network, Key::Header(HeaderName::from_static("x-key"))];
    for (key, shadow) in keys.into_iter().map(|key| (key, false)).chain([(Key::Account, true)]) {
        let limit = Limit {
            name: "x".into(),
            key,
            younger_than: None,
            rate,
            burst: std::num::NonZeroU32::MIN,
            counts: None,
            shadow,
        };
        let limiter = Limiter::new(&limit, &memory.allowances);
        limiter.charge(account_on(account, None), NOON).unwrap();
    }
    account
}

fn keeper(memory: &Arc<Memory>, dir: &std::path::Path, clock: &Clock) -> Keeper {
    let names = Names::new([7; 16]);
    Keeper::new(memory.clone(), dir.to_path_buf(), &names, Retention::default(), clock.clone(), Telemetry::new())
}

#[test]
fn every_store_forgets_in_its_time_and_not_before() {
    const DAY: u64 = 86_400;
    let lasts = [
        ("accounts", 396 * DAY),
        ("devices", 7 * DAY),
        ("shared", 7 * DAY),
        ("sessions", 30 * DAY),
        ("owners", 30 * DAY),
        ("handoffs", 3599),
        ("given", 3599),
        ("loops", 60),
        ("turns", 9),
        ("help", 3600),
        ("strangers", 3600),
        ("ended", 30 * DAY),
        ("void_passes", 120 * DAY),
        ("events", 7 * DAY),
        ("pages", 1800),
    ];
    // What is held back goes when its turn comes; of everybody together there is one, whose counts fade, as those of lines do.
    let by_turn = ["events_held", "population", "lines"];
    let dir = tempfile::tempdir().unwrap();
    let mut looked_at = 0;
    for store in Memory::new(&Places::default()).stores() {
        let name = store.about().name;
        if by_turn.contains(&name) {
            continue;
        }
        let seconds = lasts.iter().find(|(known, _)| *known == name).map(|(_, seconds)| *seconds);
        let seconds = seconds.or(name.starts_with("limits_").then_some(59));
        let seconds = seconds.unwrap_or_else(|| panic!("say here for how long {name} is kept"));
        let memory = Arc::new(Memory::new(&Places::default()));
        filled(&memory);
        let (clock, _) = Clock::manual(NOON);
        let keeper = keeper(&memory, dir.path(), &clock);
        let length = || memory.stores().iter().find(|store| store.about().name == name).unwrap().len();
        let before = length();
        assert!(before > 0, "{name} is not filled");
        keeper.sweep(NOON.plus(Duration::from_secs(seconds)));
        assert_eq!(length(), before, "{name} forgets too early");
        // The hour of a count slides: it is over with the clock hour after the next.
        let grace = match name {
            "help" | "strangers" => 3600,
            // Kept in whole days.
            "devices" => DAY,
            _ => 1,
        };
        keeper.sweep(NOON.plus(Duration::from_secs(seconds + grace)));
        assert_eq!(length(), 0, "{name} does not forget");
        looked_at += 1;
    }
    assert_eq!(looked_at, lasts.len() + 6);
}

#[test]
fn what_everybody_does_is_still_usual_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::new(&Places::default()));
    let (clock, hand) = Clock::manual(NOON);
    let calm = memory.climate();
    let at = |number| Whereabouts {
        network: Network::from_bits(number),
        range: Network::from_bits(number),
        provider: Reading::Known(7),
        country: Reading::Known(*b"GB"),
        listed: Reading::Unknown(Why::NotAsked),
    };
    // Customers of long standing, all of whom move from one program to another on the same day; and guesses beside them.
    let client = |agent: &str| Client { software: Reading::Known(Software::of(agent)), ..Client::default() };
    let (old, new) = (client("ExampleApp/4.1 (Android 15)"), client("Mozilla/5.0 (Windows NT 10.0) Firefox/143.0"));
    let visit = |number, client| Visit { device: Some(Device::from_bits(number)), at: at(number), client };
    for customer in 1..200_u64 {
        let account = Account::from_bits(customer << 32);
        memory.accounts.put(account.bits(), NOON, AccountHistory::of_a_regular(&visit(customer, old), NOON));
    }
    hand.advance(Duration::from_secs(40 * 86_400));
    for customer in 1..200_u64 {
        let account = Account::from_bits(customer << 32);
        memory.signed_in(Some(account), &visit(customer, new), true, Some(Earned::Assured), clock.now());
        memory.signed_in(None, &visit(customer + 5000, new), false, None, clock.now());
        hand.advance(Duration::from_millis(100));
    }
    let told = |memory: &Memory| {
        // Published at the latest a second after the next sign-in.
        memory.signed_in(None, &visit(9999, new), false, None, clock.now().plus(Duration::from_secs(2)));
        *memory.climate()
    };
    keeper(&memory, dir.path(), &clock).keep().unwrap();
    let before = told(&memory);
    assert!(before.lately > calm.lately && before.clean > calm.clean, "{before:?}");
    let moved = memory.accounts.read(1 << 32).unwrap().moved(Device::from_bits(1), &old.clone());
    let share = moved.each().map(|made| before.share(Move { from: made.to, to: made.from })).next();
    assert!(share.is_some_and(|share| share > 0.3), "most of them have moved: {share:?} {moved:?}");

    let again = Arc::new(Memory::new(&Places::default()));
    keeper(&again, dir.path(), &clock).load();
    assert!(again.climate().lately > calm.lately, "the judge is told at once");
    assert_eq!(told(&again), before);

    // Damaged, it is put aside whole, and everybody is as on the first day.
    let file = dir.path().join("population.kept");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let first = Arc::new(Memory::new(&Places::default()));
    keeper(&first, dir.path(), &clock).load();
    assert_eq!(*first.climate(), *calm);
    assert!(dir.path().join("population.kept.bad").exists());
}

#[test]
fn a_report_that_was_taken_and_waits_its_turn_is_applied_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual(NOON);
    let memory = Arc::new(Memory::new(&Places::default()));
    let shut = |account| {
        let account = Some(Account::from_bits(account));
        Report { reported: Reported::Disabled, account, session: None, at: NOON }
    };
    assert_eq!(memory.transmitters.admit(&transmitter(), shut(1), NOON), Admitted::Now);
    for account in 2..5 {
        assert!(matches!(memory.transmitters.admit(&transmitter(), shut(account), NOON), Admitted::Held { .. }));
    }
    keeper(&memory, dir.path(), &clock).keep().unwrap();

    let again = Arc::new(Memory::new(&Places::default()));
    keeper(&again, dir.path(), &clock).load();
    assert_eq!(again.transmitters.standing(&transmitter(), NOON).held, 3);
    let shut_now = |memory: &Memory| {
        let accounts = 2..5_u64;
        let shut =
            |account: &u64| memory.reports(Account::from_bits(*account)).is_some_and(|reports| reports.is_shut());
        accounts.filter(shut).collect::<Vec<_>>()
    };
    for minute in 0..3_u64 {
        again.let_through(&transmitter(), clock.now(), |_| ());
        assert_eq!(shut_now(&again), (2..3 + minute).collect::<Vec<_>>(), "in their order, as often as it may");
        hand.advance(Duration::from_secs(60));
    }
    // Applied, it is not kept any more; and who is not named any more is forgotten with what waits.
    keeper(&again, dir.path(), &clock).keep().unwrap();
    let third = Arc::new(Memory::new(&Places::default()));
    keeper(&third, dir.path(), &clock).load();
    assert_eq!(third.transmitters.standing(&transmitter(), NOON).held, 0);
    assert_eq!(shut_now(&third), [2, 3, 4]);
}

#[test]
fn an_erased_account_is_in_no_store_and_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::new(&Places::default()));
    let account = filled(&memory);
    let (clock, hand) = Clock::manual(NOON);
    let first = keeper(&memory, dir.path(), &clock);
    first.keep().unwrap();
    let held = Report { reported: Reported::Compromised, account: Some(account), session: None, at: NOON };
    for _ in 0..3 {
        memory.transmitters.admit(&transmitter(), held, NOON);
    }
    // It was evicted from memory since: the file must lose it all the same.
    memory.sessions.remove(4);
    let erased = first.erase(account, &Beyond::default());
    assert!(erased.on_disk, "{erased:?}");
    assert_eq!(erased.stores.get("events_held"), Some(&2), "{erased:?}");
    assert_eq!(erased.devices, 0, "the device is another account's too");
    for store in memory.stores() {
        assert!(store.access(account, NOON).is_empty() || store.about().erased.starts_with("not by account"));
    }
    let again = Arc::new(Memory::new(&Places::default()));
    keeper(&again, dir.path(), &clock).load();
    assert!(again.accounts.read(account.bits()).is_none() && again.accounts.read(99).is_some());
    assert!(again.sessions.is_empty() && again.handoffs.is_empty());

    assert!(again.ended.any(), "a session that was ended stays so");
    assert!(!again.transmitters.take(&transmitter(), 11, NOON, NOON), "an event is taken once");

    // Once nobody else uses the device, it goes with its account.
    let other = keeper(&again, dir.path(), &clock).erase(Account::from_bits(99), &Beyond::default());
    assert_eq!((other.devices, again.devices.len()), (1, 0), "{other:?}");
    // What is too old when the process comes back is not read at all.
    hand.advance(Duration::from_secs(8 * 86_400));
    let late = Arc::new(Memory::new(&Places::default()));
    keeper(&late, dir.path(), &clock).load();
    assert!(late.shared.is_empty());
}

#[test]
fn a_data_directory_that_cannot_be_written_is_said_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::new(&Places::default()));
    filled(&memory);
    let (clock, _) = Clock::manual(NOON);
    let missing = dir.path().join("gone");
    let telemetry = Telemetry::new();
    let keeper = Keeper::new(
        memory.clone(),
        missing.clone(),
        &Names::new([7; 16]),
        Retention::default(),
        clock,
        telemetry.clone(),
    );
    assert!(keeper.keep().is_err());
    assert_eq!(telemetry.gauges.checkpoint_disk_ok.value(), 0);
    std::fs::create_dir(&missing).unwrap();
    assert!(keeper.keep().is_ok());
    assert_eq!(telemetry.gauges.checkpoint_disk_ok.value(), 1);
    let written = std::fs::metadata(missing.join("accounts.kept")).unwrap().modified().unwrap();
    keeper.keep().unwrap();
    let again = std::fs::metadata(missing.join("accounts.kept")).unwrap().modified().unwrap();
    assert_eq!(written, again, "what has not changed is not written again");

    // What has ended does not wait for the rest.
    assert!(!keeper.keep_ends().unwrap(), "nothing has ended since");
    memory.void_pass(Session::from_bits(5), NOON);
    assert!(keeper.keep_ends().unwrap());
    let after = Memory::new(&Places::default());
    let read = after.stores();
    let voids = read.iter().find(|store| store.about().name == "void_passes").unwrap();
    let key = Names::new([7; 16]).key(&[b"checkpoint"]);
    voids.load(&missing, key, &Retention::default(), NOON).unwrap();
    assert_eq!(after.pass_voided(Session::from_bits(5)), Some(NOON));
    assert!(!keeper.keep_ends().unwrap());
}

#[test]
fn the_data_map_is_made_of_the_declarations() {
    let terminal = Terminal::new();
    let said = terminal.run(&["data-map"]);
    assert_eq!(said.code, Some(0));
    golden("data_map", &said.out);
    let document = document(&terminal.run(&["data-map", "--json"]));
    for store in Memory::new(&Places::default()).stores() {
        let named = |known: &&Value| known["name"] == store.about().name;
        assert!(document["stores"].as_array().unwrap().iter().any(|known| named(&known)));
    }
}

#[test]
fn a_file_of_another_system_is_taken_over_whole_or_says_line_by_line_why_not() {
    let upstream = Upstream::shop();
    let terminal = terminal(JOURNEYS, &upstream);
    let (weir, _) = start(&terminal);
    let mut text = String::from("account,network,agent,last_seen,count\n");
    for number in 0..2500 {
        text += &format!(
            "user{number},203.0.113.{},\"Mozilla/5.0 (X11; Linux x86_64), like\",1790000000,3\n",
            number % 250
        );
    }
    terminal.write("good.csv", &text);
    text += "ann,203.0.113.300,,1790000000,3\n,203.0.113.1,,1790000000,3\nann,203.0.113.1,,soon,3\nann,203.0.113.1\n";
    terminal.write("bad.csv", &text);

    let said = terminal.run(&["import", "history", "bad.csv"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in [
        "bad.csv:2502: \"203.0.113.300\" is no address",
        "bad.csv:2503: the account is missing",
        "bad.csv:2504: \"soon\" is no time",
        "bad.csv:2505: it has 2 fields, and the first line names 5",
        "4 lines are bad; nothing was taken.",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert_eq!(document(&terminal.run(&["status", "--json"]))["rooms"]["accounts"], 0);
    let dry = document(&terminal.run(&["import", "history", "good.csv", "--dry-run", "--json"]));
    assert_eq!((&dry["rows"], &dry["new"]), (&json!(2500), &json!(2500)));
    assert_eq!(document(&terminal.run(&["status", "--json"]))["rooms"]["accounts"], 0);

    let said = document(&terminal.run(&["import", "history", "bad.csv", "--skip-bad", "--json"]));
    assert_eq!((&said["taken"], &said["bad"], &said["new"]), (&json!(2500), &json!(4), &json!(2500)));
    let again = document(&terminal.run(&["import", "history", "good.csv", "--json"]));
    assert_eq!((&again["taken"], &again["new"]), (&json!(2500), &json!(0)));
    let held = terminal.shell(&format!("echo user7 | {} access -", env!("CARGO_BIN_EXE_weir")));
    assert!(held.err.contains("standard input") || held.out.contains("accounts: to tell"), "{held:?}");
    let held = document(&terminal.run(&["access", "user7", "--json"]));
    assert_eq!(held["held"][0]["store"]["name"], "accounts");
    let said = terminal.run(&["erase", "user7", "--reason", "request 1"]);
    assert!(said.code == Some(0) && said.out.contains("The data directory is without it too."), "{said:?}");
    weir.signal("TERM");
    assert_eq!(weir.end().code, Some(0));
}

#[test]
fn what_is_kept_has_a_moment_that_can_be_told() {
    // An account that was made by nothing but a report still ends.
    let memory = Arc::new(Memory::new(&Places::default()));
    memory.accounts.update(1, NOON, |_| ());
    let dir = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(NOON);
    assert_eq!(keeper(&memory, dir.path(), &clock).sweep(Moment::from_unix_seconds(4_000_000_000)), 1);
}
