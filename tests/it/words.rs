//! Which words a customer reads: their language, the operator's own words, and gRPC's status, over real sockets and through
//! every swap.

use std::fmt::Write as _;

use http::StatusCode;
use weir::control::law::Outcome;
use weir::rules::notices::{Kind, Phrase};

use crate::support::Rig;
use crate::support::client::{BOTH, Protocol};
use crate::support::upstream::Upstream;

pub const JOURNEYS: &str = r#"
[journeys.balance]
routes = ["GET /account/balance", "POST /account/address", "POST /shop.orders/place"]
require = { level = "mfa" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"
[journeys.shut]
routes = ["GET /shut", "POST /shut"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
[journeys.slow]
routes = ["POST /slow"]
ladder = [{ at = 0, do = "throttle", every = "30s" }]
when_unknown = "handoff"
"#;

const TWO: &str = "[languages]\nspeak = [\"en\", \"de\"]\n";

fn page(language: &str) -> Vec<(&str, &str)> {
    vec![("accept", "text/html"), ("accept-language", language)]
}

#[tokio::test]
async fn a_customer_is_spoken_to_in_the_language_that_the_browser_asks_for() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("languages.toml", TWO)], |_| {});
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        for (asked, spoken, words) in [
            ("de-AT, en;q=0.5", "de", "Wir erledigen das gemeinsam mit Ihnen"),
            ("fr, de;q=0.2, en;q=0.1", "de", "Ihre Vorgangsnummer"),
            ("en-GB", "en", "Let us finish this together"),
            ("fr", "en", "Let us finish this together"),
            ("de;q=0", "en", "Let us finish this together"),
        ] {
            let answer = client.send("GET", "/shut", &page(asked), "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert_eq!(answer.header("content-language"), spoken, "{asked}");
            assert!(
                answer.text().contains(words) && answer.text().contains(&format!("<html lang=\"{spoken}\"")),
                "{asked}"
            );
            assert_eq!(answer.header("vary"), "Accept, Accept-Language");
        }
        let problem = client.send("GET", "/shut", &[("accept-language", "de")], "").await;
        assert_eq!(problem.json()["title"], "Wir erledigen das gemeinsam mit Ihnen");
        assert_eq!(problem.json()["type"], "urn:weir:problem:handoff", "what apps compare is not translated");
        let hostile = format!("{}de", "x-y;q=0.9,".repeat(400));
        let answer = client.send("GET", "/shut", &[("accept-language", &hostile)], "").await;
        assert_eq!(answer.header("content-language"), "en", "what stands far behind is not read");
        let fault = client.send("DELETE", "/account/balance", &[("accept-language", "de")], "").await;
        assert_eq!(fault.json()["title"], "Das geht an dieser Adresse nicht");
    }
}

#[tokio::test]
async fn an_operators_words_take_the_place_of_the_built_in_ones_at_once() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("languages.toml", TWO)], |_| {});
    let mut client = rig.client(Protocol::H2);
    let title = |answer: crate::support::client::Answer| answer.json()["title"].as_str().unwrap().to_owned();
    assert_eq!(title(client.get("/shut").await), "Let us finish this together");
    let english =
        "[notice.en.handoff]\nheadline = \"Please call us\"\n[notice.en.phrases]\nnever_ask = \"We never ask.\"\n";
    let Outcome::Refused { problems, .. } = rig.save("notices.toml", english) else { panic!("promised to some") };
    assert!(problems.contains("W0260") && problems.contains("[notice.de.phrases]"), "{problems}");
    let own = format!("{english}[notice.de.phrases]\nnever_ask = \"Wir fragen nie.\"\n");
    assert!(matches!(rig.save("notices.toml", &own), Outcome::Installed { .. }));
    assert_eq!(title(client.get("/shut").await), "Please call us");
    let answer = client.get("/shut").await;
    assert!(answer.json()["detail"].as_str().unwrap().starts_with("To keep your account safe"), "half stays built in");
    assert!(client.send("GET", "/shut", &page("en"), "").await.text().contains("<p>We never ask.</p>"));
    for language in ["en", "de"] {
        let promised = client.send("GET", "/shut", &[("accept-language", language)], "").await.json();
        assert_eq!(promised["never_asks"], if language == "en" { "We never ask." } else { "Wir fragen nie." });
    }
    let german = "[journeys.shut.notice.de.handoff]\nheadline = \"Bitte <b rufen & Sie an\"\n";
    let Outcome::Refused { problems, .. } = rig.save("journeys.toml", &format!("{JOURNEYS}{german}")) else {
        panic!("said to some")
    };
    assert!(problems.contains("W0260") && problems.contains("notice.en.handoff"), "{problems}");
    let english = "[journeys.shut.notice.en.handoff]\nheadline = \"Please call us\"\n";
    let journeys = format!("{JOURNEYS}{german}{english}");
    assert!(matches!(rig.save("journeys.toml", &journeys), Outcome::Installed { .. }));
    assert_eq!(title(client.get("/shut").await), "Please call us");
    let german = client.send("GET", "/shut", &[("accept-language", "de")], "").await;
    assert_eq!(title(german), "Bitte <b rufen & Sie an");
    let german = client.send("GET", "/shut", &page("de"), "").await;
    assert!(
        german.text().contains("<h1>Bitte &lt;b rufen &amp; Sie an</h1>"),
        "words are never markup: {}",
        german.text()
    );
    let half = format!("{TWO}\n[notice.de.step_up]\nheadline = \"{{wait}}\"\n");
    let Outcome::Refused { problems, .. } = rig.save("languages.toml", &half) else { panic!("installed") };
    assert!(problems.contains("W0128") && problems.contains("languages.toml:5"), "{problems}");
    assert_eq!(title(client.get("/shut").await), "Please call us", "the last good words stand");
}

