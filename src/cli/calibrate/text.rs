//! The report as people read it on a terminal.

use std::fmt::Write as _;

use super::measure::Measure;
use super::report::{Part, Report};

/// Countries and other groups of a kind that are shown one by one, unless they are flagged.
const SHOWN: usize = 8;

/// The whole report.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} decisions were read.", count(report.decisions));
    for (words, n) in &report.told {
        let _ = writeln!(out, "  {:>9}  {words}", count(*n));
    }
    if report.unreadable > 0 {
        let _ = writeln!(out, "  {:>9}  lines could not be read and are left out", report.unreadable);
    }
    for part in &report.parts {
        one(&mut out, part);
    }
    let flagged = report.flagged().count();
    let _ = match flagged {
        0 => writeln!(out, "\nNo group of 200 or more is challenged above 5 % or three times the mean."),
        1 => writeln!(out, "\n1 group is challenged too often; it is marked with !."),
        n => writeln!(out, "\n{n} groups are challenged too often; they are marked with !."),
    };
    out
}

fn one(out: &mut String, part: &Part) {
    let name = part.name();
    let rule = if part.groups.is_empty() { "-" } else { "=" };
    let _ = writeln!(out, "\n{name}\n{}", rule.repeat(name.chars().count()));
    let _ =
        writeln!(out, "{} genuine, {} fraud, {} unknown.", count(part.genuine), count(part.fraud), count(part.unknown));
    match (&part.calibration, &part.refused) {
        (Some(fit), _) => {
            let _ = writeln!(out, "calibration   a = {:.2}, b = {:.3}", fit.a, fit.b);
        }
        (None, Some(refused)) => {
            let _ = writeln!(out, "calibration   none: {refused}");
        }
        (None, None) => {}
    }
    for (name, measure) in [("as it comes", &part.before), ("calibrated", &part.after), ("on new ones", &part.held_out)]
    {
        if let Some(measure) = measure {
            measured(out, name, measure);
        }
    }
    let _ = writeln!(out, "\n  budget      line   genuine below   fraud below");
    let _ = write!(out, "> ");
    for (at, line) in std::iter::once(&part.line).chain(&part.other_lines).enumerate() {
        let indent = if at > 0 { "  " } else { "" };
        let [budget, challenged, caught] = [line.budget, line.challenged, line.caught].map(percent);
        let _ = writeln!(out, "{indent}{budget:<11} {:>4} {challenged:>15} {caught:>13}", line.at);
    }
    let _ = writeln!(out, "\n  score      genuine      fraud   genuine of them   said");
    for band in &part.bands {
        let n = band.genuine + band.fraud;
        if n > 0 {
            let share = percent(band.genuine as f64 / n as f64);
            let upto = u16::from(band.from) + if band.from == 90 { 10 } else { 9 };
            let _ = writeln!(
                out,
                "  {:>2}-{upto:<3} {:>12} {:>10} {share:>17} {:>6}",
                band.from,
                count(band.genuine),
                count(band.fraud),
                percent(band.said)
            );
        }
    }
    if !part.groups.is_empty() {
        groups(out, part);
    }
}

fn measured(out: &mut String, name: &str, measure: &Measure) {
    let _ = writeln!(
        out,
        "{name:<13} calibration error {:.4}; Brier {:.4} = reliability {:.4} - resolution {:.4} + uncertainty {:.4} {} within bins {:.4}",
        measure.calibration_error,
        measure.brier,
        measure.reliability,
        measure.resolution,
        measure.uncertainty,
        if measure.within < 0.0 { '-' } else { '+' },
        measure.within.abs()
    );
}

fn groups(out: &mut String, part: &Part) {
    let _ = writeln!(out, "\n  Challenged at the line {}, genuine customers only:", part.line.at);
    let mut before = ("", 0);
    for group in &part.groups {
        before = if before.0 == group.by { (group.by, before.1 + 1) } else { (group.by, 0) };
        if before.1 >= SHOWN && !group.flagged {
            continue;
        }
        let by = if before.1 == 0 { group.by } else { "" };
        let _ = writeln!(
            out,
            "{} {by:<20} {:<16} {:>9} of {:>9} {:>8}  {:>5.1} x the mean",
            if group.flagged { '!' } else { ' ' },
            group.group,
            count(group.challenged),
            count(group.n),
            percent(group.share),
            group.times_the_mean
        );
    }
}

/// A share in percent, as many places as it needs.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        whole if whole == 0.0 || whole >= 99.95 => format!("{whole:.0} %"),
        small if small < 1.0 => format!("{small:.2} %"),
        other => format!("{other:.1} %"),
    }
}

/// A number with its thousands apart.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.0012, 0.0123, 0.5, 1.0].map(percent), ["0 %", "0.12 %", "1.2 %", "50.0 %", "100 %"]);
    }
}
