//! The report as one HTML file: everything inside, light and dark, no script, and every picture beside the table that it is made of.
//!
//! It must never load anything: whoever opens it tells nobody.

use std::fmt::Write as _;

use super::super::say::escape;
use super::measure::Measure;
use super::picture::{groups, reliability, scores};
use super::report::{Part, Report};
use super::text::{count, percent};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#5b6470;--rule:#d6dae0;--one:#1f6feb;--two:#b3480c;--bad:#b42318}\
@media(prefers-color-scheme:dark){:root{--ink:#e7eaee;--paper:#14171b;--soft:#a3acb8;--rule:#363c45;--one:#6ea8ff;--two:#ffa05c;--bad:#ff8a80}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1,h2,h3{line-height:1.2}h2{margin-top:3rem;border-top:1px solid var(--rule);padding-top:1.5rem}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}caption{text-align:left;white-space:nowrap;font-weight:600;padding:.3rem 0}\
th,td{padding:.2rem .9rem .2rem 0;text-align:right;border-bottom:1px solid var(--rule)}th:first-child,td:first-child{text-align:left}\
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.5rem}figure{margin:0}figcaption{color:var(--soft);font-size:.9rem}\
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--ink)}.tick,.axis{text-anchor:middle}.up,.name{text-anchor:end}\
.grid{stroke:var(--rule);fill:none}.ideal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}.line{fill:none;stroke-width:1.5}\
.line.before{stroke:var(--two)}.line.after{stroke:var(--one)}rect.before,rect.fraud{fill:var(--two)}circle.after,rect.genuine,rect.bar{fill:var(--one)}\
path.cut{stroke:var(--ink);stroke-width:1.5}rect.flag{fill:var(--bad)}tr.flag td{color:var(--bad);font-weight:600}.refused{border-left:4px solid var(--two);padding-left:.8rem}\
.key i{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}.key .k1{background:var(--one);border-radius:50%}.key .k2{background:var(--two)}";

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Weir: calibration</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Calibration</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p>What {} kept decisions say of the score: whether it means what it says, where lines can be drawn, and who pays for them.</p>",
        count(report.decisions)
    );
    verdict(&mut out, report);
    let told = report.told.iter().map(|(words, n)| [escape(words), count(*n)]);
    table(&mut out, "How the decisions turned out", &["", "decisions"], told.map(|row| (false, row.to_vec())));
    if report.unreadable > 0 {
        let _ = writeln!(out, "<p>{} lines could not be read and are left out.</p>", report.unreadable);
    }
    for (at, part) in report.parts.iter().enumerate() {
        one(&mut out, at, part);
    }
    out += "</main>\n</body>\n</html>\n";
    out
}

/// What stands out, first.
fn verdict(out: &mut String, report: &Report) {
    out.push_str("<h2>Groups that are challenged too often</h2>\n");
    let mut flagged = report.flagged().peekable();
    if flagged.peek().is_none() {
        out.push_str(
            "<p>None of 200 or more is challenged above 5 % or three times the mean, whichever is larger.</p>\n",
        );
        return;
    }
    out.push_str("<ul>\n");
    for (part, group) in flagged {
        let _ = writeln!(
            out,
            "<li>{}, {} <b>{}</b>: {} of {} ({:.1} times the mean)</li>",
            escape(&part.name()),
            escape(group.by),
            escape(&group.group),
            percent(group.share),
            count(group.n),
            group.times_the_mean
        );
    }
    out.push_str("</ul>\n");
}

