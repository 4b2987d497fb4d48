//! One notice in one language, in every channel: rendered by what answers customers, and taken off the answer.

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Response};
use serde::Serialize;
use serde_json::Value;

use super::ID;
use super::met::Met;
use crate::gate::body::Body;
use crate::gate::continuity::feed::JOURNEYS;
use crate::gate::continuity::{banner, works};
use crate::gate::notice::{Exit, Notice, Reader, Voice};
use crate::gate::step_up;
use crate::judge::outlook::{Outlook, Standing};
use crate::rules::notices::{Language, LanguageId};
use crate::rules::profiles::Profile;
use crate::rules::ruleset::{JourneyId, RuleSet};

/// What is said in one language.
#[derive(Debug, Serialize)]
pub struct Said {
    /// Its tag.
    pub language: String,
    /// `ltr` or `rtl`.
    pub direction: &'static str,
    /// For a person in front of a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// For an app or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Value>,
    /// For the apps that have a profile: each in its own format, or with its own status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<App>,
    /// For a gRPC client: the status and its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Grpc>,
    /// The journey in the feed of what works now, which also stands beside what leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<Value>,
    /// Above a page that is shown all the same, as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
}

/// A page.
#[derive(Debug, Serialize)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Where a browser goes instead of showing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<String>,
    /// The page, whole.
    pub html: String,
    /// It is the built-in page, not one of the operators' own.
    pub built_in: bool,
}

/// What an app of a profile is answered.
#[derive(Debug, Serialize)]
pub struct App {
    /// Its profile.
    pub profile: String,
    /// The status.
    pub status: u16,
    /// What the body is.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// A gRPC status.
#[derive(Debug, Serialize)]
pub struct Grpc {
    /// Its code.
    pub status: String,
    /// Its message, decoded.
    pub message: String,
}

impl Said {
    /// What is said of this in this language.
    pub(super) fn of(rules: &RuleSet, met: &Met, (spoken, language): (LanguageId, &Language)) -> Self {
        let notice = met.notice.as_ref();
        let words = met.journey.map(|journey| &rules.journey(journey).words);
        let voice = |reader| Voice { journey: words, spoken, ..Voice::plain(&rules.notices, reader, met.now) };
        let answer = |notice: &Notice, reader| notice.clone().answer(&voice(reader), ID);
        let page = notice.map(|notice| {
            let mut notice = notice.clone();
            let leads_to = notice.exits.iter().find_map(|exit| match exit {
                Exit::StepUp { url, .. } => url.clone(),
                Exit::Wait { .. } | Exit::Read { .. } | Exit::Contact(_) => None,
            });
            // The feed is for programs.
            notice.exits.retain(|exit| !matches!(exit, Exit::Read { url } if url == JOURNEYS));
            if let Some(url) = leads_to {
                step_up::lead(&mut notice, &url);
            }
            let answered = answer(&notice, Reader::Browser);
            let built_in = answered.failed.is_some() || !rules.notices.templates.have_a_page();
            page(answered.response, built_in)
        });
        let outlook = met.journey.zip(met.outlook.as_ref());
        Self {
            language: language.tag.to_string(),
            direction: language.direction(),
            page,
            problem: notice.and_then(|notice| {
                serde_json::from_str(&text(answer(notice, Reader::Program).response.into_body())).ok()
            }),
            apps: notice.map_or_else(Vec::new, |notice| {
                let program = voice(Reader::Program);
                rules.profiles.iter().filter_map(|profile| app(notice, profile, program)).collect()
            }),
            grpc: notice.map(|notice| grpc(answer(notice, Reader::Grpc).response.headers())),
            feed: outlook.and_then(|outlook| feed(rules, outlook, spoken, met)),
            banner: outlook.and_then(|outlook| above(rules, outlook, spoken, met)),
        }
    }
}

fn page(response: Response<Body>, built_in: bool) -> Page {
    let leads_to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
    Page { status: response.status().as_u16(), leads_to, html: text(response.into_body()), built_in }
}

/// What an app of this profile is answered, where that is its own.
fn app(notice: &Notice, profile: &Profile, voice: Voice<'_>) -> Option<App> {
    let response = notice.clone().answer(&Voice { profile: Some(profile), ..voice }, ID).response;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = kind.unwrap_or_default().to_owned();
    let own = profile.body.is_some() || status != notice.status;
    own.then(|| App {
        profile: profile.name.to_string(),
        status: status.as_u16(),
        content_type,
        body: text(response.into_body()),
    })
}

/// The text of a body that was made here.
fn text(body: Body) -> String {
    match body {
        Body::Own(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}

fn grpc(headers: &HeaderMap) -> Grpc {
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Grpc { status: field("grpc-status"), message: decoded(&field("grpc-message")) }
}

/// gRPC's `Percent-Encoded`, read.
fn decoded(message: &str) -> String {
    let mut bytes = Vec::with_capacity(message.len());
    let mut rest = message.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The journey's member of the feed, where the feed has it.
fn feed(rules: &RuleSet, (journey, outlook): (JourneyId, &Outlook), spoken: LanguageId, met: &Met) -> Option<Value> {
    let shown = rules.journeys_feed.on && rules.journeys_feed.listed.contains(&journey);
    shown.then(|| works::member(rules, journey, outlook, (spoken, met.now), &|_| false))
}

/// The banner of the journey's pages, where they are shown while it is contained.
fn above(rules: &RuleSet, (journey, outlook): (JourneyId, &Outlook), spoken: LanguageId, met: &Met) -> Option<String> {
    let looks = rules.routes.of(journey).any(|(method, _)| method == "GET");
    let keeps = rules.journey(journey).snapshot.is_some();
    if outlook.standing != Standing::ReadOnly || !looks || !(keeps || rules.banner.live) {
        return None;
    }
    let says = works::said(rules, journey, outlook, (spoken, met.now), &|_| false);
    let as_of = keeps.then_some(met.now);
    Some(banner::html(&rules.banner, rules.notices.language(spoken), as_of, says.as_deref()))
}
