//! Pages that show how things were say so, and what on them cannot be done now is marked, whatever the page is like.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use weir::clock::Moment;
use weir::gate::continuity::banner::{Banner, fits, rewrite_whole};
use weir::gate::continuity::marks::Marks;
use weir::gate::continuity::works::Constraint;
use weir::rules::banner::BannerLaw;
use weir::rules::compile;
use weir::rules::notices::Language;
use weir::rules::ruleset::RuleSet;
use weir::rules::source::Sources;

use crate::arming::{arm, because, stand_down};
use crate::feed::{JOURNEYS, STORM};
use crate::support::client::{BOTH, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{GROUND, NOON, Rig, golden};

/// Eight minutes past three in the afternoon, summer time in London.
const THEN: Moment = Moment::from_unix_seconds(1_782_310_080);

fn law() -> Arc<RuleSet> {
    let ground = GROUND.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let storm = ("playbooks/storm.toml".to_owned(), STORM.to_owned());
    let files = ground.chain([("journeys.toml".to_owned(), JOURNEYS.to_owned()), storm]).collect();
    Arc::new(compile(&Sources::from_texts(files)).rules.unwrap())
}

fn banner(language: &str, as_of: Option<Moment>, constrained: &[(&str, bool)]) -> Banner {
    let rules = law();
    let constraint = |(name, looking): &(&str, bool)| Constraint {
        journey: rules.journey_named(name).unwrap(),
        looking: *looking,
        reason: "Käufe & mehr: \"gerade\" <per> Telefon".into(),
    };
    let constraints = constrained.iter().map(constraint).collect();
    let marks = Marks::seen_from(rules.clone(), ("shop.example", "shop.example"), "/account/balance", constraints);
    let zone = BannerLaw { live: false, zone: Some("Europe/London".into()) };
    Banner::new(&zone, &Language::built_in(language).unwrap(), as_of, Some("Please be patient."), marks)
}

fn rewritten(page: &[u8], banner: Banner) -> Vec<u8> {
    rewrite_whole(&Bytes::copy_from_slice(page), banner).to_vec()
}

const PAGE: &str = r##"<!doctype html>
<html lang="en"><head><title>Balance</title><link rel="stylesheet" href="/site.css"></head>
<body class="account">
<nav><a href="/">Home</a> <a class="buy" href="../checkout?x=1&amp;y=2" target="_top">Buy</a> <a href="#top">Top</a>
<a href="https://elsewhere.example/checkout">Elsewhere</a></nav>
<p>£12.50 <b>owed</b></p>
<form action="/checkout" method="post"><input name="sum" value="12.50"><input type="SUBMIT" value="Pay">
<button type="button">More</button><button>Pay all</button></form>
<form action="/search"><input name="q"><button>Search</button><button formaction="/checkout" formmethod=post>Buy it</button></form>
<form method="dialog"><button>Close</button></form>
<script>document.write("<a href='/checkout'>")</script>
</body></html>
"##;

#[test]
fn a_page_says_when_it_was_true_and_what_cannot_be_done_now_with_the_reason_beside_it() {
    let mut text = String::new();
    for (language, looking) in [("en", false), ("de", true)] {
        let page = rewritten(PAGE.as_bytes(), banner(language, Some(THEN), &[("checkout", looking)]));
        text += std::str::from_utf8(&page).unwrap();
    }
    golden("banner", &text);
    // Nothing that a policy without inline styles and scripts would refuse.
    assert!(!text.contains("style=") && text.matches("<script").count() == 2);
    assert_eq!(text.chars().filter(|c| !c.is_ascii()).count(), 2, "what is added is ASCII");
}

#[test]
fn a_page_without_anything_to_mark_is_the_same_but_for_the_banner() {
    let own = "<div class=\"weir-banner\"";
    let cut = |page: &str| {
        let start = page.find(own).unwrap_or_else(|| panic!("no banner: {page:.200}"));
        let end = start + page[start..].find("</div>").unwrap() + "</div>".len();
        format!("{}{}", &page[..start], &page[end..])
    };
    for page in [
        PAGE,
        "<!doctype html><title>x</title><h1>No body tag</h1>",
        "<html><head></head><frameset></frameset></html>",
        "<p>a piece of a page",
        "just text",
        "<!-- --><!DOCTYPE html><meta charset=utf-8>Text alone",
        "<html><body><p>one</body><body class=two><p>two",
        "<body><svg><a href=x></svg><math><mi>x</math><template><body></template>",
        "<body>\u{fffd}<a href=\"/x\"><b></a></b></p></p></div><<<a<a href>",
        "<html><body><textarea><body></textarea><plaintext><body>",
    ] {
        let page_with = rewritten(page.as_bytes(), banner("de", Some(THEN), &[]));
        let page_with = String::from_utf8(page_with).unwrap();
        assert_eq!(cut(&page_with), page);
        assert_eq!(page_with.matches(own).count(), 1, "{page}");
    }
    let early =
        String::from_utf8(rewritten(b"<!doctype html><title>x</title><h1>a</h1>", banner("en", None, &[]))).unwrap();
    assert!(early.find(own).unwrap() < early.find("<h1>").unwrap(), "{early}");
}

#[test]
fn what_cannot_be_rewritten_to_its_end_is_as_it_was() {
    let nested = format!("<html><body>{}x", "<div>".repeat(200_000));
    let long = format!("<html><body><a href=\"/checkout?{}\">x</a>", "y".repeat(1_000_000));
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("<html><body>".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for page in [nested.as_bytes(), &wide] {
        let page_after = rewritten(page, banner("en", Some(THEN), &[("checkout", true)]));
        assert!(page_after == page, "{} bytes became {}", page.len(), page_after.len());
    }
    let after = rewritten(long.as_bytes(), banner("en", None, &[("checkout", true)]));
    assert!(after.ends_with(&long.as_bytes()[13..]), "a reference that nobody would write is left alone");
    let latin =
        b"<html><head><meta charset=iso-8859-1></head><body>\xe4\xf6<a title=\"\xe4\" href=\"/checkout\">\xfc</a>";
    let after = rewritten(latin, banner("de", Some(THEN), &[("checkout", true)]));
    assert!(after.windows(3).any(|bytes| bytes == b">\xe4\xf6") && after.windows(4).any(|bytes| bytes == b"\xfc</a"));
    assert!(after.windows(6).any(|bytes| bytes == b"K&#228"), "what is added is ASCII");
    assert!(after.windows(11).any(|bytes| bytes == b"title=\"\xe4\" r"), "and what is there is not written anew");
}

#[test]
fn only_pages_without_a_coding_in_an_encoding_like_ascii_are_touched() {
    let kind = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(value));
        headers
    };
    for page in [
        "text/html",
        "Text/HTML; Charset=\"UTF-8\"",
        "text/html;charset=utf-8;x=y",
        "text/html; charset=ISO-8859-1",
        "text/html; charset=windows-1252",
        "text/html; charset=Shift_JIS",
        "text/html; charset=gb18030",
    ] {
        assert!(fits(&kind(page)), "{page}");
    }
    for other in ["text/html; charset=iso-2022-jp", "text/plain", "application/xhtml+xml", "text/html; charset=utf-16"]
    {
        assert!(!fits(&kind(other)), "{other}");
    }
    let mut packed = kind("text/html");
    packed.insert("content-encoding", HeaderValue::from_static("gzip"));
    assert!(!fits(&packed) && !fits(&HeaderMap::new()));
}

