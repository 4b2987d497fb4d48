//! Every template is tried before it is law: with every kind of notice, in every spoken language, while help is open and while it
//! is not. One that fails, is too large, is not JSON where it should be, or leaves out a way forward is found here, not by a
//! customer.

use minijinja::HtmlEscape;

use super::pages::Trouble;
use super::{ContactView, Kind, Language, Phrase, Place, Templates, View, fill};

/// The first thing that is wrong with a template.
pub(in crate::rules) fn rehearse(
    templates: &Templates,
    languages: &[Language],
    name: &str,
    text: &str,
) -> Option<Trouble> {
    let trial = |language, kind, open| {
        let view = sample(language, kind, open);
        let said = match templates.rehearse(name, text, &view) {
            Ok(said) => said,
            Err(trouble) => return Some(trouble),
        };
        let says = match name.ends_with(".json") {
            true => not_json(&said),
            false => left_out(&said, &view),
        };
        says.map(|says| Trouble {
            range: None,
            says: format!("for a notice of kind {} in {}, {says}", kind.key(), view.language.tag),
        })
    };
    for language in languages {
        for kind in Kind::ALL {
            if let Some(trouble) = trial(language, *kind, true).or_else(|| trial(language, *kind, false)) {
                return Some(trouble);
            }
        }
    }
    None
}

fn not_json(said: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Value>(said).err().map(|error| format!("what it writes is not JSON: {error}"))
}

/// What a customer needs and the page does not say.
fn left_out(said: &str, view: &View<'_>) -> Option<String> {
    let span = view.wait.map(|seconds| view.language.span(u64::from(seconds)));
    let wait = span.as_deref().map(|span| {
        fill(view.language.phrase(Phrase::TryAgain), |place| (place == "wait").then_some(span)).into_owned()
    });
    let contact = view.contacts.first();
    let needed = [
        ("the headline (`headline`)", Some(view.headline)),
        ("the detail (`detail`)", Some(view.detail)),
        ("the reference (`reference`)", Some(view.reference)),
        ("what is never asked for (`phrases.never_ask`)", Some(view.language.phrase(Phrase::NeverAsk))),
        ("the way to one more proof (`step_up`)", view.step_up),
        ("when to come back (`wait.said`)", wait.as_deref()),
        ("what can be looked at (`read.url`)", view.read),
        ("the number of a contact (`contact.phone`)", contact.and_then(|contact| contact.phone)),
        ("the text relay of a contact (`contact.relay`)", contact.and_then(|contact| contact.relay)),
        ("the chat of a contact (`contact.chat`)", contact.and_then(|contact| contact.chat)),
        ("what is there while help is closed (`contact.address`)", contact.and_then(|contact| contact.address)),
    ];
    let missing = needed.into_iter().find(|(_, text)| text.is_some_and(|text| !holds(said, text)));
    let lang = format!("lang=\"{}\"", view.language.tag);
    match missing {
        Some((what, _)) => Some(format!("the page leaves out {what}")),
        None if !said.contains(&lang) => {
            Some("the page does not say its language: <html lang=\"{{ lang }}\">".to_owned())
        }
        None => None,
    }
}

fn holds(said: &str, text: &str) -> bool {
    said.contains(text) || said.contains(&HtmlEscape(text).to_string())
}

fn sample(language: &Language, kind: Kind, open: bool) -> View<'_> {
    let words = language.words(kind);
    let waits = kind.places().contains(&Place::Wait);
    View {
        language,
        kind,
        status: if kind == Kind::ReadOnly { 503 } else { 403 },
        headline: &words.headline,
        detail: &words.detail,
        reference: if kind == Kind::Handoff { "123 456 789" } else { "4f1c 09ab 77e2" },
        holds: (kind == Kind::Handoff).then_some(86_400),
        retryable: waits,
        step_up: (kind == Kind::StepUp).then_some("/verify?rt=sample&resend=1"),
        wait: waits.then_some(20),
        read: (kind == Kind::ReadOnly).then_some("/account/address"),
        contacts: vec![ContactView {
            phone: Some("+44 20 7946 0000"),
            relay: Some("18001 020 7946 0000"),
            chat: Some("https://help.example/chat"),
            hours: Some(language.hours("Mo-Su 08:00-20:00 Europe/London")),
            open,
            opens: (!open).then(|| language.phrase(Phrase::EveryDay).to_owned()),
            calls_back: false,
            address: (!open).then_some("https://help.example/message"),
        }],
        only: if kind == Kind::AutomationNarrowed { vec!["GET /api/v1/orders/{id}"] } else { Vec::new() },
    }
}
