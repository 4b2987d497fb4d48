//! Apps that are in the field already: each is answered so that it reacts well, and one that nobody vouched for is never signed
//! out by a 401 of Weir's own.

use std::time::Duration;

use http::StatusCode;

use crate::support::Rig;
use crate::support::client::BOTH;
use crate::support::upstream::Upstream;
use crate::words::JOURNEYS;

const PROFILES: &str = r#"
[languages]
speak = ["en", "de"]
[profiles.old_app]
app = { name = "ShopApp", from = "3.2", below = "4.0" }
step_up = 403
refused = 503
throttle = 503
body = "templates/old_app.json"
content_type = "application/vnd.shop.error+json"
[profiles.new_app]
app = { name = "ShopApp", from = "4.0", below = "5.0" }
step_up = 401
[profiles.kiosk]
when = { all = [{ header = { name = "x-kiosk", present = true } }, { path_prefix = "/account/" }] }
step_up = 503
"#;

const BODY: &str = r#"{"error": {"code": {{ kind }}, "message": {{ headline ~ " " ~ detail }}, "ref": {{ reference }}, "again": {{ wait.seconds if wait else none }}}}"#;

/// Longer than a client that repeats itself is remembered: all of these come from one address.
const LATER: Duration = Duration::from_secs(180);

fn rig() -> Rig {
    let files = [("profiles.toml", PROFILES), ("templates/old_app.json", BODY)];
    Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {})
}

#[tokio::test]
async fn an_app_in_the_field_is_answered_in_its_own_format_and_with_its_own_status() {
    let rig = rig();
    for protocol in BOTH {
        let mut client = rig.client(protocol);
        let app = [("user-agent", "ShopApp/3.9.1 (iPhone; iOS 19.1)"), ("accept-language", "de")];
        let held = client.send("GET", "/account/balance", &app, "").await;
        assert_eq!(held.status, StatusCode::FORBIDDEN);
        assert!(held.header("www-authenticate").contains("acr_values=\"urn:weir:aal2\""));
        assert_eq!(held.header("content-type"), "application/vnd.shop.error+json");
        assert_eq!(held.json()["error"]["code"], "step_up");
        let message = held.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Bitte bestätigen Sie, dass Sie es sind Bevor"), "{message}");
        assert_eq!(held.json()["error"]["again"], serde_json::Value::Null);
        let shut = client.send("GET", "/shut", &app, "").await;
        assert_eq!(
            (shut.status, shut.json()["error"]["code"].as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, Some("handoff"))
        );
        // A person who navigates inside the app reads the page, as it was decided.
        let page = client.send("GET", "/shut", &[app[0], ("accept", "text/html")], "").await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::FORBIDDEN, "text/html; charset=utf-8"));
        rig.advance(LATER);
        let newer = client.send("GET", "/account/balance", &[("user-agent", "ShopApp/4.2")], "").await;
        assert_eq!(
            (newer.status, newer.header("content-type")),
            (StatusCode::UNAUTHORIZED, "application/problem+json")
        );
        let kiosk = client.send("GET", "/account/balance", &[("x-kiosk", "7")], "").await;
        assert_eq!(kiosk.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(kiosk.json()["status"], 503, "the document says what the status line says");
    }
}

#[tokio::test]
async fn an_app_in_an_unknown_version_never_gets_a_401_from_weir() {
    let rig = rig();
    for protocol in BOTH {
        for agent in ["ShopApp/5.0", "ShopApp/3.1", "ShopApp", "shopapp/beta", "Mozilla/5.0 ShopApp/9"] {
            rig.advance(LATER);
            let mut client = rig.client(protocol);
            let held = client.send("GET", "/account/balance", &[("user-agent", agent)], "").await;
            assert_eq!(held.status, StatusCode::FORBIDDEN, "{agent}");
            assert!(held.header("www-authenticate").contains("insufficient_user_authentication"), "{agent}");
            assert_eq!(held.exits()[0], "step_up", "{agent} is shown the way all the same");
        }
        for agent in ["ShopApp/4.0", "Mozilla/5.0", "okhttp/5.1", ""] {
            rig.advance(LATER);
            let mut client = rig.client(protocol);
            let held = client.send("GET", "/account/balance", &[("user-agent", agent)], "").await;
            assert_eq!(held.status, StatusCode::UNAUTHORIZED, "{agent}");
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_is_a_problem_document_instead() {
    let fails = BODY.replace("{{ kind }}", "{% if status == 405 %}{{ oops }}{% endif %}{{ kind }}");
    let files = [("profiles.toml", PROFILES), ("templates/old_app.json", &*fails)];
    let rig = Rig::start(JOURNEYS, Upstream::shop(), &files, |_| {});
    let mut client = rig.client(BOTH[0]);
    let answer = client.send("DELETE", "/account/balance", &[("user-agent", "ShopApp/3.2")], "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], "urn:weir:problem:method");
    assert!(
        rig.weir().telemetry.text().contains("weir_template_failures_total{template=\"templates/old_app.json\"} 1")
    );
}
