//! The banner: a page that shows how things were says so, with the time, before anything else; and what on it leads to a journey that
//! is constrained now is marked, with the reason beside it.
//!
//! The page is rewritten as it streams, in bounded memory. No script, no inline style (the site's own policy holds), nothing but ASCII
//! is added. A marked link loses its `href` and becomes a link that is disabled, still reached and read aloud with its reason; a marked
//! form keeps its fields and its place, its buttons are disabled and its method is `dialog`, so that nothing is sent. Not `inert`: that
//! would hide the reason from those who most need it. It must never break a page: where it cannot go on, what is left passes unchanged.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED};
use http_body::{Body as HttpBody, Frame};
use lol_html::html_content::{ContentType, DocumentEnd, Element};
use lol_html::{
    DocumentContentHandlers, ElementContentHandlers, HandlerResult, HtmlRewriter, MemorySettings, Selector, Settings,
};

use super::marks::Marks;
use crate::clock::Moment;
use crate::gate::body::Body;
use crate::gate::notice::rfc3339;
use crate::rules::banner::BannerLaw;
use crate::rules::notices::{Language, Phrase, fill};
use crate::upstream::BoxError;

/// Bytes that one rewriting may keep: a longer tag, or deeper nesting, ends the marking and nothing else.
const MEMORY: usize = 128 * 1024;

/// Marks on one page. What comes after is left as it is.
const MOST: usize = 500;

/// A page that begins without any of these is a piece of a page: its banner goes before it.
const BEGINNINGS: [&[u8]; 6] = [b"<!doctype", b"<html", b"<head", b"<body", b"<title", b"<meta"];

/// Bytes of a page that are looked at for its beginning.
const BEGINNING: usize = 1024;

/// Bytes that are waited for before a page is said to have begun.
const ENOUGH: usize = 64;

/// What a page says and marks.
#[derive(Debug)]
pub struct Banner {
    /// The banner, as HTML in ASCII.
    html: String,
    marks: Marks,
}

impl Banner {
    /// The banner in this language. `as_of` is the moment at which the page was true; `says` is what else a customer should know.
    pub fn new(law: &BannerLaw, language: &Language, as_of: Option<Moment>, says: Option<&str>, marks: Marks) -> Self {
        Self { html: html(law, language, as_of, says), marks }
    }
}

/// The banner as HTML, in ASCII.
pub(in crate::gate) fn html(law: &BannerLaw, language: &Language, as_of: Option<Moment>, says: Option<&str>) -> String {
    let mut html = format!(
        "<div class=\"weir-banner\" role=\"status\" lang=\"{}\" dir=\"{}\">",
        language.tag,
        language.direction()
    );
    if let Some(moment) = as_of {
        let zone = law.zone.as_deref();
        let time = format!("<time datetime=\"{}\">{}</time>", rfc3339(moment), escaped(&language.moment(moment, zone)));
        let said = escaped(language.phrase(Phrase::AsItWas));
        let _ = write!(html, "<p>{}</p>", fill(&said, |place| (place == "time").then_some(&*time)));
    }
    if let Some(says) = says {
        let _ = write!(html, "<p>{}</p>", escaped(says));
    }
    html.push_str("</div>");
    html
}

/// Text as HTML that means the same in every encoding that begins with ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
        }
    }
    out
}

/// Encodings in which the bytes of ASCII are its letters, and `<`, `>` and quotes nothing else (the Encoding standard), by the beginning
/// of their labels. UTF-16 and ISO-2022 are not among them.
const LIKE_ASCII: [&str; 16] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-",
    "iso8859",
    "latin",
    "windows-125",
    "cp125",
    "koi8-",
    "gb",
    "big5",
    "euc-",
    "shift_jis",
    "shift-jis",
    "sjis",
];

/// Whether an answer with these fields is a page that can be rewritten: HTML, as it is, in an encoding like ASCII or in none that is
/// named.
pub fn fits(headers: &HeaderMap) -> bool {
    let is_plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !is_plain(coding)) {
        return false;
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next().and_then(|kind| kind.to_str().ok()), kinds.next()) else { return false };
    let mut parts = kind.split(';').map(str::trim);
    let charset = |part: &str| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    };
    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
        && parts.filter_map(charset).all(|named| LIKE_ASCII.iter().any(|like| named.starts_with(like)))
}

/// Takes away what no longer holds of a body that is rewritten.
pub fn unstamp(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, LAST_MODIFIED, ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in ["content-md5", "digest", "content-digest", "repr-digest"] {
        headers.remove(name);
    }
}

