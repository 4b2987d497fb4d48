//! Customers go on seeing what is theirs: what is kept of an answer while all is well, and shown while the upstream cannot be asked.
//!
//! A request may look at kept answers when it was cleared to look at the live one: the verdict is the same, and who asks is verified
//! all the same. It must never show anything to whom the live page would not be shown, and never cost anything where no journey
//! keeps answers.

pub mod banner;
pub mod circuit;
pub mod feed;
pub mod listeners;
pub mod marks;
pub mod pass;
pub mod serve;
pub mod shown;
pub mod sign_in;
pub mod store;
pub mod works;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, request};

use super::Gate;
use super::context::{Context, body};
use super::record::Record;
use crate::confidence::Confidence;
use crate::judge::decision::Clearance;
use crate::judge::signals::Readings;
use crate::judge::stage::Stage;
use crate::memory::reported::TokenFacts;
use crate::rules::client::Class;
use crate::rules::ruleset::{Action, Journey, JourneyId};
use crate::rules::snapshots::SnapshotLaw;
use crate::snapshots::{Began, Kind, PageKey, Selectors};
use crate::subject::{Owner, Session};

/// What a request asks to look at. Only on journeys that keep answers.
#[derive(Debug, Clone)]
pub struct Look {
    journey: JourneyId,
    host: Box<str>,
    target: Box<str>,
    asked: Selectors,
    origin: Option<HeaderValue>,
    /// Who reads what is shown, and in which languages.
    languages: Option<HeaderValue>,
    /// Only the head is asked for.
    head: bool,
    /// The whole of it is asked for, and nothing else.
    plain: bool,
}

impl Look {
    /// What this request looks at; nothing for most.
    pub fn of(gate: &Gate, context: &Context<'_>, head: &request::Parts, body: &body::Taken) -> Option<Self> {
        let journey = context.journey?;
        let law = context.prepared.rules().journey(journey);
        let snapshot = law.snapshot.as_ref().filter(|_| gate.shared.snapshots.on())?;
        let looks = head.method == Method::GET || head.method == Method::HEAD;
        if !looks || context.class != Class::Customer || context.stage != Stage::Session {
            return None;
        }
        Some(Self {
            journey,
            host: context.authority.host.clone(),
            target: context.forwarded_path().as_str().into(),
            asked: selectors(&head.headers, snapshot),
            origin: head.headers.get(ORIGIN).cloned(),
            languages: head.headers.get(ACCEPT_LANGUAGE).cloned(),
            head: head.method == Method::HEAD,
            plain: head.method == Method::GET
                && matches!(body, body::Taken::Nothing)
                && !head.headers.contains_key(http::header::RANGE),
        })
    }
}

/// How a customer is known.
#[derive(Debug)]
enum By {
    /// In a session.
    Session {
        session: Session,
        token: Option<TokenFacts>,
        /// The application has let it go, as far as is known: nothing is shown until it answers it again.
        shut: bool,
    },
    /// By what an earlier session left on the device.
    Pass(Box<pass::Holder>),
}

/// What a request may see of what is kept, and leave to be kept. Only for a customer who is verified.
#[derive(Debug)]
pub struct Sight {
    look: Look,
    by: By,
    key: PageKey,
    /// The upstream is not to be asked: it is away, or a playbook contains the journey.
    contained: Option<&'static str>,
    /// A live answer may be kept: it comes from full service, and from an upstream of the journey's own.
    keeps: bool,
    began: Began,
}

impl Sight {
    /// What this request may see; nothing for most.
    pub fn of(
        gate: &Gate,
        context: &Context<'_>,
        (head, body): (&request::Parts, &body::Taken),
        (clearance, readings, away): (&Clearance, &Readings, bool),
        record: &Record,
    ) -> Option<Box<Self>> {
        let look = Look::of(gate, context, head, body)?;
        let verified =
            context.vouched && !context.over && !context.detached && !context.entangled && !context.is_held();
        let owned = context.session.filter(|_| verified).and_then(|session| {
            let (owner, shut) = owner(gate, context, session)?;
            Some((owner, By::Session { session, token: context.token, shut }))
        });
        let Some((owner, by)) = owned else { return pass::sight(gate, context, look) };
        let law = context.prepared.rules().journey(look.journey);
        let confidence = record.scored.as_ref()?.confidence();
        let contained = match (away, is_contained(context, readings, confidence)) {
            (true, _) => Some("away"),
            (false, true) => Some("contained"),
            (false, false) => None,
        };
        let full = record.action == "allow"
            && !clearance.is_for_looking()
            && is_allow(law, record.rung)
            && law.view_line.is_some_and(|line| confidence >= line);
        Some(Box::new(Self {
            key: PageKey::new(owner, &look.host, &look.target),
            keeps: full && look.plain && !context.is_served_elsewhere(),
            look,
            by,
            contained,
            began: gate.shared.snapshots.begin(),
        }))
    }

