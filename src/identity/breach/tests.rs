//! Lists made, spoiled, refused, asked and swapped.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use proptest::prelude::*;

use super::file::{COVERED, HEADER, SHARD_HEADER};
use super::*;

const NOW: Moment = Moment::from_unix_seconds(1_793_620_800);
const DAY: Duration = Duration::from_secs(86_400);

fn about(kind: Kind, key: Option<&Key>) -> About {
    About { kind, created: NOW, breached: None, key: key.map(Key::id) }
}

/// A number that looks like a hash: splitmix64.
fn scattered(n: u64) -> Entry {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    Entry::from_bits(bits ^ bits >> 31)
}

struct Place {
    dir: tempfile::TempDir,
    key: Key,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::read_or_make(&dir.path().join("lists.key")).unwrap().0;
        Self { dir, key }
    }

    fn path(&self, kind: Kind) -> PathBuf {
        self.dir.path().join(format!("{}.weir", kind.word()))
    }

    fn key_path(&self) -> PathBuf {
        self.dir.path().join("lists.key")
    }

    fn passwords(&self, passwords: &[&str]) {
        let entries = passwords.iter().map(|password| Entry::password(password.as_bytes())).collect();
        write(&self.path(Kind::Passwords), &about(Kind::Passwords, None), entries).unwrap();
    }

    fn pairs(&self, pairs: &[(&str, &str)]) {
        let entries = pairs.iter().map(|(name, password)| self.key.pair(name, password.as_bytes())).collect();
        write(&self.path(Kind::Pairs), &about(Kind::Pairs, Some(&self.key)), entries).unwrap();
    }

    fn accounts(&self, names: &[&str]) {
        let entries = names.iter().map(|name| self.key.account(name)).collect();
        let about = About { breached: Some(NOW), ..about(Kind::Accounts, Some(&self.key)) };
        write(&self.path(Kind::Accounts), &about, entries).unwrap();
    }

    fn law(&self, kinds: &[Kind]) -> Law {
        let list = |kind: &Kind| ListAt {
            kind: *kind,
            path: self.path(*kind),
            key: kind.is_keyed().then(|| self.key_path()),
            span: Default::default(),
        };
        Law { lists: kinds.iter().map(list).collect(), stale_after: 45 * DAY }
    }
}

/// What is said of a name and a password.
fn said(breach: &Breach, law: &Law, name: &str, password: &str) -> Reading<Exposure> {
    breach.lists().exposure(law, Reading::Known(name), Reading::Known(password), NOW)
}

const PAIR: Reading<Exposure> = Reading::Known(Exposure::PairLeaked);
const PASSWORD: Reading<Exposure> = Reading::Known(Exposure::PasswordLeaked);
const NOTHING: Reading<Exposure> = Reading::Known(Exposure::Nothing);

#[test]
fn a_list_has_all_that_went_in_and_little_else() {
    let place = Place::new();
    for (kind, most_wrong) in [(Kind::Passwords, 1_100), (Kind::Pairs, 12), (Kind::Accounts, 12)] {
        let all: Vec<Entry> = (0..50_000).chain(0..100).map(scattered).collect();
        let header = write(&place.path(kind), &about(kind, None), all.clone()).unwrap();
        assert_eq!((header.taken, header.entries), (50_100, 50_000), "what comes twice counts once");
        let list = Filter::read(&place.path(kind)).unwrap();
        assert_eq!(*list.header(), header);
        assert!(all.iter().all(|entry| list.has(*entry)));
        let wrong = (1_000_000..1_200_000).filter(|n| list.has(scattered(*n))).count();
        assert!(wrong <= most_wrong, "{} of 200,000 strangers are taken for one of {}", wrong, kind.word());
    }
}

#[test]
fn small_and_empty_lists_are_lists_too() {
    let place = Place::new();
    let path = place.path(Kind::Passwords);
    for count in [0, 1, 2, 3, 5, 17, 300] {
        let all: Vec<Entry> = (0..count).map(scattered).collect();
        write(&path, &about(Kind::Passwords, None), all.clone()).unwrap();
        let list = Filter::read(&path).unwrap();
        assert!(all.iter().all(|entry| list.has(*entry)), "{count}");
        assert!(count > 0 || (0..10_000).all(|n| !list.has(scattered(n))), "an empty list says no");
    }
}