/// Rewrites a page as it streams. The caller has seen that it [`fits`], and has taken away what no longer holds.
pub fn rewrite(body: Body, banner: Banner) -> Body {
    Body::rewritten(Rewriting { body, page: Some(Page::new(banner)), last: None })
}

/// Rewrites a page that is there whole. One that could not be rewritten to its end is given back as it was.
pub fn rewrite_whole(page: &Bytes, banner: Banner) -> Bytes {
    let mut rewriting = Page::new(banner);
    let whole = rewriting.write(page) && rewriting.end();
    if whole { rewriting.taken().into() } else { page.clone() }
}

/// A page on its way.
#[derive(Debug)]
pub struct Rewriting {
    body: Body,
    /// None once it is at its end, or could not go on.
    page: Option<Page>,
    /// What ended the body, while the page's own end goes before it.
    last: Option<Frame<Bytes>>,
}

impl Rewriting {
    /// The next piece.
    pub fn poll_frame(&mut self, task: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(last) = self.last.take() {
                return Poll::Ready(Some(Ok(last)));
            }
            let Some(page) = &mut self.page else { return Pin::new(&mut self.body).poll_frame(task) };
            let frame = match std::task::ready!(Pin::new(&mut self.body).poll_frame(task)) {
                Some(Ok(frame)) => frame,
                // What broke off is not passed on as if it had come to its end.
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => {
                    page.end();
                    let rest = page.taken();
                    self.page = None;
                    if rest.is_empty() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                }
            };
            let written = match frame.into_data() {
                Ok(data) => {
                    let goes_on = page.write(&data);
                    let written = page.taken();
                    if !goes_on {
                        self.page = None;
                    }
                    written
                }
                Err(trailers) => {
                    page.end();
                    let written = page.taken();
                    self.page = None;
                    self.last = Some(trailers);
                    written
                }
            };
            if !written.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(written.into()))));
            }
        }
    }

    /// Whether nothing more comes.
    pub fn is_end(&self) -> bool {
        self.page.is_none() && self.last.is_none() && HttpBody::is_end_stream(&self.body)
    }
}

type Out = Rc<RefCell<Vec<u8>>>;

/// One page: the rewriter, and what it has written.
struct Page {
    rewriter: Option<HtmlRewriter<'static, Sink>>,
    out: Out,
    state: Rc<RefCell<State>>,
    /// The beginning, until there is enough of it.
    start: Vec<u8>,
    begun: bool,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

/// Where the rewriter writes to.
struct Sink(Out);

impl lol_html::OutputSink for Sink {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        self.0.borrow_mut().extend_from_slice(chunk);
    }
}

/// What is known of a page so far.
struct State {
    /// The banner, until it stands somewhere.
    banner: Option<String>,
    marks: Marks,
    /// The page said what it is relative to.
    rebased: bool,
    count: usize,
    /// The form that is open: its method, and the name of its reason when it is marked.
    form: Option<(&'static str, Option<String>)>,
}

/// What is looked at, and what is done with it.
static SELECTORS: LazyLock<Vec<(Selector, OnElement)>> = LazyLock::new(|| {
    let all: [(&str, OnElement); 6] = [
        ("base[href]", rebase),
        ("body", open_body),
        ("header, main, nav, section, article, div, h1, h2, p, form, table, ul, ol", open_text),
        ("a[href]", link),
        ("form", form),
        ("button, input[type=submit i], input[type=image i]", button),
    ];
    all.into_iter().filter_map(|(text, act)| Some((text.parse().ok()?, act))).collect()
});

type OnElement = fn(&Rc<RefCell<State>>, &mut Element<'_, '_>);

impl Page {
    fn new(banner: Banner) -> Self {
        let state = State { banner: Some(banner.html), marks: banner.marks, rebased: false, count: 0, form: None };
        let (out, state) = (Out::default(), Rc::new(RefCell::new(state)));
        let rewriter = rewriter(&state, out.clone());
        Self { rewriter: Some(rewriter), out, state, start: Vec::new(), begun: false }
    }

    /// Takes the next piece of the page. False when the marking has come to its end; all of the piece is written then, and what comes
    /// after goes by itself.
    fn write(&mut self, data: &Bytes) -> bool {
        if self.begun {
            return self.pass(data);
        }
        self.start.extend_from_slice(data);
        self.start.len() < ENOUGH || self.begin()
    }

    /// Begins, with what is there of the page.
    fn begin(&mut self) -> bool {
        self.begun = true;
        let start = std::mem::take(&mut self.start);
        let looked_at = start[..start.len().min(BEGINNING)].to_ascii_lowercase();
        if looked_at.starts_with(&[0xfe, 0xff]) || looked_at.starts_with(&[0xff, 0xfe]) {
            // UTF-16: none of ours would be read.
            self.rewriter = None;
        } else if !BEGINNINGS.iter().any(|word| memchr::memmem::find(&looked_at, word).is_some()) {
            let banner = self.state.borrow_mut().banner.take();
            self.out.borrow_mut().extend_from_slice(banner.unwrap_or_default().as_bytes());
        }
        self.pass(&start)
    }

