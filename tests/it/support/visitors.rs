//! Visitors of a site with the shipped rules, each from an address of their own and with a browser of their own, over one connection
//! of the load balancer in front.

use std::path::Path;
use std::time::Duration;

use super::Rig;
use super::client::{Answer, Client, Connection, whole};
use super::upstream::Upstream;

/// Numbers in an order that is always the same (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// One of so many.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// What browsers say of themselves.
pub const BROWSERS: [(&str, &[(&str, &str)]); 4] = [
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
        &[("sec-ch-ua-platform", "\"Android\""), ("sec-ch-ua-mobile", "?1")],
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        &[],
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        &[("sec-ch-ua-platform", "\"Windows\""), ("sec-ch-ua-mobile", "?0")],
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0", &[]),
];

/// The shipped rules, but for the proxy in front, the cases (they are rehearsed elsewhere) and the playbooks (what arms itself by
/// the time that passes outside would make the figures a matter of luck).
fn shipped() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let law = entries.filter(|path| path.is_file() && !path.ends_with("gateway.toml") && !path.ends_with("cases.toml"));
    let proxied = |text: String| text.replace("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1/32\"]");
    law.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, proxied(std::fs::read_to_string(&path).unwrap()))
    })
    .collect()
}

/// A running site, and the load balancer's connection to it.
pub struct Street {
    pub rig: Rig,
    line: Connection,
    /// Milliseconds since the beginning.
    pub passed: u64,
}

/// Where one visitor comes from, with what.
pub struct Visitor<'a> {
    pub from: &'a str,
    /// The number of the browser in [`BROWSERS`].
    pub browser: usize,
    pub jar: &'a mut Vec<(String, String)>,
}

impl Street {
    /// The shipped rules in front of this application.
    pub async fn new(application: Upstream) -> Self {
        Self::with(application, &[]).await
    }

    /// The same, with more files.
    pub async fn with(application: Upstream, more: &[(&str, &str)]) -> Self {
        let files = shipped();
        let named = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let named: Vec<(&str, &str)> = named.chain(more.iter().copied()).collect();
        let rig = Rig::start("", application, &named, |_| {});
        let line = rig.clear_client().connect().await;
        Self { rig, line, passed: 0 }
    }

    /// Time passes.
    pub fn wait(&mut self, millis: u64) {
        self.rig.advance(Duration::from_millis(millis));
        self.passed += millis;
    }

    /// One request of a visitor, who keeps the cookies that come back.
    pub async fn ask(&mut self, (method, path): (&str, &str), visitor: Visitor<'_>, form: &str) -> Answer {
        let Visitor { from, browser, jar } = visitor;
        let (agent, hints) = BROWSERS[browser % BROWSERS.len()];
        let mut headers = vec![
            ("x-forwarded-for", from),
            ("x-forwarded-proto", "https"),
            ("host", "shop.example"),
            ("user-agent", agent),
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("accept-language", "en-GB,en;q=0.7"),
            ("sec-fetch-mode", "navigate"),
        ];
        headers.extend(hints);
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let mut client: Client = self.rig.clear_client();
        client.cookies = std::mem::take(jar);
        let request = client.request(method, path, &headers, form);
        let answer = whole(self.line.send(request).await.unwrap()).await;
        *jar = client.cookies;
        for field in answer.headers.get_all("set-cookie") {
            let pair = field.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            jar.retain(|(known, _)| known != name);
            jar.push((name.to_owned(), value.to_owned()));
        }
        answer
    }
}