    fn law<'c>(&self, context: &Context<'c>) -> Option<&'c SnapshotLaw> {
        context.prepared.rules().journey(self.look.journey).snapshot.as_ref()
    }
}

/// Who signs out is shown nothing any more, also where the application cannot hear it.
pub fn leaving(gate: &Gate, context: &Context<'_>) {
    if context.marks.ends_session {
        pass::void(gate, context);
    }
    if let (true, true, Some(session)) =
        (context.marks.ends_session, context.prepared.keeps_snapshots(), context.session.filter(|_| context.vouched))
    {
        gate.shared.memory.shut(session, context.now);
    }
}

/// Whose answers this request may see, to the letter; and whether the application has let its session go.
fn owner(gate: &Gate, context: &Context<'_>, session: Session) -> Option<(Owner, bool)> {
    let account = context.account.known()?;
    let memory = &gate.shared.memory;
    let (owner, shut) = match (&context.token, &context.facts) {
        (Some(_), _) => (context.owner?, memory.is_shut(session)),
        (None, Some(facts)) => memory.owner(session, facts, context.host(gate), context.now)?,
        (None, None) => return None,
    };
    (owner.account() == account).then_some((owner, shut))
}

/// Whether an armed playbook says that only looking is left of the journey.
fn is_contained(context: &Context<'_>, readings: &Readings, confidence: Confidence) -> bool {
    let effects = &context.prepared.law.effects;
    !effects.is_empty()
        && effects.on(context.journey).any(|(entry, added)| {
            added.contained == Some(Action::ReadOnly)
                && entry.holds(context.channel, context.now, false)
                && !entry.is_over_for(confidence, context.now)
                && (!added.only_contaminated || readings.contaminated())
        })
}

/// Whether this rung is full service.
fn is_allow(journey: &Journey, rung: Option<usize>) -> bool {
    rung.and_then(|at| journey.ladder.rungs().get(at)).is_some_and(|rung| rung.action == Action::Allow)
}

/// What of a request's head tells the answers to one target apart.
fn selectors(headers: &HeaderMap, law: &SnapshotLaw) -> Selectors {
    let others = law.vary.iter().map(|name| {
        let mut all = headers.get_all(name).iter();
        let first = all.next();
        // Several are told apart as one text; that they were several is of no matter.
        let value = match (first, all.next()) {
            (Some(_), Some(_)) => {
                let all: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
            }
            (first, _) => first.cloned(),
        };
        (name.clone(), value)
    });
    Selectors { language: language(headers), kind: kind(headers), others: others.collect() }
}

/// The primary subtag of the language that is preferred (RFC 9110, section 12.5.4), in small letters.
fn language(headers: &HeaderMap) -> Box<str> {
    let mut best: Option<(u16, &str)> = None;
    let fields = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|field| field.to_str().ok());
    for range in fields.flat_map(|field| field.split(',')).take(32) {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let quality = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1000, thousandths);
        if quality > 0 && best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, tag));
        }
    }
    let primary = best.map_or("", |(_, tag)| tag.split('-').next().unwrap_or_default());
    let letters = (1..=8).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    if letters { primary.to_ascii_lowercase().into() } else { Box::default() }
}

fn thousandths(quality: &str) -> u16 {
    let number = quality.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    (number * 1000.0) as u16
}

fn kind(headers: &HeaderMap) -> Kind {
    let mut json = false;
    for field in headers.get_all(ACCEPT) {
        for range in field.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let name = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
            if name.eq_ignore_ascii_case(b"text/html") {
                return Kind::Html;
            }
            json |= name.len() >= 4 && name[name.len() - 4..].eq_ignore_ascii_case(b"json");
        }
    }
    if json { Kind::Json } else { Kind::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_language_that_is_preferred_is_taken_and_nonsense_is_none() {
        for (field, primary) in [
            ("en-GB,en;q=0.9,de;q=0.8", "en"),
            ("de;q=0.5, FR-ch", "fr"),
            ("de;q=0", ""),
            ("*", ""),
            ("x;q=abc, en;q=0.1", "en"),
            ("abcdefghi", ""),
            (";;;,,,", ""),
        ] {
            assert_eq!(&*language(&headers(&[("accept-language", field)])), primary, "{field}");
        }
        assert_eq!(&*language(&HeaderMap::new()), "");
    }

    #[test]
    fn a_page_is_no_document_for_programs() {
        let of = |field| kind(&headers(&[("accept", field)]));
        assert_eq!(of("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), Kind::Html);
        assert_eq!(of("application/json, text/plain, */*"), Kind::Json);
        assert_eq!(of("application/vnd.shop+JSON"), Kind::Json);
        assert_eq!(of("*/*"), Kind::Other);
        assert_eq!(kind(&HeaderMap::new()), Kind::Other);
    }
}
