//! The names that dashboards and alarms rely on: every metric, its kind, and its labels. A change here breaks somebody's alarm.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use crate::support::client::Protocol;
use crate::support::{Rig, golden};

const JOURNEYS: &str = r#"
[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [303] }
attempt = [{ at = 37, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"
[journeys.balance]
routes = ["GET /account/balance"]
require = { level = "mfa" }
ladder = [{ at = 0, do = "allow" }]
when_unknown = "step_up"
[journeys.shut]
routes = ["GET /shut"]
ladder = [{ at = 100, do = "allow" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "handoff"
[limits.all]
key = "network"
rate = "1000/s"
"#;

#[tokio::test]
async fn the_names_of_metrics_are_a_promise() {
    let rig = Rig::with(JOURNEYS);
    let mut client = rig.client(Protocol::H2);
    assert_eq!(client.get("/hello").await.status, StatusCode::OK);
    assert_eq!(client.get("/account/balance").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/shut").await.status, StatusCode::FORBIDDEN);
    // What is looked at beside the requests shows after its first look.
    while !rig.weir().telemetry.text().contains("weir_signal_up{") {
        tokio::task::yield_now().await;
    }
    let text = rig.weir().telemetry.text();
    assert!(text.ends_with("# EOF\n"), "an OpenMetrics document says where it ends");
    for secret in ["127.0.0.1", "/hello", "sid="] {
        assert!(!text.contains(secret), "{secret} in a metric: {text}");
    }

    let mut kinds = BTreeMap::new();
    let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        } else if !line.starts_with('#') {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, pairs) = series.split_once('{').unwrap_or((series, "}"));
            let family = kinds.keys().filter(|family| name.starts_with(**family)).max_by_key(|family| family.len());
            let pairs = pairs.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
            let names = pairs.map(|(name, _)| name.to_owned()).filter(|name| name != "le");
            labels.entry(family.unwrap_or_else(|| panic!("{line} has no family"))).or_default().extend(names);
        }
    }
    let mut all = String::new();
    for (name, kind) in kinds {
        let labels = labels.remove(name).unwrap_or_default().into_iter().collect::<Vec<_>>().join(", ");
        all += format!("{kind:<9} {name} {{{labels}}}").trim_end_matches(" {}");
        all.push('\n');
    }
    golden("metrics", &all);
}
