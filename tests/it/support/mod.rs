//! The rig: a real upstream, a real Weir on a free port with real TLS, a clock that a test moves, and clients for HTTP/1.1 and
//! HTTP/2. Nothing of Weir is mocked; no test sleeps or needs a certain port.

#![allow(dead_code, reason = "each test uses its part of the rig")]

pub mod chromium;
pub mod client;
pub mod exits;
pub mod live;
pub mod mmdb;
pub mod npm;
pub mod program;
pub mod upstream;
pub mod visitors;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir::app::{Options, Weir};
use weir::clock::{Clock, Hand, Moment};
use weir::control::law::Outcome;
use weir::rules::ruleset::Server;
use weir::settings::{Listener, Tls};
use weir::telemetry::lines::{Destination, Kept};

use self::client::{Client, Protocol};
use self::upstream::Upstream;

/// Monday, 2 November 2026, 12:00 UTC: help is open.
pub const NOON: Moment = Moment::from_unix_seconds(1_793_620_800);

/// A running Weir in front of a running upstream.
pub struct Rig {
    pub weir: Option<Weir>,
    pub upstream: Upstream,
    pub hand: Hand,
    pub lines: Kept,
    dir: tempfile::TempDir,
}

/// What every rig has unless a test says otherwise: one site, sessions by cookie, one place of help.
pub const GROUND: &[(&str, &str)] = &[
    (
        "sites.toml",
        r#"
[[site]]
hosts = ["127.0.0.1", "shop.example"]
upstream = "shop"
cors = { origins = ["https://app.example"], credentials = true }
[upstreams.shop]
servers = ["http://127.0.0.1:1"]
timeout = { connect = "2s", answer = "10s", idle = "10s" }
"#,
    ),
    (
        "identity.toml",
        r#"
[identity]
subject = { session_cookie = "sid", ends_on = ["POST /logout"] }
[assurance]
levels = [{ name = "pwd" }, { name = "mfa", acr = ["urn:weir:aal2"], amr = ["otp"] }, { name = "phr", acr = ["phr"] }]
[step_up]
page = "/verify"
succeeds = { route = "POST /verify", status = [303] }
level = "mfa"
"#,
    ),
    (
        "help.toml",
        r#"
[help.main]
phone = "+44 20 7946 0000"
text = { relay = "18001 020 7946 0000", chat = "https://help.example/chat" }
hours = "Mo-Su 08:00-20:00 Europe/London"
"#,
    ),
];

impl Rig {
    /// The ground rules and `journeys.toml` with this text, in front of the standard upstream.
    pub fn with(journeys: &str) -> Self {
        Self::start(journeys, Upstream::shop(), &[], |_| {})
    }

    /// The same, with more files (or other texts for those of the ground) and settings of the process.
    pub fn start(
        journeys: &str,
        upstream: Upstream,
        files: &[(&str, &str)],
        adjust: impl FnOnce(&mut Options),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rules = dir.path().join("rules");
        std::fs::create_dir(&rules).unwrap();
        std::fs::create_dir(dir.path().join("certs")).unwrap();
        for (name, text) in GROUND.iter().chain(&[("journeys.toml", journeys)]).chain(files) {
            put(&rules, name, text);
        }
        let (clock, hand) = Clock::manual(NOON);
        let lines = Kept::default();
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let certs = dir.path().join("certs");
        let tls = Tls {
            certificates: vec![(certs.join("weir.pem"), certs.join("weir.key"))],
            self_signed: true,
            clients: None,
        };
        let mut options = Options {
            rules,
            listeners: Some(vec![
                Listener { address: free, tls: Some(tls), proxy_protocol: Vec::new() },
                Listener { address: free, tls: None, proxy_protocol: Vec::new() },
            ]),
            admin: Some(free),
            data: Some(dir.path().join("data")),
            workers: Some(2),
            servers: Some(vec![server(upstream.address)]),
            decisions: Some(Destination::Kept(lines.clone())),
            clock,
            unlisted: true,
        };
        adjust(&mut options);
        let weir = match Weir::start(options) {
            Ok(weir) => weir,
            Err(weir::app::StartError::Rules(loaded)) => panic!("{}", loaded.render(false)),
            Err(error) => panic!("{error}"),
        };
        Self { weir: Some(weir), upstream, hand, lines, dir }
    }

    pub fn weir(&self) -> &Weir {
        self.weir.as_ref().unwrap()
    }

    /// A client of the TLS listener.
    pub fn client(&self, protocol: Protocol) -> Client {
        let certificate = self.dir.path().join("certs/weir.pem");
        Client::tls(self.weir().addresses[0], &certificate, protocol)
    }

    /// A client of the TLS listener who has just signed in, in a browser that nobody knows.
    pub async fn signed_in(&self, protocol: Protocol) -> Client {
        let mut client = self.client(protocol);
        let answer = client.post("/login", "email=ada%40example.test&password=right").await;
        assert_eq!(answer.status, http::StatusCode::SEE_OTHER, "{}", answer.text());
        client
    }

    /// A client of the listener in clear text.
    pub fn clear_client(&self) -> Client {
        Client::clear(self.weir().addresses[1])
    }

    pub fn rules(&self) -> PathBuf {
        self.dir.path().join("rules")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes one rule file and reloads.
    pub fn save(&self, name: &str, text: &str) -> Outcome {
        self.change(|rules| put(rules, name, text))
    }

    /// Writes one rule file, as an editor does, and tells nobody.
    pub fn write(&self, name: &str, text: &str) {
        put(&self.rules(), name, text);
    }

    /// Takes one rule file away and reloads.
    pub fn remove(&self, name: &str) -> Outcome {
        self.change(|rules| std::fs::remove_file(rules.join(name)).unwrap())
    }

    /// Changes the rule files and reloads. Where the watcher was quicker, what it installed is what came of it.
    fn change(&self, files: impl FnOnce(&Path)) -> Outcome {
        let before = self.weir().law.standing().generation;
        files(&self.rules());
        match self.weir().law.reload() {
            Outcome::Unchanged { generation } if generation > before => {
                let fingerprint = self.weir().law.standing().fingerprint;
                Outcome::Installed { generation, fingerprint, warnings: String::new() }
            }
            outcome => outcome,
        }
    }

    pub fn advance(&self, span: Duration) {
        self.hand.advance(span);
    }

    /// Stops Weir and gives every decision line that it wrote.
    pub fn stop(mut self) -> Vec<serde_json::Value> {
        self.weir.take().unwrap().stop();
        self.lines
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

fn put(rules: &Path, name: &str, text: &str) {
    let path = rules.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As an editor does: whoever watches never reads half of it, nor an empty file, which is a law of its own.
    let part = path.with_extension("part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, path).unwrap();
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(weir) = self.weir.take() {
            weir.stop();
        }
    }
}

/// Holds a text that people or machines rely on to its file in `tests/it/golden`.
pub fn golden(name: &str, text: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    insta::with_settings!({ snapshot_path => golden, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

pub fn server(address: SocketAddr) -> Server {
    Server { tls: false, host: address.ip().to_string().into(), port: address.port() }
}
