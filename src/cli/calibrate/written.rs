//! The constants as rule tables: `[calibration.JOURNEY]`, ready to stand beside the other rules.
//!
//! It must never write a table that compiling would refuse: what is not to be believed is said in a comment instead.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::fit::Fit;
use super::report::{Part, Report};
use crate::rules::calibration::FURTHEST;

/// The tables of every journey that the outcomes bear, each by its own or else by all of its kind.
pub fn tables(report: &Report, day: &str) -> (String, usize) {
    let mut out = format!(
        "# What scores have meant, journey by journey: made by `weir calibrate --write` from outcomes until {day}.\n\
         # Operators are told with it how likely it is that the account's owner is asking. No decision leans on it.\n"
    );
    let mut names: Vec<&str> = report.parts.iter().flat_map(|part| &part.journeys).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut written = 0;
    for name in names {
        let Some((part, fit)) = best(report, name) else {
            let refused = report.parts.iter().filter(|part| part.journeys.iter().any(|journey| journey == name));
            let why =
                refused.filter_map(|part| part.refused.as_deref()).next_back().unwrap_or("nothing is known of it");
            let _ = write!(out, "\n# {name}: {why}\n");
            continue;
        };
        if part.journeys.len() > 1 {
            let _ = write!(out, "\n# By the outcomes of {} together.", part.journeys.join(", "));
        }
        let outcomes = part.genuine + part.fraud;
        let _ = write!(
            out,
            "\n[calibration.{name}]\noffset = {:?}\nslope = {:?}\noutcomes = {outcomes}\nmade = \"{day}\"\n",
            round(fit.a, 1e3),
            round(fit.b, 1e4)
        );
        written += 1;
    }
    (out, written)
}

/// The part that speaks for a journey: its own with the most outcomes, else all of its kind.
fn best<'r>(report: &'r Report, name: &str) -> Option<(&'r Part, Fit)> {
    let of = report.parts.iter().filter(|part| part.journeys.iter().any(|journey| journey == name));
    let fitted = of.filter_map(|part| Some((part, part.calibration.filter(|fit| fit.a.abs() <= FURTHEST)?)));
    fitted.max_by_key(|(part, _)| (part.journeys.len() == 1, part.genuine + part.fraud))
}

/// To so many places, and without a minus before nothing.
fn round(number: f64, places: f64) -> f64 {
    (number * places).round() / places + 0.0
}

/// Writes the tables beside the old file and puts them in its place, so that whoever watches never reads half.
///
/// # Errors
/// When the system refuses; an older file then stands.
pub fn put(path: &Path, tables: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = fs::File::create(&new)?;
    file.write_all(tables.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
