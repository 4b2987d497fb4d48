//! `weir breach build` and `weir breach accounts`: from files of any size to one list, in little memory.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::progress::{Progress, size};
use super::sources::{Intake, RANGES, Tally, files};
use super::spill::Spill;
use super::{AccountsArguments, BuildArguments, MadeArguments};
use crate::cli::arm::second;
use crate::cli::say::say_line;
use crate::clock::{Clock, Moment};
use crate::control::audit::written;
use crate::identity::breach::{About, Header, Key, SHARDS, Writer};
use crate::rules::breach::Kind;

pub(super) fn build(arguments: &BuildArguments) -> anyhow::Result<ExitCode> {
    let BuildArguments { hibp, plain, pairs, separator, key, made } = arguments;
    let keyed = key.as_deref().map(Key::read_or_make).transpose()?;
    let kind = if pairs.is_empty() { Kind::Passwords } else { Kind::Pairs };
    let sources = hibp.iter().chain(plain).chain(pairs).map(|path| &**path).collect();
    make(made, &Sought { kind, key: keyed.as_ref(), breached: None, sources }, |intake| {
        hibp.iter().try_for_each(|path| intake.hashes(path))?;
        plain.iter().try_for_each(|path| intake.passwords(path))?;
        match &keyed {
            Some((key, _)) => pairs.iter().try_for_each(|path| intake.pairs(path, separator, key)),
            None => Ok(()),
        }
    })
}

pub(super) fn accounts(arguments: &AccountsArguments) -> anyhow::Result<ExitCode> {
    let AccountsArguments { from, breached, key, made } = arguments;
    let keyed = Key::read_or_make(key)?;
    let sources = from.iter().map(|path| &**path).collect();
    let sought = Sought { kind: Kind::Accounts, key: Some(&keyed), breached: Some(*breached), sources };
    make(made, &sought, |intake| from.iter().try_for_each(|path| intake.accounts(path, &keyed.0)))
}

/// The list that is asked for.
struct Sought<'a> {
    kind: Kind,
    /// The key, and whether it was made just now.
    key: Option<&'a (Key, bool)>,
    breached: Option<Moment>,
    sources: Vec<&'a Path>,
}

fn make(
    made: &MadeArguments,
    sought: &Sought<'_>,
    read: impl FnOnce(&mut Intake<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let created = made.dated.unwrap_or(now);
    if created > now || sought.breached.is_some_and(|breached| breached > now) {
        bail!("the day is still to come");
    }
    let output = || format!("{}", made.output.display());
    let dir = made.output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let about =
        About { kind: sought.kind, created, breached: sought.breached, key: sought.key.map(|(key, _)| key.id()) };
    let mut writer = Writer::begin(&made.output, &about).with_context(output)?;
    let mut spill = Spill::beside(dir).with_context(|| format!("a file in {}", dir.display()))?;
    let mut progress = Progress::of(sizes(&sought.sources)?);

    let mut intake = Intake { spill: &mut spill, progress: &mut progress, tally: Tally::default() };
    read(&mut intake)?;
    let tally = intake.tally;
    progress.end();
    if spill.entries == 0 {
        bail!("there is nothing in {}: no list was made", if sought.sources.len() == 1 { "it" } else { "them" });
    }
    for shard in 0..SHARDS {
        let entries = spill.take(shard as usize).context("sorting")?;
        writer.add(&entries).with_context(output)?;
        progress.filters(u64::from(shard), u64::from(SHARDS));
    }
    let header = writer.finish(spill.entries).with_context(output)?;
    progress.end();
    tell(made, sought, &header, &tally)?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes of all files together.
fn sizes(sources: &[&Path]) -> anyhow::Result<u64> {
    let mut all = 0;
    for source in sources {
        for file in files(source)? {
            all += std::fs::metadata(&file).map_or(0, |found| found.len());
        }
    }
    Ok(all)
}

fn tell(made: &MadeArguments, sought: &Sought<'_>, header: &Header, tally: &Tally) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(&made.output).map_or(0, |found| found.len());
    let Tally { lines, padding, bad, places, ranges } = tally;
    if made.json {
        let document = json!({
            "file": made.output, "bytes": bytes, "list": header.kind.word(), "created": written(header.created),
            "breached": header.breached.map(written), "taken": header.taken, "entries": header.entries,
            "key": sought.key.map(|(key, _)| key.id().to_string()), "key_made": sought.key.is_some_and(|(_, new)| *new),
            "lines": lines, "padding": padding, "unreadable": bad, "unreadable_at": places, "ranges": ranges,
        });
        return Ok(say_line(&format!("{document:#}"))?);
    }
    let kind = header.kind.word();
    let of = second(&written(header.created));
    say_line(&format!("{}: {} {kind} of {of}, {}", made.output.display(), header.entries, size(bytes)))?;
    let twice = header.taken - header.entries;
    say_line(&format!(
        "read {lines} lines: {twice} came more than once, {padding} were padding, {bad} cannot be read"
    ))?;
    if !places.is_empty() {
        let more = if *bad > places.len() as u64 { " ..." } else { "" };
        say_line(&format!("cannot be read: {}{more}", places.join(", ")))?;
    }
    if *ranges > 0 && *ranges < RANGES {
        say_line(&format!("NOT every range is there: {ranges} of {RANGES}. What is in the others is not found."))?;
    }
    if let Some((key, new)) = sought.key {
        let was =
            if *new { "made just now; keep it, the list is of no use without it" } else { "the one that was there" };
        say_line(&format!("key {}: {was}", key.id()))?;
    }
    Ok(())
}
