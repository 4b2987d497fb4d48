//! A notice as a page: plain, no script, no third party, readable at 200 % zoom, at most 14 KB.

use std::sync::LazyLock;

use minijinja::{Environment, context};

use super::{Exit, Notice};
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
                    hours => contact.hours.as_deref(),
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
    use super::span;

    #[test]
    fn a_time_to_come_back_is_never_shorter_than_promised() {
        assert_eq!(span(1), "1 second");
        assert_eq!(span(90), "90 seconds");
        assert_eq!(span(91), "2 minutes");
        assert_eq!(span(5401), "2 hours");
    }
}
