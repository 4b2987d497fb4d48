//! Lists of addresses: files of others that are read whole or not at all, swapped under running requests, and shown to operators.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use weir::clock::Moment;
use weir::confidence::{Reading, Why};
use weir::judge::seen::Listed;
use weir::lists::{Found, Lists};
use weir::rules::lists::{ListKind, ListLaw};
use weir::telemetry::Telemetry;

use crate::support::client::Protocol;
use crate::support::mmdb::{Branch, Field, Mmdb, countries, providers};
use crate::support::program::Terminal;
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

const DAY: Duration = Duration::from_secs(86_400);

fn built() -> u32 {
    u32::try_from(NOON.unix_seconds() - 86_400).unwrap()
}

fn law(kind: ListKind, path: &Path) -> ListLaw {
    ListLaw { kind, path: path.to_owned(), stale_after: 14 * DAY, most_change: 20 }
}

fn lists() -> Lists {
    Lists::new(Telemetry::new().listed)
}

fn look(lists: &Lists, address: &str) -> Found {
    lists.book().look_up(address.parse().unwrap(), NOON)
}

fn state(lists: &Lists, laws: &[ListLaw]) -> (&'static str, usize, String) {
    let shown = lists.show(laws, NOON).remove(0);
    (shown.state, shown.entries, shown.trouble.unwrap_or_default())
}

#[test]
fn an_address_has_the_provider_and_the_country_of_its_network() {
    let dir = tempfile::tempdir().unwrap();
    let (asn, country) = (dir.path().join("asn.mmdb"), dir.path().join("country.mmdb"));
    let all = [
        ("192.0.2.0/24", 64500),
        ("192.0.3.0/25", 64500),
        ("198.51.100.7/32", 64501),
        ("2001:db8::/32", 4_200_000_000),
    ];
    std::fs::write(&asn, providers(&all, built())).unwrap();
    std::fs::write(&country, countries(&[("192.0.2.0/23", "GB"), ("2001:db8:1::/48", "DE")], built())).unwrap();
    let lists = lists();
    lists.settle(&[law(ListKind::Provider, &asn), law(ListKind::Country, &country)], NOON);
    for (address, provider, code) in [
        ("192.0.2.7", Some(64500), Some(*b"GB")),
        ("192.0.3.127", Some(64500), Some(*b"GB")),
        ("192.0.3.128", None, Some(*b"GB")),
        ("198.51.100.7", Some(64501), None),
        ("198.51.100.8", None, None),
        ("2001:db8:1::5", Some(4_200_000_000), Some(*b"DE")),
        ("2001:db9::", None, None),
        ("::ffff:192.0.2.7", Some(64500), Some(*b"GB")),
    ] {
        let found = look(&lists, address);
        assert_eq!(found.provider, provider.map_or(Reading::Unknown(Why::Missing), Reading::Known), "{address}");
        assert_eq!(found.country, code.map_or(Reading::Unknown(Why::Missing), Reading::Known), "{address}");
        assert_eq!(found.listed, Reading::Unknown(Why::NotAsked));
    }
}

#[test]
fn providers_and_countries_are_read_as_others_write_them_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.mmdb");
    let mut file = Mmdb::new();
    let text = |text: &str| Field::Text(text.to_owned());
    file.say("192.0.2.0/24", vec![("asn", text("AS64500")), ("country", text("FR"))]);
    file.say("198.51.100.0/24", vec![("asn", Field::Number(64501)), ("country_code", text("CH"))]);
    file.say("203.0.113.0/24", vec![("asn", text("nonsense")), ("country_code", text("Switzerland"))]);
    std::fs::write(&path, file.bytes(built())).unwrap();
    let lists = lists();
    lists.settle(&[law(ListKind::Provider, &path), law(ListKind::Country, &path)], NOON);
    let (first, second, third) = (look(&lists, "192.0.2.1"), look(&lists, "198.51.100.1"), look(&lists, "203.0.113.1"));
    assert_eq!((first.provider, first.country), (Reading::Known(64500), Reading::Known(*b"FR")));
    assert_eq!((second.provider, second.country), (Reading::Known(64501), Reading::Known(*b"CH")));
    assert_eq!((third.provider, third.country), (Reading::Unknown(Why::Missing), Reading::Unknown(Why::Missing)));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused_or_sound_and_the_one_before_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("asn.mmdb");
    let whole = providers(&[("192.0.2.0/24", 64500), ("2001:db8::/48", 64501)], built());
    std::fs::write(&path, &whole).unwrap();
    let lists = lists();
    let laws = [law(ListKind::Provider, &path)];
    lists.settle(&laws, NOON);
    assert_eq!(state(&lists, &laws), ("in_use", 2, String::new()));
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..length]).unwrap();
        lists.settle(&laws, NOON);
        let (state, entries, trouble) = state(&lists, &laws);
        assert_eq!((state, entries), ("in_use", 2), "cut at {length}");
        assert!(!trouble.is_empty(), "cut at {length}");
        assert_eq!(look(&lists, "192.0.2.1").provider, Reading::Known(64500));
    }
    std::fs::write(&path, &whole).unwrap();
    lists.settle(&laws, NOON);
    assert_eq!(state(&lists, &laws), ("in_use", 2, String::new()));
}

