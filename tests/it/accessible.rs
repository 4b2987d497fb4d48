//! Every page that is Weir's own, as people meet it who see little, use no mouse, enlarge or print: in a real browser, with the
//! answer's own header, by the rules of axe-core and by what the browser itself has computed.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::header::CONTENT_LANGUAGE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use weir::gate::notice::{Exit, Notice, Reader, Voice};
use weir::rules::compile;
use weir::rules::notices::{BUILT_IN, Kind, Notices};
use weir::rules::source::Sources;

use crate::arming::{arm, because};
use crate::feed::{JOURNEYS, STORM};
use crate::notices::{help, situations, speaking};
use crate::support::chromium::Chromium;
use crate::support::program::Terminal;
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig, npm};

/// The least that a law needs.
const SITE: &str = "[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n\
    [upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\n";

/// One page, as it is served.
struct Page {
    name: String,
    kind: Kind,
    /// Where its links must lead.
    links: Vec<String>,
    /// What it must say besides.
    says: Vec<String>,
    status: StatusCode,
    fields: http::HeaderMap,
    body: Bytes,
}

async fn page(name: String, notice: Notice, open: bool, language: &str) -> Page {
    page_of(name, notice, open, &speaking(language)).await
}

async fn page_of(name: String, mut notice: Notice, open: bool, notices: &Notices) -> Page {
    let language = &*notices.languages()[0].tag;
    // As in every answer: a person can be reached.
    if !notice.exits.iter().any(|exit| matches!(exit, Exit::Contact(_))) {
        notice.exits.push(help(open));
    }
    let (kind, mut links, mut says) = (notice.kind, Vec::new(), Vec::new());
    says.extend(notice.reference.clone());
    for exit in &notice.exits {
        match exit {
            Exit::StepUp { url, .. } => links.extend(url.clone()),
            Exit::Wait { .. } => {}
            Exit::Read { url } => links.push(url.clone()),
            Exit::Contact(contact) => {
                let dialled = |phone: &str| format!("tel:{}", phone.replace(' ', ""));
                links.extend(contact.phone.as_deref().map(dialled));
                links.extend(contact.chat.as_deref().map(str::to_owned));
                says.extend(contact.relay.as_deref().map(str::to_owned));
            }
        }
    }
    let answer =
        notice.answer(&Voice::plain(notices, Reader::Browser, NOON), "0123456789abcdef0123456789abcdef").response;
    assert_eq!(answer.headers()[CONTENT_LANGUAGE], language);
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Page { name: format!("{name} in {language}"), kind, links, says, status: head.status, fields: head.headers, body }
}

/// Every page of every kind, in every language, while help is open and while it is not.
async fn every_page() -> Vec<Page> {
    let mut all = Vec::new();
    for language in BUILT_IN {
        for (at, (name, notice)) in situations().into_iter().enumerate() {
            all.push(page(name.to_owned(), notice, at % 3 != 0, language).await);
        }
        let closed = situations().into_iter().filter(|(name, _)| matches!(*name, "handoff" | "denied" | "busy"));
        for (name, notice) in closed {
            all.push(page(format!("{name}, closed"), notice, false, language).await);
        }
    }
    let handoff = || situations().into_iter().find(|(name, _)| *name == "handoff").unwrap().1;
    all.push(page("handoff, from right to left".to_owned(), handoff(), true, "ar").await);
    // As some languages have them.
    let long = ["Donaudampfschifffahrtselektrizitäten", "hauptbetriebswerkbauunterbeamtengesellschaft"].concat();
    let law = format!("{SITE}[notice.en.handoff]\nheadline = \"{long}\"\ndetail = \"{long}\"\n");
    let law = compile(&Sources::from_texts(vec![("law.toml".to_owned(), law)])).rules.unwrap();
    all.push(page_of("handoff, in a long word".to_owned(), handoff(), true, &law.notices).await);
    let shown: BTreeSet<&str> = all.iter().map(|page| page.kind.key()).collect();
    assert_eq!(shown, Kind::ALL.iter().map(|kind| kind.key()).collect(), "every kind");
    all
}

/// Serves each of them under its number, with its own header.
fn serving(pages: &Arc<Vec<Page>>) -> Upstream {
    let pages = pages.clone();
    Upstream::answering(move |seen| {
        let page = seen.uri.path()[1..].parse().ok().and_then(|at: usize| pages.get(at));
        let Some(page) = page else { return Response::builder().status(404).body(Full::default()).unwrap() };
        let mut answer = Response::new(Full::new(page.body.clone()));
        *answer.status_mut() = page.status;
        *answer.headers_mut() = page.fields.clone();
        answer
    })
}