proptest! {
    /// Whatever comes, the rewriting neither panics nor loses a byte of what is not its own.
    #[test]
    fn no_page_breaks_it(page in proptest::collection::vec(proptest::sample::select(vec![
        "<a href=/checkout>", "</a>", "<form method=post action=checkout>", "</form>", "<body>", "</body>", "<head>", "<html>",
        "<button>", "<input type=submit>", "<!--", "-->", "<script>", "</script>", "<base href=//x/>", "<svg>", "<select>", "text",
        "é", "\u{0}", "<", ">", "'", "\"", "&amp;", "<table>", "<textarea>", "<title>", "<a href='/check\u{fffd}out'", "</",
    ]), 0..40)) {
        let page = page.concat();
        let after = rewritten(page.as_bytes(), banner("en", Some(THEN), &[("checkout", true)]));
        prop_assert!(after.len() >= page.len().saturating_sub("href=/checkout".len() * 40));
        let plain = rewritten(page.as_bytes(), banner("en", None, &[]));
        let own = String::from_utf8(plain).unwrap();
        prop_assert_eq!(own.matches("weir-banner").count(), 1);
    }
}

/// A shop whose pages are HTML, with everything that goes stale when a page is rewritten.
fn pages() -> Upstream {
    Upstream::answering(|seen| {
        let mut answer = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
        let kind = match seen.uri.query() {
            Some("wide") => "text/html; charset=utf-16",
            Some("text") => "text/plain",
            _ => "text/html; charset=utf-8",
        };
        let fields = [("content-type", kind), ("etag", "\"1\""), ("content-security-policy", "default-src 'self'")];
        for (name, value) in fields {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if seen.header("accept-encoding").contains("gzip") {
            answer.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        }
        answer
    })
}

const NAVIGATES: [(&str, &str); 3] =
    [("sec-fetch-mode", "navigate"), ("accept", "text/html"), ("accept-encoding", "gzip, br")];

#[tokio::test]
async fn a_page_that_comes_live_carries_it_while_its_journey_is_contained_and_the_law_says_so() {
    // Looking at the balance is open to whoever comes.
    let journeys = JOURNEYS
        .replace("view_line = 40\ncontained", "contained")
        .replace("{ at = 40, do = \"allow\" }, { at = 0, do", "{ at = 1, do = \"allow\" }, { at = 0, do");
    let files = [("playbooks/storm.toml", STORM), ("banner.toml", "[banner]\nlive = true\n")];
    let rig = Rig::start(&journeys, pages(), &files, |_| {});
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let calm = client.send("GET", "/account/balance", &NAVIGATES, "").await;
        assert_eq!(
            (calm.text(), calm.header("content-encoding"), calm.header("etag")),
            (PAGE, "gzip", "\"1\""),
            "nothing is touched"
        );
        arm(&rig, "storm", &because("a test")).unwrap();
        let page = client.send("GET", "/account/balance", &NAVIGATES, "").await;
        assert_eq!(page.status, StatusCode::OK);
        let text = page.text();
        assert!(
            text.contains("<body class=\"account\"><div class=\"weir-banner\" role=\"status\" lang=\"en\""),
            "{text}"
        );
        assert!(text.contains("We are checking purchases by hand. Your orders are safe. This is so until Monday 2 November, 14:00 (London time).</p></div>"), "{text}");
        assert!(!text.contains("<time "), "it is how things are");
        assert!(text.contains("<form action=\"/checkout\" method=\"dialog\" aria-disabled=\"true\""), "{text}");
        assert!(
            text.contains("(We are checking purchases by hand)</span>") && text.contains("<a href=\"/\">Home</a>"),
            "{text}"
        );
        assert!(!page.headers.contains_key("etag") && !page.headers.contains_key("content-encoding"));
        assert_eq!(page.headers.get("content-length").filter(|length| *length == &PAGE.len().to_string()), None);
        assert_eq!(page.header("content-security-policy"), "default-src 'self'");
        assert_eq!(rig.upstream.last().header("accept-encoding"), "");
        for (path, headers) in [
            ("/account/balance?wide", &NAVIGATES[..2]),
            ("/account/balance?text", &NAVIGATES[..2]),
            ("/account/balance", &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..]),
            ("/elsewhere", &NAVIGATES[..2]),
        ] {
            let other = client.send("GET", path, headers, "").await;
            assert_eq!((other.text(), other.header("etag")), (PAGE, "\"1\""), "{path}");
        }
        let head = client.send("HEAD", "/account/balance", &NAVIGATES, "").await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        stand_down(&rig, "storm", true).unwrap();
    }
    assert!(NOON > THEN);
    arm(&rig, "storm", &because("a test")).unwrap();
    assert!(matches!(
        rig.save("banner.toml", "[banner]\nlive = false\n"),
        weir::control::law::Outcome::Installed { .. }
    ));
    let page = rig.client(Protocol::H1).send("GET", "/account/balance", &NAVIGATES[..2], "").await;
    assert_eq!(page.text(), PAGE, "a law that does not ask for it has none");
}