#[test]
fn entries_that_all_begin_alike_are_a_list_too() {
    let place = Place::new();
    let path = place.path(Kind::Pairs);
    let all: Vec<Entry> = (0..5_000).map(|n| Entry::from_bits(scattered(n).bits() >> 8)).collect();
    write(&path, &about(Kind::Pairs, None), all.clone()).unwrap();
    let list = Filter::read(&path).unwrap();
    assert!(all.iter().all(|entry| list.has(*entry)));
}

#[test]
fn a_list_that_is_being_made_and_fails_leaves_the_one_before() {
    let place = Place::new();
    place.passwords(&["hunter2"]);
    let path = place.path(Kind::Passwords);
    let before = fs::read(&path).unwrap();
    let mut writer = Writer::begin(&path, &about(Kind::Passwords, None)).unwrap();
    writer.add(&[Entry::from_bits(1)]).unwrap();
    assert!(
        writer.add(&[Entry::from_bits(2)]).is_err(),
        "an entry that belongs to another filter is not lost, but refused"
    );
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2, "the list and the key");
}

#[test]
fn a_list_about_people_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.pairs(&[("ada", "hunter2")]);
    place.accounts(&["ada"]);
    for kind in [Kind::Pairs, Kind::Accounts] {
        assert_eq!(fs::metadata(place.path(kind)).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn a_file_that_is_cut_short_or_goes_on_is_refused() {
    let place = Place::new();
    place.passwords(&["hunter2", "letmein"]);
    let path = place.path(Kind::Passwords);
    let whole = fs::read(&path).unwrap();
    for length in (0..200).chain((200..whole.len()).step_by(97)).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Filter::read(&path).is_err(), "{length} of {} bytes", whole.len());
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert!(matches!(Filter::read(&path), Err(Flaw::Length)));
    fs::write(&path, &whole).unwrap();
    Filter::read(&path).unwrap();
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let place = Place::new();
    place.pairs(&[("ada", "hunter2")]);
    let path = place.path(Kind::Pairs);
    let whole = fs::read(&path).unwrap();
    for at in (0..HEADER + 64).chain((HEADER + 64..whole.len()).step_by(13)) {
        let mut spoiled = whole.clone();
        spoiled[at] ^= 1 << (at % 8);
        fs::write(&path, &spoiled).unwrap();
        assert!(Filter::read(&path).is_err(), "byte {at}");
    }
}

/// A file with this header and these filters, and the digest that they call for.
fn forged(covered: &[u8; COVERED], body: &[u8]) -> Vec<u8> {
    let mut sum = Context::new(&SHA256);
    sum.update(body);
    sum.update(covered);
    [&covered[..], sum.finish().as_ref(), body].concat()
}

fn covered(kind: Kind, entries: u64, body: u64) -> [u8; COVERED] {
    let header = Header { kind, created: NOW, breached: None, taken: entries, entries, key: KeyId::default(), body };
    header.bytes()
}

/// 256 filters of which the first is this one.
fn body(first: [u32; 4], fingerprints: &[u8]) -> Vec<u8> {
    let [entries, segment, segments, count] = first;
    let mut body = Vec::new();
    body.extend_from_slice(&entries.to_le_bytes());
    body.extend_from_slice(&7_u64.to_le_bytes());
    [segment, segments, count].iter().for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
    body.extend_from_slice(fingerprints);
    body.resize(body.len() + 255 * SHARD_HEADER, 0);
    body
}

#[test]
fn numbers_that_a_forged_file_claims_are_held_to_what_is_there() {
    let place = Place::new();
    let path = place.path(Kind::Passwords);
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Filter::read(&path)
    };
    let of = |first: [u32; 4], fingerprints: &[u8]| {
        let body = body(first, fingerprints);
        forged(&covered(Kind::Passwords, u64::from(first[0]), body.len() as u64), &body)
    };
    read(&of([1, 4, 4, 12], &[0; 12])).unwrap();
    for (first, fingerprints) in [
        ([1, 4, 4, u32::MAX], 12),
        ([1, 1 << 31, 1 << 31, u32::MAX], 12),
        ([u32::MAX, 4, 4, 12], 4),
        ([1, 3, 3, 9], 9),
        ([1, 0, 0, 0], 0),
        ([1, 4, 0, 8], 8),
        ([1, 4, 6, 14], 14),
        ([1, 4, 4, 11], 11),
        ([1, 4, 4, 13], 13),
        ([0, 4, 4, 12], 12),
    ] {
        assert!(read(&of(first, &vec![0; fingerprints])).is_err(), "{first:?}");
    }
    let good = body([1, 4, 4, 12], &[0; 12]);
    let long = good.len() as u64;
    for (kind, entries, length) in [
        (Kind::Passwords, 1, u64::MAX),
        (Kind::Passwords, 1, long + 1),
        (Kind::Passwords, 2, long),
        (Kind::Pairs, 1, long),
    ] {
        assert!(read(&forged(&covered(kind, entries, length), &good)).is_err(), "{kind:?} {entries} {length}");
    }
    let spoil = |at: usize, value: u8| {
        let mut covered = covered(Kind::Passwords, 1, long);
        covered[at] = value;
        forged(&covered, &good)
    };
    assert!(matches!(read(&spoil(0, b'w')), Err(Flaw::Foreign)));
    assert!(matches!(read(&spoil(8, 2)), Err(Flaw::Version(2))));
    assert!(matches!(read(&spoil(10, 9)), Err(Flaw::Damaged(_))));
    assert!(matches!(read(&spoil(12, 1)), Err(Flaw::Damaged(_))));
    assert!(matches!(read(&spoil(47, 0xff)), Err(Flaw::Damaged(_))), "more entries than went in");
    assert!(matches!(read(b""), Err(Flaw::Foreign)));
    assert!(matches!(Filter::read(place.dir.path()), Err(Flaw::Foreign)), "a directory");
    assert!(matches!(Filter::read(&place.dir.path().join("none")), Err(Flaw::File(_))));
}

