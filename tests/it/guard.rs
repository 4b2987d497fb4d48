//! The guard: what other proxies hold in a plain rule file, said in Weir's language and met over real sockets. Expressions over the
//! agent, the query and the path, a method check, denied paths, routes by prefix, a limit for each client, and a thousand more of
//! the two that grow.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use weir::rules::facts::Facts;
use weir::rules::source::Sources;
use weir::rules::{compile, target};

use crate::support::Rig;
use crate::support::client::{Connection, Protocol, whole};
use crate::support::upstream::Upstream;

const GUARD: &str = r#"
[[refuse]]
name = "agent"
when = { header = { name = "user-agent", matches = '(?i)(sqlmap|nikto|masscan|zgrab|nuclei)' } }
[[refuse]]
name = "query"
when = { query_matches = '(?i)(union\s+select|<script|\.\./)' }
[[refuse]]
name = "extension"
when = { path_matches = '\.(php|asp|cgi)$' }
[[refuse]]
name = "method"
when = { not = { method = ["GET", "POST", "HEAD", "PUT", "DELETE"] } }
status = 405
[[refuse]]
name = "denied"
when = { any = [{ path = ["/.env", "/server-status"] }, { path_prefix = ["/.git/", "/wp-admin", "/admin/"] }] }

[limits.clients]
key = "header"
header = "x-client-id"
rate = "3/min"
"#;

/// The guard with a thousand routes by prefix and a thousand expressions more.
fn law(upstreams: &[(&str, String)]) -> String {
    let mut law = GUARD.to_owned();
    for n in 0..1000 {
        writeln!(
            law,
            "[[refuse]]\nname = \"old-{n}\"\nwhen = {{ path_matches = '^/(old|legacy)/{n:04}/[a-z]+\\.(bak|tmp)$' }}"
        )
        .unwrap();
    }
    for (name, address) in upstreams {
        writeln!(law, "[upstreams.{name}]\nservers = [\"http://{address}\"]").unwrap();
    }
    law.push_str("[[site]]\nhosts = [\"127.0.0.1\"]\nupstream = \"rest\"\npaths = [\n");
    law.push_str("{ prefix = \"/api/v1/\", upstream = \"api\" },\n{ prefix = \"/static/\", upstream = \"files\" },\n");
    law.push_str("{ prefix = \"/media/\", upstream = \"files\" },\n");
    for n in 0..1000 {
        writeln!(law, "{{ prefix = \"/svc/{n:04}/\", upstream = \"services\" }},").unwrap();
    }
    law + "]\n"
}

fn named(name: &'static str) -> Upstream {
    Upstream::answering(move |_| Response::new(Full::new(Bytes::from_static(name.as_bytes()))))
}

/// Asks over one connection. Each request is of a client of its own unless it names one.
struct Asking {
    connection: Connection,
    client: crate::support::client::Client,
    asked: usize,
}

impl Asking {
    async fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        self.asked += 1;
        let own = self.asked.to_string();
        let mut fields = fields.to_vec();
        if !fields.iter().any(|(name, _)| *name == "x-client-id") {
            fields.push(("x-client-id", &own));
        }
        let answer = whole(self.connection.send(self.client.request(method, path, &fields, "")).await.unwrap()).await;
        (answer.status.as_u16(), answer.text().to_owned())
    }

    async fn status(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
        self.ask(method, path, fields).await.0
    }
}

