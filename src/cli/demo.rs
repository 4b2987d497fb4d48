//! `weir demo`: a demonstration shop with Weir in front of it, from one command and without any other set-up.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tracing_subscriber::EnvFilter;

use super::say::{say, say_line};
use super::{DemoArguments, color, log_to_stderr, run};
use crate::app::{Options, Signals, Weir};
use crate::demo::{rules, running, welcome};
use crate::rules::ruleset::Server;
use crate::settings::{Listener, Tls};
use crate::telemetry::lines::Destination;

pub fn demo(arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    log_to_stderr(EnvFilter::new(if arguments.quiet { "error" } else { "warn" }))?;
    let signals = Signals::open().context("listening for signals")?;
    let home = Home::make()?;
    let rules = match &arguments.rules {
        Some(dir) => dir.clone(),
        None if Path::new("rules/sites.toml").is_file() => PathBuf::from("rules"),
        None => rules::write(&home.0.join("rules")).context("writing the shipped rules")?,
    };
    let (server, shop) = match &arguments.upstream {
        Some(server) => (server.clone(), None),
        None => {
            let shop = running::Running::start().context("starting the demonstration shop")?;
            let here = Server { tls: false, host: shop.address.ip().to_string().into(), port: shop.address.port() };
            (here, Some(shop))
        }
    };
    let certificates = home.0.join("certs");
    std::fs::create_dir_all(&certificates)?;
    let tls = Tls {
        certificates: vec![(certificates.join("weir.pem"), certificates.join("weir.key"))],
        self_signed: true,
        clients: None,
    };
    let options = Options {
        rules: rules.clone(),
        listeners: Some(vec![Listener {
            address: SocketAddr::from(([127, 0, 0, 1], arguments.port)),
            tls: Some(tls),
            proxy_protocol: Vec::new(),
        }]),
        admin: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        data: Some(home.0.join("data")),
        servers: Some(vec![server]),
        decisions: Some(Destination::File(home.0.join("decisions.jsonl"))),
        ..Options::default()
    };
    let weir = match Weir::start(options) {
        Ok(weir) => weir,
        Err(error) => return Ok(run::explain(&error)),
    };
    let Some(address) = weir.addresses.first() else { bail!("Weir listens nowhere") };
    let base = format!("https://{address}");
    if arguments.quiet {
        say_line(&base)?;
    } else {
        let lines = home.0.join("decisions.jsonl");
        let place = welcome::Place {
            base: &base,
            home: &home.0,
            rules: &rules,
            admin: weir.admin,
            socket: &weir.socket,
            decisions: &lines,
            upstream: arguments.upstream.as_ref().map(ToString::to_string),
        };
        say(&welcome::text(&place, color(&std::io::stdout())))?;
    }
    let code = run::until_stopped(weir, signals);
    if let Some(shop) = shop {
        shop.stop();
    }
    Ok(code)
}

/// Reads `--upstream URL`.
pub(super) fn server(url: &str) -> Result<Server, String> {
    let parsed: http::Uri =
        url.parse().map_err(|_| "this is not an address; write http://127.0.0.1:3000".to_owned())?;
    let tls = match parsed.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("it must begin with http:// or https://".to_owned()),
    };
    if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
        return Err("it must not have a path: requests keep their own".to_owned());
    }
    let Some(host) = parsed.host() else { return Err("it names no host".to_owned()) };
    let port = parsed.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Server { tls, host: host.trim_matches(['[', ']']).into(), port })
}

/// The demonstration's own directory: rules, keys, certificates, lines, and the cookie jars of the tour. Gone when it ends.
struct Home(PathBuf);

impl Home {
    fn make() -> anyhow::Result<Self> {
        let mut name = [0; 4];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| anyhow::anyhow!("no randomness"))?;
        let path = std::env::temp_dir().join(format!("weir-demo-{:08x}", u32::from_le_bytes(name)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
