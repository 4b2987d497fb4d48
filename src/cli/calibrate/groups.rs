//! The table of groups: who is asked for more at the line, by network, country, device, cookie and age of the account. It is the
//! assessment of disparate impacts that SP 800-63B-4 asks for.
//!
//! It must never leave a group out because it looks good, nor call a handful of people a finding.

use std::collections::BTreeMap;

use serde::Serialize;

use super::budget::is_below;
use crate::outcomes::entry::Groups;

/// A group of fewer is shown, never flagged.
pub const ENOUGH: usize = 200;
/// A group is flagged above this share ...
pub const SHARE: f64 = 0.05;
/// ... or so many times the mean, whichever is larger.
pub const TIMES: f64 = 3.0;
/// The largest groups of one kind that are shown one by one; the rest is one group.
const SHOWN: usize = 40;

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// By what it is told.
    pub by: &'static str,
    /// Which.
    pub group: String,
    /// Genuine decisions of it.
    pub n: usize,
    /// Those of them below the line.
    pub challenged: usize,
    /// Their share.
    pub share: f64,
    /// The share against that of everybody.
    pub times_the_mean: f64,
    /// It is large enough to count, and challenged too often.
    pub flagged: bool,
}

/// By what groups are told.
struct By {
    by: &'static str,
    of: fn(&Groups) -> Option<&str>,
    /// It tells people apart. What the score itself weighs is shown and not flagged: that it weighs is what it is for.
    people: bool,
}

const KINDS: [By; 7] = [
    By { by: "network", of: |groups| Some(groups.network.word()), people: true },
    By { by: "network before", of: |groups| Some(groups.seen.word()), people: false },
    By { by: "country", of: |groups| groups.country.as_deref(), people: true },
    By { by: "device", of: |groups| Some(groups.system.word()), people: true },
    By { by: "cookie", of: |groups| Some(groups.cookie.word()), people: true },
    By { by: "account age", of: |groups| Some(groups.age.word()), people: true },
    By { by: "group of the stream", of: |groups| groups.named.as_deref(), people: true },
];

/// The table of these genuine decisions, each with its evidence, at this line.
pub fn table(genuine: &[(f64, &Groups)], at: u8) -> Vec<Group> {
    let challenged = genuine.iter().filter(|(evidence, _)| is_below(*evidence, at)).count();
    let mean = share(challenged, genuine.len());
    let mut table = Vec::new();
    for By { by, of, people } in KINDS {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (evidence, groups) in genuine {
            if let Some(group) = of(groups) {
                let (n, below) = counts.entry(group).or_default();
                *n += 1;
                *below += usize::from(is_below(*evidence, at));
            }
        }
        let mut counts: Vec<(&str, (usize, usize))> = counts.into_iter().collect();
        counts.sort_by(|one, other| other.1.0.cmp(&one.1.0).then(one.0.cmp(other.0)));
        let rest = counts.split_off(counts.len().min(SHOWN));
        if !rest.is_empty() {
            let sum = rest.iter().fold((0, 0), |sum, (_, (n, below))| (sum.0 + n, sum.1 + below));
            counts.push(("all others", sum));
        }
        table.extend(counts.into_iter().map(|(group, (n, challenged))| {
            let part = share(challenged, n);
            Group {
                by,
                group: group.to_owned(),
                n,
                challenged,
                share: part,
                times_the_mean: if mean > 0.0 { part / mean } else { 0.0 },
                flagged: people && n >= ENOUGH && part > SHARE.max(TIMES * mean),
            }
        }));
    }
    table
}

fn share(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::entry::{Age, Cookie, Network, Seen, System};

    fn of(country: &str, network: Network) -> Groups {
        Groups {
            network,
            seen: Seen::New,
            country: Some(country.to_owned()),
            system: System::Ios,
            cookie: Cookie::None,
            age: Age::Year,
            named: None,
        }
    }

    fn row<'t>(table: &'t [Group], by: &str, group: &str) -> &'t Group {
        table.iter().find(|row| row.by == by && row.group == group).unwrap()
    }

    #[test]
    fn a_large_group_that_pays_for_all_is_flagged_and_a_small_one_is_shown() {
        let (home, vpn, tor) = (of("GB", Network::Unlisted), of("GB", Network::Vpn), of("FR", Network::Tor));
        let mut genuine: Vec<(f64, &Groups)> = Vec::new();
        genuine.extend((0..9_000).map(|n| (if n % 200 == 0 { -10.0 } else { 20.0 }, &home)));
        genuine.extend((0..250).map(|n| (if n % 10 == 0 { -10.0 } else { 20.0 }, &vpn)));
        genuine.extend((0..199).map(|_| (-10.0, &tor)));
        let table = table(&genuine, 53);
        // In the mean 45 + 25 + 199 of 9449: 2.85 %; three times that is 8.5 %.
        let vpn = row(&table, "network", "vpn");
        assert_eq!((vpn.n, vpn.challenged, vpn.flagged), (250, 25, true));
        assert!((vpn.times_the_mean - 0.1 / (269.0 / 9449.0)).abs() < 1e-12);
        assert!(!row(&table, "network", "tor").flagged, "199 people are too few");
        assert!(!row(&table, "network", "unlisted").flagged);
        assert_eq!(row(&table, "country", "GB").n, 9_250);
        assert!(table.iter().all(|row| row.by != "group of the stream"));
    }

    #[test]
    fn many_countries_end_in_one_row_and_nobody_is_left_out() {
        let countries: Vec<Groups> = (0..60_u8)
            .map(|n| of(&format!("{}{}", (b'A' + n / 26) as char, (b'A' + n % 26) as char), Network::Vpn))
            .collect();
        let genuine: Vec<(f64, &Groups)> = countries.iter().map(|groups| (0.0, groups)).collect();
        let table = table(&genuine, 50);
        let rows: Vec<&Group> = table.iter().filter(|row| row.by == "country").collect();
        assert_eq!((rows.len(), rows.iter().map(|row| row.n).sum::<usize>()), (41, 60));
    }
}