/// French from an operator's hand: every kind, every phrase, the calendar.
fn french() -> String {
    let mut text = String::from("[languages]\nspeak = [\"fr\", \"en\"]\n");
    for kind in Kind::ALL {
        let places: String = kind.places().iter().map(|place| format!(" {{{}}}", place.word())).collect();
        let key = kind.key();
        let _ = writeln!(text, "[notice.fr.{key}]\nheadline = \"Avis {key}\"\ndetail = \"Voilà{places}.\"");
    }
    text += "[notice.fr.phrases]\n";
    for phrase in Phrase::ALL {
        let places: String = phrase.places().iter().map(|place| format!(" {{{place}}}")).collect();
        let _ = writeln!(text, "{} = \"phrase {}{places}\"", phrase.key(), phrase.key());
    }
    text += "days = [\"lundi\", \"mardi\", \"mercredi\", \"jeudi\", \"vendredi\", \"samedi\", \"dimanche\"]\n";
    text += "months = [\"janvier\", \"février\", \"mars\", \"avril\", \"mai\", \"juin\", \"juillet\", \"août\", \"septembre\", \"octobre\", \"novembre\", \"décembre\"]\n";
    text
}

#[tokio::test]
async fn a_language_that_is_not_built_in_is_written_whole_or_not_at_all() {
    let whole = french();
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("languages.toml", &whole)], |_| {});
    let mut client = rig.client(Protocol::H1);
    let answer = client.send("GET", "/shut", &page("it"), "").await;
    assert_eq!(answer.header("content-language"), "fr", "the first is the default");
    assert!(
        answer.text().contains("<h1>Avis handoff</h1>") && answer.text().contains("phrase reach"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("phrase every_day phrase times"), "{}", answer.text());
    let busy = whole.find("[notice.fr.busy]").unwrap();
    let after = busy + 1 + whole[busy + 1..].find("[notice").unwrap();
    let without_kind = format!("{}{}", &whole[..busy], &whole[after..]);
    let without = |key: &str| whole.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
    for (torn, lacks) in [
        (without_kind, "`busy`"),
        (without("here_now ="), "`phrases.here_now`"),
        (without("months ="), "`phrases.months`"),
    ] {
        let Outcome::Refused { problems, .. } = rig.save("languages.toml", &torn) else { panic!("{lacks}: installed") };
        assert!(problems.contains("W0126") && problems.contains(lacks), "{lacks}: {problems}");
    }
}

#[tokio::test]
async fn a_grpc_call_is_held_back_in_grpcs_own_words() {
    let mut upstream = Upstream::shop();
    upstream.go();
    let rig = Rig::start(JOURNEYS, upstream, &[("languages.toml", TWO)], |_| {});
    let grpc = [("content-type", "application/grpc+proto"), ("te", "trailers"), ("accept-language", "de")];
    let mut client = rig.client(Protocol::H2);
    for (path, code, words) in [
        ("/shop.Orders/Place", "16", "Bitte best%C3%A4tigen Sie, dass Sie es sind"),
        ("/shut", "7", "Wir erledigen das gemeinsam mit Ihnen"),
        ("/shop.Catalogue/List", "14", "Dieser Teil der Seite antwortet gerade nicht"),
    ] {
        let answer = client.send("POST", path, &grpc, "\0\0\0\0\0").await;
        assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, code), "{path}");
        assert!(answer.header("grpc-message").starts_with(words), "{path}: {}", answer.header("grpc-message"));
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert!(answer.body.is_empty() && answer.trailers.is_none(), "{path} is headers alone");
        assert!(!answer.header("weir-reference").is_empty() && !answer.header("grpc-retry-pushback-ms").is_empty());
    }
    let step_up = client.send("POST", "/shop.Orders/Place", &grpc, "").await;
    assert!(step_up.header("www-authenticate").contains("insufficient_user_authentication"));
    assert_eq!(step_up.header("grpc-retry-pushback-ms"), "-1");
    let _ = client.send("POST", "/slow", &grpc, "").await;
    let throttled = client.send("POST", "/slow", &grpc, "").await;
    assert_eq!(throttled.header("grpc-status"), "8");
    assert!(throttled.header("grpc-retry-pushback-ms").parse::<u64>().unwrap() >= 1_000);
    let over_one = rig.client(Protocol::H1).send("POST", "/shut", &grpc, "").await;
    assert_eq!(over_one.status, StatusCode::FORBIDDEN, "gRPC is HTTP/2; whatever else says so reads a problem");
}
