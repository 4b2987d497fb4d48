//! The decisions of a replayed stream with the truth that the stream carries, as the outcomes that `weir calibrate` reads.
//!
//! The truth is read here alone, after the judge has spoken: the replay never sees it.

use std::io::{self, Write};

use serde::Deserialize;

use super::replay::Judged;
use crate::clock::Moment;
use crate::judge::score::Scored;
use crate::judge::seen::Listed;
use crate::judge::signals::Readings;
use crate::outcomes::entry::{
    Age, Cookie, Decision, Entry, Groups, Network, Outcome, Seen, Sort, System, Tag, by_group,
};
use crate::subject::Names;

/// What of a line a gateway does not see, or does not keep.
#[derive(Deserialize)]
struct Told<'a> {
    t: f64,
    #[serde(default, borrow)]
    cc: Option<&'a str>,
    #[serde(default, borrow)]
    ua: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    dev: Option<&'a str>,
    #[serde(default, borrow)]
    acct: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    route: &'a str,
    #[serde(default, borrow)]
    truth: Option<Truth<'a>>,
}

/// Who it was.
#[derive(Deserialize)]
struct Truth<'a> {
    y: u8,
    #[serde(default, borrow)]
    grp: Option<&'a str>,
}

/// Writes what a line came to. A line without a truth is written as a decision of which nothing is known.
pub fn write(out: &mut impl Write, text: &str, number: u64, judged: &Judged) -> io::Result<()> {
    let told: Told<'_> = serde_json::from_str(text)?;
    let names = Names::new(*b"weir eval truth.");
    let outcome = told.truth.as_ref().map(|truth| if truth.y == 0 { Outcome::Genuine } else { Outcome::Fraud });
    let sort = match told.route {
        "login" => Sort::Attempt,
        "reset_confirm" => Sort::Reset,
        _ => Sort::Step,
    };
    let reference = |after: &[u8]| Tag(names.key(&[&number.to_le_bytes(), after]));
    let decision = |sort, scored: &Scored, reference| {
        Entry::Decision(Decision {
            at: Moment::from_unix_millis((told.t.max(0.0) * 1000.0) as u64).unix_seconds(),
            journey: told.route.to_owned(),
            sort,
            evidence: scored.sum().as_tenths(),
            points: by_group(scored),
            action: "allow".to_owned(),
            reference,
            account: told.acct.as_deref().map(|name| Tag(names.account(name).bits())),
            session: None,
            groups: groups(&told, &judged.readings),
            outcome,
        })
    };
    let first = decision(sort, &judged.first, reference(b"first"));
    let after = judged.after.as_ref().map(|after| decision(Sort::Session, after, reference(b"after")));
    let mut line = Vec::new();
    for entry in std::iter::once(first).chain(after) {
        entry.write(&mut line);
        line.push(b'\n');
    }
    out.write_all(&line)
}

fn groups(told: &Told<'_>, readings: &Readings) -> Groups {
    let listed: Option<Listed> = readings.listed.known().map(|marks| marks.listed);
    Groups {
        network: Network::of(listed),
        seen: Seen::of(readings.network.known()),
        country: told.cc.map(str::to_owned),
        system: System::of(told.ua.as_deref().unwrap_or_default()),
        cookie: Cookie::of(told.dev.and(readings.device.known())),
        age: Age::of(told.acct.as_ref().map(|_| readings.past.known().map_or_else(Default::default, |past| past.age))),
        named: told.truth.as_ref().and_then(|truth| truth.grp).map(str::to_owned),
    }
}
