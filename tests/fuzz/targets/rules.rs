//! Rule text -> compile -> rehearse -> judge: whatever stands in a directory of rules, nothing panics, and what compiles can
//! be asked. Several files stand in one input, each after a line `#== NAME`.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use weir::clock::Moment;
use weir::judge::decision::Question;
use weir::judge::judge;
use weir::judge::rehearse::rehearse;
use weir::judge::signals::Readings;
use weir::judge::stage::Stage;
use weir::rules::compile;
use weir::rules::diagnostic::{render, to_json};
use weir::rules::facts::Facts;
use weir::rules::routes::Found;
use weir::rules::source::Sources;
use weir::rules::target;

const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET", "/", ""),
    ("POST", "/login", "next=%2Faccount"),
    ("POST", "/checkout", ""),
    ("GET", "/account/balance/", "x=1&x=2"),
    ("PUT", "/api/v1/accounts/1001/address", ""),
    ("GET", "/a/%2e%2e/.env;x=1", "%"),
    ("DELETE", "/%ff//\\..", "q=%25%00"),
];

fn files(text: &str) -> Vec<(String, String)> {
    let mut all = vec![("a.toml".to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#== ") {
            Some(name) if all.len() < 16 => all.push((name.trim().to_owned(), String::new())),
            _ => {
                if let Some((_, text)) = all.last_mut() {
                    text.push_str(line);
                }
            }
        }
    }
    all.retain(|(_, text)| !text.is_empty());
    all
}

fuzz_target!(|bytes: &[u8]| {
    let sources = Sources::from_texts(files(&String::from_utf8_lossy(bytes)));
    let compiled = compile(&sources);
    let _ = (render(&compiled.diagnostics, &sources, true), to_json(&compiled.diagnostics, &sources));
    assert_eq!(compiled.rules.is_none(), compiled.diagnostics.iter().any(|problem| problem.is_error()));
    let Some(rules) = compiled.rules else { return };
    let _ = render(&rehearse(&rules), &sources, false);
    let now = Moment::from_unix_seconds(1_800_000_000);
    let headers = http_headers();
    for (method, path, query) in REQUESTS {
        let Ok(target) = target::read(path) else { continue };
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let facts = Facts { method, target: &target, query, headers: &headers, host: "shop.example", address };
        let _ = rules.refused(&facts);
        let journey = match rules.routes.find(method, &target) {
            Found::Listed { journey, .. } => journey,
            Found::Unlisted | Found::MethodNotAllowed { .. } | Found::Ambiguous => None,
        };
        for stage in [Stage::Attempt, Stage::Session] {
            let readings = Readings::default();
            let calm = Question::calm(&rules, &readings, now);
            let _ = judge(&Question { journey, stage, safe_method: *method == "GET", upstream_away: true, ..calm });
        }
    }
});

fn http_headers() -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static("sqlmap/1.8 aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
    headers.insert(http::header::COOKIE, http::HeaderValue::from_static("sid=1; sid=2"));
    headers
}