#[test]
fn a_tree_that_loops_or_holds_more_than_it_can_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("asn.mmdb");
    let laws = [law(ListKind::Provider, &path)];
    let mut looping = Mmdb::new();
    looping.say("192.0.2.0/24", vec![("autonomous_system_number", Field::Number(1))]);
    for node in &mut looping.nodes {
        *node = [Branch::Node(0); 2];
    }
    // Both sides of each node lead to the next: a hundred nodes, and more networks than there are atoms.
    let mut doubling = Mmdb::new();
    doubling.say("::/100", vec![("autonomous_system_number", Field::Number(1))]);
    for node in 0..100 {
        let next = Branch::Node(node + 1);
        doubling.nodes[node as usize] = if node == 99 { [Branch::Record(0); 2] } else { [next; 2] };
    }
    let mut silent = Mmdb::new();
    silent.nodes =
        (0..100).map(|node| if node == 99 { [Branch::Nothing; 2] } else { [Branch::Node(node + 1); 2] }).collect();
    for file in [looping, doubling, silent] {
        std::fs::write(&path, file.bytes(built())).unwrap();
        let lists = lists();
        lists.settle(&laws, NOON);
        let (state, entries, trouble) = state(&lists, &laws);
        assert_eq!((state, entries), ("down", 0));
        assert!(trouble.contains("MaxMind's format"), "{trouble}");
        assert_eq!(look(&lists, "192.0.2.1").provider, Reading::Unknown(Why::Down));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_file_with_wrong_bytes_never_panics(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("asn.mmdb");
        let mut bytes = providers(&[("192.0.2.0/24", 64500), ("2001:db8::/48", 64501)], built());
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        let lists = lists();
        lists.settle(&[law(ListKind::Provider, &path), law(ListKind::Country, &path)], NOON);
        look(&lists, "192.0.2.1");
    }
}

#[test]
fn a_list_that_lurches_is_refused_until_somebody_allows_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tor.txt");
    let text = |many: u32| (0..many).map(|n| format!("198.51.100.{n}\n")).collect::<String>();
    let strict = [law(ListKind::Tor, &path)];
    let lists = lists();
    let save = |many| {
        std::fs::write(&path, text(many)).unwrap();
        lists.settle(&strict, NOON);
        state(&lists, &strict)
    };
    assert_eq!(save(100), ("in_use", 100, String::new()));
    assert_eq!(save(120), ("in_use", 120, String::new()));
    for many in [145, 95, 0] {
        let (state, entries, trouble) = save(many);
        assert_eq!((state, entries), ("in_use", 120), "{many}: {trouble}");
        assert!(trouble.contains("most_change") || many == 0 && trouble.contains("empty"), "{many}: {trouble}");
    }
    std::fs::write(&path, text(200)).unwrap();
    let lax = [ListLaw { most_change: 100, ..strict[0].clone() }];
    lists.settle(&lax, NOON);
    assert_eq!(state(&lists, &lax), ("in_use", 200, String::new()));
    // Another file is another list.
    let other = [law(ListKind::Tor, &dir.path().join("other.txt"))];
    std::fs::write(&other[0].path, text(3)).unwrap();
    lists.settle(&other, NOON);
    assert_eq!(state(&lists, &other), ("in_use", 3, String::new()));
}

#[test]
fn where_one_list_fails_what_the_others_find_is_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let tor = law(ListKind::Tor, &dir.path().join("tor.txt"));
    let vpn = law(ListKind::Vpn, &dir.path().join("vpn.txt"));
    std::fs::write(&tor.path, "# 2026-11-01\n192.0.2.7\n").unwrap();
    let lists = lists();
    lists.settle(&[tor.clone(), vpn.clone()], NOON);
    assert_eq!(look(&lists, "192.0.2.7").listed, Reading::Known(Listed::TOR));
    assert_eq!(look(&lists, "192.0.2.8").listed, Reading::Unknown(Why::Down));
    std::fs::write(&vpn.path, "# 2026-11-01\n192.0.2.0/24\n").unwrap();
    lists.settle(&[tor.clone(), vpn.clone()], NOON);
    assert_eq!(look(&lists, "192.0.2.7").listed, Reading::Known(Listed::TOR.with(Listed::VPN)));
    assert_eq!(look(&lists, "192.0.3.7").listed, Reading::Known(Listed::NOTHING));
    let later = NOON.plus(20 * DAY);
    let found = |at: Moment| lists.book().look_up("192.0.2.7".parse().unwrap(), at);
    assert_eq!(found(later).listed, Reading::Unknown(Why::Stale));
    assert!(found(NOON).until < later && found(found(NOON).until).listed == Reading::Unknown(Why::Stale));
    lists.settle(&[], NOON);
    assert_eq!(look(&lists, "192.0.2.7").listed, Reading::Unknown(Why::NotAsked));
}