    fn pass(&mut self, data: &[u8]) -> bool {
        match &mut self.rewriter {
            None => {
                self.out.borrow_mut().extend_from_slice(data);
                false
            }
            Some(rewriter) => match rewriter.write(data) {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(%error, "a page is passed on without further marks");
                    self.rewriter = None;
                    false
                }
            },
        }
    }

    /// The page has come to its end. False when the marking did not.
    fn end(&mut self) -> bool {
        (self.begun || self.begin()) && self.rewriter.take().is_some_and(|rewriter| rewriter.end().is_ok())
    }

    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut *self.out.borrow_mut())
    }
}

fn rewriter(state: &Rc<RefCell<State>>, out: Out) -> HtmlRewriter<'static, Sink> {
    let memory = MemorySettings::new()
        .with_max_allowed_memory_usage(MEMORY)
        .with_graceful_bail_out_on_memory_limit_exceeded(true);
    let mut settings = Settings::new()
        .with_memory_settings(memory)
        .with_graceful_bail_out_on_content_handler_error(true)
        // A page that browsers read is rewritten, whatever is wrong with it.
        .with_strict(false);
    let anything_to_mark = !state.borrow().marks.is_empty();
    for (at, (selector, act)) in SELECTORS.iter().enumerate() {
        if at != BODY && at != TEXT && !anything_to_mark {
            continue;
        }
        let (state, act) = (state.clone(), *act);
        let handler = move |element: &mut Element<'_, '_>| -> HandlerResult {
            act(&state, element);
            Ok(())
        };
        let handlers = ElementContentHandlers::default().element(handler);
        settings = settings.append_element_content_handler((Cow::Borrowed(selector), handlers));
    }
    let state = state.clone();
    let at_the_end = move |end: &mut DocumentEnd<'_>| -> HandlerResult {
        if let Some(banner) = state.borrow_mut().banner.take() {
            end.append(&banner, ContentType::Html);
        }
        Ok(())
    };
    settings = settings.append_document_content_handler(DocumentContentHandlers::default().end(at_the_end));
    HtmlRewriter::new(settings, Sink(out))
}

/// The places of those selectors that place the banner.
const BODY: usize = 1;
const TEXT: usize = 2;

fn rebase(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    let mut state = state.borrow_mut();
    // The first one counts.
    if !std::mem::replace(&mut state.rebased, true)
        && let Some(href) = element.get_attribute("href")
    {
        state.marks.rebase(&href);
    }
}

fn open_body(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    if let Some(banner) = state.borrow_mut().banner.take() {
        element.prepend(&banner, ContentType::Html);
    }
}

/// A page may leave the body's tags out: then the banner stands before the first thing that is in it.
fn open_text(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    if let Some(banner) = state.borrow_mut().banner.take() {
        element.before(&banner, ContentType::Html);
    }
}

impl State {
    /// The name and the text of the next mark, while there may be more.
    fn next(&mut self) -> Option<String> {
        self.count += 1;
        (self.count <= MOST).then(|| format!("weir-reason-{}", self.count))
    }
}

/// A link that leads to what cannot be done: a link that is disabled, still reached with the keyboard, and read with its reason.
fn link(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    let mut state = state.borrow_mut();
    let Some(reason) = element.get_attribute("href").and_then(|href| state.marks.reason("GET", &href)) else { return };
    let Some(name) = state.next() else { return };
    element.remove_attribute("href");
    set(element, &[("role", "link"), ("aria-disabled", "true"), ("tabindex", "0"), ("aria-describedby", &name)]);
    let beside = format!(" <span id=\"{name}\" class=\"weir-reason\">({})</span>", escaped(&reason));
    element.after(&beside, ContentType::Html);
}

/// A form that leads to what cannot be done keeps its fields; its reason stands in it first.
fn form(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    let method = method_of(element.get_attribute("method").as_deref());
    let marked = {
        let mut state = state.borrow_mut();
        let action = element.get_attribute("action").unwrap_or_default();
        let reason = method.and_then(|method| state.marks.reason(method, &action));
        reason.and_then(|reason| Some((state.next()?, reason)))
    };
    if let Some((name, reason)) = &marked {
        set(element, &[("method", "dialog"), ("aria-disabled", "true"), ("aria-describedby", name)]);
        let first = format!("<p id=\"{name}\" class=\"weir-reason\">{}</p>", escaped(reason));
        element.prepend(&first, ContentType::Html);
    }
    state.borrow_mut().form = Some((method.unwrap_or("dialog"), marked.map(|(name, _)| name)));
    if let Some(handlers) = element.end_tag_handlers() {
        let state = state.clone();
        handlers.push(Box::new(move |_| {
            state.borrow_mut().form = None;
            Ok(())
        }));
    }
}

