//! What the table promises, at sizes where it is full and where it grows.

use super::*;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Entry {
    worth: u8,
    seen: u32,
}

impl Worth for Entry {
    fn worth(&self, _: Moment) -> u8 {
        self.worth
    }
}

/// What takes as much as an account, a bucket, a cookie or a session.
#[derive(Clone, Copy, Debug)]
struct Sized<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Default for Sized<BYTES> {
    fn default() -> Self {
        Self([0; BYTES])
    }
}

impl<const BYTES: usize> Worth for Sized<BYTES> {
    fn worth(&self, _: Moment) -> u8 {
        0
    }
}

const NOW: Moment = Moment::from_unix_seconds(1_800_000_000);
const SMALLEST: u64 = (WAYS * SHARDS) as u64;

/// Keys as they come: spread over the whole word.
fn key(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A full table, and how many entries are in it.
fn full(worth: u8) -> (Table<Entry>, u64) {
    let table = Table::new(1);
    let mut number = 0;
    while table.len() < table.capacity() {
        table.put(key(number), NOW, Entry { worth, seen: 0 });
        number += 1;
    }
    (table, number)
}

#[test]
fn what_is_put_in_is_read_until_it_is_taken_out() {
    let table = Table::new(1000);
    for key in 0..500_u64 {
        assert!(table.put(key, NOW, Entry { worth: 0, seen: 7 }));
    }
    assert_eq!(table.len(), 500);
    assert_eq!(table.update(3, NOW, |e: &mut Entry| e.seen += 1), Some(()));
    assert_eq!(table.read(3).map(|e| e.seen), Some(8));
    assert_eq!(table.remove(3).map(|e| e.seen), Some(8));
    assert_eq!((table.read(3), table.remove(3), table.len()), (None, None, 499));
    assert_eq!(table.update_existing(3, |_| ()), None);
}

#[test]
fn a_flood_of_strangers_fills_no_memory_and_forgets_no_customer() {
    let table = Table::new(1024);
    for number in 0..256_u64 {
        assert!(table.put(key(number), NOW, Entry { worth: 1, seen: 1 }));
    }
    for number in 0..100_000_u64 {
        table.update(key(number ^ 0xffff_0000_0000), NOW, |e: &mut Entry| e.seen += 1);
    }
    assert!(table.len() <= table.capacity());
    assert!((0..256_u64).all(|number| table.read(key(number)).is_some()));
}

#[test]
fn a_newcomer_that_is_worth_less_than_all_is_not_taken() {
    let (table, next) = full(1);
    assert!(!table.put(key(next), NOW, Entry::default()));
    assert!(table.put(key(next), NOW, Entry { worth: 1, seen: 0 }));
    assert_eq!(table.len(), table.capacity());
}

#[test]
fn among_equals_the_one_not_touched_lately_gives_way() {
    let (table, next) = full(0);
    let mut here: Vec<u64> = Vec::new();
    table.for_each(|key, _| here.push(key));
    let [mut used, mut idle] = [const { Vec::new() }; 2];
    here.chunks(2).for_each(|two| {
        used.push(two[0]);
        idle.extend(two.get(1));
    });
    for number in 0..SMALLEST / 2 {
        if number % 16 == 0 {
            used.iter().for_each(|key| _ = table.read(*key));
        }
        table.put(key(next + number), NOW, Entry::default());
    }
    let gone = |keys: &[u64]| keys.iter().filter(|key| table.read(**key).is_none()).count();
    let (used, idle) = (gone(&used), gone(&idle));
    assert!(idle > 2 * used, "{used} used and {idle} idle entries were forgotten");
}

#[test]
fn most_places_are_used_before_anyone_is_forgotten() {
    for (places, permille) in [(20_000, 970), (64 * 8 * 128, 985), (200_000, 985)] {
        let table = Table::new(places);
        let nine_tenths = table.capacity() * 9 / 10;
        for number in 0..nine_tenths as u64 {
            table.put(key(number), NOW, Entry::default());
        }
        assert!(table.len() * 1000 >= nine_tenths * permille, "{} of {nine_tenths}", table.len());
    }
}

#[test]
fn every_key_is_found_again_from_where_it_stands() {
    for number in (0..1000).map(key).chain([0, 1, u64::MAX]) {
        assert_eq!(unmix(mix(number)), number);
    }
    let table = Table::new(100_000);
    for number in 0..50_000 {
        assert!(table.put(key(number), NOW, Entry { worth: 0, seen: number as u32 }));
    }
    let mut seen = vec![0_u8; 50_000];
    table.for_each(|at, entry| {
        assert_eq!(key(u64::from(entry.seen)), at);
        seen[entry.seen as usize] += 1;
    });
    assert!(seen.iter().all(|times| *times == 1));
}

#[test]
fn what_is_not_kept_is_gone_and_the_rest_stays() {
    let table = Table::new(100_000);
    for number in 0..50_000 {
        table.put(key(number), NOW, Entry { worth: 0, seen: number as u32 });
    }
    let before = table.changes();
    assert_eq!(table.retain(|_, entry| entry.seen % 3 == 0), 33_333);
    assert_eq!(table.len(), 16_667);
    assert!((0..50_000).all(|number| table.read(key(number)).is_some() == (number % 3 == 0)));
    assert_ne!(table.changes(), before);
    let before = table.changes();
    assert_eq!((table.retain(|_, _| true), table.changes()), (0, before));
}

#[test]
fn several_doors_give_what_reading_one_by_one_gives() {
    let table = Table::new(20_000);
    for number in 0..10_000 {
        table.put(key(number), NOW, Entry { worth: 0, seen: number as u32 });
    }
    for number in 0..9_000 {
        // Two of one shard now and then, one twice, one that is not there, none.
        let keys = [Some(key(number)), Some(key(number + 999)), Some(key(number)), Some(key(number + 50_000)), None];
        let mut doors = Doors::of(&table, keys);
        doors.knock();
        doors.copy();
        doors.leave();
        assert_eq!(doors.found(), keys.map(|key| key.and_then(|key| table.read(key))));
    }
}

#[test]
fn a_door_that_somebody_holds_is_not_waited_for_until_all_others_are_let_go() {
    let table = Table::new(20_000);
    for number in 0..10 {
        table.put(key(number), NOW, Entry { worth: 0, seen: number as u32 });
    }
    let mut held = table.enter(key(1));
    assert_eq!(held.find().map(|entry| entry.seen), Some(1));
    assert!(table.door(key(1)).is_none());
    let mut doors = Doors::of(&table, [Some(key(1)), Some(key(2))]);
    doors.copy();
    doors.leave();
    assert!(table.door(key(2)).is_some(), "what was held is let go");
    drop(held);
    assert_eq!(doors.found().map(|entry| entry.map(|entry| entry.seen)), [Some(1), Some(2)]);
}

/// Bytes an entry at this number of entries of a table for a million.
fn bytes_each<const BYTES: usize>(entries: u64) -> usize {
    let table: Table<Sized<BYTES>> = Table::new(1_000_000);
    for number in 0..entries {
        assert!(table.put(key(number), NOW, Sized::default()));
    }
    table.bytes().div_ceil(table.len())
}

#[test]
fn an_entry_costs_its_value_and_little_more_however_many_there_are() {
    let all = |entries| {
        [bytes_each::<496>(entries), bytes_each::<12>(entries), bytes_each::<8>(entries), bytes_each::<48>(entries)]
    };
    // While a table grows, up to a tenth of its places is free; where it is full, none is.
    for (bytes, most) in all(100_000).into_iter().zip([560, 25, 22, 64]) {
        assert!(bytes <= most, "{bytes} bytes for an entry, more than {most}");
    }
    let place = [
        size_of::<Set<Sized<496>>>(),
        size_of::<Set<Sized<12>>>(),
        size_of::<Set<Sized<8>>>(),
        size_of::<Set<Sized<48>>>(),
    ];
    assert!(place.map(|set| set.div_ceil(WAYS)).into_iter().zip([504, 20, 16, 56]).all(|(place, most)| place <= most));
    assert!(Table::<Sized<496>>::new(10_000_000).bytes() < 40_000, "a table that nobody uses takes hardly any memory");
}