#[tokio::test]
async fn the_guard_of_other_proxies_can_be_said_and_every_rule_of_it_fires() {
    let behind =
        [("rest", named("rest")), ("api", named("api")), ("files", named("files")), ("services", named("services"))];
    let addresses: Vec<_> = behind.iter().map(|(name, upstream)| (*name, upstream.address.to_string())).collect();
    let files = [("sites.toml", law(&addresses)), ("identity.toml", String::new()), ("help.toml", String::new())];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let rig = Rig::start("", named("nobody"), &files, |options| options.servers = None);
    for protocol in [Protocol::H1, Protocol::H2] {
        let client = rig.client(protocol);
        let mut asking = Asking { connection: client.connect().await, client, asked: 0 };

        for agent in ["sqlmap/1.8", "Mozilla/5.0 (Nikto)", "masscan", "zgrab/0.x", "Nuclei"] {
            assert_eq!(asking.status("GET", "/", &[("user-agent", agent)]).await, 403, "{agent}");
        }
        for query in ["id=1+UNION+select+2", "id=1%20union%20%20select", "q=%3Cscript%3E", "file=../x"] {
            assert_eq!(asking.status("GET", &format!("/api/v1/items?{query}"), &[]).await, 403, "{query}");
        }
        for path in ["/index.php", "/a/b.asp", "/x.cgi", "/X.PHP"] {
            assert_eq!(asking.status("GET", path, &[]).await, 403, "{path}");
        }
        for path in ["/.env", "/server-status", "/.git/config", "/wp-admin", "/wp-admin/x", "/admin/", "/%61dmin/users"]
        {
            assert_eq!(asking.status("GET", path, &[]).await, 403, "{path}");
        }
        for method in ["PATCH", "OPTIONS", "PURGE", "PROPFIND"] {
            assert_eq!(asking.status(method, "/", &[]).await, 405, "{method}");
        }
        for n in (0..1000).step_by(27) {
            let path = format!("/{}/{n:04}/x.{}", ["old", "legacy"][n % 2], ["bak", "tmp"][n % 2]);
            assert_eq!(asking.status("GET", &path, &[]).await, 403, "{path}");
        }

        for method in ["GET", "POST", "HEAD", "PUT", "DELETE"] {
            assert_eq!(asking.status(method, "/api/v1/items?id=7", &[]).await, 200, "{method}");
        }
        for (path, by) in [
            ("/", "rest"),
            ("/api/v1/items", "api"),
            ("/api/v10", "rest"),
            ("/static/app.js", "files"),
            ("/media/1.jpg", "files"),
            ("/svc/1000/x", "rest"),
            ("/env", "rest"),
            ("/administrators", "rest"),
            ("/old/0001/x.bak.html", "rest"),
        ] {
            assert_eq!(asking.ask("GET", path, &[]).await, (200, by.to_owned()), "{path}");
        }
        for n in (0..1000).step_by(27) {
            assert_eq!(
                asking.ask("GET", &format!("/svc/{n:04}/items"), &[]).await,
                (200, "services".to_owned()),
                "{n}"
            );
        }

        let one = [("x-client-id", "c0001")];
        for _ in 0..3 {
            assert_eq!(asking.status("GET", "/", &one).await, 200);
        }
        assert_eq!(asking.status("GET", "/.env", &one).await, 403, "what is refused is refused, and not counted");
        assert_eq!(asking.status("GET", "/", &one).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(asking.status("GET", "/", &[("x-client-id", "c0002")]).await, 200);
        rig.advance(Duration::from_secs(60));
    }
    let lines = rig.stop();
    let refused = |name: &str| lines.iter().filter(|line| line["why"] == name).count();
    assert_eq!([refused("agent"), refused("query"), refused("extension"), refused("method")], [10, 8, 8, 8]);
    assert_eq!((refused("denied"), refused("old-0"), refused("old-999")), (16, 2, 2));
    assert_eq!(lines.iter().filter(|line| line["limit"] == "clients").count(), 2);
}

#[test]
fn a_guard_of_two_thousand_rules_compiles_in_a_moment_and_each_of_them_counts() {
    let nowhere = ["rest", "api", "files", "services"].map(|name| (name, "127.0.0.1:1".to_owned()));
    let sources = Sources::from_texts(vec![("guard.toml".to_owned(), law(&nowhere))]);
    let began = Instant::now();
    let compiled = compile(&sources);
    let took = began.elapsed();
    let rules = compiled.rules.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    // Far more than it takes, unoptimised and on a busy machine; far less than what grows with the square of the rules.
    assert!(took < Duration::from_secs(30), "{took:?}");

    let (headers, address) = (http::HeaderMap::new(), [127, 0, 0, 1].into());
    let site = rules.sites.find("127.0.0.1").unwrap();
    for n in 0..1000 {
        let path = format!("/legacy/{n:04}/x.tmp");
        let target = target::read(&path).unwrap();
        let facts = Facts { method: "GET", target: &target, query: "", headers: &headers, host: "127.0.0.1", address };
        assert_eq!(rules.refused(&facts).map(|refusal| &*refusal.name), Some(&*format!("old-{n}")));
        let served = rules.upstream(site.upstream_of(&format!("/svc/{n:04}/items")));
        assert_eq!(&*served.name, "services", "{n}");
    }
}