proptest! {
    #[test]
    fn no_file_with_the_right_digest_panics_or_reads_beyond_itself(
        first in any::<[u32; 4]>(),
        small in any::<bool>(),
        wide in any::<bool>(),
        fingerprints in proptest::collection::vec(any::<u8>(), 0..256),
        asked in any::<u64>(),
    ) {
        let place = Place::new();
        let kind = if wide { Kind::Pairs } else { Kind::Passwords };
        let first = if small { first.map(|number| number % 65) } else { first };
        let body = body(first, &fingerprints);
        let path = place.path(kind);
        fs::write(&path, forged(&covered(kind, u64::from(first[0]), body.len() as u64), &body)).unwrap();
        if let Ok(list) = Filter::read(&path) {
            list.has(Entry::from_bits(asked));
            list.has(Entry::from_bits(asked >> 8));
        }
    }
}

#[test]
fn a_name_and_password_are_weighed_from_the_worst_down() {
    let place = Place::new();
    place.passwords(&["hunter2", "letmein"]);
    place.pairs(&[("ada@shop.example", "hunter2")]);
    let breach = Breach::default();
    let law = place.law(&[Kind::Passwords, Kind::Pairs]);
    breach.prepare(Some(&law), NOW);
    assert_eq!(said(&breach, &law, " Ada@SHOP.example", "hunter2"), PAIR);
    assert_eq!(said(&breach, &law, "bob", "hunter2"), PASSWORD);
    assert_eq!(said(&breach, &law, "ada@shop.example", "letmein"), PASSWORD);
    assert_eq!(said(&breach, &law, "ada@shop.example", "Hunter2"), NOTHING);

    let asked = |name, password| breach.lists().exposure(&law, name, password, NOW);
    let hidden = Reading::Unknown(Why::Ambiguous);
    assert_eq!(asked(hidden, Reading::Known("hunter2")), PASSWORD, "who hides the name is known by the password");
    assert_eq!(asked(hidden, Reading::Known("new")), Reading::Unknown(Why::Ambiguous));
    assert_eq!(asked(Reading::Known("ada"), Reading::Unknown(Why::Missing)), Reading::Unknown(Why::Missing));
    let unread = asked(Reading::Known("ada"), Reading::Unknown(Why::Ambiguous));
    assert_eq!(unread, Reading::Unknown(Why::Ambiguous), "who hides the password is not told to be clean");

    let only = place.law(&[Kind::Pairs]);
    assert_eq!(said(&breach, &only, "bob", "hunter2"), NOTHING);
    let none = place.law(&[]);
    assert_eq!(said(&breach, &none, "bob", "hunter2"), Reading::Unknown(Why::NotAsked));
    assert_eq!(breach.lists().account(&law, "ada", NOW), Reading::Unknown(Why::NotAsked));
}