#[test]
fn a_list_dated_in_the_future_grows_old_from_now_on() {
    let dir = tempfile::tempdir().unwrap();
    let tor = law(ListKind::Tor, &dir.path().join("tor.txt"));
    std::fs::write(&tor.path, "# 2099-01-01\n192.0.2.7\n").unwrap();
    let lists = lists();
    lists.settle(std::slice::from_ref(&tor), NOON);
    let shown = lists.show(&[tor], NOON).remove(0);
    assert_eq!(shown.dated, Some(NOON.unix_seconds()));
}

const JOURNEYS: &str = r#"
[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
"#;

const LISTS: &str =
    "[lists.tor]\nfile = \"tor.txt\"\n[lists.country]\nfile = \"country.mmdb\"\nstale_after = \"60d\"\n";

/// What each request to the journey said of where it came from.
fn said(rig: Rig) -> Vec<(Value, Value)> {
    let lines = rig.stop().into_iter().filter(|line| line["journey"] == "order_status");
    lines.map(|line| (line["listed"].clone(), line["country"].clone())).collect()
}

fn settle(rig: &Rig, at: Moment) {
    rig.weir().lists.settle(&rig.weir().law.in_force().load().rules.lists, at);
}

#[tokio::test]
async fn a_list_that_is_swapped_speaks_at_the_very_next_request() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("tor.txt", "# 2026-11-01\n192.0.2.7\n")], |options| {
        options.workers = Some(1);
        std::fs::write(options.rules.join("lists.toml"), LISTS).unwrap();
        std::fs::write(options.rules.join("country.mmdb"), countries(&[("127.0.0.0/8", "GB")], built())).unwrap();
    });
    let mut client = rig.client(Protocol::H1);
    client.send("GET", "/order-status", &[], "").await;
    // One line for another: no change in size, and the same connection.
    std::fs::write(rig.rules().join("tor.txt"), "# 2026-11-02\n127.0.0.1\n").unwrap();
    settle(&rig, NOON);
    let mut kept = client.connect().await;
    for _ in 0..2 {
        kept.send(client.request("GET", "/order-status", &[], "")).await.unwrap();
    }
    std::fs::write(rig.rules().join("country.mmdb"), countries(&[("127.0.0.0/8", "FR")], built())).unwrap();
    settle(&rig, NOON);
    kept.send(client.request("GET", "/order-status", &[], "")).await.unwrap();
    rig.advance(15 * DAY);
    kept.send(client.request("GET", "/order-status", &[], "")).await.unwrap();
    let metrics = rig.weir().telemetry.text();
    for line in [
        "weir_list_entries{list=\"tor\"} 1",
        "weir_list_age_seconds{list=\"country\"} 86400",
        "weir_signal_up{signal=\"tor\"} 1",
        "weir_signal_up{signal=\"country\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let tor = || serde_json::json!(["tor"]);
    assert_eq!(
        said(rig),
        [
            (Value::Null, "GB".into()),
            (tor(), "GB".into()),
            (tor(), "GB".into()),
            (tor(), "FR".into()),
            ("stale".into(), "FR".into()),
        ]
    );
}

#[tokio::test]
async fn a_list_that_is_not_there_at_the_start_is_down_and_everything_else_serves() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("lists.toml", LISTS)], |options| options.workers = Some(1));
    let answer = rig.client(Protocol::H2).send("GET", "/order-status", &[], "").await;
    assert_eq!(answer.status, http::StatusCode::OK);
    assert!(rig.weir().telemetry.text().contains("weir_signal_up{signal=\"tor\"} 0"));
    assert_eq!(said(rig), [("down".into(), "down".into())]);
}

#[test]
fn an_operator_sees_each_list_and_asks_of_one_address() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    terminal.write("rules/lists.toml", LISTS);
    terminal.write("rules/tor.txt", "192.0.2.7\n2001:db8::/32\n");
    let said = terminal.run(&["check"]);
    assert!(said.code == Some(1) && said.out.contains("[lists.country]"), "{said:?}");
    let (mut weir, _) = terminal.start_run();
    let said = terminal.run(&["lists"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("in use, 2 entries") && said.out.contains("NOT IN USE"), "{}", said.out);
    let said = terminal.run(&["lists", "2001:db8::1"]);
    assert!(
        said.out.contains("listed      tor") && said.out.contains("country     unknown: the list is down"),
        "{}",
        said.out
    );
    let json: Value = serde_json::from_str(&terminal.run(&["lists", "192.0.2.8", "--json"]).out).unwrap();
    assert_eq!((&json["listed"], &json["provider"]["unknown"]), (&serde_json::json!([]), &"not_asked".into()));
    assert_eq!((&json["lists"][1]["list"], &json["lists"][1]["entries"]), (&"tor".into(), &2.into()));
    assert_eq!(terminal.run(&["lists", "nonsense"]).code, Some(2));
    // The keeper takes it up by itself.
    std::fs::write(terminal.path("rules/country.mmdb"), countries(&[("192.0.2.0/24", "GB")], built())).unwrap();
    weir.hear("list=\"country\" entries=1");
    let said = terminal.run(&["lists", "192.0.2.7"]);
    assert!(said.out.contains("country     GB") && said.out.contains("listed      tor"), "{}", said.out);
}