fn one(out: &mut String, at: usize, part: &Part) {
    let _ = writeln!(out, "<h2>{}</h2>", escape(&part.name()));
    let _ = writeln!(
        out,
        "<p>{} genuine, {} fraud, {} unknown.</p>",
        count(part.genuine),
        count(part.fraud),
        count(part.unknown)
    );
    if let Some(fit) = &part.calibration {
        let _ = writeln!(
            out,
            "<p>P(genuine) = 1 / (1 + 10<sup>-(a + b E) / 10</sup>) with <b>a = {:.2}</b> and <b>b = {:.3}</b>; the score is 50 + E.</p>",
            fit.a, fit.b
        );
    }
    if let Some(refused) = &part.refused {
        let _ = writeln!(out, "<p class=\"refused\">Not calibrated: {}.</p>", escape(refused));
    }
    out.push_str("<div class=\"pictures\">\n");
    let _ = writeln!(
        out,
        "<figure>{}<figcaption class=\"key\">Genuine of them, %, against what was said. <i class=\"k2\"></i>as it comes (squares) <i class=\"k1\"></i>calibrated (dots)</figcaption></figure>",
        reliability(&format!("r{at}"), part)
    );
    let _ = writeln!(
        out,
        "<figure>{}<figcaption class=\"key\">Share of each at a score. <i class=\"k1\"></i>genuine (left) <i class=\"k2\"></i>fraud (right)</figcaption></figure>",
        scores(&format!("s{at}"), part)
    );
    out.push_str("</div>\n");
    measures(out, part);
    let lines = std::iter::once(&part.line).chain(&part.other_lines).enumerate().map(|(at, line)| {
        let mut budget = percent(line.budget);
        if at == 0 {
            budget += " (asked for)";
        }
        (false, vec![budget, line.at.to_string(), percent(line.challenged), percent(line.caught)])
    });
    table(out, "Lines by budget", &["budget", "line", "genuine below", "fraud below"], lines);
    by_group(out, at, part);
}

fn measures(out: &mut String, part: &Part) {
    let all: [(&str, &Option<Measure>); 3] = [
        ("as it comes", &part.before),
        ("calibrated", &part.after),
        ("fitted to one half, measured on the other", &part.held_out),
    ];
    let rows = all.into_iter().filter_map(|(name, measure)| {
        let m = measure.as_ref()?;
        let figures = [m.calibration_error, m.brier, m.reliability, m.resolution, m.uncertainty, m.within];
        let figures = figures.iter().map(|figure| format!("{figure:.4}"));
        Some((false, std::iter::once(name.to_owned()).chain(figures).collect()))
    });
    let names = ["", "calibration error", "Brier", "reliability", "resolution", "uncertainty", "within bins"];
    table(out, "How good the probabilities are", &names, rows);
    let Some(measure) = part.after.as_ref().or(part.before.as_ref()) else { return };
    let bins = measure.bins.iter().enumerate().filter(|(_, bin)| bin.n > 0).map(|(at, bin)| {
        let tenth = format!("{} to {} %", at * 10, at * 10 + 10);
        (false, vec![tenth, count(bin.n), percent(bin.said), percent(bin.genuine)])
    });
    table(out, "Reliability bins", &["said", "decisions", "said in the mean", "genuine"], bins);
}

fn by_group(out: &mut String, at: usize, part: &Part) {
    if part.groups.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h3>Who is challenged at {}</h3>\n<div class=\"pictures\">", part.line.at);
    for (kind, of_kind) in part.groups.chunk_by(|one, other| one.by == other.by).enumerate() {
        let Some(by) = of_kind.first().map(|group| group.by) else { continue };
        let shown: Vec<_> = of_kind.iter().take(12).collect();
        let _ = writeln!(
            out,
            "<figure>{}<figcaption>By {}</figcaption></figure>",
            groups(&format!("g{at}-{kind}"), by, &shown),
            escape(by)
        );
    }
    out.push_str("</div>\n");
    let rows = part.groups.iter().map(|group| {
        let times = format!("{:.1}", group.times_the_mean);
        let flag = if group.flagged { "too often" } else { "" };
        let row = vec![
            format!("{}: {}", escape(group.by), escape(&group.group)),
            count(group.n),
            count(group.challenged),
            percent(group.share),
            times,
            flag.to_owned(),
        ];
        (group.flagged, row)
    });
    let names = ["group", "genuine", "challenged", "share", "times the mean", ""];
    table(out, "Every group", &names, rows);
}

/// A table; a row that is marked stands out.
fn table(out: &mut String, caption: &str, names: &[&str], rows: impl Iterator<Item = (bool, Vec<String>)>) {
    let _ = write!(out, "<table>\n<caption>{caption}</caption>\n<thead><tr>");
    for name in names {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (marked, row) in rows {
        out.push_str(if marked { "<tr class=\"flag\">" } else { "<tr>" });
        for cell in row {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}