#[test]
fn a_list_that_is_not_there_hides_what_is_not_known_otherwise() {
    let place = Place::new();
    place.passwords(&["hunter2"]);
    let breach = Breach::default();
    let law = place.law(&[Kind::Passwords, Kind::Pairs, Kind::Accounts]);
    breach.prepare(Some(&law), NOW);
    for password in ["hunter2", "new"] {
        assert_eq!(said(&breach, &law, "ada", password), Reading::Unknown(Why::Down), "{password}");
    }
    assert_eq!(breach.lists().account(&law, "ada", NOW), Reading::Unknown(Why::Down));
    let shown = breach.show(Some(&law), NOW);
    assert_eq!(shown.iter().map(Shown::up).collect::<Vec<_>>(), [true, false, false]);
    assert!(shown[1].trouble.as_ref().is_some_and(|trouble| !trouble.is_empty()));

    place.pairs(&[("ada", "hunter2")]);
    place.accounts(&["ada"]);
    breach.settle(Some(&law), NOW);
    assert_eq!(said(&breach, &law, "ada", "hunter2"), PAIR);
    assert_eq!(breach.lists().account(&law, "ADA ", NOW), Reading::Known(true));
    assert_eq!(breach.lists().account(&law, "bob", NOW), Reading::Known(false));
    assert_eq!(breach.lists().breached(&law), Some(NOW));
    assert!(breach.show(Some(&law), NOW).iter().all(Shown::up));
}

