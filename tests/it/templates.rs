//! Pages of the operators' own: hot, whole, checked before they are law, and never the reason why a customer gets no answer.

use http::StatusCode;
use weir::control::law::Outcome;

use crate::support::Rig;
use crate::support::client::Protocol;
use crate::support::upstream::Upstream;
use crate::words::JOURNEYS;

const PAGE: &str = include_str!("../rules/good/words/templates/page.html");
const NAVIGATES: &[(&str, &str)] = &[("accept", "text/html")];

#[tokio::test]
async fn a_page_of_the_operators_own_is_used_and_swapped_whole_under_load() {
    let first = PAGE.replace("<h1>", "<p>first</p><h1>");
    let second = PAGE.replace("<h1>", "<p>second</p><h1>");
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("templates/page.html", &first)], |_| {});
    let client = rig.client(Protocol::H2);
    let load: Vec<_> = (0..4)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let mut seen = [0, 0];
                for _ in 0..60 {
                    let answer = client.send("GET", "/shut", NAVIGATES, "").await;
                    assert_eq!(answer.status, StatusCode::FORBIDDEN);
                    let is = ["<p>first</p>", "<p>second</p>"].map(|mark| answer.text().contains(mark));
                    assert!(is[0] != is[1] && answer.text().trim_end().ends_with("</html>"), "{}", answer.text());
                    seen[usize::from(is[1])] += 1;
                }
                seen
            })
        })
        .collect();
    for round in 0..10 {
        let text = if round % 2 == 0 { &second } else { &first };
        assert!(matches!(rig.save("templates/page.html", text), Outcome::Installed { .. }));
        tokio::task::yield_now().await;
    }
    let mut all = 0;
    for task in load {
        all += task.await.unwrap().iter().sum::<i32>();
    }
    assert_eq!(all, 240);
    assert!(matches!(rig.remove("templates/page.html"), Outcome::Installed { .. }));
    let built_in = rig.client(Protocol::H1).send("GET", "/shut", NAVIGATES, "").await;
    assert!(!built_in.text().contains("<p>first</p>"));
}

#[tokio::test]
async fn a_page_that_cannot_be_used_is_kept_out_with_its_place() {
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("templates/page.html", PAGE)], |_| {});
    for (text, says) in [
        (PAGE.replace("{% endfor %}", ""), "unexpected"),
        (PAGE.replace("{{ headline }}", "{{ headlin }}"), "undefined"),
        (PAGE.replace("{{ reference }}", ""), "leaves out the reference"),
        (PAGE.replace("{{ contact.phone }}", "here"), "leaves out the number"),
        (PAGE.replace("{{ detail }}", "{{ detail }}{% for i in range(99999) %}{{ i }}{% endfor %}"), "fuel"),
        (PAGE.replace("{{ detail }}", "{{ detail }}{% for i in range(4000) %}words {% endfor %}"), "at most 14336"),
        (PAGE.replace("{{ detail }}", "{{ detail }}{{ 'x' * 1000000000 }}"), "fuel"),
        (format!("{PAGE}{{% include '/etc/passwd' %}}"), "template"),
    ] {
        let Outcome::Refused { problems, .. } = rig.save("templates/page.html", &text) else {
            panic!("{says}: installed")
        };
        assert!(problems.contains("W0129") && problems.contains("templates/page.html:"), "{problems}");
        assert!(problems.contains(says), "{says}: {problems}");
    }
    let answer = rig.client(Protocol::H2).send("GET", "/shut", NAVIGATES, "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_page_that_fails_at_run_time_costs_the_customer_nothing() {
    // What no rehearsal meets: 421 is only said to who asks for another site.
    let fails =
        format!("{PAGE}{{% if status == 421 %}}{{% for i in range(99999) %}}{{{{ i }}}}{{% endfor %}}{{% endif %}}");
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &[("templates/page.html", &fails)], |_| {});
    let mut client = rig.clear_client();
    let elsewhere = [("host", "elsewhere.example"), ("accept", "text/html")];
    for _ in 0..3 {
        let answer = client.send("GET", "/", &elsewhere, "").await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
        assert!(answer.text().contains("<h1>This site is not served here</h1>"), "{}", answer.text());
    }
    let metrics = rig.weir().telemetry.text();
    assert!(metrics.contains("weir_template_failures_total{template=\"templates/page.html\"} 3"), "{metrics}");
    let lines = rig.stop();
    let cause = lines[0]["cause"].as_str().unwrap();
    assert!(cause.contains("no site answers"), "the fault's own cause stays: {cause}");
}

#[tokio::test]
async fn files_beside_the_pages_are_nobodys_business() {
    let rig = Rig::start(
        JOURNEYS,
        Upstream::shop(),
        &[("templates/page.html~", "{{"), ("templates/notes.txt", "{{")],
        |_| {},
    );
    let answer = rig.client(Protocol::H2).send("GET", "/shut", NAVIGATES, "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let huge = "x".repeat(70_000);
    let Outcome::Refused { problems, .. } = rig.save("templates/page.html", &huge) else { panic!("installed") };
    assert!(problems.contains("larger than 64 KiB"), "{problems}");
}