/// A shop that keeps what it showed of the balance: a page for people, a document for programs.
fn bank() -> Upstream {
    Upstream::answering(|seen| {
        let (kind, body) = match seen.uri.path() {
            "/api/balance" => ("application/json", "{\"sum\": 1.10, \"as_of\": null}"),
            _ => ("text/html; charset=utf-8", PAGE),
        };
        let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        answer.headers_mut().insert("content-type", HeaderValue::from_static(kind));
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("private"));
        if seen.uri.path() == "/login" {
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert("set-cookie", HeaderValue::from_static("sid=s-1; Path=/; HttpOnly"));
        }
        answer
    })
}

#[tokio::test]
async fn a_kept_page_says_as_of_when_it_is_and_a_kept_document_too() {
    let keeps = "contained = \"read_only\"\nsnapshot = { as_of = \"as_of\", blocked_actions = \"blocked\" }";
    let journeys = JOURNEYS
        .replacen("contained = \"read_only\"", keeps, 1)
        .replace("\"GET /account/balance\"", "\"GET /account/balance\", \"GET /api/balance\"");
    let rig = Rig::start(&journeys, bank(), &[("playbooks/storm.toml", STORM)], |_| {});
    let mut client = rig.client(Protocol::H2);
    assert_eq!(client.post("/login", "email=ada%40example.test&password=right").await.status, StatusCode::SEE_OTHER);
    let asks = [("accept", "application/json"), ("accept-language", "de")];
    let navigates = [("sec-fetch-mode", "navigate"), ("accept", "text/html"), ("accept-language", "de")];
    let live = client.send("GET", "/account/balance", &navigates, "").await;
    assert_eq!(live.text(), PAGE);
    assert_eq!(client.send("GET", "/api/balance", &asks, "").await.text(), "{\"sum\": 1.10, \"as_of\": null}");
    rig.weir().snapshots.settle();
    rig.advance(std::time::Duration::from_secs(90));
    arm(&rig, "storm", &because("a test")).unwrap();

    let page = client.send("GET", "/account/balance", &navigates, "").await;
    assert_eq!(
        (page.status, page.header("weir-as-of"), page.header("age")),
        (StatusCode::OK, "2026-11-02T12:00:00Z", "90")
    );
    let said = "<div class=\"weir-banner\" role=\"status\" lang=\"de\" dir=\"ltr\"><p>So sah es zu diesem Zeitpunkt aus: \
                <time datetime=\"2026-11-02T12:00:00Z\">Montag, 2. November, 12:00 Uhr (Ortszeit London)</time>.";
    assert!(page.text().contains(said), "{}", page.text());
    assert!(page.text().contains("<p>Wir pr&#252;fen Eink&#228;ufe gerade von Hand. Ihre Bestellungen sind sicher."));
    assert!(page.text().contains("<form action=\"/checkout\" method=\"dialog\" aria-disabled=\"true\""));
    assert_eq!(page.header("content-length"), page.body.len().to_string());
    let head = client.send("HEAD", "/account/balance", &navigates, "").await;
    assert_eq!((head.header("content-length"), head.body.len()), (page.header("content-length"), 0));
    // A script that fetches pages to put them in place of the one that is there; and a client that says nothing.
    for fetches in [&[("sec-fetch-mode", "cors"), ("accept", "text/html, */*"), ("accept-language", "de")][..], &[]] {
        let fetched = client.send("GET", "/account/balance", fetches, "").await;
        assert!(fetched.text().contains("<time datetime=\"2026-11-02T12:00:00Z\">"), "{}", fetched.text());
    }

    let document = client.send("GET", "/api/balance", &asks, "").await;
    let (blocked, told) = (&document.json()["blocked"], document.text());
    assert!(told.starts_with("{\"sum\":1.10,\"as_of\":\"2026-11-02T12:00:00Z\",\"blocked\":["), "{told}");
    assert!(blocked.as_array().unwrap().contains(&"checkout".into()), "{told}");
    assert!(
        ["balance", "login", "search"].iter().all(|free| !blocked.as_array().unwrap().contains(&(*free).into())),
        "{told}"
    );
}
