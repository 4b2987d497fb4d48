//! What a template sees: the words and ways out of one notice, said in one language, and nothing else. No score, no signal, no
//! rule and no customer's data can reach a template, because they are not here.

use std::collections::BTreeMap;

use minijinja::context;
use minijinja::value::Value;

use super::{Kind, Language, Phrase, fill};

/// What a template may use, for whoever writes one.
pub const TOLD: &str = "\
  lang, dir            the language of the notice, and ltr or rtl
  headline, detail     its words
  kind, problem        why there is a notice: step_up, urn:weir:problem:step-up
  status               of the answer
  reference            what a customer quotes
  handoff, holds       whether the reference is that of a handoff; for how long it holds, said
  retryable            whether the same request may succeed later
  step_up              where one more proof is given
  wait                 wait.seconds, and wait.said
  read                 what can be looked at: read.url and read.said
  contacts             where people are reached; of each open, now (said), opens (said), phone,
                       phone_link, relay, chat, hours (said) and address
  only                 what automation may still use: a list of routes
  phrases              the phrases of the language, by name: phrases.never_ask

What a notice does not have is none or empty: {% if wait %}. Words are escaped. A page must
say the headline, the detail, the reference, phrases.never_ask and every way on, in at most 14 KB.";

/// One notice, said.
#[derive(Debug)]
pub struct View<'a> {
    /// In which language.
    pub language: &'a Language,
    /// Why.
    pub kind: Kind,
    /// The answer's status.
    pub status: u16,
    /// One line.
    pub headline: &'a str,
    /// What it means.
    pub detail: &'a str,
    /// What a customer quotes.
    pub reference: &'a str,
    /// Seconds that a handoff's reference still holds; none for any other notice.
    pub holds: Option<u64>,
    /// Whether the same request may succeed later without anything else.
    pub retryable: bool,
    /// Where one more proof is given.
    pub step_up: Option<&'a str>,
    /// Seconds until it is worth coming back.
    pub wait: Option<u32>,
    /// What can be looked at.
    pub read: Option<&'a str>,
    /// Where people are reached.
    pub contacts: Vec<ContactView<'a>>,
    /// What automation may still use, each a method and a path.
    pub only: Vec<&'a str>,
}

/// Where a person is reached.
#[derive(Debug, Default)]
pub struct ContactView<'a> {
    /// A voice line.
    pub phone: Option<&'a str>,
    /// A text relay.
    pub relay: Option<&'a str>,
    /// A chat.
    pub chat: Option<&'a str>,
    /// Opening hours, said.
    pub hours: Option<String>,
    /// Open now, and with room.
    pub open: bool,
    /// When it opens, said.
    pub opens: Option<String>,
    /// Calls back while it is closed or full.
    pub calls_back: bool,
    /// What is there until then.
    pub address: Option<&'a str>,
}

impl View<'_> {
    /// As templates know it.
    pub(super) fn as_value(&self) -> Value {
        let language = self.language;
        let phrase = |name: Phrase| language.phrase(name);
        let labels = Phrase::ALL.iter().filter(|phrase| phrase.places().is_empty());
        let phrases: BTreeMap<&str, Value> =
            labels.map(|name| (name.key(), Value::from(language.phrase(*name)))).collect();
        let wait = self.wait.map(|seconds| {
            let span = language.span(u64::from(seconds));
            let said = fill(phrase(Phrase::TryAgain), |place| (place == "wait").then_some(&*span)).into_owned();
            context! { seconds, said }
        });
        let read = self.read.map(|url| {
            let said = phrase(if url == "/" { Phrase::StartPage } else { Phrase::LookAt });
            context! { url, said }
        });
        let holds = self.holds.map(|seconds| {
            let span = language.span_at_least(seconds);
            fill(phrase(Phrase::Holds), |place| (place == "span").then_some(&*span)).into_owned()
        });
        context! {
            lang => &*language.tag,
            dir => language.direction(),
            kind => self.kind.key(),
            problem => format!("urn:weir:problem:{}", self.kind.problem()),
            status => self.status,
            headline => self.headline,
            detail => self.detail,
            reference => self.reference,
            handoff => self.holds.is_some(),
            holds,
            retryable => self.retryable,
            step_up => self.step_up,
            wait,
            read,
            contacts => self.contacts.iter().map(|contact| contact.as_value(language)).collect::<Vec<_>>(),
            only => self.only.iter().map(|route| Value::from(*route)).collect::<Vec<_>>(),
            phrases => Value::from(phrases),
        }
    }
}

impl ContactView<'_> {
    fn as_value(&self, language: &Language) -> Value {
        let now = match (self.open, self.address, self.calls_back) {
            (true, _, _) => Some(Phrase::HereNow),
            (false, Some(_), _) => Some(Phrase::Elsewhere),
            (false, None, true) => Some(Phrase::CallBack),
            (false, None, false) => None,
        };
        let opens = self.opens.as_deref().map(|opens| {
            fill(language.phrase(Phrase::HereAgain), |place| (place == "opens").then_some(opens)).into_owned()
        });
        let dialled = |phone: &str| phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>();
        context! {
            open => self.open,
            now => now.map(|phrase| language.phrase(phrase)),
            opens,
            phone => self.phone,
            phone_link => self.phone.map(|phone| format!("tel:{}", dialled(phone))),
            relay => self.relay,
            chat => self.chat,
            hours => self.hours.as_deref(),
            address => self.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_a_template_is_told_of_all_that_it_may_use() {
        let language = Language::built_in("en").unwrap();
        let view = View {
            language: &language,
            kind: Kind::StepUp,
            status: 401,
            headline: "",
            detail: "",
            reference: "",
            holds: None,
            retryable: false,
            step_up: None,
            wait: Some(2),
            read: Some("/"),
            contacts: vec![ContactView::default()],
            only: Vec::new(),
        };
        let view = view.as_value();
        let names = |value: &Value| -> Vec<String> { value.try_iter().unwrap().map(|name| name.to_string()).collect() };
        let words: Vec<&str> = TOLD.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let of = |name: &str| names(&view.get_attr(name).unwrap());
        let contact = names(&view.get_attr("contacts").unwrap().get_item(&Value::from(0)).unwrap());
        for name in names(&view).into_iter().chain(of("wait")).chain(of("read")).chain(contact) {
            assert!(words.contains(&name.as_str()), "{name} is not told of");
        }
        assert!(of("phrases").contains(&"never_ask".to_owned()));
    }
}
