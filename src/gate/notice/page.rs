//! A notice as a page: plain, no script, no third party, readable at 200 % zoom, at most 14 KB.

use std::sync::LazyLock;

use minijinja::{Environment, context};

use super::{Exit, Notice};
use crate::clock::Moment;
use crate::rules::ruleset::Otherwise;

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    if let Err(error) = pages.add_template("page.html", include_str!("page.html")) {
        tracing::error!(%error, "the built-in page does not parse; customers get plain words");
    }
    pages
});

/// The page's text. A page that cannot be rendered is still an answer: the words alone.
pub fn render(notice: &Notice, request_id: &str) -> String {
    let mut step_up = None;
    let mut wait = None;
    let mut read = None;
    let mut contacts = Vec::new();
    for exit in &notice.exits {
        match exit {
            Exit::StepUp { url, .. } => step_up = url.as_deref(),
            Exit::Wait { seconds } => wait = Some(span(u64::from(*seconds))),
            Exit::Read { url } => read = Some(url.as_str()),
            Exit::Contact(contact) => {
                let (otherwise, address) = match &contact.otherwise {
                    None => ("", None),
                    Some(Otherwise::Callback) => ("callback", None),
                    Some(Otherwise::Address(address)) => ("address", Some(address)),
                };
                contacts.push(context! {
                    open => contact.open,
                    phone => contact.phone.as_deref(),
                    relay => contact.relay.as_deref(),
                    chat => contact.chat.as_deref(),
                    hours => contact.hours.as_deref().map(hours_in_words),
                    opens => contact.opens.map(|opens| opening(opens, contact.hours.as_deref().unwrap_or_default())),
                    otherwise,
                    address => address.map(|address| &**address),
                });
            }
        }
    }
    let page = PAGES.get_template("page.html").and_then(|page| {
        page.render(context! {
            headline => notice.headline,
            detail => notice.detail.as_str(),
            handoff => notice.kind == "handoff" && notice.reference.is_some(),
            holds => HANDOFF_HOLDS,
            reference => notice.reference.as_deref().unwrap_or(request_id),
            exits => context! { step_up, wait, read, contacts },
        })
    });
    page.unwrap_or_else(|error| {
        tracing::error!(%error, "the built-in page does not render");
        let [headline, detail] = [notice.headline, &notice.detail].map(escape);
        format!("<!doctype html><html lang=\"en\"><title>{headline}</title><h1>{headline}</h1><p>{detail}</p></html>")
    })
}

/// "Monday 23 November, 08:00 (London time)": when help opens again, on its own clock.
fn opening(opens: Moment, hours: &str) -> String {
    let seconds = i64::try_from(opens.unix_seconds()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let zone = zone(hours).unwrap_or("UTC");
    match time.in_tz(zone) {
        Ok(there) => format!("{} ({})", there.strftime("%A %-d %B, %H:%M"), zone_in_words(zone)),
        Err(_) => time.strftime("%A %-d %B, %H:%M (UTC)").to_string(),
    }
}

/// Opening hours as people write them: "every day 08:00-20:00 (London time)".
fn hours_in_words(written: &str) -> String {
    const DAYS: [(&str, &str); 7] = [
        ("Mo", "Monday"),
        ("Tu", "Tuesday"),
        ("We", "Wednesday"),
        ("Th", "Thursday"),
        ("Fr", "Friday"),
        ("Sa", "Saturday"),
        ("Su", "Sunday"),
    ];
    let zone = zone(written);
    let spans = zone.map_or(written, |zone| written[..written.len() - zone.len()].trim_end());
    let mut words = String::new();
    for piece in
        spans.replace("24/7", "at all hours").replace("Mo-Su", "every day").split_inclusive([' ', '-', ',', ';'])
    {
        let end = piece.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        match DAYS.iter().find(|(short, _)| *short == &piece[..piece.len() - end.len()]) {
            Some((_, day)) if end == "-" => words += &format!("{day} to "),
            Some((_, day)) => words += &format!("{day}{end}"),
            None => words += piece,
        }
    }
    match zone {
        Some(zone) => format!("{words} ({})", zone_in_words(zone)),
        None => words,
    }
}

/// The time zone at the end of written hours.
fn zone(hours: &str) -> Option<&str> {
    hours.rsplit(' ').next().filter(|last| last.starts_with(|first: char| first.is_ascii_alphabetic()))
}

/// "Europe/London" as "London time".
fn zone_in_words(zone: &str) -> String {
    match zone.rsplit_once('/') {
        Some((_, city)) => format!("{} time", city.replace('_', " ")),
        None => zone.to_owned(),
    }
}

/// In words: how long a handoff's reference holds ([`crate::gate::handoff::HOLDS`]).
const HANDOFF_HOLDS: &str = "24 hours";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// "20 seconds", "3 minutes", "2 hours": rounded up, so that the promise is kept.
pub(super) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=90 => (seconds.max(1), "second"),
        91..=5400 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    if count == 1 { format!("{count} {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::{hours_in_words, opening, span};
    use crate::clock::Moment;

    #[test]
    fn hours_are_said_in_words_and_on_the_clock_of_the_help() {
        assert_eq!(hours_in_words("Mo-Su 08:00-20:00 Europe/London"), "every day 08:00-20:00 (London time)");
        assert_eq!(hours_in_words("Mo-Fr 09:00-17:00 UTC"), "Monday to Friday 09:00-17:00 (UTC)");
        assert_eq!(
            hours_in_words("Mo-Fr 08:00-20:00; Sa 09:00-13:00 America/New_York"),
            "Monday to Friday 08:00-20:00; Saturday 09:00-13:00 (New York time)"
        );
        let summer = Moment::from_unix_seconds(1_783_321_200);
        assert_eq!(opening(summer, "Mo-Su 08:00-20:00 Europe/London"), "Monday 6 July, 08:00 (London time)");
    }

    #[test]
    fn a_time_to_come_back_is_never_shorter_than_promised() {
        assert_eq!(span(1), "1 second");
        assert_eq!(span(90), "90 seconds");
        assert_eq!(span(91), "2 minutes");
        assert_eq!(span(5401), "2 hours");
    }
}
