//! Pictures of the report, as SVG inside the page: what was said against what was, how many at each score, who is challenged.
//!
//! Every picture has a title and a description in words, and says nothing by colour alone. No script.

use std::fmt::Write as _;

use super::super::say::escape;
use super::groups::Group;
use super::measure::Measure;
use super::report::{Band, Part};
use super::text::{count, percent};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// The frame of a picture with two axes from 0 to 100.
fn frame(id: &str, title: &str, describe: &str, across: &str, inside: &str) -> String {
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
         <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n",
        escape(title),
        escape(describe)
    );
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (x, y) = (across_at(tick), up_at(tick));
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{:.0}</text>",
            WIDTH - RIGHT,
            x,
            HEIGHT - BOTTOM + 14.0,
            tick * 100.0
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 4.0,
        escape(across)
    );
    out.push_str(inside);
    out.push_str("</svg>\n");
    out
}

fn across_at(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn up_at(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
}

/// Labels of the upward axis.
fn upward(labels: &[(f64, String)]) -> String {
    labels.iter().fold(String::new(), |mut out, (share, label)| {
        let _ =
            writeln!(out, "<text class=\"up\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", LEFT - 6.0, up_at(*share) + 4.0);
        out
    })
}

/// What was said against what was: the diagonal is a score that is right.
pub fn reliability(id: &str, part: &Part) -> String {
    let mut inside = upward(&[0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{:.0}", share * 100.0))));
    let _ = writeln!(
        inside,
        "<path class=\"ideal\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        across_at(0.0),
        up_at(0.0),
        across_at(1.0),
        up_at(1.0)
    );
    let mut words = String::new();
    for (class, name, measure) in [("before", "as it comes", &part.before), ("after", "calibrated", &part.after)] {
        let Some(measure) = measure else { continue };
        inside += &curve(class, measure);
        let _ = write!(words, "{name}: expected calibration error {:.4}. ", measure.calibration_error);
    }
    let title = "Reliability: the share that was genuine against what was said, in percent";
    frame(id, title, words.trim(), "said to be genuine, %", &inside)
}

fn curve(class: &str, measure: &Measure) -> String {
    let (mut path, mut dots) = (String::new(), String::new());
    for bin in measure.bins.iter().filter(|bin| bin.n > 0) {
        let (x, y) = (across_at(bin.said), up_at(bin.genuine));
        let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        let tip = format!("{} decisions, said {}, genuine {}", count(bin.n), percent(bin.said), percent(bin.genuine));
        let shape = match class {
            "after" => format!("<circle class=\"after\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\">"),
            _ => format!("<rect class=\"before\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\">", x - 3.5, y - 3.5),
        };
        let end = if class == "after" { "circle" } else { "rect" };
        let _ = writeln!(dots, "{shape}<title>{tip}</title></{end}>");
    }
    format!("<path class=\"line {class}\" d=\"{path}\"/>\n{dots}")
}

/// How many decisions there are at each score, as shares of the genuine and of the fraud, with the line.
pub fn scores(id: &str, part: &Part) -> String {
    let share = |n: usize, all: usize| if all == 0 { 0.0 } else { n as f64 / all as f64 };
    let most = part.bands.iter().flat_map(|band| [share(band.genuine, part.genuine), share(band.fraud, part.fraud)]);
    let top = most.fold(0.01, f64::max);
    let mut inside = upward(&[0.0, 0.5, 1.0].map(|share| (share, percent(share * top).replace(' ', ""))));
    let step = (WIDTH - LEFT - RIGHT) / part.bands.len().max(1) as f64;
    for Band { from, genuine, fraud, .. } in &part.bands {
        let left = across_at(f64::from(*from) / 100.0);
        for (at, (class, n, all)) in
            [("genuine", *genuine, part.genuine), ("fraud", *fraud, part.fraud)].into_iter().enumerate()
        {
            let height = share(n, all) / top;
            let y = up_at(height);
            let _ = writeln!(
                inside,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{from} to {}: {} {class}, {}</title></rect>",
                left + 2.0 + at as f64 * (step / 2.0 - 1.0),
                step / 2.0 - 3.0,
                (up_at(0.0) - y).max(0.0),
                u16::from(*from) + 10,
                count(n),
                percent(share(n, all))
            );
        }
    }
    let x = across_at(f64::from(part.line.at) / 100.0);
    let _ = writeln!(
        inside,
        "<path class=\"cut\" d=\"M{x:.1} {TOP}V{:.1}\"/><text class=\"cut\" x=\"{:.1}\" y=\"{:.1}\">line {}</text>",
        up_at(0.0),
        x + 4.0,
        TOP + 10.0,
        part.line.at
    );
    let describe = format!(
        "{} of the genuine and {} of the fraud are below the line {}.",
        percent(part.line.challenged),
        percent(part.line.caught),
        part.line.at
    );
    frame(id, "Scores of genuine decisions and of fraud", &describe, "score", &inside)
}

/// Who is challenged at the line: a bar for each group of one kind.
pub fn groups(id: &str, by: &str, groups: &[&Group]) -> String {
    let most = groups.iter().map(|group| group.share).fold(0.05, f64::max);
    let height = 22.0 * groups.len() as f64 + 8.0;
    let (left, room) = (110.0, WIDTH - 110.0 - 130.0);
    let flagged = groups.iter().filter(|group| group.flagged).count();
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
         <title id=\"{id}-t\">Share of genuine customers who are challenged, by {}</title>\n\
         <desc id=\"{id}-d\">{} groups, {flagged} of them flagged.</desc>\n",
        escape(by),
        groups.len()
    );
    for (at, group) in groups.iter().enumerate() {
        let y = 4.0 + 22.0 * at as f64;
        let wide = group.share / most * room;
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"{}\" x=\"{left}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"16\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}{} of {}</text>",
            left - 8.0,
            y + 12.0,
            escape(&group.group),
            if group.flagged { "flag" } else { "bar" },
            left + wide + 6.0,
            y + 12.0,
            if group.flagged { "! " } else { "" },
            percent(group.share),
            count(group.n)
        );
    }
    out.push_str("</svg>\n");
    out
}
