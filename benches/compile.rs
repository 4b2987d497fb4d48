//! How long a law takes to compile and a request to be looked up, with few rules and with many.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use weir::rules::facts::Facts;
use weir::rules::ruleset::RuleSet;
use weir::rules::source::Sources;
use weir::rules::{compile, target};

const SITE: &str =
    "[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n[upstreams.shop]\nservers = [\"http://127.0.0.1:1\"]\n";

fn routes(many: usize) -> Sources {
    let mut text = SITE.to_owned();
    for journey in 0..many / 10 {
        let named: Vec<_> = (0..10).map(|at| format!("\"GET /svc/{journey:04}/{at}/{{id}}\"")).collect();
        text.push_str(&format!(
            "[journeys.j{journey}]\nroutes = [{}]\nladder = [{{ at = 0, do = \"allow\" }}]\n",
            named.join(", ")
        ));
    }
    Sources::from_texts(vec![("a.toml".to_owned(), text)])
}

fn refusals(many: usize) -> Sources {
    let mut text = SITE.to_owned();
    for at in 0..many {
        text.push_str(&format!(
            "[[refuse]]\nwhen = {{ path_matches = '^/(old|legacy)/{at:04}/[a-z]+\\.(bak|tmp)$' }}\n"
        ));
    }
    Sources::from_texts(vec![("a.toml".to_owned(), text)])
}

/// The routes with as many playbooks as are shipped, each with a change for a hundred journeys.
fn with_playbooks(many: usize) -> Sources {
    let routes = routes(many);
    let mut texts: Vec<_> =
        routes.iter().map(|(_, source)| (source.name.to_string(), source.text.to_string())).collect();
    let held = "ladder = [{ at = 40, do = \"allow\" }, { at = 0, do = \"throttle\" }]\nwhen_unknown = \"throttle\"";
    texts[0].1 = texts[0].1.replace("ladder = [{ at = 0, do = \"allow\" }]", held);
    for playbook in 0..6 {
        let mut text = "summary = \"x\"\nowner = \"x\"\nexpires = \"1h\"\n".to_owned();
        (0..100).for_each(|at| text.push_str(&format!("[changes.j{at}]\nat_most = \"throttle\"\n")));
        texts.push((format!("playbooks/p{playbook}.toml"), text));
    }
    Sources::from_texts(texts)
}

fn law(sources: &Sources) -> RuleSet {
    compile(sources).rules.unwrap_or_else(|| panic!("the bench's law does not compile"))
}

fn compiling(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    for many in [1_000, 10_000] {
        let sources = routes(many);
        group.bench_with_input(BenchmarkId::new("routes", many), &sources, |b, sources| {
            b.iter(|| compile(black_box(sources)))
        });
    }
    let sources = with_playbooks(10_000);
    group.bench_with_input(BenchmarkId::new("routes_and_six_playbooks", 10_000), &sources, |b, sources| {
        b.iter(|| compile(black_box(sources)))
    });
    let sources = refusals(1_000);
    group.bench_with_input(BenchmarkId::new("refusals", 1_000), &sources, |b, sources| {
        b.iter(|| compile(black_box(sources)))
    });
    group.finish();
}

fn finding(c: &mut Criterion) {
    let mut group = c.benchmark_group("find");
    for many in [10, 1_000, 10_000] {
        let rules = law(&routes(many));
        for (name, path) in
            [("listed", "/svc/0000/7/abc"), ("unlisted", "/static/app.js"), ("odd", "/svc/0000/%37/abc;x")]
        {
            group.bench_function(BenchmarkId::new(name, many), |b| {
                b.iter(|| {
                    let target = target::read(black_box(path)).unwrap_or_else(|_| panic!("no path"));
                    black_box(rules.routes.find("GET", &target));
                });
            });
        }
    }
    for many in [10, 1_000] {
        let rules = law(&refusals(many));
        let headers = HeaderMap::new();
        for (name, path) in
            [("miss", "/api/v1/items/4711"), ("near", "/old/0007/page.html"), ("hit", "/old/0007/page.bak")]
        {
            let target = target::read(path).unwrap_or_else(|_| panic!("no path"));
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let facts =
                Facts { method: "GET", target: &target, query: "", headers: &headers, host: "shop.example", address };
            group.bench_function(BenchmarkId::new(format!("refused_{name}"), many), |b| {
                b.iter(|| black_box(rules.refused(black_box(&facts)).is_some()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compiling, finding);
criterion_main!(benches);