#[test]
fn an_old_list_still_knows_what_has_leaked_but_not_what_has_not() {
    let place = Place::new();
    place.passwords(&["letmein"]);
    place.pairs(&[("ada", "hunter2")]);
    place.accounts(&["ada"]);
    let breach = Breach::default();
    let law = place.law(&Kind::ALL);
    breach.prepare(Some(&law), NOW);
    let at = |later: Duration, password| {
        breach.lists().exposure(&law, Reading::Known("ada"), Reading::Known(password), NOW.plus(later))
    };
    assert_eq!(at(45 * DAY, "new"), NOTHING);
    let late = 45 * DAY + Duration::from_secs(1);
    assert_eq!(at(late, "new"), Reading::Unknown(Why::Stale));
    assert_eq!(at(late, "hunter2"), PAIR);
    assert_eq!(at(late, "letmein"), Reading::Unknown(Why::Stale), "whether the pair leaked too is not known any more");
    assert_eq!(
        breach.lists().account(&law, "bob", NOW.plus(late)),
        Reading::Known(false),
        "what was lost once stays so"
    );
    assert_eq!(breach.show(Some(&law), NOW.plus(late)).iter().map(Shown::up).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn a_bad_file_is_refused_whole_and_the_one_before_stays() {
    let place = Place::new();
    place.pairs(&[("ada", "hunter2")]);
    let breach = Breach::default();
    let law = place.law(&[Kind::Pairs]);
    breach.settle(Some(&law), NOW);
    let path = place.path(Kind::Pairs);
    let good = fs::read(&path).unwrap();
    let other = Place::new();
    other.pairs(&[("bob", "hunter2")]);
    let mut spoiled = good.clone();
    spoiled[HEADER + 30] ^= 1;
    place.passwords(&["hunter2"]);
    let wrong_kind = fs::read(place.path(Kind::Passwords)).unwrap();
    let future = About { created: NOW.plus(30 * DAY), ..about(Kind::Pairs, Some(&place.key)) };
    write(&place.dir.path().join("future"), &future, vec![scattered(1)]).unwrap();
    for (bad, why) in [
        (good[..good.len() - 1].to_vec(), "cut short"),
        (spoiled, "damaged"),
        (wrong_kind, "it holds passwords, not pairs"),
        (fs::read(other.path(Kind::Pairs)).unwrap(), "made with the key"),
        (fs::read(place.dir.path().join("future")).unwrap(), "in the future"),
        (Vec::new(), "not a list"),
    ] {
        // Beside it and renamed, as whoever replaces a file should.
        let beside = place.dir.path().join("new");
        fs::write(&beside, &bad).unwrap();
        fs::rename(&beside, &path).unwrap();
        breach.settle(Some(&law), NOW);
        assert_eq!(said(&breach, &law, "ada", "hunter2"), PAIR, "{why}");
        assert_eq!(said(&breach, &law, "bob", "hunter2"), NOTHING, "{why}");
        let shown = breach.show(Some(&law), NOW).remove(0);
        let trouble = shown.trouble.unwrap_or_default();
        assert!(trouble.contains(why) && shown.header.is_some(), "{why}: {trouble}");
    }
    fs::remove_file(&path).unwrap();
    breach.settle(Some(&law), NOW);
    assert_eq!(said(&breach, &law, "ada", "hunter2"), PAIR, "a file that is gone takes nothing away");

    place.pairs(&[("bob", "hunter2")]);
    breach.settle(Some(&law), NOW);
    assert_eq!((said(&breach, &law, "ada", "hunter2"), said(&breach, &law, "bob", "hunter2")), (NOTHING, PAIR));
    assert!(breach.show(Some(&law), NOW)[0].up());
}

#[test]
fn a_law_that_is_tried_out_takes_nothing_from_the_one_in_force() {
    let (now, next) = (Place::new(), Place::new());
    now.passwords(&["hunter2"]);
    next.passwords(&["letmein"]);
    let breach = Breach::default();
    let (law, other) = (now.law(&[Kind::Passwords]), next.law(&[Kind::Passwords]));
    breach.settle(Some(&law), NOW);
    breach.prepare(Some(&other), NOW);
    assert_eq!(said(&breach, &law, "ada", "hunter2"), PASSWORD);
    assert_eq!(said(&breach, &other, "ada", "letmein"), PASSWORD, "it is ready before it is in force");
    breach.settle(Some(&other), NOW);
    assert_eq!(said(&breach, &law, "ada", "hunter2"), Reading::Unknown(Why::Down), "what nothing names is let go");
    breach.settle(None, NOW);
    assert_eq!(said(&breach, &other, "ada", "letmein"), Reading::Unknown(Why::Down));
}

#[test]
fn a_key_that_others_can_read_is_refused_with_its_list() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.pairs(&[("ada", "hunter2")]);
    fs::set_permissions(place.key_path(), fs::Permissions::from_mode(0o644)).unwrap();
    let breach = Breach::default();
    let law = place.law(&[Kind::Pairs]);
    breach.settle(Some(&law), NOW);
    assert_eq!(said(&breach, &law, "ada", "hunter2"), Reading::Unknown(Why::Down));
    assert!(breach.show(Some(&law), NOW)[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("chmod 600")));
}

#[test]
fn check_says_what_is_wrong_with_a_list_where_it_is_named() {
    let place = Place::new();
    place.passwords(&["hunter2"]);
    let law = place.law(&[Kind::Passwords, Kind::Pairs]);
    let problems = inspect(&law, NOW);
    assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["W0153"]);
    assert!(problems[0].help.is_some() && problems[0].primary.is_some());
    place.pairs(&[("ada", "hunter2")]);
    assert!(inspect(&law, NOW).is_empty());
    let late = inspect(&law, NOW.plus(100 * DAY));
    assert_eq!(late.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["W0154", "W0154"]);
    assert!(late.iter().all(|problem| !problem.is_error() && problem.message.contains("100 days old")));
}