/// A button that sends a marked form, or sends another one elsewhere.
fn button(state: &Rc<RefCell<State>>, element: &mut Element<'_, '_>) {
    let sends = element.get_attribute("type").is_none_or(|kind| {
        ["submit", "image"].into_iter().any(|sends| kind.eq_ignore_ascii_case(sends))
            || !["button", "reset"].into_iter().any(|does_not| kind.eq_ignore_ascii_case(does_not))
    });
    if !sends {
        return;
    }
    let mut state = state.borrow_mut();
    if let Some((_, Some(name))) = &state.form {
        set(element, &[("disabled", ""), ("aria-describedby", name)]);
        return;
    }
    let Some(action) = element.get_attribute("formaction") else { return };
    let of_form = state.form.as_ref().map_or("GET", |(method, _)| method);
    let own = element.get_attribute("formmethod");
    let Some(method) = own.as_deref().map_or(Some(of_form), |own| method_of(Some(own))) else { return };
    let Some(reason) = state.marks.reason(method, &action) else { return };
    let Some(name) = state.next() else { return };
    set(element, &[("disabled", ""), ("aria-describedby", &name)]);
    let beside = format!(" <span id=\"{name}\" class=\"weir-reason\">({})</span>", escaped(&reason));
    element.after(&beside, ContentType::Html);
}

/// The method that a form's attribute means; none for a dialog, which sends nothing.
fn method_of(attribute: Option<&str>) -> Option<&'static str> {
    match attribute.map(str::trim) {
        Some(word) if word.eq_ignore_ascii_case("post") => Some("POST"),
        Some(word) if word.eq_ignore_ascii_case("dialog") => None,
        Some(_) | None => Some("GET"),
    }
}

fn set(element: &mut Element<'_, '_>, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        // These names are all good ones.
        let _ = element.set_attribute(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gate::continuity::works::Constraint;
    use crate::rules::compile;
    use crate::rules::source::Sources;

    const LAW: &str = "[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\n\
        [journeys.checkout]\nroutes = [\"POST /checkout\"]\nladder = [{ at = 0, do = \"allow\" }]\n";
    const PAGE: &[u8] =
        b"<!doctype html><html><head><title>x</title></head><body id=a><p>one</p><form method=post action=/checkout>\
        <input><button>Pay</button></form><a href=/y>y</a></body></html>";

    fn page() -> Page {
        let rules =
            Arc::new(compile(&Sources::from_texts(vec![("law.toml".to_owned(), LAW.to_owned())])).rules.unwrap());
        let journey = rules.journey_named("checkout").unwrap();
        let constraint = Constraint { journey, looking: false, reason: "not now".into() };
        let marks = Marks::seen_from(rules, ("shop.example", "shop.example"), "/", vec![constraint]);
        Page::new(Banner { html: "<div>then</div>".to_owned(), marks })
    }

    fn whole() -> Vec<u8> {
        let mut page = page();
        assert!(page.write(&Bytes::from_static(PAGE)) && page.end());
        page.taken()
    }

    proptest! {
        #[test]
        fn where_a_page_is_cut_on_its_way_does_not_matter(cuts in proptest::collection::vec(1..40_usize, 1..20)) {
            let (mut page, mut rest, mut out) = (page(), PAGE, Vec::new());
            for cut in cuts.into_iter().cycle() {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                prop_assert!(page.write(&Bytes::copy_from_slice(piece)));
                out.extend(page.taken());
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(page.end());
            out.extend(page.taken());
            prop_assert_eq!(out, whole());
        }
    }

    #[test]
    fn a_page_that_cannot_go_on_loses_nothing_on_its_way() {
        let mut page = page();
        let mut out = Vec::new();
        let mut goes_on = page.write(&Bytes::from_static(PAGE));
        out.extend(page.taken());
        let more = Bytes::from("<div>".repeat(50_000));
        for _ in 0..3 {
            if goes_on {
                goes_on = page.write(&more);
                out.extend(page.taken());
            } else {
                out.extend_from_slice(&more);
            }
        }
        assert!(!goes_on, "it is bounded");
        assert!(out.starts_with(&whole()) && out.len() == whole().len() + 3 * more.len());
    }
}
