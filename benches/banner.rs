//! What the banner costs a page: a page of a shop with two hundred links and three forms, whole, with nothing to mark, with one journey
//! constrained, and with none of it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench stops by panicking and reads the clock"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir::clock::Moment;
use weir::gate::continuity::banner::{Banner, rewrite_whole};
use weir::gate::continuity::marks::Marks;
use weir::gate::continuity::works::Constraint;
use weir::rules::banner::BannerLaw;
use weir::rules::compile;
use weir::rules::notices::Language;
use weir::rules::ruleset::RuleSet;
use weir::rules::source::Sources;

const LAW: &str = r#"
[[site]]
hosts = ["shop.example"]
upstream = "shop"
[upstreams.shop]
servers = ["http://127.0.0.1:1"]
[journeys.checkout]
routes = ["GET /checkout", "POST /checkout"]
ladder = [{ at = 0, do = "allow" }]
[journeys.orders]
routes = ["GET /orders/{id}"]
ladder = [{ at = 0, do = "allow" }]
"#;

/// About forty kilobytes.
fn page() -> Bytes {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Orders</title></head><body class=\"shop\">",
    );
    for order in 0..200 {
        let _ = write!(
            page,
            "<article class=\"order\"><h2><a href=\"/orders/{order}\">Order {order}</a></h2><p>Three things, sent on Monday, and what else a page says of an order.</p><span class=\"sum\">12.50</span></article>"
        );
    }
    for _ in 0..3 {
        page.push_str("<form action=\"/checkout\" method=\"post\"><input name=\"sum\"><button>Pay</button></form>");
    }
    page.push_str("</body></html>");
    page.into()
}

fn banner(rules: &Arc<RuleSet>, constrained: &[&str]) -> Banner {
    let constraint = |name: &&str| Constraint {
        journey: rules.journey_named(name).unwrap(),
        looking: true,
        reason: "We are checking purchases by hand".into(),
    };
    let marks = Marks::seen_from(
        rules.clone(),
        ("shop.example", "shop.example"),
        "/orders",
        constrained.iter().map(constraint).collect(),
    );
    let law = BannerLaw { live: false, zone: Some("Europe/London".into()) };
    let language = Language::built_in("en").unwrap();
    Banner::new(&law, &language, Some(Moment::from_unix_seconds(1_800_000_000)), None, marks)
}

fn benches(criterion: &mut Criterion) {
    let rules = Arc::new(compile(&Sources::from_texts(vec![("law.toml".to_owned(), LAW.to_owned())])).rules.unwrap());
    let page = page();
    let mut group = criterion.benchmark_group("banner");
    group.throughput(Throughput::Bytes(page.len() as u64));
    for (name, constrained) in
        [("alone", &[][..]), ("forms", &["checkout"]), ("forms_and_links", &["checkout", "orders"])]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(rewrite_whole(&page, banner(&rules, constrained))));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