/// Looks, and in the dark as well.
const SCHEMES: [&str; 2] = ["light", "dark"];

async fn media(browser: &mut Chromium, media: &str, scheme: &str) {
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    browser.ask("Emulation.setEmulatedMedia", json!({ "media": media, "features": features })).await;
}

async fn window(browser: &mut Chromium, width: u32, height: u32, scale: u32) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
    browser.ask("Emulation.setDeviceMetricsOverride", size).await;
}

/// What axe-core finds, and what of contrast it could not tell. `rule` alone, or every rule that it has.
async fn findings(browser: &mut Chromium, rule: Option<&str>) -> Value {
    let only = rule.map_or_else(|| "{}".to_owned(), |rule| format!("{{ runOnly: ['{rule}'] }}"));
    let told = "(one) => `${one.id}: ${one.nodes.map((node) => `${node.html} ${node.any.concat(node.all, node.none).map((check) => check.message)}`).join(' | ')}`";
    let run = format!(
        "axe.run(document, {only}).then((all) => all.violations.concat(all.incomplete.filter((one) => one.id === 'color-contrast')).map({told}))"
    );
    browser.value(&run).await
}

/// Presses Tab through the whole page: which elements it comes to, in order, and how each shows that it is there.
async fn by_keyboard(browser: &mut Chromium, name: &str) {
    let all = r"
        globalThis.reached = () => [...document.querySelectorAll('a[href], button, input, select, textarea, [tabindex]')]
            .filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility());
        document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); reached().length";
    let count = browser.value(all).await.as_u64().unwrap();
    let mut lowest = 0.0;
    for at in 0..count {
        let key = json!({ "type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
        browser.ask("Input.dispatchKeyEvent", key).await;
        let here = browser.value(FOCUS).await;
        let text = &here["text"];
        assert_eq!(here["at"], at, "{name}: Tab comes to {text} out of order");
        assert_eq!(here["style"], "solid", "{name}: nothing shows that {text} has the focus");
        assert!(here["width"].as_f64().unwrap() >= 2.0, "{name}: {here}");
        assert!(here["contrast"].as_f64().unwrap() >= 3.0, "{name}: {here}");
        let top = here["top"].as_f64().unwrap();
        assert!(top >= lowest - 1.0, "{name}: {text} stands above what was before it");
        lowest = top;
        assert!(here["named"].as_bool().unwrap(), "{name}: {here} says nothing");
    }
}

/// The element that has the focus: its place, its outline as it was computed, and how that differs from what is behind it.
const FOCUS: &str = r"(() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    const parts = (color) => color.match(/[\d.]+/g).map(Number);
    let behind = one.parentElement;
    while (behind && (parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const light = (color) => parts(color).slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const two = [light(style.outlineColor), light(behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)')].sort((a, b) => b - a);
    return {
        at: reached().indexOf(one), text: one.outerHTML, style: style.outlineStyle, width: parseFloat(style.outlineWidth),
        contrast: (two[0] + 0.05) / (two[1] + 0.05), top: box.top + scrollY,
        named: (one.textContent.trim() || one.value || one.labels?.length || one.ariaLabel || '') !== '',
    };
})()";

/// What sticks out to the side, or takes a scroll bar to be read.
const WIDE: &str = r"(() => {
    const page = document.documentElement;
    const out = [...document.body.querySelectorAll('*')].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
    });
    return page.scrollWidth > page.clientWidth ? [`${page.scrollWidth} > ${page.clientWidth}`] : out.map((one) => one.outerHTML);
})()";

/// What of the page's text is not shown, or not readable as dark on white paper.
const HIDDEN: &str = r"(() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), lost = [];
    while (walk.nextNode()) {
        const one = walk.currentNode.parentElement, style = getComputedStyle(one);
        if (walk.currentNode.data.trim() === '') continue;
        const dark = style.color.match(/\d+/g).slice(0, 3).every((part) => part < 128) || one.closest('a');
        if (!one.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || !dark) lost.push(one.outerHTML + style.color);
    }
    const bright = (one) => { const parts = getComputedStyle(one).backgroundColor.match(/[\d.]+/g).map(Number); return parts[3] === 0 || parts[0] > 200; };
    return lost.concat([...document.querySelectorAll('*')].filter((one) => !bright(one)).map((one) => one.tagName));
})()";

