//! The sheet of notices: what it shows is what customers get, it leaves out nobody, and it can be read by whoever answers for the words.

use std::collections::BTreeSet;

use serde_json::Value;
use weir::clock::Moment;
use weir::demo::rules::SHIPPED;
use weir::gate::sheet::{Entry, ID, Part, Said, Sheet};
use weir::rules::compile;
use weir::rules::ruleset::RuleSet;
use weir::rules::source::{Bounds, Sources};

use crate::arming::{arm, because};
use crate::feed::{FEED, JOURNEYS, STORM};
use crate::support::client::Protocol;
use crate::support::program::{Terminal, repository};
use crate::support::upstream::Upstream;
use crate::support::{NOON, Rig};

fn part<'s>(sheet: &'s Sheet, about: &str, name: Option<&str>) -> &'s Part {
    let found = sheet.parts.iter().find(|part| part.about == about && part.name.as_deref() == name);
    found.unwrap_or_else(|| panic!("no {about} {name:?}"))
}

fn notice<'p>(part: &'p Part, journey: Option<&str>, kind: &str) -> &'p Entry {
    let found = part.notices.iter().find(|entry| entry.kind == kind && entry.journey.as_deref() == journey);
    found.unwrap_or_else(|| panic!("no {kind} of {journey:?}"))
}

fn said<'e>(entry: &'e Entry, language: &str) -> &'e Said {
    entry.said.iter().find(|said| said.language == language).unwrap()
}

/// A page with what is a customer's own in place of the samples: the references, and the signed way back.
fn with_own(page: &str, reference: Option<&str>, id: &str) -> String {
    let short = |id: &str| format!("{} {} {}", &id[..4], &id[4..8], &id[8..12]);
    let mut page = page.replace(&short(id), &short(ID));
    if let Some(reference) = reference {
        page = page.replace(reference, "123 456 789");
    }
    if let Some(at) = page.find("?rt=") {
        let end = at + page[at..].find('"').unwrap();
        page.replace_range(at..end, "");
    }
    page
}

#[tokio::test]
async fn what_the_sheet_shows_is_what_a_customer_gets_to_the_letter() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("playbooks/storm.toml", STORM)], |_| {});
    // One customer for each language: who is asked for the same proof again and again is asked differently.
    let mut clients = [rig.client(Protocol::H1), rig.client(Protocol::H1)];
    for (client, name) in clients.iter_mut().zip(["ada", "tim"]) {
        client.post("/login", &format!("email={name}%40example.test&password=right")).await;
    }
    let sheet = Sheet::of(&rig.weir().law.in_force().load().rules, NOON);
    let (calm, storm) = (|name| part(&sheet, "journey", Some(name)), part(&sheet, "playbook", Some("storm")));
    for (armed, method, path, entry) in [
        (false, "POST", "/gift", notice(calm("gift"), None, "handoff")),
        (false, "GET", "/export", notice(calm("export"), None, "denied")),
        (false, "POST", "/account/address", notice(calm("profile"), None, "read_only")),
        (false, "POST", "/account/email", notice(calm("account_change"), None, "step_up")),
        (false, "PATCH", "/gift", notice(part(&sheet, "anywhere", None), None, "method")),
        (true, "POST", "/checkout", notice(storm, Some("checkout"), "handoff")),
    ] {
        if armed {
            arm(&rig, "storm", &because("a test")).unwrap();
        }
        for (client, language) in clients.iter_mut().zip(["en", "de"]) {
            let navigates = [("sec-fetch-mode", "navigate"), ("accept", "text/html"), ("accept-language", language)];
            let answer = client.send(method, path, &navigates, "").await;
            let expected = said(entry, language).page.as_ref().unwrap();
            let reference = answer.text().split_once("class=\"reference\" dir=\"ltr\">").map(|(_, rest)| &rest[..11]);
            let served = with_own(answer.text(), reference, answer.header("weir-request-id"));
            // The proof is asked for with the way back to this page, and with a redirect.
            assert_eq!(answer.status.as_u16(), expected.status, "{path}");
            assert_eq!(answer.header("location").is_empty(), expected.leads_to.is_none(), "{path}");
            assert_eq!(served, expected.html, "{path} in {language}");

            let asks = [("accept", "application/json"), ("accept-language", language)];
            let answer = client.send(method, path, &asks, "").await;
            let (mut got, mut told) = (answer.json(), said(entry, language).problem.clone().unwrap());
            assert_eq!(Some(answer.status.as_u16()), entry.status, "{path}");
            for own in ["instance", "reference", "handoff"] {
                assert_eq!(got.get(own).is_some(), told.get(own).is_some(), "{own} on {path}");
                got.as_object_mut().unwrap().remove(own);
                told.as_object_mut().unwrap().remove(own);
            }
            if got["exits"][0]["kind"] == "step_up" {
                got["exits"][0]["url"] = "/verify".into();
            }
            // Clients are told at most what the sheet says, each a little else; in words it is the same.
            if told["exits"][0]["kind"] == "wait" && told["exits"][0]["seconds"] == 120 {
                let seconds = std::mem::replace(&mut got["exits"][0]["seconds"], 120.into());
                assert!((91..=120).contains(&seconds.as_u64().unwrap()), "{path}: {seconds}");
            }
            assert_eq!(got, told, "{path} in {language}");
        }
    }
    // The feed, while the playbook is armed.
    let asks = [("accept", "application/json"), ("accept-language", "de")];
    let feed = clients[1].send("GET", FEED, &asks, "").await.json();
    for (name, kind) in [("checkout", "handoff"), ("balance", "read_only")] {
        let told = feed["journeys"].as_array().unwrap().iter().find(|journey| journey["name"] == name).unwrap();
        assert_eq!(Some(told), said(notice(storm, Some(name), kind), "de").feed.as_ref(), "{name}");
    }
}

