//! The words for one notice and one reader: the playbook's, else the journey's, else those of the language.

use std::borrow::Cow;

use super::{Exit, Notice, Reader};
use crate::clock::Moment;
use crate::rules::notices::{
    ContactView, JourneyWords, Kind, Language, LanguageId, Notices, Phrase, View, Words, fill,
};
use crate::rules::profiles::Profile;
use crate::rules::ruleset::Otherwise;

/// How one reader is spoken to.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'a> {
    /// How the answer is read.
    pub reader: Reader,
    /// In which language.
    pub spoken: LanguageId,
    /// The journey's own words.
    pub journey: Option<&'a JourneyWords>,
    /// How this client's app is answered.
    pub profile: Option<&'a Profile>,
    /// An app that the profiles know, in a version that they do not.
    pub unknown_version: bool,
    /// When.
    pub now: Moment,
    /// All words.
    pub notices: &'a Notices,
}

/// The words of one notice, found and filled in.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) headline: String,
    pub(super) detail: String,
    pub(super) reference: String,
}

impl<'a> Voice<'a> {
    /// A reader of the default language, for whom nothing special is known.
    pub fn plain(notices: &'a Notices, reader: Reader, now: Moment) -> Self {
        let spoken = LanguageId::default();
        Self { reader, spoken, journey: None, profile: None, unknown_version: false, now, notices }
    }

    /// The language.
    pub fn language(&self) -> &'a Language {
        self.notices.language(self.spoken)
    }

    /// The headline and the detail for somebody who has not tried yet: beside a button that is greyed, in the journeys feed. Whoever
    /// has entered nothing is not told what became of it.
    pub fn ahead(&self, notice: &Notice) -> (String, String) {
        let Said { headline, detail, .. } = self.say(notice, "");
        let ahead = [(Kind::ReadOnly, Phrase::LookOnly), (Kind::Upstream, Phrase::Away)];
        let phrase = ahead.into_iter().find(|(kind, _)| *kind == notice.kind && self.own(notice).is_none());
        (headline, phrase.map_or(detail, |(_, phrase)| self.language().phrase(phrase).to_owned()))
    }

    /// The words that are said of this alone: the playbook's, else the journey's.
    fn own<'n>(&self, notice: &'n Notice) -> Option<&'n Words>
    where
        'a: 'n,
    {
        let playbook = notice.playbook.as_ref().filter(|_| is_held(notice.kind));
        playbook.and_then(|(words, _)| words.of(self.spoken)).or_else(|| self.journey?.of(self.spoken, notice.kind))
    }

    pub(super) fn say(&self, notice: &Notice, request_id: &str) -> Said {
        let language = self.language();
        let words = self.own(notice).unwrap_or_else(|| language.words(notice.kind));
        let playbook = notice.playbook.as_ref().filter(|_| is_held(notice.kind));
        let wait = notice.retry_after.map(|seconds| language.span(u64::from(seconds.max(1))));
        let until = playbook.map(|(_, until)| language.moment(*until, hours(notice)));
        let most = language.size(notice.most);
        let place = |name: &str| match name {
            "wait" => wait.as_deref(),
            "until" => until.as_deref(),
            "most" => Some(&*most),
            _ => None,
        };
        let mut detail = fill(&words.detail, place).into_owned();
        if notice.resend {
            detail.push(' ');
            detail.push_str(language.phrase(Phrase::Resend));
        }
        let reference = notice.reference.clone().unwrap_or_else(|| short(request_id).into_owned());
        Said { headline: fill(&words.headline, place).into_owned(), detail, reference }
    }
}

impl Said {
    /// What a template sees.
    pub(super) fn view<'v>(&'v self, notice: &'v Notice, voice: &Voice<'v>) -> View<'v> {
        let language = voice.language();
        let holds = match (notice.kind, &notice.reference, notice.until) {
            (Kind::Handoff, Some(_), Some(until)) => Some(until.since(voice.now).as_secs()),
            _ => None,
        };
        let mut view = View {
            language,
            kind: notice.kind,
            status: notice.status.as_u16(),
            headline: &self.headline,
            detail: &self.detail,
            reference: &self.reference,
            holds,
            retryable: notice.retryable,
            step_up: None,
            wait: None,
            read: None,
            contacts: Vec::new(),
            only: notice.only.iter().flat_map(|may| &may.routes).map(String::as_str).collect(),
        };
        for exit in &notice.exits {
            match exit {
                Exit::StepUp { url, .. } => view.step_up = url.as_deref(),
                Exit::Wait { seconds } => view.wait = Some(*seconds),
                Exit::Read { url } => view.read = Some(url),
                Exit::Contact(contact) => view.contacts.push(ContactView {
                    phone: contact.phone.as_deref(),
                    relay: contact.relay.as_deref(),
                    chat: contact.chat.as_deref(),
                    hours: contact.hours.as_deref().map(|hours| language.hours(hours)),
                    open: contact.open,
                    opens: contact.opens.map(|opens| language.moment(opens, contact.hours.as_deref())),
                    calls_back: contact.otherwise == Some(Otherwise::Callback),
                    address: match &contact.otherwise {
                        Some(Otherwise::Address(address)) => Some(address),
                        Some(Otherwise::Callback) | None => None,
                    },
                }),
            }
        }
        view
    }
}

/// Whether a rung or a playbook holds the request back, so that a playbook may speak for itself.
const fn is_held(kind: Kind) -> bool {
    matches!(kind, Kind::StepUp | Kind::ReadOnly | Kind::Throttle | Kind::Handoff | Kind::Denied)
}

/// The opening hours of the notice's help, for their clock.
fn hours(notice: &Notice) -> Option<&str> {
    notice.exits.iter().find_map(|exit| match exit {
        Exit::Contact(contact) => contact.hours.as_deref(),
        Exit::StepUp { .. } | Exit::Wait { .. } | Exit::Read { .. } => None,
    })
}

/// The first twelve digits of a request's id in threes of four, to be read out: `4f1c 09ab 77e2`.
pub(super) fn short(id: &str) -> Cow<'_, str> {
    match id.get(..12) {
        Some(first) if first.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{} {} {}", &first[..4], &first[4..8], &first[8..]).into()
        }
        _ => id.into(),
    }
}
