//! One situation, one headline: the page, the problem document, the gRPC message, the banner and the feed of what works now never say
//! two things of it. And nobody who has entered nothing is told what became of it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use weir::demo::rules::SHIPPED;
use weir::gate::sheet::Sheet;
use weir::rules::compile;
use weir::rules::source::Sources;

use crate::arming::{arm, because, stand_down};
use crate::feed::FEED;
use crate::support::client::{Client, Protocol};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

const LANGUAGES: [&str; 2] = ["en", "de"];

/// As HTML that is ASCII.
fn in_ascii(text: &str) -> String {
    let letter = |c: char| if c.is_ascii() && c != '\'' { c.to_string() } else { format!("&#{};", u32::from(c)) };
    text.chars().map(letter).collect()
}

fn shipped() -> Vec<(&'static str, &'static str)> {
    SHIPPED.iter().filter(|(name, _)| *name != "gateway.toml").copied().collect()
}

#[test]
fn every_channel_of_a_notice_has_its_headline_under_every_shipped_playbook_and_journey() {
    let texts = shipped().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    let live = ("banner.toml".to_owned(), "[banner]\nlive = true\n".to_owned());
    let rules = compile(&Sources::from_texts(texts.chain([live]).collect())).rules.unwrap();
    let (mut feeds, mut banners) = (0, 0);
    for entry in Sheet::of(&rules, NOON).parts.iter().flat_map(|part| &part.notices) {
        for said in &entry.said {
            let word = |document: &Option<Value>, member: &str| {
                document.as_ref().map(|document| document[member].as_str().unwrap().to_owned())
            };
            let (title, told) = (word(&said.problem, "title"), word(&said.feed, "headline"));
            let headline = title.as_ref().or(told.as_ref()).unwrap();
            if let Some(page) = &said.page {
                assert!(page.html.contains(&format!("<h1>{headline}</h1>")), "{headline}: {}", page.html);
                assert!(said.grpc.as_ref().unwrap().message.starts_with(headline));
            }
            if let Some(told) = &told {
                assert_eq!(told, headline, "{:?} {}", entry.journey, entry.kind);
                let detail = word(&said.feed, "detail").unwrap();
                for entered in
                    ["What you entered", "Ihre Eingaben", "not saved", "not have been saved", "nicht gespeichert"]
                {
                    assert!(!detail.contains(entered), "{:?}: {detail}", entry.journey);
                }
                feeds += 1;
            }
            if let Some(banner) = &said.banner {
                assert!(
                    banner.contains(&format!("<p>{}. ", in_ascii(headline)))
                        || banner.contains(&format!("<p>{}.</p>", in_ascii(headline))),
                    "{banner}"
                );
                banners += 1;
            }
        }
    }
    assert!(feeds > 60 && banners > 10, "{feeds} {banners}");
}

/// A shop whose every page can be kept.
fn pages() -> Upstream {
    Upstream::answering(|seen| {
        let page =
            format!("<!doctype html><html><head><title>x</title></head><body><h1>{}</h1></body></html>", seen.uri);
        let mut answer = Response::new(Full::new(Bytes::from(page)));
        answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
        answer.headers_mut().insert("cache-control", HeaderValue::from_static("private"));
        if seen.method == "POST" && seen.uri.path() == "/login" {
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert("set-cookie", HeaderValue::from_static("sid=s-1; Path=/; HttpOnly"));
        }
        answer
    })
}

/// What a customer does on each journey of the shop once they have signed in.
const TRIED: [(&str, &str, &str); 6] = [
    ("password_reset", "POST", "/password/reset"),
    ("balance", "GET", "/account/balance"),
    ("order_status", "GET", "/orders"),
    ("checkout", "POST", "/checkout"),
    ("account_change", "POST", "/account/email"),
    ("profile", "POST", "/account/address"),
];

/// Tries what the feed says is not open, and gives how many were held and how many were shown with a banner.
async fn tried(client: &mut Client, feed: &Value, language: &str) -> (usize, usize) {
    let asks = [("accept", "application/json"), ("accept-language", language)];
    let navigates = [("sec-fetch-mode", "navigate"), ("accept", "text/html"), ("accept-language", language)];
    let (mut held, mut shown) = (0, 0);
    for (name, method, path) in TRIED {
        let told = feed["journeys"].as_array().unwrap().iter().find(|journey| journey["name"] == name).unwrap();
        let Some(headline) = told["headline"].as_str() else { continue };
        let page = client.send(method, path, &navigates, "").await;
        if page.status == StatusCode::OK {
            let banner =
                page.text().split_once("<div class=\"weir-banner\"").unwrap().1.split_once("</div>").unwrap().0;
            assert!(banner.contains(&format!("<p>{}.", in_ascii(headline))), "{name}: {headline}: {banner}");
            shown += 1;
            continue;
        }
        assert!(page.text().contains(&format!("<h1>{headline}</h1>")), "{name}: {headline}: {}", page.text());
        let problem = client.send(method, path, &asks, "").await;
        assert_eq!(problem.json()["title"], headline, "{name} in {language}");
        held += 1;
    }
    (held, shown)
}

#[tokio::test]
async fn a_customer_reads_one_headline_in_the_feed_on_the_page_and_in_the_banner_whatever_is_armed() {
    let mut files = shipped();
    let at = files.iter().position(|(name, _)| *name == "journeys.toml").unwrap();
    let (_, journeys) = files.remove(at);
    files.push(("banner.toml", "[banner]\nlive = true\n"));
    let rig = Rig::start(journeys, pages(), &files, |_| {});
    let mut client = rig.client(Protocol::H1);
    assert_eq!(client.post("/login", "email=ada%40example.test&password=right").await.status, StatusCode::SEE_OTHER);
    let mut all = (0, 0);
    for (name, _) in SHIPPED.iter().filter_map(|(name, text)| Some((name.strip_prefix("playbooks/")?, text))) {
        let playbook = name.trim_end_matches(".toml");
        arm(&rig, playbook, &because("a test")).unwrap();
        for language in LANGUAGES {
            let feed = client.send("GET", FEED, &[("accept-language", language)], "").await.json();
            assert_eq!(feed["about"], "you");
            let (held, shown) = tried(&mut client, &feed, language).await;
            assert!(held > 0, "{playbook}: a customer of a new browser is held back on some journey, armed or not");
            all = (all.0 + held, all.1 + shown);
        }
        stand_down(&rig, playbook, true).unwrap();
    }
    assert!(all.0 >= 24 && all.1 >= 4, "{all:?}");
}
