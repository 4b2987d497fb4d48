//! The law of the design's own journeys, for tests of judgement: login, balance, checkout, and browsing.

use std::sync::LazyLock;

use weir::rules::ruleset::RuleSet;
use weir::rules::source::Sources;
use weir::rules::{compile, diagnostic};

pub const LAW: &str = r#"
[[site]]
hosts = ["shop.example"]
upstream = "shop"
[upstreams.shop]
servers = ["http://10.0.0.11:3000"]

[identity]
subject = { session_cookie = "sid", ends_on = ["POST /logout"] }
[assurance]
levels = [{ name = "pwd" }, { name = "mfa", acr = ["urn:weir:aal2"], amr = ["otp"] }, { name = "phr", acr = ["phr"] }]
[step_up]
page = "/verify"
succeeds = { route = "POST /verify", status = [200, 303] }
level = "mfa"
[help.main]
text = { chat = "https://help.example/chat" }

[journeys.login]
routes = ["POST /login"]
account = { field = "email" }
succeeds_on = { status = [200, 303] }
attempt = [{ at = 37, do = "allow" }, { at = 20, do = "throttle", every = "10s" }, { at = 0, do = "handoff", to = "main" }]
ladder = [{ at = 53, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

[journeys.balance]
routes = ["GET /balance", "POST /balance"]
ladder = [{ at = 40, do = "allow" }, { at = 20, do = "step_up" }, { at = 0, do = "handoff", to = "main" }]
view_line = 40
contained = "read_only"
when_unknown = "step_up"

[journeys.checkout]
routes = ["POST /checkout"]
require = { level = "pwd" }
ladder = [{ at = 55, do = "allow" }, { at = 30, do = "step_up", max_age = "10m" }, { at = 0, do = "handoff", to = "main" }]
when_unknown = "step_up"

[journeys.browse]
routes = ["GET /shop/{*rest}"]
ladder = [{ at = 0, do = "allow" }]

[[refuse]]
when = { path_suffix = ".env" }
"#;

/// The law, and more of it.
pub fn law_with(more: &str) -> RuleSet {
    let sources = Sources::from_texts(vec![("law.toml".to_owned(), format!("{LAW}{more}"))]);
    let compiled = compile(&sources);
    let said = diagnostic::render(&compiled.diagnostics, &sources, false);
    compiled.rules.unwrap_or_else(|| panic!("{said}"))
}

/// The law.
pub fn law() -> RuleSet {
    law_with("")
}

/// The law, compiled once, for properties.
pub fn shared() -> &'static RuleSet {
    static SHARED: LazyLock<RuleSet> = LazyLock::new(law);
    &SHARED
}
