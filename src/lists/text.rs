//! A list as text: one address or network a line, `#` or `;` before comments, and a date in the comments at the top.
//!
//! One line that cannot be read refuses the whole file: half a list is worse than the one before.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Flaw;
use super::ranges::{Range, Ranges};
use crate::clock::Moment;

/// Lines with an address that one list may have.
const MOST: usize = 5_000_000;
/// A list that says of more IPv4 addresses than this share, in percent, that they are something says nothing.
const COVERS: u64 = 50;

/// What a text says.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) ranges: Ranges,
    /// Addresses and networks that were written.
    pub(super) entries: usize,
    /// When it was made, if it says so.
    pub(super) dated: Option<Moment>,
}

/// Reads a list.
pub(super) fn read(bytes: &[u8]) -> Result<Text, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotText)?;
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let (mut entries, mut dated) = (0, None);
    for (line, written) in text.lines().enumerate() {
        let (entry, comment) = match written.find(['#', ';']) {
            Some(at) => written.split_at(at),
            None => (written, ""),
        };
        let entry = entry.trim();
        if entry.is_empty() {
            if entries == 0 && dated.is_none() {
                dated = date(comment);
            }
            continue;
        }
        let Some(net) = network(entry) else {
            return Err(Flaw::Line { line: line + 1, said: entry.chars().take(60).collect() });
        };
        entries += 1;
        if entries > MOST {
            return Err(Flaw::TooMany(MOST));
        }
        match net {
            IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits(), 1)),
            IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits(), 1)),
        }
    }
    if entries == 0 {
        return Err(Flaw::Empty);
    }
    let ranges = Ranges::new(joined(v4), joined(v6));
    if ranges.covers() > COVERS {
        return Err(Flaw::CoversAll(ranges.covers()));
    }
    Ok(Text { ranges, entries, dated })
}

/// An address or a network; one of IPv4 inside IPv6 as what it is.
fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpNet::V6(v6) = net else { return Some(net) };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => IpNet::new(v4.into(), prefix).ok(),
        (Some(_), None) if v6.network() != Ipv6Addr::UNSPECIFIED => None,
        (Some(_) | None, _) => Some(net),
    }
}

/// The longest of the ranges that begin alike comes first, so that it wins.
fn joined<A: Copy + Ord>(mut all: Vec<Range<A>>) -> Vec<Range<A>> {
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    all
}

/// The first `YYYY-MM-DD` of a comment, with the time of day if one follows in the same word.
fn date(comment: &str) -> Option<Moment> {
    let words = comment.split(|c: char| c.is_whitespace() || "#;,()".contains(c));
    words.filter(|word| word.len() >= 10).find_map(|word| {
        let day: jiff::civil::Date = word.get(..10)?.parse().ok()?;
        let whole = word.parse::<jiff::Timestamp>().ok();
        let at = whole.or_else(|| Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))?;
        u64::try_from(at.as_second()).ok().map(Moment::from_unix_seconds)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_as_published_is_read_with_its_date() {
        let text = "# Exits\n# made 2026-11-20T06:00:00Z\n\n192.0.2.7 # one\n198.51.100.0/24\r\n2001:db8::/48\n::ffff:203.0.113.9\n; end 2020-01-01\n";
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.entries, 4);
        assert_eq!(read.dated, Some(Moment::from_unix_seconds(1_795_154_400)));
        let on = |address: &str| read.ranges.find(address.parse().unwrap()) != 0;
        assert!(on("192.0.2.7") && on("198.51.100.255") && on("2001:db8::ffff") && on("203.0.113.9"));
        assert!(!on("192.0.2.8") && !on("198.51.101.0") && !on("2001:db8:1::"));
    }

    #[test]
    fn one_line_that_cannot_be_read_refuses_the_list() {
        for (text, says) in [
            ("192.0.2.7\n192.0.2.999\n", "line 2"),
            ("192.0.2.0/33\n", "line 1"),
            ("<html>", "line 1"),
            ("", "empty"),
            ("# nothing\n", "empty"),
            ("0.0.0.0/0\n", "100 %"),
        ] {
            let flaw = read(text.as_bytes()).unwrap_err().to_string();
            assert!(flaw.contains(says), "{text:?}: {flaw}");
        }
        assert!(matches!(read(b"\xff\xfe"), Err(Flaw::NotText)));
    }

    #[test]
    fn a_network_inside_another_takes_nothing_away() {
        let read = read(b"10.1.0.0/16\n10.0.0.0/8\n10.200.0.0/16\n").unwrap();
        for address in ["10.0.0.0", "10.1.2.3", "10.199.0.1", "10.255.255.255"] {
            assert_ne!(read.ranges.find(address.parse().unwrap()), 0, "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[0-9a-f:./# \n-]{0,200}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