/// Whether the reference of a handoff and the numbers beside it stand from left to right.
const IN_ORDER: &str = "[...document.querySelectorAll('.reference, a[href^=tel], li bdi')].every((one) => {
    const left = (at) => { const range = document.createRange(); range.setStart(one.firstChild, at); range.setEnd(one.firstChild, at + 1);
        return range.getBoundingClientRect().left; };
    return left(0) < left(one.firstChild.length - 1);
})";

async fn is_for_everybody(browser: &mut Chromium, page: &Page) {
    let name = &page.name;
    let fields: usize = page.fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    assert!(page.body.len() + fields + 64 <= 14 * 1024, "{name} has {} bytes", page.body.len() + fields);
    assert_eq!(findings(browser, None).await, json!([]), "{name}");
    let bare = "document.scripts.length + performance.getEntriesByType('resource').length";
    assert_eq!(browser.value(bare).await, 0, "{name} runs or fetches something");
    let links = browser.value("[...document.links].map((one) => one.getAttribute('href'))").await;
    let text = browser.value("document.body.innerText").await;
    for link in &page.links {
        assert!(links.as_array().unwrap().contains(&link.as_str().into()), "{name} has no link to {link}: {links}");
    }
    for said in &page.says {
        assert!(text.as_str().unwrap().contains(said.as_str()), "{name} does not say {said}");
    }
    by_keyboard(browser, name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody_read_aloud_by_keyboard_enlarged_in_the_dark_and_on_paper() {
    let axe = std::fs::read_to_string(npm::fetched("axe-core@4.14.1", "node_modules/axe-core/axe.min.js")).unwrap();
    let pages = Arc::new(every_page().await);
    let upstream = serving(&pages);
    let mut browser = Chromium::start().await;
    browser.ask("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
    browser.ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": axe })).await;
    for (at, page) in pages.iter().enumerate() {
        let name = &page.name;
        window(&mut browser, 1280, 1024, 1).await;
        media(&mut browser, "screen", SCHEMES[0]).await;
        browser.open(&format!("http://{}/{at}", upstream.address)).await;
        assert_eq!(browser.value(IN_ORDER).await, true, "{name}: numbers are read as they were given");
        is_for_everybody(&mut browser, page).await;
        media(&mut browser, "screen", SCHEMES[1]).await;
        assert_eq!(findings(&mut browser, Some("color-contrast")).await, json!([]), "{name} in the dark");
        if matches!(page.kind, Kind::StepUp | Kind::ReadOnly) {
            by_keyboard(&mut browser, &format!("{name} in the dark")).await;
        }
        // 200 %, and 400 % (WCAG 2.2, 1.4.4 and 1.4.10).
        for (width, height, scale) in [(640, 512, 2), (320, 256, 4)] {
            window(&mut browser, width, height, scale).await;
            assert_eq!(browser.value(WIDE).await, json!([]), "{name} at {width} wide");
        }
        for scheme in SCHEMES {
            media(&mut browser, "print", scheme).await;
            assert_eq!(browser.value(HIDDEN).await, json!([]), "{name} on paper");
        }
        if page.kind == Kind::Handoff {
            let pdf = browser.ask("Page.printToPDF", json!({ "printBackground": false })).await;
            let pdf = base64::engine::general_purpose::STANDARD.decode(pdf["data"].as_str().unwrap()).unwrap();
            let sheets = pdf.windows(11).filter(|window| window == b"/Type /Page").count();
            assert!(pdf.starts_with(b"%PDF") && sheets == 2, "{name}: one sheet, and the list of sheets, not {sheets}");
        }
    }
    let asked: BTreeSet<String> = upstream.seen().iter().map(|seen| seen.uri.path().to_owned()).collect();
    let own = (0..pages.len()).map(|at| format!("/{at}")).collect();
    assert!(asked.difference(&own).all(|path| path == "/favicon.ico"), "nothing else is fetched: {asked:?}");

    media(&mut browser, "screen", SCHEMES[0]).await;
    window(&mut browser, 1280, 1024, 1).await;
    a_kept_page(&mut browser).await;
}

/// The sheet is read by people too, all of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_sheet_of_notices_is_for_everybody_who_answers_for_the_words() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    assert_eq!(terminal.run(&["notices", "--html", "notices.html"]).code, Some(0));
    let sheet = Bytes::from(std::fs::read(terminal.path("notices.html")).unwrap());
    let upstream = Upstream::answering(move |_| {
        let mut answer = Response::new(Full::new(sheet.clone()));
        answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
        answer
    });
    let axe = std::fs::read_to_string(npm::fetched("axe-core@4.14.1", "node_modules/axe-core/axe.min.js")).unwrap();
    let mut browser = Chromium::start().await;
    browser.ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": axe })).await;
    window(&mut browser, 1280, 1024, 1).await;
    media(&mut browser, "screen", SCHEMES[0]).await;
    browser.open(&format!("http://{}/", upstream.address)).await;
    assert_eq!(findings(&mut browser, None).await, json!([]));
    let bare = "document.scripts.length + performance.getEntriesByType('resource').length";
    assert_eq!(browser.value(bare).await, 0, "it runs or fetches something");
    media(&mut browser, "screen", SCHEMES[1]).await;
    assert_eq!(findings(&mut browser, Some("color-contrast")).await, json!([]), "in the dark");
    for (width, height, scale) in [(640, 512, 2), (320, 256, 4)] {
        window(&mut browser, width, height, scale).await;
        assert_eq!(browser.value(WIDE).await, json!([]), "{width} wide");
    }
    window(&mut browser, 1280, 1024, 1).await;
    for scheme in SCHEMES {
        media(&mut browser, "print", scheme).await;
        let lost = browser.value(HIDDEN).await;
        // Paper has no links to follow.
        let lost: Vec<&Value> =
            lost.as_array().unwrap().iter().filter(|one| !one.to_string().contains("href=\\\"#p")).collect();
        assert!(lost.is_empty(), "on paper: {lost:?}");
    }
}

/// A shop whose own page has no finding.
const SHOP: &str = r##"<!doctype html>
<html lang="en"><head><title>Balance</title><style>:focus-visible{outline:3px solid #0b4f9e}</style></head><body>
<main><h1>Your balance</h1><p>£12.50</p>
<p><a href="/">Home</a> <a href="/checkout">Buy</a> <a href="/account/balance">Balance</a></p>
<form action="/checkout" method="post"><label>Sum <input name="sum" value="12.50"></label> <button>Pay</button></form>
<form action="/search"><label>Words <input name="q"></label> <button>Search</button> <button formaction="/checkout" formmethod="post">Buy it</button></form>
</main></body></html>
"##;

/// What a customer sees of their own while the shop is contained: with its banner, and what cannot be done now marked.
async fn a_kept_page(browser: &mut Chromium) {
    let shop = Upstream::answering(|seen| {
        let mut answer = Response::new(Full::new(Bytes::from_static(SHOP.as_bytes())));
        answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("private"));
        if seen.uri.path() == "/login" {
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer.headers_mut().insert("set-cookie", HeaderValue::from_static("sid=s-1; Path=/; HttpOnly"));
        }
        answer
    });
    let journeys = JOURNEYS
        .replacen("contained = \"read_only\"", "contained = \"read_only\"\nsnapshot = {}", 1)
        .replacen("status = [303]", "status = [204, 303]", 1);
    let rig = Rig::start(&journeys, shop, &[("playbooks/storm.toml", STORM)], |_| {});
    let base = format!("http://{}", rig.weir().addresses[1]);
    browser.open(&format!("{base}/elsewhere")).await;
    let sign_in = "fetch('/login', { method: 'POST', body: new URLSearchParams({ email: 'ada@example.test', password: 'right' }) }).then((answer) => answer.status)";
    assert_eq!(browser.value(sign_in).await, 204);
    browser.open(&format!("{base}/account/balance")).await;
    assert_eq!(findings(browser, None).await, json!([]), "the shop's own page");
    rig.weir().snapshots.settle();
    arm(&rig, "storm", &because("a test")).unwrap();
    browser.open(&format!("{base}/account/balance")).await;
    assert_eq!(browser.value("document.body.firstElementChild.className").await, "weir-banner");
    let marked = "[...document.querySelectorAll('[aria-disabled=true], :disabled')].map((one) => one.tagName)";
    assert_eq!(browser.value(marked).await, json!(["A", "FORM", "BUTTON", "BUTTON"]));
    assert_eq!(findings(browser, None).await, json!([]), "the page with its banner");
    // What is marked is still come to, and says why.
    by_keyboard(browser, "a kept page").await;
    let reasons = "[...document.querySelectorAll('[aria-disabled], :disabled')].map((one) => document.getElementById(one.getAttribute('aria-describedby'))).map((one) => one.checkVisibility() && one.textContent)";
    let (reason, beside) = ("We are checking purchases by hand", "(We are checking purchases by hand)");
    assert_eq!(browser.value(reasons).await, json!([beside, reason, reason, beside]));
    browser.value("document.querySelectorAll('[aria-disabled], :disabled').forEach((one) => one.requestSubmit ? one.requestSubmit() : one.click()); true").await;
    assert_eq!(browser.value("location.pathname").await, "/account/balance");
}
