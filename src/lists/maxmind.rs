//! A list in MaxMind's format, walked once from end to end: whatever is wrong with it is found before anybody asks it anything.
//!
//! The file is data of others. A broken one must never panic, loop or fill the memory; it is refused whole.

use std::collections::HashMap;
use std::net::IpAddr;

use maxminddb::{Metadata, PathElement, Reader, WithinOptions};

use super::Flaw;
use super::ranges::Ranges;
use crate::clock::Moment;
use crate::rules::lists::ListKind;

/// Nodes that the tree of one file may have.
const NODES: usize = 40_000_000;
/// A tree of so many nodes has one leaf more. IPv4 may hang at several of its branches; what has more leaves than this many times
/// as many is no tree.
const SHARED: u64 = 8;
/// Different records that one file may have.
const RECORDS: usize = 4_000_000;

/// What a file says.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) ranges: Ranges,
    /// Networks of which it says something.
    pub(super) entries: usize,
    /// When it was built.
    pub(super) dated: Moment,
}

/// Reads a file, for its AS numbers or its countries.
pub(super) fn read(bytes: &[u8], kind: ListKind) -> Result<Database, Flaw> {
    let broken = |error: maxminddb::MaxMindDbError| Flaw::Database(error.to_string().chars().take(200).collect());
    let reader = Reader::from_source(bytes).map_err(broken)?;
    let value: fn(&Record<'_>) -> Option<u32> = match kind {
        ListKind::Provider => provider,
        _ => country,
    };
    // By the place of a record: many networks share one.
    let mut known: HashMap<usize, u32> = HashMap::new();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    sound(bytes, reader.metadata())?;
    let mut entries = 0;
    for found in reader.networks(WithinOptions::default()).map_err(broken)? {
        let found = found.map_err(broken)?;
        let Some(place) = found.offset() else { continue };
        let number = match known.get(&place) {
            Some(number) => *number,
            None => {
                if known.len() >= RECORDS {
                    return Err(Flaw::TooMany(RECORDS));
                }
                // Every record is read whole once, so that a broken one is found now.
                found.decode::<serde::de::IgnoredAny>().map_err(broken)?;
                let number = value(&found).unwrap_or(0);
                known.insert(place, number);
                number
            }
        };
        if number == 0 {
            continue;
        }
        entries += 1;
        let network = found.network().map_err(broken)?;
        let prefix = network.prefix();
        match network.ip() {
            IpAddr::V4(first) => {
                let rest = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                v4.push((first.to_bits(), first.to_bits() | rest, number));
            }
            IpAddr::V6(first) => {
                let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
                v6.push((first.to_bits(), first.to_bits() | rest, number));
            }
        }
    }
    if entries == 0 {
        return Err(Flaw::Without(kind));
    }
    let dated = Moment::from_unix_seconds(reader.metadata().build_epoch);
    Ok(Database { ranges: Ranges::new(v4, v6), entries, dated })
}

/// Refuses a tree that loops, or whose branches meet again so often that walking it would have no end.
fn sound(file: &[u8], about: &Metadata) -> Result<(), Flaw> {
    const UNSEEN: u32 = 0;
    const OPEN: u32 = u32::MAX;
    let broken = |said: &str| Err(Flaw::Database(said.to_owned()));
    let count = about.node_count as usize;
    if count > NODES {
        return Err(Flaw::TooMany(NODES));
    }
    let size = usize::from(about.record_size) / 4;
    let Some(tree) = file.get(..count * size).filter(|_| size >= 6) else { return broken("its tree is cut short") };
    let children = |node: usize| {
        let [left, right] = sides(&tree[node * size..(node + 1) * size]);
        [left as usize, right as usize]
    };
    // How many leaves hang at each node, the lowest first.
    let mut leaves = vec![UNSEEN; count];
    let mut climbing = if count == 0 { Vec::new() } else { vec![0] };
    while let Some(node) = climbing.last().copied() {
        match leaves[node] {
            UNSEEN => {
                leaves[node] = OPEN;
                for child in children(node).into_iter().filter(|child| *child < count) {
                    match leaves[child] {
                        OPEN => return broken("its tree loops"),
                        UNSEEN => climbing.push(child),
                        _ => {}
                    }
                }
            }
            OPEN => {
                let below = children(node).map(|child| leaves.get(child).copied().unwrap_or(1));
                leaves[node] = below[0].saturating_add(below[1]).min(OPEN - 1);
                climbing.pop();
            }
            _ => {
                climbing.pop();
            }
        }
    }
    let all = leaves.first().copied().map_or(0, u64::from);
    if all > (count as u64 + 1) * SHARED { broken("its tree is no tree") } else { Ok(()) }
}

/// Where the two sides of a node lead: two numbers of 24, 28 or 32 bits.
fn sides(node: &[u8]) -> [u32; 2] {
    match *node {
        [a, b, c, d, e, f] => [u32::from_be_bytes([0, a, b, c]), u32::from_be_bytes([0, d, e, f])],
        [a, b, c, both, d, e, f] => {
            [u32::from_be_bytes([both >> 4, a, b, c]), u32::from_be_bytes([both & 15, d, e, f])]
        }
        [a, b, c, d, e, f, g, h] => [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])],
        // Of no size that there is: the library refuses it.
        _ => [u32::MAX; 2],
    }
}

type Record<'a> = maxminddb::LookupResult<'a, &'a [u8]>;

/// The AS number, as MaxMind and those who follow it write it, or as `AS64500`.
fn provider(record: &Record<'_>) -> Option<u32> {
    let number = |key| record.decode_path::<u32>(&[PathElement::Key(key)]).ok().flatten();
    let text = |key| record.decode_path::<&str>(&[PathElement::Key(key)]).ok().flatten();
    let written = || text("asn").and_then(|text| text.strip_prefix("AS").unwrap_or(text).parse().ok());
    number("autonomous_system_number").or_else(|| number("asn")).or_else(written)
}

/// The two letters of a country, as one number.
fn country(record: &Record<'_>) -> Option<u32> {
    let text = |path: &[PathElement<'_>]| record.decode_path::<&str>(path).ok().flatten();
    let code = text(&[PathElement::Key("country"), PathElement::Key("iso_code")])
        .or_else(|| text(&[PathElement::Key("country_code")]))
        .or_else(|| text(&[PathElement::Key("country")]))
        .or_else(|| text(&[PathElement::Key("registered_country"), PathElement::Key("iso_code")]))?;
    let letters: [u8; 2] = code.as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_uppercase).then(|| u32::from(u16::from_be_bytes(letters)))
}