/// Every law that compiles in this repository, with the shipped one.
fn laws() -> Vec<(String, RuleSet)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(repository().join("tests/rules/good")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let sources = match path.is_dir() {
            true => Sources::read(&path, &Bounds::default()).unwrap(),
            false => Sources::from_texts(vec![(name.clone(), std::fs::read_to_string(&path).unwrap())]),
        };
        if !name.starts_with("gateway") {
            all.push((name, compile(&sources).rules.unwrap()));
        }
    }
    let shipped = SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    all.push(("shipped".to_owned(), compile(&Sources::from_texts(shipped.collect())).rules.unwrap()));
    all
}

/// Whether somebody who makes no voice call can go on with this.
fn is_open_without_a_call(exit: &Value) -> bool {
    match exit["kind"].as_str().unwrap() {
        "wait" | "read" | "step_up" => true,
        "contact" => ["relay", "chat", "address"].iter().any(|way| exit.get(*way).is_some()),
        other => panic!("{other}"),
    }
}

/// Every notice of this law has words in every language, and a way on that needs no voice call.
fn leaves_nobody_without(name: &str, rules: &RuleSet) {
    let sheet = Sheet::of(rules, NOON);
    assert!(!sheet.is_empty());
    for entry in sheet.parts.iter().flat_map(|part| &part.notices) {
        assert!(!entry.who.is_empty() && entry.who.iter().all(|who| !who.is_empty()));
        let languages: Vec<&str> = entry.said.iter().map(|said| &*said.language).collect();
        assert_eq!(languages, sheet.languages, "{name}");
        for said in &entry.said {
            let (Some(page), Some(problem)) = (&said.page, &said.problem) else {
                assert!(entry.status.is_none() && entry.kind == "read_only", "{name}: {entry:?}");
                continue;
            };
            let exits = problem["exits"].as_array().unwrap();
            // Whoever cannot give the proof that is asked for needs another way.
            let others = exits.iter().filter(|exit| exit["kind"] != "step_up");
            assert!(others.clone().any(is_open_without_a_call), "{name}: {problem}");
            for words in ["title", "detail", "never_asks"] {
                let words = problem[words].as_str().unwrap();
                assert!(!words.is_empty() && !words.contains(['{', '}']), "{name}: {words}");
                let escaped = words.replace('&', "&amp;").replace('\'', "&#x27;");
                assert!(page.html.contains(&escaped), "{name}: the page does not say {words}: {}", page.html);
            }
            let message = &said.grpc.as_ref().unwrap().message;
            assert!(message.starts_with(problem["title"].as_str().unwrap()), "{name}: {message}");
        }
    }
}

#[test]
fn every_notice_of_every_law_has_words_in_every_language_and_a_way_on_without_a_voice_call() {
    for (name, rules) in laws() {
        leaves_nobody_without(&name, &rules);
    }
}

