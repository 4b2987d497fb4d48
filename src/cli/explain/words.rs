//! An explanation as people read it in a terminal: the way, the arithmetic, the rungs, what was asked, what came out.

use std::fmt::Write as _;

use http::StatusCode;

use crate::cli::test::printable;
use crate::gate::notice::Notice;
use crate::judge::explain::{Asked, Came, Explanation, Judgement, Step};
use crate::rules::notices::Kind;
use crate::rules::ruleset::RuleSet;

/// The whole explanation.
pub fn text(rules: &RuleSet, explained: &Explanation, color: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", strong(&printable(&explained.request), color));
    way(&mut out, explained);
    for judgement in &explained.judgements {
        out.push('\n');
        judged(&mut out, judgement);
    }
    out.push('\n');
    let _ = writeln!(out, "Comes out: {}", strong(explained.outcome, color));
    if let Some(read) = customer_reads(rules, explained) {
        let _ = writeln!(out, "           {read}");
    }
    out
}

/// The second outcome, beside the first.
pub fn beside(rules: &RuleSet, as_it_is: &Explanation, gone: &Explanation, names: &str, color: bool) -> String {
    let are = if names.contains(" and ") { "are" } else { "is" };
    let mut out = format!("\n--- when {names} {are} gone ---\n\n{}\n", text(rules, gone, color));
    let second = format!("when {names} {are} gone");
    let wide = second.len().max(24) + 2;
    let _ = writeln!(out, "{:<wide$}{}", "as it is", as_it_is.outcome);
    let _ = writeln!(out, "{second:<wide$}{}", gone.outcome);
    out
}

fn strong(text: &str, color: bool) -> String {
    if color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn way(out: &mut String, explained: &Explanation) {
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<10}{}", printable(&value));
    };
    match &explained.site {
        Some(site) => row("site", format!("{} (of {site})", explained.host)),
        None => row("site", format!("none has the host {}", explained.host)),
    }
    if let Some(upstream) = &explained.upstream {
        row("upstream", upstream.clone());
    }
    if let Some(route) = &explained.route {
        row("route", route.clone());
    }
    match (&explained.journey, &explained.stop) {
        (Some(journey), _) => row("journey", journey.clone()),
        (None, None) => row("journey", "none names this path: it is served".to_owned()),
        (None, Some(_)) => {}
    }
    match explained.stop.as_ref() {
        Some(stop) => {
            if let Some(refusal) = &stop.refusal {
                row("refused", format!("by {refusal}"));
            }
            row("stops", stop.why.clone());
        }
        None => row(
            "refusals",
            match explained.refusals {
                0 => "there are none".to_owned(),
                1 => "the one there is does not hold".to_owned(),
                many => format!("none of {many} holds"),
            },
        ),
    }
    for limit in &explained.limits {
        row("limit", limit.clone());
    }
    if let Some(budget) = &explained.budget {
        row("budget", budget.clone());
    }
}

fn judged(out: &mut String, judgement: &Judgement) {
    let decides = if judgement.decides { "" } else { " (the other decides)" };
    let what = match judgement.stage {
        "attempt" => "The attempt, before the application has seen it",
        "claim" => "The request, which only names the account: what the account's own past holds may only help",
        _ => "The session",
    };
    let _ = writeln!(out, "{what}{decides}\n");
    for line in &judgement.signals {
        let unknown = line.unknown.map_or(String::new(), |why| format!(" (unknown: {why})"));
        let reason =
            if line.unknown.is_some() { "Read as the worst that it could be, or as nothing." } else { line.reason };
        let _ = writeln!(out, "  {:>6}  {:<20}{reason}{unknown}", points(line.points), line.name);
    }
    let _ = writeln!(out, "  ------");
    let sum = 50.0 + judgement.sum;
    let kept = if sum.floor() == f64::from(judgement.confidence) { "" } else { ", kept between 0 and 100" };
    let _ = writeln!(
        out,
        "  {:>6}  50 and these are {sum}{kept}: confidence {}, coverage {} %",
        points(judgement.sum),
        judgement.confidence,
        judgement.coverage
    );
    if let Some(likely) = &judgement.calibrated {
        let percent = likely.probability * 100.0;
        let (outcomes, made) = (likely.outcomes, &likely.made);
        let _ = writeln!(
            out,
            "          calibrated: the account's owner in {percent:.1} % of such cases ({outcomes} outcomes until {made})"
        );
    }
    if let Some((family, why)) = judgement.fault {
        let _ = writeln!(out, "          a source of the family {family} is {why}");
    }
    if !judgement.ladder.is_empty() {
        out.push('\n');
    }
    for step in &judgement.ladder {
        let _ = writeln!(out, "  at {:>3}  {:<32}{}", step.at, step.action, came(step, judgement.confidence));
    }
    let asked: Vec<&Asked> = judgement.demanded.iter().filter(|asked| asked.action != "allow").collect();
    if !asked.is_empty() {
        out.push('\n');
    }
    for asked in asked {
        let met = match (asked.action, asked.lacks) {
            ("step_up", None) => "met",
            ("step_up", Some("freshness")) => "NOT MET: the proof is too old",
            ("step_up", Some(_)) => "NOT MET: there is no proof as strong",
            _ => "holds",
        };
        let _ = writeln!(out, "  {:<28}{:<34}{met}", asked.by, asked.what);
    }
    let _ = writeln!(out, "\n  so: {}{}", judgement.outcome, if judgement.goes_on { ", and it goes on" } else { "" });
    if let Some(shadow) = judgement.shadow {
        let _ = writeln!(out, "  in shadow, not enforced: {shadow}");
    }
}

/// Points with their sign; whole numbers without a dot.
fn points(points: f64) -> String {
    format!("{points:+}")
}

fn came(step: &Step, confidence: u8) -> String {
    match step.came {
        Came::Hit => "HIT".to_owned(),
        Came::Missed => format!("missed: {} more are needed", step.at.saturating_sub(confidence)),
        Came::NotReached => "not reached".to_owned(),
    }
}

/// What the customer is told, where Weir answers itself: the law's own words, in its first language.
fn customer_reads(rules: &RuleSet, explained: &Explanation) -> Option<String> {
    let deciding = explained.judgements.iter().find(|judgement| judgement.decides);
    let notice = match (&explained.stop, deciding) {
        (Some(stop), _) if stop.refusal.is_some() => Notice::refused(StatusCode::from_u16(stop.status).ok()?),
        (Some(stop), _) => return Some(format!("answered {}", stop.status)),
        (None, Some(judgement)) if judgement.goes_on && judgement.outcome != "throttle" => {
            return Some("passed on to the application".to_owned());
        }
        (None, Some(judgement)) => match judgement.outcome {
            "step_up" => return Some("browser: to the page of [step_up] (303); app: step-up (401 or 403)".to_owned()),
            "read_only" => Notice::read_only(None),
            "throttle" => Notice::throttle(1),
            "handoff" => Notice::handoff(None, None),
            "deny" if judgement.narrowed => Notice::automation_narrowed(),
            "deny" => Notice::denied(),
            _ => return None,
        },
        (None, None) => return None,
    };
    let (id, language) = (rules.notices.choose(None), rules.notices.language(rules.notices.choose(None)));
    let journey = explained.journey.as_deref().and_then(|name| rules.journey_named(name));
    let own = journey.and_then(|journey| rules.journey(journey).words.of(id, notice.kind));
    let words = own.unwrap_or_else(|| language.words(notice.kind));
    let turn = if notice.kind == Kind::Throttle { "when it is not this client's turn: " } else { "" };
    let (headline, kind, status) = (&words.headline, notice.kind.problem(), notice.status.as_u16());
    Some(format!("{turn}the customer reads \"{}\" ({kind}, {status})", printable(headline)))
}