#[test]
fn a_law_that_would_leave_somebody_without_words_or_without_a_way_on_does_not_compile() {
    let helps = [
        "",
        "[help.main]\nphone = \"1\"\n",
        "[help.main]\nphone = \"1\"\ntext = { relay = \"2\" }\nhours = \"Mo-Fr 08:00-20:00 UTC\"\ncapacity = \"1/h\"\n",
        "[help.voice]\nphone = \"1\"\n[help.main]\ntext = { chat = \"https://help.example/\" }\n",
        "[help.main]\ntext = { chat = \"https://help.example/\" }\n[help.voice]\nphone = \"1\"\n",
    ];
    let last = [
        "do = \"allow\"",
        "do = \"throttle\"",
        "do = \"step_up\"",
        "do = \"read_only\"",
        "do = \"handoff\", to = \"main\"",
        "do = \"deny\", to = \"voice\"",
    ];
    let unknown = ["\"throttle\"", "\"step_up\"", "{ do = \"handoff\", to = \"main\" }"];
    let words = [
        "",
        "notice.en.throttle.headline = \"Slowly\"",
        "notice.de.throttle.headline = \"Langsam\"\nnotice.en.throttle.headline = \"Slowly\"",
    ];
    let refuse = "[[refuse]]\nwhen = { path_suffix = \".env\" }\nstatus = 403\n";
    let ground = crate::support::GROUND.iter().filter(|(name, _)| *name != "help.toml");
    let ground: String = ground.map(|(_, text)| *text).collect();
    let (mut compiled, mut refused) = (0, 0);
    for help in helps {
        for last in last {
            for unknown in unknown {
                for words in words {
                    for require in ["", "require = { level = \"mfa\" }"] {
                        let law = format!(
                            "[languages]\nspeak = [\"en\", \"de\"]\n{help}[journeys.pay]\nroutes = [\"GET /pay\", \"POST /pay\"]\n{require}\n{words}\n\
                             ladder = [{{ at = 90, do = \"allow\" }}, {{ at = 0, {last} }}]\nwhen_unknown = {unknown}\ncontained = \"read_only\"\n{refuse}{ground}"
                        );
                        match compile(&Sources::from_texts(vec![("law.toml".to_owned(), law.clone())])).rules {
                            None => refused += 1,
                            Some(rules) => {
                                leaves_nobody_without(&law, &rules);
                                compiled += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(compiled >= 50 && refused >= 200, "{compiled} {refused}");
}

#[test]
fn the_sheet_has_every_journey_that_holds_anybody_back_and_every_playbook() {
    let (_, shipped) = laws().pop().unwrap();
    let sheet = Sheet::of(&shipped, NOON);
    let named: BTreeSet<&str> = sheet.parts.iter().filter_map(|part| part.name.as_deref()).collect();
    for journey in shipped.journeys.iter().filter(|journey| &*journey.name != "front_door") {
        assert!(named.contains(&*journey.name), "{}", journey.name);
    }
    for law in &shipped.playbooks {
        let part = part(&sheet, "playbook", Some(&law.name));
        assert!(!part.notices.is_empty() && part.desk.as_ref().unwrap().verify == law.desk.verify, "{}", law.name);
    }
    let balance = notice(part(&sheet, "journey", Some("balance")), None, "read_only");
    let banner = said(balance, "de").banner.as_ref().unwrap();
    assert!(banner.starts_with("<div class=\"weir-banner\" role=\"status\" lang=\"de\"") && banner.contains("<time "));
    let closed = part(&sheet, "help", None);
    let words = |at: usize| &said(&closed.notices[at], "en").page.as_ref().unwrap().html;
    assert!(words(0).contains("We are here again from ") && words(1).contains("we will call you back"));
    // Read in the middle of the night, it shows the pages of the day all the same.
    let night = Moment::from_unix_seconds(NOON.unix_seconds() + 12 * 3_600);
    let pages = |sheet: &Sheet| {
        said(notice(part(sheet, "journey", Some("checkout")), None, "handoff"), "en")
            .page
            .as_ref()
            .unwrap()
            .html
            .clone()
    };
    assert_eq!(pages(&Sheet::of(&shipped, night)), pages(&sheet));
}

#[test]
fn whom_a_playbook_leaves_out_is_said() {
    let storm = format!("mode = \"shadow\"\nchannels = [\"web\", \"app\"]\n{STORM}");
    let ground = crate::support::GROUND.iter().copied();
    let files = ground.chain([("journeys.toml", JOURNEYS), ("playbooks/storm.toml", &*storm)]);
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let sheet = Sheet::of(&compile(&Sources::from_texts(files)).rules.unwrap(), NOON);
    let storm = part(&sheet, "playbook", Some("storm"));
    let scope = ", through web and app alone, once it is no longer in shadow";
    assert_eq!(notice(storm, Some("checkout"), "handoff").who, [format!("everybody{scope}")]);
    assert_eq!(
        notice(storm, None, "automation_narrowed").who,
        [format!("automation, everywhere but on search{scope}")]
    );
}

#[test]
fn the_command_shows_a_table_a_document_or_one_page_for_people() {
    let terminal = Terminal::new();
    terminal.rules("http://127.0.0.1:1");
    let table = terminal.run(&["notices"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.out.starts_with("rules: ") && table.out.lines().next().unwrap().ends_with(" notices in en and de"));
    for line in [
        "\nJourney checkout\n",
        "\nPlaybook credential_stuffing\n",
        "  403  handoff              Let us finish this together\n",
    ] {
        assert!(table.out.contains(line), "{line}: {}", table.out);
    }
    let json: Value = serde_json::from_str(&terminal.run(&["notices", "rules", "--json"]).out).unwrap();
    assert_eq!(json["languages"], serde_json::json!(["en", "de"]));

    let wrote = terminal.run(&["notices", "--html", "notices.html"]);
    assert_eq!((wrote.code, wrote.out.lines().count()), (Some(0), 1), "{wrote:?}");
    let page = std::fs::read_to_string(terminal.path("notices.html")).unwrap();
    assert!(page.len() <= 1_000_000, "{} bytes", page.len());
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.contains("@media print"));
    assert_eq!((page.matches("<main>").count(), page.matches("<h1>").count()), (1, 1), "one page, one headline");
    for never in ["<script", "<img", "<link", "url(", " src=", "@import", "http-equiv=\"refresh"] {
        assert!(!page.contains(never), "{never}");
    }
    let unescaped = page.replace("&amp;", "&").replace("&quot;", "\"");
    let mut pages = 0;
    for part in json["parts"].as_array().unwrap() {
        for said in part["notices"].as_array().unwrap().iter().flat_map(|entry| entry["said"].as_array().unwrap()) {
            if let Some(html) = said["page"]["html"].as_str() {
                let main = html.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0;
                let below = main.replace("<h1>", "<h1 aria-level=\"4\">").replace("<h2>", "<h2 aria-level=\"5\">");
                // Moments depend on when it was asked for, and may move between the two runs.
                let told = below.split("We are here again").next().unwrap().split("Wir sind wieder da").next().unwrap();
                assert!(page.contains(told), "{told}");
                pages += 1;
            }
        }
        if let Some(desk) = part["desk"].as_object() {
            let lists = ["verify", "never", "escalate"].iter().flat_map(|list| desk[*list].as_array().unwrap());
            for line in lists.chain([&desk["script"]]) {
                assert!(unescaped.contains(line.as_str().unwrap()), "{line}");
            }
        }
    }
    assert!(pages > 80, "{pages}");

    // A page of one's own begins as the one that is there.
    let page = |json: &str| {
        let page = json.find("\"html\": \"").map(|at| at + 9).unwrap();
        json[page..].lines().next().unwrap().to_owned()
    };
    let built_in = page(&terminal.run(&["notices", "--json"]).out);
    let template = terminal.run(&["notices", "--template", "/nowhere"]);
    assert_eq!(template.code, Some(0), "{template:?}");
    terminal.write("rules/templates/page.html", &template.out);
    assert_eq!(terminal.run(&["check"]).code, Some(0));
    assert_eq!(page(&terminal.run(&["notices", "--json"]).out), built_in);

    terminal.write("rules/extra.toml", "[journeys.x]\nroutes = [\"GET /x\"]\nladder = [{ at = 155, do = \"alow\" }]\n");
    let broken = terminal.run(&["notices"]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.out.contains("extra.toml:3:") && broken.out.ends_with("rules that do not compile.\n"), "{broken:?}");
}

#[test]
fn a_page_of_the_operators_own_is_shown_as_it_is_and_cannot_do_anything() {
    let terminal = Terminal::new();
    let words = repository().join("tests/rules/good/words");
    for name in ["rules.toml", "templates/page.html", "templates/old_app.json"] {
        terminal.write(&format!("rules/{name}"), &std::fs::read_to_string(words.join(name)).unwrap());
    }
    let wrote = terminal.run(&["notices", "--html", "notices.html"]);
    assert_eq!(wrote.code, Some(0), "{wrote:?}");
    let page = std::fs::read_to_string(terminal.path("notices.html")).unwrap();
    let own = "<dt>Apps of the profile old_app: status 503, application/vnd.shop+json</dt>";
    assert!(page.contains(own) && page.contains("&quot;title&quot;: &quot;Let us take your order together&quot;"));
    let json: Value = serde_json::from_str(&terminal.run(&["notices", "--json"]).out).unwrap();
    let handoff = &json["parts"][0]["notices"][0];
    let apps = &handoff["said"][1]["apps"][0];
    assert_eq!((&handoff["status"], &apps["profile"], &apps["status"]), (&403.into(), &"old_app".into(), &503.into()));
    let body: Value = serde_json::from_str(apps["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["error"]["title"], "Wir nehmen Ihre Bestellung gemeinsam auf");
    assert!(page.contains("<iframe sandbox title=\"The page in en\" srcdoc=\"<!doctype html>"), "{page:.3000}");
}
